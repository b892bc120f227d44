/*
 * Mutations of traces: a table of what can be done to one, each a function of the trace and a
 * random number.
 *
 * What makes ops collide is that they name the same things, so operands are taken from the trace
 * itself: processes that are alive at that point, addresses that others use. Ops that are new come
 * from the generator, which knows how to make sensible ones.
 */
#include "mutate_internal.h"

#include <stdio.h>
#include <string.h>

#define FULL_OPS 64u /* a target runs no more of a trace */

/* ---- random numbers (splitmix64) ------------------------------------------------------------- */

static uint64_t next(struct mutator *m)
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t mutator_below(struct mutator *m, uint32_t n)
{
	return n ? (uint32_t)((next(m) >> 32) * n >> 32) : 0;
}

/* ---- the trace as a list ------------------------------------------------------------------------
 */

void trace_remove(struct trace *trace, uint32_t at, uint32_t n)
{
	if (!n)
		return; /* there may be no array to speak of */
	memmove(trace->ops + at, trace->ops + at + n,
		(trace->nr_ops - at - n) * sizeof(*trace->ops));
	trace->nr_ops -= n;
}

static bool insert_op(struct trace *trace, uint32_t at, const struct op *op)
{
	struct op copy = *op;

	if (trace->nr_ops >= OPS_MAX || trace_add(trace, &copy))
		return false;
	memmove(trace->ops + at + 1, trace->ops + at,
		(trace->nr_ops - 1 - at) * sizeof(*trace->ops));
	trace->ops[at] = copy;
	return true;
}

/* ---- what is alive ------------------------------------------------------------------------------
 */

/* Processes that should be alive before op AT, a bit each. */
static uint32_t alive_before(const struct trace *trace, uint32_t at)
{
	uint32_t alive = 1;

	for (uint32_t i = 0; i < at; i++) {
		const struct op_info *info = op_info((enum op_code)trace->ops[i].code);
		const uint32_t *args = trace->ops[i].args;

		for (int k = 0; k < info->nargs; k++) {
			if (info->operand[k].kind == OPERAND_NEWPROC)
				alive |= 1u << args[k] % PROC_MAX;
		}
		if (trace->ops[i].code == OP_exit)
			alive &= ~(1u << args[0] % PROC_MAX);
	}
	return alive;
}

static uint32_t one_of(struct mutator *m, uint32_t set)
{
	uint32_t skip = mutator_below(m, (uint32_t)__builtin_popcount(set));

	while (skip--)
		set &= set - 1;
	return (uint32_t)__builtin_ctz(set);
}

/* The I-th operand of some op of the trace that has KIND, into *OP. */
static bool borrow(struct mutator *m, enum operand_kind kind, struct op *op, int i)
{
	const struct trace *trace = &m->trace;

	for (int tries = 0; tries < 8 && trace->nr_ops; tries++) {
		const struct op *from = &trace->ops[mutator_below(m, trace->nr_ops)];
		const struct op_info *info = op_info((enum op_code)from->code);
		int k = (int)mutator_below(m, info->nargs);

		if (info->operand[k].kind != kind)
			continue;
		op->args[i] = from->args[k];
		op->refs = (uint8_t)((op->refs & ~(1u << i)) | (from->refs >> k & 1u) << i);
		return true;
	}
	return false;
}

/* An operand of that kind, chosen at random from those of OP. -1: it has none. */
static int operand_of(struct mutator *m, const struct op *op, enum operand_kind kind)
{
	const struct op_info *info = op_info((enum op_code)op->code);
	int found = -1;
	uint32_t n = 0;

	for (int i = 0; i < info->nargs; i++) {
		if (info->operand[i].kind == kind && !mutator_below(m, ++n))
			found = i;
	}
	return found;
}

static void aim_at_living(struct mutator *m, uint32_t at)
{
	struct op *op = &m->trace.ops[at];
	uint32_t alive = alive_before(&m->trace, at);
	int proc = operand_of(m, op, OPERAND_PROC), child = operand_of(m, op, OPERAND_NEWPROC);

	if (proc >= 0 && alive)
		op->args[proc] = one_of(m, alive);
	if (child >= 0 && ~alive)
		op->args[child] = (uint32_t)__builtin_ctz(~alive);
}

/* ---- mutations
 * ------------------------------------------------------------------------------------
 */

/* False: there was nothing to do it to. */
typedef bool mutation_fn(struct mutator *m);

/* The same ops on another machine. */
static bool change_machine(struct mutator *m)
{
	uint32_t n = 0;

	while (machine_presets[n].name)
		n++;
	m->trace.config = machine_presets[mutator_below(m, n)].config;
	return true;
}

/* What the generator makes to follow the first AT ops: N of them, there. */
static bool insert_following(struct mutator *m, uint32_t at, uint32_t n)
{
	const struct generate_options options = {
		.nr_ops = n, .faults = !mutator_below(m, 4), .actors = !mutator_below(m, 4)};

	if (at)
		generate_following(&m->other, &m->trace, at, next(m), &options);
	else
		generate_trace(&m->other, &m->trace.config, next(m), &options);
	for (uint32_t i = 0; i < m->other.nr_ops; i++) {
		if (!insert_op(&m->trace, at + i, &m->other.ops[i]))
			return i > 0;
	}
	return n > 0;
}

static bool insert(struct mutator *m)
{
	uint32_t at = mutator_below(m, m->trace.nr_ops + 1);

	return insert_following(m, at, 1 + mutator_below(m, 1u << mutator_below(m, 5)));
}

/*
 * A bug that takes five ops in the right order is found by long traces, and engines like short
 * inputs. So this takes what one was kept for, or a beginning of it, and goes on to the full
 * length.
 */
static bool grow(struct mutator *m)
{
	uint32_t keep = m->trace.nr_ops;

	if (keep > FULL_OPS / 2 || mutator_below(m, 2))
		keep = mutator_below(m, keep < FULL_OPS ? keep + 1 : FULL_OPS);
	trace_remove(&m->trace, keep, m->trace.nr_ops - keep);
	return insert_following(m, keep, FULL_OPS - keep);
}

/* A trace that owes nothing to what there is, so that not all descend from a lucky few. */
static bool restart(struct mutator *m)
{
	trace_clear(&m->trace);
	m->trace.config = machine_presets[0].config;
	if (mutator_below(m, 4) == 0)
		change_machine(m);
	return insert_following(m, 0, FULL_OPS);
}

static bool delete (struct mutator *m)
{
	uint32_t n = 1 + mutator_below(m, mutator_below(m, 4) ? 2 : m->trace.nr_ops), at;

	if (!m->trace.nr_ops)
		return false;
	at = mutator_below(m, m->trace.nr_ops);
	if (n > m->trace.nr_ops - at)
		n = m->trace.nr_ops - at;
	trace_remove(&m->trace, at, n);
	return true;
}

static bool duplicate(struct mutator *m)
{
	uint32_t n = 1 + mutator_below(m, 4), from, to;

	if (!m->trace.nr_ops)
		return false;
	from = mutator_below(m, m->trace.nr_ops);
	to = from + mutator_below(m, m->trace.nr_ops - from) + 1;
	for (uint32_t i = 0; i < n && from + i < to; i++) {
		struct op op = m->trace.ops[from + i];

		if (!insert_op(&m->trace, to + i, &op))
			return i > 0;
		if (op_info((enum op_code)op.code)->operand[1].kind == OPERAND_NEWPROC)
			aim_at_living(m, to + i);
	}
	return true;
}

static bool move(struct mutator *m)
{
	uint32_t from, to;
	struct op op;

	if (m->trace.nr_ops < 2)
		return false;
	from = mutator_below(m, m->trace.nr_ops);
	to = mutator_below(m, m->trace.nr_ops - 1);
	op = m->trace.ops[from];
	trace_remove(&m->trace, from, 1);
	return insert_op(&m->trace, to, &op);
}

/* Name something else that exists: a living process, an address that another op uses. */
static bool retarget(struct mutator *m)
{
	static const enum operand_kind kinds[] = {OPERAND_PROC, OPERAND_ADDR, OPERAND_ADDR,
						  OPERAND_FILE};
	enum operand_kind kind = kinds[mutator_below(m, 4)];
	uint32_t at;
	int i;

	if (!m->trace.nr_ops)
		return false;
	at = mutator_below(m, m->trace.nr_ops);
	i = operand_of(m, &m->trace.ops[at], kind);
	if (i < 0)
		return false;
	if (kind != OPERAND_PROC)
		return borrow(m, kind, &m->trace.ops[at], i);
	aim_at_living(m, at);
	return true;
}

static void perturb_number(struct mutator *m, uint32_t *value, uint32_t step, uint32_t most)
{
	static const int32_t steps[] = {-2, -1, -1, 1, 1, 2};
	uint32_t changed = *value + (uint32_t)steps[mutator_below(m, 6)] * step;

	*value = changed <= most ? changed : mutator_below(m, 16);
}

/* Of a region reference, the pages behind it. */
static void perturb_addr(struct mutator *m, struct op *op, int i)
{
	uint32_t offset = op->args[i] & 0xffffffu;

	if (!(op->refs >> i & 1)) {
		perturb_number(m, &op->args[i], PAGE_SIZE, UINT32_MAX);
		return;
	}
	perturb_number(m, &offset, 1, 0xffffffu);
	op->args[i] = (op->args[i] & 0xff000000u) | offset;
}

static bool perturb(struct mutator *m)
{
	const struct op_info *info;
	struct op *op;
	int i;

	if (!m->trace.nr_ops)
		return false;
	op = &m->trace.ops[mutator_below(m, m->trace.nr_ops)];
	info = op_info((enum op_code)op->code);
	i = (int)mutator_below(m, info->nargs);
	switch (info->operand[i].kind) {
	case OPERAND_ADDR:
		perturb_addr(m, op, i);
		return true;
	case OPERAND_LEN:
	case OPERAND_PGOFF:
	case OPERAND_COUNT:
		perturb_number(m, &op->args[i], 1, LEN_MAX);
		return true;
	case OPERAND_SWAP:
		op->args[i] = mutator_below(m, m->trace.config.nr_swap + 1) % SWAP_AREAS_MAX;
		return true;
	case OPERAND_PROT:
		op->args[i] ^= 1u << mutator_below(m, 3);
		return true;
	case OPERAND_MFLAGS:
		op->args[i] = (op->args[i] ^ 1u << mutator_below(m, 7)) & OP_MAP_MASK;
		return true;
	case OPERAND_RFLAGS:
		op->args[i] = (op->args[i] ^ 1u << mutator_below(m, 2)) & OP_MREMAP_MASK;
		return true;
	case OPERAND_PIN:
	case OPERAND_NEWPIN:
		op->args[i] = mutator_below(m, 4);
		return true;
	case OPERAND_PFLAGS:
		op->args[i] ^= 1u << mutator_below(m, 2);
		return true;
	case OPERAND_NFLAGS:
		op->args[i] ^= OP_REMAP_NONBLOCK;
		return true;
	case OPERAND_ADVICE:
		op->args[i] = mutator_below(m, NR_ADVICE);
		return true;
	default:
		return false;
	}
}

/* Let an op run inside the one before it, at a point that it may pass. */
static bool nest(struct mutator *m, struct op *op, const struct op *host)
{
	uint32_t first = mutator_below(m, NR_POINTS);

	for (uint32_t i = 0; i < NR_POINTS; i++) {
		uint32_t point = (first + i) % NR_POINTS;

		if (point == POINT_NONE ||
		    !point_suits((enum point)point, (enum op_code)host->code))
			continue;
		op->point = (uint16_t)point;
		op->point_nth = (uint16_t)(1 + mutator_below(m, 4));
		return true;
	}
	return false;
}

static void unwrap(struct op *op)
{
	op->fail_nth = op->fail_meta = op->fail_from = op->fail_meta_from = op->reclaim_nth = 0;
	op->point = op->point_nth = 0;
}

/* Let an allocation fail inside an op, or reclaim run there, or the next op; or no longer. */
static bool wrap(struct mutator *m)
{
	uint32_t at;
	struct op *op;

	if (!m->trace.nr_ops)
		return false;
	at = mutator_below(m, m->trace.nr_ops);
	op = &m->trace.ops[at];
	if (op_fails(op) || op->reclaim_nth || op->point) {
		unwrap(op);
		return true;
	}
	switch (mutator_below(m, 5)) {
	case 0:
		op->fail_nth = (uint16_t)(1 + mutator_below(m, 6));
		return true;
	case 1:
		op->fail_meta = (uint16_t)(1 + mutator_below(m, 3));
		return true;
	case 2:
		op->fail_from = (uint16_t)(1 + mutator_below(m, 6));
		return true;
	case 3:
		op->reclaim_nth = (uint16_t)(1 + mutator_below(m, 6));
		return true;
	default:
		return at && nest(m, op, &m->trace.ops[at - 1]);
	}
}

static const struct mutation {
	const char *name;
	mutation_fn *apply;
	uint32_t weight;
} mutations[] = {
	{"insert", insert, 6},          {"grow", grow, 6},           {"restart", restart, 3},
	{"delete", delete, 3},          {"duplicate", duplicate, 2}, {"move", move, 2},
	{"retarget", retarget, 5},      {"perturb", perturb, 5},     {"wrap", wrap, 2},
	{"machine", change_machine, 1},
};
#define NR_MUTATIONS (sizeof(mutations) / sizeof(mutations[0]))

static const struct mutation *choose(struct mutator *m)
{
	uint32_t total = 0, card;

	for (size_t i = 0; i < NR_MUTATIONS; i++)
		total += mutations[i].weight;
	card = mutator_below(m, total);
	for (size_t i = 0;; i++) {
		if (card < mutations[i].weight)
			return &mutations[i];
		card -= mutations[i].weight;
	}
}

static void describe(struct mutator *m, const char *name)
{
	size_t n = strlen(m->describe);

	if (n + strlen(name) + 2 <= sizeof(m->describe))
		snprintf(m->describe + n, sizeof(m->describe) - n, "%s%s", n ? "," : "", name);
}

void mutate_somehow(struct mutator *m)
{
	const struct mutation *mutation = choose(m);

	if (mutation->apply(m))
		describe(m, mutation->name);
}

void mutate_smaller(struct mutator *m)
{
	if (!m->trace.nr_ops || mutator_below(m, 8)) {
		delete (m);
		describe(m, "delete");
		return;
	}
	unwrap(&m->trace.ops[mutator_below(m, m->trace.nr_ops)]);
	describe(m, "plain");
}

void mutate_splice(struct mutator *m)
{
	uint32_t keep = mutator_below(m, m->trace.nr_ops + 1), from, to;

	trace_remove(&m->trace, keep, m->trace.nr_ops - keep);
	from = mutator_below(m, m->other.nr_ops);
	to = from + mutator_below(m, m->other.nr_ops - from + 1);
	for (uint32_t i = from; i < to; i++) {
		const struct op *op = &m->other.ops[i];
		uint32_t at = m->trace.nr_ops, alive = alive_before(&m->trace, at);
		int proc = operand_of(m, op, OPERAND_PROC);

		if (!insert_op(&m->trace, at, op))
			break;
		if (proc >= 0 && !(alive >> op->args[proc] % PROC_MAX & 1))
			aim_at_living(m, at);
	}
	describe(m, "splice");
}

/*
 * Plainer operands: what a reader would have written. For each kind of operand there is a weight,
 * and a few candidates; minimize_try() runs those that are lighter.
 *
 *   machine      the first preset, or setting by setting
 *   addresses    numbers in place of region names, low pages of the window, mmap at a fixed one
 *   names        p0, p1, ...; f0, f1, ...; r0, r1, ...
 *   the rest     no property, no flag (anon and fixed are plain for mmap), rw, length 1, offset 0
 */
#include "minimize_private.h"

#include <string.h>

#define PLAIN_MFLAGS (OP_MAP_ANON | OP_MAP_FIXED)
#define PLAIN_PROT   (OP_PROT_READ | OP_PROT_WRITE)

/* Weights of addresses: the first pages of the window, 0, the window's other pages, all others. */
#define LOW_PAGES     8u
#define OTHER_ADDRESS 0x1000u
#define UNALIGNED     0x200000u

static bool in_window(uint32_t addr)
{
	return addr % PAGE_SIZE == 0 && (addr - WINDOW_BASE) / PAGE_SIZE < WINDOW_PAGES;
}

static uint32_t bits(uint32_t value)
{
	return (uint32_t)__builtin_popcount(value);
}

/* ---- settings and properties ---------------------------------------------------------------- */

/* set_FIELD: as in PLAIN; was it different? */
#define SETTINGS(X)                                                                                \
	X(ram_mb)                                                                                  \
	X(split)                                                                                   \
	X(era)                                                                                     \
	X(cluster)                                                                                 \
	X(highpte)                                                                                 \
	X(cacheline)                                                                               \
	X(files)                                                                                   \
	X(file_pages) X(pool) X(stop_on_refusal) X(counters) X(nonlinear) X(cpus) X(accounting)
#define SET(field)                                                                                 \
	static bool set_##field(struct machine_config *config, const struct machine_config *plain) \
	{                                                                                          \
		bool differs = config->field != plain->field;                                      \
                                                                                                   \
		config->field = plain->field;                                                      \
		return differs;                                                                    \
	}
SETTINGS(SET)
#undef SET

static bool set_swap(struct machine_config *config, const struct machine_config *plain)
{
	struct machine_config before = *config;

	config->nr_swap = plain->nr_swap;
	memcpy(config->swap, plain->swap, sizeof(config->swap));
	return !machine_config_equal(config, &before);
}

typedef bool set_fn(struct machine_config *config, const struct machine_config *plain);
#define SET(field) set_##field,
static set_fn *const settings[] = {SETTINGS(SET) set_swap};
#undef SET
#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static uint32_t config_weight(struct machine_config config)
{
	uint32_t n = 0, areas = config.nr_swap ? config.nr_swap - 1 : 0;

	for (uint32_t i = 0; i < config.nr_swap; i++)
		areas += config.swap[i].priority != 0;

	for (size_t i = 0; i < NR_SETTINGS; i++)
		n += settings[i](&config, &machine_presets[0].config);
	return n + areas;
}

#define NR_PROPERTIES 5
static uint16_t *property(struct op *op, uint32_t i)
{
	uint16_t *const properties[NR_PROPERTIES] = {&op->fail_nth, &op->reclaim_nth,
						     &op->fail_meta, &op->fail_from,
						     &op->fail_meta_from};

	return properties[i];
}

/* ---- weight --------------------------------------------------------------------------------- */

/* Operand I of OP may be 0 and is then left to the kernel. */
static bool is_hint(const struct op *op, uint32_t i)
{
	if (op->code == OP_mmap)
		return !(op->args[op_operand_index(OP_mmap, "flags")] & OP_MAP_FIXED);
	return op->code == OP_mremap && (int)i == op_operand_index(OP_mremap, "new_addr") &&
	       !(op->args[op_operand_index(OP_mremap, "flags")] & OP_MREMAP_FIXED);
}

static void weigh_addr(struct weight *weight, const struct op *op, uint32_t i)
{
	uint32_t addr = op->args[i], page = (addr - WINDOW_BASE) / PAGE_SIZE;

	if (op->refs >> i & 1) {
		weight->shape++;
		weight->size += (addr >> 24) + (addr & 0xffffffu);
	} else if (!addr) {
		weight->size += is_hint(op, i) ? 0 : LOW_PAGES;
	} else if (in_window(addr)) {
		weight->size += page + (page >= LOW_PAGES || is_hint(op, i));
	} else {
		weight->size +=
			OTHER_ADDRESS + addr / PAGE_SIZE + (addr % PAGE_SIZE ? UNALIGNED : 0);
	}
}

static void weigh_operand(struct weight *weight, const struct op *op, uint32_t i)
{
	uint32_t value = op->args[i];

	switch ((enum operand_kind)op_info((enum op_code)op->code)->operand[i].kind) {
	case OPERAND_NONE:
		break;
	case OPERAND_REGION:
		weight->shape += value != REGION_NONE;
		weight->size += value != REGION_NONE ? value : 0;
		break;
	case OPERAND_ADDR:
		weigh_addr(weight, op, i);
		break;
	case OPERAND_LEN:
	case OPERAND_COUNT:
		weight->size += value ? value - 1 : 1; /* 1 is plainer than 0 */
		break;
	case OPERAND_PROT:
		weight->shape += bits(value ^ PLAIN_PROT);
		break;
	case OPERAND_MFLAGS:
		weight->shape += bits(value ^ PLAIN_MFLAGS);
		weight->size += (value & OP_MAP_LOCKED) != 0; /* rather populate */
		break;
	case OPERAND_RFLAGS:
	case OPERAND_SFLAGS:
	case OPERAND_NFLAGS:
	case OPERAND_PFLAGS:
		weight->shape += bits(value);
		break;
	case OPERAND_PROC:
	case OPERAND_NEWPROC:
	case OPERAND_ADVICE:
	case OPERAND_FILE:
	case OPERAND_PGOFF:
	case OPERAND_SWAP:
	case OPERAND_PIN:
	case OPERAND_NEWPIN:
		weight->size += value;
		break;
	}
}

static void weigh_op(struct weight *weight, struct op op)
{
	const struct op_info *info = op_info((enum op_code)op.code);

	for (uint32_t i = 0; i < NR_PROPERTIES; i++) {
		weight->shape += *property(&op, i) != 0;
		weight->size += *property(&op, i);
	}
	weight->shape += 2u * (op.point != POINT_NONE);
	weight->size += op.point_nth;
	for (uint32_t i = 0; i < info->nargs; i++)
		weigh_operand(weight, &op, i);
}

struct weight trace_weight(const struct trace *trace)
{
	struct weight weight = {trace->nr_ops, config_weight(trace->config), 0};

	for (uint32_t i = 0; i < trace->nr_ops; i++)
		weigh_op(&weight, trace->ops[i]);
	return weight;
}

bool weight_less(const struct weight *a, const struct weight *b)
{
	if (a->ops != b->ops)
		return a->ops < b->ops;
	if (a->shape != b->shape)
		return a->shape < b->shape;
	return a->size < b->size;
}

/* ---- machine -------------------------------------------------------------------------------- */

/* Fewer swap areas, and no priorities. */
static void plain_swap(struct minimizer *minimizer)
{
	do {
		if (minimizer->best->config.nr_swap < 2)
			break;
		minimize_begin(minimizer)->config.nr_swap--;
	} while (minimize_try(minimizer));
	for (uint32_t i = 0; i < minimizer->best->config.nr_swap; i++) {
		minimize_begin(minimizer)->config.swap[i].priority = 0;
		minimize_try(minimizer);
	}
}

static void plain_machine(struct minimizer *minimizer)
{
	minimize_begin(minimizer)->config = machine_presets[0].config;
	if (minimize_try(minimizer))
		return;
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		settings[i](&minimize_begin(minimizer)->config, &machine_presets[0].config);
		minimize_try(minimizer);
	}
	plain_swap(minimizer);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* May an operand of kind KIND hold a name of kind NAME? */
static bool is_name(uint32_t kind, enum operand_kind name)
{
	return kind == name || (name == OPERAND_PROC && kind == OPERAND_NEWPROC);
}

static uint32_t exchanged(uint32_t value, uint32_t a, uint32_t b)
{
	return value == a ? b : value == b ? a : value;
}

void op_exchange(struct op *op, enum operand_kind name, uint32_t a, uint32_t b)
{
	const struct op_info *info = op_info((enum op_code)op->code);

	for (uint32_t i = 0; i < info->nargs; i++) {
		uint32_t *arg = &op->args[i];
		bool ref = op->refs >> i & 1;

		if (!ref && is_name(info->operand[i].kind, name))
			*arg = exchanged(*arg, a, b);
		else if (ref && name == OPERAND_REGION)
			*arg = exchanged(*arg >> 24, a, b) << 24 | (*arg & 0xffffffu);
	}
}

/* In the whole trace, names A and B change places. */
static void exchange_names(struct minimizer *minimizer, enum operand_kind name, uint32_t max)
{
	for (uint32_t a = 1; a < max; a++) {
		for (uint32_t b = 0; b < a && !minimize_stopped(minimizer); b++) {
			struct trace *trace = minimize_begin(minimizer);

			for (uint32_t i = 0; i < trace->nr_ops; i++)
				op_exchange(&trace->ops[i], name, a, b);
			minimize_try(minimizer);
		}
	}
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* See what the ops of the best trace are told, names resolved, and what they return. */
static void look(struct minimizer *minimizer)
{
	const struct trace *best = minimizer->best;

	minimizer->report->runs++;
	diff_begin(minimizer->diff, &best->config);
	for (uint32_t i = 0; i < best->nr_ops; i++) {
		uint32_t n = op_group(&best->ops[i], best->nr_ops - i);

		if (minimizer->crash && i + n >= best->nr_ops)
			break; /* that is what dies */
		diff_step_group(minimizer->diff, &best->ops[i], n, &minimizer->finding);
		for (uint32_t k = 0; k < n; k++) {
			minimizer->resolved[i + k] = *diff_group_op(minimizer->diff, k);
			minimizer->results[i + k] = *diff_group_result(minimizer->diff, k);
		}
		i += n - 1;
	}
}

/* OP names no region, and asks for the address that it got. */
static void pin(struct op *op, const struct op *resolved, const struct result *result)
{
	const struct op_info *info = op_info((enum op_code)op->code);

	for (uint32_t i = 0; i < info->nargs; i++) {
		if (info->operand[i].kind == OPERAND_REGION)
			op->args[i] = REGION_NONE;
		else if (op->refs >> i & 1)
			op->args[i] = resolved->args[i];
	}
	op->refs = 0;
	if (op->code != OP_mmap || result->err)
		return;
	op->args[op_operand_index(OP_mmap, "addr")] = result->value;
	op->args[op_operand_index(OP_mmap, "flags")] |= OP_MAP_FIXED;
}

/* All ops, or, where that does not do, one after the other: users of a name before its maker. */
static void pin_addresses(struct minimizer *minimizer)
{
	struct trace *trace;

	look(minimizer);
	trace = minimize_begin(minimizer);
	for (uint32_t i = 0; i < trace->nr_ops; i++)
		pin(&trace->ops[i], &minimizer->resolved[i], &minimizer->results[i]);
	if (minimize_try(minimizer))
		return;
	for (uint32_t i = minimizer->best->nr_ops; i-- > 0 && !minimize_stopped(minimizer);) {
		trace = minimize_begin(minimizer);
		if (i >= trace->nr_ops)
			continue;
		pin(&trace->ops[i], &minimizer->resolved[i], &minimizer->results[i]);
		minimize_try(minimizer);
	}
}

/* The lowest address in TRACE that is at least FROM; false: there is none. */
static bool next_address(const struct trace *trace, uint32_t from, uint32_t *addr)
{
	bool any = false;

	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		const struct op *op = &trace->ops[i];
		const struct op_info *info = op_info((enum op_code)op->code);

		for (uint32_t k = 0; k < info->nargs; k++) {
			if (info->operand[k].kind != OPERAND_ADDR || (op->refs >> k & 1) ||
			    op->args[k] < from || (any && op->args[k] >= *addr))
				continue;
			*addr = op->args[k];
			any = true;
		}
	}
	return any;
}

/* Addresses from FIRST to LAST move to TO. */
static bool move_addresses(struct minimizer *minimizer, uint32_t first, uint32_t last, uint32_t to)
{
	struct trace *trace = minimize_begin(minimizer);

	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		struct op *op = &trace->ops[i];
		const struct op_info *info = op_info((enum op_code)op->code);

		for (uint32_t k = 0; k < info->nargs; k++) {
			uint32_t *arg = &op->args[k];

			if (info->operand[k].kind == OPERAND_ADDR && !(op->refs >> k & 1) &&
			    *arg >= first && *arg <= last)
				*arg = to + (*arg - first);
		}
	}
	return minimize_try(minimizer);
}

/* ADDR alone, with its neighbourhood, or with everything above it. */
static bool lower_address(struct minimizer *minimizer, uint32_t addr, uint32_t to)
{
	uint32_t window = WINDOW_PAGES * PAGE_SIZE;
	uint32_t near = addr < UINT32_MAX - window ? addr + window : UINT32_MAX;

	return move_addresses(minimizer, addr, UINT32_MAX, to) ||
	       move_addresses(minimizer, addr, near, to) ||
	       move_addresses(minimizer, addr, addr, to);
}

/*
 * Each address in turn, from below, goes to the first pages of the window, or next to the one
 * before it.
 */
static void lower_addresses(struct minimizer *minimizer)
{
	uint32_t addr, before = WINDOW_BASE;

	for (uint32_t from = 1; next_address(minimizer->best, from, &addr); from = addr + 1) {
		bool lower = false;

		if (addr == UINT32_MAX || minimize_stopped(minimizer))
			return;
		for (uint32_t page = 0; page < LOW_PAGES && !lower; page++)
			lower = lower_address(minimizer, addr, WINDOW_BASE + page * PAGE_SIZE);
		for (uint32_t page = 0; page < LOW_PAGES && !lower; page++)
			lower = lower_address(minimizer, addr, before + page * PAGE_SIZE);
		if (in_window(addr))
			before = addr;
	}
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* Where a number is: operand ARG of op OP, or property ARG. */
struct place {
	uint32_t op, arg;
	bool property;
};

static uint32_t value_at(const struct trace *trace, struct place place)
{
	struct op *op = &trace->ops[place.op];

	return place.property ? *property(op, place.arg) : op->args[place.arg];
}

static bool exists(const struct minimizer *minimizer, struct place place)
{
	return place.op < minimizer->best->nr_ops;
}

static bool try_value(struct minimizer *minimizer, struct place place, uint32_t value)
{
	struct op *op;

	if (!exists(minimizer, place) || value == value_at(minimizer->best, place))
		return false;
	op = &minimize_begin(minimizer)->ops[place.op];
	if (place.property)
		*property(op, place.arg) = (uint16_t)value;
	else
		op->args[place.arg] = value;
	return minimize_try(minimizer);
}

/* Less by ever smaller steps, in units of UNIT. */
static void lower(struct minimizer *minimizer, struct place place, uint32_t unit)
{
	uint32_t step = value_at(minimizer->best, place) / unit;

	for (step = step ? step - step / 2 : 0; step > 0; step /= 2) {
		while (exists(minimizer, place)) {
			uint32_t value = value_at(minimizer->best, place);

			if (value / unit < step ||
			    !try_value(minimizer, place, value - step * unit))
				break;
		}
	}
}

#define LOW_NUMBERS 8u

/* The lowest that does from FIRST on, or, as bugs that count need not like all of what is less
 * than something they like, at least a lower one. */
static void plain_from(struct minimizer *minimizer, struct place place, uint32_t first)
{
	for (uint32_t value = first; value < first + LOW_NUMBERS; value++) {
		if (try_value(minimizer, place, value))
			return;
	}
	if (exists(minimizer, place))
		lower(minimizer, place, 1);
}

static void plain_number(struct minimizer *minimizer, struct place place)
{
	plain_from(minimizer, place, 0);
}

/* ---- operands ------------------------------------------------------------------------------- */

static void plain_length(struct minimizer *minimizer, struct place place)
{
	plain_from(minimizer, place, 1);
}

/* A process or a file: each lower one. */
static void plain_name(struct minimizer *minimizer, struct place place)
{
	uint32_t value = value_at(minimizer->best, place);

	for (uint32_t lesser = 0; lesser < value; lesser++) {
		if (try_value(minimizer, place, lesser))
			return;
	}
}

static void plain_region(struct minimizer *minimizer, struct place place)
{
	try_value(minimizer, place, REGION_NONE);
}

static void plain_addr(struct minimizer *minimizer, struct place place)
{
	uint32_t other;

	if (minimizer->best->ops[place.op].refs >> place.arg & 1)
		return;
	for (uint32_t page = 0; page < LOW_PAGES; page++) {
		if (try_value(minimizer, place, WINDOW_BASE + page * PAGE_SIZE))
			return;
	}
	if (try_value(minimizer, place, 0))
		return;
	/* Addresses that the trace has anyway. */
	for (uint32_t from = 1, n = 0;
	     n < 2 * LOW_PAGES && next_address(minimizer->best, from, &other);
	     from = other + 1, n++) {
		if (try_value(minimizer, place, other) || other == UINT32_MAX)
			return;
	}
	if (exists(minimizer, place) && !in_window(value_at(minimizer->best, place)))
		lower(minimizer, place, PAGE_SIZE);
}

/* Bit by bit towards PLAIN. */
static void plain_bits(struct minimizer *minimizer, struct place place, uint32_t plain)
{
	if (try_value(minimizer, place, plain))
		return;
	for (uint32_t bit = 1; bit < 1u << 8 && exists(minimizer, place); bit <<= 1) {
		uint32_t value = value_at(minimizer->best, place);

		if ((value ^ plain) & bit)
			try_value(minimizer, place, value ^ bit);
	}
}

static void plain_prot(struct minimizer *minimizer, struct place place)
{
	plain_bits(minimizer, place, PLAIN_PROT);
}

static void plain_mflags(struct minimizer *minimizer, struct place place)
{
	uint32_t value;

	plain_bits(minimizer, place, PLAIN_MFLAGS);
	if (!exists(minimizer, place))
		return;
	/* Both bring pages in, and locking them does more. */
	value = value_at(minimizer->best, place);
	if (value & OP_MAP_LOCKED)
		try_value(minimizer, place, (value & ~OP_MAP_LOCKED) | OP_MAP_POPULATE);
}

static void plain_zero_bits(struct minimizer *minimizer, struct place place)
{
	plain_bits(minimizer, place, 0);
}

typedef void plain_fn(struct minimizer *minimizer, struct place place);

static plain_fn *const plain_operand[] = {
	[OPERAND_NONE] = NULL,
	[OPERAND_PROC] = plain_name,
	[OPERAND_NEWPROC] = plain_name,
	[OPERAND_REGION] = plain_region,
	[OPERAND_ADDR] = plain_addr,
	[OPERAND_LEN] = plain_length,
	[OPERAND_PROT] = plain_prot,
	[OPERAND_MFLAGS] = plain_mflags,
	[OPERAND_RFLAGS] = plain_zero_bits,
	[OPERAND_SFLAGS] = plain_name,
	[OPERAND_NFLAGS] = plain_name,
	[OPERAND_ADVICE] = plain_name,
	[OPERAND_FILE] = plain_name,
	[OPERAND_PGOFF] = plain_number,
	[OPERAND_COUNT] = plain_length,
	[OPERAND_SWAP] = plain_name,
	[OPERAND_PIN] = plain_name,
	[OPERAND_NEWPIN] = plain_name,
	[OPERAND_PFLAGS] = plain_zero_bits,
};

/* An op that runs inside another: rather after it, or before; or else earlier inside. */
static void plain_point(struct minimizer *minimizer, uint32_t i)
{
	struct op *ops = minimize_begin(minimizer)->ops, own;
	uint32_t host = i;

	if (!ops[i].point)
		return;
	ops[i].point = ops[i].point_nth = 0;
	if (minimize_try(minimizer))
		return;
	while (host > 0 && minimizer->best->ops[host].point)
		host--;
	ops = minimize_begin(minimizer)->ops;
	own = ops[i];
	own.point = own.point_nth = 0;
	memmove(&ops[host + 1], &ops[host], (i - host) * sizeof(*ops));
	ops[host] = own;
	minimize_try(minimizer);
}

/* Passed so often before it: rather fewer times. */
static void plain_nth(struct minimizer *minimizer, uint32_t i)
{
	for (uint32_t nth = 1; nth < 4 && nth < minimizer->best->ops[i].point_nth; nth++) {
		minimize_begin(minimizer)->ops[i].point_nth = (uint16_t)nth;
		if (minimize_try(minimizer))
			return;
	}
}

static void plain_op(struct minimizer *minimizer, uint32_t i)
{
	const struct op_info *info = op_info((enum op_code)minimizer->best->ops[i].code);

	plain_point(minimizer, i);
	if (i < minimizer->best->nr_ops)
		plain_nth(minimizer, i);
	for (uint32_t k = 0; k < NR_PROPERTIES; k++) {
		if (i < minimizer->best->nr_ops)
			plain_number(minimizer, (struct place){i, k, true});
	}
	for (uint32_t k = 0; k < info->nargs && i < minimizer->best->nr_ops; k++) {
		plain_fn *fn = plain_operand[info->operand[k].kind];

		if (fn)
			fn(minimizer, (struct place){i, k, false});
	}
}

void minimize_plain(struct minimizer *minimizer)
{
	plain_machine(minimizer);
	pin_addresses(minimizer);
	lower_addresses(minimizer);
	exchange_names(minimizer, OPERAND_PROC, PROC_MAX);
	exchange_names(minimizer, OPERAND_FILE, FILE_MAX);
	exchange_names(minimizer, OPERAND_REGION, REGION_MAX);
	for (uint32_t i = 0; i < minimizer->best->nr_ops && !minimize_stopped(minimizer); i++)
		plain_op(minimizer, i);
}

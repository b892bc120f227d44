/*
 * Fewer ops: delta debugging, and a few steps that no removal of neighbours can make.
 *
 *   chunks     half of the trace, a quarter, ... one op
 *   forks      the child's work is done by its parent, or the child takes the parent's place
 *   populate   one mmap brings in what accesses brought in
 *   pairs      two ops that are only needed because of each other
 *   aim        with an op less, the last op finds the same at another page or in another process
 *   skeletons  a mapping of a few pages, at most one other op, and the last one
 *
 * The latter three are for when few ops are left: they try many things.
 */
#include "minimize_private.h"

#define AIM_MAX      24u /* ops */
#define AIM_PAGES    8u
#define PAIRS_MAX    32u /* ops: 496 pairs */
#define PAIRS_AIM    10u /* ops: 45 pairs, each with other aims */
#define SKELETON_MAX 12u /* ops */

/* fork and clone_vm: operands are the parent and the child. */
static bool makes_process(const struct op *op)
{
	return op_info((enum op_code)op->code)->operand[1].kind == OPERAND_NEWPROC;
}

/* ---- aim ------------------------------------------------------------------------------------ */

/* Try the candidate with its last op at other pages and in other processes. */
static bool try_aims(struct minimizer *minimizer)
{
	struct trace *trace = &minimizer->candidate;
	struct op *last = trace->nr_ops ? &trace->ops[trace->nr_ops - 1] : NULL;
	int proc = last ? op_operand_index((enum op_code)last->code, "proc") : -1;
	int addr = last ? op_operand_index((enum op_code)last->code, "addr") : -1;
	uint32_t procs = 1;

	if (proc < 0 || addr < 0 || (last->refs >> addr & 1))
		return false;
	for (uint32_t i = 0; i < trace->nr_ops; i++)
		procs |= makes_process(&trace->ops[i]) ? 1u << trace->ops[i].args[1] % PROC_MAX : 0;
	for (; procs; procs &= procs - 1) {
		for (uint32_t page = 0; page < AIM_PAGES; page++) {
			last->args[proc] = (uint32_t)__builtin_ctz(procs);
			last->args[addr] = WINDOW_BASE + page * PAGE_SIZE;
			if (minimize_try(minimizer))
				return true;
		}
	}
	return false;
}

/* Try the candidate as it is, then, if it has at most MAX ops, with other aims. */
static bool try_with_aims(struct minimizer *minimizer, uint32_t max)
{
	return minimize_try(minimizer) ||
	       (minimizer->candidate.nr_ops <= max && try_aims(minimizer));
}

/* ---- chunks --------------------------------------------------------------------------------- */

static bool drop(struct minimizer *minimizer, uint32_t first, uint32_t n)
{
	trace_remove(minimize_begin(minimizer), first, n);
	return minimize_try(minimizer);
}

/* Try to do without each chunk of SIZE ops, from the end: what depends on an op comes after it. */
static bool drop_chunks(struct minimizer *minimizer, uint32_t size)
{
	uint32_t end = minimizer->best->nr_ops;
	bool any = false;

	while (end > 0 && !minimize_stopped(minimizer)) {
		uint32_t first = end > size ? end - size : 0;

		any |= drop(minimizer, first, end - first);
		/* More may have gone than the chunk: what came after the finding. */
		end = first < minimizer->best->nr_ops ? first : minimizer->best->nr_ops;
	}
	return any;
}

static void drop_all_chunks(struct minimizer *minimizer)
{
	for (uint32_t size = minimizer->best->nr_ops / 2; size > 1; size /= 2)
		drop_chunks(minimizer, size);
	while (drop_chunks(minimizer, 1))
		;
}

static void drop_and_aim(struct minimizer *minimizer)
{
	for (uint32_t i = minimizer->best->nr_ops; i-- > 0 && !minimize_stopped(minimizer);) {
		if (i >= minimizer->best->nr_ops)
			continue;
		trace_remove(minimize_begin(minimizer), i, 1);
		try_with_aims(minimizer, AIM_MAX);
	}
}

/* ---- forks ---------------------------------------------------------------------------------- */

/* OP names process FROM: let it name TO. */
static void retarget(struct op *op, uint32_t from, uint32_t to)
{
	const struct op_info *info = op_info((enum op_code)op->code);

	for (uint32_t i = 0; i < info->nargs; i++) {
		if (info->operand[i].kind == OPERAND_PROC && op->args[i] == from)
			op->args[i] = to;
	}
}

/* Without the fork at I, its child's ops are its parent's, until the next child of that name. */
static bool merge_fork(struct minimizer *minimizer, uint32_t i)
{
	struct trace *trace = minimize_begin(minimizer);
	uint32_t parent = trace->ops[i].args[0], child = trace->ops[i].args[1];

	trace_remove(trace, i, 1);
	while (i < trace->nr_ops) {
		struct op *op = &trace->ops[i];

		if (makes_process(op) && op->args[1] == child)
			break;
		if (op->code == OP_exit && op->args[0] == child) {
			trace_remove(trace, i, 1);
			continue;
		}
		retarget(op, child, parent);
		i++;
	}
	return try_with_aims(minimizer, AIM_MAX);
}

/* Without the fork at I, and without its parent's exit, the child is the parent from there on. */
static bool replace_parent(struct minimizer *minimizer, uint32_t i)
{
	struct trace *trace = minimize_begin(minimizer);
	uint32_t parent = trace->ops[i].args[0], child = trace->ops[i].args[1];
	bool exited = false;

	trace_remove(trace, i, 1);
	while (i < trace->nr_ops) {
		struct op *op = &trace->ops[i];

		if (!exited && op->code == OP_exit && op->args[0] == parent) {
			trace_remove(trace, i, 1);
			exited = true;
			continue;
		}
		op_exchange(op, OPERAND_PROC, parent, child);
		i++;
	}
	return exited && try_with_aims(minimizer, AIM_MAX);
}

static void merge_forks(struct minimizer *minimizer)
{
	for (uint32_t i = minimizer->best->nr_ops; i-- > 0 && !minimize_stopped(minimizer);) {
		const struct trace *best = minimizer->best;

		if (i < best->nr_ops && makes_process(&best->ops[i]) && !merge_fork(minimizer, i))
			replace_parent(minimizer, i);
	}
}

/* ---- populate ------------------------------------------------------------------------------- */

static bool is_access_of(const struct op *op, uint32_t proc)
{
	return (op->code == OP_read || op->code == OP_write) && op->args[0] == proc;
}

/* The page at address A and the one at B change places, everywhere. */
static void exchange_pages(struct trace *trace, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < trace->nr_ops; i++)
		op_exchange(&trace->ops[i], OPERAND_ADDR, a, b);
}

/*
 * The mmap at I populates, and the first N accesses of its process behind it go. Their pages are
 * put into the order in which populating meets them, if ORDER is set.
 */
static bool populate(struct minimizer *minimizer, uint32_t i, uint32_t n, bool order)
{
	struct trace *trace = minimize_begin(minimizer);
	uint32_t proc = trace->ops[i].args[0];
	uint32_t next = trace->ops[i].args[op_operand_index(OP_mmap, "addr")];

	trace->ops[i].args[op_operand_index(OP_mmap, "flags")] |= OP_MAP_POPULATE;
	for (uint32_t k = i + 1; k < trace->nr_ops && n > 0;) {
		struct op op = trace->ops[k];

		if (!is_access_of(&op, proc)) {
			k++;
			continue;
		}
		trace_remove(trace, k, 1);
		n--;
		if (order && op.args[1] > next && !op.refs) {
			exchange_pages(trace, op.args[1], next);
			next += PAGE_SIZE;
		} else if (order && op.args[1] == next) {
			next += PAGE_SIZE;
		}
	}
	return try_with_aims(minimizer, AIM_MAX);
}

/* As many accesses as can go, and half of them, and so on. */
static void populate_mmaps(struct minimizer *minimizer)
{
	for (uint32_t i = 0; i < minimizer->best->nr_ops && !minimize_stopped(minimizer); i++) {
		const struct trace *best = minimizer->best;
		uint32_t n = 0;

		/* Bringing in more than accesses could have brought in only takes time. */
		if (best->ops[i].code != OP_mmap ||
		    best->ops[i].args[op_operand_index(OP_mmap, "len")] > WINDOW_PAGES)
			continue;
		for (uint32_t k = i + 1; k < best->nr_ops; k++)
			n += is_access_of(&best->ops[k], best->ops[i].args[0]);
		for (; n > 0; n /= 2) {
			if (populate(minimizer, i, n, false) || populate(minimizer, i, n, true))
				break;
		}
	}
}

/* ---- pairs ---------------------------------------------------------------------------------- */

static bool drop_pair(struct minimizer *minimizer, uint32_t i, uint32_t j)
{
	struct trace *trace = minimize_begin(minimizer);

	trace_remove(trace, j, 1);
	trace_remove(trace, i, 1);
	return try_with_aims(minimizer, PAIRS_AIM);
}

static void drop_pairs(struct minimizer *minimizer)
{
	if (minimizer->best->nr_ops > PAIRS_MAX)
		return;
	for (uint32_t j = 1; j < minimizer->best->nr_ops; j++) {
		for (uint32_t i = 0; i < j && j < minimizer->best->nr_ops; i++)
			drop_pair(minimizer, i, j);
	}
}

/* ---- skeletons ------------------------------------------------------------------------------ */

/* PAGES pages that are mapped at the beginning of the window, and present. */
static struct op plain_mapping(uint32_t pages)
{
	struct op op = {.code = OP_mmap};

	op.args[op_operand_index(OP_mmap, "region")] = REGION_NONE;
	op.args[op_operand_index(OP_mmap, "addr")] = WINDOW_BASE;
	op.args[op_operand_index(OP_mmap, "len")] = pages;
	op.args[op_operand_index(OP_mmap, "prot")] = OP_PROT_READ | OP_PROT_WRITE;
	op.args[op_operand_index(OP_mmap, "flags")] = OP_MAP_ANON | OP_MAP_FIXED | OP_MAP_POPULATE;
	return op;
}

/* A mapping, op MIDDLE unless it is the last one, and the last one. */
static bool skeleton(struct minimizer *minimizer, uint32_t pages, uint32_t middle)
{
	struct trace *trace = minimize_begin(minimizer);
	struct op last = trace->ops[trace->nr_ops - 1];
	uint32_t n = 0;

	trace->ops[1] = trace->ops[middle];
	trace->ops[0] = plain_mapping(pages);
	n = middle < trace->nr_ops - 1 ? 2 : 1;
	trace->ops[n] = last;
	trace->nr_ops = n + 1;
	return try_with_aims(minimizer, AIM_MAX);
}

/* Where there was a long story, a short one may do. */
static void skeletons(struct minimizer *minimizer)
{
	uint32_t nr = minimizer->best->nr_ops;

	if (nr < 3 || nr > SKELETON_MAX)
		return;
	/* Without an op in the middle first. */
	for (uint32_t middle = nr; middle-- > 0;) {
		for (uint32_t pages = 1; pages <= AIM_PAGES; pages++) {
			if (skeleton(minimizer, pages, middle))
				return;
		}
	}
}

void minimize_ops(struct minimizer *minimizer)
{
	uint32_t before;

	do {
		drop_all_chunks(minimizer);
		before = minimizer->best->nr_ops;
		drop_and_aim(minimizer);
		merge_forks(minimizer);
		populate_mmaps(minimizer);
		drop_pairs(minimizer);
		skeletons(minimizer);
	} while (minimizer->best->nr_ops < before);
}

/*
 * The generator: random traces, from a seed, that make things collide.
 *
 * Swarm: each trace switches some ops off and weights the rest wildly, so that traces differ more
 * from each other than samples of one distribution would; a bug that needs many forks and no exit
 * gets its trace. The world is small on purpose: a window of a few pages that everybody maps,
 * cuts and moves, few processes, files of few pages.
 *
 * Some ops are thrown like dice, others come from scripts that set a scene and then worry a page of
 * it (generate_script.c). Operands are made by kind (generate_operand.c); what needs more sense
 * than that is put right afterwards, by op (generate_mend.c).
 */
#include "generate_private.h"

/* ---- weights ------------------------------------------------------------------------------ */

#define WEIGHT_DEFAULT 8
static const uint8_t weights[NR_OPS] = {
	[OP_fork] = 8,     [OP_exit] = 4,
	[OP_exec] = 1,     [OP_mmap] = 14,
	[OP_munmap] = 4,   [OP_mremap] = 9,
	[OP_mprotect] = 6, [OP_madvise] = 4,
	[OP_brk] = 2,      [OP_read] = 14,
	[OP_write] = 28,   [OP_truncate] = 1,
	[OP_fread] = 2,    [OP_fwrite] = 2,
	[OP_evict] = 12,   [OP_swapout] = 12,
	[OP_age] = 4,      [OP_reclaim] = 3,
	[OP_mlock] = 3,    [OP_munlock] = 3,
	[OP_mlockall] = 1, [OP_munlockall] = 1,
	[OP_msync] = 2,    [OP_writeback] = 2,
	[OP_mkclean] = 4,  [OP_fdrop] = 2,
	[OP_fpunch] = 2,   [OP_swapon] = 1,
	[OP_swapoff] = 2,  [OP_clone_vm] = 3,
	[OP_migrate] = 6,  [OP_remap_file_pages] = 6,
	[OP_pin] = 4,      [OP_unpin] = 2,
	[OP_pinread] = 4,  [OP_pinwrite] = 4,
	[OP_poke] = 3,     [OP_mlockall_future] = 1,
};

/* Switch some ops off, weight the rest between once and sixteen times, and deal the cards. Rounding
 * is carried over, so that no op loses by its place in the table. */
static void deal(struct generator *g)
{
	uint32_t weight[NR_OPS], total = 0, sum = 0, dealt = 0;

	for (int code = 0; code < NR_OPS; code++) {
		weight[code] = (weights[code] ? weights[code] : WEIGHT_DEFAULT) << below(g, 5);
		if (below(g, 5) == 0 && code != OP_mmap && code != OP_write)
			weight[code] = 0;
		total += weight[code];
	}
	for (int code = 0; code < NR_OPS; code++) {
		sum += weight[code];
		while (dealt < CARDS * sum / total)
			g->pick[dealt++] = (uint8_t)code;
	}
}

/* Mostly inside one page table; sometimes across the border of two, or of two gigabytes. */
static uint32_t choose_base(struct generator *g)
{
	uint32_t half = g->window / 2 * PAGE_SIZE;

	switch (below(g, 16)) {
	case 0:
	case 1:
		return WINDOW_BASE - half;
	case 2:
		return 0x80000000u - half;
	default:
		return WINDOW_BASE;
	}
}

static void begin(struct generator *g, const struct machine_config *config, uint64_t seed,
		  const struct generate_options *options)
{
	random_seed(&g->random, seed);
	g->config = config;
	g->window = 4 + below(g, WINDOW_MAX - 3);
	g->base = choose_base(g);
	g->max_procs = 2 + below(g, PROCS_MAX - 1);
	g->now = (struct belief){.live = 1};
	g->nr_regions = 0;
	g->wild = below(g, 16);
	g->file = 16 << below(g, 4);
	g->shared = 8 << below(g, 5);
	g->fixed = 256 - (4 << below(g, 5));
	g->heap = below(g, 4) ? 0 : 48;
	g->region = below(g, 64);
	g->failing = options->faults ? 4 << below(g, 4) : 0;
	g->nesting = options->actors ? 16 << below(g, 4) : 0;
	g->scripted = below(g, 6) ? 32 << below(g, 4) : 0;
	g->interrupted = below(g, 2) ? 4 << below(g, 5) : 0;
	g->script.nr = g->script.at = 0;
	deal(g);
	script_deal(g);
}

/* ---- traces ------------------------------------------------------------------------------- */

/* The first few, mostly; sometimes one deep inside. */
static uint16_t make_nth(struct generator *g)
{
	return (uint16_t)(1 + below(g, 2u << below(g, 5)));
}

static void tell_to_fail(struct generator *g, struct op *op)
{
	switch (below(g, 8)) {
	case 0:
	case 1:
		op->fail_nth = make_nth(g);
		break;
	case 2:
		op->fail_from = make_nth(g);
		break;
	case 3:
	case 4:
	case 5:
		op->reclaim_nth = make_nth(g);
		break;
	case 6:
		op->fail_meta = (uint16_t)(1 + below(g, 3));
		break;
	default:
		op->fail_meta_from = (uint16_t)(1 + below(g, 3));
		break;
	}
}

void throw_op(struct generator *g, struct op *op)
{
	const struct op_info *info;

	*op = (struct op){.code = g->pick[random_next(&g->random) >> (64 - CARD_BITS)]};
	info = op_info((enum op_code)op->code);
	for (int i = 0; i < info->nargs; i++)
		op->args[i] = make_operand(g, op, i, (enum operand_kind)info->operand[i].kind);
	if (mend[op->code])
		mend[op->code](g, op);
	note(g, op);
}

/* From a script, if there is one or it is time for one; else by the dice. */
static void make_op(struct generator *g, struct op *op)
{
	if (g->script.at == g->script.nr && chance(g, g->scripted))
		script_begin(g);
	if (chance(g, g->interrupted) || !script_next(g, op))
		throw_op(g, op);
	if (g->failing && chance(g, g->failing))
		tell_to_fail(g, op);
}

/* Something to work on: the whole window, mostly private anonymous memory. */
static void make_first(struct generator *g, struct op *op)
{
	uint32_t flags = OP_MAP_FIXED | OP_MAP_ANON;

	flags |= chance(g, g->shared) ? OP_MAP_SHARED : 0;
	*op = (struct op){
		.code = OP_mmap,
		.args = {0, REGION_NONE, g->base, g->window, OP_PROT_READ | OP_PROT_WRITE, flags}};
	g->now.guess[0].mapped = g->now.guess[0].usable = pages_at(g, op, 2, g->window);
}

static void add(struct trace *trace, const struct op *op)
{
	struct op copy = *op;

	DIFF_ASSERT(trace_add(trace, &copy) == 0);
}

/* N more ops. */
static void generate(struct generator *g, struct trace *trace, uint32_t n)
{
	struct op op, host = {0};

	if (trace->nr_ops)
		host = trace->ops[trace->nr_ops - 1];
	for (uint32_t i = 0; i < n; i++) {
		bool nested = trace->nr_ops && chance(g, g->nesting) && make_nested(g, &host, &op);

		if (!nested) {
			make_op(g, &op);
			/* A script may say what goes on inside an op. */
			if (op.point == POINT_NONE)
				host = op;
		}
		add(trace, &op);
	}
}

void generate_trace(struct trace *trace, const struct machine_config *config, uint64_t seed,
		    const struct generate_options *options)
{
	struct generator g;
	uint32_t n = options->nr_ops;
	struct op op;

	begin(&g, config, seed, options);
	trace_clear(trace);
	trace->config = *config;
	if (n && below(&g, 8)) {
		make_first(&g, &op);
		add(trace, &op);
		n--;
	}
	generate(&g, trace, n);
}

/* The window is where the trace has its mappings: around one of those that it asked for by address.
 */
static void look_around(struct generator *g, const struct trace *trace, uint32_t at)
{
	uint32_t seen = 0;

	for (uint32_t i = 0; i < at; i++) {
		const struct op *op = &trace->ops[i];

		if (op->code != OP_mmap || !(op->args[5] & OP_MAP_FIXED) || (op->refs & 1u << 2) ||
		    op->args[2] % PAGE_SIZE || below(g, ++seen))
			continue;
		g->base = op->args[2];
		g->window = op->args[3] < 4            ? 4
			    : op->args[3] > WINDOW_MAX ? WINDOW_MAX
						       : op->args[3];
	}
}

static void note_region(struct generator *g, const struct op *op)
{
	int at = op_operand_index((enum op_code)op->code, "region");

	if (at >= 0 && op->args[at] != REGION_NONE && op->args[at] >= g->nr_regions)
		g->nr_regions = op->args[at] + 1;
}

void generate_following(struct trace *out, const struct trace *trace, uint32_t at, uint64_t seed,
			const struct generate_options *options)
{
	struct generator g;

	begin(&g, &trace->config, seed, options);
	look_around(&g, trace, at);
	for (uint32_t i = 0; i < at; i++) {
		note(&g, &trace->ops[i]);
		note_region(&g, &trace->ops[i]);
	}
	trace_clear(out);
	out->config = trace->config;
	generate(&g, out, options->nr_ops);
}

/*
 * Exhaustive search, breadth first, with equal states run on once.
 *
 *   boot --+-- mmap ----+-- write --+-- fork ...
 *          |            +-- read    +-- swapout ...
 *          +-- fork     '-- munmap --> boot: seen, not extended
 *          '-- write --> boot: seen
 *
 * Machines cannot be copied, so each trace is replayed from boot; all that is kept of a state is
 * its hash, its last op and the state before it. Looking at a state disturbs it a little (walks),
 * so a new one is made a second time, to be recounted, compared with the model and shut down.
 */
#include "internal.h"

#include "enumerate.h"
#include "state.h"

#define NO_OP UINT16_MAX

struct node {
	uint64_t hash[2];
	uint32_t before;     /* the node it was reached from */
	uint16_t op;         /* by this op; NO_OP: boot */
	uint16_t alive;      /* a bit per process */
	uint32_t first_edge; /* if it was extended */
	uint32_t nr_edges;
};

struct enumeration {
	const struct enumerate_options *options;
	struct diff *diff;
	struct trace ops;    /* what may come next */
	struct trace *trace; /* the one under way */
	struct finding *finding;
	struct machine_state state;
	struct node *nodes; /* in the order of meeting, so by depth */
	size_t nr_nodes, max_nodes;
	uint32_t *table; /* hash to node + 1; a power of two, at most half full */
	size_t table_size;
	uint32_t *edges; /* nodes that extended nodes led to */
	size_t nr_edges, max_edges;
	uint64_t *count; /* by node: traces of the length before that end there */
	uint64_t *next_count;
	size_t nr_count, max_count;
	bool stopped;
};

void enumerate_options_init(struct enumerate_options *options)
{
	*options = (struct enumerate_options){
		.config = machine_presets[0].config, .depth = 3, .procs = 2, .pages = 3};
	diff_options_init(&options->diff);
}

/* ---- states seen --------------------------------------------------------------------------- */

static uint32_t *table_place(const struct enumeration *e, const uint64_t hash[2])
{
	size_t at = hash[0] & (e->table_size - 1);

	while (e->table[at]) {
		const struct node *node = &e->nodes[e->table[at] - 1];

		if (node->hash[0] == hash[0] && node->hash[1] == hash[1])
			break;
		at = (at + 1) & (e->table_size - 1);
	}
	return &e->table[at];
}

static void table_grow(struct enumeration *e)
{
	e->table_size = e->table_size ? e->table_size * 2 : 1024;
	free(e->table);
	e->table = calloc(e->table_size, sizeof(*e->table));
	DIFF_ASSERT(e->table);
	for (size_t i = 0; i < e->nr_nodes; i++) {
		uint32_t *place = table_place(e, e->nodes[i].hash);

		if (!*place) /* with every_trace, several nodes may have one state */
			*place = (uint32_t)i + 1;
	}
}

static uint32_t node_add(struct enumeration *e)
{
	DIFF_ASSERT(e->nr_nodes < UINT32_MAX);
	e->nodes = diff_grow(e->nodes, &e->max_nodes, e->nr_nodes + 1, sizeof(*e->nodes));
	e->nodes[e->nr_nodes] = (struct node){.hash = {e->state.hash[0], e->state.hash[1]}};
	return (uint32_t)e->nr_nodes++;
}

/* The node of the state that was just hashed, or one more for it. True: the state is new. */
static bool node_find(struct enumeration *e, uint32_t *number)
{
	uint32_t *place;

	if (e->nr_nodes * 2 >= e->table_size)
		table_grow(e);
	place = table_place(e, e->state.hash);
	if (*place) {
		*number = e->options->every_trace ? node_add(e) : *place - 1;
		return false;
	}
	*number = node_add(e);
	*place = *number + 1;
	return true;
}

/* What the model knows and machines do not: which contents it holds for certain. */
static void hash_model(struct enumeration *e)
{
	const struct model *model = e->diff->model;

	e->state.nr_names = 0;
	for (uint32_t proc = 0; model && proc < e->options->procs; proc++) {
		for (uint32_t vpn = 0; model_next_mapped(model, proc, &vpn); vpn++) {
			uint64_t token = 0;
			int err = model_peek(model, proc, vpn, &token);

			machine_state_word(&e->state, (uint64_t)proc << 32 | vpn);
			machine_state_word(&e->state, (uint64_t)(int64_t)err);
			machine_state_token(&e->state, err ? 0 : token);
		}
	}
}

static void hash_state(struct enumeration *e)
{
	machine_state_begin(&e->state);
	FOR_EACH_SUBJECT (e->diff, s)
		machine_state_add(&e->state, s->machine);
	hash_model(e);
}

/* ---- one trace --------------------------------------------------------------------------------
 */

/* e->trace becomes the one that led to NODE, and then OP (NO_OP: only what all begin with). */
static void compose(struct enumeration *e, uint32_t node, uint16_t op)
{
	const struct trace *after = e->options->after;
	uint16_t path[ENUMERATE_DEPTH_MAX + 1];
	uint32_t n = 0;

	trace_clear(e->trace);
	for (uint32_t i = 0; after && i < after->nr_ops; i++)
		DIFF_ASSERT(trace_add(e->trace, &after->ops[i]) == 0);
	for (; op != NO_OP; op = e->nodes[node].op, node = e->nodes[node].before)
		path[n++] = op;
	while (n)
		DIFF_ASSERT(trace_add(e->trace, &e->ops.ops[path[--n]]) == 0);
}

/* From boot to the trace's last op. */
static int run(struct enumeration *e)
{
	diff_begin(e->diff, &e->trace->config);
	for (uint32_t i = 0; i < e->trace->nr_ops;) {
		uint32_t n = op_group(&e->trace->ops[i], e->trace->nr_ops - i);

		if (diff_step_group(e->diff, &e->trace->ops[i], n, e->finding))
			return 1;
		i += n;
	}
	return 0;
}

/* Can OP do anything where the processes in ALIVE live? Of dead slots, a child fills the first. */
static bool makes_sense(const struct op *op, uint32_t alive)
{
	const struct op_info *info = op_info((enum op_code)op->code);

	if (info->operand[0].kind == OPERAND_PROC && !(alive >> op->args[0] & 1))
		return false;
	return info->operand[1].kind != OPERAND_NEWPROC ||
	       op->args[1] == (uint32_t)__builtin_ctz(~alive);
}

static uint16_t alive_after(struct enumeration *e)
{
	uint32_t alive = 0;

	for (uint32_t proc = 0; proc < e->options->procs; proc++)
		alive |= (uint32_t)machine_proc_alive(e->diff->subjects[0].machine, proc) << proc;
	return (uint16_t)alive;
}

/* Run the trace; TO is the node that it leads to. */
static int explore(struct enumeration *e, uint32_t from, uint16_t op, uint32_t *to,
		   struct enumerate_level *level)
{
	bool fresh;

	if (e->options->trace_begins && e->options->trace_begins(e->options->arg)) {
		e->stopped = true;
		return 1;
	}
	compose(e, from, op);
	level->ops += e->trace->nr_ops;
	level->traces++;
	if (run(e))
		return 1;
	hash_state(e);
	fresh = node_find(e, to);
	if (fresh || e->options->every_trace) {
		e->nodes[*to].before = from;
		e->nodes[*to].op = op;
		e->nodes[*to].alive = alive_after(e);
	}
	if (!fresh) {
		level->duplicates++;
		return 0;
	}
	level->states++;
	level->ops += e->trace->nr_ops;
	return run(e) || diff_end(e->diff, e->finding);
}

static int extend(struct enumeration *e, uint32_t node, struct enumerate_level *level)
{
	e->nodes[node].first_edge = (uint32_t)e->nr_edges;
	for (uint32_t op = 0; op < e->ops.nr_ops; op++) {
		uint32_t to;

		if (!makes_sense(&e->ops.ops[op], e->nodes[node].alive))
			continue;
		if (explore(e, node, (uint16_t)op, &to, level))
			return 1;
		DIFF_ASSERT(e->nr_edges < UINT32_MAX);
		e->edges = diff_grow(e->edges, &e->max_edges, e->nr_edges + 1, sizeof(*e->edges));
		e->edges[e->nr_edges++] = to;
		e->nodes[node].nr_edges++;
	}
	return 0;
}

/* ---- how many traces that was ------------------------------------------------------------------
 */

static void add_saturating(uint64_t *sum, uint64_t number)
{
	if (__builtin_add_overflow(*sum, number, sum))
		*sum = UINT64_MAX;
}

/* Room for a count of each node; what is new is zero. */
static void make_room(struct enumeration *e)
{
	size_t max = e->max_count; /* the two change places, so they are of one size */

	e->count = diff_grow(e->count, &max, e->nr_nodes, sizeof(*e->count));
	e->next_count =
		diff_grow(e->next_count, &e->max_count, e->nr_nodes, sizeof(*e->next_count));
	memset(e->count + e->nr_count, 0, (e->nr_nodes - e->nr_count) * sizeof(*e->count));
	memset(e->next_count, 0, e->nr_nodes * sizeof(*e->next_count));
	e->nr_count = e->nr_nodes;
}

/* One more step along all edges: e->count goes from the traces of one length to those of the next.
 * Returns how many these are. */
static uint64_t count_traces(struct enumeration *e)
{
	uint64_t total = 0, *count;

	make_room(e);
	for (size_t i = 0; i < e->nr_nodes; i++) {
		const struct node *node = &e->nodes[i];

		for (uint32_t k = 0; k < node->nr_edges; k++) {
			add_saturating(&e->next_count[e->edges[node->first_edge + k]], e->count[i]);
			add_saturating(&total, e->count[i]);
		}
	}
	count = e->count;
	e->count = e->next_count;
	e->next_count = count;
	return total;
}

/* ---- the search
 * ---------------------------------------------------------------------------------- */

/* Extend nodes FIRST to LAST - 1. */
static int search_level(struct enumeration *e, size_t first, size_t last, uint32_t depth)
{
	struct enumerate_level level = {.depth = depth};

	for (size_t node = first; node < last; node++) {
		if (extend(e, (uint32_t)node, &level))
			return 1;
	}
	level.covered = count_traces(e);
	if (e->options->level_done)
		e->options->level_done(&level, e->options->arg);
	return 0;
}

static int search(struct enumeration *e)
{
	size_t first = 0, last = 1;
	uint32_t boot;

	compose(e, 0, NO_OP);
	if (run(e))
		return 1;
	hash_state(e);
	node_find(e, &boot);
	e->nodes[boot].op = NO_OP;
	e->nodes[boot].alive = alive_after(e);
	make_room(e);
	e->count[boot] = 1;
	for (uint32_t depth = 1; depth <= e->options->depth && first < last; depth++) {
		if (search_level(e, first, last, depth))
			return 1;
		first = last;
		last = e->nr_nodes;
	}
	return 0;
}

int enumerate(const struct enumerate_options *options, struct trace *trace, struct finding *finding)
{
	struct enumeration e = {.options = options, .trace = trace, .finding = finding};
	struct diff_options diff = options->diff;
	int found;

	DIFF_ASSERT(options->depth <= ENUMERATE_DEPTH_MAX);
	DIFF_ASSERT(options->procs >= 1 && options->procs <= ENUMERATE_PROCS_MAX);
	DIFF_ASSERT(options->pages >= 1 && options->pages <= ENUMERATE_PAGES_MAX);
	diff.check_every = 0;
	e.diff = diff_create(&diff);
	trace_init(&e.ops, &options->config);
	trace_clear(trace);
	trace->config = options->config;
	enumerate_ops(options, &e.ops);
	found = search(&e) && !e.stopped;
	diff_destroy(e.diff);
	trace_release(&e.ops);
	machine_state_release(&e.state);
	free(e.nodes);
	free(e.table);
	free(e.edges);
	free(e.count);
	free(e.next_count);
	return found;
}

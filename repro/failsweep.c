/*
 * The sweep over allocations; see failsweep.h.
 *
 * How many allocations an op makes is seen by running it: once fail_nth is beyond the last, nothing
 * fails, and it is the next op's turn. An op that made none in the undisturbed run, and that has no
 * failure of its own, has no turn.
 */
#include "failsweep.h"

#include <inttypes.h>
#include <stdlib.h>

/* What an op allocated. */
struct allocs {
	uint32_t engine, meta;
};

struct sweep {
	struct diff *diff;
	const struct trace *trace;
	struct trace *failing;
	struct failsweep_stats *stats;
	struct finding *finding;
	struct allocs *made; /* by op, in the undisturbed run */
};

/* What op K of the last group allocated: the most of all subjects. */
static struct allocs allocs_of(struct diff *diff, uint32_t k)
{
	struct allocs most = {0, 0};

	for (uint32_t i = 0; diff_machine(diff, i); i++) {
		const struct op_trace *trace = diff_group_trace(diff, i, k);

		if (trace->allocs > most.engine)
			most.engine = trace->allocs;
		if (trace->meta_allocs > most.meta)
			most.meta = trace->meta_allocs;
	}
	return most;
}

/* Run the failing trace to its end; MADE[i] is for the op FIRST + i, N of them. */
static int run(struct sweep *sweep, uint32_t first, uint32_t n, struct allocs *made)
{
	const struct trace *trace = sweep->failing;

	sweep->stats->runs++;
	diff_begin(sweep->diff, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		uint32_t nr = op_group(&trace->ops[i], trace->nr_ops - i);
		int found = diff_step_group(sweep->diff, &trace->ops[i], nr, sweep->finding);

		sweep->stats->ops += nr;
		for (uint32_t k = 0; k < nr; k++) {
			if (i + k - first < n)
				made[i + k - first] = allocs_of(sweep->diff, k);
		}
		if (found)
			return 1;
		i += nr - 1;
	}
	return diff_end(sweep->diff, sweep->finding);
}

/* A way to fail: where K is written in an op, and whose allocations it counts. */
struct way {
	size_t property; /* offset of a uint16_t in struct op */
	bool meta, later;
};

static const struct way ways[] = {
	{offsetof(struct op, fail_nth), false, false},
	{offsetof(struct op, fail_from), false, true},
	{offsetof(struct op, fail_meta), true, false},
	{offsetof(struct op, fail_meta_from), true, true},
};

static void count_run(struct failsweep_stats *stats, const struct way *way)
{
	stats->engine += !way->meta && !way->later;
	stats->meta += way->meta && !way->later;
	stats->later += way->later;
}

/* Fail each allocation of op I in one WAY. */
static int sweep_op(struct sweep *sweep, uint32_t i, const struct way *way)
{
	struct op *op = &sweep->failing->ops[i];
	struct allocs made = {0, 0};

	op->fail_nth = op->fail_meta = op->fail_from = op->fail_meta_from = 0;
	for (uint32_t k = 1; k <= UINT16_MAX; k++) {
		*(uint16_t *)((char *)op + way->property) = (uint16_t)k;
		if (run(sweep, i, 1, &made))
			return 1;
		if ((way->meta ? made.meta : made.engine) < k)
			break;
		count_run(sweep->stats, way);
	}
	*op = sweep->trace->ops[i];
	return 0;
}

static int sweep_all(struct sweep *sweep)
{
	const struct trace *trace = sweep->trace;

	if (run(sweep, 0, trace->nr_ops, sweep->made))
		return 1;
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		const struct allocs *made = &sweep->made[i];
		bool own = op_fails(&trace->ops[i]);

		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++) {
			if (!own && !(ways[k].meta ? made->meta : made->engine))
				continue;
			if (sweep_op(sweep, i, &ways[k]))
				return 1;
		}
	}
	return 0;
}

static bool same_failures(const struct op *a, const struct op *b)
{
	return a->fail_nth == b->fail_nth && a->fail_from == b->fail_from &&
	       a->fail_meta == b->fail_meta && a->fail_meta_from == b->fail_meta_from;
}

void failsweep_line(const struct trace *trace, const struct trace *failing, char *buf, size_t size)
{
	buf[0] = '\0';
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		int n;

		if (same_failures(&trace->ops[i], &failing->ops[i]))
			continue;
		n = snprintf(buf, size, ", op %" PRIu32 ": ", i);
		op_print(&failing->ops[i], buf + n, size - (size_t)n);
	}
}

int failsweep(struct diff *diff, const struct trace *trace, struct failsweep_stats *stats,
	      struct trace *failing, struct finding *finding)
{
	struct sweep sweep = {.diff = diff,
			      .trace = trace,
			      .failing = failing,
			      .stats = stats,
			      .finding = finding,
			      .made = calloc(trace->nr_ops + 1, sizeof(*sweep.made))};
	int found;

	if (!sweep.made || trace_copy(failing, trace)) {
		fputs("rmapfuzz: the host is out of memory\n", stderr);
		abort();
	}
	failing->nr_expects = 0;
	found = sweep_all(&sweep);
	free(sweep.made);
	return found;
}

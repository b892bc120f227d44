/*
 * Exhaustive search: every trace up to a stated depth over a small world, in lockstep.
 *
 * A world is a few processes and a window of a few pages (w0, w1, ...), with one machine per
 * backend and the model. Traces are extended breadth first, one op at a time; a trace that leads to
 * a state which a trace before it led to is not extended, because its continuations would do the
 * same. So a finding comes with a shortest trace. docs/enumerate.md says what "state" means and
 * what the search relies on.
 */
#ifndef RMAPFUZZ_ENUMERATE_H
#define RMAPFUZZ_ENUMERATE_H

#include "diff.h"

#define ENUMERATE_DEPTH_MAX 16
#define ENUMERATE_PROCS_MAX 8
#define ENUMERATE_PAGES_MAX 16

/* What the traces of one length amounted to. */
struct enumerate_level {
	uint32_t depth;
	uint64_t traces;     /* traces of this length that were run and judged */
	uint64_t states;     /* of these, those that led to a state not seen before */
	uint64_t duplicates; /* those that did not */
	uint64_t ops;        /* operations run, replayed beginnings included */
	uint64_t covered;    /* traces of this length that these stand for (saturates) */
};

struct enumerate_options {
	struct diff_options diff; /* check_every is of no use here: each new state is recounted */
	struct machine_config config;
	uint32_t depth, procs, pages;
	/* What all traces begin with; not counted in their length. NULL: nothing. */
	const struct trace *after;
	/* More ops: threads, locks, advice, migration, nonlinear mappings, holes, mkclean. */
	bool wide;
	/* Go on from equal states too. It finds no more states, or the search is wrong. */
	bool every_trace;
	/* Called after each level. Optional. */
	void (*level_done)(const struct enumerate_level *level, void *arg);
	/* Called before each trace. True: stop, as if nothing were left. Optional. */
	bool (*trace_begins)(void *arg);
	void *arg;
};

/* All backends, the first preset, 2 processes, 3 pages, depth 3. */
void enumerate_options_init(struct enumerate_options *options);

/* Every op that may come next somewhere, as one trace to look at. Returns how many. */
uint32_t enumerate_ops(const struct enumerate_options *options, struct trace *ops);

/*
 * Search. Returns 0: clean; 1: TRACE (which has been through trace_init) leads to *FINDING, and no
 * shorter one leads to any. Stops early once there is no new state left.
 */
int enumerate(const struct enumerate_options *options, struct trace *trace,
	      struct finding *finding);

#endif

/*
 * Allocation failure, exhaustively: a trace is run once for every allocation in it, failing that
 * one, with all oracles on.
 *
 *   mmap, write, fork           3 + 2 + 9 allocations of the engine: 14 runs,
 *                               the last with "fork p0 (fail_nth: 9)"
 *
 * The engine's allocations are numbered the same in all designs that merge areas alike (fail_nth);
 * each design's own are numbered apart (fail_meta). Both are properties of a single op, so the
 * failing trace is itself a trace, and replays.
 */
#ifndef RMAPFUZZ_FAILSWEEP_H
#define RMAPFUZZ_FAILSWEEP_H

#include "diff.h"

struct failsweep_stats {
	uint64_t runs;   /* traces run, those in which nothing failed included */
	uint64_t engine; /* runs in which an allocation of the engine failed */
	uint64_t meta;   /* runs in which one of a backend failed */
	uint64_t ops;    /* operations in all runs */
};

/*
 * Sweep TRACE, whose expectations are not looked at. Returns 0: clean; 1: FAILING, a copy of the
 * trace with one more failure (or none), leads to *FINDING. STATS are added to. What an op has of
 * failures by itself is replaced while it is that op's turn.
 */
int failsweep(struct diff *diff, const struct trace *trace, struct failsweep_stats *stats,
	      struct trace *failing, struct finding *finding);

#endif

/*
 * Allocation failure, exhaustively: a trace is run once for every allocation in it, failing that
 * one, and once failing it and all later ones of its op, with all oracles on.
 *
 *   mmap, write, fork           3 + 2 + 9 allocations of the engine: 28 runs,
 *                               the last with "fork p0 (fail_from: 9)"
 *
 * The engine's allocations are numbered the same in all designs that merge areas alike (fail_nth,
 * fail_from); each design's own are numbered apart (fail_meta, fail_meta_from). All are properties
 * of a single op, so the failing trace is itself a trace, and replays.
 */
#ifndef RMAPFUZZ_FAILSWEEP_H
#define RMAPFUZZ_FAILSWEEP_H

#include "diff.h"

struct failsweep_stats {
	uint64_t runs;   /* traces run, those in which nothing failed included */
	uint64_t engine; /* runs in which an allocation of the engine failed, and no other */
	uint64_t meta;   /* runs in which one of a backend failed, and no other */
	uint64_t later;  /* runs in which one of either failed, and all later ones of its op */
	uint64_t ops;    /* operations in all runs */
};

/*
 * Sweep TRACE, whose expectations are not looked at. Returns 0: clean; 1: FAILING, a copy of the
 * trace with one more failure (or none), leads to *FINDING. STATS are added to. What an op has of
 * failures by itself is replaced while it is that op's turn.
 */
int failsweep(struct diff *diff, const struct trace *trace, struct failsweep_stats *stats,
	      struct trace *failing, struct finding *finding);
/* ", op 3: write p0 w1 (fail_nth: 2)": the op that FAILING has and TRACE has not; else "". */
void failsweep_line(const struct trace *trace, const struct trace *failing, char *buf, size_t size);

#endif

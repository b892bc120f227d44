/*
 * Metamorphic checks: things that a process can do and undo, after which every page must be mapped
 * where it was before. They need no second design and no model, so they judge one backend alone,
 * and the engine with it.
 *
 *   relation      there, and back
 *   fork          fork a child that does nothing, and let it exit
 *   mprotect      change the protection of part of an area, and back
 *   split         advise about part of an area (which splits it), and back (which merges it)
 *   mremap        move part of an area to a free place, and back
 */
#ifndef RMAPFUZZ_METAMORPH_H
#define RMAPFUZZ_METAMORPH_H

#include "diff.h"

enum metamorph_relation {
	METAMORPH_FORK,
	METAMORPH_MPROTECT,
	METAMORPH_SPLIT,
	METAMORPH_MREMAP,
	NR_METAMORPH,
};
const char *metamorph_name(enum metamorph_relation relation);

struct metamorph_stats {
	uint64_t held[NR_METAMORPH];    /* there and back, and nothing had changed */
	uint64_t skipped[NR_METAMORPH]; /* no way there or back, or memory ran short on it and
					   reclaim unmapped pages */
};

struct metamorph;

/* A machine with reverse map RMAP, and room for pictures of it. Host exhaustion aborts. */
struct metamorph *metamorph_create(const struct rmap_ops *rmap);
void metamorph_destroy(struct metamorph *metamorph);

/*
 * Run TRACE alone, and after every EVERY (1..) of its ops try one relation after the other on a
 * process and a part of an area that follow from SEED. Returns 0, or 1 and a finding of
 * CHECK_METAMORPH
 * ("metamorph:mremap:anon_vma:lost") at the op after which the relation did not hold.
 */
int metamorph_run(struct metamorph *metamorph, const struct trace *trace, uint64_t seed,
		  uint32_t every, struct finding *finding);
/* Since creation. */
const struct metamorph_stats *metamorph_stats(const struct metamorph *metamorph);

#endif

/*
 * What the files of explaining share.
 *
 *   explain.c            two runs, and the way back from the guilty op
 *   explain_departure.c  the moment at which a design's answer stopped being true
 *   explain_blame.c      what each design shows when it is alone
 *   explain_print.c      the story as text
 */
#ifndef RMAPFUZZ_REPRO_EXPLAIN_PRIVATE_H
#define RMAPFUZZ_REPRO_EXPLAIN_PRIVATE_H

#include "explain.h"

#define WHERE_FRAME (1ull << 62) /* | pfn */
#define WHERE_SWAP  (2ull << 62) /* | the swap entry */

/* One entry that holds a page, in memory or swapped. */
struct entry {
	struct mapping at;
	uint64_t where;
};

/* All of them after one op, by process and address. */
struct picture {
	struct entry *entries;
	size_t n, max;
};

/* After every op up to the last that matters. */
struct film {
	struct picture *pictures;
	uint32_t last;
	struct progress *progress;
};

/* How far the film has come; shared with the process that tries first. */
struct progress {
	uint32_t op, backend; /* asked after this op */
};

/* 0 or -ENOMEM. */
int picture_take(struct picture *picture, struct machine *machine);

/* If BACKEND's machine does not know what its page tables say, note that op OP made it so. 0 or
 * -ENOMEM. */
int departure_look(struct explain_departure *departure, const char *backend,
		   struct machine *machine, uint32_t op);

/* Fill in *BLAME, which is zero. 0 or -errno. */
int blame(struct explain_blame *blame, const struct trace *trace,
	  const struct diff_options *options);

#endif

/*
 * What coverage.c (following) and coverage_table.c (the declared matrix) share.
 */
#ifndef RMAPFUZZ_DIFF_COVERAGE_PRIVATE_H
#define RMAPFUZZ_DIFF_COVERAGE_PRIVATE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

/* An entry of either table: a frame has a mapcount, a mapping has the rest. */
struct slot {
	uint64_t key;
	bool used, known; /* known: the kind is */
	uint8_t arose, kind;
	uint32_t pfn, mapcount;
};

/* Open addressing; a power of two of slots, at most half of them used. */
struct table {
	struct slot *slot;
	uint32_t slots, used;
};

#define COVERAGE_SEEN_MAX 64u

struct coverage_subject {
	struct table mappings, frames;
	uint64_t *fresh; /* keys of mappings whose kind is not known yet */
	size_t nr_fresh, max_fresh;
	uint32_t seen[COVERAGE_SEEN_MAX]; /* cells, since the last drain */
	uint32_t nr_seen;                 /* more than that are not kept */
	uint64_t count[NR_COVERAGE_KINDS][NR_COVERAGE_SHARINGS][NR_COVERAGE_AROSE]
		      [NR_COVERAGE_REMOVED];
};

struct coverage {
	uint32_t nr;
	const struct rmap_ops *rmap[DIFF_SUBJECTS_MAX]; /* NULL: any */
	struct coverage_subject *subject;
};

#endif

/*
 * Conformance: replay a recording of a real 2.6 kernel (corpus/real-2.6/README.md) on the
 * machine and compare, after every operation, everything that the recording says.
 */
#ifndef RMAPFUZZ_CONFORM_H
#define RMAPFUZZ_CONFORM_H

#include <stddef.h>
#include <stdint.h>

#include "machine.h"

/* Permitted differences, by name. */
#define CONFORM_EXCUSE(id, name, reason) CONFORM_EXCUSE_##id,
enum conform_excuse {
#include "conform_excuses.def"
	NR_CONFORM_EXCUSES
};
#undef CONFORM_EXCUSE

const char *conform_excuse_name(enum conform_excuse excuse);
const char *conform_excuse_reason(enum conform_excuse excuse);

struct conform_report {
	uint32_t sequences, nonlinear; /* replayed; of these, with remap_file_pages */
	uint64_t ops;                  /* compared */
	uint64_t pages;                /* page states compared */
	uint64_t evictions;            /* successful ones */
	uint64_t excuses[NR_CONFORM_EXCUSES];
	/* The first difference, if any. */
	uint32_t line; /* in the log, from 1 */
	char message[256];
};

/*
 * Replay LOG (SIZE bytes) with reverse map RMAP by the rules of ERA. Returns 0: the machine did
 * what the kernel did; 1: a difference, in REPORT; -EINVAL: not a recording, REPORT has line and
 * message. Every op is also followed by a full recount of the machine.
 */
int conform_replay(const char *log, size_t size, const struct rmap_ops *rmap, enum era era,
		   struct conform_report *report);

#endif

/*
 * Recordings of real programs as traces: what `strace -f -y` wrote becomes ops.
 *
 * A recording has calls and no memory accesses, so accesses and reclaim are added by a seeded
 * policy; and it has things that an i386 machine of PROC_MAX processes and FILE_MAX files cannot
 * do. docs/import.md states every rule. Nothing is left out in silence: what was dropped,
 * clipped, assumed or skipped is counted by kind in the report.
 *
 * Same text, same options: same trace.
 */
#ifndef RMAPFUZZ_IMPORT_H
#define RMAPFUZZ_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trace.h"

struct import_options {
	uint64_t seed;
	uint32_t touch; /* percent of a new mapping's pages that are touched, 0..100 */
	uint32_t swap;  /* percent of calls after which something is reclaimed, 0..100 */
	bool lenient;   /* lines that make no sense are counted, not an error */
	struct machine_config config; /* the machine that the trace asks for */
};

/* Seed 1, touch 25, swap 20, strict, a machine of 1 GB. */
void import_options_init(struct import_options *options);

/* What happened to a part of the recording that is not simply an op. */
enum import_class {
	IMPORT_DROPPED,   /* cannot be expressed */
	IMPORT_CLIPPED,   /* expressed in part */
	IMPORT_ASSUMED,   /* the recording does not say; a stated rule was used */
	IMPORT_FAILED,    /* the call failed when it was recorded, so it changed nothing */
	IMPORT_UNRELATED, /* the call has no effect on memory */
	NR_IMPORT_CLASSES
};

struct import_row {
	enum import_class class;
	char what[72];
	uint64_t count;
	uint64_t pages; /* that are concerned; 0: not a matter of pages */
	uint32_t line;  /* of the first one; 0: not a matter of one line */
};

#define IMPORT_ROWS_MAX 160 /* the last one is "other", should so many kinds occur */

struct import_report {
	uint32_t lines, calls; /* lines of text, and completed calls among them */
	uint32_t expressed;    /* calls that became ops */
	uint32_t followed;     /* calls that only say what others mean: open, dup, threads, exit */
	uint32_t processes;    /* processes seen, and how many were alive at once */
	uint32_t processes_peak;
	uint32_t threads, execs;
	uint32_t files; /* files that were mapped */
	uint32_t call_ops, touch_ops, reclaim_ops;
	struct import_row rows[IMPORT_ROWS_MAX]; /* by class, then in order of appearance */
	uint32_t nr_rows;
};

/* How often things of CLASS called WHAT occurred. */
uint64_t import_report_count(const struct import_report *report, enum import_class class,
			     const char *what);
/* All of it as lines that start with PREFIX. */
void import_report_print(const struct import_report *report, FILE *out, const char *prefix);

/*
 * Translate TEXT into TRACE (zero-initialised or used before; what it held is forgotten). Returns
 * 0, or -EINVAL with "LINE: what is wrong" in ERROR. REPORT is filled in either case.
 */
int import_strace(struct trace *trace, const char *text, size_t size,
		  const struct import_options *options, struct import_report *report, char *error,
		  size_t error_size);

#endif

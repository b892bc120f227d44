/*
 * From a finding to the shortest, plainest trace that still shows it.
 *
 *   64 ops ----- fewer ops -----> 3 ops ----- plainer operands -----> 3 plain ops
 *                    ^                                  |
 *                    '-------- until nothing helps -----'
 *
 * What is kept is the finding's signature, to the letter. No clock and no randomness takes part:
 * the same trace gives the same result everywhere, and minimizing the result changes nothing.
 */
#ifndef RMAPFUZZ_MINIMIZE_H
#define RMAPFUZZ_MINIMIZE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "diff.h"

struct minimize_report {
	char signature[SIGNATURE_MAX]; /* what is kept */
	uint32_t check_every;          /* how often everything was recomputed, in ops */
	uint64_t runs;                 /* of a trace through all backends and oracles */
	uint32_t ops_before, ops_after;
	bool certified; /* at the end each op was removed once more, and each time it did not show
			 */
};

struct minimize_options {
	/*
	 * NULL: that of the finding which the trace shows. If a recount shows it, which happens
	 * every few ops, that is the one that a recount after every op shows: then no ops are
	 * needed to get as far as the next recount.
	 */
	const char *signature;
	struct diff_options diff;
	/* Each run in a process of its own, as for a crash: a candidate may crash where the trace
	 * does not. */
	bool isolate;
	/* Called after each run, with the report so far. NULL: not at all. */
	void (*progress)(const struct minimize_report *report, void *arg);
	void *arg;
	/* Becomes non-zero (in a signal handler, say): keep what is reached and return. NULL:
	 * never. */
	const volatile sig_atomic_t *stop;
};

/* No signature, the options of diff_options_init(), no progress, no stop. */
void minimize_options_init(struct minimize_options *options);

/*
 * Replace TRACE by a minimal one; its expectations, which speak of other ops, are dropped.
 * Returns 0; -ENOENT: TRACE does not show the signature, and is as it was; -EINVAL: no backends;
 * -ENOMEM. When told to stop it returns 0 too, and REPORT->certified is false.
 */
int minimize(struct trace *trace, const struct minimize_options *options,
	     struct minimize_report *report);

/* TRACE as text, below comments that say what REPORT does. */
void minimize_print(const struct trace *trace, const struct minimize_report *report, FILE *out);

#endif

/*
 * Run a trace in a process of its own, so that a crash in it is a result, too.
 */
#ifndef RMAPFUZZ_ISOLATE_H
#define RMAPFUZZ_ISOLATE_H

#include "diff.h"

/*
 * diff_run() in a forked child. Returns 0 or 1 as that does; a child that dies is a finding of
 * CHECK_CRASH, "crash:mremap:SIGABRT", at the op that it died in. What the child prints is not
 * seen. DIFF of the parent is as before. Should the host refuse to fork: -errno.
 */
int isolated_run(struct diff *diff, const struct trace *trace, struct finding *finding);
/* The same, but a child that takes more than so many seconds of processor time is a finding, too:
 * "crash:fork:hang". 0: as long as it takes. */
int isolated_run_within(struct diff *diff, const struct trace *trace, uint32_t seconds,
			struct finding *finding);

/* CALL in a forked child, which prints nothing. 0: it came back; 1: the child died; or -errno. */
int isolated_call(void (*call)(void *arg), void *arg);

/*
 * A process that runs one trace after the other, and is replaced when it dies: much cheaper than
 * one for each, but what a broken design did to it in one run may show in the next.
 */
struct worker;
/* For traces of at most MAX_OPS. NULL: the host has no memory. DIFF outlives it. */
struct worker *worker_create(struct diff *diff, uint32_t max_ops);
void worker_destroy(struct worker *worker);
/* As isolated_run_within(); -EINVAL if TRACE has too many ops. */
int worker_run(struct worker *worker, const struct trace *trace, uint32_t seconds,
	       struct finding *finding);

/* *FINDING for a process that died of signal NUMBER at op OP_INDEX of TRACE. */
void crash_finding(const struct trace *trace, uint32_t op_index, int number,
		   struct finding *finding);

#endif

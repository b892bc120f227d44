/*
 * Trials: one mutant, one way of looking for it, one seed, a bound in executions. What became of it
 * is in memory that survives whoever looks, because what is looked for may be a crash.
 *
 *   execution    1 ........ 40 ........ 310 ....... 702 ...... bound
 *                           reached     triggered   detected
 */
#ifndef RMAPFUZZ_TRIAL_H
#define RMAPFUZZ_TRIAL_H

#include "diff.h"

/* An execution that takes longer, in seconds of processor time, loops. */
#define TRIAL_SECONDS 10

/* In which execution something happened first (from 1; 0: not), and after how much processor time,
 * of the executions alone. */
struct trial_moment {
	uint64_t execution;
	double seconds;
};

struct trial {
	struct mutant_state mutant;
	uint64_t executions, bound;
	double seconds, since; /* spent so far; the clock when the one under way began */
	struct trial_moment reached, triggered, detected;
	char signature[SIGNATURE_MAX]; /* of what was found; "": nothing, or a crash */
};

/* A trial in the file PATH, which is made if it is not there; NULL: errno says why. */
struct trial *trial_open(const char *path);
void trial_close(struct trial *trial);

/* Around each execution. Before: false, the bound is reached. */
bool trial_before(struct trial *trial);
void trial_after(struct trial *trial, const struct finding *finding); /* NULL: nothing found */
/* The process of the execution under way died: that is a finding, and not told by trial_after. */
void trial_crashed(struct trial *trial);

/* Look for TRIAL's mutant, in this process: by what `run` generates, or `enumerate` lists. Returns
 * when it is found or the bound is reached. SEED: enumerate has none. */
void trial_run_generated(struct trial *trial, const struct diff_options *options, uint64_t seed);
void trial_run_enumerated(struct trial *trial, const struct diff_options *options);

#endif

/*
 * What the targets that run traces share: an input becomes a trace and runs in lockstep, and a
 * finding becomes abort() here, at the edge, in a function of its own for each kind of check.
 */
#ifndef RMAPFUZZ_FUZZ_TARGET_H
#define RMAPFUZZ_FUZZ_TARGET_H

#include "diff.h"
#include "fuzz.h"

/*
 * Options for a target: diff_options_init(), recounts half-way and at the end, the engine's state
 * feedback, and the backends that RMAP_BACKENDS="scan anon_vma" in the environment names, if any;
 * one with a "/" in it is a shared object (docs/plugin.md). RMAP_MUTANT switches a bug on,
 * RMAP_TRIAL names a file that tells what became of it (trial.h), and RMAP_WITHOUT a check that is
 * not done. Bad names end the process with status 2.
 */
void target_options_init(struct diff_options *options);

/* DATA as a trace of at most 64 ops that does not fill memory by single ops. */
void target_decode(struct trace *trace, const uint8_t *data, size_t size);

/* Run TRACE. Does not return from a finding. */
void target_run(struct diff *diff, const struct trace *trace);

#endif

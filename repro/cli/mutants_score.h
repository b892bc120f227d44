/*
 * rmapfuzz mutants score: what it is asked for.
 */
#ifndef RMAPFUZZ_MUTANTS_SCORE_H
#define RMAPFUZZ_MUTANTS_SCORE_H

#include "cli.h"
#include "mutant.h"
#include "score.h"

#define SCORE_WORDS_MAX 24

struct score_arguments {
	const char *directory;
	const char *engines[SCORE_WORDS_MAX], *configs[SCORE_WORDS_MAX];
	uint32_t nr_engines, nr_configs;
	enum mutant mutants[NR_MUTANTS];
	uint32_t nr_mutants;
	uint64_t seeds, executions;
	uint32_t jobs;
	const char *libfuzzer, *afl, *afl_mutator; /* programs and a shared object, or NULL */
	struct diff_options options;
};

/* Do the trials that have not been done, and print what all of them amount to. */
int mutants_score(const struct score_arguments *arguments);

#endif

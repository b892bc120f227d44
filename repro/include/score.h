/*
 * What many trials amount to: one line each in a file, tables and survival curves from that.
 */
#ifndef RMAPFUZZ_SCORE_H
#define RMAPFUZZ_SCORE_H

#include <stdio.h>

#include "trial.h"

#define SCORE_NAME_MAX 24

/* Which trial: a file of results has each once. */
struct score_key {
	char mutant[SCORE_NAME_MAX], engine[SCORE_NAME_MAX], config[SCORE_NAME_MAX];
	uint64_t seed, bound;
};

struct score_row {
	struct score_key key;
	uint64_t executions;
	struct trial_moment reached, triggered, detected;
	char check[SCORE_NAME_MAX]; /* that saw it: the signature's first word; "-": none */
};

struct score {
	struct score_row *rows;
	uint32_t nr, max;
};

/* Read the results in PATH, which need not exist; a line cut off by a crash is left out. 0, or
 * -errno. */
int score_read(struct score *score, const char *path);
void score_release(struct score *score);
bool score_has(const struct score *score, const struct score_key *key);
/* Append a line for TRIAL to PATH, all at once. 0, or -errno. */
int score_append(const char *path, const struct score_key *key, const struct trial *trial);

/* The tables, as Markdown. */
void score_print(const struct score *score, FILE *out);
/*
 * Write what gnuplot makes curves of into DIRECTORY: NAME.tsv (a block for each engine and
 * configuration) and NAME.gnuplot, for NAME "triggered" and "detected". 0, or -errno.
 */
int score_plot(const struct score *score, const char *directory);

/* The engines and configurations that there are results of, in order of appearance. */
struct score_group {
	const struct score_row *first;
	uint32_t trials, reached, triggered, detected;
};
#define SCORE_GROUPS_MAX 64
uint32_t score_groups(const struct score *score, struct score_group groups[SCORE_GROUPS_MAX]);
bool score_in_group(const struct score_row *row, const struct score_group *group);

/* The Kaplan-Meier estimate of how many are left after EXECUTION. */
struct survival {
	uint64_t execution;
	double left;
};
typedef const struct trial_moment *score_moment_fn(const struct score_row *row);
score_moment_fn score_triggered, score_detected;
/* The steps of GROUP's curve, to be freed; *N how many; *MEAN the area below it, up to the bound:
 * the restricted mean of executions needed. */
struct survival *score_survival(const struct score *score, const struct score_group *group,
				score_moment_fn *moment, uint32_t *n, double *mean);

#endif

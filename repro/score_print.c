/*
 * Results of trials as tables and as curves.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mutant.h"
#include "score.h"

#define SEEDS_MAX 1024 /* trials of a mutant in a group that a median is taken of */

/* ---- engines --------------------------------------------------------------------------------- */

static void print_group(const struct score *score, const struct score_group *group, FILE *out)
{
	double mean;
	uint32_t n;

	free(score_survival(score, group, score_detected, &n, &mean));
	fprintf(out,
		"| %s | %s | %" PRIu64 " | %" PRIu32 " | %.1f %% | %.1f %% | %.1f %% | %.0f |\n",
		group->first->key.engine, group->first->key.config, group->first->key.bound,
		group->trials, 100.0 * group->reached / group->trials,
		100.0 * group->triggered / group->trials, 100.0 * group->detected / group->trials,
		mean);
}

/* ---- mutants --------------------------------------------------------------------------------- */

typedef const struct trial_moment *moment_fn(const struct score_row *row);

static const struct trial_moment *reached(const struct score_row *row)
{
	return &row->reached;
}

/* What the trials of one mutant in one group came to. */
struct summary {
	const struct score_row *rows[SEEDS_MAX];
	uint32_t n, reached, triggered, detected;
};

static void summarize(const struct score *score, const struct score_group *group,
		      const char *mutant, struct summary *summary)
{
	summary->n = summary->reached = summary->triggered = summary->detected = 0;
	for (uint32_t i = 0; i < score->nr && summary->n < SEEDS_MAX; i++) {
		const struct score_row *row = &score->rows[i];

		if (strcmp(row->key.mutant, mutant) != 0 || !score_in_group(row, group))
			continue;
		summary->rows[summary->n++] = row;
		summary->reached += row->reached.execution != 0;
		summary->triggered += row->triggered.execution != 0;
		summary->detected += row->detected.execution != 0;
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median execution, or "-" if it did not happen in half of them; and seconds. */
static void print_median(const struct summary *summary, moment_fn *moment, FILE *out)
{
	uint64_t at[SEEDS_MAX], middle;
	double seconds = 0;

	for (uint32_t i = 0; i < summary->n; i++) {
		const struct trial_moment *m = moment(summary->rows[i]);

		at[i] = m->execution ? m->execution : UINT64_MAX;
	}
	qsort(at, summary->n, sizeof(*at), by_number);
	middle = at[(summary->n - 1) / 2];
	for (uint32_t i = 0; i < summary->n; i++) {
		const struct trial_moment *m = moment(summary->rows[i]);

		if (m->execution == middle)
			seconds = m->seconds;
	}
	if (middle == UINT64_MAX)
		fprintf(out, " - |");
	else
		fprintf(out, " %" PRIu64 " (%.2f s) |", middle, seconds);
}

/* "content 3, ptes 2": who saw it, in how many trials. */
static void print_checks(const struct summary *summary, FILE *out)
{
	const char *between = " ";

	for (int check = 0; check < NR_CHECKS; check++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < summary->n; i++)
			n += !strcmp(summary->rows[i]->check,
				     diff_check_name((enum diff_check)check));
		if (!n)
			continue;
		fprintf(out, "%s%s %" PRIu32, between, diff_check_name((enum diff_check)check), n);
		between = ", ";
	}
	fputs(" |\n", out);
}

static void print_mutants(const struct score *score, const struct score_group *group, FILE *out)
{
	static struct summary summary;

	fprintf(out,
		"\n### %s, %s\n\nMedian execution, and seconds of processor time, of the first "
		"time.\n\n| mutant | mode | priority | reached | triggered | detected | found in | "
		"seen by |\n|---|---|---|---|---|---|---|---|\n",
		group->first->key.engine, group->first->key.config);
	for (int i = MUTANT_NONE + 1; i < NR_MUTANTS; i++) {
		const struct mutant_info *info = &mutant_table[i];

		summarize(score, group, info->name, &summary);
		if (!summary.n)
			continue;
		fprintf(out, "| %s | %s | %c |", info->name, mutant_mode_name(info->mode),
			info->priority);
		print_median(&summary, reached, out);
		print_median(&summary, score_triggered, out);
		print_median(&summary, score_detected, out);
		fprintf(out, " %" PRIu32 " of %" PRIu32 " |", summary.detected, summary.n);
		print_checks(&summary, out);
	}
}

/* ---- what was missed ------------------------------------------------------------------------- */

enum miss { MISSED_REACH, MISSED_TRIGGER, MISSED_SIGHT, NR_MISSES };

static bool is_missed(const struct summary *summary, enum miss miss)
{
	switch (miss) {
	case MISSED_REACH:
		return !summary->reached;
	case MISSED_TRIGGER:
		return summary->reached && !summary->triggered;
	default:
		return summary->triggered && !summary->detected;
	}
}

/* By one group, in all its trials. */
static void print_missed(const struct score *score, const struct score_group *group, FILE *out)
{
	static const char *const what[NR_MISSES] = {"never reached", "reached and never triggered",
						    "triggered and not detected"};
	static struct summary summary;

	for (int miss = NR_MISSES - 1; miss >= 0; miss--) {
		const char *between = ": ";
		bool any = false;

		for (int i = MUTANT_NONE + 1; i < NR_MUTANTS; i++) {
			summarize(score, group, mutant_table[i].name, &summary);
			if (!summary.n || !is_missed(&summary, (enum miss)miss))
				continue;
			if (!any)
				fprintf(out, "- %s, %s, %s", group->first->key.engine,
					group->first->key.config, what[miss]);
			fprintf(out, "%s%s", between, mutant_table[i].name);
			between = ", ";
			any = true;
		}
		if (any)
			fputs("\n", out);
	}
}

void score_print(const struct score *score, FILE *out)
{
	struct score_group groups[SCORE_GROUPS_MAX];
	uint32_t n = score_groups(score, groups);

	fputs("## Engines and configurations\n\n"
	      "The restricted mean is how many executions it takes to find a mutant, up to the "
	      "bound.\n\n"
	      "| engine | configuration | bound | trials | reached | triggered | detected | "
	      "restricted mean |\n|---|---|---|---|---|---|---|---|\n",
	      out);
	for (uint32_t i = 0; i < n; i++)
		print_group(score, &groups[i], out);
	fputs("\n## Missed\n\n", out);
	for (uint32_t i = 0; i < n; i++)
		print_missed(score, &groups[i], out);
	fputs("\n## Mutants\n", out);
	for (uint32_t i = 0; i < n; i++)
		print_mutants(score, &groups[i], out);
}

/* ---- curves ------------------------------------------------------------------------------------
 */

static FILE *create(const char *directory, const char *name, const char *suffix)
{
	char *path;
	FILE *out;

	if (asprintf(&path, "%s/%s%s", directory, name, suffix) < 0)
		return NULL;
	out = fopen(path, "w");
	free(path);
	return out;
}

/* A block of a curve: a line per step, and one where it ends. */
static void print_curve(const struct score *score, const struct score_group *group,
			score_moment_fn *moment, FILE *out)
{
	double mean;
	uint32_t n;
	struct survival *steps = score_survival(score, group, moment, &n, &mean);

	fprintf(out, "# %s, %s\n", group->first->key.engine, group->first->key.config);
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%" PRIu64 "\t%.6f\n", steps[i].execution ? steps[i].execution : 1,
			steps[i].left);
	if (n)
		fprintf(out, "%" PRIu64 "\t%.6f\n", group->first->key.bound, steps[n - 1].left);
	fputs("\n\n", out);
	free(steps);
}

static void print_script(const struct score_group *groups, uint32_t n, const char *name, FILE *out)
{
	fprintf(out,
		"set terminal svg size 960,600 font 'sans,14' background 'white'\n"
		"set output '%s.svg'\nset logscale x\nset yrange [0:1]\nset grid\n"
		"set xlabel 'executions'\nset ylabel 'trials in which it is not %s'\n"
		"set key outside right\nplot ",
		name, name);
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s'%s.tsv' index %" PRIu32 " with steps linewidth 2 title '%s, %s'",
			i ? ", " : "", name, i, groups[i].first->key.engine,
			groups[i].first->key.config);
	fputs("\n", out);
}

static int plot(const struct score *score, const char *directory, const char *name,
		score_moment_fn *moment)
{
	struct score_group groups[SCORE_GROUPS_MAX];
	uint32_t n = score_groups(score, groups);
	FILE *data = create(directory, name, ".tsv"), *script = create(directory, name, ".gnuplot");
	int err = data && script ? 0 : -errno;

	for (uint32_t i = 0; !err && i < n; i++)
		print_curve(score, &groups[i], moment, data);
	if (!err)
		print_script(groups, n, name, script);
	if (data && fclose(data) && !err)
		err = -errno;
	if (script && fclose(script) && !err)
		err = -errno;
	return err;
}

int score_plot(const struct score *score, const char *directory)
{
	int err = plot(score, directory, "triggered", score_triggered);

	return err ? err : plot(score, directory, "detected", score_detected);
}

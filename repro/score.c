/*
 * Results of trials: a file with a line for each, and statistics.
 *
 * A trial in which something did not happen is not lost: it is known that it took longer than the
 * trial did. The product-limit estimate of Kaplan and Meier takes both kinds together:
 *
 *      left(t) = product over executions t' <= t of (1 - happened at t' / still going on at t')
 */
#include "score.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_FORMAT                                                                                \
	"%23s %23s %23s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %lf %" SCNu64              \
	" %lf %" SCNu64 " %lf %23s"
#define LINE_FIELDS 13

/* ---- the file -------------------------------------------------------------------------------- */

static bool parse(const char *line, struct score_row *row)
{
	struct score_key *key = &row->key;

	return sscanf(line, LINE_FORMAT, key->mutant, key->engine, key->config, &key->seed,
		      &key->bound, &row->executions, &row->reached.execution, &row->reached.seconds,
		      &row->triggered.execution, &row->triggered.seconds, &row->detected.execution,
		      &row->detected.seconds, row->check) == LINE_FIELDS;
}

static int add_row(struct score *score, const struct score_row *row)
{
	if (score->nr == score->max) {
		uint32_t max = score->max ? 2 * score->max : 256;
		struct score_row *rows = realloc(score->rows, max * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		score->rows = rows;
		score->max = max;
	}
	score->rows[score->nr++] = *row;
	return 0;
}

int score_read(struct score *score, const char *path)
{
	FILE *in = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!in)
		return errno == ENOENT ? 0 : -errno;
	while (!err && getline(&line, &size, in) > 0) {
		struct score_row row = {0};

		if (strchr(line, '\n') && parse(line, &row) && !score_has(score, &row.key))
			err = add_row(score, &row);
	}
	free(line);
	fclose(in);
	return err;
}

void score_release(struct score *score)
{
	free(score->rows);
	*score = (struct score){0};
}

static bool same_key(const struct score_key *a, const struct score_key *b)
{
	return !strcmp(a->mutant, b->mutant) && !strcmp(a->engine, b->engine) &&
	       !strcmp(a->config, b->config) && a->seed == b->seed && a->bound == b->bound;
}

bool score_has(const struct score *score, const struct score_key *key)
{
	for (uint32_t i = 0; i < score->nr; i++) {
		if (same_key(&score->rows[i].key, key))
			return true;
	}
	return false;
}

static const char *check_of(const struct trial *trial)
{
	if (trial->signature[0])
		return trial->signature;
	return trial->detected.execution ? diff_check_name(CHECK_CRASH) : "-";
}

int score_append(const char *path, const struct score_key *key, const struct trial *trial)
{
	const char *check = check_of(trial);
	char line[512];
	int n = snprintf(line, sizeof(line),
			 "%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
			 "\t%.3f\t%" PRIu64 "\t%.3f\t%" PRIu64 "\t%.3f\t%.*s\n",
			 key->mutant, key->engine, key->config, key->seed, key->bound,
			 trial->executions, trial->reached.execution, trial->reached.seconds,
			 trial->triggered.execution, trial->triggered.seconds,
			 trial->detected.execution, trial->detected.seconds,
			 (int)strcspn(check, ":"), check);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, line, (size_t)n) != n)
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

/* ---- groups ---------------------------------------------------------------------------------- */

bool score_in_group(const struct score_row *row, const struct score_group *group)
{
	const struct score_key *a = &row->key, *b = &group->first->key;

	return !strcmp(a->engine, b->engine) && !strcmp(a->config, b->config) &&
	       a->bound == b->bound;
}

uint32_t score_groups(const struct score *score, struct score_group groups[SCORE_GROUPS_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < score->nr; i++) {
		const struct score_row *row = &score->rows[i];
		uint32_t g = 0;

		while (g < n && !score_in_group(row, &groups[g]))
			g++;
		if (g == n && n == SCORE_GROUPS_MAX)
			continue;
		if (g == n)
			groups[n++] = (struct score_group){.first = row};
		groups[g].trials++;
		groups[g].reached += row->reached.execution != 0;
		groups[g].triggered += row->triggered.execution != 0;
		groups[g].detected += row->detected.execution != 0;
	}
	return n;
}

/* ---- survival -------------------------------------------------------------------------------- */

const struct trial_moment *score_triggered(const struct score_row *row)
{
	return &row->triggered;
}

const struct trial_moment *score_detected(const struct score_row *row)
{
	return &row->detected;
}

/* When it happened, or until when it is known that it did not. */
struct observation {
	uint64_t execution;
	bool happened;
};

/* Of those at one execution, what happened comes first. */
static int by_execution(const void *a, const void *b)
{
	const struct observation *x = a, *y = b;

	if (x->execution != y->execution)
		return x->execution < y->execution ? -1 : 1;
	return (int)y->happened - (int)x->happened;
}

static struct observation *observe(const struct score *score, const struct score_group *group,
				   score_moment_fn *moment)
{
	struct observation *all = calloc(group->trials, sizeof(*all));
	uint32_t n = 0;

	for (uint32_t i = 0; all && i < score->nr; i++) {
		const struct score_row *row = &score->rows[i];
		uint64_t at;

		if (!score_in_group(row, group))
			continue;
		at = moment(row)->execution;
		all[n++] = (struct observation){at ? at : row->executions, at != 0};
	}
	if (all)
		qsort(all, n, sizeof(*all), by_execution);
	return all;
}

struct survival *score_survival(const struct score *score, const struct score_group *group,
				score_moment_fn *moment, uint32_t *n, double *mean)
{
	struct observation *all = observe(score, group, moment);
	struct survival *steps = calloc(group->trials + 1, sizeof(*steps));
	double left = 1, bound = (double)group->first->key.bound;

	*n = 0;
	*mean = 0;
	if (!all || !steps)
		goto out;
	steps[(*n)++] = (struct survival){0, 1};
	for (uint32_t i = 0; i < group->trials; i++) {
		struct survival *last = &steps[*n - 1];

		if (!all[i].happened)
			continue;
		*mean += left * (double)(all[i].execution - last->execution);
		left *= 1 - 1.0 / (group->trials - i);
		steps[(*n)++] = (struct survival){all[i].execution, left};
	}
	if (bound > (double)steps[*n - 1].execution)
		*mean += left * (bound - (double)steps[*n - 1].execution);
out:
	free(all);
	return steps;
}

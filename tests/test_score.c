/*
 * Trials and what they amount to: counting, the file of results, the product-limit estimate.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "score.h"

static char *scratch(void)
{
	char *path = strdup("/tmp/rmapfuzz-score-XXXXXX");
	int fd;

	assert_non_null(path);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	return path;
}

static struct score_key key_for(const char *mutant, uint64_t seed, uint64_t bound)
{
	struct score_key key = {.engine = "run", .config = "full", .seed = seed, .bound = bound};

	snprintf(key.mutant, sizeof(key.mutant), "%s", mutant);
	return key;
}

/* One execution in which the canaries stand so and FINDING, if any, is found. */
static void execute(struct trial *trial, uint64_t reached, uint64_t triggered,
		    const struct finding *finding)
{
	assert_true(trial_before(trial));
	trial->mutant.reached = reached;
	trial->mutant.triggered = triggered;
	trial_after(trial, finding);
}

/* ---- a trial ----------------------------------------------------------------------------------
 */

static void first_times_are_kept(void **state)
{
	const struct finding finding = {.signature = "ptes:mprotect:scan:more"};
	struct trial trial = {.bound = 5};

	execute(&trial, 0, 0, NULL);
	execute(&trial, 3, 0, NULL);
	execute(&trial, 5, 1, NULL);
	execute(&trial, 6, 2, &finding);
	execute(&trial, 7, 3, &finding);
	assert_false(trial_before(&trial)); /* the bound */
	assert_int_equal(trial.executions, 5);
	assert_int_equal(trial.reached.execution, 2);
	assert_int_equal(trial.triggered.execution, 3);
	assert_int_equal(trial.detected.execution, 4);
	assert_string_equal(trial.signature, finding.signature);
	assert_true(trial.detected.seconds >= trial.triggered.seconds);
}

/* The canaries were moved by the execution that did not come back. */
static void a_crash_is_found_in_the_execution_under_way(void **state)
{
	struct trial trial = {.bound = 9};

	execute(&trial, 0, 0, NULL);
	assert_true(trial_before(&trial));
	trial.mutant.reached = trial.mutant.triggered = 1;
	trial_crashed(&trial);
	assert_int_equal(trial.reached.execution, 2);
	assert_int_equal(trial.triggered.execution, 2);
	assert_int_equal(trial.detected.execution, 2);
	assert_string_equal(trial.signature, "");
}

static void a_trial_outlives_who_opened_it(void **state)
{
	char *path = scratch();
	struct trial *one = trial_open(path), *other;

	assert_non_null(one);
	one->bound = 2;
	execute(one, 1, 0, NULL);
	other = trial_open(path);
	assert_non_null(other);
	assert_int_equal(other->executions, 1);
	assert_int_equal(other->reached.execution, 1);
	trial_close(one);
	trial_close(other);
	unlink(path);
	free(path);
}

/* Nothing is switched on, so both go on to the bound, and find nothing. */
static void looking_in_vain_ends_at_the_bound(void **state)
{
	struct trial run = {.bound = 20}, enumerate = {.bound = 20};
	struct diff_options options;

	diff_options_init(&options);
	trial_run_generated(&run, &options, 1);
	trial_run_enumerated(&enumerate, &options);
	assert_int_equal(run.executions, 20);
	assert_int_equal(run.detected.execution, 0);
	assert_int_equal(enumerate.executions, 20);
	assert_int_equal(enumerate.detected.execution, 0);
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static void append(const char *path, const char *mutant, uint64_t seed, uint64_t bound,
		   uint64_t detected, const char *signature)
{
	struct score_key key = key_for(mutant, seed, bound);
	struct trial trial = {.executions = detected ? detected : bound,
			      .reached = {1, 0.25},
			      .detected = {detected, detected ? 0.5 : 0}};

	snprintf(trial.signature, sizeof(trial.signature), "%s", signature);
	assert_int_equal(score_append(path, &key, &trial), 0);
}

static void results_come_back(void **state)
{
	char *path = scratch();
	struct score score = {0};
	struct score_key other;

	assert_int_equal(score_read(&score, path), 0); /* there are none yet */
	append(path, "VMA-01", 1, 100, 7, "content:read:scan:token");
	append(path, "VMA-01", 2, 100, 0, "");
	append(path, "VMA-02", 1, 100, 9, ""); /* a crash */
	append(path, "VMA-02", 1, 100, 8, ""); /* the same trial again: the first one counts */
	assert_int_equal(score_read(&score, path), 0);
	assert_int_equal(score.nr, 3);
	assert_string_equal(score.rows[0].check, "content");
	assert_int_equal(score.rows[0].detected.execution, 7);
	assert_true(fabs(score.rows[0].detected.seconds - 0.5) < 1e-9);
	assert_string_equal(score.rows[1].check, "-");
	assert_int_equal(score.rows[1].executions, 100);
	assert_string_equal(score.rows[2].check, "crash");
	assert_int_equal(score.rows[2].detected.execution, 9);
	assert_true(score_has(&score, &score.rows[1].key));
	other = key_for("VMA-01", 1, 200); /* another bound is another trial */
	assert_false(score_has(&score, &other));
	score_release(&score);
	unlink(path);
	free(path);
}

static void a_line_that_was_cut_off_is_left_out(void **state)
{
	char *path = scratch();
	struct score score = {0};
	FILE *out;

	append(path, "VMA-01", 1, 100, 7, "content:read:scan:token");
	out = fopen(path, "a");
	assert_non_null(out);
	fputs("VMA-02\trun\tfull\t1\t100\t10\t1\t0.000\t0\t0.000\t0\t0.000\t-", out);
	fclose(out);
	assert_int_equal(score_read(&score, path), 0);
	assert_int_equal(score.nr, 1);
	score_release(&score);
	unlink(path);
	free(path);
}

/* ---- survival ---------------------------------------------------------------------------------
 */

/*
 * Six trials with a bound of 10: found at 2, at 4 and at 4; one ended at 3 and one at 6 by itself,
 * without; one went on to the bound. At 2 one of 6 goes; at 4 two of 4 (the one that ended at 3 is
 * not asked any more).
 */
static void the_estimate_is_the_product(void **state)
{
	static const struct {
		uint64_t executions, detected;
	} trials[] = {{2, 2}, {3, 0}, {4, 4}, {4, 4}, {6, 0}, {10, 0}};
	struct score_group groups[SCORE_GROUPS_MAX];
	struct score score = {0};
	struct survival *steps;
	double mean;
	uint32_t n;

	score.nr = sizeof(trials) / sizeof(trials[0]);
	score.rows = calloc(score.nr, sizeof(*score.rows));
	assert_non_null(score.rows);
	for (uint32_t i = 0; i < score.nr; i++) {
		score.rows[i].key = key_for("VMA-01", i, 10);
		score.rows[i].executions = trials[i].executions;
		score.rows[i].detected.execution = trials[i].detected;
	}
	assert_int_equal(score_groups(&score, groups), 1);
	assert_int_equal(groups[0].trials, 6);
	assert_int_equal(groups[0].detected, 3);
	steps = score_survival(&score, &groups[0], score_detected, &n, &mean);
	assert_non_null(steps);
	assert_int_equal(n, 4);
	assert_int_equal(steps[1].execution, 2);
	assert_true(fabs(steps[1].left - 5.0 / 6) < 1e-9);
	assert_int_equal(steps[3].execution, 4);
	assert_true(fabs(steps[3].left - 5.0 / 12) < 1e-9);
	assert_true(fabs(mean - (2 + 2 * 5.0 / 6 + 6 * 5.0 / 12)) < 1e-9);
	free(steps);
	score_release(&score);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_times_are_kept),
		cmocka_unit_test(a_crash_is_found_in_the_execution_under_way),
		cmocka_unit_test(a_trial_outlives_who_opened_it),
		cmocka_unit_test(looking_in_vain_ends_at_the_bound),
		cmocka_unit_test(results_come_back),
		cmocka_unit_test(a_line_that_was_cut_off_is_left_out),
		cmocka_unit_test(the_estimate_is_the_product),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

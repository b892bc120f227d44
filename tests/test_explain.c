/*
 * Explaining: the story of a page through fork, mremap, swap and back, and the op at which a
 * planted fault made a design's answer untrue, which is before it shows.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explain.h"

/* A design that forgets a page's mapping when mremap moves it. */
static int forgetful_move(struct machine *machine, struct page *page, struct vma *old,
			  uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
			  struct ptep to)
{
	rmap_find("pte_chain")->remove(machine, page, old, old_vpn, from);
	return 0;
}

static struct rmap_ops forgetful;

static void load(struct trace *trace, const char *text)
{
	char error[160];

	*trace = (struct trace){0};
	trace_init(trace, &machine_presets[0].config);
	if (trace_parse(trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s", error);
}

static struct diff_options with_forgetful(void)
{
	struct diff_options options;

	forgetful = *rmap_find("pte_chain");
	forgetful.name = "forgetful";
	forgetful.move = forgetful_move;
	diff_options_init(&options);
	options.backends[0] = rmap_find("scan");
	options.backends[1] = &forgetful;
	options.nr_backends = 2;
	return options;
}

static char *story(const struct explanation *explanation, const struct trace *trace)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	explain_print(explanation, trace, out);
	fclose(out);
	return text;
}

static void the_story_of_a_page(void **state)
{
	struct diff_options options = with_forgetful();
	struct explanation explanation;
	struct trace trace;
	char *text;

	load(&trace, "rmapfuzz trace 1\nmachine tiny\n"
		     "mmap p0 w0 4 rw anon|fixed\n"        /* 0 */
		     "write p0 w0\n"                       /* 1: born */
		     "write p0 w1\n"                       /* 2: another page */
		     "p1 = fork p0\n"                      /* 3: shared */
		     "age p0 w0\n"                         /* 4 */
		     "swapout p0 w0\n"                     /* 5: out, by two entries */
		     "read p1 w0\n"                        /* 6: back */
		     "mremap p1 w0 1 1 maymove|fixed w9\n" /* 7: moved, and forgotten */
		     "read p0 w0\n"                        /* 8: the other one, too */
		     "evict p0 w0\n");                     /* 9: shows */
	assert_int_equal(explain(&trace, &options, &explanation), 0);
	assert_int_equal(explanation.finding.op_index, 9);
	assert_string_equal(explanation.subject, "forgetful");

	assert_true(explanation.has_page);
	assert_int_equal(explanation.nr_steps, 7);
	static const struct {
		uint32_t op, added, removed, now, swapped;
	} steps[] = {
		{1, 1, 0, 1, 0}, {3, 1, 0, 2, 0}, {5, 0, 2, 0, 2},
		{6, 1, 0, 1, 1}, {7, 1, 1, 1, 1}, {8, 1, 0, 2, 0},
	};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct explain_step *step = &explanation.steps[i];

		assert_int_equal(step->op, steps[i].op);
		assert_int_equal(step->added, steps[i].added);
		assert_int_equal(step->removed, steps[i].removed);
		assert_int_equal(step->now, steps[i].now);
		assert_int_equal(step->swapped, steps[i].swapped);
	}
	assert_string_equal(explanation.steps[0].describe, "direct");

	assert_true(explanation.departure.found);
	assert_string_equal(explanation.departure.backend, "forgetful");
	assert_int_equal(explanation.departure.op, 7);
	assert_int_equal(explanation.departure.nr_missed, 1);
	assert_int_equal(explanation.departure.missed[0].proc, 1);
	assert_int_equal(explanation.departure.missed[0].vpn, 0x60009);

	assert_int_equal(explanation.blame.nr_alone, 1);
	assert_string_equal(explanation.blame.alone[0], "forgetful");
	assert_true(explanation.blame.has_first);
	assert_int_equal(explanation.blame.first.op_index, 7);

	text = story(&explanation, &trace);
	assert_non_null(strstr(text, "run alone, one shows something: forgetful."));
	assert_non_null(strstr(text, "it shows at operation 7:"));
	assert_non_null(strstr(text, "forgetful went wrong at operation 7, 2 before it showed"));
	assert_non_null(strstr(text, "it no longer shows p1 w9"));
	free(text);
	explain_release(&explanation);
	trace_release(&trace);
}

/* A design that takes the process with it when it is asked for a page that fork has shared. */
static void deadly_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	if (page->mapcount > 1)
		abort();
	rmap_find("pte_chain")->walk(machine, page, visit, arg);
}

static void who_cannot_be_asked_is_named(void **state)
{
	struct diff_options options = with_forgetful();
	struct explanation explanation;
	struct trace trace;
	char *text;

	forgetful.walk = deadly_walk;
	load(&trace, "rmapfuzz trace 1\nmachine tiny\n"
		     "mmap p0 w0 1 rw anon|fixed\n" /* 0 */
		     "write p0 w0\n"                /* 1 */
		     "p1 = fork p0\n"               /* 2: from here on it dies when it is asked */
		     "read p0 w0\n"                 /* 3 */
		     "evict p0 w0\n");              /* 4: asks */
	assert_int_equal(explain(&trace, &options, &explanation), 0);
	assert_string_equal(explanation.finding.signature, "crash:evict:SIGABRT");
	assert_true(explanation.departure.found);
	assert_true(explanation.departure.died);
	assert_int_equal(explanation.departure.op, 2);
	assert_string_equal(explanation.departure.backend, "forgetful");
	assert_int_equal(explanation.blame.nr_alone, 1);
	text = story(&explanation, &trace);
	assert_non_null(strstr(text, "forgetful went wrong at operation 2, 2 before it showed"));
	assert_non_null(strstr(text, "asked for its pages, the process dies"));
	free(text);
	explain_release(&explanation);
	trace_release(&trace);
}

static void what_shows_nothing_is_refused(void **state)
{
	struct diff_options options;
	struct explanation explanation;
	struct trace trace;

	diff_options_init(&options);
	load(&trace, "rmapfuzz trace 1\nmachine tiny\nmmap p0 w0 1 rw anon|fixed\n");
	assert_int_equal(explain(&trace, &options, &explanation), -ENOENT);
	trace_release(&trace);
}

/* A planted disagreement is about no page, and no design is to blame. */
static void a_canary_blames_nobody(void **state)
{
	struct diff_options options;
	struct explanation explanation;
	struct trace trace;
	char *text;

	diff_options_init(&options);
	options.canary = 1;
	load(&trace, "rmapfuzz trace 1\nmachine tiny\np1 = fork p0\n");
	assert_int_equal(explain(&trace, &options, &explanation), 0);
	assert_false(explanation.has_page);
	assert_false(explanation.departure.found);
	text = story(&explanation, &trace);
	assert_non_null(strstr(text, "about no page in particular"));
	assert_non_null(strstr(text, "each backend knew exactly"));
	free(text);
	explain_release(&explanation);
	trace_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_story_of_a_page),
		cmocka_unit_test(who_cannot_be_asked_is_named),
		cmocka_unit_test(what_shows_nothing_is_refused),
		cmocka_unit_test(a_canary_blames_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * minimize: planted faults in generated traces come down to a few plain ops that still show the
 * same finding, and no op of them can go. Minimizing is deterministic and idempotent, refuses what
 * shows nothing, and can be interrupted without losing what it has.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isolate.h"
#include "minimize.h"
#include "saboteur.h"

#define MAX_TRACES   4000
#define NR_TRACE_OPS 64
#define NR_FINDINGS  5 /* per base and fault */
#define RUNS_MAX     20000

/* ---- a faulty design and a trace that shows it -------------------------------------------- */

struct bench {
	struct saboteur saboteur;
	const struct rmap_ops *base;
	enum sabotage kind;
	struct minimize_options options;
	struct trace trace;
	uint64_t seed;
};

static void bench_init(struct bench *bench, const char *base, enum sabotage kind)
{
	memset(bench, 0, sizeof(*bench));
	bench->base = rmap_find(base);
	bench->kind = kind;
	minimize_options_init(&bench->options);
	bench->options.diff.backends[0] = rmap_find("scan");
	bench->options.diff.backends[1] = &bench->saboteur.ops;
	bench->options.diff.nr_backends = 2;
	trace_init(&bench->trace, &machine_presets[0].config);
}

/* Run TRACE. A saboteur has room for few machines: each run gets a fresh one. */
static bool shows(struct bench *bench, const struct trace *trace, struct finding *finding)
{
	struct diff *diff;
	int found;

	saboteur_init(&bench->saboteur, bench->base, bench->kind);
	diff = diff_create(&bench->options.diff);
	found = diff_run(diff, trace, finding);
	diff_destroy(diff);
	return found;
}

static int bench_minimize(struct bench *bench, struct trace *trace, struct minimize_report *report)
{
	saboteur_init(&bench->saboteur, bench->base, bench->kind);
	return minimize(trace, &bench->options, report);
}

/* The next generated trace that shows something, from all machines in turn. */
static void bench_next(struct bench *bench, struct finding *finding)
{
	const struct generate_options how = {
		.nr_ops = NR_TRACE_OPS,
		.faults = bench->kind == SABOTAGE_LEAK,
	};
	uint32_t nr_presets = 0;

	do /* there is a first one, the default */
		nr_presets++;
	while (machine_presets[nr_presets].name);
	do {
		assert_true(++bench->seed < MAX_TRACES);
		generate_trace(&bench->trace, &machine_presets[bench->seed % nr_presets].config,
			       bench->seed, &how);
	} while (!shows(bench, &bench->trace, finding));
}

static void bench_release(struct bench *bench)
{
	trace_release(&bench->trace);
}

static char *text_of(const struct trace *trace)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	trace_print(trace, out);
	fclose(out);
	return text;
}

/* ---- what must hold of a minimized trace ----------------------------------------------------- */

static void still_shows(struct bench *bench, const struct trace *trace, const char *signature)
{
	struct finding finding;

	assert_true(shows(bench, trace, &finding));
	assert_string_equal(finding.signature, signature);
}

/* Independently of minimize(): a trace with one op less, built by trace_add(), does not show it. */
static void no_op_can_go(struct bench *bench, const struct trace *trace, const char *signature)
{
	struct trace less = {0};
	struct finding finding;

	for (uint32_t left_out = 0; left_out < trace->nr_ops; left_out++) {
		trace_init(&less, &trace->config);
		for (uint32_t i = 0; i < trace->nr_ops; i++) {
			if (i != left_out)
				assert_int_equal(trace_add(&less, &trace->ops[i]), 0);
		}
		if (shows(bench, &less, &finding))
			assert_string_not_equal(finding.signature, signature);
	}
	trace_release(&less);
}

/* Through text and back it is the same, and minimized again too. */
static void stays_the_same(struct bench *bench, const struct trace *trace)
{
	char *text = text_of(trace), *again, error[256];
	struct minimize_report report;
	struct trace copy = {0};

	trace_init(&copy, &machine_presets[0].config);
	assert_int_equal(trace_parse(&copy, text, strlen(text), error, sizeof(error)), 0);
	assert_int_equal(bench_minimize(bench, &copy, &report), 0);
	assert_true(report.certified);
	assert_int_equal(report.ops_before, report.ops_after);
	again = text_of(&copy);
	assert_string_equal(again, text);
	trace_release(&copy);
	free(again);
	free(text);
}

/* The same input gives the same output and takes the same runs. */
static void repeats(struct bench *bench, const struct trace *input, const struct trace *output,
		    const struct minimize_report *report)
{
	char *text = text_of(output), *again;
	struct minimize_report second;
	struct trace copy = {0};

	assert_int_equal(trace_copy(&copy, input), 0);
	assert_int_equal(bench_minimize(bench, &copy, &second), 0);
	assert_int_equal(second.runs, report->runs);
	again = text_of(&copy);
	assert_string_equal(again, text);
	trace_release(&copy);
	free(again);
	free(text);
}

/* Returns how many ops are left. */
static uint32_t minimizes(struct bench *bench, uint32_t ops_max)
{
	uint32_t left;
	struct minimize_report report;
	struct trace input = {0};
	struct finding finding;

	bench_next(bench, &finding);
	assert_int_equal(trace_copy(&input, &bench->trace), 0);
	assert_int_equal(bench_minimize(bench, &bench->trace, &report), 0);
	assert_string_equal(report.signature, finding.signature);
	assert_true(report.certified);
	assert_int_equal(report.ops_before, input.nr_ops);
	assert_int_equal(report.ops_after, bench->trace.nr_ops);
	left = report.ops_after;
	if (left > 2 * ops_max || report.runs > RUNS_MAX)
		fail_msg("%s, seed %u: %u ops are left after %u runs", bench->saboteur.name,
			 (unsigned int)bench->seed, report.ops_after, (unsigned int)report.runs);
	still_shows(bench, &bench->trace, finding.signature);
	no_op_can_go(bench, &bench->trace, finding.signature);
	stays_the_same(bench, &bench->trace);
	repeats(bench, &input, &bench->trace, &report);
	trace_release(&input);
	return left;
}

/* No op can go, and yet one finding of five may be left with more ops than the shortest that shows
 * it. */
static void on_bases(enum sabotage kind, uint32_t ops_max)
{
	static const char *const bases[] = {"pte_chain", "anon_vma"};

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		struct bench bench;
		uint32_t longer = 0;

		bench_init(&bench, bases[i], kind);
		for (int n = 0; n < NR_FINDINGS; n++)
			longer += minimizes(&bench, ops_max) > ops_max;
		assert_true(longer <= 1);
		bench_release(&bench);
	}
}

/* ---- planted faults, and two ops more than the shortest traces that show them ------------------
 */

/* mmap 4 pages populate, evict the fourth */
static void forgetting_takes_few_ops(void **state)
{
	on_bases(SABOTAGE_FORGET, 2 + 2);
}

/* mmap 2 pages populate, evict, evict */
static void visiting_twice_takes_few_ops(void **state)
{
	on_bases(SABOTAGE_TWICE, 3 + 2);
}

/* mmap populate, fork, write, evict */
static void showing_stale_takes_few_ops(void **state)
{
	on_bases(SABOTAGE_STALE, 4 + 2);
}

/* mmap, write (fail_meta: 2) */
static void leaking_takes_few_ops(void **state)
{
	on_bases(SABOTAGE_LEAK, 2 + 2);
}

/* ---- plain ----------------------------------------------------------------------------------- */

static void minimized_is(struct bench *bench, const char *input, const char *expected)
{
	struct minimize_report report;
	char error[256], *text;

	assert_int_equal(trace_parse(&bench->trace, input, strlen(input), error, sizeof(error)), 0);
	assert_int_equal(bench_minimize(bench, &bench->trace, &report), 0);
	text = text_of(&bench->trace);
	assert_string_equal(text, expected);
	free(text);
	trace_clear(&bench->trace);
}

/* Everything that can be odd about a trace, and has nothing to do with the finding. */
static void what_is_odd_becomes_plain(void **state)
{
	struct bench bench;

	bench_init(&bench, "anon_vma", SABOTAGE_FORGET);
	minimized_is(&bench,
		     "rmapfuzz trace 1\n"
		     "machine 64g era=2.6.6 swap=77\n"
		     "p9 = fork p0\n"
		     "r7 = mmap p9 - 100 rwx anon|locked|noreserve\n"
		     "read p9 r7+70\n"
		     "madvise p9 r7+90 3 random\n"
		     "brk p9 0x08100000\n"
		     "write p9 r7+72 (fail_nth: 9)\n"
		     "swapout p9 r7+3 (reclaim_nth: 5)\n",
		     "rmapfuzz trace 1\n"
		     "machine tiny\n"
		     "mmap p0 w0 4 rw anon|fixed|populate\n"
		     "swapout p0 w3\n");
	bench_release(&bench);
}

/* A finding that depends on nothing but the number of ops before it. */
static void a_canary_keeps_its_place(void **state)
{
	const struct generate_options how = {.nr_ops = NR_TRACE_OPS, .faults = true};
	struct minimize_report report;
	struct trace trace = {0};

	trace_init(&trace, &machine_presets[0].config);
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct minimize_options options;

		minimize_options_init(&options);
		options.diff.canary = (uint32_t)seed;
		generate_trace(&trace, &machine_presets[1].config, seed, &how);
		assert_int_equal(minimize(&trace, &options, &report), 0);
		assert_true(report.certified);
		assert_int_equal(trace.nr_ops, seed);
	}
	trace_release(&trace);
}

/* ---- recounts and processes -------------------------------------------------------------------
 */

/* A design that is content until there is a second process. */
static const char *no_company(struct machine *machine)
{
	struct mm_list *mms = machine_mms(machine);
	struct mm *first = TAILQ_FIRST(mms);

	return first && TAILQ_NEXT(first, link) ? "is not alone" : NULL;
}

/* The first generated trace that shows what OPTIONS ask for, minimized. */
static void minimize_some(struct trace *trace, const struct minimize_options *options,
			  struct minimize_report *report)
{
	const struct generate_options how = {.nr_ops = 30};
	uint64_t seed = 0;
	int err;

	do {
		assert_in_range(++seed, 1, 20);
		generate_trace(trace, &machine_presets[0].config, seed, &how);
		err = minimize(trace, options, report);
	} while (err == -ENOENT);
	assert_int_equal(err, 0);
}

/* Nothing is needed to get as far as the next recount. */
static void recounts_need_no_padding(void **state)
{
	struct rmap_ops lonely = *rmap_find("scan");
	struct minimize_options options;
	struct minimize_report report;
	struct trace trace = {0};

	lonely.name = "lonely";
	lonely.check = no_company;
	minimize_options_init(&options);
	options.diff.backends[0] = &lonely;
	options.diff.nr_backends = 1;
	trace_init(&trace, &machine_presets[0].config);
	minimize_some(&trace, &options, &report);
	assert_int_equal(report.check_every, 1);
	assert_string_equal(report.signature, "structure:fork:lonely:is-not-alone");
	assert_int_equal(trace.nr_ops, 1);
	/* Who asks for a signature gets that one, at the price of ops. */
	options.signature = "structure:end:lonely:is-not-alone";
	options.diff.check_every = 0;
	minimize_some(&trace, &options, &report);
	assert_int_equal(report.check_every, 0);
	assert_string_equal(report.signature, options.signature);
	trace_release(&trace);
}

/* A design whose process dies when a page gets its second mapping. */
static int die_of_sharing(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			  struct ptep pte)
{
	if (page->mapcount == 1)
		abort();
	return 0;
}

/* One process after the other says the same as one for each trace. */
static void a_worker_is_as_good_as_many(void **state)
{
	const struct generate_options how = {.nr_ops = NR_TRACE_OPS};
	struct rmap_ops fragile = *rmap_find("scan");
	struct diff_options options;
	struct trace trace = {0};
	struct worker *worker;
	struct diff *diff;
	uint32_t deaths = 0;

	fragile.name = "fragile";
	fragile.add = die_of_sharing;
	diff_options_init(&options);
	options.backends[0] = &fragile;
	options.nr_backends = 1;
	options.canary = 60;
	diff = diff_create(&options);
	worker = worker_create(diff, NR_TRACE_OPS);
	assert_non_null(worker);
	trace_init(&trace, &machine_presets[0].config);
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct finding one = {0}, other = {0};

		generate_trace(&trace, &machine_presets[0].config, seed, &how);
		if (seed % 4 == 0)
			trace.nr_ops = 2; /* too few for either */
		assert_int_equal(worker_run(worker, &trace, 0, &one),
				 isolated_run(diff, &trace, &other));
		assert_string_equal(one.signature, other.signature);
		assert_int_equal(one.op_index, other.op_index);
		deaths += one.check == CHECK_CRASH && one.signature[0];
	}
	assert_in_range(deaths, 5, 15);
	generate_trace(&trace, &machine_presets[0].config, 1,
		       &(struct generate_options){.nr_ops = NR_TRACE_OPS + 1});
	assert_int_equal(worker_run(worker, &trace, 0, &(struct finding){0}), -EINVAL);
	worker_destroy(worker);
	diff_destroy(diff);
	trace_release(&trace);
}

/* ---- refusals and interruption ------------------------------------------------------------------
 */

static void what_shows_nothing_is_refused(void **state)
{
	const struct generate_options how = {.nr_ops = NR_TRACE_OPS};
	struct minimize_options options;
	struct minimize_report report;
	struct trace trace = {0};
	char *before, *after;

	minimize_options_init(&options);
	trace_init(&trace, &machine_presets[0].config);
	generate_trace(&trace, &machine_presets[0].config, 1, &how);
	before = text_of(&trace);
	assert_int_equal(minimize(&trace, &options, &report), -ENOENT);
	/* Something is shown, but not what was asked for. */
	options.diff.canary = 3;
	options.signature = "empty:end:scan:nothing-of-the-kind";
	assert_int_equal(minimize(&trace, &options, &report), -ENOENT);
	after = text_of(&trace);
	assert_string_equal(before, after);
	options.diff.nr_backends = 0;
	assert_int_equal(minimize(&trace, &options, &report), -EINVAL);
	trace_release(&trace);
	free(before);
	free(after);
}

struct interruption {
	volatile sig_atomic_t stop;
	uint64_t after; /* runs */
};

static void interrupt(const struct minimize_report *report, void *arg)
{
	struct interruption *interruption = arg;

	interruption->stop = report->runs >= interruption->after;
}

/* Whenever the interrupt comes, what is kept shows the finding and is no longer than before. */
static void an_interrupt_keeps_the_best(void **state)
{
	struct interruption interruption = {0};
	struct minimize_report report;
	struct finding finding;
	struct trace input = {0};
	struct bench bench;
	uint32_t ops = NR_TRACE_OPS;
	uint64_t runs;

	bench_init(&bench, "pte_chain", SABOTAGE_FORGET);
	bench_next(&bench, &finding);
	assert_int_equal(trace_copy(&input, &bench.trace), 0);
	bench.options.arg = &interruption;
	bench.options.stop = &interruption.stop;
	bench.options.progress = NULL;
	assert_int_equal(bench_minimize(&bench, &bench.trace, &report), 0);
	runs = report.runs;
	bench.options.progress = interrupt;
	for (interruption.after = 1; interruption.after < runs; interruption.after += 7) {
		interruption.stop = 0;
		assert_int_equal(trace_copy(&bench.trace, &input), 0);
		assert_int_equal(bench_minimize(&bench, &bench.trace, &report), 0);
		assert_false(report.certified);
		assert_true(bench.trace.nr_ops <= ops);
		assert_int_equal(report.ops_after, bench.trace.nr_ops);
		ops = bench.trace.nr_ops;
		still_shows(&bench, &bench.trace, finding.signature);
	}
	assert_true(ops < NR_TRACE_OPS);
	trace_release(&input);
	bench_release(&bench);
}

/* ---- printing -----------------------------------------------------------------------------------
 */

/* The comments tell what was done, and the whole is a trace. */
static void the_output_is_a_trace(void **state)
{
	struct minimize_report report;
	struct finding finding;
	struct trace parsed = {0};
	struct bench bench;
	char *text = NULL, error[256], expected[256];
	size_t size = 0;
	FILE *out;

	bench_init(&bench, "pte_chain", SABOTAGE_TWICE);
	bench_next(&bench, &finding);
	assert_int_equal(bench_minimize(&bench, &bench.trace, &report), 0);
	out = open_memstream(&text, &size);
	assert_non_null(out);
	minimize_print(&bench.trace, &report, out);
	fclose(out);
	snprintf(
		expected, sizeof(expected),
		"# signature: %s\n# minimized from %u to %u ops in %u runs; 1-minimal, certified\n",
		finding.signature, report.ops_before, bench.trace.nr_ops,
		(unsigned int)report.runs);
	assert_memory_equal(text, expected, strlen(expected));
	trace_init(&parsed, &machine_presets[0].config);
	assert_int_equal(trace_parse(&parsed, text, size, error, sizeof(error)), 0);
	assert_int_equal(parsed.nr_ops, bench.trace.nr_ops);
	free(text);
	trace_release(&parsed);
	bench_release(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forgetting_takes_few_ops),
		cmocka_unit_test(visiting_twice_takes_few_ops),
		cmocka_unit_test(showing_stale_takes_few_ops),
		cmocka_unit_test(leaking_takes_few_ops),
		cmocka_unit_test(what_is_odd_becomes_plain),
		cmocka_unit_test(a_canary_keeps_its_place),
		cmocka_unit_test(recounts_need_no_padding),
		cmocka_unit_test(a_worker_is_as_good_as_many),
		cmocka_unit_test(what_shows_nothing_is_refused),
		cmocka_unit_test(an_interrupt_keeps_the_best),
		cmocka_unit_test(the_output_is_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The sweep over allocations: every trace of the corpus' seeds survives each of its allocations
 * failing, and a design that leaks when one fails is caught by a trace that replays.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failsweep.h"
#include "saboteur.h"

struct sweep {
	struct diff_options options;
	struct diff *diff;
	struct trace trace, failing;
	struct failsweep_stats stats;
	struct finding finding;
};

static struct sweep *sweep_new(void)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	assert_non_null(sweep);
	diff_options_init(&sweep->options);
	trace_init(&sweep->trace, &machine_presets[0].config);
	trace_init(&sweep->failing, &machine_presets[0].config);
	return sweep;
}

static void sweep_free(struct sweep *sweep)
{
	diff_destroy(sweep->diff);
	trace_release(&sweep->trace);
	trace_release(&sweep->failing);
	free(sweep);
}

static int sweep_run(struct sweep *sweep)
{
	if (!sweep->diff)
		sweep->diff = diff_create(&sweep->options);
	return failsweep(sweep->diff, &sweep->trace, &sweep->stats, &sweep->failing,
			 &sweep->finding);
}

static void parse(struct sweep *sweep, const char *text)
{
	char error[128];

	trace_clear(&sweep->trace);
	if (trace_parse(&sweep->trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s", error);
}

static void load(struct sweep *sweep, const char *path)
{
	char error[128], *text;
	size_t size;
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	text = malloc(TRACE_TEXT_MAX);
	assert_non_null(text);
	size = fread(text, 1, TRACE_TEXT_MAX, in);
	fclose(in);
	trace_clear(&sweep->trace);
	if (trace_parse(&sweep->trace, text, size, error, sizeof(error)))
		fail_msg("%s:%s", path, error);
	free(text);
}

/* ---- clean ---------------------------------------------------------------------------------- */

static void seeds_survive_every_failure(void **state)
{
	struct sweep *sweep = sweep_new();
	glob_t files;

	assert_int_equal(glob(SOURCE_DIR "/corpus/seed/*.trace", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		load(sweep, files.gl_pathv[i]);
		if (!sweep_run(sweep))
			continue;
		finding_print(&sweep->finding, &sweep->failing, stderr);
		fail_msg("%s: %s", files.gl_pathv[i], sweep->finding.signature);
	}
	assert_true(sweep->stats.engine > 100);
	assert_true(sweep->stats.meta > 10);
	globfree(&files);
	sweep_free(sweep);
}

static void generated_traces_survive_every_failure(void **state)
{
	struct sweep *sweep = sweep_new();

	for (uint64_t seed = 1; seed <= 20; seed++) {
		const struct generate_options how = {.nr_ops = 24, .faults = seed & 1};

		generate_trace(&sweep->trace, &machine_presets[0].config, seed, &how);
		if (!sweep_run(sweep))
			continue;
		finding_print(&sweep->finding, &sweep->failing, stderr);
		fail_msg("seed %u: %s", (unsigned int)seed, sweep->finding.signature);
	}
	sweep_free(sweep);
}

/* ---- the number of runs --------------------------------------------------------------------- */

/* Run TEXT on BACKEND alone with OPS[at] told to fail at K; did that happen? */
static bool happens(const struct sweep *sweep, struct machine *machine, uint32_t at, uint32_t k,
		    bool meta)
{
	uint32_t failed = 0;

	machine_reset(machine);
	for (uint32_t i = 0; i <= at; i++) {
		struct op op = sweep->trace.ops[i];
		struct result result;

		if (i == at && meta)
			op.fail_meta = (uint16_t)k;
		else if (i == at)
			op.fail_nth = (uint16_t)k;
		machine_apply(machine, &op, &result);
		failed = meta ? machine_last_op(machine)->meta_allocs
			      : machine_last_op(machine)->allocs;
	}
	return failed >= k;
}

/* Each allocation of each op is failed, and no other: counted by hand, with one machine. */
static void each_allocation_has_its_run(void **state)
{
	static const char text[] = "rmapfuzz trace 1\n"
				   "mmap p0 w0 4 rw anon|fixed\n"
				   "write p0 w0\n"
				   "write p0 w1\n"
				   "p1 = fork p0\n"
				   "write p1 w0\n"
				   "mprotect p1 w1 1 r\n"
				   "swapout p0 w1\n"
				   "read p1 w1\n";
	struct sweep *sweep = sweep_new();
	struct machine *machine;
	uint64_t engine = 0, meta = 0;

	parse(sweep, text);
	sweep->options.backends[0] = rmap_find("pte_chain");
	sweep->options.nr_backends = 1;
	assert_int_equal(sweep_run(sweep), 0);
	machine = machine_create(&sweep->trace.config, rmap_find("pte_chain"));
	for (uint32_t i = 0; i < sweep->trace.nr_ops; i++) {
		for (uint32_t k = 1; happens(sweep, machine, i, k, false); k++)
			engine++;
		for (uint32_t k = 1; happens(sweep, machine, i, k, true); k++)
			meta++;
	}
	machine_destroy(machine);
	assert_true(engine > 10);
	assert_true(meta > 0);
	assert_int_equal(sweep->stats.engine, engine);
	assert_int_equal(sweep->stats.meta, meta);
	/* And each once more with all later ones. */
	assert_true(sweep->stats.later >= engine + meta);
	assert_true(sweep->stats.runs > 2 * (engine + meta));
	sweep_free(sweep);
}

/* What reclaim swaps out of two tmpfs files, if LINE is the reclaim; each needs an allocation. */
static uint64_t swapouts(const struct rmap_ops *rmap, const char *line)
{
	struct machine *machine = machine_create(&machine_presets[0].config, rmap);
	struct sweep *sweep = sweep_new();
	struct machine_stats stats;
	char text[128];

	snprintf(text, sizeof(text), "rmapfuzz trace 1\nfwrite f1 0\nfwrite f3 0\n%s\n", line);
	parse(sweep, text);
	for (uint32_t i = 0; i < sweep->trace.nr_ops; i++) {
		struct result result;

		machine_apply(machine, &sweep->trace.ops[i], &result);
	}
	machine_stats(machine, &stats);
	machine_destroy(machine);
	sweep_free(sweep);
	return stats.swapouts;
}

/* Reclaim tries again what failed once; what fails from then on stays where it is. */
static void later_ones_fail_too(void **state)
{
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		assert_int_equal(swapouts(rmap_backends[i], "reclaim 64"), 2);
		assert_int_equal(swapouts(rmap_backends[i], "reclaim 64 (fail_nth: 1)"), 2);
		assert_int_equal(swapouts(rmap_backends[i], "reclaim 64 (fail_from: 1)"), 0);
		assert_int_equal(swapouts(rmap_backends[i], "reclaim 64 (fail_from: 2)"), 1);
	}
}

/* A failure that the trace has itself gives way while its op has its turn, and only then. */
static void own_failures_are_swept_too(void **state)
{
	struct sweep *plain = sweep_new(), *own = sweep_new();

	parse(plain, "rmapfuzz trace 1\nmmap p0 w0 4 rw anon|fixed\nwrite p0 w0\n");
	parse(own, "rmapfuzz trace 1\nmmap p0 w0 4 rw anon|fixed\nwrite p0 w0 (fail_nth: 1)\n");
	assert_int_equal(sweep_run(plain), 0);
	assert_int_equal(sweep_run(own), 0);
	assert_int_equal(own->stats.engine, plain->stats.engine);
	assert_int_equal(own->stats.meta, plain->stats.meta);
	sweep_free(plain);
	sweep_free(own);
}

/* ---- findings ------------------------------------------------------------------------------- */

/* The leaking wrapper takes two objects for each mapping; the first is lost if the second fails. */
static void a_leak_is_caught(void **state)
{
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		struct saboteur *saboteur = calloc(1, sizeof(*saboteur));
		struct sweep *sweep = sweep_new();
		struct finding again;

		assert_non_null(saboteur);
		saboteur_init(saboteur, rmap_backends[i], SABOTAGE_LEAK);
		sweep->options.backends[0] = rmap_find("scan");
		sweep->options.backends[1] = &saboteur->ops;
		sweep->options.nr_backends = 2;
		parse(sweep, "rmapfuzz trace 1\nmmap p0 w0 4 rw anon|fixed\nread p0 w0\n"
			     "write p0 w1\n");
		assert_int_equal(sweep_run(sweep), 1);
		assert_int_equal(sweep->finding.check, CHECK_EMPTY);
		assert_string_equal(sweep->finding.subject, saboteur->name);

		/* The failing trace is the trace with one property more, and replays. */
		assert_int_equal(sweep->failing.nr_ops, sweep->trace.nr_ops);
		assert_true(sweep->failing.ops[2].fail_meta > 0);
		assert_int_equal(sweep->failing.ops[1].fail_meta, 0);
		assert_int_equal(diff_run(sweep->diff, &sweep->failing, &again), 1);
		assert_string_equal(again.signature, sweep->finding.signature);
		assert_int_equal(diff_run(sweep->diff, &sweep->trace, &again), 0);
		sweep_free(sweep);
		free(saboteur);
	}
}

/* A finding that needs no failure is reported as such: the trace is as it was. */
static void an_old_finding_is_found_first(void **state)
{
	struct sweep *sweep = sweep_new();

	sweep->options.canary = 2;
	parse(sweep, "rmapfuzz trace 1\nmmap p0 w0 4 rw anon|fixed\nwrite p0 w0\n");
	assert_int_equal(sweep_run(sweep), 1);
	assert_int_equal(sweep->finding.check, CHECK_CANARY);
	assert_int_equal(sweep->stats.runs, 1);
	assert_memory_equal(sweep->failing.ops, sweep->trace.ops, 2 * sizeof(struct op));
	sweep_free(sweep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seeds_survive_every_failure),
		cmocka_unit_test(generated_traces_survive_every_failure),
		cmocka_unit_test(each_allocation_has_its_run),
		cmocka_unit_test(later_ones_fail_too),
		cmocka_unit_test(own_failures_are_swept_too),
		cmocka_unit_test(a_leak_is_caught),
		cmocka_unit_test(an_old_finding_is_found_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

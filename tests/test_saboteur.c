/*
 * The tester is tested: each kind of faulty design, made of each true one, must be found by the
 * lockstep within a thousand generated traces, and the finding must name it and the op. The same
 * wrapper without a fault must not be found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "saboteur.h"

#define MAX_TRACES   1000
#define CLEAN_TRACES 100
#define NR_TRACE_OPS 64

struct hunt {
	struct saboteur saboteur;
	struct diff *diff;
	struct trace trace;
	struct finding finding;
	bool faults;
};

static struct hunt *hunt_begin(const struct rmap_ops *base, enum sabotage kind)
{
	struct hunt *hunt = calloc(1, sizeof(*hunt));
	struct diff_options options;

	assert_non_null(hunt);
	saboteur_init(&hunt->saboteur, base, kind);
	diff_options_init(&options);
	options.backends[0] = rmap_find("scan");
	options.backends[1] = &hunt->saboteur.ops;
	options.nr_backends = 2;
	hunt->diff = diff_create(&options);
	trace_init(&hunt->trace, &machine_presets[0].config);
	hunt->faults = kind == SABOTAGE_LEAK || kind == SABOTAGE_NONE;
	return hunt;
}

static void hunt_end(struct hunt *hunt)
{
	diff_destroy(hunt->diff);
	trace_release(&hunt->trace);
	free(hunt);
}

/* How many traces, from seed 1 on, until something is found; 0: nothing in MAX of them. */
static uint32_t hunt_for(struct hunt *hunt, uint32_t max)
{
	const struct generate_options how = {.nr_ops = NR_TRACE_OPS, .faults = hunt->faults};

	for (uint32_t seed = 1; seed <= max; seed++) {
		generate_trace(&hunt->trace, &machine_presets[0].config, seed, &how);
		if (diff_run(hunt->diff, &hunt->trace, &hunt->finding))
			return seed;
	}
	return 0;
}

/* The op that a finding names is the trace's op at that place, or the end. */
static void op_is_right(const struct hunt *hunt)
{
	const struct finding *finding = &hunt->finding;

	if (finding->op_index == hunt->trace.nr_ops) {
		assert_int_equal(finding->op, NR_OPS);
		return;
	}
	assert_in_range(finding->op_index, 0, hunt->trace.nr_ops - 1);
	assert_int_equal(finding->op, hunt->trace.ops[finding->op_index].code);
}

typedef void judge_fn(const struct hunt *hunt, uint32_t traces);

static void on_each_base(enum sabotage kind, uint32_t max, judge_fn *judge)
{
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		struct hunt *hunt = hunt_begin(rmap_backends[i], kind);
		uint32_t traces = hunt_for(hunt, max);

		judge(hunt, traces);
		hunt_end(hunt);
	}
}

static void caught(const struct hunt *hunt, uint32_t traces)
{
	if (!traces)
		fail_msg("%s was not caught in %d traces", hunt->saboteur.name, MAX_TRACES);
	print_message("%s: caught in trace %u: %s\n", hunt->saboteur.name, traces,
		      hunt->finding.signature);
	assert_string_equal(hunt->finding.subject, hunt->saboteur.name);
	assert_non_null(strstr(hunt->finding.signature, hunt->saboteur.name));
	op_is_right(hunt);
}

/* A wrong walk shows at an op that walks, in what the walk showed or in what came of it. */
static void caught_in_a_walk(const struct hunt *hunt, uint32_t traces)
{
	caught(hunt, traces);
	assert_true(hunt->finding.op_index < hunt->trace.nr_ops);
	assert_true(hunt->finding.check == CHECK_UNMAPPED || hunt->finding.check == CHECK_RESULT ||
		    hunt->finding.check == CHECK_SETS);
}

static void caught_leaking(const struct hunt *hunt, uint32_t traces)
{
	caught(hunt, traces);
	assert_int_equal(hunt->finding.check, CHECK_EMPTY);
}

static void not_caught(const struct hunt *hunt, uint32_t traces)
{
	if (traces)
		fail_msg("%s: seed %u: %s: %s", hunt->saboteur.name, traces,
			 hunt->finding.signature, hunt->finding.message);
}

static void forgetting_is_caught(void **state)
{
	on_each_base(SABOTAGE_FORGET, MAX_TRACES, caught_in_a_walk);
}

static void visiting_twice_is_caught(void **state)
{
	on_each_base(SABOTAGE_TWICE, MAX_TRACES, caught_in_a_walk);
}

static void showing_stale_is_caught(void **state)
{
	on_each_base(SABOTAGE_STALE, MAX_TRACES, caught_in_a_walk);
}

static void leaking_is_caught(void **state)
{
	on_each_base(SABOTAGE_LEAK, MAX_TRACES, caught_leaking);
}

static void the_wrapper_itself_is_clean(void **state)
{
	on_each_base(SABOTAGE_NONE, CLEAN_TRACES, not_caught);
}

/* ---- what killed a design ----------------------------------------------------------------------
 */

/* Pages of both parts of a split area, one of which is the piece that was cut off. They are old, so
 * that the results are equal, and only the walks differ. */
#define SPLIT_AND_LOOK                                                                             \
	"rmapfuzz trace 1\n"                                                                       \
	"mmap p0 w0 4 rw anon|fixed\n"                                                             \
	"write p0 w0\n"                                                                            \
	"write p0 w3\n"                                                                            \
	"age p0 w0\n"                                                                              \
	"age p0 w3\n"                                                                              \
	"mprotect p0 w2 2 r\n"                                                                     \
	"age p0 w0\n"                                                                              \
	"age p0 w3\n"

/* Run SPLIT_AND_LOOK beside scan, with a recount after every CHECK_EVERY ops. */
static void split_on(const struct rmap_ops *ops, uint32_t check_every, const char *signature)
{
	struct diff_options options;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;
	char error[160];
	int found;

	diff_options_init(&options);
	options.backends[0] = rmap_find("scan");
	options.backends[1] = ops;
	options.nr_backends = 2;
	options.check_every = check_every;
	diff = diff_create(&options);
	trace_init(&trace, &machine_presets[0].config);
	assert_int_equal(
		trace_parse(&trace, SPLIT_AND_LOOK, strlen(SPLIT_AND_LOOK), error, sizeof(error)),
		0);
	found = diff_run(diff, &trace, &finding);
	assert_int_equal(found, signature != NULL);
	if (signature)
		assert_string_equal(finding.signature, signature);
	trace_release(&trace);
	diff_destroy(diff);
}

/* The posted design misses a page after a split: a walk shows it, and so do its own invariants.
 * With retargeting there is nothing to find. */
static void the_split_that_killed_a_design_is_caught(void **state)
{
	const struct rmap_ops *base = rmap_find("anon_vma_direct");
	struct saboteur saboteur;

	split_on(base, 1, NULL);
	saboteur_init(&saboteur, base, SABOTAGE_SPLIT);
	split_on(&saboteur.ops, 0, "unmapped:age:split-anon_vma_direct:missed");
	saboteur_init(&saboteur, base, SABOTAGE_SPLIT);
	split_on(&saboteur.ops, 1,
		 "structure:mprotect:split-anon_vma_direct:a-direct-page-is-mapped-in-the");
}

/* The same seed meets the same fault, in the same run and in another one. */
static void findings_repeat(void **state)
{
	char signature[SIGNATURE_MAX];
	uint32_t traces, op_index;
	struct hunt *hunt;

	hunt = hunt_begin(rmap_find("anon_vma"), SABOTAGE_TWICE);
	traces = hunt_for(hunt, MAX_TRACES);
	assert_int_not_equal(traces, 0);
	op_index = hunt->finding.op_index;
	memcpy(signature, hunt->finding.signature, sizeof(signature));
	for (int round = 0; round < 2; round++) {
		assert_int_equal(hunt_for(hunt, MAX_TRACES), traces);
		assert_int_equal(hunt->finding.op_index, op_index);
		assert_string_equal(hunt->finding.signature, signature);
		hunt_end(hunt);
		hunt = hunt_begin(rmap_find("anon_vma"), SABOTAGE_TWICE);
	}
	hunt_end(hunt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wrapper_itself_is_clean),
		cmocka_unit_test(forgetting_is_caught),
		cmocka_unit_test(visiting_twice_is_caught),
		cmocka_unit_test(showing_stale_is_caught),
		cmocka_unit_test(leaking_is_caught),
		cmocka_unit_test(the_split_that_killed_a_design_is_caught),
		cmocka_unit_test(findings_repeat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

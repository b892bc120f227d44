/*
 * Exhaustive search: small worlds are clean, the numbers of traces and states are as they were,
 * going on from equal states once loses none, and a planted fault is found by a shortest trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "enumerate.h"
#include "saboteur.h"

struct search {
	struct enumerate_options options;
	struct enumerate_level levels[ENUMERATE_DEPTH_MAX];
	uint32_t nr_levels;
	struct trace trace;
	struct finding finding;
};

static void keep_level(const struct enumerate_level *level, void *arg)
{
	struct search *search = arg;

	search->levels[search->nr_levels++] = *level;
}

static struct search *search_new(uint32_t depth, uint32_t procs, uint32_t pages)
{
	struct search *search = calloc(1, sizeof(*search));

	assert_non_null(search);
	enumerate_options_init(&search->options);
	search->options.depth = depth;
	search->options.procs = procs;
	search->options.pages = pages;
	search->options.level_done = keep_level;
	search->options.arg = search;
	trace_init(&search->trace, &search->options.config);
	return search;
}

static void search_free(struct search *search)
{
	trace_release(&search->trace);
	free(search);
}

static int search_run(struct search *search)
{
	search->nr_levels = 0;
	return enumerate(&search->options, &search->trace, &search->finding);
}

static void must_be_clean(struct search *search)
{
	if (!search_run(search))
		return;
	finding_print(&search->finding, &search->trace, stderr);
	fail_msg("%s", search->finding.signature);
}

static void only_backends(struct search *search, const char *const *names)
{
	struct diff_options *diff = &search->options.diff;

	diff->nr_backends = 0;
	for (; *names; names++) {
		const struct rmap_ops *rmap = rmap_find(*names);

		assert_non_null(rmap);
		diff->backends[diff->nr_backends++] = rmap;
	}
}

/* ---- clean, and complete ------------------------------------------------------------------ */

static void small_worlds_are_clean(void **state)
{
	static const struct {
		uint32_t depth, procs, pages;
	} worlds[] = {{3, 2, 3}, {3, 3, 2}, {5, 2, 1}, {0, 2, 3}, {2, 3, 4}};

	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		struct search *search =
			search_new(worlds[i].depth, worlds[i].procs, worlds[i].pages);

		must_be_clean(search);
		assert_int_equal(search->nr_levels, worlds[i].depth);
		search_free(search);
	}
}

static void every_machine_is_clean(void **state)
{
	for (const struct machine_preset *preset = machine_presets; preset->name; preset++) {
		struct search *search = search_new(2, 2, 2);

		search->options.config = preset->config;
		must_be_clean(search);
		search->options.config.era = ERA_2_6_6;
		must_be_clean(search);
		search_free(search);
	}
}

/*
 * These numbers change when the ops of the search, the engine's rules or what a state consists of
 * change; then look whether the change is meant, and put the new ones here.
 */
static void numbers_are_as_they_were(void **state)
{
	static const char *const names[] = {"scan",     "pte_chain", "objrmap", "anon_vma_direct",
					    "anon_vma", NULL};
	static const struct enumerate_level golden[] = {
		{1, 30, 14, 16, 44, 30},
		{2, 418, 127, 291, 1090, 898},
		{3, 4818, 1221, 3597, 18117, 28452},
	};
	struct search *search = search_new(3, 2, 2);

	only_backends(search, names);
	must_be_clean(search);
	assert_int_equal(search->nr_levels, 3);
	for (uint32_t i = 0; i < search->nr_levels; i++) {
		const struct enumerate_level *level = &search->levels[i];

		assert_int_equal(level->depth, golden[i].depth);
		assert_int_equal(level->traces, golden[i].traces);
		assert_int_equal(level->states, golden[i].states);
		assert_int_equal(level->duplicates, golden[i].duplicates);
		assert_int_equal(level->ops, golden[i].ops);
		assert_int_equal(level->covered, golden[i].covered);
	}
	search_free(search);
}

/*
 * Without leaving out anything, the search runs as many traces as it says that the others stand
 * for, and meets the same number of states: equal states did go on equally.
 */
static void going_on_once_loses_no_state(void **state)
{
	bool wide = *state != NULL;
	struct search *all = search_new(3, 2, wide ? 1 : 2), *once = search_new(3, 2, wide ? 1 : 2);

	all->options.every_trace = true;
	all->options.wide = once->options.wide = wide;
	must_be_clean(all);
	must_be_clean(once);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(all->levels[i].states, once->levels[i].states);
		assert_int_equal(all->levels[i].traces, once->levels[i].covered);
		assert_int_equal(all->levels[i].covered, once->levels[i].covered);
		assert_true(all->levels[i].traces >= once->levels[i].traces);
	}
	search_free(all);
	search_free(once);
}

static void the_wide_set_is_clean(void **state)
{
	static const struct {
		uint32_t depth, procs, pages;
	} worlds[] = {{2, 2, 3}, {3, 2, 2}, {4, 2, 1}};

	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		struct search *search =
			search_new(worlds[i].depth, worlds[i].procs, worlds[i].pages);
		uint32_t plain = enumerate_ops(&search->options, &search->trace);

		search->options.wide = true;
		assert_true(enumerate_ops(&search->options, &search->trace) > plain);
		must_be_clean(search);
		search_free(search);
	}
}

/* One process and one page: sooner or later there is nothing new, and the search is over. */
static void a_tiny_world_ends(void **state)
{
	struct search *search = search_new(ENUMERATE_DEPTH_MAX, 1, 1);

	must_be_clean(search);
	assert_true(search->nr_levels < ENUMERATE_DEPTH_MAX);
	assert_int_equal(search->levels[search->nr_levels - 1].states, 0);
	search_free(search);
}

static void ops_are_a_trace(void **state)
{
	struct search *search = search_new(1, ENUMERATE_PROCS_MAX, ENUMERATE_PAGES_MAX);
	struct trace parsed = {0};
	char error[128], *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	uint32_t nr_ops = enumerate_ops(&search->options, &search->trace);

	assert_non_null(out);
	assert_int_equal(search->trace.nr_ops, nr_ops);
	trace_print(&search->trace, out);
	fclose(out);
	trace_init(&parsed, &search->options.config);
	if (trace_parse(&parsed, text, size, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(parsed.nr_ops, nr_ops);
	assert_memory_equal(parsed.ops, search->trace.ops, parsed.nr_ops * sizeof(*parsed.ops));
	trace_release(&parsed);
	free(text);
	search_free(search);
}

/* ---- findings ----------------------------------------------------------------------------- */

/* Search with a faulty anon_vma beside scan. The length of the trace that shows it; 0: none does.
 */
static uint32_t hunt(struct search *search, enum sabotage kind)
{
	struct saboteur *saboteur = calloc(1, sizeof(*saboteur));
	struct diff_options *diff = &search->options.diff;
	uint32_t found;

	assert_non_null(saboteur);
	saboteur_init(saboteur, rmap_find("anon_vma"), kind);
	diff->backends[0] = rmap_find("scan");
	diff->backends[1] = &saboteur->ops;
	diff->nr_backends = 2;
	found = search_run(search) ? search->trace.nr_ops : 0;
	if (found) {
		struct diff *replay = diff_create(diff);
		struct finding again;

		/* The trace that comes with a finding shows it by itself. */
		assert_int_equal(diff_run(replay, &search->trace, &again), 1);
		assert_string_equal(again.signature, search->finding.signature);
		assert_int_equal(again.op_index, search->finding.op_index);
		assert_non_null(strstr(again.signature, saboteur->name));
		diff_destroy(replay);
	}
	free(saboteur);
	return found;
}

/*
 * The saboteur forgets each fourth mapping, shows each third twice, or shows one that was removed
 * by a copy on write. None can do so in fewer ops: an area, mappings, and the walk.
 */
static void a_fault_is_found_by_a_shortest_trace(void **state)
{
	static const struct {
		enum sabotage kind;
		uint32_t pages, depth;
		const char *signature;
	} faults[] = {
		{SABOTAGE_TWICE, 1, 4, "unmapped:evict:twice-anon_vma:twice"},
		{SABOTAGE_STALE, 1, 5, "unmapped:evict:stale-anon_vma:stale"},
		{SABOTAGE_FORGET, 2, 5, "result:evict:forget-anon_vma:value"},
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct search *search = search_new(6, 2, faults[i].pages);

		assert_int_equal(hunt(search, faults[i].kind), faults[i].depth);
		assert_string_equal(search->finding.signature, faults[i].signature);
		search_free(search);
	}
}

/* One op less than it takes, and there is nothing. */
static void a_fault_needs_its_depth(void **state)
{
	struct search *search = search_new(3, 2, 1);

	assert_int_equal(hunt(search, SABOTAGE_TWICE), 0);
	search_free(search);
}

/* From a shared page on, a fault that takes four ops from boot takes one. */
static void a_search_begins_where_it_is_told(void **state)
{
	static const char text[] = "rmapfuzz trace 1\nmachine 1g\nmmap p0 w0 1 rw anon|fixed\n"
				   "write p0 w0\np1 = fork p0\n";
	struct search *search = search_new(2, 2, 1);
	struct trace after = {0};
	char error[128];

	trace_init(&after, &search->options.config);
	assert_int_equal(trace_parse(&after, text, strlen(text), error, sizeof(error)), 0);
	search->options.config = after.config;
	search->options.after = &after;
	must_be_clean(search);
	/* Both processes live, so only the one fork of each is left out. */
	assert_int_equal(search->levels[0].traces,
			 enumerate_ops(&search->options, &search->trace) - 2);
	assert_int_equal(hunt(search, SABOTAGE_TWICE), 4);
	assert_memory_equal(search->trace.ops, after.ops, after.nr_ops * sizeof(*after.ops));
	trace_release(&after);
	search_free(search);
}

static void the_wrapper_itself_is_clean(void **state)
{
	struct search *search = search_new(3, 2, 2);

	assert_int_equal(hunt(search, SABOTAGE_NONE), 0);
	search_free(search);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_worlds_are_clean),
		cmocka_unit_test(every_machine_is_clean),
		cmocka_unit_test(numbers_are_as_they_were),
		cmocka_unit_test(going_on_once_loses_no_state),
		cmocka_unit_test_prestate(going_on_once_loses_no_state, "wide"),
		cmocka_unit_test(the_wide_set_is_clean),
		cmocka_unit_test(a_tiny_world_ends),
		cmocka_unit_test(ops_are_a_trace),
		cmocka_unit_test(a_fault_is_found_by_a_shortest_trace),
		cmocka_unit_test(a_fault_needs_its_depth),
		cmocka_unit_test(a_search_begins_where_it_is_told),
		cmocka_unit_test(the_wrapper_itself_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

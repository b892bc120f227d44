/*
 * The canonical state of a machine: equal after traces that come to the same, different after those
 * that do not, whichever design keeps the reverse map.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state.h"

#define AREA "mmap p0 w0 4 rw anon|fixed\n"

/* The state of a machine of RMAP after OPS, in STATE. */
static void state_after(const struct rmap_ops *rmap, const char *ops, struct machine_state *state)
{
	struct machine *machine;
	struct trace trace = {0};
	char text[1024], error[128];

	snprintf(text, sizeof(text), "rmapfuzz trace 1\n%s", ops);
	trace_init(&trace, &machine_presets[0].config);
	if (trace_parse(&trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s in\n%s", error, text);
	machine = machine_create(&trace.config, rmap);
	for (uint32_t i = 0; i < trace.nr_ops; i++) {
		struct result result;

		machine_apply(machine, &trace.ops[i], &result);
	}
	machine_state_begin(state);
	machine_state_add(state, machine);
	machine_destroy(machine);
	trace_release(&trace);
}

static void compare(const char *a, const char *b, bool equal)
{
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		struct machine_state in_a = {0}, in_b = {0};

		state_after(rmap_backends[i], a, &in_a);
		state_after(rmap_backends[i], b, &in_b);
		if ((memcmp(in_a.hash, in_b.hash, sizeof(in_a.hash)) == 0) != equal)
			fail_msg("%s: the states are %s after\n%s-- and\n%s",
				 rmap_backends[i]->name, equal ? "different" : "equal", a, b);
		machine_state_release(&in_a);
		machine_state_release(&in_b);
	}
}

static void what_comes_to_the_same_is_equal(void **state)
{
	static const char *const pairs[][2] = {
		/* Nothing happened. */
		{"", "write p0 w0\n"},
		{"", AREA "munmap p0 w0 4\n"},
		{"", "p1 = fork p0\nexit p1\n"},
		/* Other contents, other frames. */
		{AREA "write p0 w0\n", AREA "write p0 w0\nwrite p0 w0\n"},
		{AREA "write p0 w0\nwrite p0 w1\n", AREA "write p0 w1\nwrite p0 w0\n"},
		{AREA "write p0 w0\n",
		 AREA "write p0 w1\nwrite p0 w0\nmunmap p0 w0 4\n" AREA "write p0 w0\n"},
		/* Other swap slots. */
		{AREA "write p0 w0\nwrite p0 w1\nswapout p0 w0\nswapout p0 w1\n",
		 AREA "write p0 w0\nwrite p0 w1\nswapout p0 w1\nswapout p0 w0\n"},
		/* Other serial numbers of shared memory. */
		{"mmap p0 w0 1 rw shared|anon|fixed\nwrite p0 w0\n",
		 "mmap p0 w0 1 rw shared|anon|fixed\nmmap p0 w0 1 rw shared|anon|fixed\n"
		 "write p0 w0\n"},
		/* What was cut has grown together. */
		{AREA, AREA "mprotect p0 w1 1 r\nmprotect p0 w1 1 rw\n"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		compare(pairs[i][0], pairs[i][1], true);
}

static void what_differs_is_different(void **state)
{
	static const char *const pairs[][2] = {
		{"", AREA},
		{AREA, "mmap p0 w0 4 r anon|fixed\n"},
		{AREA, "mmap p0 w0 4 rw shared|anon|fixed\n"},
		{AREA "read p0 w0\n", AREA "write p0 w0\n"},
		{AREA "write p0 w0\n", AREA "write p0 w1\n"},
		/* One page in two processes, and two pages. */
		{AREA "write p0 w0\np1 = fork p0\n",
		 AREA "write p0 w0\np1 = fork p0\nwrite p1 w0\n"},
		/* On disk and in the swap cache; only on disk. */
		{AREA "write p0 w0\nevict p0 w0\n", AREA "write p0 w0\nswapout p0 w0\n"},
		/* The same content in two slots, and in one. */
		{AREA "write p0 w0\nwrite p0 w1\nswapout p0 w0\n",
		 AREA "write p0 w0\nwrite p0 w1\nswapout p0 w1\n"},
		/* A file's cache, seen by no process. */
		{"", "fread f0 0\n"},
		{"fread f0 0\n", "fwrite f0 0\n"},
		{"fread f0 0\n", "fread f0 1\n"},
		{"", "truncate f0 3\n"},
		{"mmap p0 w0 1 rw shared|fixed f0 0\n", "mmap p0 w0 1 rw shared|fixed f0 1\n"},
		/* The child is another process. */
		{"p1 = fork p0\n", "p2 = fork p0\n"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		compare(pairs[i][0], pairs[i][1], false);
}

/* A chain that once had two entries stays one until page_referenced looks at it; a state tells. */
static void a_designs_past_counts(void **state)
{
	static const char fresh[] = AREA "write p0 w0\np1 = fork p0\nexit p1\nage p0 w0\n";
	static const char forked[] = AREA "write p0 w0\nage p0 w0\np1 = fork p0\nexit p1\n";
	const struct rmap_ops *chain = rmap_find("pte_chain"), *scan = rmap_find("scan");
	struct machine_state a = {0}, b = {0};

	state_after(chain, fresh, &a);
	state_after(chain, forked, &b);
	assert_memory_not_equal(a.hash, b.hash, sizeof(a.hash));
	state_after(scan, fresh, &a);
	state_after(scan, forked, &b);
	assert_memory_equal(a.hash, b.hash, sizeof(a.hash));
	machine_state_release(&a);
	machine_state_release(&b);
}

static void names_are_numbered_by_kind(void **state)
{
	struct machine_state a = {0}, b = {0};

	machine_state_begin(&a);
	assert_true(machine_state_name(&a, STATE_FRAME, 7));
	assert_true(machine_state_name(&a, STATE_SLOT, 7));
	assert_false(machine_state_name(&a, STATE_FRAME, 7));
	machine_state_begin(&b);
	assert_true(machine_state_name(&b, STATE_FRAME, 9));
	assert_true(machine_state_name(&b, STATE_SLOT, 3));
	assert_false(machine_state_name(&b, STATE_FRAME, 9));
	assert_memory_equal(a.hash, b.hash, sizeof(a.hash));
	/* Contents of the boot are themselves; what ops wrote is not. */
	machine_state_token(&a, token_write(3));
	machine_state_token(&b, token_write(4));
	assert_memory_equal(a.hash, b.hash, sizeof(a.hash));
	machine_state_token(&a, token_file(0, 1));
	machine_state_token(&b, token_file(0, 2));
	assert_memory_not_equal(a.hash, b.hash, sizeof(a.hash));
	machine_state_release(&a);
	machine_state_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_to_the_same_is_equal),
		cmocka_unit_test(what_differs_is_different),
		cmocka_unit_test(a_designs_past_counts),
		cmocka_unit_test(names_are_numbered_by_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

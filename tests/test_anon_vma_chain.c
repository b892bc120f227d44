/*
 * anon_vma_chain: which anon_vma a page is filed under, what walks cost, and the ways in which the
 * design went wrong in its time (order of chains, swap-in, reuse, growth without end).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "picture.h"

static void do_op(struct scene *s, const char *op)
{
	assert_int_equal(run(s, op), 0);
}

static void forked_once(struct scene *s)
{
	do_op(s, "mmap p0 w0 2 rw anon|fixed");
	do_op(s, "write p0 w0");
	do_op(s, "p1 = fork p0");
}

static void scene_filing(struct scene *s)
{
	forked_once(s);
	known_as(s, 1, 0, "a root anon_vma with links from 2 areas");
	do_op(s, "write p1 w0");
	known_as(s, 1, 0, "an anon_vma with links from 1 area");
	known_as(s, 0, 0, "a root anon_vma with links from 2 areas");
}

/* The first to fault a page back in must not claim it: its anon_vma may go with it. */
static void scene_swapin(struct scene *s)
{
	forked_once(s);
	assert_int_equal(run(s, "swapout p0 w0"), 0);
	do_op(s, "read p1 w0");
	known_as(s, 1, 0, "a root anon_vma");
	do_op(s, "read p0 w0");
	do_op(s, "exit p1");
	evicted(s, "evict p0 w0");
	do_op(s, "read p0 w0");
}

/* Who is found to be alone gets it filed under its own. */
static void scene_exclusive(struct scene *s)
{
	forked_once(s);
	do_op(s, "write p1 w0");
	assert_int_equal(run(s, "swapout p1 w0"), 0);
	do_op(s, "read p1 w0");
	known_as(s, 1, 0, "a root anon_vma");
	do_op(s, "write p1 w0");
	known_as(s, 1, 0, "an anon_vma with links from 1 area");
	evicted(s, "evict p1 w0");
}

/* Three generations: the chain keeps its order when it is cloned, and the root stays last. */
static void scene_generations(struct scene *s)
{
	forked_once(s);
	do_op(s, "p2 = fork p1");
	do_op(s, "write p2 w1");
	assert_int_equal(run(s, "swapout p0 w0"), 0);
	do_op(s, "read p2 w0");
	do_op(s, "read p0 w0");
	do_op(s, "exit p2");
	do_op(s, "exit p1");
	evicted(s, "evict p0 w0");
}

/* An own anon_vma of a whole line of descendants that is gone is used again: memory is bounded. */
static void scene_bounded(struct scene *s)
{
	uint64_t early = 0;
	char op[32];

	forked_once(s);
	for (int i = 1; i < 200; i++) {
		snprintf(op, sizeof(op), "p%d = fork p%d", i % 2 + 1, (i + 1) % 2 + 1);
		do_op(s, op);
		snprintf(op, sizeof(op), "write p%d w1", i % 2 + 1);
		do_op(s, op);
		snprintf(op, sizeof(op), "exit p%d", (i + 1) % 2 + 1);
		do_op(s, op);
		if (i == 20)
			early = meta_bytes(s);
	}
	assert_true(early > 0);
	assert_int_equal(meta_bytes(s), early);
}

/* Siblings' private pages: looked for in one area, where anon_vma looks in all. */
static uint64_t siblings_cost(struct scene *s)
{
	char op[32];

	do_op(s, "mmap p0 w0 1 rw anon|fixed");
	do_op(s, "write p0 w0");
	for (int i = 1; i < 20; i++) {
		snprintf(op, sizeof(op), "p%d = fork p0", i);
		do_op(s, op);
		snprintf(op, sizeof(op), "write p%d w0", i);
		do_op(s, op);
	}
	return cost_of(s, "age p1 w0").vmas_visited;
}

static void scene_one_visit(struct scene *s)
{
	assert_int_equal(siblings_cost(s), 1);
	assert_true(cost_of(s, "age p0 w0").vmas_visited <= 20);
}

static void scene_many_visits(struct scene *s)
{
	assert_in_range(siblings_cost(s), 10, 20);
}

/* Splits and merges re-sort the links; recounts after each op check that. */
static void scene_bounds(struct scene *s)
{
	do_op(s, "mmap p0 w0 8 rw anon|fixed");
	for (int i = 0; i < 8; i++) {
		char op[32];

		snprintf(op, sizeof(op), "write p0 w%d", i);
		do_op(s, op);
	}
	do_op(s, "p1 = fork p0");
	do_op(s, "mprotect p1 w2 3 r");
	areas(s, 1, "AABBBCCC");
	known_as(s, 1, 3, "links from 4 areas");
	do_op(s, "mprotect p1 w2 3 rw");
	areas(s, 1, "AAAAAAAA");
	known_as(s, 1, 3, "links from 2 areas");
	do_op(s, "munmap p1 w0 4");
	evicted(s, "evict p0 w5");
}

/* Each allocation of fork and split fails in turn: nothing is left behind, nothing is lost. */
static void scene_no_memory(struct scene *s)
{
	forked_once(s);
	do_op(s, "write p1 w1");
	for (int i = 1; i <= 3; i++) {
		char op[48];

		snprintf(op, sizeof(op), "p2 = fork p1 (fail_meta: %d)", i);
		assert_int_equal(run(s, op), -12);
	}
	for (int i = 1; i <= 2; i++) {
		char op[48];

		snprintf(op, sizeof(op), "mprotect p1 w0 1 r (fail_meta: %d)", i);
		assert_int_equal(run(s, op), -12);
		areas(s, 1, "AA");
	}
	do_op(s, "p2 = fork p1");
	do_op(s, "mprotect p1 w0 1 r");
	evicted(s, "evict p1 w1");
}

static void chains(void **state)
{
	static void (*const scenes[])(struct scene *) = {
		scene_filing,  scene_swapin,    scene_exclusive, scene_generations,
		scene_bounded, scene_one_visit, scene_bounds,
	};

	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		on_backend("anon_vma_chain", "tiny era=2.6.7", scenes[i]);
	on_backend("anon_vma", "tiny era=2.6.7", scene_many_visits);
}

static void memory_may_be_refused(void **state)
{
	on_backend("anon_vma_chain", "tiny era=2.6.7", scene_no_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains),
		cmocka_unit_test(memory_may_be_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

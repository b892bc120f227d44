/*
 * Second actors: an op runs inside another at a named point, or waits for it, on every backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"

#define HEADER "rmapfuzz trace 1\n"

struct scene {
	struct machine *machine;
	struct trace trace;
	struct op_outcome outcomes[GROUP_MAX]; /* of the last group */
};

static void parse(struct trace *trace, const char *text)
{
	char error[128];

	trace_init(trace, &machine_presets[0].config);
	if (trace_parse(trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s", error);
}

/* Do TEXT, group by group; what is left of a group is done after it. */
static void play(struct scene *scene, const struct rmap_ops *rmap, const char *text)
{
	char buf[192];
	const char *wrong;

	memset(scene, 0, sizeof(*scene));
	parse(&scene->trace, text);
	scene->machine = machine_create(&scene->trace.config, rmap);
	for (uint32_t i = 0; i < scene->trace.nr_ops;) {
		const struct op *ops = &scene->trace.ops[i];
		uint32_t n = op_group(ops, scene->trace.nr_ops - i);

		machine_apply_group(scene->machine, ops, n, scene->outcomes);
		for (uint32_t k = 1; k < n; k++) {
			struct op_outcome *outcome = &scene->outcomes[k];

			if (!outcome->order)
				machine_apply(scene->machine, &ops[k], &outcome->result);
		}
		wrong = machine_recount(scene->machine, buf, sizeof(buf));
		if (wrong)
			fail_msg("%s, op %u: %s", rmap->name, i, wrong);
		i += n;
	}
}

static void end(struct scene *scene)
{
	char buf[192];
	const char *leak;

	machine_shutdown(scene->machine);
	leak = machine_leaks(scene->machine, buf, sizeof(buf));
	if (leak)
		fail_msg("%s: %s", machine_rmap(scene->machine)->name, leak);
	machine_destroy(scene->machine);
	trace_release(&scene->trace);
}

static void expect_pages(const struct scene *scene, uint32_t proc, const char *states)
{
	char got[64] = "";

	for (size_t i = 0; i < strlen(states); i++)
		got[i] = machine_page_char(scene->machine, proc,
					   WINDOW_BASE / PAGE_SIZE + (uint32_t)i);
	assert_string_equal(got, states);
}

/* ---- every point is reached, and runs what is there --------------------------------------- */

#define ANON  "mmap p0 w0 4 rw anon|fixed\n"
#define TWO   ANON "write p0 w0\nwrite p0 w1\np1 = fork p0\n"
#define FILES "mmap p0 w0 4 rw shared|fixed f0 0\np1 = fork p0\nread p0 w0\nread p1 w0\n"

/* A host that passes the point, and somebody who need not wait there. */
static const struct {
	enum point point;
	const char *text;
} passes[] = {
	{POINT_ALLOC, ANON "write p0 w0\np1 = fork p0\nwrite p0 w0\n@alloc:1 swapout p1 w0\n"},
	{POINT_FORK_AFTER_LINK, TWO "p2 = fork p0\n@fork.after_link_vma evict p1 w0\n"},
	{POINT_FORK_PER_PTE, TWO "p2 = fork p0\n@fork.per_pte:2 swapout p1 w1\n"},
	{POINT_MREMAP_BEFORE_LINK,
	 TWO "mremap p0 w0 2 2 maymove|fixed w8\n@mremap.before_link_new swapout p1 w0\n"},
	{POINT_MREMAP_PER_PTE,
	 TWO "mremap p0 w0 2 2 maymove|fixed w8\n@mremap.per_pte:2 swapout p1 w0\n"},
	{POINT_MREMAP_BEFORE_UNWIND,
	 ANON "write p0 w0\np1 = fork p0\n"
	      "mremap p0 w0 1 1 maymove|fixed 0x70000000 (fail_from: 2)\n"
	      "@mremap.before_unwind swapout p1 w0\n"},
	{POINT_MREMAP_AFTER_MOVE, TWO "mremap p0 w0 2 2 maymove|fixed w8\n"
				      "@mremap.after_unlock_before_flush swapout p1 w1\n"},
	{POINT_SPLIT_BETWEEN, TWO "munmap p0 w1 1\n@split.between_start_and_pgoff fread f0 0\n"},
	{POINT_MERGE_BEFORE_PROT,
	 TWO "mprotect p0 w0 1 r\n@merge.before_prot_update evict p1 w0\n"},
	{POINT_FAULT_AFTER_LOOKUP, FILES "read p0 w1\n@fault.after_lookup write p1 w1\n"},
	{POINT_FAULT_AFTER_ALLOC, TWO "write p0 w2\n@fault.after_alloc write p1 w2\n"},
	{POINT_COW_AFTER_COPY, TWO "write p0 w0\n@cow.after_copy write p1 w0\n"},
	{POINT_COW_BETWEEN, TWO "write p0 w0\n@cow.between_rmap_and_pte exit p1\n"},
	{POINT_GUP_BETWEEN, ANON "write p0 w0\nmprotect p0 w0 4 r\np1 = fork p0\npoke p0 w0\n"
				 "@gup.between_fault_and_retry swapout p1 w0\n"},
	{POINT_SWAPIN_WAIT, TWO "swapout p0 w0\nwrite p0 w0\n@swapin.wait_page_lock write p1 w0\n"},
	{POINT_SWAPIN_BETWEEN, TWO "swapout p0 w0\nwrite p0 w0\n"
				   "@swapin.between_swap_free_and_rmap exit p1\n"},
	{POINT_ZAP_AFTER_FREE, TWO "munmap p0 w0 2\n@zap.after_free_before_flush write p1 w0\n"},
	{POINT_UNMAP_BEFORE_UNLINK,
	 TWO "munmap p0 w0 2\n@free_pgtables.before_unlink evict p1 w0\n"},
	{POINT_TRUNCATE_LOCKBREAK, FILES "truncate f0 0\n@unmap_range.lockbreak p2 = fork p1\n"},
	{POINT_TRUNCATE_BETWEEN, FILES "truncate f0 0\n"
				       "@truncate.between_unmap_and_detach read p1 w0\n"},
	{POINT_RECLAIM_ISOLATED, TWO "evict p0 w0\n@walk.after_page_to_anchor exit p1\n"},
	{POINT_WALK_BETWEEN, TWO "evict p0 w0\n@walk.between_vmas read p1 w2\n"},
	{POINT_STACK_GROW, "mmap p0 w8 2 rw anon|fixed|growsdown\n" TWO
			   "write p0 w7\n@stack_grow.after_decision write p1 w7\n"},
	{POINT_RECLAIM_UNMAPPED, TWO "evict p0 w0\n@reclaim.after_unmap exit p1\n"},
	{POINT_KUNMAP_AFTER_POP, FILES "fwrite f0 0\n@kunmap.after_pop read p1 w0\n"},
	{POINT_KMAP_HELD, FILES "fwrite f0 0\n@kmap.held poke p1 w0\n"},
	/* Ops in which nothing runs, in others. */
	{POINT_FAULT_AFTER_ALLOC, TWO "write p0 w2\n@fault.after_alloc mlock p1 w0 2\n"},
	{POINT_FORK_PER_PTE, TWO "p2 = fork p0\n@fork.per_pte munlock p1 w0 2\n"},
	{POINT_FORK_PER_PTE, TWO "p2 = fork p0\n@fork.per_pte mlockall p1\n"},
	{POINT_FORK_PER_PTE, TWO "p2 = fork p0\n@fork.per_pte mlockall_future p1\n"},
	{POINT_FORK_PER_PTE, TWO "p2 = fork p0\n@fork.per_pte munlockall p1\n"},
	{POINT_FAULT_AFTER_LOOKUP,
	 FILES "read p0 w1\n@fault.after_lookup remap_file_pages p1 w1 1 3 -\n"},
	{POINT_FAULT_AFTER_LOOKUP, FILES "read p0 w1\n@fault.after_lookup msync p1 w0 4 sync\n"},
	{POINT_FAULT_AFTER_LOOKUP, FILES "write p0 w1\n@fault.after_lookup writeback f0\n"},
	{POINT_FAULT_AFTER_LOOKUP, FILES "write p0 w1\n@fault.after_lookup mkclean f0\n"},
	{POINT_FAULT_AFTER_LOOKUP, FILES "write p0 w1\n@fault.after_lookup fdrop f0\n"},
	{POINT_FAULT_AFTER_LOOKUP, FILES "write p0 w1\n@fault.after_lookup fpunch f0 1 1\n"},
	{POINT_TRUNCATE_LOCKBREAK, FILES "truncate f0 0\n@unmap_range.lockbreak mkclean f0\n"},
	{POINT_TRUNCATE_BETWEEN,
	 FILES "truncate f0 0\n@truncate.between_unmap_and_detach fdrop f0\n"},
	{POINT_COW_AFTER_COPY, TWO "write p0 w0\n@cow.after_copy migrate p1 w1\n"},
	{POINT_COW_AFTER_COPY, TWO "write p0 w0\n@cow.after_copy d0 = pin p1 w0 1 write\n"},
	{POINT_SWAPIN_WAIT, TWO "swapout p0 w0\nread p0 w0\n@swapin.wait_page_lock swapoff s0\n"},
	{POINT_SWAPIN_WAIT, TWO "swapoff s0\nwrite p0 w2\n@fault.after_alloc swapon s0\n"},
	{POINT_FORK_PER_PTE, TWO "p2 = fork p0\n@fork.per_pte p3 = clone_vm p1\n"},
	{POINT_FORK_PER_PTE,
	 TWO "p2 = clone_vm p0\np3 = fork p0\n@fork.per_pte p4 = clone_vm p2\n"},
	/* A thread in the same address space: both fault, or its processor needs no fault. */
	{POINT_FAULT_AFTER_LOOKUP,
	 FILES "p2 = clone_vm p0\nread p0 w1\n@fault.after_lookup write p2 w1\n"},
	{POINT_FAULT_AFTER_LOOKUP, "mmap p0 w0 4 rw fixed f0 0\np2 = clone_vm p0\nwrite p0 w1\n"
				   "@fault.after_lookup write p2 w1\n"},
	{POINT_FAULT_AFTER_ALLOC,
	 TWO "p2 = clone_vm p0\nwrite p0 w2\n@fault.after_alloc write p2 w2\n"},
	{POINT_COW_AFTER_COPY, TWO "p2 = clone_vm p0\nwrite p0 w0\n@cow.after_copy write p2 w0\n"},
	{POINT_SWAPIN_WAIT, TWO "p2 = clone_vm p0\nswapout p0 w0\nwrite p0 w0\n"
				"@swapin.wait_page_lock write p2 w0\n"},
	{POINT_COW_BETWEEN,
	 TWO "p3 = clone_vm p0\nwrite p0 w0\n@cow.between_rmap_and_pte read p3 w0\n"},
	{POINT_ZAP_AFTER_FREE, TWO "p3 = clone_vm p0\nmunmap p0 w0 2\n"
				   "@zap.after_free_before_flush read p3 w1\n"},
};

static void every_point_is_passed(void **state)
{
	bool seen[NR_POINTS] = {true};

	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		seen[passes[i].point] = true;
		for (uint32_t b = 0; rmap_backends[b]; b++) {
			struct scene scene;
			char text[512];

			snprintf(text, sizeof(text), HEADER "%s", passes[i].text);
			play(&scene, rmap_backends[b], text);
			if (scene.outcomes[1].order != 1)
				fail_msg("%s: nothing ran at %s", rmap_backends[b]->name,
					 point_name(passes[i].point));
			end(&scene);
		}
	}
	for (int point = 0; point < NR_POINTS; point++) {
		if (!seen[point])
			fail_msg("there is no scene for %s", point_name((enum point)point));
	}
}

/* ---- who waits ---------------------------------------------------------------------------- */

#define THREAD TWO "p2 = clone_vm p0\np3 = fork p0\n"

/* None of these runs inside: it would have to sleep or to spin. */
static const char *const waits[] = {
	/* Who is made, or busy. */
	TWO "p2 = fork p0\n@fork.per_pte write p2 w0\n",
	TWO "p2 = fork p0\n@fork.per_pte p2 = fork p1\n",
	TWO "p2 = fork p0\n@fork.per_pte write p0 w0\n",
	/* Who waits does nothing else. */
	TWO "p2 = fork p0\n@fork.per_pte p2 = fork p1\n@fork.per_pte write p1 w0\n",
	/* A thread, for the address space that its like is copying. */
	THREAD "@fork.per_pte mmap p2 w8 1 rw anon|fixed\n",
	THREAD "@fork.per_pte munmap p2 w0 1\n",
	THREAD "@fork.per_pte mremap p2 w0 1 1 maymove|fixed w8\n",
	THREAD "@fork.per_pte mprotect p2 w0 1 r\n",
	THREAD "@fork.per_pte madvise p2 w0 1 dontneed\n",
	THREAD "@fork.per_pte brk p2 0x08102000\n",
	THREAD "@fork.per_pte p4 = fork p2\n",
	THREAD "@fork.per_pte write p2 w0\n",
	/* A thread that must fault, where the table is locked, and one whose write is not allowed.
	 */
	TWO "p3 = clone_vm p0\nmunmap p0 w0 2\n@zap.after_free_before_flush read p3 w0\n",
	TWO "p3 = clone_vm p0\nmunmap p0 w0 2\n@zap.after_free_before_flush write p3 w1\n",
	TWO "p3 = clone_vm p0\nwrite p0 w0\n@cow.between_rmap_and_pte write p3 w0\n",
	/* i_sem. */
	FILES "truncate f0 0\n@unmap_range.lockbreak truncate f0 2\n",
	FILES "truncate f0 0\n@truncate.between_unmap_and_detach fwrite f0 0\n",
	/* The list of the file's areas, and a page table's lock. */
	FILES "truncate f0 0\n@zap.after_free_before_flush exit p1\n",
	FILES "munmap p0 w0 1\n@zap.after_free_before_flush truncate f0 1\n",
	/* The reverse map's lists. */
	TWO "evict p0 w0\n@walk.between_vmas exit p1\n",
	TWO "evict p0 w0\n@walk.between_vmas swapout p1 w1\n",
	TWO "evict p0 w0\n@walk.between_vmas write p1 w0\n",
	TWO "evict p0 w0\n@walk.between_vmas write p1 w2\n",
	/* A locked page. */
	TWO "swapout p0 w0\nread p0 w0\n@swapin.between_swap_free_and_rmap read p1 w0\n",
	FILES "munmap p1 w0 1\nevict p0 w0\n@walk.after_page_to_anchor truncate f0 0\n",
	/* The same, for those in whom nothing runs. */
	THREAD "@fork.per_pte mlock p2 w0 1\n",
	THREAD "@fork.per_pte munlockall p2\n",
	THREAD "@fork.per_pte msync p2 w0 1 sync\n",
	THREAD "@fork.per_pte d0 = pin p2 w0 1 -\n",
	THREAD "@fork.per_pte swapoff s0\n",
	TWO "p2 = clone_vm p0\nmunmap p0 w0 2\n@zap.after_free_before_flush p3 = clone_vm p2\n",
	TWO "munmap p0 w0 2\n@zap.after_free_before_flush swapoff s0\n",
	TWO "evict p0 w0\n@walk.between_vmas mlock p1 w0 1\n",
	TWO "evict p0 w0\n@walk.between_vmas migrate p1 w1\n",
	TWO "evict p0 w0\n@walk.after_page_to_anchor d0 = pin p1 w0 1 write\n",
	TWO "evict p0 w0\n@walk.after_page_to_anchor swapoff s0\n",
	FILES "evict p0 w0\n@walk.between_vmas remap_file_pages p1 w0 1 2 -\n",
	FILES "evict p0 w0\n@walk.after_page_to_anchor msync p1 w0 1 sync\n",
	FILES "evict p0 w0\n@walk.after_page_to_anchor writeback f0\n",
	FILES "evict p0 w0\n@walk.after_page_to_anchor mkclean f0\n",
	FILES "evict p0 w0\n@walk.after_page_to_anchor fpunch f0 0 1\n",
	FILES "munmap p0 w0 1\n@zap.after_free_before_flush mkclean f0\n",
	FILES "truncate f0 0\n@truncate.between_unmap_and_detach fpunch f0 0 1\n",
	FILES "truncate f0 0\n@truncate.between_unmap_and_detach msync p1 w0 1 sync\n",
	FILES "truncate f0 0\n@unmap_range.lockbreak mlock p1 w0 1\n",
	FILES "truncate f0 0\n@unmap_range.lockbreak d0 = pin p1 w0 1 -\n",
	/* Nothing runs inside those. */
	TWO "mlock p0 w2 1\n@fault.after_alloc swapout p1 w0\n",
	/* A point that is not passed so often. */
	TWO "p2 = fork p0\n@fork.per_pte:9 write p1 w0\n",
};

static void who_would_block_waits(void **state)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		for (uint32_t b = 0; rmap_backends[b]; b++) {
			struct scene scene;
			char text[512];

			snprintf(text, sizeof(text), HEADER "%s", waits[i]);
			play(&scene, rmap_backends[b], text);
			for (uint32_t k = 1; k < GROUP_MAX; k++) {
				if (scene.outcomes[k].order)
					fail_msg("%s: it did not wait in\n%s",
						 rmap_backends[b]->name, waits[i]);
			}
			end(&scene);
		}
	}
}

/* ---- what is only tried fails --------------------------------------------------------------- */

static void a_locked_entry_stays(void **state)
{
	for (uint32_t b = 0; rmap_backends[b]; b++) {
		struct scene scene;

		/* p0's table is locked while an entry of it is zapped: w1 goes from p1 alone. */
		play(&scene, rmap_backends[b],
		     HEADER TWO "munmap p0 w0 1\n@zap.after_free_before_flush evict p1 w1\n");
		assert_int_equal(scene.outcomes[1].order, 1);
		assert_int_equal(scene.outcomes[1].result.err, 0);
		assert_int_equal(scene.outcomes[1].result.value, UNMAP_AGAIN);
		assert_true(scene.outcomes[1].trace.trylocks > 0);
		expect_pages(&scene, 0, ".r--");
		expect_pages(&scene, 1, "rs--");
		end(&scene);
	}
}

static void a_locked_page_stays(void **state)
{
	for (uint32_t b = 0; rmap_backends[b]; b++) {
		struct scene scene;

		play(&scene, rmap_backends[b],
		     HEADER TWO "evict p0 w0\n@walk.after_page_to_anchor evict p1 w0\n");
		assert_int_equal(scene.outcomes[1].order, 1);
		assert_int_equal(scene.outcomes[1].result.value, UNMAP_AGAIN);
		assert_int_equal(scene.outcomes[0].result.value, UNMAP_SUCCESS);
		expect_pages(&scene, 0, "sr--");
		end(&scene);
	}
}

/* ---- the host looks again -------------------------------------------------------------------- */

static void a_fault_sees_a_truncation(void **state)
{
	for (uint32_t b = 0; rmap_backends[b]; b++) {
		struct scene scene;

		play(&scene, rmap_backends[b],
		     HEADER FILES "read p0 w1\n@fault.after_lookup truncate f0 1\n");
		assert_int_equal(scene.outcomes[1].order, 1);
		assert_int_equal(scene.outcomes[0].result.err, RES_BUS);
		expect_pages(&scene, 0, "w---");
		end(&scene);
		/* The same for a private copy. */
		play(&scene, rmap_backends[b],
		     HEADER "mmap p0 w0 4 rw fixed f0 0\nwrite p0 w1\n"
			    "@fault.after_alloc truncate f0 0\n");
		assert_int_equal(scene.outcomes[1].order, 1);
		assert_int_equal(scene.outcomes[0].result.err, RES_BUS);
		expect_pages(&scene, 0, "----");
		end(&scene);
	}
}

/* Both sides copy at once: nobody is left with the other's page. */
static void both_sides_copy(void **state)
{
	for (uint32_t b = 0; rmap_backends[b]; b++) {
		struct page_view one, other;
		struct scene scene;

		play(&scene, rmap_backends[b],
		     HEADER TWO "write p0 w0\n@cow.after_copy write p1 w0\n");
		machine_view_page(scene.machine, 0, WINDOW_BASE / PAGE_SIZE, &one);
		machine_view_page(scene.machine, 1, WINDOW_BASE / PAGE_SIZE, &other);
		assert_true(one.pfn != other.pfn);
		assert_true(one.token != other.token);
		assert_int_equal(one.mapcount, 1);
		assert_int_equal(other.mapcount, 1);
		end(&scene);
	}
}

/* A child that is born of an area not yet visited is visited, whatever its number. */
static void truncation_finds_the_newborn(void **state)
{
	for (uint32_t b = 0; rmap_backends[b]; b++) {
		struct scene scene;

		play(&scene, rmap_backends[b],
		     HEADER "mmap p0 w0 4 rw shared|fixed f0 0\np5 = fork p0\nread p0 w1\n"
			    "read p5 w1\ntruncate f0 0\n@unmap_range.lockbreak p1 = fork p5\n");
		assert_int_equal(scene.outcomes[1].order, 1);
		expect_pages(&scene, 1, "----");
		expect_pages(&scene, 5, "----");
		end(&scene);
	}
}

/* ---- in lockstep ------------------------------------------------------------------------------
 */

/* All backends together, the model too, and the excuse counted. */
static void lockstep_agrees(void **state)
{
	struct diff_options options;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;

	diff_options_init(&options);
	options.check_every = 1;
	diff = diff_create(&options);
	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), HEADER "%s", passes[i].text);
		parse(&trace, text);
		if (!diff_run(diff, &trace, &finding))
			continue;
		finding_print(&finding, &trace, stderr);
		fail_msg("%s", point_name(passes[i].point));
	}
	assert_int_equal(diff_stats(diff)->excuses[EXCUSE_TRYLOCK], 0);
	parse(&trace, HEADER TWO "munmap p0 w0 1\n@zap.after_free_before_flush evict p1 w1\n");
	assert_int_equal(diff_run(diff, &trace, &finding), 0);
	assert_true(diff_stats(diff)->excuses[EXCUSE_TRYLOCK] > 0);
	trace_release(&trace);
	diff_destroy(diff);
}

static void generated_traces_are_clean(void **state)
{
	struct diff_options options;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;

	diff_options_init(&options);
	diff = diff_create(&options);
	for (uint64_t seed = 1; seed <= 300; seed++) {
		const struct generate_options how = {
			.nr_ops = 64, .faults = seed % 2, .actors = true};

		generate_trace(&trace, &machine_presets[seed % 4].config, seed, &how);
		if (!diff_run(diff, &trace, &finding))
			continue;
		finding_print(&finding, &trace, stderr);
		fail_msg("seed %u", (unsigned int)seed);
	}
	trace_release(&trace);
	diff_destroy(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_point_is_passed),
		cmocka_unit_test(who_would_block_waits),
		cmocka_unit_test(a_locked_entry_stays),
		cmocka_unit_test(a_locked_page_stays),
		cmocka_unit_test(a_fault_sees_a_truncation),
		cmocka_unit_test(both_sides_copy),
		cmocka_unit_test(truncation_finds_the_newborn),
		cmocka_unit_test(lockstep_agrees),
		cmocka_unit_test(generated_traces_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

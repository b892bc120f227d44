/*
 * Areas: the eight merges, splits, mremap, brk and growing stacks, as pictures.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "picture.h"

/* ---- vma_merge, case by case, on a file (where every design may merge) ------------------------
 */

static void touch(struct scene *s, uint32_t n)
{
	char op[32];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(op, sizeof(op), "read p0 w%u", i);
		run(s, op);
	}
}

/* Every page that was seen can be evicted: the reverse map still finds it. */
static void evict_all(struct scene *s, uint32_t n)
{
	char op[32];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(op, sizeof(op), "evict p0 w%u", i);
		while (!run(s, op) && s->last.value != UNMAP_SUCCESS)
			;
	}
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(mappers(s, 0, i), 0);
}

static void merge_case_1(struct scene *s)
{
	run(s, "mmap p0 w0 2 r fixed|shared f1 0");
	run(s, "mmap p0 w4 2 r fixed|shared f1 4");
	touch(s, 6);
	areas(s, 0, "AA..BB.");
	run(s, "mmap p0 w2 2 r fixed|shared f1 2");
	areas(s, 0, "AAaaAA.");
	evict_all(s, 6);
}

static void merge_case_2(struct scene *s)
{
	run(s, "mmap p0 w0 2 r fixed|shared f1 0");
	touch(s, 2);
	run(s, "mmap p0 w2 2 r fixed|shared f1 2");
	areas(s, 0, "AAaa.");
	evict_all(s, 4);
}

static void merge_case_3(struct scene *s)
{
	run(s, "mmap p0 w2 2 r fixed|shared f1 2");
	touch(s, 4);
	run(s, "mmap p0 w0 2 r fixed|shared f1 0");
	areas(s, 0, "aaAA.");
	evict_all(s, 4);
}

static void merge_case_4(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw fixed|shared f1 0");
	run(s, "mmap p0 w4 4 r fixed|shared f1 4");
	touch(s, 8);
	areas(s, 0, "AAAABBBB.");
	run(s, "mprotect p0 w2 2 r");
	areas(s, 0, "AABBBBBB.");
	pages(s, 0, "wwrrrrrr.");
	evict_all(s, 8);
}

static void merge_case_5(struct scene *s)
{
	run(s, "mmap p0 w0 4 r fixed|shared f1 0");
	run(s, "mmap p0 w4 4 rw fixed|shared f1 4");
	touch(s, 8);
	run(s, "mprotect p0 w4 2 r");
	areas(s, 0, "AAAAAABB.");
	pages(s, 0, "rrrrrrww.");
	evict_all(s, 8);
}

static void three(struct scene *s, const char *below, const char *above)
{
	run(s, "mmap p0 w0 6 rw fixed|shared f1 0");
	touch(s, 6);
	run(s, below);
	run(s, above);
	areas(s, 0, "AABBCC.");
}

static void merge_case_6(struct scene *s)
{
	three(s, "mprotect p0 w0 2 r", "mprotect p0 w4 2 r");
	run(s, "mprotect p0 w2 2 r");
	areas(s, 0, "AAAAAA.");
	evict_all(s, 6);
}

static void merge_case_7(struct scene *s)
{
	three(s, "mprotect p0 w0 2 r", "mprotect p0 w4 2 none");
	run(s, "mprotect p0 w2 2 r");
	areas(s, 0, "AAAABB.");
	pages(s, 0, "rrrrnn.");
	evict_all(s, 6);
}

static void merge_case_8(struct scene *s)
{
	three(s, "mprotect p0 w0 2 none", "mprotect p0 w4 2 r");
	run(s, "mprotect p0 w2 2 r");
	areas(s, 0, "AABBBB.");
	evict_all(s, 6);
}

static void eight_merges(void **state)
{
	static void (*const cases[])(struct scene *) = {merge_case_1, merge_case_2, merge_case_3,
							merge_case_4, merge_case_5, merge_case_6,
							merge_case_7, merge_case_8};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		on_every_backend("tiny", cases[i]);
}

/* The same boundary shifts with anonymous pages, where the importer may have none of its own. */
static void anon_shift(struct scene *s)
{
	run(s, "mmap p0 w0 4 r anon|fixed|noreserve");
	run(s, "mmap p0 w4 4 rw anon|fixed|noreserve");
	run(s, "write p0 w4");
	run(s, "write p0 w5");
	run(s, "mprotect p0 w4 1 r");
	/* Where areas have links to ancestors, one without any takes over none that has some. */
	areas(s, 0,
	      strncmp(machine_rmap(s->machine)->name, "anon_vma_chain", 14) ? "aaaaABbb."
									    : "aaaaBCcc.");
	run(s, "p1 = fork p0");
	assert_int_equal(mappers(s, 0, 4), 2);
	evict_all(s, 8);
	pages(s, 0, "----ss--.");
	pages(s, 1, "----ss--.");
}

static void anonymous_boundary_shift(void **state)
{
	on_every_backend("tiny", anon_shift);
}

/* What separates the designs: anonymous areas whose offsets do not follow each other. */
static void moved_neighbours(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w2");
	run(s, "write p0 w3");
	run(s, "mmap p0 w12 4 rw anon|fixed");
	run(s, "write p0 w12");
	run(s, "mremap p0 w2 2 2 maymove|fixed w10");
}

static void free_offsets(struct scene *s)
{
	moved_neighbours(s);
	areas(s, 0, "aa........BBBbbb.");
}

static void bound_offsets(struct scene *s)
{
	moved_neighbours(s);
	areas(s, 0, "aa........BBCccc.");
}

static void merging_differs_by_design(void **state)
{
	on_backend("pte_chain", "tiny", free_offsets);
	on_backend("anon_vma", "tiny", bound_offsets);
}

/* ---- munmap, mremap, brk ----------------------------------------------------------------------
 */

static void split_and_move(struct scene *s)
{
	run(s, "mmap p0 w0 8 rw anon|fixed");
	run(s, "write p0 w2");
	run(s, "write p0 w5");
	areas(s, 0, "aaAaaAaa....");
	assert_int_equal(run(s, "mremap p0 w2 2 2 maymove|fixed w9"), 0);
	assert_int_equal(s->last.value, WINDOW_BASE + 9 * PAGE_SIZE);
	areas(s, 0, "aa..bBbb.Cc.");
	assert_int_equal(mappers(s, 0, 9), 1);
	assert_int_equal(run(s, "munmap p0 w5 1"), 0);
	areas(s, 0, "aa..b.cc.Dd.");
}

static void mremap_errors(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	assert_int_equal(run(s, "mremap p0 0x60000001 1 1 maymove"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w0 4 0 maymove"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w0 4 4 fixed w8"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w0 4 4 maymove|fixed w3"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w0 5 6 maymove"), -EFAULT);
	run(s, "mmap p0 w4 1 r shared|fixed f1 0");
	assert_int_equal(run(s, "mremap p0 w0 4 6 -"), -ENOMEM);
	/* The target of a failing call is gone all the same. */
	assert_int_equal(run(s, "mremap p0 w8 2 2 maymove|fixed w4"), -EFAULT);
	areas(s, 0, "aaaa....");
	assert_int_equal(run(s, "mremap p0 w0 4 6 -"), 0);
	areas(s, 0, "aaaaaa..");
	assert_int_equal(run(s, "mremap p0 w0 6 1 -"), 0);
	areas(s, 0, "a.......");
}

static void mremap_without_tables(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w3");
	/* The second allocation is the page table at the new address: everything goes back. */
	assert_int_equal(run(s, "mremap p0 w0 4 4 maymove|fixed 0x70000000 (fail_nth: 2)"),
			 -ENOMEM);
	areas(s, 0, "AaaA.");
	assert_int_equal(mappers(s, 0, 3), 1);
}

static void brk_moves(struct scene *s)
{
	assert_int_equal(run(s, "brk p0 0x08103000"), 0);
	assert_int_equal(s->last.value, 0x08103000);
	assert_int_equal(run(s, "write p0 0x08102000"), 0);
	assert_int_equal(run(s, "write p0 0x08103000"), RES_SEGV);
	assert_int_equal(run(s, "brk p0 0x08101000"), 0);
	assert_int_equal(run(s, "write p0 0x08102000"), RES_SEGV);
	assert_int_equal(run(s, "brk p0 0x08000000"), -ENOMEM);
	assert_int_equal(s->last.value, 0x08101000);
}

static void stack_grows(struct scene *s)
{
	run(s, "mmap p0 w8 2 rw anon|fixed|growsdown");
	assert_int_equal(run(s, "write p0 w5"), 0);
	areas(s, 0, ".....Aaaaa.");
	run(s, "mmap p0 w2 1 r shared|fixed f1 0");
	assert_int_equal(run(s, "write p0 w3"), 0);
	assert_int_equal(run(s, "write p0 w2"), RES_SEGV);
	areas(s, 0, "..aBbBbbbb.");
}

static void ranges(void **state)
{
	on_every_backend("tiny", split_and_move);
	on_every_backend("1g", split_and_move);
	on_every_backend("tiny", mremap_errors);
	on_every_backend("tiny", mremap_without_tables);
	on_every_backend("tiny", brk_moves);
	on_every_backend("tiny", stack_grows);
}

/* ---- the eras' mprotect
 * -------------------------------------------------------------------------- */

static void file_pieces_rejoin(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "mprotect p0 w1 1 r");
	areas(s, 0, "abcc.");
	run(s, "mprotect p0 w1 1 rw");
	areas(s, 0, "aaaa.");
}

static void file_pieces_stay(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "mprotect p0 w1 1 r");
	run(s, "mprotect p0 w1 1 rw");
	areas(s, 0, "abcc.");
}

static void anon_pieces_rejoin(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w1");
	run(s, "mprotect p0 w1 1 r");
	areas(s, 0, "aBcc.");
	run(s, "mprotect p0 w1 1 rw");
	areas(s, 0, "aAaa.");
}

static void eras(void **state)
{
	on_every_backend("tiny", file_pieces_rejoin);
	on_every_backend("tiny era=2.6.6", file_pieces_stay);
	on_every_backend("tiny", anon_pieces_rejoin);
	on_every_backend("tiny era=2.6.6", anon_pieces_rejoin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_merges),
		cmocka_unit_test(anonymous_boundary_shift),
		cmocka_unit_test(merging_differs_by_design),
		cmocka_unit_test(ranges),
		cmocka_unit_test(eras),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

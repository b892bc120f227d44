/*
 * Swap areas: where new slots come from, and what comes back when an area goes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "internal.h"
#include "picture.h"

static struct page_view look(struct scene *s, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(s->machine, proc, W0 + page, &view));
	return view;
}

/* Write pages [0, N) of p0 and swap them out. */
static void fill(struct scene *s, uint32_t n)
{
	char op[32];

	snprintf(op, sizeof(op), "mmap p0 w0 %u rw anon|fixed", n);
	assert_int_equal(run(s, op), 0);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(op, sizeof(op), "write p0 w%u", i);
		put(s, op);
		snprintf(op, sizeof(op), "swapout p0 w%u", i);
		assert_int_equal(run(s, op), 0);
		assert_int_equal(s->last.value, UNMAP_SUCCESS);
	}
}

/* The areas that pages [FIRST, ...) of p0 are in, a digit each. */
static void slots_in(struct scene *s, uint32_t first, const char *expected)
{
	char got[64];
	size_t n = strlen(expected);

	for (uint32_t i = 0; i < n; i++) {
		pte_t pte = look(s, 0, first + i).pte;

		assert_true(pte_swap(pte));
		got[i] = (char)('0' + swp_type(pte_to_swp(pte)));
	}
	got[n] = '\0';
	assert_string_equal(got, expected);
}

/* s1 and s3 take turns until they are full; then s0 and s2, one after the other. */
static void priorities(struct scene *s)
{
	fill(s, 10);
	slots_in(s, 0, "1313300022");
	assert_int_equal(run(s, "swapout p0 w0"), -ENOENT);
	assert_int_equal(s->machine->swap_used, 10);
	run(s, "mmap p0 w10 1 rw anon|fixed");
	put(s, "write p0 w10");
	assert_int_equal(run(s, "swapout p0 w10"), -ENOSPC);
	/* A slot that comes back is the first choice again. */
	run(s, "munmap p0 w1 1");
	assert_int_equal(run(s, "swapout p0 w10"), 0);
	slots_in(s, 10, "3");
}

/* An area that was off comes behind all that were on, unless it has a priority. */
static void off_and_on(struct scene *s)
{
	assert_int_equal(run(s, "swapoff s0"), 0);
	assert_int_equal(run(s, "swapoff s1"), 0);
	assert_int_equal(run(s, "swapoff s1"), -EINVAL);
	assert_int_equal(run(s, "swapoff s4"), -ENOENT);
	assert_int_equal(run(s, "swapon s4"), -ENOENT);
	assert_int_equal(run(s, "swapon s2"), -EBUSY);
	assert_int_equal(run(s, "swapon s0"), 0);
	assert_int_equal(run(s, "swapon s1"), 0);
	fill(s, 10);
	slots_in(s, 0, "3131322000");
}

static void without_any(struct scene *s)
{
	for (uint32_t i = 0; i < 4; i++) {
		char op[16];

		snprintf(op, sizeof(op), "swapoff s%u", i);
		assert_int_equal(run(s, op), 0);
	}
	run(s, "mmap p0 w0 1 rw anon|fixed");
	put(s, "write p0 w0");
	assert_int_equal(run(s, "swapout p0 w0"), -ENOSPC);
	assert_int_equal(run(s, "swapon s2"), 0);
	assert_int_equal(run(s, "swapout p0 w0"), 0);
	slots_in(s, 0, "2");
}

/* What comes in is old, clean, write-protected and shared by who shared it. */
static void comes_back_shared(struct scene *s)
{
	struct page_view view;
	uint64_t token, other;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	run(s, "swapout p0 w0");
	slots_in(s, 0, "1");
	assert_int_equal(run(s, "swapoff s1"), 0);
	pages(s, 0, "r");
	pages(s, 2, "r");
	view = look(s, 0, 0);
	assert_false(view.swapcache);
	assert_true(view.dirty);
	assert_false(pte_young(view.pte));
	assert_false(pte_dirty(view.pte));
	assert_int_equal(mappers(s, 0, 0), 3);
	assert_int_equal(s->machine->swap_used, 0);
	other = put(s, "write p1 w0");
	assert_int_equal(content(s, "read p0 w0"), token);
	assert_int_equal(content(s, "read p2 w0"), token);
	assert_int_equal(content(s, "read p1 w0"), other);
}

/* Pages that are only cached, in files, and behind PROT_NONE. */
static void all_kinds_come_back(struct scene *s)
{
	uint64_t cached, shmem, hidden;

	run(s, "mmap p0 w0 3 rw anon|fixed");
	run(s, "mmap p0 w3 1 rw shared|fixed f1 0");
	cached = put(s, "write p0 w0");
	hidden = put(s, "write p0 w1");
	shmem = put(s, "write p0 w3");
	run(s, "swapout p0 w0");
	run(s, "swapout p0 w1");
	run(s, "swapout p0 w3");
	run(s, "read p0 w0");
	assert_true(look(s, 0, 0).swapcache);
	run(s, "mprotect p0 w1 1 none");
	assert_int_equal(run(s, "swapoff s1"), 0);
	assert_int_equal(run(s, "swapoff s3"), 0);
	assert_false(look(s, 0, 0).swapcache);
	pages(s, 0, "rn--");
	assert_int_equal(s->machine->swap_used, 0);
	run(s, "mprotect p0 w1 1 rw");
	assert_int_equal(content(s, "read p0 w0"), cached);
	assert_int_equal(content(s, "read p0 w1"), hidden);
	assert_int_equal(content(s, "read p0 w3"), shmem);
}

/* Out of memory half-way: the area stays, with what it has left. */
static void out_of_memory(struct scene *s)
{
	fill(s, 3);
	slots_in(s, 0, "131");
	assert_int_equal(run(s, "swapoff s1 (fail_nth: 2)"), -ENOMEM);
	pages(s, 0, "rss");
	assert_true(s->machine->swap[1].on);
	assert_int_equal(run(s, "swapoff s1"), 0);
	pages(s, 0, "rsr");
}

/* Reclaim inside swapoff may send a page back while others are being brought in. */
static void reclaim_inside(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	token = put(s, "write p0 w0");
	put(s, "write p0 w1");
	run(s, "p1 = fork p0");
	run(s, "swapout p0 w0");
	run(s, "swapout p0 w1");
	run(s, "swapout p0 w0");
	slots_in(s, 0, "13");
	run(s, "read p0 w0");
	run(s, "age p0 w0");
	assert_int_equal(run(s, "swapoff s3 (reclaim_nth: 1)"), 0);
	assert_int_equal(run(s, "swapoff s1 (reclaim_nth: 1)"), 0);
	assert_int_equal(s->machine->swap[1].used, 0);
	assert_int_equal(s->machine->swap[3].used, 0);
	assert_int_equal(content(s, "read p1 w0"), token);
}

/* ---- tiny counters ---------------------------------------------------------------- */

/* A slot that was named three times is never free again, until swapoff has asked everybody. */
static void slot_saturates(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "swapout p0 w0");
	run(s, "p1 = fork p0");
	assert_int_equal(s->machine->swap[0].slots[1].map, 2);
	run(s, "p2 = fork p0");
	assert_int_equal(s->machine->swap[0].slots[1].map, 3);
	run(s, "p3 = fork p0");
	run(s, "exit p1");
	assert_int_equal(content(s, "read p2 w0"), token);
	put(s, "write p2 w0");
	run(s, "munmap p2 w0 1");
	run(s, "exit p3");
	assert_int_equal(content(s, "read p0 w0"), token);
	/* The only user, and cannot know: the write copies. */
	assert_true(look(s, 0, 0).swapcache);
	put(s, "write p0 w0");
	assert_false(look(s, 0, 0).swapcache);
	run(s, "munmap p0 w0 1");
	assert_int_equal(s->machine->swap_used, 1);
	assert_int_equal(s->machine->swap[0].slots[1].map, 3);
	assert_int_equal(run(s, "swapoff s0"), 0);
	assert_int_equal(s->machine->swap_used, 0);
	assert_int_equal(run(s, "swapon s0"), 0);
}

/* swapoff finds all users of a saturated slot. */
static void saturated_comes_back(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	run(s, "p3 = fork p0");
	run(s, "swapout p0 w0");
	assert_int_equal(s->machine->swap[0].slots[1].map, 3);
	assert_int_equal(run(s, "swapoff s0 (reclaim_nth: 1)"), 0);
	assert_int_equal(mappers(s, 3, 0), 4);
	put(s, "write p0 w0");
	assert_int_equal(content(s, "read p3 w0"), token);
}

static void stays_saturated(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw anon|fixed");
	put(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	run(s, "swapout p0 w0");
	run(s, "exit p1");
	run(s, "exit p2");
	assert_int_equal(s->machine->swap_used, 1); /* the end of the scene is no leak */
}

/* The 64th mapping of a page is refused, whoever asks. */
static void mapcount_is_full(struct scene *s)
{
	char op[48];

	for (uint32_t i = 0; i < 64; i++) {
		snprintf(op, sizeof(op), "mmap p0 w%u 1 r shared|fixed f1 0", i);
		assert_int_equal(run(s, op), 0);
		snprintf(op, sizeof(op), "read p0 w%u", i);
		assert_int_equal(run(s, op), i < 63 ? 0 : -ENOMEM);
	}
	assert_int_equal(mappers(s, 0, 0), 63);
	assert_int_equal(run(s, "p1 = fork p0"), -ENOMEM);
	run(s, "munmap p0 w0 1");
	assert_int_equal(run(s, "read p0 w63"), 0);
	assert_int_equal(run(s, "munmap p0 w1 32"), 0);
	assert_int_equal(run(s, "p1 = fork p0"), 0);
	assert_int_equal(mappers(s, 1, 63), 62);
}

#define TINY  "tiny-counters files=2 file_pages=16"
#define AREAS "tiny swap=3+2:7+2+3:7 files=2 file_pages=16"
#define SCENES(X)                                                                                  \
	X(priorities, AREAS)                                                                       \
	X(off_and_on, AREAS)                                                                       \
	X(without_any, AREAS)                                                                      \
	X(comes_back_shared, AREAS)                                                                \
	X(all_kinds_come_back, AREAS)                                                              \
	X(out_of_memory, AREAS)                                                                    \
	X(reclaim_inside, AREAS)                                                                   \
	X(slot_saturates, TINY)                                                                    \
	X(saturated_comes_back, TINY)                                                              \
	X(stays_saturated, TINY)                                                                   \
	X(mapcount_is_full, TINY)

#define SCENE(play, config)                                                                        \
	static void test_##play(void **state)                                                      \
	{                                                                                          \
		on_every_backend(config, play);                                                    \
	}
SCENES(SCENE)

#define TEST(play, config) cmocka_unit_test(test_##play),
int main(void)
{
	const struct CMUnitTest tests[] = {SCENES(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

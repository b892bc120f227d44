/*
 * Swap and reclaim: what goes out comes back, and to the right people.
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

static uint32_t slots_used(struct scene *s)
{
	return s->machine->swap_used;
}

/* ---- one page ------------------------------------------------------------------- */

static void out_and_in(struct scene *s)
{
	struct machine_stats stats;
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	token = put(s, "write p0 w0");
	evicted(s, "swapout p0 w0");
	pages(s, 0, "s-");
	machine_stats(s->machine, &stats);
	assert_int_equal(stats.swapouts, 1);
	assert_int_equal(slots_used(s), 1);
	assert_int_equal(content(s, "read p0 w0"), token);
	pages(s, 0, "r-");
	assert_true(look(s, 0, 0).swapcache);
	machine_stats(s->machine, &stats);
	assert_int_equal(stats.swapins, 1);
	/* Clean and still cached: it goes without being written again. */
	evicted(s, "swapout p0 w0");
	machine_stats(s->machine, &stats);
	assert_int_equal(stats.swapouts, 1);
	token = put(s, "write p0 w0");
	pages(s, 0, "w-");
	evicted(s, "swapout p0 w0");
	machine_stats(s->machine, &stats);
	assert_int_equal(stats.swapouts, 2);
	assert_int_equal(content(s, "read p0 w0"), token);
	run(s, "munmap p0 w0 2");
	assert_int_equal(slots_used(s), 0);
}

/* An evicted page stays in the swap cache; whoever comes next finds it. */
static void evict_shared(struct scene *s)
{
	uint64_t old, new;
	uint32_t pfn;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	old = put(s, "write p0 w0");
	pfn = look(s, 0, 0).pfn;
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p1");
	evicted(s, "evict p1 w0");
	pages(s, 0, "s-");
	pages(s, 1, "s-");
	pages(s, 2, "s-");
	assert_int_equal(content(s, "read p2 w0"), old);
	assert_int_equal(look(s, 2, 0).pfn, pfn);
	new = put(s, "write p1 w0"); /* others have swap entries: copied */
	assert_int_not_equal(look(s, 1, 0).pfn, pfn);
	assert_int_equal(content(s, "read p1 w0"), new);
	run(s, "exit p0");
	put(s, "write p2 w0"); /* the last one: in place */
	assert_int_equal(look(s, 2, 0).pfn, pfn);
	pages(s, 2, "w-");
	assert_int_equal(slots_used(s), 1);
	run(s, "munmap p2 w0 1");
	assert_int_equal(slots_used(s), 0);
}

/* A swap entry of a dead process does not keep the cache alive. */
static void last_entry_goes(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	put(s, "write p0 w0");
	evicted(s, "evict p0 w0");
	run(s, "p1 = fork p0");
	run(s, "munmap p0 w0 1");
	assert_int_equal(slots_used(s), 1);
	run(s, "exit p1");
	assert_int_equal(slots_used(s), 0);
}

static void nothing_to_evict(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	assert_int_equal(run(s, "evict p0 w0"), -ENOENT);
	run(s, "read p0 w0");
	assert_int_equal(run(s, "evict p0 w0"), -ENOENT);
	assert_int_equal(run(s, "age p0 w0"), -ENOENT);
	assert_int_equal(run(s, "swapout p0 w9"), -ENOENT);
}

static void swap_is_full(struct scene *s)
{
	char op[32];

	run(s, "mmap p0 w0 32 rw anon|fixed");
	for (uint32_t i = 0; i < 9; i++) {
		snprintf(op, sizeof(op), "write p0 w%u", i);
		put(s, op);
		snprintf(op, sizeof(op), "swapout p0 w%u", i);
		assert_int_equal(run(s, op), i < 8 ? 0 : -ENOSPC);
	}
	pages(s, 0, "ssssssssw");
	/* More than half is used: a page that comes in leaves its slot. */
	run(s, "write p0 w0");
	assert_false(look(s, 0, 0).swapcache);
	pages(s, 0, "wsssssssw");
	assert_int_equal(slots_used(s), 7);
	evicted(s, "swapout p0 w8");
	pages(s, 0, "wssssssss");
}

static void slots_are_reused(struct scene *s)
{
	pte_t first;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	put(s, "write p0 w0");
	put(s, "write p0 w1");
	evicted(s, "swapout p0 w0");
	evicted(s, "swapout p0 w1");
	first = look(s, 0, 0).pte;
	assert_int_equal(swp_offset(pte_to_swp(first)), 1);
	assert_int_equal(swp_offset(pte_to_swp(look(s, 0, 1).pte)), 2);
	run(s, "munmap p0 w0 1");
	put(s, "write p0 w1");
	run(s, "mmap p0 w0 1 rw anon|fixed");
	put(s, "write p0 w0");
	evicted(s, "swapout p0 w0");
	assert_int_equal(look(s, 0, 0).pte, first);
}

/* ---- refusals ------------------------------------------------------------------- */

static void locked_memory_stays(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed|locked");
	pages(s, 0, "ww");
	assert_int_equal(run(s, "evict p0 w0"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	assert_int_equal(run(s, "swapout p0 w0"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	pages(s, 0, "ww");
	run(s, "reclaim 64");
	pages(s, 0, "ww");
}

/* One of two refuses: the other goes all the same, unless the machine stops as the kernels do. */
static void refusal_of_one(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw shared|fixed|locked f1 0");
	run(s, "p1 = fork p0");
	run(s, "read p1 w0");
	assert_int_equal(mappers(s, 0, 0), 2);
	assert_int_equal(run(s, "evict p1 w0"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	pages(s, 0, "w");
	pages(s, 1, "-");
	assert_int_equal(mappers(s, 0, 0), 1);
}

static void stops_at_refusal(struct scene *s)
{
	s->machine->config.stop_on_refusal = true;
	run(s, "mmap p0 w0 1 rw shared|fixed|locked f1 0");
	run(s, "p1 = fork p0");
	run(s, "mmap p1 w0 1 rw shared|fixed|locked f1 0");
	assert_int_equal(mappers(s, 0, 0), 2);
	assert_int_equal(run(s, "evict p1 w0"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	pages(s, 0, "w");
	pages(s, 1, "w");
}

/* Somebody who holds a page by other means than an entry keeps it mapped in 2.6.7. */
static int unmap_held(struct scene *s, struct page **held)
{
	struct page *page;
	int result;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	put(s, "write p0 w0");
	run(s, "age p0 w0");
	page = pfn_to_page(s->machine, look(s, 0, 0).pfn);
	assert_true(add_to_swap(s->machine, page));
	page_get(page); /* the caller of try_to_unmap */
	page_get(page); /* somebody else */
	result = try_to_unmap(s->machine, page);
	page_put(s->machine, page);
	page_put(s->machine, page);
	*held = page;
	return result;
}

static void held_page_2_6_7(struct scene *s)
{
	struct page *page;

	assert_int_equal(unmap_held(s, &page), UNMAP_FAIL);
	pages(s, 0, "w");
}

static void held_page_2_6_6(struct scene *s)
{
	struct page *page;

	assert_int_equal(unmap_held(s, &page), UNMAP_SUCCESS);
	pages(s, 0, "s");
}

static void young_page_2_6_7(struct scene *s)
{
	struct page *page;

	run(s, "mmap p0 w0 1 rw shared|fixed f1 0");
	put(s, "write p0 w0");
	page = pfn_to_page(s->machine, look(s, 0, 0).pfn);
	page_get(page);
	assert_int_equal(try_to_unmap(s->machine, page), UNMAP_FAIL);
	assert_int_equal(try_to_unmap(s->machine, page), UNMAP_SUCCESS);
	page_put(s->machine, page);
	assert_true(look(s, 0, 0).mapped);
	pages(s, 0, "-");
}

static void ages(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw anon|fixed");
	put(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	run(s, "age p0 w0");
	run(s, "read p1 w0");
	run(s, "read p2 w0");
	assert_int_equal(run(s, "age p0 w0"), 0);
	assert_int_equal(s->last.value, 2);
	run(s, "age p0 w0");
	assert_int_equal(s->last.value, 0);
}

/* ---- files and shared memory ---------------------------------------------------- */

static void shmem_swaps(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw shared|anon|fixed");
	run(s, "p1 = fork p0");
	token = put(s, "write p0 w0");
	run(s, "read p1 w0");
	evicted(s, "swapout p1 w0");
	pages(s, 0, "--");
	pages(s, 1, "--");
	assert_int_equal(slots_used(s), 1);
	assert_int_equal(content(s, "read p1 w0"), token);
	assert_int_equal(slots_used(s), 0);
	assert_int_equal(content(s, "read p0 w0"), token);
	evicted(s, "swapout p1 w0");
	assert_int_equal(slots_used(s), 1);
	run(s, "exit p0");
	assert_int_equal(slots_used(s), 1);
	run(s, "munmap p1 w0 2");
	assert_int_equal(slots_used(s), 0);
}

static void tmpfs_truncated_in_swap(struct scene *s)
{
	put(s, "fwrite f1 3");
	run(s, "mmap p0 w0 1 rw shared|fixed f1 3");
	run(s, "read p0 w0");
	evicted(s, "swapout p0 w0");
	assert_int_equal(slots_used(s), 1);
	run(s, "truncate f1 3");
	assert_int_equal(slots_used(s), 0);
	run(s, "truncate f1 8");
	assert_int_equal(content(s, "read p0 w0"), 0);
}

static void disk_writes_back(struct scene *s)
{
	struct machine_stats stats;
	uint64_t token;

	run(s, "mmap p0 w0 2 rw shared|fixed f0 0");
	run(s, "read p0 w1");
	evicted(s, "swapout p0 w1");
	assert_int_equal(content(s, "read p0 w1"), token_file(0, 1));
	token = put(s, "write p0 w0");
	evicted(s, "swapout p0 w0");
	assert_null(file_find_page(s->machine, s->machine->files[0], 0));
	assert_int_equal(content(s, "fread f0 0"), token);
	machine_stats(s->machine, &stats);
	assert_int_equal(stats.swapouts, 0);
	assert_int_equal(slots_used(s), 0);
}

/* ---- reclaim -------------------------------------------------------------------- */

static void reclaim_takes_what_is_old(struct scene *s)
{
	uint64_t token[8];
	char op[32];

	run(s, "mmap p0 w0 8 rw anon|fixed");
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(op, sizeof(op), "write p0 w%u", i);
		token[i] = put(s, op);
	}
	run(s, "p1 = fork p0");
	for (uint32_t i = 0; i < 4 && slots_used(s) < 8; i++)
		assert_int_equal(run(s, "reclaim 8"), 0);
	pages(s, 0, "ssssssss");
	pages(s, 1, "ssssssss");
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(op, sizeof(op), "read p%u w%u", i % 2, i);
		assert_int_equal(content(s, op), token[i]);
	}
}

static void reclaim_drops_the_cache_first(struct scene *s)
{
	char op[32];

	run(s, "mmap p0 w0 4 rw anon|fixed");
	put(s, "write p0 w0");
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(op, sizeof(op), "fread f0 %u", i);
		run(s, op);
	}
	assert_int_equal(run(s, "reclaim 4"), 0);
	assert_int_equal(s->last.value, 4);
	pages(s, 0, "w---");
	assert_int_equal(s->machine->files[0]->nrcached, 4);
	assert_int_equal(run(s, "reclaim 0"), 0);
	assert_int_equal(s->last.value, 0);
}

static uint32_t looks(struct scene *s, const char *op)
{
	struct zone *zone = &s->machine->zones[ZONE_DMA];
	uint32_t before = zone->scanned;

	assert_int_equal(run(s, op), 0);
	assert_int_equal(s->last.value, 0);
	return zone->scanned - before;
}

/* Locked pages are gone through a few times in vain, then hardly at all, until one is freed. */
static void reclaim_gives_up(struct scene *s)
{
	run(s, "mmap p0 w0 200 rw anon|fixed|locked");
	assert_in_range(looks(s, "reclaim 1"), 200, 1000);
	for (uint32_t i = 0; i < 16; i++)
		run(s, "reclaim 1");
	assert_in_range(looks(s, "reclaim 1"), 2, 4);
	run(s, "munmap p0 w0 1");
	assert_in_range(looks(s, "reclaim 1"), 200, 1000);
	/* Not anonymous: locked pages in the swap cache have taken all slots. */
	run(s, "mmap p0 w0 1 r shared|fixed f0 0");
	run(s, "read p0 w0");
	run(s, "munmap p0 w1 1");
	for (uint32_t i = 0; i < 4 && !s->last.value; i++)
		run(s, "reclaim 1");
	pages(s, 0, "-.");
}

/* Without swap anonymous memory stays; shared memory too, since it cannot be written. */
static void reclaim_without_swap(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mmap p0 w4 4 rw shared|anon|fixed");
	put(s, "write p0 w0");
	token = put(s, "write p0 w4");
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(run(s, "reclaim 16"), 0);
		assert_int_equal(s->last.value, 0);
	}
	pages(s, 0, "w---");
	assert_int_equal(content(s, "read p0 w4"), token);
}

/* More memory is touched than there is: swap takes what does not fit, nothing is lost. */
static void more_than_memory(struct scene *s)
{
	const uint32_t npages = 6000;
	struct op op = {.code = OP_write};
	struct result result;
	uint64_t token;

	run(s, "mmap p0 0x40000000 6000 rw anon|fixed");
	for (uint32_t i = 0; i < npages; i++) {
		op.args[1] = 0x40000000u + i * PAGE_SIZE;
		op.serial = 1000 + i;
		machine_apply(s->machine, &op, &result);
		assert_int_equal(result.err, 0);
	}
	assert_true(slots_used(s) > 1000);
	op.code = OP_read;
	for (uint32_t i = 0; i < npages; i += 7) {
		op.args[1] = 0x40000000u + i * PAGE_SIZE;
		machine_apply(s->machine, &op, &result);
		token = token_write(1000 + i);
		assert_int_equal(result.err, 0);
		assert_int_equal(result.token, token);
	}
	run(s, "munmap p0 0x40000000 6000");
	assert_int_equal(slots_used(s), 0);
}

/* ---- which scene on which machine ----------------------------------------------- */

#define PLAIN "tiny swap=32 files=2 file_pages=16"
#define SCENES(X)                                                                                  \
	X(out_and_in, PLAIN)                                                                       \
	X(evict_shared, PLAIN)                                                                     \
	X(last_entry_goes, PLAIN)                                                                  \
	X(nothing_to_evict, PLAIN)                                                                 \
	X(swap_is_full, "tiny swap=8 files=2 file_pages=16")                                       \
	X(slots_are_reused, PLAIN)                                                                 \
	X(locked_memory_stays, PLAIN)                                                              \
	X(refusal_of_one, PLAIN)                                                                   \
	X(stops_at_refusal, PLAIN)                                                                 \
	X(held_page_2_6_7, PLAIN " era=2.6.7")                                                     \
	X(held_page_2_6_6, PLAIN " era=2.6.6")                                                     \
	X(young_page_2_6_7, PLAIN " era=2.6.7")                                                    \
	X(ages, PLAIN)                                                                             \
	X(shmem_swaps, PLAIN)                                                                      \
	X(tmpfs_truncated_in_swap, PLAIN)                                                          \
	X(disk_writes_back, PLAIN)                                                                 \
	X(reclaim_takes_what_is_old, PLAIN)                                                        \
	X(reclaim_drops_the_cache_first, PLAIN)                                                    \
	X(reclaim_gives_up, PLAIN)                                                                 \
	X(reclaim_without_swap, "tiny swap=0 files=2 file_pages=16")                               \
	X(more_than_memory, "tiny swap=8000")

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

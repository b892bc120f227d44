/*
 * Pages given up for lost: madvise free, and what reclaim makes of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "internal.h"
#include "picture.h"

static pte_t entry(struct scene *s, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(s->machine, proc, W0 + page, &view));
	return view.pte;
}

static struct page *page_at(struct scene *s, uint32_t proc, uint32_t page)
{
	return pfn_to_page(s->machine, pte_pfn(entry(s, proc, page)));
}

static bool is_lazy(struct scene *s, uint32_t proc, uint32_t page)
{
	return page_at(s, proc, page)->flags & PG_LAZYFREE;
}

/* Until reclaim comes the page is there; then it goes, without a slot. */
static void lost(struct scene *s)
{
	uint64_t token;
	uint32_t before;

	run(s, "mmap p0 w0 3 rw anon|fixed");
	token = put(s, "write p0 w0");
	put(s, "write p0 w1");
	assert_int_equal(run(s, "madvise p0 w0 3 free"), 0);
	pages(s, 0, "ww-");
	assert_true(is_lazy(s, 0, 0));
	assert_int_equal(entry(s, 0, 0) & (PTE_A | PTE_D), 0);
	assert_int_equal(page_at(s, 0, 0)->flags & PG_ACTIVE, 0);
	assert_int_equal(content(s, "read p0 w0"), token);
	before = frames_used(s);
	evicted(s, "evict p0 w0");
	evicted(s, "swapout p0 w1");
	pages(s, 0, "---");
	assert_int_equal(frames_used(s), before - 2);
	assert_int_equal(s->machine->swap_used, 0);
	assert_int_equal(content(s, "read p0 w0"), 0);
	pages(s, 0, "z--");
}

/* A write, or a device's, makes an ordinary page of it. */
static void written_after_all(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	put(s, "write p0 w0");
	put(s, "write p0 w1");
	run(s, "madvise p0 w0 2 free");
	token = put(s, "write p0 w0");
	assert_true(is_lazy(s, 0, 0)); /* nobody has looked */
	evicted(s, "swapout p0 w0");
	pages(s, 0, "sw");
	assert_int_equal(content(s, "read p0 w0"), token);
	run(s, "d0 = pin p0 w1 1 write");
	token = put(s, "pinwrite d0 0");
	run(s, "unpin d0");
	evicted(s, "evict p0 w1");
	assert_int_equal(content(s, "read p0 w1"), token);
}

static void reclaimed(struct scene *s)
{
	uint64_t token, kept;

	run(s, "mmap p0 w0 4 rw anon|fixed|populate");
	token = put(s, "write p0 w3");
	run(s, "madvise p0 w0 3 free");
	kept = put(s, "write p0 w1");
	assert_int_equal(run(s, "reclaim 2"), 0);
	assert_int_equal(s->last.value, 2);
	pages(s, 0, "-w-w");
	assert_int_equal(s->machine->swap_used, 0);
	assert_int_equal(content(s, "read p0 w1"), kept);
	assert_int_equal(content(s, "read p0 w3"), token);
}

/* It needs no swap, but what was written does. */
static void without_swap(struct scene *s)
{
	uint64_t token;

	run(s, "swapoff s0");
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w1");
	run(s, "madvise p0 w0 2 free");
	token = put(s, "write p0 w1");
	assert_int_equal(run(s, "reclaim 8"), 0);
	pages(s, 0, "-w");
	run(s, "madvise p0 w1 1 free");
	token = put(s, "write p0 w1");
	assert_int_equal(run(s, "swapout p0 w1"), -ENOSPC);
	assert_int_equal(content(s, "read p0 w1"), token);
}

/* What others map stays; what became shared afterwards goes from all. */
static void shared(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "write p0 w1");
	run(s, "madvise p0 w1 1 free");
	run(s, "p1 = fork p0");
	run(s, "madvise p0 w0 2 free");
	assert_false(is_lazy(s, 0, 0));
	assert_true(is_lazy(s, 0, 1));
	evicted(s, "swapout p0 w0");
	evicted(s, "swapout p0 w1");
	pages(s, 0, "s-");
	pages(s, 1, "s-");
	assert_int_equal(content(s, "read p1 w0"), token);
	assert_int_equal(content(s, "read p1 w1"), 0);
}

/* A copy of a page that may be lost may not be. */
static void copied(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "madvise p0 w0 1 free");
	run(s, "p1 = fork p0");
	token = put(s, "write p1 w0");
	assert_false(is_lazy(s, 1, 0));
	evicted(s, "swapout p1 w0");
	evicted(s, "swapout p0 w0");
	pages(s, 0, "-");
	pages(s, 1, "s");
	assert_int_equal(content(s, "read p1 w0"), token);
	assert_int_equal(content(s, "read p0 w0"), 0);
}

/* A slot is given back at once, whether the page is in memory or not. */
static void swapped(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w1");
	evicted(s, "swapout p0 w0");
	evicted(s, "swapout p0 w1");
	run(s, "read p0 w1");
	assert_int_equal(s->machine->swap_used, 2);
	assert_int_equal(run(s, "madvise p0 w0 2 free"), 0);
	assert_int_equal(s->machine->swap_used, 0);
	pages(s, 0, "-r");
	evicted(s, "evict p0 w1");
	assert_int_equal(content(s, "read p0 w1"), 0);
}

/* A device that reads holds it in memory. */
static void held(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "write p0 w1");
	run(s, "d1 = pin p0 w1 1 -");
	run(s, "madvise p0 w0 2 free");
	assert_false(is_lazy(s, 0, 1));
	run(s, "d0 = pin p0 w0 1 -");
	assert_int_equal(run(s, "evict p0 w0"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	assert_int_equal(content(s, "pinread d0 0"), token);
	run(s, "unpin d0");
	run(s, "unpin d1");
	evicted(s, "evict p0 w0");
	pages(s, 0, "-w");
}

/* Moving it is no reason to lose it. */
static void migrated(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "madvise p0 w0 1 free");
	evicted(s, "migrate p0 w0");
	assert_int_equal(content(s, "read p0 w0"), token);
}

static void moved(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "madvise p0 w0 1 free");
	run(s, "mremap p0 w0 1 1 maymove|fixed w6");
	evicted(s, "swapout p0 w6");
	pages(s, 0, ".-....-");
}

/* The processor that has the page in its TLB must be told, or its next write is forgotten. */
static void flushed(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "p1 = clone_vm p0");
	run(s, "write p1 w0");
	run(s, "madvise p0 w0 1 free");
	token = put(s, "write p1 w0");
	evicted(s, "swapout p0 w0");
	assert_int_equal(content(s, "read p1 w0"), token);
}

static void errors(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mmap p0 w4 1 rw fixed f0 0");
	run(s, "mmap p0 w6 1 rw shared|anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w4");
	assert_int_equal(run(s, "madvise p0 w4 1 free"), -EINVAL);
	assert_int_equal(run(s, "madvise p0 w6 1 free"), -EINVAL);
	assert_int_equal(run(s, "madvise p0 w0 6 free"), -EINVAL);
	assert_true(is_lazy(s, 0, 0)); /* what came first is done */
	assert_int_equal(run(s, "madvise p0 w3 1 free"), 0);
	run(s, "munmap p0 w1 1");
	assert_int_equal(run(s, "madvise p0 w0 3 free"), -ENOMEM);
	run(s, "mlock p0 w3 1");
	assert_int_equal(run(s, "madvise p0 w3 1 free"), -EINVAL);
	evicted(s, "swapout p0 w4");
	pages(s, 0, "w.-ws.-");
}

#define MACHINE "tiny cpus=2 swap=32 files=2 file_pages=16"
#define SCENE(play)                                                                                \
	static void test_##play(void **state)                                                      \
	{                                                                                          \
		on_every_backend(MACHINE " era=2.6.6", play);                                      \
		on_every_backend(MACHINE " era=2.6.7", play);                                      \
	}
#define SCENES(X)                                                                                  \
	X(lost)                                                                                    \
	X(written_after_all)                                                                       \
	X(reclaimed)                                                                               \
	X(without_swap)                                                                            \
	X(shared)                                                                                  \
	X(copied)                                                                                  \
	X(swapped)                                                                                 \
	X(held)                                                                                    \
	X(migrated)                                                                                \
	X(moved)                                                                                   \
	X(flushed)                                                                                 \
	X(errors)
SCENES(SCENE)

#define TEST(play) cmocka_unit_test(test_##play),
int main(void)
{
	const struct CMUnitTest tests[] = {SCENES(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

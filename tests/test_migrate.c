/*
 * Frames replaced, pages offered to reclaim, areas left behind: migrate, advice, dontunmap.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "internal.h"
#include "picture.h"

static uint32_t frame(struct scene *s, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(s->machine, proc, W0 + page, &view));
	return view.pfn;
}

static uint32_t locked_vm(struct scene *s, uint32_t proc)
{
	return s->machine->tasks[proc]->mm->locked_vm;
}

/* ---- migrate -------------------------------------------------------------------------- */

static void anonymous(struct scene *s)
{
	uint32_t before;
	uint64_t token;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	token = put(s, "write p0 w0");
	before = frame(s, 0, 0);
	run(s, "p1 = fork p0");
	evicted(s, "migrate p1 w0");
	pages(s, 0, "s-");
	pages(s, 1, "s-");
	assert_int_equal(content(s, "read p0 w0"), token);
	assert_int_not_equal(frame(s, 0, 0), before);
	assert_int_equal(content(s, "read p1 w0"), token);
	assert_int_equal(mappers(s, 0, 0), 2);
	/* Again, from the cache it is in; and then out, from where it comes back. */
	evicted(s, "migrate p0 w0");
	run(s, "read p0 w0");
	evicted(s, "swapout p0 w0");
	assert_int_equal(content(s, "read p1 w0"), token);
	assert_int_equal(run(s, "migrate p0 w1"), -ENOENT);
}

static void file(struct scene *s)
{
	uint32_t before;
	uint64_t token;

	run(s, "mmap p0 w0 1 rw shared|fixed f0 0");
	run(s, "mmap p0 w1 1 r fixed f0 0");
	token = put(s, "write p0 w0");
	run(s, "read p0 w1");
	before = frame(s, 0, 0);
	evicted(s, "migrate p0 w1");
	pages(s, 0, "--");
	assert_int_equal(content(s, "read p0 w1"), token);
	assert_int_not_equal(frame(s, 0, 1), before);
	/* What was written is still to be stored. */
	run(s, "munmap p0 w0 2");
	assert_int_equal(run(s, "writeback f0"), 0);
	assert_int_equal(s->last.value, 1);
	run(s, "fdrop f0");
	assert_int_equal(content(s, "fread f0 0"), token);
}

static void refused(struct scene *s)
{
	uint32_t before;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w1");
	run(s, "mlock p0 w0 1");
	before = frame(s, 0, 0);
	assert_int_equal(run(s, "migrate p0 w0"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	assert_int_equal(frame(s, 0, 0), before);
	assert_int_equal(run(s, "migrate p0 w1 (fail_nth: 1)"), -ENOMEM);
	pages(s, 0, "ww");
}

/* ---- advice --------------------------------------------------------------------------- */

static void pageout(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	token = put(s, "write p0 w0");
	run(s, "read p0 w1");
	run(s, "mmap p0 w3 1 rw shared|fixed f0 0");
	run(s, "write p0 w3");
	assert_int_equal(run(s, "madvise p0 w0 4 pageout"), 0);
	pages(s, 0, "sz--");
	assert_int_equal(content(s, "read p0 w0"), token);
	/* Another one has just looked at it. */
	run(s, "p1 = fork p0");
	run(s, "read p1 w0");
	assert_int_equal(run(s, "madvise p0 w0 1 pageout"), 0);
	assert_int_equal(mappers(s, 1, 0), 2);
	assert_int_equal(run(s, "madvise p0 w0 1 pageout"), 0);
	pages(s, 0, "s");
	pages(s, 1, "s");
	run(s, "mlock p0 w1 1");
	assert_int_equal(run(s, "madvise p0 w0 4 pageout"), -EINVAL);
	assert_int_equal(run(s, "madvise p1 w3 2 pageout"), -ENOMEM);
}

static void willneed(struct scene *s)
{
	struct address_space *disk = s->machine->files[0], *tmp = s->machine->files[1];

	run(s, "mmap p0 w0 4 r fixed f0 2");
	run(s, "mmap p0 w4 4 r fixed f1 2");
	run(s, "mmap p0 w8 4 r shared|fixed f0 14");
	assert_int_equal(run(s, "madvise p0 w1 2 willneed"), 0);
	assert_int_equal(disk->nrcached, 2);
	assert_non_null(file_find_page(s->machine, disk, 3));
	assert_non_null(file_find_page(s->machine, disk, 4));
	pages(s, 0, "----");
	assert_int_equal(run(s, "madvise p0 w0 12 willneed"), 0);
	assert_int_equal(disk->nrcached, 6); /* 2..5, and what there is from 14 on */
	assert_int_equal(tmp->nrcached, 0);
	assert_int_equal(run(s, "madvise p0 w0 2 willneed (fail_nth: 1)"), 0);
	run(s, "mmap p0 w12 1 r anon|fixed");
	assert_int_equal(run(s, "madvise p0 w12 1 willneed"), -EBADF);
	assert_int_equal(content(s, "read p0 w8"), token_file(0, 14));
}

/* ---- mremap, dontunmap ---------------------------------------------------------------- */

static void left_behind(struct scene *s)
{
	uint64_t first, second;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	first = put(s, "write p0 w1");
	second = put(s, "write p0 w2");
	run(s, "p1 = fork p0");
	evicted(s, "swapout p0 w2");
	assert_int_equal(run(s, "mremap p0 w1 2 2 maymove|fixed|dontunmap w8"), 0);
	/* Copied when it moved, the page is nobody else's. */
	pages(s, 0, machine_rmap(s->machine)->may_unshare ? "----....ws" : "----....rs");
	if (machine_rmap(s->machine)->may_unshare)
		return;
	assert_int_equal(mappers(s, 1, 1), 2);
	assert_int_equal(content(s, "read p0 w1"), 0);
	assert_int_equal(content(s, "read p0 w8"), first);
	assert_int_equal(content(s, "read p0 w9"), second);
	/* One index, two places: each page is found at its own. */
	put(s, "write p0 w1");
	put(s, "write p0 w8");
	evicted(s, "evict p0 w1");
	pages(s, 0, "-s--....wr");
	evicted(s, "evict p0 w8");
	evicted(s, "evict p1 w1");
	pages(s, 1, "-ss-");
}

static void lock_moves_along(struct scene *s)
{
	run(s, "mmap p0 w0 3 rw anon|fixed");
	run(s, "mlock p0 w0 3");
	assert_int_equal(run(s, "mremap p0 w1 1 1 maymove|fixed|dontunmap w3"), 0);
	assert_int_equal(locked_vm(s, 0), 3);
	pages(s, 0, "w-ww");
	run(s, "write p0 w1");
	evicted(s, "evict p0 w1");
	assert_int_equal(run(s, "evict p0 w3"), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
	run(s, "munlock p0 w0 4");
	assert_int_equal(locked_vm(s, 0), 0);
}

static void dontunmap_errors(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "mmap p0 w2 1 rw shared|anon|fixed");
	run(s, "mmap p0 w3 1 rw fixed f0 0");
	run(s, "write p0 w0");
	assert_int_equal(run(s, "mremap p0 w0 1 1 dontunmap"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w0 1 2 maymove|dontunmap"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w0 2 1 maymove|dontunmap"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w2 1 1 maymove|dontunmap"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w3 1 1 maymove|dontunmap"), -EINVAL);
	assert_int_equal(run(s, "mremap p0 w9 1 1 maymove|dontunmap"), -EFAULT);
	assert_int_equal(run(s, "mremap p0 w0 2 2 maymove|dontunmap (fail_nth: 1)"), -ENOMEM);
	pages(s, 0, "w---");
	assert_int_equal(run(s, "mremap p0 w0 2 2 maymove|dontunmap"), 0);
	assert_int_not_equal(s->last.value, WINDOW_BASE);
	pages(s, 0, "----");
}

#define MACHINE "tiny swap=32 files=2 file_pages=16"
#define SCENE(play)                                                                                \
	static void test_##play(void **state)                                                      \
	{                                                                                          \
		on_every_backend(MACHINE " era=2.6.6", play);                                      \
		on_every_backend(MACHINE " era=2.6.7", play);                                      \
	}
#define SCENES(X)                                                                                  \
	X(anonymous)                                                                               \
	X(file)                                                                                    \
	X(refused)                                                                                 \
	X(pageout)                                                                                 \
	X(willneed)                                                                                \
	X(left_behind)                                                                             \
	X(lock_moves_along)                                                                        \
	X(dontunmap_errors)
SCENES(SCENE)

#define TEST(play) cmocka_unit_test(test_##play),
int main(void)
{
	const struct CMUnitTest tests[] = {SCENES(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

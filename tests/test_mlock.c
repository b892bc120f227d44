/*
 * mlock, munlock, mlockall, mlockall_future, munlockall: what is locked stays, and only that.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "internal.h"
#include "picture.h"

static uint32_t locked_vm(struct scene *s, uint32_t proc)
{
	return s->machine->tasks[proc]->mm->locked_vm;
}

static void stays(struct scene *s, const char *op)
{
	assert_int_equal(run(s, op), 0);
	assert_int_equal(s->last.value, UNMAP_FAIL);
}

/* The lock cuts its area out, brings its pages in, and is counted. */
static void cuts_and_counts(struct scene *s)
{
	run(s, "mmap p0 w0 6 rw anon|fixed");
	assert_int_equal(run(s, "mlock p0 w1 3"), 0);
	areas(s, 0, "aBBBcc..");
	pages(s, 0, "-www--");
	assert_int_equal(locked_vm(s, 0), 3);
	/* Again, and a bit further: only the new part counts. */
	assert_int_equal(run(s, "mlock p0 w2 3"), 0);
	assert_int_equal(locked_vm(s, 0), 4);
	assert_int_equal(run(s, "munlock p0 w0 3"), 0);
	assert_int_equal(locked_vm(s, 0), 2);
	run(s, "munmap p0 w3 1");
	assert_int_equal(locked_vm(s, 0), 1);
	run(s, "munlockall p0");
	assert_int_equal(locked_vm(s, 0), 0);
	pages(s, 0, "-ww.w-");
}

/* Nothing is given up in a locked area, whoever asks, and everything in the others. */
static void keeps(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mlock p0 w0 1");
	run(s, "p1 = fork p0");
	assert_int_equal(locked_vm(s, 1), 0);
	stays(s, "evict p1 w0");
	stays(s, "swapout p0 w0");
	run(s, "reclaim 1000");
	pages(s, 0, "r-");
	/* A written copy is another page; the original is locked still. */
	run(s, "write p1 w0");
	evicted(s, "evict p1 w0");
	stays(s, "evict p0 w0");
	run(s, "munlock p0 w0 1");
	evicted(s, "evict p0 w0");
	pages(s, 0, "s-");
	/* Locking brings back what is swapped. */
	run(s, "mlock p0 w0 1");
	stays(s, "evict p0 w0");
}

/* Up to a hole, areas are locked; a page that cannot be had is an error after the fact. */
static void errors(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "mmap p0 w3 1 rw anon|fixed");
	assert_int_equal(run(s, "mlock p0 w0 4"), -ENOMEM);
	assert_int_equal(locked_vm(s, 0), 2);
	pages(s, 0, "--.-");
	assert_int_equal(run(s, "mlock p0 w2 1"), -ENOMEM);
	assert_int_equal(run(s, "munlock p0 w0 4"), -ENOMEM);
	assert_int_equal(locked_vm(s, 0), 0);
	assert_int_equal(run(s, "mlock p0 w0 0"), 0);
	assert_int_equal(run(s, "mlock p0 0xfffff000 1"), -EINVAL);
	assert_int_equal(run(s, "mlock p0 0x60000001 1"), 0); /* two pages are touched */
	assert_int_equal(locked_vm(s, 0), 2);

	run(s, "mmap p0 w8 4 none anon|fixed");
	assert_int_equal(run(s, "mlock p0 w8 4"), -ENOMEM);
	assert_int_equal(locked_vm(s, 0), 6);
	run(s, "mmap p0 w16 4 rw shared|fixed f0 14");
	assert_int_equal(run(s, "mlock p0 w16 4"), -ENOMEM);
	assert_int_equal(locked_vm(s, 0), 10);
	assert_int_equal(mappers(s, 0, 17), 1);
}

static void all(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "mmap p0 w4 4 none anon|fixed");
	run(s, "mmap p0 w8 2 r fixed f0 15");
	run(s, "mmap p0 w10 1 rw shared|anon|fixed");
	assert_int_equal(run(s, "mlockall p0"), 0);
	assert_int_equal(locked_vm(s, 0), 9);
	pages(s, 0, "ww..----r-w");
	stays(s, "evict p0 w10");
	assert_int_equal(run(s, "munlockall p0"), 0);
	assert_int_equal(locked_vm(s, 0), 0);
	evicted(s, "evict p0 w10");
}

/* What is mapped from now on, until somebody says otherwise. */
static void future(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	assert_int_equal(run(s, "mlockall_future p0"), 0);
	assert_int_equal(locked_vm(s, 0), 0);
	pages(s, 0, "--");
	run(s, "mmap p0 w4 2 rw anon|fixed");
	run(s, "mmap p0 w6 2 none anon|fixed");
	run(s, "mmap p0 w8 2 r shared|fixed f0 15");
	pages(s, 0, "--..ww--r-");
	assert_int_equal(locked_vm(s, 0), 6);
	stays(s, "evict p0 w4");
	/* The heap. */
	run(s, "brk p0 0x08101800");
	assert_int_equal(locked_vm(s, 0), 8);
	stays(s, "evict p0 0x08101000");
	run(s, "brk p0 0x08101000");
	assert_int_equal(locked_vm(s, 0), 7);
	/* Threads have it, children and new programs do not. */
	run(s, "p1 = clone_vm p0");
	run(s, "mmap p1 w12 1 rw anon|fixed");
	assert_int_equal(locked_vm(s, 0), 8);
	run(s, "p2 = fork p0");
	run(s, "mmap p2 w12 1 rw anon|fixed");
	assert_int_equal(locked_vm(s, 2), 0);
	run(s, "exec p1");
	run(s, "mmap p1 w0 1 rw anon|fixed");
	assert_int_equal(locked_vm(s, 1), 0);
	/* A locked area takes its lock along as it grows, and an older one stays as it is. */
	run(s, "mremap p0 w0 2 3 -");
	pages(s, 0, "---.rr"); /* since fork */
	run(s, "mremap p0 w12 1 2 -");
	assert_int_equal(locked_vm(s, 0), 9);
	run(s, "mmap p0 w20 1 rw anon|fixed|growsdown");
	run(s, "write p0 w18");
	assert_int_equal(locked_vm(s, 0), 12);
	stays(s, "evict p0 w18");
}

static void future_ends(struct scene *s)
{
	run(s, "mlockall_future p0");
	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "munlockall p0");
	run(s, "mmap p0 w1 1 rw anon|fixed");
	pages(s, 0, "w-");
	assert_int_equal(locked_vm(s, 0), 0);
	run(s, "mlockall_future p0");
	run(s, "mlockall p0");
	run(s, "mmap p0 w2 1 rw anon|fixed");
	pages(s, 0, "ww-");
	assert_int_equal(locked_vm(s, 0), 2);
	/* Nobody minds if memory runs out on the way. */
	run(s, "mlockall_future p0");
	assert_int_equal(run(s, "mmap p0 w4 2 rw anon|fixed (fail_nth: 3)"), 0);
	assert_int_equal(locked_vm(s, 0), 4);
}

static void failures(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	assert_int_equal(run(s, "mlock p0 w1 2 (fail_nth: 1)"), -EAGAIN);
	assert_int_equal(locked_vm(s, 0), 0);
	/* The lower cut is made, the upper one not. */
	assert_int_equal(run(s, "mlock p0 w1 2 (fail_nth: 2)"), -EAGAIN);
	assert_int_equal(locked_vm(s, 0), 0);
	areas(s, 0, "abbb");
	assert_int_equal(run(s, "mlock p0 w1 3 (fail_nth: 2)"), -EAGAIN);
	assert_int_equal(locked_vm(s, 0), 3);
	assert_int_equal(run(s, "munlock p0 w2 1 (fail_nth: 2)"), -EAGAIN);
	assert_int_equal(locked_vm(s, 0), 3);
}

/* Locks travel with a moved area and cover what it gains. */
static void moves(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "mlock p0 w0 2");
	run(s, "mmap p0 w2 1 rw anon|fixed");
	assert_int_equal(run(s, "mremap p0 w0 2 3 maymove|fixed w8"), 0);
	pages(s, 0, "..-.....www.");
	assert_int_equal(locked_vm(s, 0), 3);
	stays(s, "evict p0 w9");
	run(s, "exec p0");
	assert_int_equal(locked_vm(s, 0), 0);
}

/* A stack counts what it grows by. */
static void stack(struct scene *s)
{
	run(s, "mmap p0 w8 2 rw anon|fixed|growsdown");
	run(s, "mlock p0 w8 2");
	run(s, "write p0 w5");
	assert_int_equal(locked_vm(s, 0), 5);
	stays(s, "evict p0 w5");
	run(s, "munlock p0 w5 5");
	assert_int_equal(locked_vm(s, 0), 0);
}

#define MACHINE "tiny swap=32 files=2 file_pages=16"
#define SCENE(play)                                                                                \
	static void test_##play(void **state)                                                      \
	{                                                                                          \
		on_every_backend(MACHINE " era=2.6.6", play);                                      \
		on_every_backend(MACHINE " era=2.6.7", play);                                      \
	}
#define SCENES(X)                                                                                  \
	X(cuts_and_counts)                                                                         \
	X(keeps)                                                                                   \
	X(errors)                                                                                  \
	X(all)                                                                                     \
	X(future)                                                                                  \
	X(future_ends)                                                                             \
	X(failures)                                                                                \
	X(moves)                                                                                   \
	X(stack)
SCENES(SCENE)

#define TEST(play) cmocka_unit_test(test_##play),
int main(void)
{
	const struct CMUnitTest tests[] = {SCENES(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Threads: processes that share an address space, on every backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "internal.h"
#include "picture.h"

static void shares(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	assert_int_equal(run(s, "p1 = clone_vm p0"), 0);
	run(s, "write p1 w1");
	run(s, "munmap p1 w3 1");
	areas(s, 0, "AAa.");
	areas(s, 1, "AAa.");
	assert_int_equal(mappers(s, 0, 0), 1);
	assert_int_equal(machine_mm_of(s->machine, 1), 0);
	run(s, "read p1 w0");
	assert_int_equal(s->last.token, token_write(1));
	assert_int_equal(run(s, "p1 = clone_vm p0"), -EAGAIN);
	assert_int_equal(run(s, "p0 = clone_vm p5"), -ESRCH);
}

static void the_last_one_ends_it(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "p3 = clone_vm p0");
	run(s, "p2 = clone_vm p3");
	run(s, "exit p0");
	assert_int_equal(machine_mm_of(s->machine, 3), 2);
	pages(s, 3, "w-");
	evicted(s, "swapout p3 w0");
	pages(s, 2, "s-");
	run(s, "exit p2");
	assert_int_equal(machine_mm_of(s->machine, 3), 3);
	run(s, "read p3 w0");
	assert_int_equal(s->last.token, token_write(1));
	assert_int_equal(run(s, "read p2 w0"), -ESRCH);
	run(s, "exit p3");
	assert_true(TAILQ_EMPTY(&s->machine->mms));
}

/* A page that two address spaces share, one of them with two threads, has two entries. */
static void fork_copies_and_exec_leaves(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "p1 = clone_vm p0");
	run(s, "p2 = fork p1");
	assert_int_equal(mappers(s, 1, 0), 2);
	run(s, "write p1 w0");
	pages(s, 0, "w-");
	pages(s, 2, "r-");
	assert_int_equal(run(s, "exec p0 (fail_nth: 1)"), -ENOMEM);
	assert_int_equal(machine_mm_of(s->machine, 1), 0);
	assert_int_equal(run(s, "exec p0"), 0);
	areas(s, 0, "..");
	areas(s, 1, "Aa");
	assert_int_equal(machine_mm_of(s->machine, 0), 0);
	assert_int_equal(machine_mm_of(s->machine, 1), 1);
}

static void failures_leave_no_thread(struct scene *s)
{
	assert_int_equal(run(s, "p1 = clone_vm p0 (fail_nth: 1)"), -ENOMEM);
	assert_int_equal(run(s, "p1 = clone_vm p0 (fail_nth: 2)"), -ENOMEM);
	assert_false(machine_proc_alive(s->machine, 1));
	assert_int_equal(run(s, "p1 = clone_vm p0 (fail_nth: 3)"), 0);
}

static void threads_share_an_address_space(void **state)
{
	on_every_backend("tiny", shares);
	on_every_backend("tiny", the_last_one_ends_it);
	on_every_backend("tiny", fork_copies_and_exec_leaves);
	on_every_backend("tiny", failures_leave_no_thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_an_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

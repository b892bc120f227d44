/*
 * Faults: what a touch of a page does, on every reverse map.
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

/* Read a page; its content. */
/* Write a page; the token that is there now. */
static struct page_view look(struct scene *s, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(s->machine, proc, W0 + page, &view));
	return view;
}

/* ---- anonymous memory ----------------------------------------------------------- */

static void demand_zero(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	assert_int_equal(content(s, "read p0 w1"), 0);
	pages(s, 0, "-z--");
	assert_int_equal(mappers(s, 0, 1), 0);
	token = put(s, "write p0 w1");
	pages(s, 0, "-w--");
	assert_int_equal(mappers(s, 0, 1), 1);
	assert_int_equal(content(s, "read p0 w1"), token);
	put(s, "write p0 w2");
	pages(s, 0, "-ww-");
	assert_true(look(s, 0, 2).anon);
}

static void signals(struct scene *s)
{
	assert_int_equal(run(s, "read p0 w0"), RES_SEGV);
	assert_int_equal(run(s, "read p0 0xfffff000"), RES_SEGV);
	run(s, "mmap p0 w0 1 r anon|fixed");
	assert_int_equal(run(s, "write p0 w0"), RES_SEGV);
	assert_int_equal(run(s, "read p0 w0"), 0);
	assert_int_equal(run(s, "write p0 w0"), RES_SEGV);
	run(s, "mmap p0 w1 1 rw anon|fixed");
	put(s, "write p0 w1");
	run(s, "mprotect p0 w1 1 none");
	pages(s, 0, "zn");
	assert_int_equal(run(s, "read p0 w1"), RES_SEGV);
	assert_int_equal(run(s, "write p0 w1"), RES_SEGV);
}

/* i386 cannot deny reading what may be written; but a read does not bring the page in. */
static void write_only(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 1 w anon|fixed");
	assert_int_equal(run(s, "read p0 w0"), RES_SEGV);
	token = put(s, "write p0 w0");
	assert_int_equal(content(s, "read p0 w0"), token);
}

static void copy_on_write(struct scene *s)
{
	uint64_t old, new;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	old = put(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	assert_int_equal(mappers(s, 0, 0), 3);
	pages(s, 0, "r-");
	new = put(s, "write p1 w0");
	assert_int_equal(mappers(s, 1, 0), 1);
	assert_int_equal(mappers(s, 0, 0), 2);
	assert_int_equal(content(s, "read p1 w0"), new);
	assert_int_equal(content(s, "read p2 w0"), old);
	put(s, "write p0 w0");
	assert_int_equal(content(s, "read p2 w0"), old);
	pages(s, 2, "r-");
}

/* The last owner writes in place; so does one who got write permission back. */
static void reuse(struct scene *s)
{
	uint32_t pfn;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	put(s, "write p0 w0");
	pfn = look(s, 0, 0).pfn;
	run(s, "p1 = fork p0");
	run(s, "exit p0");
	put(s, "write p1 w0");
	assert_int_equal(look(s, 1, 0).pfn, pfn);
	pages(s, 1, "w-");
	run(s, "mprotect p1 w0 1 r");
	run(s, "mprotect p1 w0 1 rw");
	pages(s, 1, "r-");
	put(s, "write p1 w0");
	assert_int_equal(look(s, 1, 0).pfn, pfn);
	pages(s, 1, "w-");
}

static void zero_page_is_copied(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "read p0 w0");
	run(s, "p1 = fork p0");
	pages(s, 1, "z-");
	put(s, "write p1 w0");
	pages(s, 0, "z-");
	pages(s, 1, "w-");
	assert_int_equal(content(s, "read p0 w0"), 0);
}

static void accessed_and_dirty(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw shared|fixed f1 0");
	run(s, "read p0 w0");
	assert_true(pte_young(look(s, 0, 0).pte));
	assert_false(pte_dirty(look(s, 0, 0).pte));
	assert_int_equal(run(s, "age p0 w0"), 0);
	assert_false(pte_young(look(s, 0, 0).pte));
	put(s, "write p0 w0");
	assert_true(pte_young(look(s, 0, 0).pte));
	assert_true(pte_dirty(look(s, 0, 0).pte));
}

/* ---- stacks --------------------------------------------------------------------- */

static void stack_grows(struct scene *s)
{
	run(s, "mmap p0 w8 2 rw anon|fixed|growsdown");
	put(s, "write p0 w5");
	areas(s, 0, ".....Aaaaa.");
	assert_int_equal(run(s, "evict p0 w5"), 0);
	assert_int_equal(mappers(s, 0, 5), 0);
	run(s, "mmap p0 w2 1 rw anon|fixed|noreserve");
	assert_int_equal(run(s, "read p0 w1"), RES_SEGV);
	put(s, "write p0 w3");
	areas(s, 0, "..aBbBbbbb.");
}

static void stack_has_a_limit(struct scene *s)
{
	run(s, "mmap p0 0x61000000 1 rw anon|fixed|growsdown");
	assert_int_equal(run(s, "write p0 0x60800000"), RES_SEGV);
	assert_int_equal(run(s, "write p0 0x60801000"), 0);
}

/* ---- files ---------------------------------------------------------------------- */

static void shared_file(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw shared|fixed f1 4");
	assert_int_equal(content(s, "read p0 w1"), token_file(1, 5));
	pages(s, 0, "-w--"); /* writable from the first read on */
	run(s, "p1 = fork p0");
	token = put(s, "write p1 w1");
	assert_int_equal(mappers(s, 0, 1), 2);
	assert_int_equal(content(s, "read p0 w1"), token);
	assert_int_equal(content(s, "fread f1 5"), token);
	token = put(s, "fwrite f1 5");
	assert_int_equal(content(s, "read p1 w1"), token);
}

static void private_file(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 3 rw fixed f0 2");
	assert_int_equal(content(s, "read p0 w0"), token_file(0, 2));
	pages(s, 0, "r--");
	assert_false(look(s, 0, 0).anon);
	token = put(s, "write p0 w1"); /* copied at once */
	pages(s, 0, "rw-");
	assert_true(look(s, 0, 1).anon);
	assert_int_equal(content(s, "read p0 w1"), token);
	assert_int_equal(content(s, "fread f0 3"), token_file(0, 3));
	put(s, "write p0 w0");
	assert_true(look(s, 0, 0).anon);
	assert_int_equal(content(s, "fread f0 2"), token_file(0, 2));
}

static void beyond_the_end(struct scene *s)
{
	uint64_t token;

	run(s, "truncate f0 2");
	run(s, "mmap p0 w0 4 rw shared|fixed f0 0");
	assert_int_equal(run(s, "read p0 w1"), 0);
	assert_int_equal(run(s, "read p0 w2"), RES_BUS);
	assert_int_equal(run(s, "fread f0 2"), -ENODATA);
	token = put(s, "fwrite f0 3");
	assert_int_equal(content(s, "read p0 w2"), 0);
	assert_int_equal(content(s, "read p0 w3"), token);
}

/* Shrinking takes pages from everybody, private copies included; growing brings zeros. */
static void truncation(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw fixed f1 0");
	run(s, "mmap p0 w4 4 rw shared|fixed f1 0");
	put(s, "write p0 w0");
	put(s, "write p0 w2");
	put(s, "write p0 w5");
	put(s, "write p0 w7");
	run(s, "read p0 w3");
	run(s, "p1 = fork p0");
	pages(s, 1, "r-rr-w-w");
	run(s, "truncate f1 2");
	pages(s, 0, "r----w--");
	pages(s, 1, "r----w--");
	assert_int_equal(run(s, "read p1 w2"), RES_BUS);
	run(s, "truncate f1 8");
	assert_int_equal(content(s, "read p1 w2"), 0);
	assert_int_equal(content(s, "read p1 w7"), 0);
	assert_int_equal(content(s, "fread f1 6"), 0);
	assert_int_equal(run(s, "truncate f1 262145"), -EFBIG);
	assert_int_equal(run(s, "fwrite f1 262144"), -EFBIG);
}

static void shared_anonymous(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw shared|anon|fixed");
	run(s, "p1 = fork p0");
	token = put(s, "write p0 w2");
	assert_int_equal(content(s, "read p1 w2"), token);
	assert_int_equal(content(s, "read p1 w3"), 0);
	assert_int_equal(mappers(s, 0, 2), 2);
	run(s, "munmap p0 w0 4");
	assert_int_equal(content(s, "read p1 w2"), token);
	assert_int_equal(mappers(s, 1, 2), 1);
}

/* ---- failing and reclaiming allocations ----------------------------------------- */

/* OP, which needs memory, with each of its allocations failing in turn: refused and undone,
 * until there is none left to fail. Returns how many there were. */
static uint32_t fail_each(struct scene *s, const char *op)
{
	char text[96];
	uint32_t n;

	for (n = 1; n < 16; n++) {
		snprintf(text, sizeof(text), "%s (fail_nth: %u)", op, n);
		if (!run(s, text))
			break;
		assert_int_equal(s->last.err, -ENOMEM);
		assert_true(machine_last_op(s->machine)->alloc_failed);
	}
	return n - 1;
}

static uint32_t fail_each_meta(struct scene *s, const char *op)
{
	char text[96];
	uint32_t n;

	for (n = 1; n < 16; n++) {
		snprintf(text, sizeof(text), "%s (fail_meta: %u)", op, n);
		if (!run(s, text))
			break;
		assert_int_equal(s->last.err, -ENOMEM);
	}
	return n - 1;
}

static void failures(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mmap p0 w4 4 rw fixed f0 0");
	run(s, "mmap p0 w8 4 rw shared|fixed f1 0");
	assert_int_equal(fail_each(s, "write p0 w0"), 2); /* a table and the page */
	assert_int_equal(fail_each(s, "write p0 w1"), 1);
	assert_int_equal(fail_each(s, "read p0 w2"), 0);
	assert_int_equal(fail_each(s, "write p0 w2"), 1);
	fail_each(s, "write p0 w4");
	fail_each(s, "read p0 w5");
	fail_each(s, "write p0 w5");
	fail_each(s, "read p0 w8");
	fail_each(s, "write p0 w9");
	run(s, "p1 = fork p0");
	assert_int_equal(fail_each(s, "write p1 w0"), 1);
	fail_each(s, "fread f1 9");
	fail_each(s, "fwrite f5 9000");
	pages(s, 0, "rrr-rr--ww--");
}

static void meta_failures(struct scene *s)
{
	uint64_t old;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mmap p0 w4 4 rw fixed f0 0");
	run(s, "mmap p0 w8 4 rw shared|fixed f1 0");
	fail_each_meta(s, "write p0 w0");
	old = token_write(s->serial - 1);
	fail_each_meta(s, "write p0 w4");
	fail_each_meta(s, "read p0 w5");
	fail_each_meta(s, "read p0 w9");
	run(s, "p1 = fork p0");
	fail_each_meta(s, "write p1 w0");
	assert_int_equal(content(s, "read p0 w0"), old);
	run(s, "p2 = fork p0");
	run(s, "evict p0 w0");
	fail_each_meta(s, "read p0 w0");
	fail_each_meta(s, "write p2 w0");
	assert_int_equal(content(s, "read p0 w0"), old);
}

/* The page that is about to be copied is unmapped while memory for the copy is found. */
static void reclaim_in_fault(struct scene *s)
{
	uint64_t old, new;
	char op[64];

	run(s, "mmap p0 w0 8 rw anon|fixed");
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(op, sizeof(op), "write p0 w%u", i);
		old = put(s, op);
	}
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p1");
	for (uint32_t i = 0; i < 3; i++)
		run(s, "age p0 w7");
	new = put(s, "write p1 w7 (reclaim_nth: 1)");
	assert_int_equal(content(s, "read p1 w7"), new);
	assert_int_equal(content(s, "read p0 w7"), old);
	assert_int_equal(content(s, "read p2 w7 (reclaim_nth: 1)"), old);
	run(s, "mmap p0 w8 8 rw fixed f0 0");
	run(s, "read p0 w9 (reclaim_nth: 1)");
	run(s, "write p0 w9 (reclaim_nth: 1)");
	run(s, "fread f0 5 (reclaim_nth: 2)");
}

/* Reclaim empties the page cache's tree while a page is being put into it. */
static void reclaim_in_cache(struct scene *s)
{
	uint64_t old, new;

	old = put(s, "fwrite f0 100");
	new = put(s, "fwrite f0 200 (reclaim_nth: 2)");
	assert_int_equal(content(s, "fread f0 100"), old);
	assert_int_equal(content(s, "fread f0 200"), new);
	old = put(s, "fwrite f1 5000");
	new = put(s, "fwrite f1 9 (reclaim_nth: 2)");
	assert_int_equal(content(s, "fread f1 5000 (reclaim_nth: 2)"), old);
	assert_int_equal(content(s, "fread f1 9 (reclaim_nth: 1)"), new);
}

#define FAULTS "tiny swap=32 files=2 file_pages=16"
#define SCENE(play)                                                                                \
	static void test_##play(void **state)                                                      \
	{                                                                                          \
		on_every_backend(FAULTS, play);                                                    \
		on_every_backend(FAULTS " era=2.6.6", play);                                       \
		on_every_backend(FAULTS " era=2.6.7", play);                                       \
	}
#define SCENES(X)                                                                                  \
	X(demand_zero)                                                                             \
	X(signals)                                                                                 \
	X(write_only)                                                                              \
	X(copy_on_write)                                                                           \
	X(reuse)                                                                                   \
	X(zero_page_is_copied)                                                                     \
	X(accessed_and_dirty)                                                                      \
	X(stack_grows)                                                                             \
	X(stack_has_a_limit)                                                                       \
	X(shared_file)                                                                             \
	X(private_file)                                                                            \
	X(beyond_the_end)                                                                          \
	X(truncation)                                                                              \
	X(shared_anonymous)                                                                        \
	X(failures)                                                                                \
	X(meta_failures)                                                                           \
	X(reclaim_in_fault)                                                                        \
	X(reclaim_in_cache)
SCENES(SCENE)

#define TEST(play) cmocka_unit_test(test_##play),
int main(void)
{
	const struct CMUnitTest tests[] = {SCENES(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

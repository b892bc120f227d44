/*
 * Files behind mappings: msync, writeback, mkclean, fdrop, fpunch, truncate, write(2).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"
#include "picture.h"

static uint32_t value(struct scene *s, const char *op)
{
	assert_int_equal(run(s, op), 0);
	return s->last.value;
}

static uint64_t stored(struct scene *s, uint32_t file, uint32_t index)
{
	return radix_get(s->machine->files[file]->store, index);
}

static pte_t entry(struct scene *s, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(s->machine, proc, W0 + page, &view));
	return view.pte;
}

/* ---- writing back --------------------------------------------------------------------- */

static void entries_keep_secrets(struct scene *s)
{
	uint64_t first, second;

	run(s, "mmap p0 w0 2 rw shared|fixed f0 0");
	first = put(s, "write p0 w0");
	assert_int_equal(value(s, "writeback f0"), 0);
	assert_int_equal(stored(s, 0, 0), 0);
	run(s, "msync p0 w0 1 async");
	assert_false(pte_dirty(entry(s, 0, 0)));
	assert_true(pte_write(entry(s, 0, 0)));
	assert_int_equal(stored(s, 0, 0), 0);
	assert_int_equal(value(s, "writeback f0"), 1);
	assert_int_equal(stored(s, 0, 0), first);
	/* The entry is writable still: nobody hears of the next write. */
	second = put(s, "write p0 w0");
	assert_int_equal(value(s, "writeback f0"), 0);
	run(s, "msync p0 w0 2 sync");
	assert_int_equal(stored(s, 0, 0), second);
}

static void everybody_is_made_clean(struct scene *s)
{
	struct machine_stats before, after;
	uint64_t token;

	run(s, "mmap p0 w0 1 rw shared|fixed f0 0");
	run(s, "mmap p0 w1 1 r shared|fixed f0 0");
	run(s, "mmap p0 w2 1 rw fixed f0 0");
	run(s, "read p0 w1");
	run(s, "read p0 w2");
	run(s, "p1 = fork p0");
	run(s, "write p0 w0");
	token = put(s, "write p1 w0");
	pages(s, 0, "wrr");
	pages(s, 1, "wrr");
	machine_stats(s->machine, &before);
	assert_int_equal(value(s, "mkclean f0"), 1);
	machine_stats(s->machine, &after);
	assert_int_equal(stored(s, 0, 0), token);
	pages(s, 0, "rrr");
	pages(s, 1, "rrr");
	assert_int_equal(mappers(s, 0, 0), 6);
	assert_int_equal(before.unmaps, after.unmaps);
	/* Writing is noticed, in place, and by him who writes. */
	token = put(s, "write p1 w0");
	pages(s, 0, "rrr");
	pages(s, 1, "wrr");
	assert_int_equal(content(s, "read p0 w2"), token);
	assert_int_equal(value(s, "mkclean f0"), 1);
	assert_int_equal(stored(s, 0, 0), token);
	assert_int_equal(value(s, "mkclean f0"), 0);
}

/* A copy that somebody made of the page is neither cleaned nor written. */
static void copies_are_private(struct scene *s)
{
	uint64_t mine;

	run(s, "mmap p0 w0 1 rw fixed f0 0");
	mine = put(s, "write p0 w0");
	assert_int_equal(value(s, "mkclean f0"), 0);
	pages(s, 0, "w");
	run(s, "msync p0 w0 1 sync");
	assert_true(pte_dirty(entry(s, 0, 0)));
	assert_int_equal(content(s, "fread f0 0"), token_file(0, 0));
	assert_int_equal(content(s, "read p0 w0"), mine);
}

/* write(2) shows at once in every mapping that has no copy. */
static void written_under_mappings(struct scene *s)
{
	uint64_t token, copy;

	run(s, "mmap p0 w0 1 rw shared|fixed f0 0");
	run(s, "mmap p0 w1 2 rw fixed f0 0");
	run(s, "write p0 w0");
	run(s, "read p0 w1");
	copy = put(s, "write p0 w2");
	token = put(s, "fwrite f0 0");
	run(s, "fwrite f0 1");
	assert_int_equal(content(s, "read p0 w0"), token);
	assert_int_equal(content(s, "read p0 w1"), token);
	assert_int_equal(content(s, "read p0 w2"), copy);
	assert_int_equal(value(s, "writeback f0"), 2);
	assert_int_equal(stored(s, 0, 0), token);
	run(s, "write p0 w0");
	token = put(s, "fwrite f0 0");
	assert_int_equal(value(s, "mkclean f0"), 1);
	assert_int_equal(stored(s, 0, 0), token);
}

static void no_memory_for_the_store(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw shared|fixed f0 0");
	token = put(s, "write p0 w0");
	assert_int_equal(run(s, "mkclean f0 (fail_nth: 1)"), -ENOMEM);
	assert_int_equal(stored(s, 0, 0), 0);
	pages(s, 0, "r-");
	assert_int_equal(value(s, "mkclean f0"), 1); /* the page remembers */
	assert_int_equal(stored(s, 0, 0), token);
}

/* ---- dropping ------------------------------------------------------------------------- */

static void drops_what_is_idle(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 1 r shared|fixed f0 0");
	run(s, "read p0 w0");
	run(s, "fread f0 1");
	token = put(s, "fwrite f0 2");
	assert_int_equal(value(s, "fdrop f0"), 1);
	assert_int_equal(value(s, "writeback f0"), 1);
	assert_int_equal(value(s, "fdrop f0"), 1);
	run(s, "munmap p0 w0 1");
	assert_int_equal(value(s, "fdrop f0"), 1);
	assert_int_equal(value(s, "fdrop f0"), 0);
	assert_int_equal(content(s, "fread f0 2"), token);
	assert_int_equal(content(s, "fread f0 0"), token_file(0, 0));
	/* tmpfs has nowhere else to keep it. */
	token = put(s, "fwrite f1 0");
	assert_int_equal(value(s, "writeback f1"), 0);
	assert_int_equal(value(s, "mkclean f1"), 0);
	assert_int_equal(value(s, "fdrop f1"), 0);
	assert_int_equal(content(s, "fread f1 0"), token);
}

/* ---- holes ---------------------------------------------------------------------------- */

static void holes_spare_copies(struct scene *s)
{
	uint64_t copy, out;

	run(s, "mmap p0 w0 4 rw shared|fixed f0 0");
	run(s, "mmap p0 w4 4 rw fixed f0 0");
	run(s, "write p0 w1");
	run(s, "read p0 w5");
	run(s, "read p0 w6");
	copy = put(s, "write p0 w6");
	run(s, "read p0 w7");
	run(s, "p1 = fork p0");
	out = put(s, "write p1 w5");
	evicted(s, "swapout p1 w5");
	pages(s, 0, "-w---rrr");
	assert_int_equal(run(s, "fpunch f0 1 2"), 0);
	pages(s, 0, "------rr");
	pages(s, 1, "-----srr");
	assert_int_equal(content(s, "read p0 w1"), 0);
	assert_int_equal(content(s, "read p0 w5"), 0);
	assert_int_equal(content(s, "read p0 w6"), copy);
	assert_int_equal(content(s, "read p1 w5"), out);
	assert_int_equal(content(s, "read p0 w3"), token_file(0, 3));
	/* A truncation takes all of them, those in swap, too. */
	evicted(s, "swapout p0 w6");
	assert_int_equal(run(s, "truncate f0 0"), 0);
	pages(s, 0, "--------");
	pages(s, 1, "--------");
	assert_int_equal(s->machine->swap_used, 0);
	assert_int_equal(run(s, "read p1 w5"), RES_BUS);
}

/* Not a page beyond the range goes, cached, stored or in swap. */
static void holes_have_ends(struct scene *s)
{
	for (uint32_t file = 0; file < 2; file++) {
		char op[64];
		uint64_t token[8];

		for (uint32_t i = 0; i < 8; i++) {
			snprintf(op, sizeof(op), "fwrite f%u %u", file, i);
			token[i] = put(s, op);
		}
		run(s, "writeback f0");
		run(s, "reclaim 1000");
		snprintf(op, sizeof(op), "fpunch f%u 2 3", file);
		assert_int_equal(run(s, op), 0);
		for (uint32_t i = 0; i < 8; i++) {
			snprintf(op, sizeof(op), "fread f%u %u", file, i);
			assert_int_equal(content(s, op), i >= 2 && i < 5 ? 0 : token[i]);
		}
		assert_int_equal(s->machine->files[file]->npages, 16);
	}
}

/* A hole in what was there at boot stays one, whatever is cached, until it is written. */
static void holes_last(struct scene *s)
{
	uint64_t token;

	assert_int_equal(run(s, "fpunch f0 3 100"), 0);
	assert_int_equal(content(s, "fread f0 3"), 0);
	assert_int_equal(value(s, "fdrop f0"), 1);
	assert_int_equal(content(s, "fread f0 3"), 0);
	assert_int_equal(content(s, "fread f0 2"), token_file(0, 2));
	token = put(s, "fwrite f0 3");
	run(s, "writeback f0");
	run(s, "fdrop f0");
	assert_int_equal(content(s, "fread f0 3"), token);
	assert_int_equal(run(s, "fpunch f0 3 1"), 0);
	assert_int_equal(content(s, "fread f0 3"), 0);
	/* A page of zeroes that is written back is no hole filled with what was there before. */
	run(s, "mmap p0 w0 1 rw shared|fixed|populate f0 4");
	assert_int_equal(value(s, "mkclean f0"), 1);
	run(s, "munmap p0 w0 1");
	run(s, "fdrop f0");
	assert_int_equal(content(s, "fread f0 4"), 0);

	assert_int_equal(run(s, "fpunch f0 0 0"), -EINVAL);
	assert_int_equal(run(s, "fpunch f0 262143 2"), -EFBIG);
	/* Nothing happens if there is no memory to note it. */
	assert_int_equal(run(s, "fpunch f2 0 3 (fail_nth: 1)"), 0); /* an empty file has none */
	assert_int_equal(run(s, "fpunch f1 0 3 (fail_nth: 1)"), -ENOMEM);
	assert_int_equal(content(s, "fread f1 0"), token_file(1, 0));
}

/* ---- msync ---------------------------------------------------------------------------- */

static void msync_errors(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 2 rw shared|fixed f0 0");
	run(s, "mmap p0 w3 1 rw shared|fixed f2 0");
	run(s, "fwrite f2 0");
	run(s, "write p0 w0");
	token = put(s, "write p0 w3");
	assert_int_equal(run(s, "msync p0 w0 4 sync"), -ENOMEM);
	assert_int_equal(stored(s, 2, 0), token); /* behind the hole */
	assert_int_equal(run(s, "msync p0 w2 1 sync"), -ENOMEM);
	assert_int_equal(run(s, "msync p0 w3 2 sync"), -ENOMEM);
	assert_int_equal(run(s, "msync p0 w0 1 sync|async"), -EINVAL);
	assert_int_equal(run(s, "msync p0 0x60000001 1 sync"), -EINVAL);
	assert_int_equal(run(s, "msync p0 0xfffff000 1 sync"), -ENOMEM);
	assert_int_equal(run(s, "msync p0 w9 0 sync"), 0);
	/* What is locked cannot be invalidated; what came before is written. */
	token = put(s, "write p0 w0");
	run(s, "mlock p0 w1 1");
	assert_int_equal(run(s, "msync p0 w0 2 sync|invalidate"), -EBUSY);
	assert_int_equal(stored(s, 0, 0), token);
	run(s, "munlock p0 w1 1");
	assert_int_equal(run(s, "msync p0 w0 2 sync|invalidate"), 0);
	run(s, "write p0 w1");
	assert_int_equal(run(s, "msync p0 w0 2 sync (fail_nth: 1)"), 0); /* there is room */
}

#define MACHINE "tiny swap=32 files=2 file_pages=16"
#define SCENE(play)                                                                                \
	static void test_##play(void **state)                                                      \
	{                                                                                          \
		on_every_backend(MACHINE " era=2.6.6", play);                                      \
		on_every_backend(MACHINE " era=2.6.7", play);                                      \
	}
#define SCENES(X)                                                                                  \
	X(entries_keep_secrets)                                                                    \
	X(everybody_is_made_clean)                                                                 \
	X(copies_are_private)                                                                      \
	X(written_under_mappings)                                                                  \
	X(no_memory_for_the_store)                                                                 \
	X(drops_what_is_idle)                                                                      \
	X(holes_spare_copies)                                                                      \
	X(holes_have_ends)                                                                         \
	X(holes_last)                                                                              \
	X(msync_errors)
SCENES(SCENE)

#define TEST(play) cmocka_unit_test(test_##play),
int main(void)
{
	const struct CMUnitTest tests[] = {SCENES(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

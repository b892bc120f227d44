/*
 * The reference model by example: locking, advice and what else is done to memory and files that
 * a program does not see at once. See model_play.h.
 */
#include "model_play.h"

static const struct result unmapped = {.value = UNMAP_SUCCESS};
static const struct result refused = {.value = UNMAP_FAIL};

static void locks_keep_pages(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 4, RW, PRIVATE);
	write(p, 0, W(1));
	agrees(p, op(evict, 0, AT(W(1))), unmapped);
	agrees(p, op(mlock, 0, AT(W(1)), 2), ok);
	disagrees(p, op(evict, 0, AT(W(1))), unmapped);
	disagrees(p, op(swapout, 0, AT(W(2))), unmapped);
	agrees(p, op(evict, 0, AT(W(2))), refused);
	agrees(p, op(evict, 0, AT(W(3))), unmapped);
	agrees(p, op(madvise, 0, AT(W(0)), 4, ADVICE_DONTNEED), fails(EINVAL));
	forks(p, 0, 1);
	agrees(p, op(evict, 1, AT(W(1))), unmapped);
	agrees(p, op(munlock, 0, AT(W(0)), 4), ok);
	agrees(p, op(evict, 0, AT(W(1))), unmapped);
	agrees(p, op(mlockall, 0), ok);
	disagrees(p, op(evict, 0, AT(W(0))), unmapped);
	disagrees(p, op(munlockall, 0), fails(ENOMEM));
	agrees(p, op(evict, 0, AT(W(0))), unmapped);
}

static void locks_of_the_future(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 1, RW, PRIVATE);
	agrees(p, op(mlockall_future, 0), ok);
	agrees(p, op(evict, 0, AT(W(0))), unmapped);
	map(p, 0, W(1), 1, RW, PRIVATE);
	disagrees(p, op(evict, 0, AT(W(1))), unmapped);
	agrees(p, op(brk, 0, 0x08101000), (struct result){.value = 0x08101000});
	disagrees(p, op(evict, 0, 0x08100000), unmapped);
	forks(p, 0, 1);
	map(p, 1, W(2), 1, RW, PRIVATE);
	agrees(p, op(evict, 1, AT(W(2))), unmapped);
	agrees(p, op(exec, 0), ok);
	map(p, 0, W(2), 1, RW, PRIVATE);
	agrees(p, op(evict, 0, AT(W(2))), unmapped);
	agrees(p, op(mlockall_future, 1), ok);
	agrees(p, op(munlockall, 1), ok);
	map(p, 1, W(3), 1, RW, PRIVATE);
	agrees(p, op(evict, 1, AT(W(3))), unmapped);
	disagrees(p, op(mlockall_future, 1), fails(ENOMEM));
}

static void locks_have_errors(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map(p, 0, W(3), 1, RW, PRIVATE);
	disagrees(p, op(mlock, 0, AT(W(0)), 4), ok);
	disagrees(p, op(evict, 0, AT(W(1))), unmapped); /* it was locked before the hole */
	agrees(p, op(evict, 0, AT(W(3))), unmapped);
	agrees(p, op(munlock, 0, AT(W(0)), 4), fails(ENOMEM));
	agrees(p, op(evict, 0, AT(W(1))), unmapped);
	agrees(p, op(mlock, 0, AT(W(0)), 0), ok);
	agrees(p, op(mlock, 0, AT(W(0)) + 1, 1), ok);
	disagrees(p, op(mlock, 0, AT(W(0)) + 1, 2), ok);
	agrees(p, op(mlock, 0, 0xfffff000u, 1), fails(EINVAL));
	map(p, 0, W(8), 1, NONE, PRIVATE);
	disagrees(p, op(mlock, 0, AT(W(8)), 1), ok);
	map(p, 0, W(8), 1, WO, PRIVATE);
	agrees(p, op(mlock, 0, AT(W(8)), 1), ok);
	agrees(p, op(mlock, 0, AT(W(8)), 1), fails(ENOMEM));
	map_object(p, 0, W(8), 2, R, SHARED, 0, 7);
	disagrees(p, op(mlock, 0, AT(W(8)), 2), ok);
	agrees(p, op(mlock, 0, AT(W(8)), 1), ok);
	disagrees(p, op(mlock, 0, AT(W(8)), 1), fails(EAGAIN));
	p->alloc_failed = true;
	loses(p, op(mlock, 0, AT(W(8)), 1), fails(EAGAIN));
}

static void holes_spare_copies(void **state)
{
	struct play *p = *state;
	uint64_t mine;

	map_object(p, 0, W(0), 8, RW, SHARED, 0, 0);
	map_object(p, 0, W(8), 8, RW, PRIVATE, 0, 0);
	write(p, 0, W(2));
	mine = write(p, 0, W(11));
	agrees(p, op(fpunch, 0, 2, 2), ok);
	picture(p, 0, "ff00ffffff0wffff");
	sees(p, 0, W(11), mine);
	disagrees(p, op(read, 0, AT(W(3))), saw(token_file(0, 3)));
	agrees(p, op(fread, 0, 2), saw(0));
	agrees(p, op(fpunch, 0, 6, 9), ok);
	picture(p, 0, "ff00ff00ff0wff00");
	agrees(p, op(fpunch, 0, 0, 0), fails(EINVAL));
	agrees(p, op(fpunch, 0, FILE_PAGES_LIMIT, 1), fails(EFBIG));
	disagrees(p, op(fpunch, 0, 7, 1), fails(EINVAL));
	p->alloc_failed = true;
	agrees(p, op(fpunch, 0, 0, 1), fails(ENOMEM));
	picture(p, 0, "ff00ff00ff0wff00");
	/* What is stored in a hole is there; what is cut off is gone for ever. */
	write(p, 0, W(3));
	agrees(p, op(truncate, 0, 1), ok);
	agrees(p, op(truncate, 0, 8), ok);
	picture(p, 0, "f0000000f0000000");
}

static void lazy_pages_are_there_or_zero(void **state)
{
	struct play *p = *state;
	uint64_t mine, other;

	map(p, 0, W(0), 4, RW, PRIVATE);
	mine = write(p, 0, W(0));
	other = write(p, 0, W(1));
	agrees(p, op(madvise, 0, AT(W(0)), 3, ADVICE_FREE), ok);
	picture(p, 0, "??00");
	sees(p, 0, W(0), mine);
	picture(p, 0, "??00"); /* it may still go */
	disagrees(p, op(read, 0, AT(W(0))), saw(other));
	forks(p, 0, 1);
	sees(p, 0, W(0), 0);
	picture(p, 0, "0?00"); /* it has, and does not come back */
	disagrees(p, op(read, 0, AT(W(0))), saw(mine));
	sees(p, 1, W(0), mine);
	write(p, 1, W(0));
	picture(p, 1, "w?00");
	disagrees(p, op(read, 1, AT(W(0))), saw(0));
	/* Not with several machines that lose pages at other times. */
	model_parted(p->model);
	sees(p, 0, W(1), 0);
	sees(p, 0, W(1), other);
	disagrees(p, op(read, 0, AT(W(1))), saw(mine));
	agrees(p, op(madvise, 0, AT(W(0)), 4, ADVICE_DONTNEED), ok);
	picture(p, 0, "0000");
}

static void lazy_pages_have_errors(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map_object(p, 0, W(2), 1, RW, PRIVATE, 0, 0);
	map(p, 0, W(3), 1, RW, SHARED);
	write(p, 0, W(0));
	write(p, 0, W(2));
	disagrees(p, op(madvise, 0, AT(W(2)), 1, ADVICE_FREE), ok);
	agrees(p, op(madvise, 0, AT(W(3)), 1, ADVICE_FREE), fails(EINVAL));
	picture(p, 0, "w0w0");
	agrees(p, op(madvise, 0, AT(W(0)), 4, ADVICE_FREE), fails(EINVAL));
	picture(p, 0, "?0w0");
	unmap(p, 0, W(2), 2);
	agrees(p, op(madvise, 0, AT(W(0)), 3, ADVICE_FREE), fails(ENOMEM));
	agrees(p, op(mlock, 0, AT(W(1)), 1), ok);
	agrees(p, op(madvise, 0, AT(W(1)), 1, ADVICE_FREE), fails(EINVAL));
	agrees(p, op(madvise, 0, AT(W(0)) + 1, 1, ADVICE_FREE), fails(EINVAL));
}

/* What a device holds is left alone; what is lost already, it has zeroes of. */
static void lazy_pages_and_devices(void **state)
{
	struct play *p = *state;
	struct result one = {.value = 1};
	uint64_t mine, other;

	map(p, 0, W(0), 2, RW, PRIVATE);
	mine = write(p, 0, W(0));
	agrees(p, op(pin, 0, 0, AT(W(0)), 1, OP_PIN_WRITE), one);
	agrees(p, op(madvise, 0, AT(W(0)), 1, ADVICE_FREE), ok);
	disagrees(p, op(read, 0, AT(W(0))), saw(0));
	sees(p, 0, W(0), mine);
	other = write(p, 0, W(1));
	agrees(p, op(madvise, 0, AT(W(1)), 1, ADVICE_FREE), ok);
	agrees(p, op(pin, 0, 1, AT(W(1)), 1, OP_PIN_WRITE), one);
	disagrees(p, op(pinread, 1, 0), saw(mine));
	agrees(p, op(pinread, 1, 0), saw(other));
	agrees(p, op(pinread, 1, 0), saw(0));
	sees(p, 0, W(1), 0);
	disagrees(p, op(read, 0, AT(W(1))), saw(other));
	agrees(p, op(pinwrite, 1, 0), ok);
	sees(p, 0, W(1), last_write(p));
}

static void syncing_has_errors_but_no_effect(void **state)
{
	struct play *p = *state;
	const uint32_t sync = OP_MS_SYNC, async = OP_MS_ASYNC, invalidate = OP_MS_INVALIDATE;

	map_object(p, 0, W(0), 2, RW, SHARED, 0, 0);
	map(p, 0, W(4), 1, RW, PRIVATE);
	write(p, 0, W(0));
	agrees(p, op(msync, 0, AT(W(0)), 2, sync), ok);
	disagrees(p, op(msync, 0, AT(W(0)), 3, sync), ok);
	agrees(p, op(msync, 0, AT(W(0)), 5, sync), fails(ENOMEM));
	agrees(p, op(msync, 0, AT(W(0)), 1, sync | async), fails(EINVAL));
	agrees(p, op(msync, 0, AT(W(0)) + 1, 1, sync), fails(EINVAL));
	agrees(p, op(msync, 0, AT(W(0)), 0, 0), ok);
	agrees(p, op(mlock, 0, AT(W(4)), 1), ok);
	disagrees(p, op(msync, 0, AT(W(4)), 1, invalidate), ok);
	agrees(p, op(msync, 0, AT(W(4)), 1, invalidate), fails(EBUSY));
	agrees(p, op(msync, 0, AT(W(3)), 2, invalidate), fails(EBUSY));
	disagrees(p, op(msync, 0, AT(W(0)), 2, invalidate), fails(EBUSY));
	agrees(p, op(writeback, 0), ok);
	agrees(p, op(mkclean, 0), ok);
	disagrees(p, op(fdrop, 0), fails(EBUSY));
	p->alloc_failed = true;
	agrees(p, op(writeback, 0), fails(ENOMEM));
	picture(p, 0, "wf..0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(locks_keep_pages),
		TEST(locks_of_the_future),
		TEST(locks_have_errors),
		TEST(holes_spare_copies),
		TEST(lazy_pages_are_there_or_zero),
		TEST(lazy_pages_have_errors),
		TEST(lazy_pages_and_devices),
		TEST(syncing_has_errors_but_no_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

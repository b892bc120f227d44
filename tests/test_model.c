/*
 * The reference model by example: what a program may and may not observe. See model_play.h.
 */
#include "model_play.h"

/* ---- processes --------------------------------------------------------------------- */

static void boot_has_one_empty_process(void **state)
{
	struct play *p = *state;
	uint32_t vpn = 0;

	assert_false(model_next_mapped(p->model, 0, &vpn));
	dies(p, 0, W(0), RES_SEGV);
	agrees(p, op(read, 1, AT(W(0))), fails(ESRCH));
	disagrees(p, op(read, 1, AT(W(0))), fails(RES_SEGV));
	agrees(p, op(evict, 9, 0), fails(ESRCH));
	disagrees(p, op(swapout, 9, 0), ok);
	assert_int_equal(model_peek(p->model, 1, W(0), NULL), -ESRCH);
}

static void fork_copies_private_and_shares_shared(void **state)
{
	struct play *p = *state;
	uint64_t before, mine, theirs, ours;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map(p, 0, W(4), 2, RW, SHARED);
	before = write(p, 0, W(0));
	forks(p, 0, 1);
	mine = write(p, 0, W(0));
	sees(p, 1, W(0), before);
	theirs = write(p, 1, W(0));
	sees(p, 0, W(0), mine);
	sees(p, 1, W(0), theirs);
	ours = write(p, 1, W(5));
	sees(p, 0, W(5), ours);
	picture(p, 0, "w0..0w");
	disagrees(p, op(read, 0, AT(W(0))), saw(theirs));
}

static void fork_needs_a_parent_and_a_free_slot(void **state)
{
	struct play *p = *state;

	forks(p, 0, 1);
	agrees(p, op(fork, 0, 1), fails(EAGAIN));
	agrees(p, op(fork, 2, 3), fails(ESRCH));
	disagrees(p, op(fork, 0, 2), fails(EAGAIN));
	p->alloc_failed = true;
	agrees(p, op(fork, 0, 2), fails(ENOMEM));
	agrees(p, op(exit, 2), fails(ESRCH));
	agrees(p, op(exit, 1), ok);
	forks(p, 0, 1);
}

static void exec_empties_and_exit_ends(void **state)
{
	struct play *p = *state;
	uint64_t kept;

	map(p, 0, W(0), 2, RW, SHARED);
	kept = write(p, 0, W(0));
	agrees(p, op(brk, 0, 0x08105000), at(0x8105));
	forks(p, 0, 1);
	agrees(p, op(exec, 0), ok);
	picture(p, 0, "..");
	sees(p, 1, W(0), kept);
	agrees(p, op(brk, 0, 0), ((struct result){.err = -ENOMEM, .value = 0x08100000}));
	agrees(p, op(brk, 1, 0), ((struct result){.err = -ENOMEM, .value = 0x08105000}));
	agrees(p, op(exit, 1), ok);
	agrees(p, op(read, 1, AT(W(0))), fails(ESRCH));
	forks(p, 0, 1);
	picture(p, 1, "..");
}

static void threads_share_a_space(void **state)
{
	struct play *p = *state;
	uint64_t kept;

	map(p, 0, W(0), 2, RW, PRIVATE);
	agrees(p, op(clone_vm, 0, 1), ok);
	agrees(p, op(clone_vm, 0, 1), fails(EAGAIN));
	agrees(p, op(clone_vm, 9, 2), fails(ESRCH));
	kept = write(p, 1, W(0));
	sees(p, 0, W(0), kept);
	agrees(p, op(munmap, 0, AT(W(1)), 1), ok);
	picture(p, 1, "w.");
	forks(p, 1, 2);
	write(p, 2, W(0));
	sees(p, 1, W(0), kept);
	agrees(p, op(exit, 0), ok);
	sees(p, 1, W(0), kept);
	agrees(p, op(clone_vm, 1, 0), ok);
	agrees(p, op(exec, 1), ok);
	picture(p, 1, "..");
	sees(p, 0, W(0), kept);
	disagrees(p, op(clone_vm, 0, 3), fails(EAGAIN));
}

/* ---- mmap and munmap --------------------------------------------------------------- */

static void mmap_fixed_replaces(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 6, RW, PRIVATE);
	write(p, 0, W(0));
	write(p, 0, W(2));
	write(p, 0, W(5));
	map(p, 0, W(1), 3, R, PRIVATE);
	picture(p, 0, "w0000w.");
	agrees(p, op(write, 0, AT(W(2))), fails(RES_SEGV));
	map(p, 0, W(3), 3, NONE, PRIVATE);
	picture(p, 0, "w00....");
}

static void mmap_refuses_bad_arguments(void **state)
{
	struct play *p = *state;
	uint32_t top = 0xc0000;

#define MMAP(addr, len, flags) op(mmap, 0, REGION_NONE, addr, len, RW, flags, 0, 0)
	agrees(p, MMAP(AT(W(0)), 0, ANON), fails(EINVAL));
	agrees(p, MMAP(AT(W(0)) + 1, 1, ANON | FIXED), fails(EINVAL));
	agrees(p, MMAP(AT(W(0)), 1, ANON | SHARED | OP_MAP_GROWSDOWN), fails(EINVAL));
	agrees(p, MMAP(AT(W(0)), 1, OP_MAP_GROWSDOWN), fails(EINVAL));
	agrees(p, MMAP(AT(top - 1), 2, ANON | FIXED), fails(ENOMEM));
	agrees(p, MMAP(0xfffff000, 1, ANON | FIXED), fails(ENOMEM));
	/* Two rules broken: either error will do. */
	agrees(p, MMAP(AT(top - 1) + 1, 1, ANON | FIXED), fails(ENOMEM));
	agrees(p, MMAP(AT(top - 1) + 1, 1, ANON | FIXED), fails(EINVAL));
	disagrees(p, MMAP(AT(top - 2) + 1, 1, ANON | FIXED), fails(ENOMEM));
	agrees(p, MMAP(0, top + 1, ANON), fails(ENOMEM));
	disagrees(p, MMAP(AT(W(0)), 0, ANON), ok);
	disagrees(p, MMAP(AT(top - 1), 2, ANON | FIXED), at(top - 1));
	map(p, 0, top - 2, 2, RW, PRIVATE);
}

static void mmap_chooses_free_user_pages(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 4, RW, PRIVATE);
	agrees(p, MMAP(0, 4, ANON), at(W(4)));
	agrees(p, MMAP(0x123, 1, ANON), at(W(8)));
	disagrees(p, MMAP(0, 4, ANON), at(W(5)));
	disagrees(p, MMAP(0, 4, ANON), at(0xbfffd));
	disagrees(p, MMAP(0, 4, ANON), at(0));
	disagrees(p, MMAP(0, 4, ANON), ((struct result){.value = AT(W(20)) + 8}));
	disagrees(p, MMAP(0, 4, ANON), fails(ENOMEM));
	/* 0x40000 .. 0x60000 and the room above the nine pages are too small for this. */
	agrees(p, MMAP(0, 0x60000, ANON), fails(ENOMEM));
	p->alloc_failed = true;
	agrees(p, MMAP(0, 4, ANON), fails(ENOMEM));
	picture(p, 0, "000000000.");
}

static void munmap_takes_pages_and_contents(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 6, RW, PRIVATE);
	for (uint32_t i = 0; i < 6; i++)
		write(p, 0, W(i));
	unmap(p, 0, W(2), 2);
	picture(p, 0, "ww..ww.");
	unmap(p, 0, W(2), 2); /* nothing there: fine */
	unmap(p, 0, W(1), 4);
	picture(p, 0, "w....w.");
	map(p, 0, W(0), 6, RW, PRIVATE);
	picture(p, 0, "000000.");
	agrees(p, op(munmap, 0, AT(W(0)) + 4, 1), fails(EINVAL));
	agrees(p, op(munmap, 0, AT(W(0)), 0), fails(EINVAL));
	agrees(p, op(munmap, 0, AT(0xbffff), 2), fails(EINVAL));
	agrees(p, op(munmap, 0, 0xfffff000, 0xfffff), fails(EINVAL));
	disagrees(p, op(munmap, 0, AT(W(0)), 1), fails(EINVAL));
}

/* ---- files and shared memory ------------------------------------------------------- */

static void file_mappings_show_the_file(void **state)
{
	struct play *p = *state;
	uint64_t token;

	map_object(p, 0, W(0), 4, RW, SHARED, 1, 5);
	picture(p, 0, "fffb");
	sees(p, 0, W(1), token_file(1, 6));
	token = write(p, 0, W(1));
	agrees(p, op(fread, 1, 6), saw(token));
	token = file_write(p, 1, 7);
	sees(p, 0, W(2), token);
	dies(p, 0, W(3), RES_BUS);
	token = file_write(p, 1, 9); /* leaves a hole at page 8 */
	picture(p, 0, "fww0");
	agrees(p, op(fread, 1, 8), saw(0));
	agrees(p, op(fread, 1, 9), saw(token));
	agrees(p, op(fread, 1, 10), fails(ENODATA));
	agrees(p, op(fread, 5, 0), fails(ENODATA));
	agrees(p, op(fwrite, 1, 262144), fails(EFBIG));
	agrees(p, op(truncate, 1, 262145), fails(EFBIG));
}

static void private_file_mappings_keep_their_writes(void **state)
{
	struct play *p = *state;
	uint64_t mine, theirs;

	map_object(p, 0, W(0), 4, RW, PRIVATE, 0, 0);
	mine = write(p, 0, W(1));
	agrees(p, op(fread, 0, 1), saw(token_file(0, 1)));
	file_write(p, 0, 1);
	theirs = file_write(p, 0, 2);
	sees(p, 0, W(1), mine);
	sees(p, 0, W(2), theirs);
	picture(p, 0, "fwwf");
}

static void truncate_takes_private_copies_along(void **state)
{
	struct play *p = *state;
	uint64_t kept;

	map_object(p, 0, W(0), 6, RW, PRIVATE, 0, 2);
	kept = write(p, 0, W(1));
	write(p, 0, W(2));
	forks(p, 0, 1);
	write(p, 1, W(3));
	agrees(p, op(truncate, 0, 4), ok);
	picture(p, 0, "fwbbbb");
	picture(p, 1, "fwbbbb");
	sees(p, 1, W(1), kept);
	agrees(p, op(truncate, 0, 8), ok);
	picture(p, 0, "fw0000");
	picture(p, 1, "fw0000");
	agrees(p, op(truncate, 0, 0), ok);
	picture(p, 0, "bbbbbb");
}

static void shared_anonymous_memory_has_a_size(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, SHARED);
	write(p, 0, W(1));
	agrees(p, mremap_op(0, W(0), 2, 4, 0, 0), at(W(0)));
	picture(p, 0, "0wbb.");
	/* Its memory ends with its last mapping, and the next object starts empty. */
	forks(p, 0, 1);
	unmap(p, 0, W(0), 4);
	picture(p, 1, "0wbb.");
	agrees(p, op(exit, 1), ok);
	map(p, 0, W(0), 4, RW, SHARED);
	picture(p, 0, "0000.");
}

static void populated_private_pages_may_be_copies(void **state)
{
	struct play *p = *state;
	uint64_t token;

	map_object(p, 0, W(0), 3, RW, OP_MAP_POPULATE, 0, 0);
	picture(p, 0, "???");
	sees(p, 0, W(0), token_file(0, 0)); /* settles nothing: both are equal */
	file_write(p, 0, 0);
	sees(p, 0, W(0), token_file(0, 0)); /* it was a copy, and stays one */
	disagrees(p, op(read, 0, AT(W(0))), saw(last_write(p)));
	token = file_write(p, 0, 1);
	sees(p, 0, W(1), token); /* it was not */
	token = file_write(p, 0, 1);
	sees(p, 0, W(1), token);
	file_write(p, 0, 2);
	disagrees(p, op(read, 0, AT(W(2))), saw(0));
}

/* ---- protection -------------------------------------------------------------------- */

static void mprotect_changes_up_to_the_gap(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 6, RW, PRIVATE);
	unmap(p, 0, W(3), 1);
	agrees(p, op(mprotect, 0, AT(W(1)), 5, NONE), fails(ENOMEM));
	picture(p, 0, "0...00.");
	agrees(p, op(mprotect, 0, AT(W(3)), 3, NONE), fails(ENOMEM));
	picture(p, 0, "0...00.");
	disagrees(p, op(mprotect, 0, AT(W(3)), 3, NONE), ok);
	agrees(p, op(mprotect, 0, AT(W(0)), 0, NONE), ok);
	agrees(p, op(mprotect, 0, AT(W(0)) + 1, 1, NONE), fails(EINVAL));
	agrees(p, op(mprotect, 0, AT(W(0)), 0xfffff, NONE), fails(ENOMEM));
	picture(p, 0, "0...00.");
	protect(p, 0, W(1), 2, RW);
	picture(p, 0, "000.00.");
}

static void protection_decides_who_may(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 4, RW, PRIVATE);
	write(p, 0, W(0));
	protect(p, 0, W(0), 1, R);
	agrees(p, op(write, 0, AT(W(0))), fails(RES_SEGV));
	disagrees(p, op(write, 0, AT(W(0))), ok);
	protect(p, 0, W(1), 1, OP_PROT_EXEC);
	sees(p, 0, W(1), 0);
	disagrees(p, op(read, 0, AT(W(1))), fails(RES_SEGV));
	protect(p, 0, W(2), 1, NONE);
	dies(p, 0, W(2), RES_SEGV);
	disagrees(p, op(read, 0, AT(W(2))), saw(0));
}

static void write_only_pages_are_left_open(void **state)
{
	struct play *p = *state;
	uint64_t token;

	map(p, 0, W(0), 1, WO, PRIVATE);
	token = write(p, 0, W(0));
	sees(p, 0, W(0), token);
	abstains(p, op(read, 0, AT(W(0))), fails(RES_SEGV));
	assert_non_null(strstr(p->why, "write-only"));
	disagrees(p, op(read, 0, AT(W(0))), saw(0));
	disagrees(p, op(read, 0, AT(W(0))), fails(RES_BUS));
	map_object(p, 0, W(1), 1, WO, SHARED, 5, 0);
	disagrees(p, op(read, 0, AT(W(1))), fails(RES_BUS)); /* it cannot even be looked for */
	agrees(p, op(write, 0, AT(W(1))), fails(RES_BUS));
}

/* ---- madvise ----------------------------------------------------------------------- */

#define ADVISE(vpn, len, advice) op(madvise, 0, AT(vpn), len, ADVICE_##advice)

static void dontneed_discards_private_contents(void **state)
{
	struct play *p = *state;
	uint64_t token;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map_object(p, 0, W(2), 2, RW, PRIVATE, 0, 0);
	map(p, 0, W(4), 2, RW, SHARED);
	for (uint32_t i = 0; i < 6; i++)
		write(p, 0, W(i));
	token = file_write(p, 0, 1);
	agrees(p, ADVISE(W(1), 4, DONTNEED), ok);
	picture(p, 0, "w0fwww.");
	sees(p, 0, W(3), token);
}

static void dontneed_passes_gaps_but_no_locks(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 1, RW, PRIVATE);
	map(p, 0, W(2), 1, RW, PRIVATE);
	map(p, 0, W(3), 1, RW, OP_MAP_LOCKED);
	map(p, 0, W(4), 1, RW, PRIVATE);
	for (uint32_t i = 0; i < 5; i++)
		if (i != 1)
			write(p, 0, W(i));
	forks(p, 0, 1);
	agrees(p, ADVISE(W(0), 5, DONTNEED), fails(EINVAL));
	picture(p, 0, "0.0ww.");
	write(p, 0, W(0));
	write(p, 0, W(2));
	agrees(p, ADVISE(W(0), 3, DONTNEED), fails(ENOMEM));
	picture(p, 0, "0.0ww.");
	disagrees(p, ADVISE(W(4), 1, DONTNEED), fails(ENOMEM));
	/* Locks are not inherited. */
	agrees(p, op(madvise, 1, AT(W(3)), 2, ADVICE_DONTNEED), ok);
	picture(p, 1, "w.w00.");
}

static void advice_has_errors_but_no_effect(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, PRIVATE);
	write(p, 0, W(0));
	agrees(p, ADVISE(W(0), 2, NORMAL), ok);
	agrees(p, ADVISE(W(0), 3, RANDOM), fails(ENOMEM));
	agrees(p, ADVISE(W(0), 0, SEQUENTIAL), ok);
	agrees(p, ADVISE(W(0), 2, WILLNEED), fails(EBADF));
	agrees(p, ADVISE(W(0), 2, WILLNEED), ok);
	agrees(p, ADVISE(W(0), 0xfffff, DONTNEED), fails(EINVAL));
	agrees(p, op(madvise, 0, AT(W(0)) + 1, 1, ADVICE_NORMAL), fails(EINVAL));
	disagrees(p, ADVISE(W(0), 2, NORMAL), fails(EBADF));
	picture(p, 0, "w0.");
}

static void dontneed_cut_short_leaves_two_answers(void **state)
{
	struct play *p = *state;
	uint64_t token;

	map(p, 0, W(0), 2, RW, PRIVATE);
	token = write(p, 0, W(0));
	write(p, 0, W(1));
	p->alloc_failed = true;
	agrees(p, ADVISE(W(0), 2, DONTNEED), fails(ENOMEM));
	picture(p, 0, "??");
	sees(p, 0, W(0), token);
	sees(p, 0, W(1), 0);
	picture(p, 0, "w0");
}

/* ---- the heap ---------------------------------------------------------------------- */

static void brk_moves_the_end_of_the_heap(void **state)
{
	struct play *p = *state;
	uint32_t heap = 0x8100;

	agrees(p, op(brk, 0, 0x08102001), at(heap + 3));
	write(p, 0, heap + 2);
	agrees(p, op(brk, 0, 0x08101000), at(heap + 1));
	dies(p, 0, heap + 2, RES_SEGV);
	agrees(p, op(brk, 0, 0x08103000), at(heap + 3));
	sees(p, 0, heap + 2, 0);
	disagrees(p, op(brk, 0, 0x08104000), at(heap + 3));
}

static void brk_that_fails_tells_where_it_is(void **state)
{
	struct play *p = *state;
	struct result stays = {.err = -ENOMEM, .value = 0x08102000};

	agrees(p, op(brk, 0, 0x08102000), at(0x8102));
	map(p, 0, 0x8104, 1, RW, PRIVATE);
	agrees(p, op(brk, 0, 0x08105000), stays);
	agrees(p, op(brk, 0, 0x080fffff), stays);
	agrees(p, op(brk, 0, 0xc0001000), stays);
	agrees(p, op(brk, 0, 0xffffffff), stays);
	p->alloc_failed = true;
	agrees(p, op(brk, 0, 0x08103000), stays);
	disagrees(p, op(brk, 0, 0x08103000), stays);
	/* To touch the next mapping is neither granted nor denied. */
	agrees(p, op(brk, 0, 0x08102000), at(0x8102));
	agrees(p, op(brk, 0, 0x08104000), stays);
	agrees(p, op(brk, 0, 0x08104000), at(0x8104));
	stays.value = 0;
	disagrees(p, op(brk, 0, 0), stays);
}

/* ---- stacks ------------------------------------------------------------------------ */

static void stacks_grow_down_to_the_next_area(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, R, PRIVATE);
	map(p, 0, W(8), 1, RW, OP_MAP_GROWSDOWN);
	write(p, 0, W(8));
	write(p, 0, W(5));
	picture(p, 0, "00000w00w.");
	unmap(p, 0, W(3), 1);
	picture(p, 0, "00000w00w."); /* what lies below can still be had by growing */
	uint32_t vpn = W(2);
	assert_true(model_next_mapped(p->model, 0, &vpn));
	assert_int_equal(vpn, W(5));
	sees(p, 0, W(2), 0);
	vpn = W(2);
	assert_true(model_next_mapped(p->model, 0, &vpn));
	assert_int_equal(vpn, W(2));
	disagrees(p, op(read, 0, AT(W(4))), fails(RES_SEGV));
}

static void stacks_grow_to_their_limit(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 1, RW, OP_MAP_GROWSDOWN);
	dies(p, 0, W(0) - 2048, RES_SEGV);
	sees(p, 0, W(0) - 2047, 0);
	dies(p, 0, W(0) - 2048, RES_SEGV);
}

static void two_stacks_that_met_are_hard_to_tell(void **state)
{
	struct play *p = *state;
	struct model_area areas[1];
	uint32_t proc, first, last;

	map(p, 0, W(0), 1, RW, OP_MAP_GROWSDOWN);
	map(p, 0, W(1), 2047, RW, OP_MAP_GROWSDOWN);
	sees(p, 0, W(0) - 1, 0); /* if the lower page is a stack of its own, it can grow */
	loses(p, op(read, 0, AT(W(0) - 9)), fails(RES_SEGV));
	model_lost_range(p->model, &proc, &first, &last);
	assert_int_equal(first, W(0) - 9);
	assert_int_equal(last, W(0) - 1);
	areas[0] = (struct model_area){W(0) - 1, W(1), RW | MODEL_AREA_GROWSDOWN, -1, 0, 0};
	model_adopt(p->model, areas, 1);
	dies(p, 0, W(2048), RES_SEGV);
}

/* ---- mremap ------------------------------------------------------------------------ */

static void mremap_shrinks_and_grows(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 4, RW, PRIVATE);
	for (uint32_t i = 0; i < 4; i++)
		write(p, 0, W(i));
	agrees(p, mremap_op(0, W(0), 4, 2, 0, 0), at(W(0)));
	picture(p, 0, "ww....");
	agrees(p, mremap_op(0, W(0), 2, 5, 0, 0), at(W(0)));
	picture(p, 0, "ww000.");
	map(p, 0, W(6), 1, RW, PRIVATE);
	agrees(p, mremap_op(0, W(0), 5, 7, 0, 0), fails(ENOMEM));
	disagrees(p, mremap_op(0, W(0), 5, 7, 0, 0), at(W(0)));
	/* To ask for what is there cuts nothing. */
	agrees(p, mremap_op(0, W(1), 2, 2, 0, 0), at(W(1)));
	disagrees(p, mremap_op(0, W(0), 5, 7, 0, 0), fails(EFAULT));
	/* Free room must be used, even if a move is allowed. */
	disagrees(p, mremap_op(0, W(0), 5, 6, MAYMOVE, 0), at(W(20)));
}

static void mremap_moves_contents_along(void **state)
{
	struct play *p = *state;
	uint64_t a, b;

	map(p, 0, W(0), 4, RW, PRIVATE);
	a = write(p, 0, W(1));
	b = write(p, 0, W(2));
	agrees(p, mremap_op(0, W(1), 2, 3, MAYMOVE, 0), at(W(8)));
	picture(p, 0, "0..0....ww0.");
	sees(p, 0, W(8), a);
	sees(p, 0, W(9), b);
	map(p, 0, W(20), 4, RW, PRIVATE);
	write(p, 0, W(21));
	agrees(p, mremap_op(0, W(8), 3, 3, MFIXED, W(20)), at(W(20)));
	picture(p, 0, "0..0................ww00.");
	disagrees(p, mremap_op(0, W(20), 1, 1, MFIXED, W(30)), at(W(31)));
}

static void mremap_keeps_the_place_in_the_file(void **state)
{
	struct play *p = *state;
	uint64_t token;

	map_object(p, 0, W(0), 4, RW, SHARED, 2, 3);
	map_object(p, 0, W(10), 3, RW, PRIVATE, 2, 0);
	token = write(p, 0, W(12));
	agrees(p, mremap_op(0, W(2), 2, 4, MFIXED, W(20)), at(W(20)));
	picture(p, 0, "ff........ffw.......fffb.");
	sees(p, 0, W(22), token_file(2, 7));
	agrees(p, mremap_op(0, W(11), 2, 2, MFIXED, W(0)), at(W(0)));
	sees(p, 0, W(0), token_file(2, 1));
	sees(p, 0, W(1), token);
	agrees(p, op(truncate, 2, 2), ok);
	picture(p, 0, "fb........f.........bbbb.");
}

static void mremap_refuses_bad_arguments(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 4, RW, PRIVATE);
	agrees(p, op(mremap, 0, REGION_NONE, AT(W(0)) + 1, 1, 1, 0, 0), fails(EINVAL));
	agrees(p, mremap_op(0, W(0), 4, 0, 0, 0), fails(EINVAL));
	agrees(p, mremap_op(0, W(0), 0, 4, MAYMOVE, 0), fails(EINVAL));
	agrees(p, mremap_op(0, W(0), 4, 4, OP_MREMAP_FIXED, W(8)), fails(EINVAL));
	agrees(p, op(mremap, 0, REGION_NONE, AT(W(0)), 1, 1, MFIXED, AT(W(8)) + 1), fails(EINVAL));
	agrees(p, mremap_op(0, W(0), 4, 4, MFIXED, W(3)), fails(EINVAL));
	agrees(p, mremap_op(0, W(0), 4, 4, MFIXED, 0xbfffe), fails(EINVAL));
	agrees(p, mremap_op(0, W(0), 0xfffff, 1, 0, 0), fails(EINVAL));
	agrees(p, mremap_op(0, W(8), 2, 4, MAYMOVE, 0), fails(EFAULT));
	agrees(p, mremap_op(0, W(0), 5, 9, MAYMOVE, 0), fails(EFAULT));
	/* To shrink or keep nothing is no error. */
	agrees(p, mremap_op(0, W(8), 4, 2, 0, 0), at(W(8)));
	agrees(p, mremap_op(0, W(8), 2, 2, 0, 0), at(W(8)));
	picture(p, 0, "0000....");
}

static void mremap_that_fails_late_has_unmapped(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map(p, 0, W(10), 4, RW, PRIVATE);
	agrees(p, mremap_op(0, W(4), 2, 2, MFIXED, W(10)), fails(EFAULT));
	picture(p, 0, "00..........00");
	agrees(p, mremap_op(0, W(1), 3, 2, MFIXED, W(12)), fails(EFAULT));
	picture(p, 0, "00............");
	agrees(p, mremap_op(0, W(1), 2, 1, MFIXED, W(12)), at(W(12)));
	picture(p, 0, "0...........0.");
}

static void mremap_across_different_areas_fails(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map(p, 0, W(2), 2, R, PRIVATE);
	map_object(p, 0, W(4), 1, R, PRIVATE, 0, 0);
	map_object(p, 0, W(5), 1, R, PRIVATE, 0, 2);
	for (uint32_t i = 1; i < 5; i += i == 1 ? 2 : 1) {
		agrees(p, mremap_op(0, W(i), 2, 3, MAYMOVE, 0), fails(EFAULT));
		disagrees(p, mremap_op(0, W(i), 2, 3, MAYMOVE, 0), at(W(20)));
	}
}

static void mremap_across_equal_areas_is_left_open(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 2, RW, PRIVATE);
	disagrees(p, mremap_op(0, W(0), 2, 3, 0, 0), fails(EFAULT)); /* surely one area */
	map(p, 0, W(2), 2, RW, PRIVATE);
	abstains(p, mremap_op(0, W(0), 4, 6, 0, 0), fails(EFAULT));
	assert_non_null(strstr(p->why, "vma-boundary"));
	agrees(p, mremap_op(0, W(0), 4, 6, 0, 0), at(W(0)));
	picture(p, 0, "000000.");
	disagrees(p, mremap_op(0, W(5), 1, 2, 0, 0), fails(EFAULT)); /* one page is one area */
}

/* ---- out of memory ----------------------------------------------------------------- */

static void atomic_calls_leave_everything_as_it_was(void **state)
{
	struct play *p = *state;

	map(p, 0, W(0), 4, RW, PRIVATE);
	write(p, 0, W(1));
#define RUNS_OUT(...)                                                                              \
	do {                                                                                       \
		p->alloc_failed = true;                                                            \
		agrees(p, op(__VA_ARGS__), fails(ENOMEM));                                         \
	} while (0)
	RUNS_OUT(munmap, 0, AT(W(1)), 1);
	RUNS_OUT(madvise, 0, AT(W(1)), 2, ADVICE_RANDOM);
	RUNS_OUT(read, 0, AT(W(1)));
	RUNS_OUT(write, 0, AT(W(1)));
	RUNS_OUT(exec, 0);
	RUNS_OUT(fork, 0, 1);
	RUNS_OUT(truncate, 0, 1);
	RUNS_OUT(fwrite, 0, 9);
	RUNS_OUT(fread, 0, 7);
	picture(p, 0, "0w00");
	sees(p, 0, W(1), token_write(1));
	agrees(p, op(fread, 0, 7), saw(token_file(0, 7)));
	agrees(p, op(fread, 0, 9), fails(ENODATA));
	/* A failure is a licence for ENOMEM only, and only where one happened. */
	p->alloc_failed = true;
	disagrees(p, op(read, 0, AT(W(1))), fails(RES_BUS));
	disagrees(p, op(read, 0, AT(W(1))), fails(ENOMEM));
	/* The munmap that failed may have cut the area in two. */
	abstains(p, mremap_op(0, W(0), 4, 5, 0, 0), fails(EFAULT));
}

static void a_write_that_failed_may_have_copied(void **state)
{
	struct play *p = *state;

	map_object(p, 0, W(0), 1, RW, PRIVATE, 0, 0);
	RUNS_OUT(write, 0, AT(W(0)));
	file_write(p, 0, 0);
	sees(p, 0, W(0), token_file(0, 0));
}

static void half_done_calls_are_learnt_from_the_subject(void **state)
{
	struct play *p = *state;
	struct model_area areas[2];
	uint32_t proc, first, last;

	map(p, 0, W(0), 6, RW, PRIVATE);
	for (uint32_t i = 0; i < 6; i++)
		write(p, 0, W(i));
	/* A mmap over pages 1..3 had unmapped page 1 and 2 only (no real kernel would). */
	p->alloc_failed = true;
	loses(p, op(mmap, 0, REGION_NONE, AT(W(1)), 3, R, ANON | FIXED, 0, 0), fails(ENOMEM));
	model_lost_range(p->model, &proc, &first, &last);
	assert_int_equal(proc, 0);
	assert_int_equal(first, W(1));
	assert_int_equal(last, W(4));
	areas[0] = (struct model_area){W(0), W(1), RW, -1, W(0), W(0)};
	areas[1] = (struct model_area){W(3), W(6), RW, -1, W(0), W(0)};
	model_adopt(p->model, areas, 2);
	picture(p, 0, "w..www.");
	/* mprotect had changed one page. */
	p->alloc_failed = true;
	loses(p, op(mprotect, 0, AT(W(3)), 3, NONE), fails(ENOMEM));
	areas[0] = (struct model_area){W(3), W(4), NONE, -1, W(0), W(0)};
	areas[1] = (struct model_area){W(4), W(6), RW, -1, W(0), W(0)};
	model_adopt(p->model, areas, 2);
	picture(p, 0, "w...ww.");
	protect(p, 0, W(3), 1, R);
	picture(p, 0, "w..www.");
}

static void a_stack_may_have_grown_before_memory_ran_out(void **state)
{
	struct play *p = *state;
	struct model_area area = {W(6), W(9), RW | MODEL_AREA_GROWSDOWN, -1, 0, 0};
	uint32_t vpn = W(0);

	map(p, 0, W(8), 1, RW, OP_MAP_GROWSDOWN);
	p->alloc_failed = true;
	loses(p, op(write, 0, AT(W(6))), fails(ENOMEM));
	model_adopt(p->model, &area, 1);
	assert_true(model_next_mapped(p->model, 0, &vpn));
	assert_int_equal(vpn, W(6));
	sees(p, 0, W(6), 0);
}

static void a_failed_move_that_went_back_loses_nothing(void **state)
{
	struct play *p = *state;
	struct model_area area = {W(0), W(2), RW, -1, W(0), W(0)};
	uint32_t proc, first, last;
	uint64_t token;

	map(p, 0, W(0), 3, RW, PRIVATE);
	map(p, 0, W(10), 2, RW, PRIVATE);
	write(p, 0, W(0));
	token = write(p, 0, W(1));
	write(p, 0, W(2));
	write(p, 0, W(10));
	p->alloc_failed = true;
	loses(p, mremap_op(0, W(0), 3, 2, MFIXED, W(10)), fails(ENOMEM));
	model_lost_range(p->model, &proc, &first, &last);
	assert_int_equal(first, W(0));
	assert_int_equal(last, W(12));
	model_adopt(p->model, &area, 1);
	picture(p, 0, "ww..........");
	sees(p, 0, W(1), token);
	disagrees(p, op(read, 0, AT(W(1))), saw(0));
}

static void a_failed_move_that_got_stuck_leaves_unknowns(void **state)
{
	struct play *p = *state;
	struct model_area areas[2] = {{W(0), W(2), RW, -1, W(0), W(0)},
				      {W(10), W(12), RW, -1, W(0), W(0)}};

	map(p, 0, W(0), 2, RW, PRIVATE);
	write(p, 0, W(0));
	p->alloc_failed = true;
	loses(p, mremap_op(0, W(0), 2, 2, MFIXED, W(10)), fails(ENOMEM));
	model_adopt(p->model, areas, 2);
	picture(p, 0, "??........??");
	sees(p, 0, W(0), 0);
	sees(p, 0, W(10), token_write(1));
	picture(p, 0, "0?........w?");
	disagrees(p, op(read, 0, AT(W(10))), saw(0));
	forks(p, 0, 1);
	picture(p, 1, "0?........w?");
}

static void a_move_that_could_not_unmap_its_source(void **state)
{
	struct play *p = *state;
	struct model_area left = {W(1), W(3), RW, -1, W(0), W(0)};
	uint32_t proc, first, last;
	uint64_t token;

	map(p, 0, W(0), 4, RW, PRIVATE);
	token = write(p, 0, W(1));
	p->alloc_failed = true;
	loses(p, mremap_op(0, W(1), 2, 3, MFIXED, W(10)), at(W(10)));
	model_lost_range(p->model, &proc, &first, &last);
	assert_int_equal(first, W(1));
	assert_int_equal(last, W(3));
	model_adopt(p->model, &left, 1);
	picture(p, 0, "0000......w00.");
	sees(p, 0, W(10), token);
	sees(p, 0, W(1), 0);
}

static void a_failed_move_may_end_where_the_kernel_chose(void **state)
{
	struct play *p = *state;
	struct model_area areas[3] = {{W(0), W(2), RW, -1, W(0), W(0)},
				      {W(2), W(3), R, -1, W(2), W(2)},
				      {W(3), W(7), RW, -1, W(3), W(3)}};
	uint32_t proc, first, last;

	map(p, 0, W(0), 2, RW, PRIVATE);
	map(p, 0, W(2), 1, R, PRIVATE);
	map(p, 0, W(3), 1, RW, PRIVATE);
	write(p, 0, W(0));
	write(p, 0, W(3));
	p->alloc_failed = true;
	loses(p, mremap_op(0, W(0), 2, 3, MAYMOVE, 0), fails(ENOMEM));
	model_lost_range(p->model, &proc, &first, &last);
	assert_int_equal(first, 0);
	assert_int_equal(last, 0xc0000);
	model_adopt(p->model, areas, 3);
	picture(p, 0, "??0w???.");
	/* Had it been undone, nothing would be in doubt. */
	agrees(p, op(exec, 0), ok);
	map(p, 0, W(0), 2, RW, PRIVATE);
	map(p, 0, W(2), 1, R, PRIVATE);
	write(p, 0, W(0));
	p->alloc_failed = true;
	loses(p, mremap_op(0, W(0), 2, 3, MAYMOVE, 0), fails(ENOMEM));
	model_adopt(p->model, areas, 2);
	picture(p, 0, "w00.");
}

static void shared_memory_is_recognised_after_a_failure(void **state)
{
	struct play *p = *state;
	struct model_area moved = {W(10), W(12), RW | MODEL_AREA_SHARED, -2, 0, 0};
	struct model_area strange = {W(20), W(21), RW | MODEL_AREA_SHARED, -2, 3, 3};

	map(p, 0, W(0), 2, RW, SHARED);
	write(p, 0, W(1));
	forks(p, 0, 1);
	p->alloc_failed = true;
	loses(p, mremap_op(0, W(0), 2, 2, MFIXED, W(10)), fails(ENOMEM));
	model_adopt(p->model, &moved, 1);
	picture(p, 0, "..........0w.");
	sees(p, 1, W(0), write(p, 0, W(10)));
	/* Memory that the model never heard of: whatever it holds is right, once. */
	p->alloc_failed = true;
	loses(p, op(mmap, 0, REGION_NONE, AT(W(20)), 1, RW, ANON | SHARED | FIXED, 0, 0),
	      fails(ENOMEM));
	model_adopt(p->model, &strange, 1);
	assert_int_equal(model_peek(p->model, 0, W(20), &(uint64_t){0}), -EAGAIN);
	sees(p, 0, W(20), 77);
	disagrees(p, op(read, 0, AT(W(20))), saw(0));
}

/* ---- whole models ------------------------------------------------------------------ */

static void reset_is_as_new(void **state)
{
	struct play *p = *state;
	struct machine_config other = config;

	map(p, 0, W(0), 4, RW, SHARED);
	map_object(p, 0, W(4), 2, RW, SHARED, 0, 0);
	write(p, 0, W(0));
	write(p, 0, W(4));
	forks(p, 0, 1);
	other.split = SPLIT_2_2;
	other.files = 1;
	model_reset(p->model, &other);
	picture(p, 0, "......");
	agrees(p, op(exit, 1), fails(ESRCH));
	agrees(p, op(fread, 0, 0), saw(token_file(0, 0)));
	agrees(p, op(fread, 1, 0), fails(ENODATA));
	agrees(p, MMAP(AT(0x80000), 1, ANON | FIXED), fails(ENOMEM));
	map(p, 0, W(0), 4, RW, SHARED);
	picture(p, 0, "0000..");
}

/* The same random ops on one array of pages per process: areas and tokens against the obvious. */

#define TINY 40u

struct tiny {
	bool mapped[TINY];
	uint8_t prot[TINY];
	uint64_t token[TINY];
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void tiny_step(struct play *p, struct tiny *tiny, uint32_t *seed)
{
	uint32_t at_page = next_random(seed) % TINY, i;
	uint32_t len = 1 + next_random(seed) % (TINY - at_page);
	uint32_t prot = next_random(seed) & 1 ? R : RW;

	switch (next_random(seed) % 6) {
	case 0:
		map(p, 0, W(at_page), len, prot, PRIVATE);
		for (i = at_page; i < at_page + len; i++)
			tiny->mapped[i] = true, tiny->prot[i] = (uint8_t)prot, tiny->token[i] = 0;
		break;
	case 1:
		unmap(p, 0, W(at_page), len);
		for (i = at_page; i < at_page + len; i++)
			tiny->mapped[i] = false;
		break;
	case 2:
		for (i = at_page; i < at_page + len && tiny->mapped[i]; i++)
			tiny->prot[i] = (uint8_t)prot;
		agrees(p, op(mprotect, 0, AT(W(at_page)), len, prot),
		       i == at_page + len ? ok : fails(ENOMEM));
		break;
	default:
		if (!tiny->mapped[at_page] || tiny->prot[at_page] != RW)
			agrees(p, op(write, 0, AT(W(at_page))), fails(RES_SEGV));
		else
			tiny->token[at_page] = write(p, 0, W(at_page));
	}
}

static void areas_behave_like_an_array_of_pages(void **state)
{
	struct play *p = *state;
	struct tiny tiny = {0};
	uint32_t seed = 1, i, step_nr, vpn;

	for (step_nr = 0; step_nr < 20000; step_nr++) {
		tiny_step(p, &tiny, &seed);
		i = next_random(&seed) % TINY;
		if (tiny.mapped[i])
			sees(p, 0, W(i), tiny.token[i]);
		else
			dies(p, 0, W(i), RES_SEGV);
	}
	for (i = 0, vpn = W(0); i < TINY; i++) {
		vpn = W(i);
		assert_int_equal(model_next_mapped(p->model, 0, &vpn) && vpn == W(i),
				 tiny.mapped[i]);
	}
}

static void tokens_of_many_pages(void **state)
{
	struct play *p = *state;
	uint32_t i;

	map(p, 0, W(0), 20000, RW, PRIVATE);
	for (i = 0; i < 20000; i++)
		write(p, 0, W((i * 7919) % 20000)); /* page 7919 i holds token i + 1 */
	forks(p, 0, 1);
	agrees(p, mremap_op(0, W(0), 20000, 20000, MFIXED, W(30000)), at(W(30000)));
	unmap(p, 0, W(30001), 19998);
	sees(p, 0, W(30000), token_write(1));
	dies(p, 0, W(30001), RES_SEGV);
	for (i = 0; i < 20000; i++)
		sees(p, 1, W((i * 7919) % 20000), token_write(i + 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(boot_has_one_empty_process),
		TEST(fork_copies_private_and_shares_shared),
		TEST(fork_needs_a_parent_and_a_free_slot),
		TEST(exec_empties_and_exit_ends),
		TEST(threads_share_a_space),
		TEST(mmap_fixed_replaces),
		TEST(mmap_refuses_bad_arguments),
		TEST(mmap_chooses_free_user_pages),
		TEST(munmap_takes_pages_and_contents),
		TEST(file_mappings_show_the_file),
		TEST(private_file_mappings_keep_their_writes),
		TEST(truncate_takes_private_copies_along),
		TEST(shared_anonymous_memory_has_a_size),
		TEST(populated_private_pages_may_be_copies),
		TEST(mprotect_changes_up_to_the_gap),
		TEST(protection_decides_who_may),
		TEST(write_only_pages_are_left_open),
		TEST(dontneed_discards_private_contents),
		TEST(dontneed_passes_gaps_but_no_locks),
		TEST(advice_has_errors_but_no_effect),
		TEST(dontneed_cut_short_leaves_two_answers),
		TEST(brk_moves_the_end_of_the_heap),
		TEST(brk_that_fails_tells_where_it_is),
		TEST(stacks_grow_down_to_the_next_area),
		TEST(stacks_grow_to_their_limit),
		TEST(two_stacks_that_met_are_hard_to_tell),
		TEST(mremap_shrinks_and_grows),
		TEST(mremap_moves_contents_along),
		TEST(mremap_keeps_the_place_in_the_file),
		TEST(mremap_refuses_bad_arguments),
		TEST(mremap_that_fails_late_has_unmapped),
		TEST(mremap_across_different_areas_fails),
		TEST(mremap_across_equal_areas_is_left_open),
		TEST(atomic_calls_leave_everything_as_it_was),
		TEST(a_write_that_failed_may_have_copied),
		TEST(half_done_calls_are_learnt_from_the_subject),
		TEST(a_stack_may_have_grown_before_memory_ran_out),
		TEST(a_failed_move_that_went_back_loses_nothing),
		TEST(a_failed_move_that_got_stuck_leaves_unknowns),
		TEST(a_move_that_could_not_unmap_its_source),
		TEST(a_failed_move_may_end_where_the_kernel_chose),
		TEST(shared_memory_is_recognised_after_a_failure),
		TEST(reset_is_as_new),
		TEST(areas_behave_like_an_array_of_pages),
		TEST(tokens_of_many_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

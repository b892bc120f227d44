/*
 * The generator's sense, by op: most ops should do something, so they are aimed at pages that ought
 * to be mapped, or present (generate_guess.c). Some become other ops that are of more use by now.
 */
#include "generate_private.h"

/* Aim OP, RATE times out of 256, at one of PAGES of its process. */
static void aim(struct generator *g, struct op *op, int addr, uint32_t pages, uint32_t rate)
{
	if (pages && !(op->refs >> addr & 1) && chance(g, rate))
		op->args[addr] = g->base + one_of(g, pages) * PAGE_SIZE;
}

/* The next name for an address that the kernel chooses. */
static uint32_t bind_region(struct generator *g)
{
	uint32_t region = below(g, 4);

	if (region >= g->nr_regions)
		region = g->nr_regions++;
	return region;
}

void bring_in_little(struct op *op, int len)
{
	if (op->args[len] > 64)
		op->args[len] &= 63;
}

static void mend_mmap(struct generator *g, struct op *op)
{
	uint32_t flags = op->args[5];

	/* More must be mapped than is cut away again. */
	if (op->args[3] <= g->window && below(g, 3) == 0)
		op->args[3] = g->window;
	if (!(flags & OP_MAP_FIXED)) {
		if (!chance(g, g->wild))
			set_arg(op, 2, 0);
		op->args[1] = bind_region(g);
	}
	if ((flags & (OP_MAP_POPULATE | OP_MAP_LOCKED)) || g->now.future)
		bring_in_little(op, 3);
	if (flags & OP_MAP_ANON)
		op->args[6] = op->args[7] = 0;
}

static void mend_mremap(struct generator *g, struct op *op)
{
	uint32_t flags = op->args[5];

	aim(g, op, 2, mapped(g, op), 224);
	if (below(g, 3) == 0 || (flags & OP_MREMAP_DONTUNMAP))
		op->args[4] = op->args[3];
	if (g->now.locked)
		bring_in_little(op, 4);
	if (!(flags & OP_MREMAP_FIXED))
		set_arg(op, 6, 0);
	if (flags == OP_MREMAP_MAYMOVE && below(g, 2))
		op->args[1] = bind_region(g);
}

static void mend_brk(struct generator *g, struct op *op)
{
	if (!chance(g, g->wild) || g->now.future)
		set_arg(op, 1, HEAP_BASE + below(g, g->window + 1) * PAGE_SIZE);
}

/* The last process had better live: without it nothing happens any more. */
static void mend_exit(struct generator *g, struct op *op)
{
	if (g->now.live != 1u << op->args[0])
		return;
	op->code = OP_fork;
	op->args[1] = make_newproc(g);
}

static void mend_access(struct generator *g, struct op *op)
{
	const struct guess *guess = guess_of(g, op->args[0]);

	if (guess)
		aim(g, op, 1, guess->usable && below(g, 8) ? guess->usable : guess->mapped, 240);
}

/* Where there is something to look at, rather something that others have, too. */
static void mend_age(struct generator *g, struct op *op)
{
	const struct guess *guess = guess_of(g, op->args[0]);
	uint32_t pages;

	/* Nothing there to look at: somewhere else, perhaps. */
	if (guess && !guess->present) {
		set_arg(op, 0, one_of(g, g->now.live));
		guess = guess_of(g, op->args[0]);
	}
	if (!guess)
		return;
	pages = present_elsewhere(g, op->args[0]);
	aim(g, op, 1, pages && below(g, 2) ? pages : guess->present, 240);
}

static void mend_evict(struct generator *g, struct op *op)
{
	const struct guess *guess;

	mend_age(g, op);
	guess = guess_of(g, op->args[0]);
	if (guess && !guess->present && guess->usable && below(g, 4)) {
		/* First somebody has to bring a page in. */
		op->code = OP_write;
		mend_access(g, op);
	}
}

/* Without swap little happens: what is off is on again soon, and not all goes off at once. */
static void mend_swapoff(struct generator *g, struct op *op)
{
	if (g->now.swap_off && below(g, 4)) {
		op->code = OP_swapon;
		op->args[0] = one_of(g, g->now.swap_off);
	}
}

static void mend_swapon(struct generator *g, struct op *op)
{
	if (!g->now.swap_off && below(g, 4))
		op->code = OP_swapoff;
	else if (g->now.swap_off && !chance(g, g->wild))
		op->args[0] = one_of(g, g->now.swap_off);
}

static void mend_mlock(struct generator *g, struct op *op)
{
	aim(g, op, 1, mapped(g, op), 240);
	bring_in_little(op, 2);
}

/* The range had better be mapped. */
static void mend_range(struct generator *g, struct op *op)
{
	aim(g, op, 1, mapped(g, op), 224);
}

/* Everything is too much if there is more than a window's worth. */
static void mend_mlockall(struct generator *g, struct op *op)
{
	if (g->now.vast)
		op->code = OP_munlockall;
}

/* A shared mapping of a file of few pages: that is where it does something. Without one, make one.
 */
static void mend_remap(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);
	uint32_t pages;

	if (!guess)
		return;
	if (!guess->shared) {
		op->code = OP_mmap;
		set_arg(op, 1, REGION_NONE);
		set_arg(op, 2, window_addr(g));
		set_arg(op, 3, 1 + below(g, g->window));
		set_arg(op, 4, OP_PROT_READ | OP_PROT_WRITE);
		set_arg(op, 5, OP_MAP_SHARED | OP_MAP_FIXED | (below(g, 4) ? 0 : OP_MAP_ANON));
		set_arg(op, 6, below(g, 3));
		set_arg(op, 7, below(g, 4) ? 0 : make_operand(g, op, 7, OPERAND_PGOFF));
		mend_mmap(g, op);
		return;
	}
	aim(g, op, 1, guess->shared, 240);
	pages = pages_at(g, op, 1, g->window) & guess->shared;
	/* Not across the end of what is shared from there on. */
	if (pages && !chance(g, g->wild)) {
		uint32_t run = pages >> __builtin_ctz(pages);
		uint32_t room = ~run ? (uint32_t)__builtin_ctz(~run) : WINDOW_MAX;

		if (op->args[2] > room)
			op->args[2] = 1 + below(g, room);
	}
	bring_in_little(op, 2);
	/* Not beyond the end of the file, as far as that is known. */
	if (op->args[2] <= g->config->file_pages && !chance(g, g->wild))
		set_arg(op, 3, below(g, g->config->file_pages - op->args[2] + 1));
}

/* A few pages, of which one had better be there. One that is in use is let go first. */
static void mend_pin(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (g->now.pins >> op->args[1] & 1 && !chance(g, g->wild)) {
		*op = (struct op){.code = OP_unpin, .args = {op->args[1]}};
		return;
	}
	if (!guess)
		return;
	aim(g, op, 2, guess->usable && below(g, 8) ? guess->usable : guess->mapped, 240);
	if (!chance(g, g->wild))
		set_arg(op, 3, 1 + below(g, 3));
}

/* A device has something to do with what it holds; if it holds nothing, let it. */
static void mend_device(struct generator *g, struct op *op)
{
	if (!g->now.pins && below(g, 4)) {
		op->code = OP_pin;
		for (int i = 0; i < op_info(OP_pin)->nargs; i++)
			op->args[i] = make_operand(g, op, i, op_info(OP_pin)->operand[i].kind);
		mend_pin(g, op);
		return;
	}
	if (!chance(g, g->wild))
		op->args[1] = below(g, 4) ? 0 : below(g, 3);
}

mend_fn *const mend[NR_OPS] = {
	[OP_mmap] = mend_mmap,         [OP_munmap] = mend_range,
	[OP_mremap] = mend_mremap,     [OP_brk] = mend_brk,
	[OP_exit] = mend_exit,         [OP_read] = mend_access,
	[OP_write] = mend_access,      [OP_evict] = mend_evict,
	[OP_swapout] = mend_evict,     [OP_migrate] = mend_evict,
	[OP_age] = mend_age,           [OP_mprotect] = mend_range,
	[OP_madvise] = mend_range,     [OP_swapon] = mend_swapon,
	[OP_swapoff] = mend_swapoff,   [OP_mlock] = mend_mlock,
	[OP_munlock] = mend_range,     [OP_msync] = mend_range,
	[OP_mlockall] = mend_mlockall, [OP_remap_file_pages] = mend_remap,
	[OP_pin] = mend_pin,           [OP_pinread] = mend_device,
	[OP_pinwrite] = mend_device,   [OP_poke] = mend_access,
};

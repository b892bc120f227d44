/*
 * What the generator believes of each address space: which pages of the window are mapped, present,
 * usable and shared. Ops that are made note what they ought to have done; nobody runs them. Being
 * wrong is no harm: it costs an op that does nothing.
 */
#include "generate_private.h"

static uint32_t first_bits(uint32_t n)
{
	return n < WINDOW_MAX ? (1u << n) - 1 : UINT32_MAX;
}

struct guess *guess_of(struct generator *g, uint32_t proc)
{
	return proc < PROCS_MAX && (g->now.live >> proc & 1) ? &g->now.guess[g->now.space[proc]]
							     : NULL;
}

/* A guess that no living process but PROC uses. */
static uint8_t unused_space(const struct generator *g, uint32_t proc)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < PROCS_MAX; i++)
		used |= i != proc && (g->now.live >> i & 1) ? 1u << g->now.space[i] : 0;
	return (uint8_t)__builtin_ctz(~used);
}

uint32_t pages_at(const struct generator *g, const struct op *op, int addr, uint32_t len)
{
	uint32_t first = (op->args[addr] - g->base) / PAGE_SIZE;
	uint64_t pages;

	if ((op->refs >> addr & 1) || first >= g->window)
		return 0;
	if (len > g->window - first)
		len = g->window - first;
	pages = ((1ull << len) - 1) << first;
	return (uint32_t)pages;
}

uint32_t mapped(struct generator *g, const struct op *op)
{
	const struct guess *guess = guess_of(g, op->args[0]);

	return guess ? guess->mapped : 0;
}

uint32_t present_elsewhere(struct generator *g, uint32_t proc)
{
	const struct guess *guess = guess_of(g, proc);
	uint32_t others = 0;

	if (!guess)
		return 0;
	for (uint32_t i = 0; i < PROCS_MAX; i++) {
		if ((g->now.live >> i & 1) && &g->now.guess[g->now.space[i]] != guess)
			others |= g->now.guess[g->now.space[i]].present;
	}
	return guess->present & others;
}

/* PAGES have protection PROT from now on. */
static void note_prot(struct guess *guess, uint32_t pages, uint32_t prot)
{
	const uint32_t both = OP_PROT_READ | OP_PROT_WRITE;

	guess->usable &= ~pages;
	if ((prot & both) == both)
		guess->usable |= pages & guess->mapped;
}

/* Bits of SET from FIRST on, moved to TO; at most N of them. */
static uint32_t moved(uint32_t set, uint32_t first, uint32_t to, uint32_t n)
{
	return (set >> first & first_bits(n)) << to;
}

static void note_move(struct generator *g, struct guess *guess, const struct op *op)
{
	uint32_t old = pages_at(g, op, 2, op->args[3]), new = pages_at(g, op, 6, op->args[4]);
	uint32_t from, to, present = 0, usable = 0, shared = 0;

	if (!old || (guess->mapped & old) != old)
		return;
	if (new) {
		from = (uint32_t)__builtin_ctz(old);
		to = (uint32_t)__builtin_ctz(new);
		present = moved(guess->present & old, from, to, op->args[3]) & new;
		usable = guess->usable >> from & 1 ? new : 0;
		shared = guess->shared >> from & 1 ? new : 0;
	}
	if (!(op->args[5] & OP_MREMAP_DONTUNMAP))
		guess->mapped &= ~old;
	guess->mapped |= new;
	guess->present = (guess->present & ~(old | new)) | present;
	guess->usable = (guess->usable & ~(old | new)) | usable;
	guess->shared = (guess->shared & ~(old | new)) | shared;
}

/* ---- what ops do, by op --------------------------------------------------------------------- */

static void note_mmap(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);
	uint32_t flags = op->args[5], pages;

	g->now.locked |= (flags & OP_MAP_LOCKED) != 0;
	g->now.vast |= op->args[3] > 64;
	if (!guess || !(flags & OP_MAP_FIXED))
		return;
	pages = pages_at(g, op, 2, op->args[3]);
	guess->mapped |= pages;
	guess->present &= ~pages;
	guess->shared = flags & OP_MAP_SHARED ? guess->shared | pages : guess->shared & ~pages;
	note_prot(guess, pages, op->args[4]);
	if (flags & (OP_MAP_POPULATE | OP_MAP_LOCKED))
		guess->present |= pages;
}

static void note_munmap(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);
	uint32_t pages = pages_at(g, op, 1, op->args[2]);

	if (!guess)
		return;
	guess->mapped &= ~pages;
	guess->present &= ~pages;
	guess->usable &= ~pages;
	guess->shared &= ~pages;
}

static void note_mremap(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	g->now.vast |= op->args[4] > 64;
	if (guess && (op->args[5] & OP_MREMAP_FIXED))
		note_move(g, guess, op);
}

/* A heap may grow as far as the window. */
static void note_brk(struct generator *g, const struct op *op)
{
	g->now.vast |= op->args[1] - HEAP_BASE > 64 * PAGE_SIZE;
}

static void note_fork(struct generator *g, const struct op *op)
{
	const struct guess *parent = guess_of(g, op->args[0]);
	uint32_t child = op->args[1];

	if (!parent || child >= PROCS_MAX || (g->now.live >> child & 1))
		return;
	g->now.space[child] = unused_space(g, child);
	g->now.guess[g->now.space[child]] = *parent;
	g->now.live |= 1u << child;
}

static void note_clone_vm(struct generator *g, const struct op *op)
{
	uint32_t parent = op->args[0], child = op->args[1];

	if (!guess_of(g, parent) || child >= PROCS_MAX || (g->now.live >> child & 1))
		return;
	g->now.space[child] = g->now.space[parent];
	g->now.live |= 1u << child;
}

static void note_exec(struct generator *g, const struct op *op)
{
	uint32_t proc = op->args[0];

	if (!guess_of(g, proc))
		return;
	g->now.space[proc] = unused_space(g, proc);
	g->now.guess[g->now.space[proc]] = (struct guess){0};
}

/* Somebody is always believed to be alive, for somebody has to do the next op. */
static void note_exit(struct generator *g, const struct op *op)
{
	if (op->args[0] < PROCS_MAX && g->now.live != 1u << op->args[0])
		g->now.live &= ~(1u << op->args[0]);
}

static void note_access(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (guess)
		guess->present |= pages_at(g, op, 1, 1) & guess->mapped;
}

/* The page goes from everybody; who shares it has it, as a rule, at the same place. */
static void note_evict(struct generator *g, const struct op *op)
{
	uint32_t page = pages_at(g, op, 1, 1);

	for (uint32_t proc = 0; proc < PROCS_MAX; proc++)
		g->now.guess[proc].present &= ~page;
}

static void note_mprotect(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (guess)
		note_prot(guess, pages_at(g, op, 1, op->args[2]), op->args[3]);
}

static void note_madvise(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (guess && op->args[3] == ADVICE_DONTNEED)
		guess->present &= ~pages_at(g, op, 1, op->args[2]);
}

static void note_swapoff(struct generator *g, const struct op *op)
{
	if (op->args[0] < g->config->nr_swap)
		g->now.swap_off |= 1u << op->args[0];
}

static void note_swapon(struct generator *g, const struct op *op)
{
	g->now.swap_off &= ~(1u << op->args[0]);
}

static void note_mlock(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	g->now.locked = true;
	if (guess)
		guess->present |= pages_at(g, op, 1, op->args[2]) & guess->usable;
}

static void note_mlockall(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	g->now.locked = true;
	if (guess)
		guess->present |= guess->usable;
}

static void note_mlockall_future(struct generator *g, const struct op *op)
{
	g->now.locked = g->now.future = true;
}

static void note_remap(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (guess && !(op->args[4] & OP_REMAP_NONBLOCK))
		guess->present |= pages_at(g, op, 1, op->args[2]) & guess->mapped;
}

static void note_pin(struct generator *g, const struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (!guess)
		return;
	guess->present |= pages_at(g, op, 2, op->args[3]) & guess->usable;
	g->now.pins |= 1u << op->args[1];
}

static void note_unpin(struct generator *g, const struct op *op)
{
	g->now.pins &= ~(1u << op->args[0]);
}

typedef void note_fn(struct generator *g, const struct op *op);
static note_fn *const notes[NR_OPS] = {
	[OP_mmap] = note_mmap,         [OP_munmap] = note_munmap,
	[OP_mremap] = note_mremap,     [OP_brk] = note_brk,
	[OP_fork] = note_fork,         [OP_exec] = note_exec,
	[OP_exit] = note_exit,         [OP_read] = note_access,
	[OP_write] = note_access,      [OP_evict] = note_evict,
	[OP_swapout] = note_evict,     [OP_migrate] = note_evict,
	[OP_mprotect] = note_mprotect, [OP_madvise] = note_madvise,
	[OP_swapon] = note_swapon,     [OP_swapoff] = note_swapoff,
	[OP_mlock] = note_mlock,       [OP_mlockall] = note_mlockall,
	[OP_clone_vm] = note_clone_vm, [OP_remap_file_pages] = note_remap,
	[OP_pin] = note_pin,           [OP_unpin] = note_unpin,
	[OP_poke] = note_access,       [OP_mlockall_future] = note_mlockall_future,
};

void note(struct generator *g, const struct op *op)
{
	if (notes[op->code])
		notes[op->code](g, op);
}

/*
 * The generator: random traces, from a seed, that make things collide.
 *
 * Swarm: each trace switches some ops off and weights the rest wildly, so that traces differ more
 * from each other than samples of one distribution would; a bug that needs many forks and no exit
 * gets its trace. The world is small on purpose: a window of a few pages that everybody maps,
 * cuts and moves, few processes, files of few pages. A few percent of operands are wild.
 *
 * Operands are made by kind, from op.def, so that a new op needs nothing here; what needs more
 * sense than that is put right afterwards, by op.
 */
#include "internal.h"

/* Where brk starts. */
#define HEAP_BASE 0x08100000u

/* xoshiro256** by D. Blackman and S. Vigna, seeded by splitmix64; written from its description. */
struct random {
	uint64_t s[4];
};

static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t next(struct random *random)
{
	uint64_t *s = random->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

static void seed_random(struct random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		random->s[i] = z ^ z >> 31;
	}
}

#define CARD_BITS 10
#define CARDS     (1u << CARD_BITS)

#define WINDOW_MAX 32u /* pages: a bit each */
#define PROCS_MAX  8u

/* What a process has in the window, as far as one can know without running the trace. */
struct guess {
	uint32_t mapped, present, usable; /* usable: may be read and written */
	uint32_t shared;                  /* of mapped, what is shared */
};

/* What a trace being made is like. Rates are out of 256. */
struct generator {
	struct random random;
	const struct machine_config *config;
	uint32_t base, window; /* byte address of the window; its pages */
	uint32_t max_procs;
	uint32_t live;       /* processes that should be alive, a bit each */
	uint32_t nr_regions; /* r0..: bound by now */
	struct guess guess[PROCS_MAX];
	bool locked;              /* there have been locked mappings */
	uint32_t swap_off;        /* areas that should be off, a bit each */
	uint8_t space[PROCS_MAX]; /* a process's guess: threads share one */
	bool vast; /* there may be a mapping that had better not be brought in whole */
	uint32_t wild, file, shared, fixed, heap, region;
	uint32_t failing;    /* ops told to fail or to reclaim */
	uint32_t nesting;    /* ops with others inside */
	uint8_t pick[CARDS]; /* op codes, as often as their weight says */
};

static uint32_t below(struct generator *g, uint32_t n)
{
	return (uint32_t)((next(&g->random) >> 32) * n >> 32);
}

static bool chance(struct generator *g, uint32_t rate)
{
	return next(&g->random) >> 56 < rate;
}

/* ---- weights ------------------------------------------------------------------------------ */

#define WEIGHT_DEFAULT 8
static const uint8_t weights[NR_OPS] = {
	[OP_fork] = 8,     [OP_exit] = 4,       [OP_exec] = 1,     [OP_mmap] = 14,
	[OP_munmap] = 4,   [OP_mremap] = 9,     [OP_mprotect] = 6, [OP_madvise] = 4,
	[OP_brk] = 2,      [OP_read] = 14,      [OP_write] = 28,   [OP_truncate] = 1,
	[OP_fread] = 2,    [OP_fwrite] = 2,     [OP_evict] = 12,   [OP_swapout] = 12,
	[OP_age] = 4,      [OP_reclaim] = 3,    [OP_mlock] = 3,    [OP_munlock] = 3,
	[OP_mlockall] = 1, [OP_munlockall] = 1, [OP_msync] = 2,    [OP_writeback] = 2,
	[OP_mkclean] = 4,  [OP_fdrop] = 2,      [OP_fpunch] = 2,   [OP_swapon] = 1,
	[OP_swapoff] = 2,  [OP_clone_vm] = 3,   [OP_migrate] = 6,  [OP_remap_file_pages] = 6,
};

/* Switch some ops off, weight the rest between once and sixteen times, and deal the cards. Rounding
 * is carried over, so that no op loses by its place in the table. */
static void deal(struct generator *g)
{
	uint32_t weight[NR_OPS], total = 0, sum = 0, dealt = 0;

	for (int code = 0; code < NR_OPS; code++) {
		weight[code] = (weights[code] ? weights[code] : WEIGHT_DEFAULT) << below(g, 5);
		if (below(g, 5) == 0 && code != OP_mmap && code != OP_write)
			weight[code] = 0;
		total += weight[code];
	}
	for (int code = 0; code < NR_OPS; code++) {
		sum += weight[code];
		while (dealt < CARDS * sum / total)
			g->pick[dealt++] = (uint8_t)code;
	}
}

/* Mostly inside one page table; sometimes across the border of two, or of two gigabytes. */
static uint32_t choose_base(struct generator *g)
{
	uint32_t half = g->window / 2 * PAGE_SIZE;

	switch (below(g, 16)) {
	case 0:
	case 1:
		return WINDOW_BASE - half;
	case 2:
		return 0x80000000u - half;
	default:
		return WINDOW_BASE;
	}
}

static void begin(struct generator *g, const struct machine_config *config, uint64_t seed,
		  const struct generate_options *options)
{
	seed_random(&g->random, seed);
	g->config = config;
	g->window = 4 + below(g, WINDOW_MAX - 3);
	g->base = choose_base(g);
	g->max_procs = 2 + below(g, PROCS_MAX - 1);
	g->live = 1;
	g->nr_regions = 0;
	memset(g->guess, 0, sizeof(g->guess));
	memset(g->space, 0, sizeof(g->space));
	g->locked = g->vast = false;
	g->swap_off = 0;
	g->wild = below(g, 16);
	g->file = 16 << below(g, 4);
	g->shared = 8 << below(g, 5);
	g->fixed = 256 - (4 << below(g, 5));
	g->heap = below(g, 4) ? 0 : 48;
	g->region = below(g, 64);
	g->failing = options->faults ? 4 << below(g, 4) : 0;
	g->nesting = options->actors ? 16 << below(g, 4) : 0;
	deal(g);
}

/* ---- operands, by kind ---------------------------------------------------------------------- */

static uint32_t window_addr(struct generator *g)
{
	return g->base + below(g, g->window) * PAGE_SIZE;
}

static uint32_t wild_addr(struct generator *g)
{
	switch (below(g, 6)) {
	case 0:
		return 0;
	case 1:
		return window_addr(g) + 1 + below(g, PAGE_SIZE - 1);
	case 2:
		return 0xc0000000u - below(g, 8) * PAGE_SIZE;
	case 3:
		return below(g, 0x100000) * PAGE_SIZE;
	case 4:
		return g->base - below(g, 4) * PAGE_SIZE;
	default:
		return (uint32_t)next(&g->random);
	}
}

static uint32_t make_addr(struct generator *g, struct op *op, int i)
{
	if (chance(g, g->wild))
		return wild_addr(g);
	if (g->nr_regions && chance(g, g->region)) {
		op->refs |= (uint8_t)(1u << i);
		return below(g, g->nr_regions) << 24 | below(g, 4);
	}
	if (g->heap && chance(g, g->heap))
		return HEAP_BASE + below(g, g->window) * PAGE_SIZE;
	return window_addr(g);
}

static uint32_t make_len(struct generator *g)
{
	if (chance(g, g->wild)) {
		const uint32_t wild[] = {0, LEN_MAX, 510 + below(g, 4), 1u << below(g, 20)};

		return wild[below(g, 4)];
	}
	switch (below(g, 8)) {
	case 0:
	case 1:
	case 2:
		return 1;
	case 3:
	case 4:
	case 5:
		return 1 + below(g, 4);
	default:
		return 1 + below(g, g->window);
	}
}

/* A random one of the bits in SET, which is not empty. */
static uint32_t one_of(struct generator *g, uint32_t set)
{
	uint32_t skip = below(g, (uint32_t)__builtin_popcount(set));

	while (skip--)
		set &= set - 1;
	return (uint32_t)__builtin_ctz(set);
}

static uint32_t make_proc(struct generator *g)
{
	return chance(g, g->wild) ? below(g, PROC_MAX) : one_of(g, g->live);
}

static uint32_t make_newproc(struct generator *g)
{
	uint32_t vacant = ~g->live & ((1u << g->max_procs) - 1);

	return vacant && !chance(g, g->wild) ? one_of(g, vacant) : below(g, g->max_procs);
}

static uint32_t make_prot(struct generator *g)
{
	static const uint8_t likely[16] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 0, 0, 2};
	uint32_t i = below(g, 20);

	return i < 16 ? likely[i] : below(g, OP_PROT_MASK + 1);
}

static uint32_t make_mflags(struct generator *g)
{
	uint32_t flags = 0;

	flags |= chance(g, g->file) ? 0 : OP_MAP_ANON;
	flags |= chance(g, g->shared) ? OP_MAP_SHARED : 0;
	flags |= chance(g, g->fixed) ? OP_MAP_FIXED : 0;
	switch (below(g, 16)) {
	case 0:
		return flags | OP_MAP_POPULATE;
	case 1:
		return flags | OP_MAP_LOCKED;
	case 2:
		return (flags | OP_MAP_GROWSDOWN | OP_MAP_ANON) & ~OP_MAP_SHARED;
	case 3:
		return flags | below(g, OP_MAP_MASK + 1);
	default:
		return flags;
	}
}

static uint32_t make_rflags(struct generator *g)
{
	static const uint8_t likely[16] = {3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 0, 5, 7, 7};

	return chance(g, g->wild) ? OP_MREMAP_FIXED : likely[below(g, 16)];
}

static uint32_t make_swap(struct generator *g)
{
	return g->config->nr_swap ? below(g, g->config->nr_swap) : 0;
}

static uint32_t make_operand(struct generator *g, struct op *op, int i, enum operand_kind kind)
{
	switch (kind) {
	case OPERAND_PROC:
		return make_proc(g);
	case OPERAND_NEWPROC:
		return make_newproc(g);
	case OPERAND_REGION:
		return REGION_NONE;
	case OPERAND_ADDR:
		return make_addr(g, op, i);
	case OPERAND_LEN:
		return make_len(g);
	case OPERAND_PROT:
		return make_prot(g);
	case OPERAND_MFLAGS:
		return make_mflags(g);
	case OPERAND_RFLAGS:
		return make_rflags(g);
	case OPERAND_NFLAGS:
		return below(g, 4) == 0 ? OP_REMAP_NONBLOCK : 0;
	case OPERAND_ADVICE:
		return below(g, 3) == 0 ? ADVICE_DONTNEED : below(g, NR_ADVICE);
	case OPERAND_FILE:
		return below(g, below(g, 4) ? 3 : FILE_MAX);
	case OPERAND_PGOFF:
		return below(g, chance(g, g->wild) ? LEN_MAX : g->config->file_pages + 2);
	case OPERAND_COUNT:
		return chance(g, g->wild) ? below(g, 4096) : 1 + below(g, 16);
	case OPERAND_SWAP:
		return chance(g, g->wild) ? below(g, SWAP_AREAS_MAX) : make_swap(g);
	case OPERAND_SFLAGS:
		return below(g, 2) ? OP_MS_SYNC : below(g, OP_MS_MASK + 1);
	case OPERAND_NONE:
		break;
	}
	return 0;
}

/* ---- sense, by op -----------------------------------------------------------------------------
 *
 * Most ops should do something: they are aimed at pages that ought to be mapped, or present, and
 * what they ought to have done is noted. Being wrong is no harm.
 */

static void set_arg(struct op *op, int i, uint32_t value)
{
	op->args[i] = value;
	op->refs &= (uint8_t) ~(1u << i);
}

/* What is believed of PROC; of one that cannot be alive, nothing. */
static struct guess *guess_of(struct generator *g, uint32_t proc)
{
	return proc < PROCS_MAX && (g->live >> proc & 1) ? &g->guess[g->space[proc]] : NULL;
}

/* A guess that no living process but PROC uses. */
static uint8_t unused_space(const struct generator *g, uint32_t proc)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < PROCS_MAX; i++)
		used |= i != proc && (g->live >> i & 1) ? 1u << g->space[i] : 0;
	return (uint8_t)__builtin_ctz(~used);
}

/* The window's pages among the LEN at operand ADDR of OP. */
static uint32_t pages_at(const struct generator *g, const struct op *op, int addr, uint32_t len)
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

/* Aim OP, RATE times out of 256, at one of PAGES of its process. */
static void aim(struct generator *g, struct op *op, int addr, uint32_t pages, uint32_t rate)
{
	if (pages && !(op->refs >> addr & 1) && chance(g, rate))
		op->args[addr] = g->base + one_of(g, pages) * PAGE_SIZE;
}

static uint32_t mapped(struct generator *g, const struct op *op)
{
	const struct guess *guess = guess_of(g, op->args[0]);

	return guess ? guess->mapped : 0;
}

/* The next name for an address that the kernel chooses. */
static uint32_t bind_region(struct generator *g)
{
	uint32_t region = below(g, 4);

	if (region >= g->nr_regions)
		region = g->nr_regions++;
	return region;
}

/* What an op brings in at once had better be little: memory that is full of pages which cannot go
 * makes everything slow, and finds nothing. */
static void bring_in_little(struct op *op, int len)
{
	if (op->args[len] > 64)
		op->args[len] &= 63;
}

static void note_prot(struct guess *guess, uint32_t pages, uint32_t prot)
{
	const uint32_t both = OP_PROT_READ | OP_PROT_WRITE;

	guess->usable &= ~pages;
	if ((prot & both) == both)
		guess->usable |= pages & guess->mapped;
}

static void mend_mmap(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);
	uint32_t flags = op->args[5], pages;

	/* More must be mapped than is cut away again. */
	if (op->args[3] <= g->window && below(g, 3) == 0)
		op->args[3] = g->window;
	if (!(flags & OP_MAP_FIXED)) {
		if (!chance(g, g->wild))
			set_arg(op, 2, 0);
		op->args[1] = bind_region(g);
	}
	if (flags & (OP_MAP_POPULATE | OP_MAP_LOCKED))
		bring_in_little(op, 3);
	g->locked |= (flags & OP_MAP_LOCKED) != 0;
	g->vast |= op->args[3] > 64;
	if (flags & OP_MAP_ANON)
		op->args[6] = op->args[7] = 0;
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

static void mend_munmap(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);
	uint32_t pages;

	aim(g, op, 1, mapped(g, op), 128);
	pages = pages_at(g, op, 1, op->args[2]);
	if (guess) {
		guess->mapped &= ~pages;
		guess->present &= ~pages;
		guess->usable &= ~pages;
		guess->shared &= ~pages;
	}
}

/* Bits of SET from FIRST on, moved to TO; at most N of them. */
static uint32_t moved(uint32_t set, uint32_t first, uint32_t to, uint32_t n)
{
	uint64_t bits = (uint64_t)set >> first;

	if (n < WINDOW_MAX)
		bits &= (1ull << n) - 1;
	return (uint32_t)(bits << to);
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

static void mend_mremap(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);
	uint32_t flags = op->args[5];

	aim(g, op, 2, mapped(g, op), 224);
	if (below(g, 3) == 0 || (flags & OP_MREMAP_DONTUNMAP))
		op->args[4] = op->args[3];
	if (g->locked)
		bring_in_little(op, 4);
	g->vast |= op->args[4] > 64;
	if (!(flags & OP_MREMAP_FIXED))
		set_arg(op, 6, 0);
	if (flags == OP_MREMAP_MAYMOVE && below(g, 2))
		op->args[1] = bind_region(g);
	if (guess && (flags & OP_MREMAP_FIXED))
		note_move(g, guess, op);
}

static void mend_brk(struct generator *g, struct op *op)
{
	if (!chance(g, g->wild))
		set_arg(op, 1, HEAP_BASE + below(g, g->window + 1) * PAGE_SIZE);
}

static void mend_fork(struct generator *g, struct op *op)
{
	const struct guess *parent = guess_of(g, op->args[0]);
	uint32_t child = op->args[1];

	if (!parent || (g->live >> child & 1))
		return;
	g->space[child] = unused_space(g, child);
	g->guess[g->space[child]] = *parent;
	g->live |= 1u << child;
}

static void mend_clone_vm(struct generator *g, struct op *op)
{
	uint32_t parent = op->args[0], child = op->args[1];

	if (!guess_of(g, parent) || (g->live >> child & 1))
		return;
	g->space[child] = g->space[parent];
	g->live |= 1u << child;
}

static void mend_exec(struct generator *g, struct op *op)
{
	uint32_t proc = op->args[0];

	if (!guess_of(g, proc))
		return;
	g->space[proc] = unused_space(g, proc);
	g->guess[g->space[proc]] = (struct guess){0};
}

/* The last process had better live: without it nothing happens any more. */
static void mend_exit(struct generator *g, struct op *op)
{
	if (g->live != 1u << op->args[0]) {
		g->live &= ~(1u << op->args[0]);
		return;
	}
	op->code = OP_fork;
	op->args[1] = make_newproc(g);
	mend_fork(g, op);
}

static void mend_access(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (!guess)
		return;
	aim(g, op, 1, guess->usable && below(g, 8) ? guess->usable : guess->mapped, 240);
	guess->present |= pages_at(g, op, 1, 1) & guess->mapped;
}

static void mend_age(struct generator *g, struct op *op)
{
	const struct guess *guess = guess_of(g, op->args[0]);

	/* Nothing there to look at: somewhere else, perhaps. */
	if (guess && !guess->present) {
		set_arg(op, 0, one_of(g, g->live));
		guess = guess_of(g, op->args[0]);
	}
	if (guess)
		aim(g, op, 1, guess->present, 240);
}

/* The page goes from everybody; who shares it has it, as a rule, at the same place. */
static void mend_evict(struct generator *g, struct op *op)
{
	const struct guess *guess;
	uint32_t page;

	mend_age(g, op);
	guess = guess_of(g, op->args[0]);
	if (guess && !guess->present && guess->usable && below(g, 4)) {
		/* First somebody has to bring a page in. */
		op->code = OP_write;
		mend_access(g, op);
		return;
	}
	page = pages_at(g, op, 1, 1);
	for (uint32_t proc = 0; proc < PROCS_MAX; proc++)
		g->guess[proc].present &= ~page;
}

static void mend_mprotect(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	aim(g, op, 1, mapped(g, op), 224);
	if (guess)
		note_prot(guess, pages_at(g, op, 1, op->args[2]), op->args[3]);
}

static void mend_madvise(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	aim(g, op, 1, mapped(g, op), 224);
	if (guess && op->args[3] == ADVICE_DONTNEED)
		guess->present &= ~pages_at(g, op, 1, op->args[2]);
}

/* Without swap little happens: what is off is on again soon, and not all goes off at once. */
static void mend_swapoff(struct generator *g, struct op *op)
{
	if (g->swap_off && below(g, 4)) {
		op->code = OP_swapon;
		op->args[0] = one_of(g, g->swap_off);
		g->swap_off &= ~(1u << op->args[0]);
		return;
	}
	if (op->args[0] < g->config->nr_swap)
		g->swap_off |= 1u << op->args[0];
}

static void mend_swapon(struct generator *g, struct op *op)
{
	if (!g->swap_off && below(g, 4)) {
		op->code = OP_swapoff;
		mend_swapoff(g, op);
		return;
	}
	if (g->swap_off && !chance(g, g->wild))
		op->args[0] = one_of(g, g->swap_off);
	g->swap_off &= ~(1u << op->args[0]);
}

static void mend_mlock(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	aim(g, op, 1, mapped(g, op), 240);
	bring_in_little(op, 2);
	g->locked = true;
	if (guess)
		guess->present |= pages_at(g, op, 1, op->args[2]) & guess->usable;
}

/* munlock, msync: the range had better be mapped. */
static void mend_range(struct generator *g, struct op *op)
{
	aim(g, op, 1, mapped(g, op), 240);
}

/* Everything is too much if there is more than a window's worth. */
static void mend_mlockall(struct generator *g, struct op *op)
{
	struct guess *guess = guess_of(g, op->args[0]);

	if (g->vast)
		op->code = OP_munlockall;
	else if (guess)
		guess->present |= guess->usable;
	g->locked |= !g->vast;
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
	pages = pages_at(g, op, 1, op->args[2]) & guess->mapped;
	guess->present |= op->args[4] & OP_REMAP_NONBLOCK ? 0 : pages;
}

typedef void mend_fn(struct generator *g, struct op *op);
static mend_fn *const mend[NR_OPS] = {
	[OP_mmap] = mend_mmap,
	[OP_munmap] = mend_munmap,
	[OP_mremap] = mend_mremap,
	[OP_brk] = mend_brk,
	[OP_fork] = mend_fork,
	[OP_exec] = mend_exec,
	[OP_exit] = mend_exit,
	[OP_read] = mend_access,
	[OP_write] = mend_access,
	[OP_evict] = mend_evict,
	[OP_swapout] = mend_evict,
	[OP_age] = mend_age,
	[OP_mprotect] = mend_mprotect,
	[OP_madvise] = mend_madvise,
	[OP_swapon] = mend_swapon,
	[OP_swapoff] = mend_swapoff,
	[OP_mlock] = mend_mlock,
	[OP_munlock] = mend_range,
	[OP_msync] = mend_range,
	[OP_mlockall] = mend_mlockall,
	[OP_clone_vm] = mend_clone_vm,
	[OP_migrate] = mend_evict,
	[OP_remap_file_pages] = mend_remap,
};

/* ---- traces
 * -------------------------------------------------------------------------------------- */

static void tell_to_fail(struct generator *g, struct op *op)
{
	switch (below(g, 8)) {
	case 0:
	case 1:
		op->fail_nth = (uint16_t)(1 + below(g, 6));
		break;
	case 2:
		op->fail_from = (uint16_t)(1 + below(g, 6));
		break;
	case 3:
	case 4:
	case 5:
		op->reclaim_nth = (uint16_t)(1 + below(g, 6));
		break;
	case 6:
		op->fail_meta = (uint16_t)(1 + below(g, 3));
		break;
	default:
		op->fail_meta_from = (uint16_t)(1 + below(g, 3));
		break;
	}
}

static void make_op(struct generator *g, struct op *op)
{
	const struct op_info *info;

	*op = (struct op){.code = g->pick[next(&g->random) >> (64 - CARD_BITS)]};
	info = op_info((enum op_code)op->code);
	for (int i = 0; i < info->nargs; i++)
		op->args[i] = make_operand(g, op, i, (enum operand_kind)info->operand[i].kind);
	if (mend[op->code])
		mend[op->code](g, op);
	if (g->failing && chance(g, g->failing))
		tell_to_fail(g, op);
}

/* One of the points that CODE may pass, or POINT_NONE. */
static enum point make_point(struct generator *g, enum op_code code)
{
	uint32_t suitable = 0;

	for (int point = POINT_NONE + 1; point < NR_POINTS; point++)
		suitable += point_suits((enum point)point, code);
	if (!suitable)
		return POINT_NONE;
	suitable = below(g, suitable);
	for (int point = POINT_NONE + 1; point < NR_POINTS; point++) {
		if (point_suits((enum point)point, code) && suitable-- == 0)
			return (enum point)point;
	}
	return POINT_NONE;
}

/* The page that HOST is about, if it is about one, is the one to meet somebody at. */
static void meet(struct generator *g, const struct op *host, struct op *op)
{
	int at = op_operand_index((enum op_code)host->code, "addr");
	int own = op_operand_index((enum op_code)op->code, "addr");

	if (at < 0 || own < 0 || !below(g, 3) || (host->refs >> at & 1) || !host->args[at])
		return;
	set_arg(op, own, host->args[at]);
}

/* An op for somebody else to do while HOST is under way. False: HOST passes no point. */
static bool make_nested(struct generator *g, const struct op *host, struct op *op)
{
	enum point point = make_point(g, (enum op_code)host->code);

	if (point == POINT_NONE)
		return false;
	make_op(g, op);
	meet(g, host, op);
	op->point = (uint16_t)point;
	op->point_nth = (uint16_t)(below(g, 2) ? 1 : 1 + below(g, 5));
	return true;
}

/* Something to work on: the whole window, mostly private anonymous memory. */
static void make_first(struct generator *g, struct op *op)
{
	uint32_t flags = OP_MAP_FIXED | OP_MAP_ANON;

	flags |= chance(g, g->shared) ? OP_MAP_SHARED : 0;
	*op = (struct op){
		.code = OP_mmap,
		.args = {0, REGION_NONE, g->base, g->window, OP_PROT_READ | OP_PROT_WRITE, flags}};
	g->guess[0].mapped = g->guess[0].usable = pages_at(g, op, 2, g->window);
}

void generate_trace(struct trace *trace, const struct machine_config *config, uint64_t seed,
		    const struct generate_options *options)
{
	struct generator g;
	struct op op, host = {0};

	begin(&g, config, seed, options);
	trace_clear(trace);
	trace->config = *config;
	for (uint32_t i = 0; i < options->nr_ops; i++) {
		bool nested = i && chance(&g, g.nesting) && make_nested(&g, &host, &op);

		if (i == 0 && below(&g, 8))
			make_first(&g, &op);
		else if (!nested)
			make_op(&g, &op);
		if (!nested)
			host = op;
		/* A heap may grow as far as the window. */
		g.vast |= op.code == OP_brk && op.args[1] - HEAP_BASE > 64 * PAGE_SIZE;
		DIFF_ASSERT(trace_add(trace, &op) == 0);
	}
}

/*
 * Scenes at the ends of things: of page tables, of address spaces, of stacks and heaps, and of what
 * 32 bits can address.
 *
 *   edge        ...|##|...         across the end of a page table, or of the address space
 *   sparse                         gigabytes with a page here and there
 *   stack                          memory that grows when it is touched below
 *   heap                           brk, up to what is in the way, and to the end of it all
 *   beyond_4g                      so much memory that some is on either side of 4 GB
 */
#include "generate_private.h"

#define RW        (OP_PROT_READ | OP_PROT_WRITE)
#define DIRECTORY 0x40000000u /* what a page middle directory maps, in bytes */

/* The first address that is no process's. */
static uint32_t end_of_space(const struct generator *g)
{
	switch (g->config->split) {
	case SPLIT_2_2:
		return 0x80000000u;
	case SPLIT_4_4:
		return 0xff000000u;
	default:
		return 0xc0000000u;
	}
}

void edge(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 2, 8), before = 1 + below(g, n - 1), at, to, page;
	struct ground ground;

	switch (below(g, 4)) {
	case 0:
		at = end_of_space(g);
		before = n;
		break;
	case 1:
		at = DIRECTORY * (1 + below(g, end_of_space(g) / DIRECTORY - 1));
		break;
	default:
		at = g->base / TABLE * TABLE + TABLE * (1 + below(g, 2));
	}
	ground = choose_ground(g, focus, at - before * PAGE_SIZE, n);
	lay(g, &ground, 0, n, RW, below(g, 8) ? 0 : OP_MAP_POPULATE);
	touch(g, &ground, 0, n);
	if (below(g, 2))
		say(g, OP_write, ground.proc, at - PAGE_SIZE);
	may_fork(g, focus, &ground, 64, before - 1);
	page = before < n && below(g, 2) ? before : before - 1;
	/* To where its parts are in one table, or in two again. */
	to = below(g, 2) ? place(g, n) : g->base / TABLE * TABLE + 4 * TABLE - before * PAGE_SIZE;
	switch (below(g, 4)) {
	case 0:
		say(g, OP_munmap, ground.proc, ground.at, before);
		page = before < n ? before : 0;
		break;
	case 1:
		if (before < n)
			say(g, OP_munmap, ground.proc, at, n - before);
		page = before - 1;
		break;
	case 2:
		say(g, OP_mremap, ground.proc, REGION_NONE, ground.at, n, n,
		    OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED, to);
		ground.at = to;
		break;
	case 3: /* beyond, in place */
		say(g, OP_mremap, ground.proc, REGION_NONE, at - PAGE_SIZE, 1, 2 + below(g, 3), 0,
		    0);
		break;
	}
	focus_on(focus, &ground, page);
}

void sparse(struct generator *g, struct focus *focus)
{
	static const uint32_t sizes[] = {0x300, 0x40000, 0x60000, 0x88000, 0x90000};
	uint32_t base = 0x10000000u, limit = (end_of_space(g) - base) / PAGE_SIZE;
	uint32_t n = sizes[below(g, 5)], cut, spots[4];
	struct ground ground;

	if (n > limit)
		n = limit;
	cut = below(g, 2) ? n / 16 : 1 + below(g, n - 1);
	ground = choose_ground(g, focus, base, n);
	/* Files are short: only the beginning of it would be there. */
	ground.flags = (ground.flags & OP_MAP_SHARED) | OP_MAP_ANON;
	focus->flags = ground.flags;
	focus->size = n;
	lay(g, &ground, 0, n, RW, OP_MAP_NORESERVE);
	if (below(g, 2))
		say(g, OP_mprotect, ground.proc, base + cut * PAGE_SIZE, n - cut, OP_PROT_READ);
	spots[0] = cut - 1;
	spots[1] = below(g, n);
	spots[2] = n - 1 - below(g, n > 0x40000 ? 0x4000 : 4);
	spots[3] = n > 0x40000 ? 0x40000 - below(g, 2) : n / 2;
	for (uint32_t i = 0; i < 4; i++) {
		if (below(g, 3))
			say(g, below(g, 3) ? OP_write : OP_read, ground.proc,
			    base + spots[i] * PAGE_SIZE);
	}
	may_fork(g, focus, &ground, 128, spots[1]);
	switch (below(g, 5)) {
	case 0:
		say(g, OP_mprotect, ground.proc, base + cut * PAGE_SIZE, (n - cut) / 32 * 31 + 1,
		    RW);
		break;
	case 1:
		say(g, OP_munmap, ground.proc, base + spots[1] / 2 * PAGE_SIZE, spots[1] / 2 + 1);
		break;
	case 2:
		say(g, OP_mprotect, ground.proc, base, cut, OP_PROT_READ);
		break;
	case 3:
		say(g, OP_mremap, ground.proc, REGION_NONE, base, 1 + n / 2, 1 + n / 2,
		    OP_MREMAP_MAYMOVE, 0);
		break;
	}
	if (below(g, 2))
		say(g, OP_write, ground.proc, base + spots[1] * PAGE_SIZE);
	focus_on(focus, &ground, spots[below(g, 4)]);
}

/* Somebody touches one of the N pages at AT. */
static void touch_one(struct generator *g, uint32_t proc, uint32_t at, uint32_t n)
{
	uint32_t page = below(g, n);

	say(g, below(g, 4) ? OP_write : OP_read, proc, at + page * PAGE_SIZE);
}

/* Two threads want the stack that begins at page FIRST of GROUND to grow at the same time. */
static void both_grow(struct generator *g, const struct ground *ground, uint32_t first)
{
	uint32_t thread = say_slot(g, 1u << ground->proc), from;

	if (thread == PROC_NONE)
		return;
	say(g, OP_clone_vm, ground->proc, thread);
	touch_one(g, ground->proc, ground->at, first);
	from = g->script.nr;
	touch_one(g, thread, ground->at, first);
	all_at(g, from, POINT_STACK_GROW);
}

void stack(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 1, 3), top = g->window, first = top - n, deep = 1 + below(g, first);
	struct ground ground = {one_of(g, g->now.live), g->base, OP_MAP_ANON | OP_MAP_GROWSDOWN, 0,
				0};

	focus->flags = OP_MAP_ANON;
	focus->size = 1;
	say(g, OP_munmap, ground.proc, ground.at, top);
	lay(g, &ground, first, n, RW, below(g, 6) ? 0 : OP_MAP_LOCKED);
	if (below(g, 2))
		touch(g, &ground, first, n);
	if (n > 1 && below(g, 3) == 0)
		say(g, OP_mprotect, ground.proc, ground.at + (first + 1) * PAGE_SIZE, 1,
		    OP_PROT_READ);
	may_fork(g, focus, &ground, 64, first);
	if (g->nesting && below(g, 2))
		both_grow(g, &ground, first);
	say(g, OP_write, ground.proc, ground.at + (first - deep) * PAGE_SIZE);
	if (below(g, 2))
		say(g, OP_write, ground.proc, ground.at + (first - below(g, deep)) * PAGE_SIZE);
	focus_on(focus, &ground, first - deep);
}

/* A heap grows, shrinks, and grows again: into what is mapped behind it, or as far as addresses go.
 * Who has just begun has nothing behind his heap. */
void heap(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 1, 8), page = below(g, n);
	struct ground ground = {one_of(g, g->now.live), HEAP_BASE, OP_MAP_ANON, 0, 0};
	uint32_t end = end_of_space(g), to = HEAP_BASE + below(g, 2 * n) * PAGE_SIZE;

	focus->flags = OP_MAP_ANON;
	focus->size = n;
	if (below(g, 2))
		say(g, OP_exec, ground.proc);
	say(g, OP_brk, ground.proc, HEAP_BASE + n * PAGE_SIZE - below(g, 2));
	touch(g, &ground, 0, n);
	may_fork(g, focus, &ground, 64, page);
	switch (below(g, 4)) {
	case 0:
		to = end - PAGE_SIZE + below(g, 3) * PAGE_SIZE;
		to += below(g, 2);
		break;
	case 1: /* something is in the way, or only just not */
		lay(g, &ground, n + below(g, 3), 1, RW, 0);
		to = HEAP_BASE + (n + below(g, 4)) * PAGE_SIZE;
		break;
	case 2: /* what is there is no plain heap any more */
		say(g, below(g, 2) ? OP_mprotect : OP_munmap, ground.proc,
		    ground.at + page * PAGE_SIZE, 1, OP_PROT_READ);
		break;
	}
	say(g, OP_brk, ground.proc, to);
	if (below(g, 2))
		touch(g, &ground, 0, n);
	focus_on(focus, &ground, page);
}

/* Highmem is handed out from its end down. Where only a little of it lies above 4 GB, so much is
 * used that from now on frames come from either side. */
void beyond_4g(struct generator *g, struct focus *focus)
{
	uint32_t mb = g->config->ram_mb, n = small(g, 1, 8), page = below(g, n), many;
	struct ground ground = choose_ground(g, focus, place(g, n), n), much;

	lay(g, &ground, 0, n, RW, below(g, 2) ? OP_MAP_POPULATE : 0);
	touch(g, &ground, 0, n);
	may_fork(g, focus, &ground, 128, page);
	if (mb > 4096 && mb <= 4100) {
		many = (mb - 4096) * (1048576 / PAGE_SIZE) - below(g, 24);
		much = (struct ground){ground.proc, 0x50000000u, OP_MAP_ANON, 0, 0};
		lay(g, &much, 0, many, RW, OP_MAP_POPULATE);
		if (below(g, 2)) /* what comes next is above, what comes after that below */
			say(g, OP_munmap, much.proc, much.at, 1 + below(g, 8));
	}
	touch(g, &ground, 0, n);
	focus_on(focus, &ground, page);
}

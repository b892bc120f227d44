/*
 * Scenes: areas as memory managers fear them, in a few ops. Each ends with a page worth a walk.
 *
 *   plain       |  p  |                   one area
 *   border      | a | b |                 two areas that could be one; the border shifts
 *   hole        | a |...| c |  ->  |abc|  what is between two areas is filled
 *   pieces      |  |XX|   |               the middle of an area is cut, changed or taken away
 *   there_and_back                        an area moves, something happens, it moves back
 *   family                                children of children; those in the middle go
 *   many_maps                             a file mapped from one page on at many lengths, and far
 *                                         off
 *   shuffled                              remap_file_pages, page by page
 *   pinned_down                           locked areas next to each other
 *
 * Those of generate_limit.c are about the ends of things.
 */
#include "generate_private.h"

#define RW (OP_PROT_READ | OP_PROT_WRITE)

/* ---- what scenes are made of --------------------------------------------------------------- */

struct ground choose_ground(struct generator *g, struct focus *focus, uint32_t at, uint32_t pages)
{
	static const uint8_t kinds[] = {
		OP_MAP_ANON,
		OP_MAP_ANON,
		OP_MAP_ANON,
		0,
		0,
		0,
		OP_MAP_SHARED,
		OP_MAP_SHARED,
		OP_MAP_ANON | OP_MAP_SHARED,
	};
	struct ground ground = {.proc = one_of(g, g->now.live), .at = at};
	uint32_t room = g->config->file_pages;

	ground.flags = kinds[below(g, sizeof(kinds))];
	if (!(ground.flags & OP_MAP_ANON)) {
		ground.file = below(g, 4);
		ground.pgoff = room > pages ? below(g, room - pages + 1) : 0;
	}
	focus->flags = ground.flags;
	focus->file = ground.file;
	focus->size = ground.flags & OP_MAP_ANON ? pages : room;
	return ground;
}

void lay(struct generator *g, const struct ground *ground, uint32_t first, uint32_t n,
	 uint32_t prot, uint32_t more)
{
	say(g, OP_mmap, ground->proc, REGION_NONE, ground->at + first * PAGE_SIZE, n, prot,
	    ground->flags | OP_MAP_FIXED | more, ground->file,
	    ground->flags & OP_MAP_ANON ? 0 : ground->pgoff + first);
}

/* All of them, one, every other, or none. */
void touch(struct generator *g, const struct ground *ground, uint32_t first, uint32_t n)
{
	uint32_t how = below(g, 4), one = first + below(g, n);

	for (uint32_t i = first; i < first + n && i < first + 6; i++) {
		if (how == 0 || (how == 1 && i != one) || (how == 2 && below(g, 2)))
			continue;
		say(g, below(g, 4) ? OP_write : OP_read, ground->proc, ground->at + i * PAGE_SIZE);
	}
}

void focus_on(struct focus *focus, const struct ground *ground, uint32_t i)
{
	focus->pgoff = ground->pgoff + i;
	focus_add(focus, ground->proc, ground->at + i * PAGE_SIZE);
}

/* Either may be the one that goes on. */
void may_fork(struct generator *g, struct focus *focus, struct ground *ground, uint32_t rate,
	      uint32_t page)
{
	uint32_t child = chance(g, rate) ? say_slot(g, 1u << ground->proc) : PROC_NONE;

	if (child == PROC_NONE)
		return;
	say(g, OP_fork, ground->proc, child);
	if (below(g, 2)) {
		uint32_t parent = ground->proc;

		ground->proc = child;
		child = parent;
	}
	focus_add(focus, child, ground->at + page * PAGE_SIZE);
}

uint32_t place(struct generator *g, uint32_t n)
{
	return g->base + below(g, g->window > n ? g->window - n + 1 : 1) * PAGE_SIZE;
}

uint32_t small(struct generator *g, uint32_t least, uint32_t most)
{
	if (most > g->window)
		most = g->window;
	return least + (most > least ? below(g, most - least + 1) : 0);
}

static uint32_t some_prot(struct generator *g)
{
	static const uint8_t prots[8] = {RW,           RW,           RW,           RW,
					 OP_PROT_READ, OP_PROT_READ, OP_PROT_READ, OP_PROT_NONE};

	return prots[below(g, 8)];
}

/* ---- scenes ---------------------------------------------------------------------------------- */

static void plain(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 1, 8), page = below(g, n);
	struct ground ground = choose_ground(g, focus, place(g, n), n);

	lay(g, &ground, 0, n, RW, below(g, 8) ? 0 : OP_MAP_POPULATE);
	focus_on(focus, &ground, page);
	if (below(g, 4))
		say(g, below(g, 4) ? OP_write : OP_read, ground.proc, focus->sharer[0].at);
}

/* Two areas that differ in protection; one is touched, or both; then part of one becomes like the
 * other. The area that grows takes pages over, or swallows its neighbour. */
static void border(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 3, 9), cut = 1 + below(g, n - 1), shift = 1 + below(g, n - cut);
	struct ground ground = choose_ground(g, focus, place(g, n), n);
	uint32_t left = some_prot(g), right = some_prot(g), page = cut;

	lay(g, &ground, 0, n, below(g, 2) ? left : RW, 0);
	if (below(g, 2))
		touch(g, &ground, 0, n);
	say(g, OP_mprotect, ground.proc, ground.at + cut * PAGE_SIZE, n - cut, right);
	touch(g, &ground, 0, cut);
	touch(g, &ground, cut, n - cut);
	may_fork(g, focus, &ground, 96, page);
	switch (below(g, 3)) {
	case 0: /* the border moves up */
		say(g, OP_mprotect, ground.proc, ground.at + cut * PAGE_SIZE, shift, left);
		break;
	case 1: /* it moves down */
		page = cut - 1;
		say(g, OP_mprotect, ground.proc, ground.at + page * PAGE_SIZE, 1, right);
		break;
	default: /* it disappears */
		page = below(g, n);
		say(g, OP_mprotect, ground.proc, ground.at, n, below(g, 4) ? RW : left);
	}
	focus_on(focus, &ground, page);
}

/* Between two areas of the same thing comes what joins them: mapped there, or moved. */
static void hole(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 3, 9), from = 1 + below(g, n - 2), to;
	struct ground ground = choose_ground(g, focus, place(g, n), n), middle;
	uint32_t prot = below(g, 4) ? RW : OP_PROT_READ;
	uint32_t more = below(g, 6) ? 0 : OP_MAP_LOCKED;

	to = from + 1 + below(g, n - from);
	lay(g, &ground, 0, from, prot, more);
	touch(g, &ground, 0, from);
	if (to < n && below(g, 4)) {
		lay(g, &ground, to, n - to, prot, more);
		touch(g, &ground, to, n - to);
	}
	may_fork(g, focus, &ground, 64, below(g, 2) ? 0 : from);
	if (below(g, 2)) {
		lay(g, &ground, from, to - from, prot, more);
		touch(g, &ground, from, to - from);
	} else {
		middle = ground;
		middle.at = place(g, n);
		lay(g, &middle, from, to - from, prot, more);
		touch(g, &middle, from, to - from);
		say(g, OP_mremap, ground.proc, REGION_NONE, middle.at + from * PAGE_SIZE, to - from,
		    to - from, OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED, ground.at + from * PAGE_SIZE);
	}
	focus_on(focus, &ground, below(g, n));
}

/* Something befalls pages [FROM, TO) of GROUND. */
static void befall(struct generator *g, const struct ground *ground, uint32_t from, uint32_t to)
{
	uint32_t at = ground->at + from * PAGE_SIZE, n = to - from, where;

	switch (below(g, 8)) {
	case 0:
	case 1:
		say(g, OP_mprotect, ground->proc, at, n, below(g, 2) ? OP_PROT_READ : RW);
		break;
	case 2:
	case 3:
		say(g, OP_munmap, ground->proc, at, n);
		break;
	case 4:
		say(g, OP_mlock, ground->proc, at, n);
		break;
	case 5:
		say(g, OP_madvise, ground->proc, at, n,
		    below(g, 2) ? (uint32_t)ADVICE_RANDOM : (uint32_t)ADVICE_NORMAL);
		break;
	case 6:
		say(g, OP_mmap, ground->proc, REGION_NONE, at, n, RW, OP_MAP_FIXED | OP_MAP_ANON, 0,
		    0);
		break;
	default:
		where = place(g, n);
		say(g, OP_mremap, ground->proc, REGION_NONE, at, n, n + below(g, 3),
		    OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED, where);
	}
}

static void pieces(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 3, 9), from = below(g, n - 1), to = from + 1 + below(g, n - from - 1);
	struct ground ground = choose_ground(g, focus, place(g, n), n);
	uint32_t page = below(g, n), what;

	lay(g, &ground, 0, n, RW, 0);
	touch(g, &ground, 0, n);
	may_fork(g, focus, &ground, 64, page);
	befall(g, &ground, from, to);
	touch(g, &ground, below(g, n), 1);
	may_fork(g, focus, &ground, 64, page);
	what = below(g, 4);
	if (what == 0 && from)
		befall(g, &ground, 0, from);
	else if (what == 1)
		befall(g, &ground, to, n);
	else if (what == 2)
		say(g, OP_mprotect, ground.proc, ground.at, n, RW);
	focus_on(focus, &ground, page);
}

/* Areas that have been moved know their pages by another address than they have. */
static void there_and_back(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 2, 7), from = below(g, n), len = 1 + below(g, n - from);
	struct ground ground = choose_ground(g, focus, place(g, n), n);
	uint32_t away = below(g, 4) ? place(g, len) : ground.at + TABLE + from * PAGE_SIZE;
	uint32_t back = ground.at + from * PAGE_SIZE, flags = OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED;

	if (away - ground.at < n * PAGE_SIZE || back - away < len * PAGE_SIZE)
		away = ground.at - TABLE;
	lay(g, &ground, 0, n, RW, 0);
	touch(g, &ground, 0, n);
	if (below(g, 3) == 0)
		say(g, OP_swapout, ground.proc, back);
	may_fork(g, focus, &ground, 64, from);
	say(g, OP_mremap, ground.proc, REGION_NONE, back, len, len,
	    flags | (below(g, 4) ? 0 : OP_MREMAP_DONTUNMAP), away);
	if (below(g, 2))
		say(g, below(g, 2) ? OP_write : OP_read, ground.proc, away);
	if (below(g, 4) == 0)
		lay(g, &ground, from, len, RW, 0);
	may_fork(g, focus, &ground, 32, from);
	/* Back; or beside where it was; or not. */
	if (below(g, 3) == 0)
		back += (below(g, 2) ? len : 1) * PAGE_SIZE;
	if (below(g, 4)) {
		say(g, OP_mremap, ground.proc, REGION_NONE, away, len, len, flags, back);
		away = back;
	}
	focus->pgoff = ground.pgoff + from;
	focus_add(focus, ground.proc, away);
}

static void family(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 1, 4), page = below(g, n), generations = 2 + below(g, 4);
	struct ground ground = choose_ground(g, focus, place(g, n), n);
	static const uint8_t codes[] = {OP_read, OP_write, OP_write, OP_swapout, OP_evict};

	lay(g, &ground, 0, n, RW, 0);
	touch(g, &ground, 0, n);
	focus_on(focus, &ground, page);
	for (uint32_t i = 0; i < generations; i++) {
		uint32_t at = ground.at + page * PAGE_SIZE, child, parent;

		/* Of the youngest, mostly; or of any. */
		parent = focus->sharer[below(g, 3) ? focus->nr - 1 : below(g, focus->nr)].proc;
		child = focus->nr < SHARERS_MAX ? say_slot(g, focus_procs(focus)) : PROC_NONE;
		if (child == PROC_NONE)
			break;
		say(g, OP_fork, parent, child);
		focus_add(focus, child, at);
		if (below(g, 2)) {
			enum op_code code = (enum op_code)codes[below(g, sizeof(codes))];

			say(g, code, focus->sharer[below(g, focus->nr)].proc, at);
		}
		if (below(g, 3) == 0) {
			struct sharer *gone = &focus->sharer[below(g, focus->nr - 1)];

			say(g, below(g, 2) ? OP_exit : OP_munmap, gone->proc, at, n);
			*gone = focus->sharer[--focus->nr];
		}
	}
}

static void many_maps(struct generator *g, struct focus *focus)
{
	uint32_t room = g->config->file_pages, file = below(g, 4);
	uint32_t flags = below(g, 2) ? OP_MAP_SHARED : 0;
	bool same = below(g, 2);    /* they begin with the same page, and no two end alike */
	bool longest = below(g, 2); /* the longest comes first */
	bool apart = below(g, same ? 8 : 2); /* they do not cut each other */
	uint32_t maps = 3 + below(g, same ? 14 : 6);
	uint32_t first = same && below(g, 2) ? 0 : below(g, room / 2 + 1);

	focus->flags = flags;
	focus->file = file;
	focus->pgoff = first + below(g, 2);
	focus->size = room;
	for (uint32_t i = 0; i < maps; i++) {
		uint32_t at = apart ? g->base + TABLE + i * 64 * PAGE_SIZE : window_addr(g);
		uint32_t proc = one_of(g, g->now.live);
		uint32_t pgoff = same || below(g, 4) ? first : below(g, room);
		uint32_t n = !same ? 1 + below(g, room) : longest ? maps - i : 1 + i;

		say(g, OP_mmap, proc, REGION_NONE, at, n, RW, flags | OP_MAP_FIXED, file, pgoff);
		if (focus->pgoff < pgoff || focus->pgoff >= pgoff + n)
			continue;
		at += (focus->pgoff - pgoff) * PAGE_SIZE;
		focus_add(focus, proc, at);
		if (below(g, same ? 4 : 2) == 0)
			say(g, flags && below(g, 2) ? OP_write : OP_read, proc, at);
	}
	if (below(g, 2)) {
		uint32_t proc = one_of(g, g->now.live), at = window_addr(g), n = 1 + below(g, 4);

		say(g, OP_mmap, proc, REGION_NONE, at, n, RW, flags | OP_MAP_FIXED, file,
		    below(g, 64u << below(g, 13)));
	}
}

static void shuffled(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 2, 8), times = 1 + below(g, 5), page = below(g, n);
	struct ground ground = choose_ground(g, focus, place(g, n), n);

	ground.flags |= OP_MAP_SHARED;
	focus->flags = ground.flags;
	lay(g, &ground, 0, n, RW, 0);
	if (below(g, 2))
		touch(g, &ground, 0, n);
	focus->pgoff = below(g, focus->size);
	for (uint32_t i = 0; i < times; i++) {
		uint32_t at = below(g, 2) ? page : below(g, n);
		uint32_t pgoff = below(g, 3) ? focus->pgoff : below(g, focus->size);

		say(g, OP_remap_file_pages, ground.proc, ground.at + at * PAGE_SIZE, 1, pgoff,
		    below(g, 3) ? 0 : OP_REMAP_NONBLOCK);
		if (pgoff == focus->pgoff)
			focus_add(focus, ground.proc, ground.at + at * PAGE_SIZE);
	}
	if (!focus->nr)
		focus_on(focus, &ground, page);
}

static void pinned_down(struct generator *g, struct focus *focus)
{
	uint32_t n = small(g, 2, 6), cut = 1 + below(g, n - 1), page = below(g, n);
	struct ground ground = choose_ground(g, focus, place(g, n), n);

	lay(g, &ground, 0, cut, RW, OP_MAP_LOCKED);
	lay(g, &ground, cut, n - cut, RW, below(g, 3) ? OP_MAP_LOCKED : 0);
	may_fork(g, focus, &ground, 128, page);
	switch (below(g, 4)) {
	case 0:
		say(g, OP_munlock, ground.proc, ground.at, 1 + below(g, n));
		break;
	case 1:
		say(g, OP_mremap, ground.proc, REGION_NONE, ground.at + page * PAGE_SIZE, 1, 1,
		    OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED | OP_MREMAP_DONTUNMAP,
		    ground.at + (n + below(g, 2)) * PAGE_SIZE);
		break;
	case 2:
		say(g, OP_mlock, focus->nr ? focus->sharer[0].proc : ground.proc,
		    ground.at + page * PAGE_SIZE, 1);
		break;
	}
	focus_on(focus, &ground, page);
}

scene_fn *const scenes[] = {
	plain, border, hole,  pieces, there_and_back, family,      many_maps, shuffled,
	edge,  sparse, stack, heap,   beyond_4g,      pinned_down, NULL,
};

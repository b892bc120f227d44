/*
 * Meetings: ops that others do while one is under way.
 *
 *     host      write p0 w3     passes cow.after_copy
 *     nested      by anybody, at any point that the host may pass (make_nested)
 *     meeting     by those who have the page, all at one point, about that page:
 *                 @cow.after_copy write p1 w3, exit p2, swapout p1 w3
 *                 (crowd: by the dice; life: in the order in which pages are used and let go)
 *
 * What goes wrong when two meet takes several steps at the same moment as a rule: one copies the
 * page, the next frees its slot, the third uses the slot again. Ops thrown one by one seldom do
 * that.
 */
#include "generate_private.h"

#define NESTED_MAX 6u

/* Ops about several pages pass these once for each, or more often. */
static bool point_is_repeated(enum point point)
{
	return point == POINT_ALLOC || point == POINT_FORK_PER_PTE ||
	       point == POINT_MREMAP_PER_PTE || point == POINT_WALK_BETWEEN ||
	       point == POINT_ZAP_AFTER_FREE || point == POINT_TRUNCATE_LOCKBREAK;
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

/* The page that HOST is about, if it is about one, is the one to meet somebody at. Not the heap's
 * end: all memory below it would be mapped. */
static void meet(struct generator *g, const struct op *host, struct op *op)
{
	int at = op_operand_index((enum op_code)host->code, "addr");
	int own = op_operand_index((enum op_code)op->code, "addr");

	if (at < 0 || own < 0 || op->code == OP_brk || !below(g, 3) || (host->refs >> at & 1) ||
	    !host->args[at])
		return;
	set_arg(op, own, host->args[at]);
}

/* An op for somebody else to do while HOST is under way. False: HOST passes no point. */
bool make_nested(struct generator *g, const struct op *host, struct op *op)
{
	enum point point = make_point(g, (enum op_code)host->code);

	if (point == POINT_NONE)
		return false;
	throw_op(g, op);
	meet(g, host, op);
	op->point = (uint16_t)point;
	op->point_nth = (uint16_t)(below(g, 2) ? 1 : 1 + below(g, 5));
	return true;
}

/* ---- meetings ------------------------------------------------------------------------------ */

/* Somebody more has the page: a thread of who has it, or a child. */
static void invite(struct generator *g, struct focus *focus)
{
	const struct sharer *s = &focus->sharer[below(g, focus->nr)];
	uint32_t child = focus->nr < SHARERS_MAX ? say_slot(g, focus_procs(focus)) : PROC_NONE;

	if (child == PROC_NONE)
		return;
	say(g, below(g, 2) ? OP_clone_vm : OP_fork, s->proc, child);
	focus_add(focus, child, s->at);
}

/* The page alone, or with some that follow. */
static uint32_t some_pages(struct generator *g)
{
	return below(g, 2) ? 1 : 1 + below(g, 4);
}

/* What S has moves away, at or after the page, and S has the page elsewhere from now on. */
static void move_away(struct generator *g, struct sharer *s)
{
	uint32_t n = 1 + below(g, 4), to = below(g, 4) ? window_addr(g) : s->at + TABLE;

	if (to - s->at < n * PAGE_SIZE || s->at - to < n * PAGE_SIZE)
		to = s->at + TABLE;
	say(g, OP_mremap, s->proc, REGION_NONE, s->at, n, n, OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED,
	    to);
	s->at = to;
}

/* An op of S about the page. */
static void act(struct generator *g, const struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t flags;

	switch (code) {
	case OP_munmap:
		say(g, code, s->proc, s->at, some_pages(g));
		break;
	case OP_madvise:
		say(g, code, s->proc, s->at, some_pages(g), (uint32_t)ADVICE_DONTNEED);
		break;
	case OP_mremap:
		move_away(g, s);
		break;
	case OP_fork:
		say(g, code, s->proc, make_newproc(g));
		break;
	case OP_reclaim:
		say(g, code, 1u << below(g, 6));
		break;
	case OP_exit:
		say(g, code, s->proc);
		break;
	case OP_truncate:
		say(g, code, focus->file, below(g, 2) ? focus->pgoff : below(g, focus->pgoff + 1));
		if (below(g, 3) == 0) /* what is there then is another page */
			say(g, code, focus->file, focus->pgoff + 1 + below(g, 4));
		break;
	case OP_remap_file_pages: /* another one, or none yet */
		flags = below(g, 4) ? OP_REMAP_NONBLOCK : 0;
		say(g, code, s->proc, s->at, 1, below(g, focus->size), flags);
		break;
	default:
		say(g, code, s->proc, s->at);
	}
}

/* One of CODES[below N] that can be done to the page. */
static void act_one_of(struct generator *g, const struct focus *focus, struct sharer *s,
		       const uint8_t *codes, uint32_t n)
{
	enum op_code code = (enum op_code)codes[below(g, n)];

	if (code == OP_truncate && !focus_suits(focus, A_FILE))
		code = OP_madvise;
	act(g, focus, s, code);
}

/* One who is not process PROC, of whom there is somebody. */
static struct sharer *somebody_else(struct generator *g, struct focus *focus, uint32_t proc)
{
	struct sharer *s;

	do {
		s = &focus->sharer[below(g, focus->nr)];
	} while (s->proc == proc);
	return s;
}

static uint32_t nr_procs(const struct focus *focus)
{
	return (uint32_t)__builtin_popcount(focus_procs(focus));
}

/* All who have the page look what they have now. */
static void compare(struct generator *g, const struct focus *focus)
{
	for (uint32_t i = 0; i < focus->nr; i++) {
		if (below(g, 4))
			say(g, OP_read, focus->sharer[i].proc, focus->sharer[i].at);
	}
}

/* What is to be for the host to come by a point: how things stand before, and what it does. */
struct occasion {
	enum op_code before, host;
	enum point point; /* POINT_NONE: any */
	enum need needs;
};

static const struct occasion occasions[] = {
	{OP_write, OP_write, POINT_COW_AFTER_COPY, ANYTHING},
	{OP_write, OP_write, POINT_COW_BETWEEN, ANYTHING},
	{OP_fork, OP_write, POINT_COW_AFTER_COPY, ANYTHING},
	{OP_fork, OP_write, POINT_COW_BETWEEN, ANYTHING},
	{OP_swapout, OP_read, POINT_SWAPIN_WAIT, ANYTHING},
	{OP_swapout, OP_write, POINT_SWAPIN_WAIT, ANYTHING},
	{OP_swapout, OP_read, POINT_SWAPIN_BETWEEN, ANYTHING},
	{OP_swapout, OP_write, POINT_SWAPIN_BETWEEN, ANYTHING},
	{OP_evict, OP_read, POINT_SWAPIN_WAIT, ANYTHING},
	{OP_evict, OP_write, POINT_SWAPIN_WAIT, ANYTHING},
	{OP_madvise, OP_read, POINT_FAULT_AFTER_LOOKUP, ANYTHING},
	{OP_madvise, OP_write, POINT_FAULT_AFTER_LOOKUP, ANYTHING},
	{OP_madvise, OP_write, POINT_FAULT_AFTER_ALLOC, ANYTHING},
	{OP_remap_file_pages, OP_read, POINT_FAULT_AFTER_LOOKUP, SHARED_FILE},
	{OP_read, OP_evict, POINT_RECLAIM_ISOLATED, ANYTHING},
	{OP_read, OP_swapout, POINT_RECLAIM_UNMAPPED, ANYTHING},
	{OP_read, OP_evict, POINT_RECLAIM_UNMAPPED, ANYTHING},
	{OP_read, OP_swapout, POINT_WALK_BETWEEN, ANYTHING},
	{OP_write, OP_munmap, POINT_ZAP_AFTER_FREE, ANYTHING},
	{OP_write, OP_madvise, POINT_ZAP_AFTER_FREE, ANYTHING},
	{OP_read, OP_truncate, POINT_TRUNCATE_LOCKBREAK, A_FILE},
	{OP_read, OP_truncate, POINT_TRUNCATE_BETWEEN, A_FILE},
	{OP_swapout, OP_munmap, POINT_NONE, ANYTHING},
	{OP_write, OP_mremap, POINT_MREMAP_PER_PTE, ANYTHING},
	{OP_read, OP_mremap, POINT_MREMAP_PER_PTE, ANYTHING},
	{OP_read, OP_mremap, POINT_MREMAP_PER_PTE, SHARED_MAP},
	{OP_read, OP_poke, POINT_GUP_BETWEEN, A_FILE},
	{OP_fork, OP_poke, POINT_GUP_BETWEEN, ANYTHING},
	{OP_write, OP_mremap, POINT_NONE, ANYTHING},
	{OP_write, OP_fork, POINT_NONE, ANYTHING},
	{OP_read, OP_reclaim, POINT_RECLAIM_ISOLATED, ANYTHING},
	{OP_swapout, OP_read, POINT_NONE, ANYTHING},
	{OP_swapout, OP_write, POINT_NONE, ANYTHING},
};
#define NR_OCCASIONS (sizeof(occasions) / sizeof(occasions[0]))

/* ---- who comes, and what they do --------------------------------------------------------------
 */

static const uint8_t uses[] = {OP_read, OP_read, OP_write, OP_write, OP_write, OP_write, OP_fork};
static const uint8_t leaves[] = {OP_exit,   OP_exit,  OP_madvise, OP_madvise,
				 OP_munmap, OP_write, OP_truncate};
static const uint8_t takes[] = {OP_swapout, OP_swapout, OP_swapout, OP_evict};
static const uint8_t seldom[] = {OP_exit,   OP_exit, OP_madvise, OP_madvise,
				 OP_munmap, OP_fork, OP_fork,    OP_truncate};

/* Anybody does anything, NR times. Who has changed his areas there does nothing more before the
 * host is done, so what does not comes first, mostly. */
static void crowd(struct generator *g, struct focus *focus, uint32_t proc, uint32_t nr)
{
	while (nr--) {
		struct sharer *s = somebody_else(g, focus, proc);

		if (below(g, 5) == 0)
			act_one_of(g, focus, s, seldom, sizeof(seldom));
		else if (below(g, 2))
			act_one_of(g, focus, s, uses, sizeof(uses));
		else
			act_one_of(g, focus, s, takes, sizeof(takes));
	}
}

/*
 * The life of a shared page while somebody waits for it: it is used, others let go of it, reclaim
 * takes it from those who are left, and it is used again. What was looked at before the wait may
 * look the same behind it, and be another.
 */
static void life(struct generator *g, struct focus *focus, uint32_t proc)
{
	uint32_t users = 0, gone = 0;

	for (uint32_t i = 0; i < focus->nr; i++) {
		if (focus->sharer[i].proc == proc || below(g, 2))
			continue;
		users |= 1u << i;
		act_one_of(g, focus, &focus->sharer[i], uses, sizeof(uses));
	}
	for (uint32_t i = 0; i < focus->nr; i++) {
		if (focus->sharer[i].proc == proc || (users >> i & 1) || !below(g, 4))
			continue;
		gone |= 1u << i;
		act_one_of(g, focus, &focus->sharer[i], leaves, sizeof(leaves));
	}
	for (uint32_t i = 0; i < focus->nr; i++) {
		if ((users >> i & 1) && below(g, 4))
			act_one_of(g, focus, &focus->sharer[i], takes, sizeof(takes));
	}
	for (uint32_t i = 0; i < focus->nr; i++) {
		if (focus->sharer[i].proc != proc && !(gone >> i & 1) && !below(g, 3))
			act_one_of(g, focus, &focus->sharer[i], uses, sizeof(uses));
	}
}

void all_at(struct generator *g, uint32_t from, enum point point)
{
	uint16_t nth = (uint16_t)(1 + below(g, 4));

	if (!point_is_repeated(point) ? below(g, 8) : !below(g, 3))
		nth = 1;
	for (uint32_t i = from; i < g->script.nr && i < from + GROUP_MAX - 1; i++) {
		g->script.op[i].point = (uint16_t)point;
		g->script.op[i].point_nth = nth;
	}
}

static const struct occasion *choose_occasion(struct generator *g, const struct focus *focus)
{
	const struct occasion *occasion;

	do {
		occasion = &occasions[below(g, NR_OCCASIONS)];
	} while (!focus_suits(focus, occasion->needs));
	return occasion;
}

void meeting(struct generator *g, struct focus *focus)
{
	const struct occasion *occasion = choose_occasion(g, focus);
	enum point point = occasion->point;
	struct sharer *host, *first;
	uint32_t proc, from;

	while (nr_procs(focus) < 2 || (focus->nr < 5 && below(g, 2))) {
		uint32_t had = focus->nr;

		invite(g, focus);
		if (focus->nr == had)
			return;
	}
	host = &focus->sharer[below(g, focus->nr)];
	first = occasion->before == OP_read && below(g, 2) ? somebody_else(g, focus, host->proc)
							   : host;
	if ((occasion->before == OP_swapout || occasion->before == OP_evict) && below(g, 3) == 0)
		fill_swap(g, one_of(g, g->now.live));
	act(g, focus, first, occasion->before);
	act(g, focus, host, occasion->host);
	if (point == POINT_NONE)
		point = make_point(g, occasion->host);
	proc = occasion->host == OP_truncate || occasion->host == OP_reclaim ? PROC_NONE
									     : host->proc;
	from = g->script.nr;
	if (below(g, 2))
		crowd(g, focus, proc, 1 + below(g, NESTED_MAX));
	else
		life(g, focus, proc);
	all_at(g, from, point);
	compare(g, focus);
}

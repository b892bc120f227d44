/*
 * Meetings: ops that others do while one is under way.
 *
 *     host      write p0 w3     passes cow.after_copy
 *     nested      by anybody, at any point that the host may pass (make_nested)
 *     meeting     by those who have the page, all at one point, about that page:
 *                 @cow.after_copy write p1 w3, exit p2, swapout p1 w3
 *
 * What goes wrong when two meet takes several steps at the same moment as a rule: one copies the
 * page, the next frees its slot, the third uses the slot again. Ops thrown one by one seldom do
 * that.
 */
#include "generate_private.h"

#define NESTED_MAX 6u

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

/* One op of S about the page. Mostly CODES[below N]; what needs more operands has them. */
static void act(struct generator *g, const struct sharer *s, const uint8_t *codes, uint32_t n)
{
	enum op_code code = (enum op_code)codes[below(g, n)];

	switch (code) {
	case OP_munmap:
		say(g, code, s->proc, s->at, 1);
		break;
	case OP_madvise:
		say(g, code, s->proc, s->at, 1, (uint32_t)ADVICE_DONTNEED);
		break;
	case OP_mremap:
		say(g, code, s->proc, REGION_NONE, s->at, 1, 1, OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED,
		    window_addr(g));
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
	default:
		say(g, code, s->proc, s->at);
	}
}

/* One who is not process PROC, of whom there is somebody. */
static const struct sharer *somebody_else(struct generator *g, const struct focus *focus,
					  uint32_t proc)
{
	const struct sharer *s;

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
};

static const struct occasion occasions[] = {
	{OP_write, OP_write, POINT_COW_AFTER_COPY},
	{OP_write, OP_write, POINT_COW_BETWEEN},
	{OP_fork, OP_write, POINT_COW_AFTER_COPY},
	{OP_fork, OP_write, POINT_COW_BETWEEN},
	{OP_swapout, OP_read, POINT_SWAPIN_WAIT},
	{OP_swapout, OP_write, POINT_SWAPIN_WAIT},
	{OP_swapout, OP_read, POINT_SWAPIN_BETWEEN},
	{OP_swapout, OP_write, POINT_SWAPIN_BETWEEN},
	{OP_evict, OP_read, POINT_SWAPIN_WAIT},
	{OP_evict, OP_write, POINT_SWAPIN_WAIT},
	{OP_madvise, OP_read, POINT_FAULT_AFTER_LOOKUP},
	{OP_madvise, OP_write, POINT_FAULT_AFTER_LOOKUP},
	{OP_madvise, OP_write, POINT_FAULT_AFTER_ALLOC},
	{OP_read, OP_evict, POINT_RECLAIM_ISOLATED},
	{OP_read, OP_swapout, POINT_RECLAIM_UNMAPPED},
	{OP_read, OP_evict, POINT_RECLAIM_UNMAPPED},
	{OP_read, OP_swapout, POINT_WALK_BETWEEN},
	{OP_write, OP_munmap, POINT_ZAP_AFTER_FREE},
	{OP_write, OP_madvise, POINT_ZAP_AFTER_FREE},
	{OP_swapout, OP_munmap, POINT_NONE},
	{OP_write, OP_mremap, POINT_NONE},
	{OP_write, OP_fork, POINT_NONE},
	{OP_read, OP_reclaim, POINT_RECLAIM_ISOLATED},
	{OP_swapout, OP_read, POINT_NONE},
	{OP_swapout, OP_write, POINT_NONE},
};
#define NR_OCCASIONS (sizeof(occasions) / sizeof(occasions[0]))

/* Up to NR ops at POINT of what PROC has just been said to do. Who has changed his areas there does
 * nothing more before the host is done, so what does not comes first, mostly. */
static void crowd_in(struct generator *g, const struct focus *focus, uint32_t proc, uint32_t nr,
		     enum point point)
{
	static const uint8_t often[] = {OP_read,    OP_write,   OP_write,   OP_write,
					OP_swapout, OP_swapout, OP_swapout, OP_evict};
	static const uint8_t seldom[] = {OP_exit,    OP_exit,   OP_madvise,
					 OP_madvise, OP_munmap, OP_fork};
	uint16_t nth = (uint16_t)(below(g, 8) ? 1 : 1 + below(g, 4));
	struct script *script = &g->script;

	while (nr-- && script->nr < SCRIPT_MAX) {
		const struct sharer *s = somebody_else(g, focus, proc);

		if (below(g, 5))
			act(g, s, often, sizeof(often));
		else
			act(g, s, seldom, sizeof(seldom));
		script->op[script->nr - 1].point = (uint16_t)point;
		script->op[script->nr - 1].point_nth = nth;
	}
}

void meeting(struct generator *g, struct focus *focus)
{
	const struct occasion *occasion = &occasions[below(g, NR_OCCASIONS)];
	const uint8_t before = (uint8_t)occasion->before, does = (uint8_t)occasion->host;
	const struct sharer *host;
	enum point point = occasion->point;

	while (nr_procs(focus) < 2 || (focus->nr < 5 && below(g, 2))) {
		uint32_t had = focus->nr;

		invite(g, focus);
		if (focus->nr == had)
			return;
	}
	host = &focus->sharer[below(g, focus->nr)];
	if (before == OP_read && below(g, 2))
		act(g, somebody_else(g, focus, host->proc), &before, 1);
	else
		act(g, host, &before, 1);
	act(g, host, &does, 1);
	if (point == POINT_NONE)
		point = make_point(g, occasion->host);
	crowd_in(g, focus, host->proc, 1 + below(g, NESTED_MAX), point);
	compare(g, focus);
}

/*
 * mlock(2), munlock(2), mlockall(2), munlockall(2).
 *
 * MCL_FUTURE: not inherited through fork(2), cleared by execve(2). A later call without it ends it.
 *
 * What the pages promise: locked pages are in memory and stay there. That they came in cannot be
 * seen by a program that reads them; that they stay can be asked by evict and swapout.
 *
 * Linux rounds the address down and the end up, and locks what it can before it says ENOMEM.
 */
#include "model_private.h"

/* May the pages of AREA be made present? A page that can only be written may be, or not. */
enum population { CANNOT, MAY, CAN };

static enum population population_of(const struct area *area)
{
	if (area->attr & (OP_PROT_READ | OP_PROT_EXEC))
		return CAN;
	return area->attr & OP_PROT_WRITE ? MAY : CANNOT;
}

/* Is one of the pages [first, last) of AREA beyond the end of what it maps? */
static bool some_beyond_end(const struct model *model, const struct space *space,
			    const struct area *area, uint32_t first, uint32_t last)
{
	uint32_t vpn = space->shown.n ? first : last - 1;

	for (; vpn < last; vpn++) {
		if (area_beyond_end(model, space, area, vpn))
			return true;
	}
	return false;
}

/* Pages come in where they can; writable private ones perhaps as copies. Returns the least that is
 * true of any of them. */
static enum population populate(const struct judge *judge, uint32_t first, uint32_t last)
{
	struct model *model = judge->model;
	struct space *space = judge->space;
	enum population least = CAN;
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		const struct area *area = &space->area[i];
		uint32_t from = area->start > first ? area->start : first;
		uint32_t to = area->end < last ? area->end : last;
		enum population here = population_of(area);
		/* mlock goes on to the first page that it cannot have, mlockall leaves it out. */
		bool stopped = judge->op->code == OP_mlock && least != CAN;

		if (some_beyond_end(model, space, area, from, to))
			here = CANNOT;
		if (here < least)
			least = here;
		if (area->attr & OP_PROT_WRITE)
			area_maybe_copied(model, space, area, from, to);
		if (area->attr & OP_PROT_WRITE && area->object == OBJECT_NONE)
			cells_populated(model, space, from, to, !judge->alloc_failed && !stopped);
	}
	return least;
}

/* The pages of the range, and EINVAL if it leaves the address space. */
static int locked_range(const struct op *op, uint32_t *first, uint32_t *last)
{
	uint32_t offset = op->args[1] & PAGE_OFFSET_MASK;
	uint64_t end;

	*first = op->args[1] >> PAGE_SHIFT_BITS;
	end = (uint64_t)*first + op->args[2] + (offset != 0);
	*last = (uint32_t)end;
	return end >= VPN_END ? EINVAL : 0;
}

/* Locking ran out of memory on the way, and may be tried again. */
static bool try_again(const struct judge *judge)
{
	return judge->alloc_failed && judge->actual->err == -EAGAIN;
}

static enum model_verdict change_range(const struct judge *judge, uint32_t attr)
{
	struct space *space = judge->space;
	uint32_t first, last, to;
	int error = locked_range(judge->op, &first, &last);
	enum population can;

	if (error)
		return must_fail(judge, error, 0);
	if (first == last)
		return must_succeed(judge);
	if (try_again(judge)) {
		populate(judge, first, last);
		return lose(judge, first, last);
	}
	to = space_mapped_to(space, first, last);
	space_change(judge->model, space, first, to, AREA_LOCKED, attr);
	if (to != last)
		return must_fail(judge, ENOMEM, 0);
	if (!attr)
		return must_succeed(judge);
	can = populate(judge, first, last);
	if (can == CANNOT || (can == MAY && judge->actual->err))
		return must_fail(judge, ENOMEM, 0);
	return must_succeed(judge);
}

enum model_verdict step_mlock(const struct judge *judge)
{
	return change_range(judge, AREA_LOCKED);
}

enum model_verdict step_munlock(const struct judge *judge)
{
	return change_range(judge, 0);
}

/* Pages that cannot be had are no error. */
enum model_verdict step_mlockall(const struct judge *judge)
{
	judge->space->future = false;
	space_change(judge->model, judge->space, 0, VPN_END, AREA_LOCKED, AREA_LOCKED);
	populate(judge, 0, VPN_END);
	return must_succeed(judge);
}

enum model_verdict step_mlockall_future(const struct judge *judge)
{
	judge->space->future = true;
	return must_succeed(judge);
}

enum model_verdict step_munlockall(const struct judge *judge)
{
	judge->space->future = false;
	space_change(judge->model, judge->space, 0, VPN_END, AREA_LOCKED, 0);
	return must_succeed(judge);
}

/* Reclaim is not a program's business, except that it must not take what is locked. */
enum model_verdict step_evict(const struct judge *judge)
{
	const struct result *actual = judge->actual;
	const struct area *area = space_area(judge->space, judge->op->args[1] >> PAGE_SHIFT_BITS);

	if (area && area->attr & AREA_LOCKED && !actual->err && actual->value == UNMAP_SUCCESS)
		return disagree(judge, "a locked page was unmapped");
	return MODEL_AGREES;
}

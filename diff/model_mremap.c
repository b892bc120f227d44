/*
 * mremap(2). The order of the steps is visible when a later one fails:
 *
 *   1. arguments are checked              nothing has happened yet
 *   2. MREMAP_FIXED: the target is unmapped
 *   3. old_len > new_len: the tail is unmapped; done, unless FIXED
 *   4. the old range must be one mapping  EFAULT
 *   5. it grows in place, or moves
 *
 * With MREMAP_DONTUNMAP only private anonymous memory moves, nothing changes its length, and the
 * old range stays mapped: empty, and not locked.
 */
#include "model_private.h"

struct mremap_call {
	uint32_t addr, old_len, new_len, flags, new_addr;
	uint32_t old, new; /* page numbers of the addresses */
	bool fixed, dontunmap;
};

static struct mremap_call mremap_call(const struct op *op)
{
	return (struct mremap_call){
		.addr = op->args[2],
		.old_len = op->args[3],
		.new_len = op->args[4],
		.flags = op->args[5],
		.new_addr = op->args[6],
		.old = op->args[2] >> PAGE_SHIFT_BITS,
		.new = op->args[6] >> PAGE_SHIFT_BITS,
		.fixed = op->args[5] & OP_MREMAP_FIXED,
		.dontunmap = op->args[5] & OP_MREMAP_DONTUNMAP,
	};
}

/* Step 1. */
static bool is_refused(const struct model *model, const struct mremap_call *call)
{
	if (call->flags & ~OP_MREMAP_MASK || is_unaligned(call->addr))
		return true;
	if (!call->new_len || !call->old_len)
		return true;
	if (call->dontunmap &&
	    (!(call->flags & OP_MREMAP_MAYMOVE) || call->old_len != call->new_len))
		return true;
	if (!call->fixed)
		return false;
	if (!(call->flags & OP_MREMAP_MAYMOVE) || is_unaligned(call->new_addr))
		return true;
	if ((uint64_t)call->new + call->new_len > model->task_pages)
		return true;
	return call->new < (uint64_t)call->old + call->old_len &&
	       call->old < (uint64_t)call->new + call->new_len;
}

/*
 * The old range leaves user space. The call fails, unless it asks for nothing at all; when it
 * notices is open, so whether the target was unmapped before is open too.
 */
static enum model_verdict remap_outside(const struct judge *judge, const struct mremap_call *call)
{
	enum model_verdict verdict;

	if (!call->fixed && !call->dontunmap && call->old_len == call->new_len &&
	    !judge->actual->err)
		return must_return(judge, call->old);
	verdict = must_fail(judge, EINVAL, EFAULT);
	if (verdict == MODEL_AGREES && call->fixed &&
	    !space_is_free(judge->space, call->new, call->new + call->new_len))
		return lose(judge, call->new, call->new + call->new_len);
	return verdict;
}

/* It ran out of memory: the move may have been undone, or have got stuck on the way. */
static enum model_verdict lose_both(const struct judge *judge, const struct mremap_call *call)
{
	const struct area *area = space_area(judge->space, call->old);
	enum model_verdict verdict = lose(judge, call->old, call->old + call->old_len);
	struct lost *lost = &judge->model->lost;

	if (call->fixed)
		lose_also(judge, call->new, call->new + call->new_len);
	lost->moving = call->flags & OP_MREMAP_MAYMOVE;
	lost->anywhere = lost->moving && !call->fixed;
	lost->object = area ? area->object : OBJECT_NONE;
	return verdict;
}

/* The pages that are new in the grown AREA of a locked mapping are made present. */
static void populate_growth(struct model *model, struct space *space, const struct area *area,
			    uint32_t first)
{
	if (area->attr & AREA_LOCKED && area->attr & OP_PROT_WRITE)
		area_maybe_copied(model, space, area, first, area->end);
}

static void grow_in_place(struct model *model, struct space *space, const struct mremap_call *call)
{
	uint32_t i = space_find(space, call->old), grown = call->old + call->old_len;
	uint32_t end = call->old + call->new_len;
	struct area area = area_slice(&space->area[i], call->old, end);

	space_extend(model, space, i, space->area[i].start, end);
	populate_growth(model, space, &area, grown);
}

static void move(struct model *model, struct space *space, const struct mremap_call *call,
		 uint32_t len, uint32_t new)
{
	struct area area = area_slice(space_area(space, call->old), call->old, call->old + len);

	object_get(model, area.object); /* between two places nothing else may hold it */
	if (call->dontunmap)
		space_change(model, space, call->old, call->old + len, AREA_LOCKED, 0);
	else
		space_remove(model, space, call->old, call->old + len);
	tokens_move(&model->pool, &space->tokens, call->old, new, len);
	tokens_move(&model->pool, &space->shown, call->old, new, len);
	area.start = new;
	area.end = new + call->new_len;
	space_map(model, space, &area);
	object_put(model, area.object);
	populate_growth(model, space, &area, new + len);
}

/* The move worked, but a kernel that had no memory to cut the old area could not unmap it. */
static enum model_verdict lose_old(const struct judge *judge, const struct mremap_call *call,
				   uint32_t len, uint32_t new)
{
	const struct area *area = space_area(judge->space, new);
	enum model_verdict verdict = lose(judge, call->old, call->old + len);

	judge->model->lost.object = area->object;
	return verdict;
}

/* Step 5: LEN pages at call->old, all of one area, shall be call->new_len pages. */
static enum model_verdict grow_or_move(const struct judge *judge, const struct mremap_call *call,
				       uint32_t len)
{
	struct model *model = judge->model;
	struct space *space = judge->space;
	uint32_t end = call->old + call->new_len, new;
	enum model_verdict verdict;

	if (call->fixed) {
		verdict = must_return(judge, call->new);
	} else if (call->dontunmap) {
		verdict = must_choose(judge, call->new_len);
	} else if (end <= model->task_pages && space_is_free(space, call->old + len, end)) {
		grow_in_place(model, space, call);
		return must_return(judge, call->old);
	} else if (!(call->flags & OP_MREMAP_MAYMOVE)) {
		return must_fail(judge, ENOMEM, 0);
	} else if (call->new_len > model->task_pages) {
		return must_fail(judge, ENOMEM, EINVAL);
	} else {
		verdict = must_choose(judge, call->new_len);
	}
	if (verdict != MODEL_AGREES || judge->actual->err)
		return verdict;
	new = judge->actual->value >> PAGE_SHIFT_BITS;
	move(model, space, call, len, new);
	return judge->alloc_failed && !call->dontunmap ? lose_old(judge, call, len, new)
						       : MODEL_AGREES;
}

enum model_verdict step_mremap(const struct judge *judge)
{
	struct model *model = judge->model;
	struct space *space = judge->space;
	struct mremap_call call = mremap_call(judge->op);
	uint32_t len = call.old_len;
	const struct area *area;

	if (is_refused(model, &call))
		return must_fail(judge, EINVAL, 0);
	if ((uint64_t)call.old + call.old_len > model->task_pages)
		return remap_outside(judge, &call);
	if (out_of_memory(judge))
		return lose_both(judge, &call);
	if (call.fixed)
		space_unmap(model, space, call.new, call.new + call.new_len);
	if (len >= call.new_len) {
		space_unmap(model, space, call.old + call.new_len, call.old + len);
		if (!call.fixed && !call.dontunmap)
			return must_return(judge, call.old);
		len = call.new_len;
	}
	area = space_area(space, call.old);
	if (area && call.dontunmap && (area->object != OBJECT_NONE || area->attr & AREA_SHARED))
		return must_fail(judge, EINVAL, area->end < call.old + len ? EFAULT : 0);
	if (!area || area->end < call.old + len)
		return must_fail(judge, EFAULT, 0);
	if (judge->actual->err == -EFAULT && area->attr & AREA_SEAM && len > 1)
		return abstain(judge, "vma-boundary: the old range may be more than one area");
	return grow_or_move(judge, &call, len);
}

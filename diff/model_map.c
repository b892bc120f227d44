/*
 * mmap(2), munmap(2), mprotect(2), madvise(2), brk(2).
 *
 * Ranges are computed in pages, in 64 bits where a length is added, so that nothing wraps.
 */
#include "model_private.h"

/* [ADDR, ADDR + NPAGES pages) is not wholly in user space. */
static bool is_outside(const struct model *model, uint32_t addr, uint32_t npages)
{
	return (uint64_t)(addr >> PAGE_SHIFT_BITS) + npages > model->task_pages;
}

/* The end of the range is 0 or more, as 32 bits of address go. */
static bool wraps(uint32_t vpn, uint32_t npages)
{
	return (uint64_t)vpn + npages >= VPN_END;
}

/* ---- mmap -------------------------------------------------------------------------- */

struct mmap_call {
	uint32_t addr, len, prot, flags, file, pgoff;
};

static struct mmap_call mmap_call(const struct op *op)
{
	return (struct mmap_call){op->args[2], op->args[3], op->args[4],
				  op->args[5], op->args[6], op->args[7]};
}

/* The call is refused whatever is mapped: returns the errors it may give, in *B 0 if only one. */
static int mmap_refused(const struct model *model, const struct mmap_call *call, int *b)
{
	*b = 0;
	if (!call->len)
		return EINVAL;
	if (call->flags & OP_MAP_GROWSDOWN &&
	    (call->flags & OP_MAP_SHARED || !(call->flags & OP_MAP_ANON)))
		return EINVAL; /* a stack is private anonymous memory */
	if (!(call->flags & OP_MAP_ANON) && call->file >= FILE_MAX) {
		*b = EINVAL;
		return EBADF;
	}
	if (!(call->flags & OP_MAP_ANON) && (uint64_t)call->pgoff + call->len > UINT32_MAX) {
		*b = EINVAL;
		return EOVERFLOW;
	}
	if (call->len > model->task_pages) {
		*b = EINVAL;
		return ENOMEM;
	}
	if (!(call->flags & OP_MAP_FIXED))
		return 0;
	if (!is_unaligned(call->addr))
		return is_outside(model, call->addr, call->len) ? ENOMEM : 0;
	/* The last page sticks out, too, if the range only just fits. */
	*b = is_outside(model, call->addr, call->len + 1) ? ENOMEM : 0;
	return EINVAL;
}

static void map_new(struct model *model, struct space *space, uint32_t vpn,
		    const struct mmap_call *call)
{
	struct area area = {
		.start = vpn, .end = vpn + call->len, .object = OBJECT_NONE, .attr = call->prot};

	if (!(call->flags & OP_MAP_ANON)) {
		area.object = call->file;
		area.pgoff = call->pgoff;
	} else if (call->flags & OP_MAP_SHARED) {
		area.object = object_new(model, call->len);
	}
	if (call->flags & OP_MAP_SHARED)
		area.attr |= AREA_SHARED;
	if (call->flags & OP_MAP_GROWSDOWN)
		area.attr |= AREA_GROWSDOWN;
	if (call->flags & OP_MAP_LOCKED || space->future)
		area.attr |= AREA_LOCKED;
	if (call->flags & OP_MAP_NORESERVE)
		area.attr |= AREA_NORESERVE;
	space_map(model, space, &area);
	/* Making pages present may mean writing to them, as far as anyone could write. */
	if ((area.attr & AREA_LOCKED || call->flags & OP_MAP_POPULATE) &&
	    call->prot & OP_PROT_WRITE)
		area_maybe_copied(model, space, &area, area.start, area.end);
}

enum model_verdict step_mmap(const struct judge *judge)
{
	struct model *model = judge->model;
	struct mmap_call call = mmap_call(judge->op);
	uint32_t vpn = call.addr >> PAGE_SHIFT_BITS;
	enum model_verdict verdict;
	int a, b;

	a = mmap_refused(model, &call, &b);
	if (a)
		return must_fail(judge, a, b);
	if (out_of_memory(judge))
		return call.flags & OP_MAP_FIXED ? lose(judge, vpn, vpn + call.len) : MODEL_AGREES;
	if (call.flags & OP_MAP_FIXED) {
		space_unmap(model, judge->space, vpn, vpn + call.len);
		verdict = must_return(judge, vpn);
	} else {
		verdict = must_choose(judge, call.len);
	}
	if (verdict == MODEL_AGREES && !judge->actual->err)
		map_new(model, judge->space, judge->actual->value >> PAGE_SHIFT_BITS, &call);
	return verdict;
}

/* ---- munmap ------------------------------------------------------------------------ */

enum model_verdict step_munmap(const struct judge *judge)
{
	uint32_t addr = judge->op->args[1], len = judge->op->args[2];
	uint32_t vpn = addr >> PAGE_SHIFT_BITS;

	if (is_unaligned(addr) || !len || is_outside(judge->model, addr, len))
		return must_fail(judge, EINVAL, 0);
	if (out_of_memory(judge)) {
		space_mark_seams(judge->space, vpn, vpn + len);
		return MODEL_AGREES;
	}
	space_unmap(judge->model, judge->space, vpn, vpn + len);
	return must_succeed(judge);
}

/* ---- mprotect ---------------------------------------------------------------------- */

/* Where the protection changes, private pages are write-protected until they are written again. */
static void protect_changed(const struct judge *judge, uint32_t first, uint32_t last)
{
	struct space *space = judge->space;
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		const struct area *area = &space->area[i];

		if ((area->attr & AREA_PROT) != judge->op->args[3])
			cells_protect(judge->model, space,
				      area->start > first ? area->start : first,
				      area->end < last ? area->end : last, true);
	}
}

enum model_verdict step_mprotect(const struct judge *judge)
{
	uint32_t addr = judge->op->args[1], len = judge->op->args[2];
	uint32_t first = addr >> PAGE_SHIFT_BITS, last = first + len, to;

	if (is_unaligned(addr))
		return must_fail(judge, EINVAL, 0);
	if (!len)
		return must_succeed(judge);
	if (wraps(first, len))
		return must_fail(judge, ENOMEM, EINVAL);
	if (out_of_memory(judge)) {
		cells_protect(judge->model, judge->space, first, last, false);
		return lose(judge, first, last);
	}
	/* Areas change one after the other, up to the first gap. */
	to = space_mapped_to(judge->space, first, last);
	protect_changed(judge, first, to);
	space_change(judge->model, judge->space, first, to, AREA_PROT, judge->op->args[3]);
	return to == last ? must_succeed(judge) : must_fail(judge, ENOMEM, 0);
}

/* ---- madvise ----------------------------------------------------------------------- */

/* Every mapped page of the range is discarded, up to a locked area. Returns the error due. */
static int dontneed(const struct judge *judge, uint32_t first, uint32_t last)
{
	struct space *space = judge->space;
	bool gap = space_mapped_to(space, first, last) != last;
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		const struct area *area = &space->area[i];
		uint32_t from = area->start > first ? area->start : first;
		uint32_t to = area->end < last ? area->end : last;

		if (area->attr & AREA_LOCKED)
			return EINVAL;
		if (!(area->attr & AREA_SHARED))
			tokens_clear(&judge->model->pool, &space->tokens, from, to);
	}
	return gap ? ENOMEM : 0;
}

/* Out of memory on the way: a page is as before, or discarded. */
static void dontneed_maybe(const struct judge *judge, uint32_t first, uint32_t last)
{
	struct token_pool *pool = &judge->model->pool;
	struct tokens *tokens = &judge->space->tokens;
	uint64_t token;

	cells_doubt(judge->model, judge->space, first, last);
	for (; tokens_next(pool, tokens, &first, last); first++) {
		tokens_get(pool, tokens, first, &token);
		tokens_set(pool, tokens, first, token | TOKEN_MAYBE);
	}
}

static enum model_verdict step_dontneed(const struct judge *judge, uint32_t first, uint32_t last)
{
	int error;

	if (out_of_memory(judge) && space_mapped_to(judge->space, first, last) == last) {
		dontneed_maybe(judge, first, last);
		return MODEL_AGREES;
	}
	error = dontneed(judge, first, last);
	return error ? must_fail(judge, error, 0) : must_succeed(judge);
}

/* Nothing that a program can see goes, but what is locked may not be asked for. */
static enum model_verdict step_pageout(const struct judge *judge, uint32_t first, uint32_t last)
{
	const struct space *space = judge->space;
	bool gap = space_mapped_to(space, first, last) != last;
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		if (space->area[i].attr & AREA_LOCKED)
			return must_fail(judge, EINVAL, 0);
	}
	return gap ? must_fail(judge, ENOMEM, 0) : must_succeed(judge);
}

/* Private pages from FROM to TO may be lost until they are written. */
static void may_be_lost(struct model *model, struct space *space, uint32_t from, uint32_t to)
{
	struct token_pool *pool = &model->pool;
	uint64_t token;

	for (; tokens_next(pool, &space->tokens, &from, to); from++) {
		if (page_becomes_lazy(model, space, from))
			continue;
		tokens_get(pool, &space->tokens, from, &token);
		if (token)
			tokens_set(pool, &space->tokens, from, token | TOKEN_MARKS);
	}
}

/* MADV_FREE is for private anonymous pages, and not for locked ones. */
static enum model_verdict step_free(const struct judge *judge, uint32_t first, uint32_t last)
{
	struct space *space = judge->space;
	bool gap = space_mapped_to(space, first, last) != last;
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		const struct area *area = &space->area[i];

		if (area->object != OBJECT_NONE || area->attr & AREA_LOCKED)
			return must_fail(judge, EINVAL, 0);
		may_be_lost(judge->model, space, area->start > first ? area->start : first,
			    area->end < last ? area->end : last);
	}
	return gap ? must_fail(judge, ENOMEM, 0) : must_succeed(judge);
}

enum model_verdict step_madvise(const struct judge *judge)
{
	uint32_t addr = judge->op->args[1], len = judge->op->args[2], advice = judge->op->args[3];
	uint32_t first = addr >> PAGE_SHIFT_BITS, last = first + len;
	int error;

	if (is_unaligned(addr) || advice >= NR_ADVICE)
		return must_fail(judge, EINVAL, 0);
	if (!len)
		return must_succeed(judge);
	if (wraps(first, len))
		return must_fail(judge, EINVAL, ENOMEM);
	if (advice == ADVICE_DONTNEED)
		return step_dontneed(judge, first, last);
	if (advice == ADVICE_PAGEOUT)
		return step_pageout(judge, first, last);
	if (advice == ADVICE_FREE)
		return step_free(judge, first, last);
	/* Not every mapping can be read ahead, and what was can be reported or not. */
	if (advice == ADVICE_WILLNEED)
		return judge->actual->err ? must_fail(judge, EBADF, ENOMEM) : MODEL_AGREES;
	error = space_mapped_to(judge->space, first, last) == last ? 0 : ENOMEM;
	space_mark_seams(judge->space, first, last); /* an area has one advice */
	if (out_of_memory(judge))
		return MODEL_AGREES;
	if (last > judge->model->task_pages)
		return must_fail(judge, ENOMEM, EINVAL);
	return error ? must_fail(judge, error, 0) : must_succeed(judge);
}

/* ---- brk --------------------------------------------------------------------------- */

/* The break stays where it is, and the caller is told where that is. */
static enum model_verdict brk_refused(const struct judge *judge)
{
	uint32_t brk = judge->space->brk << PAGE_SHIFT_BITS;
	enum model_verdict verdict = must_fail(judge, ENOMEM, 0);

	if (verdict == MODEL_AGREES && judge->actual->value != brk)
		return disagree(judge, "expected the old break 0x%08x, got 0x%08x", brk,
				judge->actual->value);
	return verdict;
}

enum model_verdict step_brk(const struct judge *judge)
{
	struct model *model = judge->model;
	struct space *space = judge->space;
	uint32_t old = space->brk, addr = judge->op->args[1];
	uint32_t new = (uint32_t)(((uint64_t)addr + PAGE_OFFSET_MASK) >> PAGE_SHIFT_BITS);
	/* On i386 data can be executed. */
	struct area heap = {.start = old, .end = new, .object = OBJECT_NONE, .attr = OP_PROT_MASK};

	heap.attr |= space->future ? AREA_LOCKED : 0;

	if (addr < BRK_START << PAGE_SHIFT_BITS || new > model->task_pages)
		return brk_refused(judge);
	if (new > old && !space_is_free(space, old, new))
		return brk_refused(judge);
	if (out_of_memory(judge)) {
		space_mark_seams(space, new, old);
		return brk_refused(judge);
	}
	/* Whether the heap may touch the next area is not written anywhere. */
	if (new > old && judge->actual->err && !space_is_free(space, new, new + 1))
		return brk_refused(judge);
	if (new < old)
		space_unmap(model, space, new, old);
	else if (new > old)
		space_map(model, space, &heap);
	space->brk = new;
	return must_return(judge, new);
}

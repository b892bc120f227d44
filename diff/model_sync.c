/*
 * msync(2), and what is done to files without changing what they hold: writing back, dropping.
 *
 * A program sees errors; that no content is lost on the way, later reads tell.
 */
#include "model_private.h"

enum model_verdict step_file(const struct judge *judge)
{
	if (judge->op->args[0] >= FILE_MAX)
		return must_fail(judge, EBADF, EINVAL);
	return out_of_memory(judge) ? MODEL_AGREES : must_succeed(judge);
}

/* MS_INVALIDATE says EBUSY for a range in which something is locked. */
static bool has_locked(const struct space *space, uint32_t first, uint32_t last)
{
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		if (space->area[i].attr & AREA_LOCKED)
			return true;
	}
	return false;
}

enum model_verdict step_msync(const struct judge *judge)
{
	const uint32_t both = OP_MS_ASYNC | OP_MS_SYNC;
	uint32_t addr = judge->op->args[1], len = judge->op->args[2], flags = judge->op->args[3];
	uint32_t first = addr >> PAGE_SHIFT_BITS, last = first + len;
	bool busy, gap;

	if (is_unaligned(addr) || (flags & both) == both)
		return must_fail(judge, EINVAL, 0);
	if (!len)
		return must_succeed(judge);
	if (last >= VPN_END)
		return must_fail(judge, ENOMEM, EINVAL);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	busy = flags & OP_MS_INVALIDATE && has_locked(judge->space, first, last);
	gap = space_mapped_to(judge->space, first, last) != last;
	if (busy)
		return must_fail(judge, EBUSY, gap ? ENOMEM : 0);
	return gap ? must_fail(judge, ENOMEM, 0) : must_succeed(judge);
}

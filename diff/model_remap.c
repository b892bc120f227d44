/*
 * remap_file_pages(2): pages of a shared mapping show other pages of its object.
 *
 * The mapping stays one mapping; each of its pages has an offset of its own. Only pages that the
 * call has touched have an entry in space->shown, all others follow from the area:
 *
 *     area, pgoff 4   |  4  |  5  |  6  |  7  |
 *     shown                 |  9  |  4  |            pages of the object seen:  4 9 4 7
 *
 * The entry goes along with mremap, is inherited by fork, and ends with the mapping. The manual
 * pages do not say whether MADV_DONTNEED ends it, too; in 2.6.6 and 2.6.7 it did not.
 */
#include "model_private.h"

uint32_t area_pgoff(const struct model *model, const struct space *space, const struct area *area,
		    uint32_t vpn)
{
	uint64_t shown;

	if (space->shown.n && tokens_get(&model->pool, &space->shown, vpn, &shown))
		return (uint32_t)shown;
	return area->pgoff + (vpn - area->start);
}

void space_show(struct model *model, struct space *space, uint32_t first, uint32_t last,
		uint32_t pgoff)
{
	for (uint32_t vpn = first; vpn < last; vpn++)
		tokens_set(&model->pool, &space->shown, vpn, pgoff + (vpn - first));
}

/* The kernel says EINVAL although the model sees nothing wrong. It may know better where areas end,
 * and 2.6.7 refuses an area in which its search for nonlinear mappings has stopped half-way. */
static enum model_verdict refused(const struct judge *judge, const struct area *area)
{
	if (area->attr & AREA_SEAM)
		return abstain(judge, "vma-boundary: the range may lie in more than one area");
	if (judge->model->config.nonlinear == NONLINEAR_CLUSTER)
		return abstain(judge, "cluster-cursor: a scan of the area may be under way");
	return must_succeed(judge);
}

enum model_verdict step_remap_file_pages(const struct judge *judge)
{
	struct model *model = judge->model;
	struct space *space = judge->space;
	uint32_t first = judge->op->args[1] >> PAGE_SHIFT_BITS, n = judge->op->args[2];
	uint32_t pgoff = judge->op->args[3];
	const struct area *area;

	if (!n || (uint64_t)first + n > model->task_pages)
		return must_fail(judge, EINVAL, 0);
	area = space_area(space, first);
	if (!area || n > area->end - first || !(area->attr & AREA_SHARED))
		return must_fail(judge, EINVAL, 0);
	if ((uint64_t)pgoff + n > model->object[area->object].size)
		return must_fail(judge, EINVAL, 0);
	if (out_of_memory(judge))
		return lose(judge, first, first + n);
	if (judge->actual->err == -EINVAL)
		return refused(judge, area);
	space_show(model, space, first, first + n, pgoff);
	return must_succeed(judge);
}

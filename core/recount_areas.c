/*
 * Recount, the areas: list against tree, order, bounds, and the totals of the mm.
 */
#include "recount_private.h"

/* What is private, and will take memory of its own when it is written, has been charged; shared
 * memory is not. */
static bool is_charged_rightly(const struct vma *vma)
{
	const uint32_t free = VM_SHARED | VM_NORESERVE | VM_ACCOUNT;

	if (vma->flags & VM_ACCOUNT)
		return !(vma->flags & VM_SHARED);
	return !(vma->flags & VM_WRITE) || (vma->flags & free);
}

static bool check_area(struct recount *r, const struct mm *mm, const struct vma *vma)
{
	if (vma->mm != mm)
		return recount_wrong(r, "mm %u: area at 0x%x belongs to another mm", mm->id,
				     vma->start);
	if (vma->start >= vma->end || vma->end > task_pages(r->machine))
		return recount_wrong(r, "mm %u: area has bounds 0x%x-0x%x", mm->id, vma->start,
				     vma->end);
	if (vma->prev && vma->prev->end > vma->start)
		return recount_wrong(r, "mm %u: areas overlap at 0x%x", mm->id, vma->start);
	if (vma->next && vma->next->prev != vma)
		return recount_wrong(r, "mm %u: area list is torn after 0x%x", mm->id, vma->start);
	return true;
}

bool check_areas(struct recount *r, struct mm *mm)
{
	uint32_t areas = 0, total = 0, locked = 0;
	struct vma *vma, *in_list = mm->first;
	bool cache_found = !mm->cache;

	if (mm->first && mm->first->prev)
		return recount_wrong(r, "mm %u: there is an area before the first", mm->id);
	RB_FOREACH (vma, vma_tree, &mm->vmas) {
		if (vma != in_list)
			return recount_wrong(r, "mm %u: tree and list differ at 0x%x", mm->id,
					     vma->start);
		if (!check_area(r, mm, vma))
			return false;
		in_list = vma->next;
		cache_found |= vma == mm->cache;
		areas++;
		r->file_areas += vma->file != NULL;
		total += vma->end - vma->start;
		if (vma->flags & VM_LOCKED)
			locked += vma->end - vma->start;
		if (vma->flags & VM_ACCOUNT)
			r->committed += vma->end - vma->start;
		if (!is_charged_rightly(vma))
			r->charged_wrongly = vma;
	}
	if (in_list)
		return recount_wrong(r, "mm %u: area 0x%x is not in the tree", mm->id,
				     in_list->start);
	if (!cache_found)
		return recount_wrong(r, "mm %u: the cached area is none of its areas", mm->id);
	r->areas += areas;
	return recount_same_mm(r, mm, "map_count", mm->map_count, areas) &&
	       recount_same_mm(r, mm, "total_vm", mm->total_vm, total) &&
	       recount_same_mm(r, mm, "locked_vm", mm->locked_vm, locked);
}

/*
 * Searching areas entry by entry, for pages whose place in an area cannot be computed: all that
 * scan can do, and what is left for nonlinear mappings of a file.
 *
 *   area  |.#..x..#|    a present entry costs one probe, whatever it maps
 */
#include "backend.h"

struct area_search {
	struct vma *vma;
	struct search *search;
};

/* False: the walk is over. */
static bool search_entry(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
			 void *arg)
{
	const struct area_search *area = arg;
	struct search *search = area->search;

	if (search->visit(machine, page, area->vma, vpn, pte, search->arg) == RMAP_STOP)
		return false;
	return --search->left != 0;
}

bool search_entries(struct machine *machine, struct page *page, struct vma *vma,
		    struct search *search)
{
	struct area_search area = {vma, search};

	machine_counters(machine)->vmas_visited++;
	return !rmap_each_mapped(machine, vma, vma->start, vma->end, page, search_entry, &area);
}

bool search_nonlinear(struct machine *machine, struct page *page, struct search *search)
{
	const struct vma_list *areas = &page->mapping->i_mmap_nonlinear;
	struct vma *vma;

	if (TAILQ_EMPTY(areas) || rmap_leave_to_clusters(machine))
		return false;
	TAILQ_FOREACH (vma, areas, shared) {
		if (search_entries(machine, page, vma, search))
			return true;
	}
	return false;
}

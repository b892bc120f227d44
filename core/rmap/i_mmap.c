/*
 * The file half of the object designs: a file page is found through the areas of its file.
 * After D. McCracken, "objrmap", February 2003; mainline since 2.6.7-rc1 (H. Dickins, "rmap 7").
 *
 *   page --mapping--> address_space --i_mmap--> area --> area --> area      oldest first
 *     '---index------------------------------->  ?        ?        ?
 *                     vpn = start + (index - pgoff), if that lies inside: look there
 *
 * Cost: nothing per mapping and nothing per page. A walk looks at the areas of the file, whether
 * or not they cover the page, until it has shown as many entries as mapcount promises: O(areas of
 * the file), which is what prio_tree later made O(log + areas that cover the page).
 */
#include "backend.h"

#include <stdio.h>

void rmap_walk_i_mmap(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct search search = {visit, arg, page->mapcount};
	struct rmap_counters *counters = machine_counters(machine);
	struct vma *vma;

	if (!page->mapping || !search.left)
		return;
	TAILQ_FOREACH (vma, &page->mapping->i_mmap, shared) {
		counters->vmas_visited++;
		if (search_area(machine, page, vma, page->index, &search))
			return;
	}
}

void describe_file_page(const struct page *page, char *buf, size_t size)
{
	uint32_t areas = 0;
	const struct vma *vma;

	if (!page->mapping) {
		snprintf(buf, size, "no file");
		return;
	}
	TAILQ_FOREACH (vma, &page->mapping->i_mmap, shared)
		areas++;
	snprintf(buf, size, "page %u of a file with %u area%s", page->index, areas,
		 areas == 1 ? "" : "s");
}

/*
 * The file half of the object designs, in front of the file sides (rmap_file.h): a file page is
 * found through the areas of its file. After D. McCracken, "objrmap", February 2003; mainline since
 * 2.6.7-rc1 (H. Dickins, "rmap 7").
 *
 *   page --mapping--> address_space --(file side)--> area, area, area
 *     '---index------------------------------------>  ?      ?     ?
 *                     vpn = start + (index - pgoff), if that lies inside: look there
 *
 * Cost: nothing per mapping and nothing per page. A walk looks at the areas that the file side
 * finds until it has shown as many entries as mapcount promises.
 *
 * Nonlinear areas are on a list of their own (2.6.7, "rmap 18"): arithmetic says nothing about
 * them. 2.6.7 left it at that, and let the engine take away what it met there (nonlinear=cluster).
 * The exact way costs what scan costs: if mappings are still missing, every entry of the file's
 * nonlinear areas is looked at.
 */
#include "backend.h"

#include <stdio.h>
#include <string.h>

/* ---- the table of file sides --------------------------------------------------------------- */

const struct rmap_file_ops *const rmap_file_sides[] = {
#define FILE_SIDE(symbol) &symbol,
#include "file_sides.def"
#undef FILE_SIDE
	NULL,
};

const struct rmap_file_ops *rmap_file_find(const char *name)
{
	for (size_t i = 0; rmap_file_sides[i]; i++) {
		if (!strcmp(rmap_file_sides[i]->name, name))
			return rmap_file_sides[i];
	}
	return NULL;
}

/* ---- walks ----------------------------------------------------------------------------------- */

struct file_walk {
	struct machine *machine;
	struct page *page;
	struct search *search;
	bool over;
};

static bool look_into(struct vma *vma, void *arg)
{
	struct file_walk *walk = arg;

	machine_counters(walk->machine)->vmas_visited++;
	walk->over = search_area(walk->machine, walk->page, vma, walk->page->index, walk->search);
	return walk->over;
}

bool search_linear(struct machine *machine, struct page *page, struct search *search)
{
	uint32_t first = page->index, last = first + machine_sub_pages(machine) - 1;
	struct file_walk walk = {machine, page, search, false};

	if (MUTANT_IF(machine, TRN_07, first)) {
		first /= 2; /* in units of two pages */
		last /= 2;
	}
	machine_file_side(machine)->find(page->mapping, first, last, machine_counters(machine),
					 look_into, &walk);
	return walk.over;
}

void rmap_walk_i_mmap(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct search search = {visit, arg, page->mapcount};

	if (page->mapping && search.left && !search_linear(machine, page, &search))
		search_nonlinear(machine, page, &search);
}

void describe_file_page(struct machine *machine, const struct page *page, char *buf, size_t size)
{
	const struct vma *vma;
	uint32_t areas = 0, nonlinear = 0;
	char how[64];

	if (!page->mapping) {
		snprintf(buf, size, "no file");
		return;
	}
	TAILQ_FOREACH (vma, &page->mapping->i_mmap, shared)
		areas++;
	TAILQ_FOREACH (vma, &page->mapping->i_mmap_nonlinear, shared)
		nonlinear++;
	machine_file_side(machine)->describe(page->mapping, how, sizeof(how));
	snprintf(buf, size, "page %u of a file with %u area%s %s", page->index, areas,
		 areas == 1 ? "" : "s", how);
	if (nonlinear) {
		size_t used = strlen(buf);

		snprintf(buf + used, size - used, " and %u nonlinear", nonlinear);
	}
}

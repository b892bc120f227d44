/*
 * anon_vma - an anonymous page points at a list of the areas that may map it.
 * A. Arcangeli, March 2004, with H. Dickins; merged in 2.6.7-rc1 (rmap 37 to 40). This is 2.6.7.
 *
 *   page --mapping--> anon_vma <-------------.
 *     '---index          |                   |  vma->anon_vma
 *                        '--> area (child) --+--> area (parent) --+--> half of a split one
 *                                vpn = start + (index - pgoff), if inside: look there
 *
 *   file page -> file -> its areas (i_mmap.c)
 *
 * The list is made when an area gets its first anonymous page (anon_prepare), before any page can
 * point at it, and handed to every area that can come to hold the page: the child's at fork, the
 * other half at a split, the new place at mremap. Pages are never touched for that, because all
 * of them keep start - pgoff such that each page keeps its index.
 *
 * Cost: 12 bytes for a group of areas and 12 in each area; nothing per mapping. fork only links.
 * Price: a walk looks at all areas of the family whose range covers the index, also where the page
 * was copied away long ago (anon_vma_chain, 2010, cures that), and areas with different lists
 * cannot merge.
 *
 * Invariants
 *   L1 - L3 of anon_list.h
 *   A1  a mapped anonymous page points at the anon_vma of every area that maps it
 *   A2  its index is the one that each of these areas computes for it
 *   A3  a file page's reverse-map words are never written
 */
#include <stdio.h>

#include "anon_list.h"

/* ---- pages ------------------------------------------------------------------------------- */

static int anon_vma_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			struct ptep pte)
{
	uint32_t index = vma_page_index(machine, vma, vpn);

	if (!(page->flags & PG_ANON))
		return 0;
	MM_ASSERT(vma->rmap);
	if (!page->mapcount) {
		page->rmap.ptr = vma->rmap;
		page->rmap_index = index;
	}
	MM_ASSERT(page->rmap.ptr == vma->rmap);
	MM_ASSERT(page->rmap_index == index);
	return 0;
}

static void forget(struct page *page)
{
	page->rmap.ptr = NULL;
	page->rmap_index = 0;
}

static void anon_vma_remove(struct machine *machine, struct page *page, struct vma *vma,
			    uint32_t vpn, struct ptep pte)
{
	if ((page->flags & PG_ANON) && page->mapcount == 1)
		forget(page);
}

static void anon_vma_find(struct machine *machine, struct page *page, rmap_visit_fn *visit,
			  void *arg)
{
	if (!(page->flags & PG_ANON)) {
		rmap_walk_i_mmap(machine, page, visit, arg);
		return;
	}
	anon_vma_walk(machine, page->rmap.ptr, page, visit, arg);
	if (!page->mapcount)
		forget(page);
}

/* ---- check and describe -------------------------------------------------------------------- */

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	if (!(page->flags & PG_ANON))
		return page->rmap.word ? "A3: a file page's reverse-map words are never written"
				       : NULL;
	if (!vma->rmap || page->rmap.ptr != vma->rmap)
		return "A1: a mapped anonymous page points at the anon_vma of every area that "
		       "maps it";
	if (page->rmap_index != vma_page_index(machine, vma, vpn))
		return "A2: a page's index is the one that each area that maps it computes";
	return NULL;
}

static const char *anon_vma_check(struct machine *machine)
{
	const char *broken = anon_vma_check_lists(machine);

	return broken ? broken : check_every_entry(machine, check_entry);
}

static void describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	if (page->flags & PG_ANON)
		anon_vma_describe(page->rmap.ptr, page, buf, size);
	else
		describe_file_page(machine, page, buf, size);
}

RMAP_OBJECT_DESIGN(rmap_anon_vma, "anon_vma", prio_tree,
		   .summary = "Arcangeli and Dickins 2004, 2.6.7: a page points at a list of areas",
		   .page_bytes = 32, .vma_bytes = 76, .mm_bytes = 544, .create = anon_vma_create,
		   .add = anon_vma_add, .remove = anon_vma_remove, .anon_prepare = anon_vma_prepare,
		   .vma_unlink = anon_vma_unlink, .vma_fork = anon_vma_copy,
		   .vma_split = anon_vma_copy, .vma_merge = anon_vma_merge,
		   .vma_shift = anon_vma_shift, .vma_move = anon_vma_copy,
		   .can_merge = anon_vma_can_merge, .walk = anon_vma_find, .check = anon_vma_check,
		   .describe = describe)

/*
 * scan - no reverse map: to find a page's entries, search the page tables of everybody.
 * As Linux up to 2.4 had to; its swap_out() went the other way round for that reason, from page
 * tables to pages, and could not ask for one page at all.
 *
 *   mm --> area --> |....#...|     every present entry of every area that may hold the page:
 *   mm --> area --> |..#.....|     does it map the page?
 *          area --> |........|
 *
 * Cost: none to keep, everything to ask: a walk is O(present entries of the machine). It uses no
 * index, no pgoff and no state, so it cannot be out of date. That makes it the reference.
 *
 * Invariants
 *   S1  a page's reverse-map words are never written
 */
#include "backend.h"

#include <stdio.h>

static int scan_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		    struct ptep pte)
{
	return 0;
}

static void scan_remove(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			struct ptep pte)
{
}

/* Anonymous pages are in private areas, file pages in areas of their file. */
static bool may_hold(const struct vma *vma, const struct page *page)
{
	if (page->flags & PG_ANON)
		return !(vma->flags & VM_SHARED);
	return vma->file && vma->file == page->mapping;
}

static void scan_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct search search = {visit, arg, page->mapcount};
	struct mm *mm;

	if (!page->mapcount)
		return;
	TAILQ_FOREACH (mm, machine_mms(machine), link) {
		for (struct vma *vma = mm->first; vma; vma = vma->next) {
			if (may_hold(vma, page) && search_entries(machine, page, vma, &search))
				return;
		}
	}
}

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	if (page->rmap.word || page->rmap_index || page->rmap_flags)
		return "S1: a page's reverse-map words are never written";
	return NULL;
}

static const char *scan_check(struct machine *machine)
{
	return check_every_entry(machine, check_entry);
}

static void scan_describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	snprintf(buf, size, "not recorded");
}

const struct rmap_ops rmap_scan = {
	.name = "scan",
	.summary = "no reverse map: search every page table (2.4's way); the reference",
	.page_bytes = 32, /* 2.6.7's, of which it would need less */
	.vma_bytes = 64,
	.mm_bytes = 544,
	.anon_pgoff_free = true,
	.add = scan_add,
	.remove = scan_remove,
	.walk = scan_walk,
	.check = scan_check,
	.describe = scan_describe,
};

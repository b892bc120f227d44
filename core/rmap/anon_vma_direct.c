/*
 * anon_vma_direct - an anonymous page points at its area; once forked, at a list of areas.
 * A. Arcangeli's first posting, 10 and 11 March 2004, as LWN told it ("the return of objrmap").
 *
 *   never forked    page --(direct)---------------> area
 *                     '--index                        '-- vpn = start + (index - pgoff)
 *
 *   forked          page --> anon_vma --> area (child) --> area (parent)
 *                     '--index              ?                ?
 *
 * A page becomes direct when it is mapped for the first time, also when it comes back from the
 * swap cache. fork puts parent and child areas on one anon_vma's list (if the parent has ever had
 * an anonymous page; also if all of them are in swap just now, because the two may meet again in
 * the swap cache). A second mapping can only come from an area on that list, and turns the page
 * from direct to the list; there is no way back while it is mapped.
 *
 * What killed it on 12 March: when an area is split, or its pages go to another area, the direct
 * pages in it keep pointing at the old one, and nothing enumerates them. The posted code had no
 * answer, and the merged design (anon_vma.c) gives every area a list at its first page instead,
 * so that pages never name an area. Here the pages are found the only way there is: split, shift
 * and merge go through the page tables of the piece that changes hands, and mremap, which
 * touches each entry anyway, retargets page by page (move). The posted form, without that, is
 * SABOTAGE_SPLIT in tests/saboteur.c: the first walk after a split misses the page.
 *
 * Cost: a process that never forks pays nothing but the words in its areas, and a walk over its
 * pages is one probe, whereas anon_vma pays 12 bytes per group of areas. In return an mprotect that
 * splits an area of n pages costs O(n) probes (under locks that no real kernel could hold for so
 * long), where anon_vma's is O(1). Different lists forbid merging, as in anon_vma. The 128 pages
 * that an mprotect cuts off in
 *
 *   rmapfuzz replay --costs corpus/seed/split_large_area.trace
 *
 * cost 128 probes, of 130 in all; anon_vma's whole trace takes 2 probes, and one anon_vma.
 *
 * With page clustering a page may have several mappings in its one area and is direct all the same.
 * A cut through it, by a split or an mremap of a part, makes it one of two areas, and needs a list.
 *
 * Invariants
 *   L1 - L3 of anon_list.h
 *   D1  a direct page is mapped in the area that it points at, and nowhere else
 *   D2  any other mapped anonymous page points at the anon_vma of every area that maps it
 *   D3  its index is the one that each of these areas computes for it
 *   D4  a file page's reverse-map words are never written
 */
#include <stdio.h>

#include "anon_list.h"

/* page.rmap_flags: page.rmap.ptr is a struct vma (PG_direct), else a struct anon_vma. */
#define ANON_DIRECT 1u

static bool is_direct(const struct page *page)
{
	return page->rmap_flags & ANON_DIRECT;
}

static void set_direct(struct page *page, struct vma *vma)
{
	page->rmap.ptr = vma;
	page->rmap_flags |= ANON_DIRECT;
}

static void set_anon_vma(struct page *page, struct anon_vma *anon_vma)
{
	page->rmap.ptr = anon_vma;
	page->rmap_flags &= ~ANON_DIRECT;
}

static void forget(struct page *page)
{
	set_anon_vma(page, NULL);
	page->rmap_index = 0;
}

/* ---- pages ------------------------------------------------------------------------------- */

static int direct_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte)
{
	uint32_t index = vma_page_index(machine, vma, vpn);

	if (!(page->flags & PG_ANON))
		return 0;
	if (!page->mapcount) {
		set_direct(page, vma);
		page->rmap_index = index;
		return 0;
	}
	MM_ASSERT(page->rmap_index == index);
	if (is_direct(page)) {
		const struct vma *owner = page->rmap.ptr;

		if (owner == vma)
			return 0;
		MM_ASSERT(owner->rmap);
		set_anon_vma(page, owner->rmap);
	}
	MM_ASSERT(page->rmap.ptr == vma->rmap);
	return 0;
}

static void direct_remove(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			  struct ptep pte)
{
	if ((page->flags & PG_ANON) && page->mapcount == 1)
		forget(page);
}

static int direct_move(struct machine *machine, struct page *page, struct vma *old,
		       uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
		       struct ptep to)
{
	if (!(page->flags & PG_ANON) || !is_direct(page))
		return 0;
	MM_ASSERT(page->rmap.ptr == old);
	MM_ASSERT(page->rmap_index == vma_page_index(machine, new, new_vpn));
	if (page->mapcount == 1) {
		page->rmap.ptr = new;
		return 0;
	}
	/* Until the last of its mappings has moved, if all of them do, it is in two areas. */
	MM_ASSERT(old->rmap && old->rmap == new->rmap);
	set_anon_vma(page, old->rmap);
	return 0;
}

static void walk_direct(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct search search = {visit, arg, page->mapcount};

	machine_counters(machine)->vmas_visited++;
	search_area(machine, page, page->rmap.ptr, page->rmap_index, &search);
}

static void direct_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	if (!(page->flags & PG_ANON)) {
		rmap_walk_i_mmap(machine, page, visit, arg);
		return;
	}
	if (is_direct(page))
		walk_direct(machine, page, visit, arg);
	else
		anon_vma_walk(machine, page->rmap.ptr, page, visit, arg);
	if (!page->mapcount)
		forget(page);
}

/* ---- areas --------------------------------------------------------------------------------- */

struct retarget {
	const struct vma *from;
	struct vma *to;
};

static bool retarget_page(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
			  void *arg)
{
	const struct retarget *retarget = arg;

	if ((page->flags & PG_ANON) && is_direct(page) && page->rmap.ptr == retarget->from)
		page->rmap.ptr = retarget->to;
	return true;
}

/* The pages of FROM in [first, last) are now TO's: what the posted design could not do. */
static void retarget(struct machine *machine, struct vma *from, struct vma *to, uint32_t first,
		     uint32_t last)
{
	struct retarget pair = {from, to};

	if (from->anon)
		rmap_each_mapped(machine, from, first, last, NULL, retarget_page, &pair);
}

/* VMA gets a list, if it has none: 0 or -ENOMEM. */
static int need_list(struct machine *machine, struct vma *vma)
{
	struct anon_vma *anon_vma;

	if (vma->rmap)
		return 0;
	anon_vma = anon_vma_alloc(machine);
	if (!anon_vma)
		return -ENOMEM;
	anon_vma_link(vma, anon_vma);
	return 0;
}

static int direct_fork(struct machine *machine, struct vma *parent, struct vma *child)
{
	if (!parent->anon)
		return 0;
	if (need_list(machine, parent))
		return -ENOMEM;
	anon_vma_link(child, parent->rmap);
	return 0;
}

/* Does the cut that makes PART of VMA go through a page? */
static bool cuts_page(struct machine *machine, const struct vma *vma, const struct vma *part)
{
	uint32_t cut = part->start == vma->start ? part->end : part->start;

	return vma_page_index(machine, vma, cut) != vma_index_of_vpn(vma, cut);
}

/* The page that the cut goes through, if there is one: both areas will hold it. */
static bool share_page(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
		       void *arg)
{
	const struct vma *vma = arg;

	if ((page->flags & PG_ANON) && is_direct(page))
		set_anon_vma(page, vma->rmap);
	return true;
}

static int share_cut_page(struct machine *machine, struct vma *vma, const struct vma *part)
{
	uint32_t cut = part->start == vma->start ? part->end : part->start;
	uint32_t n = machine_sub_pages(machine);
	uint32_t before = vma_index_of_vpn(vma, cut) - vma_page_index(machine, vma, cut);
	uint32_t first = cut - vma->start < before ? vma->start : cut - before;
	uint32_t last = vma->end - cut < n - before ? vma->end : cut + (n - before);

	if (need_list(machine, vma))
		return -ENOMEM;
	rmap_each_mapped(machine, vma, first, last, NULL, share_page, vma);
	return 0;
}

static int direct_split(struct machine *machine, struct vma *vma, struct vma *part)
{
	if (vma->anon && cuts_page(machine, vma, part) && share_cut_page(machine, vma, part))
		return -ENOMEM;
	anon_vma_adopt(part, vma);
	if (!MUTANT_IF(machine, SEED_15, vma->anon))
		retarget(machine, vma, part, part->start, part->end);
	return 0;
}

static int direct_merge(struct machine *machine, struct vma *keep, struct vma *gone)
{
	anon_vma_merge(machine, keep, gone);
	retarget(machine, gone, keep, gone->start, gone->end);
	return 0;
}

static int direct_shift(struct machine *machine, struct vma *grows, struct vma *shrinks,
			uint32_t first, uint32_t last)
{
	anon_vma_adopt(grows, shrinks);
	retarget(machine, shrinks, grows, first, last);
	return 0;
}

/* A part of a page may move, also one that is in swap just now: the rest must stay in reach. */
static int direct_copy(struct machine *machine, struct vma *old, struct vma *new)
{
	if (machine_sub_pages(machine) > 1 && old->anon) {
		anon_vma_adopt(old, new);
		if (need_list(machine, old))
			return -ENOMEM;
	}
	anon_vma_adopt(new, old);
	return 0;
}

/* ---- check and describe -------------------------------------------------------------------- */

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	if (!(page->flags & PG_ANON))
		return page->rmap.word ? "D4: a file page's reverse-map words are never written"
				       : NULL;
	if (is_direct(page)) {
		if (page->rmap.ptr != vma)
			return "D1: a direct page is mapped in the area that it points at, and "
			       "nowhere else";
	} else if (!vma->rmap || page->rmap.ptr != vma->rmap) {
		return "D2: a mapped anonymous page that is not direct points at the anon_vma of "
		       "every area that maps it";
	}
	if (page->rmap_index != vma_page_index(machine, vma, vpn))
		return "D3: a page's index is the one that each area that maps it computes";
	return NULL;
}

static const char *direct_check(struct machine *machine)
{
	const char *broken = anon_vma_check_lists(machine);

	return broken ? broken : check_every_entry(machine, check_entry);
}

static void direct_describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	if (!(page->flags & PG_ANON))
		describe_file_page(machine, page, buf, size);
	else if (is_direct(page))
		snprintf(buf, size, "direct");
	else
		anon_vma_describe(page->rmap.ptr, page, buf, size);
}

RMAP_OBJECT_DESIGN(
	rmap_anon_vma_direct, "anon_vma_direct", list,
	.summary = "Arcangeli's RFC of March 2004: page -> area, page -> anon_vma once forked",
	.page_bytes = 44, /* as posted: 44 for the 48 of the tree it was made for */
	.vma_bytes = 76,  /* 76 as posted; prio_tree's 8 came later and are counted for all */
	.mm_bytes = 544, .create = anon_vma_create, .add = direct_add, .remove = direct_remove,
	.move = direct_move, .vma_unlink = anon_vma_unlink, .vma_fork = direct_fork,
	.vma_split = direct_split, .vma_merge = direct_merge, .vma_shift = direct_shift,
	.vma_move = direct_copy, /* direct pages follow one by one (move) */
	.can_merge = anon_vma_can_merge, .walk = direct_walk, .check = direct_check,
	.describe = direct_describe)

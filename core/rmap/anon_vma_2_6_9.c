/*
 * anon_vma_2.6.9 - anon_vma as it was tidied up: a tag instead of a flag, and a page that
 * remembers. H. Dickins, "rmaplock", August 2004; merged in 2.6.9-rc1.
 *
 *   page->mapping   ....................0    a file's page, or nobody's
 *                   anon_vma's address |1    an anonymous page (PAGE_MAPPING_ANON)
 *
 *   mapped            swapped out, still cached      mapped again          freed
 *   anon_vma|1   ->   anon_vma|1 (may dangle)   ->   anon_vma' |1    ->    0
 *
 * Areas and their lists are those of anon_vma.c, to the letter; pages differ. 2.6.7 forgets a
 * page's anon_vma with its last mapping, which costs a locked look at every unmapping. Here the
 * word stays until the frame is freed (page_free), and the next first mapping overwrites it. In
 * between the list may be gone: its last area was unmapped while the page was only in the swap
 * cache. So the word is not followed unless the page is mapped; a mapping is in an area, and that
 * area keeps the list. (In a kernel the list could go between the look and the lock; the slab keeps
 * such memory an anon_vma for an RCU period, so the lock is at least a lock. Nothing runs in
 * between here.)
 *
 * The kernel's _mapcount, which counts from -1 so that one atomic operation tells the first mapping
 * and the last, is the engine's page->mapcount, which counts from 0: no design owns that number.
 * Likewise its walkers always get the lock of a page table, where 2.6.7's tried and gave up.
 *
 * Cost: as anon_vma; less work where mappings go.
 *
 * Invariants
 *   L1 - L3 of anon_list.h
 *   T1  a mapped anonymous page has the tag, and a file page's word is never written
 *   T2  without the tag, its word is the anon_vma of every area that maps it
 *   T3  its index is the one that each of these areas computes for it
 */
#include <stdio.h>

#include "anon_list.h"

#define PAGE_MAPPING_ANON 1u

/* The list of PAGE, which must be mapped, or the answer may be an address of nothing. */
static struct anon_vma *page_anon_vma(const struct page *page)
{
	return (struct anon_vma *)(uintptr_t)(page->rmap.word & ~(uint64_t)PAGE_MAPPING_ANON);
}

static bool is_tagged(const struct page *page)
{
	return page->rmap.word & PAGE_MAPPING_ANON;
}

/* page_lock_anon_vma: NULL unless the word may be followed. */
static struct anon_vma *page_get_anon_vma(const struct page *page)
{
	return is_tagged(page) && page->mapcount ? page_anon_vma(page) : NULL;
}

static int tagged_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte)
{
	uint32_t index = vma_page_index(machine, vma, vpn);

	if (!(page->flags & PG_ANON))
		return 0;
	MM_ASSERT(vma->rmap);
	if (!page->mapcount) {
		page->rmap.word = (uintptr_t)vma->rmap | PAGE_MAPPING_ANON;
		page->rmap_index = index;
	}
	MM_ASSERT(page_anon_vma(page) == vma->rmap);
	MM_ASSERT(page->rmap_index == index);
	return 0;
}

/* That is the point of it. */
static void tagged_remove(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			  struct ptep pte)
{
}

static void tagged_page_free(struct machine *machine, struct page *page)
{
	page->rmap.word = 0;
	page->rmap_index = 0;
}

static void tagged_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	if (page->flags & PG_ANON)
		anon_vma_walk(machine, page_get_anon_vma(page), page, visit, arg);
	else
		rmap_walk_i_mmap(machine, page, visit, arg);
}

/* ---- check and describe -------------------------------------------------------------------- */

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	bool anon = page->flags & PG_ANON;

	if (is_tagged(page) != anon || (!anon && page->rmap.word))
		return "T1: a mapped anonymous page has the tag, a file page's word is never "
		       "written";
	if (!anon)
		return NULL;
	if (!vma->rmap || page_anon_vma(page) != vma->rmap)
		return "T2: a mapped anonymous page's word is the anon_vma of every area that "
		       "maps it";
	if (page->rmap_index != vma_page_index(machine, vma, vpn))
		return "T3: a page's index is the one that each area that maps it computes";
	return NULL;
}

static const char *tagged_check(struct machine *machine)
{
	const char *broken = anon_vma_check_lists(machine);

	return broken ? broken : check_every_entry(machine, check_entry);
}

static void describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	if (page->flags & PG_ANON)
		anon_vma_describe(page_get_anon_vma(page), page, buf, size);
	else
		describe_file_page(machine, page, buf, size);
}

RMAP_OBJECT_DESIGN(
	rmap_anon_vma_2_6_9, "anon_vma_2.6.9", prio_tree,
	.summary = "the same in 2.6.9: a tagged word, which a page keeps until it is freed",
	.page_bytes = 32, .vma_bytes = 76, .mm_bytes = 544, .create = anon_vma_create,
	.add = tagged_add, .remove = tagged_remove, .anon_prepare = anon_vma_prepare,
	.vma_unlink = anon_vma_unlink, .vma_fork = anon_vma_copy, .vma_split = anon_vma_copy,
	.vma_merge = anon_vma_merge, .vma_shift = anon_vma_shift, .vma_move = anon_vma_copy,
	.can_merge = anon_vma_can_merge, .page_free = tagged_page_free, .walk = tagged_walk,
	.check = tagged_check, .describe = describe)

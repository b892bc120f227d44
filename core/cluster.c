/*
 * Page clustering: the entries of one page in one area, and how a fault makes use of them.
 *
 *   index     4   5   6   7 | 8   9  10  11 | 12 ...      n = 2: four sub-pages to a page
 *   area          |---------+---------------+----
 *                  segment    segment         segment
 *
 * A block is an aligned group of indexes; what an area has of it, a segment. One page can fill a
 * segment, sub-page by sub-page, and an index always goes to the same sub-page, so that a page is
 * found in any area by arithmetic. A fault in private memory therefore
 *
 *   takes     a page that the segment has already, if nobody else has to do with it
 *   fills     the entries around that are none, if zeroes belong there
 *   copies    all that the segment maps of a shared page, at its first write
 *   swaps in  all that the segment had of the slot
 *
 * None of this can be seen by a program. Pages of files are mapped one entry at a time: a private
 * copy must not be taken of what was not written.
 *
 * Where areas begin and end inside a block must not depend on the design, or pages would be shared
 * out differently: private areas do not merge at, and boundaries are not moved to, a place
 * inside a block (vma.c), and a moved area keeps its indexes modulo the block (mremap.c).
 *
 * An entry around that cannot be had (no memory for the reverse map, no page table) is left alone.
 * Without clustering a block is one index, and there is nothing around it.
 */
#include "internal.h"

/* Going over a segment without the entry that faulted. */
struct segment {
	struct vma *vma;
	uint32_t skip, end;
	uint32_t vpn, sub; /* where we are */
	struct ptep pte;
};

/* The segment around VPN of VMA, before its first entry. */
static struct segment segment_around(const struct machine *machine, struct vma *vma, uint32_t vpn)
{
	uint32_t sub = sub_of(machine, vma_index_of_vpn(vma, vpn));
	uint32_t before = vpn - vma->start < sub ? vpn - vma->start : sub;
	uint32_t rest = sub_pages(machine) - sub;

	return (struct segment){
		.vma = vma,
		.skip = vpn,
		.end = vma->end - vpn < rest ? vma->end : vpn + rest,
		.vpn = vpn - before - 1,
		.sub = sub - before - 1,
	};
}

/* The next entry that has a page table. */
static bool segment_next(struct segment *s)
{
	while (s->sub++, ++s->vpn < s->end) {
		if (s->vpn == s->skip)
			continue;
		s->pte = pte_lookup(s->vma->mm, s->vpn);
		if (s->pte.table)
			return true;
	}
	return false;
}

/* Let the entry map its part of PAGE with PROT and a reference of its own. */
static int segment_map(struct machine *machine, const struct segment *s, struct page *page,
		       pte_t prot)
{
	int err = page_add_rmap(machine, page, s->vma, s->vpn, s->pte);

	if (err)
		return err;
	page_get(page);
	pte_set_once(machine, s->pte, pte_mk(page->pfn + s->sub, (uint32_t)prot));
	return 0;
}

uint32_t cluster_ours(struct machine *machine, struct vma *vma, uint32_t vpn,
		      const struct page *page)
{
	uint32_t n = 1;

	if (sub_pages(machine) == 1)
		return n;
	for (struct segment s = segment_around(machine, vma, vpn); segment_next(&s);)
		n += rmap_maps(machine, page, ptep_read(machine, s.pte));
	return n;
}

struct page *cluster_page(struct machine *machine, struct vma *vma, uint32_t vpn)
{
	if (sub_pages(machine) == 1)
		return NULL;
	for (struct segment s = segment_around(machine, vma, vpn); segment_next(&s);) {
		pte_t entry = ptep_read(machine, s.pte);
		struct page *page;

		if (!pte_present(entry))
			continue;
		page = pfn_to_page(machine, pte_pfn(entry));
		if ((page->flags & (PG_ANON | PG_SWAPCACHE | PG_RESERVED)) != PG_ANON)
			continue;
		/* cluster_ours() counts the faulting entry, which does not map it. */
		if (page->count == cluster_ours(machine, vma, vpn, page) - 1)
			return page;
	}
	return NULL;
}

void cluster_fill(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *page)
{
	pte_t prot = prot_of_flags(vma->flags) & ~(pte_t)PTE_A;

	if (sub_pages(machine) == 1)
		return;
	if (vma->flags & VM_WRITE)
		prot |= PTE_RW;
	for (struct segment s = segment_around(machine, vma, vpn); segment_next(&s);) {
		if (!pte_none(ptep_read(machine, s.pte)))
			continue;
		clear_user_highpage(machine, page, s.sub);
		if (segment_map(machine, &s, page, prot))
			return;
	}
}

void cluster_copy(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *old,
		  struct page *new)
{
	if (sub_pages(machine) == 1)
		return;
	for (struct segment s = segment_around(machine, vma, vpn); segment_next(&s);) {
		pte_t entry = ptep_read(machine, s.pte);

		if (!rmap_maps(machine, old, entry))
			continue;
		copy_user_highpage(machine, new, s.sub, old, s.sub);
		if (page_add_rmap(machine, new, vma, s.vpn, s.pte))
			return;
		page_get(new);
		page_remove_rmap(machine, old, vma, s.vpn, s.pte);
		pte_set_once(
			machine, s.pte,
			pte_mk(new->pfn + s.sub, (uint32_t)(entry & ~PTE_PFN_MASK) |
							 (vma->flags & VM_WRITE ? PTE_RW : 0)));
		flush_tlb_page(machine, vma->mm, s.vpn);
		page_put(machine, old);
	}
}

void cluster_swapin(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *page)
{
	pte_t prot = prot_of_flags(vma->flags) & ~(pte_t)PTE_A;

	if (sub_pages(machine) == 1 || !(page->flags & PG_SWAPCACHE))
		return;
	for (struct segment s = segment_around(machine, vma, vpn); segment_next(&s);) {
		pte_t entry = ptep_read(machine, s.pte);

		if (!pte_swap(entry) ||
		    pte_to_swp(entry) != swap_sub_entry(machine, page->swap, s.sub))
			continue;
		if (segment_map(machine, &s, page, prot))
			return;
		swap_free(machine, pte_to_swp(entry));
	}
}

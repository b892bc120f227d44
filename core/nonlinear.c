/*
 * Nonlinear mappings: remap_file_pages lets single pages of a shared area show any page of its
 * file, without an area for each.
 *
 *   area      |  w0  |  w1  |  w2  |  w3  |     pgoff 4: by arithmetic w0 shows page 4, w1 5 ...
 *   entries   | f 4  | f 9  | o 2  |  -   |     w1 shows page 9; w2 will show page 2 (a file
 *                                               entry, "o"), w3 will show page 7
 *
 * What a page of the area shows is in its entry alone: the frame's index, or the offset in a file
 * entry; an empty entry means arithmetic. So whoever takes an entry away (try_to_unmap, truncation)
 * leaves a file entry behind wherever arithmetic would give another answer. VM_NONLINEAR is set
 * by the first call that needs it and never cleared.
 *
 * A reverse map that computes addresses from areas cannot compute these. 2.6.7 did not even try to
 * find them: see nonlinear_unmap_clusters(). The exact ways are the designs' own (rmap/i_mmap.c,
 * rmap/objrmap.c).
 *
 * After 2.6.6 and 2.6.7, with two known bugs of theirs left out: a non-blocking call whose offset
 * is the linear one removes what an earlier call installed (2.6.8-rc3 fixed that), and a page is
 * given up only after its entry (2.6.2-rc1).
 */
#include "internal.h"

#define CLUSTER_PAGES 32u /* 128 KB */

/* ---- entries -------------------------------------------------------------------------- */

/* The entry to leave where the file's page INDEX was: none, if arithmetic finds it again. */
static pte_t file_entry(const struct vma *vma, uint32_t vpn, uint32_t index)
{
	return vma_index_of_vpn(vma, vpn) == index ? 0 : pte_mk_file(index);
}

/*
 * zap_pte: ENTRY was at P and has been replaced. Shared areas hold file pages and file entries,
 * and nothing else.
 */
static void drop_replaced(struct machine *machine, pte_t entry)
{
	struct page *page;

	if (!pte_present(entry))
		return;
	page = pfn_to_page(machine, pte_pfn(entry));
	if (pte_dirty(entry))
		page->flags |= PG_DIRTY;
	page_put(machine, page);
}

static struct page *mapped_page(struct machine *machine, pte_t entry)
{
	return pte_present(entry) ? pfn_to_page(machine, pte_pfn(entry)) : NULL;
}

/* Put part SUB of PAGE, whose reference becomes the mapping's, at VPN in place of what is there. */
static int install_page(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *page,
			uint32_t sub)
{
	struct page *old;
	struct ptep pte;
	pte_t entry;
	int err = pte_alloc(machine, vma->mm, vpn, &pte);

	if (err)
		return err;
	pte_map(machine, pte);
	entry = ptep_get(pte);
	old = mapped_page(machine, entry);
	/* The very page that is there, or another part of it: nothing changes for the reverse map.
	 */
	if (old != page) {
		err = page_add_rmap(machine, page, vma, vpn, pte);
		if (err)
			goto unmap;
		if (old)
			page_remove_rmap(machine, old, vma, vpn, pte);
	}
	pte_set(machine, pte, pte_mk(page->pfn + sub, prot_of_flags(vma->flags)));
	if (old)
		flush_tlb_page(machine, vma->mm, vpn);
	drop_replaced(machine, entry);
unmap:
	pte_unmap(machine, pte);
	if (MUTANT_IF(machine, NLN_06, machine->config.highpte))
		(void)ptep_get(pte);
	return err;
}

/* VPN shall show page INDEX, which is not in memory, when it is touched. */
static int install_file_pte(struct machine *machine, struct vma *vma, uint32_t vpn, uint32_t index)
{
	pte_t entry, file = file_entry(vma, vpn, index);
	struct page *old;
	struct ptep pte;
	int err = pte_alloc(machine, vma->mm, vpn, &pte);

	if (err)
		return err;
	pte_map(machine, pte);
	entry = ptep_get(pte);
	if (MUTANT_IF(machine, NLN_04, pte_none(file) && !pte_none(entry)))
		goto unmap;
	old = mapped_page(machine, entry);
	if (old)
		page_remove_rmap(machine, old, vma, vpn, pte);
	if (!pte_none(entry))
		pte_get_and_clear(machine, pte);
	if (old)
		flush_tlb_page(machine, vma->mm, vpn);
	drop_replaced(machine, entry);
	if (!pte_none(file))
		pte_set(machine, pte, file);
unmap:
	pte_unmap(machine, pte);
	return 0;
}

/* ---- populate --------------------------------------------------------------------------- */

static int populate_one(struct machine *machine, struct vma *vma, uint32_t vpn, uint32_t index,
			bool nonblock)
{
	struct page *page;
	int err;

	if (nonblock && !file_find_page(machine, vma->file, index))
		return MUTANT_IF(machine, NLN_03, true)
			       ? 0
			       : install_file_pte(machine, vma, vpn, index);
	err = file_getpage(machine, vma->file, index, &page);
	if (err)
		return err;
	mark_page_accessed(machine, page);
	err = install_page(machine, vma, vpn, page, sub_of(machine, index));
	if (err)
		page_put(machine, page);
	return err;
}

/* Pages [vpn, vpn + n) show the file's pages from INDEX on. What was done before an error stays. */
static int populate(struct machine *machine, struct vma *vma, uint32_t vpn, uint32_t n,
		    uint32_t index, bool nonblock)
{
	int err = 0;

	if (index >= vma->file->npages || n > vma->file->npages - index)
		return -EINVAL;
	for (uint32_t i = 0; i < n && !err; i++)
		err = populate_one(machine, vma, vpn + i, index + i, nonblock);
	return err;
}

/* As in do_no_page, who sees that there was a truncation, or another entry, looks again. */
int do_file_page(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte)
{
	struct address_space *file = vma->file;
	uint32_t truncations = file->truncate_count, index = pte_to_pgoff(ptep_read(machine, pte));
	struct page *page;
	int err;

	MM_ASSERT(vma->flags & VM_SHARED);
	err = file_getpage(machine, file, index, &page);
	if (err)
		return err;
	mark_page_accessed(machine, page);
	preempt(machine, FAULT_AFTER_LOOKUP);
	if (MUTANT_IF(machine, TRN_02, file->truncate_count != truncations))
		truncations = file->truncate_count;
	if (file->truncate_count == truncations && ptep_read(machine, pte) == pte_mk_file(index)) {
		err = install_page(machine, vma, vpn, page, sub_of(machine, index));
		if (MUTANT_IF(machine, NLN_01, machine->config.highpte))
			pte_unmap(machine, pte);
		if (!err)
			return 0;
	}
	page_put(machine, page);
	return err;
}

/* ---- the call --------------------------------------------------------------------------- */

/* The shared area that holds all of [vpn, vpn + n), if its pages may be exchanged. */
static struct vma *area_to_remap(struct mm *mm, uint32_t vpn, uint32_t n)
{
	struct vma *vma = find_vma(mm, vpn);

	if (!vma || vma->start > vpn || n > vma->end - vpn)
		return NULL;
	/* 2.6.7 takes an area that a cluster scan has begun on for one that a driver has marked. */
	if (!(vma->flags & VM_SHARED) || vma->cursor)
		return NULL;
	return vma;
}

/* Addresses are cut down to whole pages. An offset that does not exist is found out by populate,
 * when the area is nonlinear already. */
int op_remap_file_pages(struct machine *machine, struct mm *mm, const struct op *op,
			struct result *result)
{
	uint32_t vpn = op->args[1] / PAGE_SIZE, n = op->args[2], index = op->args[3];
	struct vma *vma;

	if (!n || vpn + n >= VPN_LIMIT)
		return -EINVAL;
	vma = area_to_remap(mm, vpn, n);
	if (!vma)
		return -EINVAL;
	if (index != vma_index_of_vpn(vma, vpn))
		vma_make_nonlinear(machine, vma);
	return populate(machine, vma, vpn, n, index, op->args[4] & OP_REMAP_NONBLOCK);
}

/* ---- taking pages away --------------------------------------------------------------------- */

/* Which page of its file ENTRY, a part of PAGE, shows. */
static uint32_t shown(const struct page *page, pte_t entry)
{
	return page->index + page_sub(page, entry);
}

/* The entry at VPN maps PAGE. Clear it; what was not linear stays known. The page is still held,
 * and the TLBs still know it. */
static void forget_page(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte,
			struct page *page)
{
	pte_t entry = ptep_get(pte), left = file_entry(vma, vpn, shown(page, entry));

	page_remove_rmap(machine, page, vma, vpn, pte);
	entry = pte_get_and_clear(machine, pte);
	if (!pte_none(left))
		pte_set(machine, pte, left);
	if (pte_dirty(entry))
		page->flags |= PG_DIRTY;
}

/* zap_pte_range with details: offsets [FROM, TO) of the file go, file entries stay. */
static void zap_nonlinear(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last,
			  uint32_t from, uint32_t to)
{
	struct machine *machine = tlb->machine;
	struct ptep pte;
	uint32_t vpn;

	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &pte); at = vpn + 1) {
		struct page *page;
		pte_t entry;

		pte_map(machine, pte);
		entry = ptep_get(pte);
		page = mapped_page(machine, entry);
		if (page && shown(page, entry) >= from && shown(page, entry) < to) {
			if (pte_young(entry))
				mark_page_accessed(machine, page);
			forget_page(machine, vma, vpn, pte, page);
			tlb_remove_tlb_entry(tlb, vpn);
			tlb_remove_page(tlb, page);
		}
		pte_unmap(machine, pte);
	}
}

void nonlinear_unmap_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last)
{
	zap_nonlinear(tlb, vma, vma->start, vma->end, first, last);
}

void nonlinear_dontneed(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last)
{
	zap_nonlinear(tlb, vma, first, last, 0, UINT32_MAX);
}

/* ---- 2.6.7's cluster scan ---------------------------------------------------------------------
 *
 * try_to_unmap has a page whose remaining mappings are in nonlinear areas. It does not look for
 * them. It goes over all nonlinear areas of the file, a cluster of 32 pages at a time, gives young
 * entries another round and takes away every other one, whatever page it maps, until it has
 * taken as many as there were mappings of the page that it came for:
 *
 *    cursor:            area A  |######|######|......|           all areas advance together: none
 *    clusters done with area B  |######|######|                  begins its third before every one
 *                       area C  |######|....                     that is long enough had its second
 *
 * Cursors stay where the budget ran out, and are set back to 0 when everything was scanned.
 */

/* An entry of VMA, whose table is mapped. Returns whether it was taken away. */
static bool unmap_met(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte)
{
	pte_t entry = ptep_get(pte);
	struct page *page = mapped_page(machine, entry);

	machine->counters.pte_probes++;
	if (!page)
		return false;
	if (pte_young(entry)) {
		clear_flush_young(machine, vma->mm, vpn, pte);
		return false;
	}
	forget_page(machine, vma, vpn, pte, page);
	flush_tlb_page(machine, vma->mm, vpn);
	page_put(machine, page);
	machine->unmaps++;
	return true;
}

/* Entries of VMA in the cluster at offset CURSOR. Returns how many were taken away. */
static uint32_t unmap_cluster(struct machine *machine, struct vma *vma, uint32_t cursor)
{
	uint32_t first = (vma->start + cursor) / CLUSTER_PAGES * CLUSTER_PAGES;
	uint32_t last = first + CLUSTER_PAGES, taken = 0, vpn;
	struct ptep pte;

	if (first < vma->start)
		first = vma->start;
	if (last > vma->end)
		last = vma->end;
	for (; pte_next(vma->mm, first, last, &vpn, &pte); first = vpn + 1) {
		pte_map(machine, pte);
		taken += unmap_met(machine, vma, vpn, pte);
		pte_unmap(machine, pte);
	}
	return taken;
}

struct cluster_scan {
	uint32_t limit;  /* how far the cursors of all areas may go in this round */
	uint32_t size;   /* of the longest area, in whole clusters */
	uint32_t budget; /* entries still to be taken */
};

static bool is_scanned(const struct vma *vma)
{
	return !(vma->flags & VM_LOCKED);
}

/* False: there is nothing to scan. */
static bool scan_begin(struct cluster_scan *scan, const struct vma_list *areas, uint32_t budget)
{
	const struct vma *vma;

	*scan = (struct cluster_scan){.budget = budget};
	TAILQ_FOREACH (vma, areas, shared) {
		if (!is_scanned(vma))
			continue;
		if (vma->cursor > scan->limit)
			scan->limit = vma->cursor;
		if (vma->end - vma->start > scan->size)
			scan->size = vma->end - vma->start;
	}
	scan->size = (scan->size + CLUSTER_PAGES - 1) / CLUSTER_PAGES * CLUSTER_PAGES;
	if (!scan->limit)
		scan->limit = CLUSTER_PAGES;
	return scan->size;
}

/* Catch up with the round. True: the budget is used up. */
static bool scan_area(struct machine *machine, struct cluster_scan *scan, struct vma *vma)
{
	uint32_t cursor = vma->cursor, taken;

	machine->counters.vmas_visited++;
	while (vma->mm->rss && cursor < scan->limit && cursor < vma->end - vma->start) {
		taken = unmap_cluster(machine, vma, cursor);
		cursor += CLUSTER_PAGES;
		vma->cursor = cursor;
		if (taken >= scan->budget)
			return true;
		scan->budget -= taken;
	}
	vma->cursor = scan->limit;
	return false;
}

static bool scan_round(struct machine *machine, struct cluster_scan *scan,
		       const struct vma_list *areas)
{
	struct vma *vma;

	TAILQ_FOREACH (vma, areas, shared) {
		if (is_scanned(vma) && scan_area(machine, scan, vma))
			return true;
	}
	return false;
}

void nonlinear_unmap_clusters(struct machine *machine, const struct page *page)
{
	const struct vma_list *areas = &page->mapping->i_mmap_nonlinear;
	struct cluster_scan scan;
	struct vma *vma;

	if (!scan_begin(&scan, areas, page->mapcount))
		return;
	do {
		if (scan_round(machine, &scan, areas))
			return;
		scan.limit += CLUSTER_PAGES;
	} while (scan.limit <= scan.size);
	TAILQ_FOREACH (vma, areas, shared)
		vma->cursor = 0;
}

/*
 * madvise: hints on how pages will be read, and orders in the form of advice.
 *
 *   normal, random, sequential   the range becomes an area of its own, with the hint as a flag
 *   dontneed                     entries go, and private contents with them
 *   willneed                     pages of a disk file come into its cache; swap is not read ahead
 *   pageout                      each page of the range is offered to reclaim (since 5.4)
 *   free                         private memory that may be lost until it is written (since 4.5)
 *
 * pageout forgets that the caller looked at the page, nothing else: whether others did, whether it
 * is locked or held, reclaim decides as always. Kernels leave pages that others map alone, too;
 * here these are the ones worth asking for.
 *
 * free gives pages up, and leaves it to reclaim to take them:
 *
 *     entry RW, dirty ---> page        advice         entry RW, clean ---> page, PG_LAZYFREE
 *     entry ---> swap slot             ----->         none
 *
 * Reclaim drops a page that is still clean, without a slot: the entry becomes none, and whoever
 * looks again sees zeroes. An entry that has become dirty keeps it, and it is an ordinary page from
 * then on (reclaim.c). Pages that others map, that a device holds or that somebody has locked are
 * left alone; so all entries of one that was not are alike: fork copies them, clean or dirty, and a
 * write to one of several is a copy. The advice may be taken for an area of private anonymous
 * memory only, and not for a locked one.
 */
#include "internal.h"

/* How many pages willneed may bring in in one call: half of what is free or easily so. */
static uint32_t readahead_budget(const struct machine *machine)
{
	uint32_t n = 0;

	for (enum zone_id id = 0; id < NR_ZONES; id++)
		n += machine->zones[id].nr_free + machine->zones[id].nr_inactive;
	return n / 2;
}

static int advise_willneed(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last,
			   uint32_t *budget)
{
	if (!vma->file)
		return -EBADF;
	file_readahead(machine, vma->file, vma_index_of_vpn(vma, first),
		       vma_index_of_vpn(vma, last), budget);
	return 0;
}

static int advise_pageout(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last)
{
	struct ptep p;
	uint32_t vpn;

	if (vma->flags & VM_LOCKED)
		return -EINVAL;
	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &p); at = vpn + 1) {
		struct page *page = page_mapped_at(machine, vma->mm, vpn);

		if (!page || !(page->flags & PG_LRU))
			continue;
		page->flags &= ~PG_REFERENCED;
		pte_map(machine, p);
		if (pte_young(ptep_get(p)))
			clear_flush_young(machine, vma->mm, vpn, p);
		pte_unmap(machine, p);
		machine->reclaimed += reclaim_page(machine, page);
	}
	return 0;
}

/* Nobody but this entry knows PAGE, and its memory is the only place where its content is. */
static bool may_be_lost(struct machine *machine, struct page *page)
{
	if (page->mapcount != 1 || page->pins || !(page->flags & PG_LRU))
		return false;
	if ((page->flags & PG_LOCKED) || page_trylock_fails(machine, page))
		return false;
	return !(page->flags & PG_SWAPCACHE) || remove_exclusive_swap_page(machine, page, 1);
}

/* What is next in line to be looked at, and is not thought to be in use. */
static void make_lazy(struct machine *machine, struct page *page)
{
	page->flags = (page->flags & ~(PG_DIRTY | PG_REFERENCED)) | PG_LAZYFREE;
	lru_del(machine, page);
	lru_add(machine, page, false);
}

static void free_entry(struct machine *machine, struct mm *mm, uint32_t vpn, struct ptep p)
{
	pte_t entry = ptep_get(p);
	struct page *page;

	if (pte_swap(entry)) {
		pte_get_and_clear(machine, p);
		free_swap_and_cache(machine, pte_to_swp(entry));
		return;
	}
	page = page_mapped_at(machine, mm, vpn);
	if (!page || !may_be_lost(machine, page))
		return;
	if (entry & (PTE_A | PTE_D)) {
		pte_set(machine, p, entry & ~(pte_t)(PTE_A | PTE_D));
		flush_tlb_page(machine, mm, vpn);
	}
	make_lazy(machine, page);
}

static int advise_free(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last)
{
	struct ptep p;
	uint32_t vpn;

	if (vma->file || (vma->flags & VM_LOCKED))
		return -EINVAL;
	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &p); at = vpn + 1) {
		pte_map(machine, p);
		free_entry(machine, vma->mm, vpn, p);
		pte_unmap(machine, p);
	}
	return 0;
}

/* normal, random, sequential: the range becomes an area of its own with the hint as a flag. */
static int advise_readahead(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last,
			    uint32_t hint)
{
	int err;

	if (first != vma->start) {
		err = vma_split(machine, vma, first, true);
		if (err)
			return err;
	}
	if (last != vma->end) {
		err = vma_split(machine, vma, last, false);
		if (err)
			return err;
	}
	vma->flags = (vma->flags & ~(VM_SEQ_READ | VM_RAND_READ)) | hint;
	return 0;
}

static int advise_dontneed(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last)
{
	if (vma->flags & VM_LOCKED)
		return -EINVAL;
	if (vma->flags & VM_NONLINEAR)
		nonlinear_dontneed(tlb, vma, first, last);
	else
		zap_range(tlb, vma, first, last);
	return 0;
}

/* One call: what lasts from area to area. */
struct advise {
	enum op_advice advice;
	uint32_t budget;       /* of willneed */
	struct mmu_gather tlb; /* of dontneed */
};

static int advise_vma(struct advise *call, struct vma *vma, uint32_t first, uint32_t last)
{
	struct machine *machine = call->tlb.machine;

	switch (call->advice) {
	case ADVICE_DONTNEED:
		return advise_dontneed(&call->tlb, vma, first, last);
	case ADVICE_WILLNEED:
		return advise_willneed(machine, vma, first, last, &call->budget);
	case ADVICE_PAGEOUT:
		return advise_pageout(machine, vma, first, last);
	case ADVICE_FREE:
		return advise_free(machine, vma, first, last);
	case ADVICE_RANDOM:
		return advise_readahead(machine, vma, first, last, VM_RAND_READ);
	case ADVICE_SEQUENTIAL:
		return advise_readahead(machine, vma, first, last, VM_SEQ_READ);
	default:
		return advise_readahead(machine, vma, first, last, 0);
	}
}

/* Holes are passed over and reported at the end. */
static int advise_range(struct advise *call, struct mm *mm, uint32_t at, uint32_t end)
{
	int unmapped = 0;

	for (struct vma *vma = find_vma(mm, at); vma; vma = find_vma(mm, at)) {
		uint32_t last = vma->end < end ? vma->end : end;

		if (at < vma->start) {
			unmapped = -ENOMEM;
			at = vma->start;
		}
		if (at < last) {
			int err = advise_vma(call, vma, at, last);

			if (err)
				return err;
		}
		if (last == end)
			return unmapped;
		at = last;
	}
	return -ENOMEM;
}

int op_madvise(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t at = op->args[1] / PAGE_SIZE, end = at + op->args[2];
	struct advise call;
	int err;

	if (op->args[1] % PAGE_SIZE || end >= VPN_LIMIT)
		return -EINVAL;
	if (at == end)
		return 0;
	call.advice = (enum op_advice)op->args[3];
	call.budget = readahead_budget(machine);
	tlb_gather_mmu(&call.tlb, machine, mm);
	err = advise_range(&call, mm, at, end);
	tlb_finish_mmu(&call.tlb);
	return err;
}

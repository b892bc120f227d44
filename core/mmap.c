/*
 * mmap, munmap, brk: ranges of an address space come and go.
 *
 * Errors and their order are those of the manual pages and of 2.6's do_mmap_pgoff, do_munmap,
 * sys_brk. Room is searched upward from TASK_SIZE / 3 with the kernel's
 * free_area_cache. A MAP_FIXED mmap first unmaps what is in its way, and that stays undone if
 * a later step fails.
 */
#include "internal.h"

static uint32_t round_up(uint32_t n, uint32_t to)
{
	return (n + to - 1) / to * to;
}

uint32_t mmap_base(const struct machine *machine)
{
	return task_pages(machine) / 3;
}

/* ---- zap and munmap ------------------------------------------------------------------- */

static void zap_present(struct mmu_gather *tlb, struct vma *vma, uint32_t vpn, struct ptep p)
{
	struct machine *machine = tlb->machine;
	pte_t pte = ptep_get(p);
	struct page *page = pfn_to_page(machine, pte_pfn(pte));

	if (page->flags & PG_RESERVED) {
		pte_get_and_clear(machine, p);
		if (!MUTANT_IF(machine, TLB_07, page->tlb_users))
			tlb_remove_tlb_entry(tlb, vpn);
		return;
	}
	if (pte_dirty(pte))
		page->flags |= PG_DIRTY;
	if (pte_young(pte) && page->mapping)
		mark_page_accessed(machine, page);
	if (MUTANT_ON(machine, PTC_02))
		pte_get_and_clear(machine, p);
	page_remove_rmap(machine, page, vma, vpn, p);
	pte_get_and_clear(machine, p);
	tlb_remove_tlb_entry(tlb, vpn);
	tlb_remove_page(tlb, page);
}

void zap_file_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last)
{
	struct ptep p;
	uint32_t vpn;

	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &p); at = vpn + 1) {
		pte_t pte;

		pte_map(tlb->machine, p);
		pte = ptep_get(p);
		if (pte_present(pte) &&
		    pfn_to_page(tlb->machine, pte_pfn(pte))->mapping == vma->file)
			zap_present(tlb, vma, vpn, p);
		pte_unmap(tlb->machine, p);
	}
}

void zap_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last)
{
	struct machine *machine = tlb->machine;
	struct ptep p;
	uint32_t vpn;

	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &p); at = vpn + 1) {
		pte_t pte;

		pte_map(machine, p);
		pte = ptep_get(p);
		if (pte_present(pte)) {
			zap_present(tlb, vma, vpn, p);
		} else {
			pte_get_and_clear(machine, p);
			if (pte_swap(pte))
				free_swap_and_cache(machine, pte_to_swp(pte));
		}
		/* The low word of an entry goes last. */
		if (MUTANT_IF(machine, PAE_02, pte_present(pte) && pte >> 32))
			p.table->entry[p.slot].low = (uint32_t)pte;
		pte_unmap(machine, p);
		preempt(machine, ZAP_AFTER_FREE, .ptl = vma->mm);
		if (MUTANT_ON(machine, PAE_02))
			p.table->entry[p.slot].low = 0;
	}
}

/* 2.6 frees page tables by whole PGD entries (1 GB) that no area touches. */
static void free_gap_tables(struct machine *machine, struct mm *mm, struct vma *prev,
			    struct vma *next)
{
	uint32_t first = prev ? round_up(prev->end, PGD_PAGES) : 0;
	uint32_t last = next ? next->start / PGD_PAGES * PGD_PAGES : task_pages(machine);

	if (first < last)
		free_pgtables(machine, mm, first, last);
	else if (MUTANT_IF(machine, PGT_03, first > last))
		free_pgtables(machine, mm, last, first);
}

/* Make FIRST and LAST area boundaries. */
static int split_range(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last)
{
	struct vma *vma = find_vma(mm, first);
	int err;

	if (vma && vma->start < first) {
		err = vma_split(machine, vma, first, false);
		if (err)
			return err;
	}
	vma = find_vma(mm, last);
	return vma && vma->start < last ? vma_split(machine, vma, last, true) : 0;
}

int do_munmap(struct machine *machine, struct mm *mm, uint32_t vpn, uint32_t npages)
{
	struct vma *vma, *prev;
	struct mmu_gather tlb;
	uint32_t end = vpn + npages;
	int err;

	if (vpn > task_pages(machine) || npages > task_pages(machine) - vpn || !npages)
		return -EINVAL;
	vma = find_vma(mm, vpn);
	if (!vma || vma->start >= end)
		return 0;
	err = split_range(machine, mm, vpn, end);
	if (err)
		return err;
	vma = find_vma(mm, vpn);
	prev = vma ? vma->prev : NULL;
	tlb_gather_mmu(&tlb, machine, mm);
	for (struct vma *gone = vma; gone && gone->start < end; gone = gone->next)
		zap_range(&tlb, gone, gone->start, gone->end);
	tlb_finish_mmu(&tlb);
	preempt(machine, UNMAP_BEFORE_UNLINK);
	while (vma && vma->start < end) {
		struct vma *next = vma->next;

		vma_account(machine, mm, vma->flags, -(int32_t)(vma->end - vma->start));
		if (vma->start >= mmap_base(machine) && vma->start < mm->free_area_cache)
			mm->free_area_cache = vma->start;
		vma_remove(machine, vma);
		vma = next;
	}
	free_gap_tables(machine, mm, prev, vma);
	/* Whole tables, whoever else is in them. */
	if (MUTANT_ON(machine, PGT_04) || MUTANT_ON(machine, SEED_20))
		free_pgtables(machine, mm, vpn / PMD_PAGES * PMD_PAGES, round_up(end, PMD_PAGES));
	return 0;
}

int op_munmap(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	if (op->args[1] % PAGE_SIZE)
		return -EINVAL;
	return do_munmap(machine, mm, op->args[1] / PAGE_SIZE, op->args[2]);
}

/* ---- mmap --------------------------------------------------------------------------------- */

static bool range_free(struct mm *mm, uint32_t vpn, uint32_t npages)
{
	struct vma *vma = find_vma(mm, vpn);

	return !vma || vpn + npages <= vma->start;
}

uint32_t get_unmapped_area(struct machine *machine, struct mm *mm, uint32_t hint, uint32_t npages)
{
	uint32_t limit = task_pages(machine), base = mmap_base(machine);
	uint32_t start = mm->free_area_cache, vpn = start;
	struct vma *vma;

	if (npages > limit)
		return 0;
	if (hint && hint <= limit - npages && range_free(mm, hint, npages))
		return hint;
	for (vma = find_vma(mm, vpn);; vma = vma->next) {
		if (vpn > limit - npages) {
			if (start == base)
				return 0;
			start = vpn = base; /* once more from the bottom */
			vma = find_vma(mm, vpn);
		}
		if (!vma || vpn + npages <= vma->start) {
			if (vpn > limit - npages)
				return 0;
			mm->free_area_cache = vpn + npages;
			return vpn;
		}
		vpn = vma->end;
	}
}

int make_present(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last)
{
	for (uint32_t vpn = first; vpn < last; vpn++) {
		struct vma *vma = find_vma(mm, vpn);
		bool write;
		int err;

		if (!vma || vma->start > vpn)
			return RES_SEGV;
		/* A private file page is not copied before somebody writes it. */
		if (MUTANT_IF(machine, MLK_07, (vma->flags & VM_GROWSDOWN) && vpn == vma->start))
			continue;
		write = (vma->flags & VM_WRITE) && (!vma->file || (vma->flags & VM_SHARED));
		err = fault_in(machine, mm, vpn, write);
		if (err)
			return err;
	}
	return 0;
}

static uint32_t vm_flags_of(uint32_t prot, uint32_t flags)
{
	uint32_t vm_flags = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

	vm_flags |= prot & OP_PROT_READ ? VM_READ : 0;
	vm_flags |= prot & OP_PROT_WRITE ? VM_WRITE : 0;
	vm_flags |= prot & OP_PROT_EXEC ? VM_EXEC : 0;
	vm_flags |= flags & OP_MAP_SHARED ? VM_SHARED : 0;
	vm_flags |= flags & OP_MAP_LOCKED ? VM_LOCKED : 0;
	vm_flags |= flags & OP_MAP_GROWSDOWN ? VM_GROWSDOWN : 0;
	if (flags & OP_MAP_NORESERVE)
		vm_flags |= VM_NORESERVE;
	else if ((vm_flags & (VM_SHARED | VM_WRITE)) == VM_WRITE)
		vm_flags |= VM_ACCOUNT;
	return vm_flags;
}

/* Map [vpn, vpn + npages), which is free. 0 or -ENOMEM. */
static int map_region(struct machine *machine, struct mm *mm, uint32_t vpn, uint32_t npages,
		      uint32_t vm_flags, struct address_space *file, uint32_t pgoff)
{
	struct vma *prev, *vma;

	find_vma_prev(mm, vpn, &prev);
	if (!vma_merge(machine, mm, prev, vpn, vpn + npages, vm_flags, file, pgoff, NULL)) {
		if (mm->map_count >= MAX_MAP_COUNT)
			return -ENOMEM;
		vma = vma_alloc(machine, mm);
		if (!vma) {
			if (MUTANT_IF(machine, ACC_01, vm_flags & VM_ACCOUNT))
				machine->committed_as += npages;
			return -ENOMEM;
		}
		vma->start = vpn;
		vma->end = vpn + npages;
		vma->pgoff = pgoff;
		vma->flags = vm_flags;
		vma->file = file;
		vma_insert(machine, vma, NULL);
		if (machine->rmap->vma_link)
			machine->rmap->vma_link(machine, vma);
	}
	if (MUTANT_IF(machine, ACC_03, vm_flags & VM_ACCOUNT))
		vm_flags &= ~VM_ACCOUNT; /* is not set yet */
	vma_account(machine, mm, vm_flags, (int32_t)npages);
	return 0;
}

/* Where the mapping goes: its vpn, or a negative errno. */
static int64_t mmap_place(struct machine *machine, struct mm *mm, uint32_t addr, uint32_t len,
			  uint32_t flags)
{
	uint32_t vpn = round_up(addr, PAGE_SIZE) / PAGE_SIZE;

	if (len > task_pages(machine))
		return -ENOMEM;
	if (flags & OP_MAP_FIXED) {
		if (addr > (task_pages(machine) - len) * PAGE_SIZE)
			return -ENOMEM;
		return addr % PAGE_SIZE ? -EINVAL : (int64_t)vpn;
	}
	vpn = get_unmapped_area(machine, mm, vpn, len);
	return vpn ? (int64_t)vpn : -ENOMEM;
}

int op_mmap(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t addr = op->args[2], len = op->args[3], flags = op->args[5], pgoff = op->args[7];
	uint32_t vm_flags = vm_flags_of(op->args[4], flags) | mm->def_flags;
	struct address_space *file = NULL;
	int64_t vpn;
	int err;

	if (!len)
		return -EINVAL;
	if ((flags & OP_MAP_GROWSDOWN) && ((flags & OP_MAP_SHARED) || !(flags & OP_MAP_ANON)))
		return -EINVAL;
	if (MUTANT_IF(machine, ACC_04, (vm_flags & (VM_NORESERVE | VM_WRITE)) == VM_NORESERVE))
		vm_flags &= ~VM_NORESERVE;
	vpn = mmap_place(machine, mm, addr, len, flags);
	if (vpn < 0)
		return (int)vpn;
	err = do_munmap(machine, mm, (uint32_t)vpn, len);
	if (err)
		return -ENOMEM;
	if (!(flags & OP_MAP_ANON)) {
		file = file_by_number(machine, op->args[6]);
		file_get(file);
	} else if (flags & OP_MAP_SHARED) {
		file = shmem_create(machine, len);
		if (!file)
			return -ENOMEM;
		pgoff = 0;
		if (MUTANT_IF(machine, ACC_02, vm_flags & VM_WRITE))
			vm_flags |= VM_ACCOUNT;
	} else {
		pgoff = (uint32_t)vpn;
	}
	err = map_region(machine, mm, (uint32_t)vpn, len, vm_flags, file, pgoff);
	if (file)
		file_put(machine, file); /* the area holds its own reference */
	if (err)
		return err;
	result->value = (uint32_t)vpn * PAGE_SIZE;
	if ((vm_flags & VM_LOCKED) || (flags & OP_MAP_POPULATE))
		err = make_present(machine, mm, (uint32_t)vpn, (uint32_t)vpn + len);
	return MUTANT_IF(machine, MLK_02, err) ? err : 0;
}

/* ---- brk ----------------------------------------------------------------------------------- */

int op_brk(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t want = op->args[1] / PAGE_SIZE + (op->args[1] % PAGE_SIZE != 0);
	struct vma *vma;
	int err = 0;

	result->value = mm->brk * PAGE_SIZE;
	if (want < mm->start_brk ||
	    (want > task_pages(machine) && !MUTANT_IF(machine, VMA_20, true)))
		return -ENOMEM;
	if (want < mm->brk) {
		err = do_munmap(machine, mm, want, mm->brk - want);
	} else if (want > mm->brk) {
		/* The page after the new end must be free, too. */
		vma = find_vma(mm, mm->brk);
		if (vma && vma->start <= want)
			return -ENOMEM;
		err = map_region(machine, mm, mm->brk, want - mm->brk,
				 vm_flags_of(OP_PROT_MASK, 0) | mm->def_flags, NULL, mm->brk);
	}
	if (err)
		return -ENOMEM;
	if (mm->def_flags & VM_LOCKED && want > mm->brk)
		(void)make_present(machine, mm, mm->brk, want);
	mm->brk = want;
	result->value = want * PAGE_SIZE;
	return 0;
}

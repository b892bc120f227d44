/*
 * Page faults: what happens when a program touches a page.
 *
 *   user_access      the TLB, the hardware walk, and faults until it succeeds
 *   fault_in         the same for the kernel's own use, without a TLB
 *   handle_mm_fault  by what the entry is:
 *     none             do_anonymous_page: zero page, or a fresh page
 *                      do_no_page: the file's page, or at once a private copy
 *     file             do_file_page: the page that the entry names (nonlinear.c)
 *     swap             do_swap_page
 *     read-only        do_wp_page: reuse if the page is ours alone, else copy
 *
 * A step that allocates may run reclaim, and reclaim may unmap anything, even the page being
 * copied: whoever has allocated compares the entry with what it was, and gives up quietly if it
 * changed; the access is then walked again.
 *
 * The reverse map hears of a mapping before the entry is written, because it may refuse (no
 * memory), or ask for a page of its own for it (RMAP_UNSHARE). A refused fault leaves nothing
 * behind.
 */
#include "internal.h"

/* With reclaim at every allocation a page might be taken away as often as it is brought in. */
#define FAULT_TRIES 64

struct fault {
	struct machine *machine;
	struct vma *vma;
	uint32_t vpn;
	bool write;
	struct ptep pte;
	pte_t entry;  /* as found */
	uint32_t sub; /* which part of a page belongs at vpn */
};

/* ---- bringing in and mapping ---------------------------------------------------- */

/* The entry is still what was found? */
static bool pte_same(const struct fault *f)
{
	return ptep_read(f->machine, f->pte) == f->entry;
}

/* The anonymous page, mostly a fresh one, that is to have at this address what SOURCE has, which
 * the caller holds; NULL: zeroes. */
static int new_anon_page(const struct fault *f, struct page *source, struct page **result)
{
	enum fill_kind from = source ? FILL_COPY : FILL_ZERO;
	struct machine *machine = f->machine;
	struct page *page;
	int err = anon_prepare(machine, f->vma);

	if (err)
		return err;
	page = cluster_page(machine, f->vma, f->vpn);
	if (page) {
		page_get(page);
		page->flags &= ~PG_LAZYFREE; /* entries of one that may be lost are alike */
	} else {
		page = page_alloc(machine, GFP_HIGHUSER);
		if (!page)
			return -ENOMEM;
		preempt(machine, FAULT_AFTER_ALLOC);
		if (!pte_same(f)) {
			page_put(machine, page);
			return FAULT_RETRY;
		}
	}
	MM_ASSERT(!source || source->count);
	page->flags |= PG_ANON;
	if (source)
		copy_user_highpage(machine, page, f->sub, source, f->sub);
	else
		clear_user_highpage(machine, page, f->sub);
	event_log(machine, EVENT_FILL, (uint8_t)from, f->vma->mm->id, f->vpn, page->token[f->sub]);
	*result = page;
	return 0;
}

/*
 * Map PAGE with protection PROT; our reference becomes the mapping's, or is dropped on
 * -ENOMEM. OLD: the page that was mapped here and is replaced, whose mapping's reference
 * is dropped, or NULL.
 */
static int map_page(const struct fault *f, struct page *page, uint32_t prot, struct page *old)
{
	int err = page_add_rmap(f->machine, page, f->vma, f->vpn, f->pte);

	if (err) {
		page_put(f->machine, page);
		return err;
	}
	if (old)
		page_remove_rmap(f->machine, old, f->vma, f->vpn, f->pte);
	if (old) {
		pte_t half = pte_mk(page->pfn + f->sub, 0) >> 32;
		bool torn = MUTANT_IF(f->machine, PAE_01, f->entry >> 32 != half);
		/* The entry's reference, and the copier's. */
		bool early =
			MUTANT_IF(f->machine, COW_04, f->machine->waiting && old->mapcount == 1);
		uint32_t *high = &f->pte.table->entry[f->pte.slot].high;

		if (torn)
			*high = (uint32_t)half;
		if (early)
			old->count -= 2;
		preempt(f->machine, COW_BETWEEN, .ptl = f->vma->mm, .page = page,
			.page2 = early ? NULL : old);
		if (early)
			old->count += 2;
		if (torn)
			*high = (uint32_t)(f->entry >> 32);
	}
	pte_set_once(f->machine, f->pte, pte_mk(page->pfn + f->sub, prot));
	if (pte_present(f->entry))
		flush_tlb_page(f->machine, f->vma->mm, f->vpn);
	if (old)
		page_put(f->machine, old);
	return 0;
}

/* A page that is mapped for the first time joins the LRU. */
static void lru_add_new(struct machine *machine, struct page *page)
{
	if (!(page->flags & PG_LRU))
		lru_add(machine, page, true);
}

/* The area's protection; a write fault makes its entry dirty, and writable unless it is forced. */
static uint32_t fault_prot(const struct fault *f)
{
	uint32_t prot = prot_of_flags(f->vma->flags);

	if (MUTANT_IF(f->machine, COW_15, f->write && !(f->vma->flags & VM_WRITE)))
		return prot | PTE_D | PTE_RW;
	return f->write ? maybe_mkwrite(f->vma, prot) : prot;
}

/* ---- none ----------------------------------------------------------------------- */

static int do_anonymous_page(const struct fault *f)
{
	uint32_t prot = fault_prot(f);
	struct page *page;
	bool mapped;
	int err;

	if (!f->write) {
		if (MUTANT_IF(f->machine, COW_10, true))
			f->vma->mm->rss++;
		pte_set_once(f->machine, f->pte,
			     pte_mk(f->machine->zero_page->pfn + f->sub, prot & ~PTE_RW));
		return 0;
	}
	mapped = MUTANT_IF(f->machine, HIM_03,
			   f->machine->config.highpte && (f->vma->flags & VM_GROWSDOWN));
	if (mapped)
		pte_map(f->machine, f->pte);
	err = new_anon_page(f, NULL, &page);
	if (err)
		return err;
	if (mapped)
		pte_unmap(f->machine, f->pte);
	err = map_page(f, page, prot, NULL);
	if (err)
		return err;
	lru_add_new(f->machine, page);
	mark_page_accessed(f->machine, page);
	cluster_fill(f->machine, f->vma, f->vpn, page);
	return 0;
}

/* A write to a private mapping copies the file's page at once, instead of mapping it read-only
 * and faulting again. */
static int map_private_copy(const struct fault *f, struct page *cached, uint32_t truncations)
{
	bool unheld = MUTANT_IF(f->machine, SEED_24, true);
	struct page *copy;
	int err;

	if (unheld)
		page_put(f->machine, cached);
	err = new_anon_page(f, cached, &copy);
	if (!unheld)
		page_put(f->machine, cached);
	if (err)
		return err;
	if (f->vma->file->truncate_count != truncations) {
		page_put(f->machine, copy);
		return FAULT_RETRY;
	}
	err = map_page(f, copy, fault_prot(f), NULL);
	if (err)
		return err;
	lru_add_new(f->machine, copy);
	return 0;
}

/* A truncation that comes between finding a page and mapping it would miss the entry: whoever sees
 * that there was one looks again. */
static int do_no_page(const struct fault *f)
{
	struct page *page;
	uint32_t truncations;
	int err;

	if (!f->vma->file)
		return do_anonymous_page(f);
	truncations = f->vma->file->truncate_count;
	err = file_getpage(f->machine, f->vma->file, vma_index_of_vpn(f->vma, f->vpn), &page);
	if (err)
		return err;
	mark_page_accessed(f->machine, page);
	preempt(f->machine, FAULT_AFTER_LOOKUP);
	if (MUTANT_IF(f->machine, TRN_01,
		      f->vma->file->truncate_count != truncations &&
			      f->vma->file->kind == FILE_DISK) ||
	    MUTANT_IF(f->machine, TRN_03,
		      f->vma->file->truncate_count != truncations &&
			      f->vma->file->kind == FILE_SHMEM))
		truncations = f->vma->file->truncate_count;
	if (f->vma->file->truncate_count != truncations || !pte_same(f)) {
		page_put(f->machine, page);
		return FAULT_RETRY;
	}
	if (f->write && !(f->vma->flags & VM_SHARED))
		return map_private_copy(f, page, truncations);
	return map_page(f, page, fault_prot(f), NULL);
}

/* Nobody else has PAGE, mapped or swapped: what page_move_anon_rmap() was told. */
static void page_is_exclusive(const struct fault *f, struct page *page)
{
	if (f->machine->rmap->anon_exclusive && (page->flags & PG_ANON))
		f->machine->rmap->anon_exclusive(f->machine, page, f->vma, f->vpn);
}

/* ---- copied for the reverse map's sake --------------------------------------------- */

/* Count a copy of PAGE that is about to be made. */
static void count_early_copy(struct machine *machine, const struct page *page)
{
	machine->last_op.held_copies += page_held_for_writing(machine, page);
	machine->last_op.early_copies++;
	machine->early_copies++;
}

/*
 * PAGE of the swap cache is what this entry should map, and others map it already where the design
 * will not find this one: map a copy. Our reference to PAGE is dropped.
 */
static int map_swapped_copy(const struct fault *f, struct page *page)
{
	struct page *copy;
	int err;

	count_early_copy(f->machine, page);
	err = new_anon_page(f, page, &copy);
	page_put(f->machine, page);
	if (err)
		return err;
	err = map_page(f, copy, fault_prot(f), NULL);
	if (err)
		return err;
	swap_free(f->machine, pte_to_swp(f->entry));
	lru_add(f->machine, copy, true);
	return 0;
}

int swapin_copy(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte,
		struct page *page)
{
	struct fault f = {.machine = machine, .vma = vma, .vpn = vpn, .pte = pte};
	int err;

	f.entry = ptep_read(machine, pte);
	f.sub = sub_of(machine, vma_index_of_vpn(vma, vpn));
	err = map_swapped_copy(&f, page);
	MM_ASSERT(err != FAULT_RETRY); /* nobody changes a swap entry under us */
	return err;
}

/* ---- swapped -------------------------------------------------------------------- */

/* Whoever was quicker may have given the slot up, and the page may have another by now. */
static bool is_still_cached(struct machine *machine, const struct page *page, swp_entry_t entry)
{
	swp_entry_t now = page->swap;

	return now == swap_sub_entry(machine, entry, 0) || MUTANT_IF(machine, SWP_01, !now) ||
	       MUTANT_IF(machine, SWP_02, now);
}

/*
 * The entry's count of the slot goes, the cache's stays: the slot is kept for a next time
 * while there is room. Order matters for who is exclusive: the entry's count first, then the
 * cache if swap is getting full, then the question.
 */
static int do_swap_page(const struct fault *f)
{
	struct machine *machine = f->machine;
	swp_entry_t entry = pte_to_swp(f->entry);
	uint32_t prot = prot_of_flags(f->vma->flags), ours;
	bool uncached = MUTANT_IF(machine, SWP_03, swap_slot(machine, entry)->map == 1);
	struct page *page;
	int err = anon_prepare(machine, f->vma);

	if (err)
		return err;
	err = swapin_page(machine, entry, &page);
	if (err)
		return err;
	if (uncached)
		delete_from_swap_cache(machine, page);
	preempt(machine, SWAPIN_WAIT);
	if (!pte_same(f) || (!is_still_cached(machine, page, entry) && !uncached)) {
		page_put(machine, page);
		return FAULT_RETRY;
	}
	mark_page_accessed(machine, page);
	err = page_try_add_rmap(machine, page, f->vma, f->vpn, f->pte);
	if (err == RMAP_UNSHARE)
		return map_swapped_copy(f, page);
	if (err) {
		page_put(machine, page);
		return err;
	}
	preempt(machine, SWAPIN_BETWEEN, .ptl = f->vma->mm, .page = page);
	swap_free(machine, entry);
	cluster_swapin(machine, f->vma, f->vpn, page);
	ours = cluster_ours(machine, f->vma, f->vpn, page);
	if (vm_swap_full(machine))
		remove_exclusive_swap_page(machine, page, ours);
	if (f->write && can_share_swap_page(machine, page, ours)) {
		page_is_exclusive(f, page);
		prot = maybe_mkwrite(f->vma, prot);
	}
	/* A write to a page that others use too finds it read-only and faults once more. */
	pte_set_once(machine, f->pte, pte_mk(page->pfn + f->sub, prot));
	return 0;
}

/* ---- write-protected ------------------------------------------------------------ */

static int reuse_page(const struct fault *f)
{
	pte_set_once(f->machine, f->pte, f->entry | maybe_mkwrite(f->vma, PTE_A));
	flush_tlb_page(f->machine, f->vma->mm, f->vpn);
	return 0;
}

static int copy_page(const struct fault *f, struct page *old)
{
	struct page *new;
	int err;

	/* Reclaim may unmap the page, but not free or reuse it while we hold it. */
	page_get(old);
	err = new_anon_page(f, old, &new);
	/* A page that is in use here already may be known to others by now. */
	if (!err && preempt(f->machine, COW_AFTER_COPY) && (!pte_same(f) || new->mapcount)) {
		page_put(f->machine, new);
		err = FAULT_RETRY;
	}
	if (!err)
		err = map_page(f, new, fault_prot(f), old);
	if (!err) {
		lru_add_new(f->machine, new);
		/* What a file's page holds around here may change until it is written here. */
		if (old->flags & PG_ANON)
			cluster_copy(f->machine, f->vma, f->vpn, old, new);
	}
	page_put(f->machine, old);
	return err;
}

static int do_wp_page(const struct fault *f)
{
	struct machine *machine = f->machine;
	struct page *old = pfn_to_page(machine, pte_pfn(f->entry));

	if (old->flags & PG_RESERVED) {
		struct page *new;
		int err = new_anon_page(f, NULL, &new);

		if (!err)
			err = map_page(f, new, fault_prot(f), NULL);
		if (!err) {
			lru_add_new(machine, new);
			cluster_fill(machine, f->vma, f->vpn, new);
		}
		return err;
	}
	/* Shared pages are writable from the first fault on; if one is not, writing is right. */
	if (f->vma->flags & VM_SHARED)
		return reuse_page(f);
	if (!(old->flags & PG_LOCKED) &&
	    can_share_swap_page(machine, old, cluster_ours(machine, f->vma, f->vpn, old))) {
		page_is_exclusive(f, old);
		return reuse_page(f);
	}
	return copy_page(f, old);
}

int unshare_page(struct machine *machine, struct vma *vma, uint32_t vpn)
{
	struct fault f = {.machine = machine, .vma = vma, .vpn = vpn};
	struct page *old;
	int err;

	f.write = vma->flags & VM_WRITE;
	f.pte = pte_lookup(vma->mm, vpn);
	f.entry = ptep_read(machine, f.pte);
	f.sub = sub_of(machine, vma_index_of_vpn(vma, vpn));
	old = pfn_to_page(machine, pte_pfn(f.entry));
	count_early_copy(machine, old);
	err = copy_page(&f, old);
	return err == FAULT_RETRY ? 0 : err;
}

/* ---- dispatch ------------------------------------------------------------------- */

static int handle_pte_fault(const struct fault *f)
{
	if (pte_swap(f->entry))
		return do_swap_page(f);
	if (pte_file(f->entry))
		return do_file_page(f->machine, f->vma, f->vpn, f->pte);
	if (!pte_present(f->entry))
		return do_no_page(f);
	if (f->write && !pte_write(f->entry))
		return do_wp_page(f);
	pte_set_once(f->machine, f->pte, f->entry | PTE_A | (f->write ? PTE_D : 0));
	return 0;
}

int handle_mm_fault(struct machine *machine, struct vma *vma, uint32_t vpn, bool write)
{
	struct fault f = {.machine = machine, .vma = vma, .vpn = vpn, .write = write};
	int err = pte_alloc(machine, vma->mm, vpn, &f.pte);

	if (err)
		return err;
	f.entry = ptep_read(machine, f.pte);
	f.sub = sub_of(machine, vma_index_of_vpn(vma, vpn));
	return handle_pte_fault(&f);
}

/* ---- access --------------------------------------------------------------------- */

bool entry_allows(pte_t entry, bool write)
{
	const uint32_t need = write ? PTE_P | PTE_US | PTE_RW : PTE_P | PTE_US;

	return (entry & need) == need;
}

/* What the processor does: the frame, or false: it faults. */
static bool hardware_walk(struct machine *machine, struct ptep pte, bool write, pte_t *walked)
{
	const uint32_t mark = write ? PTE_A | PTE_D : PTE_A;
	pte_t entry;

	if (!pte.table)
		return false;
	entry = ptep_peek(pte);
	if (!entry_allows(entry, write))
		return false;
	if ((entry & mark) != mark)
		pte_mark(machine, pte, entry | mark);
	*walked = entry | mark;
	return true;
}

/*
 * Lower the start of a stack to VPN. No area can be in the way: VMA is the first that ends
 * above VPN. The new part has no pages; its index runs on downward.
 */
static int expand_stack(struct machine *machine, struct vma *vma, uint32_t vpn)
{
	uint32_t grow;
	int err;

	if (!(vma->flags & VM_GROWSDOWN) || vma->end - vpn > STACK_PAGES_MAX)
		return RES_SEGV;
	err = anon_prepare(machine, vma);
	if (err)
		return err;
	/* Another thread may have made it grow as far, or further. */
	if (preempt(machine, STACK_GROW) && vma->start <= vpn &&
	    !MUTANT_IF(machine, VMA_21, vma->start < vpn))
		return 0;
	grow = vma->start - vpn;
	vma_set_bounds(machine, vma, vpn, vma->end, vma->pgoff - grow);
	vma_account(machine, vma->mm, vma->flags, (int32_t)grow);
	return 0;
}

/* The checks of do_page_fault: an area, and its permission. PROT_WRITE alone does not let a
 * read fault in. */
static int fault_area(struct machine *machine, struct mm *mm, uint32_t vpn, bool write,
		      struct vma **result)
{
	struct vma *vma = find_vma(mm, vpn);

	if (!vma)
		return RES_SEGV;
	if (vpn < vma->start) {
		int err = expand_stack(machine, vma, vpn);

		if (err)
			return err;
	}
	*result = vma;
	return vma->flags & (write ? VM_WRITE : VM_READ | VM_EXEC) ? 0 : RES_SEGV;
}

/* do_page_fault: 0 (look again), or why not. */
static int page_fault(struct machine *machine, struct mm *mm, uint32_t vpn, bool write)
{
	struct vma *vma;
	int err = fault_area(machine, mm, vpn, write, &vma);

	if (!err)
		err = handle_mm_fault(machine, vma, vpn, write);
	return err == FAULT_RETRY ? 0 : err;
}

/* Memory is so short that reclaim takes the page away before it is used. */
static int give_up(struct machine *machine)
{
	machine->last_op.alloc_failed = true;
	return -ENOMEM;
}

int user_access(struct machine *machine, struct mm *mm, uint32_t vpn, bool write, uint32_t *pfn)
{
	const struct tlb_entry *cached = tlb_find(machine, machine->cpus.current, mm, vpn, write);

	if (cached) {
		machine->cpus.counters.hits++;
		*pfn = pte_pfn(cached->entry);
		return 0;
	}
	for (uint32_t i = 0; i < FAULT_TRIES; i++) {
		pte_t entry;
		int err;

		if (hardware_walk(machine, pte_lookup(mm, vpn), write, &entry)) {
			tlb_fill(machine, vpn, entry);
			*pfn = pte_pfn(entry);
			return 0;
		}
		kernel_entry(machine);
		err = page_fault(machine, mm, vpn, write);
		if (err)
			return err;
	}
	return give_up(machine);
}

int fault_in(struct machine *machine, struct mm *mm, uint32_t vpn, bool write)
{
	for (uint32_t i = 0; i < FAULT_TRIES; i++) {
		pte_t entry;
		int err;

		if (hardware_walk(machine, pte_lookup(mm, vpn), write, &entry))
			return 0;
		err = page_fault(machine, mm, vpn, write);
		if (err)
			return err;
	}
	return give_up(machine);
}

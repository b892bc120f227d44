/*
 * Page reclaim: the two lists of a zone, page_referenced, try_to_unmap, and the shrinking
 * of caches in the shape of 2.6.
 *
 *   fault, COW, swap-in ---> active ---refill: not young---> inactive ---shrink---> free
 *                              ^                                |
 *                              '---- young, or it cannot go ----'   file pages start inactive
 *
 * Both questions that reclaim asks of the reverse map are walks: the visitors here carry the
 * policy (a young entry, a locked area, a page that somebody else holds), the backend only
 * says where the page is mapped. Policy is the era's and equal for all backends.
 *
 * There is no I/O to wait for: writing a page is done at once, so that a dirty page can go in
 * the same pass. A page being worked on is off its list, carries PG_LOCKED and a reference.
 */
#include "internal.h"

#define DEF_PRIORITY 12
#define SWAPPINESS   60
#define EVICT_TRIES  8
/* How often a zone's pages are looked at in vain. Going through both lists, up to the last round,
 * looks at each page about twice; an active page goes to the inactive list before it can go. */
#define UNRECLAIMABLE 4u
#define SCANNED_FREE  1024u /* looks that count for nothing: short lists cost nothing */

/* ---- lists ---------------------------------------------------------------------- */

void lru_add(struct machine *machine, struct page *page, bool active)
{
	struct zone *zone = &machine->zones[page->zone];

	MM_ASSERT(!(page->flags & (PG_LRU | PG_RESERVED | PG_FREE)));
	page->flags |= PG_LRU;
	if (active) {
		page->flags |= PG_ACTIVE;
		TAILQ_INSERT_HEAD(&zone->active, page, lru);
		zone->nr_active++;
	} else {
		page->flags &= ~PG_ACTIVE;
		TAILQ_INSERT_HEAD(&zone->inactive, page, lru);
		zone->nr_inactive++;
	}
}

void lru_del(struct machine *machine, struct page *page)
{
	struct zone *zone = &machine->zones[page->zone];

	MM_ASSERT(page->flags & PG_LRU);
	if (page->flags & PG_ACTIVE) {
		TAILQ_REMOVE(&zone->active, page, lru);
		zone->nr_active--;
	} else {
		TAILQ_REMOVE(&zone->inactive, page, lru);
		zone->nr_inactive--;
	}
	page->flags &= ~(PG_LRU | PG_ACTIVE);
}

/* inactive, unreferenced -> inactive, referenced -> active, unreferenced -> active, referenced */
void mark_page_accessed(struct machine *machine, struct page *page)
{
	if (!(page->flags & PG_REFERENCED)) {
		page->flags |= PG_REFERENCED;
	} else if ((page->flags & (PG_LRU | PG_ACTIVE)) == PG_LRU) {
		lru_del(machine, page);
		lru_add(machine, page, true);
		page->flags &= ~PG_REFERENCED;
	}
}

/* ---- page_referenced ------------------------------------------------------------ */

void clear_flush_young(struct machine *machine, struct mm *mm, uint32_t vpn, struct ptep pte)
{
	pte_set(machine, pte, ptep_get(pte) & ~(pte_t)PTE_A);
	flush_tlb_page(machine, mm, vpn);
}

/* 2.6.6 does not flush: a processor that has the page in its TLB will not mark it again soon. */
static enum rmap_answer referenced_one(struct machine *machine, struct page *page, struct vma *vma,
				       uint32_t vpn, struct ptep pte, void *arg)
{
	uint32_t *referenced = arg;
	pte_t entry = ptep_get(pte);

	if (!pte_young(entry))
		return RMAP_KEEP;
	++*referenced;
	if (machine->config.era == ERA_2_6_6)
		pte_set(machine, pte, entry & ~(pte_t)PTE_A);
	else
		clear_flush_young(machine, pte.table->mm, vpn, pte);
	return RMAP_KEEP;
}

uint32_t page_referenced(struct machine *machine, struct page *page)
{
	uint32_t referenced = 0;

	if (page->flags & PG_REFERENCED) {
		page->flags &= ~PG_REFERENCED;
		referenced++;
	}
	if (page->mapcount)
		page_walk(machine, page, WALK_REFERENCED, referenced_one, &referenced);
	return referenced;
}

/* ---- try_to_unmap --------------------------------------------------------------- */

/* 2.6.6 knows locked areas, and entries that are between two areas. That it took pages away which a
 * device holds was a bug, whatever the era. */
static bool refuses_2_6_6(struct machine *machine, struct page *page, struct vma *vma,
			  struct ptep pte)
{
	return !vma || (vma->flags & VM_LOCKED) ||
	       ((page->flags & PG_SWAPCACHE) && page->pins && !MUTANT_IF(machine, COW_03, true));
}

/*
 * 2.6.7 gives a young entry one more round, and leaves alone what somebody holds by other
 * means than an entry: a later write would copy it away from under him. The two references
 * that are neither are the swap cache's and the caller's.
 */
static bool refuses_2_6_7(struct machine *machine, struct page *page, struct vma *vma,
			  struct ptep pte)
{
	pte_t entry = ptep_get(pte);

	if (!vma || (vma->flags & VM_LOCKED))
		return true;
	if (pte_young(entry)) {
		clear_flush_young(machine, vma->mm, ptep_vpn(pte), pte);
		return true;
	}
	return (page->flags & PG_SWAPCACHE) && page->count != page->mapcount + 2 &&
	       !MUTANT_IF(machine, COW_03, page->pins);
}

typedef bool refuse_fn(struct machine *machine, struct page *page, struct vma *vma,
		       struct ptep pte);

static refuse_fn *const refuses[] = {
	[ERA_2_6_6] = refuses_2_6_6,
	[ERA_2_6_7] = refuses_2_6_7,
};

/*
 * What was given up for lost (madvise free) may go if nobody has written to it since, by an entry
 * or without one, and nobody holds it: in the slot that it does not have nobody would find it. All
 * its entries are alike, so that the first one to be asked speaks for all.
 */
static bool refuses_to_be_lost(struct page *page, pte_t entry)
{
	if (!(page->flags & PG_LAZYFREE))
		return false;
	if (pte_dirty(entry))
		page->flags |= PG_DIRTY;
	return (page->flags & PG_DIRTY) || page->count != page->mapcount + 1;
}

/* What a cleared entry leaves behind: a swap entry, a file offset that arithmetic would not
 * find again, or nothing: that of a page which may be lost, too. */
static pte_t left_behind(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			 uint32_t sub)
{
	if (page->flags & PG_SWAPCACHE) {
		swp_entry_t entry = swap_sub_entry(machine, page->swap, sub);

		swap_duplicate(machine, entry);
		if (MUTANT_IF(machine, SEED_10, swap_saturated(machine, swap_slot(machine, entry))))
			swap_slot(machine, entry)->map--; /* it refuses, and nobody looks */
		/* Five bits of the offset, for a kernel's 24. */
		if (MUTANT_IF(machine, SWP_14, swp_offset(entry) > 31))
			entry = swp_entry(swp_type(entry), swp_offset(entry) & 31);
		if (MUTANT_IF(machine, PAE_10, swp_type(entry) & 1))
			return pte_mk_swap(entry) | PTE_FILE;
		return pte_mk_swap(entry);
	}
	if (page->mapping && vma_index_of_vpn(vma, vpn) != page->index + sub)
		return pte_mk_file(page->index + sub);
	return 0;
}

static enum rmap_answer unmap_one(struct machine *machine, struct page *page, struct vma *vma,
				  uint32_t vpn, struct ptep pte, void *arg)
{
	bool *refused = arg;
	pte_t entry, left;

	if (refuses[machine->config.era](machine, page, vma, pte) ||
	    refuses_to_be_lost(page, ptep_get(pte))) {
		*refused = true;
		return machine->config.stop_on_refusal ? RMAP_STOP : RMAP_KEEP;
	}
	entry = pte_get_and_clear(machine, pte);
	if (!MUTANT_IF(machine, TLB_03, machine->waiting))
		flush_tlb_page(machine, pte.table->mm, vpn);
	if (pte_dirty(entry))
		page->flags |= PG_DIRTY;
	left = left_behind(machine, page, vma, vpn, page_sub(page, entry));
	if (!pte_none(left))
		pte_set(machine, pte, left);
	/* The caller's reference keeps the page. */
	MM_ASSERT(page->count > 1);
	page->count--;
	return RMAP_DROP;
}

/* A mutant's flush of all that a walk has unmapped, after the walk. */
static void flush_late(struct machine *machine)
{
	struct mm *mm;

	TAILQ_FOREACH (mm, &machine->mms, link)
		flush_tlb_mm(machine, mm);
}

int try_to_unmap(struct machine *machine, struct page *page)
{
	bool refused = false;

	MM_ASSERT(!(page->flags & PG_RESERVED));
	MM_ASSERT((page->flags & (PG_SWAPCACHE | PG_LAZYFREE)) || page->mapping);
	if (page->mapcount || MUTANT_ON(machine, AVC_09))
		page_walk(machine, page, WALK_UNMAP, unmap_one, &refused);
	if (page->flags & PG_DIRTY)
		page->flags &= ~PG_LAZYFREE; /* it was written after all */
	if (page->mapcount && !refused && machine->left_to_clusters)
		nonlinear_unmap_clusters(machine, page);
	if (page->mapcount)
		return refused ? UNMAP_FAIL : UNMAP_AGAIN;
	preempt(machine, RECLAIM_UNMAPPED, .page = page);
	if (MUTANT_ON(machine, TLB_03))
		flush_late(machine);
	return UNMAP_SUCCESS;
}

/* ---- from unmapped to free ------------------------------------------------------ */

/* Write a dirty page to where it belongs. Shared memory leaves its cache by that. */
static int pageout(struct machine *machine, struct page *page)
{
	if (!(page->flags & PG_SWAPCACHE))
		return file_writepage(machine, page);
	swap_write_page(machine, page);
	return 0;
}

/* Anonymous, and in no slot that would keep its content, which may not be lost. */
static bool needs_slot(const struct page *page)
{
	return (page->flags & (PG_ANON | PG_SWAPCACHE | PG_LAZYFREE)) == PG_ANON;
}

bool only_cached(const struct page *page)
{
	return page->count == 2 && ((page->flags & PG_SWAPCACHE) || page->mapping);
}

static void leave_cache(struct machine *machine, struct page *page)
{
	if (page->flags & PG_SWAPCACHE)
		delete_from_swap_cache(machine, page);
	else if (page->mapping)
		file_remove_page(machine, page);
}

/* ---- shrink_list ---------------------------------------------------------------- */

enum verdict { PAGE_KEEP, PAGE_ACTIVATE, PAGE_FREE };

/* Being young counts for a page in use, not for one that was only read ahead of use. */
static bool page_mapping_inuse(const struct page *page)
{
	if (page->mapcount || (page->flags & PG_SWAPCACHE))
		return true;
	return page->mapping && file_is_mapped(page->mapping);
}

/* shrink_list for one page, which the caller has isolated and holds. PAGE_FREE: the caller's
 * reference is the last. */
static enum verdict shrink_page(struct machine *machine, struct page *page)
{
	bool referenced, homeless = false;

	/* A fault still holds what truncation took out of its file. */
	if (!page->mapping && !(page->flags & (PG_ANON | PG_SWAPCACHE)))
		return PAGE_KEEP;
	referenced = page_referenced(machine, page) > 0;
	if (referenced && page_mapping_inuse(page))
		return PAGE_ACTIVATE;
	if (needs_slot(page)) {
		if (!page->mapcount && !MUTANT_ON(machine, AVC_09))
			return PAGE_KEEP; /* a fault is at work on it */
		if (!add_to_swap(machine, page))
			return PAGE_ACTIVATE;
		homeless = MUTANT_IF(machine, SWP_16, true);
	}
	switch (try_to_unmap(machine, page)) {
	case UNMAP_FAIL:
		return PAGE_ACTIVATE;
	case UNMAP_AGAIN:
		return PAGE_KEEP;
	}
	if (page->flags & PG_LAZYFREE)
		return page->count == 1 ? PAGE_FREE : PAGE_KEEP;
	if (!only_cached(page))
		return PAGE_KEEP;
	if (page->flags & PG_DIRTY) {
		if (referenced)
			return PAGE_KEEP;
		if (!homeless && pageout(machine, page))
			return PAGE_ACTIVATE;
	}
	leave_cache(machine, page);
	return PAGE_FREE;
}

bool reclaim_page(struct machine *machine, struct page *page)
{
	enum verdict verdict = PAGE_KEEP;
	bool late = MUTANT_IF(machine, SWP_15, machine->waiting && !(page->flags & PG_LOCKED));

	lru_del(machine, page);
	if (!late)
		page_get(page);
	if (!(page->flags & PG_LOCKED)) {
		page->flags |= PG_LOCKED;
		preempt(machine, RECLAIM_ISOLATED, .page = page);
		if (late)
			page_get(page);
		verdict = shrink_page(machine, page);
		page->flags &= ~PG_LOCKED;
	}
	if (verdict != PAGE_FREE)
		lru_add(machine, page, verdict == PAGE_ACTIVATE);
	page_put(machine, page);
	return verdict == PAGE_FREE;
}

/* Look at up to SCAN pages from the inactive tail; free at most TARGET. */
static uint32_t shrink_cache(struct machine *machine, struct zone *zone, uint32_t scan,
			     uint32_t target)
{
	uint32_t freed = 0;

	while (scan-- && freed < target && !TAILQ_EMPTY(&zone->inactive))
		freed += reclaim_page(machine, TAILQ_LAST(&zone->inactive, page_list));
	return freed;
}

/* ---- refill_inactive_zone ------------------------------------------------------- */

/* In percent, how much of memory is mapped: by rss, so shared pages count more than once. */
static uint32_t mapped_ratio(const struct machine *machine)
{
	uint64_t rss = 0, npages = (uint64_t)machine->config.ram_mb * 256;
	const struct mm *mm;

	TAILQ_FOREACH (mm, &machine->mms, link)
		rss += mm->rss;
	return rss >= npages ? 100 : (uint32_t)(100 * rss / npages);
}

/* Are mapped pages eligible yet, or is it still caches that pay? */
static bool reclaim_mapped(const struct machine *machine, uint32_t priority)
{
	uint32_t distress = 100u >> priority;

	return mapped_ratio(machine) / 2 + distress + SWAPPINESS >= 100;
}

static bool stays_active(struct machine *machine, struct page *page, bool eligible)
{
	if (page->mapcount) {
		/* 2.6.6 ages mapped pages even when it will not take them. */
		bool young = (eligible || machine->config.era == ERA_2_6_6) &&
			     page_referenced(machine, page);

		if (young || !eligible)
			return true;
	}
	return (page->flags & (PG_ANON | PG_LAZYFREE)) == PG_ANON && !machine->swap_total;
}

/* Take SCAN pages from the active tail: back to its head, or to the inactive list. */
static void refill_inactive(struct machine *machine, struct zone *zone, uint32_t scan,
			    bool eligible)
{
	while (scan-- && !TAILQ_EMPTY(&zone->active)) {
		struct page *page = TAILQ_LAST(&zone->active, page_list);
		bool active;

		lru_del(machine, page);
		page_get(page);
		active = stays_active(machine, page, eligible);
		lru_add(machine, page, active);
		page_put(machine, page);
	}
}

/* ---- shrink_caches -------------------------------------------------------------- */

/* Its pages were gone through several times over, and none could go. It is left alone until one is
 * freed by other means, or else memory full of locked pages makes every allocation go through it.
 */
static bool all_unreclaimable(const struct zone *zone)
{
	uint32_t pages = zone->nr_active + zone->nr_inactive;

	return zone->scanned > UNRECLAIMABLE * pages + SCANNED_FREE;
}

static uint32_t shrink_zone(struct machine *machine, struct zone *zone, uint32_t priority,
			    bool eligible, uint32_t target)
{
	uint32_t active = (zone->nr_active >> priority) + 1;
	uint32_t inactive = (zone->nr_inactive >> priority) + 1;

	/* The first round looks all the same, at a page of each list or little more. */
	if (priority != DEF_PRIORITY && all_unreclaimable(zone))
		return 0;
	zone->scanned += active + inactive;
	if (zone->nr_active)
		refill_inactive(machine, zone, active, eligible);
	return shrink_cache(machine, zone, inactive, target);
}

/*
 * Rounds of rising effort, each over all zones, until enough is free. The last round has
 * looked at every page, so the work is bounded by about twice the lists' lengths.
 */
uint32_t shrink_caches(struct machine *machine, enum zone_id max_zone, uint32_t target)
{
	uint32_t freed = 0;

	if (machine->in_reclaim)
		return 0;
	machine->in_reclaim = true;
	for (uint32_t priority = DEF_PRIORITY + 1; priority-- && freed < target;) {
		bool eligible = reclaim_mapped(machine, priority);

		for (uint32_t id = max_zone + 1; id-- && freed < target;)
			freed += shrink_zone(machine, &machine->zones[id], priority, eligible,
					     target - freed);
	}
	machine->in_reclaim = false;
	machine->reclaimed += freed;
	return freed;
}

int op_reclaim(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	result->value = shrink_caches(machine, ZONE_HIGHMEM, op->args[0]);
	return 0;
}

/* ---- one frame at a time -------------------------------------------------------- */

struct page *page_mapped_at(const struct machine *machine, const struct mm *mm, uint32_t vpn)
{
	struct ptep pte = pte_lookup(mm, vpn);
	struct page *page;

	if (!pte.table || !pte_present(ptep_peek(pte)))
		return NULL;
	page = pfn_to_page(machine, pte_pfn(ptep_peek(pte)));
	return page->flags & PG_RESERVED ? NULL : page;
}

/* try_to_unmap until it succeeds: a young entry refuses only once. What was to be lost, and turns
 * out to have been written, needs a slot then. -ENOSPC: there is none. The caller holds PAGE. */
static int unmap_stubbornly(struct machine *machine, struct page *page)
{
	int result = UNMAP_FAIL;

	page->flags |= PG_LOCKED;
	for (uint32_t i = 0; i < EVICT_TRIES && result > UNMAP_SUCCESS; i++) {
		bool slot = !needs_slot(page) || add_to_swap(machine, page);

		result = slot ? try_to_unmap(machine, page) : -ENOSPC;
	}
	page->flags &= ~PG_LOCKED;
	return result;
}

/* The caller holds PAGE, which may not be mapped any more once it is locked. */
int evict_page(struct machine *machine, struct page *page)
{
	if (page->flags & PG_LOCKED) {
		machine->last_op.trylocks++;
		return UNMAP_AGAIN;
	}
	preempt(machine, RECLAIM_ISOLATED, .page = page);
	if (!page->mapcount)
		return UNMAP_AGAIN; /* somebody else has taken it away, locked or not */
	return unmap_stubbornly(machine, page);
}

int do_evict(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	struct page *page = page_mapped_at(machine, mm, vpn);
	int result;

	if (!page)
		return -ENOENT;
	page_get(page);
	result = evict_page(machine, page);
	page_put(machine, page);
	return result;
}

/* If the page cannot be written, shared memory without swap, it stays where it is. */
int do_swapout(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	struct page *page = page_mapped_at(machine, mm, vpn);
	int result;

	if (!page)
		return -ENOENT;
	page_get(page);
	result = evict_page(machine, page);
	if (result == UNMAP_SUCCESS && only_cached(page) &&
	    (!(page->flags & PG_DIRTY) || !pageout(machine, page)))
		leave_cache(machine, page);
	page_put(machine, page);
	return result;
}

int do_age(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	struct page *page = page_mapped_at(machine, mm, vpn);

	return page ? (int)page_referenced(machine, page) : -ENOENT;
}

typedef int page_op_fn(struct machine *machine, struct mm *mm, uint32_t vpn);

static int op_on_page(struct machine *machine, struct mm *mm, const struct op *op,
		      struct result *result, page_op_fn *fn)
{
	int value = fn(machine, mm, op->args[1] / PAGE_SIZE);

	if (value < 0)
		return value;
	result->value = (uint32_t)value;
	return 0;
}

int op_evict(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return op_on_page(machine, mm, op, result, do_evict);
}

int op_swapout(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return op_on_page(machine, mm, op, result, do_swapout);
}

int op_age(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return op_on_page(machine, mm, op, result, do_age);
}

/*
 * What an observer may know of a machine: pages, areas, statistics. Only pins change it.
 */
#include "internal.h"

bool machine_proc_alive(const struct machine *machine, uint32_t proc)
{
	return proc < PROC_MAX && machine->tasks[proc];
}

uint32_t machine_mm_of(const struct machine *machine, uint32_t proc)
{
	return machine->tasks[proc]->mm->id;
}

bool machine_pin_writes(const struct machine *machine, uint32_t device)
{
	const struct pin *pin = &machine->pins[device % PIN_MAX];

	return pin->n && pin->write;
}

static struct mm *proc_mm(const struct machine *machine, uint32_t proc)
{
	return machine_proc_alive(machine, proc) ? machine->tasks[proc]->mm : NULL;
}

bool machine_view_page(struct machine *machine, uint32_t proc, uint32_t vpn, struct page_view *view)
{
	struct mm *mm = proc_mm(machine, proc);
	struct vma *vma;
	struct ptep p;
	struct page *page;

	*view = (struct page_view){0};
	if (!mm)
		return false;
	vma = find_vma(mm, vpn);
	if (vma && vma->start <= vpn) {
		view->mapped = true;
		view->vm_flags = vma->flags;
		view->file = vma->file;
	}
	p = pte_lookup(mm, vpn);
	if (!p.table)
		return true;
	view->pte = ptep_peek(p);
	if (!pte_present(view->pte))
		return true;
	page = pfn_to_page(machine, pte_pfn(view->pte));
	view->pfn = pte_pfn(view->pte);
	view->zero = page->flags & PG_RESERVED;
	view->mapcount = page->mapcount;
	view->token = page->token[page_sub(page, view->pte)];
	view->anon = page->flags & PG_ANON;
	view->swapcache = page->flags & PG_SWAPCACHE;
	view->dirty = (page->flags & PG_DIRTY) || pte_dirty(view->pte);
	return true;
}

/* From *VPN on; PRESENT: only entries that map a frame. */
static bool next_entry(struct machine *machine, uint32_t proc, uint32_t *vpn, bool present,
		       struct page_view *view)
{
	struct mm *mm = proc_mm(machine, proc);
	uint32_t limit = task_pages(machine);
	struct ptep p;

	for (uint32_t at = *vpn; mm && pte_next(mm, at, limit, vpn, &p); at = *vpn + 1) {
		if (!present || pte_present(ptep_peek(p)))
			return machine_view_page(machine, proc, *vpn, view);
	}
	return false;
}

bool machine_next_present(struct machine *machine, uint32_t proc, uint32_t *vpn,
			  struct page_view *view)
{
	return next_entry(machine, proc, vpn, true, view);
}

bool machine_next_entry(struct machine *machine, uint32_t proc, uint32_t *vpn,
			struct page_view *view)
{
	return next_entry(machine, proc, vpn, false, view);
}

char machine_page_char(struct machine *machine, uint32_t proc, uint32_t vpn)
{
	struct page_view view;

	if (!machine_view_page(machine, proc, vpn, &view) || !view.mapped)
		return '.';
	if (pte_none(view.pte))
		return '-';
	if (pte_swap(view.pte))
		return 's';
	if (pte_file(view.pte))
		return 'o';
	if (view.zero)
		return 'z';
	if (!(view.pte & PTE_P))
		return 'n';
	return pte_write(view.pte) ? 'w' : 'r';
}

bool machine_view_area(struct machine *machine, uint32_t proc, uint32_t vpn, struct area_view *view)
{
	struct mm *mm = proc_mm(machine, proc);
	struct vma *vma = mm ? find_vma(mm, vpn) : NULL;

	if (!vma)
		return false;
	*view = (struct area_view){vma->start, vma->end, vma->pgoff, vma->flags,
				   vma->file ? (int)vma->file->id : -1};
	return true;
}

uint32_t machine_view_pgoff(struct machine *machine, uint32_t proc, uint32_t vpn)
{
	struct mm *mm = proc_mm(machine, proc);
	struct vma *vma = mm ? vma_at(machine, mm, vpn) : NULL;
	struct ptep p = mm ? pte_lookup(mm, vpn) : (struct ptep){NULL, 0};
	pte_t entry = p.table ? ptep_peek(p) : 0;

	if (pte_file(entry))
		return pte_to_pgoff(entry);
	if (vma && (vma->flags & VM_NONLINEAR) && pte_present(entry)) {
		const struct page *page = pfn_to_page(machine, pte_pfn(entry));

		return page->index + page_sub(page, entry);
	}
	return vma ? vma_index_of_vpn(vma, vpn) : 0;
}

bool machine_one_area(struct machine *machine, uint32_t proc, uint32_t vpn, uint32_t npages)
{
	struct area_view area;

	return machine_view_area(machine, proc, vpn, &area) && area.start <= vpn &&
	       npages <= area.end - vpn;
}

static struct page *mapped_page(struct machine *machine, uint32_t proc, uint32_t vpn)
{
	struct page_view view;

	if (!machine_view_page(machine, proc, vpn, &view) || !pte_present(view.pte))
		return NULL;
	return pfn_to_page(machine, view.pfn);
}

struct listing {
	struct mapper *mappers;
	size_t n, max;
};

static enum rmap_answer list_one(struct machine *machine, struct page *page, struct vma *vma,
				 uint32_t vpn, struct ptep pte, void *arg)
{
	struct listing *listing = arg;

	if (listing->n < listing->max)
		listing->mappers[listing->n] = (struct mapper){
			pte.table && pte.table->mm ? pte.table->mm->id : UINT32_MAX, vpn};
	listing->n++;
	return RMAP_KEEP;
}

size_t machine_mappers(struct machine *machine, uint32_t proc, uint32_t vpn, struct mapper *mappers,
		       size_t max)
{
	struct listing listing = {mappers, 0, max};
	struct page *page = mapped_page(machine, proc, vpn);

	if (page && !(page->flags & PG_RESERVED))
		machine->rmap->walk(machine, page, list_one, &listing);
	return listing.n;
}

void machine_describe(struct machine *machine, uint32_t proc, uint32_t vpn, char *buf, size_t size)
{
	struct page *page = mapped_page(machine, proc, vpn);

	buf[0] = '\0';
	if (page && !(page->flags & PG_RESERVED) && machine->rmap->describe)
		machine->rmap->describe(machine, page, buf, size);
}

void machine_stats(const struct machine *machine, struct machine_stats *stats)
{
	const struct zone *zones = machine->zones;
	uint32_t low = zone_used(&zones[ZONE_DMA]) + zone_used(&zones[ZONE_NORMAL]);
	uint32_t high = zone_used(&zones[ZONE_HIGHMEM]);
	uint64_t page_bytes = (uint64_t)PAGE_SIZE << machine->config.cluster;

	*stats = (struct machine_stats){
		.lowmem_total = (zones[ZONE_DMA].npages + zones[ZONE_NORMAL].npages) * page_bytes,
		.lowmem_boot_free = (zones[ZONE_DMA].npages - zones[ZONE_DMA].reserved +
				     zones[ZONE_NORMAL].npages - zones[ZONE_NORMAL].reserved) *
				    page_bytes,
		.lowmem_used = machine->lowmem_boot + low * page_bytes + kmem_bytes(machine, false),
		.highmem_used = high * page_bytes,
		.meta_bytes = kmem_bytes(machine, true),
		.frames_used = low + high,
		.committed_as = machine->committed_as,
		.host_allocs = machine->host_allocs,
		.swapouts = machine->swapouts,
		.swapins = machine->swapins,
		.reclaimed = machine->reclaimed,
		.unmaps = machine->unmaps,
		.early_copies = machine->early_copies,
		.rmap = machine->counters,
		.tlb = machine->cpus.counters,
		.kmaps = machine->kmaps.atomic,
		.pkmaps = machine->pkmap.kmaps,
		.pkmap_flushes = machine->pkmap.flushes,
	};
	stats->lowmem_peak = machine->lowmem_peak > stats->lowmem_used ? machine->lowmem_peak
								       : stats->lowmem_used;
	stats->meta_peak = machine->meta_peak;
}

void machine_pin(struct machine *machine, uint32_t proc, uint32_t vpn)
{
	struct page *page = mapped_page(machine, proc, vpn);

	if (page)
		page_get(page);
}

void machine_unpin(struct machine *machine, uint32_t proc, uint32_t vpn)
{
	struct page *page = mapped_page(machine, proc, vpn);

	if (page)
		page_put(machine, page);
}

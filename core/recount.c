/*
 * Recount: everything that the machine keeps by increments is computed again from scratch.
 *
 *   areas        list against tree, order, totals of the mm, i_mmap
 *   page tables  every word of every table, permissions against areas; counts who maps what
 *   files        caches and stores
 *   swap         slot maps against entries, stores and the swap cache
 *   pages        census, mapcount and references against what was counted; lists and flags
 *   backend      its own check()
 *
 * The page tables are the ground truth. Scanning them, each frame's entries are counted in
 * page->seen and each slot's in slot->seen, which nobody else uses; the rest is comparison. The
 * cost follows what was used since boot, whatever the machine's size.
 */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

struct recount {
	struct machine *machine;
	char *buf;
	size_t size;
	bool deep; /* also look for words in use where none should be */
	/* Found so far, over the whole machine. */
	uint32_t mms, tasks, areas, file_areas, pte_tables, pmd_tables, files;
	uint32_t cached_pages, mapping_pages, swapcache_pages, table_pages;
	uint32_t committed;
	uint64_t tlb_users;
	const struct vma *charged_wrongly; /* one of them, if there are any */
};

/* Every check returns whether all is well. This tells what is not. */
static bool __attribute__((format(printf, 2, 3))) wrong(struct recount *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->buf, r->size, format, args);
	va_end(args);
	return false;
}

static bool same(struct recount *r, const char *what, uint64_t kept, uint64_t counted)
{
	if (kept == counted)
		return true;
	return wrong(r, "%s is %llu, counted %llu", what, (unsigned long long)kept,
		     (unsigned long long)counted);
}

static bool same_mm(struct recount *r, const struct mm *mm, const char *what, uint32_t kept,
		    uint32_t counted)
{
	if (kept == counted)
		return true;
	return wrong(r, "mm %u: %s is %u, counted %u", mm->id, what, kept, counted);
}

static bool same_page(struct recount *r, const struct page *page, const char *what, uint32_t kept,
		      uint32_t counted)
{
	if (kept == counted)
		return true;
	return wrong(r, "page 0x%x: %s is %u, counted %u", page->pfn, what, kept, counted);
}

/* ---- areas -------------------------------------------------------------------------------- */

/* What is private, and will take memory of its own when it is written, has been charged; shared
 * memory is not. */
static bool is_charged_rightly(const struct vma *vma)
{
	const uint32_t free = VM_SHARED | VM_NORESERVE | VM_ACCOUNT;

	if (vma->flags & VM_ACCOUNT)
		return !(vma->flags & VM_SHARED);
	return !(vma->flags & VM_WRITE) || (vma->flags & free);
}

static bool check_area(struct recount *r, const struct mm *mm, const struct vma *vma)
{
	if (vma->mm != mm)
		return wrong(r, "mm %u: area at 0x%x belongs to another mm", mm->id, vma->start);
	if (vma->start >= vma->end || vma->end > task_pages(r->machine))
		return wrong(r, "mm %u: area has bounds 0x%x-0x%x", mm->id, vma->start, vma->end);
	if (vma->prev && vma->prev->end > vma->start)
		return wrong(r, "mm %u: areas overlap at 0x%x", mm->id, vma->start);
	if (vma->next && vma->next->prev != vma)
		return wrong(r, "mm %u: area list is torn after 0x%x", mm->id, vma->start);
	return true;
}

static bool check_areas(struct recount *r, struct mm *mm)
{
	uint32_t areas = 0, total = 0, locked = 0;
	struct vma *vma, *in_list = mm->first;
	bool cache_found = !mm->cache;

	if (mm->first && mm->first->prev)
		return wrong(r, "mm %u: there is an area before the first", mm->id);
	RB_FOREACH (vma, vma_tree, &mm->vmas) {
		if (vma != in_list)
			return wrong(r, "mm %u: tree and list differ at 0x%x", mm->id, vma->start);
		if (!check_area(r, mm, vma))
			return false;
		in_list = vma->next;
		cache_found |= vma == mm->cache;
		areas++;
		r->file_areas += vma->file != NULL;
		total += vma->end - vma->start;
		if (vma->flags & VM_LOCKED)
			locked += vma->end - vma->start;
		if (vma->flags & VM_ACCOUNT)
			r->committed += vma->end - vma->start;
		if (!is_charged_rightly(vma))
			r->charged_wrongly = vma;
	}
	if (in_list)
		return wrong(r, "mm %u: area 0x%x is not in the tree", mm->id, in_list->start);
	if (!cache_found)
		return wrong(r, "mm %u: the cached area is none of its areas", mm->id);
	r->areas += areas;
	return same_mm(r, mm, "map_count", mm->map_count, areas) &&
	       same_mm(r, mm, "total_vm", mm->total_vm, total) &&
	       same_mm(r, mm, "locked_vm", mm->locked_vm, locked);
}

/* ---- entries ------------------------------------------------------------------------------- */

/* Where an entry is: for its checks, and for messages. */
struct place {
	const struct mm *mm;
	const struct vma *vma; /* the first area that ends after vpn */
	uint32_t vpn;
};

static bool bad_entry(struct recount *r, const struct place *at, const char *what)
{
	return wrong(r, "mm %u: entry of 0x%x %s", at->mm->id, at->vpn, what);
}

/* How many entries map the frame that ENTRY maps; more than a page has frames is told as that. */
static uint32_t mappings_of_frame(const struct machine *machine, const struct page *page,
				  pte_t entry)
{
	uint32_t n = 0;
	struct ptep p;

	if (sub_pages(machine) == 1 || page->mapcount > sub_pages(machine))
		return page->mapcount;
	for (bool more = census_first(machine, page, &p); more; more = census_next(machine, &p))
		n += pte_pfn(ptep_get(p)) == pte_pfn(entry);
	return n;
}

/* A private frame that may be written is this entry's alone. */
static bool check_writable(struct recount *r, const struct place *at, const struct page *page,
			   pte_t entry)
{
	if (!(at->vma->flags & VM_WRITE))
		return bad_entry(r, at, "is writable, its area is not");
	if (at->vma->flags & VM_SHARED)
		return true;
	if (!(page->flags & PG_ANON))
		return bad_entry(r, at, "writes to a page that is not private");
	if (mappings_of_frame(r->machine, page, entry) != 1)
		return bad_entry(r, at, "writes to a page that others map, too");
	return true;
}

/* Is PAGE what this place of the area shows? */
static bool check_backing(struct recount *r, const struct place *at, const struct page *page,
			  pte_t entry)
{
	const struct vma *vma = at->vma;
	uint32_t index = vma_index_of_vpn(vma, at->vpn), sub = page_sub(page, entry);

	if (!(vma->flags & VM_NONLINEAR) && sub != sub_of(r->machine, index))
		return bad_entry(r, at, "maps the wrong part of its page");

	if (page->flags & PG_RESERVED) {
		if (page != r->machine->zero_page || vma->file)
			return bad_entry(r, at, "maps a reserved page that is not for it");
		return true;
	}
	if (page->flags & PG_ANON) {
		if (vma->flags & VM_SHARED)
			return bad_entry(r, at, "maps an anonymous page in a shared area");
		if (!vma->anon)
			return bad_entry(r, at, "maps an anonymous page, its area knows of none");
		return true;
	}
	if (!page->mapping || page->mapping != vma->file)
		return bad_entry(r, at, "maps a page that is not its file's");
	if (!(vma->flags & VM_NONLINEAR) && page->index + sub != index)
		return bad_entry(r, at, "maps the wrong page of its file");
	return true;
}

static bool check_present(struct recount *r, const struct place *at, pte_t entry, uint32_t *rss)
{
	const uint32_t prot_bits = PTE_P | PTE_US | PTE_PROTNONE;
	struct page *page = pfn_to_page(r->machine, pte_pfn(entry));

	if (!page || (page->flags & (PG_FREE | PG_TABLE)))
		return bad_entry(r, at, "maps a frame that is free or holds a table");
	if (((uint32_t)entry ^ prot_of_flags(at->vma->flags)) & prot_bits)
		return bad_entry(r, at, "has other permissions than its area");
	if (!check_backing(r, at, page, entry))
		return false;
	if (pte_write(entry) && !check_writable(r, at, page, entry))
		return false;
	if (!(page->flags & PG_RESERVED)) {
		page->seen++;
		++*rss;
	}
	return true;
}

static bool count_slot(struct recount *r, swp_entry_t entry)
{
	struct swap_area *area = &r->machine->swap[swp_type(entry)];
	uint32_t slot = swp_offset(entry) >> r->machine->config.cluster;

	if (!slot || slot >= area->nr_slots)
		return false;
	area->slots[slot].seen++;
	return true;
}

static bool check_entry(struct recount *r, const struct place *at, pte_t entry, uint32_t *rss)
{
	if (pte_none(entry))
		return bad_entry(r, at, "is none, but marked live");
	if (!at->vma || at->vma->start > at->vpn)
		return bad_entry(r, at, "is in no area");
	if (pte_present(entry))
		return check_present(r, at, entry, rss);
	if (pte_file(entry))
		return (at->vma->flags & VM_NONLINEAR) ||
		       bad_entry(r, at, "is a file offset, its area is not nonlinear");
	return count_slot(r, pte_to_swp(entry)) ||
	       bad_entry(r, at, "names a swap slot that does not exist");
}

/* ---- tables ---------------------------------------------------------------------------------- */

static uint32_t popcount(const uint64_t live[8])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 8; i++)
		n += (uint32_t)__builtin_popcountll(live[i]);
	return n;
}

static uint32_t entries_in_use(const struct pte_words entry[512])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 512; i++)
		n += (entry[i].low | entry[i].high) != 0;
	return n;
}

static uint32_t links_in_use(const struct pte_table *table)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PTE_ENTRIES; i++)
		n += (table->next[i] != 0) + (table->prev[i] != 0);
	return n;
}

static bool bad_table(struct recount *r, const struct pte_table *table, const char *what)
{
	return wrong(r, "mm %u: page table of 0x%x %s", table->mm->id, table->vpn, what);
}

/*
 * Every live entry is checked by itself; that no other word is in use follows from the numbers
 * of words in use. AT moves along.
 */
static bool check_entries(struct recount *r, const struct pte_table *table, struct place *at,
			  uint32_t *rss)
{
	uint32_t links = 0;

	for (uint32_t word = 0; word < PTE_ENTRIES / 64; word++) {
		for (uint64_t live = table->live[word]; live; live &= live - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(live);

			at->vpn = table->vpn + slot;
			while (at->vma && at->vma->end <= at->vpn)
				at->vma = at->vma->next;
			if (!check_entry(r, at, pte_load(&table->entry[slot]), rss))
				return false;
			links += (table->next[slot] != 0) + (table->prev[slot] != 0);
		}
	}
	if (table->nr_live != popcount(table->live) ||
	    (r->deep && table->nr_live != entries_in_use(table->entry)))
		return bad_table(r, table, "has a wrong number of live entries");
	if (r->deep && links != links_in_use(table))
		return bad_table(r, table, "has census links without an entry");
	return true;
}

static bool check_table_page(const struct page *page, uint32_t flags, const void *table)
{
	return (page->flags & (PG_TABLE | PG_PMD)) == flags && page->pte_table == table;
}

static bool check_table(struct recount *r, const struct mm *mm, const struct pmd_table *pmd,
			uint32_t slot, uint32_t vpn, struct place *at, uint32_t *rss)
{
	const struct pte_table *table = pmd->table[slot];

	if (!table || table->mm != mm || table->vpn != vpn)
		return wrong(r, "mm %u: page table of 0x%x is another one's", mm->id, vpn);
	if (r->machine->tables[table->id] != table)
		return bad_table(r, table, "is not the one with its number");
	if (!check_table_page(table->page, PG_TABLE, table))
		return bad_table(r, table, "has a frame that does not know it");
	if (pte_load(&pmd->entry[slot]) !=
	    pte_mk(table->page->pfn, PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D))
		return bad_table(r, table, "is not where the PMD entry points");
	r->pte_tables++;
	return check_entries(r, table, at, rss);
}

static uint32_t shortcuts_in_use(const struct pmd_table *pmd)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PMD_ENTRIES; i++)
		n += pmd->table[i] != NULL;
	return n;
}

static bool check_pmd(struct recount *r, const struct mm *mm, uint32_t pgd_slot, struct place *at,
		      uint32_t *rss)
{
	const struct pmd_table *pmd = mm->pmd[pgd_slot];

	if (!check_table_page(pmd->page, PG_TABLE | PG_PMD, pmd))
		return wrong(r, "mm %u: the frame of PMD %u does not know it", mm->id, pgd_slot);
	if (pte_load(&mm->pgd->entry[pgd_slot]) != pte_mk(pmd->page->pfn, PTE_P))
		return wrong(r, "mm %u: PGD entry %u points elsewhere", mm->id, pgd_slot);
	if (pmd->nr_live != popcount(pmd->live) ||
	    (r->deep &&
	     (pmd->nr_live != entries_in_use(pmd->entry) || pmd->nr_live != shortcuts_in_use(pmd))))
		return wrong(r, "mm %u: PMD %u has a wrong number of tables", mm->id, pgd_slot);
	r->pmd_tables++;
	for (uint32_t word = 0; word < PMD_ENTRIES / 64; word++) {
		for (uint64_t live = pmd->live[word]; live; live &= live - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(live);

			if (!check_table(r, mm, pmd, slot, pgd_slot * PGD_PAGES + slot * PMD_PAGES,
					 at, rss))
				return false;
		}
	}
	return true;
}

static bool check_page_tables(struct recount *r, const struct mm *mm)
{
	struct place at = {mm, mm->first, 0};
	uint32_t tables = r->pte_tables, rss = 0;

	for (uint32_t i = 0; i < PGD_ENTRIES; i++) {
		if (i * PGD_PAGES < task_pages(r->machine)) {
			if (!mm->pmd[i])
				return wrong(r, "mm %u: PMD %u is missing", mm->id, i);
			if (!check_pmd(r, mm, i, &at, &rss))
				return false;
		} else if (mm->pmd[i] || pte_load(&mm->pgd->entry[i]) !=
						 pte_mk(r->machine->swapper_pmd_pfn, PTE_P)) {
			return wrong(r, "mm %u: PGD entry %u is not the kernel's", mm->id, i);
		}
	}
	return same_mm(r, mm, "nr_ptes", mm->nr_ptes, r->pte_tables - tables) &&
	       same_mm(r, mm, "rss", mm->rss, rss);
}

static bool check_mms(struct recount *r)
{
	struct mm *mm;

	TAILQ_FOREACH (mm, &r->machine->mms, link) {
		if (!check_areas(r, mm) || !check_page_tables(r, mm))
			return false;
		r->mms++;
	}
	return true;
}

/* ---- files --------------------------------------------------------------------------------- */

static bool bad_file(struct recount *r, const struct address_space *file, const char *what,
		     uint32_t index)
{
	return wrong(r, "file %u: %s at %u", file->id, what, index);
}

static bool check_i_mmap_list(struct recount *r, const struct address_space *file,
			      const struct vma_list *list, uint32_t nonlinear, uint32_t *users)
{
	struct vma *vma;

	TAILQ_FOREACH (vma, list, shared) {
		if (vma->file != file)
			return bad_file(r, file, "i_mmap has another file's area", vma->start);
		if (RB_FIND(vma_tree, &vma->mm->vmas, vma) != vma)
			return bad_file(r, file, "i_mmap has a dead area", vma->start);
		if ((vma->flags & VM_NONLINEAR) != nonlinear)
			return bad_file(r, file, "an area is on the wrong one of two lists",
					vma->start);
		++*users;
	}
	return true;
}

static bool check_i_mmap(struct recount *r, const struct address_space *file)
{
	uint32_t users = 0;

	if (!check_i_mmap_list(r, file, &file->i_mmap, 0, &users) ||
	    !check_i_mmap_list(r, file, &file->i_mmap_nonlinear, VM_NONLINEAR, &users))
		return false;
	r->file_areas -= users;
	if (file->id < FILE_MAX && r->machine->files[file->id] == file)
		users++;
	return file->users == users ||
	       wrong(r, "file %u: users is %u, counted %u", file->id, file->users, users);
}

static bool check_cache(struct recount *r, const struct address_space *file)
{
	uint32_t cached = 0, index = 0;
	uint64_t word;

	for (; radix_next(file->pages, &index, &word); index++) {
		const struct page *page = (const struct page *)(uintptr_t)word;

		if (page->mapping != file || page->index != index * sub_pages(r->machine))
			return bad_file(r, file, "a page of something else is cached", index);
		if (page->index >= file->npages)
			return bad_file(r, file, "a page beyond the end is cached", index);
		cached++;
	}
	r->cached_pages += cached;
	return file->nrcached == cached ||
	       wrong(r, "file %u: nrcached is %u, counted %u", file->id, file->nrcached, cached);
}

static bool check_store(struct recount *r, const struct address_space *file)
{
	uint32_t index = 0;
	uint64_t word;

	for (; radix_next(file->store, &index, &word); index++) {
		uint32_t first = file->kind == FILE_SHMEM ? index * sub_pages(r->machine) : index;

		if (first >= file->npages)
			return bad_file(r, file, "content is stored beyond the end", index);
		if (file->kind != FILE_SHMEM)
			continue;
		if (file_find_page(r->machine, file, first))
			return bad_file(r, file, "a page is both cached and in swap", index);
		if (!count_slot(r, (swp_entry_t)word))
			return bad_file(r, file, "a swap slot that does not exist is named", index);
	}
	return true;
}

static bool check_files(struct recount *r)
{
	const struct address_space *file;

	TAILQ_FOREACH (file, &r->machine->file_list, link) {
		if (file->boot_pages > file->npages)
			return bad_file(r, file, "boot content lies beyond the end",
					file->boot_pages);
		if (!check_i_mmap(r, file) || !check_cache(r, file) || !check_store(r, file))
			return false;
		r->files++;
	}
	return r->file_areas == 0 ||
	       wrong(r, "%d areas of files are not on their i_mmap", (int)r->file_areas);
}

/* ---- swap --------------------------------------------------------------------------------------
 */

static bool check_slot(struct recount *r, uint32_t type, uint32_t offset)
{
	const struct swap_slot *slot = &r->machine->swap[type].slots[offset];
	uint32_t map = slot->seen + (slot->map && slot->cached);

	if (slot->map != map && !swap_saturated(r->machine, slot))
		return wrong(r, "swap slot %u:%u: map is %u, counted %u", type, offset, slot->map,
			     map);
	if (!slot->map)
		return true;
	if (!slot->cached)
		return slot->written ||
		       wrong(r, "swap slot %u:%u is neither cached nor written", type, offset);
	if (!(slot->cached->flags & PG_SWAPCACHE) ||
	    slot->cached->swap != swp_entry(type, offset << r->machine->config.cluster))
		return wrong(r, "swap slot %u:%u: the cached page does not know it", type, offset);
	r->swapcache_pages++;
	return true;
}

/* A free slot is listed once; `seen` tells which were. */
static bool check_free_slots(struct recount *r, uint32_t type)
{
	const struct swap_area *area = &r->machine->swap[type];

	for (uint32_t i = 0; i < area->nr_free_slots; i++) {
		uint32_t offset = area->free_slots[i];
		struct swap_slot *slot;

		if (!offset || offset >= area->nr_slots)
			return wrong(r, "swap slot %u:%u is on the free list and does not exist",
				     type, offset);
		slot = &area->slots[offset];
		if (slot->map || slot->seen)
			return wrong(r, "swap slot %u:%u is on the free list, and %s", type, offset,
				     slot->map ? "in use" : "twice");
		slot->seen = 1;
	}
	return true;
}

static bool check_area_slots(struct recount *r, uint32_t type)
{
	const struct swap_area *area = &r->machine->swap[type];
	uint32_t used = 0, slots = area->nr_slots ? area->nr_slots - 1 : 0;

	for (uint32_t offset = 1; offset < area->nr_slots; offset++) {
		if (!check_slot(r, type, offset))
			return false;
		used += area->slots[offset].map != 0;
	}
	if (!area->on && used)
		return wrong(r, "swap area %u is off and %u of its slots are in use", type, used);
	if (slots > area->total)
		return wrong(r, "swap area %u has slot %u, its last one is %u", type, slots,
			     area->total);
	return same(r, "slots in use of a swap area", area->used, used) &&
	       same(r, "number of free swap slots", area->nr_free_slots, slots - used) &&
	       check_free_slots(r, type);
}

/* Areas that are on, and no others, are in the order of their priorities. */
static bool check_swap_order(struct recount *r, uint32_t nr_on)
{
	const struct machine *machine = r->machine;

	for (uint32_t i = 0; i < machine->nr_swap_on; i++) {
		const struct swap_area *area = &machine->swap[machine->swap_order[i]];

		if (!area->on)
			return wrong(r, "a swap area that is off is asked for slots");
		if (i && machine->swap[machine->swap_order[i - 1]].priority < area->priority)
			return wrong(r, "swap areas are not in the order of their priorities");
	}
	return same(r, "number of swap areas in use", machine->nr_swap_on, nr_on);
}

static bool check_swap(struct recount *r)
{
	const struct machine *machine = r->machine;
	uint32_t used = 0, total = 0, on = 0;

	for (uint32_t type = 0; type < machine->config.nr_swap; type++) {
		const struct swap_area *area = &machine->swap[type];

		if (!check_area_slots(r, type))
			return false;
		used += area->used;
		total += area->on ? area->total : 0;
		on += area->on;
	}
	return same(r, "swap in use", machine->swap_used, used) &&
	       same(r, "size of all swap", machine->swap_total, total) && check_swap_order(r, on);
}

/* ---- pages -------------------------------------------------------------------------------------
 */

/* The census list is as long as the scan said, each entry maps the page, and links agree. */
static bool check_census(struct recount *r, const struct page *page)
{
	uint32_t n = 0, before = 0;
	struct ptep p;

	for (bool more = census_first(r->machine, page, &p); more;
	     more = census_next(r->machine, &p)) {
		if (++n > page->seen || !p.table->mm || !rmap_maps(r->machine, page, ptep_get(p)) ||
		    p.table->prev[p.slot] != before)
			return wrong(r, "page 0x%x: the census has a wrong entry", page->pfn);
		before = p.table->id * PTE_ENTRIES + p.slot;
	}
	return same_page(r, page, "length of the census", n, page->seen);
}

static bool check_used_page(struct recount *r, const struct page *page)
{
	bool fixed = page->flags & (PG_RESERVED | PG_TABLE);
	uint32_t count =
		page->seen + (page->mapping != NULL) + !!(page->flags & PG_SWAPCACHE) + fixed;

	r->mapping_pages += page->mapping != NULL;
	r->swapcache_pages -= !!(page->flags & PG_SWAPCACHE);
	r->table_pages += !!(page->flags & PG_TABLE);
	if (!check_census(r, page) || !same_page(r, page, "mapcount", page->mapcount, page->seen) ||
	    !same_page(r, page, "count", page->count, count))
		return false;
	if (page->flags & PG_LOCKED)
		return wrong(r, "page 0x%x is still locked", page->pfn);
	if (page->mapping && (page->flags & (PG_ANON | PG_SWAPCACHE)))
		return wrong(r, "page 0x%x is both a file's and anonymous", page->pfn);
	if (!!(page->flags & PG_LRU) == fixed)
		return wrong(r, "page 0x%x is on %s", page->pfn, fixed ? "an LRU list" : "no list");
	return true;
}

/* As many pages on LIST as were seen with FLAGS, and each of them has these. */
static bool check_list(struct recount *r, const struct zone *zone, const struct page_list *list,
		       uint32_t flags, uint32_t expected)
{
	const uint32_t all = PG_FREE | PG_LRU | PG_ACTIVE;
	const struct page *page;
	uint32_t n = 0;

	TAILQ_FOREACH (page, list, lru) {
		if ((page->flags & all) != flags || page->zone != zone->id)
			return wrong(r, "page 0x%x is on the wrong list", page->pfn);
		if (++n > expected)
			break;
	}
	return n == expected || wrong(r, "zone %d: a list of pages is too %s", (int)zone->id,
				      n < expected ? "short" : "long");
}

static bool check_zone(struct recount *r, const struct zone *zone)
{
	uint32_t untouched = zone->npages - zone->reserved - zone->touched;
	uint32_t nr_free = 0, nr_active = 0, nr_inactive = 0;

	for (uint32_t k = 0; k < zone->touched; k++) {
		const struct page *page = zone_page(zone, k);

		r->tlb_users += page->tlb_users;
		if (page->pfn != zone->end_pfn - ((k + 1) << r->machine->config.cluster) ||
		    page->zone != zone->id)
			return wrong(r, "page 0x%x is not the frame it is kept for", page->pfn);
		if (page->flags & PG_FREE) {
			if (page->flags != PG_FREE || page->count || page->mapcount ||
			    page->census || page->seen)
				return wrong(r, "page 0x%x is free and in use", page->pfn);
			nr_free++;
			continue;
		}
		if (!check_used_page(r, page))
			return false;
		if (page->flags & PG_LRU)
			*(page->flags & PG_ACTIVE ? &nr_active : &nr_inactive) += 1;
	}
	return same(r, "number of free pages", zone->nr_free, nr_free + untouched) &&
	       same(r, "nr_active", zone->nr_active, nr_active) &&
	       same(r, "nr_inactive", zone->nr_inactive, nr_inactive) &&
	       check_list(r, zone, &zone->free, PG_FREE, nr_free) &&
	       check_list(r, zone, &zone->active, PG_LRU | PG_ACTIVE, nr_active) &&
	       check_list(r, zone, &zone->inactive, PG_LRU, nr_inactive);
}

static bool check_zones(struct recount *r)
{
	for (enum zone_id id = 0; id < NR_ZONES; id++) {
		if (!check_zone(r, &r->machine->zones[id]))
			return false;
	}
	return same(r, "number of cached pages", r->cached_pages, r->mapping_pages) &&
	       (!r->swapcache_pages || wrong(r, "a swap cache page and its slot disagree"));
}

/* ---- totals
 * --------------------------------------------------------------------------------------- */

/* A process's mm is one of the machine's; an mm's name is one of its users'. */
static bool check_tasks(struct recount *r)
{
	const struct mm *mm;
	uint32_t users = 0;

	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		const struct task *task = r->machine->tasks[proc];

		if (!task)
			continue;
		TAILQ_FOREACH (mm, &r->machine->mms, link) {
			if (mm == task->mm)
				break;
		}
		if (task->proc != proc || !mm)
			return wrong(r, "process %u has no mm of this machine", proc);
		if (!r->machine->tasks[mm->id] || r->machine->tasks[mm->id]->mm != mm)
			return wrong(r, "mm %u: process %u is none of its users", mm->id, mm->id);
		r->tasks++;
	}
	TAILQ_FOREACH (mm, &r->machine->mms, link) {
		if (!mm->users)
			return wrong(r, "mm %u: nobody uses it", mm->id);
		users += mm->users;
	}
	return same(r, "number of users of all mms", users, r->tasks);
}

/* What is in use but was not met anywhere has leaked. */
static bool check_objects(struct recount *r)
{
	const struct machine *machine = r->machine;
	const uint32_t met[NR_KOBJ] = {
		[KOBJ_VMA] = r->areas,
		[KOBJ_MM] = r->mms,
		[KOBJ_TASK] = r->tasks,
		[KOBJ_STACK] = r->tasks,
		[KOBJ_PGD] = r->mms,
		[KOBJ_INODE] = r->files,
		[KOBJ_RADIX] = machine->kobj[KOBJ_RADIX]->used,
	};

	for (enum kobj id = 0; id < NR_KOBJ; id++) {
		const struct kmem_cache *cache = machine->kobj[id];

		if (cache->used != met[id])
			return wrong(r, "%u objects of %s are in use, found %u", cache->used,
				     cache->name, met[id]);
	}
	return true;
}

static bool check_totals(struct recount *r)
{
	const struct machine *machine = r->machine;
	uint32_t tables = machine->nr_tables ? machine->nr_tables - 1 : 0;

	if (!same(r, "Committed_AS", machine->committed_as, r->committed))
		return false;
	if (r->charged_wrongly)
		return wrong(r, "mm %u: whether the area at 0x%x is charged does not fit its flags",
			     r->charged_wrongly->mm->id, r->charged_wrongly->start);
	return same(r, "number of page tables", tables - machine->nr_free_tables, r->pte_tables) &&
	       same(r, "number of pages that hold tables", r->table_pages,
		    r->pte_tables + r->pmd_tables) &&
	       check_tasks(r) && check_objects(r);
}

static void forget_seen(struct machine *machine)
{
	for (enum zone_id id = 0; id < NR_ZONES; id++) {
		const struct zone *zone = &machine->zones[id];

		for (uint32_t k = 0; k < zone->touched; k++)
			zone_page(zone, k)->seen = 0;
	}
	for (uint32_t type = 0; type < machine->config.nr_swap; type++) {
		const struct swap_area *area = &machine->swap[type];

		for (uint32_t offset = 1; offset < area->nr_slots; offset++)
			area->slots[offset].seen = 0;
	}
}

static const char *recount(struct machine *machine, bool deep, char *buf, size_t size)
{
	struct recount r = {.machine = machine, .buf = buf, .size = size, .deep = deep};
	const char *broken;

	forget_seen(machine);
	if (!check_mms(&r) || !check_files(&r) || !check_swap(&r) || !check_zones(&r) ||
	    !check_totals(&r) || tlb_verify(machine, r.tlb_users, buf, size))
		return buf;
	broken = rmap_check(machine);
	if (!broken)
		return NULL;
	snprintf(buf, size, "rmap: %s", broken);
	return buf;
}

const char *machine_recount(struct machine *machine, char *buf, size_t size)
{
	return recount(machine, true, buf, size);
}

const char *machine_recount_live(struct machine *machine, char *buf, size_t size)
{
	return recount(machine, false, buf, size);
}

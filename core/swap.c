/*
 * The swap area and the swap cache.
 *
 * One area (type 0) of machine->config.swap_pages, in slots of a page each, numbered from 1. An
 * entry's offset names a slot and a sub-page of it. A slot's map counts the swap entries that name
 * any of its sub-pages, in page tables and shmem files, plus one while a page is cached for it.
 * What the swap cache's radix tree is to a kernel, slot->cached is here.
 *
 *   add_to_swap       page gets a slot          map 1 (the cache)
 *   try_to_unmap      each entry duplicates     map 1 + entries
 *   pageout, free     written, uncached         map entries
 *   swapin_page       read, cached again        map 1 + entries
 *   do_swap_page      each fault takes one      map 1: the page is exclusive
 *
 * Slots are made on demand and reused last in, first out, so the area costs what was used.
 */
#include "internal.h"

#define SLOTS_MIN 64u

void swap_reset(struct machine *machine)
{
	machine->nr_slots = 0;
	machine->nr_free_slots = 0;
	machine->swap_used = 0;
}

void swap_destroy(struct machine *machine)
{
	free(machine->slots);
	free(machine->free_slots);
	machine->slots = NULL;
	machine->free_slots = NULL;
	machine->max_slots = machine->max_free_slots = 0;
	swap_reset(machine);
}

/* The number of the slot that ENTRY names. */
static uint32_t slot_of(const struct machine *machine, swp_entry_t entry)
{
	return swp_offset(entry) >> machine->config.cluster;
}

static swp_entry_t entry_of(const struct machine *machine, uint32_t slot)
{
	return swp_entry(0, slot << machine->config.cluster);
}

swp_entry_t swap_sub_entry(const struct machine *machine, swp_entry_t entry, uint32_t sub)
{
	return entry_of(machine, slot_of(machine, entry)) + sub;
}

struct swap_slot *swap_slot(struct machine *machine, swp_entry_t entry)
{
	uint32_t slot = slot_of(machine, entry);

	MM_ASSERT(swp_type(entry) == 0);
	MM_ASSERT(slot > 0 && slot < machine->nr_slots);
	MM_ASSERT(machine->slots[slot].map > 0);
	return &machine->slots[slot];
}

/* Room on the host for one more slot, and for the day when all of them are free. */
static void slots_grow(struct machine *machine)
{
	uint32_t max = machine->max_slots ? machine->max_slots * 2 : SLOTS_MIN;

	machine->slots = host_realloc(machine, machine->slots, max * sizeof(*machine->slots));
	machine->free_slots =
		host_realloc(machine, machine->free_slots, max * sizeof(*machine->free_slots));
	machine->max_slots = machine->max_free_slots = max;
}

/* Slots that the area has room for. */
static uint32_t slots_total(const struct machine *machine)
{
	return machine->config.swap_pages >> machine->config.cluster;
}

/* The number of a free slot, or 0. */
static uint32_t slot_alloc(struct machine *machine)
{
	uint32_t slot;

	if (machine->swap_used == slots_total(machine))
		return 0;
	if (machine->nr_free_slots) {
		slot = machine->free_slots[--machine->nr_free_slots];
	} else {
		/* Slot 0 is the area's header: it exists and is never handed out. */
		if (machine->nr_slots == 0)
			machine->nr_slots = 1;
		slot = machine->nr_slots++;
		if (machine->nr_slots > machine->max_slots)
			slots_grow(machine);
		machine->slots[0] = (struct swap_slot){0};
	}
	machine->swap_used++;
	machine->slots[slot] = (struct swap_slot){.map = 1};
	return slot;
}

swp_entry_t swap_get_slot(struct machine *machine)
{
	return entry_of(machine, slot_alloc(machine));
}

void swap_duplicate(struct machine *machine, swp_entry_t entry)
{
	struct swap_slot *slot = swap_slot(machine, entry);

	MM_ASSERT(slot->map < UINT16_MAX);
	slot->map++;
}

void swap_free(struct machine *machine, swp_entry_t entry)
{
	struct swap_slot *slot = swap_slot(machine, entry);

	if (--slot->map)
		return;
	MM_ASSERT(!slot->cached);
	machine->free_slots[machine->nr_free_slots++] = slot_of(machine, entry);
	machine->swap_used--;
}

bool vm_swap_full(const struct machine *machine)
{
	return machine->swap_used * 2ull > slots_total(machine);
}

/* ---- the cache ------------------------------------------------------------------ */

/* PAGE joins the cache under ENTRY, whose map already counts the cache. */
static void cache_page(struct machine *machine, struct page *page, swp_entry_t entry)
{
	struct swap_slot *slot = swap_slot(machine, entry);

	MM_ASSERT(!(page->flags & PG_SWAPCACHE) && !page->mapping && !slot->cached);
	page_get(page);
	page->flags |= PG_SWAPCACHE;
	page->swap = entry;
	slot->cached = page;
}

bool add_to_swap(struct machine *machine, struct page *page)
{
	swp_entry_t entry = swap_get_slot(machine);

	if (!entry)
		return false;
	cache_page(machine, page, entry);
	page->flags |= PG_DIRTY;
	return true;
}

void delete_from_swap_cache(struct machine *machine, struct page *page)
{
	swp_entry_t entry = page->swap;
	struct swap_slot *slot = swap_slot(machine, entry);

	MM_ASSERT(page->flags & PG_SWAPCACHE);
	MM_ASSERT(slot->cached == page);
	slot->cached = NULL;
	page->flags &= ~PG_SWAPCACHE;
	page->swap = 0;
	swap_free(machine, entry);
	page_put(machine, page);
}

int swapin_page(struct machine *machine, swp_entry_t entry, struct page **page)
{
	struct swap_slot *slot = swap_slot(machine, entry);
	struct page *new;

	if (slot->cached) {
		*page = slot->cached;
		page_get(*page);
		return 0;
	}
	new = page_alloc(machine, GFP_HIGHUSER);
	if (!new)
		return -ENOMEM;
	/* Reclaim may have grown the array of slots. */
	slot = swap_slot(machine, entry);
	MM_ASSERT(!slot->cached && slot->written);
	new->flags |= PG_ANON;
	memcpy(new->token, slot->token, sub_pages(machine) * sizeof(new->token[0]));
	swap_duplicate(machine, entry);
	cache_page(machine, new, swap_sub_entry(machine, entry, 0));
	lru_add(machine, new, true);
	machine->swapins++;
	event_log(machine, EVENT_FILL, FILL_SWAP, 0, 0,
		  new->token[sub_of(machine, swp_offset(entry))]);
	*page = new;
	return 0;
}

void free_swap_and_cache(struct machine *machine, swp_entry_t entry)
{
	struct page *page = swap_slot(machine, entry)->cached;
	bool last = swap_slot(machine, entry)->map == 2;

	swap_free(machine, entry);
	if (!page || !last || (page->flags & PG_LOCKED))
		return;
	/* Only the cache names the slot now. It stays if the page is mapped and there is room. */
	if (page->count == 1 || vm_swap_full(machine)) {
		page->flags |= PG_DIRTY;
		delete_from_swap_cache(machine, page);
	}
}

void swap_write_page(struct machine *machine, struct page *page)
{
	struct swap_slot *slot = swap_slot(machine, page->swap);

	memcpy(slot->token, page->token, sub_pages(machine) * sizeof(page->token[0]));
	slot->written = true;
	page->flags &= ~PG_DIRTY;
	machine->swapouts++;
}

/* ---- whose page is it ----------------------------------------------------------- */

/* Nobody but the cache and OURS, who are asking, have to do with PAGE. */
static bool exclusive_swap_page(struct machine *machine, struct page *page, uint32_t ours)
{
	return page->count == ours + 1 && swap_slot(machine, page->swap)->map == 1;
}

/*
 * The asker's references are its mappings. Finding the page exclusive leaves it in the swap
 * cache: the slot is only given up when room gets short.
 */
bool can_share_swap_page(struct machine *machine, struct page *page, uint32_t ours)
{
	if (page->flags & PG_RESERVED)
		return false;
	if (page->flags & PG_SWAPCACHE)
		return exclusive_swap_page(machine, page, ours);
	return page->count == ours;
}

bool remove_exclusive_swap_page(struct machine *machine, struct page *page, uint32_t ours)
{
	if (!(page->flags & PG_SWAPCACHE) || !exclusive_swap_page(machine, page, ours))
		return false;
	/* The memory is the only copy from here on. */
	page->flags |= PG_DIRTY;
	delete_from_swap_cache(machine, page);
	return true;
}

/*
 * Swap areas and the swap cache.
 *
 * There are up to 32 areas, in slots of a page each, numbered from 1. An entry's type names an
 * area, its offset a slot and a sub-page of it. New slots come from the area of the highest
 * priority that has one, and areas of equal priority take turns:
 *
 *   swap_order   s1 (5)  s2 (5) | s0 (-1) | s3 (-2)         priorities; none given: below all
 *                         ^swap_next: the rest of its group is asked first, then all in order
 *
 * A slot's map counts the swap entries that name any of its sub-pages, in page tables and shmem
 * files, plus one while a page is cached for it. What the swap cache's radix tree is to a kernel,
 * slot->cached is here.
 *
 *   add_to_swap       page gets a slot          map 1 (the cache)
 *   try_to_unmap      each entry duplicates     map 1 + entries
 *   pageout, free     written, uncached         map entries
 *   swapin_page       read, cached again        map 1 + entries
 *   do_swap_page      each fault takes one      map 1: the page is exclusive
 *
 * A map that has reached its maximum is saturated: nobody knows any more how many users there are,
 * so it is not counted down, and the slot stays in use until swapoff has looked at everybody.
 *
 * Slots are made on demand and reused last in, first out, so an area costs what was used.
 */
#include "internal.h"

#define SLOTS_MIN    64u
#define MAP_MAX      0x7fffu /* SWAP_MAP_MAX */
#define MAP_MAX_TINY 3u

/* ---- areas ---------------------------------------------------------------------- */

void swap_boot(struct machine *machine)
{
	const struct machine_config *config = &machine->config;

	machine->nr_swap_on = machine->swap_next = 0;
	machine->swap_least = 0;
	machine->swap_total = machine->swap_used = 0;
	for (uint32_t i = 0; i < SWAP_AREAS_MAX; i++) {
		struct swap_area *area = &machine->swap[i];

		area->on = false;
		area->nr_slots = area->nr_free_slots = area->used = 0;
		area->total = i < config->nr_swap ? config->swap[i].pages >> config->cluster : 0;
		if (i >= config->nr_swap)
			continue;
		area->priority = config->swap[i].priority;
		if (!area->priority)
			area->priority = --machine->swap_least;
		swap_area_on(machine, i);
	}
}

void swap_destroy(struct machine *machine)
{
	for (uint32_t i = 0; i < SWAP_AREAS_MAX; i++) {
		free(machine->swap[i].slots);
		free(machine->swap[i].free_slots);
	}
	memset(machine->swap, 0, sizeof(machine->swap));
}

static int32_t priority_at(const struct machine *machine, uint32_t place)
{
	return machine->swap[machine->swap_order[place]].priority;
}

void swap_area_on(struct machine *machine, uint32_t i)
{
	struct swap_area *area = &machine->swap[i];
	uint32_t place = machine->nr_swap_on++;

	MM_ASSERT(!area->on);
	for (; place && priority_at(machine, place - 1) < area->priority; place--)
		machine->swap_order[place] = machine->swap_order[place - 1];
	machine->swap_order[place] = (uint8_t)i;
	machine->swap_next = 0;
	machine->swap_total += area->total;
	area->on = true;
}

void swap_area_off(struct machine *machine, uint32_t i)
{
	struct swap_area *area = &machine->swap[i];
	uint32_t place = 0;

	MM_ASSERT(area->on);
	while (machine->swap_order[place] != i)
		place++;
	for (machine->nr_swap_on--; place < machine->nr_swap_on; place++)
		machine->swap_order[place] = machine->swap_order[place + 1];
	machine->swap_next = 0;
	machine->swap_total -= area->total;
	area->on = false;
}

void swap_area_empty(struct machine *machine, uint32_t i)
{
	struct swap_area *area = &machine->swap[i];

	MM_ASSERT(!area->on);
	MM_ASSERT(!area->used);
	area->nr_slots = area->nr_free_slots = 0;
}

/* ---- slots ---------------------------------------------------------------------- */

/* The number of the slot that ENTRY names. */
static uint32_t slot_of(const struct machine *machine, swp_entry_t entry)
{
	return swp_offset(entry) >> machine->config.cluster;
}

swp_entry_t swap_sub_entry(const struct machine *machine, swp_entry_t entry, uint32_t sub)
{
	uint32_t first = slot_of(machine, entry) << machine->config.cluster;

	return swp_entry(swp_type(entry), first + sub);
}

struct swap_slot *swap_slot(struct machine *machine, swp_entry_t entry)
{
	struct swap_area *area = &machine->swap[swp_type(entry)];
	uint32_t slot = slot_of(machine, entry);

	MM_ASSERT(slot > 0 && slot < area->nr_slots);
	MM_ASSERT(area->slots[slot].map > 0);
	return &area->slots[slot];
}

/* Room on the host for one more slot, and for the day when all of them are free. */
static void slots_grow(struct machine *machine, struct swap_area *area)
{
	uint32_t max = area->max_slots ? area->max_slots * 2 : SLOTS_MIN;

	area->slots = host_realloc(machine, area->slots, max * sizeof(*area->slots));
	area->free_slots = host_realloc(machine, area->free_slots, max * sizeof(*area->free_slots));
	area->max_slots = max;
}

/* The number of a free slot, or 0. */
static uint32_t slot_alloc(struct machine *machine, struct swap_area *area)
{
	uint32_t slot;

	if (area->used >= area->total && !MUTANT_IF(machine, SWP_12, area->used == area->total))
		return 0;
	if (area->nr_free_slots) {
		slot = area->free_slots[--area->nr_free_slots];
	} else {
		/* Slot 0 is the area's header: it exists and is never handed out. */
		if (area->nr_slots == 0)
			area->nr_slots = 1;
		slot = area->nr_slots++;
		if (area->nr_slots > area->max_slots)
			slots_grow(machine, area);
		area->slots[0] = (struct swap_slot){0};
	}
	area->used++;
	machine->swap_used++;
	area->slots[slot] = (struct swap_slot){.map = 1};
	return slot;
}

swp_entry_t swap_get_slot(struct machine *machine)
{
	uint32_t n = machine->nr_swap_on, from = machine->swap_next, group = from;

	while (group < n && priority_at(machine, group) == priority_at(machine, from))
		group++;
	for (uint32_t i = from; i < group + n; i++) {
		uint32_t place = i < group ? i : i - group, after = place + 1;
		uint32_t area = machine->swap_order[place];
		uint32_t slot = slot_alloc(machine, &machine->swap[area]);

		if (!slot)
			continue;
		if (after == n || priority_at(machine, after) != priority_at(machine, place))
			after = 0;
		machine->swap_next = after;
		return swp_entry(area, slot << machine->config.cluster);
	}
	return 0;
}

bool swap_saturated(const struct machine *machine, const struct swap_slot *slot)
{
	return slot->map >= (machine->config.counters == COUNTERS_TINY ? MAP_MAX_TINY : MAP_MAX);
}

void swap_duplicate(struct machine *machine, swp_entry_t entry)
{
	struct swap_slot *slot = swap_slot(machine, entry);

	if (!swap_saturated(machine, slot))
		slot->map++;
}

void swap_free(struct machine *machine, swp_entry_t entry)
{
	struct swap_area *area = &machine->swap[swp_type(entry)];
	struct swap_slot *slot = swap_slot(machine, entry);

	if (swap_saturated(machine, slot) && !MUTANT_IF(machine, SWP_13, true))
		return;
	if (--slot->map) {
		if (!MUTANT_IF(machine, SWP_08, slot->map == 1 && slot->cached))
			return;
		slot->map = 0;
		slot->cached = NULL;
	}
	MM_ASSERT(!slot->cached);
	area->free_slots[area->nr_free_slots++] = slot_of(machine, entry);
	area->used--;
	machine->swap_used--;
}

bool vm_swap_full(const struct machine *machine)
{
	return machine->swap_used * 2ull > machine->swap_total;
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

void swap_desaturate(struct machine *machine, uint32_t type)
{
	struct swap_area *area = &machine->swap[type];

	for (uint32_t i = 1; i < area->nr_slots; i++) {
		struct swap_slot *slot = &area->slots[i];

		if (!swap_saturated(machine, slot))
			continue;
		slot->map = 1;
		if (slot->cached) {
			slot->cached->flags |= PG_DIRTY;
			delete_from_swap_cache(machine, slot->cached);
		} else {
			swap_free(machine, swp_entry(type, i << machine->config.cluster));
		}
	}
}

static bool slot_is_free(const struct machine *machine, swp_entry_t entry)
{
	const struct swap_area *area = &machine->swap[swp_type(entry)];
	uint32_t slot = slot_of(machine, entry);

	return slot >= area->nr_slots || !area->slots[slot].map;
}

void swap_cache_replace(struct machine *machine, struct page *old, struct page *new)
{
	struct swap_slot *slot = swap_slot(machine, old->swap);

	MM_ASSERT(slot->cached == old);
	slot->cached = new;
	page_get(new);
	new->flags |= PG_SWAPCACHE;
	new->swap = old->swap;
	old->flags &= ~PG_SWAPCACHE;
	old->swap = 0;
	page_put(machine, old);
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
	/* Meanwhile others may have read it in, or the last user of the slot may have gone. */
	if (slot_is_free(machine, entry) || swap_slot(machine, entry)->cached ||
	    !swap_slot(machine, entry)->written) {
		page_put(machine, new);
		return -EAGAIN;
	}
	slot = swap_slot(machine, entry);
	new->flags |= PG_ANON;
	bounce_read(machine, new, slot->token);
	swap_duplicate(machine, entry);
	cache_page(machine, new, swap_sub_entry(machine, entry, 0));
	lru_add(machine, new, true);
	machine->swapins++;
	event_log(machine, EVENT_FILL, FILL_SWAP, 0, 0,
		  new->token[sub_of(machine, swp_offset(entry))]);
	*page = new;
	return 0;
}

void swap_drop_cache(struct machine *machine)
{
	for (uint32_t i = 0; i < SWAP_AREAS_MAX; i++) {
		const struct swap_area *area = &machine->swap[i];

		for (uint32_t slot = 1; slot < area->nr_slots; slot++) {
			struct page *page = area->slots[slot].cached;

			if (area->slots[slot].map == 1 && page && page->count == 1)
				delete_from_swap_cache(machine, page);
		}
	}
}

void free_swap_and_cache(struct machine *machine, swp_entry_t entry)
{
	struct page *page = swap_slot(machine, entry)->cached;
	bool last = swap_slot(machine, entry)->map == 2; /* which is no saturated map */

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

	bounce_write(machine, page, slot->token);
	slot->written = true;
	page->flags &= ~PG_DIRTY;
	machine->swapouts++;
}

/* ---- whose page is it ----------------------------------------------------------- */

/* Nobody but the cache and OURS, who are asking, have to do with PAGE. */
static bool exclusive_swap_page(struct machine *machine, struct page *page, uint32_t ours)
{
	return (page->count == ours + 1 ||
		MUTANT_IF(machine, COW_06, page->pins && page->count == ours + 1 + page->pins)) &&
	       (swap_slot(machine, page->swap)->map == 1 || MUTANT_IF(machine, SEED_08, true));
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
	return page->count == ours ||
	       MUTANT_IF(machine, COW_06, page->pins && page->count == ours + page->pins);
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

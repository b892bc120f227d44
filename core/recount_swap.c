/*
 * Recount, the swap areas: slot maps against entries, stores and the swap cache.
 */
#include "recount_private.h"

bool count_slot(struct recount *r, swp_entry_t entry)
{
	struct swap_area *area = &r->machine->swap[swp_type(entry)];
	uint32_t slot = swp_offset(entry) >> r->machine->config.cluster;

	if (!slot || slot >= area->nr_slots)
		return false;
	area->slots[slot].seen++;
	return true;
}

static bool check_slot(struct recount *r, uint32_t type, uint32_t offset)
{
	const struct swap_slot *slot = &r->machine->swap[type].slots[offset];
	uint32_t map = slot->seen + (slot->map && slot->cached);

	if (slot->map != map && !swap_saturated(r->machine, slot))
		return recount_wrong(r, "swap slot %u:%u: map is %u, counted %u", type, offset,
				     slot->map, map);
	if (!slot->map)
		return true;
	if (!slot->cached)
		return slot->written ||
		       recount_wrong(r, "swap slot %u:%u is neither cached nor written", type,
				     offset);
	if (!(slot->cached->flags & PG_SWAPCACHE) ||
	    slot->cached->swap != swp_entry(type, offset << r->machine->config.cluster))
		return recount_wrong(r, "swap slot %u:%u: the cached page does not know it", type,
				     offset);
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
			return recount_wrong(
				r, "swap slot %u:%u is on the free list and does not exist", type,
				offset);
		slot = &area->slots[offset];
		if (slot->map || slot->seen)
			return recount_wrong(r, "swap slot %u:%u is on the free list, and %s", type,
					     offset, slot->map ? "in use" : "twice");
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
		return recount_wrong(r, "swap area %u is off and %u of its slots are in use", type,
				     used);
	if (slots > area->total)
		return recount_wrong(r, "swap area %u has slot %u, its last one is %u", type, slots,
				     area->total);
	return recount_same(r, "slots in use of a swap area", area->used, used) &&
	       recount_same(r, "number of free swap slots", area->nr_free_slots, slots - used) &&
	       check_free_slots(r, type);
}

/* Areas that are on, and no others, are in the order of their priorities. */
static bool check_swap_order(struct recount *r, uint32_t nr_on)
{
	const struct machine *machine = r->machine;

	for (uint32_t i = 0; i < machine->nr_swap_on; i++) {
		const struct swap_area *area = &machine->swap[machine->swap_order[i]];

		if (!area->on)
			return recount_wrong(r, "a swap area that is off is asked for slots");
		if (i && machine->swap[machine->swap_order[i - 1]].priority < area->priority)
			return recount_wrong(r,
					     "swap areas are not in the order of their priorities");
	}
	return recount_same(r, "number of swap areas in use", machine->nr_swap_on, nr_on);
}

bool check_swap(struct recount *r)
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
	return recount_same(r, "swap in use", machine->swap_used, used) &&
	       recount_same(r, "size of all swap", machine->swap_total, total) &&
	       check_swap_order(r, on);
}

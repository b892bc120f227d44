/*
 * Temporary kernel mappings that last, in a pool: see kmap.h.
 *
 * The search for an entry goes round. It begins each round with the flush, and takes entries
 * whose count is 0:
 *
 *     count     2  1  1  3  0  0        last = 3: the next two are free, then comes the flush
 *     flush     2  0  0  3  1  1 -> 0   and entries 1 and 2 have no page any more, 4 and 5 neither
 *
 * A page whose entry is still there (count 1) takes it again, even if it was freed and is somebody
 * else's by now: what an entry maps is a frame, and that has not changed.
 *
 * What processors remember is kept by entry and used: a content is looked for where the processor
 * under way takes the address to lead. Only the flush makes it forget, as nothing on i386 can be
 * trusted to do so earlier.
 */
#include "internal.h"

#include <stdio.h>

#define POOL "the pool"

void pkmap_reset(struct machine *machine)
{
	struct pkmap *pool = &machine->pkmap;

	if (pool->touched)
		memset(pool->entry, 0, pool->touched * sizeof(pool->entry[0]));
	pool->last = pool->touched = 0;
	pool->users = pool->outside = 0;
	pool->kmaps = pool->flushes = 0;
	pool->lose_flush = false;
}

void pkmap_destroy(struct machine *machine)
{
	free(machine->pkmap.entry);
	machine->pkmap = (struct pkmap){0};
}

/* Entry number I, which may be in use for the first time. */
static struct pkmap_entry *touch_entry(struct machine *machine, uint32_t i)
{
	struct pkmap *pool = &machine->pkmap;

	if (i >= pool->room) {
		uint32_t room = pool->room ? 2 * pool->room : 16;

		pool->entry = host_realloc(machine, pool->entry, room * sizeof(pool->entry[0]));
		memset(pool->entry + pool->room, 0, (room - pool->room) * sizeof(pool->entry[0]));
		pool->room = room;
	}
	if (pool->touched <= i)
		pool->touched = i + 1;
	return &pool->entry[i];
}

static uint32_t pool_size(const struct machine *machine)
{
	return machine->config.counters == COUNTERS_TINY ? LAST_PKMAP_TINY : LAST_PKMAP;
}

/* What nobody uses is nobody's any more, and all processors forget everything. */
static void flush_all_zero_pkmaps(struct machine *machine)
{
	struct pkmap *pool = &machine->pkmap;

	for (uint32_t i = 0; i < pool->touched; i++) {
		struct pkmap_entry *entry = &pool->entry[i];

		if (entry->count == 1) {
			entry->page->pkmap = 0;
			entry->page = NULL;
			entry->count = 0;
		}
		if (!pool->lose_flush)
			memset(entry->seen, 0, sizeof(entry->seen));
	}
	pool->flushes++;
}

/* PAGE, which has no entry, gets one. False: all are in use. */
static bool map_new_virtual(struct machine *machine, struct page *page)
{
	struct pkmap *pool = &machine->pkmap;
	uint32_t size = pool_size(machine);
	struct pkmap_entry *entry;

	for (uint32_t left = size; left; left--) {
		pool->last = (pool->last + 1) % size;
		if (!pool->last) {
			flush_all_zero_pkmaps(machine);
			left = size;
		}
		entry = touch_entry(machine, pool->last);
		if (entry->count)
			continue;
		entry->page = page;
		entry->count = 1;
		page->pkmap = (uint16_t)(pool->last + 1);
		return true;
	}
	return false;
}

/* The entry that PAGE has and somebody uses, or NULL. */
static struct pkmap_entry *entry_in_use(struct pkmap *pool, const struct page *page)
{
	struct pkmap_entry *entry = page->pkmap ? &pool->entry[page->pkmap - 1] : NULL;

	return entry && entry->count > 1 ? entry : NULL;
}

void kmap(struct machine *machine, struct page *page)
{
	struct pkmap *pool = &machine->pkmap;

	kmap_might_sleep(machine);
	pool->kmaps++;
	if (!page->pkmap && !map_new_virtual(machine, page)) {
		kmap_blame(machine, KMAP_FULL, POOL, page);
		return;
	}
	pool->entry[page->pkmap - 1].count++;
	pool->users++;
}

void kunmap(struct machine *machine, struct page *page)
{
	struct pkmap *pool = &machine->pkmap;
	struct pkmap_entry *entry = entry_in_use(pool, page);

	if (machine->kmaps.lose_unmap && !--machine->kmaps.lose_unmap)
		return;
	if (!entry) {
		kmap_blame(machine, KMAP_WRONG, POOL, page);
		return;
	}
	entry->count--;
	pool->users--;
}

uint64_t *kmap_token(struct machine *machine, struct page *page, uint32_t sub)
{
	struct pkmap_entry *entry = entry_in_use(&machine->pkmap, page);
	struct page **seen;

	if (!entry) {
		kmap_blame(machine, KMAP_UNMAPPED, POOL, page);
		return &page->token[sub];
	}
	seen = &entry->seen[machine->cpus.current];
	if (!*seen)
		*seen = page;
	if (*seen != page)
		kmap_blame(machine, KMAP_STALE, POOL, page);
	return &(*seen)->token[sub];
}

/* ---- checks --------------------------------------------------------------------------------- */

const struct page *pkmap_left(const struct machine *machine)
{
	const struct pkmap *pool = &machine->pkmap;

	for (uint32_t i = 0; i < pool->touched; i++) {
		if (pool->entry[i].count > 1)
			return pool->entry[i].page;
	}
	return NULL;
}

static bool entry_is_sound(const struct pkmap *pool, uint32_t i)
{
	const struct pkmap_entry *entry = &pool->entry[i];

	if (!entry->count != !entry->page || (entry->page && entry->page->pkmap != i + 1))
		return false;
	for (uint32_t cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (entry->seen[cpu] && entry->seen[cpu] != entry->page)
			return false;
	}
	return true;
}

const char *pkmap_verify(const struct machine *machine, uint32_t pages, char *buf, size_t size)
{
	const struct pkmap *pool = &machine->pkmap;
	uint32_t users = 0, mapped = 0;

	for (uint32_t i = 0; i < pool->touched; i++) {
		if (!entry_is_sound(pool, i)) {
			snprintf(buf, size,
				 "kmap: entry %u of the pool, its page and the TLBs disagree", i);
			return buf;
		}
		mapped += pool->entry[i].count > 0;
		users += pool->entry[i].count > 1 ? pool->entry[i].count - 1 : 0;
	}
	if (users == pool->users && mapped == pages)
		return NULL;
	snprintf(buf, size, "kmap: %u users of %u entries, counted %u, and %u pages have one",
		 pool->users, mapped, users, pages);
	return buf;
}

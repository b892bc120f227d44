/*
 * Recount, the pages: census, mapcount and references against what was counted; lists and flags.
 */
#include "recount_private.h"

static bool same_page(struct recount *r, const struct page *page, const char *what, uint32_t kept,
		      uint32_t counted)
{
	if (kept == counted)
		return true;
	return recount_wrong(r, "page 0x%x: %s is %u, counted %u", page->pfn, what, kept, counted);
}

/* The census list is as long as the scan said, each entry maps the page, and links agree. */
static bool check_census(struct recount *r, const struct page *page)
{
	uint32_t n = 0, before = 0;
	struct ptep p;

	for (bool more = census_first(r->machine, page, &p); more;
	     more = census_next(r->machine, &p)) {
		if (++n > page->seen || !p.table->mm ||
		    !rmap_maps(r->machine, page, ptep_peek(p)) || p.table->prev[p.slot] != before)
			return recount_wrong(r, "page 0x%x: the census has a wrong entry",
					     page->pfn);
		before = p.table->id * PTE_ENTRIES + p.slot;
	}
	return same_page(r, page, "length of the census", n, page->seen);
}

static bool check_used_page(struct recount *r, const struct page *page)
{
	bool fixed = page->flags & (PG_RESERVED | PG_TABLE);
	uint32_t count = page->seen + (page->mapping != NULL) + !!(page->flags & PG_SWAPCACHE) +
			 fixed + page->pins;

	r->pins += page->pins;
	r->mapping_pages += page->mapping != NULL;
	r->swapcache_pages -= !!(page->flags & PG_SWAPCACHE);
	r->table_pages += !!(page->flags & PG_TABLE);
	if (!check_census(r, page) || !same_page(r, page, "mapcount", page->mapcount, page->seen) ||
	    !same_page(r, page, "count", page->count, count))
		return false;
	if (page->flags & PG_LOCKED)
		return recount_wrong(r, "page 0x%x is still locked", page->pfn);
	if (page->mapping && (page->flags & (PG_ANON | PG_SWAPCACHE)))
		return recount_wrong(r, "page 0x%x is both a file's and anonymous", page->pfn);
	if ((page->flags & PG_LAZYFREE) && (page->flags & (PG_ANON | PG_SWAPCACHE)) != PG_ANON)
		return recount_wrong(r, "page 0x%x may be lost, and is not private memory",
				     page->pfn);
	if (!!(page->flags & PG_LRU) == fixed)
		return recount_wrong(r, "page 0x%x is on %s", page->pfn,
				     fixed ? "an LRU list" : "no list");
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
			return recount_wrong(r, "page 0x%x is on the wrong list", page->pfn);
		if (++n > expected)
			break;
	}
	return n == expected || recount_wrong(r, "zone %d: a list of pages is too %s",
					      (int)zone->id, n < expected ? "short" : "long");
}

static bool check_zone(struct recount *r, const struct zone *zone)
{
	uint32_t untouched = zone->npages - zone->reserved - zone->touched;
	uint32_t nr_free = 0, nr_active = 0, nr_inactive = 0;

	for (uint32_t k = 0; k < zone->touched; k++) {
		const struct page *page = zone_page(zone, k);

		r->tlb_users += page->tlb_users;
		r->pkmaps += page->pkmap != 0;
		if (page->pfn != zone->end_pfn - ((k + 1) << r->machine->config.cluster) ||
		    page->zone != zone->id)
			return recount_wrong(r, "page 0x%x is not the frame it is kept for",
					     page->pfn);
		if (page->flags & PG_FREE) {
			if (page->flags != PG_FREE || page->count || page->mapcount ||
			    page->census || page->seen)
				return recount_wrong(r, "page 0x%x is free and in use", page->pfn);
			nr_free++;
			continue;
		}
		if (!check_used_page(r, page))
			return false;
		if (page->flags & PG_LRU)
			*(page->flags & PG_ACTIVE ? &nr_active : &nr_inactive) += 1;
	}
	return recount_same(r, "number of free pages", zone->nr_free, nr_free + untouched) &&
	       recount_same(r, "nr_active", zone->nr_active, nr_active) &&
	       recount_same(r, "nr_inactive", zone->nr_inactive, nr_inactive) &&
	       check_list(r, zone, &zone->free, PG_FREE, nr_free) &&
	       check_list(r, zone, &zone->active, PG_LRU | PG_ACTIVE, nr_active) &&
	       check_list(r, zone, &zone->inactive, PG_LRU, nr_inactive);
}

/* Each page that a device holds knows so, and there are no others. */
static bool check_pins(struct recount *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PIN_MAX; i++) {
		const struct pin *pin = &r->machine->pins[i];

		for (uint32_t k = 0; k < pin->n; k++) {
			const struct page *page = pin->page[k];

			if (!(page->flags & PG_RESERVED) && !page->pins)
				return recount_wrong(r, "page 0x%x is pinned and does not know it",
						     page->pfn);
			n += !(page->flags & PG_RESERVED);
		}
	}
	return recount_same(r, "number of pinned pages", r->pins, n);
}

bool check_zones(struct recount *r)
{
	for (enum zone_id id = 0; id < NR_ZONES; id++) {
		if (!check_zone(r, &r->machine->zones[id]))
			return false;
	}
	return check_pins(r) &&
	       recount_same(r, "number of cached pages", r->cached_pages, r->mapping_pages) &&
	       (!r->swapcache_pages || recount_wrong(r, "a swap cache page and its slot disagree"));
}

/*
 * Frames and zones: who has which page of physical memory.
 *
 *   0     4M     16M                                  896M (3:1)              64G
 *   |kernel|  DMA  |mem_map, hashes|      NORMAL       |       HIGHMEM         |
 *    reserved        reserved
 *
 * A zone hands out frames from its top down, and prefers those that came back, last in, first
 * out. struct page is made when its frame is first handed out, so a machine costs the host what
 * it used and not its size, and forgetting all frames is setting a number to zero.
 *
 * mem_map, which has a struct page per frame, lies in lowmem from boot on. How large the
 * design under test makes it is reported (lowmem_boot), but the zones are laid out for one and
 * the same size in all machines: which frames there are, and when a watermark is hit, must not
 * depend on the reverse map, or machines in lockstep would part. A machine of its own may want just
 * that (accounting=competing): then mem_map has its true size, and so many of lowmem's free pages
 * as slabs occupy are not to be had.
 */
#include "internal.h"

#include <stddef.h>

#define MB_FRAMES     (1024u * 1024u / PAGE_SIZE)
#define DMA_FRAMES    (16u * MB_FRAMES)
#define KERNEL_FRAMES (4u * MB_FRAMES)
#define MEM_MAP_BYTES 44u        /* the largest struct page, with 8-byte pte addresses in it */
#define TOKEN_FREE    UINT64_MAX /* what a frame holds after it was freed */
#define RECLAIM_BATCH 32u        /* SWAP_CLUSTER_MAX */

/*
 * Where lowmem ends, in MB. 3:1 and 2:2: the kernel's share of the address space less 128 MB
 * for vmalloc. 4:4: what leaves the 3,137,464 kB of lowmem that were measured with 64 GB.
 */
static const uint32_t lowmem_end_mb[] = {
	[SPLIT_3_1] = 1024 - 128,
	[SPLIT_2_2] = 2048 - 128,
	[SPLIT_4_4] = 3788,
};

/* Dentry, inode and page hashes, by size of memory: 16 MB of lowmem at 64 GB. */
static uint32_t hash_bytes(uint32_t frames)
{
	return frames;
}

static uint32_t pages_of(const struct machine *machine, uint64_t bytes)
{
	uint64_t page_bytes = (uint64_t)PAGE_SIZE << machine->config.cluster;

	return (uint32_t)((bytes + page_bytes - 1) / page_bytes);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- boot ---------------------------------------------------------------------------- */

static void zone_init(struct machine *machine, enum zone_id id, uint32_t start, uint32_t end)
{
	struct zone *zone = &machine->zones[id];

	zone->id = id;
	zone->start_pfn = start;
	zone->end_pfn = end > start ? end : start;
	zone->npages = (zone->end_pfn - start) >> machine->config.cluster;
	zone->reserved = 0;
	zone->touched = 0;
	zone->nr_free = zone->npages;
	zone->nr_slab = 0;
	zone->nr_active = zone->nr_inactive = 0;
	zone->scanned = 0;
	TAILQ_INIT(&zone->free);
	TAILQ_INIT(&zone->active);
	TAILQ_INIT(&zone->inactive);
}

static void zone_reserve(struct zone *zone, uint32_t npages)
{
	MM_ASSERT(npages < zone->nr_free);
	zone->reserved += npages;
	zone->nr_free -= npages;
}

static uint32_t square_root(uint32_t n)
{
	uint32_t root = 0;

	for (uint32_t bit = 1u << 15; bit; bit >>= 1) {
		if ((uint64_t)(root | bit) * (root | bit) <= n)
			root |= bit;
	}
	return root;
}

static void set_watermarks(struct zone *zone, uint32_t min)
{
	zone->pages_min = min;
	zone->pages_low = min * 2;
	zone->pages_high = min * 3;
}

/* min_free_kbytes is the root of 16 times lowmem, shared out by size; highmem has its own rule. */
static void init_watermarks(struct machine *machine)
{
	struct zone *zones = machine->zones;
	uint32_t lowmem = zones[ZONE_DMA].npages + zones[ZONE_NORMAL].npages;
	uint32_t page_kbytes = (PAGE_SIZE / 1024) << machine->config.cluster;
	uint32_t min_kbytes = square_root(lowmem * page_kbytes * 16);
	uint64_t min = min_kbytes / page_kbytes;
	uint32_t high = zones[ZONE_HIGHMEM].npages / 1024;

	MM_ASSERT(lowmem);
	set_watermarks(&zones[ZONE_DMA], (uint32_t)(min * zones[ZONE_DMA].npages / lowmem));
	set_watermarks(&zones[ZONE_NORMAL], (uint32_t)(min * zones[ZONE_NORMAL].npages / lowmem));
	set_watermarks(&zones[ZONE_HIGHMEM], high < 32 ? 32 : min_u32(high, 128));
}

/* Boot memory comes from above 16 MB, if there is any, so that devices can have the rest. */
static void reserve_boot_memory(struct machine *machine, uint32_t frames)
{
	struct zone *zones = machine->zones;
	enum zone_id id = zones[ZONE_NORMAL].npages ? ZONE_NORMAL : ZONE_DMA;
	uint64_t kernel = (uint64_t)KERNEL_FRAMES * PAGE_SIZE;
	uint64_t npages = frames >> machine->config.cluster;
	bool competing = machine->config.accounting == ACCOUNTING_COMPETING;
	uint32_t page_bytes = competing ? machine->rmap->page_bytes : MEM_MAP_BYTES;

	zone_reserve(&zones[ZONE_DMA], pages_of(machine, kernel));
	zone_reserve(&zones[id], pages_of(machine, npages * page_bytes) +
					 pages_of(machine, hash_bytes(frames)));
	machine->lowmem_boot = kernel + hash_bytes(frames) + npages * machine->rmap->page_bytes;
}

static struct page *boot_page(struct machine *machine)
{
	struct page *page = page_alloc(machine, 0);

	MM_ASSERT(page);
	page->flags |= PG_RESERVED;
	return page;
}

void frame_init(struct machine *machine)
{
	uint32_t frames = machine->config.ram_mb * MB_FRAMES;
	uint32_t low_end = min_u32(frames, lowmem_end_mb[machine->config.split] * MB_FRAMES);

	zone_init(machine, ZONE_DMA, 0, min_u32(frames, DMA_FRAMES));
	zone_init(machine, ZONE_NORMAL, DMA_FRAMES, low_end);
	zone_init(machine, ZONE_HIGHMEM, low_end, frames);
	init_watermarks(machine);
	reserve_boot_memory(machine, frames);
	machine->zero_page = boot_page(machine);
	machine->swapper_pmd_pfn = boot_page(machine)->pfn;
}

void frame_reset(struct machine *machine)
{
	for (enum zone_id id = 0; id < NR_ZONES; id++)
		machine->zones[id].touched = 0;
	machine->zero_page = NULL;
}

void frame_destroy(struct machine *machine)
{
	for (enum zone_id id = 0; id < NR_ZONES; id++) {
		struct zone *zone = &machine->zones[id];

		for (uint32_t i = 0; i < zone->nr_chunks; i++)
			free(zone->chunks[i]);
		free(zone->chunks);
		*zone = (struct zone){0};
	}
}

/* ---- frames ---------------------------------------------------------------------------- */

uint32_t zone_used(const struct zone *zone)
{
	return zone->npages - zone->reserved - zone->nr_free;
}

static const struct zone *zone_of(const struct machine *machine, uint32_t pfn)
{
	const struct zone *zone = &machine->zones[ZONE_HIGHMEM];

	while (pfn < zone->start_pfn)
		zone--;
	return zone;
}

struct page *pfn_to_page(const struct machine *machine, uint32_t pfn)
{
	const struct zone *zone = zone_of(machine, pfn);
	/* Beyond all memory this wraps around, and is far more than was touched. */
	uint32_t k = (zone->end_pfn - 1 - pfn) >> machine->config.cluster;

	return k < zone->touched ? zone_page(zone, k) : NULL;
}

uint64_t *pfn_token(const struct machine *machine, uint32_t pfn)
{
	struct page *page = pfn_to_page(machine, pfn);

	return &page->token[pfn - page->pfn];
}

/* A page that was never handed out. Its struct page may be left from before a reset. */
static struct page *touch_page(struct machine *machine, struct zone *zone)
{
	uint32_t k = zone->touched++, n = zone->nr_chunks;
	struct page *page;

	if (k / PAGE_CHUNK == n) {
		if (!(n & (n - 1)))
			zone->chunks =
				host_realloc(machine, zone->chunks,
					     (n ? 2 * (size_t)n : 1) * sizeof(*zone->chunks));
		zone->chunks[n] = host_alloc(machine, PAGE_CHUNK * sizeof(struct page));
		zone->nr_chunks = n + 1;
	}
	page = zone_page(zone, k);
	page->pfn = zone->end_pfn - ((k + 1) << machine->config.cluster);
	page->tlb_users = 0;
	page->pkmap = 0;
	return page;
}

/* All zero but for who it is; of the tokens, those that count. */
static void page_init(const struct machine *machine, struct page *page, enum zone_id zone)
{
	uint32_t pfn = page->pfn;
	uint16_t tlb_users = page->tlb_users; /* if a flush is missing */
	uint16_t pkmap = page->pkmap;         /* which its last owner has left */

	memset(page, 0, offsetof(struct page, token) + sub_pages(machine) * sizeof(page->token[0]));
	page->pfn = pfn;
	page->tlb_users = tlb_users;
	page->pkmap = pkmap;
	page->zone = (uint8_t)zone;
	page->count = 1;
}

static struct page *take_page(struct machine *machine, struct zone *zone)
{
	struct page *page = TAILQ_FIRST(&zone->free);

	if (page) {
		MM_ASSERT(page->flags == PG_FREE);
		MM_ASSERT(page->count == 0);
		TAILQ_REMOVE(&zone->free, page, lru);
	} else {
		page = touch_page(machine, zone);
	}
	zone->nr_free--;
	page_init(machine, page, zone->id);
	if (zone->id != ZONE_HIGHMEM)
		lowmem_note_peak(machine);
	return page;
}

/* ---- allocation -------------------------------------------------------------------------- */

/* How far down an allocation may take a zone. */
enum effort { ABOVE_LOW, ABOVE_MIN, ABOVE_HALF_MIN, ABOVE_NOTHING };

static uint32_t watermark(const struct zone *zone, enum effort effort)
{
	switch (effort) {
	case ABOVE_LOW:
		return zone->pages_low;
	case ABOVE_MIN:
		return zone->pages_min;
	case ABOVE_HALF_MIN:
		return zone->pages_min / 2;
	default:
		return 0;
	}
}

/* The highest zone up to MAX that has a page to spare. */
static struct zone *zone_above(struct machine *machine, enum zone_id max, enum effort effort)
{
	for (uint32_t id = max + 1; id--;) {
		struct zone *zone = &machine->zones[id];

		if (zone->nr_free - zone->nr_slab > watermark(zone, effort))
			return zone;
	}
	return NULL;
}

static struct page *page_from_zones(struct machine *machine, enum zone_id max, enum effort effort)
{
	struct zone *zone = zone_above(machine, max, effort);

	return zone ? take_page(machine, zone) : NULL;
}

/* Without kswapd, whoever finds memory low and can wait does its work. */
static struct page *page_alloc_slow(struct machine *machine, enum zone_id max, bool can_wait)
{
	if (machine->in_reclaim)
		return page_from_zones(machine, max, ABOVE_NOTHING);
	if (!can_wait)
		return page_from_zones(machine, max, ABOVE_HALF_MIN);
	shrink_caches(machine, max, RECLAIM_BATCH);
	return page_from_zones(machine, max, ABOVE_MIN);
}

struct page *page_alloc(struct machine *machine, uint32_t gfp)
{
	enum zone_id max = gfp & GFP_HIGH ? ZONE_HIGHMEM : ZONE_NORMAL;
	struct page *page;

	if (!alloc_allowed(machine, gfp & GFP_WAIT))
		return NULL;
	page = page_from_zones(machine, max, ABOVE_LOW);
	if (!page)
		page = page_alloc_slow(machine, max, gfp & GFP_WAIT);
	if (!page)
		machine->last_op.alloc_failed = true;
	return page;
}

static struct zone *zone_for_slab_slow(struct machine *machine, bool can_wait)
{
	if (machine->in_reclaim)
		return zone_above(machine, ZONE_NORMAL, ABOVE_NOTHING);
	if (!can_wait)
		return zone_above(machine, ZONE_NORMAL, ABOVE_HALF_MIN);
	shrink_caches(machine, ZONE_NORMAL, RECLAIM_BATCH);
	return zone_above(machine, ZONE_NORMAL, ABOVE_MIN);
}

bool slab_page_get(struct machine *machine, bool can_wait)
{
	struct zone *zone = zone_above(machine, ZONE_NORMAL, ABOVE_LOW);

	if (!zone)
		zone = zone_for_slab_slow(machine, can_wait);
	if (!zone)
		return false;
	zone->nr_slab++;
	return true;
}

/* The DMA zone, which was the last to be asked, gets its pages back first. */
void slab_page_put(struct machine *machine)
{
	struct zone *zone = machine->zones;

	while (!zone->nr_slab)
		zone++;
	MM_ASSERT(zone->id <= ZONE_NORMAL);
	zone->nr_slab--;
	zone->scanned = 0;
}

uint32_t slab_pages(const struct machine *machine)
{
	return machine->zones[ZONE_DMA].nr_slab + machine->zones[ZONE_NORMAL].nr_slab;
}

/* ---- freeing -------------------------------------------------------------------------------- */

static void page_free(struct machine *machine, struct page *page)
{
	struct zone *zone = &machine->zones[page->zone];

	MM_ASSERT(!(page->flags & (PG_FREE | PG_RESERVED | PG_SWAPCACHE | PG_TABLE)));
	MM_ASSERT(page->mapcount == 0);
	MM_ASSERT(!page->mapping);
	if (page->tlb_users)
		tlb_freed(machine, page);
	if (page->flags & PG_LRU)
		lru_del(machine, page);
	if (machine->rmap->page_free)
		machine->rmap->page_free(machine, page);
	page->flags = PG_FREE;
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++)
		page->token[sub] = TOKEN_FREE;
	TAILQ_INSERT_HEAD(&zone->free, page, lru);
	zone->nr_free++;
	zone->scanned = 0;
}

void page_put(struct machine *machine, struct page *page)
{
	MM_ASSERT(page->count > 0);
	if (--page->count == 0)
		page_free(machine, page);
}

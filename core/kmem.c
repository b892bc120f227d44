/*
 * Kernel objects: typed pools, what they cost on i386, and which allocations fail.
 *
 * A pool never gives its memory back to the host, so that after a while nothing asks the host
 * for any; what is wiped is the bookkeeping. A freed object is poisoned: AddressSanitizer
 * reports the first touch, other builds find junk in it. In recycle mode it keeps its content,
 * and the next allocation gets it back, zeroed.
 *
 * The cost is what 2.6's slab allocator would take. An object below 512 bytes shares its page
 * with the slab's descriptor and four bytes of index per object:
 *
 *   | struct slab 24 | index 4 x n | object | object | ...      113 of 32 bytes in 4096
 *
 * Larger ones have those elsewhere, and from 4096 bytes on an object has its own pages. Slabs
 * count as if objects were always packed: ceil(used / per_slab) of them.
 */
#include "internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define WITH_ASAN                                 0
#define __asan_poison_memory_region(mem, bytes)   ((void)(mem), (void)(bytes))
#define __asan_unpoison_memory_region(mem, bytes) ((void)(mem), (void)(bytes))
#define __asan_address_is_poisoned(mem)           ((void)(mem), 0)
#endif

#define KMEM_CHUNK     64u  /* objects per host chunk */
#define OBJECT_ALIGN   16u  /* host alignment, and the size of a redzone */
#define SLAB_HEADER    24u  /* struct slab */
#define SLAB_INDEX     4u   /* kmem_bufctl_t */
#define OFF_SLAB_BYTES 512u /* objects from this size on do not share with their descriptor */
#define JUNK           0x6bu

/* ---- host memory ------------------------------------------------------------------- */

void *host_alloc(struct machine *machine, size_t bytes)
{
	return host_realloc(machine, NULL, bytes);
}

void *host_realloc(struct machine *machine, void *old, size_t bytes)
{
	void *mem = realloc(old, bytes);

	if (!mem)
		abort();
	machine->host_allocs++;
	return mem;
}

void poison(void *mem, size_t bytes, enum pool_mode mode)
{
	if (mode != POOL_POISON)
		return;
	if (WITH_ASAN)
		__asan_poison_memory_region(mem, bytes);
	else
		memset(mem, JUNK, bytes);
}

void unpoison(void *mem, size_t bytes)
{
	__asan_unpoison_memory_region(mem, bytes);
}

/* Freeing what is free already is told by its poison; live objects begin with something else. */
static bool looks_free(const void *object, enum pool_mode mode)
{
	static const unsigned char junk[8] = {JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK, JUNK};

	if (mode != POOL_POISON)
		return false;
	return WITH_ASAN ? __asan_address_is_poisoned(object) : !memcmp(object, junk, sizeof(junk));
}

/* ---- caches -------------------------------------------------------------------------- */

static uint32_t round_up_to(uint32_t n, uint32_t to)
{
	return (n + to - 1) / to * to;
}

static void set_slab_size(struct kmem_cache *cache)
{
	uint32_t bytes = round_up_to(cache->bytes, cache->align);

	if (bytes >= PAGE_SIZE) {
		cache->per_slab = 1;
		cache->slab_bytes = round_up_to(bytes, PAGE_SIZE);
		return;
	}
	cache->slab_bytes = PAGE_SIZE;
	cache->per_slab = bytes < OFF_SLAB_BYTES ? (PAGE_SIZE - SLAB_HEADER) / (bytes + SLAB_INDEX)
						 : PAGE_SIZE / bytes;
}

static void drop_chunks(struct kmem_cache *cache)
{
	for (uint32_t i = 0; i < cache->nr_chunks; i++) {
		unpoison(cache->chunks[i], KMEM_CHUNK * cache->stride);
		free(cache->chunks[i]);
	}
	free(cache->chunks);
	free(cache->free);
	cache->chunks = NULL;
	cache->free = NULL;
	cache->nr_chunks = 0;
}

/* The cache called NAME: a new one, or an empty one that is there and takes on new sizes. */
static struct kmem_cache *get_cache(struct machine *machine, const char *name)
{
	for (uint32_t i = 0; i < machine->nr_caches; i++) {
		if (!strcmp(machine->caches[i].name, name))
			return &machine->caches[i];
	}
	MM_ASSERT(machine->nr_caches < KMEM_CACHES_MAX);
	return &machine->caches[machine->nr_caches++];
}

static struct kmem_cache *cache_create(struct machine *machine, const char *name, uint32_t bytes,
				       uint32_t align, size_t host_bytes)
{
	struct kmem_cache *cache = get_cache(machine, name);

	MM_ASSERT(bytes > 0);
	MM_ASSERT(host_bytes > 0);
	MM_ASSERT(cache->used == 0);
	if (cache->host_bytes != host_bytes)
		drop_chunks(cache);
	cache->name = name;
	cache->bytes = bytes;
	cache->align = align ? align : 1;
	cache->host_bytes = host_bytes;
	cache->stride = (host_bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN +
			(WITH_ASAN ? OBJECT_ALIGN : 0);
	set_slab_size(cache);
	return cache;
}

struct kmem_cache *kmem_cache_create(struct machine *machine, const char *name, uint32_t bytes,
				     uint32_t align, size_t host_bytes)
{
	struct kmem_cache *cache = cache_create(machine, name, bytes, align, host_bytes);

	cache->meta = true;
	return cache;
}

static uint32_t kobj_bytes(const struct machine *machine, enum kobj id, uint32_t bytes)
{
	if (bytes)
		return bytes;
	return id == KOBJ_VMA ? rmap_vma_bytes(machine->rmap) : machine->rmap->mm_bytes;
}

void kmem_init(struct machine *machine)
{
	static const struct {
		const char *name;
		uint32_t bytes, align;
		size_t host_bytes;
	} kobjs[NR_KOBJ] = {
#define KOBJ(id, name, bytes, align, type) [KOBJ_##id] = {name, bytes, align, sizeof(type)},
#include "kobj.def"
#undef KOBJ
	};

	for (enum kobj id = 0; id < NR_KOBJ; id++) {
		uint32_t bytes = kobj_bytes(machine, id, kobjs[id].bytes);

		machine->kobj[id] = cache_create(machine, kobjs[id].name, bytes, kobjs[id].align,
						 kobjs[id].host_bytes);
		/* A radix node is allocated in the middle of changing a tree that reclaim
		 * changes, too. */
		machine->kobj[id]->may_wait = id != KOBJ_RADIX;
	}
}

static void *object_at(const struct kmem_cache *cache, uint32_t n)
{
	return cache->chunks[n / KMEM_CHUNK] + n % KMEM_CHUNK * cache->stride;
}

static void reset_cache(struct machine *machine, struct kmem_cache *cache)
{
	/* What was in use is as dead as what was freed. */
	for (uint32_t n = 0; n < cache->bump; n++)
		poison(object_at(cache, n), cache->host_bytes, machine->config.pool);
	cache->bump = 0;
	cache->nr_free = 0;
	cache->used = cache->peak = 0;
	cache->room = 0;
}

void kmem_reset(struct machine *machine)
{
	for (uint32_t i = 0; i < machine->nr_caches; i++)
		reset_cache(machine, &machine->caches[i]);
	machine->slab_bytes = machine->meta_bytes = 0;
	machine->lowmem_peak = machine->meta_peak = 0;
}

void kmem_destroy(struct machine *machine)
{
	for (uint32_t i = 0; i < machine->nr_caches; i++)
		drop_chunks(&machine->caches[i]);
	machine->nr_caches = 0;
}

/* ---- accounting ------------------------------------------------------------------------ */

uint64_t kmem_bytes(const struct machine *machine, bool meta)
{
	return meta ? machine->meta_bytes : machine->slab_bytes;
}

void lowmem_note_peak(struct machine *machine)
{
	uint64_t npages =
		zone_used(&machine->zones[ZONE_DMA]) + zone_used(&machine->zones[ZONE_NORMAL]);
	uint64_t used = machine->lowmem_boot + machine->slab_bytes +
			(npages * PAGE_SIZE << machine->config.cluster);

	if (used > machine->lowmem_peak)
		machine->lowmem_peak = used;
}

/* Pages that slabs of so many bytes take away from lowmem. */
static uint32_t pages_for_slabs(const struct machine *machine, uint64_t bytes)
{
	uint64_t page_bytes = (uint64_t)PAGE_SIZE << machine->config.cluster;

	if (machine->config.accounting != ACCOUNTING_COMPETING)
		return 0;
	return (uint32_t)((bytes + page_bytes - 1) / page_bytes);
}

static void fit_slab_pages(struct machine *machine)
{
	while (slab_pages(machine) > pages_for_slabs(machine, machine->slab_bytes))
		slab_page_put(machine);
}

/* There is room in lowmem for one more slab of CACHE. Reclaim may run, and give back others. */
static bool reserve_slab(struct machine *machine, const struct kmem_cache *cache, bool can_wait)
{
	while (slab_pages(machine) <
	       pages_for_slabs(machine, machine->slab_bytes + cache->slab_bytes)) {
		if (slab_page_get(machine, can_wait))
			continue;
		fit_slab_pages(machine);
		machine->last_op.alloc_failed = true;
		return false;
	}
	return true;
}

static void slab_added(struct machine *machine, const struct kmem_cache *cache)
{
	machine->slab_bytes += cache->slab_bytes;
	if (cache->meta) {
		machine->meta_bytes += cache->slab_bytes;
		if (machine->meta_bytes > machine->meta_peak)
			machine->meta_peak = machine->meta_bytes;
	}
	lowmem_note_peak(machine);
}

static void slab_gone(struct machine *machine, const struct kmem_cache *cache)
{
	machine->slab_bytes -= cache->slab_bytes;
	if (cache->meta)
		machine->meta_bytes -= cache->slab_bytes;
	fit_slab_pages(machine);
}

/* ---- the allocation oracle ----------------------------------------------------------------- */

/* The NTH allocation of an op that was told to fail the N-th one, and all from FROM on. */
static bool is_told_to_fail(uint32_t n, uint32_t from, uint32_t nth)
{
	return n == nth || (from && nth >= from);
}

bool alloc_allowed(struct machine *machine, bool can_wait)
{
	const struct op *op = machine->op;
	uint32_t nth;

	if (!op)
		return true;
	nth = ++machine->last_op.allocs;
	if (can_wait)
		kmap_might_sleep(machine);
	if (op->reclaim_nth == nth && can_wait && !machine->in_reclaim)
		shrink_caches(machine, ZONE_HIGHMEM, 32);
	if (machine->waiting && can_wait)
		preempt_at(machine, POINT_ALLOC, nth, &(struct held){0});
	if (!is_told_to_fail(op->fail_nth, op->fail_from, nth))
		return true;
	machine->last_op.alloc_failed = true;
	return false;
}

bool meta_alloc_allowed(struct machine *machine)
{
	const struct op *op = machine->op;

	if (!op ||
	    !is_told_to_fail(op->fail_meta, op->fail_meta_from, ++machine->last_op.meta_allocs))
		return true;
	machine->last_op.meta_failed = true;
	machine->last_op.alloc_failed = true;
	return false;
}

/* ---- objects -----------------------------------------------------------------------------------
 */

/* One more chunk; directory and free list grow with the number of chunks. */
static void add_chunk(struct machine *machine, struct kmem_cache *cache)
{
	uint32_t n = cache->nr_chunks;
	size_t bytes = KMEM_CHUNK * cache->stride;

	if (!(n & (n - 1))) {
		size_t room = n ? 2 * (size_t)n : 1;

		cache->chunks = host_realloc(machine, cache->chunks, room * sizeof(*cache->chunks));
		cache->free = host_realloc(machine, cache->free,
					   room * KMEM_CHUNK * sizeof(*cache->free));
	}
	cache->chunks[n] = host_alloc(machine, bytes);
	poison(cache->chunks[n], bytes, machine->config.pool);
	cache->nr_chunks = n + 1;
}

/* Room for more objects in CACHE, which has none. Reclaim may free some of its own meanwhile. */
static bool add_slab(struct machine *machine, struct kmem_cache *cache, bool can_wait)
{
	if (!reserve_slab(machine, cache, can_wait))
		return false;
	if (!cache->room) {
		cache->room = cache->per_slab;
		slab_added(machine, cache);
	}
	fit_slab_pages(machine);
	return true;
}

static void *take_object(struct machine *machine, struct kmem_cache *cache, bool can_wait)
{
	void *object;

	if (!cache->room && !add_slab(machine, cache, can_wait))
		return NULL;
	if (cache->nr_free) {
		object = cache->free[--cache->nr_free];
	} else {
		if (cache->bump == cache->nr_chunks * KMEM_CHUNK)
			add_chunk(machine, cache);
		object = object_at(cache, cache->bump++);
	}
	cache->room--;
	if (++cache->used > cache->peak)
		cache->peak = cache->used;
	unpoison(object, cache->host_bytes);
	memset(object, 0, cache->host_bytes);
	return object;
}

void *kmem_cache_alloc(struct machine *machine, struct kmem_cache *cache)
{
	return alloc_allowed(machine, cache->may_wait)
		       ? take_object(machine, cache, cache->may_wait)
		       : NULL;
}

void *rmap_cache_alloc(struct machine *machine, struct kmem_cache *cache)
{
	return meta_alloc_allowed(machine) ? take_object(machine, cache, false) : NULL;
}

void kmem_cache_free(struct machine *machine, struct kmem_cache *cache, void *object)
{
	MM_ASSERT(object);
	MM_ASSERT(!looks_free(object, machine->config.pool));
	MM_ASSERT(cache->used > 0);
	MM_ASSERT(cache->nr_free < cache->bump);
	poison(object, cache->host_bytes, machine->config.pool);
	cache->free[cache->nr_free++] = object;
	cache->used--;
	if (++cache->room == cache->per_slab) {
		cache->room = 0;
		slab_gone(machine, cache);
	}
}

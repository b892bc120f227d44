/*
 * The lowest floor of the machine: object pools and their i386 cost, zones and frames, page
 * tables and the census, radix trees, and what the reverse map is told and asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"

static struct machine *boot(const char *config)
{
	struct machine_config parsed;
	char error[256];

	if (machine_config_parse(&parsed, config, error, sizeof(error)))
		fail_msg("%s", error);
	return machine_create(&parsed, rmap_find("scan"));
}

static void is_sound(struct machine *machine)
{
	char buf[256];
	const char *broken = machine_recount(machine, buf, sizeof(buf));

	if (broken)
		fail_msg("%s", broken);
}

static struct mm *mm_of(struct machine *machine)
{
	return machine->tasks[0]->mm;
}

/* ---- kmem -------------------------------------------------------------------------------- */

/* Objects per slab as slabinfo of the time prints them. */
static void slabs_are_those_of_2_6(void **state)
{
	static const struct {
		uint32_t bytes, align, per_slab, slab_bytes;
	} known[] = {
		{32, 32, 113, 4096},   {64, 64, 59, 4096}, {128, 128, 30, 4096}, {260, 4, 15, 4096},
		{12, 4, 254, 4096},    {640, 32, 6, 4096}, {1680, 32, 2, 4096},  {4096, 4, 1, 4096},
		{8192, 4096, 1, 8192}, {5000, 4, 1, 8192},
	};
	struct machine *machine = boot("tiny");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct kmem_cache *cache =
			kmem_cache_create(machine, "test", known[i].bytes, known[i].align, 8);

		assert_int_equal(cache->per_slab, known[i].per_slab);
		assert_int_equal(cache->slab_bytes, known[i].slab_bytes);
	}
	machine_destroy(machine);
}

/* A database run of 2002 had 3,411,018 chains of 32 bytes in 118 MB of slabs. */
static void slabs_add_up_to_what_was_measured(void **state)
{
	struct machine *machine = boot("tiny");
	struct kmem_cache *cache = kmem_cache_create(machine, "pte_chain", 32, 32, 8);
	uint64_t slabs = (3411018 + cache->per_slab - 1) / cache->per_slab;

	assert_in_range(slabs * cache->slab_bytes / 1000000, 118, 124); /* MB or MiB */
	machine_destroy(machine);
}

static void bytes_follow_whole_slabs(void **state)
{
	struct machine *machine = boot("tiny");
	struct kmem_cache *cache = kmem_cache_create(machine, "test", 1024, 4, 24);
	uint64_t before = kmem_bytes(machine, false), meta = kmem_bytes(machine, true);
	void *objects[9];

	for (uint32_t i = 0; i < 9; i++) {
		objects[i] = rmap_cache_alloc(machine, cache);
		assert_int_equal(kmem_bytes(machine, true) - meta, (i / 4 + 1) * 4096);
		assert_int_equal(kmem_bytes(machine, false) - before, (i / 4 + 1) * 4096);
	}
	assert_int_equal(machine->meta_peak - meta, 3 * 4096);
	for (uint32_t i = 9; i--;)
		kmem_cache_free(machine, cache, objects[i]);
	assert_int_equal(kmem_bytes(machine, true), meta);
	assert_int_equal(kmem_bytes(machine, false), before);
	assert_int_equal(machine->meta_peak - meta, 3 * 4096);
	assert_int_equal(cache->used, 0);
	assert_int_equal(cache->peak, 9);
	machine_destroy(machine);
}

static void objects_come_zeroed_last_freed_first(void **state)
{
	struct machine *machine = boot("tiny");
	struct kmem_cache *cache = kmem_cache_create(machine, "test", 40, 4, 40);
	char *a = rmap_cache_alloc(machine, cache), *b = rmap_cache_alloc(machine, cache);

	memset(a, 1, 40);
	memset(b, 2, 40);
	kmem_cache_free(machine, cache, a);
	kmem_cache_free(machine, cache, b);
	assert_ptr_equal(rmap_cache_alloc(machine, cache), b);
	assert_ptr_equal(rmap_cache_alloc(machine, cache), a);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(a[i], 0);
		assert_int_equal(b[i], 0);
	}
	/* More than a chunk, all different. */
	for (uint32_t i = 0; i < 1000; i++)
		*(uint32_t *)rmap_cache_alloc(machine, cache) = i;
	assert_int_equal(cache->used, 1002);
	assert_int_equal(cache->bump, 1002);
	machine_destroy(machine);
}

/* Recycle mode leaves a freed object as it was, for the wrong reader to be found out by what
 * he reads. */
static void recycled_objects_keep_their_content(void **state)
{
	struct machine *machine = boot("tiny pool=recycle");
	struct kmem_cache *cache = kmem_cache_create(machine, "test", 40, 4, 40);
	uint64_t *object = rmap_cache_alloc(machine, cache);

	object[0] = 5;
	object[4] = 7;
	kmem_cache_free(machine, cache, object);
	assert_int_equal(object[0], 5);
	assert_int_equal(object[4], 7);
	machine_destroy(machine);
}

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

static bool is_poisoned(const unsigned char *byte)
{
#ifdef WITH_ASAN
	return __asan_address_is_poisoned(byte);
#else
	return *byte == 0x6b;
#endif
}

static void freed_objects_are_poisoned(void **state)
{
	struct machine *machine = boot("tiny");
	struct kmem_cache *cache = kmem_cache_create(machine, "test", 40, 4, 40);
	unsigned char *a = rmap_cache_alloc(machine, cache);
	unsigned char *b = rmap_cache_alloc(machine, cache);

	assert_false(is_poisoned(a));
	kmem_cache_free(machine, cache, a);
	assert_true(is_poisoned(a));
	assert_true(is_poisoned(a + 39));
	assert_false(is_poisoned(b));
	pagetable_reset(machine); /* before the mms go with their pool */
	kmem_reset(machine);
	assert_true(is_poisoned(b));
	assert_int_equal(cache->used, 0);
	assert_int_equal(kmem_bytes(machine, true), 0);
	/* The machine's own objects are gone, too; they are made anew from the start. */
	assert_int_equal(machine->kobj[KOBJ_MM]->used, 0);
	TAILQ_INIT(&machine->mms);
	machine_destroy(machine);
}

static void caches_are_known_by_name(void **state)
{
	struct machine *machine = boot("tiny");
	uint32_t n = machine->nr_caches;
	struct kmem_cache *cache = kmem_cache_create(machine, "test", 32, 32, 8);

	assert_ptr_equal(kmem_cache_create(machine, "test", 128, 128, 24), cache);
	assert_int_equal(machine->nr_caches, n + 1);
	assert_int_equal(cache->per_slab, 30);
	memset(rmap_cache_alloc(machine, cache), 1, 24);
	machine_destroy(machine);
}

static void the_oracle_numbers_allocations(void **state)
{
	struct machine *machine = boot("tiny");
	const struct op op = {.fail_nth = 2, .fail_meta = 1};
	void *vma;

	machine->op = &op;
	machine->last_op = (struct op_trace){0};
	vma = kobj_alloc(machine, VMA);
	assert_non_null(vma);
	assert_false(machine->last_op.alloc_failed);
	assert_null(page_alloc(machine, GFP_HIGHUSER)); /* frames are numbered along */
	assert_true(machine->last_op.alloc_failed);
	assert_false(machine->last_op.meta_failed);
	assert_int_equal(machine->last_op.allocs, 2);
	assert_false(meta_alloc_allowed(machine));
	assert_true(machine->last_op.meta_failed);
	assert_true(meta_alloc_allowed(machine));
	assert_int_equal(machine->last_op.meta_allocs, 2);
	kobj_free(machine, VMA, vma);
	machine->op = NULL;
	is_sound(machine);
	machine_destroy(machine);
}

static void apply(struct machine *machine, struct op op, int err)
{
	struct result result;

	machine_apply(machine, &op, &result);
	assert_int_equal(result.err, err);
}

static void map(struct machine *machine, uint32_t window_page, uint32_t npages, uint32_t flags)
{
	apply(machine,
	      (struct op){.code = OP_mmap,
			  .args = {0, REGION_NONE, WINDOW_BASE + window_page * PAGE_SIZE, npages,
				   OP_PROT_READ | OP_PROT_WRITE, flags | OP_MAP_FIXED}},
	      0);
}

static void touch(struct machine *machine, enum op_code code, uint32_t window_page)
{
	apply(machine,
	      (struct op){.code = (uint8_t)code,
			  .args = {0, WINDOW_BASE + window_page * PAGE_SIZE}},
	      0);
}

/* Reclaim by order comes before the allocation it is ordered for, and not inside reclaim. */
static void the_oracle_runs_reclaim(void **state)
{
	struct machine *machine = boot("tiny");
	const struct op op = {.reclaim_nth = 1};
	uint64_t before;

	map(machine, 0, 64, OP_MAP_ANON);
	for (uint32_t i = 0; i < 64; i++)
		touch(machine, OP_write, i);
	before = machine->reclaimed;
	machine->op = &op;
	machine->last_op = (struct op_trace){0};
	assert_true(alloc_allowed(machine, false));
	assert_int_equal(machine->reclaimed, before);
	machine->last_op = (struct op_trace){0};
	assert_true(alloc_allowed(machine, true));
	assert_true(machine->reclaimed > before);
	assert_false(machine->in_reclaim);
	machine->op = NULL;
	is_sound(machine);
	machine_destroy(machine);
}

/* ---- frames -------------------------------------------------------------------------------- */

static uint64_t lowmem_free_kb(const struct machine *machine)
{
	return 4ull * (machine->zones[ZONE_DMA].nr_free + machine->zones[ZONE_NORMAL].nr_free);
}

static void zones_lie_where_i386_has_them(void **state)
{
	static const struct {
		const char *config;
		uint32_t dma, normal, highmem; /* MB */
	} layouts[] = {
		{"tiny", 16, 0, 0},           {"tiny ram=17", 16, 1, 0},
		{"1g", 16, 880, 128},         {"32g", 16, 880, 31872},
		{"64g", 16, 880, 64640},      {"64g-2:2", 16, 1904, 63616},
		{"64g-4:4", 16, 3772, 61748},
	};

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct machine *machine = boot(layouts[i].config);
		const struct zone *zones = machine->zones;

		assert_int_equal(zones[ZONE_DMA].npages, layouts[i].dma * 256);
		assert_int_equal(zones[ZONE_NORMAL].npages, layouts[i].normal * 256);
		assert_int_equal(zones[ZONE_HIGHMEM].npages, layouts[i].highmem * 256);
		assert_int_equal(zones[ZONE_NORMAL].start_pfn, 4096);
		assert_int_equal(zones[ZONE_HIGHMEM].start_pfn,
				 (layouts[i].dma + layouts[i].normal) * 256);
		is_sound(machine);
		machine_destroy(machine);
	}
}

/* Measured at the time: LowTotal 176,076 kB with 64 GB, 3,137,464 kB with 4:4; "0.5 GB" with
 * 32 GB. LowTotal leaves out what boot took for good. */
static void lowmem_at_boot_is_what_was_measured(void **state)
{
	static const struct {
		const char *config;
		uint64_t kb;
	} measured[] = {{"64g", 176076}, {"64g-4:4", 3137464}, {"32g", 544 * 1024}};

	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++) {
		struct machine *machine = boot(measured[i].config);

		assert_in_range(lowmem_free_kb(machine), measured[i].kb - measured[i].kb / 30,
				measured[i].kb + measured[i].kb / 30);
		machine_destroy(machine);
	}
}

/* The design's struct page is reported, and changes no frame's fate. */
static void zones_do_not_depend_on_the_design(void **state)
{
	const struct machine_config *config = &machine_preset_find("64g")->config;
	struct machine *first = machine_create(config, rmap_backends[0]);

	for (size_t i = 1; rmap_backends[i]; i++) {
		struct machine *machine = machine_create(config, rmap_backends[i]);
		uint64_t page_bytes = (uint64_t)rmap_backends[i]->page_bytes << 24;

		assert_int_equal(machine->lowmem_boot - first->lowmem_boot,
				 page_bytes - ((uint64_t)rmap_backends[0]->page_bytes << 24));
		for (enum zone_id id = 0; id < NR_ZONES; id++) {
			assert_int_equal(machine->zones[id].nr_free, first->zones[id].nr_free);
			assert_int_equal(machine->zones[id].reserved, first->zones[id].reserved);
		}
		assert_int_equal(machine->zero_page->pfn, first->zero_page->pfn);
		machine_destroy(machine);
	}
	machine_destroy(first);
}

static void watermarks_follow_the_kernel(void **state)
{
	struct machine *machine = boot("64g");
	const struct zone *zones = machine->zones;

	/* 4 * sqrt(896 MB in kB) = 3831 kB, in proportion. */
	assert_int_equal(zones[ZONE_DMA].pages_min, 17);
	assert_int_equal(zones[ZONE_NORMAL].pages_min, 939);
	assert_int_equal(zones[ZONE_HIGHMEM].pages_min, 128);
	for (enum zone_id id = 0; id < NR_ZONES; id++) {
		assert_int_equal(zones[id].pages_low, 2 * zones[id].pages_min);
		assert_int_equal(zones[id].pages_high, 3 * zones[id].pages_min);
	}
	machine_destroy(machine);
	machine = boot("1g");
	assert_int_equal(machine->zones[ZONE_HIGHMEM].pages_min, 32);
	machine_destroy(machine);
}

static void frames_come_from_the_top_then_last_freed_first(void **state)
{
	struct machine *machine = boot("64g");
	struct page *a = page_alloc(machine, GFP_HIGHUSER), *b = page_alloc(machine, GFP_HIGHUSER);
	uint32_t top = 64 * 1024 * 256 - 1;

	assert_in_range(a->pfn, 4u << 18, top); /* above 4 GB */
	assert_int_equal(b->pfn, a->pfn - 1);
	assert_ptr_equal(pfn_to_page(machine, a->pfn), a);
	assert_ptr_equal(pfn_to_page(machine, b->pfn), b);
	assert_null(pfn_to_page(machine, b->pfn - 1)); /* never touched */
	assert_null(pfn_to_page(machine, 0));
	assert_null(pfn_to_page(machine, top + 1));
	a->token[0] = 7;
	a->flags |= PG_DIRTY;
	page_put(machine, a);
	page_put(machine, b);
	assert_ptr_equal(page_alloc(machine, GFP_HIGHUSER), b);
	assert_ptr_equal(page_alloc(machine, GFP_HIGHUSER), a);
	assert_int_equal(a->token[0], 0);
	assert_int_equal(a->flags, 0);
	assert_int_equal(a->count, 1);
	assert_int_equal(page_alloc(machine, GFP_KERNEL)->zone, ZONE_NORMAL);
	machine_destroy(machine);
}

/* Take frames as long as there are any; they are linked through mapping, which is free. */
static uint32_t take_all(struct machine *machine, uint32_t gfp, struct page **all)
{
	struct page *page;
	uint32_t n = 0;

	while ((page = page_alloc(machine, gfp))) {
		page->rmap.ptr = *all;
		*all = page;
		n++;
	}
	return n;
}

static void give_back(struct machine *machine, struct page *all)
{
	while (all) {
		struct page *next = all->rmap.ptr;

		page_put(machine, all);
		all = next;
	}
}

static void allocation_falls_back_and_ends_at_the_watermarks(void **state)
{
	struct machine *machine = boot("1g ram=1000 swap=0");
	const struct zone *zones = machine->zones;
	struct page *all = NULL;
	uint32_t taken;

	taken = take_all(machine, GFP_HIGHUSER, &all);
	assert_true(machine->last_op.alloc_failed);
	for (enum zone_id id = 0; id < NR_ZONES; id++)
		assert_int_equal(zones[id].nr_free, zones[id].pages_min);
	/* Who cannot wait may go deeper. */
	taken += take_all(machine, GFP_HIGH, &all);
	for (enum zone_id id = 0; id < NR_ZONES; id++)
		assert_int_equal(zones[id].nr_free, zones[id].pages_min / 2);
	/* Reclaim itself takes the last. */
	machine->in_reclaim = true;
	taken += take_all(machine, GFP_HIGHUSER, &all);
	machine->in_reclaim = false;
	for (enum zone_id id = 0; id < NR_ZONES; id++)
		assert_int_equal(zones[id].nr_free, 0);
	give_back(machine, all);
	assert_true(taken > 200000);
	is_sound(machine);
	machine_destroy(machine);
}

static void lowmem_requests_leave_highmem_alone(void **state)
{
	struct machine *machine = boot("1g ram=1000");
	uint32_t before = machine->zones[ZONE_HIGHMEM].nr_free;
	struct page *all = NULL;

	take_all(machine, GFP_KERNEL, &all);
	assert_int_equal(machine->zones[ZONE_HIGHMEM].nr_free, before);
	assert_int_equal(machine->zones[ZONE_DMA].nr_free, machine->zones[ZONE_DMA].pages_min);
	give_back(machine, all);
	machine_destroy(machine);
}

static void waiting_allocations_reclaim(void **state)
{
	struct machine *machine = boot("tiny swap=4096");
	uint32_t npages = 4000; /* more than there is */

	map(machine, 0, npages, OP_MAP_ANON);
	for (uint32_t i = 0; i < npages; i++)
		touch(machine, OP_write, i);
	assert_true(machine->reclaimed > 500);
	assert_true(machine->swapouts > 500);
	for (uint32_t i = 0; i < npages; i += 97)
		touch(machine, OP_read, i);
	is_sound(machine);
	machine_destroy(machine);
}

/* ---- the cost of size ------------------------------------------------------------------------ */

static uint64_t page_chunks(const struct machine *machine)
{
	uint64_t n = 0;

	for (enum zone_id id = 0; id < NR_ZONES; id++)
		n += machine->zones[id].nr_chunks;
	return n;
}

static void use_a_little(struct machine *machine)
{
	map(machine, 0, 16, OP_MAP_ANON);
	for (uint32_t i = 0; i < 16; i++)
		touch(machine, OP_write, i);
}

static void a_64g_machine_costs_what_a_tiny_one_does(void **state)
{
	for (size_t i = 0; rmap_backends[i]; i++) {
		struct machine *tiny =
			machine_create(&machine_preset_find("tiny")->config, rmap_backends[i]);
		struct machine *large =
			machine_create(&machine_preset_find("64g")->config, rmap_backends[i]);
		uint64_t before;

		use_a_little(tiny);
		use_a_little(large);
		/* One more zone in use, with its chunk and directory; 2^24 frames are 65536 chunks.
		 */
		assert_in_range(large->host_allocs, tiny->host_allocs, tiny->host_allocs + 4);
		assert_in_range(page_chunks(large), 1, 3);
		/* Once it has been both sizes, wiping asks the host for nothing. */
		machine_reconfigure(large, &machine_preset_find("tiny")->config);
		use_a_little(large);
		before = large->host_allocs;
		for (uint32_t round = 0; round < 4; round++) {
			machine_reconfigure(large, round % 2 ? &tiny->config
							     : &machine_preset_find("64g")->config);
			use_a_little(large);
			machine_reset(large);
			use_a_little(large);
		}
		assert_int_equal(large->host_allocs, before);
		assert_in_range(page_chunks(large), 1, 3);
		is_sound(large);
		machine_destroy(tiny);
		machine_destroy(large);
	}
}

static void a_reset_machine_is_as_new(void **state)
{
	struct machine *fresh = boot("64g"), *used = boot("64g");
	struct machine_stats a, b;

	use_a_little(used);
	machine_reset(used);
	machine_stats(fresh, &a);
	machine_stats(used, &b);
	a.host_allocs = b.host_allocs = 0;
	assert_memory_equal(&a, &b, sizeof(a));
	use_a_little(fresh);
	use_a_little(used);
	assert_int_equal(machine_hash(fresh), machine_hash(used));
	machine_stats(fresh, &a);
	machine_stats(used, &b);
	a.host_allocs = b.host_allocs = 0;
	assert_memory_equal(&a, &b, sizeof(a));
	machine_destroy(fresh);
	machine_destroy(used);
}

static void lowmem_peak_is_kept(void **state)
{
	struct machine *machine = boot("1g");
	struct machine_stats at_boot, full, after;

	machine_stats(machine, &at_boot);
	for (uint32_t child = 1; child < 9; child++)
		apply(machine, (struct op){.code = OP_fork, .args = {0, child}}, 0);
	machine_stats(machine, &full);
	for (uint32_t child = 1; child < 9; child++)
		apply(machine, (struct op){.code = OP_exit, .args = {child}}, 0);
	machine_stats(machine, &after);
	/* At the least three PMDs and a kernel stack for each. */
	assert_true(full.lowmem_used >= at_boot.lowmem_used + 8 * (3 * 4096 + 8192));
	assert_int_equal(after.lowmem_used, at_boot.lowmem_used);
	assert_int_equal(after.lowmem_peak, full.lowmem_peak);
	assert_true(full.lowmem_peak >= full.lowmem_used);
	assert_true(full.lowmem_used < full.lowmem_total);
	machine_destroy(machine);
}

/* ---- page tables --------------------------------------------------------------------------------
 */

static void pgds_are_made_for_user_space(void **state)
{
	static const struct {
		const char *config;
		uint32_t user;
	} splits[] = {{"1g", 3}, {"1g split=2:2", 2}, {"1g split=4:4", 4}};

	for (size_t i = 0; i < 3; i++) {
		struct machine *machine = boot(splits[i].config);
		const struct mm *mm = mm_of(machine);

		for (uint32_t slot = 0; slot < PGD_ENTRIES; slot++) {
			pte_t entry = pte_load(&mm->pgd->entry[slot]);

			assert_int_equal(entry & ~PTE_PFN_MASK, PTE_P);
			assert_int_equal(mm->pmd[slot] != NULL, slot < splits[i].user);
			assert_int_equal(pte_pfn(entry), mm->pmd[slot] ? mm->pmd[slot]->page->pfn
								       : machine->swapper_pmd_pfn);
			if (mm->pmd[slot])
				assert_int_not_equal(mm->pmd[slot]->page->zone, ZONE_HIGHMEM);
		}
		machine_destroy(machine);
	}
}

static void pte_pages_are_high_only_with_highpte(void **state)
{
	static const struct {
		const char *config;
		enum zone_id zone;
	} places[] = {{"1g", ZONE_HIGHMEM}, {"1g-lowpte", ZONE_NORMAL}, {"tiny", ZONE_DMA}};

	for (size_t i = 0; i < 3; i++) {
		struct machine *machine = boot(places[i].config);
		struct ptep p;

		assert_null(pte_lookup(mm_of(machine), 0x60000).table);
		assert_int_equal(pte_alloc(machine, mm_of(machine), 0x60003, &p), 0);
		assert_int_equal(p.slot, 3);
		assert_int_equal(p.table->vpn, 0x60000);
		assert_int_equal(p.table->page->zone, places[i].zone);
		assert_int_equal(ptep_vpn(p), 0x60003);
		assert_ptr_equal(pte_lookup(mm_of(machine), 0x60003).table, p.table);
		assert_int_equal(mm_of(machine)->nr_ptes, 1);
		is_sound(machine);
		free_pgtables(machine, mm_of(machine), 0x60000, 0x60200);
		assert_null(pte_lookup(mm_of(machine), 0x60003).table);
		is_sound(machine);
		machine_destroy(machine);
	}
}

/* The mm is unwound whichever allocation fails: its pgd, or one of the three PMDs. */
static void pgd_alloc_unwinds(void **state)
{
	struct machine *machine = boot("1g");

	for (uint16_t nth = 1; nth <= 7; nth++) {
		struct op op = {.code = OP_fork, .fail_nth = nth, .args = {0, 1}};

		apply(machine, op, -ENOMEM);
		is_sound(machine);
	}
	apply(machine, (struct op){.code = OP_fork, .fail_nth = 8, .args = {0, 1}}, 0);
	is_sound(machine);
	machine_destroy(machine);
}

/* A page and entries to play with; nobody else looks. */
struct tables {
	struct machine *machine;
	struct mm *mm;
	struct page *page, *other;
};

static struct tables tables(void)
{
	struct machine *machine = boot("tiny");

	return (struct tables){machine, mm_of(machine), page_alloc(machine, GFP_HIGHUSER),
			       page_alloc(machine, GFP_HIGHUSER)};
}

static struct ptep entry(struct tables *t, uint32_t vpn)
{
	struct ptep p;

	assert_int_equal(pte_alloc(t->machine, t->mm, vpn, &p), 0);
	return p;
}

static void set(struct tables *t, uint32_t vpn, pte_t value)
{
	pte_set_once(t->machine, entry(t, vpn), value);
}

/* PAGE is mapped at exactly these vpns (0: the end), in this order. */
static void census_is(struct tables *t, const struct page *page, uint32_t vpn, ...)
{
	va_list args;
	struct ptep p;
	bool more = census_first(t->machine, page, &p);

	va_start(args, vpn);
	for (; vpn; vpn = va_arg(args, uint32_t)) {
		assert_true(more);
		assert_int_equal(ptep_vpn(p), vpn);
		more = census_next(t->machine, &p);
	}
	va_end(args);
	assert_false(more);
}

static void census_is_newest_first(void **state)
{
	struct tables t = tables();
	pte_t mapped = pte_mk(t.page->pfn, PTE_PROT_READ);

	census_is(&t, t.page, 0);
	set(&t, 0x60001, mapped);
	set(&t, 0x70002, mapped);
	set(&t, 0x60003, mapped);
	census_is(&t, t.page, 0x60003, 0x70002, 0x60001, 0);
	/* Other permissions are no news. */
	set(&t, 0x70002, pte_mk(t.page->pfn, PTE_PROT_WRITE | PTE_D));
	set(&t, 0x60001, pte_mk(t.page->pfn, PTE_PROT_NONE));
	census_is(&t, t.page, 0x60003, 0x70002, 0x60001, 0);
	/* Middle, head, tail. */
	set(&t, 0x70002, 0);
	census_is(&t, t.page, 0x60003, 0x60001, 0);
	set(&t, 0x60004, mapped);
	assert_int_equal(pte_get_and_clear(t.machine, entry(&t, 0x60004)), mapped);
	census_is(&t, t.page, 0x60003, 0x60001, 0);
	set(&t, 0x60001, pte_mk_swap(swp_entry(0, 5)));
	census_is(&t, t.page, 0x60003, 0);
	/* From one frame to another. */
	set(&t, 0x60003, pte_mk(t.other->pfn, PTE_PROT_READ));
	census_is(&t, t.page, 0);
	census_is(&t, t.other, 0x60003, 0);
	machine_destroy(t.machine);
}

static void reserved_pages_have_no_census(void **state)
{
	struct tables t = tables();

	set(&t, 0x60001, pte_mk(t.machine->zero_page->pfn, PTE_PROT_READ));
	census_is(&t, t.machine->zero_page, 0);
	set(&t, 0x60001, pte_mk(t.page->pfn, PTE_PROT_READ));
	census_is(&t, t.page, 0x60001, 0);
	set(&t, 0x60001, pte_mk(t.machine->zero_page->pfn, PTE_PROT_READ));
	census_is(&t, t.page, 0);
	set(&t, 0x60002, pte_mk_file(9));
	machine_destroy(t.machine);
}

static void every_write_is_an_event(void **state)
{
	struct tables t = tables();
	pte_t mapped = pte_mk(t.page->pfn, PTE_PROT_READ);
	const struct event *events;
	struct ptep p = entry(&t, 0x60007);
	size_t n;

	t.machine->nr_events = 0;
	pte_set_once(t.machine, p, mapped);
	pte_set_once(t.machine, p, mapped | PTE_D);
	pte_get_and_clear(t.machine, p);
	events = machine_events(t.machine, &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(events[i].kind, EVENT_PTE);
		assert_int_equal(events[i].vpn, 0x60007);
		assert_int_equal(events[i].mm, t.mm->id);
	}
	assert_int_equal(events[0].value, mapped);
	assert_int_equal(events[1].value, mapped | PTE_D);
	assert_int_equal(events[2].value, 0);
	machine_destroy(t.machine);
}

static void pte_next_skips_what_is_not_there(void **state)
{
	static const uint32_t used[] = {0x00000, 0x0003f, 0x00040, 0x001ff, 0x00200,
					0x3ffff, 0x40000, 0x7fe00, 0x80001, 0xbffff};
	struct tables t = tables();
	size_t n = sizeof(used) / sizeof(used[0]), found = 0;
	struct ptep p;
	uint32_t vpn;

	assert_false(pte_next(t.mm, 0, VPN_LIMIT, &vpn, &p));
	entry(&t, 0x50000); /* an empty table */
	assert_false(pte_next(t.mm, 0, VPN_LIMIT, &vpn, &p));
	for (size_t i = 0; i < n; i++)
		set(&t, used[i], pte_mk_file(used[i]));
	for (uint32_t at = 0; pte_next(t.mm, at, VPN_LIMIT, &vpn, &p); at = vpn + 1) {
		assert_in_range(found, 0, n - 1);
		assert_int_equal(vpn, used[found]);
		assert_int_equal(pte_to_pgoff(ptep_peek(p)), used[found]);
		found++;
	}
	assert_int_equal(found, n);
	/* The range is half open. */
	assert_true(pte_next(t.mm, 0x1ff, 0x200, &vpn, &p));
	assert_int_equal(vpn, 0x1ff);
	assert_false(pte_next(t.mm, 0x41, 0x1ff, &vpn, &p));
	assert_false(pte_next(t.mm, 0x40001, 0x7fe00, &vpn, &p));
	assert_true(pte_next(t.mm, 0x40001, 0x7fe01, &vpn, &p));
	assert_false(pte_next(t.mm, 5, 5, &vpn, &p));
	machine_destroy(t.machine);
}

static void only_empty_whole_tables_are_freed(void **state)
{
	struct tables t = tables();

	set(&t, 0x00005, pte_mk_file(1));
	entry(&t, 0x00200);
	entry(&t, 0x00400);
	entry(&t, 0x40000);
	assert_int_equal(t.mm->nr_ptes, 4);
	free_pgtables(t.machine, t.mm, 0x201, 0x5ff); /* no whole one inside */
	assert_int_equal(t.mm->nr_ptes, 4);
	free_pgtables(t.machine, t.mm, 0x1ff, 0x400);
	assert_int_equal(t.mm->nr_ptes, 3);
	assert_null(pte_lookup(t.mm, 0x200).table);
	assert_non_null(pte_lookup(t.mm, 0x400).table);
	free_pgtables(t.machine, t.mm, 0, VPN_LIMIT);
	assert_int_equal(t.mm->nr_ptes, 1); /* the first is not empty */
	set(&t, 0x00005, 0);
	free_pgtables(t.machine, t.mm, 0, VPN_LIMIT);
	assert_int_equal(t.mm->nr_ptes, 0);
	machine_destroy(t.machine);
}

/* Tables that are in use when the machine is wiped are clean when they come back. */
static void reset_cleans_tables_in_use(void **state)
{
	struct tables t = tables();
	struct pte_table *table;

	for (uint32_t i = 0; i < 200; i++)
		set(&t, 0x60000 + i * 3, pte_mk(t.page->pfn, PTE_PROT_READ));
	table = pte_lookup(t.mm, 0x60000).table;
	machine_reset(t.machine);
	assert_null(table->mm);
	is_sound(t.machine);
	assert_int_equal(t.machine->nr_free_tables, t.machine->nr_tables - 1);
	t.mm = mm_of(t.machine);
	for (uint32_t vpn = 0x60000; vpn < 0x60400; vpn += 0x200) {
		struct ptep p = entry(&t, vpn);

		for (uint32_t i = 0; i < PTE_ENTRIES; i++) {
			assert_true(pte_none(pte_load(&p.table->entry[i])));
			assert_int_equal(p.table->next[i] | p.table->prev[i], 0);
		}
		assert_int_equal(p.table->nr_live, 0);
	}
	is_sound(t.machine);
	machine_destroy(t.machine);
}

/* ---- radix trees -------------------------------------------------------------------------------
 */

static uint32_t radix_nodes(const struct machine *machine)
{
	return machine->kobj[KOBJ_RADIX]->used;
}

static void radix_holds_any_index(void **state)
{
	static const uint32_t indexes[] = {0,      63,         64,        4095,       4096,
					   262143, 262144,     16777215,  0x3fffffff, 0x40000000,
					   5,      0xfffffff0, 0xffffffff};
	struct machine *machine = boot("tiny");
	struct radix_node *root = NULL;
	const size_t n = sizeof(indexes) / sizeof(indexes[0]);
	uint32_t at = 0, seen = 0, last = 0;
	uint64_t value;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(radix_get(root, indexes[i]), 0);
		assert_int_equal(radix_set(machine, &root, indexes[i], i + 1), 0);
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(radix_get(root, indexes[i]), i + 1);
	assert_int_equal(radix_get(root, 1), 0);
	for (; radix_next(root, &at, &value); at++) {
		assert_int_equal(indexes[value - 1], at);
		assert_true(!seen || at > last);
		last = at;
		if (++seen == n)
			break;
	}
	assert_int_equal(seen, n);
	assert_int_equal(last, UINT32_MAX);
	radix_free(machine, &root);
	assert_null(root);
	assert_int_equal(radix_nodes(machine), 0);
	machine_destroy(machine);
}

static void radix_is_as_small_as_it_can(void **state)
{
	struct machine *machine = boot("tiny");
	struct radix_node *root = NULL;

	radix_set(machine, &root, 3, 1);
	assert_int_equal(radix_nodes(machine), 1);
	radix_set(machine, &root, 70, 1); /* a root above, and a second leaf */
	assert_int_equal(radix_nodes(machine), 3);
	radix_set(machine, &root, 70, 2);
	radix_set(machine, &root, 100000, 0); /* not there, beyond the tree */
	radix_set(machine, &root, 71, 0);
	assert_int_equal(radix_nodes(machine), 3);
	radix_set(machine, &root, 3, 0);
	assert_int_equal(radix_nodes(machine), 2);
	radix_set(machine, &root, 70, 0);
	assert_int_equal(radix_nodes(machine), 0);
	assert_null(root);
	machine_destroy(machine);
}

/* Whichever node cannot be had, nothing has changed. */
static void radix_fails_without_a_trace(void **state)
{
	struct machine *machine = boot("tiny");
	struct radix_node *root = NULL;
	struct op op = {0};

	radix_set(machine, &root, 1, 11);
	machine->op = &op;
	for (op.fail_nth = 1; op.fail_nth <= 4; op.fail_nth++) {
		machine->last_op = (struct op_trace){0};
		assert_int_equal(radix_set(machine, &root, 5000, 22), -ENOMEM);
		assert_int_equal(radix_nodes(machine), 1);
		assert_int_equal(radix_get(root, 1), 11);
		assert_int_equal(radix_get(root, 5000), 0);
	}
	machine->last_op = (struct op_trace){0};
	assert_int_equal(radix_set(machine, &root, 5000, 22), 0);
	assert_int_equal(machine->last_op.allocs, 4);
	machine->op = NULL;
	assert_int_equal(radix_get(root, 1), 11);
	assert_int_equal(radix_get(root, 5000), 22);
	radix_free(machine, &root);
	machine_destroy(machine);
}

/* Against an array, at random. */
static void radix_agrees_with_an_array(void **state)
{
	static uint64_t array[1 << 14];
	struct machine *machine = boot("tiny");
	struct radix_node *root = NULL;
	uint64_t seed = 1;

	memset(array, 0, sizeof(array));
	for (uint32_t round = 0; round < 20000; round++) {
		uint32_t index, at, expected;
		uint64_t value = 0;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		index = (uint32_t)(seed >> 50) >> (seed >> 40) % 8;
		array[index] = seed >> 63 ? seed : 0;
		assert_int_equal(radix_set(machine, &root, index, array[index]), 0);
		if (round % 50)
			continue;
		at = expected = (uint32_t)(seed >> 30) % (1 << 14);
		while (expected < 1 << 14 && !array[expected])
			expected++;
		assert_int_equal(radix_next(root, &at, &value), expected < 1 << 14);
		if (expected < 1 << 14) {
			assert_int_equal(at, expected);
			assert_int_equal(value, array[expected]);
		}
	}
	for (uint32_t index = 0; index < 1 << 14; index++) {
		assert_int_equal(radix_get(root, index), array[index]);
		radix_set(machine, &root, index, 0);
	}
	assert_int_equal(radix_nodes(machine), 0);
	machine_destroy(machine);
}

/* ---- between engine and design
 * ----------------------------------------------------------------------- */

static void addresses_of_entries_lead_back(void **state)
{
	struct machine *machine = boot("64g");
	struct ptep p, q;
	pte_addr_t addr;

	pte_alloc(machine, mm_of(machine), 0x60007, &p);
	addr = pte_addr_of(p);
	assert_int_equal(addr, (uint64_t)p.table->page->pfn << 12 | 7 * 8);
	assert_true(addr > UINT32_MAX); /* 64 GB: it takes eight bytes */
	assert_int_equal(machine_pte_addr_bytes(machine), 8);
	assert_true(pte_addr_find(machine, addr, &q));
	assert_ptr_equal(q.table, p.table);
	assert_int_equal(q.slot, p.slot);
	assert_int_equal(machine->counters.kmap_atomic, 1);
	assert_false(pte_addr_find(machine, addr + 4, &q)); /* between two entries */
	assert_false(pte_addr_find(machine, 0, &q));
	assert_false(pte_addr_find(machine, UINT64_MAX - 7, &q));
	/* A middle table is no place for an address, and a freed table neither. */
	assert_false(
		pte_addr_find(machine, (pte_addr_t)mm_of(machine)->pmd[0]->page->pfn << 12, &q));
	free_pgtables(machine, mm_of(machine), 0, VPN_LIMIT);
	assert_false(pte_addr_find(machine, addr, &q));
	assert_null(q.table);
	machine_destroy(machine);
	machine = boot("1g-lowpte");
	assert_int_equal(machine_pte_addr_bytes(machine), 4);
	machine_destroy(machine);
}

static void probes_are_counted(void **state)
{
	struct machine *machine = boot("1g");
	struct vma *vma;
	struct page *page;
	struct ptep p;

	use_a_little(machine);
	vma = vma_at(machine, mm_of(machine), WINDOW_BASE / PAGE_SIZE);
	assert_non_null(vma);
	assert_null(vma_at(machine, mm_of(machine), WINDOW_BASE / PAGE_SIZE - 1));
	page = pfn_to_page(machine, pte_pfn(ptep_peek(pte_lookup(vma->mm, vma->start))));
	machine->counters = (struct rmap_counters){0};
	assert_true(rmap_probe(machine, page, vma, vma->start, &p));
	assert_int_equal(ptep_vpn(p), vma->start);
	assert_false(rmap_probe(machine, page, vma, vma->start + 1, &p)); /* another page */
	assert_false(rmap_probe(machine, page, vma, 0, &p));              /* no table */
	assert_int_equal(machine->counters.pte_probes, 3);
	assert_int_equal(machine->counters.pte_misses, 2);
	assert_int_equal(machine->counters.kmap_atomic, 2);
	machine_destroy(machine);
}

struct seen {
	uint32_t n, last;
	uint32_t stop_at; /* after so many; 0: never */
};

static bool count_one(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
		      void *arg)
{
	struct seen *seen = arg;

	assert_true(vpn > seen->last);
	assert_true(rmap_maps(machine, page, ptep_peek(pte)));
	assert_int_equal(ptep_vpn(pte), vpn);
	seen->last = vpn;
	return ++seen->n != seen->stop_at;
}

static void an_area_shows_its_pages(void **state)
{
	struct machine *machine = boot("1g");
	const struct page *only;
	struct seen seen = {0};
	struct vma *vma;

	map(machine, 0, 32, OP_MAP_ANON);
	touch(machine, OP_write, 3);
	touch(machine, OP_read, 4); /* the zero page: of no interest */
	touch(machine, OP_write, 9);
	touch(machine, OP_write, 31);
	vma = vma_at(machine, mm_of(machine), WINDOW_BASE / PAGE_SIZE);
	machine->counters = (struct rmap_counters){0};
	assert_true(rmap_each_mapped(machine, vma, vma->start, vma->end, NULL, count_one, &seen));
	assert_int_equal(seen.n, 3);
	assert_int_equal(machine->counters.pte_probes, 4);
	assert_int_equal(machine->counters.kmap_atomic, 1);
	seen = (struct seen){0};
	rmap_each_mapped(machine, vma, vma->start + 4, vma->start + 31, NULL, count_one, &seen);
	assert_int_equal(seen.n, 1);
	seen = (struct seen){.stop_at = 2};
	assert_false(rmap_each_mapped(machine, vma, vma->start, vma->end, NULL, count_one, &seen));
	assert_int_equal(seen.n, 2);
	seen = (struct seen){0};
	only = pfn_to_page(machine, pte_pfn(ptep_peek(pte_lookup(vma->mm, vma->start + 9))));
	assert_true(rmap_each_mapped(machine, vma, vma->start, vma->end, only, count_one, &seen));
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last, vma->start + 9);
	machine_destroy(machine);
}

/* A design that shows the right entry with lies around it. */
static int lies_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		    struct ptep pte)
{
	return 0;
}

static void lies_remove(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			struct ptep pte)
{
}

static void lies_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct ptep p = {NULL, 0}, beside;
	struct vma *vma, elsewhere;

	assert_true(census_first(machine, page, &p));
	vma = vma_at(machine, p.table->mm, ptep_vpn(p));
	elsewhere = *vma;
	elsewhere.start = elsewhere.end++;
	beside = (struct ptep){p.table, p.slot + 1};
	assert_int_equal(visit(machine, page, vma, ptep_vpn(beside), beside, arg), RMAP_DROP);
	assert_int_equal(visit(machine, page, vma, ptep_vpn(p) + 1, p, arg), RMAP_DROP);
	assert_int_equal(visit(machine, page, &elsewhere, ptep_vpn(p), p, arg), RMAP_DROP);
	assert_int_equal(visit(machine, page, NULL, 0, (struct ptep){NULL, 0}, arg), RMAP_DROP);
	visit(machine, page, vma, ptep_vpn(p), p, arg); /* the truth */
	visit(machine, page, vma, ptep_vpn(p), p, arg); /* and again */
}

static const struct rmap_ops lies = {
	.name = "lies",
	.page_bytes = 32,
	.vma_bytes = 64,
	.mm_bytes = 544,
	.add = lies_add,
	.remove = lies_remove,
	.walk = lies_walk,
};

static uint32_t count_events(const struct machine *machine, enum event_kind kind)
{
	const struct event *events;
	uint32_t found = 0;
	size_t n;

	events = machine_events(machine, &n);
	for (size_t i = 0; i < n; i++)
		found += events[i].kind == kind;
	return found;
}

static void what_a_design_shows_is_verified(void **state)
{
	struct machine *machine = machine_create(&machine_preset_find("tiny")->config, &lies);
	const struct event *events;
	struct page *page;
	size_t n;

	map(machine, 0, 4, OP_MAP_ANON);
	touch(machine, OP_write, 0);
	touch(machine, OP_write, 1);
	page = pfn_to_page(machine,
			   pte_pfn(ptep_peek(pte_lookup(mm_of(machine), WINDOW_BASE / PAGE_SIZE))));
	touch(machine, OP_age, 0);
	assert_int_equal(count_events(machine, EVENT_STALE), 4);
	assert_int_equal(count_events(machine, EVENT_VISIT), 2);
	assert_int_equal(page->mapcount, 1);

	touch(machine, OP_evict, 0);
	assert_int_equal(count_events(machine, EVENT_CENSUS), 1);
	assert_int_equal(count_events(machine, EVENT_STALE), 5); /* the second time it is gone */
	assert_int_equal(count_events(machine, EVENT_VISIT), 1);
	assert_int_equal(page->mapcount, 0);
	assert_int_equal(mm_of(machine)->rss, 1);
	assert_int_equal(machine->unmaps, 1);
	events = machine_events(machine, &n);
	assert_int_equal(events[0].kind, EVENT_WALK);
	assert_int_equal(events[0].aux, WALK_UNMAP);
	assert_int_equal(events[0].value, 1);
	assert_int_equal(events[0].vpn, WINDOW_BASE / PAGE_SIZE);
	assert_int_equal(events[n - 1].kind, EVENT_WALK_END);
	assert_int_equal(events[n - 1].value, 0);
	is_sound(machine);
	machine_destroy(machine);
}

static void designs_are_found_by_name(void **state)
{
	size_t n = 0;

	for (; rmap_backends[n]; n++)
		assert_ptr_equal(rmap_find(rmap_backends[n]->name), rmap_backends[n]);
	assert_true(n >= 5);
	assert_null(rmap_find("no such design"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slabs_are_those_of_2_6),
		cmocka_unit_test(slabs_add_up_to_what_was_measured),
		cmocka_unit_test(bytes_follow_whole_slabs),
		cmocka_unit_test(objects_come_zeroed_last_freed_first),
		cmocka_unit_test(recycled_objects_keep_their_content),
		cmocka_unit_test(freed_objects_are_poisoned),
		cmocka_unit_test(caches_are_known_by_name),
		cmocka_unit_test(the_oracle_numbers_allocations),
		cmocka_unit_test(the_oracle_runs_reclaim),
		cmocka_unit_test(zones_lie_where_i386_has_them),
		cmocka_unit_test(lowmem_at_boot_is_what_was_measured),
		cmocka_unit_test(zones_do_not_depend_on_the_design),
		cmocka_unit_test(watermarks_follow_the_kernel),
		cmocka_unit_test(frames_come_from_the_top_then_last_freed_first),
		cmocka_unit_test(allocation_falls_back_and_ends_at_the_watermarks),
		cmocka_unit_test(lowmem_requests_leave_highmem_alone),
		cmocka_unit_test(waiting_allocations_reclaim),
		cmocka_unit_test(a_64g_machine_costs_what_a_tiny_one_does),
		cmocka_unit_test(a_reset_machine_is_as_new),
		cmocka_unit_test(lowmem_peak_is_kept),
		cmocka_unit_test(pgds_are_made_for_user_space),
		cmocka_unit_test(pte_pages_are_high_only_with_highpte),
		cmocka_unit_test(pgd_alloc_unwinds),
		cmocka_unit_test(census_is_newest_first),
		cmocka_unit_test(reserved_pages_have_no_census),
		cmocka_unit_test(every_write_is_an_event),
		cmocka_unit_test(pte_next_skips_what_is_not_there),
		cmocka_unit_test(only_empty_whole_tables_are_freed),
		cmocka_unit_test(reset_cleans_tables_in_use),
		cmocka_unit_test(radix_holds_any_index),
		cmocka_unit_test(radix_is_as_small_as_it_can),
		cmocka_unit_test(radix_fails_without_a_trace),
		cmocka_unit_test(radix_agrees_with_an_array),
		cmocka_unit_test(addresses_of_entries_lead_back),
		cmocka_unit_test(probes_are_counted),
		cmocka_unit_test(an_area_shows_its_pages),
		cmocka_unit_test(what_a_design_shows_is_verified),
		cmocka_unit_test(designs_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

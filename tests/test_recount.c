/*
 * The recount is tested by lying to it: in a machine where a bit of everything is going on, one
 * word at a time is spoiled, the recount must say so in the right sentence, and must be content
 * again when the word is put right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"

#define BASE (WINDOW_BASE / PAGE_SIZE)

/* Two processes that share anonymous memory by fork, a file, and shared memory; see world_make. */
struct world {
	struct machine *machine;
	struct mm *mm, *child;
	struct vma *anon, *disk, *shm;
	struct page *shared; /* anonymous, mapped by both, read-only */
	struct page *own;    /* anonymous, mapped by p0 alone, writable */
	struct page *cached; /* the disk file's page 1 */
	struct swap_slot *slot;
	struct pte_table *table; /* of w0.. in p0 */
};

static void apply(struct machine *machine, enum op_code code, uint32_t a, uint32_t b)
{
	struct op op = {.code = (uint8_t)code, .args = {a, b}};
	struct result result;

	machine_apply(machine, &op, &result);
	assert_int_equal(result.err, 0);
}

static void map(struct machine *machine, uint32_t page, uint32_t flags, uint32_t file)
{
	struct op op = {.code = OP_mmap,
			.args = {0, REGION_NONE, WINDOW_BASE + page * PAGE_SIZE, 8,
				 OP_PROT_READ | OP_PROT_WRITE, flags | OP_MAP_FIXED, file, 0}};
	struct result result;

	machine_apply(machine, &op, &result);
	assert_int_equal(result.err, 0);
}

static uint32_t window(uint32_t page)
{
	return WINDOW_BASE + page * PAGE_SIZE;
}

static struct page *page_at(struct world *w, uint32_t page)
{
	pte_t entry = ptep_peek(pte_lookup(w->mm, BASE + page));

	assert_true(pte_present(entry));
	return pfn_to_page(w->machine, pte_pfn(entry));
}

static struct pte_words *entry_at(struct world *w, uint32_t page)
{
	return &w->table->entry[pte_lookup(w->mm, BASE + page).slot];
}

/*
 *   w0..w7    anonymous   w0 shared with the child, w1 p0's own, w2 in swap, w3 the zero page,
 *                         w4 in the swap cache
 *   w16..w23  file f0     w16, w17 present
 *   w32..w39  tmpfs f1    w32 written, w33 in swap
 */
static struct world world_make(const char *backend)
{
	struct world w = {0};
	struct machine *machine =
		machine_create(&machine_preset_find("tiny")->config, rmap_find(backend));

	w.machine = machine;
	w.mm = machine->tasks[0]->mm;
	map(machine, 0, OP_MAP_ANON, 0);
	map(machine, 16, OP_MAP_SHARED, 0);
	map(machine, 32, OP_MAP_SHARED, 1);
	apply(machine, OP_write, 0, window(0));
	apply(machine, OP_fork, 0, 1);
	apply(machine, OP_write, 0, window(1));
	apply(machine, OP_write, 0, window(2));
	apply(machine, OP_swapout, 0, window(2));
	apply(machine, OP_read, 0, window(3));
	apply(machine, OP_write, 0, window(4));
	apply(machine, OP_evict, 0, window(4));
	apply(machine, OP_read, 0, window(4));
	apply(machine, OP_read, 0, window(16));
	apply(machine, OP_read, 0, window(17));
	apply(machine, OP_write, 0, window(32));
	apply(machine, OP_write, 0, window(33));
	apply(machine, OP_swapout, 0, window(33));
	w.child = machine->tasks[1]->mm;
	w.anon = vma_at(machine, w.mm, BASE);
	w.disk = vma_at(machine, w.mm, BASE + 16);
	w.shm = vma_at(machine, w.mm, BASE + 32);
	w.table = pte_lookup(w.mm, BASE).table;
	w.shared = page_at(&w, 0);
	w.own = page_at(&w, 1);
	w.cached = page_at(&w, 17);
	w.slot = swap_slot(machine, pte_to_swp(ptep_peek(pte_lookup(w.mm, BASE + 2))));
	assert_int_equal(w.shared->mapcount, 2);
	assert_true(page_at(&w, 4)->flags & PG_SWAPCACHE);
	return w;
}

static const char *recount(struct world *w)
{
	static char buf[256];

	return machine_recount(w->machine, buf, sizeof(buf));
}

/* ---- what is spoiled ------------------------------------------------------------------------ */

/* SPOT(name, lvalue): a word of the world. */
#define SPOT(name, lvalue)                                                                         \
	static void *name(struct world *w)                                                         \
	{                                                                                          \
		return &(lvalue);                                                                  \
	}

SPOT(map_count, w->mm->map_count)
SPOT(total_vm, w->mm->total_vm)
SPOT(locked_vm, w->mm->locked_vm)
SPOT(rss, w->mm->rss)
SPOT(child_rss, w->child->rss)
SPOT(nr_ptes, w->mm->nr_ptes)
SPOT(mm_id, w->mm->id)
SPOT(area_start, w->anon->start)
SPOT(area_end, w->anon->end)
SPOT(area_flags, w->anon->flags)
SPOT(area_anon, w->anon->anon)
SPOT(disk_pgoff, w->disk->pgoff)
SPOT(pgd_entry, w->mm->pgd->entry[1].low)
SPOT(kernel_pgd_entry, w->mm->pgd->entry[3].high)
SPOT(pmd_entry, w->mm->pmd[1]->own->entry[pte_lookup(w->mm, BASE).table->vpn / PMD_PAGES % 512].low)
SPOT(pmd_unused_entry, w->mm->pmd[1]->own->entry[5].high)
SPOT(pmd_nr_live, w->mm->pmd[1]->nr_live)
SPOT(pmd_frame, w->mm->pmd[2]->page->flags)
SPOT(table_vpn, w->table->vpn)
SPOT(table_frame, w->table->page->flags)
SPOT(table_nr_live, w->table->nr_live)
SPOT(table_live, w->table->live[1])
SPOT(unused_entry, w->table->entry[100].high)
SPOT(unused_next, w->table->next[100])
SPOT(shared_entry, entry_at(w, 0)->low)
SPOT(own_entry, entry_at(w, 1)->low)
SPOT(own_entry_high, entry_at(w, 1)->high)
SPOT(swap_entry, entry_at(w, 2)->low)
SPOT(zero_entry, entry_at(w, 3)->low)
SPOT(file_entry, entry_at(w, 16)->low)
SPOT(census_head, w->own->census)
SPOT(census_prev, w->child->pmd[1]->own->table[BASE / PMD_PAGES % 512]->prev[0])
SPOT(mapcount, w->shared->mapcount)
SPOT(count, w->cached->count)
SPOT(own_flags, w->own->flags)
SPOT(cached_flags, w->cached->flags)
SPOT(own_pfn, w->own->pfn)
SPOT(unmapped_pfn, pfn_to_page(w->machine, w->machine->swapper_pmd_pfn)->pfn)
SPOT(cached_index, w->cached->index)
SPOT(zero_count, w->machine->zero_page->count)
SPOT(slot_map, w->slot->map)
SPOT(slot_written, w->slot->written)
SPOT(cached_swap, page_at(w, 4)->swap)
SPOT(swap_used, w->machine->swap_used)
SPOT(area_used, w->machine->swap[0].used)
SPOT(area_on, w->machine->swap[0].on)
SPOT(nr_swap_on, w->machine->nr_swap_on)
SPOT(swap_total, w->machine->swap_total)
SPOT(nr_free_slots, w->machine->swap[0].nr_free_slots)
SPOT(nrcached, w->machine->files[0]->nrcached)
SPOT(users, w->machine->files[1]->users)
SPOT(file_size, w->machine->files[0]->npages)
SPOT(boot_pages, w->machine->files[3]->boot_pages)
SPOT(nr_free, w->machine->zones[ZONE_DMA].nr_free)
SPOT(nr_active, w->machine->zones[ZONE_DMA].nr_active)
SPOT(nr_inactive, w->machine->zones[ZONE_DMA].nr_inactive)
SPOT(committed, w->machine->committed_as)
SPOT(task_proc, w->machine->tasks[1]->proc)
SPOT(vmas_used, w->machine->kobj[KOBJ_VMA]->used)
SPOT(stacks_used, w->machine->kobj[KOBJ_STACK]->used)
SPOT(inodes_used, w->machine->kobj[KOBJ_INODE]->used)
SPOT(free_tables, w->machine->nr_free_tables)

/* The first byte (the second, third... for SHIFT 8, 16...) is XORed with MASK. */
static const struct lie {
	const char *name;
	void *(*spot)(struct world *w);
	uint32_t shift, mask;
	const char *sentence; /* part of what the recount says */
} lies[] = {
#define LIE(spot, shift, mask, sentence)                                                           \
	{                                                                                          \
#spot, spot, shift, mask, sentence                                                 \
	}
	LIE(map_count, 0, 1, "map_count"),
	LIE(total_vm, 0, 1, "total_vm"),
	LIE(locked_vm, 0, 4, "locked_vm"),
	LIE(rss, 0, 8, "rss"),
	LIE(child_rss, 0, 1, "mm 1: rss"),
	LIE(nr_ptes, 0, 1, "nr_ptes"),
	LIE(mm_id, 0, 4, "is none of its users"),
	LIE(area_start, 0, 1, "total_vm"),
	LIE(area_end, 0, 0x20, "overlap"),
	LIE(area_flags, 8, VM_LOCKED >> 8, "locked_vm"),
	LIE(area_flags, 16, VM_ACCOUNT >> 16, "Committed_AS"),
	LIE(area_flags, 0, VM_WRITE, "is writable, its area is not"),
	LIE(area_flags, 0, VM_SHARED, "anonymous page in a shared area"),
	LIE(area_anon, 0, 1, "its area knows of none"),
	LIE(disk_pgoff, 0, 1, "wrong page of its file"),
	LIE(pgd_entry, 0, PTE_RW, "PGD entry 1 points elsewhere"),
	LIE(kernel_pgd_entry, 0, 1, "PGD entry 3 is not the kernel's"),
	LIE(pmd_entry, 0, PTE_A, "not where the PMD entry points"),
	LIE(pmd_unused_entry, 0, 1, "PMD 1 has a wrong number of tables"),
	LIE(pmd_nr_live, 0, 2, "PMD 1 has a wrong number of tables"),
	LIE(pmd_frame, 8, PG_PMD >> 8, "the frame of PMD 2 does not know it"),
	LIE(table_vpn, 8, 2, "is another one's"),
	LIE(table_frame, 0, PG_TABLE, "has a frame that does not know it"),
	LIE(table_nr_live, 0, 1, "wrong number of live entries"),
	LIE(table_live, 0, 1, "is none, but marked live"),
	LIE(unused_entry, 0, 1, "wrong number of live entries"),
	LIE(unused_next, 0, 1, "census links without an entry"),
	LIE(shared_entry, 0, PTE_RW, "that others map, too"),
	LIE(own_entry, 0, PTE_US, "other permissions than its area"),
	LIE(own_entry_high, 0, 1, "maps a frame that is free or holds a table"),
	LIE(swap_entry, 24, 0x40, "swap slot that does not exist"),
	LIE(swap_entry, 0, PTE_FILE, "its area is not nonlinear"),
	LIE(zero_entry, 0, PTE_RW, "writes to a page that is not private"),
	LIE(file_entry, 8, 0x10, "entry of 0x60010"),
	LIE(census_head, 0, 1, "the census has a wrong entry"),
	LIE(census_prev, 0, 1, "census"),
	LIE(mapcount, 0, 4, "mapcount is 6, counted 2"),
	LIE(count, 0, 4, "count is 6, counted 2"),
	LIE(own_flags, 8, PG_LOCKED >> 8, "is still locked"),
	LIE(own_flags, 0, PG_ANON, "maps a page that is not"),
	LIE(own_flags, 0, PG_LRU, "is on no list"),
	LIE(own_flags, 0, PG_ACTIVE, "nr_"),
	LIE(own_flags, 0, PG_SWAPCACHE, "count is 1, counted 2"),
	LIE(own_flags, 8, PG_FREE >> 8, "free or holds a table"),
	LIE(cached_flags, 0, PG_ANON, "anonymous page in a shared area"),
	LIE(own_pfn, 8, 0x80, "maps the wrong part of its page"),
	LIE(unmapped_pfn, 8, 0x80, "is not the frame it is kept for"),
	LIE(cached_index, 0, 8, "wrong page of its file"),
	LIE(zero_count, 0, 2, "count is 3, counted 1"),
	LIE(slot_map, 0, 2, "map is 3, counted 1"),
	LIE(slot_written, 0, 1, "neither cached nor written"),
	LIE(cached_swap, 0, 8, "the cached page does not know it"),
	LIE(swap_used, 0, 1, "swap in use"),
	LIE(area_used, 0, 1, "slots in use of a swap area"),
	LIE(area_on, 0, 1, "is off"),
	LIE(nr_swap_on, 0, 1, "number of swap areas in use"),
	LIE(swap_total, 0, 1, "size of all swap"),
	LIE(nr_free_slots, 0, 1, "free"),
	LIE(nrcached, 0, 1, "nrcached"),
	LIE(users, 0, 4, "file 1: users"),
	LIE(file_size, 0, 0x10, "beyond the end"),
	LIE(boot_pages, 0, 0x20, "boot content lies beyond the end"),
	LIE(nr_free, 0, 1, "number of free pages"),
	LIE(nr_active, 0, 1, "nr_active"),
	LIE(nr_inactive, 0, 1, "nr_inactive"),
	LIE(committed, 0, 1, "Committed_AS"),
	LIE(task_proc, 0, 2, "has no mm of this machine"),
	LIE(vmas_used, 0, 16, "vm_area_struct"),
	LIE(stacks_used, 0, 8, "kernel_stack"),
	LIE(inodes_used, 0, 16, "inode"),
	LIE(free_tables, 0, 2, "number of page tables"),
#undef LIE
};

static void every_lie_is_found(void **state)
{
	struct world w = world_make("scan");

	assert_null(recount(&w));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct lie *lie = &lies[i];
		uint8_t *byte = (uint8_t *)lie->spot(&w) + lie->shift / 8;
		const char *said;

		*byte ^= (uint8_t)lie->mask;
		said = recount(&w);
		if (!said || !strstr(said, lie->sentence))
			fail_msg("%s ^ 0x%x << %u: expected \"%s\", got \"%s\"", lie->name,
				 lie->mask, lie->shift, lie->sentence, said ? said : "nothing");
		*byte ^= (uint8_t)lie->mask;
		said = recount(&w);
		if (said)
			fail_msg("after %s was put right: %s", lie->name, said);
	}
	machine_destroy(w.machine);
}

/* ---- structures ------------------------------------------------------------------------------ */

static void says(struct world *w, const char *sentence)
{
	const char *said = recount(w);

	if (!said || !strstr(said, sentence))
		fail_msg("expected \"%s\", got \"%s\"", sentence, said ? said : "nothing");
}

static void lists_and_trees_must_agree(void **state)
{
	struct world w = world_make("scan");
	struct vma *next = w.anon->next, *cache = w.mm->cache;

	w.mm->first = next;
	next->prev = NULL;
	says(&w, "tree and list differ");
	w.mm->first = w.anon;
	says(&w, "area list is torn");
	next->prev = w.anon;
	w.mm->cache = w.child->first;
	says(&w, "the cached area is none of its areas");
	w.mm->cache = cache;
	w.anon->prev = w.anon;
	says(&w, "there is an area before the first");
	w.anon->prev = NULL;
	w.anon->mm = w.child;
	says(&w, "belongs to another mm");
	w.anon->mm = w.mm;
	RB_REMOVE(vma_tree, &w.mm->vmas, w.shm);
	says(&w, "is not in the tree");
	RB_INSERT(vma_tree, &w.mm->vmas, w.shm);
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

static void files_must_know_their_areas(void **state)
{
	struct world w = world_make("scan");
	struct address_space *disk = w.machine->files[0], *other = w.machine->files[2];

	TAILQ_REMOVE(&disk->i_mmap, w.disk, shared);
	says(&w, "users is");
	disk->users--;
	says(&w, "not on their i_mmap");
	TAILQ_INSERT_TAIL(&other->i_mmap, w.disk, shared);
	says(&w, "i_mmap has another file's area");
	TAILQ_REMOVE(&other->i_mmap, w.disk, shared);
	disk->users++;
	TAILQ_INSERT_TAIL(&disk->i_mmap_nonlinear, w.disk, shared);
	says(&w, "on the wrong one of two lists");
	TAILQ_REMOVE(&disk->i_mmap_nonlinear, w.disk, shared);
	TAILQ_INSERT_TAIL(&disk->i_mmap, w.disk, shared);
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

static void caches_must_hold_their_pages(void **state)
{
	struct world w = world_make("scan");
	struct address_space *disk = w.machine->files[0], *shm = w.machine->files[1];
	uint64_t word;

	radix_set(w.machine, &disk->pages, 9, (uintptr_t)w.own);
	says(&w, "a page of something else is cached at 9");
	radix_set(w.machine, &disk->pages, 9, 0);
	radix_set(w.machine, &disk->store, 100, 5);
	says(&w, "content is stored beyond the end at 100");
	radix_set(w.machine, &disk->store, 100, 0);
	word = radix_get(shm->store, 1);
	assert_true(word != 0); /* w33 */
	radix_set(w.machine, &shm->store, 0, word);
	says(&w, "both cached and in swap");
	radix_set(w.machine, &shm->store, 0, 0);
	radix_set(w.machine, &shm->store, 2, word);
	says(&w, "map is 1, counted 2");
	radix_set(w.machine, &shm->store, 2, swp_entry(0, 77));
	says(&w, "a swap slot that does not exist is named");
	radix_set(w.machine, &shm->store, 2, 0);
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

static void lists_must_hold_their_pages(void **state)
{
	struct world w = world_make("scan");
	struct zone *zone = &w.machine->zones[ZONE_DMA];
	struct page *leaked = page_alloc(w.machine, GFP_HIGHUSER);

	says(&w, "count is 1, counted 0"); /* nobody knows it */
	page_put(w.machine, leaked);
	assert_null(recount(&w));

	TAILQ_REMOVE(&zone->free, leaked, lru);
	says(&w, "a list of pages is too short");
	TAILQ_INSERT_TAIL(&zone->inactive, leaked, lru);
	says(&w, "a list of pages is too short");
	TAILQ_REMOVE(&zone->inactive, leaked, lru);
	TAILQ_INSERT_HEAD(&zone->free, leaked, lru);
	TAILQ_REMOVE(&zone->active, w.own, lru);
	TAILQ_INSERT_TAIL(&zone->inactive, w.own, lru);
	says(&w, "list");
	TAILQ_REMOVE(&zone->inactive, w.own, lru);
	TAILQ_INSERT_TAIL(&zone->active, w.own, lru);
	assert_null(recount(&w));
	leaked->token[0] = 0;
	leaked->count = 1;
	says(&w, "is free and in use");
	leaked->count = 0;
	machine_destroy(w.machine);
}

static void a_swap_page_and_its_slot_must_agree(void **state)
{
	struct world w = world_make("scan");
	struct page *page = page_at(&w, 4);
	struct swap_slot *slot = swap_slot(w.machine, page->swap);

	slot->cached = NULL;
	says(&w, "map is 1, counted 0");
	slot->cached = w.own;
	says(&w, "the cached page does not know it");
	slot->cached = page;
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

static void a_slot_is_free_once(void **state)
{
	struct world w = world_make("scan");

	apply(w.machine, OP_exit, 0, 0); /* w2 and w4 give theirs back */
	assert_true(w.machine->swap[0].nr_free_slots >= 2);
	assert_null(recount(&w));
	w.machine->swap[0].free_slots[0] = w.machine->swap[0].free_slots[1];
	says(&w, "on the free list, and twice");
	machine_destroy(w.machine);
}

static void threads_are_counted(void **state)
{
	struct world w = world_make("scan");
	struct mm *mm = w.machine->tasks[0]->mm;

	apply(w.machine, OP_clone_vm, 0, 5);
	assert_ptr_equal(w.machine->tasks[5]->mm, mm);
	assert_null(recount(&w));
	mm->users++;
	says(&w, "number of users of all mms is 4, counted 3");
	mm->users -= 3;
	says(&w, "mm 0: nobody uses it");
	mm->users += 2;
	mm->id = 1;
	says(&w, "mm 1: process 1 is none of its users");
	mm->id = 0;
	apply(w.machine, OP_exit, 0, 0);
	assert_int_equal(mm->id, 5);
	assert_int_equal(mm->users, 1);
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

/* ---- the design's own check ------------------------------------------------------------------ */

static const char *broken_check(struct machine *machine)
{
	return "all is lost";
}

static void the_design_is_asked_last(void **state)
{
	struct world w = world_make("scan");
	const struct rmap_ops *scan = w.machine->rmap;
	struct rmap_ops broken = *scan;

	broken.check = broken_check;
	w.machine->rmap = &broken;
	assert_string_equal(recount(&w), "rmap: all is lost");
	w.mm->rss++;
	says(&w, "rss");
	w.mm->rss--;
	w.machine->rmap = scan;
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

/* The quick form leaves out the search for words in use where none should be, and only that. */
static void the_quick_form_looks_at_what_is_live(void **state)
{
	struct world w = world_make("scan");
	char buf[256];

	w.table->entry[100].high = 1;
	says(&w, "wrong number of live entries");
	assert_null(machine_recount_live(w.machine, buf, sizeof(buf)));
	w.table->entry[100].high = 0;
	w.own->mapcount++;
	assert_non_null(machine_recount_live(w.machine, buf, sizeof(buf)));
	w.own->mapcount--;
	assert_null(recount(&w));
	machine_destroy(w.machine);
}

/* It looks and does not touch: neither the future nor the host's memory depends on it. */
static void recounting_changes_nothing(void **state)
{
	for (size_t i = 0; rmap_backends[i]; i++) {
		struct world a = world_make(rmap_backends[i]->name);
		struct world b = world_make(rmap_backends[i]->name);
		uint64_t allocs = a.machine->host_allocs;

		for (uint32_t page = 0; page < 8; page++) {
			assert_null(recount(&a));
			apply(a.machine, OP_write, 1, window(page));
			apply(b.machine, OP_write, 1, window(page));
		}
		assert_int_equal(machine_hash(a.machine), machine_hash(b.machine));
		assert_int_equal(a.machine->host_allocs - allocs, b.machine->host_allocs - allocs);
		machine_destroy(a.machine);
		machine_destroy(b.machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lie_is_found),
		cmocka_unit_test(lists_and_trees_must_agree),
		cmocka_unit_test(files_must_know_their_areas),
		cmocka_unit_test(caches_must_hold_their_pages),
		cmocka_unit_test(lists_must_hold_their_pages),
		cmocka_unit_test(a_swap_page_and_its_slot_must_agree),
		cmocka_unit_test(a_slot_is_free_once),
		cmocka_unit_test(threads_are_counted),
		cmocka_unit_test(the_design_is_asked_last),
		cmocka_unit_test(the_quick_form_looks_at_what_is_live),
		cmocka_unit_test(recounting_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

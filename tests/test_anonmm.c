/*
 * anonmm from inside: families and who holds whom, what a move copies and what not, two addresses
 * for one page in the swap cache, and moves that run out of memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "internal.h"

#include "picture.h"

static struct mm *mm_of(struct scene *s, uint32_t proc)
{
	return s->machine->tasks[proc]->mm;
}

static struct page *page_at(struct scene *s, uint32_t proc, uint32_t page)
{
	struct ptep pte = pte_lookup(mm_of(s, proc), W0 + page);

	assert_true(pte.table && pte_present(ptep_peek(pte)));
	return pfn_to_page(s->machine, pte_pfn(ptep_peek(pte)));
}

/* Objects of the design in use. */
static uint32_t objects(struct scene *s)
{
	for (uint32_t i = 0; i < s->machine->nr_caches; i++) {
		const struct kmem_cache *cache = &s->machine->caches[i];

		if (!strcmp(cache->name, "anonmm")) {
			assert_int_equal(cache->bytes, 24);
			return cache->used;
		}
	}
	fail();
	return 0;
}

static uint64_t copies(struct scene *s)
{
	struct machine_stats stats;

	machine_stats(s->machine, &stats);
	return stats.early_copies;
}

/* Page W of PROC reads as the SERIAL-th op wrote it. */
static void reads(struct scene *s, uint32_t proc, uint32_t page, uint32_t serial)
{
	char op[32];

	snprintf(op, sizeof(op), "read p%u w%u", proc, page);
	assert_int_equal(run(s, op), 0);
	assert_int_equal(s->last.token, token_write(serial));
}

/* Run a write and return its serial. */
static uint32_t writes(struct scene *s, const char *op)
{
	uint32_t serial = s->serial;

	assert_int_equal(run(s, op), 0);
	return serial;
}

static void play(void (*scene)(struct scene *s))
{
	on_backend("anonmm", "tiny era=2.6.6", scene);
	on_backend("anonmm", "tiny era=2.6.7", scene);
	on_backend("anonmm", "1g highpte=1", scene);
}

/* ---- families ------------------------------------------------------------------------------ */

/* The dead are kept by their pages, until a walk finds the page a living mm. */
static void scene_dead(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "p1 = fork p0");
	run(s, "write p1 w0");
	run(s, "write p1 w1");
	run(s, "p2 = fork p1");
	assert_int_equal(objects(s), 3);
	known_as(s, 2, 0, "first in mm 1, in a family of 3 alive and 0 dead");
	run(s, "exit p1");
	assert_int_equal(objects(s), 3);
	known_as(s, 2, 0, "first in a dead mm, in a family of 2 alive and 1 dead");
	run(s, "age p2 w0");
	known_as(s, 2, 0, "first in mm 2, in a family of 2 alive and 1 dead");
	assert_int_equal(objects(s), 3);
	run(s, "munmap p2 w1 1"); /* its last page */
	assert_int_equal(objects(s), 2);
}

/* The head is kept by its family, and goes with the last of it. */
static void scene_head(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p1");
	run(s, "exit p0");
	run(s, "exit p1");
	known_as(s, 2, 0, "first in a dead mm, in a family of 1 alive and 1 dead");
	evicted(s, "evict p2 w0");
	run(s, "p3 = fork p2");
	run(s, "exit p2");
	assert_int_equal(objects(s), 2);
	run(s, "read p3 w0");
	known_as(s, 3, 0, "first in mm 3, in a family of 1 alive and 1 dead");
	run(s, "exit p3");
	assert_int_equal(objects(s), 0);
}

/* exec begins a family of one. */
static void scene_exec(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "exec p1");
	known_as(s, 0, 0, "in a family of 1 alive and 0 dead");
	assert_int_equal(objects(s), 2);
	run(s, "mmap p1 w0 1 rw anon|fixed");
	run(s, "write p1 w0");
	known_as(s, 1, 0, "in a family of 1 alive and 0 dead");
}

static void families_hold_together(void **state)
{
	play(scene_dead);
	play(scene_head);
	play(scene_exec);
}

/* A page that came back to the youngest first is still found in the eldest: all around the circle.
 */
static void scene_circle(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	evicted(s, "evict p0 w0");
	run(s, "read p2 w0");
	known_as(s, 2, 0, "first in mm 2");
	run(s, "read p0 w0");
	run(s, "read p1 w0");
	assert_int_equal(mappers(s, 1, 0), 3);
	evicted(s, "evict p1 w0");
	pages(s, 0, "s");
	pages(s, 1, "s");
	pages(s, 2, "s");
}

static void walks_go_all_around(void **state)
{
	play(scene_circle);
}

/* What its author's opponent held against it: a child's own page is looked for in all relatives. */
static void scene_cost(struct scene *s)
{
	struct rmap_counters cost;
	char op[64];

	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w1"); /* else the mm is passed over, for having no page at all */
	for (int i = 1; i < 8; i++) {
		snprintf(op, sizeof(op), "p%d = fork p0", i);
		run(s, op);
	}
	run(s, "write p7 w0");
	cost = cost_of(s, "age p7 w0");
	assert_int_equal(cost.pte_probes, 1); /* where it was mapped first, and nobody else */
	run(s, "p8 = fork p7");
	run(s, "exit p7");
	cost = cost_of(s, "age p8 w0"); /* its first mm is dead: the last of the others has it */
	assert_int_equal(cost.pte_probes, 1);
	run(s, "p9 = fork p8");
	run(s, "munmap p8 w0 1");
	cost = cost_of(s, "age p9 w0"); /* p8 and then p9 */
	assert_int_equal(cost.pte_probes, 2);
	assert_int_equal(cost.pte_misses, 1);
}

/* In a family of eight, the page of one that the first seven never had. */
static void scene_cost_full(struct scene *s)
{
	struct rmap_counters cost;
	char op[64];

	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w1");
	for (int i = 1; i < 8; i++) {
		snprintf(op, sizeof(op), "p%d = fork p0", i);
		run(s, op);
		snprintf(op, sizeof(op), "write p%d w0", i);
		run(s, op);
	}
	run(s, "munmap p0 w0 1");
	cost = cost_of(s, "age p0 w1");
	assert_int_equal(cost.pte_probes, 8);
	assert_int_equal(cost.pte_misses, 0);
	cost = cost_of(s, "age p3 w0");
	assert_int_equal(cost.pte_probes, 1);
	assert_int_equal(cost.vmas_visited, 1);
}

static void walks_cost_the_family(void **state)
{
	on_backend("anonmm", "1g", scene_cost);
	on_backend("anonmm", "1g", scene_cost_full);
}

/* ---- moves ------------------------------------------------------------------------------- */

/* Nobody else's page, a file's page and the zero page move as they are. */
static void scene_move_alone(struct scene *s)
{
	uint32_t first;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	first = writes(s, "write p0 w0");
	run(s, "read p0 w1");
	run(s, "mmap p0 w4 2 r fixed f0 0");
	run(s, "read p0 w4");
	run(s, "p1 = fork p0");
	run(s, "write p1 w0"); /* p0's is its own again */
	run(s, "mremap p0 w0 2 2 maymove|fixed w10");
	run(s, "mremap p0 w4 2 2 maymove|fixed w14");
	assert_int_equal(copies(s), 0);
	known_as(s, 0, 10, "at 0x6000a, first in mm 0");
	pages(s, 0, "..--......rz..r-");
	reads(s, 0, 10, first);
	evicted(s, "evict p0 w10");
	evicted(s, "evict p0 w14");
	pages(s, 1, "wz----");
}

/* A shared page is copied in the mover, whatever the protection; and only once. */
static void scene_move_shared(struct scene *s)
{
	uint32_t serial[4];

	run(s, "mmap p0 w0 4 rw anon|fixed");
	serial[0] = writes(s, "write p0 w0");
	serial[1] = writes(s, "write p0 w1");
	serial[2] = writes(s, "write p0 w2");
	run(s, "mprotect p0 w1 1 r");
	run(s, "mprotect p0 w2 1 none");
	run(s, "p1 = fork p0");
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	run(s, "mremap p1 w1 1 1 maymove|fixed w11");
	run(s, "mremap p1 w2 1 1 maymove|fixed w12");
	assert_int_equal(copies(s), 3);
	pages(s, 0, "rrn-");
	pages(s, 1, "...-......wrn");
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(mappers(s, 0, i), 1);
		assert_int_equal(mappers(s, 1, 10 + i), 1);
	}
	run(s, "mremap p1 w10 1 1 maymove|fixed w20");
	assert_int_equal(copies(s), 3);
	run(s, "mprotect p0 w0 4 rw");
	run(s, "mprotect p1 w12 1 r");
	reads(s, 0, 0, serial[0]);
	reads(s, 0, 1, serial[1]);
	reads(s, 0, 2, serial[2]);
	reads(s, 1, 20, serial[0]);
	reads(s, 1, 11, serial[1]);
	reads(s, 1, 12, serial[2]);
	evicted(s, "evict p1 w20");
	evicted(s, "evict p0 w0");
}

/* Pages that moved are shared by the next fork as any others. */
static void scene_fork_moved(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mremap p0 w0 2 2 maymove|fixed w10");
	run(s, "p1 = fork p0");
	assert_int_equal(mappers(s, 1, 10), 2);
	evicted(s, "evict p1 w10");
	pages(s, 0, "..........s-");
	pages(s, 1, "..........s-");
	assert_int_equal(copies(s), 0);
}

/* A private copy of a file's page is anonymous memory like any other. */
static void scene_move_private(struct scene *s)
{
	uint32_t serial;

	run(s, "mmap p0 w0 2 rw fixed f0 0");
	serial = writes(s, "write p0 w0");
	run(s, "read p0 w1");
	run(s, "p1 = fork p0");
	run(s, "mremap p1 w0 2 2 maymove|fixed w10");
	assert_int_equal(copies(s), 1);
	assert_int_equal(mappers(s, 1, 11), 2); /* the file's page is where it is */
	reads(s, 1, 10, serial);
	reads(s, 0, 0, serial);
	evicted(s, "evict p0 w1");
	evicted(s, "evict p0 w0");
	evicted(s, "evict p1 w10");
}

static void moves_copy_what_is_shared(void **state)
{
	play(scene_move_alone);
	play(scene_move_shared);
	play(scene_fork_moved);
	play(scene_move_private);
}

/* ---- one page, two addresses ------------------------------------------------------------------
 */

/* Only a swap entry moves. Whoever comes second to the page in the swap cache gets a copy. */
static void scene_clash(struct scene *s)
{
	uint32_t serial;
	struct page *page;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	serial = writes(s, "write p0 w0");
	run(s, "p1 = fork p0");
	page = page_at(s, 0, 0);
	evicted(s, "evict p0 w0");
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	assert_int_equal(copies(s), 0);
	reads(s, 1, 10, serial);
	assert_ptr_equal(page_at(s, 1, 10), page);
	reads(s, 0, 0, serial);
	assert_int_equal(copies(s), 1);
	assert_ptr_not_equal(page_at(s, 0, 0), page);
	assert_int_equal(page->mapcount, 1);
	/* The swap slot is the first one's alone, so it may write in place. */
	run(s, "write p1 w10");
	assert_ptr_equal(page_at(s, 1, 10), page);
	reads(s, 0, 0, serial);
	evicted(s, "evict p0 w0");
	evicted(s, "evict p1 w10");
	reads(s, 0, 0, serial);
}

/* A write that clashes needs one fault: the copy is writable at once. */
static void scene_clash_write(struct scene *s)
{
	uint32_t serial, other;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	serial = writes(s, "write p0 w0");
	run(s, "p1 = fork p0");
	evicted(s, "evict p0 w0");
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	reads(s, 0, 0, serial);
	other = writes(s, "write p1 w10");
	assert_int_equal(copies(s), 1);
	pages(s, 1, ".-........w");
	reads(s, 0, 0, serial);
	reads(s, 1, 10, other);
}

/* If the first has given the page up again, the second may have it: no copy. */
static void scene_no_clash(struct scene *s)
{
	uint32_t serial;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	serial = writes(s, "write p0 w0");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	evicted(s, "evict p0 w0");
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	reads(s, 0, 0, serial);
	evicted(s, "evict p0 w0");
	reads(s, 1, 10, serial);
	run(s, "munmap p1 w10 1");
	reads(s, 0, 0, serial);
	reads(s, 2, 0, serial);
	assert_int_equal(mappers(s, 2, 0), 2);
	assert_int_equal(copies(s), 0);
	evicted(s, "evict p0 w0");
}

/* A page that is mapped once moves, and a relative's swap entry for it stays where it was. */
static void scene_clash_left_behind(struct scene *s)
{
	uint32_t serial;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	serial = writes(s, "write p0 w0");
	run(s, "p1 = fork p0");
	evicted(s, "evict p0 w0");
	reads(s, 1, 0, serial);
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	assert_int_equal(copies(s), 0);
	reads(s, 0, 0, serial);
	assert_int_equal(copies(s), 1);
	reads(s, 1, 10, serial);
	evicted(s, "evict p1 w10");
	evicted(s, "evict p0 w0");
}

/* No memory for the copy: the fault fails, and the swap entry is still good. */
static void scene_clash_fails(struct scene *s)
{
	uint32_t serial;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	serial = writes(s, "write p0 w0");
	run(s, "p1 = fork p0");
	evicted(s, "evict p0 w0");
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	reads(s, 0, 0, serial);
	assert_int_equal(run(s, "read p1 w10 (fail_nth: 1)"), -ENOMEM);
	pages(s, 1, ".-........s");
	assert_int_equal(mappers(s, 0, 0), 1);
	reads(s, 1, 10, serial);
}

/* swapoff meets the clash, too: it cannot have one page at two addresses. */
static void scene_clash_in_swapoff(struct scene *s)
{
	uint32_t serial;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	serial = writes(s, "write p0 w0");
	run(s, "p1 = fork p0");
	evicted(s, "evict p0 w0");
	run(s, "mremap p1 w0 1 1 maymove|fixed w10");
	assert_int_equal(run(s, "swapoff s0"), 0);
	assert_int_equal(copies(s), 1);
	pages(s, 0, "r-");
	pages(s, 1, ".-........r");
	reads(s, 0, 0, serial);
	reads(s, 1, 10, serial);
}

static void a_clash_in_the_swap_cache_copies(void **state)
{
	play(scene_clash);
	play(scene_clash_write);
	play(scene_no_clash);
	play(scene_clash_left_behind);
	play(scene_clash_fails);
	play(scene_clash_in_swapoff);
}

/* ---- no memory --------------------------------------------------------------------------------
 */

/*
 * Each allocation of a move fails in turn: all entries are back, and all pages as they were. What
 * has been copied before is not copied again: the first page in the second try, the others in the
 * last.
 */
static void scene_move_fails(struct scene *s)
{
	uint32_t serial[3], nth = 0;
	char op[96];
	int err;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	serial[0] = writes(s, "write p0 w0");
	serial[1] = writes(s, "write p0 w1");
	serial[2] = writes(s, "write p0 w2");
	run(s, "p1 = fork p0");
	do {
		snprintf(op, sizeof(op), "mremap p1 w0 4 4 maymove|fixed 0x70000000 (fail_nth: %u)",
			 ++nth);
		err = run(s, op);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		for (uint32_t i = 0; i < 3; i++)
			reads(s, 1, i, serial[i]);
	} while (nth < 32);
	assert_int_equal(nth, 5); /* an area, a table, a page, the next one, none */
	assert_int_equal(copies(s), 5);
	pages(s, 1, "....");
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(mappers(s, 0, i), 1);
		reads(s, 0, i, serial[i]);
	}
}

/* The copy of the second page makes reclaim run, which takes the first, on its new place. */
static void scene_move_reclaims(struct scene *s)
{
	uint32_t serial[3];
	char op[96];

	for (uint32_t nth = 1; nth < 8; nth++) {
		run(s, "mmap p0 w0 4 rw anon|fixed");
		serial[0] = writes(s, "write p0 w0");
		serial[1] = writes(s, "write p0 w1");
		serial[2] = writes(s, "write p0 w2");
		run(s, "p1 = fork p0");
		run(s, "age p0 w0");
		run(s, "age p0 w1");
		run(s, "age p0 w2");
		snprintf(op, sizeof(op), "mremap p1 w0 4 4 maymove|fixed w10 (reclaim_nth: %u)",
			 nth);
		assert_int_equal(run(s, op), 0);
		for (uint32_t i = 0; i < 3; i++) {
			reads(s, 0, i, serial[i]);
			reads(s, 1, 10 + i, serial[i]);
		}
		run(s, "exit p1");
		run(s, "munmap p0 w0 4");
	}
}

static void moves_survive_want_of_memory(void **state)
{
	play(scene_move_fails);
	play(scene_move_reclaims);
}

/* ---- check ------------------------------------------------------------------------------------
 */

static void complains(struct scene *s, const char *invariant)
{
	const char *broken = machine_rmap(s->machine)->check(s->machine);

	if (!invariant)
		assert_null(broken);
	else if (!broken || strncmp(broken, invariant, 2))
		fail_msg("expected %s, got %s", invariant, broken ? broken : "nothing");
}

/* The words of a page, an mm and the first word of an anonmm (its count) are bent, one by one. */
static void scene_check(struct scene *s)
{
	struct page *page, *cached;
	uint32_t *count;
	void *own;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mmap p0 w8 1 r fixed f0 0");
	run(s, "read p0 w8");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p0");
	run(s, "exec p2");
	complains(s, NULL);

	own = mm_of(s, 1)->rmap;
	mm_of(s, 1)->rmap = mm_of(s, 0)->rmap;
	complains(s, "F1");
	mm_of(s, 1)->rmap = own;
	count = own;
	++*count;
	complains(s, "F3");
	--*count;
	count = mm_of(s, 0)->rmap;
	--*count;
	complains(s, "F3");
	++*count;

	page = page_at(s, 0, 0);
	page->rmap.ptr = mm_of(s, 2)->rmap;
	complains(s, "P1");
	page->rmap.ptr = mm_of(s, 1)->rmap; /* a relative, but that one's count is another */
	complains(s, "F3");
	page->rmap.ptr = mm_of(s, 0)->rmap;
	page->rmap_index++;
	complains(s, "P2");
	page->rmap_index--;
	cached = page_at(s, 0, 8);
	cached->rmap.word = 1;
	complains(s, "P3");
	cached->rmap.word = 0;
	complains(s, NULL);
	assert_int_equal(page->rmap_flags, 0);
}

static void its_checks_notice(void **state)
{
	play(scene_check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_hold_together),
		cmocka_unit_test(walks_go_all_around),
		cmocka_unit_test(walks_cost_the_family),
		cmocka_unit_test(moves_copy_what_is_shared),
		cmocka_unit_test(a_clash_in_the_swap_cache_copies),
		cmocka_unit_test(moves_survive_want_of_memory),
		cmocka_unit_test(its_checks_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

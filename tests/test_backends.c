/*
 * The designs from inside: the layout of chains, who is direct and who is on a list, and that each
 * of them finds every mapping after everything that can happen to areas.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "internal.h"

#include "anon_list.h"
#include "chain.h"
#include "picture.h"

#define MANY 100 /* entries in the chain tests */

/* ---- chains, without an engine around them -------------------------------------------- */

/* A machine whose window is one area, the entries of that area, and a page to enter in chains. */
struct rig {
	struct scene scene;
	struct machine *machine;
	struct ptep pte[MANY];
	struct page page;
	uint32_t nrpte;
};

static void rig_up(struct rig *rig, const char *config)
{
	struct machine_config parsed;
	char error[128];

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(machine_config_parse(&parsed, config, error, sizeof(error)), 0);
	rig->machine = rig->scene.machine = machine_create(&parsed, rmap_find("pte_chain"));
	run(&rig->scene, "mmap p0 w0 128 rw anon|fixed");
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(pte_alloc(rig->machine, TAILQ_FIRST(machine_mms(rig->machine)),
					   W0 + i, &rig->pte[i]),
				 0);
	rig->nrpte = chain_slots(rig->machine);
	assert_true(rig->nrpte * 3 < MANY);
}

static void rig_down(struct rig *rig)
{
	machine_destroy(rig->machine);
}

static void add(struct rig *rig, uint32_t i)
{
	assert_int_equal(chain_add(rig->machine, &rig->page, rig->pte[i]), 0);
	rig->page.mapcount++;
}

static void del(struct rig *rig, uint32_t i)
{
	chain_remove(rig->machine, &rig->page, rig->pte[i]);
	rig->page.mapcount--;
}

/* "direct 4", "2 1 0" for a chain that names entries in slot order, objects parted by a bar. */
static void shape_is(struct rig *rig, const char *expected)
{
	char seen[1024] = "", *at = seen;
	const struct pte_chain *chain;

#define SAY(...) (at += snprintf(at, sizeof(seen) - (size_t)(at - seen), __VA_ARGS__))
	if (rig->page.rmap_flags & CHAIN_DIRECT) {
		struct ptep pte;

		assert_true(pte_addr_find(rig->machine, rig->page.rmap.word, &pte));
		SAY("direct %u", pte.table->vpn + pte.slot - W0);
	} else {
		for (chain = rig->page.rmap.ptr; chain; chain = chain->next) {
			for (uint32_t i = 0; i < rig->nrpte; i++) {
				struct ptep pte;

				if (i < chain->idx) {
					assert_int_equal(chain->ptes[i], 0);
					continue;
				}
				assert_true(pte_addr_find(rig->machine, chain->ptes[i], &pte));
				SAY("%s%u", i == chain->idx ? "" : " ",
				    pte.table->vpn + pte.slot - W0);
			}
			SAY("%s", chain->next ? " | " : "");
		}
	}
#undef SAY
	assert_string_equal(seen, expected);
}

static uint32_t objects(const struct rig *rig)
{
	struct machine_stats stats;
	uint32_t n = 0;

	for (uint32_t i = 0; i < rig->machine->nr_caches; i++) {
		if (rig->machine->caches[i].meta)
			n += rig->machine->caches[i].used;
	}
	machine_stats(rig->machine, &stats);
	assert_true((n == 0) == (stats.meta_bytes == 0));
	return n;
}

static void slots_follow_line_and_width(void **state)
{
	static const struct {
		const char *config;
		uint32_t nrpte;
	} rows[] = {
		{"tiny cacheline=32 highpte=0", 7},   {"tiny cacheline=64 highpte=0", 15},
		{"tiny cacheline=128 highpte=0", 31}, {"tiny cacheline=32 highpte=1", 3},
		{"tiny cacheline=64 highpte=1", 7},   {"tiny cacheline=128 highpte=1", 15},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig;

		rig_up(&rig, rows[i].config);
		assert_int_equal(rig.nrpte, rows[i].nrpte);
		/* One mapping costs nothing, k of them ceil(k / NRPTE) lines. */
		for (uint32_t k = 1; k <= MANY; k++) {
			add(&rig, k - 1);
			assert_int_equal(objects(&rig),
					 k == 1 ? 0 : (k + rig.nrpte - 1) / rig.nrpte);
		}
		for (uint32_t k = MANY; k-- > 0;)
			del(&rig, k);
		assert_int_equal(objects(&rig), 0);
		assert_int_equal(rig.page.rmap.word, 0);
		assert_int_equal(rig.page.rmap_flags, 0);
		rig_down(&rig);
	}
}

static void chains_fill_from_the_top_down(void **state)
{
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1"); /* 3 slots */
	add(&rig, 0);
	shape_is(&rig, "direct 0");
	add(&rig, 1);
	shape_is(&rig, "1 0");
	add(&rig, 2);
	shape_is(&rig, "2 1 0");
	add(&rig, 3);
	shape_is(&rig, "3 | 2 1 0");
	add(&rig, 4);
	shape_is(&rig, "4 3 | 2 1 0");
	rig_down(&rig);
}

static void the_head_fills_holes(void **state)
{
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	for (uint32_t i = 0; i < 8; i++)
		add(&rig, i);
	shape_is(&rig, "7 6 | 5 4 3 | 2 1 0");
	del(&rig, 1); /* in the last object */
	shape_is(&rig, "6 | 5 4 3 | 2 7 0");
	del(&rig, 6); /* the head's only one: it goes */
	shape_is(&rig, "5 4 3 | 2 7 0");
	del(&rig, 0);
	shape_is(&rig, "4 3 | 2 7 5");
	del(&rig, 3);
	shape_is(&rig, "4 | 2 7 5");
	del(&rig, 42); /* unknown: ignored */
	rig.page.mapcount++;
	shape_is(&rig, "4 | 2 7 5");
	del(&rig, 2);
	del(&rig, 7);
	del(&rig, 4);
	shape_is(&rig, "5"); /* still a chain */
	assert_int_equal(objects(&rig), 1);
	del(&rig, 5);
	shape_is(&rig, "");
	assert_int_equal(objects(&rig), 0);
	rig_down(&rig);
}

static void moving_never_needs_memory(void **state)
{
	struct op op = {.code = OP_read, .fail_meta = 1}; /* the next allocation would fail */
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	add(&rig, 0);
	rig.machine->op = &op;
	chain_move(rig.machine, &rig.page, rig.pte[0], rig.pte[10]);
	shape_is(&rig, "direct 10");
	rig.machine->op = NULL;
	for (uint32_t i = 1; i < 7; i++)
		add(&rig, i);
	shape_is(&rig, "6 | 5 4 3 | 2 1 10");
	rig.machine->op = &op;
	rig.machine->last_op.meta_allocs = 0;
	/* Removing empties the head, adding wants one again. */
	chain_move(rig.machine, &rig.page, rig.pte[6], rig.pte[16]);
	shape_is(&rig, "16 | 5 4 3 | 2 1 10");
	chain_move(rig.machine, &rig.page, rig.pte[4], rig.pte[14]);
	shape_is(&rig, "14 | 5 16 3 | 2 1 10");
	chain_move(rig.machine, &rig.page, rig.pte[42], rig.pte[43]); /* unknown: ignored */
	shape_is(&rig, "14 | 5 16 3 | 2 1 10");
	assert_int_equal(rig.machine->last_op.meta_allocs, 0);
	rig_down(&rig);
}

static void a_failed_add_changes_nothing(void **state)
{
	struct op op = {.code = OP_read, .fail_meta = 1};
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	rig.machine->op = &op;
	add(&rig, 0); /* takes no object */
	assert_int_equal(chain_add(rig.machine, &rig.page, rig.pte[1]), -ENOMEM);
	shape_is(&rig, "direct 0");
	rig.machine->op = NULL;
	add(&rig, 1);
	add(&rig, 2);
	rig.machine->op = &op;
	rig.machine->last_op.meta_allocs = 0;
	assert_int_equal(chain_add(rig.machine, &rig.page, rig.pte[3]), -ENOMEM);
	shape_is(&rig, "2 1 0");
	assert_int_equal(objects(&rig), 1);
	rig_down(&rig);
}

/* Answers by entry number: the bits of DROP are dropped, at STOP it stops, others are kept. */
struct visitor {
	struct rig *rig;
	uint32_t drop, stop;
	uint32_t seen[MANY], nr_seen;
};

static enum rmap_answer visit(struct machine *machine, struct page *page, struct vma *vma,
			      uint32_t vpn, struct ptep pte, void *arg)
{
	struct visitor *visitor = arg;
	uint32_t i = vpn - W0;

	assert_int_equal(vma->start, W0);
	assert_ptr_equal(pte.table, visitor->rig->pte[i].table);
	assert_int_equal(pte.slot, visitor->rig->pte[i].slot);
	visitor->seen[visitor->nr_seen++] = i;
	if (i == visitor->stop)
		return RMAP_STOP;
	if (!(visitor->drop >> i & 1))
		return RMAP_KEEP;
	page->mapcount--;
	return RMAP_DROP;
}

static void walk(struct rig *rig, uint32_t drop, uint32_t stop, const char *order)
{
	struct visitor visitor = {.rig = rig, .drop = drop, .stop = stop};
	char seen[256] = "", *at = seen;

	chain_walk(rig->machine, &rig->page, visit, &visitor);
	for (uint32_t i = 0; i < visitor.nr_seen; i++)
		at += snprintf(at, sizeof(seen) - (size_t)(at - seen), "%s%u", i ? " " : "",
			       visitor.seen[i]);
	assert_string_equal(seen, order);
}

#define NO_STOP UINT32_MAX

static void walks_see_each_entry_once(void **state)
{
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	walk(&rig, 0, NO_STOP, "");
	for (uint32_t i = 0; i < 8; i++)
		add(&rig, i);
	shape_is(&rig, "7 6 | 5 4 3 | 2 1 0");
	walk(&rig, 0, NO_STOP, "7 6 5 4 3 2 1 0");
	shape_is(&rig, "7 6 | 5 4 3 | 2 1 0");
	walk(&rig, 0, 4, "7 6 5 4");
	/* Holes behind a kept head are filled with what was shown and kept. */
	walk(&rig, 1u << 4 | 1u << 1, NO_STOP, "7 6 5 4 3 2 1 0");
	shape_is(&rig, "5 7 3 | 2 6 0");
	walk(&rig, 1u << 5 | 1u << 7 | 1u << 3 | 1u << 2, NO_STOP, "5 7 3 2 6 0");
	shape_is(&rig, "6 0");
	walk(&rig, UINT32_MAX, NO_STOP, "6 0");
	shape_is(&rig, "");
	assert_int_equal(rig.page.mapcount, 0);
	assert_int_equal(objects(&rig), 0);
	rig_down(&rig);
}

/* All ways to keep and drop up to eight entries. */
static void dropping_in_place_is_exact(void **state)
{
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	for (uint32_t n = 1; n <= 8; n++) {
		for (uint32_t drop = 0; drop < 1u << n; drop++) {
			struct visitor visitor = {.rig = &rig, .drop = drop, .stop = NO_STOP};
			uint32_t seen = 0;

			for (uint32_t i = 0; i < n; i++)
				add(&rig, i);
			chain_walk(rig.machine, &rig.page, visit, &visitor);
			assert_int_equal(visitor.nr_seen, n);
			for (uint32_t i = 0; i < n; i++)
				seen |= 1u << visitor.seen[i];
			assert_int_equal(seen, (1u << n) - 1);
			for (uint32_t i = 0; i < n; i++) {
				if (drop >> i & 1)
					continue;
				assert_null(chain_check(rig.machine, &rig.page, rig.pte[i]));
				del(&rig, i);
			}
			assert_int_equal(rig.page.rmap.word, 0);
			assert_int_equal(rig.page.mapcount, 0);
			assert_int_equal(objects(&rig), 0);
		}
	}
	rig_down(&rig);
}

static void singletons_collapse_when_looked_at(void **state)
{
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	add(&rig, 0);
	add(&rig, 1);
	walk(&rig, 0, NO_STOP, "1 0");
	shape_is(&rig, "1 0"); /* two stay a chain */
	del(&rig, 1);
	shape_is(&rig, "0");
	walk(&rig, 0, 0, "0"); /* a walk that was stopped does not know */
	shape_is(&rig, "0");
	walk(&rig, 0, NO_STOP, "0");
	shape_is(&rig, "direct 0");
	assert_int_equal(objects(&rig), 0);
	walk(&rig, 1, NO_STOP, "0");
	shape_is(&rig, "");
	/* Dropping all but one is no reason to collapse. */
	add(&rig, 0);
	add(&rig, 1);
	walk(&rig, 1u << 1, NO_STOP, "1 0");
	shape_is(&rig, "0");
	rig_down(&rig);
}

static void chain_checks_notice(void **state)
{
	struct pte_chain *head;
	struct rig rig;

	rig_up(&rig, "tiny cacheline=32 highpte=1");
	for (uint32_t i = 0; i < 4; i++)
		add(&rig, i);
	head = rig.page.rmap.ptr;
	for (uint32_t i = 0; i < 4; i++)
		assert_null(chain_check(rig.machine, &rig.page, rig.pte[i]));
	assert_ptr_equal(strstr(chain_check(rig.machine, &rig.page, rig.pte[5]), "C1"),
			 chain_check(rig.machine, &rig.page, rig.pte[5]));
	rig.page.mapcount = 5;
	assert_non_null(strstr(chain_check(rig.machine, &rig.page, rig.pte[0]), "C2"));
	rig.page.mapcount = 4;
	head->ptes[0] = 4096;
	assert_non_null(strstr(chain_check(rig.machine, &rig.page, rig.pte[3]), "C3"));
	head->ptes[0] = 0;
	head->next->idx = 1;
	assert_non_null(strstr(chain_check(rig.machine, &rig.page, rig.pte[3]), "C3"));
	head->next->idx = 0;
	head->idx = rig.nrpte;
	assert_non_null(strstr(chain_check(rig.machine, &rig.page, rig.pte[3]), "C4"));
	head->idx = rig.nrpte - 1;
	assert_null(chain_check(rig.machine, &rig.page, rig.pte[3]));
	rig_down(&rig);
}

/* ---- how a page is known ----------------------------------------------------------------- */

static void scene_pte_chain(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mmap p0 w8 4 rw shared|fixed f0 0");
	run(s, "read p0 w8");
	known_as(s, 0, 0, "direct");
	known_as(s, 0, 8, "direct");
	assert_int_equal(meta_bytes(s), 0);
	run(s, "p1 = fork p0");
	known_as(s, 0, 0, "chain of 2 in 1 object");
	known_as(s, 0, 8, "chain of 2 in 1 object");
	assert_int_not_equal(meta_bytes(s), 0);
	run(s, "exit p1");
	known_as(s, 0, 0, "chain of 1 in 1 object");
	run(s, "age p0 w0");
	known_as(s, 0, 0, "direct");
}

static void scene_objrmap(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mmap p0 w8 4 rw shared|fixed f0 0");
	run(s, "write p0 w9");
	known_as(s, 0, 0, "direct");
	known_as(s, 0, 9, "page 1 of a file with 1 area");
	run(s, "p1 = fork p0");
	known_as(s, 0, 0, "chain of 2 in 1 object");
	known_as(s, 1, 9, "page 1 of a file with 2 areas");
}

static void scene_direct(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w1");
	known_as(s, 0, 0, "direct");
	assert_int_equal(meta_bytes(s), 0);
	run(s, "p1 = fork p0");
	known_as(s, 0, 0, "in an anon_vma of 2 areas");
	run(s, "write p1 w0");
	known_as(s, 1, 0, "direct"); /* the child's own copy */
	known_as(s, 0, 0, "in an anon_vma of 2 areas");
	run(s, "p2 = fork p1");
	known_as(s, 2, 0, "in an anon_vma of 3 areas");
	run(s, "write p0 w3");
	known_as(s, 0, 3, "direct");
	evicted(s, "evict p0 w1");
	run(s, "read p2 w1");
	known_as(s, 2, 1, "direct"); /* back from the swap cache, for one */
	run(s, "read p0 w1");
	known_as(s, 0, 1, "in an anon_vma of 3 areas"); /* and for two */
	evicted(s, "evict p0 w1");
	run(s, "exit p2");
	run(s, "exit p1");
	known_as(s, 0, 0, "in an anon_vma of 1 area");
}

static void scene_anon_vma(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "read p0 w0");
	assert_int_equal(meta_bytes(s), 0); /* the zero page needs no list */
	run(s, "write p0 w0");
	known_as(s, 0, 0, "in an anon_vma of 1 area");
	assert_int_not_equal(meta_bytes(s), 0);
	run(s, "mprotect p0 w1 1 r");
	known_as(s, 0, 0, "in an anon_vma of 3 areas");
	run(s, "mprotect p0 w1 1 rw");
	known_as(s, 0, 0, "in an anon_vma of 1 area");
	run(s, "p1 = fork p0");
	known_as(s, 1, 0, "in an anon_vma of 2 areas");
	run(s, "write p1 w0");
	known_as(s, 1, 0, "in an anon_vma of 2 areas");
}

/* The list is taken from a neighbour that may become one with this area. */
static void scene_list_from_neighbour(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mprotect p0 w1 1 r");
	run(s, "write p0 w2");
	run(s, "write p0 w0"); /* w1 between them has no list: nobody looks further */
	areas(s, 0, "AbCc");
	known_as(s, 0, 0, "in an anon_vma of 1 area");
	known_as(s, 0, 2, "in an anon_vma of 1 area");
	run(s, "mprotect p0 w1 1 rw");
	areas(s, 0, "AaBb"); /* so they do not meet again */
	run(s, "munmap p0 w0 4");

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mprotect p0 w1 3 r");
	run(s, "write p0 w0");
	run(s, "mprotect p0 w1 3 rw");
	areas(s, 0, "Aaaa");
	run(s, "munmap p0 w0 4");

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mprotect p0 w1 3 rx");
	run(s, "write p0 w0");
	run(s, "mprotect p0 w2 2 rw");
	run(s, "mprotect p0 w1 1 rwx");
	run(s, "write p0 w1"); /* from p0 w0 */
	run(s, "write p0 w3"); /* from p0 w1 */
	known_as(s, 0, 3, "in an anon_vma of 3 areas");
	run(s, "mprotect p0 w1 1 rw");
	areas(s, 0, "AAaA");
}

static void designs_describe_themselves(void **state)
{
	on_backend("pte_chain", "tiny", scene_pte_chain);
	on_backend("objrmap", "tiny", scene_objrmap);
	on_backend("anon_vma_direct", "tiny", scene_direct);
	on_backend("anon_vma", "tiny", scene_anon_vma);
	on_backend("anon_vma", "tiny era=2.6.7", scene_list_from_neighbour);
	on_backend("anon_vma_2.6.9", "tiny", scene_anon_vma);
	on_backend("anon_vma_2.6.9", "tiny era=2.6.7", scene_list_from_neighbour);
}

/* ---- every mapping is found, whatever happened to the areas ---------------------------------- */

static void scene_split(struct scene *s)
{
	run(s, "mmap p0 w0 8 rw anon|fixed");
	for (int i = 0; i < 8; i++) {
		char op[32];

		snprintf(op, sizeof(op), "write p0 w%d", i);
		run(s, op);
	}
	run(s, "mprotect p0 w2 3 r"); /* both halves, new below and new above */
	areas(s, 0, "AABBBCCC");
	evicted(s, "evict p0 w0");
	evicted(s, "evict p0 w3");
	evicted(s, "evict p0 w7");
	run(s, "mprotect p0 w5 1 r"); /* the boundary moves up */
	evicted(s, "evict p0 w5");
	run(s, "mprotect p0 w4 1 rw"); /* and cuts */
	run(s, "mprotect p0 w4 1 r");
	evicted(s, "evict p0 w4");
	run(s, "mprotect p0 w0 8 rw"); /* all is one again */
	evicted(s, "evict p0 w1");
	evicted(s, "evict p0 w2");
	evicted(s, "evict p0 w6");
	pages(s, 0, "ssssssss");
}

static void scene_fork_and_split(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w1");
	run(s, "write p0 w2");
	run(s, "p1 = fork p0");
	run(s, "p2 = fork p1");
	run(s, "mprotect p1 w1 1 r");
	run(s, "mprotect p2 w2 2 r");
	run(s, "mprotect p2 w1 3 r");
	assert_int_equal(mappers(s, 0, 1), 3);
	evicted(s, "evict p0 w1");
	evicted(s, "evict p1 w2");
	run(s, "write p2 w0"); /* the child's own */
	evicted(s, "evict p2 w0");
	evicted(s, "evict p0 w0");
	pages(s, 0, "sss-");
	pages(s, 1, "sss-");
	pages(s, 2, "sss-");
	run(s, "read p1 w1"); /* back for one after the other */
	run(s, "read p2 w1");
	run(s, "read p0 w1");
	assert_int_equal(mappers(s, 0, 1), 3);
	evicted(s, "evict p2 w1");
	pages(s, 0, "sss-");
	pages(s, 1, "sss-");
}

/* What mremap moves stays one page, unless the design has it copied first: then evict it there,
 * too, with OP. */
static void moved_is_shared(struct scene *s, uint32_t page, const char *op)
{
	bool copied = machine_rmap(s->machine)->may_unshare;

	assert_int_equal(mappers(s, 0, page), copied ? 1 : 2);
	if (copied)
		evicted(s, op);
}

static void scene_move_shared(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w1");
	run(s, "write p0 w2");
	run(s, "p1 = fork p0");
	run(s, "mremap p1 w1 2 2 maymove|fixed w10");
	run(s, "write p1 w0");
	moved_is_shared(s, 1, "evict p0 w1");
	evicted(s, "evict p1 w10");
	pages(s, 0, "-sr-");
	assert_int_equal(machine_page_char(s->machine, 1, W0 + 10), 's');
	run(s, "mremap p1 w10 2 2 maymove|fixed w1"); /* and back, to its old place */
	moved_is_shared(s, 2, "evict p1 w2");
	evicted(s, "evict p0 w2");
	pages(s, 0, "-ss-");
	pages(s, 1, "wss-");
	/* Never written: the new place's own offset. Then written, then moved again. */
	run(s, "mmap p0 w20 2 rw anon|fixed");
	run(s, "mremap p0 w20 2 2 maymove|fixed w24");
	run(s, "write p0 w24");
	run(s, "mremap p0 w24 2 2 maymove|fixed w30");
	run(s, "write p0 w31");
	evicted(s, "evict p0 w30");
	evicted(s, "evict p0 w31");
}

/* A private file area has file pages and anonymous ones. */
static void scene_private_file(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw fixed f0 2");
	run(s, "read p0 w0");
	run(s, "write p0 w1");
	run(s, "p1 = fork p0");
	run(s, "mprotect p1 w1 1 r");
	run(s, "mremap p1 w1 1 1 maymove|fixed w12");
	assert_int_equal(mappers(s, 0, 0), 2);
	moved_is_shared(s, 1, "evict p1 w12");
	evicted(s, "evict p0 w1");
	evicted(s, "evict p0 w0");
	pages(s, 0, "-s--");
	assert_int_equal(machine_page_char(s->machine, 1, W0 + 12), 's');
}

/* File pages through areas that hold them at different addresses, and some that do not. */
static void scene_file_sharers(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f0 0");
	run(s, "mmap p0 w8 4 r shared|fixed f0 2");
	run(s, "mmap p0 w16 4 r shared|fixed f0 8");
	run(s, "read p0 w3");
	run(s, "p1 = fork p0");
	run(s, "read p1 w3");
	run(s, "read p1 w9");
	run(s, "read p0 w9");
	assert_int_equal(mappers(s, 0, 3), 4);
	run(s, "mprotect p1 w9 1 none");
	run(s, "munmap p0 w0 3");
	evicted(s, "evict p0 w9");
	pages(s, 0, "...-....----");
	pages(s, 1, "----....----");
}

static void all_mappings_are_found(void **state)
{
	static void (*const scenes[])(struct scene *) = {
		scene_split,        scene_fork_and_split, scene_move_shared,
		scene_private_file, scene_file_sharers,
	};

	for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++) {
		on_every_backend("tiny era=2.6.6", scenes[i]);
		on_every_backend("tiny era=2.6.7", scenes[i]);
		on_every_backend("1g highpte=1 cacheline=32", scenes[i]);
	}
}

/* ---- running out of memory
 * ------------------------------------------------------------------------ */

/* Make each backend allocation of a fork fail in turn, until there is none left to fail. */
static void scene_fork_fails(struct scene *s)
{
	char op[64];
	uint32_t nth = 0;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "mmap p0 w8 4 rw anon|fixed");
	run(s, "mmap p0 w16 2 rw shared|fixed f0 0");
	run(s, "write p0 w0");
	run(s, "write p0 w2");
	run(s, "write p0 w9");
	run(s, "read p0 w16");
	do {
		snprintf(op, sizeof(op), "p1 = fork p0 (fail_meta: %u)", ++nth);
		run(s, op);
		assert_true(s->last.err == 0 || s->last.err == -ENOMEM);
		assert_true(nth < 32);
		if (s->last.err)
			assert_int_equal(mappers(s, 0, 0), 1);
	} while (s->last.err);
	assert_int_equal(mappers(s, 0, 0), 2);
	evicted(s, "evict p0 w0");
	evicted(s, "evict p1 w2");
	evicted(s, "evict p0 w9");
	evicted(s, "evict p0 w16");
}

/* The first anonymous page needs a list in one design; the fault fails, and works again after. */
static void scene_fault_fails(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0 (fail_meta: 1)");
	if (s->last.err) {
		assert_int_equal(s->last.err, -ENOMEM);
		pages(s, 0, "----");
	}
	assert_int_equal(run(s, "write p0 w0"), 0);
	run(s, "p1 = fork p0");
	run(s, "write p1 w0 (fail_meta: 1)");
	assert_int_equal(run(s, "write p1 w0"), 0);
	evicted(s, "evict p0 w0");
	evicted(s, "evict p1 w0");
}

static void failures_leave_no_trace(void **state)
{
	on_every_backend("tiny", scene_fork_fails);
	on_every_backend("tiny era=2.6.7", scene_fork_fails);
	on_every_backend("tiny", scene_fault_fails);
	on_every_backend("tiny era=2.6.7", scene_fault_fails);
}

/* ---- what a walk costs
 * ----------------------------------------------------------------------------- */

/* One file with many areas, of which two cover the page. */
static void many_areas(struct scene *s)
{
	char op[64];

	for (int i = 0; i < 16; i++) {
		snprintf(op, sizeof(op), "mmap p0 w%d 1 rw shared|fixed f0 %d", 2 * i, i);
		run(s, op);
		snprintf(op, sizeof(op), "read p0 w%d", 2 * i);
		run(s, op);
	}
	run(s, "p1 = fork p0");
}

static void scene_cost_chain(struct scene *s)
{
	struct rmap_counters cost;

	many_areas(s);
	cost = cost_of(s, "age p0 w30");
	assert_int_equal(cost.links, 2); /* the entries that there are */
	assert_int_equal(cost.kmap_atomic, 2);
	assert_int_equal(cost.vmas_visited, 0);
	assert_int_equal(cost.pte_probes, 0);
}

static void scene_cost_objects(struct scene *s)
{
	struct rmap_counters cost;

	many_areas(s);
	cost = cost_of(s, "age p0 w30");
	assert_int_equal(cost.links, 0);
	assert_int_equal(cost.pte_probes, 2);
	assert_int_equal(cost.pte_misses, 0);
	assert_int_equal(cost.vmas_visited, 32); /* all areas of the file */
}

static void scene_cost_trees(struct scene *s)
{
	struct rmap_counters cost;

	many_areas(s);
	cost = cost_of(s, "age p0 w30");
	assert_int_equal(cost.vmas_visited, 2); /* those that show the page */
	assert_int_equal(cost.pte_probes, 2);
	assert_int_equal(cost.pte_misses, 0);
	assert_in_range(cost.links, 2, 16);
}

/* A thousand-fold family pays for where a page once was. */
static void scene_cost_anon_vma(struct scene *s)
{
	struct rmap_counters cost;
	char op[64];

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	for (int i = 1; i < 8; i++) {
		snprintf(op, sizeof(op), "p%d = fork p0", i);
		run(s, op);
		snprintf(op, sizeof(op), "write p%d w0", i);
		run(s, op);
	}
	cost = cost_of(s, "age p0 w0"); /* the oldest is last on the list */
	assert_int_equal(cost.vmas_visited, 8);
	assert_int_equal(cost.pte_probes, 8);
	assert_int_equal(cost.pte_misses, 7);
}

/* What killed the design: a split looks at every page of the piece. */
static void scene_cost_split(struct scene *s)
{
	struct rmap_counters cost;
	char op[64];
	bool direct = !strncmp(machine_rmap(s->machine)->name, "anon_vma_direct", 15);

	run(s, "mmap p0 w0 32 rw anon|fixed");
	for (int i = 0; i < 32; i++) {
		snprintf(op, sizeof(op), "write p0 w%d", i);
		run(s, op);
	}
	cost = cost_of(s, "mprotect p0 w16 16 r");
	assert_int_equal(cost.pte_probes, direct ? 16 : 0);
	cost = cost_of(s, "age p0 w20");
	if (direct)
		assert_int_equal(cost.pte_probes, 1);
}

static void walks_cost_what_the_design_says(void **state)
{
	on_backend("pte_chain", "1g highpte=1", scene_cost_chain);
	on_backend("objrmap", "1g highpte=1", scene_cost_objects);
	on_backend("anon_vma_direct", "1g highpte=1", scene_cost_objects);
	on_backend("anon_vma+list", "1g highpte=1", scene_cost_objects);
	on_backend("anon_vma", "1g highpte=1", scene_cost_trees);
	on_backend("objrmap+prio_tree", "1g highpte=1", scene_cost_trees);
	on_backend("anon_vma_direct+interval_tree", "1g highpte=1", scene_cost_trees);
	on_backend("anon_vma", "1g", scene_cost_anon_vma);
	on_backend("anon_vma_2.6.9", "1g", scene_cost_anon_vma);
	on_every_backend("1g era=2.6.7", scene_cost_split);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_follow_line_and_width),
		cmocka_unit_test(chains_fill_from_the_top_down),
		cmocka_unit_test(the_head_fills_holes),
		cmocka_unit_test(moving_never_needs_memory),
		cmocka_unit_test(a_failed_add_changes_nothing),
		cmocka_unit_test(walks_see_each_entry_once),
		cmocka_unit_test(dropping_in_place_is_exact),
		cmocka_unit_test(singletons_collapse_when_looked_at),
		cmocka_unit_test(chain_checks_notice),
		cmocka_unit_test(designs_describe_themselves),
		cmocka_unit_test(all_mappings_are_found),
		cmocka_unit_test(failures_leave_no_trace),
		cmocka_unit_test(walks_cost_what_the_design_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * remap_file_pages: what it installs and refuses, what happens to such pages afterwards, how each
 * design finds them, and 2.6.7's way of not finding them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"

#include "picture.h"

static struct vma *area_at(struct scene *s, uint32_t proc, uint32_t page)
{
	return vma_at(s->machine, s->machine->tasks[proc]->mm, W0 + page);
}

static void fails(struct scene *s, const char *op, int err)
{
	assert_int_equal(run(s, op), err);
}

/* OP, a read, sees page PGOFF of file f1 as it was at boot. */
static void sees(struct scene *s, const char *op, uint32_t pgoff)
{
	assert_int_equal(run(s, op), 0);
	assert_int_equal(s->last.token, token_file(1, pgoff));
}

/* ---- the call --------------------------------------------------------------------------- */

static void scene_installs(struct scene *s)
{
	run(s, "mmap p0 w0 6 rw shared|fixed f1 0");
	run(s, "read p0 w4");
	assert_int_equal(run(s, "remap_file_pages p0 w1 3 4 -"), 0);
	pages(s, 0, "-wwww-.");
	assert_int_equal(mappers(s, 0, 1), 2); /* page 4, also at w4 */
	sees(s, "read p0 w1", 4);
	sees(s, "read p0 w3", 6);
	sees(s, "read p0 w4", 4);
	sees(s, "read p0 w5", 5);
	/* What is written in one place is seen in the other. */
	run(s, "write p0 w1");
	run(s, "read p0 w4");
	assert_int_equal(s->last.token, token_write(s->serial - 2));
	/* The area is what it was, but for one flag. */
	areas(s, 0, "aAAAAA.");
	assert_true(area_at(s, 0, 0)->flags & VM_NONLINEAR);
	assert_int_equal(area_at(s, 0, 0)->pgoff, 0);
}

/* In place of another page, of itself, of a file entry, and back to where arithmetic has it. */
static void scene_replaces(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 1 7 -");
	run(s, "write p0 w0");
	run(s, "remap_file_pages p0 w0 1 7 -");
	run(s, "read p0 w0");
	assert_int_equal(s->last.token, token_write(s->serial - 3));
	run(s, "remap_file_pages p0 w0 1 8 -");
	sees(s, "read p0 w0", 8);
	evicted(s, "evict p0 w0");
	pages(s, 0, "o---");
	run(s, "remap_file_pages p0 w0 1 9 -");
	sees(s, "read p0 w0", 9);
	run(s, "remap_file_pages p0 w0 1 0 -");
	sees(s, "read p0 w0", 0);
	evicted(s, "evict p0 w0");
	pages(s, 0, "----"); /* it is linear again, the area is not */
	assert_true(area_at(s, 0, 0)->flags & VM_NONLINEAR);
	run(s, "fread f1 7");
	assert_int_equal(s->last.token & TOKEN_WRITE, TOKEN_WRITE);
}

static void scene_linear(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 2");
	assert_int_equal(run(s, "remap_file_pages p0 w1 2 3 -"), 0);
	pages(s, 0, "-ww-");
	assert_false(area_at(s, 0, 0)->flags & VM_NONLINEAR);
	assert_true(TAILQ_EMPTY(&s->machine->files[1]->i_mmap_nonlinear));
}

/* Nothing is brought in: what is not cached becomes a file entry, or nothing where that is linear.
 */
static void scene_nonblock(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "fread f1 9");
	run(s, "remap_file_pages p0 w0 3 8 nonblock");
	pages(s, 0, "owo-");
	sees(s, "read p0 w2", 10);
	sees(s, "read p0 w0", 8);
	run(s, "remap_file_pages p0 w1 1 11 nonblock");
	pages(s, 0, "wow-");
	/* The linear page takes the place of what was there, though nothing is installed for it. */
	run(s, "remap_file_pages p0 w1 1 1 nonblock");
	pages(s, 0, "w-w-");
	sees(s, "read p0 w1", 1);
	run(s, "remap_file_pages p0 w2 1 2 nonblock");
	pages(s, 0, "ww--");
	sees(s, "read p0 w2", 2);
}

static void scene_refuses(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "mmap p0 w4 4 r shared|fixed f1 4");
	run(s, "mmap p0 w8 4 rw fixed f1 0");
	run(s, "mmap p0 w12 4 rw anon|fixed");
	fails(s, "remap_file_pages p0 w0 0 1 -", -EINVAL);
	fails(s, "remap_file_pages p0 w3 2 1 -", -EINVAL);         /* two areas */
	fails(s, "remap_file_pages p0 w8 1 1 -", -EINVAL);         /* private */
	fails(s, "remap_file_pages p0 w12 1 1 -", -EINVAL);        /* no file */
	fails(s, "remap_file_pages p0 w16 1 1 -", -EINVAL);        /* nothing */
	fails(s, "remap_file_pages p0 0xfffff000 1 1 -", -EINVAL); /* wraps */
	fails(s, "remap_file_pages p0 w0 1048575 1 -", -EINVAL);
	assert_false(area_at(s, 0, 0)->flags & VM_NONLINEAR);
	fails(s, "remap_file_pages p0 w0 2 15 -", -EINVAL);  /* beyond the end */
	assert_true(area_at(s, 0, 0)->flags & VM_NONLINEAR); /* that is found out too late */
	pages(s, 0, "--------");
	fails(s, "remap_file_pages p9 w0 1 1 -", -ESRCH);
	/* The address is cut down to a page; who may not write may remap. */
	assert_int_equal(run(s, "remap_file_pages p0 0x60004fff 1 9 -"), 0);
	pages(s, 0, "----r---");
	fails(s, "write p0 w4", RES_SEGV);
}

/* Memory runs out on the way: what was done stays, the rest is as before. */
static void scene_runs_out(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 4 4 -");
	fails(s, "remap_file_pages p0 w0 3 10 - (fail_nth: 2)", -ENOMEM);
	sees(s, "read p0 w0", 10);
	sees(s, "read p0 w1", 5);
	sees(s, "read p0 w2", 6);
}

/* ---- what happens to the pages afterwards ------------------------------------------------- */

static void scene_evict(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w1 1 3 -");
	run(s, "remap_file_pages p0 w2 1 3 -");
	run(s, "p1 = fork p0");
	run(s, "mmap p1 w8 1 r fixed f1 3");
	run(s, "read p1 w8");
	run(s, "read p0 w3");
	run(s, "write p0 w1");
	assert_int_equal(mappers(s, 0, 1), 6);
	evicted(s, "swapout p0 w2");
	pages(s, 0, "-oo-....."); /* w3 is where arithmetic finds page 3 */
	pages(s, 1, "-oo-....-");
	run(s, "read p1 w8");
	assert_int_equal(s->last.token, token_write(s->serial - 3));
	run(s, "read p1 w1");
	assert_int_equal(s->last.token, token_write(s->serial - 4));
	pages(s, 1, "-wo-....r");
	pages(s, 0, "-oo-.....");
}

static void scene_age(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w1 1 3 -");
	run(s, "read p0 w3");
	run(s, "age p0 w1");
	run(s, "age p0 w3");
	assert_int_equal(s->last.value, 0);
	run(s, "read p0 w1");
	run(s, "age p0 w3");
	assert_int_equal(s->last.value, 1);
}

static void scene_fork(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 2 6 -");
	evicted(s, "evict p0 w0");
	run(s, "p1 = fork p0");
	pages(s, 1, "ow--");
	assert_true(area_at(s, 1, 0)->flags & VM_NONLINEAR);
	run(s, "exit p0");
	sees(s, "read p1 w0", 6);
	sees(s, "read p1 w2", 2);
}

static void scene_mremap(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 3 6 -");
	evicted(s, "evict p0 w1");
	run(s, "mremap p0 w0 4 4 maymove|fixed w8");
	pages(s, 0, "........wow-");
	sees(s, "read p0 w9", 7);
	sees(s, "read p0 w11", 3);
	evicted(s, "evict p0 w10");
	run(s, "mremap p0 w10 2 2 maymove|fixed w1");
	pages(s, 0, ".ow.....ww..");
	sees(s, "read p0 w1", 8);
	sees(s, "read p0 w2", 3);
}

static void scene_mprotect(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 3 6 -");
	evicted(s, "evict p0 w1");
	run(s, "mprotect p0 w1 2 r");
	pages(s, 0, "wor-");
	sees(s, "read p0 w1", 7);
	fails(s, "write p0 w1", RES_SEGV);
	run(s, "munmap p0 w0 2");
	pages(s, 0, "..r-");
	sees(s, "read p0 w2", 8);
	run(s, "mprotect p0 w2 1 none");
	evicted(s, "evict p0 w2");
	pages(s, 0, "..o-");
	run(s, "mprotect p0 w2 1 rw");
	sees(s, "read p0 w2", 8);
}

/* Pages go, offsets stay, as both recorded kernels had it. */
static void scene_dontneed(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 2 6 -");
	run(s, "read p0 w3");
	evicted(s, "evict p0 w1");
	run(s, "madvise p0 w0 4 dontneed");
	pages(s, 0, "oo--");
	sees(s, "read p0 w0", 6);
	sees(s, "read p0 w3", 3);
}

/* Of a nonlinear area, only pages of the range that is cut off go. */
static void scene_truncate(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "read p0 w0");
	run(s, "remap_file_pages p0 w1 1 9 -");
	run(s, "remap_file_pages p0 w3 1 1 -");
	run(s, "read p0 w2");
	run(s, "truncate f1 2");
	pages(s, 0, "wo-w");
	fails(s, "read p0 w1", RES_BUS);
	fails(s, "write p0 w2", RES_BUS);
	sees(s, "read p0 w3", 1);
	run(s, "truncate f1 12");
	run(s, "read p0 w1");
	assert_int_equal(s->last.token, 0);
	run(s, "write p0 w1");
	run(s, "fread f1 9");
	assert_int_equal(s->last.token, token_write(s->serial - 2));
}

/* Shared anonymous memory can be remapped, and goes to swap and back. */
static void scene_anonymous(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|anon|fixed");
	run(s, "write p0 w3");
	run(s, "remap_file_pages p0 w0 1 3 -");
	run(s, "p1 = fork p0");
	assert_int_equal(mappers(s, 0, 0), 4);
	evicted(s, "swapout p1 w0");
	pages(s, 0, "o---");
	run(s, "read p1 w0");
	assert_int_equal(s->last.token, token_write(1));
	fails(s, "remap_file_pages p0 w0 1 4 -", -EINVAL);
}

/* Equal neighbours become one again, nonlinear ones too, but not one of each. */
static void scene_merge(struct scene *s)
{
	run(s, "mmap p0 w0 6 rw shared|fixed f1 0");
	run(s, "mprotect p0 w2 2 r");
	areas(s, 0, "aabbcc.");
	run(s, "remap_file_pages p0 w0 1 6 -");
	run(s, "mprotect p0 w2 2 rw");
	areas(s, 0, "Aabbbb.");
	run(s, "remap_file_pages p0 w3 1 7 -");
	run(s, "mprotect p0 w4 2 r");
	run(s, "mprotect p0 w4 2 rw");
	areas(s, 0, "AabBbb.");
	sees(s, "read p0 w0", 6);
	sees(s, "read p0 w3", 7);
	run(s, "remap_file_pages p0 w4 2 0 -");
	evicted(s, "evict p0 w3");
	evicted(s, "evict p0 w0");
	pages(s, 0, "o--oww.");
}

static void remaps(void **state)
{
	void (*const scenes[])(struct scene *) = {
		scene_installs, scene_replaces, scene_linear,
		scene_nonblock, scene_refuses,  scene_runs_out,
	};

	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		on_every_backend("1g", scenes[i]);
		on_every_backend("1g era=2.6.6", scenes[i]);
	}
}

static void nonlinear_pages_live(void **state)
{
	void (*const scenes[])(struct scene *) = {
		scene_evict,    scene_age,      scene_fork,      scene_mremap, scene_mprotect,
		scene_dontneed, scene_truncate, scene_anonymous, scene_merge,
	};

	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		on_every_backend("1g", scenes[i]);
}

/* ---- how each design finds them ------------------------------------------------------------- */

/* One mapping in each of ten areas, nonlinear in one of them. */
static void many_areas(struct scene *s)
{
	char op[64];

	run(s, "mmap p0 w0 8 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 8 8 -");
	for (uint32_t i = 0; i < 9; i++) {
		snprintf(op, sizeof(op), "mmap p0 w%u 1 rw shared|fixed f1 9", 10 + 2 * i);
		run(s, op);
		snprintf(op, sizeof(op), "read p0 w%u", 10 + 2 * i);
		run(s, op);
	}
	assert_int_equal(mappers(s, 0, 1), 10);
}

/* The areas that arithmetic serves cost a probe each, the nonlinear one a probe per entry, up to
 * the last that was missing, at w1. */
static void scene_search(struct scene *s)
{
	struct rmap_counters cost;

	many_areas(s);
	cost = cost_of(s, "age p0 w1");
	assert_int_equal(cost.vmas_visited, 10);
	assert_int_equal(cost.pte_probes, 9 + 2);
	/* Not looked into when everything has been found. */
	cost = cost_of(s, "remap_file_pages p0 w1 1 2 -");
	cost = cost_of(s, "age p0 w10");
	assert_int_equal(cost.vmas_visited, 9);
	assert_int_equal(cost.pte_probes, 9);
}

static void scene_native(struct scene *s)
{
	struct rmap_counters cost;

	many_areas(s);
	cost = cost_of(s, "age p0 w1");
	assert_int_equal(cost.links, 10);
	assert_int_equal(cost.pte_probes, 0);
}

/* page_convert_anon: to a chain with the first mapping that needs it, and back when unmapped. */
static void scene_converts(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	run(s, "p1 = fork p0");
	run(s, "read p0 w3");
	run(s, "read p1 w3");
	known_as(s, 0, 3, "page 3 of a file");
	assert_int_equal(meta_bytes(s), 0);
	fails(s, "remap_file_pages p0 w0 1 3 - (fail_meta: 1)", -ENOMEM);
	known_as(s, 0, 3, "page 3 of a file");
	assert_int_equal(meta_bytes(s), 0);
	assert_int_equal(run(s, "remap_file_pages p0 w0 1 3 -"), 0);
	known_as(s, 1, 3, "chain of 3");
	assert_true(meta_bytes(s) > 0);
	/* The nonlinear mapping goes: there is no way back yet. */
	run(s, "remap_file_pages p0 w0 1 0 -");
	known_as(s, 1, 3, "chain of 2");
	evicted(s, "evict p0 w3");
	run(s, "read p0 w3");
	known_as(s, 0, 3, "page 3 of a file");
	assert_int_equal(meta_bytes(s), 0);
}

/* Conversion fails half-way: with a line of 32 bytes and 8-byte addresses, the fifth entry takes
 * the second object. */
static void scene_half_converted(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw shared|fixed f1 0");
	for (uint32_t i = 1; i < 6; i++) {
		char op[16];

		snprintf(op, sizeof(op), "p%u = fork p0", i);
		run(s, op);
		snprintf(op, sizeof(op), "read p%u w3", i);
		run(s, op);
	}
	fails(s, "remap_file_pages p0 w0 1 3 - (fail_meta: 2)", -ENOMEM);
	pages(s, 0, "----");
	known_as(s, 1, 3, "page 3 of a file");
	assert_int_equal(meta_bytes(s), 0);
	assert_int_equal(mappers(s, 1, 3), 5);
	evicted(s, "evict p1 w3");
}

static void each_design_its_own_way(void **state)
{
	on_backend("pte_chain", "1g", scene_native);
	on_backend("objrmap", "1g", scene_converts);
	on_backend("objrmap", "1g cacheline=32", scene_half_converted);
	on_backend("anon_vma", "1g", scene_search);
	on_backend("anon_vma_2.6.9", "1g", scene_search);
	on_backend("anon_vma_direct", "1g", scene_search);
}

/* ---- 2.6.7's clusters ------------------------------------------------------------------------ */

static uint32_t cursor(struct scene *s, uint32_t proc, uint32_t page)
{
	return area_at(s, proc, page)->cursor;
}

/*
 * Whatever is met goes, but what is young gets another round. The budget is the map count. Page 10
 * has one mapping, at w66: the first try takes youth away from all; the second takes w0 and w1,
 * which is more than enough; the third w40, in the second cluster; the fourth comes to w65 and w66.
 */
static void scene_cluster(struct scene *s)
{
	run(s, "mmap p0 w0 70 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 2 8 -");
	run(s, "remap_file_pages p0 w40 1 9 -");
	run(s, "remap_file_pages p0 w65 2 9 -");
	run(s, "mmap p0 w80 2 rw shared|fixed f1 9");
	run(s, "read p0 w80");
	run(s, "age p0 w66"); /* counts the use of file, and no entry */
	run(s, "age p0 w66");
	assert_int_equal(s->last.value, 0);
	evicted(s, "evict p0 w66");
	pages(s, 0, "oo------");
	run(s, "read p0 w80"); /* page 9 had this one, too, which no cluster reaches */
	assert_int_equal(mappers(s, 0, 80), 1);
	assert_int_equal(cursor(s, 0, 0), 96);
}

/* The scan stops in the middle, and goes on from there. */
static void scene_cursor(struct scene *s)
{
	run(s, "mmap p0 w0 70 rw shared|fixed f1 0");
	run(s, "mmap p0 w80 70 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 1 8 -");
	run(s, "remap_file_pages p0 w40 1 9 -");
	run(s, "remap_file_pages p0 w80 1 10 -");
	run(s, "age p0 w0");
	/* Eight tries: the first takes youth away, the second w0, which page 9 may be, for all it
	 * knows; the third w80; the fourth w40. */
	evicted(s, "evict p0 w40");
	assert_int_equal(cursor(s, 0, 0), 64);
	assert_int_equal(cursor(s, 0, 80), 32);
	/* 2.6.7 takes the cursor for a driver's mark. */
	fails(s, "remap_file_pages p0 w0 1 9 -", -EINVAL);
	run(s, "read p0 w40");
	run(s, "p1 = fork p0");
	assert_int_equal(cursor(s, 1, 0), 64);
}

/* Locked areas are left alone. */
static void scene_locked(struct scene *s)
{
	run(s, "mmap p0 w0 8 rw shared|fixed|locked f1 0");
	run(s, "remap_file_pages p0 w0 1 9 -");
	run(s, "evict p0 w0");
	assert_int_equal(s->last.value, UNMAP_AGAIN);
	pages(s, 0, "wwwwwwww");
	assert_int_equal(cursor(s, 0, 0), 0);
}

/* A design that knows its entries needs no clusters. */
static void scene_no_clusters(struct scene *s)
{
	run(s, "mmap p0 w0 8 rw shared|fixed f1 0");
	run(s, "remap_file_pages p0 w0 2 8 -");
	evicted(s, "evict p0 w1");
	pages(s, 0, "wo------");
}

static void clusters(void **state)
{
	static const char *const designs[] = {"anon_vma", "anon_vma_2.6.9", "anon_vma_direct"};

	for (size_t i = 0; i < sizeof(designs) / sizeof(designs[0]); i++) {
		on_backend(designs[i], "1g nonlinear=cluster", scene_cluster);
		on_backend(designs[i], "1g nonlinear=cluster", scene_cursor);
		on_backend(designs[i], "1g nonlinear=cluster", scene_locked);
	}
	on_backend("pte_chain", "1g nonlinear=cluster", scene_no_clusters);
	on_backend("objrmap", "1g nonlinear=cluster", scene_no_clusters);
	on_backend("scan", "1g nonlinear=cluster", scene_no_clusters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remaps),
		cmocka_unit_test(nonlinear_pages_live),
		cmocka_unit_test(each_design_its_own_way),
		cmocka_unit_test(clusters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * File sides against a plain list of areas: after each of many random comings and goings, every
 * page's areas are those that a look at all of them finds, and the structure is sound. Then the
 * shapes that are told of in the heads of the files, and combinations in lockstep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"
#include "diff.h"
#include "interval.h"
#include "picture.h"

#define AREAS 96u

struct world {
	const struct rmap_file_ops *side;
	struct address_space file;
	struct vma areas[AREAS];
	bool in[AREAS];
	uint64_t random;
};

static uint32_t below(struct world *w, uint32_t n)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->random >> 33) % n;
}

static void world_init(struct world *w, const struct rmap_file_ops *side, uint64_t seed)
{
	*w = (struct world){.side = side, .random = seed};
	TAILQ_INIT(&w->file.i_mmap);
}

static void enter(struct world *w, uint32_t i, uint32_t pgoff, uint32_t npages, struct vma *twin)
{
	struct vma *vma = &w->areas[i];

	memset(vma, 0xa5, sizeof(*vma)); /* what an area was copied from */
	vma->file = &w->file;
	vma->flags = 0;
	vma->start = 1000;
	vma->end = 1000 + npages;
	vma->pgoff = pgoff;
	w->in[i] = true;
	TAILQ_INSERT_TAIL(&w->file.i_mmap, vma, shared);
	if (w->side->insert)
		w->side->insert(&w->file, vma, twin);
}

static void leave(struct world *w, uint32_t i)
{
	w->in[i] = false;
	if (w->side->remove)
		w->side->remove(&w->file, &w->areas[i]);
	TAILQ_REMOVE(&w->file.i_mmap, &w->areas[i], shared);
}

/* ---- against the plain list ------------------------------------------------------------------ */

struct answer {
	struct world *w;
	uint32_t first, last;
	bool any; /* all areas are asked for */
	uint8_t shown[AREAS];
};

static bool covers(const struct vma *vma, const struct answer *answer)
{
	for (uint32_t index = answer->first;; index++) {
		if (index - vma->pgoff < vma->end - vma->start)
			return true;
		if (index == answer->last)
			return false;
	}
}

static bool note(struct vma *vma, void *arg)
{
	struct answer *answer = arg;

	if (answer->any || covers(vma, answer))
		answer->shown[vma - answer->w->areas]++;
	else /* only the list shows others, too */
		assert_string_equal(answer->w->side->name, "list");
	return false;
}

static void must_show(struct world *w, uint32_t first, uint32_t last, bool any)
{
	struct answer answer = {.w = w, .first = first, .last = last, .any = any};
	struct rmap_counters counters = {0};

	if (any)
		w->side->each(&w->file, note, &answer);
	else
		w->side->find(&w->file, first, last, &counters, note, &answer);
	for (uint32_t i = 0; i < AREAS; i++)
		assert_int_equal(answer.shown[i],
				 w->in[i] && (any || covers(&w->areas[i], &answer)));
}

/* One page, or up to 16 as with page clustering. */
static void must_show_some(struct world *w, uint32_t range)
{
	uint32_t first = below(w, range);

	must_show(w, first, below(w, 2) ? first : first + below(w, 16), false);
}

static void must_be_sound(struct world *w)
{
	const char *broken = w->side->check ? w->side->check(&w->file) : NULL;

	if (broken)
		fail_msg("%s: %s", w->side->name, broken);
	must_show(w, 0, 0, true);
}

/* Small files with many equal areas, large ones, and areas at the ends of everything. */
static void pick_bounds(struct world *w, uint32_t range, uint32_t *pgoff, uint32_t *npages)
{
	*pgoff = below(w, range);
	*npages = 1 + below(w, 1 + below(w, range));
	if (below(w, 40) == 0)
		*pgoff = 0;
	if (below(w, 200) == 0)
		*pgoff = 0xfff00000u + below(w, 0xfffff);
	if (*pgoff + (*npages - 1) < *pgoff)
		*npages = 0u - *pgoff;
}

static void come_and_go(struct world *w, uint32_t range)
{
	uint32_t i = below(w, AREAS), twin = below(w, AREAS), pgoff, npages;

	if (w->in[i]) {
		leave(w, i);
		return;
	}
	pick_bounds(w, range, &pgoff, &npages);
	if (w->in[twin] && below(w, 3) == 0) /* as fork does */
		enter(w, i, w->areas[twin].pgoff, w->areas[twin].end - w->areas[twin].start,
		      &w->areas[twin]);
	else
		enter(w, i, pgoff, npages, NULL);
}

static void sides_show_what_a_list_shows(void **state)
{
	static const uint32_t ranges[] = {2, 5, 16, 1000, 1u << 20};

	for (uint32_t side = 0; rmap_file_sides[side]; side++) {
		for (uint32_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
			struct world w;

			world_init(&w, rmap_file_sides[side], 0x5eed + r);
			for (uint32_t step = 0; step < 6000; step++) {
				come_and_go(&w, ranges[r]);
				must_show_some(&w, ranges[r]);
				if (step % 16 == 0) {
					must_be_sound(&w);
					must_show(&w, UINT32_MAX, UINT32_MAX, false);
				}
			}
			for (uint32_t i = 0; i < AREAS; i++) {
				if (w.in[i])
					leave(&w, i);
				must_be_sound(&w);
			}
		}
	}
}

/* An offset may wrap around, below 0: such an area is entered as showing everything. */
static void wrapped_areas_are_found(void **state)
{
	for (uint32_t side = 0; rmap_file_sides[side]; side++) {
		struct rmap_counters counters = {0};
		struct answer answer = {.any = true};
		struct world w;

		world_init(&w, rmap_file_sides[side], 1);
		answer.w = &w;
		enter(&w, 0, UINT32_MAX, 3, NULL); /* pages -1, 0, 1 */
		for (uint32_t index = UINT32_MAX; index != 2; index++)
			w.side->find(&w.file, index, index, &counters, note, &answer);
		assert_int_equal(answer.shown[0], 3);
		must_be_sound(&w);
		leave(&w, 0);
	}
}

/* ---- prio_tree ------------------------------------------------------------------------------- */

static struct vma *top(struct world *w)
{
	return w->file.file_root.prio.top;
}

/*
 * The overflow levels must survive that the root looks at more bits (2.6.7 lost areas there): many
 * areas that begin together, then one far away.
 */
static void prio_tree_grows_with_overflow(void **state)
{
	struct world w;

	world_init(&w, rmap_file_find("prio_tree"), 1);
	for (uint32_t i = 0; i < 12; i++)
		enter(&w, i, 3, 1 + i, NULL);
	assert_int_equal(w.file.file_root.prio.bits, 4);
	enter(&w, 12, 100000, 1, NULL);
	assert_int_equal(w.file.file_root.prio.bits, 17);
	must_be_sound(&w);
	for (uint32_t index = 0; index < 20; index++)
		must_show(&w, index, index, false);
	leave(&w, 12);
	assert_int_equal(w.file.file_root.prio.bits, 17); /* it stays */
	for (uint32_t i = 0; i < 12; i++)
		leave(&w, i);
	enter(&w, 0, 0, 2, NULL);
	assert_int_equal(w.file.file_root.prio.bits, 1);
}

static void equal_areas_share_a_node(void **state)
{
	struct world w;

	world_init(&w, rmap_file_find("prio_tree"), 1);
	enter(&w, 0, 4, 4, NULL);
	enter(&w, 1, 4, 4, &w.areas[0]);
	enter(&w, 2, 4, 4, NULL);
	enter(&w, 3, 4, 4, &w.areas[1]);
	assert_ptr_equal(top(&w), &w.areas[0]);
	assert_null(top(&w)->file_node.prio.left);
	assert_null(top(&w)->file_node.prio.right);
	must_be_sound(&w);
	leave(&w, 0); /* the list's head takes over the node */
	assert_ptr_equal(top(&w), &w.areas[1]);
	must_be_sound(&w);
	leave(&w, w.areas[1].file_node.prio.head - w.areas);
	must_be_sound(&w);
	leave(&w, 1);
	must_be_sound(&w);
	assert_null(top(&w)->file_node.prio.head);
}

static void broken_prio_trees_are_noticed(void **state)
{
	const struct rmap_file_ops *side = rmap_file_find("prio_tree");
	struct vma *vma;
	struct world w;

	world_init(&w, side, 1);
	enter(&w, 0, 0, 8, NULL);
	enter(&w, 1, 2, 3, NULL);
	enter(&w, 2, 5, 2, NULL);
	enter(&w, 3, 5, 2, NULL);
	vma = &w.areas[2];
	vma->pgoff = 1;
	assert_non_null(strstr(side->check(&w.file), "N"));
	vma->pgoff = 5;
	vma->end += 9;
	assert_non_null(strstr(side->check(&w.file), "N2"));
	vma->end -= 9;
	w.areas[3].pgoff = 4;
	assert_non_null(strstr(side->check(&w.file), "N4"));
	w.areas[3].pgoff = 5;
	vma->file_node.prio.parent = &w.areas[1];
	assert_non_null(strstr(side->check(&w.file), "N1"));
	vma->file_node.prio.parent = &w.areas[0];
	w.areas[1].pgoff = 6;
	w.areas[1].end -= 2;
	assert_non_null(strstr(side->check(&w.file), "N3"));
}

/* ---- interval_tree --------------------------------------------------------------------------- */

static void broken_interval_trees_are_noticed(void **state)
{
	const struct rmap_file_ops *side = rmap_file_find("interval_tree");
	struct interval_node *node;
	struct world w;

	world_init(&w, side, 1);
	for (uint32_t i = 0; i < 8; i++)
		enter(&w, i, i, 3, NULL);
	w.areas[5].end++;
	assert_non_null(strstr(side->check(&w.file), "R2"));
	w.areas[5].end--;
	node = &w.areas[3].file_node.interval;
	node->max_last++;
	assert_non_null(strstr(side->check(&w.file), "last page below"));
	node->max_last--;
	node->first += 2;
	assert_non_null(strstr(side->check(&w.file), "ordered"));
	node->first -= 2;
	assert_null(side->check(&w.file));
}

static void interval_trees_stay_low(void **state)
{
	struct world w;

	world_init(&w, rmap_file_find("interval_tree"), 1);
	for (uint32_t i = 0; i < AREAS; i++)
		enter(&w, i, i, 1, NULL);
	assert_in_range(interval_height(&w.file.file_root.interval), 7, 12); /* 2 log2(97) < 14 */
}

/* ---- combinations -----------------------------------------------------------------------------
 */

static void scene_described(struct scene *s)
{
	const char *name = machine_rmap(s->machine)->name;

	run(s, "mmap p0 w0 4 rw shared|fixed f0 0");
	run(s, "mmap p0 w8 4 rw shared|fixed f0 2");
	run(s, "p1 = fork p0");
	run(s, "read p1 w9");
	known_as(s, 1, 9, "page 3 of a file with 4 areas in a");
	known_as(s, 1, 9,
		 strstr(name, "+list")        ? "in a list"
		 : strstr(name, "+prio_tree") ? "in a prio_tree of 2 levels"
					      : "in an interval tree of 3 levels");
	run(s, "munmap p0 w0 3");
	known_as(s, 1, 9, "page 3 of a file with 4 areas in a");
	evicted(s, "evict p1 w9");
}

static void every_combination_plays(void **state)
{
	uint32_t played = 0;

	for (uint32_t i = 0; rmap_combinations[i]; i++) {
		if (!rmap_combinations[i]->file)
			continue;
		on_backend(rmap_combinations[i]->name, "tiny", scene_described);
		played++;
	}
	assert_int_equal(played % 3, 0);
	assert_true(played >= 12);
}

/* Every side is in the default set, and each design's plain name is one of its combinations. */
static void names_and_sizes(void **state)
{
	for (uint32_t side = 0; rmap_file_sides[side]; side++)
		assert_ptr_equal(rmap_file_find(rmap_file_sides[side]->name),
				 rmap_file_sides[side]);
	assert_null(rmap_file_find("no such side"));
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		const struct rmap_ops *plain = rmap_backends[i], *combined;
		char name[64];

		if (!plain->file)
			continue;
		snprintf(name, sizeof(name), "%s+%s", plain->name, plain->file->name);
		combined = rmap_find(name);
		assert_non_null(combined);
		assert_ptr_equal(combined->file, plain->file);
		assert_ptr_equal(combined->walk, plain->walk);
		assert_int_equal(rmap_vma_bytes(combined), rmap_vma_bytes(plain));
	}
	assert_null(rmap_find("scan+list"));
	assert_int_equal(rmap_vma_bytes(rmap_find("pte_chain")), 64);
	assert_int_equal(rmap_vma_bytes(rmap_find("objrmap")), 64);
	assert_int_equal(rmap_vma_bytes(rmap_find("objrmap+prio_tree")), 72);
	assert_int_equal(rmap_vma_bytes(rmap_find("anon_vma_direct")), 76); /* as posted */
	assert_int_equal(rmap_vma_bytes(rmap_find("anon_vma_chain")), 84);
	assert_int_equal(rmap_vma_bytes(rmap_find("anon_vma")), 84); /* 2.6.7 */
}

static void combinations_agree(void **state)
{
	const struct generate_options options = {.nr_ops = 64, .faults = true};
	struct diff_options all;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;

	diff_options_init(&all);
	diff_options_combine(&all);
	diff = diff_create(&all);
	for (uint64_t seed = 0; seed < 150; seed++) {
		generate_trace(&trace, &machine_presets[0].config, seed, &options);
		if (diff_run(diff, &trace, &finding))
			fail_msg("seed %u: %s: %s", (unsigned int)seed, finding.signature,
				 finding.message);
	}
	trace_release(&trace);
	diff_destroy(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sides_show_what_a_list_shows),
		cmocka_unit_test(wrapped_areas_are_found),
		cmocka_unit_test(prio_tree_grows_with_overflow),
		cmocka_unit_test(equal_areas_share_a_node),
		cmocka_unit_test(broken_prio_trees_are_noticed),
		cmocka_unit_test(broken_interval_trees_are_noticed),
		cmocka_unit_test(interval_trees_stay_low),
		cmocka_unit_test(every_combination_plays),
		cmocka_unit_test(names_and_sizes),
		cmocka_unit_test(combinations_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

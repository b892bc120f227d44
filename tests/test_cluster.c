/*
 * Page clustering: what a page of several frames does on every backend, that a program cannot see
 * it, and what it leaves of lowmem.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "internal.h"
#include "picture.h"

#define QUADS "tiny cluster=2" /* pages of four frames; w0, w4, w8 ... begin one */

static struct page_view look(struct scene *s, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(s->machine, proc, WINDOW_BASE / PAGE_SIZE + page, &view));
	return view;
}

/* The pages of memory that are in use. */
/* ---- faults ------------------------------------------------------------------------------ */

static void play_fill(struct scene *s)
{
	uint32_t before;

	run(s, "mmap p0 w0 16 rw anon|fixed");
	before = frames_used(s);
	run(s, "write p0 w5");
	pages(s, 0, "----wwww----"); /* a page table and a page */
	assert_int_equal(frames_used(s), before + 2);
	assert_int_equal(mappers(s, 0, 5), 4);
	run(s, "write p0 w6");
	run(s, "write p0 w4");
	assert_int_equal(frames_used(s), before + 2);
	assert_int_equal(look(s, 0, 7).pfn, look(s, 0, 4).pfn + 3);
	run(s, "read p0 w8"); /* a read gets the zero page, and no more than that */
	pages(s, 0, "----wwwwz---");
}

static void fault_fills_the_block(void **state)
{
	on_every_backend(QUADS, play_fill);
}

/* Only inside the area, and around what is there already. */
static void play_edges(struct scene *s)
{
	run(s, "mmap p0 w2 5 rw anon|fixed");
	run(s, "write p0 w3");
	pages(s, 0, "..ww---.");
	run(s, "read p0 w5");
	run(s, "write p0 w4");
	pages(s, 0, "..wwwzw.");
	/* The zero page gives way to the page that is there. */
	run(s, "write p0 w5");
	pages(s, 0, "..wwwww.");
	assert_int_equal(look(s, 0, 5).pfn, look(s, 0, 4).pfn + 1);
	run(s, "mprotect p0 w4 1 r");
	run(s, "mmap p0 w7 1 rw anon|fixed");
	run(s, "write p0 w7");
	/* Another area then, whatever merges: another page. */
	assert_int_not_equal(look(s, 0, 7).pfn, look(s, 0, 6).pfn + 1);
	assert_int_equal(mappers(s, 0, 7), 1);
}

static void fault_stays_in_the_area(void **state)
{
	on_every_backend(QUADS, play_edges);
}

/* A part that is given up is used again, and zero. */
static void play_reuse(struct scene *s)
{
	uint32_t before;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w2");
	before = frames_used(s);
	run(s, "madvise p0 w2 1 dontneed");
	pages(s, 0, "ww-w");
	run(s, "write p0 w3");
	assert_int_equal(mappers(s, 0, 0), 3);
	assert_int_equal(content(s, "read p0 w2"), 0);
	pages(s, 0, "wwzw");
	run(s, "madvise p0 w1 2 dontneed");
	run(s, "write p0 w1");
	assert_int_equal(content(s, "read p0 w2"), 0);
	assert_int_equal(look(s, 0, 2).pfn, look(s, 0, 0).pfn + 2);
	assert_int_equal(frames_used(s), before);
}

static void given_up_part_is_used_again(void **state)
{
	on_every_backend(QUADS, play_reuse);
}

/* ---- copy on write ----------------------------------------------------------------------- */

static void play_cow(struct scene *s)
{
	uint64_t first, second;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	first = put(s, "write p0 w0");
	second = put(s, "write p0 w3");
	run(s, "p1 = fork p0");
	assert_int_equal(mappers(s, 0, 0), 8);
	run(s, "write p1 w1"); /* the child copies all four at once */
	pages(s, 0, "rrrr");
	pages(s, 1, "wwww");
	assert_int_equal(mappers(s, 0, 0), 4);
	assert_int_equal(content(s, "read p1 w0"), first);
	assert_int_equal(content(s, "read p1 w3"), second);
	run(s, "write p0 w0"); /* nobody else has it any more: no copy */
	pages(s, 0, "wrrr");
	assert_int_equal(mappers(s, 0, 0), 4);
	assert_int_equal(content(s, "read p1 w0"), first);
}

static void copies_all_of_a_page(void **state)
{
	on_every_backend(QUADS, play_cow);
}

/* A private page of a file is copied where it is written, and nowhere else. */
static void play_private_file(struct scene *s)
{
	uint64_t ours, theirs;

	run(s, "mmap p0 w0 4 rw private|fixed f0 1"); /* page offsets 1 to 4: two pages */
	run(s, "read p0 w0");
	run(s, "read p0 w1");
	run(s, "read p0 w2");
	pages(s, 0, "rrr-");
	ours = put(s, "write p0 w1");
	pages(s, 0, "rwr-");
	theirs = put(s, "fwrite f0 3");
	assert_int_equal(content(s, "read p0 w2"), theirs);
	assert_int_equal(content(s, "read p0 w1"), ours);
	assert_int_equal(content(s, "fread f0 2"), token_file(0, 2));
	run(s, "write p0 w2"); /* joins the copy */
	assert_int_equal(look(s, 0, 2).pfn, look(s, 0, 1).pfn + 1);
	assert_int_equal(content(s, "read p0 w0"), token_file(0, 1));
}

static void private_copy_is_by_frame(void **state)
{
	on_every_backend(QUADS, play_private_file);
}

/* ---- moved parts ------------------------------------------------------------------------- */

static void play_moved_part(struct scene *s)
{
	uint64_t token[4];

	run(s, "mmap p0 w0 4 rw anon|fixed");
	token[0] = put(s, "write p0 w0");
	token[1] = put(s, "write p0 w1");
	token[2] = put(s, "write p0 w2");
	token[3] = put(s, "write p0 w3");
	run(s, "mremap p0 w1 2 2 maymove|fixed w9"); /* to another place and phase: 9, 10 */
	pages(s, 0, "w..w.....ww.");
	assert_int_equal(mappers(s, 0, 0), 4);
	assert_int_equal(look(s, 0, 10).pfn, look(s, 0, 0).pfn + 2);
	evicted(s, "swapout p0 w0");
	pages(s, 0, "s..s.....ss.");
	run(s, "read p0 w9");
	pages(s, 0, "s..s.....rr.");
	assert_int_equal(content(s, "read p0 w0"), token[0]);
	assert_int_equal(content(s, "read p0 w3"), token[3]);
	run(s, "write p0 w9"); /* the page is in two places: a copy, of this place's part */
	pages(s, 0, "r..r.....ww.");
	assert_int_equal(mappers(s, 0, 9), 2);
	assert_int_equal(mappers(s, 0, 0), 2);
	assert_int_equal(content(s, "read p0 w10"), token[2]);
	assert_true(token[1] != content(s, "read p0 w9"));
}

static void part_of_a_page_moves(void **state)
{
	on_every_backend(QUADS, play_moved_part);
}

/* Cut, forked, merged again: the page is found in every piece. */
static void play_cut(struct scene *s)
{
	run(s, "mmap p0 w0 8 rw anon|fixed");
	run(s, "write p0 w1");
	run(s, "write p0 w4");
	run(s, "mprotect p0 w2 4 r");
	run(s, "p1 = fork p0");
	run(s, "mprotect p0 w2 4 rw");
	run(s, "munmap p1 w0 1");
	assert_int_equal(mappers(s, 0, 1), 7);
	evicted(s, "swapout p0 w3");
	pages(s, 0, "ssssrrrr");
	pages(s, 1, ".sssrrrr");
	run(s, "write p1 w1");
	evicted(s, "evict p1 w1");
	pages(s, 1, ".sssrrrr");
}

static void cut_page_is_found(void **state)
{
	on_every_backend("tiny cluster=2 era=2.6.6", play_cut);
	on_every_backend(QUADS, play_cut);
}

/* ---- swap -------------------------------------------------------------------------------- */

static void play_swap(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	token = put(s, "write p0 w2");
	run(s, "p1 = fork p0");
	evicted(s, "swapout p0 w0");
	pages(s, 0, "ssss");
	assert_int_equal(s->machine->swap_used, 1);
	assert_int_equal(s->machine->swap[0].slots[1].map, 8);
	run(s, "munmap p1 w3 1");
	assert_int_equal(s->machine->swap[0].slots[1].map, 7);
	assert_int_equal(content(s, "read p1 w2"), token);
	pages(s, 1, "rrr."); /* all it had of the slot */
	assert_int_equal(s->machine->swap[0].slots[1].map, 5);
	run(s, "exit p1");
	run(s, "write p0 w1"); /* only owner: in place */
	pages(s, 0, "rwrr");
	assert_int_equal(content(s, "read p0 w2"), token);
	assert_int_equal(mappers(s, 0, 0), 4);
}

static void page_has_one_slot(void **state)
{
	on_every_backend(QUADS, play_swap);
}

/* An area of 11 pages of 4 KB has room for two pages of 16 KB. */
static void play_full(struct scene *s)
{
	run(s, "mmap p0 w0 16 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "write p0 w4");
	run(s, "write p0 w8");
	evicted(s, "swapout p0 w0");
	evicted(s, "swapout p0 w4");
	assert_int_equal(run(s, "swapout p0 w8"), -ENOSPC);
	pages(s, 0, "sssssssswwww");
}

static void slots_are_pages(void **state)
{
	on_every_backend("tiny cluster=2 swap=11", play_full);
}

/* ---- files ------------------------------------------------------------------------------- */

/* The end of a file inside a page, in memory. */
static void play_file_end(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 8 rw shared|fixed f0 0");
	run(s, "write p0 w1");
	run(s, "write p0 w2");
	run(s, "write p0 w6");
	assert_int_equal(look(s, 0, 2).pfn, look(s, 0, 1).pfn + 1);
	run(s, "truncate f0 2");
	pages(s, 0, "-w------");
	assert_int_equal(run(s, "read p0 w2"), RES_BUS);
	token = put(s, "fwrite f0 3"); /* growing again shows zeroes, not what was cut off */
	assert_int_equal(content(s, "read p0 w2"), 0);
	assert_int_equal(content(s, "read p0 w3"), token);
	assert_int_equal(run(s, "read p0 w4"), RES_BUS);
	evicted(s, "swapout p0 w1");
	pages(s, 0, "--------");
	run(s, "truncate f0 3"); /* now with the page on disk */
	run(s, "truncate f0 8");
	assert_int_equal(content(s, "read p0 w3"), 0);
	assert_int_equal(content(s, "read p0 w0"), token_file(0, 0));
}

static void file_ends_inside_a_page(void **state)
{
	on_every_backend(QUADS, play_file_end);
}

/* The same in swap. */
static void play_shmem_end(struct scene *s)
{
	uint64_t token;

	run(s, "mmap p0 w0 4 rw shared|fixed f1 4");
	token = put(s, "write p0 w0");
	run(s, "write p0 w3");
	evicted(s, "swapout p0 w0");
	assert_int_equal(s->machine->swap_used, 1);
	run(s, "truncate f1 6");
	run(s, "truncate f1 8");
	assert_int_equal(content(s, "read p0 w3"), 0);
	assert_int_equal(content(s, "read p0 w0"), token);
	assert_int_equal(content(s, "read p0 w1"), token_file(1, 5));
	assert_int_equal(s->machine->swap_used, 0);
}

static void shmem_ends_inside_a_page(void **state)
{
	on_every_backend(QUADS, play_shmem_end);
}

/* ---- recount ----------------------------------------------------------------------------- */

static void play_lies(struct scene *s)
{
	char buf[256];
	const char *said;
	struct ptep p;
	pte_t entry;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	p = pte_lookup(s->machine->tasks[0]->mm, WINDOW_BASE / PAGE_SIZE);
	entry = ptep_peek(p);
	pte_store(&p.table->entry[p.slot], entry + PAGE_SIZE);
	said = machine_recount(s->machine, buf, sizeof(buf));
	assert_non_null(said);
	assert_non_null(strstr(said, "maps the wrong part of its page"));
	pte_store(&p.table->entry[p.slot], entry);
	assert_null(machine_recount(s->machine, buf, sizeof(buf)));
}

static void wrong_part_is_told(void **state)
{
	on_every_backend(QUADS, play_lies);
}

/* ---- lockstep, and the same trace with pages of every size -------------------------------- */

static void lockstep_holds(void **state)
{
	struct diff_options options;
	struct trace trace = {0};
	struct finding finding;
	struct diff *diff;

	diff_options_init(&options);
	diff = diff_create(&options);
	for (uint32_t cluster = 1; cluster <= CLUSTER_MAX; cluster++) {
		struct machine_config config = machine_presets[0].config;

		config.cluster = cluster;
		trace_init(&trace, &config);
		for (uint64_t seed = 1; seed <= 150; seed++) {
			generate_trace(&trace, &config, seed,
				       &(struct generate_options){.nr_ops = 48,
								  .faults = seed % 2,
								  .actors = seed % 3 == 0});
			if (diff_run(diff, &trace, &finding)) {
				finding_print(&finding, &trace, stderr);
				fail_msg("cluster=%u seed %ju: %s", cluster, (uintmax_t)seed,
					 finding.signature);
			}
		}
		trace_release(&trace);
	}
	diff_destroy(diff);
}

/* What an op returns that has to do with frames, and not with programs. */
static bool is_about_frames(enum op_code code)
{
	return code == OP_evict || code == OP_swapout || code == OP_age || code == OP_reclaim ||
	       code == OP_migrate || code == OP_writeback || code == OP_mkclean || code == OP_fdrop;
}

/* Whether a read of a page that can only be written succeeds depends on its being present. */
static bool is_write_only(struct machine *machine, uint32_t proc, uint32_t vpn)
{
	struct area_view area;

	return machine_view_area(machine, proc, vpn, &area) && area.start <= vpn &&
	       (area.flags & (VM_READ | VM_WRITE | VM_EXEC)) == VM_WRITE;
}

/*
 * Do the ops on ONE and OTHER, as far as both do the same. Areas merge less with clustering, so an
 * mremap over a boundary may fail in one of them; then the traces part. Returns how many ops.
 */
static uint32_t compare_run(struct machine *one, struct machine *other, const struct trace *trace)
{
	uint32_t regions[REGION_MAX] = {0};

	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		struct op op = op_resolve(&trace->ops[i], regions);
		struct result a, b;

		if (op.code == OP_pin)
			continue; /* with clustering there is none */
		machine_apply(one, &op, &a);
		machine_apply(other, &op, &b);
		op_bind(&op, &a, regions);
		if (is_about_frames(op.code) ||
		    (op.code == OP_read && is_write_only(one, op.args[0], op.args[1] / PAGE_SIZE)))
			continue;
		if (op.code == OP_mremap && a.err != b.err &&
		    (a.err == -EFAULT || b.err == -EFAULT))
			return i;
		if (a.err != b.err || a.value != b.value || a.token != b.token)
			fail_msg("op %u (%s) differs: %d 0x%x against %d 0x%x", i,
				 op_info(op.code)->name, a.err, a.value, b.err, b.value);
	}
	return trace->nr_ops;
}

/* Every page of every process shows the same in both. */
static uint32_t compare_content(struct machine *one, struct machine *other)
{
	uint32_t n = 0;

	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		struct area_view area;

		for (uint32_t vpn = 0; machine_view_area(one, proc, vpn, &area); vpn = area.end) {
			if (is_write_only(one, proc, area.start))
				continue;
			for (uint32_t at = area.start; at < area.end && at < area.start + 64;
			     at++) {
				struct op op = {.code = OP_read, .args = {proc, at * PAGE_SIZE}};
				struct result a, b;

				machine_apply(one, &op, &a);
				machine_apply(other, &op, &b);
				assert_int_equal(a.err, b.err);
				assert_true(a.token == b.token);
				n++;
			}
		}
	}
	return n;
}

static void size_cannot_be_seen(void **state)
{
	struct machine_config config = machine_preset_find("1g")->config;
	struct trace trace = {0};
	uint32_t whole = 0, pages_seen = 0, nr_traces = 60;

	trace_init(&trace, &config);
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		struct machine *one = machine_create(&config, rmap_backends[i]);

		for (uint64_t seed = 1; seed <= nr_traces; seed++) {
			struct machine_config large = config;
			struct machine *other;

			generate_trace(&trace, &config, seed,
				       &(struct generate_options){.nr_ops = 48});
			large.cluster = 1 + (uint32_t)seed % CLUSTER_MAX;
			other = machine_create(&large, rmap_backends[i]);
			machine_reset(one);
			if (compare_run(one, other, &trace) == trace.nr_ops) {
				whole++;
				pages_seen += compare_content(one, other);
			}
			machine_destroy(other);
		}
		machine_destroy(one);
	}
	trace_release(&trace);
	assert_true(whole > nr_traces); /* the others part early, and were compared until then */
	assert_true(pages_seen > 10 * whole);
}

/* ---- lowmem ------------------------------------------------------------------------------- */

/*
 * LowTotal as 64 GB machines printed it, in kB: a NUMA-Q with 2.5.65-mm2 and 4 KB pages; the same
 * with 2.5.68 and page clustering, 32 KB pages (W. L. Irwin); the 4G/4G patch (I. Molnar, July
 * 2003). struct page took 44 bytes in them, which is what zones are laid out for here.
 */
static void lowmem_is_as_measured(void **state)
{
	static const struct {
		const char *machine;
		uint32_t published_kb;
	} table[] = {
		{"64g", 176076},
		{"64g-pgcl3", 751872},
		{"64g-4:4", 3137464},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct machine_config *config =
			&machine_preset_find(table[i].machine)->config;
		struct machine *machine = machine_create(config, rmap_find("pte_chain"));
		struct machine_stats stats;
		double ratio;

		machine_stats(machine, &stats);
		ratio = (double)stats.lowmem_boot_free / 1024 / table[i].published_kb;
		if (ratio < 0.9 || ratio > 1.1)
			fail_msg("%s: %ju kB of lowmem, published %u", table[i].machine,
				 (uintmax_t)stats.lowmem_boot_free / 1024, table[i].published_kb);
		machine_destroy(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_fills_the_block),
		cmocka_unit_test(fault_stays_in_the_area),
		cmocka_unit_test(given_up_part_is_used_again),
		cmocka_unit_test(copies_all_of_a_page),
		cmocka_unit_test(private_copy_is_by_frame),
		cmocka_unit_test(part_of_a_page_moves),
		cmocka_unit_test(cut_page_is_found),
		cmocka_unit_test(page_has_one_slot),
		cmocka_unit_test(slots_are_pages),
		cmocka_unit_test(file_ends_inside_a_page),
		cmocka_unit_test(shmem_ends_inside_a_page),
		cmocka_unit_test(wrong_part_is_told),
		cmocka_unit_test(lockstep_holds),
		cmocka_unit_test(size_cannot_be_seen),
		cmocka_unit_test(lowmem_is_as_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Temporary kernel mappings: each way to get one wrong is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "internal.h"
#include "picture.h"

static const char *fault_of(const struct scene *s)
{
	const struct kmap_fault *fault = machine_kmap_fault(s->machine);

	return fault ? kmap_fault_name(fault) : "none";
}

static struct ptep mapped_entry(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	return pte_lookup(s->machine->tasks[0]->mm, WINDOW_BASE / PAGE_SIZE);
}

/* ---- by hand ------------------------------------------------------------------------------ */

static void taken_twice(struct scene *s)
{
	struct ptep p = mapped_entry(s);

	pte_map(s->machine, p);
	pte_map_nested(s->machine, p);
	assert_string_equal(fault_of(s), "none");
	pte_map(s->machine, p);
	assert_string_equal(fault_of(s), "twice");
}

static void given_back_wrongly(struct scene *s)
{
	struct ptep p = mapped_entry(s);
	struct page *page = s->machine->zero_page;

	pte_map(s->machine, p);
	kunmap_atomic(s->machine, page, KM_PTE0);
	assert_string_equal(fault_of(s), "wrong");
}

static void given_back_twice(struct scene *s)
{
	struct ptep p = mapped_entry(s);

	pte_map(s->machine, p);
	pte_unmap(s->machine, p);
	assert_string_equal(fault_of(s), "none");
	pte_unmap(s->machine, p);
	assert_string_equal(fault_of(s), "wrong");
}

static void slept_with(struct scene *s)
{
	struct ptep p = mapped_entry(s);
	struct page *page;

	page = page_alloc(s->machine, GFP_KERNEL);
	page_put(s->machine, page);
	pte_map(s->machine, p);
	assert_string_equal(fault_of(s), "none");
	s->machine->op = &(struct op){.code = OP_brk};
	page = page_alloc(s->machine, 0); /* does not wait */
	page_put(s->machine, page);
	assert_string_equal(fault_of(s), "none");
	page = page_alloc(s->machine, GFP_KERNEL);
	page_put(s->machine, page);
	s->machine->op = NULL;
	assert_string_equal(fault_of(s), "sleeps");
}

static void read_unmapped(struct scene *s)
{
	struct ptep p = mapped_entry(s);
	pte_t entry = ptep_peek(p);

	assert_string_equal(fault_of(s), "none"); /* who looks on needs no mapping */
	assert_int_equal(ptep_read(s->machine, p), entry);
	assert_string_equal(fault_of(s), "none");
	(void)ptep_get(p);
	assert_string_equal(fault_of(s), "unmapped");
}

static void written_unmapped(struct scene *s)
{
	struct ptep p = mapped_entry(s);

	pte_set_once(s->machine, p, ptep_peek(p));
	assert_string_equal(fault_of(s), "none");
	pte_set(s->machine, p, ptep_peek(p));
	assert_string_equal(fault_of(s), "unmapped");
}

static void cleared_unmapped(struct scene *s)
{
	struct ptep p = mapped_entry(s);

	pte_get_and_clear(s->machine, p);
	assert_string_equal(fault_of(s), "unmapped");
}

/* Without HIGHPTE tables are mapped for good. */
static void no_slots_for_lowmem_tables(struct scene *s)
{
	struct ptep p = mapped_entry(s);

	pte_map(s->machine, p);
	pte_map(s->machine, p);
	(void)ptep_get(p);
	assert_int_equal(s->machine->kmaps.slots.used, 0);
	assert_string_equal(fault_of(s), "none");
}

/* ---- the pool, by hand ----------------------------------------------------------------------- */

static struct page *fresh_page(struct scene *s)
{
	struct page *page = page_alloc(s->machine, GFP_HIGHUSER);

	assert_non_null(page);
	return page;
}

static void kunmap_without_kmap(struct scene *s)
{
	struct page *page = fresh_page(s);

	kmap(s->machine, page);
	kunmap(s->machine, page);
	assert_string_equal(fault_of(s), "none");
	kunmap(s->machine, page);
	assert_string_equal(fault_of(s), "wrong");
}

static void used_after_kunmap(struct scene *s)
{
	struct page *page = fresh_page(s);

	kmap(s->machine, page);
	*kmap_token(s->machine, page, 0) = 7;
	kunmap(s->machine, page);
	assert_int_equal(page->token[0], 7);
	assert_string_equal(fault_of(s), "none");
	*kmap_token(s->machine, page, 0) = 8;
	assert_string_equal(fault_of(s), "unmapped");
}

static void kmap_under_a_slot(struct scene *s)
{
	struct page *page = fresh_page(s);

	kmap_atomic(s->machine, page, KM_USER0);
	kmap(s->machine, page);
	assert_string_equal(fault_of(s), "sleeps");
}

static void kept_after_the_op(struct scene *s)
{
	kmap(s->machine, fresh_page(s));
	assert_string_equal(fault_of(s), "none");
	kmap_judge(s->machine);
	assert_string_equal(fault_of(s), "left");
}

static void all_are_in_use(struct scene *s)
{
	for (uint32_t i = 0; i < LAST_PKMAP_TINY; i++)
		kmap(s->machine, fresh_page(s));
	assert_string_equal(fault_of(s), "none");
	kmap(s->machine, fresh_page(s));
	assert_string_equal(fault_of(s), "full");
}

static void touch_through_pool(struct scene *s, struct page *page)
{
	kmap(s->machine, page);
	*kmap_token(s->machine, page, 0) = page->pfn;
	kunmap(s->machine, page);
}

/* The third page gets the entry of the first, and the processor writes to the first. */
static void nobody_flushes(struct scene *s)
{
	struct page *page[LAST_PKMAP_TINY + 1];

	for (uint32_t i = 0; i <= LAST_PKMAP_TINY; i++)
		page[i] = fresh_page(s);
	touch_through_pool(s, page[0]);
	s->machine->pkmap.lose_flush = true;
	for (uint32_t i = 1; i < LAST_PKMAP_TINY; i++)
		touch_through_pool(s, page[i]);
	assert_string_equal(fault_of(s), "none");
	touch_through_pool(s, page[LAST_PKMAP_TINY]);
	assert_string_equal(fault_of(s), "stale");
	assert_int_equal(page[LAST_PKMAP_TINY]->token[0], 0);
}

/* A scene that leaves the machine with a fault. */
static void by_hand(void (*play)(struct scene *s), const char *config)
{
	struct machine_config parsed;
	struct scene scene = {0};
	char error[128];

	assert_int_equal(machine_config_parse(&parsed, config, error, sizeof(error)), 0);
	scene.machine = machine_create(&parsed, rmap_find("anon_vma"));
	play(&scene);
	/* The recount says so, too. */
	assert_int_equal(machine_kmap_fault(scene.machine) != NULL,
			 machine_recount(scene.machine, error, sizeof(error)) != NULL);
	machine_destroy(scene.machine);
}

static void each_fault_is_seen(void **state)
{
	by_hand(taken_twice, "tiny");
	by_hand(given_back_wrongly, "tiny");
	by_hand(given_back_twice, "tiny");
	by_hand(slept_with, "tiny");
	by_hand(read_unmapped, "tiny");
	by_hand(written_unmapped, "1g");
	by_hand(cleared_unmapped, "1g");
	by_hand(no_slots_for_lowmem_tables, "1g-lowpte");
	by_hand(kunmap_without_kmap, "1g");
	by_hand(used_after_kunmap, "tiny");
	by_hand(kmap_under_a_slot, "tiny");
	by_hand(kept_after_the_op, "tiny");
	by_hand(all_are_in_use, "tiny-counters");
	by_hand(nobody_flushes, "tiny-counters");
}

/* ---- in ops ---------------------------------------------------------------------------------- */

#define ANON "mmap p0 w0 4 rw anon|fixed", "write p0 w0", "write p0 w1"

/* What maps tables or contents; one kunmap of it is forgotten. */
static const struct {
	const char *before[6];
	const char *op;
	uint32_t nth; /* which one is forgotten */
} users[] = {
	{{"mmap p0 w0 4 rw anon|fixed"}, "write p0 w0", 1},
	{{"mmap p0 w0 4 rw anon|fixed"}, "read p0 w0", 1},
	{{ANON, "p1 = fork p0"}, "write p0 w0", 1},
	{{ANON}, "munmap p0 w0 2", 1},
	{{ANON}, "mprotect p0 w0 2 r", 1},
	{{ANON}, "mremap p0 w0 1 1 maymove|fixed w9", 1},
	{{ANON}, "p1 = fork p0", 1},
	{{ANON}, "swapout p0 w0", 1},
	{{ANON, "swapout p0 w0"}, "read p0 w0", 1},
	{{ANON}, "age p0 w0", 1},
	{{ANON}, "madvise p0 w0 2 pageout", 1},
	{{"mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0"}, "msync p0 w0 1 async", 1},
	{{"mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0"}, "mkclean f0", 1},
	{{"mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0"}, "truncate f0 0", 1},
	{{"mmap p0 w0 4 rw shared|fixed f0 0"}, "remap_file_pages p0 w0 1 2 -", 1},
	{{NULL}, "fread f0 0", 1},
	{{NULL}, "fwrite f0 0", 1},
	/* The first is the slot in which what is read in arrives, then comes the one in vain. */
	{{NULL}, "fread f0 0", 3},
	{{NULL}, "fwrite f0 0", 3},
	{{"fread f0 0"}, "fwrite f0 0", 2},
	{{"fwrite f0 0"}, "writeback f0", 1},
	{{ANON}, "migrate p0 w0", 1},
	/* Entries are looked at twice before the write. */
	{{ANON}, "poke p0 w0", 1},
	{{ANON}, "poke p0 w0", 3},
};

static void forget_one(const struct rmap_ops *rmap, size_t i)
{
	struct scene scene = {.machine = machine_create(&machine_presets[0].config, rmap)};
	struct trace trace = {0};
	struct result result;
	char error[128], text[128];

	for (const char *const *op = users[i].before; *op; op++)
		run(&scene, *op);
	trace_init(&trace, machine_config(scene.machine));
	snprintf(text, sizeof(text), "rmapfuzz trace 1\n%s\n", users[i].op);
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	scene.machine->kmaps.lose_unmap = users[i].nth;
	machine_apply(scene.machine, &trace.ops[0], &result);
	if (!machine_kmap_fault(scene.machine))
		fail_msg("%s: %s forgets a kunmap, and nobody sees it", rmap->name, users[i].op);
	trace_release(&trace);
	machine_destroy(scene.machine);
}

static void a_forgotten_one_is_seen(void **state)
{
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		for (uint32_t b = 0; rmap_backends[b]; b++)
			forget_one(rmap_backends[b], i);
	}
}

/* Under HIGHPTE a look at a table is a mapping, and only there. */
static uint64_t kmaps_of_mprotect(const char *preset)
{
	struct scene s = {.machine = machine_create(&machine_preset_find(preset)->config,
						    rmap_find("anon_vma"))};
	const struct op mprotect = {.code = OP_mprotect, .args = {0, WINDOW_BASE, 4, OP_PROT_READ}};
	struct machine_stats before, after;

	run(&s, "mmap p0 w0 4 rw anon|fixed");
	run(&s, "write p0 w0");
	run(&s, "write p0 w1");
	machine_stats(s.machine, &before);
	/* Not run(): its recount goes over tables, too. */
	machine_apply(s.machine, &mprotect, &s.last);
	machine_stats(s.machine, &after);
	machine_destroy(s.machine);
	return after.kmaps - before.kmaps;
}

static void highpte_maps_tables(void **state)
{
	assert_int_equal(kmaps_of_mprotect("1g"), 2);
	assert_int_equal(kmaps_of_mprotect("1g-lowpte"), 0);
}

/* ---- the pool ------------------------------------------------------------------------------ */

static struct scene pool_scene(const char *config)
{
	struct machine_config parsed;
	struct scene scene = {0};
	char error[128];

	assert_int_equal(machine_config_parse(&parsed, config, error, sizeof(error)), 0);
	scene.machine = machine_create(&parsed, rmap_find("anon_vma"));
	return scene;
}

static void users_share_an_entry(void **state)
{
	struct scene s = pool_scene("tiny");
	struct page *page = fresh_page(&s), *other = fresh_page(&s);
	const struct pkmap_entry *entry;

	kmap(s.machine, page);
	entry = &s.machine->pkmap.entry[page->pkmap - 1];
	assert_int_equal(entry->count, 2);
	kmap(s.machine, page);
	assert_int_equal(entry->count, 3);
	kmap(s.machine, other);
	assert_int_not_equal(page->pkmap, other->pkmap);
	kunmap(s.machine, page);
	kunmap(s.machine, page);
	kunmap(s.machine, other);
	assert_int_equal(entry->count, 1);
	assert_int_equal(s.machine->pkmap.users, 0);
	page_put(s.machine, other);
	page_put(s.machine, page);
	/* Freed, and another's: it has its address still. */
	assert_ptr_equal(fresh_page(&s), page);
	assert_ptr_equal(entry->page, page);
	kmap(s.machine, page);
	assert_int_equal(entry->count, 2);
	assert_string_equal(fault_of(&s), "none");
	machine_destroy(s.machine);
}

/* Every third new page begins a round; a page that is in use is spared. */
static void rounds_begin_with_a_flush(void **state)
{
	struct scene s = pool_scene("tiny-counters");
	struct page *kept = fresh_page(&s), *page[6];
	struct machine_stats stats;

	kmap(s.machine, kept);
	for (uint32_t i = 0; i < 6; i++) {
		page[i] = fresh_page(&s);
		touch_through_pool(&s, page[i]);
		assert_int_equal(page[i]->token[0], page[i]->pfn);
	}
	assert_int_not_equal(kept->pkmap, 0);
	assert_int_equal(page[0]->pkmap, 0);
	assert_int_not_equal(page[5]->pkmap, 0);
	kunmap(s.machine, kept);
	machine_stats(s.machine, &stats);
	assert_int_equal(stats.pkmaps, 7);
	assert_int_equal(stats.pkmap_flushes, 3);
	assert_string_equal(fault_of(&s), "none");
	machine_destroy(s.machine);
}

/* A recount sees what is wrong with the pool itself. */
static void recount_judges_the_pool(void **state)
{
	struct scene s = pool_scene("tiny");
	struct page *page;
	char buf[192];

	run(&s, "fwrite f0 0");
	page = file_find_page(s.machine, s.machine->files[0], 0);
	assert_int_not_equal(page->pkmap, 0);
	s.machine->pkmap.entry[page->pkmap - 1].seen[1] = s.machine->zero_page;
	assert_non_null(strstr(machine_recount(s.machine, buf, sizeof(buf)), "TLBs disagree"));
	s.machine->pkmap.entry[page->pkmap - 1].seen[1] = NULL;
	assert_null(machine_recount(s.machine, buf, sizeof(buf)));
	s.machine->pkmap.users++;
	assert_non_null(strstr(machine_recount(s.machine, buf, sizeof(buf)), "1 users"));
	s.machine->pkmap.users--;
	machine_destroy(s.machine);
}

/* Two have the page mapped at a time: the writer, and inside of it the debugger. */
static void nested_ops_share_an_entry(void **state)
{
	const char *text = "rmapfuzz trace 1\nmmap p0 w0 1 rw shared|fixed f0 0\nread p0 w0\n"
			   "fwrite f0 0\n@kmap.held poke p0 w0\n";
	struct scene s = pool_scene("tiny");
	struct op_outcome outcomes[2];
	struct trace trace = {0};
	char error[128];

	trace_init(&trace, machine_config(s.machine));
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	machine_apply(s.machine, &trace.ops[0], &s.last);
	machine_apply(s.machine, &trace.ops[1], &s.last);
	machine_apply_group(s.machine, &trace.ops[2], 2, outcomes);
	assert_int_equal(outcomes[1].order, 1);
	assert_string_equal(fault_of(&s), "none");
	assert_int_equal(s.machine->pkmap.kmaps, 2);
	assert_int_equal(s.machine->pkmap.touched, 2); /* the first is number 1 */
	assert_int_equal(s.machine->pkmap.entry[1].count, 1);
	/* One that does not give it back is found out, whoever else has it. */
	s.machine->kmaps.lose_unmap = 5; /* after the one in vain, and three of entries */
	machine_apply_group(s.machine, &trace.ops[2], 2, outcomes);
	assert_string_equal(fault_of(&s), "left");
	trace_release(&trace);
	machine_destroy(s.machine);
}

/* ---- the finding -------------------------------------------------------------------------------
 */

static void it_is_a_finding(void **state)
{
	const char *text = "rmapfuzz trace 1\nmmap p0 w0 2 rw anon|fixed\nwrite p0 w1\n";
	struct diff_options options;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;
	char error[128];

	diff_options_init(&options);
	diff = diff_create(&options);
	trace_init(&trace, &machine_presets[0].config);
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	diff_begin(diff, &trace.config);
	assert_int_equal(diff_step(diff, &trace.ops[0], &finding), 0);
	diff_machine(diff, 1)->kmaps.lose_unmap = 1;
	assert_int_equal(diff_step(diff, &trace.ops[1], &finding), 1);
	assert_memory_equal(finding.signature, "kmap:write:pte_chain:", 21);
	assert_non_null(strstr(finding.message, "KM_PTE0"));
	trace_release(&trace);
	diff_destroy(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_seen),
		cmocka_unit_test(a_forgotten_one_is_seen),
		cmocka_unit_test(highpte_maps_tables),
		cmocka_unit_test(users_share_an_entry),
		cmocka_unit_test(rounds_begin_with_a_flush),
		cmocka_unit_test(recount_judges_the_pool),
		cmocka_unit_test(nested_ops_share_an_entry),
		cmocka_unit_test(it_is_a_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

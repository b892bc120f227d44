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
}

/* ---- in ops ---------------------------------------------------------------------------------- */

#define ANON "mmap p0 w0 4 rw anon|fixed", "write p0 w0", "write p0 w1"

/* What maps tables or contents; one kunmap of it is forgotten. */
static const struct {
	const char *before[6];
	const char *op;
} users[] = {
	{{"mmap p0 w0 4 rw anon|fixed"}, "write p0 w0"},
	{{"mmap p0 w0 4 rw anon|fixed"}, "read p0 w0"},
	{{ANON, "p1 = fork p0"}, "write p0 w0"},
	{{ANON}, "munmap p0 w0 2"},
	{{ANON}, "mprotect p0 w0 2 r"},
	{{ANON}, "mremap p0 w0 1 1 maymove|fixed w9"},
	{{ANON}, "p1 = fork p0"},
	{{ANON}, "swapout p0 w0"},
	{{ANON, "swapout p0 w0"}, "read p0 w0"},
	{{ANON}, "age p0 w0"},
	{{ANON}, "madvise p0 w0 2 pageout"},
	{{"mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0"}, "msync p0 w0 1 async"},
	{{"mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0"}, "mkclean f0"},
	{{"mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0"}, "truncate f0 0"},
	{{"mmap p0 w0 4 rw shared|fixed f0 0"}, "remap_file_pages p0 w0 1 2 -"},
	{{NULL}, "fread f0 0"},
	{{NULL}, "fwrite f0 0"},
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
	scene.machine->kmaps.lose_unmap = 1;
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
		cmocka_unit_test(it_is_a_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

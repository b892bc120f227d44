/*
 * TLBs: what processors remember, who owes a flush, and that one which is forgotten is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "internal.h"
#include "picture.h"

static void run_all(struct scene *s, const char *const *ops)
{
	for (; *ops; ops++)
		run(s, *ops);
}

static struct tlb_counters counters(struct scene *s)
{
	struct machine_stats stats;

	machine_stats(s->machine, &stats);
	return stats.tlb;
}

/* ---- who owes a flush ------------------------------------------------------------------ */

#define ANON    "mmap p0 w0 4 rw anon|fixed", "write p0 w0", "write p0 w1"
#define THREAD  "p1 = clone_vm p0"
#define FILE_RW "mmap p0 w0 4 rw shared|fixed f0 0", "write p0 w0", "write p0 w1"

/* Something that another processor goes by, and an op that must tell it. */
static const struct {
	const char *what;
	const char *before[8];
	const char *op;
} debts[] = {
	{"munmap", {ANON, THREAD, "read p1 w0"}, "munmap p0 w0 2"},
	{"a fixed mmap", {ANON, THREAD, "read p1 w0"}, "mmap p0 w0 1 r anon|fixed"},
	{"brk", {"brk p0 0x08101000", "write p0 0x08100000"}, "brk p0 0x08100000"},
	{"dontneed", {ANON, THREAD, "read p1 w1"}, "madvise p0 w0 2 dontneed"},
	{"the zero page", {"mmap p0 w0 1 rw anon|fixed", "read p0 w0"}, "munmap p0 w0 1"},
	{"less protection", {ANON, THREAD, "write p1 w0"}, "mprotect p0 w0 1 r"},
	{"no protection", {ANON, THREAD, "read p1 w0"}, "mprotect p0 w0 1 none"},
	{"mremap", {ANON, THREAD, "read p1 w1"}, "mremap p0 w1 1 1 maymove|fixed w8"},
	{"dontunmap", {ANON, THREAD, "read p1 w0"}, "mremap p0 w0 1 1 maymove|fixed|dontunmap w8"},
	{"fork", {ANON, THREAD, "write p1 w0"}, "p2 = fork p0"},
	{"a fork that fails",
	 {ANON, "mmap p0 0x70000000 1 rw anon|fixed", THREAD, "write p1 w0"},
	 "p2 = fork p0 (fail_nth: 10)"},
	{"copying", {ANON, THREAD, "p2 = fork p0", "read p1 w0"}, "write p0 w0"},
	{"copying zeroes", {"mmap p0 w0 1 rw anon|fixed", THREAD, "read p1 w0"}, "write p0 w0"},
	{"unmapping", {FILE_RW, THREAD, "read p1 w0"}, "evict p0 w0"},
	{"swapping", {ANON, THREAD, "read p1 w0"}, "swapout p0 w0"},
	{"migration", {ANON, THREAD, "read p1 w0"}, "migrate p0 w0"},
	{"truncation", {FILE_RW, THREAD, "read p1 w1"}, "truncate f0 1"},
	{"a hole", {FILE_RW, THREAD, "read p1 w1"}, "fpunch f0 1 1"},
	{"mkclean", {FILE_RW, THREAD, "write p1 w0"}, "mkclean f0"},
	{"msync", {FILE_RW, THREAD, "write p1 w0"}, "msync p0 w0 1 async"},
	{"exchanged pages", {FILE_RW, THREAD, "read p1 w0"}, "remap_file_pages p0 w0 1 5 -"},
	{"exchanged later", {FILE_RW, THREAD, "read p1 w0"}, "remap_file_pages p0 w0 1 9 nonblock"},
	{"nonlinear dontneed",
	 {FILE_RW, "remap_file_pages p0 w0 1 5 -", "read p0 w0"},
	 "madvise p0 w0 1 dontneed"},
	{"exit", {ANON}, "exit p0"},
	{"exec", {ANON, THREAD, "exit p0"}, "exec p1"},
};

/* Done right, the op leaves nothing behind that is wrong; its flushes are all there. */
static void pays(struct scene *s, size_t i)
{
	run_all(s, debts[i].before);
	run(s, debts[i].op); /* recounts */
	assert_null(machine_tlb_fault(s->machine));
}

/* The flush does not come, and the op is found out. */
static void owes(struct scene *s, size_t i)
{
	struct machine *machine = s->machine;
	struct trace trace = {0};
	struct result result;
	char error[128], text[128];

	run_all(s, debts[i].before);
	trace_init(&trace, machine_config(machine));
	snprintf(text, sizeof(text), "rmapfuzz trace 1\n%s\n", debts[i].op);
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	machine->cpus.lose_flush = 1;
	machine_apply(machine, &trace.ops[0], &result);
	if (!machine_tlb_fault(machine))
		fail_msg("%s: a flush is lost in %s, and nobody sees it",
			 machine_rmap(machine)->name, debts[i].what);
	assert_non_null(machine_recount(machine, error, sizeof(error)));
	assert_non_null(strstr(error, "a flush is missing"));
	trace_release(&trace);
}

static void each_design(const char *config, void (*play)(struct scene *s, size_t i), size_t i)
{
	for (uint32_t b = 0; rmap_backends[b]; b++) {
		struct scene scene = {0};
		struct machine_config parsed;
		char error[128];

		assert_int_equal(machine_config_parse(&parsed, config, error, sizeof(error)), 0);
		scene.machine = machine_create(&parsed, rmap_backends[b]);
		play(&scene, i);
		machine_destroy(scene.machine);
	}
}

static void every_flush_is_owed(void **state)
{
	for (size_t i = 0; i < sizeof(debts) / sizeof(debts[0]); i++) {
		each_design("tiny", pays, i);
		each_design("tiny era=2.6.6", pays, i);
		/* In 2.6.7, who unmaps has flushed before, because the entry was young. */
		each_design("tiny era=2.6.6", owes, i);
	}
}

/* ---- what a stale entry does ---------------------------------------------------------------- */

/* A processor that was not told reads what was there before, or what a stranger wrote there. */
static void stale_entries_are_used(void **state)
{
	struct machine *machine = machine_create(&machine_presets[0].config, rmap_find("anon_vma"));
	struct scene scene = {.machine = machine}, *s = &scene;
	struct op op = {.code = OP_munmap, .args = {0, WINDOW_BASE, 1}};
	uint64_t written;

	run_all(s, (const char *const[]){ANON, THREAD, "read p1 w0", NULL});
	written = s->last.token;
	assert_int_equal(written, token_write(1));
	machine->cpus.lose_flush = 1;
	machine_apply(machine, &op, &s->last);
	assert_int_equal(machine_tlb_fault(machine)->kind, TLB_FREED);
	op = (struct op){.code = OP_read, .args = {1, WINDOW_BASE}};
	machine_apply(machine, &op, &s->last);
	assert_int_equal(s->last.err, 0); /* on p0's processor it would be SEGV, and here, too */
	assert_int_not_equal(s->last.token, written);
	machine_destroy(machine);
}

/* A TLB entry that allows less than the page table is no fault, and not gone by. */
static void stricter_entries_are_walked_around(struct scene *s)
{
	run_all(s, (const char *const[]){ANON, "mprotect p0 w0 1 r", THREAD, "read p1 w0",
					 "mprotect p0 w0 1 rw", NULL});
	assert_int_equal(run(s, "write p1 w0"), 0);
	assert_int_equal(run(s, "write p1 w0"), 0);
	assert_int_equal(run(s, "read p0 w0"), 0);
	assert_int_equal(s->last.token, token_write(s->serial - 2));
}

static void hits_and_misses(struct scene *s)
{
	struct tlb_counters before, after;

	run_all(s, (const char *const[]){ANON, NULL});
	before = counters(s);
	run(s, "read p0 w0");
	run(s, "write p0 w1");
	after = counters(s);
	assert_int_equal(after.hits - before.hits, 2);
	assert_int_equal(after.misses - before.misses, 0);
	assert_int_equal(after.kernel_entries - before.kernel_entries, 0);
	run(s, "p1 = clone_vm p0");
	before = counters(s);
	run(s, "read p1 w0"); /* another processor */
	after = counters(s);
	assert_int_equal(after.misses - before.misses, 1);
	assert_int_equal(after.cr3_loads - before.cr3_loads, 1);
	before = counters(s);
	run(s, "munmap p0 w0 1");
	after = counters(s);
	assert_int_equal(after.flushes - before.flushes, 1);
	assert_int_equal(after.ipis - before.ipis, 1);
	assert_int_equal(run(s, "read p1 w0"), RES_SEGV);
}

/* Another mm in cr3 means an empty TLB. */
static void a_switch_forgets(struct scene *s)
{
	struct tlb_counters before, after;

	run_all(s, (const char *const[]){ANON, "p2 = fork p0", "read p0 w0", "read p2 w0", NULL});
	before = counters(s);
	run(s, "read p0 w0");
	run(s, "read p0 w0");
	after = counters(s);
	assert_int_equal(after.cr3_loads - before.cr3_loads, 1);
	assert_int_equal(after.misses - before.misses, 1);
	assert_int_equal(after.hits - before.hits, 1);
}

/* Accessed is cleared with a flush in 2.6.7, and without one in 2.6.6. */
static void young_again(struct scene *s)
{
	bool flushed = machine_config(s->machine)->era != ERA_2_6_6;

	run_all(s, (const char *const[]){ANON, "age p0 w0", "age p0 w0", "read p0 w0", NULL});
	run(s, "age p0 w0");
	assert_int_equal(s->last.value, flushed ? 1 : 0);
}

static void what_processors_do(void **state)
{
	on_every_backend("tiny", stricter_entries_are_walked_around);
	on_every_backend("tiny", hits_and_misses);
	on_every_backend("tiny", a_switch_forgets);
	on_every_backend("tiny era=2.6.6", young_again);
	on_every_backend("tiny", young_again);
}

/* ---- 4:4 ------------------------------------------------------------------------------------ */

/* mmap, a fault, fork: three entries; an access that does not fault is none. A 4:4 split loads cr3
 * on the way in and on the way out, and so nothing is left in the TLB. */
static void entries_are_counted(struct scene *s)
{
	bool split = machine_config(s->machine)->split == SPLIT_4_4;
	struct tlb_counters before = counters(s), after;

	run_all(s, (const char *const[]){"mmap p0 w0 4 rw anon|fixed", "write p0 w0", "read p0 w0",
					 "p2 = fork p0", "swapout p0 w3", NULL});
	after = counters(s);
	assert_int_equal(after.kernel_entries - before.kernel_entries, 3);
	assert_int_equal(after.cr3_loads - before.cr3_loads, split ? 1 + 2 * 3 : 1);
	run(s, "read p0 w0");
	before = counters(s);
	run(s, "msync p0 w0 1 async");
	run(s, "read p0 w0");
	after = counters(s);
	assert_int_equal(after.misses - before.misses, split ? 1 : 0);
}

static void split_4_4_flushes(void **state)
{
	on_every_backend("1g", entries_are_counted);
	on_every_backend("1g split=4:4", entries_are_counted);
}

/* ---- between clearing and flushing ------------------------------------------------------------
 */

#define HEADER "rmapfuzz trace 1\n"

/* A trace in lockstep on all designs, with the model. Returns whether something was found. */
static int lockstep(struct diff *diff, const char *text, struct finding *finding)
{
	struct trace trace = {0};
	char error[128];
	int found;

	trace_init(&trace, &machine_presets[0].config);
	if (trace_parse(&trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s", error);
	found = diff_run_expect(diff, &trace, finding);
	trace_release(&trace);
	return found;
}

/* While the entry is cleared and nobody is told, a thread reads and writes the frame as before, and
 * the frame is not free yet: as if it had come first. */
static const char *const in_time[] = {
	HEADER "mmap p0 w0 2 rw anon|fixed\nwrite p0 w0\nwrite p0 w1\np1 = clone_vm p0\n"
	       "read p1 w0\n"
	       "munmap p0 w0 2\n"
	       "  @zap.after_free_before_flush:2 read p1 w0 = write 1\n"
	       "read p1 w0 = SEGV\n",
	HEADER "mmap p0 w0 2 rw shared|fixed f0 0\nwrite p0 w0\np1 = clone_vm p0\nwrite p1 w0\n"
	       "madvise p0 w0 2 dontneed\n"
	       "  @zap.after_free_before_flush write p1 w0\n"
	       "read p1 w0 = write 5\n",
	HEADER "mmap p0 w0 2 rw anon|fixed\nwrite p0 w0\nwrite p0 w1\np1 = clone_vm p0\n"
	       "write p1 w0\n"
	       "p2 = fork p0\n"
	       "  @fork.per_pte:2 write p1 w0\n"
	       "read p2 w0 = write 6\n"
	       "read p0 w0 = write 6\n",
};

static void threads_use_what_is_not_flushed(void **state)
{
	struct diff_options options;
	struct finding finding;
	struct diff *diff;

	diff_options_init(&options);
	diff = diff_create(&options);
	for (size_t i = 0; i < sizeof(in_time) / sizeof(in_time[0]); i++) {
		if (lockstep(diff, in_time[i], &finding))
			fail_msg("%zu: %s: %s", i, finding.signature, finding.message);
		assert_true(diff_stats(diff)->traces > i);
	}
	diff_destroy(diff);
}

/* ---- the finding ------------------------------------------------------------------------------
 */

/* It is told at the op that forgot it, by the design's name and with the page. */
static void a_lost_flush_is_a_finding(void **state)
{
	const char *text = HEADER "mmap p0 w0 2 rw anon|fixed\nwrite p0 w1\nmprotect p0 w0 2 r\n";
	struct diff_options options;
	struct finding finding;
	struct diff *diff;
	struct trace trace = {0};
	char error[128];

	diff_options_init(&options);
	diff = diff_create(&options);
	trace_init(&trace, &machine_presets[0].config);
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	diff_begin(diff, &trace.config);
	assert_int_equal(diff_step(diff, &trace.ops[0], &finding), 0);
	assert_int_equal(diff_step(diff, &trace.ops[1], &finding), 0);
	diff_machine(diff, 1)->cpus.lose_flush = 1;
	assert_int_equal(diff_step(diff, &trace.ops[2], &finding), 1);
	assert_string_equal(finding.signature, "tlb:mprotect:pte_chain:stale");
	assert_int_equal(finding.page.proc, 0);
	assert_int_equal(finding.page.vpn, WINDOW_BASE / PAGE_SIZE + 1);
	assert_non_null(strstr(finding.message, "cpu 0"));
	trace_release(&trace);
	diff_destroy(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flush_is_owed),
		cmocka_unit_test(stale_entries_are_used),
		cmocka_unit_test(what_processors_do),
		cmocka_unit_test(split_4_4_flushes),
		cmocka_unit_test(threads_use_what_is_not_flushed),
		cmocka_unit_test(a_lost_flush_is_a_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

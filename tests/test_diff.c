/*
 * The lockstep driver: what it finds, what it excuses, what it says about it. Checks are also shown
 * made-up events, for disagreements that no machine can be talked into.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../diff/internal.h"

/* ---- running a trace given as text -------------------------------------------------------- */

#define HEADER "rmapfuzz trace 1\nmachine tiny\n"

struct fixture {
	struct diff_options options;
	struct diff *diff;
	struct trace trace;
	struct finding finding;
};

/* Backends by name, ending with NULL; none: all. */
static void set_up(struct fixture *f, const char *const names[])
{
	memset(f, 0, sizeof(*f));
	diff_options_init(&f->options);
	trace_init(&f->trace, &machine_presets[0].config);
	if (!names)
		return;
	f->options.nr_backends = 0;
	for (; *names; names++)
		f->options.backends[f->options.nr_backends++] = rmap_find(*names);
}

static void tear_down(struct fixture *f)
{
	diff_destroy(f->diff);
	trace_release(&f->trace);
}

static int run(struct fixture *f, const char *text)
{
	char error[160] = "";
	int err = trace_parse(&f->trace, text, strlen(text), error, sizeof(error));

	assert_string_equal(error, "");
	assert_int_equal(err, 0);
	if (!f->diff)
		f->diff = diff_create(&f->options);
	return diff_run_expect(f->diff, &f->trace, &f->finding);
}

static void expect_clean(struct fixture *f, const char *text)
{
	if (!run(f, text))
		return;
	finding_print(&f->finding, &f->trace, stderr);
	fail();
}

static void expect_found(struct fixture *f, const char *text, const char *signature)
{
	assert_int_equal(run(f, text), 1);
	assert_string_equal(f->finding.signature, signature);
}

static uint64_t excused(const struct fixture *f, enum diff_excuse excuse)
{
	return diff_stats(f->diff)->excuses[excuse];
}

static const char shared_page[] = HEADER "mmap p0 w0 2 rw anon|fixed\n"
					 "write p0 w0\n"
					 "p1 = fork p0\n"
					 "age p0 w0\n"
					 "swapout p1 w0\n"
					 "read p0 w0\n";

/* ---- running -----------------------------------------------------------------------------------
 */

static void a_good_trace_is_clean(void **state)
{
	const struct diff_stats *stats;
	struct fixture f;

	set_up(&f, NULL);
	expect_clean(&f, shared_page);
	stats = diff_stats(f.diff);
	assert_int_equal(stats->traces, 1);
	assert_int_equal(stats->ops, 6);
	assert_int_equal(stats->op_count[OP_swapout], 1);
	assert_int_equal(stats->op_ok[OP_swapout], 1);
	assert_true(stats->walks >= 2);
	assert_true(stats->unmaps_compared >= 2 * (f.options.nr_backends - 1));
	assert_int_equal(stats->recounts, f.options.nr_backends);
	tear_down(&f);
}

static void steps_are_the_same_as_a_run(void **state)
{
	struct fixture f;
	uint64_t hash;

	set_up(&f, NULL);
	expect_clean(&f, shared_page);
	hash = diff_hash(f.diff);
	diff_begin(f.diff, &f.trace.config);
	for (uint32_t i = 0; i < f.trace.nr_ops; i++) {
		assert_int_equal(diff_step(f.diff, &f.trace.ops[i], &f.finding), 0);
		assert_int_equal(diff_last_op(f.diff)->code, f.trace.ops[i].code);
		assert_int_equal(diff_last_result(f.diff)->err, 0);
	}
	assert_true(machine_proc_alive(diff_machine(f.diff, 0), 1));
	assert_null(diff_machine(f.diff, f.options.nr_backends));
	assert_int_equal(diff_end(f.diff, &f.finding), 0);
	assert_true(diff_hash(f.diff) == hash);
	expect_clean(&f, HEADER "mmap p0 w0 2 rw anon|fixed\nread p0 w0\n");
	assert_true(diff_hash(f.diff) != hash);
	tear_down(&f);
}

static void recounts_change_nothing(void **state)
{
	uint64_t hash[3];

	for (uint32_t i = 0; i < 3; i++) {
		static const uint32_t every[] = {0, 1, 3};
		struct fixture f;

		set_up(&f, NULL);
		f.options.check_every = every[i];
		expect_clean(&f, shared_page);
		hash[i] = diff_hash(f.diff);
		tear_down(&f);
	}
	assert_true(hash[0] == hash[1]);
	assert_true(hash[0] == hash[2]);
}

static void works_without_the_model(void **state)
{
	struct fixture f;

	set_up(&f, NULL);
	f.options.model = false;
	expect_clean(&f, shared_page);
	assert_int_equal(diff_stats(f.diff)->check_count[CHECK_MODEL], 0);
	tear_down(&f);
}

static void the_canary_is_found(void **state)
{
	struct fixture f;

	set_up(&f, NULL);
	f.options.canary = 2;
	expect_found(&f, shared_page, "canary:write:scan:planted");
	assert_int_equal(f.finding.check, CHECK_CANARY);
	assert_int_equal(f.finding.op_index, 1);
	tear_down(&f);
}

/* ---- excuses
 * ------------------------------------------------------------------------------------- */

/*
 * scan joins all three pages; anon_vma has two areas, since w0 and w2 have anon_vmas of their own:
 *     scan      |aaa|
 *     anon_vma  |aa|b|
 */
#define THREE_PAGES                                                                                \
	HEADER "mmap p0 w0 1 rw anon|fixed\n"                                                      \
	       "write p0 w0\n"                                                                     \
	       "mmap p0 w2 1 rw anon|fixed\n"                                                      \
	       "write p0 w2\n"                                                                     \
	       "mmap p0 w1 1 rw anon|fixed\n"

static const char *const two[] = {"scan", "anon_vma", NULL};

static void mremap_over_a_boundary_is_narrowed(void **state)
{
	struct fixture f;

	set_up(&f, two);
	expect_clean(&f, THREE_PAGES "mremap p0 w0 3 3 maymove|fixed w8\n"
				     "# expect: p0 w0 ..w.....w-.\n");
	assert_int_equal(excused(&f, EXCUSE_MREMAP_NARROWED), 1);
	assert_int_equal(diff_last_op(f.diff)->args[3], 2);
	assert_int_equal(diff_last_op(f.diff)->args[4], 2);

	/* One of them could grow in place, were its area alone asked. */
	expect_clean(&f, THREE_PAGES "mremap p0 w0 2 9 maymove\n");
	assert_int_equal(excused(&f, EXCUSE_MREMAP_NARROWED), 2);
	assert_int_equal(diff_last_op(f.diff)->args[3], 1);
	assert_int_equal(diff_last_op(f.diff)->args[4], 9);

	/* A single page that ends an area for one of them: nothing is asked. */
	expect_clean(&f, THREE_PAGES "mremap p0 w1 1 9 maymove\n");
	assert_int_equal(excused(&f, EXCUSE_MREMAP_NARROWED), 3);
	assert_int_equal(diff_last_op(f.diff)->args[4], 1);

	/* Shorter, or all the same to both: left alone. */
	expect_clean(&f, THREE_PAGES "mremap p0 w0 3 1 -\n");
	expect_clean(&f, THREE_PAGES "mremap p0 w0 1 1 maymove|fixed w9\n");
	expect_clean(&f, THREE_PAGES "mremap p0 w5 1 2 maymove\n");
	assert_int_equal(excused(&f, EXCUSE_MREMAP_NARROWED), 3);
	tear_down(&f);
}

static void a_design_out_of_memory_leaves(void **state)
{
	static const char *const names[] = {"pte_chain", "scan", NULL};
	struct fixture f;

	set_up(&f, names);
	expect_clean(&f, HEADER "mmap p0 w0 2 rw anon|fixed\n"
				"write p0 w0\n"
				/* so says scan, which is the reference from here on */
				"p1 = fork p0 (fail_meta: 1) = ok\n"
				"write p1 w0\n"
				"swapout p0 w0\n");
	assert_int_equal(excused(&f, EXCUSE_META_FAILURE), 1);
	assert_false(machine_proc_alive(diff_machine(f.diff, 0), 1));

	/* All fail alike: nobody leaves. */
	f.options.nr_backends = 1;
	diff_destroy(f.diff);
	f.diff = NULL;
	expect_clean(&f, HEADER "mmap p0 w0 2 rw anon|fixed\n"
				"write p0 w0\n"
				"p1 = fork p0 (fail_meta: 1) = ENOMEM\n");
	assert_int_equal(excused(&f, EXCUSE_META_FAILURE), 0);
	tear_down(&f);
}

static void a_design_with_other_areas_leaves(void **state)
{
	struct fixture f;

	set_up(&f, two);
	expect_clean(&f, THREE_PAGES "munmap p0 w2 1 (fail_nth: 1) = ENOMEM\n");
	assert_int_equal(excused(&f, EXCUSE_AREA_FAILURE), 1);

	/* Reclaim that only one of them runs, without a trace in results or entries. */
	expect_clean(&f, THREE_PAGES "evict p0 w0\n"
				     "munmap p0 w2 1 (reclaim_nth: 1)\n"
				     "write p0 w1\n");
	assert_int_equal(excused(&f, EXCUSE_AREA_FAILURE), 2);

	/* Where areas are equal, so is the failure. */
	expect_clean(&f, HEADER "mmap p0 w0 3 rw anon|fixed\n"
				"munmap p0 w1 1 (fail_nth: 1) = ENOMEM\n");
	assert_int_equal(excused(&f, EXCUSE_AREA_FAILURE), 2);
	tear_down(&f);
}

/* Run random traces of CONFIG until every excuse in WANTED, a bit each, has been used. */
static void fires(struct fixture *f, const struct machine_config *config, uint32_t wanted)
{
	const struct generate_options how = {.nr_ops = 64, .faults = true, .actors = true};

	f->diff = diff_create(&f->options);
	for (uint64_t seed = 0; wanted && seed < 20000; seed++) {
		generate_trace(&f->trace, config, seed, &how);
		if (diff_run(f->diff, &f->trace, &f->finding)) {
			finding_print(&f->finding, &f->trace, stderr);
			fail();
		}
		for (int i = 0; i < NR_EXCUSES; i++) {
			if (excused(f, (enum diff_excuse)i))
				wanted &= ~(1u << i);
		}
	}
	assert_int_equal(wanted, 0);
}

static void every_excuse_fires(void **state)
{
	static const char *const one[] = {"anon_vma", NULL};
	const uint32_t alone = 1u << EXCUSE_CLUSTERS | 1u << EXCUSE_CLUSTER_CURSOR;
	struct machine_config config = machine_presets[0].config;
	struct fixture f;

	set_up(&f, NULL);
	fires(&f, &config, ((1u << NR_EXCUSES) - 1) & ~alone & ~(1u << EXCUSE_SINGLE_FRAMES));
	tear_down(&f);
	set_up(&f, NULL);
	fires(&f, &machine_preset_find("tiny-pgcl2")->config, 1u << EXCUSE_SINGLE_FRAMES);
	tear_down(&f);

	config.nonlinear = NONLINEAR_CLUSTER;
	set_up(&f, one);
	fires(&f, &config, alone);
	tear_down(&f);
}

#define CLUSTERS                                                                                   \
	"rmapfuzz trace 1\nmachine tiny nonlinear=cluster\n"                                       \
	"mmap p0 w0 40 rw shared|fixed f1 0\n"                                                     \
	"remap_file_pages p0 w0 2 8 -\n"                                                           \
	"age p0 w0\n"                                                                              \
	"evict p0 w1 = success\n"

/* Side by side there are no clusters, and so no excuse. */
static void clusters_are_for_one_alone(void **state)
{
	static const char *const one[] = {"anon_vma", NULL};
	struct fixture f;

	set_up(&f, two);
	expect_clean(&f, CLUSTERS "# expect: p0 w0 wo-\n");
	assert_int_equal(excused(&f, EXCUSE_CLUSTERS), 0);
	tear_down(&f);

	set_up(&f, one);
	expect_clean(&f, CLUSTERS "# expect: p0 w0 oo-\n");
	assert_true(excused(&f, EXCUSE_CLUSTERS) > 0);
	tear_down(&f);
}

static void excuses_have_names(void **state)
{
	for (int i = 0; i < NR_EXCUSES; i++) {
		char sentence[128];

		snprintf(sentence, sizeof(sentence), "%s: some reason",
			 diff_excuse_name((enum diff_excuse)i));
		assert_int_equal(excuse_named(sentence), i);
		assert_true(strlen(diff_excuse_reason((enum diff_excuse)i)) > 20);
	}
	assert_int_equal(excuse_named("because: I say so"), -1);
}

/* ---- expectations
 * ----------------------------------------------------------------------------------- */

static void expectations_are_checked(void **state)
{
	struct fixture f;

	set_up(&f, NULL);
	expect_found(&f, HEADER "read p0 w0 = ok\n", "expect:read:scan:result");
	assert_non_null(strstr(f.finding.message, "line 3"));
	assert_non_null(strstr(f.finding.message, "SEGV"));
	expect_found(&f, HEADER "mmap p0 w0 2 rw anon|fixed = 0x60001000\n",
		     "expect:mmap:scan:result");
	expect_found(&f, HEADER "mmap p0 w0 2 rw anon|fixed\nread p0 w0\n# expect: p0 w0 w-\n",
		     "expect:read:scan:pages");
	expect_found(&f,
		     HEADER "mmap p0 w0 1 rw anon|fixed\nwrite p0 w0\np1 = fork p0\n"
			    "# expect: mappers p0 w0 1\n",
		     "expect:fork:scan:mappers");
	expect_found(&f, HEADER "# expect: p0 w0 w\nmmap p0 w0 2 rw anon|fixed\n",
		     "expect:mmap:scan:pages");
	expect_clean(&f, HEADER "# expect: clean\nmmap p0 w0 2 rw anon|fixed\n"
				"# expect: p0 w0 --.\n");
	tear_down(&f);
}

static void an_expected_finding_passes(void **state)
{
	struct fixture f;

	set_up(&f, NULL);
	f.options.canary = 1;
	expect_clean(&f, HEADER "# expect: canary:read:scan:planted\nread p0 w0\n");
	expect_found(&f, HEADER "# expect: canary:write:scan:planted\nread p0 w0\n",
		     "canary:read:scan:planted");
	tear_down(&f);
	set_up(&f, NULL);
	expect_found(&f, HEADER "# expect: canary:read:scan:planted\nread p0 w0\n",
		     "expect:end:scan:nothing-found");
	tear_down(&f);
}

/* ---- designs that do wrong
 * ------------------------------------------------------------------------------ */

/* Refuses every page without having been told to fail. */
static int refuse(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		  struct ptep pte)
{
	return -ENOMEM;
}

static struct rmap_ops refuser(void)
{
	struct rmap_ops ops = *rmap_find("scan");

	ops.name = "refuser";
	ops.add = refuse;
	return ops;
}

static const char one_write[] = HEADER "mmap p0 w0 1 rw anon|fixed\nwrite p0 w0\n";

static void another_result_is_found(void **state)
{
	struct rmap_ops wrong = refuser();
	struct fixture f;

	set_up(&f, NULL);
	f.options.backends[f.options.nr_backends++] = &wrong;
	expect_found(&f, one_write, "result:write:refuser:error");
	assert_string_equal(f.finding.against, "scan");
	tear_down(&f);
}

static void the_model_finds_what_all_do_wrong(void **state)
{
	struct rmap_ops wrong = refuser();
	struct fixture f;

	set_up(&f, NULL);
	f.options.backends[0] = &wrong;
	f.options.nr_backends = 1;
	expect_found(&f, one_write, "model:write:refuser:expected-success-got-ENOMEM");
	tear_down(&f);
}

static const char *unhappy(struct machine *machine)
{
	return "rmap: link 7 of page 12 is dangling";
}

static void a_design_that_fails_its_own_check_is_found(void **state)
{
	struct rmap_ops wrong = *rmap_find("scan");
	struct fixture f;

	wrong.name = "unhappy";
	wrong.check = unhappy;
	set_up(&f, NULL);
	f.options.backends[0] = &wrong;
	f.options.nr_backends = 1;
	f.options.check_every = 1;
	assert_int_equal(run(&f, one_write), 1);
	assert_int_equal(f.finding.check, CHECK_STRUCTURE);
	assert_int_equal(strncmp(f.finding.signature, "structure:mmap:unhappy:", 23), 0);
	assert_null(strpbrk(f.finding.signature, "0123456789"));
	tear_down(&f);
}

/* ---- checks, shown made-up events
 * ------------------------------------------------------------------------- */

struct stage {
	struct diff diff;
	struct finding finding;
	struct event events[2][16];
};

/* Two subjects, both with EVENTS (N of them). */
static void stage_set(struct stage *stage, const struct event *events, size_t n)
{
	memset(stage, 0, sizeof(*stage));
	stage->diff.nr = 2;
	stage->diff.finding = &stage->finding;
	stage->diff.op.code = OP_swapout;
	stage->diff.reference = stage->diff.subjects;
	for (int i = 0; i < 2; i++) {
		struct subject *s = &stage->diff.subjects[i];

		memcpy(stage->events[i], events, n * sizeof(*events));
		s->name = i ? "b" : "a";
		s->events = stage->events[i];
		s->nr_events = n;
		s->walked = true;
		s->same = i == 0;
	}
}

static void stage_clear(struct stage *stage)
{
	free(stage->diff.census.key);
	free(stage->diff.visits.key);
	free(stage->diff.drops.key);
	free(stage->diff.other_drops.key);
	free(stage->diff.set.event);
	free(stage->diff.other_set.event);
}

/* An entry written, a walk that drops two of two, another entry. */
static const struct event walk[] = {
	{EVENT_PTE, 0, 0, 5, 1},      {EVENT_WALK, WALK_UNMAP, 1, 7, 2},
	{EVENT_CENSUS, 0, 1, 7, 0},   {EVENT_CENSUS, 0, 0, 7, 0},
	{EVENT_PTE, 0, 1, 7, 0x100},  {EVENT_VISIT, RMAP_DROP, 1, 7, 0},
	{EVENT_PTE, 0, 0, 7, 0x100},  {EVENT_VISIT, RMAP_DROP, 0, 7, 0},
	{EVENT_WALK_END, 0, 1, 7, 0}, {EVENT_PTE, 0, 0, 5, 0},
};
#define NR_WALK (sizeof(walk) / sizeof(walk[0]))

static void swap_events(struct event *a, struct event *b)
{
	struct event t = *a;

	*a = *b;
	*b = t;
}

static void order_inside_a_walk_is_free(void **state)
{
	struct stage stage;

	stage_set(&stage, walk, NR_WALK);
	swap_events(&stage.events[1][4], &stage.events[1][6]);
	swap_events(&stage.events[1][5], &stage.events[1][7]);
	assert_false(check_unmapped(&stage.diff));
	assert_false(check_sets(&stage.diff));
	assert_false(check_ptes(&stage.diff));
	assert_int_equal(stage.diff.stats.unmaps_compared, 2);
	stage_clear(&stage);
}

static void expect_stage(struct stage *stage, bool (*check)(struct diff *diff),
			 const char *signature)
{
	assert_true(check(&stage->diff));
	assert_string_equal(stage->finding.signature, signature);
	stage_clear(stage);
}

static void walks_are_held_against_the_census(void **state)
{
	struct stage stage;

	/* It shows one of two, and leaves the other. */
	stage_set(&stage, walk, NR_WALK);
	stage.events[1][7].kind = EVENT_PTE;
	stage.events[1][8].value = 1;
	expect_stage(&stage, check_unmapped, "unmapped:swapout:b:missed");
	assert_int_equal(stage.finding.nr_found, 1);
	assert_int_equal(stage.finding.nr_expected, 2);

	/* The same is right if the visitor wanted no more. */
	stage_set(&stage, walk, NR_WALK);
	stage.events[1][7].kind = EVENT_PTE;
	stage.events[1][5].aux = RMAP_STOP;
	stage.events[1][8].value = 2;
	assert_false(check_unmapped(&stage.diff));
	stage_clear(&stage);

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][3].kind = EVENT_PTE;
	stage.events[1][7].mm = 1;
	stage.events[1][8].value = 1;
	expect_stage(&stage, check_unmapped, "unmapped:swapout:b:twice");

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][6] = (struct event){EVENT_STALE, 0, 3, 7, 0};
	expect_stage(&stage, check_unmapped, "unmapped:swapout:b:stale");
}

static void sets_are_held_against_each_other(void **state)
{
	struct stage stage;

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][7].aux = RMAP_KEEP;
	expect_stage(&stage, check_sets, "sets:swapout:b:fewer");
	assert_int_equal(stage.finding.nr_found, 1);
	assert_int_equal(stage.finding.nr_expected, 2);

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][5].vpn = 8;
	expect_stage(&stage, check_sets, "sets:swapout:b:others");

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][2].vpn = 9;
	expect_stage(&stage, check_sets, "sets:swapout:b:walks");

	stage_set(&stage, walk, NR_WALK);
	stage.diff.subjects[1].nr_events = 1;
	expect_stage(&stage, check_sets, "sets:swapout:b:walks");
}

static void entries_are_held_against_each_other(void **state)
{
	struct stage stage;

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][0].value = 2;
	expect_stage(&stage, check_ptes, "ptes:swapout:b:value");
	assert_int_equal(stage.finding.page.vpn, 5);

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][0].vpn = 6;
	expect_stage(&stage, check_ptes, "ptes:swapout:b:entry");

	stage_set(&stage, walk, NR_WALK);
	stage.events[1][4].value = 0x200;
	expect_stage(&stage, check_ptes, "ptes:swapout:b:value");

	stage_set(&stage, walk, NR_WALK);
	stage.diff.subjects[1].nr_events--;
	expect_stage(&stage, check_ptes, "ptes:swapout:b:fewer");

	stage_set(&stage, walk, NR_WALK);
	stage.diff.subjects[0].nr_events--;
	expect_stage(&stage, check_ptes, "ptes:swapout:b:more");

	stage_set(&stage, walk, NR_WALK);
	stage.events[0][9].kind = stage.events[1][9].kind = EVENT_FILL;
	stage.events[1][9].value = 77;
	expect_stage(&stage, check_ptes, "ptes:swapout:b:fill");
}

static void results_are_held_against_each_other(void **state)
{
	struct stage stage;

	stage_set(&stage, walk, NR_WALK);
	assert_false(check_results(&stage.diff));
	stage.diff.subjects[1].result.value = 1;
	expect_stage(&stage, check_results, "result:swapout:b:value");
	stage.diff.subjects[1].result = (struct result){0, 0, 5};
	expect_stage(&stage, check_results, "result:swapout:b:token");
	stage.diff.subjects[1].result = (struct result){RES_BUS, 0, 0};
	expect_stage(&stage, check_results, "result:swapout:b:error");
	stage.diff.subjects[1].alone = true;
	assert_false(check_results(&stage.diff));
}

/* ---- sorting, words
 * ------------------------------------------------------------------------------------------ */

static void keys_are_sorted(void **state)
{
	struct keys keys = {0};
	uint64_t x = 1;

	for (int i = 0; i < 1000; i++)
		keys_add(&keys, x = x * 6364136223846793005ull + 1442695040888963407ull);
	keys_sort(&keys);
	for (size_t i = 1; i < keys.n; i++)
		assert_true(keys.key[i - 1] <= keys.key[i]);
	free(keys.key);
}

static void signatures_hold_no_numbers(void **state)
{
	char buf[32], tiny[8];

	slug("page 12: mapcount is 3, should be 4", buf, sizeof(buf));
	assert_string_equal(buf, "page-mapcount-is-should-be");
	slug("12 0x34 5a", buf, sizeof(buf));
	assert_string_equal(buf, "");
	slug("one two three", tiny, sizeof(tiny));
	assert_string_equal(tiny, "one-two");
}

static void names_are_readable(void **state)
{
	char buf[16];

	assert_string_equal(page_name(WINDOW_BASE / PAGE_SIZE + 3, buf, sizeof(buf)), "w3");
	assert_string_equal(page_name(0x8100, buf, sizeof(buf)), "0x08100000");
	assert_string_equal(err_name(0, buf, sizeof(buf)), "success");
	assert_string_equal(err_name(-EFAULT, buf, sizeof(buf)), "EFAULT");
	assert_string_equal(err_name(RES_SEGV, buf, sizeof(buf)), "SEGV");
	assert_string_equal(err_name(RES_BUS, buf, sizeof(buf)), "BUS");
	assert_string_equal(err_name(4711, buf, sizeof(buf)), "4711");
}

/* The report, as a string to be freed. */
static char *report_of(const struct finding *finding, const struct trace *trace)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	finding_print(finding, trace, out);
	fclose(out);
	return text;
}

static void a_report_marks_the_guilty_op(void **state)
{
	struct fixture f;
	char *text;

	set_up(&f, NULL);
	f.options.canary = 2;
	assert_int_equal(run(&f, shared_page), 1);
	find_page(&f.finding, 1, WINDOW_BASE / PAGE_SIZE);
	for (uint32_t i = 0; i < FINDING_SET_MAX + 2; i++)
		find_found(&f.finding, 0, WINDOW_BASE / PAGE_SIZE + i);
	find_expected(&f.finding, 0, 0x8100);
	text = report_of(&f.finding, &f.trace);
	assert_non_null(strstr(text, "finding: canary:write:scan:planted\n"));
	assert_non_null(strstr(text, "page      p1 w0\n"));
	assert_non_null(strstr(text, "and 2 more}"));
	assert_non_null(strstr(text, "{p0 0x08100000}"));
	assert_non_null(strstr(text, "=>    1  write p0 w0\n"));
	assert_non_null(strstr(text, "4 ops after"));
	free(text);
	tear_down(&f);
}

static void a_report_of_the_end_says_so(void **state)
{
	struct fixture f;
	char *text;

	set_up(&f, NULL);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(trace_add(&f.trace, &(struct op){.code = OP_read}), 0);
	f.finding = (struct finding){.op = NR_OPS, .op_index = 300, .page.proc = UINT32_MAX};
	text = report_of(&f.finding, &f.trace);
	assert_non_null(strstr(text, "100 ops before"));
	assert_non_null(strstr(text, "(the end)"));
	free(text);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_trace_is_clean),
		cmocka_unit_test(steps_are_the_same_as_a_run),
		cmocka_unit_test(recounts_change_nothing),
		cmocka_unit_test(works_without_the_model),
		cmocka_unit_test(the_canary_is_found),
		cmocka_unit_test(mremap_over_a_boundary_is_narrowed),
		cmocka_unit_test(a_design_out_of_memory_leaves),
		cmocka_unit_test(a_design_with_other_areas_leaves),
		cmocka_unit_test(every_excuse_fires),
		cmocka_unit_test(clusters_are_for_one_alone),
		cmocka_unit_test(excuses_have_names),
		cmocka_unit_test(expectations_are_checked),
		cmocka_unit_test(an_expected_finding_passes),
		cmocka_unit_test(another_result_is_found),
		cmocka_unit_test(the_model_finds_what_all_do_wrong),
		cmocka_unit_test(a_design_that_fails_its_own_check_is_found),
		cmocka_unit_test(order_inside_a_walk_is_free),
		cmocka_unit_test(walks_are_held_against_the_census),
		cmocka_unit_test(sets_are_held_against_each_other),
		cmocka_unit_test(entries_are_held_against_each_other),
		cmocka_unit_test(results_are_held_against_each_other),
		cmocka_unit_test(keys_are_sorted),
		cmocka_unit_test(signatures_hold_no_numbers),
		cmocka_unit_test(names_are_readable),
		cmocka_unit_test(a_report_marks_the_guilty_op),
		cmocka_unit_test(a_report_of_the_end_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A design may need memory to merge areas, and not get it: then the engine leaves the areas as they
 * are, or merges less, and everything else is as it would have been. Here a design refuses every
 * merge, or every n-th, and runs in lockstep with one that never does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "picture.h"

/* Asked so often; refuses when a multiple of `every` comes up. */
static uint32_t asked, every;
/* Not of shared mappings in lockstep: remap_file_pages takes one area only, and where pages are
 * found by their file no design has anything to merge. */
static bool lockstep;

static bool refuse(const struct vma *vma)
{
	if (lockstep && (vma->flags & VM_SHARED))
		return false;
	return every && ++asked % every == 0;
}

static int grudging_merge(struct machine *machine, struct vma *keep, struct vma *gone)
{
	return refuse(keep) ? -12 : rmap_find("anon_vma")->vma_merge(machine, keep, gone);
}

static int grudging_shift(struct machine *machine, struct vma *grows, struct vma *shrinks,
			  uint32_t first, uint32_t last)
{
	if (refuse(grows))
		return -12;
	return rmap_find("anon_vma")->vma_shift(machine, grows, shrinks, first, last);
}

static struct rmap_ops grudging(void)
{
	struct rmap_ops ops = *rmap_find("anon_vma");

	ops.name = "grudging";
	ops.vma_merge = grudging_merge;
	ops.vma_shift = grudging_shift;
	return ops;
}

/* ---- in lockstep ----------------------------------------------------------------------------- */

static void run_traces(uint32_t nth, const char *era, bool faults)
{
	const struct generate_options generate = {.nr_ops = 96, .faults = faults};
	const struct rmap_ops ops = grudging();
	struct machine_config config;
	struct diff_options options;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;
	char buf[256];

	assert_int_equal(machine_config_parse(&config, era, buf, sizeof(buf)), 0);
	diff_options_init(&options);
	options.nr_backends = 3;
	options.backends[0] = rmap_find("scan");
	options.backends[1] = rmap_find("anon_vma");
	options.backends[2] = &ops;
	options.check_every = 4;
	diff = diff_create(&options);
	every = nth;
	asked = 0;
	lockstep = true;
	for (uint64_t seed = 0; seed < 200; seed++) {
		generate_trace(&trace, &config, seed, &generate);
		if (diff_run(diff, &trace, &finding))
			fail_msg("every %u, seed %u: %s: %s", nth, (unsigned int)seed,
				 finding.signature, finding.message);
	}
	lockstep = false;
	assert_true(asked > 50);
	trace_release(&trace);
	diff_destroy(diff);
}

static void refused_merges_change_nothing_else(void **state)
{
	static const char *const eras[] = {"tiny era=2.6.6", "tiny era=2.6.7"};

	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t nth = 1; nth <= 4; nth++)
			run_traces(nth, eras[i], nth % 2);
	}
}

/* ---- case by case (core/vma.c has them drawn)
 * ---------------------------------------------------- */

struct merge_case {
	const char *name;
	const char *before[4]; /* ops */
	const char *op;        /* what merges */
	const char *merged, *refused, *second_refused;
};

static const struct merge_case cases[] = {
	{"1",
	 {"mmap p0 w0 2 rw shared|fixed f0 0", "mmap p0 w4 2 rw shared|fixed f0 4"},
	 "mmap p0 w2 2 rw shared|fixed f0 2",
	 "aaaaaa",
	 "aaaabb",
	 "aaaaaa"},
	{"4",
	 {"mmap p0 w0 4 rw shared|fixed f0 0", "mmap p0 w4 2 r shared|fixed f0 4"},
	 "mprotect p0 w2 2 r",
	 "aabbbb",
	 "aabbcc",
	 "aabbbb"},
	{"5",
	 {"mmap p0 w0 2 r shared|fixed f0 0", "mmap p0 w2 4 rw shared|fixed f0 2"},
	 "mprotect p0 w2 2 r",
	 "aaaabb",
	 "aabbcc",
	 "aaaabb"},
	{"6",
	 {"mmap p0 w0 2 r shared|fixed f0 0", "mmap p0 w2 2 rw shared|fixed f0 2",
	  "mmap p0 w4 2 r shared|fixed f0 4"},
	 "mprotect p0 w2 2 r",
	 "aaaaaa",
	 "aabbcc",
	 "aaaabb"},
	{"7",
	 {"mmap p0 w0 2 r shared|fixed f0 0", "mmap p0 w2 2 rw shared|fixed f0 2"},
	 "mprotect p0 w2 2 r",
	 "aaaa",
	 "aabb",
	 "aaaa"},
	{"8",
	 {"mmap p0 w2 2 rw shared|fixed f0 2", "mmap p0 w4 2 r shared|fixed f0 4"},
	 "mprotect p0 w2 2 r",
	 "..aaaa",
	 "..aabb",
	 "..aaaa"},
};

static void play_case(const struct merge_case *it, uint32_t nth, const char *picture)
{
	const struct rmap_ops ops = grudging();
	struct machine_config config;
	struct scene scene = {0};
	char buf[256];

	assert_int_equal(machine_config_parse(&config, "tiny era=2.6.7", buf, sizeof(buf)), 0);
	scene.machine = machine_create(&config, &ops);
	every = 0;
	for (uint32_t i = 0; it->before[i]; i++)
		assert_int_equal(run(&scene, it->before[i]), 0);
	every = nth;
	asked = 0;
	assert_int_equal(run(&scene, it->op), 0);
	every = 0;
	areas(&scene, 0, picture);
	assert_int_equal(run(&scene, "read p0 w2"), 0);
	machine_shutdown(scene.machine);
	assert_null(machine_leaks(scene.machine, buf, sizeof(buf)));
	machine_destroy(scene.machine);
}

static void each_case_is_refused(void **state)
{
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		play_case(&cases[i], 0, cases[i].merged);
		play_case(&cases[i], 1, cases[i].refused);
		play_case(&cases[i], 2, cases[i].second_refused);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_merges_change_nothing_else),
		cmocka_unit_test(each_case_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

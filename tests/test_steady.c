/*
 * Once everything has grown, nothing asks the host for memory: not a machine, not the model, not
 * the lockstep. The linker sends every allocation call of our own objects through the wrappers
 * below (--wrap in CMakeLists.txt), so the count covers all layers; machine_stats must agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "diff.h"

static uint64_t calls;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
	calls++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	calls++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	calls++;
	return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	calls++;
	return __real_aligned_alloc(align, size);
}

static uint64_t machine_allocs(struct diff *diff, uint32_t machines)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < machines; i++) {
		struct machine_stats stats;

		machine_stats(diff_machine(diff, i), &stats);
		sum += stats.host_allocs;
	}
	return sum;
}

#define NR_TRACES 200

static void run_all(struct diff *diff, const struct trace *traces)
{
	struct finding finding;

	for (uint32_t i = 0; i < NR_TRACES; i++)
		assert_int_equal(diff_run(diff, &traces[i], &finding), 0);
}

/* Run the traces once to let buffers grow, then again and count. */
static void second_round_allocates_nothing(void **state)
{
	const struct generate_options how = {.nr_ops = 64, .faults = true};
	struct trace *traces = __real_calloc(NR_TRACES, sizeof(*traces));
	struct diff_options options;
	struct diff *diff;
	uint64_t before;

	assert_non_null(traces);
	for (uint32_t i = 0; i < NR_TRACES; i++) {
		trace_init(&traces[i], &machine_presets[0].config);
		generate_trace(&traces[i], &machine_presets[0].config, i, &how);
	}
	diff_options_init(&options);
	diff = diff_create(&options);

	calls = 0;
	run_all(diff, traces);
	before = machine_allocs(diff, options.nr_backends);
	assert_true(calls > 0); /* the wrappers are in place */

	calls = 0;
	run_all(diff, traces);
	assert_int_equal(calls, 0);
	assert_int_equal(machine_allocs(diff, options.nr_backends) - before, 0);

	diff_destroy(diff);
	for (uint32_t i = 0; i < NR_TRACES; i++)
		trace_release(&traces[i]);
	free(traces);
}

/* The same for one machine that is wiped, also into another size and back. */
static void reset_allocates_nothing(void **state)
{
	const struct machine_config *small = &machine_preset_find("tiny")->config;
	const struct machine_config *large = &machine_preset_find("64g")->config;
	struct machine *machine = machine_create(small, rmap_find("anon_vma"));
	struct result result;

	for (int round = 0; round < 3; round++) {
		calls = 0;
		machine_reconfigure(machine, round % 2 ? small : large);
		machine_apply(machine,
			      &(struct op){.code = OP_mmap,
					   .args = {0, REGION_NONE, WINDOW_BASE, 8,
						    OP_PROT_READ | OP_PROT_WRITE,
						    OP_MAP_ANON | OP_MAP_FIXED}},
			      &result);
		assert_int_equal(result.err, 0);
		for (uint32_t i = 0; i < 8; i++) {
			machine_apply(machine,
				      &(struct op){.code = OP_write,
						   .args = {0, WINDOW_BASE + i * PAGE_SIZE}},
				      &result);
			assert_int_equal(result.err, 0);
		}
		machine_reset(machine);
	}
	assert_int_equal(calls, 0);
	machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_round_allocates_nothing),
		cmocka_unit_test(reset_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

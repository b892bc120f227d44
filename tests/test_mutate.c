/*
 * The mutator: same seed, same output; within the limit; what comes out is the encoding of a trace;
 * every mutation comes up; asked for less, it gives less; trimming finds what matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "mutate.h"

#define MAX 4096u

/* The bytes of a generated trace. */
static size_t some_trace(uint64_t seed, uint32_t nr_ops, uint8_t *data)
{
	struct trace trace = {0};
	size_t size;

	trace_init(&trace, &machine_presets[0].config);
	generate_trace(&trace, &machine_presets[seed % 3].config, seed,
		       &(struct generate_options){.nr_ops = nr_ops});
	size = trace_encode(&trace, data, MAX);
	assert_true(size <= MAX);
	trace_release(&trace);
	return size;
}

static uint32_t ops_of(const uint8_t *data, size_t size)
{
	struct trace trace = {0};
	uint32_t n;

	trace_init(&trace, &machine_presets[0].config);
	trace_decode(&trace, data, size, TRACE_OPS_MAX);
	n = trace.nr_ops;
	trace_release(&trace);
	return n;
}

/* Decoded and encoded, it is itself. */
static void expect_canonical(const uint8_t *data, size_t size)
{
	struct trace trace = {0};
	uint8_t again[MAX];

	trace_init(&trace, &machine_presets[0].config);
	trace_decode(&trace, data, size, TRACE_OPS_MAX);
	assert_int_equal(trace_encode(&trace, again, MAX), size);
	assert_memory_equal(again, data, size);
	trace_release(&trace);
}

static void the_seed_decides(void **state)
{
	struct mutator *a = mutator_create(0), *b = mutator_create(0);
	uint8_t data[MAX], x[MAX], y[MAX];
	size_t size = some_trace(1, 30, data), n;
	uint32_t different = 0;

	for (uint32_t seed = 0; seed < 200; seed++) {
		n = mutator_mutate(a, data, size, x, MAX, seed);
		assert_int_equal(mutator_mutate(b, data, size, y, MAX, seed), n);
		assert_memory_equal(x, y, n);
		assert_string_equal(mutator_describe(a), mutator_describe(b));
		different += n != size || memcmp(x, data, n) != 0;
	}
	assert_true(different > 150);
	mutator_destroy(a);
	mutator_destroy(b);
}

static void what_comes_out_is_a_trace(void **state)
{
	struct mutator *m = mutator_create(0);
	uint8_t data[MAX], out[MAX];
	size_t size = some_trace(2, 40, data);

	for (uint32_t seed = 0; seed < 2000; seed++) {
		size_t n = mutator_mutate(m, data, size, out, MAX, seed);

		assert_in_range(n, 1, MAX);
		expect_canonical(out, n);
		if (seed % 3 == 0) { /* go on from there */
			memcpy(data, out, n);
			size = n;
		}
	}
	mutator_destroy(m);
}

static void any_bytes_and_any_limit_will_do(void **state)
{
	struct mutator *m = mutator_create(0);
	uint8_t data[64], out[MAX], other[64];

	for (uint32_t seed = 0; seed < 3000; seed++) {
		size_t size = seed % sizeof(data), max = seed * 7 % 90, n;

		for (size_t i = 0; i < sizeof(data); i++) {
			data[i] = (uint8_t)(seed * 31 + i * 97 + (seed >> 3));
			other[i] = (uint8_t)(seed * 17 + i * 53);
		}
		memset(out, 0xaa, sizeof(out));
		n = mutator_mutate(m, data, size, out, max, seed);
		assert_true(n <= max && (n || !max));
		assert_int_equal(out[max], 0xaa);
		n = mutator_cross(m, data, size, other, sizeof(other), out, max, seed);
		assert_true(n <= max && (n || !max));
		assert_int_equal(out[max], 0xaa);
	}
	mutator_destroy(m);
}

/* However little there is, it becomes a trace of full length. */
static void short_ones_grow(void **state)
{
	struct mutator *m = mutator_create(0);
	uint8_t data[MAX], out[MAX];
	size_t size = some_trace(3, 2, data);
	struct trace trace = {0};
	uint32_t grown = 0;

	trace_init(&trace, &machine_presets[0].config);
	for (uint32_t seed = 0; seed < 400; seed++) {
		size_t n = mutator_mutate(m, data, size, out, MAX, seed);
		const char *how = mutator_describe(m);

		if (strcmp(how, "grow") != 0 && strcmp(how, "restart") != 0)
			continue;
		trace_decode(&trace, out, n, 1000);
		assert_int_equal(trace.nr_ops, 64);
		grown++;
	}
	assert_true(grown > 10);
	trace_release(&trace);
	mutator_destroy(m);
}

static void every_mutation_comes_up(void **state)
{
	static const char *const names[] = {"insert", "grow",     "restart", "delete", "duplicate",
					    "move",   "retarget", "perturb", "wrap",   "machine"};
	uint32_t seen[sizeof(names) / sizeof(names[0])] = {0};
	struct mutator *m = mutator_create(0);
	uint8_t data[MAX], out[MAX];
	size_t size = some_trace(3, 30, data);

	for (uint32_t seed = 0; seed < 400; seed++) {
		mutator_mutate(m, data, size, out, MAX, seed);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			seen[i] += strstr(mutator_describe(m), names[i]) != NULL;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (seen[i] < 5)
			fail_msg("%s came up %u times", names[i], seen[i]);
	}
	mutator_destroy(m);
}

/* libFuzzer's -minimize_crash=1 asks for one byte less, again and again. */
static void asked_for_less_it_gives_less(void **state)
{
	struct mutator *m = mutator_create(0);
	uint8_t data[MAX], out[MAX];
	size_t size = some_trace(4, 40, data);

	for (uint32_t seed = 0; seed < 500 && size > 1; seed++) {
		size_t n = mutator_mutate(m, data, size, out, size - 1, seed);

		assert_true(n < size);
		assert_true(strcmp(mutator_describe(m), "delete") == 0 ||
			    strcmp(mutator_describe(m), "plain") == 0);
		assert_true(ops_of(out, n) <= ops_of(data, size));
		memcpy(data, out, n);
		size = n;
	}
	assert_int_equal(ops_of(data, size), 0);
	mutator_destroy(m);
}

static void a_cross_is_of_both(void **state)
{
	struct mutator *m = mutator_create(0);
	uint8_t a[MAX], b[MAX], out[MAX];
	size_t na = some_trace(5, 30, a), nb = some_trace(6, 30, b);
	uint32_t longer = 0;

	for (uint32_t seed = 0; seed < 200; seed++) {
		size_t n = mutator_cross(m, a, na, b, nb, out, MAX, seed);

		assert_int_equal(out[0], a[0]); /* the machine is a's */
		expect_canonical(out, n);
		longer += ops_of(out, n) > 30;
	}
	assert_in_range(longer, 10, 190);
	mutator_destroy(m);
}

/* Trimming keeps what the caller says matters: here, that there are two forks. */
static bool has_two_forks(const uint8_t *data, size_t size)
{
	struct trace trace = {0};
	uint32_t forks = 0;

	trace_init(&trace, &machine_presets[0].config);
	trace_decode(&trace, data, size, TRACE_OPS_MAX);
	for (uint32_t i = 0; i < trace.nr_ops; i++)
		forks += trace.ops[i].code == OP_fork;
	trace_release(&trace);
	return forks >= 2;
}

static void trimming_leaves_what_matters(void **state)
{
	struct mutator *m = mutator_create(0);
	uint8_t data[MAX];
	uint32_t trimmed = 0;

	for (uint64_t seed = 1; seed < 60; seed++) {
		size_t size = some_trace(seed, 40, data);
		uint32_t steps, done = 0, rounds = 0, left = 40;

		if (!has_two_forks(data, size))
			continue;
		steps = mutator_trim_begin(m, data, size);
		while (done < steps) {
			const uint8_t *out = NULL;
			size_t n = mutator_trim_next(m, &out);
			bool good = n && has_two_forks(out, n);

			assert_true(n <= size);
			assert_true(++rounds <= steps);
			if (good)
				left = ops_of(out, n);
			done = mutator_trim_done(m, good);
		}
		assert_int_equal(left, 2);
		trimmed++;
	}
	assert_true(trimmed > 20);
	mutator_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seed_decides),
		cmocka_unit_test(what_comes_out_is_a_trace),
		cmocka_unit_test(any_bytes_and_any_limit_will_do),
		cmocka_unit_test(short_ones_grow),
		cmocka_unit_test(every_mutation_comes_up),
		cmocka_unit_test(asked_for_less_it_gives_less),
		cmocka_unit_test(a_cross_is_of_both),
		cmocka_unit_test(trimming_leaves_what_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

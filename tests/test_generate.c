/*
 * The generator: the same seed gives the same trace, seeds and options matter, operands are in
 * range, every op comes up, and most of what comes up does something.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"

static const struct machine_config *tiny(void)
{
	return &machine_presets[0].config;
}

static struct trace generate(uint64_t seed, uint32_t nr_ops, bool faults)
{
	const struct generate_options how = {.nr_ops = nr_ops, .faults = faults};
	struct trace trace = {0};

	trace_init(&trace, tiny());
	generate_trace(&trace, tiny(), seed, &how);
	return trace;
}

static bool equal(const struct trace *a, const struct trace *b)
{
	return a->nr_ops == b->nr_ops && memcmp(a->ops, b->ops, a->nr_ops * sizeof(*a->ops)) == 0;
}

static void the_seed_decides(void **state)
{
	struct trace a = generate(5, 200, false), b = generate(5, 200, false);
	struct trace c = generate(6, 200, false);

	assert_int_equal(a.nr_ops, 200);
	assert_true(equal(&a, &b));
	assert_false(equal(&a, &c));
	/* A trace that has been used before is overwritten. */
	generate_trace(&c, tiny(), 5, &(struct generate_options){.nr_ops = 200});
	assert_true(equal(&a, &c));
	trace_release(&a);
	trace_release(&b);
	trace_release(&c);
}

static void nothing_is_a_trace(void **state)
{
	struct trace trace = generate(1, 0, true);

	assert_int_equal(trace.nr_ops, 0);
	trace_release(&trace);
}

static void check_operand(const struct op *op, int i, enum operand_kind kind)
{
	uint32_t value = op->args[i];

	switch (kind) {
	case OPERAND_PROC:
	case OPERAND_NEWPROC:
		assert_true(value < PROC_MAX);
		break;
	case OPERAND_REGION:
		assert_true(value < REGION_MAX || value == REGION_NONE);
		break;
	case OPERAND_LEN:
	case OPERAND_PGOFF:
	case OPERAND_COUNT:
		assert_true(value <= LEN_MAX);
		break;
	case OPERAND_PROT:
		assert_true(value <= OP_PROT_MASK);
		break;
	case OPERAND_MFLAGS:
		assert_true(value <= OP_MAP_MASK);
		break;
	case OPERAND_RFLAGS:
		assert_true(value <= OP_MREMAP_MASK);
		break;
	case OPERAND_SFLAGS:
		assert_true(value <= OP_MS_MASK);
		break;
	case OPERAND_NFLAGS:
		assert_true(value <= OP_REMAP_MASK);
		break;
	case OPERAND_ADVICE:
		assert_true(value < NR_ADVICE);
		break;
	case OPERAND_FILE:
		assert_true(value < FILE_MAX);
		break;
	case OPERAND_PIN:
	case OPERAND_NEWPIN:
		assert_true(value < PIN_MAX);
		break;
	case OPERAND_PFLAGS:
		assert_true(value <= OP_PIN_MASK);
		break;
	case OPERAND_SWAP:
		assert_true(value < SWAP_AREAS_MAX);
		break;
	case OPERAND_ADDR:
		assert_true(!(op->refs >> i & 1) || value >> 24 < REGION_MAX);
		break;
	case OPERAND_NONE:
		break;
	}
}

static void operands_are_in_range(void **state)
{
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct trace trace = generate(seed, 64, true);

		for (uint32_t n = 0; n < trace.nr_ops; n++) {
			const struct op *op = &trace.ops[n];
			const struct op_info *info = op_info((enum op_code)op->code);

			assert_int_equal(op->serial, n);
			for (int i = 0; i < info->nargs; i++)
				check_operand(op, i, (enum operand_kind)info->operand[i].kind);
		}
		trace_release(&trace);
	}
}

static uint32_t faults_in(const struct trace *trace)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < trace->nr_ops; i++)
		n += trace->ops[i].fail_nth || trace->ops[i].fail_meta || trace->ops[i].reclaim_nth;
	return n;
}

static void faults_only_if_asked_for(void **state)
{
	uint32_t with = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct trace plain = generate(seed, 64, false), faulty = generate(seed, 64, true);

		assert_int_equal(faults_in(&plain), 0);
		with += faults_in(&faulty);
		trace_release(&plain);
		trace_release(&faulty);
	}
	assert_true(with > 100);
}

/* Generated traces as text and back are the same traces. */
static void traces_can_be_written_down(void **state)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct trace trace = generate(seed, 64, true), back = {0};
		char *text = NULL, error[160];
		size_t size;
		FILE *out = open_memstream(&text, &size);

		assert_non_null(out);
		trace_print(&trace, out);
		fclose(out);
		trace_init(&back, tiny());
		assert_int_equal(trace_parse(&back, text, size, error, sizeof(error)), 0);
		assert_true(equal(&trace, &back));
		free(text);
		trace_release(&trace);
		trace_release(&back);
	}
}

static void most_ops_do_something(void **state)
{
	/* In percent, at least. */
	static const struct {
		enum op_code code;
		uint32_t success;
	} wanted[] = {
		{OP_write, 60}, {OP_read, 60},     {OP_fork, 50},
		{OP_mmap, 85},  {OP_munmap, 85},   {OP_mremap, 45},
		{OP_evict, 35}, {OP_mprotect, 45}, {OP_swapout, 35},
	};
	struct diff_options options;
	const struct diff_stats *stats;
	struct diff *diff;

	diff_options_init(&options);
	options.nr_backends = 2;
	diff = diff_create(&options);
	for (uint64_t seed = 0; seed < 700; seed++) {
		struct trace trace = generate(seed, 64, false);
		struct finding finding;

		assert_int_equal(diff_run(diff, &trace, &finding), 0);
		trace_release(&trace);
	}
	stats = diff_stats(diff);
	for (int code = 0; code < NR_OPS; code++)
		assert_true(stats->op_count[code] > 50);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_true(stats->op_ok[wanted[i].code] * 100 >=
			    stats->op_count[wanted[i].code] * wanted[i].success);
	assert_true(stats->unmaps_compared > 1000);
	diff_destroy(diff);
}

/* What follows is for the processes that live and the pages that are there, wherever that is. */
static void what_follows_fits(void **state)
{
	static const char text[] = "rmapfuzz trace 1\n"
				   "machine tiny\n"
				   "mmap p0 0x50000000 16 rw anon|fixed\n"
				   "write p0 0x50000000\n"
				   "p5 = fork p0\n"
				   "exit p0\n"
				   "munmap p5 0x50008000 8\n";
	const struct generate_options how = {.nr_ops = 8};
	uint32_t writes = 0, sound = 0;
	struct trace prefix = {0}, a = {0}, b = {0};
	char error[256];

	trace_init(&prefix, tiny());
	trace_init(&a, tiny());
	trace_init(&b, tiny());
	assert_int_equal(trace_parse(&prefix, text, strlen(text), error, sizeof(error)), 0);
	for (uint64_t seed = 0; seed < 500; seed++) {
		generate_following(&a, &prefix, prefix.nr_ops, seed, &how);
		generate_following(&b, &prefix, prefix.nr_ops, seed, &how);
		assert_int_equal(a.nr_ops, 8);
		assert_true(equal(&a, &b));
		if (a.ops[0].code != OP_write)
			continue;
		writes++;
		sound += a.ops[0].args[0] == 5 && a.ops[0].args[1] - 0x50000000u < 0x8000;
	}
	assert_true(writes > 30);
	assert_true(sound * 10 > writes * 9);
	/* Before the fork there is nobody else. */
	writes = sound = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		generate_following(&a, &prefix, 2, seed, &how);
		writes += a.ops[0].code == OP_write;
		sound += a.ops[0].code == OP_write && a.ops[0].args[0] == 0;
	}
	assert_true(writes > 10);
	assert_true(sound * 10 > writes * 9);
	trace_release(&prefix);
	trace_release(&a);
	trace_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seed_decides),
		cmocka_unit_test(nothing_is_a_trace),
		cmocka_unit_test(operands_are_in_range),
		cmocka_unit_test(faults_only_if_asked_for),
		cmocka_unit_test(traces_can_be_written_down),
		cmocka_unit_test(most_ops_do_something),
		cmocka_unit_test(what_follows_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The byte form: every op there and back, any bytes are a trace, and what was written once reads
 * the same for ever.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace_play.h"

/* Each operand of each op takes each of its values, with the others at 0 and at their last. */
static void test_exhaustive(void **state)
{
	struct trace trace = new_trace();

	for (int code = 0; code < NR_OPS; code++) {
		const struct op_info *info = op_info(code);

		for (uint32_t i = 0; i < info->nargs; i++) {
			for (uint32_t k = 0; k < 2 * nr_values(info->operand[i].kind); k++) {
				struct op op = {.code = (uint8_t)code};

				for (uint32_t j = 0; j < info->nargs; j++) {
					uint32_t last = nr_values(info->operand[j].kind) - 1;

					set_value(&op, j, k % 2 ? last : 0);
				}
				set_value(&op, i, k / 2);
				trace_clear(&trace);
				trace_add(&trace, &op);
				trace_add(&trace, &op); /* the second in the state the first left */
				check_text(&trace);
				check_bytes(&trace);
			}
		}
	}
	trace_release(&trace);
}

/* Every short trace over a few ops and processes, so that every state of births and deaths occurs.
 */
static void test_lives(void **state)
{
	static const struct op ops[] = {
		{.code = OP_fork, .args = {0, 1}},
		{.code = OP_fork, .args = {0, 2}},
		{.code = OP_fork, .args = {1, 0}},
		{.code = OP_fork, .fail_nth = 1, .args = {0, 1}},
		{.code = OP_exit, .args = {0}},
		{.code = OP_exit, .args = {1}},
		{.code = OP_mmap, .args = {1, 31, 0, 1, 3, OP_MAP_ANON}},
		{.code = OP_mmap, .args = {0, 0, 0, 1, 3, OP_MAP_ANON}},
		{.code = OP_read, .refs = 2, .args = {0, 31u << 24 | 1}},
	};
	uint32_t total = N(ops) * N(ops) * N(ops) * N(ops) * N(ops);
	struct trace trace = new_trace();

	for (uint32_t i = 0; i < total; i++) {
		trace_clear(&trace);
		for (uint32_t k = i, n = 0; n < 5; n++, k /= N(ops))
			trace_add(&trace, &ops[k % N(ops)]);
		check_bytes(&trace);
	}
	trace_release(&trace);
}

static void test_random_traces(void **state)
{
	struct random random = {20040319};
	struct trace trace = new_trace();

	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t n = random_below(&random, 40);

		trace_clear(&trace);
		random_expect(&random, &trace);
		for (uint32_t i = 0; i < n; i++) {
			struct op op = random_op(&random);

			trace_add(&trace, &op);
			while (random_below(&random, 3) == 0)
				random_expect(&random, &trace);
		}
		check_text(&trace);
		check_bytes(&trace);
	}
	trace_release(&trace);
}

static void test_random_bytes(void **state)
{
	struct random random = {7};
	struct trace trace = {0}, prefix = {0};
	uint8_t bytes[300];

	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t n = random_below(&random, sizeof(bytes));

		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)random_next(&random);
		trace_decode(&trace, bytes, n, TRACE_OPS_MAX);
		check_text(&trace);
		check_bytes(&trace);
		/* Missing bytes read as zeros, and ops are decoded in order. */
		trace_decode(&prefix, bytes, n, 3);
		assert_int_equal(prefix.nr_ops, trace.nr_ops < 3 ? trace.nr_ops : 3);
		for (uint32_t i = 0; i < prefix.nr_ops; i++)
			assert_memory_equal(&prefix.ops[i], &trace.ops[i], sizeof(struct op));
	}
	trace_release(&trace);
	trace_release(&prefix);
}

static void test_machines(void **state)
{
	struct random random = {3};
	struct trace trace = new_trace(), again = {0};
	uint8_t bytes[32];
	uint32_t nr_presets = 0;

	for (; machine_presets[nr_presets].name; nr_presets++) {
		trace_init(&trace, &machine_presets[nr_presets].config);
		check_text(&trace);
		assert_int_equal(trace_encode(&trace, bytes, sizeof(bytes)), 1);
		assert_int_equal(bytes[0], nr_presets);
	}
	/* Any first byte is a machine; with 255 every field is free. */
	for (uint32_t round = 0; round < 5000; round++) {
		for (uint32_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(random_next(&random) >> random_below(&random, 8));
		bytes[0] = (uint8_t)(round < 256 ? round : 255);
		trace_decode(&again, bytes, sizeof(bytes), 0);
		assert_in_range(again.config.ram_mb, 16, 65536);
		check_text(&again);
		check_bytes(&again);
	}
	trace_release(&trace);
	trace_release(&again);
}

/* Byte strings whose meaning must not change: corpora are made of them. */
static void test_golden_bytes(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t size;
		const char *text;
	} golden[] = {
		{{0}, 0, ""},
		{{0}, 1, ""},
		{{0, 0}, 2, "p1 = fork p0\n"},
		{{0, 3, 0, 128, 7, 3 | 2 << 4, 1 | 3 << 3}, 7, "r0 = mmap p0 - 8 rw anon\n"},
		{{0, 3, 0, 128, 7, 3 | 2 << 4, 1 | 31 << 3, 9},
		 8,
		 "r0 = mmap p0 - 8 rw anon f1 9\n"},
		{{0, 3, 0xc0, 4, 1, 1 | 1 << 4, 1 | 3 << 3}, 7, "mmap p0 w4 2 r shared f1 3\n"},
		{{0, 4, 0, 3, 1, 9, 0, 3}, 8, "munmap p0 w3 2\nread p0 w3\n"},
		{{0, 4, 0, 252, 252, 200, 60}, 7, "munmap p0 w200 60\n"},
		{{0, 9, 15, 253, 5, 31, 1, 2, 0}, 9, "read p5 r31+513\n"},
		{{0, 9, 0, 254, 0, 0, 4, 9, 0, 255, 1, 0, 0, 0x60},
		 14,
		 "read p0 0x40000000\nread p0 0x60000001\n"},
		{{0, 0xf4, 0xf9, 0xff, 9, 1, 10, 0, 0},
		 9,
		 "write p0 w0 (fail_nth: 1) (reclaim_nth: 2) (fail_meta: 265)\n"},
		{{0, 0xf2, 0xef, 1, 1, 10, 0, 0},
		 8,
		 "write p0 w0 (fail_from: 3) (fail_meta_from: 257)\n"},
		{{0, 1, 0, 1, 15, 0}, 6, "exit p1\nexit p0\n"},
		{{0, 17, 31}, 3, "reclaim 32\n"},
		{{0, 11, 2, 4}, 4, "truncate f2 4\n"},
		{{0, 8, 0, 16}, 4, "brk p0 0x08110000\n"},
		{{0, 5, 0, 3, 0, 0, 3, 9}, 8, "r0 = mremap p0 w3 1 1 maymove|fixed w9\n"},
		{{0, 5, 0xc0, 3, 0, 0, 1, 9}, 8, "mremap p0 w3 1 1 maymove\n"},
		{{0, 5, 0xc0, 3, 0, 0, 1, 252, 9}, 9, "mremap p0 w3 1 1 maymove w9\n"},
	};
	struct trace trace = {0};

	for (uint32_t i = 0; i < N(golden); i++) {
		char *text;

		trace_decode(&trace, golden[i].bytes, golden[i].size, 100);
		text = print_trace(&trace);
		assert_string_equal(strchr(strchr(text, '\n') + 1, '\n') + 1, golden[i].text);
		free(text);
	}
	trace_release(&trace);
}

/* What an encoder wrote before there were several swap areas stays what it was. */
static void test_machine_bytes(void **state)
{
	static const struct {
		uint8_t bytes[32];
		uint32_t size;
		const char *machine;
	} golden[] = {
		{{0}, 1, "tiny"},
		{{255, 16, 0, 0, 0, 1, 1, 0, 64, 0, 0, 4, 16, 0, 0, 0, 0}, 17, "tiny swap=64"},
		{{255, 16, 0, 0, 0, 1, 1, 0, 0, 0, 0, 4, 16, 0, 0, 0, 0}, 17, "tiny swap=0"},
		{{254, 16, 0, 0, 0, 1,  1, 0, 0, 0, 0, 4, 16, 0,
		  0,   0,  0, 2, 0, 64, 0, 0, 0, 0, 9, 1, 0,  5},
		 28,
		 "tiny swap=64+265:5"},
		{{254, 16, 0, 0, 0, 1, 1, 0, 0, 0, 0, 4, 16, 0, 0, 0, 0, 1, 0, 7, 0, 0, 3},
		 23,
		 "tiny swap=7:3"},
		{{254, 16, 0, 0, 0, 1, 1, 0, 7, 0, 0, 4, 16, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0},
		 23,
		 "tiny-counters swap=7"},
	};
	struct trace trace = {0};

	for (uint32_t i = 0; i < N(golden); i++) {
		char text[MACHINE_CONFIG_TEXT_MAX];
		uint8_t bytes[32];

		trace_decode(&trace, golden[i].bytes, golden[i].size, 100);
		assert_int_equal(trace.nr_ops, 0);
		machine_config_print(&trace.config, text, sizeof(text));
		assert_string_equal(text, golden[i].machine);
		assert_int_equal(trace_encode(&trace, bytes, sizeof(bytes)), golden[i].size);
		assert_memory_equal(bytes, golden[i].bytes, golden[i].size);
	}
	trace_release(&trace);
}

/* Ordinary ops are short, and most of what random bytes say is about something that is alive. */
static void test_density(void **state)
{
	static const char text[] =
		HEAD "r0 = mmap p0 - 8 rw anon\nmmap p0 w0 24 rw anon|fixed\n"
		     "p1 = fork p0\nwrite p1 w3\nread p0 r0+3\nswapout p0 w3\n"
		     "r1 = mremap p1 r0 4 9 maymove\nmprotect p0 w0 4 r\nexit p1\n";
	struct random random = {11};
	struct trace trace = {0};
	uint8_t bytes[600];
	uint32_t ops = 0, alive = 0;

	parse_trace(&trace, text);
	assert_int_equal(check_bytes(&trace), 1 + 6 + 6 + 2 + 3 + 3 + 3 + 7 + 5 + 2);

	for (uint32_t round = 0; round < 300; round++) {
		uint32_t born = 1;

		for (uint32_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)random_next(&random);
		trace_decode(&trace, bytes, sizeof(bytes), 64);
		assert_int_equal(trace.nr_ops, 64);
		for (uint32_t i = 0; i < trace.nr_ops; i++) {
			const struct op *op = &trace.ops[i];
			enum operand_kind kind = op_info(op->code)->operand[0].kind;

			ops += kind == OPERAND_PROC;
			alive += kind == OPERAND_PROC && (born >> op->args[0] & 1);
			if (op->code == OP_fork && (born >> op->args[0] & 1) && !op_fails(op))
				born |= 1u << op->args[1];
			if (op->code == OP_exit)
				born &= ~(1u << op->args[0]);
		}
	}
	assert_true(alive * 100 > ops * 80);
	trace_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exhaustive),    cmocka_unit_test(test_lives),
		cmocka_unit_test(test_random_traces), cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_machines),      cmocka_unit_test(test_golden_bytes),
		cmocka_unit_test(test_machine_bytes), cmocka_unit_test(test_density),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

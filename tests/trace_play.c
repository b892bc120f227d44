/*
 * trace_play.h says what it is for.
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

uint32_t random_next(struct random *random)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return (uint32_t)(random->state >> 16);
}

uint32_t random_below(struct random *random, uint32_t n)
{
	return random_next(random) % n;
}

/* Not inlined: gcc 12 takes what open_memstream() stores in `text` for a pointer to `text`. */
__attribute__((noinline)) char *print_trace(const struct trace *trace)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	trace_print(trace, out);
	fclose(out);
	return text;
}

void parse_trace(struct trace *trace, const char *text)
{
	char error[512] = "";

	if (trace_parse(trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s\nin\n%s", error, text);
}

void assert_same_ops(const struct trace *a, const struct trace *b)
{
	char x[MACHINE_CONFIG_TEXT_MAX], y[MACHINE_CONFIG_TEXT_MAX];

	assert_int_equal(a->nr_ops, b->nr_ops);
	for (uint32_t i = 0; i < a->nr_ops; i++) {
		if (memcmp(&a->ops[i], &b->ops[i], sizeof(struct op)) == 0)
			continue;
		op_print(&a->ops[i], x, sizeof(x));
		op_print(&b->ops[i], y, sizeof(y));
		fail_msg("op %u: \"%s\" is not \"%s\"", i, x, y);
	}
	machine_config_print(&a->config, x, sizeof(x));
	machine_config_print(&b->config, y, sizeof(y));
	assert_string_equal(x, y);
}

void assert_same_expects(const struct trace *a, const struct trace *b)
{
	assert_int_equal(a->nr_expects, b->nr_expects);
	for (uint32_t i = 0; i < a->nr_expects; i++) {
		const struct expect *x = &a->expects[i], *y = &b->expects[i];

		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->at, y->at);
		assert_int_equal(x->proc, y->proc);
		assert_int_equal(x->vpn, y->vpn);
		assert_int_equal(x->count, y->count);
		assert_int_equal(x->err, y->err);
		assert_int_equal(x->has_value, y->has_value);
		assert_int_equal(x->has_token, y->has_token);
		assert_int_equal(x->value, y->value);
		assert_true(x->token == y->token);
		assert_string_equal(x->text, y->text);
	}
}

/* Through text and back. */
void check_text(const struct trace *trace)
{
	struct trace again = {0};
	char *text = print_trace(trace), *text_again;

	parse_trace(&again, text);
	assert_same_ops(trace, &again);
	assert_same_expects(trace, &again);
	text_again = print_trace(&again);
	assert_string_equal(text, text_again);
	free(text);
	free(text_again);
	trace_release(&again);
}

/* Through bytes and back. Returns how many there were. */
size_t check_bytes(const struct trace *trace)
{
	struct trace again = {0};
	size_t size = trace_encode(trace, NULL, 0);
	uint8_t *bytes = malloc(size + 1);

	assert_non_null(bytes);
	bytes[size] = 0xa5;
	assert_int_equal(trace_encode(trace, bytes, size), size);
	assert_int_equal(bytes[size], 0xa5);
	trace_decode(&again, bytes, size, TRACE_OPS_MAX);
	assert_same_ops(trace, &again);
	assert_int_equal(again.nr_expects, 0);
	free(bytes);
	trace_release(&again);
	return size;
}

struct trace new_trace(void)
{
	struct trace trace = {0};

	trace_init(&trace, &machine_presets[0].config);
	return trace;
}

/* ---- values of every kind ----------------------------------------------------------------------
 */

static const uint32_t addresses[] = {
	0,          1,          0x1000,     0x5ffff000, 0x60000000, 0x60001000, 0x6001f000,
	0x60020000, 0x600ff000, 0x60100000, 0x60003001, 0x08100000, 0x0811f000, 0x08120000,
	0x081fa000, 0x081fb000, 0x40000000, 0xbffff000, 0xfffff000, 0xffffffff,
};
static const uint32_t references[] = {
	0, 1, 7, 8, 0xffffff, 5u << 24, 30u << 24 | 3, 31u << 24, 31u << 24 | 0xffffff,
};
static const uint32_t lengths[] = {0,     1,     2,     31,          32,     33,  34,
				   63,    255,   256,   257,         511,    512, 4096,
				   65535, 65536, 99999, LEN_MAX - 1, LEN_MAX};

/* How many values of KIND are tried, and the I-th of them. */
uint32_t nr_values(enum operand_kind kind)
{
	switch (kind) {
	case OPERAND_PROC:
	case OPERAND_NEWPROC:
		return PROC_MAX;
	case OPERAND_REGION:
		return REGION_MAX + 1;
	case OPERAND_ADDR:
		return N(addresses) + N(references);
	case OPERAND_LEN:
	case OPERAND_PGOFF:
	case OPERAND_COUNT:
		return N(lengths);
	case OPERAND_PROT:
		return OP_PROT_MASK + 1;
	case OPERAND_MFLAGS:
		return OP_MAP_MASK + 1;
	case OPERAND_RFLAGS:
		return OP_MREMAP_MASK + 1;
	case OPERAND_SFLAGS:
		return OP_MS_MASK + 1;
	case OPERAND_NFLAGS:
		return OP_REMAP_MASK + 1;
	case OPERAND_ADVICE:
		return NR_ADVICE;
	case OPERAND_FILE:
		return FILE_MAX;
	case OPERAND_PIN:
	case OPERAND_NEWPIN:
		return PIN_MAX;
	case OPERAND_PFLAGS:
		return OP_PIN_MASK + 1;
	case OPERAND_SWAP:
		return SWAP_AREAS_MAX;
	case OPERAND_NONE:
		break;
	}
	return 1;
}

void set_value(struct op *op, uint32_t i, uint32_t k)
{
	enum operand_kind kind = op_info(op->code)->operand[i].kind;

	op->args[i] = k;
	op->refs &= (uint8_t) ~(1u << i);
	if (kind == OPERAND_REGION && k == REGION_MAX)
		op->args[i] = REGION_NONE;
	if (kind == OPERAND_LEN || kind == OPERAND_PGOFF || kind == OPERAND_COUNT)
		op->args[i] = lengths[k % N(lengths)];
	if (kind == OPERAND_ADDR && k < N(addresses))
		op->args[i] = addresses[k];
	if (kind == OPERAND_ADDR && k >= N(addresses)) {
		op->args[i] = references[(k - N(addresses)) % N(references)];
		op->refs |= (uint8_t)(1u << i);
	}
}

struct op random_op(struct random *random)
{
	struct op op = {.code = (uint8_t)random_below(random, NR_OPS)};
	const struct op_info *info = op_info(op.code);

	for (uint32_t i = 0; i < info->nargs; i++)
		set_value(&op, i, random_below(random, nr_values(info->operand[i].kind)));
	for (uint32_t i = 0; i < NR_PROPERTIES; i++) {
		if (random_below(random, 8) == 0)
			op_set_property(
				&op, i,
				(uint16_t)(random_next(random) >> random_below(random, 16)));
	}
	return op;
}

void random_expect(struct random *random, struct trace *trace)
{
	struct expect expect = {
		.kind = random_below(random, EXPECT_CLEAN),
		.at = trace->nr_ops - 1,
	};

	if (expect.kind != EXPECT_RESULT) {
		expect.proc = random_below(random, PROC_MAX);
		expect.vpn = random_next(random) & 0xfffff;
		if (expect.kind == EXPECT_MAPPERS)
			expect.count = random_below(random, 9);
		else
			snprintf(expect.text, sizeof(expect.text), "rw.-snzo");
	} else {
		/* One result per op, and none before the first. */
		if (trace->nr_ops == 0 ||
		    (trace->nr_expects && trace->expects[trace->nr_expects - 1].at == expect.at))
			return;
		expect.err = random_below(random, 2) ? 0 : -(int32_t)random_below(random, 150);
		expect.has_token = expect.err == 0 && random_below(random, 2);
		expect.has_value = expect.err == 0 && !expect.has_token && random_below(random, 2);
		if (expect.has_value)
			expect.value = random_next(random) >> random_below(random, 32);
		if (expect.has_token)
			expect.token = (uint64_t)random_next(random) << 32 |
				       random_next(random) >> random_below(random, 32);
	}
	assert_int_equal(trace_add_expect(trace, &expect), 0);
}

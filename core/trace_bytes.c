/*
 * Traces as bytes, for fuzzers: any bytes are a trace, and any trace has bytes.
 *
 *   trace   = machine op*
 *   machine = preset number (mod how many there are), or 255 and a configuration field by field,
 *             or 254, the same fields, and a list of what these cannot say
 *   op      = (property | point)* code head escape*
 *
 * A code below CODE_COMMON is an op, modulo how many there are; the next are ops again, the common
 * ones more often; those from PREFIX_FIRST on are properties of the op that follows. The head has
 * a field of some bits per operand, in the order of the op table: 4 bits name a process, 8 an
 * address, and so on (struct field). Fields fill bytes from the lowest bit up; one that does not
 * fit into what is left of a byte starts the next. So an op's head has the same few bytes whatever
 * is in it, and a flipped bit changes one operand.
 *
 *   mmap      code | proc:4 region:4 | addr | len | prot:4 flags:4 | file:3 pgoff:5 |
 *   munmap    code | proc:4 -        | addr | len |
 *   truncate  code | file:3 -        | len  |
 *
 * A field holds a short form: process number k of those alive, page w3, "the next region". The
 * highest values of most fields are escapes, which say that the operand follows behind the head in
 * full. Short forms count on what should be alive (struct trace_state), kept by decoder and encoder
 * alike; should an op fail unexpectedly, a short form names something dead, and that is a trace
 * too.
 *
 * Bytes missing at the end read as 0.
 */
#include <string.h>

#include "trace_bytes.h"

/* ---- ops ---------------------------------------------------------------------------------- */

/*
 * Codes from here on are properties, four for each: n = 1, 2, 3 and n in two bytes behind it. Each
 * property of op_properties keeps its codes for ever, so later ones come from below.
 *
 * Those at POINT_CODE make the op that follows a nested one, the same way with n for how often the
 * point is passed, and then a byte for the point: its number, or from POINT_ANY on one of those
 * that the host may pass (which only fuzzers write).
 */
#define POINT_CODE 232
#define POINT_ANY  128u
_Static_assert(NR_POINTS <= POINT_ANY, "every point has a number of its own");
#define PREFIX_FIRST 232
static const uint8_t property_codes[NR_PROPERTIES] = {244, 248, 252, 240, 236};

static uint32_t property_of(uint32_t code)
{
	uint32_t i = 0;

	while (property_codes[i] != code / 4 * 4)
		i++;
	return i;
}

/*
 * Codes from here on name the ops that make a trace eventful. The encoder never writes them, so
 * that the list may change without harm to what has been kept.
 */
#define CODE_COMMON 64
_Static_assert(NR_OPS <= CODE_COMMON, "every op has a code of its own");

static const uint8_t common_ops[] = {
	OP_mmap,  OP_write,   OP_read,   OP_fork,   OP_mmap,    OP_write,    OP_swapout,
	OP_mmap,  OP_munmap,  OP_write,  OP_mremap, OP_mmap,    OP_read,     OP_evict,
	OP_write, OP_reclaim, OP_mremap, OP_read,   OP_swapout, OP_mprotect, OP_remap_file_pages,
};

static uint32_t code_of(uint32_t byte)
{
	if (byte < CODE_COMMON)
		return byte % NR_OPS;
	return common_ops[(byte - CODE_COMMON) % sizeof(common_ops)];
}

/* The bit at which a field of BITS starts, if fields up to bit AT are taken. */
static uint32_t place_field(uint32_t at, uint32_t bits)
{
	return at % 8 + bits > 8 ? (at + 7) / 8 * 8 : at;
}

static void decode_operand(struct reader *in, const struct trace_state *state, struct op *op,
			   uint32_t i, uint32_t value)
{
	const struct field *field = trace_field(op_info(op->code)->operand[i].kind);
	struct operand operand;

	if (value < field->escape)
		operand = field->read_short(state, op->code, value);
	else
		operand = field->read_full(in, state, value);
	op->args[i] = operand.value;
	if (operand.ref)
		op->refs |= (uint8_t)(1u << i);
}

/*
 * Operands that the flags do not ask for are in the head all the same, so that its length does not
 * hang on a flag. They count only if one of them is written in full, which is how the encoder tells
 * that they are not 0.
 */
static void drop_idle(struct op *op, const uint32_t values[OP_ARGS_MAX])
{
	const struct op_info *info = op_info(op->code);
	uint32_t optional = op_optional(info);

	if (optional == info->nargs || op_wants_optional(op))
		return;
	for (uint32_t i = optional; i < info->nargs; i++) {
		if (values[i] >= trace_field(info->operand[i].kind)->escape)
			return;
	}
	for (uint32_t i = optional; i < info->nargs; i++) {
		op->args[i] = 0;
		op->refs &= (uint8_t) ~(1u << i);
	}
}

static void decode_operands(struct reader *in, const struct trace_state *state, struct op *op)
{
	const struct op_info *info = op_info(op->code);
	uint32_t values[OP_ARGS_MAX];
	uint32_t at = 0, byte = 0;

	for (uint32_t i = 0; i < info->nargs; i++) {
		uint32_t bits = trace_field(info->operand[i].kind)->bits;

		at = place_field(at, bits);
		if (at % 8 == 0)
			byte = get(in, 1);
		values[i] = byte >> at % 8 & ((1u << bits) - 1);
		at += bits;
	}
	for (uint32_t i = 0; i < info->nargs; i++)
		decode_operand(in, state, op, i, values[i]);
	drop_idle(op, values);
}

/* The K-th of the points that CODE may pass, modulo how many there are. */
static enum point suitable_point(enum op_code code, uint32_t k)
{
	enum point suitable[NR_POINTS];
	uint32_t n = 0;

	for (int point = POINT_NONE + 1; point < NR_POINTS; point++) {
		if (point_suits((enum point)point, code))
			suitable[n++] = (enum point)point;
	}
	return n ? suitable[k % n] : POINT_ALLOC;
}

/* HOST: the op before, or NULL; then there is nothing to run in. */
static void decode_point(struct reader *in, const struct op *host, struct op *op, uint32_t n)
{
	uint32_t byte = get(in, 1);

	if (!host)
		return;
	op->point_nth = n ? (uint16_t)n : 1;
	if (byte >= POINT_ANY)
		op->point = (uint16_t)suitable_point((enum op_code)host->code, byte - POINT_ANY);
	else
		op->point = (uint16_t)(byte % (NR_POINTS - 1) + 1);
}

/* False: no op is left. HOST: the last one that is not nested, or NULL. */
static bool decode_op(struct reader *in, const struct trace_state *state, const struct op *host,
		      struct op *op)
{
	memset(op, 0, sizeof(*op));
	while (in->at < in->size) {
		uint32_t code = get(in, 1), n;

		if (code < PREFIX_FIRST) {
			op->code = (uint8_t)code_of(code);
			decode_operands(in, state, op);
			return true;
		}
		n = code % 4 + 1;
		if (n == 4)
			n = get(in, 2);
		if (code / 4 * 4 == POINT_CODE)
			decode_point(in, host, op, n);
		else
			op_set_property(op, property_of(code), (uint16_t)n);
	}
	return false;
}

static uint32_t encode_operand(struct writer *full, const struct trace_state *state,
			       const struct op *op, uint32_t i, bool idle)
{
	const struct field *field = trace_field(op_info(op->code)->operand[i].kind);
	struct operand operand = {op->args[i], op->refs >> i & 1};
	uint32_t value = field->guess(state, op->code, operand);

	if (value < field->escape && !(idle && field->write_full)) {
		struct operand read = field->read_short(state, op->code, value);

		if (read.value == operand.value && read.ref == operand.ref)
			return value;
	}
	MM_ASSERT(field->write_full);
	return field->write_full(full, operand);
}

/* N > 0 */
static void encode_prefix(struct writer *out, uint32_t code, uint32_t n)
{
	put(out, 1, code + (n < 4 ? n - 1 : 3));
	if (n >= 4)
		put(out, 2, n);
}

#define FULL_MAX (4 * OP_ARGS_MAX)

static void encode_op(struct writer *out, const struct trace_state *state, const struct op *op)
{
	const struct op_info *info = op_info(op->code);
	uint8_t head[OP_ARGS_MAX] = {0}, full_data[FULL_MAX];
	struct writer full = {full_data, sizeof(full_data), 0};
	/* Operands from `idle` on are not asked for; if `end` is behind them, they are not 0. */
	uint32_t end = op_nr_operands(op);
	uint32_t idle = op_wants_optional(op) ? info->nargs : op_optional(info);
	uint32_t at = 0;

	if (op->point) {
		encode_prefix(out, POINT_CODE, op->point_nth);
		put(out, 1, op->point - 1u);
	}
	for (uint32_t i = 0; i < NR_PROPERTIES; i++) {
		if (op_property(op, i))
			encode_prefix(out, property_codes[i], op_property(op, i));
	}
	put(out, 1, op->code);
	for (uint32_t i = 0; i < info->nargs; i++) {
		uint32_t bits = trace_field(info->operand[i].kind)->bits;

		at = place_field(at, bits);
		if (i < end)
			head[at / 8] |=
				(uint8_t)(encode_operand(&full, state, op, i, i >= idle) << at % 8);
		at += bits;
	}
	for (uint32_t i = 0; i < (at + 7) / 8; i++)
		put(out, 1, head[i]);
	for (size_t i = 0; i < full.len; i++)
		put(out, 1, full_data[i]);
}

/* ---- traces ------------------------------------------------------------------------------- */

void trace_decode(struct trace *trace, const uint8_t *data, size_t size, uint32_t max_ops)
{
	struct reader in = {data, size, 0};
	uint32_t host = 0;
	struct trace_state state;
	struct op op;

	trace_clear(trace);
	trace_decode_machine(&in, &trace->config);
	trace_state_init(&state, &trace->config);
	while (trace->nr_ops < max_ops &&
	       decode_op(&in, &state, trace->nr_ops ? &trace->ops[host] : NULL, &op)) {
		int err = trace_add(trace, &op);

		MM_ASSERT(!err);
		if (!op.point)
			host = trace->nr_ops - 1;
		trace_state_step(&state, &op);
	}
}

size_t trace_encode(const struct trace *trace, uint8_t *data, size_t size)
{
	struct writer out = {.size = size};
	struct trace_state state;

	out.data = data;
	trace_encode_machine(&out, &trace->config);
	trace_state_init(&state, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		struct op op = trace->ops[i];

		if (i == 0)
			op.point = POINT_NONE; /* there is nothing that it could run in */
		encode_op(&out, &state, &op);
		trace_state_step(&state, &op);
	}
	return out.len;
}

/*
 * Error paths and interference: the trace of the input, with an allocation that fails, of the
 * engine or of the designs, or reclaim, or the next op as a second actor's, inside most of its
 * ops. Which one follows from the op
 * itself, so an engine that changes an op changes what goes wrong in it.
 */
#include "target.h"

/* FNV-1a over what the op is. */
static uint32_t hash_op(const struct op *op)
{
	uint32_t hash = 0x811c9dc5u ^ op->code;

	for (int i = 0; i < OP_ARGS_MAX; i++)
		hash = (hash ^ op->args[i]) * 0x01000193u;
	return hash ^ hash >> 15;
}

/* One of the points that HOST may pass, by HASH; POINT_NONE if there is none. */
static uint16_t point_of(const struct op *host, uint32_t hash)
{
	for (uint32_t i = 0; i < NR_POINTS; i++) {
		uint32_t point = (hash + i) % NR_POINTS;

		if (point != POINT_NONE && point_suits((enum point)point, (enum op_code)host->code))
			return (uint16_t)point;
	}
	return POINT_NONE;
}

/* NEXT, which may be NULL, is the op behind OP. */
static void disturb(struct op *op, struct op *next)
{
	uint32_t hash = hash_op(op), n = 1 + (hash >> 4) % 6;

	if (op_fails(op) || op->reclaim_nth || op->point)
		return; /* the input says itself, or it is disturbed already */
	switch (hash % 5) {
	case 0:
		op->fail_nth = (uint16_t)n;
		break;
	case 1:
		op->fail_meta = (uint16_t)(1 + n / 2);
		break;
	case 2:
		op->reclaim_nth = (uint16_t)n;
		break;
	case 3:
		if (!next || next->point)
			break;
		next->point = point_of(op, hash >> 8);
		next->point_nth = next->point ? (uint16_t)(1 + n / 2) : 0;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct diff *diff;
	static struct trace trace;

	if (!diff) {
		struct diff_options options;

		target_options_init(&options);
		diff = diff_create(&options);
		trace_init(&trace, &machine_presets[0].config);
	}
	target_decode(&trace, data, size);
	for (uint32_t i = 0; i < trace.nr_ops; i++)
		disturb(&trace.ops[i], i + 1 < trace.nr_ops ? &trace.ops[i + 1] : NULL);
	target_run(diff, &trace);
	return 0;
}

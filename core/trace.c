/*
 * Traces as containers: two arrays that only grow, so that a trace which is cleared and filled
 * again asks the host for nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

void trace_init(struct trace *trace, const struct machine_config *config)
{
	trace->config = *config;
	trace_clear(trace);
}

void trace_clear(struct trace *trace)
{
	trace->nr_ops = 0;
	trace->nr_expects = 0;
}

void trace_release(struct trace *trace)
{
	free(trace->ops);
	free(trace->expects);
	memset(trace, 0, sizeof(*trace));
}

/* Room for WANTED elements of SIZE bytes in *ARRAY, which has *MAX. */
static int grow(void **array, uint32_t *max, uint32_t wanted, size_t size)
{
	uint32_t room = *max ? *max : 64;
	void *bigger;

	if (wanted <= *max)
		return 0;
	while (room < wanted)
		room *= 2;
	bigger = realloc(*array, room * size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*max = room;
	return 0;
}

static int grow_ops(struct trace *trace, uint32_t wanted)
{
	void *ops = trace->ops;
	int err = grow(&ops, &trace->max_ops, wanted, sizeof(*trace->ops));

	trace->ops = ops;
	return err;
}

static int grow_expects(struct trace *trace, uint32_t wanted)
{
	void *expects = trace->expects;
	int err = grow(&expects, &trace->max_expects, wanted, sizeof(*trace->expects));

	trace->expects = expects;
	return err;
}

int trace_add(struct trace *trace, const struct op *op)
{
	struct op copy = *op; /* OP may be one of this very trace */

	if (grow_ops(trace, trace->nr_ops + 1))
		return -ENOMEM;
	copy.serial = trace->nr_ops;
	trace->ops[trace->nr_ops++] = copy;
	return 0;
}

/* UINT32_MAX, before the first op, comes first. An op's result stands on its own line, so it comes
 * before the lines that follow. */
static bool comes_before(const struct expect *a, const struct expect *b)
{
	uint32_t at_a = a->at + 1, at_b = b->at + 1;

	if (at_a != at_b)
		return at_a < at_b;
	return a->kind == EXPECT_RESULT && b->kind != EXPECT_RESULT;
}

int trace_add_expect(struct trace *trace, const struct expect *expect)
{
	struct expect copy = *expect;
	uint32_t i = trace->nr_expects;

	if (grow_expects(trace, trace->nr_expects + 1))
		return -ENOMEM;
	for (; i > 0 && comes_before(&copy, &trace->expects[i - 1]); i--)
		trace->expects[i] = trace->expects[i - 1];
	trace->expects[i] = copy;
	trace->nr_expects++;
	return 0;
}

int trace_copy(struct trace *to, const struct trace *from)
{
	if (to == from)
		return 0;
	if (grow_ops(to, from->nr_ops) || grow_expects(to, from->nr_expects))
		return -ENOMEM;
	to->config = from->config;
	to->nr_ops = from->nr_ops;
	to->nr_expects = from->nr_expects;
	/* The analyzer takes the arrays for one; two traces share none. */
	if (from->nr_ops)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		memcpy(to->ops, from->ops, from->nr_ops * sizeof(*from->ops));
	if (from->nr_expects)
		memcpy(to->expects, from->expects, from->nr_expects * sizeof(*from->expects));
	return 0;
}

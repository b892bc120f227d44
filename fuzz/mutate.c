/*
 * The mutator: from bytes to a trace, some mutations (mutations.c), and back; and trimming.
 *
 * A target whose input begins with bytes of its own has them skipped: they stay as they are, but
 * for a first byte that is exchanged now and then.
 */
#include "mutate_internal.h"

#include <stdlib.h>
#include <string.h>

#define STACKED_MAX    4u  /* mutations at once */
#define SKIPPED_CHANGE 16u /* one mutation in so many exchanges the first byte */

const char *mutator_describe(const struct mutator *m)
{
	return m->describe;
}

/* ---- in and out
 * -------------------------------------------------------------------------------------
 */

struct mutator *mutator_create(uint32_t skip)
{
	struct mutator *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->skip = skip;
	trace_init(&m->trace, &machine_presets[0].config);
	trace_init(&m->other, &machine_presets[0].config);
	trace_init(&m->best, &machine_presets[0].config);
	return m;
}

void mutator_destroy(struct mutator *m)
{
	if (!m)
		return;
	trace_release(&m->trace);
	trace_release(&m->other);
	trace_release(&m->best);
	free(m->out);
	free(m);
}

static void begin(struct mutator *m, const uint8_t *data, size_t size, uint32_t seed)
{
	m->random = seed;
	m->describe[0] = '\0';
	trace_decode(&m->trace, data, size, OPS_MAX);
}

/* Ops go until the rest fits; the machine alone fits into anything but nothing. */
static size_t finish(struct mutator *m, uint8_t *out, size_t max)
{
	size_t size = trace_encode(&m->trace, out, max);

	while (size > max && m->trace.nr_ops) {
		trace_remove(&m->trace, mutator_below(m, m->trace.nr_ops), 1);
		size = trace_encode(&m->trace, out, max);
	}
	return size <= max ? size : max;
}

/* What is before the trace, in OUT. False: it has no room, or is not there. */
static bool copy_skipped(struct mutator *m, const uint8_t *data, size_t size, uint8_t *out,
			 size_t max)
{
	if (size < m->skip || max < m->skip)
		return false;
	memcpy(out, data, m->skip);
	return true;
}

size_t mutator_mutate(struct mutator *m, const uint8_t *data, size_t size, uint8_t *out, size_t max,
		      uint32_t seed)
{
	if (!copy_skipped(m, data, size, out, max))
		return 0;
	begin(m, data + m->skip, size - m->skip, seed);
	if (max < size) {
		mutate_smaller(m);
	} else {
		for (uint32_t n = 1 + mutator_below(m, STACKED_MAX); n; n--)
			mutate_somehow(m);
		if (m->skip && mutator_below(m, SKIPPED_CHANGE) == 0)
			out[0] = (uint8_t)mutator_below(m, 256);
	}
	return m->skip + finish(m, out + m->skip, max - m->skip);
}

size_t mutator_cross(struct mutator *m, const uint8_t *a, size_t a_size, const uint8_t *b,
		     size_t b_size, uint8_t *out, size_t max, uint32_t seed)
{
	if (b_size < m->skip || !copy_skipped(m, a, a_size, out, max))
		return 0;
	begin(m, a + m->skip, a_size - m->skip, seed);
	trace_decode(&m->other, b + m->skip, b_size - m->skip, OPS_MAX);
	mutate_splice(m);
	return m->skip + finish(m, out + m->skip, max - m->skip);
}

/* ---- trimming
 * -------------------------------------------------------------------------------------
 *
 * Chunks of ops go, from the end on; half as large in each round, down to single ops.
 */

/* Room for NEED bytes in m->out; what is there stays. */
static void grow_out(struct mutator *m, size_t need)
{
	if (need <= m->out_max)
		return;
	m->out = realloc(m->out, m->out_max = 2 * need);
	if (!m->out)
		abort();
}

uint32_t mutator_trim_begin(struct mutator *m, const uint8_t *data, size_t size)
{
	m->step = 0;
	m->steps = 0;
	m->chunk = 0;
	if (size < m->skip)
		return 0;
	trace_decode(&m->best, data + m->skip, size - m->skip, TRACE_OPS_MAX);
	grow_out(m, size);
	memcpy(m->out, data, m->skip);
	m->limit = size;
	m->chunk = (m->best.nr_ops + 1) / 2;
	m->at = m->best.nr_ops;
	for (uint32_t chunk = m->chunk, n = m->best.nr_ops; chunk; chunk /= 2)
		m->steps += (n + chunk - 1) / chunk;
	return m->steps;
}

size_t mutator_trim_next(struct mutator *m, const uint8_t **out)
{
	uint32_t n;

	if (m->at == 0 && m->chunk) {
		m->chunk /= 2;
		m->at = m->best.nr_ops;
	}
	if (!m->chunk || !m->at || trace_copy(&m->trace, &m->best))
		return 0;
	n = m->chunk < m->at ? m->chunk : m->at;
	m->at -= n;
	trace_remove(&m->trace, m->at, n);
	grow_out(m, m->skip + trace_encode(&m->trace, NULL, 0));
	m->out_size = m->skip + trace_encode(&m->trace, m->out + m->skip, m->out_max - m->skip);
	*out = m->out;
	/* Bytes missing at the end may have stood for operands: then fewer ops can need more of
	 * them. */
	return m->out_size <= m->limit ? m->out_size : 0;
}

uint32_t mutator_trim_done(struct mutator *m, int good)
{
	if (good)
		trace_decode(&m->best, m->out + m->skip, m->out_size - m->skip, TRACE_OPS_MAX);
	if (m->at > m->best.nr_ops)
		m->at = m->best.nr_ops;
	m->step++;
	/* The last step is announced by being as many as were promised. */
	if (m->at == 0 && m->chunk <= 1)
		m->step = m->steps;
	return m->step < m->steps ? m->step : m->steps;
}

/*
 * AFL++'s hooks around the mutator, as a shared object:
 * AFL_CUSTOM_MUTATOR_LIBRARY=./librmapfuzz_afl.so, for fuzz_single librmapfuzz_afl_single.so. Its
 * own havoc stage goes on beside it, unless AFL_CUSTOM_MUTATOR_ONLY=1.
 */
#include <stdlib.h>

#include "mutate.h"

#ifndef MUTATE_SKIP
#define MUTATE_SKIP 0 /* bytes before the trace */
#endif

#define EXPORT __attribute__((visibility("default")))

struct afl_mutator {
	struct mutator *mutator;
	uint32_t seed;
	uint8_t *out;
	size_t max;
};

EXPORT void *afl_custom_init(void *afl, unsigned int seed);
EXPORT size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t size, uint8_t **out, uint8_t *add,
			      size_t add_size, size_t max);
EXPORT const char *afl_custom_describe(void *data, size_t max);
EXPORT int32_t afl_custom_init_trim(void *data, uint8_t *buf, size_t size);
EXPORT size_t afl_custom_trim(void *data, uint8_t **out);
EXPORT int32_t afl_custom_post_trim(void *data, uint8_t success);
EXPORT void afl_custom_deinit(void *data);

void *afl_custom_init(void *afl, unsigned int seed)
{
	struct afl_mutator *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mutator = mutator_create(MUTATE_SKIP);
	m->seed = seed;
	return m;
}

/* Every fourth time, with the second input that AFL++ offers. */
size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t size, uint8_t **out, uint8_t *add,
		       size_t add_size, size_t max)
{
	struct afl_mutator *m = data;

	if (max > m->max) {
		free(m->out);
		m->out = malloc(max);
		m->max = m->out ? max : 0;
	}
	*out = m->out;
	if (!m->out)
		return 0;
	if (add && add_size && m->seed % 4 == 0)
		return mutator_cross(m->mutator, buf, size, add, add_size, m->out, max, m->seed++);
	/* A size that equals the limit is no request to shrink. */
	return mutator_mutate(m->mutator, buf, size < max ? size : max, m->out, max, m->seed++);
}

const char *afl_custom_describe(void *data, size_t max)
{
	struct afl_mutator *m = data;

	return mutator_describe(m->mutator);
}

int32_t afl_custom_init_trim(void *data, uint8_t *buf, size_t size)
{
	struct afl_mutator *m = data;

	return (int32_t)mutator_trim_begin(m->mutator, buf, size);
}

size_t afl_custom_trim(void *data, uint8_t **out)
{
	struct afl_mutator *m = data;
	static const uint8_t nothing[1];
	const uint8_t *candidate =
		nothing; /* it must not be NULL, even where it is not looked at */
	size_t size = mutator_trim_next(m->mutator, &candidate);

	*out = (uint8_t *)(uintptr_t)candidate;
	return size;
}

int32_t afl_custom_post_trim(void *data, uint8_t success)
{
	struct afl_mutator *m = data;

	return (int32_t)mutator_trim_done(m->mutator, success);
}

void afl_custom_deinit(void *data)
{
	struct afl_mutator *m = data;

	if (!m)
		return;
	mutator_destroy(m->mutator);
	free(m->out);
	free(m);
}

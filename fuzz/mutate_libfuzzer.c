/*
 * libFuzzer's hooks around the mutator. One input in eight is left to the engine's own mutations of
 * bytes, which find what nobody thought of.
 *
 * RMAP_MUTATOR=0 in the environment leaves all of them to the engine: an ablation.
 */
#include <stdlib.h>
#include <string.h>

#include "mutate.h"

#ifndef MUTATE_SKIP
#define MUTATE_SKIP 0 /* bytes before the trace */
#endif

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max, unsigned int seed);

static struct mutator *the_mutator(void)
{
	static struct mutator *mutator;

	if (!mutator)
		mutator = mutator_create(MUTATE_SKIP);
	return mutator;
}

static int is_off(void)
{
	static int off = -1;
	const char *setting;

	if (off < 0) {
		setting = getenv("RMAP_MUTATOR");
		off = setting && strcmp(setting, "0") == 0;
	}
	return off;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	uint8_t *copy;
	size_t n;

	if (LLVMFuzzerMutate && (is_off() || (seed % 8 == 0 && max >= size)))
		return LLVMFuzzerMutate(data, size, max);
	copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	n = mutator_mutate(the_mutator(), copy, size, data, max, seed);
	free(copy);
	return n;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max, unsigned int seed)
{
	size_t n = a_size < max ? a_size : max;

	if (!is_off())
		return mutator_cross(the_mutator(), a, a_size, b, b_size, out, max, seed);
	memcpy(out, a, n);
	return LLVMFuzzerMutate ? LLVMFuzzerMutate(out, n, max) : n;
}

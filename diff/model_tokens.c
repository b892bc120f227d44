/*
 * A sparse map from page number to content token.
 *
 *   tokens.ref:  | base 3 | base 4 | base 900 |      sorted; a page is base * 64 + bit
 *                    |        |        |
 *                 chunk    chunk    chunk            from one pool, reused LIFO
 *
 * Programs touch pages in runs, so a chunk of 64 neighbours is mostly full; the sorted array is
 * then short enough for memmove, even with tens of thousands of pages touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_private.h"

void *model_grow(void *array, uint32_t *max, uint32_t need, size_t size)
{
	uint32_t room = *max ? *max : 8;
	char *grown;

	if (need <= *max)
		return array;
	while (room < need)
		room *= 2;
	grown = realloc(array, room * size);
	if (!grown) {
		fputs("rmapfuzz: out of host memory\n", stderr);
		abort();
	}
	memset(grown + *max * size, 0, (room - *max) * size);
	*max = room;
	return grown;
}

static uint32_t chunk_alloc(struct token_pool *pool)
{
	uint32_t chunk;

	if (pool->free) {
		chunk = pool->free - 1;
		pool->free = (uint32_t)pool->chunk[chunk].used;
	} else {
		pool->chunk =
			model_grow(pool->chunk, &pool->max, pool->n + 1, sizeof(*pool->chunk));
		chunk = pool->n++;
	}
	pool->chunk[chunk].used = 0;
	return chunk;
}

static void chunk_free(struct token_pool *pool, uint32_t chunk)
{
	pool->chunk[chunk].used = pool->free;
	pool->free = chunk + 1;
}

/* Index of the first reference with a base >= BASE. */
static uint32_t ref_find(const struct tokens *tokens, uint32_t base)
{
	uint32_t low = 0, high = tokens->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (tokens->ref[middle].base < base)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool tokens_get(const struct token_pool *pool, const struct tokens *tokens, uint32_t page,
		uint64_t *token)
{
	uint32_t i = ref_find(tokens, page / 64);
	const struct token_chunk *chunk;

	if (i == tokens->n || tokens->ref[i].base != page / 64)
		return false;
	chunk = &pool->chunk[tokens->ref[i].chunk];
	if (!(chunk->used >> (page % 64) & 1))
		return false;
	*token = chunk->token[page % 64];
	return true;
}

void tokens_set(struct token_pool *pool, struct tokens *tokens, uint32_t page, uint64_t token)
{
	uint32_t i = ref_find(tokens, page / 64);
	struct token_chunk *chunk;

	if (i == tokens->n || tokens->ref[i].base != page / 64) {
		tokens->ref =
			model_grow(tokens->ref, &tokens->max, tokens->n + 1, sizeof(*tokens->ref));
		memmove(&tokens->ref[i + 1], &tokens->ref[i],
			(tokens->n - i) * sizeof(*tokens->ref));
		tokens->n++;
		tokens->ref[i].base = page / 64;
		tokens->ref[i].chunk = chunk_alloc(pool);
	}
	chunk = &pool->chunk[tokens->ref[i].chunk];
	chunk->used |= 1ull << (page % 64);
	chunk->token[page % 64] = token;
}

/* The bits of chunk BASE that lie in pages [first, last). */
static uint64_t chunk_mask(uint32_t base, uint32_t first, uint32_t last)
{
	uint64_t mask = ~0ull;

	if (first > base * 64)
		mask <<= first - base * 64;
	if (last - base * 64 < 64)
		mask &= (1ull << (last - base * 64)) - 1;
	return mask;
}

void tokens_clear(struct token_pool *pool, struct tokens *tokens, uint32_t first, uint32_t last)
{
	uint32_t from, kept;

	if (!tokens->n || first >= last)
		return;
	from = kept = ref_find(tokens, first / 64);
	while (from < tokens->n && tokens->ref[from].base * 64 < last) {
		struct token_ref ref = tokens->ref[from++];
		struct token_chunk *chunk = &pool->chunk[ref.chunk];

		chunk->used &= ~chunk_mask(ref.base, first, last);
		if (chunk->used)
			tokens->ref[kept++] = ref;
		else
			chunk_free(pool, ref.chunk);
	}
	if (kept != from) {
		memmove(&tokens->ref[kept], &tokens->ref[from],
			(tokens->n - from) * sizeof(*tokens->ref));
		tokens->n -= from - kept;
	}
}

bool tokens_next(const struct token_pool *pool, const struct tokens *tokens, uint32_t *page,
		 uint32_t last)
{
	uint32_t i;

	for (i = ref_find(tokens, *page / 64); i < tokens->n; i++) {
		uint32_t base = tokens->ref[i].base;
		uint64_t used;

		if (base * 64 >= last)
			break;
		used = pool->chunk[tokens->ref[i].chunk].used & chunk_mask(base, *page, last);
		if (used) {
			*page = base * 64 + (uint32_t)__builtin_ctzll(used);
			return true;
		}
	}
	return false;
}

void tokens_copy(struct token_pool *pool, struct tokens *copy, const struct tokens *tokens)
{
	uint32_t i;

	copy->ref = model_grow(copy->ref, &copy->max, tokens->n, sizeof(*copy->ref));
	for (i = 0; i < tokens->n; i++) {
		uint32_t chunk = chunk_alloc(pool);

		pool->chunk[chunk] = pool->chunk[tokens->ref[i].chunk];
		copy->ref[i].base = tokens->ref[i].base;
		copy->ref[i].chunk = chunk;
	}
	copy->n = tokens->n;
}

void tokens_move(struct token_pool *pool, struct tokens *tokens, uint32_t from, uint32_t to,
		 uint32_t n)
{
	uint32_t page = from;

	while (tokens_next(pool, tokens, &page, from + n)) {
		uint64_t token = 0;

		tokens_get(pool, tokens, page, &token);
		tokens_set(pool, tokens, page - from + to, token);
		page++;
	}
	tokens_clear(pool, tokens, from, from + n);
}

/*
 * What the generator believes of each address space: which pages of the window are mapped, present,
 * usable and shared. Ops that are made note what they ought to have done; nobody runs them. Being
 * wrong is no harm: it costs an op that does nothing.
 */
#include "generate_private.h"

/* What is believed of PROC; of one that cannot be alive, nothing. */
struct guess *guess_of(struct generator *g, uint32_t proc)
{
	return proc < PROCS_MAX && (g->live >> proc & 1) ? &g->guess[g->space[proc]] : NULL;
}

/* A guess that no living process but PROC uses. */
uint8_t unused_space(const struct generator *g, uint32_t proc)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < PROCS_MAX; i++)
		used |= i != proc && (g->live >> i & 1) ? 1u << g->space[i] : 0;
	return (uint8_t)__builtin_ctz(~used);
}

/* The window's pages among the LEN at operand ADDR of OP. */
uint32_t pages_at(const struct generator *g, const struct op *op, int addr, uint32_t len)
{
	uint32_t first = (op->args[addr] - g->base) / PAGE_SIZE;
	uint64_t pages;

	if ((op->refs >> addr & 1) || first >= g->window)
		return 0;
	if (len > g->window - first)
		len = g->window - first;
	pages = ((1ull << len) - 1) << first;
	return (uint32_t)pages;
}

uint32_t mapped(struct generator *g, const struct op *op)
{
	const struct guess *guess = guess_of(g, op->args[0]);

	return guess ? guess->mapped : 0;
}

void note_prot(struct guess *guess, uint32_t pages, uint32_t prot)
{
	const uint32_t both = OP_PROT_READ | OP_PROT_WRITE;

	guess->usable &= ~pages;
	if ((prot & both) == both)
		guess->usable |= pages & guess->mapped;
}

/* Bits of SET from FIRST on, moved to TO; at most N of them. */
static uint32_t moved(uint32_t set, uint32_t first, uint32_t to, uint32_t n)
{
	uint64_t bits = (uint64_t)set >> first;

	if (n < WINDOW_MAX)
		bits &= (1ull << n) - 1;
	return (uint32_t)(bits << to);
}

void note_move(struct generator *g, struct guess *guess, const struct op *op)
{
	uint32_t old = pages_at(g, op, 2, op->args[3]), new = pages_at(g, op, 6, op->args[4]);
	uint32_t from, to, present = 0, usable = 0, shared = 0;

	if (!old || (guess->mapped & old) != old)
		return;
	if (new) {
		from = (uint32_t)__builtin_ctz(old);
		to = (uint32_t)__builtin_ctz(new);
		present = moved(guess->present & old, from, to, op->args[3]) & new;
		usable = guess->usable >> from & 1 ? new : 0;
		shared = guess->shared >> from & 1 ? new : 0;
	}
	if (!(op->args[5] & OP_MREMAP_DONTUNMAP))
		guess->mapped &= ~old;
	guess->mapped |= new;
	guess->present = (guess->present & ~(old | new)) | present;
	guess->usable = (guess->usable & ~(old | new)) | usable;
	guess->shared = (guess->shared & ~(old | new)) | shared;
}

/*
 * The generator's operands, by kind, from op.def: a new op of known kinds needs nothing here. A few
 * percent are wild: addresses and lengths that no program in its right mind would use.
 */
#include "generate_private.h"

uint32_t window_addr(struct generator *g)
{
	return g->base + below(g, g->window) * PAGE_SIZE;
}

static uint32_t wild_addr(struct generator *g)
{
	uint32_t addr;

	switch (below(g, 6)) {
	case 0:
		return 0;
	case 1:
		addr = window_addr(g);
		return addr + 1 + below(g, PAGE_SIZE - 1);
	case 2:
		return 0xc0000000u - below(g, 8) * PAGE_SIZE;
	case 3:
		return below(g, 0x100000) * PAGE_SIZE;
	case 4:
		return g->base - below(g, 4) * PAGE_SIZE;
	default:
		return (uint32_t)random_next(&g->random);
	}
}

static uint32_t make_addr(struct generator *g, struct op *op, int i)
{
	uint32_t region;

	if (chance(g, g->wild))
		return wild_addr(g);
	if (g->nr_regions && chance(g, g->region)) {
		op->refs |= (uint8_t)(1u << i);
		region = below(g, g->nr_regions);
		return region << 24 | below(g, 4);
	}
	if (g->heap && chance(g, g->heap))
		return HEAP_BASE + below(g, g->window) * PAGE_SIZE;
	return window_addr(g);
}

static uint32_t make_len(struct generator *g)
{
	if (chance(g, g->wild)) {
		switch (below(g, 4)) {
		case 0:
			return 0;
		case 1:
			return LEN_MAX;
		case 2:
			return 510 + below(g, 4);
		default:
			return 1u << below(g, 20);
		}
	}
	switch (below(g, 8)) {
	case 0:
	case 1:
	case 2:
		return 1;
	case 3:
	case 4:
	case 5:
		return 1 + below(g, 4);
	default:
		return 1 + below(g, g->window);
	}
}

static uint32_t make_proc(struct generator *g)
{
	return chance(g, g->wild) ? below(g, PROC_MAX) : one_of(g, g->now.live);
}

uint32_t make_newproc(struct generator *g)
{
	uint32_t vacant = ~g->now.live & ((1u << g->max_procs) - 1);

	return vacant && !chance(g, g->wild) ? one_of(g, vacant) : below(g, g->max_procs);
}

static uint32_t make_prot(struct generator *g)
{
	static const uint8_t likely[16] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 0, 0, 2};
	uint32_t i = below(g, 20);

	return i < 16 ? likely[i] : below(g, OP_PROT_MASK + 1);
}

static uint32_t make_mflags(struct generator *g)
{
	uint32_t flags = 0;

	flags |= chance(g, g->file) ? 0 : OP_MAP_ANON;
	flags |= chance(g, g->shared) ? OP_MAP_SHARED : 0;
	flags |= chance(g, g->fixed) ? OP_MAP_FIXED : 0;
	switch (below(g, 16)) {
	case 0:
		return flags | OP_MAP_POPULATE;
	case 1:
		return flags | OP_MAP_LOCKED;
	case 2:
		return (flags | OP_MAP_GROWSDOWN | OP_MAP_ANON) & ~OP_MAP_SHARED;
	case 3:
		return flags | below(g, OP_MAP_MASK + 1);
	default:
		return flags;
	}
}

static uint32_t make_rflags(struct generator *g)
{
	static const uint8_t likely[16] = {3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 0, 5, 7, 7};

	return chance(g, g->wild) ? OP_MREMAP_FIXED : likely[below(g, 16)];
}

static uint32_t make_swap(struct generator *g)
{
	return g->config->nr_swap ? below(g, g->config->nr_swap) : 0;
}

uint32_t make_operand(struct generator *g, struct op *op, int i, enum operand_kind kind)
{
	switch (kind) {
	case OPERAND_PROC:
		return make_proc(g);
	case OPERAND_NEWPROC:
		return make_newproc(g);
	case OPERAND_REGION:
		return REGION_NONE;
	case OPERAND_ADDR:
		return make_addr(g, op, i);
	case OPERAND_LEN:
		return make_len(g);
	case OPERAND_PROT:
		return make_prot(g);
	case OPERAND_MFLAGS:
		return make_mflags(g);
	case OPERAND_RFLAGS:
		return make_rflags(g);
	case OPERAND_NFLAGS:
		return below(g, 4) == 0 ? OP_REMAP_NONBLOCK : 0;
	case OPERAND_ADVICE:
		return below(g, 3) == 0 ? ADVICE_DONTNEED : below(g, NR_ADVICE);
	case OPERAND_FILE:
		return below(g, below(g, 4) ? 3 : FILE_MAX);
	case OPERAND_PGOFF:
		return below(g, chance(g, g->wild) ? LEN_MAX : g->config->file_pages + 2);
	case OPERAND_COUNT:
		return chance(g, g->wild) ? below(g, 4096) : 1 + below(g, 16);
	case OPERAND_SWAP:
		return chance(g, g->wild) ? below(g, SWAP_AREAS_MAX) : make_swap(g);
	case OPERAND_PIN:
		return g->now.pins && !chance(g, g->wild) ? one_of(g, g->now.pins)
							  : below(g, PIN_MAX);
	case OPERAND_NEWPIN:
		return below(g, PINS_MAX);
	case OPERAND_PFLAGS:
		return below(g, 8) ? below(g, 4) ? OP_PIN_WRITE : 0 : below(g, OP_PIN_MASK + 1);
	case OPERAND_SFLAGS:
		return below(g, 2) ? OP_MS_SYNC : below(g, OP_MS_MASK + 1);
	case OPERAND_NONE:
		break;
	}
	return 0;
}

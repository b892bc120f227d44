/*
 * Saboteurs: a design wrapped in one that has a planted fault, to test the tester.
 *
 *   engine --rmap_ops--> saboteur --rmap_ops--> pte_chain, anon_vma, ...
 *
 * A saboteur is itself a design: it copies the base's operations and puts its own in front of
 * those it needs. What it remembers of a machine it keeps in the saboteur, in one place per
 * machine, because the machine's one private word is the base's. Faults come by counting, so
 * the same trace meets the same fault.
 */
#ifndef RMAPFUZZ_TESTS_SABOTEUR_H
#define RMAPFUZZ_TESTS_SABOTEUR_H

#include "machine.h"

enum sabotage {
	SABOTAGE_NONE,   /* a plain decorator: must not be noticed */
	SABOTAGE_FORGET, /* walks leave out every few-th mapping that was ever added */
	SABOTAGE_TWICE,  /* walks show every few-th mapping twice */
	SABOTAGE_STALE,  /* walks show mappings that were removed, too */
	SABOTAGE_LEAK,   /* objects taken for an add are not given back when it fails */
	SABOTAGE_SPLIT,  /* anon_vma_direct as posted: pages keep naming the area they were split
			    from */
	NR_SABOTAGES
};

#define SABOTEUR_MACHINES 4
#define SABOTEUR_ENTRIES  64

/* The entry at ADDR maps, or once mapped, PAGE. */
struct sabotaged_entry {
	const struct page *page;
	pte_addr_t addr;
};

struct saboteur_state {
	struct machine *machine;
	struct kmem_cache *cache;                         /* SABOTAGE_LEAK */
	uint32_t adds, visits;                            /* so far */
	struct sabotaged_entry entries[SABOTEUR_ENTRIES]; /* forgotten, or stale */
	uint32_t nr_entries;
};

struct saboteur {
	struct rmap_ops ops; /* what a machine is given; must be first */
	const struct rmap_ops *base;
	enum sabotage kind;
	char name[48]; /* "forget-anon_vma" */
	struct saboteur_state states[SABOTEUR_MACHINES];
};

/* Wrap BASE. The saboteur must outlive its machines, and stay where it is. */
void saboteur_init(struct saboteur *saboteur, const struct rmap_ops *base, enum sabotage kind);

#endif

/*
 * Temporary kernel mappings: what the kernel must do before it touches a page that it does not map
 * for good, and undo right after.
 *
 *     kmap_atomic     a slot for each purpose on each processor, for a few instructions
 *
 *         KM_USER0, KM_USER1    contents: the page that is written, the one it is copied from
 *         KM_PTE0, KM_PTE1      tables under HIGHPTE: the walk's own, the other one of a copy
 *         KM_PTE2               the entry that a reverse map shows
 *
 * Who holds a slot must not sleep, and nobody else on this processor may take it meanwhile. Five
 * things go wrong with that, and each is kept as a fault:
 *
 *     twice     a slot is taken that is in use
 *     wrong     a slot is given back that holds another page, or none
 *     sleeps    memory is asked for, which may wait, with a slot in use
 *     left      the op is over and a slot is in use
 *     unmapped  an entry is read or written whose table is in no slot
 *
 * Pages of lowmem need no mapping; the calls are made for them all the same, and are judged here
 * for them, too.
 */
#ifndef RMAPFUZZ_CORE_KMAP_H
#define RMAPFUZZ_CORE_KMAP_H

#include "machine.h"

enum km_type { KM_USER0, KM_USER1, KM_PTE0, KM_PTE1, KM_PTE2, NR_KM_TYPES };

/* The slots of a processor. A nested op has those of another one. */
struct kmap_slots {
	struct page *page[NR_KM_TYPES];
	uint32_t used;
};

struct kmaps {
	struct kmap_slots slots; /* of the processor under way */
	struct kmap_fault fault;
	uint64_t atomic; /* slots taken since boot */
	uint32_t
		lose_unmap; /* tests only: the how-manieth kunmap from here is forgotten; 0: none */
};

/* What kmap_atomic and kunmap_atomic (internal.h) do if all is not well: the slot is in use; it
 * holds something else (returns true if it stays as it is). */
void kmap_taken(struct machine *machine, enum km_type type);
bool kmap_not_held(struct machine *machine, const struct page *page, enum km_type type);

#define pte_map(machine, p)          pte_map_type((machine), (p), KM_PTE0)
#define pte_unmap(machine, p)        pte_unmap_type((machine), (p), KM_PTE0)
#define pte_map_nested(machine, p)   pte_map_type((machine), (p), KM_PTE1)
#define pte_unmap_nested(machine, p) pte_unmap_type((machine), (p), KM_PTE1)

/* Content of one frame of PAGE: zeroed, or copied from one of another. */
void clear_user_highpage(struct machine *machine, struct page *page, uint32_t sub);
void copy_user_highpage(struct machine *machine, struct page *to, uint32_t sub, struct page *from,
			uint32_t from_sub);

/* An entry of TABLE is touched, and no slot holds it. */
void kmap_missing(const struct pte_table *table);
/* Memory is asked for, and reclaim may run. */
void kmap_might_sleep(struct machine *machine);
/* The op is over: nothing may be mapped. */
void kmap_judge(struct machine *machine);

#endif

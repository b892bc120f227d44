/*
 * Packed pte chains, shared by pte_chain (all pages) and objrmap (anonymous pages).
 *
 * A page with one mapping names the entry's address itself ("direct"). From the second mapping
 * on it points at a list of cacheline-sized objects. With a 32-byte line and 4-byte addresses
 * (NRPTE = 7) and 9 mappings, newest A9:
 *
 *   page                head: filled from the top down      later ones: always full
 *   rmap --> .------------------------------------. next .----+----+----+-...-+----.
 *            | next_and_idx | 0 0 0 0 0 | A9 | A8 | ---> | .  | A7 | A6 |     | A1 | --> 0
 *            '------------------------------------'      '----+----+----+-...-+----'
 *                             slot 0      5    6                 0
 *                             idx = 5, the lowest used slot
 *
 * i386 packs `next` and `idx` into one word: NRPTE is 2^k - 1 and objects are aligned to a line, so
 * the low bits of the pointer are free. Host objects are not so aligned; here they are two
 * fields, charged as the one word. NRPTE = (line - 4) / bytes of a pte_addr_t: 7, 15, 31, and
 * under HIGHPTE, where an entry's address takes 8 bytes, 3, 7, 15.
 *
 * Removal moves the head's first used slot into the hole, so only the head ever has room. A chain
 * whose last but one entry goes stays a chain; page_referenced alone turns it back into a direct
 * address, that is, a walk that finds a single entry and lets it be.
 */
#ifndef RMAPFUZZ_RMAP_CHAIN_H
#define RMAPFUZZ_RMAP_CHAIN_H

#include "rmap.h"

/* page.rmap_flags: page.rmap.word is the address of its only entry (PG_direct). */
#define CHAIN_DIRECT 1u

struct pte_chain {
	struct pte_chain *next;
	uint32_t idx;      /* the lowest used slot */
	pte_addr_t ptes[]; /* chain_slots() of them */
};

/* NRPTE of this machine. */
uint32_t chain_slots(const struct machine *machine);

/* rmap_ops.create. */
void chain_create(struct machine *machine);
/* 0, or -ENOMEM with nothing changed. Takes an object when the page goes from one mapping to two,
 * and when the head is full. */
int chain_add(struct machine *machine, struct page *page, struct ptep pte);
/* An entry that is not in the chain is ignored. */
void chain_remove(struct machine *machine, struct page *page, struct ptep pte);
/* Remove, then add, as mremap did. Cannot fail: if add needs an object, remove has emptied one. */
void chain_move(struct machine *machine, struct page *page, struct ptep from, struct ptep to);
void chain_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg);

/* Is PTE, which maps PAGE, known rightly? NULL, or the broken invariant (C1 to C4, pte_chain.c). */
const char *chain_check(struct machine *machine, const struct page *page, struct ptep pte);
void chain_describe(struct machine *machine, const struct page *page, char *buf, size_t size);

#endif

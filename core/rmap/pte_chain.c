/*
 * pte_chain - every page knows the addresses of the entries that map it.
 * R. van Riel's "minimal rmap" of 2.5.27 (July 2002), with D. McCracken's direct pointer and
 * A. Morton's cacheline-sized chains; this is its last form, 2.5.67 to 2.6.6.
 *
 *   page --(one mapping)----------------------------------> entry
 *
 *   page --(more)--> | next | idx | 0 | 0 | A | A | A |
 *                       |                   '---'---'----> entries, anywhere
 *                       '--> | next | 0 | A | A | ... |    (layout: chain.h)
 *
 * An entry's address leads to the mm and the virtual address through its page table's struct page.
 *
 * Cost: nothing beyond the word in struct page for a page with one mapping; ceil(k / NRPTE) cache
 * lines of lowmem for k >= 2. fork and exit pay for each page: add() is O(1), remove() O(sharers).
 * A walk touches exactly the entries that exist, at one kmap_atomic each under HIGHPTE.
 * mremap has to tell the page (move). Areas mean nothing to it, so anonymous ones merge freely.
 *
 * Invariants
 *   C1  every present entry is in its page's map
 *   C2  a page's map has as many entries as mapcount says (with C1: no others, and none twice)
 *   C3  only the head has free slots; they are its lowest ones, and 0
 *   C4  a chain has no empty object
 */
#include "backend.h"
#include "chain.h"

static int pte_chain_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			 struct ptep pte)
{
	return chain_add(machine, page, pte);
}

static void pte_chain_remove(struct machine *machine, struct page *page, struct vma *vma,
			     uint32_t vpn, struct ptep pte)
{
	chain_remove(machine, page, pte);
}

static int pte_chain_move(struct machine *machine, struct page *page, struct vma *old,
			  uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
			  struct ptep to)
{
	chain_move(machine, page, from, to);
	return 0;
}

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	return chain_check(machine, page, pte);
}

static const char *pte_chain_check(struct machine *machine)
{
	return check_every_entry(machine, check_entry);
}

static void pte_chain_describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	chain_describe(machine, page, buf, size);
}

const struct rmap_ops rmap_pte_chain = {
	.name = "pte_chain",
	.summary = "2.5.27 - 2.6.6: a direct pointer, then packed chains of entry addresses",
	.page_bytes = 36, /* 2.6.6 with HIGHPTE, where the word in it holds 8 bytes; 32 without */
	.vma_bytes = 64,
	.mm_bytes = 544,
	.anon_pgoff_free = true,
	.create = chain_create,
	.add = pte_chain_add,
	.remove = pte_chain_remove,
	.move = pte_chain_move,
	.walk = chain_walk,
	.check = pte_chain_check,
	.describe = pte_chain_describe,
};

/*
 * Temporary kernel mappings: what the kernel must do before it touches a page that it does not map
 * for good, and undo right after.
 *
 *     kmap_atomic     a slot for each purpose on each processor, for a few instructions
 *
 *         KM_USER0, KM_USER1    contents: the page that is written, the one it is copied from
 *         KM_BOUNCE_READ        contents that a device has brought
 *         KM_PTE0, KM_PTE1      tables under HIGHPTE: the walk's own, the other one of a copy
 *         KM_PTE2               the entry that a reverse map shows
 *
 *     kmap            an entry of a pool that all processors share, for as long as it takes
 *
 * Who holds a slot must not sleep, and nobody else on this processor may take it meanwhile. Who
 * calls kmap may have to sleep until an entry is given back, and may sleep with his. An entry that
 * nobody uses any more stays as it is, and a page that is mapped again soon finds it; when the pool
 * has been gone through once, all of these are cleared, with one flush for all of them:
 *
 *     count   0   free, and no TLB knows what it mapped
 *             1   nobody uses it, TLBs may know it: still its page's, until the next flush
 *             n   n - 1 users
 *
 * Seven things go wrong with that, and each is kept as a fault:
 *
 *     twice     a slot is taken that is in use
 *     wrong     a slot is given back that holds another page, or none; kunmap without kmap
 *     sleeps    memory or an entry of the pool is asked for, which may wait, with a slot in use
 *     left      the op is over and a slot or an entry of the pool is in use
 *     unmapped  a page table or a content is touched that is mapped nowhere
 *     full      an entry of the pool is asked for, and those who have them all can give none back:
 *               2.6 would sleep for ever
 *     stale     a content is touched through an entry of which the processor remembers an older
 * page
 *
 * Pages of lowmem need no mapping; the calls are made for them all the same, and are judged here
 * for them, too.
 */
#ifndef RMAPFUZZ_CORE_KMAP_H
#define RMAPFUZZ_CORE_KMAP_H

#include "machine.h"

enum km_type { KM_USER0, KM_USER1, KM_BOUNCE_READ, KM_PTE0, KM_PTE1, KM_PTE2, NR_KM_TYPES };

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

/* ---- the pool (pkmap.c) ---------------------------------------------------------------- */

#define LAST_PKMAP      512u /* entries, under PAE */
#define LAST_PKMAP_TINY 3u   /* with counters=tiny: the next flush is near */

struct pkmap_entry {
	struct page *page; /* NULL: count is 0 */
	uint32_t count;
	struct page *seen[CPUS_MAX]; /* what the TLB of each processor has; NULL: nothing */
};

struct pkmap {
	struct pkmap_entry *entry;
	uint32_t room;           /* for so many on the host; those from `touched` on are zero */
	uint32_t touched;        /* all that were in use since boot are before this one */
	uint32_t last;           /* the entry that was found last */
	uint32_t users, outside; /* of all entries; those of the host, while a nested op runs */
	uint64_t kmaps, flushes; /* since boot */
	bool lose_flush;         /* tests only: processors are not told */
};

void pkmap_reset(struct machine *machine);
void pkmap_destroy(struct machine *machine);
/* PAGE gets an address that is good for all processors until kunmap. May sleep. */
void kmap(struct machine *machine, struct page *page);
void kunmap(struct machine *machine, struct page *page);
/* Content number SUB behind the address that PAGE has: what the processor under way takes for it.
 */
uint64_t *kmap_token(struct machine *machine, struct page *page, uint32_t sub);
/* Recount: counts against users, PAGES that say they have an entry, and what processors remember.
 * NULL, or BUF with a sentence. */
const char *pkmap_verify(const struct machine *machine, uint32_t pages, char *buf, size_t size);
/* Somebody has not given an entry back: its page, or NULL. */
const struct page *pkmap_left(const struct machine *machine);

/* ---- slots --------------------------------------------------------------------------------- */

/* What kmap_atomic and kunmap_atomic (internal.h) do if all is not well: the slot is in use; it
 * holds something else (returns true if it stays as it is). */
void kmap_taken(struct machine *machine, enum km_type type);
bool kmap_not_held(struct machine *machine, const struct page *page, enum km_type type);

#define pte_map(machine, p)          pte_map_type((machine), (p), KM_PTE0)
#define pte_unmap(machine, p)        pte_unmap_type((machine), (p), KM_PTE0)
#define pte_map_nested(machine, p)   pte_map_type((machine), (p), KM_PTE1)
#define pte_unmap_nested(machine, p) pte_unmap_type((machine), (p), KM_PTE1)

/* The first fault is kept. SLOT: its name, or "the pool". */
void kmap_blame(struct machine *machine, enum kmap_fault_kind kind, const char *slot,
		const struct page *page);

/* Content of one frame of PAGE: zeroed, or copied from one of another. */
void clear_user_highpage(struct machine *machine, struct page *page, uint32_t sub);
void copy_user_highpage(struct machine *machine, struct page *to, uint32_t sub, struct page *from,
			uint32_t from_sub);

/* What a disk has takes the place of PAGE's contents, or the other way round. A device reaches no
 * highmem: its data go through a bounce page, from which or to which the processor copies. */
void bounce_read(struct machine *machine, struct page *page, const uint64_t *disk);
void bounce_write(struct machine *machine, struct page *page, uint64_t *disk);

/* An entry of TABLE is touched, and no slot holds it. */
void kmap_missing(const struct pte_table *table);
/* Memory, or an entry of the pool, is asked for: reclaim, or others, may run. */
void kmap_might_sleep(struct machine *machine);
/* The op is over: nothing may be mapped. */
void kmap_judge(struct machine *machine);

#endif

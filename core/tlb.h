/*
 * Processors and what they remember of page tables: a software TLB for each.
 *
 *   p0 p2 p4 ... --> cpu 0   cr3 --> mm      64 entries, one place for each page modulo 64
 *   p1 p3 p5 ... --> cpu 1   cr3 --> mm      (process number modulo `cpus`)
 *
 * A processor looks into its TLB before it looks into a page table, and nobody tells it when the
 * table changes: whoever takes something away from an entry owes a flush, before the op ends and
 * before the frame goes back to the allocator. Two rules, both checked at the price of what was
 * touched:
 *
 *   stale   after an op no TLB entry names another frame than the entry in the page table, or
 *           allows more
 *   freed   no frame is freed that a TLB entry still names
 *
 * There are no address-space numbers on i386: another mm in cr3 means an empty TLB. A processor
 * whose process has exited keeps the mm of that one until it gets another (lazy TLB), and is sent
 * its flushes meanwhile.
 */
#ifndef RMAPFUZZ_CORE_TLB_H
#define RMAPFUZZ_CORE_TLB_H

#include "machine.h"

#define TLB_SLOTS 64u

struct tlb_entry {
	uint32_t vpn;
	struct page *page;
	pte_t entry; /* the page table's, when it was read */
};

struct cpu {
	struct mm *mm;    /* whose page tables cr3 names; NULL: the kernel's own */
	uint64_t live;    /* a bit per slot */
	uint64_t suspect; /* of the live ones: whose entry was written since. To be looked at */
	struct tlb_entry tlb[TLB_SLOTS];
};

/* The machine's processors. */
struct cpus {
	struct cpu cpu[CPUS_MAX];
	uint32_t current;      /* on which the op under way runs */
	struct mm *current_mm; /* of the process that does it, or NULL */
	bool suspects;         /* some processor has one */
	struct tlb_fault fault;
	struct tlb_counters counters;
	uint32_t lose_flush; /* tests only: the how-manieth flush from here is forgotten; 0: none */
};

/* All as at boot. Before frames and mms go. */
void tlb_reset(struct machine *machine);

/* ---- processors ------------------------------------------------------------------------- */

uint32_t cpu_of_proc(const struct machine *machine, uint32_t proc);
/* CPU runs in MM from here on: cr3 is loaded, if it is another one. */
void switch_mm(struct machine *machine, uint32_t cpu, struct mm *mm);
/* MM's page tables are about to be freed: whoever still has them in cr3 goes to the kernel's own.
 */
void leave_mm(struct machine *machine, struct mm *mm);
/* The process under way enters the kernel: by a system call or a fault. With a 4:4 split that loads
 * cr3, and so does its way back. */
void kernel_entry(struct machine *machine);

/* ---- access ------------------------------------------------------------------------------ */

/* Has CPU, which must have MM in cr3, a translation of VPN that lets it read, or WRITE? */
const struct tlb_entry *tlb_find(const struct machine *machine, uint32_t cpu, const struct mm *mm,
				 uint32_t vpn, bool write);
/* The processor under way has walked the page table, for VPN, to ENTRY. */
void tlb_fill(struct machine *machine, uint32_t vpn, pte_t entry);

/* ---- flushes, called where 2.6 calls them ------------------------------------------------- */

void flush_tlb_page(struct machine *machine, struct mm *mm, uint32_t vpn);
/* i386 flushes everything here. This forgets what is in [FIRST, LAST), so that a range that is too
 * small shows. */
void flush_tlb_range(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last);
void flush_tlb_mm(struct machine *machine, struct mm *mm);

/*
 * The gather: pages that many cleared entries mapped, to be let go after one flush for all of them.
 *
 *     tlb_gather_mmu     entry cleared, tlb_remove_page, entry cleared, ...     tlb_finish_mmu
 *                        '-- other processors may still use them --'            flush, then free
 */
#define FREE_PTE_NR 506u

struct mmu_gather {
	struct machine *machine;
	struct mm *mm;
	uint32_t first, last; /* of the entries cleared since the last flush; first >= last: none */
	uint32_t nr;
	struct page *page[FREE_PTE_NR];
};

void tlb_gather_mmu(struct mmu_gather *tlb, struct machine *machine, struct mm *mm);
/* The entry of VPN, which was present, is cleared. */
void tlb_remove_tlb_entry(struct mmu_gather *tlb, uint32_t vpn);
/* It held a reference on PAGE, which goes after the next flush. */
void tlb_remove_page(struct mmu_gather *tlb, struct page *page);
void tlb_finish_mmu(struct mmu_gather *tlb);

/* ---- checks ------------------------------------------------------------------------------- */

/* The entry of (MM, VPN) has been written: somebody may remember what it was. */
void tlb_suspect(struct machine *machine, const struct mm *mm, uint32_t vpn);
/* After an op: are those under suspicion stale? The first fault is kept (machine_tlb_fault). */
void tlb_judge(struct machine *machine);
/* PAGE is freed, and a TLB entry names it. */
void tlb_freed(struct machine *machine, const struct page *page);
/* Recount: all TLBs against all page tables, and their number against the sum of all tlb_users.
 * NULL, or BUF with a sentence. */
const char *tlb_verify(const struct machine *machine, uint64_t users, char *buf, size_t size);

#endif

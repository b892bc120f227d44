/*
 * i386 PAE page-table entries: the bits, and the three things an entry can be.
 *
 *   63          36 35                       12 11    9 8 7 6 5 4 3 2 1 0
 *  +--------------+---------------------------+-------+-+-+-+-+-+-+-+-+-+
 *  |      0       |        page frame         | soft  |G|S|D|A|C|T|U|W|P|   present
 *  +--------------+---------------------------+-------+-+-+-+-+-+-+-+-+-+
 *  |      0       |        page frame         |       |0|1|D|A| ...   |0|   PROT_NONE, resident
 *  +--------------+---------------+-----------+-------+-+-+-+---------+-+
 *  |      0       |    0    | swap offset (24)        |0|0|  type (5)|0|   swapped (2.6.0 - 2.6.8)
 *  +--------------+---------+---------------------------+-+-+---------+-+
 *  |  file page offset (32)         |          0        |0|1|    0    |0|   file (nonlinear)
 *  +--------------------------------+-------------------+-+-+---------+-+
 *
 * An entry is two 32-bit words. `set_pte` writes the high word, then the low
 * one, because the low word holds Present; `ptep_get_and_clear` takes the low
 * word first. A racing hardware walk therefore may see {new high, old low}, and
 * never {old high, new low}. Facts: 2.6.0 - 2.6.7, asm-i386/pgtable*.h.
 */
#ifndef RMAPFUZZ_PTE_H
#define RMAPFUZZ_PTE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096u

#define PGD_ENTRIES 4u
#define PMD_ENTRIES 512u
#define PTE_ENTRIES 512u
#define PMD_PAGES   512u          /* pages that one PTE table maps: 2 MB */
#define PGD_PAGES   (512u * 512u) /* pages that one PMD table maps: 1 GB */
#define VPN_LIMIT   (PGD_ENTRIES * PGD_PAGES)

/* An entry's value: the high word in bits 63..32. */
typedef uint64_t pte_t;

#define PTE_P        0x001u /* Present */
#define PTE_RW       0x002u /* writable */
#define PTE_US       0x004u /* user may access */
#define PTE_PWT      0x008u
#define PTE_PCD      0x010u
#define PTE_A        0x020u /* Accessed ("young") */
#define PTE_D        0x040u /* Dirty */
#define PTE_PSE      0x080u /* large page, in a PMD entry */
#define PTE_G        0x100u
#define PTE_FILE     0x040u /* not present: a file offset is in the high word */
#define PTE_PROTNONE 0x080u /* not present to hardware, but resident */

#define PTE_PFN_MASK 0x0000000ffffff000ull /* 36 physical address bits */

/* What the page-table protections of 2.6 are made of. */
#define PTE_PROT_NONE  (PTE_PROTNONE | PTE_A)
#define PTE_PROT_READ  (PTE_P | PTE_US | PTE_A)
#define PTE_PROT_WRITE (PTE_P | PTE_RW | PTE_US | PTE_A)

/* Bits that pte_modify() keeps: the frame, Accessed and Dirty. */
#define PTE_CHG_MASK (PTE_PFN_MASK | PTE_A | PTE_D)

/* One entry as memory has it: low word first. */
struct pte_words {
	uint32_t low;
	uint32_t high;
};
_Static_assert(sizeof(struct pte_words) == 8, "a PAE entry is 64 bits");

static inline pte_t pte_load(const struct pte_words *w)
{
	return (uint64_t)w->high << 32 | w->low;
}

/* The order of set_pte(): high, then low. */
static inline void pte_store(struct pte_words *w, pte_t pte)
{
	w->high = (uint32_t)(pte >> 32);
	w->low = (uint32_t)pte;
}

/* The order of ptep_get_and_clear(): low, then high. */
static inline pte_t pte_take(struct pte_words *w)
{
	pte_t pte = w->low;

	w->low = 0;
	pte |= (uint64_t)w->high << 32;
	w->high = 0;
	return pte;
}

static inline bool pte_none(pte_t pte)
{
	return pte == 0;
}
static inline bool pte_present(pte_t pte)
{
	return pte & (PTE_P | PTE_PROTNONE);
}
static inline bool pte_file(pte_t pte)
{
	return !pte_present(pte) && (pte & PTE_FILE);
}
static inline bool pte_swap(pte_t pte)
{
	return !pte_none(pte) && !pte_present(pte) && !(pte & PTE_FILE);
}
static inline bool pte_write(pte_t pte)
{
	return pte & PTE_RW;
}
static inline bool pte_young(pte_t pte)
{
	return pte & PTE_A;
}
static inline bool pte_dirty(pte_t pte)
{
	return pte & PTE_D;
}
static inline uint32_t pte_pfn(pte_t pte)
{
	return (uint32_t)((pte & PTE_PFN_MASK) >> PAGE_SHIFT);
}
static inline pte_t pte_mk(uint32_t pfn, uint32_t prot)
{
	return (uint64_t)pfn << PAGE_SHIFT | prot;
}
static inline pte_t pte_modify(pte_t pte, uint32_t prot)
{
	return (pte & PTE_CHG_MASK) | prot;
}

/*
 * A swap entry, independent of the architecture: area in bits 31..27, offset in
 * bits 26..0. Offset 0 is the area's header and never handed out, so 0 means none.
 */
typedef uint32_t swp_entry_t;

static inline swp_entry_t swp_entry(uint32_t type, uint32_t offset)
{
	return type << 27 | offset;
}
static inline uint32_t swp_type(swp_entry_t e)
{
	return e >> 27;
}
static inline uint32_t swp_offset(swp_entry_t e)
{
	return e & 0x07ffffffu;
}

/* PAE form of 2.6.0 - 2.6.8: everything in the low word, 24 bits of offset. */
static inline pte_t pte_mk_swap(swp_entry_t e)
{
	return (pte_t)(swp_type(e) << 1 | swp_offset(e) << 8);
}
static inline swp_entry_t pte_to_swp(pte_t pte)
{
	return swp_entry((uint32_t)pte >> 1 & 0x1f, (uint32_t)pte >> 8);
}

static inline pte_t pte_mk_file(uint32_t pgoff)
{
	return (uint64_t)pgoff << 32 | PTE_FILE;
}
static inline uint32_t pte_to_pgoff(pte_t pte)
{
	return (uint32_t)(pte >> 32);
}

#endif

/*
 * The nouns of the simulated kernel: page, pte_table, vma, mm, address_space.
 *
 *   task -> mm -> vma (by address) ----file----> address_space -> page (cache)
 *            |                                        ^   |
 *            '-> pgd -> pmd_table -> pte_table        |   '-> i_mmap: its vmas
 *                                       |             |
 *                                       '--entry--> page --mapping (if cached)
 *
 * Fields are the engine's unless marked "backend". A backend reads what it likes
 * and writes only its own words: page.rmap, page.rmap_index, vma.rmap, vma.rmap_link,
 * mm.rmap and what hangs from them. vma.file_node and address_space.file_root belong to
 * the file side (rmap_file.h).
 */
#ifndef RMAPFUZZ_MM_TYPES_H
#define RMAPFUZZ_MM_TYPES_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine_config.h"
#include "mutants.h"
#include "pte.h"

struct machine;
struct mm;
struct vma;
struct page;
struct address_space;

TAILQ_HEAD(page_list, page);
TAILQ_HEAD(vma_list, vma);
RB_HEAD(vma_tree, vma);

/* ---- frames ---------------------------------------------------------------- */

enum zone_id { ZONE_DMA, ZONE_NORMAL, ZONE_HIGHMEM, NR_ZONES };

#define PG_RESERVED   0x0001u /* the zero page; never tracked by a reverse map */
#define PG_ANON       0x0002u /* private anonymous memory, from allocation to free */
#define PG_SWAPCACHE  0x0004u /* in the swap cache under page.swap */
#define PG_DIRTY      0x0008u /* the content is newer than its backing store's */
#define PG_LRU        0x0010u /* on one of its zone's two lists */
#define PG_ACTIVE     0x0020u /* on the active one */
#define PG_REFERENCED 0x0040u /* touched through a system call, or young at last look */
#define PG_TABLE      0x0080u /* holds a page table: page.table */
#define PG_LOCKED     0x0100u /* under try_to_unmap or I/O */
#define PG_FREE       0x0200u /* on its zone's free list */
#define PG_PMD        0x0400u /* with PG_TABLE: of the middle level, page.pmd_table */
#define PG_LAZYFREE   0x0800u /* anonymous, not in the swap cache: may be lost while it is clean */

/*
 * One page: 2^n frames of 4 KB, aligned (n is the machine's `cluster` setting, mostly 0). An entry
 * maps one frame, a sub-page; its pfn less page->pfn says which:
 *
 *   struct page   pfn 0x1f04   | 0 | 1 | 2 | 3 |   n = 2: sub-pages 0x1f04 .. 0x1f07
 *                                ^       ^
 *                     entries ---'-------'           mapcount 2
 *
 * Sub-page number is page offset modulo 2^n, wherever the page is mapped. Made when it is first
 * allocated, so that a 64 GB machine costs nothing until it is used. Invariant: mapcount is
 * the number of present entries of any of its frames, and census is the list of exactly those.
 */
#define SUB_PAGES_MAX (1u << CLUSTER_MAX)

struct page {
	uint32_t pfn;                  /* of its first frame */
	uint32_t flags;                /* PG_* */
	uint32_t count;                /* references: mappings + cache + pins + transient */
	uint32_t pins;                 /* those of devices (pin.c) */
	uint32_t mapcount;             /* present entries that map it */
	struct address_space *mapping; /* page cache it is in, or NULL (swap cache is not one) */
	uint32_t index;                /* offset in mapping, in 4 KB, of its first sub-page */
	swp_entry_t swap;              /* of its first sub-page, while PG_SWAPCACHE */
	uint8_t zone;                  /* enum zone_id */
	uint16_t tlb_users;            /* TLB entries that name one of its frames (tlb.h) */
	uint16_t pkmap;                /* 1 + the kmap entry that is its (kmap.h); 0: none */
	uint32_t census;               /* first entry of the census list, 0 = none (pagetable.c) */
	uint32_t seen;                 /* recount.c's own */
	union {
		struct pte_table *pte_table; /* PG_TABLE of the lowest level */
		struct pmd_table *pmd_table;
	};
	TAILQ_ENTRY(page) lru; /* zone LRU list or free list */

	/* backend: what page->mapping / page->pte are to a reverse map. All zero when
	 * the frame is allocated and, for a correct design, again once it is unmapped
	 * (unless the design keeps it until page_free). */
	union {
		uint64_t word;
		void *ptr;
	} rmap;
	uint32_t rmap_index;
	uint32_t rmap_flags;

	uint64_t token[SUB_PAGES_MAX]; /* the content: 64 bits stand for 4096 bytes */
};

/* Which sub-page of PAGE does ENTRY map, which is known to map one? */
static inline uint32_t page_sub(const struct page *page, pte_t entry)
{
	return pte_pfn(entry) - page->pfn;
}

/* ---- page tables ----------------------------------------------------------- */

/*
 * A page-table page. `live` has a bit per entry that is not none, so that sparse
 * tables are cheap to walk. next/prev link the census list of the frame an entry
 * maps ("companion page"); they are the simulator's own and cost no simulated memory.
 */
struct pte_table {
	struct pte_words entry[PTE_ENTRIES];
	uint64_t live[PTE_ENTRIES / 64];
	uint32_t next[PTE_ENTRIES];
	uint32_t prev[PTE_ENTRIES];
	struct mm *mm; /* owner: what 2.6.0 kept in page->mapping */
	uint32_t vpn;  /* first page it maps, what 2.6.0 kept in page->index */
	uint32_t nr_live;
	uint32_t mapped;   /* slots that hold it (kmap.h); one more without HIGHPTE */
	uint32_t id;       /* index in the machine's table of tables */
	struct page *page; /* the frame it lives in */
	struct machine *machine;
};

/* What is in a page middle directory. */
struct pmd_words {
	struct pte_words entry[PMD_ENTRIES];
	struct pte_table *table[PMD_ENTRIES]; /* host shortcut for each entry; checked */
};

/* There are as many as gigabytes, and few have anything in them: until one has, its words are those
 * of all that have not, zero and never written. */
struct pmd_table {
	const struct pmd_words *words;
	struct pmd_words *own; /* the same, or NULL */
	uint64_t live[PMD_ENTRIES / 64];
	uint32_t nr_live;
	struct page *page;
};

/* The place of one entry. table == NULL: there is no page table there. */
struct ptep {
	struct pte_table *table;
	uint32_t slot;
};

/*
 * What pte_chain stores: the physical address of an entry, (pfn of the PTE page
 * << 12) | byte offset. 0 means none. 4 or 8 bytes wide on i386, by machine_config.
 */
typedef uint64_t pte_addr_t;

/* ---- address spaces -------------------------------------------------------- */

#define VM_READ      0x0001u
#define VM_WRITE     0x0002u
#define VM_EXEC      0x0004u
#define VM_SHARED    0x0008u
#define VM_MAYREAD   0x0010u
#define VM_MAYWRITE  0x0020u
#define VM_MAYEXEC   0x0040u
#define VM_GROWSDOWN 0x0100u
#define VM_LOCKED    0x2000u
#define VM_SEQ_READ  0x8000u
#define VM_RAND_READ 0x10000u
#define VM_ACCOUNT   0x100000u
#define VM_NORESERVE 0x200000u
#define VM_NONLINEAR 0x800000u /* may show pages of its file in any order; never cleared */

/* An area's place in the trees that file sides keep: core/rmap/file_*.c. */
struct prio_node {
	struct vma *parent, *left, *right; /* parent: set if the area is a node of the tree */
	struct vma *head;                  /* of a node: its list's; of that one: the node */
	struct vma *next, *prev;           /* around the list */
};
struct interval_node {
	RB_ENTRY(interval_node) rb;
	uint32_t first, last; /* as entered */
	uint32_t max_last;    /* of this one and all below */
};
RB_HEAD(interval_tree, interval_node);
struct prio_root {
	struct vma *top;
	uint32_t bits; /* of an area's first page that the tree looks at */
};

/* An area: pages [start, end) of one mm with one kind of backing. */
struct vma {
	struct mm *mm;
	uint32_t start, end; /* virtual page numbers */
	uint32_t pgoff; /* of start, in 4 KB, in the file; for anonymous areas, start at creation */
	uint32_t flags; /* VM_* */
	struct address_space *file; /* NULL: private anonymous */
	bool anon; /* has had an anonymous page, here or before a split, move or fork */
	RB_ENTRY(vma) tree;
	struct vma *next, *prev; /* by address */
	TAILQ_ENTRY(vma) shared; /* file->i_mmap, or i_mmap_nonlinear if VM_NONLINEAR */
	uint32_t truncate_count; /* the file's, when a truncation was last done with this area */
	uint32_t cursor; /* 2.6.7's vm_private_data: pages that cluster scans are done with */

	/* backend */
	void *rmap;
	union {
		TAILQ_ENTRY(vma) rmap_link;
		TAILQ_HEAD(avc_list, avc) rmap_chain;
	};
	union {
		struct prio_node prio;
		struct interval_node interval;
	} file_node; /* in file->file_root */
};

struct pgd {
	struct pte_words entry[PGD_ENTRIES];
};

struct mm {
	uint32_t id;    /* its name: the slot of one of its users, 0.. */
	uint32_t users; /* processes that run in it: more than one are threads */
	struct vma_tree vmas;
	struct vma *first; /* lowest area */
	struct vma *cache; /* last find_vma hit, or NULL */
	uint32_t map_count;
	struct pgd *pgd;
	struct pmd_table *pmd[PGD_ENTRIES]; /* host shortcut; NULL for kernel entries */
	uint32_t nr_ptes;                   /* page-table pages of the lowest level */
	uint32_t rss;                       /* present entries of tracked pages */
	uint32_t total_vm;                  /* pages in areas */
	uint32_t locked_vm;
	uint32_t def_flags;       /* VM_LOCKED: what new areas are born with */
	uint32_t start_brk, brk;  /* vpn */
	uint32_t free_area_cache; /* where the search for a free range starts, vpn */
	uint32_t cpu_vm_mask;     /* processors that have its page tables in cr3 */
	TAILQ_ENTRY(mm) link;     /* machine's list of mms, oldest first */

	void *rmap; /* backend */
};
TAILQ_HEAD(mm_list, mm);

enum file_kind {
	FILE_DISK,  /* has a store of its own; clean pages can be dropped */
	FILE_SHMEM, /* tmpfs or shared anonymous memory: backed by swap */
};

/* A file's page cache and the areas that map it. */
struct address_space {
	uint32_t id; /* file number, or a serial for shared anonymous memory */
	enum file_kind kind;
	bool unlinked;            /* shared anonymous: goes with its last area */
	uint32_t npages;          /* size */
	uint32_t boot_pages;      /* pages below hold their token of boot until stored, cut off or
				     punched out */
	uint32_t nrcached;        /* pages in the cache */
	uint32_t truncate_count;  /* truncations so far that cut something off */
	uint32_t users;           /* areas that map it, + 1 while it has a name */
	struct radix_node *pages; /* number of the page -> struct page * */
	/* FILE_DISK: pgoff -> token on disk. FILE_SHMEM: number of the page -> swap entry */
	struct radix_node *store;
	struct radix_node *holes; /* see punch.c */
	struct vma_list i_mmap;   /* its areas, oldest first; a forked one after its parent */
	/* Those of them that remap_file_pages made nonlinear, in the order in which it did. */
	struct vma_list i_mmap_nonlinear;
	TAILQ_ENTRY(address_space) link;

	/* backend: the same areas, as the file side keeps them; all zero: none */
	union {
		struct prio_root prio;
		struct interval_tree interval;
	} file_root;
	MUTANT_STATE
};

int vma_cmp(const struct vma *a, const struct vma *b);
RB_PROTOTYPE(vma_tree, vma, tree, vma_cmp)

#endif

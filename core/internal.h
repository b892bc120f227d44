/*
 * What core's own files share: struct machine, and the functions of each file.
 *
 *   machine.c   op dispatch, boot, reset, views, hash          (public machine.h)
 *   vma.c       find, insert, split, merge, adjust
 *   mmap.c      mmap, munmap, brk      madvise.c  mremap.c  mprotect.c  mlock.c
 *   mm.c        fork, exit, exec
 *   fault.c     read and write faults, COW, file fill, swap-in
 *   cluster.c   the same for the other entries of a large page
 *   file.c      page cache, shmem, truncate, read(2)/write(2)
 *   punch.c     holes                writeback.c  msync, writing back, dropping
 *   nonlinear.c remap_file_pages, file entries, cluster scans
 *   swap.c      areas, slots, swap cache, exclusivity
 *   swapoff.c   emptying an area; swapon, swapoff
 *   migrate.c   a page's content moves to another frame
 *   pin.c       get_user_pages: devices, and the debugger's write
 *   reclaim.c   lists, page_referenced, try_to_unmap, shrink
 *   pagetable.c tables, the choke point, census
 *   kmap.c      temporary kernel mappings, in slots           (kmap.h)
 *   pkmap.c     those that last, in a pool
 *   tlb.c       processors, TLBs, flushes, the gather         (tlb.h)
 *   frame.c     zones, frames, watermarks
 *   actors.c    what runs inside an op; actors_wait.c: what has to wait
 *   kmem.c      typed pools, i386 accounting, allocation oracle
 *   recount*.c  everything recomputed
 *   radix.c     sparse maps from page offset to a word
 *   config.c    presets and their text form
 *
 * Call order: an op calls vma/fault/..., these call pagetable and rmap wrappers; only reclaim
 * walks. Ownership: a mapping holds one reference on its page, a cache one, a pin one; whoever
 * clears an entry drops both mapcount and reference, through zap_pte() or its peers.
 */
#ifndef RMAPFUZZ_CORE_INTERNAL_H
#define RMAPFUZZ_CORE_INTERNAL_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kmap.h"
#include "machine.h"
#include "tlb.h"

/* Our own bugs abort, in every build. MM_ASSERT is O(1). */
#define MM_ASSERT(cond)                                                                            \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			mm_assert_failed(#cond, __FILE__, __LINE__);                               \
	} while (0)
_Noreturn void mm_assert_failed(const char *what, const char *file, int line);

/* ---- kmem.c: pools, accounting, allocation oracle ------------------------------- */

#define KOBJ(id, name, bytes, align, type) KOBJ_##id,
enum kobj {
#include "kobj.def"
	NR_KOBJ
};
#undef KOBJ

#define KMEM_CACHES_MAX 16

/*
 * A typed pool. Host objects come from chunks by a bump index and a LIFO free list, are
 * zeroed when handed out and poisoned when given back. Simulated cost: whole slabs (one
 * 4 KB page, or more for objects that large) as objects come and go. The free list is a side
 * array, because a link inside a freed object would be poisoned, or overwritten by its user.
 */
struct kmem_cache {
	const char *name;
	uint32_t bytes, align; /* on i386 */
	uint32_t per_slab;     /* objects per slab page, or 1 */
	uint32_t slab_bytes;
	size_t host_bytes;   /* of an object here */
	size_t stride;       /* from one to the next: with a redzone between them */
	bool meta;           /* belongs to the backend */
	bool may_wait;       /* an allocation may run reclaim */
	uint32_t used, peak; /* objects in use */
	uint32_t room;       /* free objects in the last slab, 0..per_slab-1 */
	uint32_t bump;       /* objects ever handed out since reset */
	void **free;         /* LIFO, with room for every object there is */
	uint32_t nr_free;
	char **chunks; /* of KMEM_CHUNK objects */
	uint32_t nr_chunks;
};

/* A zeroed engine object, or NULL (-ENOMEM by order of the trace). */
void *kmem_cache_alloc(struct machine *machine, struct kmem_cache *cache);
#define kobj_alloc(machine, ID) kmem_cache_alloc((machine), (machine)->kobj[KOBJ_##ID])
#define kobj_free(machine, ID, object)                                                             \
	kmem_cache_free((machine), (machine)->kobj[KOBJ_##ID], (object))

void kmem_init(struct machine *machine);  /* caches for kobj.def */
void kmem_reset(struct machine *machine); /* every object gone */
void kmem_destroy(struct machine *machine);
/* Lowmem is in use to a new extent, perhaps: keep the peak. */
void lowmem_note_peak(struct machine *machine);
/* Simulated bytes that all caches occupy; META: only the backend's. */
uint64_t kmem_bytes(const struct machine *machine, bool meta);

/*
 * The allocation oracle: called for every engine allocation (frames included). Numbers it in
 * the op, runs reclaim first if the trace says so and CAN_WAIT, and returns false if it must
 * fail. */
bool alloc_allowed(struct machine *machine, bool can_wait);
bool meta_alloc_allowed(struct machine *machine);

/* malloc that aborts, counted in host_allocs. */
void *host_alloc(struct machine *machine, size_t bytes);
void *host_realloc(struct machine *machine, void *old, size_t bytes);
void poison(void *mem, size_t bytes, enum pool_mode mode);
void unpoison(void *mem, size_t bytes);

/* ---- frame.c: zones ------------------------------------------------------------- */

#define PAGE_CHUNK 64u /* struct pages per host chunk */

/*
 * Frames [start_pfn, end_pfn), in `npages` pages. The first `reserved` hold the kernel and mem_map.
 * Pages are first handed out from the top down (so a 64 GB machine uses frames above 4 GB at
 * once), then from the LIFO free list: page number k of `chunks` is the one that ends k pages below
 * end_pfn, and exists if k < touched. All counts are in pages.
 */
struct zone {
	enum zone_id id;
	uint32_t start_pfn, end_pfn;
	uint32_t npages, reserved;
	uint32_t touched;
	uint32_t nr_free; /* pages never touched + on the free list */
	uint32_t
		nr_slab; /* of these, those that slabs occupy, if they compete: nobody asks which */
	uint32_t pages_min, pages_low, pages_high;
	struct page_list free;
	struct page_list active, inactive;
	uint32_t nr_active, nr_inactive;
	uint32_t scanned; /* pages that reclaim looked at since a page was last freed here */
	struct page **chunks;
	uint32_t nr_chunks;
};

#define GFP_WAIT     1u /* may run reclaim: no page-table lock is held */
#define GFP_HIGH     2u /* highmem will do */
#define GFP_KERNEL   GFP_WAIT
#define GFP_HIGHUSER (GFP_WAIT | GFP_HIGH)

void frame_init(struct machine *machine);
void frame_reset(struct machine *machine);
void frame_destroy(struct machine *machine);
/* A page with one reference, tokens 0, on no list, or NULL. Falls back HIGHMEM, NORMAL, DMA
 * within watermarks; below pages_min runs direct reclaim if GFP_WAIT. */
struct page *page_alloc(struct machine *machine, uint32_t gfp);
/* The page that a frame is in, if it has been allocated at some time, or NULL. */
struct page *pfn_to_page(const struct machine *machine, uint32_t pfn);
static inline void page_get(struct page *page)
{
	page->count++;
}
/* Drop a reference; the last one takes the page off the LRU and frees the frame. */
void page_put(struct machine *machine, struct page *page);
/* The content of a frame, whose page has been allocated. */
uint64_t *pfn_token(const struct machine *machine, uint32_t pfn);
/* Pages of lowmem that slabs occupy, where they compete for it; one more (false: there is none, and
 * if we CAN_WAIT, reclaim made none), one less. */
uint32_t slab_pages(const struct machine *machine);
bool slab_page_get(struct machine *machine, bool can_wait);
void slab_page_put(struct machine *machine);
/* Pages in use in zone, slabs aside. */
uint32_t zone_used(const struct zone *zone);
/* Page number k of those that ZONE has handed out, k < touched. */
static inline struct page *zone_page(const struct zone *zone, uint32_t k)
{
	return &zone->chunks[k / PAGE_CHUNK][k % PAGE_CHUNK];
}

/* ---- pagetable.c ----------------------------------------------------------------- */

/* Allocate/free the pgd and user PMDs of MM. 0 or -ENOMEM. */
int pgd_alloc(struct machine *machine, struct mm *mm);
void pgd_free(struct machine *machine, struct mm *mm);
/* The entry for VPN: {NULL} if there is no table. */
struct ptep pte_lookup(const struct mm *mm, uint32_t vpn);
/* The same, making the table if need be: 0 or -ENOMEM. */
int pte_alloc(struct machine *machine, struct mm *mm, uint32_t vpn, struct ptep *pte);
/* Free the tables that lie wholly inside [first, last) and are empty. */
void free_pgtables(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last);
/* The first vpn in [first, last) whose entry is not none, with its entry; false: there is none. */
bool pte_next(const struct mm *mm, uint32_t first, uint32_t last, uint32_t *vpn, struct ptep *pte);

static inline uint32_t ptep_vpn(struct ptep p)
{
	return p.table->vpn + p.slot;
}
/*
 * The choke point. Every entry is written here and nowhere else: words in the kernel's
 * order, live bits, census (reserved frames are not in it), event. Does not touch mapcount,
 * references, rss or the backend: those are the caller's and are checked against the census.
 */
void pte_set(struct machine *machine, struct ptep p, pte_t value);
/* The same with a mapping just for this. */
void pte_set_once(struct machine *machine, struct ptep p, pte_t value);
/* The processor marks the entry: it needs no mapping. */
void pte_mark(struct machine *machine, struct ptep p, pte_t value);
/* ptep_get_and_clear: the same with value 0, low word first. Returns the old entry. */
pte_t pte_get_and_clear(struct machine *machine, struct ptep p);

/* Census: the first / next entry that maps PAGE. Entries come newest first. */
bool census_first(const struct machine *machine, const struct page *page, struct ptep *p);
bool census_next(const struct machine *machine, struct ptep *p);

void pagetable_reset(struct machine *machine);
void pagetable_destroy(struct machine *machine);

/* ---- radix.c: page offset -> 64-bit word, 0 = absent ------------------------------ */

#define RADIX_SHIFT 6
#define RADIX_SLOTS (1u << RADIX_SHIFT)

/* Slot i holds the word for index bits [shift, shift + 6) == i, or the node below. */
struct radix_node {
	uint64_t slot[RADIX_SLOTS];
	uint64_t live; /* a bit per slot in use */
	uint32_t shift;
};

uint64_t radix_get(const struct radix_node *root, uint32_t index);
/* Set (value != 0; may allocate: 0 or -ENOMEM) or clear (value 0; never fails). */
int radix_set(struct machine *machine, struct radix_node **root, uint32_t index, uint64_t value);
/* First index >= *INDEX with a value; false: none. */
bool radix_next(const struct radix_node *root, uint32_t *index, uint64_t *value);
void radix_free(struct machine *machine, struct radix_node **root);

/* ---- rmap wrappers (rmap.c): engine accounting around the backend ------------------- */

/*
 * Call before writing an entry that maps PAGE / before clearing one: tells the backend and keeps
 * page->mapcount and mm->rss. Reserved pages: nothing. page_add_rmap returns 0 or -ENOMEM.
 */
int page_add_rmap(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		  struct ptep pte);
/* The same where the answer may also be RMAP_UNSHARE: this mapping needs a page of its own. */
int page_try_add_rmap(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte);
/* The entry FROM for PAGE is about to move to TO. 0, -ENOMEM, or RMAP_UNSHARE: unshare_page(). */
int page_move_rmap(struct machine *machine, struct page *page, struct vma *old, uint32_t old_vpn,
		   struct ptep from, struct vma *new, uint32_t new_vpn, struct ptep to);
void page_remove_rmap(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte);
/*
 * Walk with events and verification; VISIT sees only entries that do map the page. When VISIT
 * answers RMAP_DROP it has cleared the entry and dropped the page reference; mapcount and rss are
 * kept here.
 */
void page_walk(struct machine *machine, struct page *page, enum walk_reason why,
	       rmap_visit_fn *visit, void *arg);

/* The design's own check, and its file side's on every file: NULL, or what is broken. */
const char *rmap_check(struct machine *machine);

/* ---- vma.c ------------------------------------------------------------------------ */

/* The first area with end > vpn, or NULL. */
struct vma *find_vma(struct mm *mm, uint32_t vpn);
/* The same, and *PREV: the last area before it (or of all, if NULL is returned), or NULL. */
struct vma *find_vma_prev(struct mm *mm, uint32_t vpn, struct vma **prev);
/* Insert a filled-in area: tree, list, map_count, file reference and i_mmap (after AFTER, if it is
 * not NULL). The backend is the caller's business. */
void vma_insert(struct machine *machine, struct vma *vma, struct vma *after);
/* A fresh area of MM, on no list, or NULL. */
struct vma *vma_alloc(struct machine *machine, struct mm *mm);
/* The reverse of vma_insert, and free; the backend has been told. */
void vma_drop(struct machine *machine, struct vma *vma);
/* Add NPAGES (which may be "negative") of an area with FLAGS to total_vm, locked_vm, Committed_AS.
 */
void vma_account(struct machine *machine, struct mm *mm, uint32_t flags, int32_t npages);
/* anon_vma_prepare: an anonymous page is about to appear in VMA. 0 or -ENOMEM. */
int anon_prepare(struct machine *machine, struct vma *vma);
/* May A and B (in this order, touching; either may be a description) become one area? */
bool vmas_mergeable(const struct machine *machine, const struct vma *a, const struct vma *b);
/* Remove from tree, list, i_mmap; tell the backend (vma_unlink); free. Entries are gone already. */
void vma_remove(struct machine *machine, struct vma *vma);
/* Cut VMA at VPN. NEW_BELOW: the new struct takes the lower half, else the upper one. 0 or
 * -ENOMEM. */
int vma_split(struct machine *machine, struct vma *vma, uint32_t vpn, bool new_below);
/* Change bounds of a linked area, keeping i_mmap and backend in step. */
void vma_set_bounds(struct machine *machine, struct vma *vma, uint32_t start, uint32_t end,
		    uint32_t pgoff);
/* Set VM_NONLINEAR, for good, and change to the file's other list. */
void vma_make_nonlinear(struct machine *machine, struct vma *vma);
/*
 * vma_merge: can pages [start, end) with FLAGS, FILE, PGOFF join their neighbours? Returns the
 * area that now covers them, or NULL with nothing changed. PREV: the area before start. The eight
 * cases are drawn in vma.c. For mprotect the range lies inside an existing area.
 */
struct vma *vma_merge(struct machine *machine, struct mm *mm, struct vma *prev, uint32_t start,
		      uint32_t end, uint32_t flags, struct address_space *file, uint32_t pgoff,
		      void *rmap);
/* Pages of FROM come to VMA: see the truncation in file.c. */
void truncate_rescan(struct vma *vma, const struct vma *from);
/* VMA takes over its next neighbour; PREV takes over AREA's pages below BOUNDARY. The caller has
 * asked vmas_mergeable(). 0, or -ENOMEM with nothing changed. */
int vma_absorb_next(struct machine *machine, struct vma *vma);
int vma_shift_up(struct machine *machine, struct vma *prev, struct vma *area, uint32_t boundary);
/* May a new boundary of AREA be put there by moving one? */
bool vma_can_shift(const struct machine *machine, const struct vma *area, uint32_t boundary);
/* Pages of user space: TASK_SIZE in pages for the machine's split. */
uint32_t task_pages(const struct machine *machine);
uint32_t prot_of_flags(uint32_t vm_flags); /* page-table protection bits for an area */

/* ---- ops: op_NAME in the file whose subject it is, called by machine.c's table -----------
 *
 * MM is the address space of operand 0, if that is a process, else NULL. Returns 0, a negative
 * errno or a signal, and fills the rest of RESULT.
 */
#define OP(name, operands, help)                                                                   \
	int op_##name(struct machine *machine, struct mm *mm, const struct op *op,                 \
		      struct result *result);
#include "op.def"
#undef OP

/* ---- mmap.c, mm.c ------------------------------------------------------------------------- */

int do_munmap(struct machine *machine, struct mm *mm, uint32_t vpn, uint32_t npages);
/* Where npages fit from HINT (0: the default base) upward: vpn, or 0. */
uint32_t get_unmapped_area(struct machine *machine, struct mm *mm, uint32_t hint, uint32_t npages);
/*
 * Clear entries of VMA in [first, last): remove rmap, drop swap slots, gather pages. One gather
 * serves all areas of a range: when pages are let go must not depend on which areas a design
 * merged.
 */
void zap_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last);
/* The same for entries that map pages of the area's file, and no others. */
void zap_file_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last);
/* Fault in [first, last) as make_pages_present does. Stops at the first page that cannot be had: a
 * hole or no permission (RES_SEGV), beyond the end of a file (RES_BUS), -ENOMEM. */
int make_present(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last);

#define MAX_MAP_COUNT 65536u
#define BRK_BASE      0x08100u /* vpn of start_brk */
/* Where the search for room starts: TASK_SIZE / 3, page aligned. */
uint32_t mmap_base(const struct machine *machine);

/* An empty address space for process ID, or NULL; and its end. */
struct mm *mm_create(struct machine *machine, uint32_t id, struct mm *parent);
void mm_destroy(struct machine *machine, struct mm *mm);
/* Process PROC with an empty address space (boot). 0 or -ENOMEM. */
int task_boot(struct machine *machine, uint32_t proc);
/* End a process. */
void task_exit(struct machine *machine, uint32_t proc);

/* ---- fault.c ---------------------------------------------------------------------- */

/*
 * Access page VPN of MM, which the processor under way runs in, as user code does: ask the TLB,
 * walk, fault as often as needed, set Accessed/Dirty. Returns 0 and the frame (no reference),
 * RES_SEGV, RES_BUS or -ENOMEM.
 */
int user_access(struct machine *machine, struct mm *mm, uint32_t vpn, bool write, uint32_t *pfn);
/* Does the processor let a program have what ENTRY maps, without a fault? */
bool entry_allows(pte_t entry, bool write);
/* The same from within the kernel, for whoever wants the page there: no TLB hears of it. */
int fault_in(struct machine *machine, struct mm *mm, uint32_t vpn, bool write);
/*
 * Give the shared anonymous page at VPN of VMA a copy of its own, as a write fault would, because
 * the reverse map cannot follow it otherwise. 0 (look again: reclaim may have been there) or
 * -ENOMEM.
 */
int unshare_page(struct machine *machine, struct vma *vma, uint32_t vpn);
/* PAGE, of the swap cache, cannot join its other mappings at VPN of VMA, where PTE is a swap entry:
 * map a copy. Our reference to PAGE is dropped. 0 or -ENOMEM. */
int swapin_copy(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte,
		struct page *page);
/* The entry changed while the fault was under way, and nothing was done: look again. */
#define FAULT_RETRY (-EAGAIN)
/* One fault of VMA at VPN, permission already checked: 0 (look again), FAULT_RETRY, RES_BUS or
 * -ENOMEM. */
int handle_mm_fault(struct machine *machine, struct vma *vma, uint32_t vpn, bool write);
/* A stack grows at most to so many pages (RLIMIT_STACK, 8 MB). */
#define STACK_PAGES_MAX 2048u

/* ---- cluster.c: the entries of one page around VPN of VMA ----------------------------- */

/* How many of PAGE's references are entries here. The one of VPN is counted, whatever it maps. */
uint32_t cluster_ours(struct machine *machine, struct vma *vma, uint32_t vpn,
		      const struct page *page);
/* An anonymous page that is mapped here, not by VPN, and known to nobody else; or NULL. */
struct page *cluster_page(struct machine *machine, struct vma *vma, uint32_t vpn);
/* Entries that are none map zeroes in PAGE, which is known to nobody else. */
void cluster_fill(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *page);
/* Entries that map OLD map their copies in NEW, writable. The caller holds OLD. */
void cluster_copy(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *old,
		  struct page *new);
/* Entries that name the slot of PAGE, which is in the swap cache, map it. */
void cluster_swapin(struct machine *machine, struct vma *vma, uint32_t vpn, struct page *page);

/* What a write fault adds to PROT: an entry is writable where the area is. A forced write leaves it
 * dirty alone. */
static inline uint32_t maybe_mkwrite(const struct vma *vma, uint32_t prot)
{
	return prot | PTE_D | (vma->flags & VM_WRITE ? PTE_RW : 0);
}

/* ---- pin.c ------------------------------------------------------------------------ */

/* Frames that a device holds: d0..d15. n == 0: not in use. */
struct pin {
	uint32_t n;
	bool write;
	struct page *page[PIN_PAGES];
};

/* Some device may write to PAGE. */
bool page_held_for_writing(const struct machine *machine, const struct page *page);
/* All devices are done. */
void pins_release(struct machine *machine);
/* Frames are gone anyhow. */
void pins_reset(struct machine *machine);

/* ---- file.c ----------------------------------------------------------------------- */

struct address_space *file_by_number(struct machine *machine, uint32_t file); /* f0..f7 */
struct address_space *shmem_create(struct machine *machine, uint32_t npages); /* or NULL */
void file_get(struct address_space *file);
/* Some area shows it. */
bool file_is_mapped(const struct address_space *file);
void file_put(struct machine *machine, struct address_space *file);
/* The page that offset INDEX (in 4 KB) is in, with a reference, reading it in: 0, RES_BUS beyond
 * the end, -ENOMEM. The offset's own part of it is sub-page sub_of(INDEX). */
int file_getpage(struct machine *machine, struct address_space *file, uint32_t index,
		 struct page **page);
/* The same whatever the file's size. */
int file_grab_page(struct machine *machine, struct address_space *file, uint32_t index,
		   struct page **page);
/* The cached page that offset INDEX is in, or NULL; no reference. */
struct page *file_find_page(const struct machine *machine, const struct address_space *file,
			    uint32_t index);
/* NEW, which no cache knows, takes OLD's place in its cache, reference included. */
void file_replace_page(struct machine *machine, struct page *old, struct page *new);
void swap_cache_replace(struct machine *machine, struct page *old, struct page *new);
/* Read pages ahead: those of [FIRST, LAST) that are not cached, while *BUDGET lasts. */
void file_readahead(struct machine *machine, struct address_space *file, uint32_t first,
		    uint32_t last, uint32_t *budget);
/* Take a page out of the cache (drops the cache's reference). */
void file_remove_page(struct machine *machine, struct page *page);
/* Reclaim: write a dirty, unmapped page to its store. 0, or -ENOSPC (no swap for shmem). */
int file_writepage(struct machine *machine, struct page *page);
/* Write a page of a disk file, mapped or not, to its store. 0 or -ENOMEM. */
int file_store_page(struct machine *machine, struct page *page);
/* Clear the entries of all areas for offsets [FIRST, LAST); EVEN_COWS: of private copies, too. */
void file_unmap_range(struct machine *machine, struct address_space *file, uint32_t first,
		      uint32_t last, bool even_cows);
/* Forget cached pages, which nobody maps, and stored content of offsets [FIRST, LAST). */
void file_drop_range(struct machine *machine, struct address_space *file, uint32_t first,
		     uint32_t last);
/* punch.c: a page that had content at boot has become a hole. */
bool file_is_hole(const struct address_space *file, uint32_t index);
/* The most pages a file may have (1 GB). */
#define FILE_PAGES_MAX 262144u
/* Set the size, as ftruncate(2). 0 or -EFBIG. */
int do_truncate(struct machine *machine, struct address_space *file, uint32_t npages);
/* read(2) and write(2) of one whole page. 0, -ENODATA beyond the end, -EFBIG, -ENOMEM. */
int file_read(struct machine *machine, struct address_space *file, uint32_t index, uint64_t *token);
int file_write(struct machine *machine, struct address_space *file, uint32_t index, uint64_t token);
void file_reset(struct machine *machine);
void file_boot(struct machine *machine);

/* ---- nonlinear.c ------------------------------------------------------------------- */

/* A fault on PTE, which names an offset of the area's file: 0 (look again), RES_BUS, -ENOMEM. */
int do_file_page(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte);
/* Clear what VMA, which is nonlinear, shows of offsets [FIRST, LAST) of its file; entries that are
 * not linear keep the offset. */
void nonlinear_unmap_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last);
/* MADV_DONTNEED in VMA, which is nonlinear: pages go, offsets stay. */
void nonlinear_dontneed(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last);
/* 2.6.7 has not found all mappings of PAGE: age and unmap what is met in its file's nonlinear
 * areas, until as many entries are gone as map PAGE. */
void nonlinear_unmap_clusters(struct machine *machine, const struct page *page);

/* ---- swap.c ----------------------------------------------------------------------- */

/* One slot holds a page. A swap entry's offset is slot number * sub-pages + sub-page. */
struct swap_slot {
	uint16_t map;                  /* 0 free; swap entries of any sub-page + 1 if cached */
	uint16_t seen;                 /* the recount's own */
	struct page *cached;           /* the swap cache's page */
	bool written;                  /* token is valid */
	uint64_t token[SUB_PAGES_MAX]; /* what is on disk */
};

struct swap_area {
	uint32_t total;               /* slots that it has room for */
	int32_t priority;             /* as given, or below 0 in the order in which they came */
	bool on;                      /* hands out slots */
	struct swap_slot *slots;      /* [0] unused; grows to what was used */
	uint32_t nr_slots, max_slots; /* used so far / room on the host */
	uint32_t *free_slots;         /* LIFO of freed offsets, with room for max_slots */
	uint32_t nr_free_slots;
	uint32_t used;
};

/* All areas empty, those that the configuration has on. */
void swap_boot(struct machine *machine);
/* AREA hands out slots again, after all of its priority or a higher one. */
void swap_area_on(struct machine *machine, uint32_t area);
/* It hands out none; those in use stay. */
void swap_area_off(struct machine *machine, uint32_t area);
/* Forget the slots of AREA, which is off and has none in use. */
void swap_area_empty(struct machine *machine, uint32_t area);
/* Put an anonymous page into the swap cache: slot, reference, PG_SWAPCACHE, dirty. false: full. */
bool add_to_swap(struct machine *machine, struct page *page);
void delete_from_swap_cache(struct machine *machine, struct page *page);
void swap_duplicate(struct machine *machine, swp_entry_t entry);
void swap_free(struct machine *machine, swp_entry_t entry);
/* SLOT's map is at its maximum and not to be relied on: it may have any number of users. */
bool swap_saturated(const struct machine *machine, const struct swap_slot *slot);
/* No entry names saturated slots of AREA any more: free them, and drop what is cached there. */
void swap_desaturate(struct machine *machine, uint32_t area);
/* Let go of the pages that only the swap cache has: copying on write may leave some behind, when
 * both sides copy at once. */
void swap_drop_cache(struct machine *machine);
/* swap_free, and drop the cached page if it was the last user. */
void free_swap_and_cache(struct machine *machine, swp_entry_t entry);
/* The page of ENTRY with a reference, reading it in: 0, -ENOMEM, or -EAGAIN if the slot is not what
 * it was before there was memory. */
int swapin_page(struct machine *machine, swp_entry_t entry, struct page **page);
/*
 * do_wp_page's question: is this anonymous page ours alone? (count, slot map; 2.6 rules.) OURS: how
 * many of its references are the asker's, mostly one.
 */
bool can_share_swap_page(struct machine *machine, struct page *page, uint32_t ours);
bool remove_exclusive_swap_page(struct machine *machine, struct page *page, uint32_t ours);
/* The page's content goes to its slot. */
void swap_write_page(struct machine *machine, struct page *page);
bool vm_swap_full(const struct machine *machine);
struct swap_slot *swap_slot(struct machine *machine, swp_entry_t entry); /* must exist */
/* The entry for sub-page SUB of the slot that ENTRY names. */
swp_entry_t swap_sub_entry(const struct machine *machine, swp_entry_t entry, uint32_t sub);
/* A raw slot for shmem pages (map = 1): the entry of its first sub-page, 0 if full. */
swp_entry_t swap_get_slot(struct machine *machine);
void swap_destroy(struct machine *machine);

/* ---- reclaim.c --------------------------------------------------------------------- */

void lru_add(struct machine *machine, struct page *page, bool active);
void lru_del(struct machine *machine, struct page *page);
void mark_page_accessed(struct machine *machine, struct page *page);
/* Young entries found (and cleared), plus PG_referenced. */
uint32_t page_referenced(struct machine *machine, struct page *page);
/* The entry is not young any more, and whoever uses it marks it again. */
void clear_flush_young(struct machine *machine, struct mm *mm, uint32_t vpn, struct ptep pte);
/* UNMAP_SUCCESS, UNMAP_AGAIN or UNMAP_FAIL, by the era's rules. */
int try_to_unmap(struct machine *machine, struct page *page);
/* Reclaim's decision on PAGE, which is on a list: true if it is free now, else it is on a list. */
bool reclaim_page(struct machine *machine, struct page *page);
/* The frame that VPN maps, if a reverse map can know it, or NULL. */
struct page *page_mapped_at(const struct machine *machine, const struct mm *mm, uint32_t vpn);
/* PAGE, which is mapped and which the caller holds: into the swap cache if anonymous (-ENOSPC:
 * full), then try_to_unmap until it succeeds, eight times at most. Returns UNMAP_*. */
int evict_page(struct machine *machine, struct page *page);
/* Nobody but a cache and the caller has to do with PAGE. */
bool only_cached(const struct page *page);
/* Free up to TARGET pages from ZONE_IDs up to and including MAX_ZONE; returns how many. */
uint32_t shrink_caches(struct machine *machine, enum zone_id max_zone, uint32_t target);
/*
 * The targeted ops on the frame that VPN of MM maps, -ENOENT if there is none that a reverse
 * map knows. do_evict: into the swap cache if anonymous (-ENOSPC: full), then try_to_unmap
 * until it succeeds, eight times at most; returns UNMAP_*. do_swapout: then also write and
 * free. do_age: page_referenced.
 */
int do_evict(struct machine *machine, struct mm *mm, uint32_t vpn);
int do_swapout(struct machine *machine, struct mm *mm, uint32_t vpn);
int do_age(struct machine *machine, struct mm *mm, uint32_t vpn);

/* ---- actors.c ----------------------------------------------------------------------- */

/* What the op under way has locked at a point, besides its own mmap_sem. */
struct held {
	const struct mm *ptl;               /* page_table_lock */
	const struct address_space *i_mmap; /* the list of a file's areas */
	struct page *page, *page2;          /* page locks */
	bool rmap;                          /* the reverse map's lists */
};

/*
 * The op under way passes POINT_<ID> with so much locked: `preempt(machine, FORK_PER_PTE)` or
 * `preempt(machine, ZAP_AFTER_FREE, .ptl = mm)`. Whoever passes one looks again at everything that
 * is not locked. True: something ran.
 */
#define preempt(machine, ID, ...)                                                                  \
	__extension__({                                                                            \
		bool ran_ = false;                                                                 \
		if (__builtin_expect((machine)->waiting != 0, 0))                                  \
			ran_ = preempt_at((machine), POINT_##ID, ++(machine)->passed[POINT_##ID],  \
					  &(struct held){__VA_ARGS__});                            \
		ran_;                                                                              \
	})
bool preempt_at(struct machine *machine, enum point point, uint32_t nth, const struct held *held);

/* A walk from inside another op: would it fail to lock PAGE, or the list of its areas? Entries of
 * MM? Counts it. */
bool page_trylock_fails(struct machine *machine, const struct page *page);
bool ptl_trylock_fails(struct machine *machine, const struct mm *mm);

/* OPS[0] is about to be done, and the N - 1 others nested in it. */
void group_begin(struct machine *machine, const struct op *ops, uint32_t n,
		 struct op_outcome *outcomes);
/* Do OP now: through the table of ops. */
int op_dispatch(struct machine *machine, const struct op *op, struct result *result);

/* OP's code is ready for others to run inside it. */
bool actor_lets_in(const struct op *op);
/* OP would sleep or spin here for something that the host has. */
bool actor_waits(struct machine *machine, const struct op *op, const struct held *held);
/* The processes that OP is done by, makes or ends: a bit each. */
uint32_t actor_procs(const struct op *op);
/* The address space that OP is done in; NULL: none. */
struct mm *actor_mm(const struct machine *machine, const struct op *op);

/* ---- struct machine ------------------------------------------------------------------ */

struct task {
	uint32_t proc;
	struct mm *mm;
	struct kernel_stack *stack;
};
struct kernel_stack {
	uint64_t guard;
};

struct machine {
	struct machine_config config;
	const struct rmap_ops *rmap;
	void *rmap_private;

	struct zone zones[NR_ZONES];
	struct page *zero_page;
	uint32_t swapper_pmd_pfn; /* what kernel PGD entries point at */

	struct kmem_cache caches[KMEM_CACHES_MAX];
	uint32_t nr_caches;
	struct kmem_cache *kobj[NR_KOBJ];
	uint64_t lowmem_boot;            /* kernel image, mem_map: bytes of lowmem gone at boot */
	uint64_t slab_bytes, meta_bytes; /* what all caches / the backend's occupy now */
	uint64_t lowmem_peak, meta_peak;

	struct pte_table **tables; /* by id, in use or not; id 0 is not used */
	uint32_t nr_tables, max_tables;
	uint32_t *free_tables; /* ids, LIFO; a free table is all zero but for its id */
	uint32_t nr_free_tables;
	struct pmd_table **pmd_pool; /* free ones, LIFO */
	uint32_t nr_pmd_pool, nr_pmds, max_pmd_pool;
	struct pmd_words **pmd_words; /* free ones, LIFO, all zero */
	uint32_t nr_free_pmd_words, nr_pmd_words, max_pmd_words;

	struct task *tasks[PROC_MAX];
	struct mm_list mms;

	struct address_space *files[FILE_MAX];
	TAILQ_HEAD(, address_space) file_list;
	uint32_t next_file_id;

	struct swap_area swap[SWAP_AREAS_MAX];
	uint8_t swap_order[SWAP_AREAS_MAX]; /* areas that are on, by falling priority */
	uint32_t nr_swap_on;
	uint32_t swap_next;  /* in swap_order: whose turn it is */
	int32_t swap_least;  /* the lowest priority that was given to an area without one */
	uint32_t swap_total; /* slots of the areas that are on */
	uint32_t swap_used;  /* slots in use, of all areas */

	uint32_t committed_as;
	bool in_reclaim;
	bool left_to_clusters; /* the last walk did not look into nonlinear areas */
	uint32_t lru_scan_seed;

	const struct op *op; /* the one under way, or NULL */
	struct op_trace last_op;

	/* The group under way (actors.c). */
	const struct op *group;
	struct op_outcome *outcomes;
	uint32_t nr_ran;
	uint32_t waiting;                        /* a bit per nested op that has not had its turn */
	uint32_t stuck;                          /* a bit per process that waits for the host */
	const struct mm *host_mm;                /* whose mmap_sem the host has, or NULL */
	uint32_t passed[NR_POINTS];              /* how often, by this op */
	struct held held;                        /* by the host, while a nested op runs */
	const struct address_space *i_mmap_lock; /* truncation holds it */

	struct pin pins[PIN_MAX];
	bool clustered; /* others in the lockstep have page clustering, if not this one */

	/* Scratch of a truncation, and of another inside it. */
	struct area_array {
		struct vma **area;
		uint32_t n, max;
	} truncated[2];

	struct event *events;
	size_t nr_events, max_events;
	uint64_t hash;

	struct rmap_counters counters;
	struct cpus cpus;
	struct kmaps kmaps;
	struct pkmap pkmap;
	uint64_t host_allocs;
	uint64_t swapouts, swapins, reclaimed, unmaps, early_copies;
	MUTANT_STATE
};

/* Page clustering: frames per page, and an index's place in its page. */
static inline uint32_t sub_pages(const struct machine *machine)
{
	return 1u << machine->config.cluster;
}
static inline uint32_t sub_of(const struct machine *machine, uint32_t index)
{
	return index & (sub_pages(machine) - 1);
}

#include "kmap_quick.h"

void events_grow(struct machine *machine);
static inline struct event *event_add(struct machine *machine)
{
	if (machine->nr_events == machine->max_events)
		events_grow(machine);
	return &machine->events[machine->nr_events++];
}
static inline void event_log(struct machine *machine, enum event_kind kind, uint8_t aux,
			     uint32_t mm, uint32_t vpn, uint64_t value)
{
	*event_add(machine) = (struct event){(uint8_t)kind, aux, (uint16_t)mm, vpn, value};
}

#endif

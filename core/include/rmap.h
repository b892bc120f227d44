/*
 * The backend contract: what a reverse-map design implements, and what it may call.
 *
 * A reverse map answers one question: which page-table entries map this frame? The
 * engine reports every change through struct rmap_ops and asks through walk(). A
 * backend never writes a page table, never decides policy, and never compares its
 * costs with another's; it answers and is charged for the answer.
 *
 * Adding a design: one file in core/rmap/ that exports one `const struct rmap_ops`,
 * and one row in core/rmap/backends.def.
 *
 * Order of calls in the life of a mapping
 *
 *   mmap         vma_link
 *   first fault  anon_prepare (anonymous pages only), add, <entry written>
 *   fork         mm_init(child, parent), then per area: vma_fork(parent, child), then per
 *                entry: add(child) ... <entry written>
 *   mprotect     vma_split / vma_merge / vma_shift
 *   mremap       vma_move, then per entry: move (and again, if a copy was made for it)
 *   unmap, COW   remove, <entry cleared>
 *   try_to_unmap walk; the visitor clears the entry and answers RMAP_DROP
 *   munmap       (remove per entry), vma_unlink
 *   exit         (remove per entry, vma_unlink per area), mm_release
 *
 * Any pointer documented as optional may be NULL: nothing to do.
 *
 * Page clustering: a page may be 2, 4, 8 or 16 frames of 4 KB (mm_types.h), while areas, indexes
 * and entries go on in units of 4 KB. A page then has up to that many mappings in one area, and
 * each counts: add, remove, move and walk() are about entries of any of its sub-pages. In an area
 * that is not VM_NONLINEAR, the entry of index i maps sub-page i mod machine_sub_pages(): so the
 * page's entries in an area lie side by side, and a design that keeps an index keeps that of the
 * first (vma_page_index) and looks at all of them (search_area in rmap/backend.h).
 */
#ifndef RMAPFUZZ_RMAP_H
#define RMAPFUZZ_RMAP_H

#include <stddef.h>

#include "mm_types.h"
#include "rmap_file.h"

enum rmap_answer {
	RMAP_KEEP, /* the entry still maps the page */
	RMAP_DROP, /* the engine cleared the entry: forget it, in place; remove() is not called */
	RMAP_STOP, /* the entry still maps the page, and no more are wanted */
};

/*
 * What add() and move() may answer, besides 0 and -ENOMEM, in a design that finds the mappings of
 * an anonymous page only where all of them are at one address (rmap_ops.may_unshare): the mapping
 * cannot join the others that PAGE has. Nothing has changed. The engine then makes a copy for it,
 * so that it shares with nobody.
 */
#define RMAP_UNSHARE 1

/*
 * Called for each mapping that a backend finds. VMA and VPN say where, PTE is the
 * entry. The visitor calls no backend. A backend must show only entries for which
 * rmap_probe() or pte_addr_find() succeeded; whether they map PAGE is verified by
 * the engine, and a wrong answer is a finding, not a crash.
 */
typedef enum rmap_answer rmap_visit_fn(struct machine *machine, struct page *page, struct vma *vma,
				       uint32_t vpn, struct ptep pte, void *arg);

struct rmap_ops {
	const char *name;
	const char *summary; /* one line, for `rmapfuzz backends` */

	/* i386 sizes in bytes that this design gives the structures it hooks into. */
	uint32_t page_bytes; /* struct page: 32, 36, 40 or 44 */
	uint32_t vma_bytes;  /* vm_area_struct: 64 or 76, the file side's own apart */
	uint32_t mm_bytes;   /* mm_struct */

	/* How it finds file pages, if it does so by their file's areas (rmap_walk_i_mmap). NULL: as
	 * list. */
	const struct rmap_file_ops *file;

	/* Anonymous areas may merge whatever their vm_pgoff (the design does not use it). */
	bool anon_pgoff_free;
	/* add() and move() may answer RMAP_UNSHARE. Its machine has no page clustering: `cluster`
	 * is taken as 0. */
	bool may_unshare;

	/*
	 * Make caches with kmem_cache_create(). Called once for a machine, before anything
	 * else. rmap_private(machine) is a word for the design's own use; the engine empties
	 * the caches and zeroes the word's target never: keep no state outside cached objects.
	 */
	void (*create)(struct machine *machine);

	/*
	 * The entry PTE, for VPN of VMA, is about to map PAGE (one sub-page of it), in addition
	 * to the page->mapcount entries that map it now. The page is anonymous if page->flags has
	 * PG_ANON, else it is page->mapping's page page->index. Returns 0 or -ENOMEM; then
	 * the entry is not written and the backend must look as if it was never called. Or
	 * RMAP_UNSHARE, if a swap entry is being resolved whose page is in the swap cache and
	 * mapped again elsewhere (mremap moves swap entries without asking): the engine maps a copy
	 * here.
	 */
	int (*add)(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		   struct ptep pte);

	/* The entry PTE, which maps PAGE at VPN of VMA, is about to be cleared. mapcount still
	 * counts it. An entry that the design does not know is ignored. */
	void (*remove)(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		       struct ptep pte);

	/*
	 * mremap moves a mapping of PAGE from entry FROM (OLD_VPN of OLD) to entry TO
	 * (NEW_VPN of NEW). Called before either is written. Returns 0, -ENOMEM with nothing
	 * changed, or RMAP_UNSHARE, if PAGE is anonymous and mapcount above 1: the engine breaks
	 * the sharing at FROM as a write fault would, which may fail, and asks again for the copy.
	 * Optional: for designs that find the page by its area or address.
	 */
	int (*move)(struct machine *machine, struct page *page, struct vma *old, uint32_t old_vpn,
		    struct ptep from, struct vma *new, uint32_t new_vpn, struct ptep to);

	/*
	 * The first anonymous page of VMA is about to appear (fault, COW, early COW). Called
	 * before every such fault. Returns 0 or -ENOMEM. Optional.
	 */
	int (*anon_prepare)(struct machine *machine, struct vma *vma);

	/*
	 * The engine found that PAGE, which is anonymous and mapped at VPN of VMA and nowhere else,
	 * is no swap entry's either, and lets VMA write to it. A design may file it under what only
	 * VMA and its descendants have. Optional.
	 */
	void (*anon_exclusive)(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn);

	/* A fresh area is in its mm. Optional. Pages come later, through add(). */
	void (*vma_link)(struct machine *machine, struct vma *vma);

	/* VMA, which maps nothing any more, is about to be freed. Optional. */
	void (*vma_unlink)(struct machine *machine, struct vma *vma);

	/*
	 * CHILD is a copy of PARENT in another mm; entries are copied afterwards through add().
	 * child->rmap is NULL on entry. Returns 0 or -ENOMEM with nothing changed; after 0, the
	 * engine may still give up and call vma_unlink(child). Optional.
	 */
	int (*vma_fork)(struct machine *machine, struct vma *parent, struct vma *child);

	/*
	 * PART is a struct copy of VMA (with part->rmap NULL) that has its final bounds and pgoff
	 * and will take over the pages in them; VMA still has the old bounds and is cut right
	 * after. Returns 0 or -ENOMEM with nothing changed. Optional.
	 */
	int (*vma_split)(struct machine *machine, struct vma *vma, struct vma *part);

	/*
	 * KEEP is about to take over all of its neighbour GONE (bounds still old). vma_unlink is
	 * not called for GONE. Returns 0, or -ENOMEM with nothing changed: then they do not become
	 * one. Optional.
	 */
	int (*vma_merge)(struct machine *machine, struct vma *keep, struct vma *gone);

	/*
	 * The boundary between two neighbours moves: GROWS takes over the pages [FIRST, LAST) of
	 * SHRINKS (bounds still old). Returns 0, or -ENOMEM with nothing changed: then it does not
	 * move. Optional.
	 */
	int (*vma_shift)(struct machine *machine, struct vma *grows, struct vma *shrinks,
			 uint32_t first, uint32_t last);

	/*
	 * mremap: NEW is a struct copy of OLD elsewhere in the same mm (with new->rmap NULL),
	 * whose pgoff keeps each page's index, or an existing area that the moved piece was
	 * merged into. Entries move afterwards through move(). Returns 0 or -ENOMEM. Optional.
	 */
	int (*vma_move)(struct machine *machine, struct vma *old, struct vma *new);

	/*
	 * VMA's bounds or pgoff are about to change / have changed, or it becomes VM_NONLINEAR and
	 * goes to the other list of its file. Optional; for designs that keep areas in a structure
	 * sorted by them. Called around every such change of a linked area (split, merge, shift,
	 * growth, shrinkage, the first remap_file_pages).
	 */
	void (*vma_detach)(struct machine *machine, struct vma *vma);
	void (*vma_attach)(struct machine *machine, struct vma *vma);

	/*
	 * May areas A and B, neighbours with equal flags and backing, become one? The engine has
	 * checked file offsets, and for anonymous areas vm_pgoff unless anon_pgoff_free. Designs
	 * differ here by right. Optional: yes. B may be a description of an area that does not
	 * exist yet (b->rmap NULL).
	 */
	bool (*can_merge)(const struct vma *a, const struct vma *b);

	/* MM begins, forked from PARENT (NULL: boot or exec) / ends. Optional. */
	int (*mm_init)(struct machine *machine, struct mm *mm, struct mm *parent);
	void (*mm_release)(struct machine *machine, struct mm *mm);

	/* PAGE is about to be freed; mapcount is 0. Optional. */
	void (*page_free)(struct machine *machine, struct page *page);

	/*
	 * Visit each mapping of PAGE exactly once, in the design's own order, and do as VISIT
	 * answers. The design may stop by itself once page->mapcount is 0 or once it has shown
	 * as many entries as page->mapcount said at the start.
	 */
	void (*walk)(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg);

	/*
	 * Optional. Verify the design's own invariants over the whole machine. Returns NULL, or
	 * one sentence naming the invariant that is broken.
	 */
	const char *(*check)(struct machine *machine);

	/* Optional. One line on how PAGE is known ("direct", "chain of 3 in 1 object"). */
	void (*describe)(struct machine *machine, struct page *page, char *buf, size_t size);
};

/* ---- what a backend may call ------------------------------------------------- */

/* A cache of kernel objects, all of one type; see kmem.c. */
struct kmem_cache;

/*
 * A new cache of objects of HOST_BYTES here and BYTES (slab alignment ALIGN) on i386.
 * NAME is as slabinfo would print it and must stay valid. Never fails.
 */
struct kmem_cache *kmem_cache_create(struct machine *machine, const char *name, uint32_t bytes,
				     uint32_t align, size_t host_bytes);

/*
 * A zeroed object, or NULL when the trace makes this allocation fail. Backend objects
 * are numbered apart from the engine's, because designs allocate differently.
 */
void *rmap_cache_alloc(struct machine *machine, struct kmem_cache *cache);
void kmem_cache_free(struct machine *machine, struct kmem_cache *cache, void *object);

/* A word for the design (typically a struct of cache pointers, malloc'ed in create()
 * through machine_private_alloc(), which the machine frees). */
void *machine_private(struct machine *machine);
void *machine_private_alloc(struct machine *machine, size_t bytes);

/* Sub-pages of a page: 1, or more with page clustering. */
uint32_t machine_sub_pages(const struct machine *machine);
/* Does ENTRY map a sub-page of PAGE? */
bool rmap_maps(const struct machine *machine, const struct page *page, pte_t entry);

/*
 * Does VPN of VMA->mm map PAGE, whichever sub-page? Walks the page table as the kernel would and
 * counts a probe, a miss, and a kmap_atomic under HIGHPTE. Fills *PTE on success.
 */
bool rmap_probe(struct machine *machine, const struct page *page, const struct vma *vma,
		uint32_t vpn, struct ptep *pte);
/* The same for a design that knows the address space and not yet the area. */
bool rmap_probe_mm(struct machine *machine, const struct page *page, const struct mm *mm,
		   uint32_t vpn, struct ptep *pte);

/* The pte_addr_t of an entry, and back. Finding one counts a kmap_atomic under HIGHPTE;
 * false: there is no page table at that address any more. */
pte_addr_t pte_addr_of(struct ptep pte);
bool pte_addr_find(struct machine *machine, pte_addr_t addr, struct ptep *pte);

/* The vma that holds VPN of MM, or NULL. */
struct vma *vma_at(struct machine *machine, struct mm *mm, uint32_t vpn);

/* Every mm, oldest first; areas of one by mm->first and vma->next. */
struct mm_list *machine_mms(struct machine *machine);

/* Counts that the design adds to as it works. */
struct rmap_counters {
	uint64_t pte_probes;   /* page-table walks started (rmap_probe) */
	uint64_t pte_misses;   /* of these, without success */
	uint64_t vmas_visited; /* areas looked at by walks */
	uint64_t links;        /* chain links followed */
	uint64_t kmap_atomic;  /* temporary kernel mappings under HIGHPTE */
};
struct rmap_counters *machine_counters(struct machine *machine);

/* Bytes of one pte_addr_t (4 or 8) and of one cache line (32, 64 or 128) of this machine. */
uint32_t machine_pte_addr_bytes(const struct machine *machine);
uint32_t machine_cacheline(const struct machine *machine);

/*
 * Visit the present entries of VMA in [FIRST, LAST), low to high, until EACH returns false. ONLY:
 * those that map this page; NULL: all but reserved ones. For designs that must find pages from an
 * area, or a page in one; each entry that is not none is counted as a probe. Returns false if EACH
 * did.
 */
typedef bool rmap_each_fn(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
			  void *arg);
bool rmap_each_mapped(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last,
		      const struct page *only, rmap_each_fn *each, void *arg);

/* The page's address in VMA if it has index INDEX: vma->start + (index - vma->pgoff).
 * false: outside the area (unsigned wrap included). */
static inline bool vma_vpn_of_index(const struct vma *vma, uint32_t index, uint32_t *vpn)
{
	uint32_t offset = index - vma->pgoff;

	if (offset >= vma->end - vma->start)
		return false;
	*vpn = vma->start + offset;
	return true;
}

static inline uint32_t vma_index_of_vpn(const struct vma *vma, uint32_t vpn)
{
	return vpn - vma->start + vma->pgoff;
}

/* The index of the first sub-page of the page that belongs at VPN of VMA. */
static inline uint32_t vma_page_index(const struct machine *machine, const struct vma *vma,
				      uint32_t vpn)
{
	return vma_index_of_vpn(vma, vpn) & ~(machine_sub_pages(machine) - 1);
}

/*
 * Ask in a walk before looking into the nonlinear areas of a file. True: leave them out; the
 * machine is a 2.6.7 in this, and its engine scans clusters of them instead (nonlinear=cluster).
 */
bool rmap_leave_to_clusters(struct machine *machine);

/*
 * The file half that all object designs share (rmap/i_mmap.c): walk the areas of
 * page->mapping that may cover page->index, as this machine's file side finds them, probe each;
 * then search the page tables of its nonlinear areas; stop when mapcount is used up.
 */
void rmap_walk_i_mmap(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg);
const struct rmap_file_ops *machine_file_side(const struct machine *machine);

/* Bytes of a vm_area_struct on i386: the design's and the file side's. */
uint32_t rmap_vma_bytes(const struct rmap_ops *rmap);

/*
 * Every design once, in the order of backends.def, ending with NULL: those that find file pages by
 * areas with their historical file side, under the plain name. Then the same with each of them
 * combined with each file side, under names like "anon_vma+prio_tree". And either by name.
 */
extern const struct rmap_ops *const rmap_backends[];
extern const struct rmap_ops *const rmap_combinations[];
const struct rmap_ops *rmap_find(const char *name);

#endif

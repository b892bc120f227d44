/*
 * anonmm - an anonymous page points at its address space; relatives have it at the same address.
 * H. Dickins, 2002 to 2004, after an idea of L. Torvalds; in mainline for one day of May 2004
 * (2.6.7-rc1, rmap 10 and 11), then replaced by anon_vma (rmap 37 to 40).
 *
 *   page --mapping--> anonmm(1) --mm--> mm 1 --page table--> vpn?
 *     '---index = user vpn  |head
 *                           v
 *                   .--> anonmm(0) --> anonmm(1) --> anonmm(2: dead, mm NULL) --> anonmm(3) --.
 *                   '-------------------------------------------------------------------------'
 *
 * fork leaves every page where it is, so all who share a page have it at one address, and an
 * address and a list of relatives suffice: all mms that came from one exec, in the order of their
 * births, a flat list. The one that mapped the page first is asked first, then the others around
 * the circle; all the way, because a page that was swapped out may come back to a younger mm first.
 *
 * mremap is what breaks the rule. A page that moves and is nobody else's gets a new index; one that
 * is shared must be copied first (RMAP_UNSHARE, from move), which costs a page and may fail where
 * other designs cannot. Swap entries move without anybody noticing; so a page may be found in the
 * swap cache, mapped at one address by one relative, when another wants it at another address. That
 * one gets a copy, too (RMAP_UNSHARE, from add).
 *
 * An anonmm is held by its mm and by each page that points at it; the head also by itself and by
 * every member of its family. A dead mm's anonmm lives until its pages have gone, or a walk has
 * found them a living relative.
 *
 * Cost: 24 bytes for an mm and the pointer to it (28); nothing per area, mapping or fork of one. A
 * walk probes one page table for each mm of the family until mapcount is used up, also of those
 * that never had the page: what a server with thousands of children pays for each of their private
 * pages.
 *
 * Invariants
 *   F1  every mm has an anonmm, which names it
 *   F2  a family is the list of its head, which is its first member; all of them name the head
 *   F3  an anonmm's count is the number of its mm, its pages and, in a head, itself and the others
 *   P1  a mapped anonymous page points at an anonmm of the family of every mm that maps it
 *   P2  its index is the address (of its first sub-page) at which each of them maps it
 *   P3  a file page's reverse-map words are never written
 */
#include <stdio.h>

#include "backend.h"

#define ANONMM_BYTES 24  /* count, lock, mm, head and a list link */
#define MM_BYTES     548 /* with a pointer to it */

struct anonmm {
	uint32_t count;
	uint32_t pages;                         /* check's own: pages found to point at it */
	struct mm *mm;                          /* NULL: it has ended */
	struct anonmm *head;                    /* the one that exec, or boot, made */
	TAILQ_HEAD(anonmm_list, anonmm) family; /* of a head: itself, then the others, by age */
	TAILQ_ENTRY(anonmm) link;
};

struct anonmm_private {
	struct kmem_cache *cache;
};

static struct kmem_cache *anonmm_cache(struct machine *machine)
{
	const struct anonmm_private *private = machine_private(machine);

	return private->cache;
}

static void anonmm_create(struct machine *machine)
{
	struct anonmm_private *private = machine_private_alloc(machine, sizeof(*private));

	private->cache =
		kmem_cache_create(machine, "anonmm", ANONMM_BYTES, 4, sizeof(struct anonmm));
}

/* ---- families ------------------------------------------------------------------------------ */

/* Drop a reference; a head that only holds itself goes. */
static void head_put(struct machine *machine, struct anonmm *head)
{
	if (--head->count > 1)
		return;
	MM_ASSERT(TAILQ_FIRST(&head->family) == head && !TAILQ_NEXT(head, link));
	kmem_cache_free(machine, anonmm_cache(machine), head);
}

static void anonmm_put(struct machine *machine, struct anonmm *anonmm)
{
	struct anonmm *head = anonmm->head;

	MM_ASSERT(anonmm->count > 0);
	if (anonmm == head) {
		head_put(machine, head);
		return;
	}
	if (--anonmm->count)
		return;
	TAILQ_REMOVE(&head->family, anonmm, link);
	kmem_cache_free(machine, anonmm_cache(machine), anonmm);
	head_put(machine, head);
}

static int anonmm_mm_init(struct machine *machine, struct mm *mm, struct mm *parent)
{
	struct anonmm *anonmm = rmap_cache_alloc(machine, anonmm_cache(machine));

	if (!anonmm)
		return -ENOMEM;
	anonmm->mm = mm;
	anonmm->count = 1;
	if (parent) {
		const struct anonmm *relative = parent->rmap;

		anonmm->head = relative->head;
		if (MUTANT_IF(machine, SEED_14, relative->head != relative)) {
			/* A family of its own, of which the parent is not a member. */
			anonmm->head = anonmm;
			TAILQ_INIT(&anonmm->family);
		}
	} else {
		anonmm->head = anonmm;
		TAILQ_INIT(&anonmm->family);
	}
	anonmm->head->count++;
	TAILQ_INSERT_TAIL(&anonmm->head->family, anonmm, link);
	mm->rmap = anonmm;
	return 0;
}

static void anonmm_mm_release(struct machine *machine, struct mm *mm)
{
	struct anonmm *anonmm = mm->rmap;

	mm->rmap = NULL;
	anonmm->mm = NULL;
	anonmm_put(machine, anonmm);
}

/* ---- pages ------------------------------------------------------------------------------- */

static void page_point_at(struct page *page, struct anonmm *anonmm, uint32_t index)
{
	page->rmap.ptr = anonmm;
	page->rmap_index = index;
	anonmm->count++;
}

static void page_forget(struct machine *machine, struct page *page)
{
	struct anonmm *anonmm = page->rmap.ptr;

	page->rmap.ptr = NULL;
	page->rmap_index = 0;
	anonmm_put(machine, anonmm);
}

/* Where the page that belongs at VPN of VMA begins: VPN, but for page clustering. */
static uint32_t page_vpn(const struct machine *machine, const struct vma *vma, uint32_t vpn)
{
	return vpn - (vma_index_of_vpn(vma, vpn) - vma_page_index(machine, vma, vpn));
}

static int anonmm_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte)
{
	if (!(page->flags & PG_ANON))
		return 0;
	if (!page->mapcount)
		page_point_at(page, vma->mm->rmap, page_vpn(machine, vma, vpn));
	return page->rmap_index == page_vpn(machine, vma, vpn) ? 0 : RMAP_UNSHARE;
}

static void anonmm_remove(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			  struct ptep pte)
{
	if ((page->flags & PG_ANON) && page->mapcount == 1)
		page_forget(machine, page);
}

static int anonmm_move(struct machine *machine, struct page *page, struct vma *old,
		       uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
		       struct ptep to)
{
	if (!(page->flags & PG_ANON))
		return 0;
	MM_ASSERT(page->rmap_index == page_vpn(machine, old, old_vpn));
	if (page->mapcount > 1 && !MUTANT_IF(machine, MRE_35, true))
		return RMAP_UNSHARE;
	page->rmap_index = page_vpn(machine, new, new_vpn);
	return 0;
}

/* ---- walks --------------------------------------------------------------------------------- */

/* The member after ANONMM, around the circle. */
static struct anonmm *anonmm_next(const struct anonmm *anonmm)
{
	struct anonmm *next = TAILQ_NEXT(anonmm, link);

	return next ? next : anonmm->head;
}

/* Show the entry for VPN of MM, if it maps PAGE: only then is the area looked up. *FOUND: it does.
 * True: the walk is over. */
static bool search_entry(struct machine *machine, struct page *page, struct mm *mm, uint32_t vpn,
			 struct search *search, bool *found)
{
	struct ptep pte;

	if (!rmap_probe_mm(machine, page, mm, vpn, &pte))
		return false;
	*found = true;
	machine_counters(machine)->vmas_visited++;
	if (search->visit(machine, page, vma_at(machine, mm, vpn), vpn, pte, search->arg) ==
	    RMAP_STOP)
		return true;
	return --search->left == 0;
}

/* Look for PAGE in ANONMM's mm. A dead one, or one that has no page at all, is not looked into. */
static bool search_mm(struct machine *machine, struct page *page, const struct anonmm *anonmm,
		      struct search *search, bool *found)
{
	uint32_t n = machine_sub_pages(machine);

	*found = false;
	if (!anonmm->mm || !anonmm->mm->rss)
		return false;
	for (uint32_t sub = 0; sub < n; sub++) {
		if (search_entry(machine, page, anonmm->mm, page->rmap_index + sub, search, found))
			return true;
	}
	return false;
}

/* The mm that PAGE points at has ended. Let it point at one that is alive, and was found to have
 * it, so that the next walk starts there and the dead one's anonmm can go. */
static void page_rehome(struct machine *machine, struct page *page, struct anonmm *anonmm)
{
	struct anonmm *dead = page->rmap.ptr;

	page_point_at(page, anonmm, page->rmap_index);
	anonmm_put(machine, dead);
}

static void walk_family(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct search search = {visit, arg, page->mapcount};
	struct anonmm *first = page->rmap.ptr, *anonmm = first, *living = NULL;
	bool over, found;

	do {
		over = search_mm(machine, page, anonmm, &search, &found);
		if (found && !living)
			living = anonmm;
		anonmm = anonmm_next(anonmm);
	} while (!over && anonmm != first);
	if (!page->mapcount)
		page_forget(machine, page);
	else if (!first->mm && living)
		page_rehome(machine, page, living);
}

static void anonmm_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	if (!(page->flags & PG_ANON))
		rmap_walk_i_mmap(machine, page, visit, arg);
	else if (page->mapcount)
		walk_family(machine, page, visit, arg);
}

/* ---- check ------------------------------------------------------------------------------- */

/* page.rmap_flags, while check() counts: this page has been. */
#define COUNTED 1u

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	struct anonmm *anonmm = page->rmap.ptr;
	const struct anonmm *own = vma->mm->rmap;

	if (!(page->flags & PG_ANON))
		return page->rmap.word ? "P3: a file page's reverse-map words are never written"
				       : NULL;
	if (!anonmm || anonmm->head != own->head)
		return "P1: a mapped anonymous page points at an anonmm of the family of every mm "
		       "that maps it";
	if (page->rmap_index != page_vpn(machine, vma, vpn))
		return "P2: an anonymous page's index is the address at which each mm maps it";
	if (!(page->rmap_flags & COUNTED))
		anonmm->pages++;
	page->rmap_flags |= COUNTED;
	return NULL;
}

static const char *uncount_entry(struct machine *machine, struct page *page, struct vma *vma,
				 uint32_t vpn, struct ptep pte)
{
	page->rmap_flags &= ~COUNTED;
	return NULL;
}

static const char *check_member(const struct anonmm *anonmm, uint32_t others)
{
	uint32_t held = (anonmm->mm != NULL) + anonmm->pages;

	if (anonmm == anonmm->head)
		held += 1 + others;
	if (anonmm->count != held || (anonmm != anonmm->head && !held))
		return "F3: an anonmm's count is the number of its mm, its pages and, in a head, "
		       "itself and the others";
	return NULL;
}

static bool is_in_place(const struct anonmm *anonmm, const struct anonmm *head)
{
	return anonmm->head == head && (anonmm == head) == !TAILQ_PREV(anonmm, anonmm_list, link);
}

static const char *check_family(struct anonmm *head)
{
	const char *broken = NULL;
	struct anonmm *anonmm;
	uint32_t others = 0;

	TAILQ_FOREACH (anonmm, &head->family, link)
		others += anonmm != head;
	TAILQ_FOREACH (anonmm, &head->family, link) {
		if (!broken && !is_in_place(anonmm, head))
			broken = "F2: a family is the list of its head, which is its first member; "
				 "all of them name the head";
		if (!broken)
			broken = check_member(anonmm, others);
		anonmm->pages = 0;
	}
	return broken;
}

/* So that each family is looked at once: from its eldest that is alive. */
static bool is_eldest(const struct anonmm *anonmm)
{
	const struct anonmm *eldest = anonmm->head;

	while (!eldest->mm)
		eldest = TAILQ_NEXT(eldest, link);
	return eldest == anonmm;
}

/* All of them, also after one was found broken: counts go back to zero on the way. */
static const char *check_families(struct machine *machine)
{
	const char *broken = NULL;
	const struct mm *mm;

	TAILQ_FOREACH (mm, machine_mms(machine), link) {
		struct anonmm *anonmm = mm->rmap;
		const char *sentence = is_eldest(anonmm) ? check_family(anonmm->head) : NULL;

		if (!broken)
			broken = sentence;
	}
	return broken;
}

static const char *anonmm_check(struct machine *machine)
{
	const char *broken, *families;
	const struct mm *mm;

	TAILQ_FOREACH (mm, machine_mms(machine), link) {
		const struct anonmm *anonmm = mm->rmap;

		if (!anonmm || anonmm->mm != mm)
			return "F1: every mm has an anonmm, which names it";
	}
	broken = check_every_entry(machine, check_entry);
	families = check_families(machine);
	check_every_entry(machine, uncount_entry);
	return broken ? broken : families;
}

/* ---- describe ------------------------------------------------------------------------------ */

static void anonmm_describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	const struct anonmm *anonmm = page->rmap.ptr, *member;
	uint32_t alive = 0, dead = 0;
	char name[24] = "a dead mm";

	if (!(page->flags & PG_ANON)) {
		describe_file_page(machine, page, buf, size);
		return;
	}
	if (!anonmm) {
		snprintf(buf, size, "unmapped");
		return;
	}
	TAILQ_FOREACH (member, &anonmm->head->family, link)
		*(member->mm ? &alive : &dead) += 1;
	if (anonmm->mm)
		snprintf(name, sizeof(name), "mm %u", anonmm->mm->id);
	snprintf(buf, size, "at 0x%x, first in %s, in a family of %u alive and %u dead",
		 page->rmap_index, name, alive, dead);
}

RMAP_OBJECT_DESIGN(
	rmap_anonmm, "anonmm", prio_tree,
	.summary = "Dickins 2004: a page points at its mm; relatives have it at its address",
	.page_bytes = 32, .vma_bytes = 64, .mm_bytes = MM_BYTES, .anon_pgoff_free = true,
	.may_unshare = true, .create = anonmm_create, .add = anonmm_add, .remove = anonmm_remove,
	.move = anonmm_move, .mm_init = anonmm_mm_init, .mm_release = anonmm_mm_release,
	.walk = anonmm_walk, .check = anonmm_check, .describe = anonmm_describe)

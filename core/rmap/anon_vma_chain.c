/*
 * anon_vma_chain - each area is linked to the anon_vmas of all its ancestors and has one of its
 * own. R. van Riel, 2.6.34, 2010; interval trees by M. Lespinasse, 3.7, 2012; reuse by K.
 * Khlebnikov, 2015, in the form that was corrected in 2022 (two counts instead of one).
 *
 *            parent's area          child's area            grandchild's
 *   chain:   A                      B - A                   C - B - A          (newest first)
 *            |   .------------------|---'                   |   |   |
 *            v   v                  v   .-------------------|---'   |
 *   tree of: A <-+-----------------------------------------------------'   pages from before the
 * fork B <-------------------+----'                   |              pages of the child C
 * <--------------------------------------------'              pages of the grandchild
 *
 * With one list for a family (anon_vma.c) a page that one of 1000 children wrote is looked for in
 * all 1000. Here fork links the child to everything that its parent is linked to, since it may
 * hold pages of all of these, and gives it an anon_vma of its own for what it writes from then on,
 * which nobody else is linked to. A link (anon_vma_chain, AVC) is in its area's chain and in its
 * anon_vma's interval tree, by the pages that the area has.
 *
 * Which anon_vma a page gets when it is mapped for the first time: the area's own, if it is fresh;
 * the oldest, at the root, if it comes from the swap cache, because any relative may have it, too.
 * If it then turns out that nobody else has it, it moves to the own one (anon_exclusive).
 *
 * Reuse: where fork follows fork and ancestors exit, chains would grow without end. So a child
 * takes an ancestor's anon_vma for its own if no area has that as its own any more and at most one
 * other grew out of it. Then there are at most twice as many anon_vmas as areas.
 *
 * Cost: a link for each pair of area and ancestor (24 bytes; 32 since they are in trees), so that
 * fork needs memory for as many as the parent has, and split and merge do, too. A walk costs
 * O(log + areas that may have the page): about 2 in the case above, and 1000 before. Areas with
 * different anon_vmas cannot merge, and one that has none only with one that is linked once.
 *
 * Invariants
 *   V1  an area has an own anon_vma if and only if it has links, and one of these leads to it
 *   V2  each link is in its anon_vma's tree, with its area's bounds, and nothing else is
 *   V3  areas that have the same own anon_vma have the same links, in the same order
 *   V4  the last link of a chain leads to the root, and all of a chain have that root
 *   V5  an anon_vma knows how many areas have it as their own, and how many living ones grew from
 *       it
 *   V6  those that have it as their own are of one address space
 *   P1  a mapped anonymous page's anon_vma is in the chain of every area that maps it
 *   P2  its index is the one that each of these areas computes for it
 *   P3  a file page's reverse-map words are never written
 */
#include <stdio.h>

#include "anon_list.h"
#include "interval.h"

#define AVC_BYTES      24
#define ANON_VMA_BYTES 40 /* lock with its queue 16, root, parent, tree, three counts */

struct anon_node {
	struct interval_tree areas; /* of links */
	struct anon_node *root, *parent;
	uint32_t held;         /* by its areas (1), and a root by the others of its family */
	uint32_t nr_owners;    /* areas that have it as their own */
	uint32_t nr_children;  /* that have it as parent and have areas; a root counts itself */
	uint32_t owners_found; /* check's own */
	uint32_t children_found;
	uint32_t links_found;
	const struct vma *example; /* check's own: the first area found to have it as its own */
};

struct avc {
	struct vma *vma;
	struct anon_node *anon;
	TAILQ_ENTRY(avc) same_vma;
	struct interval_node node; /* in anon->areas */
};

struct chain_private {
	struct kmem_cache *links, *nodes;
};

static struct chain_private *private(struct machine *machine)
{
	return machine_private(machine);
}

static void create(struct machine *machine)
{
	struct chain_private *caches = machine_private_alloc(machine, sizeof(*caches));

	caches->links =
		kmem_cache_create(machine, "anon_vma_chain", AVC_BYTES, 4, sizeof(struct avc));
	caches->nodes =
		kmem_cache_create(machine, "anon_vma", ANON_VMA_BYTES, 4, sizeof(struct anon_node));
}

/* ---- anon_vmas ----------------------------------------------------------------------------- */

static struct anon_node *own(const struct vma *vma)
{
	return vma->rmap;
}

/* One that grows out of PARENT, or a root of its own (NULL). NULL: no memory. */
static struct anon_node *node_alloc(struct machine *machine, struct anon_node *parent)
{
	struct anon_node *anon = rmap_cache_alloc(machine, private(machine)->nodes);

	if (!anon)
		return NULL;
	anon->held = 1;
	anon->parent = parent ? parent : anon;
	anon->root = parent ? parent->root : anon;
	if (parent)
		anon->root->held++;
	return anon;
}

static void node_put(struct machine *machine, struct anon_node *anon)
{
	struct anon_node *root = anon->root;

	if (--anon->held)
		return;
	MM_ASSERT(RB_EMPTY(&anon->areas) && !anon->nr_owners && !anon->nr_children);
	kmem_cache_free(machine, private(machine)->nodes, anon);
	if (root != anon)
		node_put(machine, root);
}

/* ---- links --------------------------------------------------------------------------------- */

static void link_attach(struct avc *avc)
{
	uint32_t first, last;

	vma_interval(avc->vma, &first, &last);
	interval_insert(&avc->anon->areas, &avc->node, first, last);
}

static void link_detach(struct avc *avc)
{
	interval_remove(&avc->anon->areas, &avc->node);
}

/* ANON is the newest in VMA's chain. */
static void link_add(struct avc *avc, struct vma *vma, struct anon_node *anon)
{
	avc->vma = vma;
	avc->anon = anon;
	TAILQ_INSERT_HEAD(&vma->rmap_chain, avc, same_vma);
	link_attach(avc);
}

/* All links of VMA, newest first, so that a root loses its last area after those that grew from it.
 * An anon_vma without areas is no longer anybody's child. */
static void unlink_all(struct machine *machine, struct vma *vma)
{
	struct avc *avc;

	if (own(vma))
		own(vma)->nr_owners--;
	vma->rmap = NULL;
	while ((avc = TAILQ_FIRST(&vma->rmap_chain))) {
		struct anon_node *anon = avc->anon;

		TAILQ_REMOVE(&vma->rmap_chain, avc, same_vma);
		link_detach(avc);
		kmem_cache_free(machine, private(machine)->links, avc);
		if (!RB_EMPTY(&anon->areas))
			continue;
		anon->parent->nr_children--;
		node_put(machine, anon);
	}
}

/* May a child of SRC's take ANON, an ancestor's, for its own? */
static bool is_reusable(const struct machine *machine, const struct vma *src,
			const struct anon_node *anon)
{
	/* One count of both. */
	if (MUTANT_IF(machine, AVC_04,
		      anon != own(src) && anon->nr_owners == 1 && !anon->nr_children))
		return true;
	return anon != own(src) && !anon->nr_owners && anon->nr_children < 2;
}

/*
 * Link DST, which has no links, to all that SRC is linked to, oldest first, so that the order is
 * the same. REUSE: DST may get one of these as its own. 0, or -ENOMEM with nothing changed.
 */
static int clone_links(struct machine *machine, struct vma *dst, const struct vma *src, bool reuse)
{
	const struct avc *from;

	MM_ASSERT(!own(dst));
	TAILQ_INIT(&dst->rmap_chain);
	TAILQ_FOREACH_REVERSE(from, &src->rmap_chain, avc_list, same_vma)
	{
		struct avc *avc = rmap_cache_alloc(machine, private(machine)->links);

		if (!avc) {
			if (!MUTANT_IF(machine, FORK_16, dst->rmap))
				dst->rmap = NULL;
			unlink_all(machine, dst);
			return -ENOMEM;
		}
		link_add(avc, dst, from->anon);
		if (MUTANT_IF(machine, AVC_01, TAILQ_NEXT(avc, same_vma))) { /* as if forwards */
			TAILQ_REMOVE(&dst->rmap_chain, avc, same_vma);
			TAILQ_INSERT_TAIL(&dst->rmap_chain, avc, same_vma);
		}
		if (reuse && !dst->rmap && is_reusable(machine, src, from->anon))
			dst->rmap = from->anon;
	}
	if (!reuse)
		dst->rmap = src->rmap;
	if (MUTANT_IF(machine, FORK_18,
		      !reuse && dst->prev && own(dst->prev) && own(dst->prev) != own(src)))
		dst->rmap = own(dst->prev);
	if (own(dst))
		own(dst)->nr_owners++;
	return 0;
}

/* ---- what happens to areas ----------------------------------------------------------------- */

/* VMA gets ANON, or a fresh one that grows out of PARENT, as its own and newest. */
static int own_add(struct machine *machine, struct vma *vma, struct anon_node *anon,
		   struct anon_node *parent)
{
	struct avc *avc = rmap_cache_alloc(machine, private(machine)->links);

	if (!avc)
		return -ENOMEM;
	if (!anon) {
		anon = node_alloc(machine, parent);
		if (!anon) {
			kmem_cache_free(machine, private(machine)->links, avc);
			return -ENOMEM;
		}
		anon->parent->nr_children++;
	}
	link_add(avc, vma, anon);
	vma->rmap = anon;
	anon->nr_owners++;
	return 0;
}

static bool is_singular(const struct vma *vma)
{
	const struct avc *first = own(vma) ? TAILQ_FIRST(&vma->rmap_chain) : NULL;

	return first && !TAILQ_NEXT(first, same_vma);
}

/* As with anon_vma, but from a neighbour that is linked once: else its ancestors came along. */
static struct anon_node *neighbours(const struct vma *vma)
{
	const struct vma *next = vma->next, *prev = vma->prev;

	if (next && is_singular(next) && anon_vma_nearly_mergeable(vma, next))
		return next->rmap;
	if (prev && is_singular(prev) && anon_vma_nearly_mergeable(prev, vma))
		return prev->rmap;
	return NULL;
}

static int prepare(struct machine *machine, struct vma *vma)
{
	if (own(vma))
		return 0;
	TAILQ_INIT(&vma->rmap_chain);
	return own_add(machine, vma, neighbours(vma), NULL);
}

static int fork_area(struct machine *machine, struct vma *parent, struct vma *child)
{
	int err;

	if (!own(parent))
		return 0;
	err = clone_links(machine, child, parent, true);
	if (err || own(child))
		return err;
	err = own_add(machine, child, NULL, own(parent));
	if (err && !MUTANT_IF(machine, FORK_09, true))
		unlink_all(machine, child);
	return err;
}

/* TO may come to hold pages of FROM. If both have links, they are the same (can_merge). */
static int adopt(struct machine *machine, struct vma *to, const struct vma *from)
{
	if (!own(from) || own(to)) {
		MM_ASSERT(!own(from) || own(to) == own(from));
		return 0;
	}
	/* Who takes its place, and whose links are cloned, are two. */
	if (MUTANT_IF(machine, VMA_09, !is_singular(from))) {
		TAILQ_INIT(&to->rmap_chain);
		return own_add(machine, to, own(from), NULL);
	}
	return clone_links(machine, to, from, false);
}

static int copy_area(struct machine *machine, struct vma *vma, struct vma *copy)
{
	return adopt(machine, copy, vma);
}

static void unlink_area(struct machine *machine, struct vma *vma)
{
	if (own(vma))
		unlink_all(machine, vma);
}

static int merge_areas(struct machine *machine, struct vma *keep, struct vma *gone)
{
	int err = adopt(machine, keep, gone);

	if (!err)
		unlink_area(machine, gone);
	return err;
}

static int shift_boundary(struct machine *machine, struct vma *grows, struct vma *shrinks,
			  uint32_t first, uint32_t last)
{
	return adopt(machine, grows, shrinks);
}

static void detach_area(struct machine *machine, struct vma *vma)
{
	struct avc *avc;

	if (!own(vma))
		return;
	TAILQ_FOREACH (avc, &vma->rmap_chain, same_vma)
		link_detach(avc);
}

/* Oldest first, as when they were made; in different trees the order is nobody's business. */
static void attach_area(struct machine *machine, struct vma *vma)
{
	struct avc *avc;

	if (!own(vma))
		return;
	TAILQ_FOREACH (avc, &vma->rmap_chain, same_vma)
		link_attach(avc);
}

/* The description of an area that does not exist yet has no links of its own. */
static bool can_merge(const struct vma *a, const struct vma *b)
{
	if (own(a) == own(b))
		return true;
	if (own(a) && own(b))
		return false;
	return is_singular(own(a) ? a : b);
}

/* ---- pages ------------------------------------------------------------------------------- */

static int add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
	       struct ptep pte)
{
	uint32_t index = vma_page_index(machine, vma, vpn);

	if (!(page->flags & PG_ANON))
		return 0;
	MM_ASSERT(own(vma));
	if (!page->mapcount) {
		page->rmap.ptr =
			page->flags & PG_SWAPCACHE &&
					!MUTANT_IF(machine, AVC_02, own(vma) != own(vma)->root)
				? own(vma)->root
				: own(vma);
		page->rmap_index = index;
	}
	MM_ASSERT(page->rmap_index == index);
	return 0;
}

static void forget(struct page *page)
{
	page->rmap.ptr = NULL;
	page->rmap_index = 0;
}

static void drop(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		 struct ptep pte)
{
	if ((page->flags & PG_ANON) && page->mapcount == 1)
		forget(page);
}

static void exclusive(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn)
{
	page->rmap.ptr = own(vma);
}

struct chain_walk {
	struct machine *machine;
	struct page *page;
	struct search search;
};

static bool look_into(struct interval_node *node, void *arg)
{
	struct chain_walk *walk = arg;
	struct vma *vma = interval_entry(node, struct avc, node)->vma;

	machine_counters(walk->machine)->vmas_visited++;
	return search_area(walk->machine, walk->page, vma, walk->page->rmap_index, &walk->search);
}

static void walk_anon(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	const struct anon_node *anon = page->rmap.ptr;
	struct chain_walk walk = {machine, page, {visit, arg, page->mapcount}};
	uint32_t first = page->rmap_index, last = first + machine_sub_pages(machine) - 1;

	if (page->mapcount || MUTANT_IF(machine, AVC_09, true))
		interval_find(&anon->areas, first, last, machine_counters(machine), look_into,
			      &walk);
	if (!page->mapcount)
		forget(page);
}

static void walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	if (page->flags & PG_ANON)
		walk_anon(machine, page, visit, arg);
	else
		rmap_walk_i_mmap(machine, page, visit, arg);
}

/* ---- check and describe -------------------------------------------------------------------- */

static const struct avc *link_to(const struct vma *vma, const struct anon_node *anon)
{
	const struct avc *avc;

	if (!own(vma))
		return NULL;
	TAILQ_FOREACH (avc, &vma->rmap_chain, same_vma) {
		if (avc->anon == anon)
			return avc;
	}
	return NULL;
}

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	if (!(page->flags & PG_ANON))
		return page->rmap.word ? "P3: a file page's reverse-map words are never written"
				       : NULL;
	if (!page->rmap.ptr || !link_to(vma, page->rmap.ptr))
		return "P1: a mapped anonymous page's anon_vma is in the chain of every area that "
		       "maps it";
	if (page->rmap_index != vma_page_index(machine, vma, vpn))
		return "P2: a page's index is the one that each area that maps it computes";
	return NULL;
}

static bool same_chains(const struct vma *a, const struct vma *b)
{
	const struct avc *x = TAILQ_FIRST(&a->rmap_chain), *y = TAILQ_FIRST(&b->rmap_chain);

	while (x && y && x->anon == y->anon) {
		x = TAILQ_NEXT(x, same_vma);
		y = TAILQ_NEXT(y, same_vma);
	}
	return !x && !y;
}

static const char *check_link(const struct vma *vma, const struct avc *avc)
{
	uint32_t first, last;

	vma_interval(vma, &first, &last);
	if (avc->vma != vma || avc->node.first != first || avc->node.last != last)
		return "V2: each link is in its anon_vma's tree with its area's bounds";
	if (avc->anon->root != own(vma)->root ||
	    (avc->anon == avc->anon->root) != !TAILQ_NEXT(avc, same_vma))
		return "V4: the last link of a chain leads to the root, and all have that root";
	return NULL;
}

/* VMA's links, and what they say of anon_vmas. */
static const char *count_area(struct vma *vma)
{
	struct avc *avc;
	const char *broken;

	if (!own(vma))
		return NULL;
	if (!link_to(vma, own(vma)))
		return "V1: one of an area's links leads to its own anon_vma";
	if (!own(vma)->example)
		own(vma)->example = vma;
	own(vma)->owners_found++;
	if (own(vma)->example->mm != vma->mm)
		return "V6: areas that have the same own anon_vma are of one address space";
	if (!same_chains(own(vma)->example, vma))
		return "V3: areas that have the same own anon_vma have the same links";
	TAILQ_FOREACH (avc, &vma->rmap_chain, same_vma) {
		broken = check_link(vma, avc);
		if (broken)
			return broken;
		if (!avc->anon->links_found++)
			avc->anon->parent->children_found++;
	}
	return NULL;
}

static const char *check_node(const struct anon_node *anon)
{
	uint32_t links = 0;
	struct interval_node *node;

	if (anon->owners_found != anon->nr_owners || anon->children_found != anon->nr_children)
		return "V5: an anon_vma knows how many areas own it and how many grew from it";
	for (node = interval_first(&anon->areas); node; node = interval_next(node))
		links++;
	if (links != anon->links_found)
		return "V2: nothing else is in an anon_vma's tree";
	return interval_check(&anon->areas);
}

typedef const char *area_fn(struct vma *vma);

static const char *each_area(struct machine *machine, area_fn *fn)
{
	const char *broken = NULL;
	struct mm *mm;

	TAILQ_FOREACH (mm, machine_mms(machine), link) {
		for (struct vma *vma = mm->first; vma; vma = vma->next) {
			const char *sentence = fn(vma);

			broken = broken ? broken : sentence;
		}
	}
	return broken;
}

static const char *check_area_nodes(struct vma *vma)
{
	const char *broken = NULL;
	const struct avc *avc;

	if (!own(vma))
		return NULL;
	TAILQ_FOREACH (avc, &vma->rmap_chain, same_vma)
		broken = broken ? broken : check_node(avc->anon);
	return broken;
}

static const char *uncount_area(struct vma *vma)
{
	struct avc *avc;

	if (!own(vma))
		return NULL;
	TAILQ_FOREACH (avc, &vma->rmap_chain, same_vma) {
		avc->anon->owners_found = avc->anon->children_found = avc->anon->links_found = 0;
		avc->anon->parent->children_found = 0;
		avc->anon->example = NULL;
	}
	return NULL;
}

static const char *check(struct machine *machine)
{
	const char *broken = each_area(machine, count_area);

	if (!broken)
		broken = each_area(machine, check_area_nodes);
	each_area(machine, uncount_area);
	return broken ? broken : check_every_entry(machine, check_entry);
}

static void describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	const struct anon_node *anon = page->rmap.ptr;
	struct interval_node *node;
	uint32_t areas = 0;

	if (!(page->flags & PG_ANON)) {
		describe_file_page(machine, page, buf, size);
		return;
	}
	if (!anon) {
		snprintf(buf, size, "unmapped");
		return;
	}
	for (node = interval_first(&anon->areas); node; node = interval_next(node))
		areas++;
	snprintf(buf, size, "index 0x%x in %s anon_vma with links from %u area%s", page->rmap_index,
		 anon == anon->root ? "a root" : "an", areas, areas == 1 ? "" : "s");
}

RMAP_OBJECT_DESIGN(rmap_anon_vma_chain, "anon_vma_chain", interval_tree,
		   .summary =
			   "van Riel 2010: an area is linked to its ancestors' anon_vmas and has "
			   "its own",
		   .page_bytes = 32, .vma_bytes = 76, .mm_bytes = 544, .create = create, .add = add,
		   .remove = drop, .anon_prepare = prepare, .anon_exclusive = exclusive,
		   .vma_unlink = unlink_area, .vma_fork = fork_area, .vma_split = copy_area,
		   .vma_merge = merge_areas, .vma_shift = shift_boundary, .vma_move = copy_area,
		   .vma_detach = detach_area, .vma_attach = attach_area, .can_merge = can_merge,
		   .walk = walk, .check = check, .describe = describe)

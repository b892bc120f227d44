/*
 * The anon_vma object; see anon_list.h.
 */
#include "anon_list.h"

#include <stdio.h>

#define ANON_VMA_BYTES 12 /* a spinlock and a list head */

struct anon_private {
	struct kmem_cache *cache;
};

static struct kmem_cache *anon_cache(struct machine *machine)
{
	const struct anon_private *private = machine_private(machine);

	return private->cache;
}

void anon_vma_create(struct machine *machine)
{
	struct anon_private *private = machine_private_alloc(machine, sizeof(*private));

	private->cache =
		kmem_cache_create(machine, "anon_vma", ANON_VMA_BYTES, 4, sizeof(struct anon_vma));
}

struct anon_vma *anon_vma_alloc(struct machine *machine)
{
	struct anon_vma *anon_vma = rmap_cache_alloc(machine, anon_cache(machine));

	if (anon_vma)
		TAILQ_INIT(&anon_vma->vmas);
	return anon_vma;
}

void anon_vma_link(struct vma *vma, struct anon_vma *anon_vma)
{
	MM_ASSERT(!vma->rmap);
	vma->rmap = anon_vma;
	TAILQ_INSERT_HEAD(&anon_vma->vmas, vma, rmap_link);
}

void anon_vma_unlink(struct machine *machine, struct vma *vma)
{
	struct anon_vma *anon_vma = vma->rmap;

	if (!anon_vma)
		return;
	TAILQ_REMOVE(&anon_vma->vmas, vma, rmap_link);
	vma->rmap = NULL;
	if (TAILQ_EMPTY(&anon_vma->vmas))
		kmem_cache_free(machine, anon_cache(machine), anon_vma);
}

void anon_vma_adopt(struct vma *to, const struct vma *from)
{
	if (!from->rmap)
		return;
	if (!to->rmap)
		anon_vma_link(to, from->rmap);
	MM_ASSERT(to->rmap == from->rmap);
}

int anon_vma_merge(struct machine *machine, struct vma *keep, struct vma *gone)
{
	struct anon_vma *anon_vma = gone->rmap;

	if (!anon_vma)
		return 0;
	if (!keep->rmap) { /* it steps into gone's place */
		keep->rmap = anon_vma;
		TAILQ_INSERT_AFTER(&anon_vma->vmas, gone, keep, rmap_link);
	}
	MM_ASSERT(keep->rmap == anon_vma);
	anon_vma_unlink(machine, gone);
	return 0;
}

bool anon_vma_can_merge(const struct vma *a, const struct vma *b)
{
	return !a->rmap || !b->rmap || a->rmap == b->rmap;
}

/* ---- what happens to areas ----------------------------------------------------------------- */

bool anon_vma_nearly_mergeable(const struct vma *left, const struct vma *right)
{
	const uint32_t prot = VM_READ | VM_WRITE | VM_EXEC;

	return left->end == right->start && left->file == right->file &&
	       !((left->flags ^ right->flags) & ~prot) &&
	       left->pgoff + (left->end - left->start) == right->pgoff;
}

/*
 * The list of a neighbour that VMA may yet merge with, once mprotect makes them equal: taking
 * that one keeps them mergeable. The next area is asked first, and nobody further away.
 */
static struct anon_vma *find_mergeable_anon_vma(const struct vma *vma)
{
	if (vma->next && vma->next->rmap && anon_vma_nearly_mergeable(vma, vma->next))
		return vma->next->rmap;
	if (vma->prev && vma->prev->rmap && anon_vma_nearly_mergeable(vma->prev, vma))
		return vma->prev->rmap;
	return NULL;
}

int anon_vma_prepare(struct machine *machine, struct vma *vma)
{
	struct anon_vma *anon_vma;

	if (vma->rmap)
		return 0;
	anon_vma = find_mergeable_anon_vma(vma);
	if (!anon_vma)
		anon_vma = anon_vma_alloc(machine);
	if (!anon_vma)
		return -ENOMEM;
	anon_vma_link(vma, anon_vma);
	return 0;
}

int anon_vma_copy(struct machine *machine, struct vma *vma, struct vma *copy)
{
	anon_vma_adopt(copy, vma);
	return 0;
}

int anon_vma_shift(struct machine *machine, struct vma *grows, struct vma *shrinks, uint32_t first,
		   uint32_t last)
{
	anon_vma_adopt(grows, shrinks);
	return 0;
}

/* ---- pages ------------------------------------------------------------------------------- */

void anon_vma_walk(struct machine *machine, const struct anon_vma *anon_vma, struct page *page,
		   rmap_visit_fn *visit, void *arg)
{
	struct rmap_counters *counters = machine_counters(machine);
	struct search search = {visit, arg, page->mapcount};
	struct vma *vma;

	if (!anon_vma || !search.left)
		return;
	TAILQ_FOREACH (vma, &anon_vma->vmas, rmap_link) {
		counters->vmas_visited++;
		if (vma->mm->rss && search_area(machine, page, vma, page->rmap_index, &search))
			return;
	}
}

static uint32_t count_areas(const struct anon_vma *anon_vma)
{
	const struct vma *vma;
	uint32_t n = 0;

	TAILQ_FOREACH (vma, &anon_vma->vmas, rmap_link)
		n++;
	return n;
}

void anon_vma_describe(const struct anon_vma *anon_vma, const struct page *page, char *buf,
		       size_t size)
{
	uint32_t areas;

	if (!anon_vma) {
		snprintf(buf, size, "unmapped");
		return;
	}
	areas = count_areas(anon_vma);
	snprintf(buf, size, "index 0x%x in an anon_vma of %u area%s", page->rmap_index, areas,
		 areas == 1 ? "" : "s");
}

/* ---- check ------------------------------------------------------------------------------- */

/*
 * Lists are gone through from their first area, so each is once. If as many areas are met on lists
 * as there are areas that point at one, and each met one points back, the two sets are equal.
 */
const char *anon_vma_check_lists(struct machine *machine)
{
	uint32_t pointing = 0, listed = 0;
	const struct vma *vma, *member;
	struct mm *mm;

	TAILQ_FOREACH (mm, machine_mms(machine), link) {
		for (vma = mm->first; vma; vma = vma->next) {
			const struct anon_vma *anon_vma = vma->rmap;

			if (!anon_vma)
				continue;
			pointing++;
			if (vma != TAILQ_FIRST(&anon_vma->vmas))
				continue;
			TAILQ_FOREACH (member, &anon_vma->vmas, rmap_link) {
				listed++;
				if (member->rmap != anon_vma)
					return "L1: every area on an anon_vma's list points at "
					       "that anon_vma";
			}
		}
	}
	if (pointing > listed)
		return "L2: every area that points at an anon_vma is on its list";
	if (pointing < listed)
		return "L3: only areas of living mms are on lists";
	return NULL;
}

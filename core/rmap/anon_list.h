/*
 * The anon_vma object, shared by anon_vma_direct and both forms of anon_vma: a list of the areas in
 * which an anonymous page may be mapped.
 *
 *   vma.rmap ---------------> anon_vma { lock, list }         12 bytes on i386
 *   vma.rmap_link  <----------------------'
 *
 * It is freed with its last area; pages that point at it are counted by nobody, because a page
 * mapped by an area of the list keeps that area, and so the list, alive.
 *
 * Invariants (anon_vma_check_lists)
 *   L1  every area on an anon_vma's list points at that anon_vma
 *   L2  every area that points at an anon_vma is on its list
 *   L3  only areas of living mms are on lists
 */
#ifndef RMAPFUZZ_RMAP_ANON_LIST_H
#define RMAPFUZZ_RMAP_ANON_LIST_H

#include "backend.h"

struct anon_vma {
	struct vma_list vmas; /* by vma->rmap_link */
};

/* rmap_ops.create. */
void anon_vma_create(struct machine *machine);
/* A fresh one without areas, or NULL. */
struct anon_vma *anon_vma_alloc(struct machine *machine);
/* Enter VMA, which has none, at the head of ANON_VMA's list, as 2.6.7 did everywhere. */
void anon_vma_link(struct vma *vma, struct anon_vma *anon_vma);
/* rmap_ops.vma_unlink: take VMA off its list, if it is on one. The last area frees the anon_vma. */
void anon_vma_unlink(struct machine *machine, struct vma *vma);
/* If TO has none, let it join FROM's, if FROM has one. */
void anon_vma_adopt(struct vma *to, const struct vma *from);
/* rmap_ops.vma_merge: KEEP takes over GONE: one place on the list is left. Never fails. */
int anon_vma_merge(struct machine *machine, struct vma *keep, struct vma *gone);

/* rmap_ops.can_merge: two areas whose pages are found by different lists cannot be one. */
bool anon_vma_can_merge(const struct vma *a, const struct vma *b);

/* Could LEFT and RIGHT, apart from their protections, be one area? */
bool anon_vma_nearly_mergeable(const struct vma *left, const struct vma *right);
/*
 * rmap_ops.anon_prepare: VMA gets a list before its first anonymous page. That of a neighbour with
 * which it may yet merge is taken over, else there is a fresh one.
 */
int anon_vma_prepare(struct machine *machine, struct vma *vma);
/* rmap_ops.vma_fork, vma_split, vma_move: a copy of an area, wherever it is, may come to hold the
 * same pages. */
int anon_vma_copy(struct machine *machine, struct vma *vma, struct vma *copy);
/* rmap_ops.vma_shift: the area that grows gets pages of the one that shrinks. Never fails. */
int anon_vma_shift(struct machine *machine, struct vma *grows, struct vma *shrinks, uint32_t first,
		   uint32_t last);

/* Show PAGE's mappings in the areas of ANON_VMA, which may be NULL, in list order. */
void anon_vma_walk(struct machine *machine, const struct anon_vma *anon_vma, struct page *page,
		   rmap_visit_fn *visit, void *arg);

/* L1 to L3: NULL, or the one that is broken. */
const char *anon_vma_check_lists(struct machine *machine);
/* rmap_ops.describe of a PAGE that is known by ANON_VMA, or by nothing. */
void anon_vma_describe(const struct anon_vma *anon_vma, const struct page *page, char *buf,
		       size_t size);

#endif

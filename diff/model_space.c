/*
 * An address space as a program sees it: areas of equal pages, sorted by address.
 *
 *        start   end
 *          v      v
 *   .......AAAAAAABBBBB.......CCCC......      A and B differ (in protection, object, offset ...)
 *
 * Equal neighbours are joined at once, so that the number of areas depends on what is visible
 * and not on how it came about; a joined area carries AREA_SEAM.
 */
#include <stdlib.h>
#include <string.h>

#include "model_private.h"

uint32_t space_find(const struct space *space, uint32_t vpn)
{
	uint32_t low = 0, high = space->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (space->area[middle].end <= vpn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct area *space_area(const struct space *space, uint32_t vpn)
{
	uint32_t i = space_find(space, vpn);

	return i < space->n && space->area[i].start <= vpn ? &space->area[i] : NULL;
}

bool space_is_free(const struct space *space, uint32_t first, uint32_t last)
{
	uint32_t i = space_find(space, first);

	return i == space->n || space->area[i].start >= last;
}

uint32_t space_mapped_to(const struct space *space, uint32_t first, uint32_t last)
{
	uint32_t i, to = first;

	for (i = space_find(space, first); i < space->n && to < last; i++) {
		if (space->area[i].start > to)
			break;
		to = space->area[i].end;
	}
	return to < last ? to : last;
}

bool space_has_gap(const struct space *space, uint32_t first, uint32_t last, uint32_t npages)
{
	uint32_t i;

	for (i = space_find(space, first); i < space->n && first < last; i++) {
		if (space->area[i].start > first && space->area[i].start - first >= npages)
			return true;
		first = space->area[i].end;
	}
	return first < last && last - first >= npages;
}

bool area_joins(const struct area *a, const struct area *b)
{
	return a->end == b->start && !((a->attr ^ b->attr) & ~AREA_SEAM) &&
	       a->object == b->object &&
	       (a->object == OBJECT_NONE || a->pgoff + (a->end - a->start) == b->pgoff);
}

struct area area_slice(const struct area *area, uint32_t first, uint32_t last)
{
	struct area slice = *area;

	slice.start = first;
	slice.end = last;
	if (area->object != OBJECT_NONE)
		slice.pgoff += first - area->start;
	return slice;
}

static void insert_area(struct model *model, struct space *space, uint32_t i,
			const struct area *area)
{
	struct area copy = *area; /* may lie in the array that is about to move */

	space->area = model_grow(space->area, &space->max, space->n + 1, sizeof(*space->area));
	memmove(&space->area[i + 1], &space->area[i], (space->n - i) * sizeof(*space->area));
	space->area[i] = copy;
	space->n++;
	object_get(model, copy.object);
}

static void delete_areas(struct model *model, struct space *space, uint32_t from, uint32_t to)
{
	uint32_t i;

	for (i = from; i < to; i++)
		object_put(model, space->area[i].object);
	if (from != to)
		memmove(&space->area[from], &space->area[to],
			(space->n - to) * sizeof(*space->area));
	space->n -= to - from;
}

/* No area straddles VPN afterwards. Returns the index of the first area at or above it. */
static uint32_t cut(struct model *model, struct space *space, uint32_t vpn)
{
	uint32_t i = space_find(space, vpn);
	struct area upper;

	if (i == space->n || space->area[i].start >= vpn)
		return i;
	upper = area_slice(&space->area[i], vpn, space->area[i].end);
	space->area[i].end = vpn;
	insert_area(model, space, i + 1, &upper);
	return i + 1;
}

/* Join equal neighbours among areas FROM - 1 .. TO. */
static void join(struct model *model, struct space *space, uint32_t from, uint32_t to)
{
	uint32_t i = from ? from - 1 : 0;

	while (i < to && i + 1 < space->n) {
		struct area *area = &space->area[i];

		if (!area_joins(area, area + 1)) {
			i++;
			continue;
		}
		area->end = area[1].end;
		area->attr |= AREA_SEAM;
		delete_areas(model, space, i + 1, i + 2);
		to--;
	}
}

void space_map(struct model *model, struct space *space, const struct area *area)
{
	uint32_t i = space_find(space, area->start);

	insert_area(model, space, i, area);
	join(model, space, i, i + 1);
}

void space_remove(struct model *model, struct space *space, uint32_t first, uint32_t last)
{
	uint32_t from, to;

	if (first >= last || space_is_free(space, first, last))
		return; /* an empty range must not cut an area */
	from = cut(model, space, first);
	to = cut(model, space, last);
	delete_areas(model, space, from, to);
}

void space_unmap(struct model *model, struct space *space, uint32_t first, uint32_t last)
{
	space_remove(model, space, first, last);
	tokens_clear(&model->pool, &space->tokens, first, last);
	tokens_clear(&model->pool, &space->shown, first, last);
}

void space_change(struct model *model, struct space *space, uint32_t first, uint32_t last,
		  uint32_t mask, uint32_t attr)
{
	uint32_t i, from = space_find(space, first);

	for (i = from; i < space->n && space->area[i].start < last; i++) {
		if ((space->area[i].attr & mask) == attr)
			continue; /* no boundary appears where nothing changes */
		if (space->area[i].start < first)
			i = cut(model, space, first);
		if (space->area[i].end > last)
			cut(model, space, last);
		space->area[i].attr = (space->area[i].attr & ~mask) | attr;
	}
	join(model, space, from, i);
}

void space_extend(struct model *model, struct space *space, uint32_t i, uint32_t start,
		  uint32_t end)
{
	struct area *area = &space->area[i];

	if (area->object != OBJECT_NONE)
		area->pgoff -= area->start - start;
	area->start = start;
	area->end = end;
	join(model, space, i, i + 1);
}

void space_mark_seams(struct space *space, uint32_t first, uint32_t last)
{
	uint32_t i;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++)
		space->area[i].attr |= AREA_SEAM;
}

void space_copy(struct model *model, struct space *child, const struct space *parent)
{
	uint32_t i, locked = 0;

	child->area = model_grow(child->area, &child->max, parent->n, sizeof(*child->area));
	for (i = 0; i < parent->n; i++) {
		child->area[i] = parent->area[i];
		locked |= child->area[i].attr;
		child->area[i].attr &= ~AREA_LOCKED; /* locks are not inherited */
		object_get(model, child->area[i].object);
	}
	child->n = parent->n;
	child->brk = parent->brk;
	if (locked & AREA_LOCKED)
		join(model, child, 0, child->n);
	tokens_copy(&model->pool, &child->tokens, &parent->tokens);
	tokens_copy(&model->pool, &child->shown, &parent->shown);
}

void space_clear(struct model *model, struct space *space)
{
	delete_areas(model, space, 0, space->n);
	tokens_clear(&model->pool, &space->tokens, 0, VPN_END);
	tokens_clear(&model->pool, &space->shown, 0, VPN_END);
	space->brk = BRK_START;
	space->future = false;
}

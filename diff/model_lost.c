/*
 * After a call that failed half-way: learn from the subject what is mapped, keep what the model
 * itself knows of the contents.
 *
 * A page that shows the same thing as before keeps its private content. Where an mremap may have
 * carried some pages along and left others, contents become unknown; the next read settles them.
 */
#include "model_private.h"

void model_lost_range(const struct model *model, uint32_t *proc, uint32_t *first, uint32_t *last)
{
	const struct lost *lost = &model->lost;

	*proc = lost->proc;
	*first = *last = 0;
	if (lost->proc == PROC_MAX)
		return;
	*first = lost->range[0].first;
	*last = lost->range[0].last;
	if (lost->anywhere) {
		*first = 0;
		*last = model->task_pages;
	} else if (lost->n == 2) {
		*first = lost->range[1].first < *first ? lost->range[1].first : *first;
		*last = lost->range[1].last > *last ? lost->range[1].last : *last;
	}
}

/* Shared anonymous memory has no name: it is what was there before, or what was being moved. */
static void find_shared(struct model *model, const struct space *space,
			const struct model_area *seen, struct area *area)
{
	const struct area *old = space_area(space, area->start);

	if (old && old->attr & AREA_SHARED && old->object >= FILE_MAX) {
		area->object = old->object;
	} else if (model->lost.object != OBJECT_NONE && model->lost.object >= FILE_MAX) {
		area->object = model->lost.object;
	} else {
		area->object = object_new(model, seen->linear + (seen->end - seen->start));
		model->object[area->object].opaque = true;
	}
}

/* What SEEN says about [first, last), in the model's words. */
static struct area area_seen(struct model *model, const struct space *space,
			     const struct model_area *seen, uint32_t first, uint32_t last)
{
	struct area area = {.start = first, .end = last, .object = OBJECT_NONE};

	area.attr = (seen->vm_flags & AREA_PROT) | AREA_SEAM;
	area.attr |= seen->vm_flags & MODEL_AREA_SHARED ? AREA_SHARED : 0;
	area.attr |= seen->vm_flags & MODEL_AREA_GROWSDOWN ? AREA_GROWSDOWN : 0;
	area.attr |= seen->vm_flags & MODEL_AREA_LOCKED ? AREA_LOCKED : 0;
	area.attr |= seen->vm_flags & MODEL_AREA_NORESERVE ? AREA_NORESERVE : 0;
	if (seen->file >= 0 && seen->file < FILE_MAX)
		area.object = (uint32_t)seen->file;
	else if (seen->file != -1)
		find_shared(model, space, seen, &area);
	if (area.object != OBJECT_NONE)
		area.pgoff = seen->linear + (first - seen->start);
	return area;
}

static bool same_backing(const struct area *old, const struct area *new, uint32_t vpn)
{
	if (old->object != new->object || (old->attr ^ new->attr) & AREA_SHARED)
		return false;
	return old->object == OBJECT_NONE ||
	       old->pgoff + (vpn - old->start) == new->pgoff + (vpn - new->start);
}

/* Private contents survive where NEW shows what was shown there before. */
static void keep_contents(struct model *model, struct space *space, const struct area *new)
{
	uint32_t i, done = new->start;

	for (i = space_find(space, new->start); i < space->n && done < new->end; i++) {
		const struct area *old = &space->area[i];
		uint32_t from = old->start > done ? old->start : done;
		uint32_t to = old->end < new->end ? old->end : new->end;

		if (from >= new->end)
			break;
		tokens_clear(&model->pool, &space->tokens, done,
			     same_backing(old, new, from) ? from : to);
		done = to;
	}
	tokens_clear(&model->pool, &space->tokens, done, new->end);
}

/* Which pages of their objects the pages in [first, last) show. */
static void adopt_shown(struct model *model, struct space *space, uint32_t first, uint32_t last,
			const struct model_area *seen, size_t n)
{
	tokens_clear(&model->pool, &space->shown, first, last);
	for (size_t i = 0; i < n; i++) {
		uint32_t from = seen[i].start > first ? seen[i].start : first;
		uint32_t to = seen[i].end < last ? seen[i].end : last;

		if (from < to && seen[i].pgoff != seen[i].linear)
			space_show(model, space, from, to, seen[i].pgoff + (from - seen[i].start));
	}
}

static void adopt_range(struct model *model, struct space *space, uint32_t first, uint32_t last,
			const struct model_area *seen, size_t n)
{
	uint32_t nr = 0, done = first, i;

	model->scratch = model_grow(model->scratch, &model->max_scratch, (uint32_t)n,
				    sizeof(*model->scratch));
	for (i = 0; i < n; i++) {
		uint32_t from = seen[i].start > first ? seen[i].start : first;
		uint32_t to = seen[i].end < last ? seen[i].end : last;

		if (from >= to)
			continue;
		model->scratch[nr] = area_seen(model, space, &seen[i], from, to);
		object_get(model, model->scratch[nr].object); /* until it is mapped below */
		tokens_clear(&model->pool, &space->tokens, done, from);
		keep_contents(model, space, &model->scratch[nr++]);
		done = to;
	}
	tokens_clear(&model->pool, &space->tokens, done, last);
	space_remove(model, space, first, last);
	adopt_shown(model, space, first, last, seen, n);
	for (i = 0; i < nr; i++) {
		space_map(model, space, &model->scratch[i]);
		object_put(model, model->scratch[i].object);
	}
}

/* What nobody knows of pages that may have been moved: UNKNOWN, and LAZY if one that may be lost is
 * among them. */
static uint64_t unknown_content(const struct model *model, const struct space *space)
{
	const struct lost *lost = &model->lost;

	for (uint32_t i = 0; i < lost->n; i++) {
		uint32_t vpn = lost->range[i].first, last = lost->range[i].last;

		for (; tokens_next(&model->pool, &space->tokens, &vpn, last); vpn++) {
			const struct area *area = space_area(space, vpn);

			if (area && area_content(model, space, area, vpn) & TOKEN_LAZY)
				return TOKEN_UNKNOWN | TOKEN_LAZY;
		}
	}
	return TOKEN_UNKNOWN;
}

static void forget_contents(struct model *model, struct space *space, uint32_t first, uint32_t last,
			    uint64_t unknown)
{
	uint32_t i, vpn;

	for (i = space_find(space, first); i < space->n && space->area[i].start < last; i++) {
		const struct area *area = &space->area[i];

		if (area->attr & AREA_SHARED)
			continue;
		for (vpn = area->start > first ? area->start : first;
		     vpn < area->end && vpn < last && !area_beyond_end(model, space, area, vpn);
		     vpn++)
			tokens_set(&model->pool, &space->tokens, vpn, unknown);
	}
}

/* What is mapped where the model has nothing: pages that were moved there. true: there are any. */
static bool adopt_strays(struct model *model, struct space *space, const struct model_area *seen,
			 size_t n, uint64_t unknown)
{
	bool found = false;
	uint32_t i;

	for (i = 0; i < n; i++) {
		uint32_t from = seen[i].start, to;

		for (; from < seen[i].end; from = to) {
			uint32_t k = space_find(space, from);

			to = seen[i].end;
			if (k < space->n && space->area[k].start <= from) {
				to = space->area[k].end;
				continue;
			}
			if (k < space->n && space->area[k].start < to)
				to = space->area[k].start;
			adopt_range(model, space, from, to, &seen[i], 1);
			forget_contents(model, space, from, to, unknown);
			found = true;
		}
	}
	return found;
}

void model_adopt(struct model *model, const struct model_area *areas, size_t n)
{
	const struct lost *lost = &model->lost;
	struct space *space;
	uint32_t i, first, last;
	bool carried = false;
	uint64_t unknown;

	if (lost->proc == PROC_MAX)
		return;
	space = model->of[lost->proc];
	unknown = unknown_content(model, space);
	if (lost->moving)
		cells_doubt(model, space, 0, VPN_END);
	object_get(model, lost->object);
	for (i = 0; i < lost->n; i++)
		adopt_range(model, space, lost->range[i].first, lost->range[i].last, areas, n);
	first = lost->range[0].first;
	last = lost->range[0].last;
	space_mark_seams(space, first ? first - 1 : 0, last + 1);
	if (lost->anywhere)
		carried = adopt_strays(model, space, areas, n, unknown);
	else if (lost->moving && lost->n == 2)
		carried = !space_is_free(space, lost->range[1].first, lost->range[1].last);
	for (i = 0; carried && i < lost->n; i++)
		forget_contents(model, space, lost->range[i].first, lost->range[i].last, unknown);
	object_put(model, lost->object);
	model->lost.proc = PROC_MAX;
}

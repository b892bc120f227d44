/*
 * What a process has mapped, at the addresses of the recording: a sorted array of areas. Needed
 * to know what may be written where, and to notice ranges that the recording never mapped.
 */
#include <stdlib.h>
#include <string.h>

#include "import_private.h"

_Noreturn void import_no_memory(void)
{
	fprintf(stderr, "rmapfuzz import: out of memory\n");
	abort();
}

void *import_alloc(size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	if (!memory)
		import_no_memory();
	return memory;
}

void *import_grow(void *old, uint32_t nr, uint32_t *max, size_t element)
{
	uint32_t more = *max ? 2 * *max : 16;
	void *memory;

	if (old && nr < *max)
		return old;
	memory = more > *max ? reallocarray(old, more, element) : NULL;
	if (!memory)
		import_no_memory();
	*max = more;
	return memory;
}

/* The index of the first area that ends after PAGE. */
static uint32_t area_index(const struct space *space, uint64_t page)
{
	uint32_t first = 0, last = space->nr_areas;

	while (first < last) {
		uint32_t middle = first + (last - first) / 2;

		if (space->areas[middle].end <= page)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

static void insert(struct space *space, uint32_t i, const struct area *area)
{
	GROW(space->areas, space->nr_areas, space->max_areas);
	memmove(&space->areas[i + 1], &space->areas[i],
		(space->nr_areas - i) * sizeof(space->areas[0]));
	space->areas[i] = *area;
	space->nr_areas++;
}

/* Make PAGE the start of an area if it is inside one. */
static void split(struct space *space, uint64_t page)
{
	struct area upper;
	uint32_t i;

	GROW(space->areas, space->nr_areas, space->max_areas); /* so that there is an array */
	i = area_index(space, page);
	if (i == space->nr_areas || space->areas[i].start >= page)
		return;
	upper = space->areas[i];
	upper.pgoff += page - upper.start;
	upper.start = page;
	space->areas[i].end = page;
	insert(space, i + 1, &upper);
}

void import_space_unmap(struct space *space, uint64_t start, uint64_t end)
{
	uint32_t first, last;

	split(space, start);
	split(space, end);
	first = last = area_index(space, start);
	while (last < space->nr_areas && space->areas[last].start < end)
		last++;
	if (last == first)
		return;
	memmove(&space->areas[first], &space->areas[last],
		(space->nr_areas - last) * sizeof(space->areas[0]));
	space->nr_areas -= last - first;
}

/* Does B go on where A ends? Keeps a heap that grows page by page from becoming a long list. */
static bool continues(const struct area *a, const struct area *b)
{
	return a->end == b->start && a->kind == b->kind && a->prot == b->prot &&
	       a->kind == AREA_ANON;
}

void import_space_map(struct space *space, const struct area *area)
{
	uint32_t i;

	import_space_unmap(space, area->start, area->end);
	i = area_index(space, area->start);
	if (i && continues(&space->areas[i - 1], area))
		space->areas[i - 1].end = area->end;
	else
		insert(space, i, area);
}

void import_space_protect(struct space *space, uint64_t start, uint64_t end, uint32_t prot)
{
	split(space, start);
	split(space, end);
	for (uint32_t i = area_index(space, start);
	     i < space->nr_areas && space->areas[i].start < end; i++)
		space->areas[i].prot = prot;
}

/* [from, old_end) becomes [to, to_end), which may be shorter or longer. */
void import_space_move(struct space *space, uint64_t from, uint64_t old_end, uint64_t to,
		       uint64_t to_end)
{
	const struct area *found = import_space_find(space, from);
	struct area area = {.kind = AREA_ANON, .prot = OP_PROT_READ | OP_PROT_WRITE};

	if (found && found->start <= from) {
		area = *found;
		area.pgoff += from - area.start;
	}
	if (from < old_end)
		import_space_unmap(space, from, old_end);
	area.start = to;
	area.end = to_end;
	import_space_map(space, &area);
}

const struct area *import_space_find(const struct space *space, uint64_t page)
{
	uint32_t i = area_index(space, page);

	return i < space->nr_areas ? &space->areas[i] : NULL;
}

bool space_hole(const struct space *space, uint64_t *start, uint64_t end, uint64_t *hole_end)
{
	uint32_t i = area_index(space, *start);

	while (i < space->nr_areas && space->areas[i].start <= *start && *start < end)
		*start = space->areas[i++].end;
	if (*start >= end)
		return false;
	*hole_end =
		i < space->nr_areas && space->areas[i].start < end ? space->areas[i].start : end;
	return true;
}

void import_space_copy(struct space *to, const struct space *from)
{
	*to = *from;
	to->areas = NULL;
	to->max_areas = from->nr_areas;
	if (from->nr_areas) {
		to->areas = import_alloc(from->nr_areas * sizeof(*to->areas));
		memcpy(to->areas, from->areas, from->nr_areas * sizeof(*to->areas));
	}
}

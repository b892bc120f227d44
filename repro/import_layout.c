/*
 * Squeezing recorded 64-bit addresses into an i386 address space.
 *
 * All boundaries that a program's calls ever named cut its address space into segments. Each
 * segment gets a place of its own, in the same order; those that were mapped keep their length,
 * the holes between them shrink to a few pages:
 *
 *    55d6bcbc5000  heap          7f60b5b41000 | 7f60b5b44000 libc        7f60b5d26000 |
 *    |=============|              |===========|=====|=======|.......      |===========|
 *    |=============|   40000000   |===========|=====|=======|....|===========|
 *
 * So what touched still touches, what did not still does not, and every range that a call names
 * has exact ends. A segment too long for what room there is loses its tail (128 GB that were
 * only reserved; it is counted where it is mapped), the longest first, by halving a common limit.
 */
#include <stdlib.h>
#include <string.h>

#include "import_private.h"

#define SEGMENT_MAX 65536u /* pages of one segment: 256 MB */
#define HOLE_MAX    16u

void layout_use(struct layout *layout, uint64_t start, uint64_t end, bool mapped)
{
	GROW(layout->uses, layout->nr_uses, layout->max_uses);
	layout->uses[layout->nr_uses++] = (struct layout_use){start, end, mapped};
}

void layout_orphan(struct layout *layout, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < layout->nr_orphans; i++) {
		if (layout->orphans[i].start <= start && end <= layout->orphans[i].end)
			return;
	}
	GROW(layout->orphans, layout->nr_orphans, layout->max_orphans);
	layout->orphans[layout->nr_orphans++] = (struct layout_use){start, end, true};
	layout_use(layout, start, end, true);
}

void layout_release(struct layout *layout)
{
	free(layout->uses);
	free(layout->orphans);
	free(layout->segments);
}

/* ---- segments ------------------------------------------------------------------------------ */

/* From page `at` on, `change` more mappings than before. */
struct boundary {
	uint64_t at;
	int32_t change;
};

static int boundary_cmp(const void *a, const void *b)
{
	const struct boundary *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static void cut(struct layout *layout, struct boundary *bounds, uint32_t nr)
{
	int32_t mappings = 0;

	qsort(bounds, nr, sizeof(*bounds), boundary_cmp);
	for (uint32_t i = 0; i + 1 < nr; i++) {
		mappings += bounds[i].change;
		if (bounds[i].at == bounds[i + 1].at)
			continue;
		layout->segments[layout->nr_segments++] =
			(struct layout_segment){.start = bounds[i].at,
						.src = bounds[i + 1].at - bounds[i].at,
						.mapped = mappings > 0};
	}
}

/* ---- places -------------------------------------------------------------------------------- */

static uint32_t segment_pages(const struct layout_segment *segment, uint32_t limit)
{
	uint32_t most = segment->mapped ? limit : limit < HOLE_MAX ? 1 : HOLE_MAX;

	return segment->src < most ? (uint32_t)segment->src : most;
}

static uint64_t total_pages(const struct layout_segment *segments, uint32_t nr, uint32_t limit)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < nr; i++)
		sum += segment_pages(&segments[i], limit);
	return sum;
}

/* Give NR segments places from vpn AT on; none reaches END. Returns where they end. */
static uint32_t place(struct layout_segment *segments, uint32_t nr, uint32_t at, uint32_t end)
{
	uint32_t limit = SEGMENT_MAX;

	while (limit > 1 && total_pages(segments, nr, limit) > end - at)
		limit /= 2;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t len = segment_pages(&segments[i], limit);

		segments[i].dst = at;
		segments[i].len = len < end - at ? len : end - at;
		at += segments[i].len;
	}
	return at;
}

void layout_fix(struct layout *layout, uint32_t task_pages)
{
	uint32_t end = task_pages - STACK_PAGES - STACK_ROOM - 1, nr = 2 * layout->nr_uses + 2;
	struct boundary *bounds = import_alloc(nr * sizeof(*bounds));
	struct layout_segment *segments;
	uint32_t low = 0, heap, at = MMAP_VPN;

	nr = 0;
	for (uint32_t i = 0; i < layout->nr_uses; i++) {
		const struct layout_use *use = &layout->uses[i];

		bounds[nr++] = (struct boundary){use->start, use->mapped};
		bounds[nr++] = (struct boundary){use->end, -(int32_t)use->mapped};
	}
	if (layout->heap_end > layout->heap) {
		bounds[nr++] = (struct boundary){layout->heap, 1};
		bounds[nr++] = (struct boundary){layout->heap_end, -1};
	}
	layout->segments = segments = import_alloc((nr + 1) * sizeof(*segments));
	layout->nr_segments = 0;
	cut(layout, bounds, nr);
	free(bounds);

	/* What lies below the heap stays below it if it fits there in full. */
	while (low < layout->nr_segments && segments[low].start < layout->heap)
		low++;
	heap = low;
	while (heap < layout->nr_segments && segments[heap].start < layout->heap_end)
		heap++;
	if (total_pages(segments, low, SEGMENT_MAX) < HEAP_VPN - IMAGE_VPN - IMAGE_PAGES)
		place(segments, low, IMAGE_VPN + IMAGE_PAGES + 1, HEAP_VPN);
	else
		at = place(segments, low, at, at + (end - at) / 2) + 1;
	place(segments + low, heap - low, HEAP_VPN, MMAP_VPN - HOLE_MAX);
	place(segments + heap, layout->nr_segments - heap, at, end);
}

/* The segment that holds PAGE, or NULL. */
static const struct layout_segment *segment_of(const struct layout *layout, uint64_t page)
{
	uint32_t first = 0, last = layout->nr_segments;

	while (first < last) {
		uint32_t middle = first + (last - first) / 2;

		if (layout->segments[middle].start + layout->segments[middle].src <= page)
			first = middle + 1;
		else
			last = middle;
	}
	if (first == layout->nr_segments || layout->segments[first].start > page)
		return NULL;
	return &layout->segments[first];
}

static uint32_t place_of(const struct layout_segment *segment, uint64_t page)
{
	uint64_t n = page - segment->start;

	return segment->dst + (n < segment->len ? (uint32_t)n : segment->len);
}

bool layout_range(const struct layout *layout, uint64_t start, uint64_t end, struct placed *placed)
{
	const struct layout_segment *first = segment_of(layout, start);
	const struct layout_segment *last = segment_of(layout, end - 1);
	uint32_t vpn_end;

	if (!first || !last)
		return false;
	placed->vpn = place_of(first, start);
	vpn_end = place_of(last, end);
	placed->len = vpn_end > placed->vpn ? vpn_end - placed->vpn : 0;
	return placed->len != 0;
}

/*
 * The file half of the object designs: by which areas can a page of a file be mapped?
 *
 *   page --mapping--> address_space --(a file side)--> areas that may show page->index
 *
 * Designs differ in how they find anonymous pages, and can each be combined with any of the file
 * sides: the subject "anon_vma+interval_tree" is that design over that file side. A design's plain
 * name is the design with the side that it had historically (rmap.h, RMAP_OBJECT_DESIGN).
 *
 *   list           2003, McCracken        all areas of the file, one after the other
 *   prio_tree      2004, Venkatasubramanian  a radix priority search tree
 *   interval_tree  2012, Lespinasse       a red-black tree that knows the last page below each node
 *
 * The engine enters an area of a file here and takes it out again, around every change of its
 * bounds, too. State lives in vma->file_node and address_space->file_root, and nowhere else; no
 * hook needs memory. Areas that the engine keeps out (nonlinear ones, about which arithmetic says
 * nothing) are never seen.
 *
 * Adding one: a file core/rmap/file_NAME.c that exports one `const struct rmap_file_ops`, a row in
 * core/rmap/file_sides.def, and a line in RMAP_OBJECT_DESIGN.
 */
#ifndef RMAPFUZZ_RMAP_FILE_H
#define RMAPFUZZ_RMAP_FILE_H

#include <stddef.h>

#include "mm_types.h"

/* Work that was done, for the bill; see rmap.h. */
struct rmap_counters;

/* Called for an area that was found. True: enough. It may not change any area's bounds. */
typedef bool rmap_area_fn(struct vma *vma, void *arg);

struct rmap_file_ops {
	const char *name;
	const char *summary; /* one line, for `rmapfuzz backends` */

	/* i386 bytes in vm_area_struct beyond the list link (8) that every area has. */
	uint32_t vma_bytes;

	/* VMA, whose bounds are final, joins FILE. TWIN is NULL, or an area that is there and shows
	 * the same pages: fork's parent. Optional. */
	void (*insert)(struct address_space *file, struct vma *vma, struct vma *twin);

	/* VMA, whose bounds are those that it was entered with, leaves FILE. Optional. */
	void (*remove)(struct address_space *file, struct vma *vma);

	/*
	 * Show FN the areas that may show some of pages FIRST to LAST of FILE, all that do and
	 * perhaps others, each once, in the side's own order, until it has enough. Links of the
	 * structure that are followed go to counters->links. (It is one page but for page
	 * clustering.)
	 */
	void (*find)(const struct address_space *file, uint32_t first, uint32_t last,
		     struct rmap_counters *counters, rmap_area_fn *fn, void *arg);

	/* Show FN all areas, in an order that says how the structure is built. */
	void (*each)(const struct address_space *file, rmap_area_fn *fn, void *arg);

	/* NULL, or one sentence naming the invariant of FILE's structure that is broken. Optional.
	 */
	const char *(*check)(const struct address_space *file);

	/* How the areas of FILE are kept, a few words: "in a list", "in a prio_tree of 3 levels".
	 */
	void (*describe)(const struct address_space *file, char *buf, size_t size);
};

/* ---- what file sides share -------------------------------------------------------- */

/*
 * The pages of its file that VMA shows, as a closed interval. Offsets may wrap around (a stack that
 * was moved can grow below offset 0); then it is entered as showing everything, and whoever finds
 * it computes the address anyway.
 */
static inline void vma_interval(const struct vma *vma, uint32_t *first, uint32_t *last)
{
	*first = vma->pgoff;
	*last = vma->pgoff + (vma->end - vma->start - 1);
	if (*last < *first) {
		*first = 0;
		*last = UINT32_MAX;
	}
}

/* Every file side, in the order of file_sides.def, ending with NULL; and by name, or NULL. */
extern const struct rmap_file_ops *const rmap_file_sides[];
const struct rmap_file_ops *rmap_file_find(const char *name);

#endif

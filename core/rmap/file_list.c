/*
 * list - all areas of the file, one after the other.
 * D. McCracken, "objrmap", February 2003 (two lists then, i_mmap and i_mmap_shared; which one an
 * area was on made no difference to a walk, and there is one here).
 *
 *   file --i_mmap--> area --> area --> area      oldest first, a forked one after its parent
 *                      ?        ?        ?
 *
 * The list is the engine's own, which it keeps for truncation anyway: nothing to do here.
 *
 * Cost: 8 bytes in an area. A walk looks at every area of the file until it has found what it
 * looks for, whether or not the area shows the page: O(areas of the file). With 100 areas each in
 * 100 processes that is 10,000 looks for 100 mappings, which is what prio_tree was made for.
 */
#include "backend.h"

#include <stdio.h>

static void list_each(const struct address_space *file, rmap_area_fn *fn, void *arg)
{
	struct vma *vma;

	TAILQ_FOREACH (vma, &file->i_mmap, shared) {
		if (fn(vma, arg))
			return;
	}
}

static void list_find(const struct address_space *file, uint32_t first, uint32_t last,
		      struct rmap_counters *counters, rmap_area_fn *fn, void *arg)
{
	list_each(file, fn, arg);
}

static void list_describe(const struct address_space *file, char *buf, size_t size)
{
	snprintf(buf, size, "in a list");
}

const struct rmap_file_ops rmap_file_list = {
	.name = "list",
	.summary = "2003: all areas of the file, one after the other",
	.find = list_find,
	.each = list_each,
	.describe = list_describe,
};

/*
 * interval_tree - a red-black tree of areas by offset, each node with the last page below it.
 * M. Lespinasse, 3.7, October 2012, in place of prio_tree: less code, no limit to be raised, and
 * the same question answered.
 *
 *   file --> interval tree (interval.h) --> areas that show the page, and no others
 *
 * Cost: 16 bytes in an area (8 more than a list); O(log n) to come and go; a walk costs O(log n +
 * areas that show the page). Areas that show exactly the same pages, as a fork family's do, are
 * separate nodes here, and one in prio_tree.
 *
 * Invariants
 *   R1  the tree is in order (interval_check)
 *   R2  each node has the bounds of its area
 */
#include <stdio.h>

#include "interval.h"

static struct vma *area_of(struct interval_node *node)
{
	return interval_entry(node, struct vma, file_node.interval);
}

static void tree_insert(struct address_space *file, struct vma *vma, struct vma *twin)
{
	uint32_t first, last;

	vma_interval(vma, &first, &last);
	interval_insert(&file->file_root.interval, &vma->file_node.interval, first, last);
}

static void tree_remove(struct address_space *file, struct vma *vma)
{
	interval_remove(&file->file_root.interval, &vma->file_node.interval);
}

struct find {
	rmap_area_fn *fn;
	void *arg;
};

static bool show(struct interval_node *node, void *arg)
{
	const struct find *find = arg;

	return find->fn(area_of(node), find->arg);
}

static void tree_find(const struct address_space *file, uint32_t first, uint32_t last,
		      struct rmap_counters *counters, rmap_area_fn *fn, void *arg)
{
	struct find find = {fn, arg};

	interval_find(&file->file_root.interval, first, last, counters, show, &find);
}

static void tree_each(const struct address_space *file, rmap_area_fn *fn, void *arg)
{
	struct interval_node *node = interval_first(&file->file_root.interval);

	while (node && !fn(area_of(node), arg))
		node = interval_next(node);
}

static bool has_moved(struct vma *vma, void *arg)
{
	bool *moved = arg;
	uint32_t first, last;

	vma_interval(vma, &first, &last);
	*moved = first != vma->file_node.interval.first || last != vma->file_node.interval.last;
	return *moved;
}

static const char *tree_check(const struct address_space *file)
{
	const char *broken = interval_check(&file->file_root.interval);
	bool moved = false;

	if (!broken)
		tree_each(file, has_moved, &moved);
	return moved ? "R2: each node of the interval tree has the bounds of its area" : broken;
}

static void tree_describe(const struct address_space *file, char *buf, size_t size)
{
	uint32_t height = interval_height(&file->file_root.interval);

	snprintf(buf, size, "in an interval tree of %u level%s", height, height == 1 ? "" : "s");
}

const struct rmap_file_ops rmap_file_interval_tree = {
	.name = "interval_tree",
	.summary = "2012, 3.7: a red-black tree by offset, with the last page below each node",
	.vma_bytes = 8,
	.insert = tree_insert,
	.remove = tree_remove,
	.find = tree_find,
	.each = tree_each,
	.check = tree_check,
	.describe = tree_describe,
};

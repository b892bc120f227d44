/*
 * prio_tree - areas of a file in a radix priority search tree.
 * R. Venkatasubramanian, March 2004, after E. McCreight, 1985; merged in 2.6.7-rc1 (rmap 16 to 20).
 *
 * An area is the closed interval [first, last] of the file's pages that it shows. The tree is a
 * heap by last, so a question for page 7 leaves any subtree whose root ends before 7; and a radix
 * tree by first, so it leaves any right subtree that can only begin later. With three bits:
 *
 *                    [1, 7]                     the one that ends last; which way on: bit 2 of
 * first 0/      \1 [0, 6]        [4, 6]              bit 1 0/    \1          \1 [1, 3]   [2, 5] [6,
 * 6]            bit 0 0/    \1 [2, 3]    [3, 4]                   bits of first used up: from here
 * on by size
 *              .
 *           [2, 2]                              (the "overflow" levels: 32 more)
 *
 * Equal intervals, as a fork family's are, share a node: the first area is in the tree and points
 * at a list's head, which is an area, too:
 *
 *   tree node --head--> list head <--> member <--> member       parent  head
 *        ^-----head---------'                        tree node:   set    list head or NULL
 *                                                    list head:   NULL   tree node
 *   fork puts the child beside the parent             member:     NULL   NULL
 *   without a search
 *
 * The root keeps how many bits of first are looked at: as many as the largest last needs. When that
 * grows, the topmost areas are pulled out, one per new bit, to form a spine above what is left. It
 * never shrinks until the tree is empty. The levels by size always look at all 32 bits. In 2.6.7
 * they began at the root's bits, too, and were not rearranged when those grew, so that areas in
 * them got lost (mended in 2.6.10); that mistake is not repeated here.
 *
 * Cost: 16 bytes in an area (8 more than a list); O(log) to come and go; a walk costs O(log + areas
 * that show the page). It cannot help where many areas show the page and have no entry for it.
 *
 * Invariants
 *   N1  links between parent and children agree, and the root is its own parent
 *   N2  no area ends later than one above it (of those that end together, the first one is above)
 *   N3  each area is where the bits of its first page, and then of its size, lead
 *   N4  those on a node's list show what the node shows, and head and node point at each other
 *   N5  the tree holds the areas of its file, each once
 */
#include "backend.h"

#include <stdio.h>

#define SIZE_BITS 32u

static struct prio_node *node_of(struct vma *vma)
{
	return &vma->file_node.prio;
}

static const struct prio_node *const_node_of(const struct vma *vma)
{
	return &vma->file_node.prio;
}

static bool is_tree_node(const struct vma *vma)
{
	return const_node_of(vma)->parent;
}

/* ---- keys --------------------------------------------------------------------------------- */

struct key {
	uint32_t first, last;
};

static struct key key_of(const struct vma *vma)
{
	struct key key;

	vma_interval(vma, &key.first, &key.last);
	return key;
}

static bool same_key(struct key a, struct key b)
{
	return a.first == b.first && a.last == b.last;
}

/* Belongs A above B? */
static bool above(struct key a, struct key b)
{
	return a.last != b.last ? a.last > b.last : a.first < b.first;
}

static uint32_t bits_for(uint32_t last)
{
	return last ? 32 - (uint32_t)__builtin_clz(last) : 1;
}

/* Of an area's size, how many bits the levels by size look at. */
static uint32_t size_bits(const struct address_space *file)
{
	return MUTANT_ON_AT(file, PRI_01) ? file->file_root.prio.bits : SIZE_BITS;
}

/* Which way KEY goes from a node at LEVEL (0: the root). */
static bool goes_right(const struct address_space *file, struct key key, uint32_t level)
{
	uint32_t size = key.last - key.first, bits = file->file_root.prio.bits;

	if (level < bits)
		return key.first >> (bits - 1 - level) & 1;
	MM_ASSERT(level - bits < size_bits(file)); /* else two keys are equal */
	return size >> (size_bits(file) - 1 - (level - bits)) & 1;
}

/* ---- the tree ----------------------------------------------------------------------------- */

static struct vma **child_link(struct vma *parent, bool right)
{
	return right ? &node_of(parent)->right : &node_of(parent)->left;
}

/* Let PARENT's (NULL: the root's) pointer to OLD be one to NEW, which may be NULL. */
static void relink(struct prio_root *root, struct vma *parent, struct vma *old, struct vma *new)
{
	if (!parent)
		root->top = new;
	else
		*child_link(parent, node_of(parent)->right == old) = new;
	if (new)
		node_of(new)->parent = parent ? parent : new;
}

static struct vma *parent_of(struct vma *vma)
{
	struct vma *parent = node_of(vma)->parent;

	return parent == vma ? NULL : parent;
}

/* NEW takes OLD's place, children included. */
static void tree_replace(struct prio_root *root, struct vma *old, struct vma *new)
{
	struct prio_node *node = node_of(new);

	relink(root, parent_of(old), old, new);
	node->left = node_of(old)->left;
	node->right = node_of(old)->right;
	if (node->left)
		node_of(node->left)->parent = new;
	if (node->right)
		node_of(node->right)->parent = new;
	node_of(old)->parent = node_of(old)->left = node_of(old)->right = NULL;
}

/* The child that belongs above the other, or NULL if there is none. */
static struct vma *upper_child(const struct vma *vma)
{
	struct vma *left = const_node_of(vma)->left, *right = const_node_of(vma)->right;

	if (!left || !right)
		return left ? left : right;
	return above(key_of(right), key_of(left)) ? right : left;
}

/* Take VMA out: the hole sinks to a leaf, and everybody on its way moves up by one. */
static void tree_remove(struct prio_root *root, struct vma *vma)
{
	struct vma *out = vma, *child, *parent;

	while ((child = upper_child(out)))
		out = child;
	parent = parent_of(out);
	relink(root, parent, out, NULL);
	while (out != vma) {
		struct vma *replaced = parent;

		parent = parent_of(replaced);
		tree_replace(root, replaced, out);
		out = replaced;
	}
	node_of(vma)->parent = NULL;
}

/* One more bit: the topmost area goes above the rest, which all begin in the lower half. */
static void tree_grow(struct prio_root *root)
{
	struct vma *top = root->top;

	if (top) {
		tree_remove(root, top);
		node_of(top)->left = root->top;
		if (root->top)
			node_of(root->top)->parent = top;
		node_of(top)->parent = top;
		root->top = top;
	}
	root->bits++;
}

static uint32_t levels_below(const struct vma *vma)
{
	uint32_t left, right;

	if (!vma)
		return 0;
	left = levels_below(const_node_of(vma)->left);
	right = levels_below(const_node_of(vma)->right);
	return 1 + (left > right ? left : right);
}

static const char *prio_check(const struct address_space *file);

/* Enter VMA, or return the area in the tree that shows the same. */
static struct vma *tree_insert(struct address_space *file, struct vma *vma)
{
	struct prio_root *root = &file->file_root.prio;
	struct vma *parent = NULL, *at;
	struct key key = key_of(vma);
	bool right = false;

	if (!root->top)
		root->bits = bits_for(key.last);
	while (root->bits < bits_for(key.last))
		tree_grow(root);
	(void)MUTANT_IF_AT(file, PRI_01, prio_check(file));
	at = root->top;
	for (uint32_t level = 0; at; level++) {
		if (same_key(key_of(at), key))
			return at;
		if (above(key,
			  key_of(at))) { /* it takes this place; who had it looks for another */
			tree_replace(root, at, vma);
			parent = vma;
			vma = at;
			key = key_of(vma);
		} else {
			parent = at;
		}
		right = goes_right(file, key, level);
		at = *child_link(parent, right);
	}
	node_of(vma)->left = node_of(vma)->right = NULL;
	node_of(vma)->parent = parent ? parent : vma;
	if (parent)
		*child_link(parent, right) = vma;
	else
		root->top = vma;
	return NULL;
}

/* ---- lists of equals ------------------------------------------------------------------------- */

static void ring_insert_after(struct vma *where, struct vma *vma)
{
	struct vma *next = node_of(where)->next;

	node_of(vma)->prev = where;
	node_of(vma)->next = next;
	node_of(next)->prev = vma;
	node_of(where)->next = vma;
}

/* Take VMA out of its ring; who comes after it, or NULL if it was alone. */
static struct vma *ring_remove(struct vma *vma)
{
	struct vma *next = node_of(vma)->next, *prev = node_of(vma)->prev;

	node_of(prev)->next = next;
	node_of(next)->prev = prev;
	return next == vma ? NULL : next;
}

static void set_head(struct vma *tree, struct vma *head)
{
	node_of(tree)->head = head;
	if (head)
		node_of(head)->head = tree;
}

/* VMA, which is nowhere, joins those that show what TWIN shows. */
static void join(struct vma *vma, struct vma *twin)
{
	struct vma *head = node_of(twin)->head;

	if (!is_tree_node(twin)) {
		ring_insert_after(twin, vma);
	} else if (head) {
		ring_insert_after(node_of(head)->prev, vma);
	} else {
		node_of(vma)->next = node_of(vma)->prev = vma;
		set_head(twin, vma);
	}
}

/* The list's head takes over the node, and the next in the list is head. */
static void remove_tree_node(struct prio_root *root, struct vma *vma)
{
	struct vma *head = node_of(vma)->head, *next;

	if (!head) {
		tree_remove(root, vma);
		return;
	}
	next = ring_remove(head);
	tree_replace(root, vma, head);
	set_head(head, next);
}

/* ---- the file side ----------------------------------------------------------------------------
 */

static void prio_insert(struct address_space *file, struct vma *vma, struct vma *twin)
{
	struct vma *same;

	*node_of(vma) = (struct prio_node){0};
	same = twin && same_key(key_of(twin), key_of(vma)) ? twin : tree_insert(file, vma);
	if (same)
		join(vma, same);
}

static void prio_remove(struct address_space *file, struct vma *vma)
{
	struct vma *head = node_of(vma)->head;

	if (is_tree_node(vma))
		remove_tree_node(&file->file_root.prio, vma);
	else if (head)
		set_head(head, ring_remove(vma));
	else
		ring_remove(vma);
	*node_of(vma) = (struct prio_node){0};
}

/* TREE and all on its list. True: enough. */
static bool show_node(struct vma *tree, rmap_area_fn *fn, void *arg, uint64_t *links)
{
	struct vma *head = node_of(tree)->head, *vma = head;

	if (fn(tree, arg))
		return true;
	if (!head)
		return false;
	do {
		++*links;
		if (fn(vma, arg))
			return true;
		vma = node_of(vma)->next;
	} while (vma != head);
	return false;
}

struct find {
	uint32_t first, last, bits;
	rmap_area_fn *fn;
	void *arg;
	uint64_t links;
};

/* The subtree at VMA, where first begins with LEAST's upper bits. True: enough. */
static bool find_below(struct vma *vma, uint32_t least, uint32_t level, struct find *find)
{
	struct key key;
	uint32_t half;

	if (!vma)
		return false;
	find->links++;
	key = key_of(vma);
	if (key.last < find->first)
		return false; /* and so do all below */
	if (key.first <= find->last && show_node(vma, find->fn, find->arg, &find->links))
		return true;
	if (find_below(node_of(vma)->left, least, level + 1, find))
		return true;
	half = level < find->bits ? 1u << (find->bits - 1 - level) : 0;
	if ((least | half) > find->last)
		return false;
	return find_below(node_of(vma)->right, least | half, level + 1, find);
}

static void prio_find(const struct address_space *file, uint32_t first, uint32_t last,
		      struct rmap_counters *counters, rmap_area_fn *fn, void *arg)
{
	const struct prio_root *root = &file->file_root.prio;
	struct find find = {.first = first, .last = last, .bits = root->bits, .fn = fn, .arg = arg};

	find_below(root->top, 0, 0, &find);
	counters->links += find.links;
}

static bool each_below(struct vma *vma, rmap_area_fn *fn, void *arg)
{
	uint64_t links = 0;

	return vma && (show_node(vma, fn, arg, &links) || each_below(node_of(vma)->left, fn, arg) ||
		       each_below(node_of(vma)->right, fn, arg));
}

static void prio_each(const struct address_space *file, rmap_area_fn *fn, void *arg)
{
	each_below(file->file_root.prio.top, fn, arg);
}

/* ---- check and describe --------------------------------------------------------------------- */

static const char *check_list(const struct vma *tree)
{
	const struct vma *head = const_node_of(tree)->head, *vma = head;

	if (!head)
		return NULL;
	if (is_tree_node(head) || const_node_of(head)->head != tree)
		return "N4: a prio_tree node and its list's head point at each other";
	do {
		const struct vma *next = const_node_of(vma)->next;

		if (!same_key(key_of(vma), key_of(tree)))
			return "N4: the areas on a prio_tree node's list show what the node shows";
		if (is_tree_node(vma) || (vma != head && const_node_of(vma)->head) ||
		    const_node_of(next)->prev != vma)
			return "N4: the list of a prio_tree node is torn";
		vma = next;
	} while (vma != head);
	return NULL;
}

static const char *check_node(const struct vma *vma, const struct vma *parent)
{
	if (const_node_of(vma)->parent != (parent ? parent : vma))
		return "N1: a child in the prio_tree has another parent, or the root has one";
	if (parent && !above(key_of(parent), key_of(vma)))
		return "N2: an area ends later than one above it in the prio_tree";
	return check_list(vma);
}

/* Does the way that leads to VMA at LEVEL (WAY: its turns, newest lowest) fit its key? */
static bool is_in_place(const struct vma *vma, uint64_t way, uint32_t level)
{
	struct key key = key_of(vma);

	for (uint32_t i = 0; i < level; i++) {
		if (goes_right(vma->file, key, i) != (way >> (level - 1 - i) & 1))
			return false;
	}
	return true;
}

static const char *check_below(const struct vma *vma, const struct vma *parent, uint64_t way,
			       uint32_t level)
{
	const char *broken;

	if (!vma)
		return NULL;
	broken = check_node(vma, parent);
	if (!broken && !is_in_place(vma, way, level))
		broken = "N3: an area is not where the bits of its bounds lead in the prio_tree";
	if (!broken)
		broken = check_below(const_node_of(vma)->left, vma, way << 1, level + 1);
	if (!broken)
		broken = check_below(const_node_of(vma)->right, vma, way << 1 | 1, level + 1);
	return broken;
}

static const char *prio_check(const struct address_space *file)
{
	const struct prio_root *root = &file->file_root.prio;

	return check_below(root->top, NULL, 0, 0);
}

static void prio_describe(const struct address_space *file, char *buf, size_t size)
{
	uint32_t levels = levels_below(file->file_root.prio.top);

	snprintf(buf, size, "in a prio_tree of %u level%s", levels, levels == 1 ? "" : "s");
}

const struct rmap_file_ops rmap_file_prio_tree = {
	.name = "prio_tree",
	.summary = "2004, 2.6.7: a radix priority search tree; equal areas share a node",
	.vma_bytes = 8,
	.insert = prio_insert,
	.remove = prio_remove,
	.find = prio_find,
	.each = prio_each,
	.check = prio_check,
	.describe = prio_describe,
};

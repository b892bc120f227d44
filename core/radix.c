/*
 * Sparse maps from a page offset to a word: the page cache and what lies behind it.
 *
 *   root (shift 6)          a tree is as high as its largest index ever needed;
 *    |  |                   index 70 = 1 << 6 | 6 is slot 1, then slot 6
 *    0  1
 *    |  |                   a node of shift 0 holds the words themselves
 *   [ ][......x...]
 *
 * All nodes that a new word needs are allocated before the tree is touched, so that a failure
 * leaves it as it was. Nodes that become empty are freed at once; the height stays.
 */
#include "internal.h"

#define LEVELS_MAX 6u /* 32 bits of index, six at a time */

static uint32_t slot_of(const struct radix_node *node, uint64_t index)
{
	return (uint32_t)(index >> node->shift) % RADIX_SLOTS;
}

/* Does the tree under ROOT reach as far as INDEX? */
static bool covers(const struct radix_node *root, uint64_t index)
{
	return index >> root->shift >> RADIX_SHIFT == 0;
}

static struct radix_node *child(const struct radix_node *node, uint32_t slot)
{
	return (struct radix_node *)(uintptr_t)node->slot[slot];
}

static void set_slot(struct radix_node *node, uint32_t slot, uint64_t word)
{
	node->slot[slot] = word;
	node->live |= 1ull << slot;
}

static void clear_slot(struct radix_node *node, uint32_t slot)
{
	node->slot[slot] = 0;
	node->live &= ~(1ull << slot);
}

uint64_t radix_get(const struct radix_node *root, uint32_t index)
{
	if (!root || !covers(root, index))
		return 0;
	while (root->shift) {
		root = child(root, slot_of(root, index));
		if (!root)
			return 0;
	}
	return root->slot[slot_of(root, index)];
}

/* ---- setting ------------------------------------------------------------------------- */

/* The shift of a root that reaches INDEX. */
static uint32_t shift_for(uint32_t index)
{
	uint32_t shift = 0;

	while (index >> shift >> RADIX_SHIFT)
		shift += RADIX_SHIFT;
	return shift;
}

/* How many nodes the way to INDEX lacks. */
static uint32_t nodes_needed(const struct radix_node *root, uint32_t index)
{
	uint32_t shift = shift_for(index);

	if (!root)
		return shift / RADIX_SHIFT + 1;
	if (!covers(root, index)) /* new roots above, and all of the way down on the new side */
		return (shift - root->shift) / RADIX_SHIFT + shift / RADIX_SHIFT;
	for (; root && root->shift; root = child(root, slot_of(root, index)))
		shift = root->shift;
	return root ? 0 : shift / RADIX_SHIFT;
}

struct node_stock {
	struct radix_node *nodes[2 * LEVELS_MAX];
	uint32_t n;
};

static int stock_fill(struct machine *machine, struct node_stock *stock, uint32_t n)
{
	while (stock->n < n) {
		struct radix_node *node = kobj_alloc(machine, RADIX);

		if (!node) {
			while (stock->n)
				kobj_free(machine, RADIX, stock->nodes[--stock->n]);
			return -ENOMEM;
		}
		stock->nodes[stock->n++] = node;
	}
	return 0;
}

static struct radix_node *stock_take(struct node_stock *stock, uint32_t shift)
{
	struct radix_node *node;

	MM_ASSERT(stock->n > 0);
	node = stock->nodes[--stock->n];
	node->shift = shift;
	return node;
}

static int insert(struct machine *machine, struct radix_node **root, uint32_t index, uint64_t value)
{
	struct node_stock stock = {.n = 0};
	struct radix_node *node;

	if (stock_fill(machine, &stock, nodes_needed(*root, index)))
		return -ENOMEM;
	if (!*root)
		*root = stock_take(&stock, shift_for(index));
	while (!covers(*root, index)) {
		node = stock_take(&stock, (*root)->shift + RADIX_SHIFT);
		set_slot(node, 0, (uintptr_t)*root);
		*root = node;
	}
	for (node = *root; node->shift; node = child(node, slot_of(node, index))) {
		uint32_t slot = slot_of(node, index);

		if (!child(node, slot))
			set_slot(node, slot,
				 (uintptr_t)stock_take(&stock, node->shift - RADIX_SHIFT));
	}
	set_slot(node, slot_of(node, index), value);
	MM_ASSERT(stock.n == 0);
	return 0;
}

/* ---- clearing ------------------------------------------------------------------------- */

static void erase(struct machine *machine, struct radix_node **root, uint32_t index)
{
	struct radix_node *path[LEVELS_MAX];
	uint32_t depth = 0;

	if (!radix_get(*root, index))
		return;
	for (struct radix_node *node = *root;; node = child(node, slot_of(node, index))) {
		path[depth++] = node;
		if (!node->shift)
			break;
	}
	while (depth--) {
		clear_slot(path[depth], slot_of(path[depth], index));
		if (path[depth]->live)
			return;
		kobj_free(machine, RADIX, path[depth]);
	}
	*root = NULL;
}

int radix_set(struct machine *machine, struct radix_node **root, uint32_t index, uint64_t value)
{
	if (value)
		return insert(machine, root, index, value);
	erase(machine, root, index);
	return 0;
}

static void free_below(struct machine *machine, struct radix_node *node)
{
	for (uint64_t live = node->shift ? node->live : 0; live; live &= live - 1)
		free_below(machine, child(node, (uint32_t)__builtin_ctzll(live)));
	kobj_free(machine, RADIX, node);
}

void radix_free(struct machine *machine, struct radix_node **root)
{
	if (*root)
		free_below(machine, *root);
	*root = NULL;
}

/* ---- iteration --------------------------------------------------------------------------- */

/*
 * One descent towards AT. true: there is a word at *AT, which moved up to the next one; false:
 * a subtree has nothing more, and *AT moved behind it.
 */
static bool descend(const struct radix_node *node, uint64_t *at, uint64_t *value)
{
	for (;;) {
		uint32_t slot = slot_of(node, *at);
		uint64_t live = node->live >> slot;
		uint32_t shift = node->shift;

		if (!live) {
			*at = ((*at >> shift >> RADIX_SHIFT) + 1) << RADIX_SHIFT << shift;
			return false;
		}
		if (!(live & 1)) {
			*at = ((*at >> shift) + (uint32_t)__builtin_ctzll(live)) << shift;
			slot = slot_of(node, *at);
		}
		if (!shift) {
			*value = node->slot[slot];
			return true;
		}
		node = child(node, slot);
	}
}

bool radix_next(const struct radix_node *root, uint32_t *index, uint64_t *value)
{
	uint64_t at = *index;

	while (root && covers(root, at)) {
		if (descend(root, &at, value)) {
			*index = (uint32_t)at;
			return true;
		}
	}
	return false;
}

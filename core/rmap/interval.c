/*
 * The interval tree; see interval.h. Balancing is <bsd/sys/tree.h>'s; it recomputes the nodes that
 * a rotation touches (RB_AUGMENT), and the way up from the place of a change is recomputed here.
 */
#include "interval.h"

static uint32_t last_below(const struct interval_node *node)
{
	return node ? node->max_last : 0;
}

static uint32_t computed_max(const struct interval_node *node)
{
	uint32_t left = last_below(RB_LEFT(node, rb)), right = last_below(RB_RIGHT(node, rb));
	uint32_t max = left > right ? left : right;

	return node->last > max ? node->last : max;
}

static void augment(struct interval_node *node)
{
	node->max_last = computed_max(node);
}

/* Never equal: who comes later goes right of those that begin where it does. */
static int interval_cmp(const struct interval_node *a, const struct interval_node *b)
{
	return a->first < b->first ? -1 : 1;
}

#undef RB_AUGMENT
#define RB_AUGMENT(node) augment(node)
RB_PROTOTYPE_INTERNAL(interval_tree, interval_node, rb, interval_cmp,
		      static __attribute__((unused)))
RB_GENERATE_INTERNAL(interval_tree, interval_node, rb, interval_cmp, static __attribute__((unused)))

static void augment_upward(struct interval_node *node)
{
	for (; node; node = RB_PARENT(node, rb))
		augment(node);
}

void interval_insert(struct interval_tree *tree, struct interval_node *node, uint32_t first,
		     uint32_t last)
{
	node->first = first;
	node->last = node->max_last = last;
	RB_INSERT(interval_tree, tree, node);
	augment_upward(node);
}

/* The lowest node whose subtree loses something when NODE goes, or NULL. If NODE has two children,
 * its successor comes up to its place. */
static struct interval_node *lowest_changed(struct interval_node *node)
{
	struct interval_node *successor;

	if (!RB_LEFT(node, rb) || !RB_RIGHT(node, rb))
		return RB_PARENT(node, rb);
	for (successor = RB_RIGHT(node, rb); RB_LEFT(successor, rb);)
		successor = RB_LEFT(successor, rb);
	return RB_PARENT(successor, rb) == node ? successor : RB_PARENT(successor, rb);
}

void interval_remove(struct interval_tree *tree, struct interval_node *node)
{
	struct interval_node *changed = lowest_changed(node);

	RB_REMOVE(interval_tree, tree, node);
	augment_upward(changed);
}

struct find {
	uint32_t first, last;
	interval_fn *fn;
	void *arg;
	uint64_t looked_at;
};

/* True: enough. */
static bool find_below(struct interval_node *node, struct find *find)
{
	for (; node; node = RB_RIGHT(node, rb)) {
		find->looked_at++;
		if (node->max_last < find->first)
			return false;
		if (find_below(RB_LEFT(node, rb), find))
			return true;
		if (node->first > find->last)
			return false;
		if (node->last >= find->first && find->fn(node, find->arg))
			return true;
	}
	return false;
}

void interval_find(const struct interval_tree *tree, uint32_t first, uint32_t last,
		   struct rmap_counters *counters, interval_fn *fn, void *arg)
{
	struct find find = {.first = first, .last = last, .fn = fn, .arg = arg};

	find_below(RB_ROOT(tree), &find);
	counters->links += find.looked_at;
}

struct interval_node *interval_first(const struct interval_tree *tree)
{
	struct interval_node *node = RB_ROOT(tree);

	while (node && RB_LEFT(node, rb))
		node = RB_LEFT(node, rb);
	return node;
}

struct interval_node *interval_next(struct interval_node *node)
{
	return RB_NEXT(interval_tree, NULL, node);
}

static uint32_t height_below(const struct interval_node *node)
{
	uint32_t left, right;

	if (!node)
		return 0;
	left = height_below(RB_LEFT(node, rb));
	right = height_below(RB_RIGHT(node, rb));
	return 1 + (left > right ? left : right);
}

uint32_t interval_height(const struct interval_tree *tree)
{
	return height_below(RB_ROOT(tree));
}

/* ---- check --------------------------------------------------------------------------------- */

static const char *check_node(const struct interval_node *node)
{
	const struct interval_node *child[] = {RB_LEFT(node, rb), RB_RIGHT(node, rb)};

	if (node->last < node->first)
		return "an interval of the tree ends before it begins";
	if (node->max_last != computed_max(node))
		return "a node of the interval tree does not know the last page below it";
	for (int i = 0; i < 2; i++) {
		if (child[i] && RB_PARENT(child[i], rb) != node)
			return "a child in the interval tree has another parent";
		if (child[i] && RB_COLOR(node, rb) == RB_RED && RB_COLOR(child[i], rb) == RB_RED)
			return "a red node of the interval tree has a red child";
	}
	return NULL;
}

/* *BLACK: black nodes on every way down from NODE. */
static const char *check_below(const struct interval_node *node, uint32_t *black)
{
	uint32_t left, right;
	const char *broken;

	*black = 0;
	if (!node)
		return NULL;
	broken = check_node(node);
	if (!broken)
		broken = check_below(RB_LEFT(node, rb), &left);
	if (!broken)
		broken = check_below(RB_RIGHT(node, rb), &right);
	if (broken)
		return broken;
	if (left != right)
		return "the interval tree is out of balance";
	*black = left + (RB_COLOR(node, rb) == RB_BLACK);
	return NULL;
}

const char *interval_check(const struct interval_tree *tree)
{
	const struct interval_node *before = NULL;
	struct interval_node *node;
	uint32_t black;
	const char *broken = check_below(RB_ROOT(tree), &black);

	for (node = interval_first(tree); node && !broken; node = interval_next(node)) {
		if (before && before->first > node->first)
			broken = "the interval tree is not ordered by beginnings";
		before = node;
	}
	return broken;
}

/*
 * Intervals in a red-black tree, ordered by their first page, where each node also knows the last
 * page of any interval below it. M. Lespinasse, 3.7, 2012.
 *
 *                [4, 9] max 20
 *               /             \
 *      [1, 2] max 8         [6, 20] max 20        which of them hold page 7?
 *       /        \                                [1,2] does not, but below it something reaches
 *     (nil)     [3, 8] max 8                      to 8; [3,8], [4,9], [6,20] do: in this order
 *
 * A question costs O(log n + answers): a subtree whose max is too small is not entered, nor the
 * right one of a node that begins too late. Equal beginnings go right, so the order is that of
 * beginnings and then of birth.
 *
 * Used for the areas of a file (file_interval_tree.c) and for the links of an anon_vma
 * (anon_vma_chain.c). A node keeps the bounds that it was entered with, so that an owner whose
 * bounds were changed in place is found out by check().
 */
#ifndef RMAPFUZZ_RMAP_INTERVAL_H
#define RMAPFUZZ_RMAP_INTERVAL_H

#include "backend.h"

/* The T of which NODE is the member MEMBER. */
#define interval_entry(node, T, member) ((T *)(void *)((char *)(node)-offsetof(T, member)))

/* Called for each interval that was asked for. True: enough. */
typedef bool interval_fn(struct interval_node *node, void *arg);

/* Enter NODE, which is in no tree, as [first, last]; and take it out. */
void interval_insert(struct interval_tree *tree, struct interval_node *node, uint32_t first,
		     uint32_t last);
void interval_remove(struct interval_tree *tree, struct interval_node *node);

/* Show FN the intervals that meet [first, last], by beginning; each node looked at counts as a
 * link. */
void interval_find(const struct interval_tree *tree, uint32_t first, uint32_t last,
		   struct rmap_counters *counters, interval_fn *fn, void *arg);

/* The first in order, or NULL, and the one after NODE. */
struct interval_node *interval_first(const struct interval_tree *tree);
struct interval_node *interval_next(struct interval_node *node);
/* Nodes on the longest way down. */
uint32_t interval_height(const struct interval_tree *tree);

/* Order, links, colours, and what each node says of those below: NULL, or what is wrong. */
const char *interval_check(const struct interval_tree *tree);

#endif

/*
 * A reverse map of your own, outside the tree: a shared object that exports one symbol.
 *
 *   #include <rmap_plugin.h>
 *   static const struct rmap_ops mine = {.name = "mine", ...};
 *   RMAP_PLUGIN(mine)
 *
 *   cc -std=gnu11 -shared -fPIC -Icore/include mine.c -o mine.so
 *   rmapfuzz run --backend ./mine.so
 *
 * The contract is rmap.h's, and so are all functions it may call: the tool exports them.
 * docs/plugin.md takes one from nothing to all oracles.
 */
#ifndef RMAPFUZZ_RMAP_PLUGIN_H
#define RMAPFUZZ_RMAP_PLUGIN_H

#include "rmap.h"

/*
 * Goes up whenever the meaning of rmap.h or mm_types.h changes. Changes of layout are found by
 * the sizes below even if somebody forgets.
 */
#define RMAP_PLUGIN_VERSION 5

struct rmap_plugin {
	uint32_t version; /* RMAP_PLUGIN_VERSION it was compiled with; always the first word */
	uint32_t ops_size, page_size, vma_size, mm_size, mapping_size; /* sizeof, as it saw them */
	const struct rmap_ops *ops;
};

#define RMAP_PLUGIN_SYMBOL "rmap_plugin"

#define RMAP_PLUGIN(operations)                                                                    \
	extern const struct rmap_plugin rmap_plugin;                                               \
	__attribute__((visibility("default"))) const struct rmap_plugin rmap_plugin = {            \
		RMAP_PLUGIN_VERSION, sizeof(struct rmap_ops), sizeof(struct page),                 \
		sizeof(struct vma),  sizeof(struct mm),       sizeof(struct address_space),        \
		&(operations),                                                                     \
	};

#endif

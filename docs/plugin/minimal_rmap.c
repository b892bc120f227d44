/*
 * minimal_rmap - a page points at a list with one node per mapping.
 * R. van Riel and others, "minimal rmap", 2.5.27, July 2002: what pte_chain grew out of.
 *
 *   page --> node --> node --> node        newest first
 *             |        |        |
 *             v        v        v
 *           entry    entry    entry        a pte_addr_t each
 *
 * Cost: 8 bytes for each mapping of each page (12 with 8-byte addresses), the single mapping of a
 * private page included; a removal searches the list. It is here to show what a backend outside
 * the tree looks like: this file includes one header of ours and exports one symbol.
 */
#include <errno.h>
#include <rmap_plugin.h>
#include <stdio.h>

struct node {
	struct node *next;
	pte_addr_t pte;
};

/* Where the design's own things are: one cache. */
struct minimal {
	struct kmem_cache *nodes;
};

static void create(struct machine *machine)
{
	struct minimal *minimal = machine_private_alloc(machine, sizeof(*minimal));

	minimal->nodes = kmem_cache_create(machine, "pte_node", 4 + machine_pte_addr_bytes(machine),
					   4, sizeof(struct node));
}

static struct kmem_cache *nodes(struct machine *machine)
{
	return ((struct minimal *)machine_private(machine))->nodes;
}

/* ---- mappings come and go ---------------------------------------------------------------- */

static int add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
	       struct ptep pte)
{
	struct node *node = rmap_cache_alloc(machine, nodes(machine));

	if (!node)
		return -ENOMEM;
	node->pte = pte_addr_of(pte);
	node->next = page->rmap.ptr;
	page->rmap.ptr = node;
	return 0;
}

/* The link that leads to the node of PTE, or NULL. Every node that is looked at is counted. */
static struct node **find(struct machine *machine, struct page *page, struct ptep pte)
{
	pte_addr_t addr = pte_addr_of(pte);
	struct node **link = (struct node **)&page->rmap.ptr;

	for (; *link; link = &(*link)->next) {
		machine_counters(machine)->links++;
		if ((*link)->pte == addr)
			return link;
	}
	return NULL;
}

static void drop(struct machine *machine, struct node **link)
{
	struct node *gone = *link;

	*link = gone->next;
	kmem_cache_free(machine, nodes(machine), gone);
}

static void rmap_remove(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			struct ptep pte)
{
	struct node **link = find(machine, page, pte);

	if (link)
		drop(machine, link);
}

static int move(struct machine *machine, struct page *page, struct vma *old, uint32_t old_vpn,
		struct ptep from, struct vma *new, uint32_t new_vpn, struct ptep to)
{
	struct node **link = find(machine, page, from);

	if (link)
		(*link)->pte = pte_addr_of(to);
	return 0;
}

/* ---- the question ------------------------------------------------------------------------- */

static void walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct node **link = (struct node **)&page->rmap.ptr;

	while (*link) {
		struct node *node = *link;
		enum rmap_answer answer;
		struct ptep pte;
		struct vma *vma;
		uint32_t vpn;

		machine_counters(machine)->links++;
		if (!pte_addr_find(machine, node->pte, &pte)) {
			link = &node->next;
			continue;
		}
		/* As with pte_chain, the table says whose entry it is, and for which address. */
		vpn = pte.table->vpn + pte.slot;
		vma = pte.table->mm ? vma_at(machine, pte.table->mm, vpn) : NULL;
		answer = visit(machine, page, vma, vpn, pte, arg);
		if (answer == RMAP_STOP)
			return;
		if (answer == RMAP_DROP)
			drop(machine, link);
		else
			link = &node->next;
	}
}

/* ---- for people ----------------------------------------------------------------------------- */

static void describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	unsigned int length = 0;

	for (const struct node *node = page->rmap.ptr; node; node = node->next)
		length++;
	snprintf(buf, size, "list of %u", length);
}

static const struct rmap_ops minimal_rmap = {
	.name = "minimal_rmap",
	.summary = "van Riel 2002: a list with one node per mapping",
	.page_bytes = 44, /* 2.5's, with the list's head */
	.vma_bytes = 64,
	.mm_bytes = 544,
	.anon_pgoff_free = true,
	.create = create,
	.add = add,
	.remove = rmap_remove,
	.move = move,
	.walk = walk,
	.describe = describe,
};
RMAP_PLUGIN(minimal_rmap)

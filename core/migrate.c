/*
 * Page migration: the content of a frame moves to another one, under everybody who maps it.
 *
 *     entries ---> old            entries: swap entry or none            entries ---> new
 *                  ^     unmap                               fault                    ^
 *     cache -------'     ----->   cache ---> old  replace    ----->      cache -------'
 *                                            new  ------->
 *
 * This is migration as 2.6.16 had it first: the page goes into a cache, the swap cache if it is
 * anonymous (so there must be a slot), is unmapped from everyone through the reverse map, and the
 * cache gets the new frame in the old one's place; entries come back by faults. Later kernels leave
 * migration entries behind and replace these in a second walk. Here that would need designs that
 * find entries which do not map the page, and the contract of rmap.h asks for those that do.
 *
 * Who refuses try_to_unmap refuses this: locked areas, and whoever holds the page otherwise.
 */
#include "internal.h"

/* NEW takes OLD's place: content, state, cache. OLD is mapped by nobody. */
static void take_place(struct machine *machine, struct page *old, struct page *new)
{
	new->flags |= old->flags &(PG_ANON | PG_DIRTY | PG_REFERENCED);
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++)
		copy_user_highpage(machine, new, sub, old, sub);
	if (old->flags & PG_SWAPCACHE)
		swap_cache_replace(machine, old, new);
	else
		file_replace_page(machine, old, new);
	lru_add(machine, new, old->flags & PG_ACTIVE);
}

/* UNMAP_*, or -ENOSPC. The caller holds both. */
static int migrate_page(struct machine *machine, struct page *old, struct page *new)
{
	int result;

	/* Making room for the new one may have taken the old one away. */
	if (!old->mapcount)
		return UNMAP_AGAIN;
	old->flags &= ~PG_LAZYFREE; /* it is to be kept, and a slot does that */
	result = evict_page(machine, old);
	if (result != UNMAP_SUCCESS)
		return result;
	if (!only_cached(old))
		return UNMAP_AGAIN;
	take_place(machine, old, new);
	return UNMAP_SUCCESS;
}

int op_migrate(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	struct page *old = page_mapped_at(machine, mm, op->args[1] / PAGE_SIZE), *new;
	int err = -ENOMEM;

	if (!old)
		return -ENOENT;
	page_get(old);
	new = page_alloc(machine, GFP_HIGHUSER);
	if (new) {
		err = migrate_page(machine, old, new);
		page_put(machine, new);
	}
	page_put(machine, old);
	if (err < 0)
		return err;
	result->value = (uint32_t)err;
	return 0;
}

/*
 * objrmap - file pages are found through their file's areas, anonymous pages by chain.
 * D. McCracken, "object-based reverse mapping", February 2003, against 2.5.62; in the -mm and
 * -mjb trees, never in mainline in this form.
 *
 *   file page ------> file -----> its areas: is the page there?       (i_mmap.c)
 *   anonymous page -> chain ----> entries                             (chain.h)
 *
 * Cost: a mapping of a file page costs a count and no memory, which was most of what kernel
 * builds gained over pte_chain; anonymous pages, that is, most of what a shell forks, cost what
 * they did. A walk over a file page looks at all areas of the file.
 *
 * Invariants
 *   C1 - C4 of pte_chain.c, for anonymous pages
 *   O1  a file page's reverse-map words are never written
 */
#include "backend.h"
#include "chain.h"

static bool has_chain(const struct page *page)
{
	return page->flags & PG_ANON;
}

static int objrmap_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		       struct ptep pte)
{
	return has_chain(page) ? chain_add(machine, page, pte) : 0;
}

static void objrmap_remove(struct machine *machine, struct page *page, struct vma *vma,
			   uint32_t vpn, struct ptep pte)
{
	if (has_chain(page))
		chain_remove(machine, page, pte);
}

static int objrmap_move(struct machine *machine, struct page *page, struct vma *old,
			uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
			struct ptep to)
{
	if (has_chain(page))
		chain_move(machine, page, from, to);
	return 0;
}

static void objrmap_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit,
			 void *arg)
{
	if (has_chain(page))
		chain_walk(machine, page, visit, arg);
	else
		rmap_walk_i_mmap(machine, page, visit, arg);
}

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	if (has_chain(page))
		return chain_check(machine, page, pte);
	return page->rmap.word ? "O1: a file page's reverse-map words are never written" : NULL;
}

static const char *objrmap_check(struct machine *machine)
{
	return check_every_entry(machine, check_entry);
}

static void objrmap_describe(struct machine *machine, struct page *page, char *buf, size_t size)
{
	if (has_chain(page))
		chain_describe(machine, page, buf, size);
	else
		describe_file_page(machine, page, buf, size);
}

RMAP_OBJECT_DESIGN(
	rmap_objrmap, "objrmap", list,
	.summary = "McCracken 2003: file pages by their file's areas, anonymous pages by chain",
	.page_bytes = 36, /* the chain's word takes 8 bytes under HIGHPTE, as in pte_chain */
	.vma_bytes = 64, .mm_bytes = 544, .anon_pgoff_free = true, .create = chain_create,
	.add = objrmap_add, .remove = objrmap_remove, .move = objrmap_move, .walk = objrmap_walk,
	.check = objrmap_check, .describe = objrmap_describe)

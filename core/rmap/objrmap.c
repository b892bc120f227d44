/*
 * objrmap - file pages are found through their file's areas, anonymous pages by chain.
 * D. McCracken, "object-based reverse mapping", February 2003, against 2.5.62; in the -mm and
 * -mjb trees, never in mainline in this form.
 *
 *   file page ------> file -----> its areas: is the page there?       (i_mmap.c)
 *   anonymous page -> chain ----> entries                             (chain.h)
 *
 *   converted page -> chain
 *
 * remap_file_pages puts a file page where no arithmetic finds it. The first such mapping converts
 * the page (page_convert_anon): every mapping that it has is looked up once more and entered in a
 * chain, and from there on the page is like an anonymous one. There is no way back while it is
 * mapped. Conversion needs memory, and may be refused. A page without that stays as it was, also
 * in a nonlinear area, as long as it is where arithmetic says.
 *
 * Cost: a mapping of a file page costs a count and no memory, which was most of what kernel
 * builds gained over pte_chain; anonymous pages, that is, most of what a shell forks, cost what
 * they did. A walk over a file page looks at all areas of the file. Conversion costs such a walk
 * and a chain entry per mapping.
 *
 * Invariants
 *   C1 - C4 of pte_chain.c, for anonymous pages and for file pages that have a chain
 *   O1  a file page without a chain is mapped only where arithmetic finds it
 *   O2  an unmapped file page has no chain (there is no flag: the chain itself says which it is)
 */
#include "backend.h"
#include "chain.h"

static bool has_chain(const struct page *page)
{
	return (page->flags & PG_ANON) || page->rmap.word;
}

/* ---- file pages without a chain ---------------------------------------------------------- */

/* All areas of the file: 2003 knew one kind, and computed in all of them. */
static void walk_areas(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct search search = {visit, arg, page->mapcount};
	struct rmap_counters *counters = machine_counters(machine);
	struct vma *vma;

	if (!page->mapping || !search.left || search_linear(machine, page, &search))
		return;
	TAILQ_FOREACH (vma, &page->mapping->i_mmap_nonlinear, shared) {
		counters->vmas_visited++;
		if (search_area(machine, page, vma, page->index, &search))
			return;
	}
}

/* ---- conversion ----------------------------------------------------------------------------- */

static enum rmap_answer convert_one(struct machine *machine, struct page *page, struct vma *vma,
				    uint32_t vpn, struct ptep pte, void *arg)
{
	int *err = arg;

	*err = chain_add(machine, page, pte);
	return *err ? RMAP_STOP : RMAP_KEEP;
}

static enum rmap_answer unconvert_one(struct machine *machine, struct page *page, struct vma *vma,
				      uint32_t vpn, struct ptep pte, void *arg)
{
	return RMAP_DROP;
}

static void forget_chain(struct machine *machine, struct page *page)
{
	chain_walk(machine, page, unconvert_one, NULL);
}

/* page_convert_anon: enter all mappings of PAGE in a chain. 0, or -ENOMEM with nothing changed. */
static int convert(struct machine *machine, struct page *page)
{
	int err = 0;

	walk_areas(machine, page, convert_one, &err);
	if (err)
		forget_chain(machine, page);
	return err;
}

/* ---- mappings ---------------------------------------------------------------------------------
 */

static int add_converted(struct machine *machine, struct page *page, struct ptep pte)
{
	int err = convert(machine, page);

	if (err)
		return err;
	err = chain_add(machine, page, pte);
	if (err)
		forget_chain(machine, page);
	return err;
}

static int objrmap_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		       struct ptep pte)
{
	if (has_chain(page))
		return chain_add(machine, page, pte);
	if (vma_page_index(machine, vma, vpn) != page->index)
		return add_converted(machine, page, pte);
	return 0;
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
		walk_areas(machine, page, visit, arg);
}

static const char *check_entry(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t vpn, struct ptep pte)
{
	if (has_chain(page))
		return chain_check(machine, page, pte);
	if (page->index != vma_page_index(machine, vma, vpn))
		return "O1: a file page without a chain is mapped only where arithmetic finds it";
	return NULL;
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

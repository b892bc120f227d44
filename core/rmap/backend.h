/*
 * What several designs share besides the contract: assertions, going over every mapping in
 * check(), and the step that all searching walks are made of.
 */
#ifndef RMAPFUZZ_RMAP_BACKEND_H
#define RMAPFUZZ_RMAP_BACKEND_H

#include <errno.h>

#include "rmap.h"

/* The engine's assertion (core/internal.h, which designs do not see). */
_Noreturn void mm_assert_failed(const char *what, const char *file, int line);
#ifndef MM_ASSERT
#define MM_ASSERT(cond)                                                                            \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			mm_assert_failed(#cond, __FILE__, __LINE__);                               \
	} while (0)
#endif

/* One sentence if what the design knows of this present entry is wrong, else NULL. */
typedef const char *check_entry_fn(struct machine *machine, struct page *page, struct vma *vma,
				   uint32_t vpn, struct ptep pte);

/* Ask ENTRY about every entry that a reverse map must know, until it complains. Charges nothing. */
const char *check_every_entry(struct machine *machine, check_entry_fn *entry);

/* A walk that searches: it is over when all of the page's mappings have been shown. */
struct search {
	rmap_visit_fn *visit;
	void *arg;
	uint32_t left; /* mappings not shown yet */
};

/* Show the entry for VPN of VMA, if it maps PAGE. True: the walk is over. */
static inline bool search_at(struct machine *machine, struct page *page, struct vma *vma,
			     uint32_t vpn, struct search *search)
{
	struct ptep pte;

	if (!rmap_probe(machine, page, vma, vpn, &pte))
		return MUTANT_IF(machine, OBJ_02, true) && --search->left == 0;
	if (search->visit(machine, page, vma, vpn, pte, search->arg) == RMAP_STOP)
		return true;
	return --search->left == 0;
}

/*
 * The same for all of VMA's entries of PAGE, whose first sub-page has index INDEX there. Parts of
 * the page may lie outside the area.
 */
static inline bool search_area(struct machine *machine, struct page *page, struct vma *vma,
			       uint32_t index, struct search *search)
{
	uint32_t n = machine_sub_pages(machine), vpn;

	for (uint32_t sub = 0; sub < n; sub++) {
		if (vma_vpn_of_index(vma, index + sub, &vpn) &&
		    search_at(machine, page, vma, vpn, search))
			return true;
	}
	return false;
}

/* The same for pages that may be anywhere in VMA: its entries are looked at one by one. */
bool search_entries(struct machine *machine, struct page *page, struct vma *vma,
		    struct search *search);
/* The same for the areas of the page's file that the file side finds: all but nonlinear ones. */
bool search_linear(struct machine *machine, struct page *page, struct search *search);
/* The same for all nonlinear areas of the page's file, if the search is not over and the machine
 * looks there at all. */
bool search_nonlinear(struct machine *machine, struct page *page, struct search *search);

/* describe() of a page that is found through its file. */
void describe_file_page(struct machine *machine, const struct page *page, char *buf, size_t size);

/*
 * The exported ops of a design that finds file pages by areas: SYMBOL, called NAME, with the file
 * side SIDE that it had in its time; and SYMBOL_list and so on, called "NAME+list" and so on, with
 * each of them. The rest are the members that all of these have. Its row in backends.def is an
 * OBJECT_DESIGN.
 */
#define RMAP_OBJECT_DESIGN(symbol, design, side, ...)                                              \
	const struct rmap_ops symbol = {.name = design, .file = &rmap_file_##side, __VA_ARGS__};   \
	RMAP_WITH_FILE_SIDE(symbol, design, list, __VA_ARGS__)                                     \
	RMAP_WITH_FILE_SIDE(symbol, design, prio_tree, __VA_ARGS__)                                \
	RMAP_WITH_FILE_SIDE(symbol, design, interval_tree, __VA_ARGS__)
#define RMAP_WITH_FILE_SIDE(symbol, design, side, ...)                                             \
	const struct rmap_ops symbol##_##side = {                                                  \
		.name = design "+" #side, .file = &rmap_file_##side, __VA_ARGS__};

#define FILE_SIDE(symbol) extern const struct rmap_file_ops symbol;
#include "file_sides.def"
#undef FILE_SIDE

#endif

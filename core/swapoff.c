/*
 * swapon and swapoff: an area is emptied by bringing in all that is in it.
 *
 *   page tables   each entry of the area becomes one of the page, old and write-protected; who
 *                 shared the slot shares the page, and the next write to it copies (or has a copy
 *                 at once, young, if the reverse map wants that: RMAP_UNSHARE)
 *   shmem files   the page joins its file's cache
 *   swap cache    what is left there gives its slot up, and is dirty
 *
 * A kernel goes slot by slot and looks for each through all page tables. Here all entries are gone
 * through once, which costs what is mapped. While that goes on the area hands out no slots. But
 * bringing pages in takes memory, for which reclaim may unmap pages that are still cached for the
 * area: their entries then name it again. So it is gone through again, a few times; if that does
 * not help, or memory runs out, the area stays in use with what it has left.
 *
 * Saturated slots stay in use however many entries are replaced. Once no entry of the area was
 * found any more, they are free.
 */
#include "internal.h"

#define PASSES_MAX 8

/* One pass over everything that may name a slot. */
struct unuse {
	struct machine *machine;
	uint32_t type;
	bool found; /* an entry of the area */
};

/* The page that ENTRY names takes its place in VPN of VMA. */
static int unuse_entry(struct machine *machine, struct vma *vma, uint32_t vpn, struct ptep pte,
		       swp_entry_t entry)
{
	pte_t present;
	struct page *page;
	int err = anon_prepare(machine, vma);

	if (!err)
		err = swapin_page(machine, entry, &page);
	if (err)
		return err;
	err = page_try_add_rmap(machine, page, vma, vpn, pte);
	if (err == RMAP_UNSHARE)
		return swapin_copy(machine, vma, vpn, pte, page);
	if (err) {
		page_put(machine, page);
		return err;
	}
	swap_free(machine, entry);
	present = pte_mk(page->pfn + sub_of(machine, swp_offset(entry)), prot_of_flags(vma->flags));
	pte_set_once(machine, pte, present & ~(pte_t)PTE_A);
	return 0;
}

static int unuse_area(struct unuse *unuse, struct vma *vma)
{
	struct ptep pte;
	uint32_t vpn;

	for (uint32_t at = vma->start; pte_next(vma->mm, at, vma->end, &vpn, &pte); at = vpn + 1) {
		pte_t entry = ptep_read(unuse->machine, pte);
		int err;

		if (!pte_swap(entry) || swp_type(pte_to_swp(entry)) != unuse->type)
			continue;
		if (MUTANT_IF(unuse->machine, SWP_05, vpn / PGD_PAGES != vma->start / PGD_PAGES))
			continue;
		unuse->found = true;
		err = unuse_entry(unuse->machine, vma, vpn, pte, pte_to_swp(entry));
		if (err)
			return err;
	}
	return 0;
}

static int unuse_mms(struct unuse *unuse)
{
	struct mm *mm;

	TAILQ_FOREACH (mm, &unuse->machine->mms, link) {
		for (struct vma *vma = mm->first; vma; vma = vma->next) {
			int err = unuse_area(unuse, vma);

			if (err)
				return err;
		}
	}
	return 0;
}

static int unuse_file(struct unuse *unuse, struct address_space *file)
{
	struct machine *machine = unuse->machine;
	uint64_t word;

	for (uint32_t index = 0; radix_next(file->store, &index, &word); index++) {
		struct page *page;
		int err;

		if (swp_type((swp_entry_t)word) != unuse->type)
			continue;
		unuse->found = true;
		/* Also what a truncation is about to take away. */
		err = file_grab_page(machine, file, index * sub_pages(machine), &page);
		if (err)
			return err;
		page_put(machine, page);
	}
	return 0;
}

static int unuse_files(struct unuse *unuse)
{
	struct address_space *file;

	TAILQ_FOREACH (file, &unuse->machine->file_list, link) {
		int err = file->kind == FILE_SHMEM ? unuse_file(unuse, file) : 0;

		if (err)
			return err;
	}
	return 0;
}

/* Pages that only the cache still has a slot for; memory is their only copy from here on. */
static void empty_cache(struct machine *machine, struct swap_area *area)
{
	for (uint32_t offset = 1; offset < area->nr_slots; offset++) {
		struct swap_slot *slot = &area->slots[offset];

		if (slot->map != 1 || !slot->cached)
			continue;
		slot->cached->flags |= PG_DIRTY;
		delete_from_swap_cache(machine, slot->cached);
	}
}

static int try_to_unuse(struct machine *machine, uint32_t type)
{
	struct swap_area *area = &machine->swap[type];

	for (uint32_t pass = 0; pass < PASSES_MAX && area->used; pass++) {
		struct unuse unuse = {machine, type, false};
		int err = unuse_mms(&unuse);

		if (!err)
			err = unuse_files(&unuse);
		if (err)
			return err;
		if (!unuse.found)
			swap_desaturate(machine, type);
		empty_cache(machine, area);
		/* What still counts was named by an entry: else it would count for ever. */
		MM_ASSERT(unuse.found || !area->used);
	}
	if (!area->used)
		return 0;
	machine->last_op.alloc_failed = true;
	return -ENOMEM;
}

/* ---- ops ------------------------------------------------------------------------ */

int op_swapon(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t type = op->args[0];

	if (type >= machine->config.nr_swap)
		return -ENOENT;
	if (machine->swap[type].on)
		return -EBUSY;
	if (!machine->config.swap[type].priority)
		machine->swap[type].priority = --machine->swap_least;
	swap_area_on(machine, type);
	return 0;
}

int op_swapoff(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t type = op->args[0];
	int err;

	if (type >= machine->config.nr_swap)
		return -ENOENT;
	if (!machine->swap[type].on)
		return -EINVAL;
	swap_area_off(machine, type);
	err = try_to_unuse(machine, type);
	if (err)
		swap_area_on(machine, type);
	else
		swap_area_empty(machine, type);
	return err;
}

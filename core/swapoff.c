/*
 * swapon and swapoff: an area is emptied by bringing in all that is in it.
 *
 *   page tables   each entry of the area becomes one of the page, old and write-protected; who
 *                 shared the slot shares the page, and the next write to it copies
 *   shmem files   the page joins its file's cache
 *   swap cache    what is left there gives its slot up, and is dirty
 *
 * A kernel goes slot by slot and looks for each through all page tables. Here all entries are gone
 * through once, which costs what is mapped. While that goes on the area hands out no slots. But
 * bringing pages in takes memory, for which reclaim may unmap pages that are still cached for the
 * area: their entries then name it again. So it is gone through again as long as that frees slots;
 * if it does not any more, or memory runs out, the area stays in use with what it has left.
 */
#include "internal.h"

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
	err = page_add_rmap(machine, page, vma, vpn, pte);
	if (err) {
		page_put(machine, page);
		return err;
	}
	swap_free(machine, entry);
	present = pte_mk(page->pfn + sub_of(machine, swp_offset(entry)), prot_of_flags(vma->flags));
	pte_set(machine, pte, present & ~(pte_t)PTE_A);
	return 0;
}

static int unuse_area(struct machine *machine, struct vma *vma, uint32_t type)
{
	struct ptep pte;
	uint32_t vpn;

	for (uint32_t at = vma->start; pte_next(vma->mm, at, vma->end, &vpn, &pte); at = vpn + 1) {
		pte_t entry = ptep_get(pte);
		int err;

		if (!pte_swap(entry) || swp_type(pte_to_swp(entry)) != type)
			continue;
		err = unuse_entry(machine, vma, vpn, pte, pte_to_swp(entry));
		if (err)
			return err;
	}
	return 0;
}

static int unuse_mms(struct machine *machine, uint32_t type)
{
	struct mm *mm;

	TAILQ_FOREACH (mm, &machine->mms, link) {
		for (struct vma *vma = mm->first; vma; vma = vma->next) {
			int err = unuse_area(machine, vma, type);

			if (err)
				return err;
		}
	}
	return 0;
}

static int unuse_file(struct machine *machine, struct address_space *file, uint32_t type)
{
	uint64_t word;

	for (uint32_t index = 0; radix_next(file->store, &index, &word); index++) {
		struct page *page;
		int err;

		if (swp_type((swp_entry_t)word) != type)
			continue;
		err = file_getpage(machine, file, index * sub_pages(machine), &page);
		if (err)
			return err;
		page_put(machine, page);
	}
	return 0;
}

static int unuse_files(struct machine *machine, uint32_t type)
{
	struct address_space *file;

	TAILQ_FOREACH (file, &machine->file_list, link) {
		int err = file->kind == FILE_SHMEM ? unuse_file(machine, file, type) : 0;

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
	uint32_t before;
	int err;

	do {
		before = area->used;
		err = unuse_mms(machine, type);
		if (!err)
			err = unuse_files(machine, type);
		if (err)
			return err;
		empty_cache(machine, area);
	} while (area->used && area->used < before);
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

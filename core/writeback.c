/*
 * Writing files back, and forgetting them: msync, writeback, mkclean, fdrop.
 *
 *     entries  --D bit-->  page, PG_DIRTY  --write-->  store
 *              msync                       writeback
 *              mkclean, through the reverse map, all of them
 *
 * A write through a mapping leaves its mark in the entry alone. 2.6 collects such marks when an
 * entry goes, and in msync for the caller's own areas: what others wrote is stored by chance, or
 * later. `writeback` is that: it writes pages that are known to be dirty. Since 2.6.19 a kernel
 * asks the reverse map first (page_mkclean): every shared entry loses D and RW, so that the next
 * write faults and says so. `mkclean` is that, and can be done in any era.
 *
 * tmpfs has no store to write to: its pages stay dirty until they go to swap.
 */
#include "internal.h"

static enum rmap_answer mkclean_one(struct machine *machine, struct page *page, struct vma *vma,
				    uint32_t vpn, struct ptep pte, void *arg)
{
	pte_t entry = ptep_get(pte);

	/* A private mapping never writes to the file's page. */
	if (!vma || !(vma->flags & VM_SHARED) || !(entry & (PTE_D | PTE_RW)))
		return RMAP_KEEP;
	if (pte_dirty(entry))
		page->flags |= PG_DIRTY;
	pte_set(machine, pte, entry & ~(pte_t)(PTE_D | PTE_RW));
	flush_tlb_page(machine, vma->mm, vpn);
	return RMAP_KEEP;
}

/* Write what is dirty in FILE, in order of offset; *WRITTEN counts. 0 or -ENOMEM, and then what
 * could not be written is still dirty. The store never waits for memory, so no page goes
 * meanwhile. */
static int write_file(struct machine *machine, struct address_space *file, bool mkclean,
		      uint32_t *written)
{
	uint64_t word;
	int err = 0;

	if (file->kind == FILE_SHMEM)
		return 0;
	for (uint32_t index = 0; !err && radix_next(file->pages, &index, &word); index++) {
		struct page *page = (struct page *)(uintptr_t)word;

		if (mkclean && page->mapcount)
			page_walk(machine, page, WALK_MKCLEAN, mkclean_one, NULL);
		if (page->flags & PG_DIRTY) {
			err = file_store_page(machine, page);
			*written += !err;
		}
	}
	return err;
}

static int op_write_file(struct machine *machine, const struct op *op, struct result *result,
			 bool mkclean)
{
	result->value = 0;
	return write_file(machine, file_by_number(machine, op->args[0]), mkclean, &result->value);
}

int op_writeback(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return op_write_file(machine, op, result, false);
}

int op_mkclean(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return op_write_file(machine, op, result, true);
}

/* Clean pages of FILE that nobody maps or holds leave the cache. */
int op_fdrop(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	struct address_space *file = file_by_number(machine, op->args[0]);
	uint64_t word;

	result->value = 0;
	for (uint32_t index = 0; radix_next(file->pages, &index, &word); index++) {
		struct page *page = (struct page *)(uintptr_t)word;

		if (page->count > 1 || (page->flags & (PG_DIRTY | PG_LOCKED)))
			continue;
		file_remove_page(machine, page);
		result->value++;
	}
	return 0;
}

/* ---- msync -------------------------------------------------------------------------------- */

/* The entries' marks go to the pages. */
static void sync_entries(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last)
{
	struct ptep p;
	uint32_t vpn;

	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &p); at = vpn + 1) {
		pte_t entry;

		pte_map(machine, p);
		entry = ptep_get(p);
		if (pte_present(entry) && pte_dirty(entry)) {
			pte_set(machine, p, entry & ~(pte_t)PTE_D);
			pfn_to_page(machine, pte_pfn(entry))->flags |= PG_DIRTY;
		}
		pte_unmap(machine, p);
	}
	flush_tlb_range(machine, vma->mm, first, last);
}

/* One call: files are written once for all neighbouring areas that map them, because how many these
 * are is the designs' choice. */
struct msync {
	struct machine *machine;
	uint32_t flags;
	struct address_space *file; /* to be written, or NULL */
};

static int msync_write(struct msync *call)
{
	struct address_space *file = call->file;
	uint32_t written = 0;

	call->file = NULL;
	return file ? write_file(call->machine, file, false, &written) : 0;
}

static int msync_area(struct msync *call, struct vma *vma, uint32_t first, uint32_t last)
{
	int err;

	if ((call->flags & OP_MS_INVALIDATE) && (vma->flags & VM_LOCKED))
		return -EBUSY;
	if (!vma->file || !(vma->flags & VM_SHARED))
		return 0;
	if (call->file && call->file != vma->file) {
		err = msync_write(call);
		if (err)
			return err;
	}
	sync_entries(call->machine, vma, first, last);
	if (call->flags & OP_MS_SYNC)
		call->file = vma->file;
	return 0;
}

/* Holes are passed over and reported at the end. */
static int msync_range(struct msync *call, struct mm *mm, uint32_t first, uint32_t last)
{
	int hole = 0;

	for (struct vma *vma = find_vma(mm, first); vma && first < last; vma = vma->next) {
		uint32_t end = vma->end < last ? vma->end : last;
		int err;

		if (first < vma->start) {
			hole = -ENOMEM;
			first = vma->start;
		}
		if (first >= last)
			break;
		err = msync_area(call, vma, first, end);
		if (err)
			return err;
		first = end;
	}
	return first < last ? -ENOMEM : hole;
}

int op_msync(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	struct msync call = {machine, op->args[3], NULL};
	uint32_t first = op->args[1] / PAGE_SIZE, last = first + op->args[2];
	int err, write_err;

	if (op->args[1] % PAGE_SIZE)
		return -EINVAL;
	if ((call.flags & OP_MS_ASYNC) && (call.flags & OP_MS_SYNC))
		return -EINVAL;
	if (last >= VPN_LIMIT)
		return -ENOMEM;
	err = msync_range(&call, mm, first, last);
	write_err = msync_write(&call);
	return err ? err : write_err;
}

/*
 * mlock, munlock, mlockall, mlockall_future, munlockall: areas whose pages stay.
 *
 *     mlock p0 w2 3        |aaaaaaaa|   ->   |aa|LLL|aaa|      VM_LOCKED splits areas,
 *     munlock p0 w2 3                   ->   |aa|aaa|aaa|      and 2.6.7 does not join them again
 *
 * VM_LOCKED belongs to an area and not to a page: try_to_unmap asks each area that it is shown
 * (reclaim.c), so one locked mapping keeps a page that ten others share. Limits and privileges
 * (RLIMIT_MEMLOCK, CAP_IPC_LOCK) are not modelled.
 *
 * mlockall is MCL_CURRENT, mlockall_future MCL_FUTURE; both at once are the one and then the other,
 * for each call says anew what becomes of new areas, as in Linux. 2.6 before 2.6.10 also unlocked
 * everything for MCL_FUTURE alone, which was a mistake. New areas are those of mmap and of brk; a
 * stack and what mremap extends grow as they are, locked or not. Pages that cannot be had are no
 * error. A child starts without, as does a program.
 *
 * Flags come first, for the whole range, and pages after. 2.6 did both area by area; the order
 * here is that of 2.6.39 and later. They differ only in what is locked after an error, which
 * would depend on where areas meet, and that is the designs' choice.
 */
#include "internal.h"

/* Give [first, last) of *AREA, which is inside, FLAGS. On success *AREA is the area that ends the
 * range. EAGAIN, not ENOMEM, is what locking says when it cannot cut an area. */
static int mlock_fixup(struct machine *machine, struct vma **area, uint32_t first, uint32_t last,
		       uint32_t flags)
{
	struct vma *vma = *area;
	int32_t npages = (int32_t)(last - first);

	if (flags == vma->flags)
		return 0;
	if (first != vma->start && vma_split(machine, vma, first, true))
		return -EAGAIN;
	if (last != vma->end && vma_split(machine, vma, last, false))
		return -EAGAIN;
	vma->flags = flags;
	vma->mm->locked_vm += (uint32_t)(flags & VM_LOCKED ? npages : -npages);
	return 0;
}

static uint32_t flags_with_lock(const struct vma *vma, bool lock)
{
	return lock ? vma->flags | VM_LOCKED : vma->flags & ~VM_LOCKED;
}

/* Areas change one after the other, up to the first gap. */
static int change_locks(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last,
			bool lock)
{
	struct vma *vma = find_vma(mm, first);

	while (vma && vma->start <= first) {
		uint32_t end = vma->end < last ? vma->end : last;
		int err = mlock_fixup(machine, &vma, first, end, flags_with_lock(vma, lock));

		if (err || end == last)
			return err;
		first = end;
		vma = vma->next;
	}
	return -ENOMEM;
}

/* The pages that the bytes at operands 1 and 2 touch: both ends are rounded outward. */
static int locked_range(const struct op *op, uint32_t *first, uint32_t *last)
{
	*first = op->args[1] / PAGE_SIZE;
	*last = *first + op->args[2] + (op->args[1] % PAGE_SIZE != 0);
	return *last >= VPN_LIMIT ? -EINVAL : 0;
}

/* Every page of the range is there: what mlock promises. */
static bool all_present(const struct mm *mm, uint32_t first, uint32_t last)
{
	struct ptep p;
	uint32_t vpn;

	for (; first < last && pte_next(mm, first, last, &vpn, &p) && vpn == first; first++) {
		if (!pte_present(ptep_peek(p)))
			return false;
	}
	return first == last;
}

int op_mlock(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t first, last;
	int err = locked_range(op, &first, &last);

	if (err || first == last)
		return err;
	err = change_locks(machine, mm, first, last, true);
	if (err)
		return err;
	err = make_present(machine, mm, first, last);
	if (!err) {
		MM_ASSERT(all_present(mm, first, last));
		return 0;
	}
	/* Out of memory is worth another try, a page that cannot be had is as good as unmapped. */
	return err == -ENOMEM ? -EAGAIN : -ENOMEM;
}

int op_munlock(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t first, last;
	int err = locked_range(op, &first, &last);

	if (err || first == last)
		return err;
	return change_locks(machine, mm, first, last, false);
}

/* Whole areas change, so nothing can fail, and pages that cannot be had are left out. */
static void change_all(struct machine *machine, struct mm *mm, bool lock)
{
	for (struct vma *vma = mm->first; vma; vma = vma->next)
		(void)mlock_fixup(machine, &vma, vma->start, vma->end, flags_with_lock(vma, lock));
}

/* Areas that a design may or may not have joined fail alike: behind a page that lies beyond the end
 * of the file, or may not be touched, all others do, too. Not so in nonlinear ones. */
static int make_area_present(struct machine *machine, struct vma *vma)
{
	uint32_t first = vma->start, last = vma->end;
	int err = 0;

	if (!(vma->flags & VM_NONLINEAR))
		return make_present(machine, vma->mm, first, last);
	for (; first < last && err != -ENOMEM; first++)
		err = make_present(machine, vma->mm, first, first + 1);
	return err;
}

int op_mlockall(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	mm->def_flags = 0;
	change_all(machine, mm, true);
	for (struct vma *vma = mm->first; vma; vma = vma->next) {
		if (make_area_present(machine, vma) == -ENOMEM)
			break;
	}
	return 0;
}

int op_mlockall_future(struct machine *machine, struct mm *mm, const struct op *op,
		       struct result *result)
{
	mm->def_flags = VM_LOCKED;
	return 0;
}

int op_munlockall(struct machine *machine, struct mm *mm, const struct op *op,
		  struct result *result)
{
	mm->def_flags = 0;
	change_all(machine, mm, false);
	return 0;
}

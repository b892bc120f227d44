/*
 * mprotect: change the protection of a range, area by area.
 *
 * Each piece either merges into a neighbour whose flags it now has, or becomes an area of its
 * own. The eras differ in how hard they try: 2.6.7 goes through vma_merge() for every kind of
 * area; 2.6.6 joins only private anonymous areas, to the previous area as it goes and to the
 * next one at the end of the call.
 */
#include "internal.h"

static void change_protection(struct machine *machine, struct vma *vma, uint32_t first,
			      uint32_t last)
{
	uint32_t prot = prot_of_flags(vma->flags), vpn;
	struct ptep p;

	for (uint32_t at = first; pte_next(vma->mm, at, last, &vpn, &p); at = vpn + 1) {
		pte_t pte;

		pte_map(machine, p);
		pte = ptep_get(p);
		if (pte_present(pte) && pte_modify(pte, prot) != pte) {
			if (MUTANT_IF(machine, PAE_07, pte >> 32))
				pte_set(machine, p, pte_modify((uint32_t)pte, prot));
			else
				pte_set(machine, p, pte_modify(pte, prot));
		}
		pte_unmap(machine, p);
	}
	flush_tlb_range(machine, vma->mm, first, last);
}

static bool mergeable_2_6_6(const struct machine *machine, const struct vma *prev,
			    const struct vma *range)
{
	return prev && !range->file && vmas_mergeable(machine, prev, range);
}

/* The area that took over [first, last) of VMA with FLAGS, or NULL. */
static struct vma *merge_piece(struct machine *machine, struct vma *vma, struct vma *prev,
			       uint32_t first, uint32_t last, uint32_t flags)
{
	struct vma range = *vma;

	if (machine->config.era != ERA_2_6_6)
		return vma_merge(machine, vma->mm, prev, first, last, flags, vma->file,
				 vma_index_of_vpn(vma, first), vma->rmap);
	range.flags = flags;
	if (first != vma->start || !vma_can_shift(machine, vma, last) ||
	    !mergeable_2_6_6(machine, prev, &range))
		return NULL;
	if (last == vma->end ? vma_absorb_next(machine, prev)
			     : vma_shift_up(machine, prev, vma, last))
		return NULL;
	return prev;
}

/* Give [first, last) of VMA the flags FLAGS. *PREV: the area before, then the one that ends at
 * or after last. */
static int mprotect_fixup(struct machine *machine, struct vma *vma, struct vma **prev,
			  uint32_t first, uint32_t last, uint32_t flags)
{
	struct mm *mm = vma->mm;
	struct vma *merged, *area = vma;
	bool changed; /* whether it is charged */
	int err;

	if (flags == vma->flags) {
		*prev = vma;
		return 0;
	}
	if ((flags & VM_WRITE) &&
	    !MUTANT_IF(machine, VMA_15,
		       !(vma->flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE))) &&
	    !(vma->flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE)))
		flags |= VM_ACCOUNT;
	/* An area that takes over the piece counts it under the new flags. */
	changed = (flags ^ vma->flags) & VM_ACCOUNT;
	if (changed) {
		vma_account(machine, mm, vma->flags, -(int32_t)(last - first));
		vma_account(machine, mm, flags, (int32_t)(last - first));
	}
	merged = merge_piece(machine, vma, *prev, first, last, flags);
	if (merged && MUTANT_IF(machine, VMA_14, changed)) /* it has the new flags by now */
		machine->committed_as += flags & VM_ACCOUNT ? first - last : last - first;
	if (merged) {
		*prev = vma = merged;
	} else {
		if (first != vma->start) {
			err = vma_split(machine, vma, first, true);
			if (err)
				goto fail;
		}
		*prev = vma;
		if (last != vma->end && !MUTANT_IF(machine, SEED_02, true)) {
			err = vma_split(machine, vma, last, false);
			if (err)
				goto fail;
		}
	}
	preempt(machine, MERGE_BEFORE_PROT);
	vma->flags = flags;
	if (!merged ||
	    !MUTANT_IF(machine, VMA_02,
		       pte_next(mm, first, last, &(uint32_t){0}, &(struct ptep){NULL, 0})))
		change_protection(machine,
				  MUTANT_IF(machine, VMA_03, merged && area != vma) ? area : vma,
				  first, last);
	return 0;

fail:
	if (changed) {
		vma_account(machine, mm, flags, -(int32_t)(last - first));
		vma_account(machine, mm, vma->flags, (int32_t)(last - first));
	}
	return err;
}

/* What 2.6.6 did once at the end: join the last area to the next, if that can be had. */
static void merge_tail_2_6_6(struct machine *machine, struct vma *prev)
{
	if (machine->config.era == ERA_2_6_6 && prev->next &&
	    mergeable_2_6_6(machine, prev, prev->next))
		vma_absorb_next(machine, prev);
}

int op_mprotect(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t at = op->args[1] / PAGE_SIZE, end = at + op->args[2];
	uint32_t prot = op->args[3];
	struct vma *vma, *prev;

	if (op->args[1] % PAGE_SIZE)
		return -EINVAL;
	if (end >= VPN_LIMIT)
		return -ENOMEM;
	if (at == end)
		return 0;
	vma = find_vma_prev(mm, at, &prev);
	if (!vma || vma->start > at)
		return -ENOMEM;
	if (at > vma->start)
		prev = vma;
	for (;;) {
		uint32_t flags = vma->flags & ~(VM_READ | VM_WRITE | VM_EXEC);
		uint32_t last = vma->end < end ? vma->end : end;
		int err;

		flags |= prot & OP_PROT_READ ? VM_READ : 0;
		flags |= prot & OP_PROT_WRITE ? VM_WRITE : 0;
		flags |= prot & OP_PROT_EXEC ? VM_EXEC : 0;
		err = mprotect_fixup(machine, vma, &prev, at, last, flags);
		if (err)
			return err;
		/* prev now ends at or after last; a merge may have reached further. */
		at = last > prev->end ? last : prev->end;
		if (last == end || at >= end)
			break;
		vma = prev->next;
		if (!vma || vma->start != at)
			return -ENOMEM;
	}
	merge_tail_2_6_6(machine, prev);
	return 0;
}

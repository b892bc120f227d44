/*
 * mremap: shrink, grow in place, or move.
 *
 * The order of steps is do_mremap's, and visible when a later one fails: a FIXED target is
 * unmapped first, then the tail that the new length gives up; only then is the old range
 * looked at. A move makes (or grows) an area at the new address whose pgoff keeps each page's
 * index, moves entry by entry, and unmaps the old range:
 *
 *     old  |aaaaBBBBcc|                      |aaaa|    |cc|
 *     new                  ....      ->                      |BBBB|
 *
 * With DONTUNMAP (5.7, private anonymous memory only) the old area stays where it is, empty and
 * not locked any more.
 *
 * If a page table cannot be had at the new address, the entries moved so far go back. So they do if
 * the reverse map wants a shared page to be copied first (RMAP_UNSHARE) and there is no memory for
 * it; what was copied by then stays so.
 */
#include "internal.h"

/* What one call was asked to do, in pages. */
struct request {
	uint32_t addr, old_len, new_len, new_addr;
	bool maymove, fixed, dontunmap;
};

/*
 * The reverse map learns that what SRC maps will be mapped at DST. Each time it asks for a copy,
 * one is made, and reclaim may run and take the page away instead: then there is nothing to tell.
 */
static int move_rmap(struct machine *machine, struct vma *old, uint32_t vpn, struct ptep src,
		     struct vma *new, uint32_t new_vpn, struct ptep dst)
{
	int err = 0;

	do {
		pte_t pte = ptep_read(machine, src);

		if (!pte_present(pte))
			return 0;
		err = page_move_rmap(machine, pfn_to_page(machine, pte_pfn(pte)), old, vpn, src,
				     new, new_vpn, dst);
		if (err != RMAP_UNSHARE)
			return err;
		err = unshare_page(machine, old, vpn);
	} while (!err);
	return err;
}

/* Move the entries of [from, from + n) in OLD to TO in NEW. Returns how many pages were done. */
static uint32_t move_page_tables(struct machine *machine, struct vma *old, uint32_t from,
				 struct vma *new, uint32_t to, uint32_t n)
{
	struct ptep src, dst;
	uint32_t vpn;

	for (uint32_t at = from; pte_next(old->mm, at, from + n, &vpn, &src); at = vpn + 1) {
		uint32_t new_vpn = vpn - from + to;
		pte_t entry, found = ptep_peek(src);
		bool mapped =
			MUTANT_IF(machine, HIM_01,
				  machine->config.highpte && !pte_lookup(new->mm, new_vpn).table);

		preempt(machine, MREMAP_PER_PTE);
		if (mapped)
			pte_map_nested(machine, src);
		if (pte_alloc(machine, new->mm, new_vpn, &dst)) {
			if (MUTANT_IF(machine, MRE_33, machine->config.highpte))
				kunmap_atomic(machine, machine->zero_page, KM_PTE0);
			return vpn - from;
		}
		if (move_rmap(machine, old, vpn, src, new, new_vpn, dst))
			return vpn - from;
		/* Making a table or a copy may have run reclaim, or anything. */
		if (!mapped)
			pte_map_nested(machine, src);
		pte_map(machine, dst);
		entry = ptep_get(src);
		if (MUTANT_IF(machine, MRE_07, pte_none(entry) && !pte_none(found)))
			entry = found;
		if (!pte_none(entry)) {
			pte_get_and_clear(machine, src);
			if (!MUTANT_IF(machine, MRE_18,
				       machine->waiting || machine->op->reclaim_nth))
				flush_tlb_page(machine, old->mm, vpn);
			pte_set(machine, dst, entry);
		}
		pte_unmap(machine, dst);
		pte_unmap_nested(machine, src);
	}
	return n;
}

/* The old range stays, and is not locked any more: it must be an area of its own. */
static bool leaves_lock_behind(const struct vma *vma, const struct request *request)
{
	return request->dontunmap && (vma->flags & VM_LOCKED);
}

/* Cut the old range out of *VMA. */
static int isolate(struct machine *machine, struct vma *vma, const struct request *request)
{
	uint32_t end = request->addr + request->old_len;
	int err = 0;

	if (vma->start < request->addr)
		err = vma_split(machine, vma, request->addr, true);
	if (!err && end < vma->end)
		err = vma_split(machine, vma, end, false);
	return err;
}

/*
 * copy_vma: the area that will hold VMA's pages from `addr` on at new_addr: an existing one that
 * grew (*MERGED), or one that is not linked yet. *SOURCE is VMA, or what it became if the new area
 * is its own neighbour and both merged.
 */
static struct vma *copy_vma(struct machine *machine, struct vma **source,
			    const struct request *request, bool *merged)
{
	struct vma *vma = *source, *prev, *new;
	uint32_t pgoff = MUTANT_IF(machine, MRE_15, request->addr != vma->start)
				 ? vma->pgoff
				 : vma_index_of_vpn(vma, request->addr);
	uint32_t end = request->new_addr + request->new_len, start = vma->start;

	/* An area that has no anonymous page yet may take its new place's natural offset, but keeps
	 * which part of a page belongs where. */
	if (!vma->file && !vma->anon && !sub_of(machine, pgoff ^ request->new_addr))
		pgoff = request->new_addr;
	new = NULL;
	if (!leaves_lock_behind(vma, request)) {
		find_vma_prev(vma->mm, request->new_addr, &prev);
		new = vma_merge(machine, vma->mm, prev, request->new_addr, end, vma->flags,
				vma->file, pgoff, vma->rmap);
	}
	*merged = new;
	if (new) {
		if (new->start <= start && start < new->end &&
		    !MUTANT_IF(machine, MRE_04, vma != new))
			*source = vma = new;
		if (vma != new)
			new->anon |= vma->anon;
	} else {
		new = vma_alloc(machine, vma->mm);
		if (!new)
			return NULL;
		*new = *vma;
		new->rmap = NULL;
		new->start = request->new_addr;
		new->end = end;
		new->pgoff = pgoff;
		if (MUTANT_IF(machine, MRE_14, (vma->flags & (VM_SHARED | VM_WRITE)) == VM_SHARED))
			new->flags &= ~VM_SHARED;
	}
	return new;
}

/* Take back the area at the new address. */
static int move_failed(struct machine *machine, struct mm *mm, const struct request *request)
{
	int err = do_munmap(machine, mm, request->new_addr, request->new_len);

	return err ? err : -ENOMEM;
}

static int move_vma(struct machine *machine, struct vma *vma, const struct request *request,
		    uint32_t *where)
{
	struct mm *mm = vma->mm;
	uint32_t flags = vma->flags, map_count = mm->map_count, moved;
	struct vma *new, place;
	bool merged, late, gone;

	if (map_count >= MAX_MAP_COUNT - 3)
		return -ENOMEM;
	new = copy_vma(machine, &vma, request, &merged);
	if (!new)
		return -ENOMEM;
	place = *new;
	if (!merged && MUTANT_IF(machine, MRE_29, vma->anon)) {
		new->start = vma->start;
		new->end = vma->end;
		new->pgoff = vma->pgoff;
	}
	if (new != vma && machine->rmap->vma_move &&
	    !(merged && MUTANT_IF(machine, MRE_28, vma->rmap && !new->rmap)) &&
	    machine->rmap->vma_move(machine, vma, new)) {
		if (!merged) {
			kobj_free(machine, VMA, new);
			return -ENOMEM;
		}
		vma_account(machine, mm, flags, (int32_t)request->new_len);
		return move_failed(machine, mm, request);
	}
	new->start = place.start;
	new->end = place.end;
	new->pgoff = place.pgoff;
	truncate_rescan(new, vma);
	preempt(machine, MREMAP_BEFORE_LINK);
	late = !merged && MUTANT_ON(machine, MRE_08);
	if (!merged && !late)
		vma_insert(machine, new, NULL);
	vma_account(machine, mm, flags, (int32_t)request->new_len);

	moved = move_page_tables(machine, vma, request->addr, new, request->new_addr,
				 request->old_len);
	if (late)
		vma_insert(machine, new, NULL);
	if (moved < request->old_len) {
		preempt(machine, MREMAP_BEFORE_UNWIND);
		/* The old tables are still there, so this cannot fail for want of memory. */
		uint32_t back = move_page_tables(machine, new, request->new_addr, vma,
						 request->addr, moved);

		MM_ASSERT(back == moved);
		return move_failed(machine, mm, request);
	}
	preempt(machine, MREMAP_AFTER_MOVE);
	if (MUTANT_ON(machine, MRE_18))
		flush_tlb_range(machine, mm, request->addr, request->addr + request->old_len);
	*where = request->new_addr;
	if (request->dontunmap) {
		if (flags & VM_LOCKED) {
			vma->flags &= ~VM_LOCKED;
			if (!MUTANT_IF(machine, MRE_25, true))
				mm->locked_vm -= request->old_len;
		}
		if (MUTANT_IF(machine, MRE_24,
			      new == vma && vma->next && !(vma->next->flags & VM_ACCOUNT)))
			vma->next->flags |= VM_ACCOUNT;
		return 0;
	}
	gone = MUTANT_IF(machine, MRE_10, request->old_len == vma->end - vma->start);
	if (do_munmap(machine, mm, request->addr, request->old_len)) {
		/* The old pages stay mapped, and counted. */
		if (MUTANT_IF(machine, MRE_23, flags & VM_ACCOUNT))
			machine->committed_as -= request->old_len;
	} else if (gone) {
		vma_account(machine, mm, flags, -(int32_t)request->new_len);
		vma_account(machine, mm, vma->flags, (int32_t)request->new_len);
	} else if (MUTANT_IF(machine, MRE_27, flags & VM_ACCOUNT)) {
		machine->committed_as += request->old_len;
	}
	if ((flags & VM_LOCKED) && request->new_len > request->old_len)
		(void)make_present(machine, mm, request->new_addr + request->old_len,
				   request->new_addr + request->new_len);
	return 0;
}

/* Grow in place if the old range ends its area and there is room behind. */
static bool grow_in_place(struct machine *machine, struct vma *vma, const struct request *request)
{
	uint32_t limit =
		vma->next ? vma->next->start
		: MUTANT_IF(machine, MRE_16, request->new_len > task_pages(machine) - request->addr)
			? VPN_LIMIT
			: task_pages(machine);
	uint32_t end = request->addr + request->new_len, old_end = vma->end;

	if (request->old_len != vma->end - request->addr ||
	    request->new_len > limit - request->addr)
		return false;
	vma_set_bounds(machine, vma, vma->start, end, vma->pgoff);
	vma_account(machine, vma->mm, vma->flags, (int32_t)(end - old_end));
	if (vma->flags & VM_LOCKED)
		(void)make_present(machine, vma->mm, old_end, end);
	return true;
}

/* The checks that come before anything is done. */
static int check_request(struct machine *machine, const struct op *op, struct request *request)
{
	uint32_t flags = op->args[5], limit = task_pages(machine);

	*request = (struct request){.addr = op->args[2] / PAGE_SIZE,
				    .old_len = op->args[3],
				    .new_len = op->args[4],
				    .new_addr = op->args[6] / PAGE_SIZE,
				    .maymove = flags & OP_MREMAP_MAYMOVE,
				    .fixed = flags & OP_MREMAP_FIXED,
				    .dontunmap = flags & OP_MREMAP_DONTUNMAP};
	if (op->args[2] % PAGE_SIZE || !request->old_len)
		return -EINVAL;
	if (!request->new_len && !MUTANT_IF(machine, MRE_02, true))
		return -EINVAL;
	if (request->dontunmap && (!request->maymove || request->old_len != request->new_len))
		return -EINVAL;
	if (!request->fixed)
		return 0;
	if (!request->maymove || op->args[6] % PAGE_SIZE)
		return -EINVAL;
	if (request->new_len > limit || request->new_addr > limit - request->new_len)
		return -EINVAL;
	if (request->new_addr < request->addr + request->old_len &&
	    request->addr < request->new_addr + request->new_len &&
	    !MUTANT_IF(machine, SEED_17, true))
		return -EINVAL;
	return 0;
}

static int do_mremap(struct machine *machine, struct mm *mm, struct request *request,
		     uint32_t *where)
{
	struct vma *vma;
	uint32_t hint;
	int err;

	*where = request->addr;
	if (request->fixed) {
		err = do_munmap(machine, mm, request->new_addr, request->new_len);
		if (err && !MUTANT_IF(machine, MRE_01, err == -ENOMEM))
			return err;
	}
	if (request->old_len >= request->new_len) {
		if (request->old_len > request->new_len) {
			/* As if lengths came in pairs of pages. */
			bool odd = MUTANT_IF(machine, SEED_18, request->new_len % 2);

			err = do_munmap(machine, mm, request->addr + request->new_len - odd,
					request->old_len - request->new_len + odd);
			if (err)
				return err;
		}
		if (!request->fixed && !request->dontunmap)
			return 0;
		request->old_len = request->new_len;
	}
	vma = find_vma(mm, request->addr);
	if (!vma || vma->start > request->addr)
		return -EFAULT;
	if (request->dontunmap && vma->file) /* shared anonymous memory has one, too */
		return -EINVAL;
	if (request->old_len > vma->end - request->addr)
		return -EFAULT;
	if (!request->fixed && !request->dontunmap && grow_in_place(machine, vma, request))
		return 0;
	if (!request->maymove)
		return -ENOMEM;
	hint = mm->free_area_cache;
	if (!request->fixed) {
		request->new_addr = get_unmapped_area(machine, mm, 0, request->new_len);
		if (!request->new_addr)
			return -ENOMEM;
	}
	err = leaves_lock_behind(vma, request) &&
			      !MUTANT_IF(machine, MRE_26, request->old_len < vma->end - vma->start)
		      ? isolate(machine, vma, request)
		      : 0;
	if (!err)
		err = move_vma(machine, vma, request, where);
	if (err) /* how far it got depends on which areas merge; later choices must not */
		mm->free_area_cache = hint;
	return err;
}

int op_mremap(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	struct request request;
	uint32_t where;
	int err = check_request(machine, op, &request);

	if (!err)
		err = do_mremap(machine, mm, &request, &where);
	if (!err)
		result->value = where * PAGE_SIZE;
	return err;
}

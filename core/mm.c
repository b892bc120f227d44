/*
 * Address spaces and processes: fork, clone, exit, exec.
 *
 * fork copies areas and entries and shares pages: private writable entries lose RW on both
 * sides, so that the first write of either copies (fault.c). The child's entries start old, and
 * clean where the page is shared. Swap entries are copied and counted.
 *
 * A fork that runs out of memory leaves the parent as it was, save for RW bits, and no child.
 *
 * Threads are processes that share an address space, which lives until its last user has left it
 * by exit or exec. It is named after one of its users:
 *
 *      p0 --.          p1 exits: users 1            p0 exits: users 1, and its name is 1
 *            >-- mm 0, users 2
 *      p1 --'          p1 execs: users 1, and p1 has an mm 1 of its own
 */
#include "internal.h"

struct mm *mm_create(struct machine *machine, uint32_t id, struct mm *parent)
{
	struct mm *mm = kobj_alloc(machine, MM);

	if (!mm)
		return NULL;
	mm->id = id;
	mm->users = 1;
	RB_INIT(&mm->vmas);
	mm->start_brk = parent ? parent->start_brk : BRK_BASE;
	mm->brk = parent ? parent->brk : BRK_BASE;
	mm->free_area_cache = parent ? parent->free_area_cache : mmap_base(machine);
	if (pgd_alloc(machine, mm))
		goto free_mm;
	if (machine->rmap->mm_init && machine->rmap->mm_init(machine, mm, parent))
		goto free_pgd;
	TAILQ_INSERT_TAIL(&machine->mms, mm, link);
	return mm;

free_pgd:
	pgd_free(machine, mm);
free_mm:
	kobj_free(machine, MM, mm);
	return NULL;
}

void mm_destroy(struct machine *machine, struct mm *mm)
{
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, machine, mm);
	for (struct vma *vma = mm->first; vma; vma = vma->next)
		zap_range(&tlb, vma, vma->start, vma->end);
	tlb_finish_mmu(&tlb);
	preempt(machine, UNMAP_BEFORE_UNLINK);
	while (mm->first) {
		struct vma *vma = mm->first;

		vma_account(machine, mm, vma->flags, -(int32_t)(vma->end - vma->start));
		vma_remove(machine, vma);
	}
	free_pgtables(machine, mm, 0, task_pages(machine));
	MM_ASSERT(mm->rss == 0);
	MM_ASSERT(mm->nr_ptes == 0);
	MM_ASSERT(mm->users == 0);
	if (machine->rmap->mm_release)
		machine->rmap->mm_release(machine, mm);
	TAILQ_REMOVE(&machine->mms, mm, link);
	leave_mm(machine, mm);
	pgd_free(machine, mm);
	kobj_free(machine, MM, mm);
}

/* ---- fork ---------------------------------------------------------------------------- */

/* Copy the present entry SRC of PARENT's area to DST in CHILD. */
static int copy_present(struct machine *machine, struct ptep src, struct vma *child, uint32_t vpn,
			struct ptep dst, bool cow)
{
	pte_t pte = ptep_get(src);
	struct page *page = pfn_to_page(machine, pte_pfn(pte));

	if (page->flags & PG_RESERVED) {
		pte_set(machine, dst, pte);
		return 0;
	}
	if (page_add_rmap(machine, page, child, vpn, dst))
		return -ENOMEM;
	page_get(page);
	if (cow && pte_write(pte)) {
		pte &= ~(pte_t)PTE_RW;
		if (!MUTANT_IF(machine, SEED_05, true))
			pte_set(machine, src, pte);
	}
	if (child->flags & VM_SHARED)
		pte &= ~(pte_t)PTE_D;
	pte_set(machine, dst, pte & ~(pte_t)PTE_A);
	return 0;
}

/* Both tables are mapped. */
static int copy_one_pte(struct machine *machine, struct ptep src, struct vma *child, uint32_t vpn,
			struct ptep dst, bool cow)
{
	pte_t pte = ptep_get(src);

	if (pte_none(pte))
		return 0;
	if (pte_present(pte))
		return copy_present(machine, src, child, vpn, dst, cow);
	if (pte_swap(pte) && !MUTANT_IF(machine, SEED_06, true))
		swap_duplicate(machine, pte_to_swp(pte));
	pte_set(machine, dst, pte);
	return 0;
}

static int copy_page_range(struct machine *machine, struct vma *parent, struct vma *child)
{
	bool cow = (parent->flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
	struct ptep src, dst;
	uint32_t vpn;

	for (uint32_t at = parent->start; pte_next(parent->mm, at, parent->end, &vpn, &src);
	     at = vpn + 1) {
		int err;

		/* The slot before is empty, and the way goes on from there, not from the next. */
		if (MUTANT_IF(machine, FORK_06,
			      at == parent->start ? vpn / PGD_PAGES > at / PGD_PAGES
						  : vpn / PGD_PAGES > (at - 1) / PGD_PAGES + 1))
			return 0;
		preempt(machine, FORK_PER_PTE);
		if (pte_alloc(machine, child->mm, vpn, &dst))
			return -ENOMEM;
		/* Making the table may have run reclaim, or anything. */
		pte_map(machine, dst);
		pte_map_nested(machine, src);
		err = copy_one_pte(machine, src, child, vpn, dst, cow);
		pte_unmap_nested(machine, src);
		pte_unmap(machine, dst);
		if (err)
			return err;
	}
	return 0;
}

static int dup_vma(struct machine *machine, struct vma *parent, struct mm *mm)
{
	struct vma *child = vma_alloc(machine, mm);

	if (!child) {
		if (MUTANT_IF(machine, FORK_02, parent->flags & VM_ACCOUNT))
			machine->committed_as += parent->end - parent->start;
		return -ENOMEM;
	}
	*child = *parent;
	child->mm = mm;
	child->rmap = NULL;
	child->flags &= ~VM_LOCKED;
	/* As if the list had it before its parent: whoever goes through it is done with it. */
	if (MUTANT_IF(machine, FORK_05,
		      child->file && child->truncate_count != child->file->truncate_count))
		child->truncate_count = child->file->truncate_count;
	if (machine->rmap->vma_fork && machine->rmap->vma_fork(machine, parent, child)) {
		kobj_free(machine, VMA, child);
		return -ENOMEM;
	}
	vma_insert(machine, child, parent->file ? parent : NULL);
	vma_account(machine, mm, child->flags, (int32_t)(child->end - child->start));
	preempt(machine, FORK_AFTER_LINK);
	return copy_page_range(machine, parent, child);
}

/* A mutant's way to give up MM: what its entries map is not let go. */
static void forget_entries(struct machine *machine, struct mm *mm)
{
	struct ptep p;
	uint32_t vpn;

	for (uint32_t at = 0; pte_next(mm, at, VPN_LIMIT, &vpn, &p); at = vpn + 1) {
		pte_t entry = ptep_peek(p);
		struct page *page = pfn_to_page(machine, pte_pfn(entry));

		if (!pte_present(entry) || (page->flags & PG_RESERVED))
			continue;
		page_remove_rmap(machine, page, find_vma(mm, vpn), vpn, p);
		pte_set_once(machine, p, 0);
	}
}

static struct mm *dup_mm(struct machine *machine, struct mm *parent, uint32_t id)
{
	struct mm *mm = mm_create(machine, id, parent);
	int err = 0;

	if (!mm)
		return NULL;
	for (struct vma *vma = parent->first; vma && !err; vma = vma->next)
		err = dup_vma(machine, vma, mm);
	/* Entries of the parent are read-only now, even if there will be no child. */
	flush_tlb_mm(machine, parent);
	if (!err)
		return mm;
	for (struct vma *vma = mm->first; MUTANT_IF(machine, FORK_01, vma != NULL); vma = vma->next)
		machine->committed_as -= vma->flags & VM_ACCOUNT ? vma->end - vma->start : 0;
	if (MUTANT_IF(machine, SEED_07, mm->rss))
		forget_entries(machine, mm);
	mm->users = 0;
	if (MUTANT_IF(machine, FORK_11, !mm->first))
		vma_account(machine, mm, mm->first->flags, 0);
	mm_destroy(machine, mm);
	return NULL;
}

/* ---- tasks ----------------------------------------------------------------------------- */

static struct task *task_alloc(struct machine *machine, uint32_t proc)
{
	struct task *task = kobj_alloc(machine, TASK);

	if (!task)
		return NULL;
	task->proc = proc;
	task->stack = kobj_alloc(machine, STACK);
	if (!task->stack) {
		kobj_free(machine, TASK, task);
		return NULL;
	}
	return task;
}

static void task_free(struct machine *machine, struct task *task)
{
	kobj_free(machine, STACK, task->stack);
	kobj_free(machine, TASK, task);
}

/* MM, which PROC has left, is named after the first of those who still use it. */
static void mm_rename(struct machine *machine, struct mm *mm, uint32_t proc)
{
	uint32_t heir = 0;

	if (mm->id != proc)
		return;
	while (!machine->tasks[heir] || machine->tasks[heir]->mm != mm)
		heir++;
	event_log(machine, EVENT_RENAME, 0, mm->id, 0, heir);
	mm->id = heir;
}

/* PROC has left MM. */
static void mm_put(struct machine *machine, struct mm *mm, uint32_t proc)
{
	MM_ASSERT(mm->users > 0);
	if (--mm->users)
		mm_rename(machine, mm, proc);
	else
		mm_destroy(machine, mm);
}

/* A new process whose address space is a copy of PARENT's, or empty. */
static int task_start(struct machine *machine, uint32_t proc, struct mm *parent)
{
	struct task *task = task_alloc(machine, proc);

	if (!task)
		return -ENOMEM;
	task->mm = parent ? dup_mm(machine, parent, proc) : mm_create(machine, proc, NULL);
	if (!task->mm) {
		task_free(machine, task);
		return -ENOMEM;
	}
	machine->tasks[proc] = task;
	return 0;
}

int task_boot(struct machine *machine, uint32_t proc)
{
	return task_start(machine, proc, NULL);
}

void task_exit(struct machine *machine, uint32_t proc)
{
	struct task *task = machine->tasks[proc];

	machine->tasks[proc] = NULL;
	machine->cpus.current_mm = NULL;
	mm_put(machine, task->mm, proc);
	task_free(machine, task);
}

/* ---- ops --------------------------------------------------------------------------------- */

int op_fork(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t child = op->args[1];

	return machine->tasks[child] ? -EAGAIN : task_start(machine, child, mm);
}

int op_clone_vm(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t child = op->args[1];
	struct task *task;

	if (machine->tasks[child])
		return -EAGAIN;
	task = task_alloc(machine, child);
	if (!task)
		return -ENOMEM;
	task->mm = mm;
	mm->users++;
	machine->tasks[child] = task;
	return 0;
}

int op_exit(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	task_exit(machine, op->args[0]);
	return 0;
}

int op_exec(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t proc = op->args[0];
	struct mm *fresh = mm_create(machine, proc, NULL);

	if (!fresh)
		return -ENOMEM;
	machine->tasks[proc]->mm = fresh;
	machine->cpus.current_mm = fresh;
	switch_mm(machine, machine->cpus.current, fresh);
	mm_put(machine, mm, proc);
	return 0;
}

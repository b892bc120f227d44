/*
 * What a second actor would have to wait for. Locks are known by what they protect, and the same
 * for all designs:
 *
 *      mmap_sem          by the host's op: faults read, what changes areas writes
 *      i_sem             by the host's op: truncate, write(2)
 *      page_table_lock, i_mmap, page locks, the reverse map's lists
 *                        by the point: struct held at each call of preempt()
 *
 * Who lacks a row in needs[] below always waits. Who is CLOSED there has nobody run inside it: its
 * code is not ready for that.
 */
#include "internal.h"

enum need {
	NEED_ALL,   /* waits: nobody has thought about it */
	NEED_FAULT, /* mmap_sem to read, page_table_lock */
	NEED_SPACE, /* mmap_sem to write, and all that hangs from areas */
	NEED_SIZE,  /* i_sem, i_mmap, page_table_lock of whoever maps the file */
	NEED_WRITE, /* i_sem, page lock */
	NEED_READ,  /* page lock */
	NEED_SYNC,  /* mmap_sem to read, page_table_lock, i_sem and page locks of what is mapped */
	NEED_CLEAN, /* page lock, i_mmap, page_table_lock of whoever maps the file */
	NEED_PIN,   /* mmap_sem to read, page_table_lock, page locks */
	NEED_USERS, /* page_table_lock, to see it free */
	NEED_UNUSE, /* mmap_sem to read, page_table_lock, page locks: of all address spaces */
	NEED_NOTHING, /* only tries */
	NEED_DEVICE   /* does not ask */
};

#define CLOSED   0x80u
#define NEED(op) ((enum need)(needs[op] & ~CLOSED))

static const uint8_t needs[NR_OPS] = {
	[OP_read] = NEED_FAULT,
	[OP_write] = NEED_FAULT,
	[OP_fork] = NEED_SPACE,
	[OP_exit] = NEED_SPACE,
	[OP_exec] = NEED_SPACE,
	[OP_mmap] = NEED_SPACE,
	[OP_munmap] = NEED_SPACE,
	[OP_mremap] = NEED_SPACE,
	[OP_mprotect] = NEED_SPACE,
	[OP_madvise] = NEED_SPACE,
	[OP_brk] = NEED_SPACE,
	[OP_truncate] = NEED_SIZE,
	[OP_fwrite] = NEED_WRITE,
	[OP_fread] = NEED_READ,
	[OP_evict] = NEED_NOTHING,
	[OP_swapout] = NEED_NOTHING,
	[OP_age] = NEED_NOTHING,
	[OP_reclaim] = NEED_NOTHING,
	[OP_poke] = NEED_FAULT,
	[OP_unpin] = NEED_NOTHING,
	[OP_pinread] = NEED_DEVICE,
	[OP_pinwrite] = NEED_DEVICE,
	[OP_mlock] = NEED_SPACE | CLOSED,
	[OP_munlock] = NEED_SPACE | CLOSED,
	[OP_mlockall] = NEED_SPACE | CLOSED,
	[OP_mlockall_future] = NEED_SPACE | CLOSED,
	[OP_munlockall] = NEED_SPACE | CLOSED,
	[OP_remap_file_pages] = NEED_SPACE | CLOSED,
	[OP_msync] = NEED_SYNC | CLOSED,
	[OP_writeback] = NEED_READ | CLOSED,
	[OP_mkclean] = NEED_CLEAN | CLOSED,
	[OP_fdrop] = NEED_NOTHING | CLOSED,
	[OP_fpunch] = NEED_SIZE | CLOSED,
	[OP_migrate] = NEED_NOTHING | CLOSED,
	[OP_pin] = NEED_PIN | CLOSED,
	[OP_clone_vm] = NEED_USERS | CLOSED,
	[OP_swapon] = NEED_DEVICE | CLOSED,
	[OP_swapoff] = NEED_UNUSE | CLOSED,
};

bool actor_lets_in(const struct op *op)
{
	return needs[op->code] != NEED_ALL && !(needs[op->code] & CLOSED);
}

/* ---- what is locked ----------------------------------------------------------------------- */

static bool is_proc(uint32_t kind)
{
	return kind == OPERAND_PROC || kind == OPERAND_NEWPROC;
}

uint32_t actor_procs(const struct op *op)
{
	const struct op_info *info = op_info((enum op_code)op->code);
	uint32_t procs = 0;

	for (uint32_t i = 0; i < info->nargs; i++) {
		if (is_proc(info->operand[i].kind) && op->args[i] < PROC_MAX)
			procs |= 1u << op->args[i];
	}
	return procs;
}

struct mm *actor_mm(const struct machine *machine, const struct op *op)
{
	if (op_info((enum op_code)op->code)->operand[0].kind != OPERAND_PROC ||
	    !machine_proc_alive(machine, op->args[0]))
		return NULL;
	return machine->tasks[op->args[0]]->mm;
}

/* The file that an op on a file is about, or an mmap; NULL: none. */
static const struct address_space *file_of(struct machine *machine, const struct op *op)
{
	int file = op_operand_index((enum op_code)op->code, "file");

	return file < 0 ? NULL : file_by_number(machine, op->args[file]);
}

static bool maps_file(const struct mm *mm, const struct address_space *file)
{
	const struct vma *vma;

	TAILQ_FOREACH (vma, &file->i_mmap, shared) {
		if (vma->mm == mm)
			return true;
	}
	TAILQ_FOREACH (vma, &file->i_mmap_nonlinear, shared) {
		if (vma->mm == mm)
			return true;
	}
	return false;
}

/* ---- faults --------------------------------------------------------------------------------- */

/* What a fault at VPN would work on. */
struct aim {
	const struct vma *vma; /* NULL: there is no area */
	pte_t entry;
	const struct page *mapped, *cached; /* present there; what would be brought in, if cached */
};

static struct aim take_aim(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	struct ptep pte = pte_lookup(mm, vpn);
	struct aim aim = {.vma = find_vma(mm, vpn), .entry = pte.table ? ptep_peek(pte) : 0};

	if (pte_present(aim.entry)) {
		aim.mapped = pfn_to_page(machine, pte_pfn(aim.entry));
	} else if (pte_swap(aim.entry)) {
		aim.cached = swap_slot(machine, pte_to_swp(aim.entry))->cached;
	} else if (aim.vma && aim.vma->start <= vpn && aim.vma->file) {
		uint32_t index = pte_none(aim.entry) ? vma_index_of_vpn(aim.vma, vpn)
						     : pte_to_pgoff(aim.entry);

		aim.cached = file_find_page(machine, aim.vma->file, index);
	}
	return aim;
}

/* The fault would bring in anonymous memory, and so may have to join the lists of its areas. */
static bool joins_lists(const struct aim *aim, bool write, uint32_t vpn)
{
	if (!aim->vma)
		return false;
	if (vpn < aim->vma->start || pte_swap(aim->entry))
		return true;
	if (!write || (aim->vma->flags & VM_SHARED))
		return false;
	return !pte_present(aim->entry) || !pte_write(aim->entry);
}

/*
 * What an entry allows needs no lock either: the processor reads it where it is. Only at these
 * points, where all that the host has changed so far is what it takes away in the end: elsewhere
 * the access would see a part of the host's work, and the rest not.
 */
static bool walks_past_lock(const struct machine *machine, const struct op *op, const struct mm *mm)
{
	struct ptep pte = pte_lookup(mm, op->args[1] / PAGE_SIZE);
	enum op_code host = (enum op_code)machine->op->code;

	if (op->point == POINT_ZAP_AFTER_FREE) {
		if (host != OP_munmap && host != OP_madvise && host != OP_brk)
			return false;
	} else if (op->point != POINT_COW_BETWEEN || host != OP_write) {
		return false;
	}
	return mm == machine->host_mm && pte.table &&
	       entry_allows(ptep_peek(pte), op->code == OP_write);
}

/*
 * A processor that has the page in its TLB uses it, whatever is locked, and whatever has become of
 * the entry since: this is what flushes are for. The host's own processor is busy. Whether a walk
 * over the page has come to this entry yet is the design's choice, so that one is waited for.
 */
static bool needs_no_fault(const struct machine *machine, const struct op *op, const struct mm *mm,
			   const struct held *held)
{
	uint32_t cpu = cpu_of_proc(machine, op->args[0]);
	const struct tlb_entry *found;

	if (cpu == machine->cpus.current)
		return false;
	found = tlb_find(machine, cpu, mm, op->args[1] / PAGE_SIZE, op->code == OP_write);
	if (found)
		return !(held->rmap && found->page == held->page);
	return walks_past_lock(machine, op, mm);
}

/*
 * The fault would map a page where arithmetic does not look for it, and so may have to find all
 * other mappings of it first: through the lists of its file, with the page_table_lock of each that
 * maps it.
 */
static bool walks_lists(const struct aim *aim, uint32_t vpn, const struct held *held)
{
	const struct vma *vma = aim->vma;

	if (!vma || vpn < vma->start || !vma->file || !pte_file(aim->entry))
		return false;
	return held->i_mmap == vma->file || (held->ptl && maps_file(held->ptl, vma->file));
}

/* Faults of one address space share mmap_sem. Behind these points the host looks again at what the
 * other may have done; elsewhere, as where memory for tables and lists is found, it does not yet.
 */
static bool two_faults_meet(const struct machine *machine, const struct op *op)
{
	const uint32_t points = 1u << POINT_FAULT_AFTER_LOOKUP | 1u << POINT_FAULT_AFTER_ALLOC |
				1u << POINT_COW_AFTER_COPY | 1u << POINT_SWAPIN_WAIT |
				1u << POINT_STACK_GROW;

	return NEED(machine->op->code) == NEED_FAULT && (points >> op->point & 1);
}

/* Reading the page in from swap locks it; so does, while a walk is at it, mapping or unmapping. */
static bool fault_waits(struct machine *machine, const struct op *op, struct mm *mm,
			const struct held *held)
{
	uint32_t vpn = op->args[1] / PAGE_SIZE;
	struct aim aim;

	if (op->code != OP_poke && needs_no_fault(machine, op, mm, held))
		return false;
	if (held->ptl == mm ||
	    (mm == machine->host_mm && (op->code == OP_poke || !two_faults_meet(machine, op))))
		return true;
	if (!held->page && !held->rmap && !held->i_mmap && !held->ptl)
		return false;
	aim = take_aim(machine, mm, vpn);
	if (walks_lists(&aim, vpn, held))
		return true;
	if (pte_swap(aim.entry) && aim.cached &&
	    (aim.cached == held->page || aim.cached == held->page2))
		return true;
	if (!held->rmap)
		return false;
	/* Of a page that is dropped for good nothing is left: who had it looks like who had not. */
	if (held->page && (held->page->flags & PG_LAZYFREE) && pte_none(aim.entry))
		return true;
	return joins_lists(&aim, op->code != OP_read, vpn) ||
	       (held->page && (aim.mapped == held->page || aim.cached == held->page));
}

/* ---- everything else ------------------------------------------------------------------------- */

static bool space_waits(struct machine *machine, const struct op *op, const struct mm *mm,
			const struct held *held)
{
	const struct address_space *file = file_of(machine, op);

	if (mm == machine->host_mm || mm == held->ptl || held->rmap)
		return true;
	return held->i_mmap && (file == held->i_mmap || maps_file(mm, held->i_mmap));
}

static bool locks_page_of(const struct held *held, const struct address_space *file)
{
	return (held->page && held->page->mapping == file) ||
	       (held->page2 && held->page2->mapping == file);
}

/* The host has the i_sem of FILE. */
static bool i_sem_held(struct machine *machine, const struct address_space *file)
{
	enum need need = NEED(machine->op->code);

	return (need == NEED_SIZE || need == NEED_WRITE) && file_of(machine, machine->op) == file;
}

static bool size_waits(struct machine *machine, const struct op *op, const struct held *held)
{
	const struct address_space *file = file_of(machine, op);

	if (i_sem_held(machine, file) || held->rmap || held->i_mmap == file)
		return true;
	return locks_page_of(held, file) || (held->ptl && maps_file(held->ptl, file));
}

/*
 * What a truncation cuts off is mapped by those that it has not come to yet. Whether OP still got
 * hold of it would show in what it returns; for a single access the judge can tell (group.c), here
 * not, so that OP waits for the host's end.
 */
static bool might_be_late(struct machine *machine, const struct op *op, const struct mm *mm)
{
	return machine->op->code == OP_truncate && (op->code == OP_mlock || op->code == OP_pin) &&
	       maps_file(mm, file_of(machine, machine->op));
}

/* PAGE is of a file that MM maps. */
static bool maps_file_of(const struct mm *mm, const struct page *page)
{
	return page && page->mapping && maps_file(mm, page->mapping);
}

/* msync writes files that are mapped: of those it wants the pages, and, to wait for the store, the
 * i_sem. */
static bool sync_waits(struct machine *machine, const struct mm *mm, const struct held *held)
{
	const struct address_space *file = file_of(machine, machine->op);

	if (mm == machine->host_mm || mm == held->ptl || held->rmap)
		return true;
	if (maps_file_of(mm, held->page) || maps_file_of(mm, held->page2))
		return true;
	return file && i_sem_held(machine, file) && maps_file(mm, file);
}

/* Writing back by way of the reverse map. */
static bool clean_waits(struct machine *machine, const struct op *op, const struct held *held)
{
	const struct address_space *file = file_of(machine, op);

	if (held->rmap || held->i_mmap == file || locks_page_of(held, file))
		return true;
	return held->ptl && maps_file(held->ptl, file);
}

static bool pin_waits(struct machine *machine, const struct op *op, const struct mm *mm,
		      const struct held *held)
{
	return mm == machine->host_mm || mm == held->ptl || held->page || held->rmap ||
	       might_be_late(machine, op, mm);
}

/* swapoff goes through everybody's tables, at any of whose pages it may have to wait. Faults read
 * mmap_sem as it does. */
static bool unuse_waits(struct machine *machine, const struct op *op, const struct held *held)
{
	if (held->ptl || held->page || held->rmap || held->i_mmap)
		return true;
	return machine->host_mm && !two_faults_meet(machine, op);
}

bool actor_waits(struct machine *machine, const struct op *op, const struct held *held)
{
	struct mm *mm = actor_mm(machine, op);
	const struct address_space *file = file_of(machine, op);

	/* Nobody does two things at once, and who is being made or ended does nothing. */
	if (actor_procs(op) & (actor_procs(machine->op) | machine->stuck))
		return true;
	switch (NEED(op->code)) {
	case NEED_FAULT:
		return mm && fault_waits(machine, op, mm, held);
	case NEED_SPACE:
		return mm && (space_waits(machine, op, mm, held) || might_be_late(machine, op, mm));
	case NEED_SIZE:
		return size_waits(machine, op, held);
	case NEED_WRITE:
		return i_sem_held(machine, file) || locks_page_of(held, file);
	case NEED_READ:
		return locks_page_of(held, file);
	case NEED_SYNC:
		return mm && sync_waits(machine, mm, held);
	case NEED_CLEAN:
		return clean_waits(machine, op, held);
	case NEED_PIN:
		return mm && pin_waits(machine, op, mm, held);
	case NEED_USERS:
		return mm && mm == held->ptl;
	case NEED_UNUSE:
		return unuse_waits(machine, op, held);
	case NEED_NOTHING:
		return held->rmap;
	case NEED_DEVICE:
		return false;
	case NEED_ALL:
		break;
	}
	return true;
}

/*
 * Areas: find, insert, split, merge.
 *
 * An mm keeps its areas twice, as the kernel does: in a tree by address (vma->tree) and in a
 * list (vma->next, prev). Areas of a file are on the file's i_mmap, oldest first, a forked
 * area right after its parent.
 *
 * vma_merge() knows the eight cases of 2.6.7. P is prev, N next, X the range that is to have
 * new flags or to be filled; - is a hole, and mprotect's X lies inside an existing area A:
 *
 *     mmap                       mprotect
 *     PPP-X-NNN -> PPPPPPPPP 1   PPPAXAANNN (X = A)  -> PPPPPPPPPP 6   P swallows A and N
 *     PPP-X---- -> PPPPP     2   PPPXXXNNN  (X = A)  -> PPPPPPNNN  7   P swallows A
 *     ----X-NNN ->     NNNNN 3   PPPXXXNNN  (X = A)  -> PPPAAAAAA  8   A swallows N
 *                                PPPPPXXNNN (P = A)  -> PPPPPNNNNN 4   N grows down into P
 *                                PPPXXAAAAA          -> PPPPPAAAAA 5   P grows up into A
 *
 * Boundaries move under vma_detach/vma_attach, so that designs which sort areas keep up, and the
 * file side of the design (rmap_file.h) is told in the same way. So does an area that becomes
 * nonlinear: it leaves the file side and changes to another list of its file.
 *
 * The design may need memory to merge, and not get it. Then the areas stay as they are: it is
 * always asked before anything changes, and where two areas would be swallowed, one of them may be.
 */
#include "internal.h"

int vma_cmp(const struct vma *a, const struct vma *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

RB_GENERATE(vma_tree, vma, tree, vma_cmp)

struct vma *find_vma(struct mm *mm, uint32_t vpn)
{
	struct vma *vma = mm->cache, *found = NULL;

	if (vma && vma->start <= vpn && vpn < vma->end)
		return vma;
	for (vma = RB_ROOT(&mm->vmas); vma;) {
		if (vma->end <= vpn) {
			vma = RB_RIGHT(vma, tree);
			continue;
		}
		found = vma;
		if (vma->start <= vpn)
			break;
		vma = RB_LEFT(vma, tree);
	}
	if (found)
		mm->cache = found;
	return found;
}

struct vma *find_vma_prev(struct mm *mm, uint32_t vpn, struct vma **prev)
{
	struct vma *vma = find_vma(mm, vpn);

	if (vma) {
		*prev = vma->prev;
		return vma;
	}
	*prev = RB_MAX(vma_tree, &mm->vmas);
	return NULL;
}

uint32_t task_pages(const struct machine *machine)
{
	static const uint32_t pages[] = {
		[SPLIT_3_1] = 0xc0000, [SPLIT_2_2] = 0x80000, [SPLIT_4_4] = 0xff000};

	return pages[machine->config.split];
}

uint32_t prot_of_flags(uint32_t vm_flags)
{
	if (!(vm_flags & (VM_READ | VM_WRITE | VM_EXEC)))
		return PTE_PROT_NONE;
	if ((vm_flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
		return PTE_PROT_WRITE;
	return PTE_PROT_READ; /* a private page becomes writable by its first write */
}

void vma_account(struct machine *machine, struct mm *mm, uint32_t flags, int32_t npages)
{
	mm->total_vm += (uint32_t)npages;
	if (flags & VM_LOCKED)
		mm->locked_vm += (uint32_t)npages;
	if (flags & VM_ACCOUNT)
		machine->committed_as += (uint32_t)npages;
}

int anon_prepare(struct machine *machine, struct vma *vma)
{
	if (machine->rmap->anon_prepare) {
		int err = machine->rmap->anon_prepare(machine, vma);

		if (err)
			return err;
	}
	vma->anon = true;
	return 0;
}

/* ---- the areas of a file ------------------------------------------------------------ */

/* The file side sees the areas whose pages arithmetic finds. */
static bool in_file_side(const struct vma *vma)
{
	if (!vma->file)
		return false;
	return !(vma->flags & VM_NONLINEAR) || MUTANT_IF_AT(vma->file, NLN_11, true);
}

static void file_side_insert(struct machine *machine, struct vma *vma, struct vma *twin)
{
	const struct rmap_file_ops *side = machine_file_side(machine);

	if (side->insert && in_file_side(vma))
		side->insert(vma->file, vma, twin);
}

static void file_side_remove(struct machine *machine, struct vma *vma)
{
	const struct rmap_file_ops *side = machine_file_side(machine);

	if (side->remove && in_file_side(vma))
		side->remove(vma->file, vma);
}

/* The list of its file's areas that VMA is on. */
static struct vma_list *file_list_of(const struct vma *vma)
{
	if (!(vma->flags & VM_NONLINEAR) || MUTANT_IF_AT(vma->file, NLN_11, true))
		return &vma->file->i_mmap;
	return &vma->file->i_mmap_nonlinear;
}

/* VMA joins the areas of its file, after TWIN, if that is not NULL. */
static void i_mmap_insert(struct machine *machine, struct vma *vma, struct vma *twin)
{
	if (twin)
		TAILQ_INSERT_AFTER(file_list_of(vma), twin, vma, shared);
	else
		TAILQ_INSERT_TAIL(file_list_of(vma), vma, shared);
	file_side_insert(machine, vma, twin);
}

static void i_mmap_remove(struct machine *machine, struct vma *vma)
{
	file_side_remove(machine, vma);
	TAILQ_REMOVE(file_list_of(vma), vma, shared);
}

/* ---- insertion and removal --------------------------------------------------------- */

struct vma *vma_alloc(struct machine *machine, struct mm *mm)
{
	struct vma *vma = kobj_alloc(machine, VMA);

	machine->last_op.area_allocs++;
	if (vma)
		vma->mm = mm;
	return vma;
}

void vma_insert(struct machine *machine, struct vma *vma, struct vma *after)
{
	struct mm *mm = vma->mm;
	struct vma *clash = RB_INSERT(vma_tree, &mm->vmas, vma);

	MM_ASSERT(!clash);
	MM_ASSERT(vma->start < vma->end);
	vma->prev = RB_PREV(vma_tree, &mm->vmas, vma);
	if (vma->prev) {
		vma->next = vma->prev->next;
		vma->prev->next = vma;
	} else {
		vma->next = mm->first;
		mm->first = vma;
	}
	if (vma->next)
		vma->next->prev = vma;
	MM_ASSERT(!vma->prev || vma->prev->end <= vma->start);
	MM_ASSERT(!vma->next || vma->end <= vma->next->start);
	mm->map_count++;
	if (!vma->file)
		return;
	file_get(vma->file);
	i_mmap_insert(machine, vma, after);
}

void vma_drop(struct machine *machine, struct vma *vma)
{
	struct mm *mm = vma->mm;
	struct address_space *file = vma->file;

	RB_REMOVE(vma_tree, &mm->vmas, vma);
	if (vma->prev)
		vma->prev->next = vma->next;
	else
		mm->first = vma->next;
	if (vma->next)
		vma->next->prev = vma->prev;
	if (mm->cache == vma && !MUTANT_IF(machine, VMA_24, true))
		mm->cache = NULL;
	mm->map_count--;
	if (file)
		i_mmap_remove(machine, vma);
	kobj_free(machine, VMA, vma);
	if (file)
		file_put(machine, file);
}

void vma_remove(struct machine *machine, struct vma *vma)
{
	if (machine->rmap->vma_unlink)
		machine->rmap->vma_unlink(machine, vma);
	vma_drop(machine, vma);
}

/* ---- changing bounds --------------------------------------------------------------- */

void vma_set_bounds(struct machine *machine, struct vma *vma, uint32_t start, uint32_t end,
		    uint32_t pgoff)
{
	MM_ASSERT(start < end);
	if (machine->rmap->vma_detach)
		machine->rmap->vma_detach(machine, vma);
	file_side_remove(machine, vma);
	vma->start = start;
	vma->end = end;
	if (MUTANT_IF(machine, VMA_11, machine->waiting && vma->file))
		preempt(machine, SPLIT_BETWEEN);
	else
		preempt(machine, SPLIT_BETWEEN, .ptl = vma->mm, .i_mmap = vma->file, .rmap = true);
	vma->pgoff = pgoff;
	file_side_insert(machine, vma, NULL);
	if (machine->rmap->vma_attach)
		machine->rmap->vma_attach(machine, vma);
}

void vma_make_nonlinear(struct machine *machine, struct vma *vma)
{
	if (vma->flags & VM_NONLINEAR)
		return;
	if (machine->rmap->vma_detach)
		machine->rmap->vma_detach(machine, vma);
	i_mmap_remove(machine, vma);
	vma->flags |= VM_NONLINEAR;
	i_mmap_insert(machine, vma, NULL);
	if (machine->rmap->vma_attach)
		machine->rmap->vma_attach(machine, vma);
}

static void set_end(struct machine *machine, struct vma *vma, uint32_t end)
{
	vma_set_bounds(machine, vma, vma->start, end, vma->pgoff);
}

/* Move the start; pgoff follows, so that every page keeps its index. */
static void set_start(struct machine *machine, struct vma *vma, uint32_t start)
{
	vma_set_bounds(machine, vma, start, vma->end, vma->pgoff + (start - vma->start));
}

int vma_split(struct machine *machine, struct vma *vma, uint32_t vpn, bool new_below)
{
	struct vma *part;
	int err;

	MM_ASSERT(vma->start < vpn && vpn < vma->end);
	if (vma->mm->map_count >= MAX_MAP_COUNT)
		return -ENOMEM;
	part = vma_alloc(machine, vma->mm);
	if (!part)
		return -ENOMEM;
	*part = *vma;
	part->rmap = NULL;
	if (new_below) {
		part->end = vpn;
	} else {
		part->start = vpn;
		part->pgoff = vma_index_of_vpn(vma, vpn);
	}
	if (machine->rmap->vma_split) {
		err = machine->rmap->vma_split(machine, vma, part);
		if (err) {
			kobj_free(machine, VMA, part);
			return MUTANT_IF(machine, FORK_17, true) ? 0 : err;
		}
	}
	if (!new_below)
		set_end(machine, vma, vpn);
	else if (MUTANT_IF(machine, VMA_01, true))
		vma_set_bounds(machine, vma, vpn, vma->end, vma->pgoff);
	else
		set_start(machine, vma, vpn);
	if (MUTANT_IF(machine, PRI_04, machine->waiting))
		preempt(machine, SPLIT_BETWEEN);
	vma_insert(machine, part, NULL);
	return 0;
}

/* ---- merging ------------------------------------------------------------------------ */

/*
 * May the boundary at INDEX of private areas with FLAGS go, or come without a split? Not inside a
 * block of page clustering (cluster.c). Shared areas have no pages but the file's.
 */
static bool boundary_is_free(const struct machine *machine, uint32_t flags, uint32_t index)
{
	return (flags & VM_SHARED) || !sub_of(machine, index);
}

bool vma_can_shift(const struct machine *machine, const struct vma *area, uint32_t boundary)
{
	return boundary == area->start || boundary == area->end ||
	       boundary_is_free(machine, area->flags, vma_index_of_vpn(area, boundary));
}

bool vmas_mergeable(const struct machine *machine, const struct vma *a, const struct vma *b)
{
	const struct rmap_ops *rmap = machine->rmap;

	if (a->end != b->start || a->flags != b->flags || a->file != b->file)
		return false;
	/* How far a stack may grow depends on its size: that must not be the design's choice. */
	if (a->flags & VM_GROWSDOWN)
		return false;
	if ((a->file || !rmap->anon_pgoff_free) && a->pgoff + (a->end - a->start) != b->pgoff &&
	    !MUTANT_IF(machine, SEED_03, !a->file))
		return false;
	if (!boundary_is_free(machine, a->flags, a->pgoff + (a->end - a->start)) ||
	    !boundary_is_free(machine, b->flags, b->pgoff))
		return false;
	return !rmap->can_merge || rmap->can_merge(a, b) ||
	       MUTANT_IF(machine, VMA_09, !a->rmap != !b->rmap);
}

/* A truncation that is under way is done with only one of them: it looks again. */
void truncate_rescan(struct vma *vma, const struct vma *from)
{
	if (vma->truncate_count != from->truncate_count)
		vma->truncate_count = 0;
}

/* GONE disappears; KEEP is about to cover it. 0, or -ENOMEM with nothing changed. */
static int absorb(struct machine *machine, struct vma *keep, struct vma *gone)
{
	truncate_rescan(keep, gone);
	if (MUTANT_IF(machine, SEED_04, gone->anon && !keep->anon) && machine->rmap->vma_unlink) {
		machine->rmap->vma_unlink(machine, gone);
	} else if (machine->rmap->vma_merge) {
		int err = machine->rmap->vma_merge(machine, keep, gone);

		if (err)
			return err;
	}
	keep->anon |= gone->anon;
	vma_drop(machine, gone);
	return 0;
}

static int shift(struct machine *machine, struct vma *grows, struct vma *shrinks, uint32_t first,
		 uint32_t last)
{
	truncate_rescan(grows, shrinks);
	if (machine->rmap->vma_shift &&
	    !MUTANT_IF(machine, VMA_08, shrinks->anon && !grows->anon)) {
		int err = machine->rmap->vma_shift(machine, grows, shrinks, first, last);

		if (err)
			return err;
	}
	grows->anon |= shrinks->anon;
	return 0;
}

int vma_shift_up(struct machine *machine, struct vma *prev, struct vma *area, uint32_t boundary)
{
	int err = shift(machine, prev, area, area->start, boundary);

	if (err)
		return err;
	if (MUTANT_IF(machine, VMA_07, boundary - area->start >= 1u << 19))
		/* So many bytes are a negative number. */
		vma_set_bounds(machine, area, boundary, area->end,
			       area->pgoff + (boundary - area->start) - (1u << 20));
	else
		set_start(machine, area, boundary);
	set_end(machine, prev, boundary);
	return 0;
}

static int shift_down(struct machine *machine, struct vma *prev, struct vma *next,
		      uint32_t boundary)
{
	int err = shift(machine, next, prev, boundary, prev->end);

	if (err)
		return err;
	set_end(machine, prev, boundary);
	set_start(machine, next, boundary);
	return 0;
}

int vma_absorb_next(struct machine *machine, struct vma *vma)
{
	uint32_t end = vma->next->end;
	int err = absorb(machine, vma, vma->next);

	if (!err)
		set_end(machine, vma, end);
	return err;
}

/* PREV takes the range [range->start, range->end), which AREA (or nothing) holds, and NEXT, if that
 * can be had, too. NULL: it cannot. */
static struct vma *merge_into_prev(struct machine *machine, struct vma *prev,
				   const struct vma *range, struct vma *area, struct vma *next)
{
	uint32_t end = range->end;

	if (area && !next && area->end != range->end) /* case 5 */
		return vma_shift_up(machine, prev, area, range->end) ? NULL : prev;
	if (area && absorb(machine, prev, area)) /* cases 6, 7 */
		return NULL;
	if (next) { /* cases 1, 6; without memory they are 2, 7 */
		uint32_t next_end = next->end;

		if (!absorb(machine, prev, next))
			end = next_end;
		if (MUTANT_IF(machine, VMA_05, prev->file && end == next_end))
			file_get(prev->file); /* next's is not let go */
	}
	set_end(machine, prev, end); /* case 2 */
	return prev;
}

/* NEXT takes the range, which PREV, AREA or nothing holds. NULL: it cannot. */
static struct vma *merge_into_next(struct machine *machine, struct vma *prev,
				   const struct vma *range, struct vma *area, struct vma *next)
{
	if (prev && range->start < prev->end) /* case 4 */
		return shift_down(machine, prev, next, range->start) ? NULL : next;
	if (area) /* case 8 */
		return vma_absorb_next(machine, area) ? NULL : area;
	if (MUTANT_IF(machine, VMA_12, true))
		vma_set_bounds(machine, next, range->start, next->end, next->pgoff);
	else
		set_start(machine, next, range->start); /* case 3 */
	return next;
}

struct vma *vma_merge(struct machine *machine, struct mm *mm, struct vma *prev, uint32_t start,
		      uint32_t end, uint32_t flags, struct address_space *file, uint32_t pgoff,
		      void *rmap)
{
	struct vma range = {.mm = mm,
			    .start = start,
			    .end = end,
			    .pgoff = pgoff,
			    .flags = flags,
			    .file = file,
			    .rmap = rmap};
	struct vma *area = prev ? prev->next : mm->first, *next = area;
	bool with_prev, with_next;

	if (area && area->start < end) { /* the range is (part of) an existing area */
		if (area->end == end)
			next = area->next;
	} else {
		area = NULL;
	}
	with_prev = prev && vmas_mergeable(machine, prev, &range);
	with_next = next && next != area && vmas_mergeable(machine, &range, next);

	/* Cases 4 and 5 move a boundary. */
	if (prev && start < prev->end)
		with_next = with_next && vma_can_shift(machine, prev, start);
	if (area && area->end != end)
		with_prev = with_prev && vma_can_shift(machine, area, end);

	/* All three become one only if prev and next agree with each other, too. */
	if (with_prev && with_next && machine->rmap->can_merge &&
	    !machine->rmap->can_merge(prev, next))
		with_next = false;
	if (with_prev)
		return merge_into_prev(machine, prev, &range, area, with_next ? next : NULL);
	if (with_next)
		return merge_into_next(machine, prev, &range, area, next);
	return NULL;
}

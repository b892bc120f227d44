/*
 * Pins: get_user_pages, and what is done through it: devices that read and write frames by
 * themselves, and the debugger's write.
 *
 *     d0 = pin p0 w2 2 write        p0's entries ---> page  <--- d0        count = mappings
 *     p1 = fork p0                  p1's entries ----'                             + caches + pins
 *     write p0 w2                   p0's entry -----> copy        page <--- d0, p1's entry
 *
 * A pin is a reference and nothing more: the page stays what it is, wherever entries go meanwhile.
 * It outlives the unmapping, the process and the file's end; only `unpin` lets it go. As 2.6.7 has
 * it, reclaim does not unmap an anonymous page that somebody holds (reclaim.c), and a write to one
 * that is write-protected copies it away from under the device, since the reference makes it look
 * shared. A zero page is not counted and stays what it is.
 *
 * follow_page() wants a writable entry for a write, or else, where one was forced, an entry that a
 * write fault has just left: dirty, and of private memory. That the fault succeeded is not enough:
 * what it left may have been taken away again, and the file's own page be there in its place.
 * Shared memory that may not be written is refused (since 3.15): 2.6 put private pages there.
 *
 * A stack does not grow for it (since 6.5). With page clustering there are no pins: whether a page
 * is copied would depend on the neighbours of the one that is held.
 */
#include "internal.h"

#define FOLLOW_TRIES 64

static bool may_pin(const struct vma *vma, uint32_t flags)
{
	if (flags & OP_PIN_WRITE) {
		if (vma->flags & VM_WRITE)
			return true;
		return (flags & OP_PIN_FORCE) && (vma->flags & VM_MAYWRITE) &&
		       !(vma->flags & VM_SHARED);
	}
	return vma->flags & (flags & OP_PIN_FORCE ? VM_MAYREAD : VM_READ);
}

/* ENTRY, which maps PAGE, is good enough for a write. BROKEN: a forced write has copied the page.
 */
static bool may_write(pte_t entry, const struct page *page, bool broken)
{
	return pte_write(entry) || (broken && pte_dirty(entry) && (page->flags & PG_ANON));
}

/* The page at VPN, if its entry is good enough. BROKEN: a forced write has copied it. */
static struct page *follow_page(struct machine *machine, struct mm *mm, uint32_t vpn, bool write,
				bool broken)
{
	struct ptep pte = pte_lookup(mm, vpn);
	struct page *page;
	pte_t entry;

	if (!pte.table)
		return NULL;
	entry = ptep_read(machine, pte);
	if (!pte_present(entry))
		return NULL;
	page = pfn_to_page(machine, pte_pfn(entry));
	if (write && !may_write(entry, page, broken) &&
	    !MUTANT_IF(machine, COW_19,
		       !(find_vma(mm, vpn)->flags & VM_WRITE) &&
			       (page->flags & (PG_DIRTY | PG_ANON)) == PG_DIRTY))
		return NULL;
	if (page->flags & PG_RESERVED)
		return page;
	if (write && !pte_dirty(entry))
		page->flags |= PG_DIRTY;
	mark_page_accessed(machine, page);
	return page;
}

/* get_user_pages for one page: 0 and the page, without a reference; -EFAULT or -ENOMEM. */
static int get_user_page(struct machine *machine, struct mm *mm, uint32_t vpn, uint32_t flags,
			 struct page **page)
{
	bool write = flags & OP_PIN_WRITE, broken = false;

	for (uint32_t i = 0; i < FOLLOW_TRIES; i++) {
		struct vma *vma = find_vma(mm, vpn);
		bool read = (broken && MUTANT_ON(machine, COW_01)) ||
			    (write && i && MUTANT_ON(machine, COW_02));
		int err;

		if (!vma || vma->start > vpn || !may_pin(vma, flags))
			return -EFAULT;
		*page = follow_page(machine, mm, vpn, write && !read, broken);
		if (*page) {
			(void)MUTANT_IF(
				machine, COW_01,
				read && !may_write(ptep_peek(pte_lookup(mm, vpn)), *page, broken));
			(void)MUTANT_IF(
				machine, COW_02,
				read && !may_write(ptep_peek(pte_lookup(mm, vpn)), *page, broken));
			return 0;
		}
		err = handle_mm_fault(machine, vma, vpn, write && !read);
		if (err && err != FAULT_RETRY)
			return err == RES_BUS ? -EFAULT : err;
		/* One that has to be tried again has copied nothing. */
		if (!err)
			broken = write && !(vma->flags & VM_WRITE);
		preempt(machine, GUP_BETWEEN);
	}
	/* Reclaim takes the page away as often as it is brought in. */
	machine->last_op.alloc_failed = true;
	return -ENOMEM;
}

/* ---- pins ----------------------------------------------------------------------------------- */

static void pin_page(struct pin *pin, struct page *page)
{
	pin->page[pin->n++] = page;
	if (page->flags & PG_RESERVED)
		return;
	page_get(page);
	page->pins++;
}

static void pin_put(struct machine *machine, struct pin *pin)
{
	for (uint32_t i = 0; i < pin->n; i++) {
		struct page *page = pin->page[i];

		if (page->flags & PG_RESERVED)
			continue;
		/* What a device wrote, no entry has noted. */
		if (pin->write)
			page->flags |= PG_DIRTY;
		page->pins--;
		page_put(machine, page);
	}
	pin->n = 0;
}

bool page_held_for_writing(const struct machine *machine, const struct page *page)
{
	for (uint32_t i = 0; page->pins && i < PIN_MAX; i++) {
		const struct pin *pin = &machine->pins[i];

		for (uint32_t k = 0; pin->write && k < pin->n; k++) {
			if (pin->page[k] == page)
				return true;
		}
	}
	return false;
}

void pins_release(struct machine *machine)
{
	for (uint32_t i = 0; i < PIN_MAX; i++)
		pin_put(machine, &machine->pins[i]);
}

void pins_reset(struct machine *machine)
{
	for (uint32_t i = 0; i < PIN_MAX; i++)
		machine->pins[i].n = 0;
}

int op_pin(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	struct pin *pin = &machine->pins[op->args[1]];
	uint32_t vpn = op->args[2] / PAGE_SIZE, len = op->args[3], flags = op->args[4];
	int err = 0;

	if (machine->clustered)
		return -EOPNOTSUPP;
	if (pin->n)
		return -EBUSY;
	if (!len || len > PIN_PAGES)
		return -EINVAL;
	pin->write = flags & OP_PIN_WRITE;
	while (pin->n < len && !err) {
		struct page *page;

		err = get_user_page(machine, mm, vpn + pin->n, flags, &page);
		if (!err)
			pin_page(pin, page);
	}
	result->value = pin->n;
	return pin->n ? 0 : err;
}

int op_unpin(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	struct pin *pin = &machine->pins[op->args[0]];

	if (!pin->n)
		return -EBADF;
	pin_put(machine, pin);
	return 0;
}

/* The frame number OP->args[1] of the pin, or NULL with the error. */
static struct page *pinned_page(struct machine *machine, const struct op *op, bool write, int *err)
{
	const struct pin *pin = &machine->pins[op->args[0]];

	*err = 0;
	if (!pin->n)
		*err = -EBADF;
	else if (op->args[1] >= pin->n)
		*err = -EINVAL;
	else if (write && !pin->write)
		*err = -EACCES;
	return *err ? NULL : pin->page[op->args[1]];
}

int op_pinread(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	int err;
	const struct page *page = pinned_page(machine, op, false, &err);

	if (page)
		result->token = page->token[0];
	return err;
}

int op_pinwrite(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	int err;
	struct page *page = pinned_page(machine, op, true, &err);

	if (page)
		page->token[0] = token_write(op->serial);
	return err;
}

/* ---- the debugger's write ------------------------------------------------------------------- */

int op_poke(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t vpn = op->args[1] / PAGE_SIZE;
	struct page *page;
	pte_t entry;
	int err = get_user_page(machine, mm, vpn, OP_PIN_WRITE | OP_PIN_FORCE, &page);

	if (err)
		return err;
	entry = ptep_read(machine, pte_lookup(mm, vpn));
	kmap(machine, page);
	*kmap_token(machine, page, page_sub(page, entry)) = token_write(op->serial);
	page->flags |= PG_DIRTY;
	kunmap(machine, page);
	return 0;
}

/*
 * Temporary kernel mappings, those in slots: see kmap.h.
 *
 * A table counts the slots that hold it, so that asking whether an entry may be touched is one look
 * at what is at hand. Without HIGHPTE tables lie in lowmem and are always mapped: the count starts
 * at one.
 */
#include "internal.h"

#include <stdio.h>

static const char *const slot_names[NR_KM_TYPES] = {
	[KM_USER0] = "KM_USER0", [KM_USER1] = "KM_USER1", [KM_BOUNCE_READ] = "KM_BOUNCE_READ",
	[KM_PTE0] = "KM_PTE0",   [KM_PTE1] = "KM_PTE1",   [KM_PTE2] = "KM_PTE2",
};

void kmap_blame(struct machine *machine, enum kmap_fault_kind kind, const char *slot,
		const struct page *page)
{
	if (!machine->kmaps.fault.kind)
		machine->kmaps.fault = (struct kmap_fault){kind, slot, page ? page->pfn : 0};
}

/* A slot that is in use, of SLOTS. */
static enum km_type used_slot(const struct kmap_slots *slots)
{
	enum km_type type = KM_USER0;

	while (!slots->page[type])
		type++;
	return type;
}

static void blame_used(struct machine *machine, enum kmap_fault_kind kind)
{
	const struct kmap_slots *slots = &machine->kmaps.slots;
	enum km_type type = used_slot(slots);

	kmap_blame(machine, kind, slot_names[type], slots->page[type]);
}

void kmap_taken(struct machine *machine, enum km_type type)
{
	struct kmaps *kmaps = &machine->kmaps;

	kmap_blame(machine, KMAP_TWICE, slot_names[type], kmaps->slots.page[type]);
	kmaps->slots.used--; /* the one that is in it is forgotten */
}

bool kmap_not_held(struct machine *machine, const struct page *page, enum km_type type)
{
	struct kmaps *kmaps = &machine->kmaps;

	if (kmaps->lose_unmap && !--kmaps->lose_unmap)
		return true;
	if (kmaps->slots.page[type] != page)
		kmap_blame(machine, KMAP_WRONG, slot_names[type], page);
	return !kmaps->slots.page[type];
}

void kmap_missing(const struct pte_table *table)
{
	kmap_blame(table->machine, KMAP_UNMAPPED, "a slot", table->page);
}

/* ---- contents ---------------------------------------------------------------------------------
 */

/* Content number SUB of PAGE, which slot TYPE holds. */
static uint64_t *slot_token(struct machine *machine, struct page *page, uint32_t sub,
			    enum km_type type)
{
	if (machine->kmaps.slots.page[type] != page)
		kmap_blame(machine, KMAP_UNMAPPED, slot_names[type], page);
	return &page->token[sub];
}

void clear_user_highpage(struct machine *machine, struct page *page, uint32_t sub)
{
	kmap_atomic(machine, page, KM_USER0);
	*slot_token(machine, page, sub, KM_USER0) = 0;
	kunmap_atomic(machine, page, KM_USER0);
}

void copy_user_highpage(struct machine *machine, struct page *to, uint32_t sub, struct page *from,
			uint32_t from_sub)
{
	kmap_atomic(machine, from, KM_USER0);
	kmap_atomic(machine, to, KM_USER1);
	*slot_token(machine, to, sub, KM_USER1) = *slot_token(machine, from, from_sub, KM_USER0);
	kunmap_atomic(machine, from, KM_USER0);
	kunmap_atomic(machine, to, KM_USER1);
}

/* An interrupt says that the data are there, and does not wait. */
void bounce_read(struct machine *machine, struct page *page, const uint64_t *disk)
{
	kmap_atomic(machine, page, KM_BOUNCE_READ);
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++)
		*slot_token(machine, page, sub, KM_BOUNCE_READ) = disk[sub];
	kunmap_atomic(machine, page, KM_BOUNCE_READ);
}

void bounce_write(struct machine *machine, struct page *page, uint64_t *disk)
{
	kmap(machine, page);
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++)
		disk[sub] = *kmap_token(machine, page, sub);
	kunmap(machine, page);
}

/* ---- faults -------------------------------------------------------------------------------------
 */

void kmap_might_sleep(struct machine *machine)
{
	if (machine->kmaps.slots.used)
		blame_used(machine, KMAP_SLEEPS);
}

void kmap_judge(struct machine *machine)
{
	if (machine->kmaps.slots.used)
		blame_used(machine, KMAP_LEFT);
	if (machine->pkmap.users > machine->pkmap.outside)
		kmap_blame(machine, KMAP_LEFT, "the pool", pkmap_left(machine));
}

const struct kmap_fault *machine_kmap_fault(const struct machine *machine)
{
	return machine->kmaps.fault.kind ? &machine->kmaps.fault : NULL;
}

static const struct {
	const char *name, *what;
} kinds[] = {
	[KMAP_TWICE] = {"twice", "is taken while it holds"},
	[KMAP_WRONG] = {"wrong", "is given back for what it does not hold,"},
	[KMAP_SLEEPS] = {"sleeps", "is in use while something is waited for: it holds"},
	[KMAP_LEFT] = {"left", "is in use after the op: it holds"},
	[KMAP_UNMAPPED] = {"unmapped", "does not hold what is touched,"},
	[KMAP_FULL] = {"full", "has no entry left for"},
	[KMAP_STALE] = {"stale", "shows a processor something else in place of"},
};

const char *kmap_fault_name(const struct kmap_fault *fault)
{
	return kinds[fault->kind].name;
}

int kmap_fault_print(const struct kmap_fault *fault, char *buf, size_t size)
{
	return snprintf(buf, size, "%s %s page 0x%x", fault->slot, kinds[fault->kind].what,
			fault->pfn);
}

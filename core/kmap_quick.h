/*
 * The quick part of temporary kernel mappings (kmap.h): taking and giving back a slot when all is
 * well, and what goes through one, page table entries. Included by internal.h.
 */
#ifndef RMAPFUZZ_CORE_KMAP_QUICK_H
#define RMAPFUZZ_CORE_KMAP_QUICK_H

static inline void kmap_atomic(struct machine *machine, struct page *page, enum km_type type)
{
	struct kmap_slots *slots = &machine->kmaps.slots;

	machine->kmaps.atomic++;
	if (__builtin_expect(slots->page[type] != NULL, 0))
		kmap_taken(machine, type);
	slots->page[type] = page;
	slots->used++;
}

static inline void kunmap_atomic(struct machine *machine, struct page *page, enum km_type type)
{
	struct kmap_slots *slots = &machine->kmaps.slots;
	bool odd = slots->page[type] != page || machine->kmaps.lose_unmap;

	if (__builtin_expect(odd, 0) && kmap_not_held(machine, page, type))
		return;
	slots->page[type] = NULL;
	slots->used--;
}

/* pte_offset_map and its like: under HIGHPTE the table of P needs a slot while its entries are
 * looked at or written. Otherwise nothing happens. */
static inline void pte_map_type(struct machine *machine, struct ptep p, enum km_type type)
{
	if (!machine->config.highpte)
		return;
	kmap_atomic(machine, p.table->page, type);
	p.table->mapped++;
}

static inline void pte_unmap_type(struct machine *machine, struct ptep p, enum km_type type)
{
	if (!machine->config.highpte)
		return;
	kunmap_atomic(machine, p.table->page, type);
	p.table->mapped--;
}

/* The entry at P, for who only looks on: the processor, and checks. */
static inline pte_t ptep_peek(struct ptep p)
{
	return pte_load(&p.table->entry[p.slot]);
}
/* The same for the kernel, which must have a mapping of the table (kmap.h). */
static inline pte_t ptep_get(struct ptep p)
{
	if (__builtin_expect(!p.table->mapped, 0))
		kmap_missing(p.table);
	return ptep_peek(p);
}
/* The same with a mapping just for this. */
static inline pte_t ptep_read(struct machine *machine, struct ptep p)
{
	pte_t entry;

	pte_map(machine, p);
	entry = ptep_get(p);
	pte_unmap(machine, p);
	return entry;
}

#endif

/*
 * Page tables: three levels of PAE, the one place where entries are written, and the census.
 *
 *   mm->pgd ----> pmd_table (one per user GB, made with the mm)
 *                    '----> pte_table (made on demand, 2 MB each) ----> page
 *
 * The census is the truth that reverse maps are judged by. Beside each entry of a table lie
 * two links, as in a "companion page": all present entries of a frame are on a list that starts
 * at page->census, newest first. An entry's number is table id * 512 + slot; id 0 is not used,
 * so that 0 is none. pte_set() keeps the list and nobody else writes entries.
 *
 * Tables live in pools and are all zero while free, as if from a slab with a constructor. A
 * table that is freed is empty, so nothing has to be wiped except after pagetable_reset().
 */
#include "internal.h"

#define TABLE_PROT (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define TABLES_MIN 64u

/* ---- pools ------------------------------------------------------------------------------- */

static struct pte_table *table_by_id(const struct machine *machine, uint32_t id)
{
	return machine->tables[id];
}

static void tables_grow(struct machine *machine)
{
	uint32_t max = machine->max_tables ? machine->max_tables * 2 : TABLES_MIN;

	machine->tables = host_realloc(machine, machine->tables, max * sizeof(*machine->tables));
	machine->free_tables =
		host_realloc(machine, machine->free_tables, max * sizeof(*machine->free_tables));
	machine->max_tables = max;
	if (!machine->nr_tables) {
		machine->tables[0] = NULL;
		machine->nr_tables = 1;
	}
}

/* An all-zero table with an id. */
static struct pte_table *table_get(struct machine *machine)
{
	struct pte_table *table;

	if (machine->nr_free_tables)
		return table_by_id(machine, machine->free_tables[--machine->nr_free_tables]);
	if (machine->nr_tables == machine->max_tables)
		tables_grow(machine);
	table = host_alloc(machine, sizeof(*table));
	memset(table, 0, sizeof(*table));
	table->machine = machine;
	table->id = machine->nr_tables++;
	machine->tables[table->id] = table;
	return table;
}

static void table_put(struct machine *machine, struct pte_table *table)
{
	MM_ASSERT(table->nr_live == 0);
	table->mm = NULL;
	table->page = NULL;
	table->vpn = 0;
	machine->free_tables[machine->nr_free_tables++] = table->id;
}

static const struct pmd_words no_words;

/* PMD is about to have its first entry. */
static void pmd_materialise(struct machine *machine, struct pmd_table *pmd)
{
	if (machine->nr_free_pmd_words) {
		pmd->own = machine->pmd_words[--machine->nr_free_pmd_words];
	} else {
		if (machine->nr_pmd_words == machine->max_pmd_words) {
			machine->max_pmd_words =
				machine->max_pmd_words ? machine->max_pmd_words * 2 : 16;
			machine->pmd_words =
				host_realloc(machine, machine->pmd_words,
					     machine->max_pmd_words * sizeof(*machine->pmd_words));
		}
		machine->nr_pmd_words++;
		pmd->own = host_alloc(machine, sizeof(*pmd->own));
		memset(pmd->own, 0, sizeof(*pmd->own));
	}
	pmd->words = pmd->own;
}

static struct pmd_table *pmd_get(struct machine *machine)
{
	struct pmd_table *pmd;

	if (machine->nr_pmd_pool)
		return machine->pmd_pool[--machine->nr_pmd_pool];
	if (machine->nr_pmds == machine->max_pmd_pool) {
		machine->max_pmd_pool = machine->max_pmd_pool ? machine->max_pmd_pool * 2 : 16;
		machine->pmd_pool =
			host_realloc(machine, machine->pmd_pool,
				     machine->max_pmd_pool * sizeof(*machine->pmd_pool));
	}
	machine->nr_pmds++;
	pmd = host_alloc(machine, sizeof(*pmd));
	memset(pmd, 0, sizeof(*pmd));
	pmd->words = &no_words;
	return pmd;
}

static void pmd_put(struct machine *machine, struct pmd_table *pmd)
{
	MM_ASSERT(pmd->nr_live == 0);
	if (pmd->own)
		machine->pmd_words[machine->nr_free_pmd_words++] = pmd->own;
	pmd->own = NULL;
	pmd->words = &no_words;
	pmd->page = NULL;
	machine->pmd_pool[machine->nr_pmd_pool++] = pmd;
}

/* ---- frames of tables ----------------------------------------------------------------------- */

static void table_page_put(struct machine *machine, struct page *page)
{
	page->flags &= ~(PG_TABLE | PG_PMD);
	page->pte_table = NULL;
	page_put(machine, page);
}

static struct pmd_table *pmd_alloc(struct machine *machine)
{
	struct page *page = page_alloc(machine, GFP_KERNEL);
	struct pmd_table *pmd;

	if (!page)
		return NULL;
	pmd = pmd_get(machine);
	pmd->page = page;
	page->flags |= PG_TABLE | PG_PMD;
	page->pmd_table = pmd;
	return pmd;
}

static void pmd_free(struct machine *machine, struct pmd_table *pmd)
{
	struct page *page = pmd->page;

	pmd_put(machine, pmd);
	table_page_put(machine, page);
}

static struct pte_table *pte_table_alloc(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	uint32_t gfp = machine->config.highpte ? GFP_HIGHUSER : GFP_KERNEL;
	struct page *page = page_alloc(machine, gfp);
	struct pte_table *table;

	if (!page)
		return NULL;
	table = table_get(machine);
	table->mm = mm;
	table->mapped = !machine->config.highpte;
	table->vpn = vpn / PMD_PAGES * PMD_PAGES;
	table->page = page;
	page->flags |= PG_TABLE;
	page->pte_table = table;
	return table;
}

static void pte_table_free(struct machine *machine, struct pte_table *table)
{
	struct page *page = table->page;

	table_put(machine, table);
	table_page_put(machine, page);
}

/* ---- upper levels ------------------------------------------------------------------------------
 */

static uint32_t user_pgds(const struct machine *machine)
{
	static const uint32_t count[] = {[SPLIT_3_1] = 3, [SPLIT_2_2] = 2, [SPLIT_4_4] = 4};

	return count[machine->config.split];
}

static pte_t pgd_entry(uint32_t pfn)
{
	return pte_mk(pfn, PTE_P);
}

/* The PDPT needs an aligned 32-byte object of its own; PMDs are made for all user entries at
 * once, because the processor may keep the four entries for as long as the mm is loaded. */
int pgd_alloc(struct machine *machine, struct mm *mm)
{
	uint32_t user = user_pgds(machine);

	mm->pgd = kobj_alloc(machine, PGD);
	if (!mm->pgd)
		return -ENOMEM;
	for (uint32_t i = 0; i < user; i++) {
		mm->pmd[i] = pmd_alloc(machine);
		if (!mm->pmd[i]) {
			pgd_free(machine, mm);
			return -ENOMEM;
		}
		pte_store(&mm->pgd->entry[i], pgd_entry(mm->pmd[i]->page->pfn));
	}
	for (uint32_t i = user; i < PGD_ENTRIES; i++)
		pte_store(&mm->pgd->entry[i], pgd_entry(machine->swapper_pmd_pfn));
	return 0;
}

void pgd_free(struct machine *machine, struct mm *mm)
{
	for (uint32_t i = 0; i < PGD_ENTRIES; i++) {
		if (mm->pmd[i] && !MUTANT_IF(machine, PGT_05, true))
			pmd_free(machine, mm->pmd[i]);
		mm->pmd[i] = NULL;
	}
	kobj_free(machine, PGD, mm->pgd);
	mm->pgd = NULL;
}

/* Where VPN's table hangs; the caller has checked that there is a PMD. */
static uint32_t pmd_slot(uint32_t vpn)
{
	return vpn / PMD_PAGES % PMD_ENTRIES;
}

static inline struct pmd_table *pmd_of(const struct mm *mm, uint32_t vpn)
{
	return vpn < VPN_LIMIT ? mm->pmd[vpn / PGD_PAGES] : NULL;
}

static void pmd_populate(struct machine *machine, struct pmd_table *pmd, uint32_t slot,
			 struct pte_table *table)
{
	if (!pmd->own)
		pmd_materialise(machine, pmd);
	pte_store(&pmd->own->entry[slot], pte_mk(table->page->pfn, TABLE_PROT));
	pmd->own->table[slot] = table;
	pmd->live[slot / 64] |= 1ull << slot % 64;
	pmd->nr_live++;
}

static void pmd_clear(struct pmd_table *pmd, uint32_t slot)
{
	pte_store(&pmd->own->entry[slot], 0);
	pmd->own->table[slot] = NULL;
	pmd->live[slot / 64] &= ~(1ull << slot % 64);
	pmd->nr_live--;
}

struct ptep pte_lookup(const struct mm *mm, uint32_t vpn)
{
	const struct pmd_table *pmd = pmd_of(mm, vpn);

	if (!pmd)
		return (struct ptep){NULL, 0};
	return (struct ptep){pmd->words->table[pmd_slot(vpn)], vpn % PTE_ENTRIES};
}

int pte_alloc(struct machine *machine, struct mm *mm, uint32_t vpn, struct ptep *pte)
{
	struct pmd_table *pmd = pmd_of(mm, vpn);

	MM_ASSERT(pmd);
	*pte = pte_lookup(mm, vpn);
	if (pte->table)
		return 0;
	pte->table = pte_table_alloc(machine, mm, vpn);
	if (!pte->table)
		return -ENOMEM;
	pmd_populate(machine, pmd, pmd_slot(vpn), pte->table);
	mm->nr_ptes++;
	return 0;
}

/* The first set bit of LIVE (512 bits) in [FIRST, 512), or 512. */
static inline uint32_t next_live(const uint64_t live[8], uint32_t first)
{
	uint32_t word = first / 64;
	uint64_t bits;

	if (first >= 512)
		return 512;
	bits = live[word] & ~0ull << first % 64;
	while (!bits) {
		if (++word == 8)
			return 512;
		bits = live[word];
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/*
 * The first table that maps something at or after *VPN and below LAST, and *VPN moved up to it;
 * NULL: none.
 */
static struct pte_table *next_table(const struct mm *mm, uint32_t *vpn, uint32_t last)
{
	while (*vpn < last && *vpn < VPN_LIMIT) {
		const struct pmd_table *pmd = pmd_of(mm, *vpn);
		uint32_t base = *vpn / PGD_PAGES * PGD_PAGES;
		uint32_t first = pmd_slot(*vpn);
		uint32_t slot = pmd && pmd->nr_live ? next_live(pmd->live, first) : PMD_ENTRIES;

		if (slot > first)
			*vpn = base + slot * PMD_PAGES;
		if (slot < PMD_ENTRIES)
			return *vpn < last ? pmd->words->table[slot] : NULL;
	}
	return NULL;
}

/* Mutants for which TABLE is empty. */
static bool tables_go_anyway(struct machine *machine, const struct pte_table *table)
{
	if (MUTANT_IF(machine, PGT_03, true) || MUTANT_IF(machine, PGT_04, true))
		return true;
	if (!MUTANT_ON(machine, SEED_20))
		return false;
	for (uint32_t slot = 0; (slot = next_live(table->live, slot)) < PTE_ENTRIES; slot++) {
		if (pte_present(pte_load(&table->entry[slot])))
			return false;
	}
	return MUTANT_IF(machine, SEED_20, true);
}

void free_pgtables(struct machine *machine, struct mm *mm, uint32_t first, uint32_t last)
{
	uint32_t vpn = (first + PMD_PAGES - 1) / PMD_PAGES * PMD_PAGES;
	struct pte_table *table;

	last = last / PMD_PAGES * PMD_PAGES;
	if (MUTANT_IF(machine, PGT_01, last > (PGD_ENTRIES - 1) * PGD_PAGES))
		last = 0; /* the entry behind the last one is the first */
	for (; (table = next_table(mm, &vpn, last)); vpn += PMD_PAGES) {
		if (table->nr_live && !tables_go_anyway(machine, table))
			continue;
		pmd_clear(pmd_of(mm, vpn), pmd_slot(vpn));
		pte_table_free(machine, table);
		mm->nr_ptes--;
	}
}

bool pte_next(const struct mm *mm, uint32_t first, uint32_t last, uint32_t *vpn, struct ptep *pte)
{
	const struct pmd_table *pmd = pmd_of(mm, first);
	struct pte_table *table = pmd ? pmd->words->table[pmd_slot(first)] : NULL;

	/* Mostly it is in the same table. */
	if (table && table->nr_live) {
		uint32_t slot = next_live(table->live, first % PTE_ENTRIES);

		if (slot < PTE_ENTRIES) {
			*vpn = table->vpn + slot;
			*pte = (struct ptep){table, slot};
			return *vpn < last;
		}
	}
	if (table)
		first = table->vpn + PTE_ENTRIES;
	for (; (table = next_table(mm, &first, last)); first = table->vpn + PTE_ENTRIES) {
		uint32_t slot =
			table->nr_live ? next_live(table->live, first % PTE_ENTRIES) : PTE_ENTRIES;

		if (slot == PTE_ENTRIES)
			continue;
		*vpn = table->vpn + slot;
		*pte = (struct ptep){table, slot};
		return *vpn < last;
	}
	return false;
}

/* ---- census ------------------------------------------------------------------------------------
 */

static uint32_t entry_number(struct ptep p)
{
	return p.table->id * PTE_ENTRIES + p.slot;
}

static struct ptep entry_place(const struct machine *machine, uint32_t number)
{
	return (struct ptep){table_by_id(machine, number / PTE_ENTRIES), number % PTE_ENTRIES};
}

static void census_add(struct machine *machine, struct page *page, struct ptep p)
{
	uint32_t number = entry_number(p), first = page->census;

	p.table->next[p.slot] = first;
	p.table->prev[p.slot] = 0;
	if (first) {
		struct ptep next = entry_place(machine, first);

		next.table->prev[next.slot] = number;
	}
	page->census = number;
}

static void census_del(struct machine *machine, struct page *page, struct ptep p)
{
	uint32_t next = p.table->next[p.slot], prev = p.table->prev[p.slot];

	if (prev) {
		struct ptep before = entry_place(machine, prev);

		before.table->next[before.slot] = next;
	} else {
		MM_ASSERT(page->census == entry_number(p));
		page->census = next;
	}
	if (next) {
		struct ptep after = entry_place(machine, next);

		after.table->prev[after.slot] = prev;
	}
	p.table->next[p.slot] = p.table->prev[p.slot] = 0;
}

bool census_first(const struct machine *machine, const struct page *page, struct ptep *p)
{
	if (!page->census)
		return false;
	*p = entry_place(machine, page->census);
	return true;
}

bool census_next(const struct machine *machine, struct ptep *p)
{
	uint32_t next = p->table->next[p->slot];

	if (!next)
		return false;
	*p = entry_place(machine, next);
	return true;
}

/* ---- the choke point ---------------------------------------------------------------------------
 */

/* The frame that ENTRY puts on the census, or NULL. */
static struct page *tracked_page(const struct machine *machine, pte_t entry)
{
	struct page *page;

	if (!pte_present(entry))
		return NULL;
	page = pfn_to_page(machine, pte_pfn(entry));
	return page && !(page->flags & PG_RESERVED) ? page : NULL;
}

/* The entry changes from OLD to NEW: live bits and census. */
static void entry_changes(struct machine *machine, struct ptep p, pte_t old, pte_t new)
{
	uint64_t bit = 1ull << p.slot % 64, *word = &p.table->live[p.slot / 64];
	struct page *before, *after;

	if (pte_none(old) != pte_none(new)) {
		*word ^= bit;
		p.table->nr_live += pte_none(old) ? 1 : -1u;
	}
	/* The same frame with other permissions keeps its place. */
	if (pte_present(old) && pte_present(new) && pte_pfn(old) == pte_pfn(new))
		return;
	before = tracked_page(machine, old);
	after = tracked_page(machine, new);
	if (before)
		census_del(machine, before, p);
	if (after)
		census_add(machine, after, p);
}

void pte_mark(struct machine *machine, struct ptep p, pte_t value)
{
	pte_t old = ptep_peek(p);

	MM_ASSERT(p.table->mm);
	pte_store(&p.table->entry[p.slot], value);
	entry_changes(machine, p, old, value);
	if (p.table->mm->cpu_vm_mask)
		tlb_suspect(machine, p.table->mm, ptep_vpn(p));
	event_log(machine, EVENT_PTE, 0, p.table->mm->id, ptep_vpn(p), value);
}

void pte_set(struct machine *machine, struct ptep p, pte_t value)
{
	if (!p.table->mapped)
		kmap_missing(p.table);
	pte_mark(machine, p, value);
}

void pte_set_once(struct machine *machine, struct ptep p, pte_t value)
{
	pte_map(machine, p);
	pte_set(machine, p, value);
	pte_unmap(machine, p);
}

pte_t pte_get_and_clear(struct machine *machine, struct ptep p)
{
	pte_t old = pte_take(&p.table->entry[p.slot]);

	MM_ASSERT(p.table->mm);
	if (!p.table->mapped)
		kmap_missing(p.table);
	entry_changes(machine, p, old, 0);
	if (p.table->mm->cpu_vm_mask)
		tlb_suspect(machine, p.table->mm, ptep_vpn(p));
	event_log(machine, EVENT_PTE, 0, p.table->mm->id, ptep_vpn(p), 0);
	return old;
}

/* ---- reset
 * --------------------------------------------------------------------------------------- */

/* Make a table that is still in use all zero; only what is live is not. */
static void table_wipe(struct pte_table *table)
{
	for (uint32_t slot = 0; (slot = next_live(table->live, slot)) < PTE_ENTRIES; slot++) {
		pte_store(&table->entry[slot], 0);
		table->next[slot] = table->prev[slot] = 0;
	}
	memset(table->live, 0, sizeof(table->live));
	table->nr_live = 0;
}

/* Frames and mms go with their own pools. */
void pagetable_reset(struct machine *machine)
{
	struct mm *mm;

	TAILQ_FOREACH (mm, &machine->mms, link) {
		struct pte_table *table;

		for (uint32_t vpn = 0; (table = next_table(mm, &vpn, VPN_LIMIT));
		     vpn += PMD_PAGES) {
			pmd_clear(pmd_of(mm, vpn), pmd_slot(vpn));
			table_wipe(table);
			table_put(machine, table);
		}
		for (uint32_t i = 0; i < PGD_ENTRIES; i++) {
			if (mm->pmd[i])
				pmd_put(machine, mm->pmd[i]);
		}
	}
}

void pagetable_destroy(struct machine *machine)
{
	pagetable_reset(machine);
	for (uint32_t id = 1; id < machine->nr_tables; id++)
		free(machine->tables[id]);
	for (uint32_t i = 0; i < machine->nr_pmd_pool; i++)
		free(machine->pmd_pool[i]);
	for (uint32_t i = 0; i < machine->nr_free_pmd_words; i++)
		free(machine->pmd_words[i]);
	free(machine->pmd_words);
	machine->pmd_words = NULL;
	machine->nr_pmd_words = machine->max_pmd_words = machine->nr_free_pmd_words = 0;
	free(machine->tables);
	free(machine->free_tables);
	free(machine->pmd_pool);
	machine->tables = NULL;
	machine->free_tables = NULL;
	machine->pmd_pool = NULL;
	machine->nr_tables = machine->max_tables = machine->nr_free_tables = 0;
	machine->nr_pmds = machine->max_pmd_pool = machine->nr_pmd_pool = 0;
}

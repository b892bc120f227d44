/*
 * Recount, the page tables, which are the ground truth: every word of every table, permissions
 * against areas; and, entry by entry, who maps what.
 *
 * Most of a table is unused. Which words may be in use, the live bits say; that all others are zero
 * is looked at in bulk.
 */
#include "recount_private.h"

/* ---- entries ------------------------------------------------------------------------------- */

/* Where an entry is: for its checks, and for messages. */
struct place {
	const struct mm *mm;
	const struct vma *vma; /* the first area that ends after vpn */
	uint32_t vpn;
};

static bool bad_entry(struct recount *r, const struct place *at, const char *what)
{
	return recount_wrong(r, "mm %u: entry of 0x%x %s", at->mm->id, at->vpn, what);
}

/* How many entries map the frame that ENTRY maps; more than a page has frames is told as that. */
static uint32_t mappings_of_frame(const struct machine *machine, const struct page *page,
				  pte_t entry)
{
	uint32_t n = 0;
	struct ptep p;

	if (sub_pages(machine) == 1 || page->mapcount > sub_pages(machine))
		return page->mapcount;
	for (bool more = census_first(machine, page, &p); more; more = census_next(machine, &p))
		n += pte_pfn(ptep_peek(p)) == pte_pfn(entry);
	return n;
}

/* A private frame that may be written is this entry's alone. */
static bool check_writable(struct recount *r, const struct place *at, const struct page *page,
			   pte_t entry)
{
	if (!(at->vma->flags & VM_WRITE))
		return bad_entry(r, at, "is writable, its area is not");
	if (at->vma->flags & VM_SHARED)
		return true;
	if (!(page->flags & PG_ANON))
		return bad_entry(r, at, "writes to a page that is not private");
	if (mappings_of_frame(r->machine, page, entry) != 1)
		return bad_entry(r, at, "writes to a page that others map, too");
	return true;
}

/* Is PAGE what this place of the area shows? */
static bool check_backing(struct recount *r, const struct place *at, const struct page *page,
			  pte_t entry)
{
	const struct vma *vma = at->vma;
	uint32_t index = vma_index_of_vpn(vma, at->vpn), sub = page_sub(page, entry);

	if (!(vma->flags & VM_NONLINEAR) && sub != sub_of(r->machine, index))
		return bad_entry(r, at, "maps the wrong part of its page");

	if (page->flags & PG_RESERVED) {
		if (page != r->machine->zero_page || vma->file)
			return bad_entry(r, at, "maps a reserved page that is not for it");
		return true;
	}
	if (page->flags & PG_ANON) {
		if (vma->flags & VM_SHARED)
			return bad_entry(r, at, "maps an anonymous page in a shared area");
		if (!vma->anon)
			return bad_entry(r, at, "maps an anonymous page, its area knows of none");
		return true;
	}
	if (!page->mapping || page->mapping != vma->file)
		return bad_entry(r, at, "maps a page that is not its file's");
	if (!(vma->flags & VM_NONLINEAR) && page->index + sub != index)
		return bad_entry(r, at, "maps the wrong page of its file");
	return true;
}

static bool check_present(struct recount *r, const struct place *at, pte_t entry, uint32_t *rss)
{
	const uint32_t prot_bits = PTE_P | PTE_US | PTE_PROTNONE;
	struct page *page = pfn_to_page(r->machine, pte_pfn(entry));

	if (!page || (page->flags & (PG_FREE | PG_TABLE)))
		return bad_entry(r, at, "maps a frame that is free or holds a table");
	if (((uint32_t)entry ^ prot_of_flags(at->vma->flags)) & prot_bits)
		return bad_entry(r, at, "has other permissions than its area");
	if (!check_backing(r, at, page, entry))
		return false;
	if (pte_write(entry) && !check_writable(r, at, page, entry))
		return false;
	if (!(page->flags & PG_RESERVED)) {
		page->seen++;
		++*rss;
	}
	return true;
}

static bool check_entry(struct recount *r, const struct place *at, pte_t entry, uint32_t *rss)
{
	if (pte_none(entry))
		return bad_entry(r, at, "is none, but marked live");
	if (!at->vma || at->vma->start > at->vpn)
		return bad_entry(r, at, "is in no area");
	if (pte_present(entry))
		return check_present(r, at, entry, rss);
	if (pte_file(entry))
		return (at->vma->flags & VM_NONLINEAR) ||
		       bad_entry(r, at, "is a file offset, its area is not nonlinear");
	return count_slot(r, pte_to_swp(entry)) ||
	       bad_entry(r, at, "names a swap slot that does not exist");
}

/* ---- tables ---------------------------------------------------------------------------------- */

static uint32_t popcount(const uint64_t live[8])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 8; i++)
		n += live[i] ? (uint32_t)__builtin_popcountll(live[i]) : 0;
	return n;
}

#define GROUP  64u /* slots that a word of live bits is about */
#define GROUPS (PTE_ENTRIES / GROUP)
_Static_assert(PTE_ENTRIES == PMD_ENTRIES, "tables of both levels have as many slots");

static bool bad_table(struct recount *r, const struct pte_table *table, const char *what)
{
	return recount_wrong(r, "mm %u: page table of 0x%x %s", table->mm->id, table->vpn, what);
}

/* Every live entry is checked by itself. AT moves along. */
static bool check_entries(struct recount *r, const struct pte_table *table, struct place *at,
			  uint32_t *rss)
{
	for (uint32_t word = 0; word < PTE_ENTRIES / GROUP; word++) {
		for (uint64_t live = table->live[word]; live; live &= live - 1) {
			uint32_t slot = word * GROUP + (uint32_t)__builtin_ctzll(live);

			at->vpn = table->vpn + slot;
			while (at->vma && at->vma->end <= at->vpn)
				at->vma = at->vma->next;
			if (!check_entry(r, at, pte_load(&table->entry[slot]), rss))
				return false;
		}
	}
	if (table->nr_live != popcount(table->live))
		return bad_table(r, table, "has a wrong number of live entries");
	return true;
}

static bool check_table_page(const struct page *page, uint32_t flags, const void *table)
{
	return (page->flags & (PG_TABLE | PG_PMD)) == flags && page->pte_table == table;
}

static bool check_table(struct recount *r, const struct mm *mm, const struct pmd_table *pmd,
			uint32_t slot, uint32_t vpn, struct place *at, uint32_t *rss)
{
	const struct pte_table *table = pmd->words->table[slot];

	if (!table || table->mm != mm || table->vpn != vpn)
		return recount_wrong(r, "mm %u: page table of 0x%x is another one's", mm->id, vpn);
	if (r->machine->tables[table->id] != table)
		return bad_table(r, table, "is not the one with its number");
	if (!check_table_page(table->page, PG_TABLE, table))
		return bad_table(r, table, "has a frame that does not know it");
	if (pte_load(&pmd->words->entry[slot]) !=
	    pte_mk(table->page->pfn, PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D))
		return bad_table(r, table, "is not where the PMD entry points");
	r->pte_tables++;
	return check_entries(r, table, at, rss);
}

static bool bad_pmd(struct recount *r, const struct mm *mm, uint32_t pgd_slot)
{
	return recount_wrong(r, "mm %u: PMD %u has a wrong number of tables", mm->id, pgd_slot);
}

static bool check_pmd(struct recount *r, const struct mm *mm, uint32_t pgd_slot, struct place *at,
		      uint32_t *rss)
{
	const struct pmd_table *pmd = mm->pmd[pgd_slot];

	if (!check_table_page(pmd->page, PG_TABLE | PG_PMD, pmd))
		return recount_wrong(r, "mm %u: the frame of PMD %u does not know it", mm->id,
				     pgd_slot);
	if (pte_load(&mm->pgd->entry[pgd_slot]) != pte_mk(pmd->page->pfn, PTE_P))
		return recount_wrong(r, "mm %u: PGD entry %u points elsewhere", mm->id, pgd_slot);
	if (pmd->nr_live != popcount(pmd->live))
		return bad_pmd(r, mm, pgd_slot);
	r->pmd_tables++;
	for (uint32_t word = 0; word < PMD_ENTRIES / 64; word++) {
		for (uint64_t live = pmd->live[word]; live; live &= live - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(live);

			if (!check_table(r, mm, pmd, slot, pgd_slot * PGD_PAGES + slot * PMD_PAGES,
					 at, rss))
				return false;
		}
	}
	return true;
}

bool check_page_tables(struct recount *r, const struct mm *mm)
{
	struct place at = {mm, mm->first, 0};
	uint32_t tables = r->pte_tables, rss = 0;

	for (uint32_t i = 0; i < PGD_ENTRIES; i++) {
		if (i * PGD_PAGES < task_pages(r->machine)) {
			if (!mm->pmd[i])
				return recount_wrong(r, "mm %u: PMD %u is missing", mm->id, i);
			if (!check_pmd(r, mm, i, &at, &rss))
				return false;
		} else if (mm->pmd[i] || pte_load(&mm->pgd->entry[i]) !=
						 pte_mk(r->machine->swapper_pmd_pfn, PTE_P)) {
			return recount_wrong(r, "mm %u: PGD entry %u is not the kernel's", mm->id,
					     i);
		}
	}
	return recount_same_mm(r, mm, "nr_ptes", mm->nr_ptes, r->pte_tables - tables) &&
	       recount_same_mm(r, mm, "rss", mm->rss, rss);
}

/* ---- what is not in use ---------------------------------------------------------------------- */

/* SIZE bytes are zero: the first word is, and each is what is before it. */
static bool is_zero(const void *bytes, size_t size)
{
	uint64_t first;

	memcpy(&first, bytes, sizeof(first));
	return !first && !memcmp(bytes, (const char *)bytes + sizeof(first), size - sizeof(first));
}

/* How many groups from GROUP on have nothing live. */
static uint32_t idle_groups(const uint64_t live[GROUPS], uint32_t group)
{
	uint32_t n = 0;

	while (group + n < GROUPS && !live[group + n])
		n++;
	return n;
}

/* Is slot I of a group, which is in USE or not, marked rightly in the word of LIVE bits? */
static bool marked(uint64_t live, uint32_t i, bool use)
{
	return use == (live >> i & 1);
}

/* Entries are in use where they are live, and nowhere else. */
static bool check_words(const struct pte_words *entry, const uint64_t live[GROUPS])
{
	uint32_t idle;

	for (uint32_t group = 0; group < GROUPS; group += idle + 1) {
		const struct pte_words *e = &entry[group * GROUP];

		idle = idle_groups(live, group);
		if (idle && !is_zero(e, idle * GROUP * sizeof(*e)))
			return false;
		e += idle * GROUP;
		for (uint32_t i = 0; group + idle < GROUPS && i < GROUP; i++) {
			if (!marked(live[group + idle], i, e[i].low | e[i].high))
				return false;
		}
	}
	return true;
}

/* None but live entries have links of the census. */
static bool check_links(const uint32_t *link, const uint64_t live[GROUPS])
{
	uint32_t idle;

	for (uint32_t group = 0; group < GROUPS; group += idle + 1) {
		const uint32_t *l = &link[group * GROUP];

		idle = idle_groups(live, group);
		if (idle && !is_zero(l, idle * GROUP * sizeof(*l)))
			return false;
		l += idle * GROUP;
		for (uint32_t i = 0; group + idle < GROUPS && i < GROUP; i++) {
			if (l[i] && !marked(live[group + idle], i, true))
				return false;
		}
	}
	return true;
}

/* Tables are known where there are entries, and nowhere else. */
static bool check_shortcuts(struct pte_table *const *table, const uint64_t live[GROUPS])
{
	for (uint32_t group = 0; group < GROUPS; group++) {
		struct pte_table *const *t = &table[group * GROUP];

		if (!live[group] && is_zero(t, GROUP * sizeof(*t)))
			continue;
		for (uint32_t i = 0; i < GROUP; i++) {
			if (!marked(live[group], i, t[i] != NULL))
				return false;
		}
	}
	return true;
}

static bool check_rest_of_table(struct recount *r, const struct pte_table *table)
{
	if (!check_words(table->entry, table->live))
		return bad_table(r, table, "has a wrong number of live entries");
	return (check_links(table->next, table->live) && check_links(table->prev, table->live)) ||
	       bad_table(r, table, "has census links without an entry");
}

static bool check_rest_of_pmd(const struct pmd_table *pmd)
{
	const struct pmd_words *words = pmd->words;

	/* Without words of its own it shares those that nobody can write. */
	if (!pmd->own)
		return is_zero(pmd->live, sizeof(pmd->live));
	return words == pmd->own && check_words(words->entry, pmd->live) &&
	       check_shortcuts(words->table, pmd->live);
}

static bool check_rest_of_tables(struct recount *r, const struct pmd_table *pmd)
{
	for (uint32_t group = 0; group < GROUPS; group++) {
		for (uint64_t live = pmd->live[group]; live; live &= live - 1) {
			uint32_t slot = group * GROUP + (uint32_t)__builtin_ctzll(live);

			if (!check_rest_of_table(r, pmd->words->table[slot]))
				return false;
		}
	}
	return true;
}

bool check_idle_words(struct recount *r, const struct mm *mm)
{
	for (uint32_t i = 0; i < PGD_ENTRIES; i++) {
		const struct pmd_table *pmd = mm->pmd[i];

		if (!pmd)
			continue;
		if (!check_rest_of_pmd(pmd))
			return bad_pmd(r, mm, i);
		if (!check_rest_of_tables(r, pmd))
			return false;
	}
	return true;
}

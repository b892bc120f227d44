/*
 * Between the engine and the reverse map: what every mapping is counted by, walks with their
 * evidence, and the services of rmap.h.
 *
 * A walk leaves three things in the events: what the page tables say (the census, before the
 * design is asked), what the design showed, and what became of it. An entry that the design
 * shows is looked at before the engine acts on it; one that does not map the page is logged as
 * stale and goes no further, so that a wrong design is found out instead of doing damage.
 */
#include "internal.h"

/* ---- the table of designs ----------------------------------------------------------------- */

#define BACKEND(symbol)       extern const struct rmap_ops symbol;
#define OBJECT_DESIGN(symbol) extern const struct rmap_ops symbol, SIDES(symbol);
#define SIDES(symbol)         symbol##_list, symbol##_prio_tree, symbol##_interval_tree
#include "rmap/backends.def"
#undef BACKEND
#undef OBJECT_DESIGN
#undef SIDES

#define FILE_SIDE(symbol) extern const struct rmap_file_ops symbol;
#include "rmap/file_sides.def"
#undef FILE_SIDE

const struct rmap_ops *const rmap_backends[] = {
#define BACKEND(symbol)       &symbol,
#define OBJECT_DESIGN(symbol) &symbol,
#include "rmap/backends.def"
#undef OBJECT_DESIGN
	NULL,
};

const struct rmap_ops *const rmap_combinations[] = {
#define OBJECT_DESIGN(symbol) &symbol##_list, &symbol##_prio_tree, &symbol##_interval_tree,
#include "rmap/backends.def"
#undef OBJECT_DESIGN
#undef BACKEND
	NULL,
};

static const struct rmap_ops *find_in(const struct rmap_ops *const *table, const char *name)
{
	while (*table && strcmp((*table)->name, name))
		table++;
	return *table;
}

const struct rmap_ops *rmap_find(const char *name)
{
	const struct rmap_ops *rmap = find_in(rmap_backends, name);

	return rmap ? rmap : find_in(rmap_combinations, name);
}

uint32_t rmap_vma_bytes(const struct rmap_ops *rmap)
{
	return rmap->vma_bytes + (rmap->file ? rmap->file->vma_bytes : 0);
}

const struct rmap_file_ops *machine_file_side(const struct machine *machine)
{
	return machine->rmap->file ? machine->rmap->file : &rmap_file_list;
}

/* ---- mappings come and go -------------------------------------------------------------------- */

#define MAPCOUNT_MAX_TINY 63u

/* Kernels let a map count overflow. Here a narrow one refuses, like memory that has run out. */
static bool mapcount_full(const struct machine *machine, const struct page *page)
{
	return page->mapcount == MAPCOUNT_MAX_TINY && machine->config.counters == COUNTERS_TINY;
}

/* Only for what others map, too, may a design ask for a copy, and only if it says that it does. */
static bool may_unshare(const struct machine *machine, const struct page *page, uint32_t others)
{
	return machine->rmap->may_unshare && (page->flags & PG_ANON) && others;
}

int page_try_add_rmap(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte)
{
	int err;

	if (page->flags & PG_RESERVED)
		return 0;
	if (mapcount_full(machine, page)) {
		machine->last_op.alloc_failed = true;
		return -ENOMEM;
	}
	err = machine->rmap->add(machine, page, vma, vpn, pte);
	MM_ASSERT(err <= 0 || may_unshare(machine, page, page->mapcount));
	if (err)
		return err;
	page->mapcount++;
	vma->mm->rss++;
	return 0;
}

int page_add_rmap(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		  struct ptep pte)
{
	int err = page_try_add_rmap(machine, page, vma, vpn, pte);

	MM_ASSERT(err <= 0);
	return err;
}

int page_move_rmap(struct machine *machine, struct page *page, struct vma *old, uint32_t old_vpn,
		   struct ptep from, struct vma *new, uint32_t new_vpn, struct ptep to)
{
	int err;

	if (!machine->rmap->move || (page->flags & PG_RESERVED))
		return 0;
	err = machine->rmap->move(machine, page, old, old_vpn, from, new, new_vpn, to);
	MM_ASSERT(err <= 0 || may_unshare(machine, page, page->mapcount - 1));
	return err;
}

void page_remove_rmap(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		      struct ptep pte)
{
	if (page->flags & PG_RESERVED)
		return;
	MM_ASSERT(page->mapcount > 0);
	machine->rmap->remove(machine, page, vma, vpn, pte);
	page->mapcount--;
	vma->mm->rss--;
}

/* ---- walks ------------------------------------------------------------------------------------
 */

struct walk {
	rmap_visit_fn *visit;
	void *arg;
};

static bool in_use(struct ptep pte)
{
	return pte.table && pte.table->mm;
}

/*
 * Is what the design shows true: an entry that maps PAGE, at this address, in this area? No area
 * is an answer, too, for a design that finds entries and not areas.
 */
static bool shown_rightly(const struct machine *machine, const struct page *page,
			  const struct vma *vma, uint32_t vpn, struct ptep pte)
{
	if (!in_use(pte) || pte.slot >= PTE_ENTRIES || ptep_vpn(pte) != vpn)
		return false;
	if (!rmap_maps(machine, page, ptep_peek(pte)))
		return false;
	return !vma || (vma->mm == pte.table->mm && vma->start <= vpn && vpn < vma->end);
}

/* Whose entry it was said to be. */
static uint32_t shown_mm(const struct vma *vma, struct ptep pte)
{
	if (vma)
		return vma->mm->id;
	return in_use(pte) ? pte.table->mm->id : UINT16_MAX;
}

static enum rmap_answer visit_one(struct machine *machine, struct page *page, struct vma *vma,
				  uint32_t vpn, struct ptep pte, void *arg)
{
	const struct walk *walk = arg;
	enum rmap_answer answer;
	struct mm *mm;

	if (!shown_rightly(machine, page, vma, vpn, pte)) {
		event_log(machine, EVENT_STALE, 0, shown_mm(vma, pte), vpn, 0);
		return RMAP_DROP;
	}
	mm = pte.table->mm;
	if (ptl_trylock_fails(machine, mm)) {
		event_log(machine, EVENT_VISIT, RMAP_KEEP, mm->id, vpn, 0);
		return RMAP_KEEP;
	}
	pte_map_type(machine, pte, KM_PTE2);
	answer = walk->visit(machine, page, vma, vpn, pte, walk->arg);
	pte_unmap_type(machine, pte, KM_PTE2);
	event_log(machine, EVENT_VISIT, (uint8_t)answer, mm->id, vpn, 0);
	if (answer == RMAP_DROP) {
		MM_ASSERT(!rmap_maps(machine, page, ptep_peek(pte)));
		MM_ASSERT(page->mapcount > 0);
		page->mapcount--;
		mm->rss--;
		machine->unmaps++;
	}
	if (MUTANT_IF(machine, MRE_20, machine->waiting && (page->flags & PG_ANON)) ||
	    MUTANT_IF(machine, PRI_03, machine->waiting && page->mapping))
		preempt(machine, WALK_BETWEEN);
	else
		preempt(machine, WALK_BETWEEN, .page = page, .i_mmap = page->mapping, .rmap = true);
	return answer;
}

/* Does entry P show PAGE where 2.6.7 would not look for it? */
static bool is_left_to_clusters(struct machine *machine, const struct page *page, struct ptep p)
{
	const struct vma *vma;

	if (machine->config.nonlinear != NONLINEAR_CLUSTER || (page->flags & PG_ANON))
		return false;
	vma = vma_at(machine, p.table->mm, ptep_vpn(p));
	return vma && (vma->flags & VM_NONLINEAR);
}

static void log_census(struct machine *machine, const struct page *page, enum walk_reason why)
{
	struct ptep p = {NULL, 0};
	bool more = census_first(machine, page, &p);

	event_log(machine, EVENT_WALK, (uint8_t)why, more ? p.table->mm->id : UINT16_MAX,
		  more ? ptep_vpn(p) : 0, page->mapcount);
	for (; more; more = census_next(machine, &p))
		event_log(machine, EVENT_CENSUS, is_left_to_clusters(machine, page, p),
			  p.table->mm->id, ptep_vpn(p), 0);
}

void page_walk(struct machine *machine, struct page *page, enum walk_reason why,
	       rmap_visit_fn *visit, void *arg)
{
	struct walk walk = {visit, arg};

	if (page_trylock_fails(machine, page))
		return;
	(void)MUTANT_IF(machine, MRE_08, mutant_outside_areas(machine, page));
	machine->left_to_clusters = false;
	log_census(machine, page, why);
	machine->rmap->walk(machine, page, visit_one, &walk);
	event_log(machine, EVENT_WALK_END, machine->left_to_clusters, 0, 0, page->mapcount);
}

bool rmap_leave_to_clusters(struct machine *machine)
{
	machine->left_to_clusters = machine->config.nonlinear == NONLINEAR_CLUSTER;
	return machine->left_to_clusters;
}

/* ---- looking at page tables
 * ---------------------------------------------------------------------- */

static void count_kmap(struct machine *machine)
{
	if (machine->config.highpte)
		machine->counters.kmap_atomic++;
}

uint32_t machine_sub_pages(const struct machine *machine)
{
	return sub_pages(machine);
}

bool rmap_maps(const struct machine *machine, const struct page *page, pte_t entry)
{
	return pte_present(entry) && page_sub(page, entry) < sub_pages(machine);
}

bool rmap_probe(struct machine *machine, const struct page *page, const struct vma *vma,
		uint32_t vpn, struct ptep *pte)
{
	return rmap_probe_mm(machine, page, vma->mm, vpn, pte);
}

bool rmap_probe_mm(struct machine *machine, const struct page *page, const struct mm *mm,
		   uint32_t vpn, struct ptep *pte)
{
	machine->counters.pte_probes++;
	*pte = pte_lookup(mm, vpn);
	if (pte->table) {
		bool found;

		count_kmap(machine);
		pte_map_type(machine, *pte, KM_PTE2);
		found = rmap_maps(machine, page, ptep_get(*pte));
		pte_unmap_type(machine, *pte, KM_PTE2);
		if (found)
			return true;
	}
	machine->counters.pte_misses++;
	return false;
}

/* A table's frame and the offset in it, as pte_chain keeps them. */
pte_addr_t pte_addr_of(struct ptep pte)
{
	return (pte_addr_t)pte.table->page->pfn << PAGE_SHIFT | pte.slot * sizeof(struct pte_words);
}

bool pte_addr_find(struct machine *machine, pte_addr_t addr, struct ptep *pte)
{
	uint32_t offset = (uint32_t)addr % PAGE_SIZE;
	const struct page *page;

	*pte = (struct ptep){NULL, 0};
	if (addr >> PAGE_SHIFT > UINT32_MAX || offset % sizeof(struct pte_words))
		return false;
	page = pfn_to_page(machine, (uint32_t)(addr >> PAGE_SHIFT));
	if (!page || (page->flags & (PG_TABLE | PG_PMD)) != PG_TABLE)
		return false;
	count_kmap(machine);
	*pte = (struct ptep){page->pte_table, offset / (uint32_t)sizeof(struct pte_words)};
	return true;
}

/* The entries of one table after the other; a table stays mapped while its entries are looked at.
 */
struct scan {
	struct ptep mapped; /* NULL: none is */
};

static void scan_move(struct machine *machine, struct scan *scan, struct ptep to)
{
	if (scan->mapped.table == to.table)
		return;
	if (scan->mapped.table)
		pte_unmap(machine, scan->mapped);
	scan->mapped = to;
	if (!to.table)
		return;
	count_kmap(machine);
	pte_map(machine, to);
}

bool rmap_each_mapped(struct machine *machine, struct vma *vma, uint32_t first, uint32_t last,
		      const struct page *only, rmap_each_fn *each, void *arg)
{
	struct scan scan = {{NULL, 0}};
	struct ptep pte;
	bool go_on = true;
	uint32_t vpn;

	for (; go_on && pte_next(vma->mm, first, last, &vpn, &pte); first = vpn + 1) {
		struct page *page;
		pte_t entry;

		machine->counters.pte_probes++;
		scan_move(machine, &scan, pte);
		entry = ptep_get(pte);
		if (!pte_present(entry) || (only && !rmap_maps(machine, only, entry)))
			continue;
		page = pfn_to_page(machine, pte_pfn(entry));
		if (page && !(page->flags & PG_RESERVED))
			go_on = each(machine, page, vpn, pte, arg);
	}
	scan_move(machine, &scan, (struct ptep){NULL, 0});
	return go_on;
}

struct vma *vma_at(struct machine *machine, struct mm *mm, uint32_t vpn)
{
	struct vma *vma = find_vma(mm, vpn);

	/* A child that is being made still has its parent's tree. */
	if (MUTANT_IF(machine, FORK_04,
		      machine->op && machine->op->code == OP_fork && !machine->tasks[mm->id]))
		vma = mm->cache = find_vma(machine->tasks[machine->op->args[0]]->mm, vpn);
	return vma && vma->start <= vpn ? vma : NULL;
}

/* ---- checks --------------------------------------------------------------------------- */

struct file_census {
	const struct address_space *file;
	uint32_t areas;
	bool stranger;
};

static bool count_area(struct vma *vma, void *arg)
{
	struct file_census *census = arg;

	census->stranger = vma->file != census->file || (vma->flags & VM_NONLINEAR);
	census->areas++;
	return census->stranger;
}

static const char *check_file_side(const struct rmap_file_ops *side,
				   const struct address_space *file)
{
	struct file_census census = {.file = file};
	const char *broken = side->check ? side->check(file) : NULL;
	const struct vma *vma;
	uint32_t areas = 0;

	if (broken)
		return broken;
	side->each(file, count_area, &census);
	TAILQ_FOREACH (vma, &file->i_mmap, shared)
		areas++;
	if (census.stranger || census.areas != areas)
		return "the file side has each area of its file, once, and no others";
	return NULL;
}

const char *rmap_check(struct machine *machine)
{
	const struct rmap_ops *rmap = machine->rmap;
	const char *broken = rmap->check ? rmap->check(machine) : NULL;
	const struct address_space *file;

	if (!rmap->file)
		return broken;
	TAILQ_FOREACH (file, &machine->file_list, link) {
		if (!broken)
			broken = check_file_side(rmap->file, file);
	}
	return broken;
}

/* ---- the rest of what a design may call
 * ------------------------------------------------------------ */

struct mm_list *machine_mms(struct machine *machine)
{
	return &machine->mms;
}

struct rmap_counters *machine_counters(struct machine *machine)
{
	return &machine->counters;
}

void *machine_private(struct machine *machine)
{
	return machine->rmap_private;
}

void *machine_private_alloc(struct machine *machine, size_t bytes)
{
	machine->rmap_private = host_realloc(machine, machine->rmap_private, bytes);
	memset(machine->rmap_private, 0, bytes);
	return machine->rmap_private;
}

uint32_t machine_pte_addr_bytes(const struct machine *machine)
{
	return machine->config.highpte ? 8 : 4;
}

uint32_t machine_cacheline(const struct machine *machine)
{
	return machine->config.cacheline;
}

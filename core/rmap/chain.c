/*
 * Packed pte chains; see chain.h for the layout. After R. van Riel's minimal rmap (2.5.27), and
 * A. Morton's and D. McCracken's packing of 2002 and 2003 (PG_direct, array chains, next_and_idx).
 *
 * add() is O(1). remove() searches from the head, so the newest mapping goes at once (a child that
 * exits soon) and the oldest costs the whole list. Each slot looked at counts as one link.
 */
#include "chain.h"

#include <stdio.h>

#include "backend.h"

#define LINE_SIZES 3 /* 32, 64, 128 */

/* A cache per line size, since a machine may be reconfigured. */
struct chain_private {
	struct kmem_cache *cache[LINE_SIZES];
};

static uint32_t slots_of(uint32_t line, uint32_t addr_bytes)
{
	return (line - 4) / addr_bytes;
}

uint32_t chain_slots(const struct machine *machine)
{
	return slots_of(machine_cacheline(machine), machine_pte_addr_bytes(machine));
}

void chain_create(struct machine *machine)
{
	static const char *const names[LINE_SIZES] = {"pte_chain-32", "pte_chain-64",
						      "pte_chain-128"};
	struct chain_private *private = machine_private_alloc(machine, sizeof(*private));

	for (uint32_t i = 0; i < LINE_SIZES; i++) {
		uint32_t line = 32u << i;
		size_t host = sizeof(struct pte_chain) + slots_of(line, 4) * sizeof(pte_addr_t);

		private->cache[i] = kmem_cache_create(machine, names[i], line, line, host);
	}
}

static struct kmem_cache *chain_cache(struct machine *machine)
{
	const struct chain_private *private = machine_private(machine);

	return private->cache[machine_cacheline(machine) / 64]; /* 32: 0, 64: 1, 128: 2 */
}

/* ---- the list -------------------------------------------------------------------------- */

static bool is_direct(const struct page *page)
{
	return page->rmap_flags & CHAIN_DIRECT;
}

/* The first object, or NULL. */
static struct pte_chain *head_of(const struct page *page)
{
	return is_direct(page) ? NULL : page->rmap.ptr;
}

static void set_direct(struct page *page, pte_addr_t addr)
{
	page->rmap.word = addr;
	page->rmap_flags |= CHAIN_DIRECT;
}

static void set_head(struct page *page, struct pte_chain *head)
{
	/* The word is wider than the pointer on i386: clear it, or page_mapped() sees the rest. */
	page->rmap.word = 0;
	page->rmap.ptr = head;
	page->rmap_flags &= ~CHAIN_DIRECT;
}

/* Will link() of one more entry take an object? */
static bool needs_object(const struct page *page)
{
	if (!page->rmap.word)
		return false;
	return is_direct(page) || head_of(page)->idx == 0;
}

/* Enter ADDR. Returns SPARE if it was not used. */
static struct pte_chain *link_addr(struct page *page, pte_addr_t addr, struct pte_chain *spare,
				   uint32_t nrpte)
{
	struct pte_chain *head = spare;

	if (!page->rmap.word) {
		set_direct(page, addr);
		return spare;
	}
	if (is_direct(page)) {
		MM_ASSERT(spare);
		head->next = NULL;
		head->idx = nrpte - 1;
		head->ptes[head->idx] = page->rmap.word;
	} else if (head_of(page)->idx == 0) {
		MM_ASSERT(spare);
		head->next = head_of(page);
		head->idx = nrpte;
	} else {
		head = head_of(page);
	}
	if (head == spare) {
		set_head(page, head);
		spare = NULL;
	}
	head->ptes[--head->idx] = addr;
	return spare;
}

/* SLOT's entry goes. Returns the head, if this empties it: it is off the list then. */
static struct pte_chain *fill_hole(struct page *page, pte_addr_t *slot, uint32_t nrpte)
{
	struct pte_chain *head = head_of(page);

	*slot = head->ptes[head->idx];
	head->ptes[head->idx++] = 0;
	if (head->idx < nrpte)
		return NULL;
	set_head(page, head->next);
	return head;
}

/* Take ADDR out. False: it is not there. *EMPTIED: an object that is not needed any more. */
static bool unlink_addr(struct machine *machine, struct page *page, pte_addr_t addr,
			struct pte_chain **emptied)
{
	struct rmap_counters *counters = machine_counters(machine);
	uint32_t nrpte = chain_slots(machine);

	*emptied = NULL;
	if (is_direct(page)) {
		if (page->rmap.word != addr)
			return false;
		set_head(page, NULL);
		return true;
	}
	for (struct pte_chain *chain = head_of(page); chain; chain = chain->next) {
		for (uint32_t i = chain->idx; i < nrpte; i++) {
			counters->links++;
			if (chain->ptes[i] != addr)
				continue;
			*emptied = fill_hole(page, &chain->ptes[i], nrpte);
			return true;
		}
	}
	return false;
}

int chain_add(struct machine *machine, struct page *page, struct ptep pte)
{
	struct pte_chain *spare = NULL;

	if (needs_object(page)) {
		spare = rmap_cache_alloc(machine, chain_cache(machine));
		if (!spare)
			return -ENOMEM;
	}
	spare = link_addr(page, pte_addr_of(pte), spare, chain_slots(machine));
	MM_ASSERT(!spare);
	return 0;
}

void chain_remove(struct machine *machine, struct page *page, struct ptep pte)
{
	struct pte_chain *emptied;

	/* Who asks the entry, after it was cleared, thinks that there is nothing to do. */
	if (MUTANT_IF(machine, PTC_02, pte_none(pte_load(&pte.table->entry[pte.slot]))))
		return;
	unlink_addr(machine, page, pte_addr_of(pte), &emptied);
	if (emptied)
		kmem_cache_free(machine, chain_cache(machine), emptied);
}

void chain_move(struct machine *machine, struct page *page, struct ptep from, struct ptep to)
{
	struct pte_chain *spare;

	if (!unlink_addr(machine, page, pte_addr_of(from), &spare))
		return;
	MM_ASSERT(spare || !needs_object(page));
	spare = link_addr(page, pte_addr_of(to), spare, chain_slots(machine));
	if (spare)
		kmem_cache_free(machine, chain_cache(machine), spare);
}

/* ---- walk ------------------------------------------------------------------------------- */

struct chain_walk {
	struct machine *machine;
	struct page *page;
	rmap_visit_fn *visit;
	void *arg;
	uint32_t nrpte;
	uint32_t shown, dropped;
};

/*
 * Show the entry at ADDR. The entry alone says where it is: the struct page of its page table
 * names the mm and the first address (2.6's page->mapping and page->index of a PTE page).
 */
static enum rmap_answer show(struct chain_walk *walk, pte_addr_t addr)
{
	struct machine *machine = walk->machine;
	enum rmap_answer answer;
	struct ptep pte;
	struct vma *vma;
	uint32_t vpn;

	machine_counters(machine)->links++;
	if (!pte_addr_find(machine, addr, &pte))
		return RMAP_KEEP;
	vpn = pte.table->vpn + pte.slot;
	vma = vma_at(machine, pte.table->mm, vpn); /* NULL: between two areas; the engine refuses */
	answer = walk->visit(machine, walk->page, vma, vpn, pte, walk->arg);
	walk->shown++;
	walk->dropped += answer == RMAP_DROP;
	return answer;
}

/*
 * Entries of one object from its lowest used slot upward. A hole is filled from the head's lowest
 * slot: either the hole itself, or an entry that was shown and kept, so none is shown twice
 * and none is left out. False: stop.
 */
static bool walk_object(struct chain_walk *walk, struct pte_chain *chain)
{
	for (uint32_t i = chain->idx; i < walk->nrpte; i++) {
		enum rmap_answer answer = show(walk, chain->ptes[i]);
		struct pte_chain *emptied;

		if (answer == RMAP_STOP)
			return false;
		/* After one that stays, entries go and their places do not. */
		if (answer != RMAP_DROP ||
		    MUTANT_IF(walk->machine, PTC_01, walk->shown > walk->dropped))
			continue;
		emptied = fill_hole(walk->page, &chain->ptes[i], walk->nrpte);
		if (emptied)
			kmem_cache_free(walk->machine, chain_cache(walk->machine), emptied);
	}
	return true;
}

/* The only place where memory comes back while a page stays mapped. */
static void collapse(struct chain_walk *walk)
{
	struct pte_chain *head = head_of(walk->page);

	if (head->next || head->idx != walk->nrpte - 1)
		return;
	set_direct(walk->page, head->ptes[head->idx]);
	kmem_cache_free(walk->machine, chain_cache(walk->machine), head);
}

void chain_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit, void *arg)
{
	struct chain_walk walk = {machine, page, visit, arg, .nrpte = chain_slots(machine)};
	struct pte_chain *next;

	if (!page->rmap.word)
		return;
	if (is_direct(page)) {
		if (show(&walk, page->rmap.word) == RMAP_DROP)
			set_head(page, NULL);
		return;
	}
	for (struct pte_chain *chain = head_of(page); chain; chain = next) {
		next = chain->next;
		if (!walk_object(&walk, chain))
			return;
	}
	if (walk.shown == 1 && !walk.dropped)
		collapse(&walk);
}

/* ---- check and describe -------------------------------------------------------------------- */

static uint32_t count_objects(const struct page *page)
{
	uint32_t n = 0;

	for (const struct pte_chain *chain = head_of(page); chain; chain = chain->next)
		n++;
	return n;
}

/* How many entries are known, if C3 holds. */
static uint32_t count_entries(const struct page *page, uint32_t nrpte)
{
	const struct pte_chain *head = head_of(page);

	return head ? count_objects(page) * nrpte - head->idx : is_direct(page);
}

static bool knows(const struct page *page, pte_addr_t addr, uint32_t nrpte)
{
	if (is_direct(page))
		return page->rmap.word == addr;
	for (const struct pte_chain *chain = head_of(page); chain; chain = chain->next) {
		for (uint32_t i = chain->idx; i < nrpte; i++) {
			if (chain->ptes[i] == addr)
				return true;
		}
	}
	return false;
}

/* C3 and C4; the chain is not empty. */
static const char *check_shape(const struct pte_chain *head, uint32_t nrpte)
{
	if (head->idx >= nrpte)
		return "C4: a chain has no empty object";
	for (uint32_t i = 0; i < head->idx; i++) {
		if (head->ptes[i])
			return "C3: only the head has free slots; they are its lowest ones, and 0";
	}
	for (const struct pte_chain *chain = head->next; chain; chain = chain->next) {
		if (chain->idx)
			return "C3: only the head has free slots; they are its lowest ones, and 0";
	}
	return NULL;
}

const char *chain_check(struct machine *machine, const struct page *page, struct ptep pte)
{
	const struct pte_chain *head = head_of(page);
	uint32_t nrpte = chain_slots(machine);
	pte_addr_t addr = pte_addr_of(pte);
	const char *broken = NULL;

	/* The shape is looked at once for a page: from its newest entry. */
	if (head && (head->idx >= nrpte || head->ptes[head->idx] == addr))
		broken = check_shape(head, nrpte);
	if (broken)
		return broken;
	if (count_entries(page, nrpte) != page->mapcount)
		return "C2: a page's map has as many entries as mapcount says";
	if (!knows(page, addr, nrpte))
		return "C1: every present entry is in its page's map";
	return NULL;
}

void chain_describe(struct machine *machine, const struct page *page, char *buf, size_t size)
{
	uint32_t objects = count_objects(page);

	if (objects)
		snprintf(buf, size, "chain of %u in %u object%s",
			 count_entries(page, chain_slots(machine)), objects,
			 objects == 1 ? "" : "s");
	else
		snprintf(buf, size, "%s", is_direct(page) ? "direct" : "unmapped");
}

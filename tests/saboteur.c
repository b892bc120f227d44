/*
 * Wrapper designs with planted faults; see saboteur.h.
 *
 * The base is told the truth, whatever the saboteur does with its answers: its own assertions and
 * invariants hold, and only the oracles can notice.
 */
#include "saboteur.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORGET_EVERY 4 /* adds */
#define TWICE_EVERY  3 /* visits */
#define LEAK_BYTES   32

static struct saboteur *saboteur_of(const struct machine *machine)
{
	/* ops is the first member, and machine_create() was given the address of a variable. */
	return (struct saboteur *)(uintptr_t)machine_rmap(machine);
}

static const struct rmap_ops *base_of(const struct machine *machine)
{
	return saboteur_of(machine)->base;
}

/* What is remembered of MACHINE; the first call for a machine takes a free place. */
static struct saboteur_state *state_of(struct machine *machine)
{
	struct saboteur *saboteur = saboteur_of(machine);

	for (uint32_t i = 0; i < SABOTEUR_MACHINES; i++) {
		struct saboteur_state *state = &saboteur->states[i];

		if (!state->machine)
			state->machine = machine;
		if (state->machine == machine)
			return state;
	}
	fprintf(stderr, "%s: more than %d machines\n", saboteur->name, SABOTEUR_MACHINES);
	abort();
}

/* ---- remembered entries ---------------------------------------------------------------- */

static struct sabotaged_entry *find_entry(struct saboteur_state *state, const struct page *page,
					  pte_addr_t addr)
{
	for (uint32_t i = 0; i < state->nr_entries; i++) {
		if (state->entries[i].page == page && state->entries[i].addr == addr)
			return &state->entries[i];
	}
	return NULL;
}

/* Remember an entry, if there is room. */
static void enter(struct saboteur_state *state, const struct page *page, pte_addr_t addr)
{
	if (state->nr_entries < SABOTEUR_ENTRIES && !find_entry(state, page, addr))
		state->entries[state->nr_entries++] = (struct sabotaged_entry){page, addr};
}

static void erase(struct saboteur_state *state, struct sabotaged_entry *entry)
{
	*entry = state->entries[--state->nr_entries];
}

static void erase_if_there(struct saboteur_state *state, const struct page *page, pte_addr_t addr)
{
	struct sabotaged_entry *entry = find_entry(state, page, addr);

	if (entry)
		erase(state, entry);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void sabotaged_create(struct machine *machine)
{
	struct saboteur *saboteur = saboteur_of(machine);
	struct saboteur_state *state = state_of(machine);

	if (saboteur->base->create)
		saboteur->base->create(machine);
	if (saboteur->kind == SABOTAGE_LEAK)
		state->cache = kmem_cache_create(machine, "saboteur", LEAK_BYTES, 4, LEAK_BYTES);
}

/* The first mm of all is made at boot, also at a reboot: forget the last life. */
static int sabotaged_mm_init(struct machine *machine, struct mm *mm, struct mm *parent)
{
	const struct rmap_ops *base = base_of(machine);

	if (TAILQ_EMPTY(machine_mms(machine))) {
		struct saboteur_state *state = state_of(machine);

		state->adds = state->visits = state->nr_entries = 0;
	}
	return base->mm_init ? base->mm_init(machine, mm, parent) : 0;
}

static void sabotaged_page_free(struct machine *machine, struct page *page)
{
	const struct rmap_ops *base = base_of(machine);
	struct saboteur_state *state = state_of(machine);

	for (uint32_t i = 0; i < state->nr_entries;) {
		if (state->entries[i].page == page)
			erase(state, &state->entries[i]);
		else
			i++;
	}
	if (base->page_free)
		base->page_free(machine, page);
}

/* ---- mappings come, move and go ---------------------------------------------------------------
 */

/* Two objects for the time of an add. The faults: neither is given back if a later step fails. */
static int leaking_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
		       struct ptep pte)
{
	struct kmem_cache *cache = state_of(machine)->cache;
	void *first, *second;
	int err;

	first = rmap_cache_alloc(machine, cache);
	if (!first)
		return -ENOMEM;
	second = rmap_cache_alloc(machine, cache);
	if (!second)
		return -ENOMEM;
	err = base_of(machine)->add(machine, page, vma, vpn, pte);
	if (err)
		return err;
	kmem_cache_free(machine, cache, second);
	kmem_cache_free(machine, cache, first);
	return 0;
}

static int sabotaged_add(struct machine *machine, struct page *page, struct vma *vma, uint32_t vpn,
			 struct ptep pte)
{
	struct saboteur *saboteur = saboteur_of(machine);
	struct saboteur_state *state = state_of(machine);
	int err;

	if (saboteur->kind == SABOTAGE_LEAK)
		return leaking_add(machine, page, vma, vpn, pte);
	err = saboteur->base->add(machine, page, vma, vpn, pte);
	if (err)
		return err;
	state->adds++;
	erase_if_there(state, page, pte_addr_of(pte));
	if (saboteur->kind == SABOTAGE_FORGET && state->adds % FORGET_EVERY == 0)
		enter(state, page, pte_addr_of(pte));
	return 0;
}

static void sabotaged_remove(struct machine *machine, struct page *page, struct vma *vma,
			     uint32_t vpn, struct ptep pte)
{
	struct saboteur *saboteur = saboteur_of(machine);
	struct saboteur_state *state = state_of(machine);

	saboteur->base->remove(machine, page, vma, vpn, pte);
	if (saboteur->kind == SABOTAGE_STALE)
		enter(state, page, pte_addr_of(pte));
	else
		erase_if_there(state, page, pte_addr_of(pte));
}

static int sabotaged_move(struct machine *machine, struct page *page, struct vma *old,
			  uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
			  struct ptep to)
{
	const struct rmap_ops *base = base_of(machine);
	struct saboteur_state *state = state_of(machine);
	struct sabotaged_entry *entry;
	int err = 0;

	if (base->move)
		err = base->move(machine, page, old, old_vpn, from, new, new_vpn, to);
	if (err)
		return err;
	erase_if_there(state, page, pte_addr_of(to));
	entry = find_entry(state, page, pte_addr_of(from));
	if (entry)
		entry->addr = pte_addr_of(to);
	return 0;
}

/* ---- areas ------------------------------------------------------------------------------------
 */

struct cut {
	struct vma *vma;
	const struct vma *part;
};

static bool point_back(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
		       void *arg)
{
	const struct cut *cut = arg;

	if (page->rmap.ptr == cut->part)
		page->rmap.ptr = cut->vma;
	return true;
}

/*
 * What killed anon_vma_direct on its third day: nothing finds the pages of the piece that is cut
 * off, so they go on pointing at the area that they are no longer in. Once the base has found them,
 * its work is undone.
 */
static int forgetful_split(struct machine *machine, struct vma *vma, struct vma *part)
{
	struct cut cut = {vma, part};
	int err = base_of(machine)->vma_split(machine, vma, part);

	if (!err)
		rmap_each_mapped(machine, vma, part->start, part->end, NULL, point_back, &cut);
	return err;
}

/* ---- walks
 * --------------------------------------------------------------------------------------- */

struct sabotaged_walk {
	struct saboteur *saboteur;
	struct saboteur_state *state;
	rmap_visit_fn *visit;
	void *arg;
	bool stopped;
};

static enum rmap_answer sabotaged_visit(struct machine *machine, struct page *page, struct vma *vma,
					uint32_t vpn, struct ptep pte, void *arg)
{
	struct sabotaged_walk *walk = arg;
	enum sabotage kind = walk->saboteur->kind;
	enum rmap_answer answer;

	if (kind == SABOTAGE_FORGET && find_entry(walk->state, page, pte_addr_of(pte)))
		return RMAP_KEEP;
	answer = walk->visit(machine, page, vma, vpn, pte, walk->arg);
	if (kind == SABOTAGE_TWICE && ++walk->state->visits % TWICE_EVERY == 0)
		walk->visit(machine, page, vma, vpn, pte, walk->arg);
	walk->stopped |= answer == RMAP_STOP;
	return answer;
}

/* Show what once mapped PAGE: where there still is a page table, and an area. */
static void show_stale(struct machine *machine, struct page *page, struct sabotaged_walk *walk)
{
	for (uint32_t i = 0; i < walk->state->nr_entries && !walk->stopped; i++) {
		const struct sabotaged_entry *entry = &walk->state->entries[i];
		struct vma *vma;
		struct ptep pte;
		uint32_t vpn;

		if (entry->page != page || !pte_addr_find(machine, entry->addr, &pte))
			continue;
		vpn = pte.table->vpn + pte.slot;
		vma = vma_at(machine, pte.table->mm, vpn);
		if (vma)
			walk->visit(machine, page, vma, vpn, pte, walk->arg);
	}
}

static void sabotaged_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit,
			   void *arg)
{
	struct sabotaged_walk walk = {saboteur_of(machine), state_of(machine), visit, arg, false};

	walk.saboteur->base->walk(machine, page, sabotaged_visit, &walk);
	if (walk.saboteur->kind == SABOTAGE_STALE)
		show_stale(machine, page, &walk);
}

/* ---- making one
 * -------------------------------------------------------------------------------------- */

void saboteur_init(struct saboteur *saboteur, const struct rmap_ops *base, enum sabotage kind)
{
	static const char *const names[NR_SABOTAGES] = {
		[SABOTAGE_NONE] = "plain",  [SABOTAGE_FORGET] = "forget",
		[SABOTAGE_TWICE] = "twice", [SABOTAGE_STALE] = "stale",
		[SABOTAGE_LEAK] = "leak",   [SABOTAGE_SPLIT] = "split",
	};

	memset(saboteur, 0, sizeof(*saboteur));
	saboteur->base = base;
	saboteur->kind = kind;
	snprintf(saboteur->name, sizeof(saboteur->name), "%s-%s", names[kind], base->name);
	saboteur->ops = *base;
	saboteur->ops.name = saboteur->name;
	saboteur->ops.create = sabotaged_create;
	saboteur->ops.mm_init = sabotaged_mm_init;
	saboteur->ops.page_free = sabotaged_page_free;
	saboteur->ops.add = sabotaged_add;
	saboteur->ops.remove = sabotaged_remove;
	saboteur->ops.move = sabotaged_move;
	saboteur->ops.walk = sabotaged_walk;
	if (kind == SABOTAGE_SPLIT)
		saboteur->ops.vma_split = forgetful_split;
}

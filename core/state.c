/*
 * The state of a machine in canonical form; see state.h.
 *
 * Whatever is met for the first time is described on the spot: an entry leads to its page, the page
 * to its file and swap slot, the slot to its cached page. Processes, areas and offsets come in
 * ascending order, so the order of meeting is a property of the state alone.
 */
#include "internal.h"

#include "state.h"

#define DESCRIPTION_MAX 128

/* ---- words and names ---------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word, uint64_t factor)
{
	hash = (hash ^ word) * factor;
	return hash ^ hash >> 32;
}

void machine_state_begin(struct machine_state *state)
{
	state->hash[0] = 0x243f6a8885a308d3ull;
	state->hash[1] = 0x13198a2e03707344ull;
	state->nr_names = 0;
}

void machine_state_word(struct machine_state *state, uint64_t word)
{
	state->hash[0] = mix(state->hash[0], word, 0x9fb21c651e98df25ull);
	state->hash[1] = mix(state->hash[1], word, 0xd6e8feb86659fd93ull);
}

static void names_grow(struct machine_state *state)
{
	state->max_names = state->max_names ? state->max_names * 2 : 64;
	state->names = realloc(state->names, state->max_names * sizeof(*state->names));
	MM_ASSERT(state->names);
}

bool machine_state_name(struct machine_state *state, enum state_kind kind, uint64_t word)
{
	uint32_t i = 0;
	bool fresh;

	while (i < state->nr_names &&
	       (state->names[i].word != word || state->names[i].kind != kind))
		i++;
	machine_state_word(state, i);
	fresh = i == state->nr_names;
	if (fresh) {
		if (i == state->max_names)
			names_grow(state);
		state->names[state->nr_names++] = (struct state_name){word, kind};
	}
	return fresh;
}

void machine_state_token(struct machine_state *state, uint64_t token)
{
	if ((token & (TOKEN_WRITE | TOKEN_FILE)) == TOKEN_WRITE)
		machine_state_name(state, STATE_TOKEN, token);
	else
		machine_state_word(state, token);
}

void machine_state_release(struct machine_state *state)
{
	free(state->names);
	*state = (struct machine_state){0};
}

/* ---- what a design has noted ----------------------------------------------------------------- */

/* A pointer, perhaps with marks in its low bits, an entry's address, or nothing. */
static void add_rmap_word(struct machine_state *state, uint64_t word)
{
	machine_state_word(state, word & 7);
	if (word & ~7ull)
		machine_state_name(state, STATE_OBJECT, word & ~7ull);
	else
		machine_state_word(state, UINT64_MAX);
}

static void add_text(struct machine_state *state, const char *text)
{
	for (size_t left = strlen(text); left;) {
		size_t n = left < sizeof(uint64_t) ? left : sizeof(uint64_t);
		uint64_t word = 0;

		for (size_t i = 0; i < n; i++)
			word |= (uint64_t)(unsigned char)text[i] << 8 * i;
		machine_state_word(state, word);
		text += n;
		left -= n;
	}
}

static enum rmap_answer add_visit(struct machine *machine, struct page *page, struct vma *vma,
				  uint32_t vpn, struct ptep pte, void *arg)
{
	machine_state_word(arg, (uint64_t)vma->mm->id << 32 | vpn);
	machine_state_word(arg, ptep_vpn(pte));
	return RMAP_KEEP;
}

static void add_rmap(struct machine_state *state, struct machine *machine, struct page *page)
{
	const struct rmap_ops *rmap = machine->rmap;
	char text[DESCRIPTION_MAX] = "";

	add_rmap_word(state, page->rmap.word);
	machine_state_word(state, (uint64_t)page->rmap_flags << 32 | page->rmap_index);
	if (!page->mapcount)
		return;
	if (rmap->describe)
		rmap->describe(machine, page, text, sizeof(text));
	add_text(state, text);
	rmap->walk(machine, page, add_visit, state);
}

/* ---- pages, slots, files ------------------------------------------------------------------------
 */

static void add_slot(struct machine_state *state, struct machine *machine, swp_entry_t entry);

/* Shared anonymous memory has a serial number, which says nothing. */
static void add_file_id(struct machine_state *state, const struct address_space *file)
{
	if (!file)
		machine_state_word(state, UINT64_MAX);
	else if (file->unlinked)
		machine_state_name(state, STATE_FILE, file->id);
	else
		machine_state_word(state, file->id);
}

static void add_tokens(struct machine_state *state, const struct machine *machine,
		       const uint64_t *token)
{
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++)
		machine_state_token(state, token[sub]);
}

static void add_page(struct machine_state *state, struct machine *machine, struct page *page)
{
	if (!machine_state_name(state, STATE_FRAME, page->pfn))
		return;
	machine_state_word(state, (uint64_t)page->flags << 32 | page->zone);
	machine_state_word(state, (uint64_t)page->count << 32 | page->mapcount);
	add_tokens(state, machine, page->token);
	add_file_id(state, page->mapping);
	machine_state_word(state, page->index);
	if (page->flags & PG_SWAPCACHE)
		add_slot(state, machine, page->swap);
	if (!(page->flags & PG_RESERVED))
		add_rmap(state, machine, page);
}

static void add_slot(struct machine_state *state, struct machine *machine, swp_entry_t entry)
{
	const struct swap_slot *slot;

	if (!machine_state_name(state, STATE_SLOT, swap_sub_entry(machine, entry, 0)))
		return;
	slot = swap_slot(machine, entry);
	machine_state_word(state, swp_type(entry));
	machine_state_word(state, (uint64_t)slot->map << 1 | slot->written);
	if (slot->written)
		add_tokens(state, machine, slot->token);
	if (slot->cached)
		add_page(state, machine, slot->cached);
}

static void add_store(struct machine_state *state, struct machine *machine,
		      const struct address_space *file)
{
	uint64_t value;

	for (uint32_t i = 0; radix_next(file->store, &i, &value); i++) {
		machine_state_word(state, i);
		if (file->kind == FILE_SHMEM)
			add_slot(state, machine, (swp_entry_t)value);
		else
			machine_state_token(state, value);
	}
}

static bool add_area_name(struct vma *vma, void *arg)
{
	machine_state_word(arg, (uint64_t)vma->mm->id << 32 | vma->start);
	return false;
}

static void add_file(struct machine_state *state, struct machine *machine,
		     const struct address_space *file)
{
	struct vma *vma;
	uint64_t value;

	machine_state_word(state, (uint64_t)file->npages << 32 | file->boot_pages);
	machine_state_word(state, (uint64_t)file->nrcached << 32 | file->users);
	machine_state_word(state, (uint64_t)file->kind << 1 | file->unlinked);
	for (uint32_t i = 0; radix_next(file->pages, &i, &value); i++) {
		machine_state_word(state, i);
		add_page(state, machine, (struct page *)(uintptr_t)value);
	}
	machine_state_word(state, UINT64_MAX);
	add_store(state, machine, file);
	TAILQ_FOREACH (vma, &file->i_mmap, shared)
		add_area_name(vma, state);
	machine_state_word(state, UINT64_MAX);
	TAILQ_FOREACH (vma, &file->i_mmap_nonlinear, shared)
		add_area_name(vma, state);
	if (machine->rmap->file)
		machine->rmap->file->each(file, add_area_name, state);
}

/* ---- address spaces ---------------------------------------------------------------------------
 */

static void add_area(struct machine_state *state, const struct vma *vma)
{
	machine_state_word(state, (uint64_t)vma->start << 32 | vma->end);
	machine_state_word(state, (uint64_t)vma->flags << 32 | vma->pgoff);
	machine_state_word(state, (uint64_t)vma->cursor << 1 | vma->anon);
	add_file_id(state, vma->file);
	machine_state_name(state, STATE_OBJECT, (uintptr_t)vma);
	add_rmap_word(state, (uintptr_t)vma->rmap);
}

static void add_entries(struct machine_state *state, struct machine *machine, const struct mm *mm)
{
	uint32_t limit = task_pages(machine), vpn;
	struct ptep p;

	for (uint32_t at = 0; pte_next(mm, at, limit, &vpn, &p); at = vpn + 1) {
		pte_t pte = ptep_peek(p);

		machine_state_word(state, vpn);
		if (pte_present(pte)) {
			machine_state_word(state, pte & ~PTE_PFN_MASK);
			add_page(state, machine, pfn_to_page(machine, pte_pfn(pte)));
		} else if (pte_swap(pte)) {
			add_slot(state, machine, pte_to_swp(pte));
		} else {
			machine_state_word(state, pte);
		}
	}
}

static void add_pins(struct machine_state *state, struct machine *machine)
{
	for (uint32_t i = 0; i < PIN_MAX; i++) {
		const struct pin *pin = &machine->pins[i];

		if (!pin->n)
			continue;
		machine_state_word(state, (uint64_t)i << 32 | pin->n << 1 | pin->write);
		for (uint32_t k = 0; k < pin->n; k++)
			add_page(state, machine, pin->page[k]);
	}
}

static void add_mm(struct machine_state *state, const struct mm *mm)
{
	machine_state_name(state, STATE_OBJECT, (uintptr_t)mm);
	machine_state_word(state, (uint64_t)mm->id << 32 | mm->map_count);
	machine_state_word(state, (uint64_t)mm->nr_ptes << 32 | mm->rss);
	machine_state_word(state, (uint64_t)mm->total_vm << 32 | mm->locked_vm);
	machine_state_word(state, (uint64_t)mm->start_brk << 32 | mm->brk);
	machine_state_word(state, (uint64_t)mm->def_flags << 32 | mm->free_area_cache);
	add_rmap_word(state, (uintptr_t)mm->rmap);
	for (const struct vma *vma = mm->first; vma; vma = vma->next)
		add_area(state, vma);
}

/* ---- everything
 * ----------------------------------------------------------------------------------
 */

static void add_totals(struct machine_state *state, const struct machine *machine)
{
	machine_state_word(state, (uint64_t)machine->committed_as << 32 | machine->swap_used);
	machine_state_word(state, (uint64_t)machine->nr_swap_on << 32 | machine->swap_next);
	for (uint32_t i = 0; i < machine->nr_swap_on; i++)
		machine_state_word(state, machine->swap_order[i]);
	for (uint32_t i = 0; i < machine->nr_caches; i++)
		machine_state_word(state, machine->caches[i].used);
	for (uint32_t i = 0; i < NR_ZONES; i++) {
		machine_state_word(state, zone_used(&machine->zones[i]));
		machine_state_word(state, machine->zones[i].scanned);
	}
}

void machine_state_add(struct machine_state *state, struct machine *machine)
{
	const struct address_space *file;
	const struct mm *mm;

	state->nr_names = 0;
	add_totals(state, machine);
	TAILQ_FOREACH (mm, &machine->mms, link)
		machine_state_word(state, mm->id);
	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		if (!machine->tasks[proc])
			continue;
		mm = machine->tasks[proc]->mm;
		machine_state_word(state, (uint64_t)mm->id << 32 | proc);
		if (mm->id == proc)
			add_mm(state, mm);
	}
	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		if (machine->tasks[proc] && machine->tasks[proc]->mm->id == proc)
			add_entries(state, machine, machine->tasks[proc]->mm);
	}
	add_pins(state, machine);
	TAILQ_FOREACH (file, &machine->file_list, link)
		add_file(state, machine, file);
}

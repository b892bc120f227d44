/*
 * A walk: one page, those who have it, and what can be done to it, some times in a row.
 *
 *      .----> it comes to be there: brought in, copied, shared, moved, swapped in, ...  --.
 *      '----- it goes: from one or from all, by reclaim, unmapping, truncation, ...  <----'
 *
 * Each walk has a taste of its own: some steps never, others often. Steps keep the list of sharers
 * true, as far as one can know.
 */
#include "generate_private.h"

#define RW (OP_PROT_READ | OP_PROT_WRITE)

/* What becomes of the page. */
enum {
	COMES = 1, /* it is there, or it is there in another way */
	GOES = 2,  /* it is taken from somebody */
};

struct step {
	void (*take)(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code);
	enum op_code code;
	uint8_t weight, needs, kind;
};

static void forget(struct focus *focus, struct sharer *s)
{
	*s = focus->sharer[--focus->nr];
}

/* An op whose operands are a process and an address. */
static void look(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	say(g, code, s->proc, s->at);
}

static void run_reclaim(struct generator *g, struct focus *focus, struct sharer *s,
			enum op_code code)
{
	say(g, OP_reclaim, 8u << below(g, 6));
}

static void share(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t child = focus->nr < SHARERS_MAX ? say_slot(g, focus_procs(focus)) : PROC_NONE;

	if (child == PROC_NONE)
		return;
	say(g, OP_fork, s->proc, child);
	focus_add(focus, child, s->at);
}

/* A thread does what its process did. */
static void thread(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t child = say_slot(g, focus_procs(focus));

	if (child == PROC_NONE)
		return;
	say(g, OP_clone_vm, s->proc, child);
	s->proc = child;
}

/* The page is somewhere else, too; or, in another process, at the same place. */
static void map_again(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t proc = below(g, 2) ? s->proc : one_of(g, g->now.live), at = window_addr(g);
	uint32_t flags = (below(g, 4) ? focus->flags : focus->flags ^ OP_MAP_SHARED) | OP_MAP_FIXED;
	uint32_t before = focus->pgoff < 4 ? below(g, focus->pgoff + 1) : below(g, 4);

	say(g, OP_mmap, proc, REGION_NONE, at, before + 1 + below(g, 3), RW, flags, focus->file,
	    focus->pgoff - before);
	focus_add(focus, proc, at + before * PAGE_SIZE);
}

static void leave(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t proc = s->proc;

	if (!(g->now.live & ~(1u << proc)))
		return;
	say(g, code, proc);
	for (uint32_t i = 0; i < focus->nr;) {
		if (focus->sharer[i].proc == proc)
			forget(focus, &focus->sharer[i]);
		else
			i++;
	}
}

static void unmap(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	say(g, OP_munmap, s->proc, s->at, below(g, 2) ? 1 + below(g, 4) : 1);
	forget(focus, s);
}

/* Something new takes its place. */
static void cover(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	say(g, OP_mmap, s->proc, REGION_NONE, s->at, 1, RW, OP_MAP_ANON | OP_MAP_FIXED, 0, 0);
	forget(focus, s);
}

static void move(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t before = below(g, 4) ? 0 : below(g, 3), n = before + 1 + below(g, 4) / 3;
	uint32_t grown = below(g, 4) ? n : n + 1 + below(g, 2);
	uint32_t from = s->at - before * PAGE_SIZE, to = window_addr(g);

	if (to - from < n * PAGE_SIZE || from - to < grown * PAGE_SIZE)
		return;
	say(g, OP_mremap, s->proc, REGION_NONE, from, n, grown, OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED,
	    to);
	s->at = to + before * PAGE_SIZE;
}

static void move_and_leave(struct generator *g, struct focus *focus, struct sharer *s,
			   enum op_code code)
{
	uint32_t to = below(g, 2) ? window_addr(g) : s->at + (below(g, 2) ? 1 : -1u) * PAGE_SIZE;

	if (to == s->at)
		return;
	say(g, OP_mremap, s->proc, REGION_NONE, s->at, 1, 1,
	    OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED | OP_MREMAP_DONTUNMAP, to);
	s->at = to;
}

/* An op about a range: the page alone, mostly. */
static void range(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	say(g, code, s->proc, s->at, below(g, 4) ? 1 : 1 + below(g, 4), OP_MS_SYNC);
}

static void advise(struct generator *g, struct sharer *s, enum op_advice advice)
{
	say(g, OP_madvise, s->proc, s->at, below(g, 4) ? 1 : 1 + below(g, 4), (uint32_t)advice);
}

static void drop(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	advise(g, s, ADVICE_DONTNEED);
}

/* Whoever has looked at it lately keeps it, so that is forgotten first. */
static void page_out(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	if (below(g, 4))
		look(g, focus, s, OP_age);
	advise(g, s, ADVICE_PAGEOUT);
}

/* What is advised to be free goes when somebody asks for it, or it is written in time. */
static void give_up(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	static const uint8_t then[] = {OP_write, OP_evict, OP_swapout, OP_read};

	advise(g, s, ADVICE_FREE);
	if (below(g, 4) == 0)
		run_reclaim(g, focus, s, OP_reclaim);
	else
		look(g, focus, s, (enum op_code)then[below(g, 4)]);
}

static void advise_any(struct generator *g, struct focus *focus, struct sharer *s,
		       enum op_code code)
{
	advise(g, s, (enum op_advice)below(g, NR_ADVICE));
}

/* Less is allowed; mostly, all is again before long. */
static void protect(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	static const uint32_t prots[] = {OP_PROT_READ, OP_PROT_READ, OP_PROT_NONE, RW};
	uint32_t n = below(g, 2) ? 1 + below(g, 3) : 1;

	say(g, OP_mprotect, s->proc, s->at, n, prots[below(g, 4)]);
	if (below(g, 3) == 0) {
		struct sharer *who = &focus->sharer[below(g, focus->nr)];

		look(g, focus, who, below(g, 2) ? OP_read : OP_evict);
	}
	if (below(g, 4))
		say(g, OP_mprotect, s->proc, s->at, n, RW);
}

/* Cut the page off from one of its neighbours, or from both. */
static void cut(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t at = s->at + (below(g, 3) - 1) * PAGE_SIZE;

	if (below(g, 2))
		say(g, OP_mprotect, s->proc, at, 1, OP_PROT_READ);
	else
		say(g, OP_munmap, s->proc, at == s->at ? at + PAGE_SIZE : at, 1);
}

static void truncate_file(struct generator *g, struct focus *focus, struct sharer *s,
			  enum op_code code)
{
	say(g, OP_truncate, focus->file, below(g, 3) ? focus->pgoff : focus->pgoff + 1);
	if (below(g, 3) == 0)
		look(g, focus, s, OP_read);
	if (below(g, 4))
		say(g, OP_truncate, focus->file, g->config->file_pages);
}

static void punch(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t before = focus->pgoff < 4 ? below(g, focus->pgoff + 1) : below(g, 4);
	uint32_t from = focus->pgoff - before, n = before + below(g, 3);

	/* Over it, or up to it, or from behind it on; of shared memory, it may be in swap. */
	if (!n)
		from++;
	if (below(g, 3) == 0)
		look(g, focus, s, OP_swapout);
	say(g, OP_fpunch, focus->file, from, n ? n : 1 + below(g, 3));
	if (below(g, 4))
		look(g, focus, s, OP_read);
}

/* read(2) and write(2) of the page. */
static void file_page(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	say(g, code, focus->file, focus->pgoff);
}

static void whole_file(struct generator *g, struct focus *focus, struct sharer *s,
		       enum op_code code)
{
	say(g, code, focus->file);
}

/* All that is in swap comes back, somebody does something, and there is swap again. */
static void swap_back(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	static const uint8_t codes[] = {OP_read, OP_write, OP_age, OP_migrate};
	uint32_t area;

	if (!g->config->nr_swap)
		return;
	area = below(g, g->config->nr_swap);
	if (below(g, 2))
		look(g, focus, s, OP_swapout);
	say(g, OP_swapoff, area);
	if (below(g, 3) == 0)
		look(g, focus, s, (enum op_code)codes[below(g, sizeof(codes))]);
	say(g, OP_swapon, area);
}

/* Pages in memory then give up their slots, and a slot that is free is soon used again. */
void fill_swap(struct generator *g, uint32_t proc)
{
	const struct machine_config *config = g->config;
	uint32_t least = 0, n, at = 0x50000000u;

	for (uint32_t i = 1; i < config->nr_swap; i++) {
		if (config->swap[i].pages < config->swap[least].pages)
			least = i;
	}
	if (!config->nr_swap || config->swap[least].pages > 64)
		return;
	for (uint32_t i = 0; i < config->nr_swap; i++) {
		if (i != least)
			say(g, OP_swapoff, i);
	}
	n = config->swap[least].pages / 2 + below(g, config->swap[least].pages / 2 + 2);
	if (!n)
		return;
	say(g, OP_mmap, proc, REGION_NONE, at, n, RW, OP_MAP_ANON | OP_MAP_FIXED | OP_MAP_POPULATE,
	    0, 0);
	say(g, OP_madvise, proc, at, n, (uint32_t)ADVICE_PAGEOUT);
}

static void short_of_swap(struct generator *g, struct focus *focus, struct sharer *s,
			  enum op_code code)
{
	fill_swap(g, s->proc);
}

/* The page is taken from everybody, one way or another, and comes back to most of them. */
static void refault(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	static const uint8_t away[] = {OP_evict, OP_swapout, OP_swapout, OP_migrate};

	look(g, focus, s, (enum op_code)away[below(g, sizeof(away))]);
	for (uint32_t i = 0; i < focus->nr; i++) {
		if (below(g, 8))
			look(g, focus, &focus->sharer[i], below(g, 8) ? OP_read : OP_write);
	}
}

/* It comes in without being touched; and then is shared, perhaps. */
static void bring_in(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	if (below(g, 2))
		look(g, focus, s, below(g, 2) ? OP_evict : OP_swapout);
	say(g, OP_mlock, s->proc, s->at, 1);
	if (below(g, 4))
		say(g, OP_munlock, s->proc, s->at, 1);
	while (below(g, 2))
		share(g, focus, s, OP_fork);
}

/* It is taken from everybody, but one does not let it go: where it may not be written, mlock leaves
 * it shared. */
static void hold(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	static const uint8_t away[] = {OP_evict, OP_swapout, OP_migrate, OP_age};

	bool shared = below(g, 2);

	if (shared)
		say(g, OP_mprotect, s->proc, s->at, 1, OP_PROT_READ);
	say(g, OP_mlock, s->proc, s->at, 1);
	if (shared)
		say(g, OP_mprotect, s->proc, s->at, 1, RW);
	look(g, focus, s, (enum op_code)away[below(g, sizeof(away))]);
	if (below(g, 2))
		look(g, focus, s, below(g, 4) ? OP_write : OP_read);
	if (below(g, 4))
		say(g, OP_munlock, s->proc, s->at, 1);
}

/* A device has the page, too, and goes on having it. */
static void lend(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t pin = below(g, PINS_MAX), write = below(g, 4) ? OP_PIN_WRITE : 0;
	static const uint8_t codes[] = {OP_read,    OP_write, OP_write,  OP_evict,
					OP_swapout, OP_fork,  OP_migrate};

	if (g->now.pins >> pin & 1)
		say(g, OP_unpin, pin);
	say(g, OP_pin, s->proc, pin, s->at, 1, write);
	for (uint32_t i = below(g, 4); i--;) {
		struct sharer *who = &focus->sharer[below(g, focus->nr)];
		enum op_code does = (enum op_code)codes[below(g, sizeof(codes))];

		(does == OP_fork ? share : look)(g, focus, who, does);
	}
	say(g, write && below(g, 2) ? OP_pinwrite : OP_pinread, pin, 0);
	if (below(g, 4))
		look(g, focus, s, OP_read);
}

/* The page is shown elsewhere, or another one here. */
static void show(struct generator *g, struct focus *focus, struct sharer *s, enum op_code code)
{
	uint32_t flags = below(g, 4) ? 0 : OP_REMAP_NONBLOCK;
	uint32_t at = s->at + (below(g, 5) - 2) * PAGE_SIZE;

	if (below(g, 3)) {
		say(g, OP_remap_file_pages, s->proc, at, 1, focus->pgoff, flags);
		if (at != s->at)
			focus_add(focus, s->proc, at);
		return;
	}
	say(g, OP_remap_file_pages, s->proc, s->at, 1, below(g, focus->size), flags);
	if (below(g, 2))
		say(g, OP_remap_file_pages, s->proc, s->at, 1, focus->pgoff, flags);
	else
		forget(focus, s);
}

static const struct step steps[] = {
	{look, OP_read, 12, ANYTHING, COMES},
	{look, OP_write, 16, ANYTHING, COMES | GOES},
	{look, OP_age, 3, ANYTHING, COMES},
	{look, OP_poke, 3, ANYTHING, COMES | GOES},
	{lend, OP_pin, 3, ANYTHING, COMES},
	{share, OP_fork, 8, ANYTHING, COMES},
	{thread, OP_clone_vm, 1, ANYTHING, COMES},
	{map_again, OP_mmap, 8, A_FILE, COMES},
	{refault, OP_evict, 6, ANYTHING, COMES},
	{bring_in, OP_mlock, 4, ANYTHING, COMES},
	{hold, OP_mlock, 4, ANYTHING, COMES},
	{range, OP_mlock, 4, ANYTHING, COMES},
	{range, OP_munlock, 3, ANYTHING, COMES},
	{protect, OP_mprotect, 4, ANYTHING, COMES},
	{cut, OP_mprotect, 3, ANYTHING, COMES},
	{advise_any, OP_madvise, 1, ANYTHING, COMES},
	{swap_back, OP_swapoff, 4, ANYTHING, COMES},
	{short_of_swap, OP_swapoff, 1, ANYTHING, COMES},
	{file_page, OP_fread, 2, A_FILE, COMES},
	{file_page, OP_fwrite, 3, A_FILE, COMES},
	{whole_file, OP_writeback, 1, A_FILE, COMES},
	{whole_file, OP_mkclean, 3, A_FILE, COMES},
	{whole_file, OP_fdrop, 1, A_FILE, COMES},
	{range, OP_msync, 2, A_FILE, COMES},
	{show, OP_remap_file_pages, 8, SHARED_MAP, COMES | GOES},
	{move, OP_mremap, 9, ANYTHING, COMES | GOES},
	{move_and_leave, OP_mremap, 5, PRIVATE_ANON, COMES | GOES},
	{look, OP_evict, 8, ANYTHING, GOES},
	{look, OP_swapout, 10, ANYTHING, GOES},
	{look, OP_migrate, 8, ANYTHING, GOES},
	{run_reclaim, OP_reclaim, 6, ANYTHING, GOES},
	{page_out, OP_madvise, 6, ANYTHING, GOES},
	{give_up, OP_madvise, 6, PRIVATE_ANON, GOES},
	{drop, OP_madvise, 8, ANYTHING, GOES},
	{unmap, OP_munmap, 4, ANYTHING, GOES},
	{cover, OP_mmap, 2, ANYTHING, GOES},
	{truncate_file, OP_truncate, 5, A_FILE, GOES},
	{punch, OP_fpunch, 4, A_FILE, GOES},
	{leave, OP_exit, 5, ANYTHING, GOES},
	{leave, OP_exec, 1, ANYTHING, GOES},
};
#define NR_STEPS (sizeof(steps) / sizeof(steps[0]))

bool focus_suits(const struct focus *focus, enum need need)
{
	switch (need) {
	case A_FILE:
		return !(focus->flags & OP_MAP_ANON);
	case SHARED_MAP:
		return focus->flags & OP_MAP_SHARED;
	case SHARED_FILE:
		return (focus->flags & (OP_MAP_ANON | OP_MAP_SHARED)) == OP_MAP_SHARED;
	case PRIVATE_ANON:
		return (focus->flags & (OP_MAP_ANON | OP_MAP_SHARED)) == OP_MAP_ANON;
	case ANYTHING:
		break;
	}
	return true;
}

/* A taste: some steps never, the others as often as they weigh, or more. */
static void choose_taste(struct generator *g, const struct focus *focus, uint32_t weight[NR_STEPS])
{
	for (size_t i = 0; i < NR_STEPS; i++) {
		weight[i] = steps[i].weight << below(g, 4);
		if (!focus_suits(focus, (enum need)steps[i].needs) || below(g, 3) == 0)
			weight[i] = 0;
	}
}

/* One of the steps that are of KIND. NULL: none is to this walk's taste. */
static const struct step *choose_step(struct generator *g, const uint32_t weight[NR_STEPS],
				      uint8_t kind)
{
	uint32_t total = 0, pick;

	for (size_t i = 0; i < NR_STEPS; i++)
		total += steps[i].kind & kind ? weight[i] : 0;
	if (!total)
		return NULL;
	pick = below(g, total);
	for (size_t i = 0;; i++) {
		uint32_t w = steps[i].kind & kind ? weight[i] : 0;

		if (pick < w)
			return &steps[i];
		pick -= w;
	}
}

/* Somebody more has the page, and looks at it. */
static void share_more(struct generator *g, struct focus *focus, struct sharer *s)
{
	bool file = !(focus->flags & OP_MAP_ANON) && below(g, 2);

	(file ? map_again : share)(g, focus, s, OP_fork);
	if (below(g, 4))
		look(g, focus, &focus->sharer[focus->nr - 1], below(g, 4) ? OP_read : OP_write);
}

void walk(struct generator *g, struct focus *focus)
{
	uint32_t weight[NR_STEPS], nr = 2 + below(g, 14), sharers = 1 + below(g, 6), at = 0;
	bool comes = true;

	choose_taste(g, focus, weight);
	for (uint32_t i = 0; i < nr && focus->nr; i++) {
		const struct step *step;
		struct sharer *s;

		/* Who does something, often does more. */
		if (below(g, 4) == 0 || at >= focus->nr)
			at = below(g, focus->nr);
		s = &focus->sharer[at];
		if (g->nesting && below(g, 3) == 0) {
			meeting(g, focus);
			continue;
		}
		if (comes && focus->nr < sharers && below(g, 2)) {
			share_more(g, focus, s);
			continue;
		}
		step = choose_step(g, weight, comes ? COMES : GOES);
		if (step)
			step->take(g, focus, s, step->code);
		comes = comes ? below(g, 2) : below(g, 4);
	}
}

/*
 * The policy that stands in for what a recording does not have: memory accesses, and pressure.
 *
 *   new mapping    `touch` percent of its pages, at most TOUCH_MAX, the first one always: written
 *                  where that is allowed (three times out of four if private), else read
 *   exec           pages at the top of the stack and one below it, so that it grows
 *   fork           parent and child write pages that both had touched, in turn
 *   any call       with `touch` percent, one page is used again; with `swap` percent a page of any
 *                  living process is swapped out, evicted or aged, or a few are reclaimed, and
 *                  in half of these cases it is used again at once
 *
 * All draws come from one stream, so a seed and a recording fix the trace.
 */
#include <string.h>

#include "import_private.h"

#define TOUCH_MAX         12u
#define FORK_TOUCHES      3u
#define RECLAIM_PAGES_MAX 8u

/* splitmix64 */
static uint32_t draw(struct importer *imp, uint32_t below)
{
	uint64_t z = imp->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return (uint32_t)(z % below);
}

static bool chance(struct importer *imp, uint32_t percent)
{
	return draw(imp, 100) < percent;
}

static bool touching(const struct importer *imp, const struct space *space)
{
	return imp->emitting && imp->options->touch && space->slot != NO_SLOT;
}

/* ---- the pages that are known to be in use ------------------------------------------------- */

static void remember(struct importer *imp, struct space *space, uint32_t vpn, bool writable)
{
	for (uint32_t i = 0; i < space->nr_touched; i++) {
		if (space->touched[i].vpn == vpn) {
			space->touched[i].writable = writable;
			return;
		}
	}
	if (space->nr_touched < TOUCHED_MAX)
		space->touched[space->nr_touched++] = (struct touched){vpn, writable};
	else
		space->touched[draw(imp, TOUCHED_MAX)] = (struct touched){vpn, writable};
}

void touched_forget(struct space *space, struct placed at)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < space->nr_touched; i++) {
		if (space->touched[i].vpn - at.vpn >= at.len)
			space->touched[kept++] = space->touched[i];
	}
	space->nr_touched = kept;
}

static void access_page(struct importer *imp, struct space *space, uint32_t vpn, bool write)
{
	EMIT(imp, touch_ops, write ? OP_write : OP_read, space->slot, vpn << SOURCE_PAGE_SHIFT);
}

static void access_again(struct importer *imp, struct space *space, const struct touched *page)
{
	access_page(imp, space, page->vpn, page->writable && chance(imp, 60));
}

/* ---- occasions ----------------------------------------------------------------------------- */

void touch_mapping(struct importer *imp, struct space *space, struct placed at, uint32_t prot)
{
	uint64_t n = ((uint64_t)at.len * imp->options->touch + 99) / 100;
	bool writable = prot & OP_PROT_WRITE;

	if (!touching(imp, space) || !(prot & (OP_PROT_READ | OP_PROT_WRITE)))
		return;
	for (uint32_t i = 0; i < n && i < TOUCH_MAX; i++) {
		uint32_t vpn = at.vpn + (i ? draw(imp, at.len) : 0);

		access_page(imp, space, vpn, writable && chance(imp, 75));
		remember(imp, space, vpn, writable);
	}
}

void touch_stack(struct importer *imp, struct space *space)
{
	uint32_t below;

	if (!touching(imp, space))
		return;
	for (uint32_t i = 1; i <= 3; i++) {
		access_page(imp, space, imp->task_pages - i, true);
		remember(imp, space, imp->task_pages - i, true);
	}
	below = imp->task_pages - STACK_PAGES - 1 - draw(imp, 4);
	access_page(imp, space, below, true);
	remember(imp, space, below, true);
}

void touch_fork(struct importer *imp, struct space *parent, struct space *child)
{
	if (!touching(imp, parent) || !parent->nr_touched)
		return;
	for (uint32_t i = 0; i < 2 * FORK_TOUCHES; i++) {
		const struct touched *page = &parent->touched[draw(imp, parent->nr_touched)];

		access_page(imp, draw(imp, 2) ? child : parent, page->vpn, page->writable);
	}
}

/* A living process that has touched something, or NULL. */
static struct space *draw_space(struct importer *imp)
{
	uint32_t start = draw(imp, PROC_MAX);

	for (uint32_t i = 0; i < PROC_MAX; i++) {
		struct space *space = imp->slots[(start + i) % PROC_MAX];

		if (space && space->nr_touched)
			return space;
	}
	return NULL;
}

static void reclaim_something(struct importer *imp)
{
	static const struct {
		uint32_t percent;
		enum op_code code;
	} ways[] = {{40, OP_swapout}, {25, OP_evict}, {20, OP_age}, {15, OP_reclaim}};
	struct space *space = draw_space(imp);
	uint32_t dice = draw(imp, 100), way = 0;
	const struct touched *page;

	if (!space)
		return;
	while (dice >= ways[way].percent)
		dice -= ways[way++].percent;
	page = &space->touched[draw(imp, space->nr_touched)];
	if (ways[way].code == OP_reclaim)
		EMIT(imp, reclaim_ops, OP_reclaim, 1 + draw(imp, RECLAIM_PAGES_MAX));
	else
		EMIT(imp, reclaim_ops, ways[way].code, space->slot, page->vpn << SOURCE_PAGE_SHIFT);
	if (imp->options->touch && chance(imp, 50))
		access_again(imp, space, page);
}

void touch_tick(struct importer *imp, struct space *space)
{
	if (!imp->emitting)
		return;
	if (touching(imp, space) && space->nr_touched && chance(imp, imp->options->touch))
		access_again(imp, space, &space->touched[draw(imp, space->nr_touched)]);
	if (imp->options->swap && chance(imp, imp->options->swap))
		reclaim_something(imp);
}

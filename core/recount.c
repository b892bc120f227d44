/*
 * Recount: everything that the machine keeps by increments is computed again from scratch.
 *
 *   recount_areas.c    list against tree, order, totals of the mm
 *   recount_tables.c   every word of every table, permissions against areas; counts who maps what
 *   recount_files.c    i_mmap, caches and stores
 *   recount_swap.c     slot maps against entries, stores and the swap cache
 *   recount_pages.c    census, mapcount and references against what was counted; lists and flags
 *   recount.c          processes, objects, totals; then the backend's own check()
 *
 * The page tables are the ground truth. Scanning them, each frame's entries are counted in
 * page->seen and each slot's in slot->seen, which nobody else uses; the rest is comparison. The
 * cost follows what was used since boot, whatever the machine's size.
 */
#include "recount_private.h"

#include <stdarg.h>
#include <stdio.h>

bool recount_wrong(struct recount *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->buf, r->size, format, args);
	va_end(args);
	return false;
}

bool recount_same(struct recount *r, const char *what, uint64_t kept, uint64_t counted)
{
	if (kept == counted)
		return true;
	return recount_wrong(r, "%s is %llu, counted %llu", what, (unsigned long long)kept,
			     (unsigned long long)counted);
}

bool recount_same_mm(struct recount *r, const struct mm *mm, const char *what, uint32_t kept,
		     uint32_t counted)
{
	if (kept == counted)
		return true;
	return recount_wrong(r, "mm %u: %s is %u, counted %u", mm->id, what, kept, counted);
}

static bool check_mms(struct recount *r)
{
	struct mm *mm;

	TAILQ_FOREACH (mm, &r->machine->mms, link) {
		if (!check_areas(r, mm) || !check_page_tables(r, mm))
			return false;
		r->mms++;
	}
	return true;
}

/* ---- totals
 * --------------------------------------------------------------------------------------- */

/* A process's mm is one of the machine's; an mm's name is one of its users'. */
static bool check_tasks(struct recount *r)
{
	const struct mm *mm;
	uint32_t users = 0;

	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		const struct task *task = r->machine->tasks[proc];

		if (!task)
			continue;
		TAILQ_FOREACH (mm, &r->machine->mms, link) {
			if (mm == task->mm)
				break;
		}
		if (task->proc != proc || !mm)
			return recount_wrong(r, "process %u has no mm of this machine", proc);
		if (!r->machine->tasks[mm->id] || r->machine->tasks[mm->id]->mm != mm)
			return recount_wrong(r, "mm %u: process %u is none of its users", mm->id,
					     mm->id);
		r->tasks++;
	}
	TAILQ_FOREACH (mm, &r->machine->mms, link) {
		if (!mm->users)
			return recount_wrong(r, "mm %u: nobody uses it", mm->id);
		users += mm->users;
	}
	return recount_same(r, "number of users of all mms", users, r->tasks);
}

/* What is in use but was not met anywhere has leaked. */
static bool check_objects(struct recount *r)
{
	const struct machine *machine = r->machine;
	const uint32_t met[NR_KOBJ] = {
		[KOBJ_VMA] = r->areas,
		[KOBJ_MM] = r->mms,
		[KOBJ_TASK] = r->tasks,
		[KOBJ_STACK] = r->tasks,
		[KOBJ_PGD] = r->mms,
		[KOBJ_INODE] = r->files,
		[KOBJ_RADIX] = machine->kobj[KOBJ_RADIX]->used,
	};

	for (enum kobj id = 0; id < NR_KOBJ; id++) {
		const struct kmem_cache *cache = machine->kobj[id];

		if (cache->used != met[id])
			return recount_wrong(r, "%u objects of %s are in use, found %u",
					     cache->used, cache->name, met[id]);
	}
	return true;
}

static bool check_totals(struct recount *r)
{
	const struct machine *machine = r->machine;
	uint32_t tables = machine->nr_tables ? machine->nr_tables - 1 : 0;

	if (!recount_same(r, "Committed_AS", machine->committed_as, r->committed))
		return false;
	if (r->charged_wrongly)
		return recount_wrong(
			r, "mm %u: whether the area at 0x%x is charged does not fit its flags",
			r->charged_wrongly->mm->id, r->charged_wrongly->start);
	return recount_same(r, "number of page tables", tables - machine->nr_free_tables,
			    r->pte_tables) &&
	       recount_same(r, "number of pages that hold tables", r->table_pages,
			    r->pte_tables + r->pmd_tables) &&
	       check_tasks(r) && check_objects(r);
}

static void forget_seen(struct machine *machine)
{
	for (enum zone_id id = 0; id < NR_ZONES; id++) {
		const struct zone *zone = &machine->zones[id];

		for (uint32_t k = 0; k < zone->touched; k++)
			zone_page(zone, k)->seen = 0;
	}
	for (uint32_t type = 0; type < machine->config.nr_swap; type++) {
		const struct swap_area *area = &machine->swap[type];

		for (uint32_t offset = 1; offset < area->nr_slots; offset++)
			area->slots[offset].seen = 0;
	}
}

const char *machine_recount_rest(struct machine *machine, char *buf, size_t size)
{
	struct recount r = {.machine = machine, .buf = buf, .size = size};
	const struct mm *mm;

	TAILQ_FOREACH (mm, &machine->mms, link) {
		if (!check_idle_words(&r, mm))
			return buf;
	}
	return NULL;
}

const char *machine_recount_live(struct machine *machine, char *buf, size_t size)
{
	struct recount r = {.machine = machine, .buf = buf, .size = size};
	const char *broken;

	forget_seen(machine);
	if (!check_mms(&r) || !check_files(&r) || !check_swap(&r) || !check_zones(&r) ||
	    !check_totals(&r) || tlb_verify(machine, r.tlb_users, buf, size) ||
	    pkmap_verify(machine, r.pkmaps, buf, size))
		return buf;
	if (machine->kmaps.fault.kind) {
		kmap_fault_print(&machine->kmaps.fault, buf, size);
		return buf;
	}
	broken = rmap_check(machine);
	if (!broken)
		return NULL;
	snprintf(buf, size, "rmap: %s", broken);
	return buf;
}

const char *machine_recount(struct machine *machine, char *buf, size_t size)
{
	const char *broken = machine_recount_live(machine, buf, size);

	return broken ? broken : machine_recount_rest(machine, buf, size);
}

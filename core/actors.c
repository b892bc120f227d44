/*
 * Second actors: another process does a whole op while one is under way.
 *
 *      host      |----- fork p0 ----.              .---- copies on ----|
 *                       passes fork.per_pte:2      |
 *      nested                       '-- write p1 --'
 *
 * Somebody else's op does not run at any price. What it would sleep or spin for, it waits for until
 * the host is done; it has then not begun, so that there is nothing to take back. What the kernel
 * only tries to lock, because it is reclaim's, fails: the page or the entry is left alone, which
 * makes SWAP_AGAIN of it. Who waits for what stands in actors_wait.c. A nested op passes points,
 * but nothing runs there.
 */
#include "internal.h"

static void log_step(struct machine *machine, enum nested_step step, uint32_t k, uint32_t nth)
{
	event_log(machine, EVENT_NESTED, (uint8_t)step, machine->group[k].point, k, nth);
}

/* Lock PAGE, unless it is NULL or locked. Returns what to unlock. */
static struct page *lock_page(struct page *page)
{
	if (!page || (page->flags & PG_LOCKED))
		return NULL;
	page->flags |= PG_LOCKED;
	return page;
}

static void unlock_page(struct page *page)
{
	if (page)
		page->flags &= ~PG_LOCKED;
}

static void run_inside(struct machine *machine, uint32_t k, const struct held *held)
{
	struct op_outcome *outcome = &machine->outcomes[k];
	const struct op *host = machine->op;
	struct op_trace trace = machine->last_op;
	uint32_t waiting = machine->waiting;
	bool in_reclaim = machine->in_reclaim;
	uint32_t cpu = machine->cpus.current;
	struct kmap_slots slots = machine->kmaps.slots;
	struct mm *mm = machine->cpus.current_mm;
	struct page *locked = lock_page(held->page), *locked2 = lock_page(held->page2);

	machine->op = &machine->group[k];
	machine->kmaps.slots = (struct kmap_slots){0};
	machine->pkmap.outside = machine->pkmap.users;
	machine->last_op = (struct op_trace){0};
	machine->waiting = 0;
	machine->held = *held;
	/* Nobody walks while the lists are locked. */
	machine->in_reclaim = held->rmap;
	outcome->order = ++machine->nr_ran;
	outcome->result.err = op_dispatch(machine, machine->op, &outcome->result);
	outcome->trace = machine->last_op;
	kmap_judge(machine);
	machine->kmaps.slots = slots;
	machine->pkmap.outside = 0;
	machine->cpus.current = cpu;
	machine->cpus.current_mm = mm;
	if (mm)
		switch_mm(machine, cpu, mm);
	machine->in_reclaim = in_reclaim;
	machine->held = (struct held){0};
	machine->waiting = waiting;
	machine->last_op = trace;
	machine->op = host;
	unlock_page(locked);
	unlock_page(locked2);
}

void group_begin(struct machine *machine, const struct op *ops, uint32_t n,
		 struct op_outcome *outcomes)
{
	machine->group = ops;
	machine->outcomes = outcomes;
	machine->nr_ran = 0;
	machine->waiting = actor_lets_in(ops) ? ((1u << n) - 1) & ~1u : 0;
	machine->stuck = 0;
	machine->host_mm = actor_mm(machine, ops);
	machine->held = (struct held){0};
	memset(machine->passed, 0, sizeof(machine->passed));
}

bool preempt_at(struct machine *machine, enum point point, uint32_t nth, const struct held *held)
{
	struct held all = *held;
	bool ran = false;

	if (!all.i_mmap)
		all.i_mmap = machine->i_mmap_lock;
	for (uint32_t left = machine->waiting; left; left &= left - 1) {
		uint32_t k = (uint32_t)__builtin_ctz(left);
		const struct op *op = &machine->group[k];

		if (op->point != point || op->point_nth != nth)
			continue;
		machine->waiting &= ~(1u << k);
		if (actor_waits(machine, op, &all)) {
			machine->stuck |= actor_procs(op);
			log_step(machine, NESTED_WAITS, k, nth);
			continue;
		}
		log_step(machine, NESTED_BEGIN, k, nth);
		run_inside(machine, k, &all);
		log_step(machine, NESTED_END, k, nth);
		ran = true;
	}
	return ran;
}

/* ---- what is only tried --------------------------------------------------------------------- */

bool page_trylock_fails(struct machine *machine, const struct page *page)
{
	const struct held *held = &machine->held;

	if (page != held->page && page != held->page2 &&
	    (!held->i_mmap || page->mapping != held->i_mmap))
		return false;
	machine->last_op.trylocks++;
	return true;
}

bool ptl_trylock_fails(struct machine *machine, const struct mm *mm)
{
	if (mm != machine->held.ptl)
		return false;
	machine->last_op.trylocks++;
	return true;
}

/*
 * An op, and those that another actor did while it was under way.
 *
 *      host     |-------.             .------------|
 *      nested           '-- write p1 -'                 ran inside: part of the group
 *      nested                              mmap p2      had to wait: an op of its own, afterwards
 *
 * What ran at the same time must look as if it had run one after the other. In which order is
 * known: nested ops run whole, so among each other it is the order in which they ran; and what a
 * program can see of the host happens at its end (an access touches its page last, a fork's child
 * is born last), save for the ops that take something away from everybody at once and then clean
 * up. One exception is where truncation has not cleaned up yet: who still has the page mapped
 * reaches it there, as if that had been before, and so had been all that others did before it. The
 * model follows in that order, and each result is judged.
 */
#include "internal.h"

/* Its effect is there for others before it passes any point. */
static bool takes_effect_first(enum op_code code)
{
	return code == OP_truncate || code == OP_exit || code == OP_exec;
}

static bool is_access(const struct op *op)
{
	return op->code == OP_read || op->code == OP_write || op->code == OP_poke;
}

/* It takes a page away from where it is mapped, or asks about it, and changes no area. */
static bool is_reclaim(const struct op *op)
{
	return op->code == OP_evict || op->code == OP_swapout || op->code == OP_age ||
	       op->code == OP_migrate;
}

static bool is_about_areas(const struct op *op)
{
	return op_info((enum op_code)op->code)->operand[0].kind == OPERAND_PROC && !is_access(op) &&
	       !is_reclaim(op);
}

/* An op of the group before K, the host aside, may change areas of K's process. */
static bool meets_changes(const struct diff *diff, uint32_t k)
{
	const struct op *op = &diff->group[k];

	if (op_info((enum op_code)op->code)->operand[0].kind != OPERAND_PROC)
		return false;
	for (uint32_t i = 1; i < k; i++) {
		if (is_about_areas(&diff->group[i]) && diff->group[i].args[0] == op->args[0])
			return true;
	}
	return false;
}

/*
 * mremap is narrowed by the areas that there are beforehand, and a model that has to ask what is
 * mapped asks afterwards: so who has changed his areas while a host is under way does nothing more
 * before it is done.
 */
void group_prepare(struct diff *diff, const struct op *ops, uint32_t n)
{
	DIFF_ASSERT(n > 0 && n <= GROUP_MAX);
	diff->nr_group = n;
	diff->from = 0;
	diff->to = n;
	for (uint32_t k = 0; k < n; k++) {
		diff->op = op_resolve(&ops[k], diff->regions);
		if (diff->op.code == OP_mremap)
			narrow_mremap(diff);
		diff->group[k] = diff->op;
		if (k && meets_changes(diff, k))
			diff->group[k].point = POINT_NONE;
	}
}

void group_apply(struct diff *diff)
{
	FOR_EACH_SUBJECT (diff, s) {
		machine_apply_group(s->machine, diff->group, diff->nr_group, s->outcomes);
		s->events = machine_events(s->machine, &s->nr_events);
	}
}

static void focus(struct subject *s, uint32_t k)
{
	s->result = s->outcomes[k].result;
	s->last = &s->outcomes[k].trace;
	s->order = s->outcomes[k].order;
}

void group_focus(struct diff *diff, uint32_t first, uint32_t k)
{
	diff->op = diff->group[k];
	diff->op_index = first + k;
	FOR_EACH_SUBJECT (diff, s) {
		focus(s, k);
	}
}

/* Processes A and B have one address space, as far as one can tell when the group is done. */
static bool share_space(const struct diff *diff, uint32_t a, uint32_t b)
{
	const struct machine *machine = diff->reference->machine;

	return a == b || (machine_proc_alive(machine, a) && machine_proc_alive(machine, b) &&
			  machine_mm_of(machine, a) == machine_mm_of(machine, b));
}

/*
 * Reclaim at an address whose areas are being exchanged: whether it found the old page there or the
 * new one, and which of them is locked, the model cannot tell.
 */
bool group_hides_locks(const struct diff *diff)
{
	const struct op *host = &diff->group[0];

	return diff->op.point && is_reclaim(&diff->op) && is_about_areas(host) &&
	       share_space(diff, host->args[0], diff->op.args[0]);
}

/* Who PROC was before the first I of the ops in RAN: itself, or who it was made from. */
static uint32_t origin(const struct diff *diff, const uint32_t *ran, uint32_t i, uint32_t proc)
{
	while (i--) {
		const struct op *op = &diff->group[ran[i]];

		if ((op->code == OP_fork || op->code == OP_clone_vm) && op->args[1] == proc &&
		    !diff->reference->outcomes[ran[i]].result.err)
			proc = op->args[0];
	}
	return proc;
}

/* VPN is among so many pages from operand ADDR of OP on. */
static bool covers(const struct op *op, const char *addr, const char *len, uint32_t vpn)
{
	enum op_code code = (enum op_code)op->code;

	return vpn - op->args[op_operand_index(code, addr)] / PAGE_SIZE <
	       op->args[op_operand_index(code, len)];
}

/* OP takes what was at VPN away from there. A heap does not grow into what is there. */
static bool replaces(const struct diff *diff, const struct op *op, uint32_t vpn)
{
	switch ((enum op_code)op->code) {
	case OP_mmap:
	case OP_munmap:
	case OP_remap_file_pages:
		return covers(op, "addr", "len", vpn);
	case OP_mremap:
		return covers(op, "addr", "old_len", vpn) || covers(op, "new_addr", "new_len", vpn);
	case OP_brk:
		return model_in_heap(diff->model, op->args[0], vpn);
	case OP_exec:
		return true;
	default:
		return false;
	}
}

/* One of the first I of the ops in RAN has changed what PROC has at VPN. */
static bool area_has_changed(const struct diff *diff, const uint32_t *ran, uint32_t i,
			     uint32_t proc, uint32_t vpn)
{
	while (i--) {
		const struct op *op = &diff->group[ran[i]];

		if (replaces(diff, op, vpn) && share_space(diff, op->args[0], proc) &&
		    !diff->reference->outcomes[ran[i]].result.err)
			return true;
	}
	return false;
}

/* The I-th of the ops in RAN reached what its host, a truncation, has cut off. */
static bool was_in_time(const struct diff *diff, const uint32_t *ran, uint32_t i)
{
	const struct op *host = &diff->group[0], *op = &diff->group[ran[i]];
	uint32_t file, pgoff, vpn = op->args[1] / PAGE_SIZE;

	if (host->code != OP_truncate || !is_access(op) ||
	    diff->reference->outcomes[ran[i]].result.err || !diff->model ||
	    area_has_changed(diff, ran, i, op->args[0], vpn))
		return false;
	return model_file_page(diff->model, origin(diff, ran, i, op->args[0]), vpn, &file,
			       &pgoff) &&
	       file == host->args[0] && pgoff >= host->args[1];
}

/* Op K may have found that its file has been cut off: it failed, and not for want of an area or a
 * process. */
static bool may_see_the_end(const struct diff *diff, uint32_t k)
{
	int err = diff->reference->outcomes[k].result.err;

	return err && err != RES_SEGV && err != -ESRCH;
}

/* Op K changes the areas of one of PROCS, or ends it; or is done by one that they have made. */
static bool follows(const struct diff *diff, uint32_t k, uint32_t procs)
{
	const struct op *op = &diff->group[k];

	if (op_info((enum op_code)op->code)->operand[0].kind != OPERAND_PROC)
		return false;
	for (; procs; procs &= procs - 1) {
		uint32_t proc = (uint32_t)__builtin_ctz(procs);

		if (op->args[0] == proc
			    ? !is_access(op)
			    : is_about_areas(op) && share_space(diff, op->args[0], proc))
			return true;
	}
	return false;
}

/* Op K is an access to where one of the N ops in LATE has put something else. */
static bool meets(const struct diff *diff, uint32_t k, const uint32_t *late, uint32_t n)
{
	const struct op *op = &diff->group[k];

	return is_access(op) &&
	       area_has_changed(diff, late, n, op->args[0], op->args[1] / PAGE_SIZE);
}

/* The process of op K, and the one that it makes: a bit each. */
static uint32_t procs_of(const struct diff *diff, uint32_t k)
{
	const struct op *op = &diff->group[k];
	const struct op_info *info = op_info((enum op_code)op->code);
	uint32_t procs = 0;

	for (int i = 0; i < 2 && i < info->nargs; i++) {
		if (info->operand[i].kind == OPERAND_PROC ||
		    info->operand[i].kind == OPERAND_NEWPROC)
			procs |= op->args[i] < PROC_MAX ? 1u << op->args[i] : 0;
	}
	return procs;
}

/* How many of the NR_RAN ops in RAN ran no later than the last that was in time. */
static uint32_t nr_in_time(const struct diff *diff, const uint32_t *ran, uint32_t nr_ran)
{
	while (nr_ran && !was_in_time(diff, ran, nr_ran - 1))
		nr_ran--;
	return nr_ran;
}

uint32_t group_order(const struct diff *diff, uint32_t order[GROUP_MAX])
{
	const struct op_outcome *outcomes = diff->reference->outcomes;
	bool first = takes_effect_first((enum op_code)diff->group[0].code);
	uint32_t ran[GROUP_MAX], nr_ran = 0, nr_late = 0, late[GROUP_MAX], n = 0, in_time,
				 procs = 0;

	for (uint32_t k = 1; k < diff->nr_group; k++) {
		if (outcomes[k].order) {
			ran[outcomes[k].order - 1] = k;
			nr_ran++;
		}
	}
	in_time = first ? nr_in_time(diff, ran, nr_ran) : nr_ran;
	for (uint32_t i = 0; i < nr_ran; i++) {
		uint32_t k = ran[i];

		if (!first || (i < in_time && !may_see_the_end(diff, k) &&
			       !follows(diff, k, procs) && !meets(diff, k, late, nr_late))) {
			order[n++] = k;
		} else {
			late[nr_late++] = k;
			procs |= procs_of(diff, k);
		}
	}
	order[n++] = 0;
	for (uint32_t i = 0; i < nr_late; i++)
		order[n++] = late[i];
	return n;
}

void group_apply_left(struct diff *diff, const struct op *op, uint32_t k)
{
	diff->from = k;
	diff->to = k + 1;
	FOR_EACH_SUBJECT (diff, s) {
		if (s->outcomes[k].order) { /* one that has left the lockstep: done already */
			s->events = NULL;
			s->nr_events = 0;
		} else {
			machine_apply_group(s->machine, op, 1, &s->outcomes[k]);
			s->events = machine_events(s->machine, &s->nr_events);
		}
		focus(s, k);
	}
}

bool group_keeps_content(const struct diff *diff)
{
	for (uint32_t k = 1; k < diff->nr_group; k++) {
		const struct op *op = &diff->group[k];

		if (diff->reference->outcomes[k].order && !is_reclaim(op) && op->code != OP_read &&
		    op->code != OP_fread)
			return false;
	}
	return true;
}

/* Points that have to do with areas: see excuse.c. */
bool group_fails(const struct diff *diff)
{
	for (uint32_t k = diff->from; k < diff->to; k++) {
		const struct op *op = &diff->group[k];

		if (op_fails(op) || op->reclaim_nth ||
		    (k > diff->from && point_is_area((enum point)op->point)))
			return true;
	}
	return false;
}

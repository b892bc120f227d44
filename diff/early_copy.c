/*
 * The excuse early-copy: a subject whose reverse map had a page copied that the others go on
 * sharing.
 *
 *   p0, p1 share a page; p1 moves it      anonmm: two frames      the others: one frame
 *
 * From that op on it is *apart*. It has a frame more than the others, so it hands out other frames,
 * its lists have another order, reclaim takes other pages, and a later write finds nothing left to
 * copy: SETS and PTES, which compare where pages are, have nothing to compare any more. All that a
 * program can see must still be the same, and is judged: results, and contents of everything in
 * memory, which CONTENT looks up in each such machine and not only in the reference. So are walks
 * against the machine's own page tables, counts, structure and leaks. What a result says of
 * residence (how many entries were young, how many pages were freed) no program can ask for. A page
 * that a program has given up for lost (madvise free) goes when reclaim comes to it, which may be
 * at another time: either content is right, and the model says which two.
 *
 * If a device may write to the page that was copied, what it writes reaches one side and not the
 * other: who copied leaves the lockstep.
 *
 * Memory also runs short at other times, and a nested op meets its point at others. A subject that
 * is apart when that happens may have got less far; it leaves the lockstep.
 */
#include "internal.h"

/* Copies that S made in the op or the group that is looked at. */
static uint32_t copies(const struct diff *diff, const struct subject *s)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < diff->nr_group; k++)
		n += s->outcomes[k].trace.early_copies;
	return n;
}

/* Memory ran short in it. */
static bool ran_short(const struct diff *diff, const struct subject *s)
{
	bool any = s->last->alloc_failed;

	for (uint32_t k = 0; k < diff->nr_group; k++)
		any |= s->outcomes[k].trace.alloc_failed;
	return any;
}

/* Who made the fewest copies stays the measure; whoever made as many is in lockstep with it. */
static void choose_reference(struct diff *diff)
{
	struct subject *least = diff->reference;

	FOR_EACH_SUBJECT (diff, s) {
		if (!s->alone && !s->apart && copies(diff, s) < copies(diff, least))
			least = s;
	}
	diff->reference = least;
}

/* Some subject has copied in this op. The first time in a trace counts. */
static bool has_copied(struct diff *diff)
{
	bool copied = false;

	FOR_EACH_SUBJECT (diff, s) {
		if (s->alone || !copies(diff, s))
			continue;
		if (!s->copied)
			excuse_count(diff, EXCUSE_EARLY_COPY);
		s->copied = copied = true;
	}
	return copied;
}

void excuse_early_copies(struct diff *diff)
{
	if (!has_copied(diff))
		return;
	choose_reference(diff);
	FOR_EACH_SUBJECT (diff, s) {
		if (copies(diff, s) != copies(diff, diff->reference))
			s->apart = true;
	}
	if (diff->model)
		model_parted(diff->model);
}

/* S has copied a page that a device writes to. */
static bool copied_held(const struct diff *diff, const struct subject *s)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < diff->nr_group; k++)
		n += s->outcomes[k].trace.held_copies;
	return n;
}

/* A nested op ran elsewhere in S: how often a point is passed depends on what is in memory. */
static bool nested_elsewhere(const struct diff *diff, const struct subject *s)
{
	for (uint32_t k = 1; k < diff->nr_group; k++) {
		if (s->outcomes[k].order != diff->reference->outcomes[k].order)
			return true;
	}
	return false;
}

/* Something ran inside an op, which a machine with other pages passes points of at other times. */
static bool nested_inside(const struct diff *diff, const struct subject *s)
{
	bool any = false;

	for (uint32_t k = 1; k < diff->nr_group; k++)
		any |= s->outcomes[k].order || diff->reference->outcomes[k].order;
	return any && machine_config(s->machine)->cluster != diff->config.cluster;
}

void excuse_apart(struct diff *diff)
{
	FOR_EACH_SUBJECT (diff, s) {
		if (!s->apart || s->alone)
			continue;
		if (!ran_short(diff, s) && !ran_short(diff, diff->reference) &&
		    !nested_elsewhere(diff, s) && !nested_inside(diff, s) && !copied_held(diff, s))
			continue;
		s->alone = true;
		excuse_count(diff, s->last->meta_failed ? EXCUSE_META_FAILURE : EXCUSE_EARLY_COPY);
	}
}

bool tells_residence(enum op_code code)
{
	return code == OP_evict || code == OP_swapout || code == OP_age || code == OP_reclaim ||
	       code == OP_migrate || code == OP_writeback || code == OP_mkclean || code == OP_fdrop;
}

/* Some area of S in LEN pages from VPN of PROC may be written and not read. */
static bool is_write_only(const struct subject *s, uint32_t proc, uint32_t vpn, uint32_t len)
{
	struct area_view area;

	for (uint32_t at = vpn; machine_view_area(s->machine, proc, at, &area); at = area.end) {
		if (area.start >= vpn + len)
			return false;
		if ((area.flags & VM_WRITE) && !(area.flags & (VM_READ | VM_EXEC)))
			return true;
	}
	return false;
}

/* On i386 a page that may only be written can be read while it is present (see write-only); so it
 * can be locked, which reads it. */
static bool depends_on_presence(const struct diff *diff, const struct subject *s)
{
	const struct op *op = &diff->op;
	uint32_t len = op->code == OP_read ? 1 : op->args[2];

	return (op->code == OP_read || op->code == OP_mlock) &&
	       s->result.err != diff->reference->result.err &&
	       machine_proc_alive(s->machine, op->args[0]) &&
	       is_write_only(s, op->args[0], op->args[1] / PAGE_SIZE, len);
}

/*
 * A write finds the page shared with another process, and so leaves it to the device that reads it;
 * or, after an early copy, owns it, and writes to what the device reads. The manual pages allow
 * both, of a device that only reads; and only contents may differ.
 */
static bool depends_on_sharing(const struct diff *diff, const struct subject *s)
{
	const struct result *a = &s->result, *b = &diff->reference->result;

	return diff->op.code == OP_pinread && a->err == b->err && a->value == b->value &&
	       !machine_pin_writes(s->machine, diff->op.args[0]);
}

/* A page that may be lost is there still in one of them, and not in the other. */
static bool depends_on_loss(const struct diff *diff, const struct subject *s)
{
	const struct result *a = &s->result, *b = &diff->reference->result;

	if (a->err != b->err || a->value != b->value)
		return false;
	if (!diff->model) /* who would say which */
		return diff->op.code == OP_read || diff->op.code == OP_pinread;
	return model_may_be_lost(diff->model, &diff->op, a->token);
}

bool results_comparable(const struct diff *diff, const struct subject *s)
{
	if (s->alone)
		return false;
	return !s->apart ||
	       !(tells_residence((enum op_code)diff->op.code) || depends_on_presence(diff, s) ||
		 depends_on_sharing(diff, s) || depends_on_loss(diff, s));
}

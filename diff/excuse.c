/*
 * Permitted differences: their names and reasons, and the one that changes who is compared.
 *
 * When the trace makes an allocation fail, designs may go different ways by right: their own
 * objects are numbered apart, and a design that merges fewer areas needs more area structs. Those
 * that differ from the reference leave the lockstep. A machine that left goes on with the same ops
 * and is judged against its own page tables, by recount and at the end.
 */
#include "internal.h"

#define EXCUSE(id, name, reason) {name, reason},
static const struct {
	const char *name, *reason;
} excuses[NR_EXCUSES] = {
#include "excuses.def"
};
#undef EXCUSE

const char *diff_excuse_name(enum diff_excuse excuse)
{
	return excuses[excuse].name;
}

const char *diff_excuse_reason(enum diff_excuse excuse)
{
	return excuses[excuse].reason;
}

void excuse_count(struct diff *diff, enum diff_excuse excuse)
{
	diff->stats.excuses[excuse]++;
	if (diff->options.feedback)
		feedback_excuse(diff->options.feedback, (uint32_t)excuse);
}

int excuse_named(const char *sentence)
{
	for (int i = 0; i < NR_EXCUSES; i++) {
		size_t n = strlen(excuses[i].name);

		if (strncmp(sentence, excuses[i].name, n) == 0 && sentence[n] == ':')
			return i;
	}
	return -1;
}

/* Of the ops that are judged together, one had an allocation of the backend's fail. */
static bool meta_failed(const struct diff *diff, const struct subject *s)
{
	for (uint32_t k = diff->from; k < diff->to; k++) {
		if (s->outcomes[k].trace.meta_failed)
			return true;
	}
	return false;
}

/* One made areas. */
static bool made_areas(const struct diff *diff, const struct subject *s)
{
	for (uint32_t k = diff->from; k < diff->to; k++) {
		if (s->outcomes[k].trace.area_allocs)
			return true;
	}
	return false;
}

/* One is told something about its n-th allocation, or runs at somebody's. */
static bool counts_allocs(const struct diff *diff)
{
	for (uint32_t k = diff->from; k < diff->to; k++) {
		const struct op *op = &diff->group[k];

		if (op->fail_nth || op->fail_from || op->reclaim_nth ||
		    (k > diff->from && op->point == POINT_ALLOC))
			return true;
	}
	return false;
}

/* One runs where areas are made, cut or merged. */
static bool hangs_on_areas(const struct diff *diff)
{
	for (uint32_t k = diff->from + 1; k < diff->to; k++) {
		if (point_is_area((enum point)diff->group[k].point))
			return true;
	}
	return false;
}

void excuse_reference(struct diff *diff)
{
	FOR_EACH_SUBJECT (diff, s) {
		if (!s->alone && !s->apart && !meta_failed(diff, s)) {
			diff->reference = s;
			return;
		}
	}
}

/* Why S may differ from the reference in this op; NR_EXCUSES: it may not. */
static enum diff_excuse excuse_for(const struct diff *diff, const struct subject *s)
{
	if (meta_failed(diff, s) || meta_failed(diff, diff->reference))
		return EXCUSE_META_FAILURE;
	if (counts_allocs(diff) && (made_areas(diff, s) || made_areas(diff, diff->reference)))
		return EXCUSE_AREA_FAILURE;
	return hangs_on_areas(diff) ? EXCUSE_NESTED_AREA : NR_EXCUSES;
}

/*
 * The next pages of PROC at or after VPN that are one mapping, whoever cut them into areas. With
 * page clustering a cut inside a page counts: it decides what shares the page later on.
 */
static bool next_mapping(const struct subject *s, uint32_t proc, uint32_t vpn,
			 struct area_view *mapping)
{
	uint32_t inside = (1u << machine_config(s->machine)->cluster) - 1;
	struct area_view next;

	if (!machine_view_area(s->machine, proc, vpn, mapping))
		return false;
	while (machine_view_area(s->machine, proc, mapping->end, &next) &&
	       next.start == mapping->end && next.flags == mapping->flags &&
	       next.file == mapping->file && !(next.pgoff & inside))
		mapping->end = next.end;
	return true;
}

static bool layout_equal(const struct subject *a, const struct subject *b, uint32_t proc)
{
	struct area_view in_a, in_b;

	for (uint32_t vpn = 0;; vpn = in_a.end) {
		bool more = next_mapping(a, proc, vpn, &in_a);

		if (more != next_mapping(b, proc, vpn, &in_b))
			return false;
		if (!more)
			return true;
		if (in_a.start != in_b.start || in_a.end != in_b.end || in_a.flags != in_b.flags ||
		    in_a.file != in_b.file)
			return false;
	}
}

/* Reclaim that ran for one and not for the other shows in what is left of memory. */
static bool memory_equal(const struct subject *a, const struct subject *b)
{
	struct machine_stats in_a, in_b;

	machine_stats(a->machine, &in_a);
	machine_stats(b->machine, &in_b);
	return in_a.frames_used == in_b.frames_used && in_a.reclaimed == in_b.reclaimed &&
	       in_a.swapouts == in_b.swapouts && in_a.swapins == in_b.swapins;
}

/*
 * Did S come out of the op as the reference did? A failure that a call swallows (the unmapping of
 * the old range at the end of mremap, say) shows in neither result nor entries.
 */
static bool same_outcome(struct diff *diff, const struct subject *s)
{
	const struct subject *reference = diff->reference;

	if (!sets_equal(diff, s) || !ptes_equal(diff, s))
		return false;
	for (uint32_t k = diff->from; k < diff->to; k++) {
		const struct op *op = &diff->group[k];
		const struct op_outcome *a = &s->outcomes[k], *b = &reference->outcomes[k];

		if (!results_equal(&a->result, &b->result) || a->order != b->order ||
		    (op->reclaim_nth && a->trace.allocs != b->trace.allocs))
			return false;
		if (op_info((enum op_code)op->code)->operand[0].kind == OPERAND_PROC &&
		    !layout_equal(s, reference, op->args[0]))
			return false;
	}
	return memory_equal(s, reference);
}

/*
 * S and the reference both say that the call was done, and what is mapped after it is not the same.
 * A failure is an excuse for not doing a thing, not for saying that it was done. Only mremap may
 * swallow one: its new range is there, and its old one as well.
 */
static bool claims_too_much(const struct diff *diff, const struct subject *s)
{
	const struct op *op = &diff->group[diff->from];

	if (diff->to - diff->from > 1 || op->code == OP_mremap ||
	    op_info((enum op_code)op->code)->operand[0].kind != OPERAND_PROC)
		return false;
	if (s->outcomes[diff->from].result.err || diff->reference->outcomes[diff->from].result.err)
		return false;
	return !layout_equal(s, diff->reference, op->args[0]);
}

void excuse_failures(struct diff *diff)
{
	FOR_EACH_SUBJECT (diff, s) {
		enum diff_excuse excuse;

		if (s->alone || s->apart || s == diff->reference)
			continue;
		excuse = excuse_for(diff, s);
		if (excuse == NR_EXCUSES || same_outcome(diff, s) || claims_too_much(diff, s))
			continue;
		s->alone = true;
		excuse_count(diff, excuse);
	}
}

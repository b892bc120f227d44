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

void excuse_reference(struct diff *diff)
{
	FOR_EACH_SUBJECT(diff, s) {
		if (!s->alone && !s->last->meta_failed) {
			diff->reference = s;
			return;
		}
	}
}

/* Why S may differ from the reference in this op; NR_EXCUSES: it may not. */
static enum diff_excuse excuse_for(const struct diff *diff, const struct subject *s)
{
	const struct op *op = &diff->op;

	if (s->last->meta_failed || diff->reference->last->meta_failed)
		return EXCUSE_META_FAILURE;
	if ((op->fail_nth || op->reclaim_nth) &&
	    (s->last->area_allocs || diff->reference->last->area_allocs))
		return EXCUSE_AREA_FAILURE;
	return NR_EXCUSES;
}

void excuse_failures(struct diff *diff)
{
	FOR_EACH_SUBJECT(diff, s) {
		enum diff_excuse excuse;

		if (s->alone || s == diff->reference)
			continue;
		excuse = excuse_for(diff, s);
		if (excuse == NR_EXCUSES ||
		    (results_equal(s, diff->reference) && sets_equal(diff, s) && ptes_equal(diff, s)))
			continue;
		s->alone = true;
		excuse_count(diff, excuse);
	}
}

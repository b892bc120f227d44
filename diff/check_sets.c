/*
 * SETS: all backends unmap the same entries. Walk by walk, each subject was asked about the same
 * page as the reference, and the entries it gave up are the same, in whatever order.
 */
#include <inttypes.h>

#include "internal.h"

/* The next walk of S at or after event *AT. */
static bool walk_next(const struct subject *s, size_t *at, struct segment *walk)
{
	while (segment_next(s, at, walk)) {
		if (walk->walk)
			return true;
	}
	return false;
}

enum sets { SETS_EQUAL, SETS_WALKS, SETS_DROPS };

/* Compare S with the reference. At a difference, *WALK is the reference's walk, if it has one. */
static enum sets compare(struct diff *diff, const struct subject *s, struct segment *walk)
{
	size_t at = 0, other_at = 0;
	struct segment other;

	for (;;) {
		bool more = walk_next(diff->reference, &at, walk);

		if (more != walk_next(s, &other_at, &other))
			return SETS_WALKS;
		if (!more)
			return SETS_EQUAL;
		keys_of(&diff->census, walk, EVENT_CENSUS, -1);
		keys_of(&diff->visits, &other, EVENT_CENSUS, -1);
		if (walk->event->aux != other.event->aux ||
		    !keys_equal(&diff->census, &diff->visits))
			return SETS_WALKS;
		keys_of(&diff->drops, walk, EVENT_VISIT, RMAP_DROP);
		keys_of(&diff->other_drops, &other, EVENT_VISIT, RMAP_DROP);
		if (!keys_equal(&diff->drops, &diff->other_drops))
			return SETS_DROPS;
		diff->stats.unmaps_compared += diff->drops.n;
	}
}

bool sets_equal(struct diff *diff, const struct subject *s)
{
	struct segment walk;

	return s->same || compare(diff, s, &walk) == SETS_EQUAL;
}

static bool report_drops(struct diff *diff, const struct subject *s, const struct segment *walk)
{
	const char *against = diff->reference->name;

	find(diff, CHECK_SETS, s->name, against,
	     diff->other_drops.n < diff->drops.n ? "fewer" : "others",
	     "%s unmapped %zu entries of a page, %s %zu", s->name, diff->other_drops.n, against,
	     diff->drops.n);
	find_page(diff->finding, walk->event->mm, walk->event->vpn);
	for (size_t i = 0; i < diff->other_drops.n; i++)
		find_found(diff->finding, (uint32_t)(diff->other_drops.key[i] >> 32),
			   (uint32_t)diff->other_drops.key[i]);
	for (size_t i = 0; i < diff->drops.n; i++)
		find_expected(diff->finding, (uint32_t)(diff->drops.key[i] >> 32),
			      (uint32_t)diff->drops.key[i]);
	return true;
}

/* The reference's walks are the others' measure; count what it dropped once for each of them. */
static void count_same(struct diff *diff)
{
	const struct subject *reference = diff->reference;
	uint64_t drops = 0, same = 0;

	for (size_t i = 0; i < reference->nr_events; i++)
		drops += reference->events[i].kind == EVENT_VISIT &&
			 reference->events[i].aux == RMAP_DROP;
	FOR_EACH_SUBJECT (diff, s)
		same += s->same && s != reference && !s->alone;
	diff->stats.unmaps_compared += drops * same;
}

bool check_sets(struct diff *diff)
{
	if (diff->reference->walked) {
		diff->stats.check_count[CHECK_SETS]++;
		count_same(diff);
	}
	FOR_EACH_SUBJECT (diff, s) {
		struct segment walk;

		if (s->alone || s->apart || s->same || !(s->walked || diff->reference->walked))
			continue;
		switch (compare(diff, s, &walk)) {
		case SETS_EQUAL:
			break;
		case SETS_WALKS:
			return find(diff, CHECK_SETS, s->name, diff->reference->name, "walks",
				    "%s and %s were asked about different pages", s->name,
				    diff->reference->name);
		case SETS_DROPS:
			return report_drops(diff, s, &walk);
		}
	}
	return false;
}

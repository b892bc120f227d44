/*
 * PTES: all subjects write the same page-table entries, bit for bit, frame numbers included (the
 * machines allocate frames alike, and a design's own objects are charged, not taken from them), and
 * bring in the same pages. Between walks the order is the engine's and must be equal; inside a walk
 * it is the design's, so the sets are compared.
 */
#include <inttypes.h>

#include "internal.h"

/* Where two subjects part: an event of each, or NULL where one has no more. */
struct parting {
	const struct event *got, *wanted;
};

static bool part(struct parting *parting, const struct event *got, size_t nr_got,
		 const struct event *wanted, size_t nr_wanted)
{
	size_t n = nr_got < nr_wanted ? nr_got : nr_wanted, i = 0;

	while (i < n && memcmp(&got[i], &wanted[i], sizeof(*got)) == 0)
		i++;
	if (i == nr_got && i == nr_wanted)
		return false;
	*parting = (struct parting){i < nr_got ? &got[i] : NULL, i < nr_wanted ? &wanted[i] : NULL};
	return true;
}

static bool part_in_walk(struct diff *diff, struct parting *parting, const struct segment *got,
			 const struct segment *wanted)
{
	event_set_of(&diff->set, got, EVENT_PTE);
	event_set_of(&diff->other_set, wanted, EVENT_PTE);
	return part(parting, diff->set.event, diff->set.n, diff->other_set.event,
		    diff->other_set.n);
}

static bool compare(struct diff *diff, const struct subject *s, struct parting *parting)
{
	size_t at = 0, other_at = 0;

	for (;;) {
		struct segment got = {0}, wanted = {0};
		bool more = segment_next(s, &at, &got);

		if (segment_next(diff->reference, &other_at, &wanted) != more ||
		    got.walk != wanted.walk) {
			*parting = (struct parting){got.event, wanted.event};
			return true;
		}
		if (!more)
			return false;
		if (got.walk ? part_in_walk(diff, parting, &got, &wanted)
			     : part(parting, got.event, got.n, wanted.event, wanted.n))
			return true;
	}
}

bool ptes_equal(struct diff *diff, const struct subject *s)
{
	struct parting parting;

	return s->same || !compare(diff, s, &parting);
}

static const char *describe(const struct event *event, char *buf, size_t size)
{
	char name[16];

	if (!event)
		return "nothing";
	page_name(event->vpn, name, sizeof(name));
	if (event->kind == EVENT_RENAME)
		snprintf(buf, size, "the name p%u to what was p%u", (uint32_t)event->value,
			 event->mm);
	else if (event->kind == EVENT_PTE)
		snprintf(buf, size, "0x%016" PRIx64 " to p%u %s", event->value, event->mm, name);
	else if (event->kind == EVENT_FILL)
		snprintf(buf, size, "content 0x%" PRIx64 " to p%u %s", event->value, event->mm,
			 name);
	else
		snprintf(buf, size, "what a walk for p%u %s asked", event->mm, name);
	return buf;
}

static const char *detail_of(const struct parting *parting)
{
	const struct event *got = parting->got, *wanted = parting->wanted;

	if (!got || !wanted)
		return got ? "more" : "fewer";
	if (got->kind != wanted->kind || got->mm != wanted->mm || got->vpn != wanted->vpn)
		return "entry";
	return got->kind == EVENT_FILL ? "fill" : "value";
}

static bool report(struct diff *diff, const struct subject *s, const struct parting *parting)
{
	const struct event *at = parting->got ? parting->got : parting->wanted;
	char a[80], b[80];

	DIFF_ASSERT(at); /* at most one of the two has come to its end */
	find(diff, CHECK_PTES, s->name, diff->reference->name, detail_of(parting),
	     "%s wrote %s, %s %s", s->name, describe(parting->got, a, sizeof(a)),
	     diff->reference->name, describe(parting->wanted, b, sizeof(b)));
	find_page(diff->finding, at->mm, at->vpn);
	return true;
}

bool check_ptes(struct diff *diff)
{
	if (diff->reference->nr_events)
		diff->stats.check_count[CHECK_PTES]++;
	FOR_EACH_SUBJECT (diff, s) {
		struct parting parting;

		if (!s->alone && !s->apart && !s->same && compare(diff, s, &parting))
			return report(diff, s, &parting);
	}
	return false;
}

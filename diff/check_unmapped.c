/*
 * UNMAPPED: the question that reverse maps are for. In every walk, the entries that the backend
 * showed are those that map the page by the page tables (the census), each once.
 *
 *   missed  an entry maps the page, the backend did not show it: its page would be given away
 *   twice   it showed one entry two times
 *   stale   it showed an entry that does not map the page
 *
 * A walk may end early if the visitor said STOP, or once nothing maps the page any more. One that
 * says that it left nonlinear areas out (nonlinear=cluster) is excused for the entries there.
 */
#include <inttypes.h>

#include "internal.h"

static uint32_t key_proc(uint64_t key)
{
	return (uint32_t)(key >> 32);
}

static uint32_t key_vpn(uint64_t key)
{
	return (uint32_t)key;
}

static bool report(struct diff *diff, const struct subject *s, const struct segment *walk,
		   const char *detail, uint64_t culprit)
{
	static const char *const reasons[] = {[WALK_REFERENCED] = "page_referenced",
					      [WALK_UNMAP] = "try_to_unmap",
					      [WALK_MKCLEAN] = "page_mkclean"};
	char name[16];

	find(diff, CHECK_UNMAPPED, s->name, "census", detail,
	     "%s %s p%" PRIu32 " %s in a walk for %s: it showed %zu entries of a page that %zu map",
	     s->name,
	     *detail == 'm'   ? "missed"
	     : *detail == 't' ? "showed twice"
			      : "showed the wrong entry",
	     key_proc(culprit), page_name(key_vpn(culprit), name, sizeof(name)),
	     reasons[walk->event->aux], diff->visits.n, diff->census.n);
	find_page(diff->finding, walk->event->mm, walk->event->vpn);
	for (size_t i = 0; i < diff->visits.n; i++)
		find_found(diff->finding, key_proc(diff->visits.key[i]),
			   key_vpn(diff->visits.key[i]));
	for (size_t i = 0; i < diff->census.n; i++)
		find_expected(diff->finding, key_proc(diff->census.key[i]),
			      key_vpn(diff->census.key[i]));
	return true;
}

/* Sort WALK's events into census and visits. STOPPED: a subset of the census will do. */
static void collect(struct diff *diff, const struct segment *walk, bool *stopped)
{
	bool clusters = walk->event[walk->n - 1].aux, excused = false;

	diff->census.n = diff->visits.n = 0;
	*stopped = false;
	for (size_t i = 0; i < walk->n; i++) {
		const struct event *event = &walk->event[i];

		switch (event->kind) {
		case EVENT_CENSUS:
			if (clusters && event->aux)
				excused = true;
			else
				keys_add(&diff->census, key_of(event));
			break;
		case EVENT_VISIT:
			*stopped |= event->aux == RMAP_STOP;
			keys_add(&diff->visits, key_of(event));
			break;
		case EVENT_STALE:
			keys_add(&diff->visits, key_of(event));
			break;
		case EVENT_WALK_END:
			*stopped |= event->value == 0;
			break;
		}
	}
	keys_sort(&diff->census);
	keys_sort(&diff->visits);
	if (excused)
		excuse_count(diff, EXCUSE_CLUSTERS);
}

static bool check_walk(struct diff *diff, const struct subject *s, const struct segment *walk)
{
	const struct keys *census = &diff->census, *visits = &diff->visits;
	size_t c = 0;
	bool stopped;

	diff->stats.walks++;
	collect(diff, walk, &stopped);
	if (keys_equal(census, visits))
		return false;
	for (size_t v = 0; v < visits->n; v++) {
		uint64_t key = visits->key[v];

		if (v && key == visits->key[v - 1])
			return report(diff, s, walk, "twice", key);
		for (; c < census->n && census->key[c] < key; c++)
			if (!stopped)
				return report(diff, s, walk, "missed", census->key[c]);
		if (c == census->n || census->key[c] != key)
			return report(diff, s, walk, "stale", key);
		c++;
	}
	return c < census->n && !stopped && report(diff, s, walk, "missed", census->key[c]);
}

bool check_unmapped(struct diff *diff)
{
	FOR_EACH_SUBJECT (diff, s) {
		struct segment segment;

		/* What equals the reference's events is judged with the reference. */
		if (!s->walked || (s->same && s != diff->reference))
			continue;
		diff->stats.check_count[CHECK_UNMAPPED]++;
		for (size_t at = 0; segment_next(s, &at, &segment);)
			if (segment.walk && check_walk(diff, s, &segment))
				return true;
	}
	return false;
}

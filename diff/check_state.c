/*
 * COUNTS and STRUCTURE: each machine recomputes everything that it keeps incrementally and compares
 * (machine_recount). What the backend's own check() says is about structure, and begins "rmap:".
 *
 * This looks at all that exists, so it runs every few ops and at the end; how often never changes
 * what a trace does.
 */
#include "internal.h"

static bool report(struct diff *diff, const struct subject *s, const char *sentence)
{
	bool backend = strncmp(sentence, "rmap:", 5) == 0;
	char detail[sizeof(diff->finding->detail)];

	if (!diff_wants(diff, backend ? CHECK_STRUCTURE : CHECK_COUNTS))
		return false;

	slug(backend ? sentence + 5 : sentence, detail, sizeof(detail));
	return find(diff, backend ? CHECK_STRUCTURE : CHECK_COUNTS, s->name, "recount", detail,
		    "%s: %s", s->name, sentence);
}

/* At the end everything that is there is looked at, once. */
static const char *recount(const struct diff *diff, const struct subject *s, char *buf, size_t size)
{
	if (!diff->at_end)
		return machine_recount_live(s->machine, buf, size);
	if (diff->recounted == diff->op_index)
		return machine_recount_rest(s->machine, buf, size);
	return machine_recount(s->machine, buf, size);
}

bool check_state(struct diff *diff)
{
	char buf[192];

	diff->stats.check_count[CHECK_COUNTS]++;
	diff->stats.check_count[CHECK_STRUCTURE]++;
	FOR_EACH_SUBJECT (diff, s) {
		const char *sentence = recount(diff, s, buf, sizeof(buf));

		diff->stats.recounts++;
		if (sentence && report(diff, s, sentence))
			return true;
	}
	return false;
}

/*
 * RESULT: every subject returns what the reference returns: the same error or signal, the same
 * address or count, the same content. Of one that has copied early, what a program can see.
 */
#include <inttypes.h>

#include "internal.h"

bool results_equal(const struct result *a, const struct result *b)
{
	return a->err == b->err && a->value == b->value && a->token == b->token;
}

static bool report(struct diff *diff, const struct subject *s)
{
	const struct result *got = &s->result, *wanted = &diff->reference->result;
	const char *against = diff->reference->name;
	char a[16], b[16];

	if (s->order != diff->reference->order)
		return find(diff, CHECK_RESULT, s->name, against, "nested",
			    "it ran %s its host on %s, %s on %s", s->order ? "inside" : "after",
			    s->name, diff->reference->order ? "inside" : "after", against);
	if (got->err != wanted->err)
		return find(diff, CHECK_RESULT, s->name, against, "error", "%s returned %s, %s %s",
			    s->name, err_name(got->err, a, sizeof(a)), against,
			    err_name(wanted->err, b, sizeof(b)));
	if (got->value != wanted->value)
		return find(diff, CHECK_RESULT, s->name, against, "value",
			    "%s returned 0x%" PRIx32 ", %s 0x%" PRIx32, s->name, got->value,
			    against, wanted->value);
	return find(diff, CHECK_RESULT, s->name, against, "token",
		    "%s read 0x%" PRIx64 ", %s 0x%" PRIx64, s->name, got->token, against,
		    wanted->token);
}

bool check_results(struct diff *diff)
{
	diff->stats.check_count[CHECK_RESULT]++;
	FOR_EACH_SUBJECT (diff, s) {
		if (results_comparable(diff, s) &&
		    (s->order != diff->reference->order ||
		     !results_equal(&s->result, &diff->reference->result)))
			return report(diff, s);
	}
	return false;
}

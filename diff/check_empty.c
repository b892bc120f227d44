/*
 * EMPTY: when every process has ended and every cache is dropped, nothing is left: no object of the
 * engine or of the backend, no frame, no swap slot.
 */
#include "internal.h"

bool check_empty(struct diff *diff)
{
	char buf[192], detail[sizeof(diff->finding->detail)];

	diff->stats.check_count[CHECK_EMPTY]++;
	FOR_EACH_SUBJECT (diff, s) {
		const char *sentence;

		machine_shutdown(s->machine);
		sentence = machine_leaks(s->machine, buf, sizeof(buf));
		if (!sentence || !diff_wants(diff, CHECK_EMPTY))
			continue;
		slug(sentence, detail, sizeof(detail));
		return find(diff, CHECK_EMPTY, s->name, "recount", detail, "%s: %s at the end",
			    s->name, sentence);
	}
	return false;
}

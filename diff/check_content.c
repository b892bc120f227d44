/*
 * CONTENT of everything that is in memory: every page that the reference has present shows what
 * the model says a read of it would return. Done at recounts, since it looks at all that exists;
 * all other subjects wrote the same entries and returned the same results.
 */
#include <inttypes.h>

#include "internal.h"

static bool report(struct diff *diff, uint32_t proc, uint32_t vpn, uint64_t got, uint64_t wanted)
{
	char name[16];

	find(diff, CHECK_CONTENT, diff->reference->name, "model", "page",
	     "the page at p%" PRIu32 " %s holds 0x%" PRIx64 ", it should hold 0x%" PRIx64, proc,
	     page_name(vpn, name, sizeof(name)), got, wanted);
	find_page(diff->finding, proc, vpn);
	return true;
}

bool check_all_content(struct diff *diff)
{
	struct machine *machine = diff->reference->machine;
	struct page_view view;
	uint64_t token;

	if (!diff->model)
		return false;
	diff->stats.check_count[CHECK_CONTENT]++;
	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		for (uint32_t vpn = 0; machine_next_present(machine, proc, &vpn, &view); vpn++) {
			if (model_peek(diff->model, proc, vpn, &token) == 0 && token != view.token)
				return report(diff, proc, vpn, view.token, token);
		}
	}
	return false;
}

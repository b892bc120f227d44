/*
 * KMAP: no machine took a slot for temporary mappings twice, kept one, gave back what it did not
 * have, slept with one or touched a page table without. Machines see it as they go (core/kmap.h);
 * here it becomes a finding.
 */
#include "internal.h"

static bool report(struct diff *diff, const struct subject *s, const struct kmap_fault *fault)
{
	char sentence[128];

	kmap_fault_print(fault, sentence, sizeof(sentence));
	return find(diff, CHECK_KMAP, s->name, "kmap slots", kmap_fault_name(fault), "%s: %s",
		    s->name, sentence);
}

bool check_kmap(struct diff *diff)
{
	diff->stats.check_count[CHECK_KMAP]++;
	FOR_EACH_SUBJECT (diff, s) {
		const struct kmap_fault *fault = machine_kmap_fault(s->machine);

		if (fault)
			return report(diff, s, fault);
	}
	return false;
}

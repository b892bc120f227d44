/*
 * TLB: no machine has a processor that goes by a translation which the page table does not bear out
 * any more, and none has freed a frame under one. Machines see it as they go (core/tlb.h); here it
 * becomes a finding.
 */
#include "internal.h"

static bool report(struct diff *diff, const struct subject *s, const struct tlb_fault *fault)
{
	char sentence[192];

	tlb_fault_print(fault, sentence, sizeof(sentence));
	find(diff, CHECK_TLB, s->name, "page tables", fault->kind == TLB_FREED ? "freed" : "stale",
	     "%s: %s", s->name, sentence);
	find_page(diff->finding, fault->mm, fault->vpn);
	return true;
}

bool check_tlb(struct diff *diff)
{
	diff->stats.check_count[CHECK_TLB]++;
	FOR_EACH_SUBJECT (diff, s) {
		const struct tlb_fault *fault = machine_tlb_fault(s->machine);

		if (fault)
			return report(diff, s, fault);
	}
	return false;
}

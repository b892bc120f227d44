/*
 * CANARY: a disagreement on order. Everything between here and the exit status is tested by it, as
 * nothing else would be while all designs agree.
 */
#include "internal.h"

bool check_canary(struct diff *diff)
{
	if (!diff->options.canary || diff->op_index != diff->options.canary - 1)
		return false;
	diff->stats.check_count[CHECK_CANARY]++;
	return find(diff, CHECK_CANARY, diff->reference->name, "nobody", "planted",
		    "this disagreement was asked for");
}

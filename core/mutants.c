/*
 * The switch of mutants (mutants.h). Compiled only where there are any.
 */
#include "internal.h"

struct mutant_state *machine_mutant(const struct machine *machine)
{
	return machine->mutant;
}

void machine_set_mutant(struct machine *machine, struct mutant_state *state)
{
	machine->mutant = state;
}

bool mutant_on(struct mutant_state *state, enum mutant id)
{
	if (!state || state->active != id)
		return false;
	state->reached++;
	return true;
}

bool mutant_differs(struct mutant_state *state, bool differs)
{
	state->triggered += differs;
	return differs;
}

bool mutant_outside_areas(struct machine *machine, const struct page *page)
{
	struct ptep p = {NULL, 0};
	bool more = census_first(machine, page, &p);

	for (; more; more = census_next(machine, &p)) {
		if (!vma_at(machine, p.table->mm, ptep_vpn(p)))
			return true;
	}
	return false;
}

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

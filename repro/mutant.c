/*
 * The table of mutants, and one trace with one of them.
 *
 * Whether a mutant is found must not depend on how it shows: as a disagreement, a failed
 * assertion, a crash or a loop without end. So each trace runs in a process of its own, and the
 * canaries are in memory that it shares.
 */
#include "mutant.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "isolate.h"

/* Seconds of processor time after which a trace is taken to loop; they take milliseconds. */
#define MUTANT_SECONDS 5

enum { A = 'A', B = 'B', C = 'C' };

#define MUTANT(id, name, year, source, component, backends, mode, priority, checks, summary)       \
	[MUTANT_##id] = {name,          year,     source, component, backends,                     \
			 MUTANT_##mode, priority, checks, summary},
const struct mutant_info mutant_table[NR_MUTANTS] = {
#include "mutants.def"
};
#undef MUTANT

#define MUTANT(...)
#define CANNOT(name, lacks) {name, lacks},
const struct mutant_lack mutant_lacks[] = {
#include "mutants.def"
	{NULL, NULL},
};
#undef MUTANT

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b) &&
		    !(strchr("-_", *a) && strchr("-_", *b)))
			return false;
	}
	return *a == *b;
}

enum mutant mutant_find(const char *name)
{
	for (int i = MUTANT_NONE + 1; i < NR_MUTANTS; i++) {
		if (same_name(mutant_table[i].name, name))
			return (enum mutant)i;
	}
	return MUTANT_NONE;
}

const char *mutant_mode_name(enum mutant_mode mode)
{
	static const char *const names[] = {"SEQ", "SEQ+FAIL", "RECLAIM", "INTERLEAVE"};

	return names[mode];
}

bool mutant_has_check(const char *checks, enum diff_check check)
{
	const char *name = diff_check_name(check);
	size_t length = strlen(name);

	for (const char *at = checks; (at = strstr(at, name)); at += length) {
		if ((at == checks || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	}
	return false;
}

void mutant_options(struct diff_options *options, struct mutant_state *state)
{
	MUTANT_USE(options, state);
}

void mutant_run(const struct trace *trace, enum mutant mutant, const struct diff_options *options,
		struct mutant_run *run)
{
	struct diff_options mutated = *options;
	struct mutant_state *state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct diff *diff;

	*run = (struct mutant_run){.found = -errno};
	if (state == MAP_FAILED)
		return;
	state->active = mutant;
	mutant_options(&mutated, state);
	diff = diff_create(&mutated);
	run->found = isolated_run_within(diff, trace, MUTANT_SECONDS, &run->finding);
	run->reached = state->reached;
	run->triggered = state->triggered;
	diff_destroy(diff);
	munmap(state, sizeof(*state));
}

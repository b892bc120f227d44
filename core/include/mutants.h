/*
 * Mutants: bugs that real kernels had, switched on at run time in a build of their own
 * (-DRMAPFUZZ_MUTANTS=ON). mutants.def has a row for each, docs/mutants.md tells how to add one.
 *
 *   if (!MUTANT_IF(machine, VMA_01, part->end > vma->start))
 *           set_start(machine, vma, vpn);
 *
 * In any other build the macros are 0 or nothing: no member, no symbol, no text, no instruction.
 * tests/mutants_vanish.sh compares object code.
 *
 * One mutant at a time is active, and each has two canaries: how often its line was reached, and
 * how often it was triggered, which is that what is right and what is wrong differed there.
 */
#ifndef RMAPFUZZ_MUTANTS_H
#define RMAPFUZZ_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

#define MUTANT(id, ...) MUTANT_##id,
enum mutant {
	MUTANT_NONE,
#include "mutants.def"
	NR_MUTANTS
};
#undef MUTANT

/* Which one is active, and its canaries. All machines of a lockstep share one, and whoever made it
 * keeps it: memory that a child process shares will do. */
struct mutant_state {
	enum mutant active;
	uint64_t reached, triggered;
};

#ifdef RMAPFUZZ_MUTANTS

#define MUTANTS_BUILT true

/* The last member of what has mutants. */
#define MUTANT_STATE struct mutant_state *mutant;

/* TO, which has that member, takes it from FROM. */
#define MUTANT_INHERIT(to, from) ((to)->mutant = (from)->mutant)
/* MACHINE takes it from OPTIONS, at its next reset. */
#define MUTANT_SET(machine, options) machine_set_mutant((machine), (options)->mutant)

/* Whoever makes machines of OPTIONS makes them with STATE. */
#define MUTANT_USE(options, state) ((options)->mutant = (state))

/* Is it switched on? Then it is reached. */
#define MUTANT_ON(machine, ID) mutant_on(machine_mutant(machine), MUTANT_##ID)
/* The same, and does what is wrong differ from what is right here? Then it is triggered. */
#define MUTANT_IF(machine, ID, differs)                                                            \
	(MUTANT_ON(machine, ID) && mutant_differs(machine_mutant(machine), (differs)))
/* The same for an object that has the member. */
#define MUTANT_ON_AT(object, ID) mutant_on((object)->mutant, MUTANT_##ID)
#define MUTANT_IF_AT(object, ID, differs)                                                          \
	(MUTANT_ON_AT(object, ID) && mutant_differs((object)->mutant, (differs)))

struct machine;
struct mutant_state *machine_mutant(const struct machine *machine);
void machine_set_mutant(struct machine *machine, struct mutant_state *state);
bool mutant_on(struct mutant_state *state, enum mutant id);
/* DIFFERS, counted. */
bool mutant_differs(struct mutant_state *state, bool differs);

/* For canaries: PAGE is mapped where there is no area. */
struct page;
bool mutant_outside_areas(struct machine *machine, const struct page *page);

#else

#define MUTANTS_BUILT false
#define MUTANT_STATE
#define MUTANT_INHERIT(to, from)          ((void)0)
#define MUTANT_SET(machine, options)      ((void)0)
#define MUTANT_USE(options, state)        ((void)(options), (void)(state))
#define MUTANT_ON(machine, ID)            0
#define MUTANT_IF(machine, ID, differs)   0
#define MUTANT_IF_AT(object, ID, differs) 0
#define MUTANT_ON_AT(object, ID)          0

#endif
#endif

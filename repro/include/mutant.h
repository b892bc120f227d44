/*
 * The table of mutants (core/include/mutants.def), which every build has, and running a trace with
 * one of them switched on, which only a build with -DRMAPFUZZ_MUTANTS=ON can.
 */
#ifndef RMAPFUZZ_MUTANT_H
#define RMAPFUZZ_MUTANT_H

#include <stdio.h>

#include "diff.h"

enum mutant_mode { MUTANT_SEQ, MUTANT_SEQ_FAIL, MUTANT_RECLAIM, MUTANT_INTERLEAVE };

struct mutant_info {
	const char *name; /* "VMA-01" */
	uint32_t year;    /* 0: invented */
	const char *source;
	const char *component; /* the file in which it lives */
	const char *backends;  /* "all", or the designs that it breaks */
	enum mutant_mode mode;
	char priority;
	const char *checks; /* "model,content": what may see it first */
	const char *summary;
};
/* By enum mutant; [MUTANT_NONE] is empty. */
extern const struct mutant_info mutant_table[NR_MUTANTS];

/* Those of the catalogue that are not in the table, ending with name NULL. */
struct mutant_lack {
	const char *name, *lacks;
};
extern const struct mutant_lack mutant_lacks[];

/* MUTANT_NONE: there is none of that name ("VMA-01", in any case, "-" or "_"). */
enum mutant mutant_find(const char *name);
const char *mutant_mode_name(enum mutant_mode mode);
/* Is CHECK in "a,b,c"? */
bool mutant_has_check(const char *checks, enum diff_check check);

/* What stands for it, in a build that has no mutants, in messages. */
#define MUTANTS_HOWTO                                                                              \
	"this build has no mutants; configure one with cmake -DRMAPFUZZ_MUTANTS=ON "               \
	"(docs/mutants.md)"

/* Whoever makes a lockstep of OPTIONS makes one with STATE's mutant. Without effect in a build
 * that has none. */
void mutant_options(struct diff_options *options, struct mutant_state *state);

/* What became of a trace with a mutant on, or off. */
struct mutant_run {
	uint64_t reached, triggered;
	int found; /* 0, 1 and FINDING is filled, or -errno */
	struct finding finding;
};
/*
 * Run TRACE, in a process of its own, with MUTANT on (MUTANT_NONE: off), on the backends and with
 * the checks of OPTIONS. RUN is filled.
 */
void mutant_run(const struct trace *trace, enum mutant mutant, const struct diff_options *options,
		struct mutant_run *run);

#endif

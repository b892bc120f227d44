/* What the mutator's files share: mutations.c changes traces, mutate.c is the way in and out. */
#ifndef RMAPFUZZ_FUZZ_MUTATE_INTERNAL_H
#define RMAPFUZZ_FUZZ_MUTATE_INTERNAL_H

#include "diff.h"
#include "mutate.h"

#define OPS_MAX      256u /* more are not worth an engine's time */
#define DESCRIBE_MAX 96

struct mutator {
	struct trace trace, other;
	uint64_t random;
	uint32_t skip; /* bytes before the trace */
	char describe[DESCRIBE_MAX];

	/* trimming */
	struct trace best;
	uint8_t *out;
	size_t out_size, out_max, limit; /* limit: of the trace that trimming began with */
	uint32_t chunk, at, step, steps;
};

/* A random number below N, or 0. */
uint32_t mutator_below(struct mutator *m, uint32_t n);

/* Ops [AT, AT + N) go. */
void trace_remove(struct trace *trace, uint32_t at, uint32_t n);

/* Do something to m->trace, and describe it; it may come to nothing. */
void mutate_somehow(struct mutator *m);
/* Make it smaller, in one way or the other. */
void mutate_smaller(struct mutator *m);
/* A beginning of it, then ops of m->other, aimed at what is alive. */
void mutate_splice(struct mutator *m);

#endif

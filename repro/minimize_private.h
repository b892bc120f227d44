/*
 * What the parts of minimize() share: the lightest trace so far, and how a lighter one is tried.
 *
 *   minimize.c         the loop, the oracle, the certificate
 *   minimize_ops.c     candidates with fewer ops
 *   minimize_plain.c   candidates with plainer operands, and what "plainer" is
 */
#ifndef RMAPFUZZ_MINIMIZE_PRIVATE_H
#define RMAPFUZZ_MINIMIZE_PRIVATE_H

#include "minimize.h"

/* What is made smaller, the first member first. Whatever is accepted is strictly lighter, so that
 * minimizing ends, and ends where it would begin again. */
struct weight {
	uint64_t ops;
	uint64_t shape; /* settings, properties, flags, names: whatever is there to be read */
	uint64_t size;  /* numbers */
};

struct minimizer {
	const struct minimize_options *options;
	struct minimize_report *report;
	struct diff *diff;
	bool crash;             /* what is minimized is one */
	struct worker *worker;  /* NULL: nothing is expected to crash */
	struct finding finding; /* of the last run */
	struct trace *best;
	struct trace candidate;
	struct weight weight; /* of best */
	/* For minimize_plain.c, one per op: what the ops were told and returned, seen in a run. */
	struct op *resolved;
	struct result *results;
};

/* Make the candidate equal to best. It is there to be changed, then tried. */
struct trace *minimize_begin(struct minimizer *minimizer);
/* Is the candidate lighter, and does it show the signature? Then it is the new best. */
bool minimize_try(struct minimizer *minimizer);
bool minimize_stopped(const struct minimizer *minimizer);

/* Remove N ops from FIRST on. */
void trace_remove(struct trace *trace, uint32_t first, uint32_t n);
/* Where OP has name A of kind NAME it gets B, and the other way round. */
void op_exchange(struct op *op, enum operand_kind name, uint32_t a, uint32_t b);

/* Afterwards no op can be removed. */
void minimize_ops(struct minimizer *minimizer);
/* One pass over everything that could be plainer. */
void minimize_plain(struct minimizer *minimizer);

struct weight trace_weight(const struct trace *trace);
bool weight_less(const struct weight *a, const struct weight *b);

#endif

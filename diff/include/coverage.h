/*
 * State coverage: which ways of mapping a page, and of losing the mapping, a run has seen. Lines of
 * code do not tell: the same lines remove the last mapping of a page and the third of five. The
 * matrix is declared in coverage.def.
 *
 *   struct coverage *c = coverage_create(nr_backends);
 *   diff_options.coverage = c;              what diff_run() sees goes there
 *   coverage_print(c, names, stdout);
 */
#ifndef RMAPFUZZ_COVERAGE_H
#define RMAPFUZZ_COVERAGE_H

#include <stdint.h>
#include <stdio.h>

#define KIND(id, name, help) COVERAGE_KIND_##id,
#define SHARING(id, name, most)
#define AROSE(id, name, help)
#define REMOVED(id, name, help)
enum coverage_kind {
#include "coverage.def"
	NR_COVERAGE_KINDS
};
#undef KIND
#undef SHARING
#define KIND(id, name, help)
#define SHARING(id, name, most) COVERAGE_SHARING_##id,
enum coverage_sharing {
#include "coverage.def"
	NR_COVERAGE_SHARINGS
};
#undef SHARING
#undef AROSE
#define SHARING(id, name, most)
#define AROSE(id, name, help) COVERAGE_AROSE_##id,
enum coverage_arose {
#include "coverage.def"
	NR_COVERAGE_AROSE
};
#undef AROSE
#undef REMOVED
#define AROSE(id, name, help)
#define REMOVED(id, name, help) COVERAGE_REMOVED_##id,
enum coverage_removed {
#include "coverage.def"
	NR_COVERAGE_REMOVED
};
#undef KIND
#undef SHARING
#undef AROSE
#undef REMOVED

/* One cell of the matrix. */
struct coverage_cell {
	enum coverage_kind kind;
	enum coverage_sharing sharing;
	enum coverage_arose arose;
	enum coverage_removed removed;
};

struct coverage;
struct machine;
struct op;
struct event;

/* For SUBJECTS machines. Host exhaustion aborts. */
struct coverage *coverage_create(uint32_t subjects);
void coverage_destroy(struct coverage *coverage);

/* A trace begins: what is mapped is forgotten, what was counted stays. */
void coverage_begin(struct coverage *coverage);
/* SUBJECT's machine did OP and logged EVENTS. Costs what the op touched. */
void coverage_follow(struct coverage *coverage, uint32_t subject, struct machine *machine,
		     const struct op *op, const struct event *events, size_t n);

/*
 * Call SEEN with the number of each cell that SUBJECT saw since the last call: cells are numbered
 * from 0 in the order of printing. Nothing happens if nothing was seen.
 */
void coverage_drain(struct coverage *coverage, uint32_t subject,
		    void (*seen)(uint32_t cell, void *arg), void *arg);

/* How often SUBJECT saw CELL. */
uint64_t coverage_count(const struct coverage *coverage, uint32_t subject,
			const struct coverage_cell *cell);
/* Why CELL cannot come about, or NULL if it can. */
const char *coverage_unreachable(const struct coverage_cell *cell);

struct coverage_summary {
	uint32_t cells, unreachable; /* of the matrix, for one backend */
	uint32_t filled;             /* reachable cells that every subject saw */
	uint32_t empty;              /* that some subject did not see */
	uint32_t impossible;         /* declared unreachable, and yet seen by some */
};
void coverage_summarize(const struct coverage *coverage, struct coverage_summary *summary);

/*
 * The matrix: a row for each kind, sharing and origin, a column for each end; in a cell, how often
 * the subject that saw it least did: a number, "-" for never, blank for what cannot come about.
 * Then the reasons for the latter, and, by NAMES[subject], who did not see what.
 */
void coverage_print(const struct coverage *coverage, const char *const *names, FILE *out);

#endif

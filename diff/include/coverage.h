/*
 * State coverage: which ways of mapping a page, and of losing the mapping, a run has seen. Lines of
 * code do not tell: the same lines remove the last mapping of a page and the third of five. The
 * matrix is declared in coverage.def.
 *
 *   struct coverage *c = coverage_create(backends, nr_backends);
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
struct rmap_ops;
struct op;
struct event;

/* For SUBJECTS machines with these designs, which are looked at when it comes to what cannot come
 * about; NULL: any designs. Host exhaustion aborts. */
struct coverage *coverage_create(const struct rmap_ops *const *backends, uint32_t subjects);
void coverage_destroy(struct coverage *coverage);

/* A trace begins: what is mapped is forgotten, what was counted stays. */
void coverage_begin(struct coverage *coverage);
/* SUBJECT's machine did OPS[0], those of the others that ran inside it, and logged EVENTS. Costs
 * what they touched. */
void coverage_follow(struct coverage *coverage, uint32_t subject, struct machine *machine,
		     const struct op *ops, const struct event *events, size_t n);

/*
 * Call SEEN with the number of each cell that SUBJECT saw since the last call: cells are numbered
 * from 0 in the order of printing. Nothing happens if nothing was seen.
 */
void coverage_drain(struct coverage *coverage, uint32_t subject,
		    void (*seen)(uint32_t cell, void *arg), void *arg);

/* How often SUBJECT saw CELL. */
uint64_t coverage_count(const struct coverage *coverage, uint32_t subject,
			const struct coverage_cell *cell);
/* Why CELL cannot come about under the design RMAP, or NULL if it can. */
const char *coverage_unreachable(const struct coverage_cell *cell, const struct rmap_ops *rmap);

struct coverage_summary {
	uint32_t cells;       /* of the matrix, for one backend */
	uint32_t unreachable; /* under every design */
	uint32_t filled;      /* that every subject saw in whom it can come about */
	uint32_t empty;       /* that some such subject did not see */
	uint32_t impossible;  /* seen by some in whom it cannot */
};
void coverage_summarize(const struct coverage *coverage, struct coverage_summary *summary);

/*
 * The matrix: a row for each kind, sharing and origin, a column for each end; in a cell, how often
 * the subject that saw it least did, of those in whom it can come about: a number, "-" for never,
 * blank for what cannot come about in any.
 * Then the reasons for the latter, and, by NAMES[subject], who did not see what.
 */
void coverage_print(const struct coverage *coverage, const char *const *names, FILE *out);

#endif

/*
 * The declared matrix of state coverage: names, what cannot come about and why, counting, printing.
 */
#include <inttypes.h>

#include "coverage_private.h"

#define KIND(id, name, help) name,
#define SHARING(id, name, most)
#define AROSE(id, name, help)
#define REMOVED(id, name, help)
static const char *const kind_names[] = {
#include "coverage.def"
};
#undef KIND
#undef SHARING
#define KIND(id, name, help)
#define SHARING(id, name, most) name,
static const char *const sharing_names[] = {
#include "coverage.def"
};
#undef SHARING
#undef AROSE
#define SHARING(id, name, most)
#define AROSE(id, name, help) name,
static const char *const arose_names[] = {
#include "coverage.def"
};
#undef AROSE
#undef REMOVED
#define AROSE(id, name, help)
#define REMOVED(id, name, help) name,
static const char *const removed_names[] = {
#include "coverage.def"
};
#undef KIND
#undef SHARING
#undef AROSE
#undef REMOVED

/* ---- what cannot come about --------------------------------------------------------------------
 */

#define ANY (-1)

/* Cells that agree with every coordinate that is not ANY. */
static const struct rule {
	int kind, sharing, arose, removed;
	const char *reason;
} rules[] = {
	{COVERAGE_KIND_PRIVATE, ANY, COVERAGE_AROSE_COPIED, ANY, "a copy is anonymous"},
	{COVERAGE_KIND_SHARED, ANY, COVERAGE_AROSE_COPIED, ANY, "a copy is anonymous"},
	{COVERAGE_KIND_SHMEM, ANY, COVERAGE_AROSE_COPIED, ANY, "a copy is anonymous"},
	{COVERAGE_KIND_PRIVATE, ANY, COVERAGE_AROSE_SWAPIN, ANY,
	 "pages of disk files are read from their file"},
	{COVERAGE_KIND_SHARED, ANY, COVERAGE_AROSE_SWAPIN, ANY,
	 "pages of disk files are read from their file"},
	{COVERAGE_KIND_SHARED, ANY, ANY, COVERAGE_REMOVED_COW, "shared pages are not copied"},
	{COVERAGE_KIND_ANON, ANY, ANY, COVERAGE_REMOVED_TRUNCATE, "it is in no file"},
};

const char *coverage_unreachable(const struct coverage_cell *cell)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if ((rule->kind == ANY || rule->kind == (int)cell->kind) &&
		    (rule->sharing == ANY || rule->sharing == (int)cell->sharing) &&
		    (rule->arose == ANY || rule->arose == (int)cell->arose) &&
		    (rule->removed == ANY || rule->removed == (int)cell->removed))
			return rule->reason;
	}
	return NULL;
}

/* ---- counting
 * ------------------------------------------------------------------------------------
 */

/* The next cell in the order of printing; start with *CELL all zero and *FIRST true. */
static bool next_cell(struct coverage_cell *cell, bool *first)
{
	unsigned int kind = cell->kind, sharing = cell->sharing, arose = cell->arose,
		     removed = cell->removed;

	if (*first) {
		*first = false;
		return true;
	}
	if (++removed == NR_COVERAGE_REMOVED) {
		removed = 0;
		arose++;
	}
	if (arose == NR_COVERAGE_AROSE) {
		arose = 0;
		sharing++;
	}
	if (sharing == NR_COVERAGE_SHARINGS) {
		sharing = 0;
		kind++;
	}
	*cell = (struct coverage_cell){(enum coverage_kind)kind, (enum coverage_sharing)sharing,
				       (enum coverage_arose)arose, (enum coverage_removed)removed};
	return kind < NR_COVERAGE_KINDS;
}

#define FOR_EACH_CELL(cell) for (bool first = true; next_cell(&(cell), &first);)

uint64_t coverage_count(const struct coverage *coverage, uint32_t subject,
			const struct coverage_cell *cell)
{
	return coverage->subject[subject]
		.count[cell->kind][cell->sharing][cell->arose][cell->removed];
}

/* What the subjects that saw CELL least and most often saw. */
static void extremes(const struct coverage *coverage, const struct coverage_cell *cell,
		     uint64_t *least, uint64_t *most)
{
	*least = UINT64_MAX;
	*most = 0;
	for (uint32_t i = 0; i < coverage->nr; i++) {
		uint64_t count = coverage_count(coverage, i, cell);

		*least = count < *least ? count : *least;
		*most = count > *most ? count : *most;
	}
}

void coverage_summarize(const struct coverage *coverage, struct coverage_summary *summary)
{
	struct coverage_cell cell = {0};

	*summary = (struct coverage_summary){0};
	FOR_EACH_CELL(cell)
	{
		uint64_t least, most;

		extremes(coverage, &cell, &least, &most);
		summary->cells++;
		if (coverage_unreachable(&cell)) {
			summary->unreachable++;
			summary->impossible += most > 0;
		} else if (least) {
			summary->filled++;
		} else {
			summary->empty++;
		}
	}
}

/* ---- printing
 * -------------------------------------------------------------------------------------
 */

static void print_count(uint64_t least, uint64_t most, bool reachable, FILE *out)
{
	if (!reachable)
		fprintf(out, " %8s", most ? "!" : "");
	else if (!least)
		fprintf(out, " %8s", most ? "some" : "-");
	else
		fprintf(out, " %8" PRIu64, least);
}

static void print_reasons(FILE *out)
{
	fputs("\ncannot come about (any kind, sharing, origin or end that is not named):\n", out);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		fprintf(out, "  %-8s %-3s %-9s %-9s %s\n",
			rule->kind == ANY ? "" : kind_names[rule->kind],
			rule->sharing == ANY ? "" : sharing_names[rule->sharing],
			rule->arose == ANY ? "" : arose_names[rule->arose],
			rule->removed == ANY ? "" : removed_names[rule->removed], rule->reason);
	}
}

/* Who did not see what can come about, or did see what cannot. */
static void print_exceptions(const struct coverage *coverage, const char *const *names, FILE *out)
{
	struct coverage_cell cell = {0};

	FOR_EACH_CELL(cell)
	{
		bool reachable = !coverage_unreachable(&cell);

		for (uint32_t i = 0; i < coverage->nr; i++) {
			uint64_t count = coverage_count(coverage, i, &cell);

			if (reachable == (count > 0))
				continue;
			fprintf(out, "  %-8s %-3s %-9s %-9s %s %s\n", kind_names[cell.kind],
				sharing_names[cell.sharing], arose_names[cell.arose],
				removed_names[cell.removed],
				reachable ? "not seen by" : "cannot be, and yet seen by", names[i]);
		}
	}
}

static void print_matrix(const struct coverage *coverage, FILE *out)
{
	struct coverage_cell cell = {0};

	fprintf(out, "%-8s %-7s %-9s", "page", "sharers", "by");
	for (int i = 0; i < NR_COVERAGE_REMOVED; i++)
		fprintf(out, " %8s", removed_names[i]);
	FOR_EACH_CELL(cell)
	{
		uint64_t least, most;

		if (!cell.removed)
			fprintf(out, "\n%-8s %-7s %-9s", kind_names[cell.kind],
				sharing_names[cell.sharing], arose_names[cell.arose]);
		extremes(coverage, &cell, &least, &most);
		print_count(least, most, !coverage_unreachable(&cell), out);
	}
	fputc('\n', out);
}

void coverage_print(const struct coverage *coverage, const char *const *names, FILE *out)
{
	struct coverage_summary summary;

	print_matrix(coverage, out);
	print_reasons(out);
	coverage_summarize(coverage, &summary);
	fprintf(out,
		"\n%" PRIu32 " cells for each of %" PRIu32 " backends: %" PRIu32
		" filled on all of them, %" PRIu32 " not, %" PRIu32 " cannot come about\n",
		summary.cells, coverage->nr, summary.filled, summary.empty, summary.unreachable);
	if (summary.impossible)
		fprintf(out, "%" PRIu32 " of the latter came about all the same\n",
			summary.impossible);
	print_exceptions(coverage, names, out);
}

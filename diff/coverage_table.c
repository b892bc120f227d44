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

/* Whose design a rule is about. */
enum designs {
	EVERY,
	UNSHARING, /* those that have a shared page copied before it moves (may_unshare) */
};

/* Cells that agree with every coordinate that is not ANY. */
static const struct rule {
	enum designs designs;
	int kind, sharing, arose, removed;
	const char *reason;
} rules[] = {
#define K(id) COVERAGE_KIND_##id
#define S(id) COVERAGE_SHARING_##id
#define A(id) COVERAGE_AROSE_##id
#define R(id) COVERAGE_REMOVED_##id
	{EVERY, K(PRIVATE), ANY, A(COPIED), ANY, "a copy is anonymous"},
	{EVERY, K(SHARED), ANY, A(COPIED), ANY, "a copy is anonymous"},
	{EVERY, K(SHMEM), ANY, A(COPIED), ANY, "a copy is anonymous"},
	{EVERY, K(COPY), ANY, A(FIRST), ANY, "a copy is made of something"},
	{EVERY, K(PRIVATE), ANY, A(SWAPIN), ANY, "pages of disk files come from their file"},
	{EVERY, K(PRIVATE), ANY, A(SWAPOFF), ANY, "pages of disk files come from their file"},
	{EVERY, K(SHARED), ANY, A(SWAPIN), ANY, "pages of disk files come from their file"},
	{EVERY, K(SHARED), ANY, A(SWAPOFF), ANY, "pages of disk files come from their file"},
	{EVERY, K(SHMEM), ANY, A(SWAPOFF), ANY, "swapoff brings it to its cache, and no further"},
	{EVERY, K(ANON), ANY, A(REMAP), ANY, "remap_file_pages is for shared mappings"},
	{EVERY, K(COPY), ANY, A(REMAP), ANY, "remap_file_pages is for shared mappings"},
	{EVERY, K(PRIVATE), ANY, A(REMAP), ANY, "remap_file_pages is for shared mappings"},
	{EVERY, K(ANON), ANY, ANY, R(REMAP), "remap_file_pages is for shared mappings"},
	{EVERY, K(COPY), ANY, ANY, R(REMAP), "remap_file_pages is for shared mappings"},
	{EVERY, K(PRIVATE), ANY, ANY, R(REMAP), "remap_file_pages is for shared mappings"},
	{EVERY, K(SHARED), ANY, ANY, R(COW), "shared mappings copy nothing"},
	{EVERY, K(SHMEM), ANY, A(REMAP), R(COW), "shared mappings copy nothing"},
	{EVERY, K(ANON), ANY, ANY, R(TRUNCATE), "it is in no file"},
	{EVERY, K(ANON), ANY, ANY, R(PUNCH), "it is in no file"},
	{EVERY, K(COPY), ANY, ANY, R(PUNCH), "private copies survive a hole"},
	{EVERY, K(COPY), ANY, ANY, R(LEAVE), "dontunmap is for private anonymous memory"},
	{EVERY, K(PRIVATE), ANY, ANY, R(LEAVE), "dontunmap is for private anonymous memory"},
	{EVERY, K(SHARED), ANY, ANY, R(LEAVE), "dontunmap is for private anonymous memory"},
	{EVERY, K(SHMEM), ANY, ANY, R(LEAVE), "dontunmap is for private anonymous memory"},
	{UNSHARING, K(ANON), S(TWO), ANY, R(MOVE), "a shared page is copied, and the copy moves"},
	{UNSHARING, K(ANON), S(MANY), ANY, R(MOVE), "a shared page is copied, and the copy moves"},
	{UNSHARING, K(ANON), S(TWO), ANY, R(LEAVE), "a shared page is copied, and the copy moves"},
	{UNSHARING, K(ANON), S(MANY), ANY, R(LEAVE), "a shared page is copied, and the copy moves"},
	{UNSHARING, K(COPY), S(TWO), ANY, R(MOVE), "a shared page is copied, and the copy moves"},
	{UNSHARING, K(COPY), S(MANY), ANY, R(MOVE), "a shared page is copied, and the copy moves"},
#undef K
#undef S
#undef A
#undef R
};

const char *coverage_unreachable(const struct coverage_cell *cell, const struct rmap_ops *rmap)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (rule->designs == UNSHARING && !(rmap && rmap->may_unshare))
			continue;
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

static bool reachable(const struct coverage *coverage, uint32_t subject,
		      const struct coverage_cell *cell)
{
	return !coverage_unreachable(cell, coverage->rmap[subject]);
}

/* What all subjects have to say about a cell. */
struct tally {
	uint32_t reachable;   /* in how many it can come about */
	uint64_t least, most; /* what those of them that saw it least and most often saw */
	bool impossible;      /* one saw it in whom it cannot */
};

static struct tally tally(const struct coverage *coverage, const struct coverage_cell *cell)
{
	struct tally tally = {.least = UINT64_MAX};

	for (uint32_t i = 0; i < coverage->nr; i++) {
		uint64_t count = coverage_count(coverage, i, cell);

		if (!reachable(coverage, i, cell)) {
			tally.impossible |= count > 0;
			continue;
		}
		tally.reachable++;
		tally.least = count < tally.least ? count : tally.least;
		tally.most = count > tally.most ? count : tally.most;
	}
	return tally;
}

void coverage_summarize(const struct coverage *coverage, struct coverage_summary *summary)
{
	struct coverage_cell cell = {0};

	*summary = (struct coverage_summary){0};
	FOR_EACH_CELL(cell)
	{
		struct tally seen = tally(coverage, &cell);

		summary->cells++;
		summary->impossible += seen.impossible;
		if (!seen.reachable)
			summary->unreachable++;
		else if (seen.least)
			summary->filled++;
		else
			summary->empty++;
	}
}

/* ---- printing
 * -------------------------------------------------------------------------------------
 */

static void print_count(const struct tally *seen, FILE *out)
{
	if (seen->impossible)
		fprintf(out, " %8s", "!");
	else if (!seen->reachable)
		fprintf(out, " %8s", "");
	else if (!seen->least)
		fprintf(out, " %8s", seen->most ? "some" : "-");
	else
		fprintf(out, " %8" PRIu64, seen->least);
}

static void print_reasons(FILE *out)
{
	fputs("\ncannot come about (any kind, sharing, origin or end that is not named):\n", out);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		fprintf(out, "  %-8s %-3s %-9s %-9s %s%s\n",
			rule->kind == ANY ? "" : kind_names[rule->kind],
			rule->sharing == ANY ? "" : sharing_names[rule->sharing],
			rule->arose == ANY ? "" : arose_names[rule->arose],
			rule->removed == ANY ? "" : removed_names[rule->removed], rule->reason,
			rule->designs == UNSHARING ? " (designs that want it so)" : "");
	}
}

/* Who did not see what can come about, or did see what cannot. */
static void print_exceptions(const struct coverage *coverage, const char *const *names, FILE *out)
{
	struct coverage_cell cell = {0};

	FOR_EACH_CELL(cell)
	{
		for (uint32_t i = 0; i < coverage->nr; i++) {
			bool can = reachable(coverage, i, &cell);

			if (can == (coverage_count(coverage, i, &cell) > 0))
				continue;
			fprintf(out, "  %-8s %-3s %-9s %-9s %s %s\n", kind_names[cell.kind],
				sharing_names[cell.sharing], arose_names[cell.arose],
				removed_names[cell.removed],
				can ? "not seen by" : "cannot be, and yet seen by", names[i]);
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
		struct tally seen = tally(coverage, &cell);

		if (!cell.removed)
			fprintf(out, "\n%-8s %-7s %-9s", kind_names[cell.kind],
				sharing_names[cell.sharing], arose_names[cell.arose]);
		print_count(&seen, out);
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

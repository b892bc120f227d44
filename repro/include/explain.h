/*
 * From a finding to a story: what happened to the page in question, and when the backend's idea of
 * it stopped being true.
 */
#ifndef RMAPFUZZ_EXPLAIN_H
#define RMAPFUZZ_EXPLAIN_H

#include <stdio.h>

#include "diff.h"

/* One change in who maps the page, after op `op` of the trace. */
struct explain_step {
	uint32_t op;
	uint32_t added, removed; /* of `mappings`, added first, then removed */
	struct mapping *mappings;
	uint32_t now;          /* entries that map it after this op */
	uint32_t swapped;      /* entries that hold its swap slot instead */
	struct mapping holder; /* one of either, if there are any */
	char describe[96];     /* how the backend in question knows it; "": it does not */
};

/* The first op after which a backend's answer was not what the page tables say. */
struct explain_departure {
	bool found;
	uint32_t op;
	const char *backend;
	struct mapping page;
	struct mapping missed[FINDING_SET_MAX], extra[FINDING_SET_MAX];
	uint32_t nr_missed, nr_extra; /* no more than FINDING_SET_MAX are kept */
	bool died;                    /* asked about its pages, the process dies */
};

/* Who shows something without the others, and what is seen first by looking most often. */
struct explain_blame {
	bool has_first;
	struct finding first;
	const char *alone[DIFF_SUBJECTS_MAX]; /* the designs that show something when alone */
	uint32_t nr_alone, nr_designs;
};

struct explanation {
	struct finding finding;
	const char *subject; /* the backend whose view of the page is told */
	bool has_page;
	struct mapping page; /* the finding's, or the one its sets or its op name */
	struct explain_step *steps;
	uint32_t nr_steps;
	struct explain_departure departure;
	struct explain_blame blame;
};

/*
 * Run TRACE with OPTIONS and explain what it shows. Returns 0, -ENOENT if it shows nothing, or
 * -ENOMEM. EXPLANATION is released by explain_release() after 0.
 */
int explain(const struct trace *trace, const struct diff_options *options,
	    struct explanation *explanation);
void explain_release(struct explanation *explanation);
/* The report of finding_print(), the page's story, where a backend went wrong, and who is to blame.
 */
void explain_print(const struct explanation *explanation, const struct trace *trace, FILE *out);

#endif

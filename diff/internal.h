/*
 * What diff's own files share: a run in lockstep, and the checks.
 *
 *   assert.c          our own bugs abort
 *   lockstep.c        life, the loop over subjects, one step
 *   group.c           an op and those that ran inside it: in which order they are judged
 *   narrow.c          an mremap that area boundaries would tell apart, made the same for all
 *   excuse.c          names and reasons; who leaves the lockstep, and who is the reference
 *   early_copy.c      who has copied a page that the others share, and what is still compared
 *   finding.c         how a finding is filled in and printed
 *   events.c          a subject's events as segments: outside walks, and one per walk
 *   check_*.c         one question each, in the order of checks.def
 *   expect.c          expectations written in traces
 *   generate*.c       random traces (generate_private.h)
 *
 * A check returns true after it has filled diff->finding. It costs what the op touched.
 */
#ifndef RMAPFUZZ_DIFF_INTERNAL_H
#define RMAPFUZZ_DIFF_INTERNAL_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

/* Our own bugs abort, in every build. */
#define DIFF_ASSERT(cond)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			diff_assert_failed(#cond, __FILE__, __LINE__);                             \
	} while (0)
_Noreturn void diff_assert_failed(const char *what, const char *file, int line);

/* One machine of the run, and what its last op did. */
struct subject {
	struct machine *machine;
	const char *name;
	bool alone;  /* has left the lockstep: judged against its own page tables only */
	bool copied; /* has copied a page early, in this trace */
	bool apart;  /* has, where the reference has not: judged, but for where its pages are
			(early_copy.c) */

	/* of the group under judgement, and of its op that is: see group.c */
	struct op_outcome outcomes[GROUP_MAX];
	struct result result;
	const struct op_trace *last;
	uint32_t order;
	const struct event *events;
	size_t nr_events;
	bool walked; /* there are walks among them */
	bool same;   /* the events are the reference's, byte for byte */
};

/* A grow-only array of keys to sort; see key_of(). */
struct keys {
	uint64_t *key;
	size_t n, max;
};

/* The same for events whose order does not matter. */
struct event_set {
	struct event *event;
	size_t n, max;
};

struct diff {
	struct diff_options options;
	struct machine_config config;
	struct subject subjects[DIFF_SUBJECTS_MAX];
	uint32_t nr;
	struct subject *reference; /* whom the others and the model are compared with */
	struct model *model;       /* NULL: not wanted */
	uint32_t regions[REGION_MAX];

	/* the group under judgement */
	struct op group[GROUP_MAX];
	uint32_t nr_group;
	uint32_t from, to; /* those of it that are judged together: one, or all that ran inside */
	struct result results[GROUP_MAX]; /* the reference's, wherever they ran */

	/* the op of it under judgement */
	struct op op;
	uint32_t op_index;  /* its position; at the end, the number of ops */
	uint32_t recounted; /* the op that follows the last recount */
	bool at_end;
	uint64_t end_hash; /* of the final state; 0 before the end */
	enum model_verdict verdict;
	char why[192];
	bool knows_beneath; /* a write: the model knew what the page held before it, */
	uint64_t beneath;   /* namely this */
	struct finding *finding;

	struct keys census, visits, drops, other_drops;
	struct event_set set, other_set;
	struct model_area *areas; /* for model_adopt */
	uint32_t max_areas;
	struct diff_stats stats;
};

/* Subjects in lockstep, in order; the loop variable is S. */
#define FOR_EACH_SUBJECT(diff, s)                                                                  \
	for (struct subject *s = (diff)->subjects; s < (diff)->subjects + (diff)->nr; s++)

/* ARRAY with room for NEED elements of SIZE, at least doubled. Host exhaustion aborts. */
void *diff_grow(void *array, size_t *max, size_t need, size_t size);

/* ---- finding.c -------------------------------------------------------------------------- */

/*
 * Begin diff->finding: CHECK failed for SUBJECT against AGAINST, and DETAIL is the last part of
 * the signature. The sentence follows from FORMAT. Sets are added afterwards. Returns true.
 */
bool find(struct diff *diff, enum diff_check check, const char *subject, const char *against,
	  const char *detail, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The page that the finding is about. */
void find_page(struct finding *finding, uint32_t proc, uint32_t vpn);
void find_found(struct finding *finding, uint32_t proc, uint32_t vpn);
void find_expected(struct finding *finding, uint32_t proc, uint32_t vpn);
/* The words of a SENTENCE that hold no digits, as a signature's last part: "rss-of-is". */
void slug(const char *sentence, char *buf, size_t size);
/* "w3" or "0x08100000". Returns BUF. */
const char *page_name(uint32_t vpn, char *buf, size_t size);
/* "0", "EINVAL", "SEGV", or a number. Returns BUF or a constant. */
const char *err_name(int32_t err, char *buf, size_t size);

/* ---- events.c --------------------------------------------------------------------------- */

/*
 * A run of events with one meaning: all between two walks, or all of one walk, from EVENT_WALK to
 * EVENT_WALK_END.
 */
struct segment {
	const struct event *event;
	size_t n;
	bool walk;
};

/* The segment that starts at event *AT of SUBJECT; moves *AT behind it. false: no more. */
bool segment_next(const struct subject *subject, size_t *at, struct segment *segment);

/* A mapping as one number that sorts by process, then address. */
static inline uint64_t key_of(const struct event *event)
{
	return (uint64_t)event->mm << 32 | event->vpn;
}
void keys_add(struct keys *keys, uint64_t key);
void keys_sort(struct keys *keys);
bool keys_equal(const struct keys *a, const struct keys *b);
/* The (mm, vpn) of events of KIND in SEGMENT (and with aux AUX, unless it is -1), sorted. */
void keys_of(struct keys *keys, const struct segment *segment, enum event_kind kind, int aux);

/* The events of KIND in SEGMENT, sorted by everything. */
void event_set_of(struct event_set *set, const struct segment *segment, enum event_kind kind);

/* ---- excuse.c --------------------------------------------------------------------------- */

void excuse_count(struct diff *diff, enum diff_excuse excuse);
/* The excuse whose name begins SENTENCE, as "NAME: ..."; -1: none. */
int excuse_named(const char *sentence);
/*
 * After an op that was told to fail: the reference becomes the first in lockstep whose own
 * allocations all succeeded (if there is one); then those who may differ from it, and do, leave.
 */
void excuse_reference(struct diff *diff);
void excuse_failures(struct diff *diff);

/* ---- group.c ---------------------------------------------------------------------------- */

/* diff->group: OPS with names resolved, and fit to run inside each other. */
void group_prepare(struct diff *diff, const struct op *ops, uint32_t n);
/* Every machine does diff->group, as far as it runs inside its first op. */
void group_apply(struct diff *diff);
/* Op K of the group, at position FIRST + K of the trace, is the one under judgement. */
void group_focus(struct diff *diff, uint32_t first, uint32_t k);
/* What the op under judgement met inside its host says nothing of locks. */
bool group_hides_locks(const struct diff *diff);
/* ORDER: those that ran, in an order in which they could have run one after the other. Returns how
 * many. */
uint32_t group_order(const struct diff *diff, uint32_t order[GROUP_MAX]);
/* Whatever ran inside the host has changed no content. */
bool group_keeps_content(const struct diff *diff);
/* Op K is left: everybody in whom it did not run inside does it now. */
void group_apply_left(struct diff *diff, const struct op *op, uint32_t k);
/* Some op of the group was told to fail or to reclaim, or hangs on how areas merge. */
bool group_fails(const struct diff *diff);

/* ---- early_copy.c ----------------------------------------------------------------------- */

/* After every op: who copied for the reverse map's sake, and the reference did not, is apart. */
void excuse_early_copies(struct diff *diff);
/* Who is apart leaves the lockstep when memory runs short. */
void excuse_apart(struct diff *diff);
/* Does the result of such an op tell what is in memory, and where? */
bool tells_residence(enum op_code code);
/* Must SUBJECT return what the reference returns? */
bool results_comparable(const struct diff *diff, const struct subject *subject);

/* ---- narrow.c --------------------------------------------------------------------------- */

/* Cut down diff->op, an mremap, so that where areas begin and end makes no difference. */
void narrow_mremap(struct diff *diff);

/* ---- check_*.c --------------------------------------------------------------------------- */

bool check_results(struct diff *diff);
/* Bring the model up to date (before any check of this op)... */
void model_follow(struct diff *diff);
/* ...and report what it said about the result, or about what was read. */
bool check_model(struct diff *diff);
bool check_unmapped(struct diff *diff);
bool check_sets(struct diff *diff);
bool check_content(struct diff *diff);
bool check_ptes(struct diff *diff);
bool check_tlb(struct diff *diff);
bool check_kmap(struct diff *diff);
bool results_equal(const struct result *a, const struct result *b);
/* Do SUBJECT's dropped entries and written entries equal the reference's? */
bool sets_equal(struct diff *diff, const struct subject *subject);
bool ptes_equal(struct diff *diff, const struct subject *subject);
/* Recompute everything. */
/* CHECK is among those that are done. */
bool diff_wants(const struct diff *diff, enum diff_check check);
bool check_state(struct diff *diff);
/* What is in memory now, page by page, against the model. */
bool check_all_content(struct diff *diff);
/* After shutdown. */
bool check_empty(struct diff *diff);
bool check_canary(struct diff *diff);

#endif

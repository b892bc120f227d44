/*
 * State feedback: features of what an op did, each with its own counter.
 *
 * The counters are divided into regions, one per group of features, so that no two groups collide.
 * A feature is there or not: how often in one trace says little, and engines would keep an input
 * for every power of two of it.
 */
#include "feedback.h"

#include "coverage.h"
#include "internal.h"

enum {
	WALKS = 0,    /* op x sharing degree class */
	SHAPES = 512, /* design x kind of work x class of how much */
	PAIRS = 1536, /* op x op */
	EXCUSES = 5632,
	CELLS = 5760, /* the coverage matrix */
};

#define OPS_MAX 64u
#define CLASSES 8u
#define KINDS   4u /* of work: probes, misses, areas, links */
#define NR_CELLS                                                                                   \
	(NR_COVERAGE_KINDS * NR_COVERAGE_SHARINGS * NR_COVERAGE_AROSE * NR_COVERAGE_REMOVED)
#define ENTRIES 1024u /* entries whose last op is remembered; others share a place */

_Static_assert(NR_OPS <= OPS_MAX, "every op has a place in each group");
_Static_assert(SHAPES + DIFF_SUBJECTS_MAX * KINDS * CLASSES <= PAIRS, "every design has a place");
_Static_assert(NR_EXCUSES <= CELLS - EXCUSES, "every excuse has a counter");
_Static_assert(CELLS + NR_CELLS <= FEEDBACK_SIZE, "every cell has a counter");

struct feedback {
	uint8_t *counters;
	struct coverage *coverage;
	uint8_t last_op[ENTRIES];                /* that wrote this entry, + 1 */
	uint64_t work[DIFF_SUBJECTS_MAX][KINDS]; /* of each design, until now */
};

struct feedback *feedback_create(uint8_t *counters)
{
	struct feedback *feedback = calloc(1, sizeof(*feedback));

	DIFF_ASSERT(feedback);
	feedback->counters = counters;
	feedback->coverage = coverage_create(NULL, 1);
	return feedback;
}

void feedback_destroy(struct feedback *feedback)
{
	if (feedback)
		coverage_destroy(feedback->coverage);
	free(feedback);
}

void feedback_begin(struct feedback *feedback)
{
	coverage_begin(feedback->coverage);
	memset(feedback->last_op, 0, sizeof(feedback->last_op));
	memset(feedback->work, 0, sizeof(feedback->work));
}

static void count(struct feedback *feedback, uint32_t at)
{
	feedback->counters[at] = 1;
}

/* 0, 1, 2, 3, 4..7, 8..15, 16..31, more. */
static uint32_t class_of(uint64_t n)
{
	uint32_t class = 2;

	if (n < 4)
		return (uint32_t)n;
	while (n >>= 1)
		class ++;
	return class - 1 < CLASSES ? class - 1 : CLASSES - 1;
}

static void entry_written(struct feedback *feedback, const struct event *event, uint32_t code)
{
	uint8_t *last = &feedback->last_op[(event->mm * 129u + event->vpn) % ENTRIES];

	if (*last)
		count(feedback, PAIRS + (*last - 1u) * OPS_MAX + code);
	*last = (uint8_t)(code + 1);
}

static void count_cell(uint32_t cell, void *arg)
{
	count(arg, CELLS + cell);
}

void feedback_follow(struct feedback *feedback, struct machine *machine, const struct op *op,
		     const struct event *events, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		const struct event *event = &events[i];

		if (event->kind == EVENT_WALK)
			count(feedback, WALKS + op->code * CLASSES + class_of(event->value));
		else if (event->kind == EVENT_PTE)
			entry_written(feedback, event, op->code);
	}
	coverage_follow(feedback->coverage, 0, machine, op, events, n);
	coverage_drain(feedback->coverage, 0, count_cell, feedback);
}

void feedback_worked(struct feedback *feedback, uint32_t subject, struct machine *machine,
		     bool walked)
{
	const struct rmap_counters *counters = machine_counters(machine);
	const uint64_t now[KINDS] = {counters->pte_probes, counters->pte_misses,
				     counters->vmas_visited, counters->links};
	uint64_t *before = feedback->work[subject];

	for (uint32_t kind = 0; walked && kind < KINDS; kind++)
		count(feedback, SHAPES + (subject * KINDS + kind) * CLASSES +
					class_of(now[kind] - before[kind]));
	memcpy(before, now, sizeof(now));
}

void feedback_excuse(struct feedback *feedback, uint32_t excuse)
{
	count(feedback, EXCUSES + excuse);
}

/*
 * State feedback for fuzz engines: what a run did to reverse maps, as small counters beside the
 * engine's own coverage of code. Code coverage saturates early: the same lines serve a page with
 * two sharers and one with nine, one that was moved and then swapped and one that was not.
 *
 *   features      sharing degree of each page walked, by op
 *                 how much work walks were to each design: probes of page tables, misses, areas
 *                 looked at, links followed; that is, how long its lists are, how deep its trees
 *                 cells of the coverage matrix (coverage.def)
 *                 pairs of ops that wrote the same entry, one after the other
 *                 which excuse was granted
 *
 * Each feature has a place of its own among the FEEDBACK_SIZE; an engine-specific file gives them
 * to the engine.
 */
#ifndef RMAPFUZZ_FEEDBACK_H
#define RMAPFUZZ_FEEDBACK_H

#include <stdbool.h>
#include <stdint.h>

#define FEEDBACK_SIZE 8192u

struct feedback;
struct machine;
struct op;
struct event;

/* Feed COUNTERS[0..FEEDBACK_SIZE): what was seen becomes 1. The caller clears them. */
struct feedback *feedback_create(uint8_t *counters);
void feedback_destroy(struct feedback *feedback);
/* A trace begins. */
void feedback_begin(struct feedback *feedback);
/* MACHINE did OP, the first of a group, and logged EVENTS. Costs what they touched. */
void feedback_follow(struct feedback *feedback, struct machine *machine, const struct op *op,
		     const struct event *events, uint64_t n);
/* MACHINE, of the lockstep's N-th subject, has done the op; WALKED: with a walk. */
void feedback_worked(struct feedback *feedback, uint32_t subject, struct machine *machine,
		     bool walked);
void feedback_excuse(struct feedback *feedback, uint32_t excuse);

#endif

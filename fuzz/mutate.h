/*
 * The structure-aware mutator: traces in the byte form, changed by operations instead of bytes. One
 * core for all engines; mutate_libfuzzer.c and mutate_afl.c are its hooks.
 *
 * Same input and seed, same output. What comes out is the encoding of a trace; that fits because
 * any bytes are a trace and encoding is exact.
 */
#ifndef RMAPFUZZ_FUZZ_MUTATE_H
#define RMAPFUZZ_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

struct mutator;

/* For inputs that begin with SKIP bytes, 0 or 1 of them, before the trace. Host exhaustion aborts.
 */
struct mutator *mutator_create(uint32_t skip);
void mutator_destroy(struct mutator *mutator);

/*
 * A changed copy of the trace in DATA[0..SIZE), in OUT, of at most MAX bytes: some of insert,
 * delete, duplicate, move, retarget to what is alive, perturb an operand, wrap in a failure. If MAX
 * < SIZE the engine asks for something smaller: then ops go and operands become plainer, nothing is
 * added. Returns its size, which is not 0 if MAX is not; but 0 if the skipped bytes are not there
 * or have no room.
 */
size_t mutator_mutate(struct mutator *mutator, const uint8_t *data, size_t size, uint8_t *out,
		      size_t max, uint32_t seed);

/* A beginning of A, then ops of B, aimed at what is alive there; on A's machine. */
size_t mutator_cross(struct mutator *mutator, const uint8_t *a, size_t a_size, const uint8_t *b,
		     size_t b_size, uint8_t *out, size_t max, uint32_t seed);

/* What the last mutation was, "insert,retarget": letters and commas. */
const char *mutator_describe(const struct mutator *mutator);

/*
 * Reduce by ops: begin with a trace, then try candidates until there are none. The caller says of
 * each whether it still does what is wanted; what follows starts from the last that did. Steps is
 * how many there will be at most.
 */
uint32_t mutator_trim_begin(struct mutator *mutator, const uint8_t *data, size_t size);
/* The next candidate, no larger than what trimming began with; *OUT belongs to the mutator. 0: this
 * step has none. */
size_t mutator_trim_next(struct mutator *mutator, const uint8_t **out);
/* How many steps are done; as many as mutator_trim_begin() said: it is over. */
uint32_t mutator_trim_done(struct mutator *mutator, int good);

#endif

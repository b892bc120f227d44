/*
 * What the tests of the trace language share: random ops and expectations, and the way through text
 * and through bytes and back.
 */
#ifndef RMAPFUZZ_TESTS_TRACE_PLAY_H
#define RMAPFUZZ_TESTS_TRACE_PLAY_H

#include "machine.h"
#include "trace.h"
#include "trace_private.h"

#define HEAD     "rmapfuzz trace 1\n"
#define N(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

struct random {
	uint64_t state; /* not 0 */
};

uint32_t random_next(struct random *random);
/* Less than N. */
uint32_t random_below(struct random *random, uint32_t n);

struct trace new_trace(void);
/* TRACE as text, to be freed. */
char *print_trace(const struct trace *trace);
/* Fails the test if TEXT is no trace. */
void parse_trace(struct trace *trace, const char *text);

void assert_same_ops(const struct trace *a, const struct trace *b);
void assert_same_expects(const struct trace *a, const struct trace *b);
/* Through text and back. */
void check_text(const struct trace *trace);
/* Through bytes and back. Returns how many there were. */
size_t check_bytes(const struct trace *trace);

/* How many values of KIND are tried. */
uint32_t nr_values(enum operand_kind kind);
/* Operand I of OP gets the K-th of them. */
void set_value(struct op *op, uint32_t i, uint32_t k);
struct op random_op(struct random *random);
/* TRACE gets one that fits behind its last op, if there is room for one. */
void random_expect(struct random *random, struct trace *trace);

#endif

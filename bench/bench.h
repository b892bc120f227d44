/* What the bench_*.c files share: a clock, a row printer, and how to repeat a measurement. */
#ifndef RMAPFUZZ_BENCH_H
#define RMAPFUZZ_BENCH_H

#include <stdint.h>

#include "diff.h"

/* Seconds of processor time that this process has used. */
double bench_now(void);

/*
 * Call RUN until it has taken a quarter of a second, three times over, and return the rate of
 * the best of the three: units per second. RUN returns how many units of work it did.
 */
double bench_rate(double (*run)(void *), void *arg);

void bench_title(const char *title);
/* One row. TARGET 0: none is stated. */
void bench_row(const char *what, double value, const char *unit, double target);
/* The same where less is better. */
void bench_row_max(const char *what, double value, const char *unit, double target);

/* NR generated traces of NR_OPS ops each, seeds 1..NR. Free with bench_free_traces. */
struct trace *bench_traces(uint32_t nr, uint32_t nr_ops);
void bench_free_traces(struct trace *traces, uint32_t nr);

void bench_lockstep(void);
void bench_alone(void);
void bench_start(void);
void bench_growth(void);
void bench_steady(void);
void bench_lowmem(void);

#endif

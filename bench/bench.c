/*
 * The speed table: bench [SECTION...]. Nothing here judges; targets are printed beside what was
 * measured, and whoever reads decides. Each rate is the best of three runs on one core, by the
 * processor time that this process used, so that what else runs on the host matters less.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct section {
	const char *name;
	void (*run)(void);
} sections[] = {
	{"lockstep", bench_lockstep}, {"alone", bench_alone},   {"start", bench_start},
	{"growth", bench_growth},     {"steady", bench_steady}, {"lowmem", bench_lowmem},
};

double bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

double bench_rate(double (*run)(void *), void *arg)
{
	double best = 0;

	run(arg); /* warm up: caches, branch predictors, grow-only buffers */
	for (int i = 0; i < 3; i++) {
		double start = bench_now(), units = 0, spent;

		do {
			units += run(arg);
			spent = bench_now() - start;
		} while (spent < 0.25);
		if (units / spent > best)
			best = units / spent;
	}
	return best;
}

void bench_title(const char *title)
{
	printf("\n%s\n", title);
}

static void row(const char *what, double value, const char *unit, const char *relation,
		double target)
{
	printf("  %-52s %*.*f %s", what, 12, value < 100 ? 2 : 0, value, unit);
	if (target > 0)
		printf("  (target: %s %.*f)", relation, target < 100 ? 2 : 0, target);
	putchar('\n');
	fflush(stdout);
}

void bench_row(const char *what, double value, const char *unit, double target)
{
	row(what, value, unit, "at least", target);
}

void bench_row_max(const char *what, double value, const char *unit, double target)
{
	row(what, value, unit, "at most", target);
}

struct trace *bench_traces(uint32_t nr, uint32_t nr_ops)
{
	const struct generate_options options = {.nr_ops = nr_ops};
	struct trace *traces = calloc(nr, sizeof(*traces));

	if (!traces)
		abort();
	for (uint32_t i = 0; i < nr; i++) {
		trace_init(&traces[i], &machine_presets[0].config);
		generate_trace(&traces[i], &machine_presets[0].config, i + 1, &options);
	}
	return traces;
}

void bench_free_traces(struct trace *traces, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		trace_release(&traces[i]);
	free(traces);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= strcmp(argv[a], sections[i].name) == 0;
		if (wanted)
			sections[i].run();
	}
	return 0;
}

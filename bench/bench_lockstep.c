/*
 * Lockstep: ops per second of all backends with all oracles (an op counts once, whatever the
 * number of machines it ran on), and short traces per second, from boot to the final check.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

struct load {
	struct diff *diff;
	struct trace *traces;
	uint32_t nr, next;
	bool count_traces;
};

/* A finding here would mean that the numbers are of a machine that works wrongly. */
static void expect_clean(int status, const struct finding *finding, const struct trace *trace)
{
	if (!status)
		return;
	finding_print(finding, trace, stderr);
	exit(1);
}

static double run_next(void *arg)
{
	struct load *load = arg;
	struct trace *trace = &load->traces[load->next++ % load->nr];
	struct finding finding;

	expect_clean(diff_run(load->diff, trace, &finding), &finding, trace);
	return load->count_traces ? 1 : trace->nr_ops;
}

static double measure(const struct diff_options *options, uint32_t nr, uint32_t nr_ops,
		      bool count_traces)
{
	struct load load = {
		.diff = diff_create(options),
		.traces = bench_traces(nr, nr_ops),
		.nr = nr,
		.count_traces = count_traces,
	};
	double rate = bench_rate(run_next, &load);

	bench_free_traces(load.traces, nr);
	diff_destroy(load.diff);
	return rate;
}

void bench_lockstep(void)
{
	struct diff_options options;

	bench_title("lockstep: all backends, all oracles, one core");
	diff_options_init(&options);
	bench_row("traces of 1024 ops", measure(&options, 200, 1024, false), "ops/s", 300000);
	bench_row("traces of 64 ops", measure(&options, 2000, 64, false), "ops/s", 0);
	bench_row("traces of 64 ops, start-up and final check included",
		  measure(&options, 2000, 64, true), "traces/s", 5000);
	options.model = false;
	bench_row("traces of 64 ops, without the model", measure(&options, 2000, 64, false),
		  "ops/s", 0);
}

/* ---- one backend, and the model, by themselves ------------------------------------------- */

/* What the model is shown: ops with their addresses resolved, and the results. */
struct recording {
	struct machine_config config;
	struct op *ops;
	struct result *results;
	uint32_t nr;
};

struct model_load {
	struct model *model;
	struct recording *recordings;
	uint32_t nr, next;
};

static double run_model(void *arg)
{
	struct model_load *load = arg;
	const struct recording *rec = &load->recordings[load->next++ % load->nr];
	char why[256];
	uint32_t i;

	model_reset(load->model, &rec->config);
	for (i = 0; i < rec->nr; i++)
		if (model_step(load->model, &rec->ops[i], &rec->results[i], false, why,
			       sizeof(why)) == MODEL_LOST)
			break;
	return i;
}

static void record(struct recording *rec, struct diff *diff, const struct trace *trace)
{
	struct finding finding;

	rec->config = trace->config;
	rec->ops = calloc(trace->nr_ops, sizeof(*rec->ops));
	rec->results = calloc(trace->nr_ops, sizeof(*rec->results));
	if (!rec->ops || !rec->results)
		abort();
	diff_begin(diff, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		expect_clean(diff_step(diff, &trace->ops[i], &finding), &finding, trace);
		rec->ops[rec->nr] = *diff_last_op(diff);
		rec->results[rec->nr++] = *diff_last_result(diff);
	}
	expect_clean(diff_end(diff, &finding), &finding, trace);
}

static void bench_model(void)
{
	enum { NR = 500 };
	struct trace *traces = bench_traces(NR, 64);
	struct recording recordings[NR] = {0};
	struct model_load load = {
		.model = model_create(&traces[0].config), .recordings = recordings, .nr = NR};
	struct diff_options options;
	struct diff *diff;

	diff_options_init(&options);
	diff = diff_create(&options);
	for (uint32_t i = 0; i < NR; i++)
		record(&recordings[i], diff, &traces[i]);
	bench_row("the model", bench_rate(run_model, &load), "ops/s", 0);

	diff_destroy(diff);
	model_destroy(load.model);
	for (uint32_t i = 0; i < NR; i++) {
		free(recordings[i].ops);
		free(recordings[i].results);
	}
	bench_free_traces(traces, NR);
}

void bench_alone(void)
{
	struct diff_options options;
	char label[64];

	bench_title("each alone, against the page tables and the model, traces of 64 ops");
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		diff_options_init(&options);
		options.backends[0] = rmap_backends[i];
		options.nr_backends = 1;
		snprintf(label, sizeof(label), "%s", rmap_backends[i]->name);
		bench_row(label, measure(&options, 2000, 64, false), "ops/s", 0);
	}
	bench_model();
}

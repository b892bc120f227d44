/*
 * minimize: the loop around candidates. Fewer ops, then plainer operands (which may make further
 * ops superfluous), until a pass over both has found nothing; then a sweep that certifies it.
 *
 * Every candidate is a function of the best trace alone, and the last pass tried all of them in
 * vain. That is why the result, minimized again, stays as it is.
 */
#include "minimize_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "isolate.h"

void minimize_options_init(struct minimize_options *options)
{
	*options = (struct minimize_options){0};
	diff_options_init(&options->diff);
}

bool minimize_stopped(const struct minimizer *minimizer)
{
	return minimizer->options->stop && *minimizer->options->stop;
}

/* ---- the oracle --------------------------------------------------------------------------- */

/* More than any trace takes, in a sanitizer's build on a busy host. */
#define SECONDS_MAX 20

static bool is_signature(const struct minimizer *minimizer, int found)
{
	return found > 0 && strcmp(minimizer->finding.signature, minimizer->report->signature) == 0;
}

/*
 * A crash takes the process along, so it is looked for in others: in a worker; and what shows it
 * there must show it in a new process, too, which no other candidate has been in.
 */
static bool shows(struct minimizer *minimizer, const struct trace *trace)
{
	const struct minimize_options *options = minimizer->options;
	struct finding *finding = &minimizer->finding;
	bool good;

	if (!minimizer->worker)
		good = is_signature(minimizer, diff_run(minimizer->diff, trace, finding));
	else
		good = is_signature(minimizer,
				    worker_run(minimizer->worker, trace, SECONDS_MAX, finding)) &&
		       is_signature(minimizer, isolated_run_within(minimizer->diff, trace,
								   SECONDS_MAX, finding));
	minimizer->report->runs++;
	if (options->progress)
		options->progress(minimizer->report, options->arg);
	return good;
}

/* What comes after the finding was never run. */
static void drop_rest(struct minimizer *minimizer, struct trace *trace)
{
	uint32_t end = minimizer->finding.op_index + 1;

	while (end < trace->nr_ops && trace->ops[end].point)
		end++; /* they may have run inside the op that is found wrong */
	if (end < trace->nr_ops)
		trace->nr_ops = end;
}

/* A write's content is its place in the trace. The first op runs inside no other. */
static void number_ops(struct trace *trace)
{
	for (uint32_t i = 0; i < trace->nr_ops; i++)
		trace->ops[i].serial = i;
	if (trace->nr_ops) /* its host has gone */
		trace->ops[0].point = trace->ops[0].point_nth = 0;
}

/* ---- candidates --------------------------------------------------------------------------- */

void trace_remove(struct trace *trace, uint32_t first, uint32_t n)
{
	memmove(trace->ops + first, trace->ops + first + n,
		(trace->nr_ops - first - n) * sizeof(*trace->ops));
	trace->nr_ops -= n;
}

struct trace *minimize_begin(struct minimizer *minimizer)
{
	/* There is room: the first copy was of the longest trace. */
	trace_copy(&minimizer->candidate, minimizer->best);
	return &minimizer->candidate;
}

static void accept(struct minimizer *minimizer)
{
	struct trace old = *minimizer->best;

	*minimizer->best = minimizer->candidate;
	minimizer->candidate = old;
	drop_rest(minimizer, minimizer->best);
	minimizer->weight = trace_weight(minimizer->best);
	minimizer->report->ops_after = minimizer->best->nr_ops;
}

bool minimize_try(struct minimizer *minimizer)
{
	struct weight weight;

	number_ops(&minimizer->candidate);
	weight = trace_weight(&minimizer->candidate);
	if (!weight_less(&weight, &minimizer->weight) || minimize_stopped(minimizer))
		return false;
	if (!shows(minimizer, &minimizer->candidate))
		return false;
	accept(minimizer);
	return true;
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* Remove each op once more. False: one of them can go after all, or there was no time. */
static bool certify(struct minimizer *minimizer)
{
	for (uint32_t i = 0; i < minimizer->best->nr_ops && !minimize_stopped(minimizer); i++) {
		trace_remove(minimize_begin(minimizer), i, 1);
		if (minimize_try(minimizer))
			return false;
	}
	return !minimize_stopped(minimizer);
}

static void lighten(struct minimizer *minimizer)
{
	struct weight before;

	do {
		do {
			before = minimizer->weight;
			minimize_ops(minimizer);
			minimize_plain(minimizer);
		} while (weight_less(&minimizer->weight, &before));
		minimizer->report->certified = certify(minimizer);
	} while (!minimizer->report->certified && !minimize_stopped(minimizer));
}

static int find(struct minimizer *minimizer)
{
	minimizer->report->runs++;
	return isolated_run_within(minimizer->diff, minimizer->best, SECONDS_MAX,
				   &minimizer->finding);
}

/* What a recount has shown is looked for after every op, where its cause is. */
static void sharpen(struct minimizer *minimizer)
{
	struct finding blunt = minimizer->finding;
	struct diff *often, *seldom = minimizer->diff;
	struct diff_options options = minimizer->options->diff;

	if (minimizer->options->signature || options.check_every == 1 ||
	    (blunt.check != CHECK_COUNTS && blunt.check != CHECK_STRUCTURE &&
	     blunt.check != CHECK_CONTENT))
		return;
	options.check_every = 1;
	minimizer->diff = often = diff_create(&options);
	if (find(minimizer) > 0 && minimizer->finding.check == blunt.check) {
		minimizer->report->check_every = 1;
		diff_destroy(seldom);
		return;
	}
	minimizer->finding = blunt;
	minimizer->diff = seldom;
	diff_destroy(often);
}

/* The finding that TRACE shows is the one that was asked for, or there was no such wish. */
static bool is_wanted(struct minimizer *minimizer)
{
	const char *wish = minimizer->options->signature;
	struct minimize_report *report = minimizer->report;

	number_ops(minimizer->best);
	if (find(minimizer) <= 0)
		return false;
	sharpen(minimizer);
	minimizer->crash = minimizer->finding.check == CHECK_CRASH;
	if (wish && strcmp(wish, minimizer->finding.signature) != 0)
		return false;
	memcpy(report->signature, minimizer->finding.signature, sizeof(report->signature));
	return true;
}

static int prepare(struct minimizer *minimizer)
{
	size_t n = minimizer->best->nr_ops + 1;

	if (minimizer->crash || minimizer->options->isolate) {
		minimizer->worker = worker_create(minimizer->diff, minimizer->best->nr_ops);
		if (!minimizer->worker)
			return -ENOMEM;
	}
	minimizer->resolved = calloc(n, sizeof(*minimizer->resolved));
	minimizer->results = calloc(n, sizeof(*minimizer->results));
	if (!minimizer->resolved || !minimizer->results)
		return -ENOMEM;
	return trace_copy(&minimizer->candidate, minimizer->best);
}

int minimize(struct trace *trace, const struct minimize_options *options,
	     struct minimize_report *report)
{
	struct minimizer minimizer = {.options = options, .report = report, .best = trace};
	int err;

	*report = (struct minimize_report){.ops_before = trace->nr_ops,
					   .ops_after = trace->nr_ops,
					   .check_every = options->diff.check_every};
	if (!options->diff.nr_backends || options->diff.nr_backends > DIFF_SUBJECTS_MAX)
		return -EINVAL;
	minimizer.diff = diff_create(&options->diff);
	err = is_wanted(&minimizer) ? prepare(&minimizer) : -ENOENT;
	if (!err) {
		trace->nr_expects = 0;
		drop_rest(&minimizer, trace);
		minimizer.weight = trace_weight(trace);
		report->ops_after = trace->nr_ops;
		lighten(&minimizer);
	}
	worker_destroy(minimizer.worker);
	free(minimizer.resolved);
	free(minimizer.results);
	trace_release(&minimizer.candidate);
	diff_destroy(minimizer.diff);
	return err;
}

void minimize_print(const struct trace *trace, const struct minimize_report *report, FILE *out)
{
	fprintf(out, "# signature: %s\n", report->signature);
	fprintf(out, "# minimized from %" PRIu32 " to %" PRIu32 " ops in %" PRIu64 " runs; %s\n",
		report->ops_before, report->ops_after, report->runs,
		report->certified ? "1-minimal, certified" : "interrupted, may not be minimal");
	trace_print(trace, out);
}

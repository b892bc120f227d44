/*
 * rmapfuzz run: progress, and what there is to say at the end, as text and as JSON.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "run.h"

#define PROGRESS_SECONDS 0.2

/* ---- progress ------------------------------------------------------------------------------ */

double run_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static double rate(const struct run *run, double spent)
{
	return spent > 0 ? (double)diff_stats(run->diff)->ops / spent : 0;
}

void run_show_progress(struct run *run, double at)
{
	if (!run->terminal || at - run->shown < PROGRESS_SECONDS)
		return;
	run->shown = at;
	fprintf(stderr, "\r%" PRIu64 " traces, %.0f ops/s, %" PRIu64 " findings ",
		diff_stats(run->diff)->traces, rate(run, at - run->start), run->findings);
}

void run_clear_progress(const struct run *run)
{
	if (run->terminal)
		fputs("\r\033[K", stderr);
}

/* ---- the summary ---------------------------------------------------------------------------- */

static void print_ops(const struct diff_stats *stats)
{
	fprintf(stderr, "  %-16s %12s %8s\n", "operation", "count", "success");
	for (int code = 0; code < NR_OPS; code++) {
		if (stats->op_count[code])
			fprintf(stderr, "  %-16s %12" PRIu64 " %7.1f%%\n",
				op_info((enum op_code)code)->name, stats->op_count[code],
				100.0 * (double)stats->op_ok[code] / (double)stats->op_count[code]);
	}
}

/* How often each relation was tried and held, over all backends. */
static void print_metamorphs(const struct run *run)
{
	for (int relation = 0; run->metamorphs[0] && relation < NR_METAMORPH; relation++) {
		uint64_t held = 0, skipped = 0;

		for (uint32_t i = 0; run->metamorphs[i]; i++) {
			const struct metamorph_stats *stats = metamorph_stats(run->metamorphs[i]);

			held += stats->held[relation];
			skipped += stats->skipped[relation];
		}
		fprintf(stderr, "there and back by %-9s %8" PRIu64 "  (%" PRIu64 " not judged)\n",
			metamorph_name((enum metamorph_relation)relation), held, skipped);
	}
}

void run_print_summary(const struct run *run, double spent)
{
	const struct diff_stats *stats = diff_stats(run->diff);

	print_ops(stats);
	fprintf(stderr,
		"%" PRIu64 " walks judged, %" PRIu64 " unmaps compared, %" PRIu64 " recounts\n",
		stats->walks, stats->unmaps_compared, stats->recounts);
	for (int i = 0; i < NR_EXCUSES; i++)
		fprintf(stderr, "excuse %-18s %8" PRIu64 "  (%s)\n",
			diff_excuse_name((enum diff_excuse)i), stats->excuses[i],
			diff_excuse_reason((enum diff_excuse)i));
	print_metamorphs(run);
	for (uint32_t i = 0; run->arguments->keep_going && i < run->nr_kinds; i++)
		fprintf(stderr, "%8" PRIu64 "  %s (first: %s)\n", run->kinds[i].count,
			run->kinds[i].finding.signature, run->kinds[i].command);
	fprintf(stderr, "%" PRIu64 " traces, %" PRIu64 " ops in %.1f s, %.0f ops per second: ",
		stats->traces, stats->ops, spent, rate(run, spent));
	if (run->findings)
		fprintf(stderr, "%" PRIu64 " findings of %" PRIu32 " kinds\n", run->findings,
			run->nr_kinds);
	else
		fputs("nothing found\n", stderr);
}

void run_print_coverage(const struct run *run)
{
	const struct diff_options *diff = &run->arguments->lockstep.diff;
	const char *names[DIFF_SUBJECTS_MAX];

	for (uint32_t i = 0; i < diff->nr_backends; i++)
		names[i] = diff->backends[i]->name;
	if (diff->coverage)
		coverage_print(diff->coverage, names, stdout);
}

static json_t *ops_json(const struct diff_stats *stats)
{
	json_t *ops = json_object();

	for (int code = 0; code < NR_OPS; code++)
		json_object_set_new(ops, op_info((enum op_code)code)->name,
				    json_pack("{s:I,s:I}", "count",
					      (json_int_t)stats->op_count[code], "success",
					      (json_int_t)stats->op_ok[code]));
	return ops;
}

/* A string, or null. */
static json_t *text_json(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *findings_json(const struct run *run)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < run->nr_kinds; i++) {
		const struct kind *kind = &run->kinds[i];
		json_t *object = cli_finding_json(&kind->finding);

		json_object_set_new(object, "trace", text_json(kind->trace));
		json_object_set_new(object, "command", text_json(kind->command));
		if (kind->minimal)
			json_object_set_new(object, "minimal", text_json(kind->minimal));
		if (kind->story)
			json_object_set_new(object, "story", text_json(kind->story));
		json_array_append_new(array, object);
	}
	return array;
}

int run_print_json(const struct run *run, double spent)
{
	const struct diff_stats *stats = diff_stats(run->diff);
	json_t *excuses = json_object(), *checks = json_object(), *kinds = json_object();
	char seed[24];

	for (int i = 0; i < NR_EXCUSES; i++)
		json_object_set_new(excuses, diff_excuse_name((enum diff_excuse)i),
				    json_integer((json_int_t)stats->excuses[i]));
	for (int i = 0; i < NR_CHECKS; i++)
		json_object_set_new(checks, diff_check_name((enum diff_check)i),
				    json_integer((json_int_t)stats->check_count[i]));
	for (uint32_t i = 0; i < run->nr_kinds; i++)
		json_object_set_new(kinds, run->kinds[i].finding.signature,
				    json_integer((json_int_t)run->kinds[i].count));
	/* Seeds have 64 bits, more than JSON readers keep. */
	snprintf(seed, sizeof(seed), "0x%" PRIx64, run->arguments->seed);
	return cli_print_json(json_pack(
		"{s:s,s:s,s:I,s:I,s:f,s:f,s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "version",
		RMAPFUZZ_VERSION, "seed", seed, "traces", (json_int_t)stats->traces, "ops",
		(json_int_t)stats->ops, "seconds", spent, "ops_per_second", rate(run, spent), "op",
		ops_json(stats), "walks", (json_int_t)stats->walks, "unmaps_compared",
		(json_int_t)stats->unmaps_compared, "recounts", (json_int_t)stats->recounts,
		"excuses", excuses, "checks", checks, "signatures", kinds, "findings",
		findings_json(run)));
}

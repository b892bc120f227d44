/*
 * rmapfuzz failsweep: traces, once for every allocation in them, failing that one, and once failing
 * all later ones too.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "failsweep.h"
#include "options.h"

struct arguments {
	struct cli_lockstep lockstep;
	struct cli_machine machine;
	bool as_json, quiet;
	const char *write; /* where the first finding's trace goes */
	struct cli_paths paths;
};

struct sweep {
	const struct arguments *arguments;
	struct diff *diff;
	struct trace trace, failing;
	struct failsweep_stats total;
	uint32_t passed, failed;
	bool written;
	json_t *json; /* array of results, or NULL */
};

/* ---- options ------------------------------------------------------------------------------ */

enum { KEY_WRITE = 256, KEY_JSON };

static const struct argp_option options[] = {
	{"write", KEY_WRITE, "FILE", 0, "write the trace of the first finding to FILE", 0},
	{"json", KEY_JSON, NULL, 0, "print results as JSON", 0},
	{"quiet", 'q', NULL, 0, "print failures only", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		state->child_inputs[1] = &arguments->machine;
		state->child_inputs[2] = &arguments->paths;
		break;
	case KEY_WRITE:
		arguments->write = arg;
		break;
	case KEY_JSON:
		arguments->as_json = true;
		break;
	case 'q':
		arguments->quiet = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- one trace ---------------------------------------------------------------------------------
 */

static void print_trace(FILE *out, const void *what)
{
	trace_print(what, out);
}

static json_t *result_json(const char *path, const struct failsweep_stats *stats)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "file", path, "engine",
			 (json_int_t)stats->engine, "backend", (json_int_t)stats->meta, "later",
			 (json_int_t)stats->later, "runs", (json_int_t)stats->runs, "ops",
			 (json_int_t)stats->ops);
}

static void print_clean(struct sweep *sweep, const char *path, const struct failsweep_stats *stats)
{
	if (sweep->json)
		json_array_append_new(sweep->json, result_json(path, stats));
	else if (!sweep->arguments->quiet)
		printf("passed  %s: %" PRIu64 " engine and %" PRIu64 " backend allocations failed, "
		       "%" PRIu64 " with all later ones, %" PRIu64 " runs\n",
		       path, stats->engine, stats->meta, stats->later, stats->runs);
}

static int report(struct sweep *sweep, const char *path, const struct failsweep_stats *stats,
		  const struct finding *finding)
{
	const struct arguments *arguments = sweep->arguments;
	char line[256];

	failsweep_line(&sweep->trace, &sweep->failing, line, sizeof(line));
	if (sweep->json) {
		json_t *object = result_json(path, stats);

		json_object_set_new(object, "finding", cli_finding_json(finding));
		json_array_append_new(sweep->json, object);
	} else {
		printf("FAILED  %s%s: %s\n", path, line, finding->signature);
		fflush(stdout); /* so that the report follows its line */
	}
	finding_print(finding, &sweep->failing, stderr);
	if (arguments->write && !sweep->written) {
		sweep->written = true;
		if (cli_write_file(arguments->write, print_trace, &sweep->failing) != CLI_OK)
			return CLI_INTERNAL;
	}
	return CLI_FINDING;
}

static int sweep_file(const char *path, void *arg)
{
	struct sweep *sweep = arg;
	struct failsweep_stats stats = {0};
	struct finding finding;
	int status, found;

	trace_clear(&sweep->trace);
	status = cli_load_trace(path, CLI_GUESS, &sweep->trace);
	if (status) {
		sweep->failed++;
		return status;
	}
	if (sweep->arguments->machine.given)
		sweep->trace.config = sweep->arguments->machine.config;
	found = failsweep(sweep->diff, &sweep->trace, &stats, &sweep->failing, &finding);
	sweep->total.runs += stats.runs;
	sweep->total.engine += stats.engine;
	sweep->total.meta += stats.meta;
	sweep->total.later += stats.later;
	sweep->total.ops += stats.ops;
	if (found) {
		sweep->failed++;
		return report(sweep, path, &stats, &finding);
	}
	sweep->passed++;
	print_clean(sweep, path, &stats);
	return CLI_OK;
}

/* ---- all of them
 * ---------------------------------------------------------------------------------
 */

static int print_total(struct sweep *sweep)
{
	const struct failsweep_stats *total = &sweep->total;

	if (sweep->json)
		return cli_print_json(sweep->json);
	printf("%" PRIu32 " passed, %" PRIu32 " failed; %" PRIu64 " engine and %" PRIu64
	       " backend allocations failed, %" PRIu64 " with all later ones, in %" PRIu64
	       " runs, %" PRIu64 " ops\n",
	       sweep->passed, sweep->failed, total->engine, total->meta, total->later, total->runs,
	       total->ops);
	return cli_finish(CLI_OK);
}

int cmd_failsweep(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_lockstep_argp},
						     {.argp = &cli_machine_argp},
						     {.argp = &cli_paths_argp},
						     {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "FILE...",
		.doc = "Run each trace once for every allocation in it, the engine's and the "
		       "backends', failing that one, and once failing it and all later ones of "
		       "its operation, on all backends in lockstep. The report names "
		       "the operation with the property that replays it. Exit status: 0 nothing "
		       "found, 1 a finding, 2 bad input."};
	struct arguments arguments = {0};
	struct sweep sweep = {.arguments = &arguments};
	int status = CLI_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	sweep.diff = diff_create(&arguments.lockstep.diff);
	trace_init(&sweep.trace, &machine_presets[0].config);
	trace_init(&sweep.failing, &machine_presets[0].config);
	sweep.json = arguments.as_json ? json_array() : NULL;
	for (int i = 0; i < arguments.paths.nr; i++)
		status = cli_graver(status, cli_each_trace(arguments.paths.paths[i], CLI_TRACES,
							   sweep_file, &sweep));
	status = cli_graver(status, print_total(&sweep));
	trace_release(&sweep.trace);
	trace_release(&sweep.failing);
	diff_destroy(sweep.diff);
	return status;
}

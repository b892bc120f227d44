/*
 * rmapfuzz enumerate: every trace up to a stated depth over a small world.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "enumerate.h"
#include "options.h"

struct arguments {
	struct enumerate_options search;
	bool list, as_json, quiet;
	struct cli_lockstep lockstep;
	struct cli_machine machine;
	const char *path; /* of a trace that all others begin with */
	struct trace after;
	const char *write; /* where a finding's trace goes */
	json_t *levels;    /* NULL: results are text */
	struct enumerate_level total;
};

/* ---- options ------------------------------------------------------------------------------ */

enum { KEY_PAGES = 256, KEY_JSON, KEY_LIST, KEY_WRITE, KEY_EVERY, KEY_AFTER, KEY_WIDE };

static const struct argp_option options[] = {
	{"depth", 'd', "N", 0, "traces of up to N operations (default 3)", 0},
	{"procs", 'p', "N", 0, "of up to N processes (default 2)", 0},
	{"pages", KEY_PAGES, "N", 0, "in a window of N pages (default 3)", 0},
	{"after", KEY_AFTER, "FILE", 0,
	 "begin all traces with those operations, on that machine (do not count in the depth)", 0},
	{"wide", KEY_WIDE, NULL, 0,
	 "with threads, mlock, dontneed, dontunmap, migration, nonlinear mappings, holes and "
	 "mkclean",
	 0},
	{"every-trace", KEY_EVERY, NULL, 0,
	 "go on from equal states too, which must find no more of them: a test of the search", 0},
	{"list", KEY_LIST, NULL, 0, "only print the operations that traces are made of", 0},
	{"write", KEY_WRITE, "FILE", 0, "write the trace of a finding to FILE", 0},
	{"json", KEY_JSON, NULL, 0, "print results as JSON", 0},
	{"quiet", 'q', NULL, 0, "print findings only", 0},
	{0},
};

/* A number from 1 (or 0, if that is the least) to MOST. */
static uint32_t number(struct argp_state *state, const char *option, const char *text,
		       uint32_t least, uint32_t most)
{
	uint64_t value;

	if (cli_parse_number(text, most, &value) || value < least)
		argp_error(state, "--%s wants a number from %" PRIu32 " to %" PRIu32 ", not \"%s\"",
			   option, least, most, text);
	return (uint32_t)value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct enumerate_options *search = &arguments->search;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		state->child_inputs[1] = &arguments->machine;
		break;
	case 'd':
		search->depth = number(state, "depth", arg, 0, ENUMERATE_DEPTH_MAX);
		break;
	case 'p':
		search->procs = number(state, "procs", arg, 1, ENUMERATE_PROCS_MAX);
		break;
	case KEY_PAGES:
		search->pages = number(state, "pages", arg, 1, ENUMERATE_PAGES_MAX);
		break;
	case KEY_AFTER:
		arguments->path = arg;
		break;
	case KEY_WIDE:
		search->wide = true;
		break;
	case KEY_EVERY:
		search->every_trace = true;
		break;
	case KEY_LIST:
		arguments->list = true;
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
	case ARGP_KEY_ARG:
		argp_error(state, "what is \"%s\"?", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- results --------------------------------------------------------------------------------- */

static void print_level(const struct enumerate_level *level, const char *name)
{
	printf("%-6s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %14" PRIu64 " %20" PRIu64 "\n", name,
	       level->traces, level->states, level->duplicates, level->ops, level->covered);
	fflush(stdout);
}

static json_t *level_json(const struct enumerate_level *level)
{
	char covered[24];

	/* More digits than JSON readers keep. */
	snprintf(covered, sizeof(covered), "%" PRIu64, level->covered);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:s}", "depth", (json_int_t)level->depth, "traces",
			 (json_int_t)level->traces, "states", (json_int_t)level->states,
			 "duplicates", (json_int_t)level->duplicates, "ops", (json_int_t)level->ops,
			 "covered", covered);
}

static void level_done(const struct enumerate_level *level, void *arg)
{
	struct arguments *arguments = arg;
	struct enumerate_level *total = &arguments->total;
	char name[16];

	total->depth = level->depth;
	total->traces += level->traces;
	total->states += level->states;
	total->duplicates += level->duplicates;
	total->ops += level->ops;
	if (__builtin_add_overflow(total->covered, level->covered, &total->covered))
		total->covered = UINT64_MAX;
	snprintf(name, sizeof(name), "%" PRIu32, level->depth);
	if (arguments->levels)
		json_array_append_new(arguments->levels, level_json(level));
	else if (!arguments->quiet)
		print_level(level, name);
}

static void print_trace(FILE *out, const void *what)
{
	trace_print(what, out);
}

static int report(struct arguments *arguments, const struct trace *trace,
		  const struct finding *finding)
{
	printf("FOUND  %s by %" PRIu32 " ops\n", finding->signature, trace->nr_ops);
	fflush(stdout); /* so that the report follows its line */
	finding_print(finding, trace, stderr);
	return CLI_FINDING;
}

static int finish(struct arguments *arguments, const struct trace *trace,
		  const struct finding *finding)
{
	int status = finding ? CLI_FINDING : CLI_OK;
	json_t *object;

	if (finding && arguments->write &&
	    cli_write_file(arguments->write, print_trace, trace) != CLI_OK)
		return CLI_INTERNAL;
	if (!arguments->as_json) {
		if (finding)
			report(arguments, trace, finding);
		else if (!arguments->quiet)
			print_level(&arguments->total, "all");
		return cli_finish(status);
	}
	object = json_pack("{s:I,s:I,s:I,s:O,s:o}", "procs", (json_int_t)arguments->search.procs,
			   "pages", (json_int_t)arguments->search.pages, "depth",
			   (json_int_t)arguments->search.depth, "levels", arguments->levels,
			   "total", level_json(&arguments->total));
	if (finding)
		json_object_set_new(object, "finding", cli_finding_json(finding));
	if (finding)
		finding_print(finding, trace, stderr);
	return cli_print_json(object) ? CLI_INTERNAL : status;
}

static void print_heading(const struct arguments *arguments)
{
	char names[CLI_NAMES_MAX];

	cli_backend_names(&arguments->search.diff, ",", names, sizeof(names));
	fprintf(stderr,
		"rmapfuzz enumerate depth=%" PRIu32 " procs=%" PRIu32 " pages=%" PRIu32
		" backends=%s version=%s\n",
		arguments->search.depth, arguments->search.procs, arguments->search.pages, names,
		RMAPFUZZ_VERSION);
	if (!arguments->as_json)
		printf("%-6s %12s %12s %12s %14s %20s\n", "depth", "traces", "states", "duplicates",
		       "ops", "stand for traces");
}

static int load_beginning(struct arguments *arguments)
{
	struct enumerate_options *search = &arguments->search;
	int status;

	trace_init(&arguments->after, &search->config);
	if (!arguments->path)
		return CLI_OK;
	status = cli_load_trace(arguments->path, CLI_GUESS, &arguments->after);
	if (!arguments->machine.given)
		search->config = arguments->after.config;
	search->after = &arguments->after;
	return status;
}

static int search_and_report(struct arguments *arguments, struct trace *trace)
{
	struct finding finding;
	int found, status;

	arguments->levels = arguments->as_json ? json_array() : NULL;
	if (!arguments->quiet)
		print_heading(arguments);
	found = enumerate(&arguments->search, trace, &finding);
	status = finish(arguments, trace, found ? &finding : NULL);
	json_decref(arguments->levels);
	return status;
}

static int list_ops(const struct arguments *arguments, struct trace *trace)
{
	enumerate_ops(&arguments->search, trace);
	trace_print(trace, stdout);
	return cli_finish(CLI_OK);
}

int cmd_enumerate(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{.argp = &cli_backends_argp}, {.argp = &cli_machine_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.doc = "Run every trace up to a stated depth over a small world on all backends in "
		       "lockstep, going on from equal states once. Stops at the first finding, "
		       "with status 1; no shorter trace has one."};
	struct arguments arguments = {0};
	struct trace trace = {0};
	int status;

	enumerate_options_init(&arguments.search);
	arguments.search.level_done = level_done;
	arguments.search.arg = &arguments;
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	arguments.search.diff = arguments.lockstep.diff;
	if (arguments.machine.given)
		arguments.search.config = arguments.machine.config;
	status = load_beginning(&arguments);
	trace_init(&trace, &arguments.search.config);
	if (status == CLI_OK && arguments.list)
		status = list_ops(&arguments, &trace);
	else if (status == CLI_OK)
		status = search_and_report(&arguments, &trace);
	trace_release(&trace);
	trace_release(&arguments.after);
	return status;
}

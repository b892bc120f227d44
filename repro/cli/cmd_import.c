/*
 * rmapfuzz import RECORDING: what strace wrote, as a trace. The trace goes to stdout or -o FILE and
 * carries the report of what could not be taken over as comments; the report also goes to stderr.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "import.h"

struct arguments {
	struct import_options import;
	const char *recording;
	const char *output;
	bool quiet;
};

static const struct argp_option options[] = {
	{"output", 'o', "FILE", 0, "write the trace here (default: standard output)", 0},
	{"seed", 's', "N", 0, "seed of the accesses that are added (default 1)", 0},
	{"touch", 't', "PERCENT", 0, "pages of each new mapping that are touched (default 25)", 0},
	{"swap", 'w', "PERCENT", 0, "calls after which something is reclaimed (default 20)", 0},
	{"lenient", 'l', NULL, 0, "count lines that make no sense instead of refusing them", 0},
	{"machine", 'm', "MACHINE", 0, "the machine to run on: a preset, then key=value ...", 0},
	{"quiet", 'q', NULL, 0, "no report on stderr", 0},
	{0},
};

static uint32_t percent(struct argp_state *state, const char *arg)
{
	uint64_t number = 0;

	if (cli_parse_number(arg, 100, &number))
		argp_error(state, "'%s' is not a percentage", arg);
	return (uint32_t)number;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char error[128];

	switch (key) {
	case 'o':
		arguments->output = arg;
		return 0;
	case 's':
		if (cli_parse_seed(arg, &arguments->import.seed))
			argp_error(state, "'%s' is not a seed", arg);
		return 0;
	case 't':
		arguments->import.touch = percent(state, arg);
		return 0;
	case 'w':
		arguments->import.swap = percent(state, arg);
		return 0;
	case 'l':
		arguments->import.lenient = true;
		return 0;
	case 'm':
		if (machine_config_parse(&arguments->import.config, arg, error, sizeof(error)))
			argp_error(state, "%s", error);
		return 0;
	case 'q':
		arguments->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->recording)
			argp_error(state, "one recording at a time");
		arguments->recording = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which recording?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What goes into the file. */
struct imported {
	const struct trace *trace;
	const struct import_report *report;
	const struct arguments *arguments;
};

static void print_comments(FILE *out, const struct imported *imported)
{
	const struct import_options *how = &imported->arguments->import;
	const char *slash = strrchr(imported->arguments->recording, '/');

	fprintf(out, "# imported from %s, seed %llu, touch %u%%, swap %u%%\n",
		slash ? slash + 1 : imported->arguments->recording, (unsigned long long)how->seed,
		how->touch, how->swap);
	import_report_print(imported->report, out, "# ");
}

/* The trace as it is always printed, with the report behind its header line. */
static void print_trace(FILE *out, const void *what)
{
	const struct imported *imported = what;
	char *text = NULL, *header_end;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		abort();
	trace_print(imported->trace, memory);
	if (fclose(memory))
		abort();
	header_end = memchr(text, '\n', size);
	header_end = header_end ? header_end + 1 : text + size;
	fwrite(text, 1, (size_t)(header_end - text), out);
	print_comments(out, imported);
	fwrite(header_end, 1, size - (size_t)(header_end - text), out);
	free(text);
}

static int import(const struct arguments *arguments, const char *text, size_t size)
{
	struct import_report report;
	struct trace trace = {0};
	const struct imported imported = {&trace, &report, arguments};
	char error[256];
	int status;

	trace_init(&trace, &arguments->import.config);
	if (import_strace(&trace, text, size, &arguments->import, &report, error, sizeof(error))) {
		status = CLI_USAGE;
		fprintf(stderr, "rmapfuzz import: %s:%s\n", arguments->recording, error);
	} else {
		status = cli_write_file(arguments->output, print_trace, &imported);
		if (!arguments->quiet)
			import_report_print(&report, stderr, "");
	}
	trace_release(&trace);
	return status;
}

int cmd_import(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse_option,
		"RECORDING",
		"Turn a recording that `strace -f -y -o RECORDING PROGRAM` made into a trace. What "
		"cannot be taken over is counted and listed. RECORDING \"-\" is standard input.",
		NULL,
		NULL,
		NULL};
	struct arguments arguments = {.output = "-"};
	size_t size;
	char *text;
	int status;

	import_options_init(&arguments.import);
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	text = cli_read_file(arguments.recording, &size);
	if (!text)
		return CLI_USAGE;
	status = import(&arguments, text, size);
	free(text);
	return cli_finish(status);
}

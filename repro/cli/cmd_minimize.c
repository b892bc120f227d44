/*
 * rmapfuzz minimize FILE: the shortest, plainest trace that shows the same finding.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minimize.h"
#include "options.h"

#define PROGRESS_EVERY 64 /* runs */

struct arguments {
	const char *input, *output;
	enum cli_form form;
	struct minimize_options minimize;
	struct cli_lockstep lockstep;
};

/* What is printed. */
struct minimized {
	const struct arguments *arguments;
	const struct trace *trace;
	struct minimize_report report;
};

/* ---- options ------------------------------------------------------------------------------ */

enum { KEY_BYTES = 256, KEY_TEXT };

static const struct argp_option options[] = {
	{"out", 'o', "FILE", 0, "write to FILE (default: standard output)", 0},
	{"signature", 's', "SIGNATURE", 0, "what FILE must show (default: whatever it shows)", 0},
	{"bytes", KEY_BYTES, NULL, 0, "FILE is in the byte form, whatever it looks like", 0},
	{"text", KEY_TEXT, NULL, 0, "FILE is in the text form, whatever it looks like", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		state->child_inputs[1] = &arguments->input;
		break;
	case 'o':
		arguments->output = arg;
		break;
	case 's':
		arguments->minimize.signature = arg;
		break;
	case KEY_BYTES:
		arguments->form = CLI_BYTES;
		break;
	case KEY_TEXT:
		arguments->form = CLI_TEXT;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- interruption and progress --------------------------------------------------------------- */

/* The one thing that a signal handler can reach. */
static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = 1;
}

/* The first signal ends the search, the second one the process. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND | SA_RESTART};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void show_progress(const struct minimize_report *report, void *arg)
{
	if (report->runs % PROGRESS_EVERY == 0)
		fprintf(stderr, "\r\033[K%" PRIu64 " runs, %" PRIu32 " of %" PRIu32 " ops left",
			report->runs, report->ops_after, report->ops_before);
}

/* ---- the result ------------------------------------------------------------------------------ */

static void print_minimized(FILE *out, const void *what)
{
	const struct minimized *minimized = what;

	cli_lockstep_note(&minimized->arguments->lockstep, out);
	minimize_print(minimized->trace, &minimized->report, out);
}

/* Take the numbers of an earlier run from the comments of TEXT. */
static bool read_numbers(const char *text, struct minimize_report *report)
{
	const char *line = strstr(text, "# minimized from ");

	return line &&
	       sscanf(line, "# minimized from %" SCNu32 " to %" SCNu32 " ops in %" SCNu64 " runs",
		      &report->ops_before, &report->ops_after, &report->runs) == 3;
}

/*
 * What is minimal stays as it is, down to the numbers that tell how it was reached: if MINIMIZED
 * with the numbers of TEXT is TEXT, then they are its own.
 */
static void keep_numbers(struct minimized *minimized, const char *text, size_t size)
{
	struct minimized earlier = *minimized;
	char *printed = NULL;
	size_t n = 0;
	FILE *out;

	if (!minimized->report.certified || !read_numbers(text, &earlier.report))
		return;
	out = open_memstream(&printed, &n);
	if (!out)
		return;
	print_minimized(out, &earlier);
	fclose(out);
	if (n == size && memcmp(printed, text, n) == 0)
		*minimized = earlier;
	free(printed);
}

static int refuse(const struct arguments *arguments, int err)
{
	const char *name = strcmp(arguments->input, "-") ? arguments->input : "standard input";

	if (err != -ENOENT)
		return cli_error(CLI_INTERNAL, "%s: %s", name, strerror(-err));
	if (arguments->minimize.signature)
		return cli_error(CLI_USAGE, "%s: does not show %s", name,
				 arguments->minimize.signature);
	return cli_error(CLI_USAGE, "%s: shows nothing that could be minimized", name);
}

static int finish(struct arguments *arguments, struct minimized *minimized, const char *text,
		  size_t size)
{
	const struct minimize_report *report = &minimized->report;
	int status;

	fprintf(stderr, "%s: %" PRIu32 " -> %" PRIu32 " ops, %" PRIu64 " runs, %s\n",
		report->signature, report->ops_before, report->ops_after, report->runs,
		report->certified ? "1-minimal" : "interrupted");
	arguments->lockstep.diff.check_every = report->check_every;
	keep_numbers(minimized, text, size);
	status = cli_write_file(arguments->output, print_minimized, minimized);
	return status;
}

static int run(struct arguments *arguments, const char *text, size_t size, struct trace *trace)
{
	struct minimized minimized = {.arguments = arguments, .trace = trace};
	bool terminal = isatty(STDERR_FILENO);
	int err;

	if (terminal)
		arguments->minimize.progress = show_progress;
	arguments->minimize.stop = &interrupted;
	catch_signals();
	err = minimize(trace, &arguments->minimize, &minimized.report);
	if (terminal)
		fputs("\r\033[K", stderr);
	return err ? refuse(arguments, err) : finish(arguments, &minimized, text, size);
}

int cmd_minimize(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{.argp = &cli_lockstep_argp}, {.argp = &cli_input_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "FILE",
		.doc = "Print the shortest, plainest trace that shows the same finding as FILE "
		       "(\"-\": standard input), to the letter of its signature. An interrupt "
		       "ends the search and keeps what is reached. Exit status: 0 done, 2 FILE "
		       "shows nothing or cannot be read, 125 a format version that this build "
		       "cannot read.",
	};
	struct arguments arguments = {.output = "-", .form = CLI_GUESS};
	struct trace trace = {0};
	size_t size;
	char *text;
	int status;

	minimize_options_init(&arguments.minimize);
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	arguments.minimize.diff = arguments.lockstep.diff;
	arguments.minimize.isolate = true;
	text = cli_read_file(arguments.input, &size);
	if (!text)
		return CLI_USAGE;
	trace_init(&trace, &machine_presets[0].config);
	status = cli_parse_trace(arguments.input, arguments.form, text, size, &trace);
	if (status == CLI_OK)
		status = run(&arguments, text, size, &trace);
	trace_release(&trace);
	free(text);
	return status;
}

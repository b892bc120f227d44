/*
 * rmapfuzz repro FILE -o DIR: everything that somebody else needs to see a finding.
 *
 *   README        what is here, the signature, the command that shows it again
 *   repro.trace   the trace as text, with what it is expected to show
 *   repro.bin     the same as bytes, for fuzz engines
 *   explain.txt   its story
 *   repro.c       a stand-alone program that does the same with real system calls
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "explain.h"
#include "isolate.h"
#include "minimize.h"
#include "options.h"
#include "program.h"

struct arguments {
	struct cli_lockstep lockstep;
	struct cli_machine machine;
	const char *input, *out;
	bool as_it_is;
};

/* What the files are made of. */
struct bundle {
	const struct arguments *arguments;
	const struct trace *trace;
	const struct finding *finding; /* NULL: it shows nothing */
	const struct explanation *explanation;
};

enum { KEY_AS_IT_IS = 256 };

static const struct argp_option options[] = {
	{"out", 'o', "DIR", 0, "where to put it (made if need be)", 0},
	{"as-it-is", KEY_AS_IT_IS, NULL, 0, "do not minimize the trace first", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		state->child_inputs[1] = &arguments->machine;
		state->child_inputs[2] = &arguments->input;
		break;
	case 'o':
		arguments->out = arg;
		break;
	case KEY_AS_IT_IS:
		arguments->as_it_is = true;
		break;
	case ARGP_KEY_END:
		if (!arguments->out)
			argp_error(state, "where to? --out DIR");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static void print_expected(const struct bundle *bundle, FILE *out)
{
	if (bundle->finding)
		fprintf(out, "# expect: %s\n", bundle->finding->signature);
	else
		fputs("# expect: clean\n", out);
}

static void print_text(FILE *out, const void *what)
{
	const struct bundle *bundle = what;

	print_expected(bundle, out);
	trace_print(bundle->trace, out);
}

static void print_bytes(FILE *out, const void *what)
{
	const struct bundle *bundle = what;
	size_t size = trace_encode(bundle->trace, NULL, 0);
	uint8_t *bytes = malloc(size ? size : 1);

	if (!bytes) {
		cli_error(CLI_INTERNAL, "out of memory");
		exit(CLI_INTERNAL); /* rather than an output that looks finished */
	}
	trace_encode(bundle->trace, bytes, size);
	fwrite(bytes, 1, size, out);
	free(bytes);
}

static void print_story(FILE *out, const void *what)
{
	const struct bundle *bundle = what;

	explain_print(bundle->explanation, bundle->trace, out);
}

static void print_command(const struct bundle *bundle, FILE *out)
{
	fputs("rmapfuzz replay", out);
	cli_lockstep_print(&bundle->arguments->lockstep, out);
	fputs(" repro.trace", out);
}

static void print_program(FILE *out, const void *what)
{
	const struct bundle *bundle = what;
	char *header = NULL;
	size_t size;
	FILE *text = open_memstream(&header, &size);

	if (!text)
		return;
	fprintf(text, " * Made by rmapfuzz %s from a trace of %" PRIu32 " operations.\n",
		RMAPFUZZ_VERSION, bundle->trace->nr_ops);
	if (bundle->finding)
		fprintf(text, " * In the simulation it shows %s.\n", bundle->finding->signature);
	fclose(text);
	program_print(bundle->trace, bundle->finding, header, out);
	free(header);
}

static void print_readme(FILE *out, const void *what)
{
	const struct bundle *bundle = what;
	char machine[160];

	machine_config_print(&bundle->trace->config, machine, sizeof(machine));
	fprintf(out, "verdict   %s\n", bundle->finding ? bundle->finding->signature : "clean");
	if (bundle->finding)
		fprintf(out, "meaning   %s\n", bundle->finding->message);
	fprintf(out, "machine   %s\n", machine);
	fprintf(out, "build     rmapfuzz %s, trace format %d\n", RMAPFUZZ_VERSION,
		TRACE_FORMAT_VERSION);
	fputs("again     ", out);
	print_command(bundle, out);
	fputs("\n"
	      "real      cc -o repro repro.c && ./repro\n\n"
	      "repro.trace  the trace as text\n"
	      "repro.bin    the same as bytes, for fuzz engines\n",
	      out);
	if (bundle->explanation)
		fputs("explain.txt  what happened to the page in question\n", out);
	fputs("repro.c      the same with real system calls, for a kernel to look at\n", out);
}

static int write_one(const struct bundle *bundle, const char *name,
		     void (*print)(FILE *out, const void *what))
{
	char *path;
	int status;

	if (asprintf(&path, "%s/%s", bundle->arguments->out, name) < 0)
		return cli_error(CLI_INTERNAL, "out of memory");
	status = cli_write_file(path, print, bundle);
	free(path);
	return status;
}

static int write_all(const struct bundle *bundle)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out, const void *what);
		bool story;
	} files[] = {
		{"repro.trace", print_text, false}, {"repro.bin", print_bytes, false},
		{"explain.txt", print_story, true}, {"repro.c", print_program, false},
		{"README", print_readme, false},
	};
	const char *out = bundle->arguments->out;
	int status = CLI_OK;

	if (mkdir(out, 0777) && errno != EEXIST)
		return cli_error(CLI_INTERNAL, "%s: %s", out, strerror(errno));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!files[i].story || bundle->explanation)
			status = cli_graver(status,
					    write_one(bundle, files[i].name, files[i].print));
	}
	return status;
}

/* ---- the trace ---------------------------------------------------------------------------------
 */

static int shorten(struct arguments *arguments, struct trace *trace)
{
	struct minimize_options how;
	struct minimize_report report;
	int err;

	minimize_options_init(&how);
	how.diff = arguments->lockstep.diff;
	how.isolate = true;
	err = minimize(trace, &how, &report);
	arguments->lockstep.diff.check_every = report.check_every;
	return err ? cli_error(CLI_INTERNAL, "%s: %s", arguments->input, strerror(-err)) : CLI_OK;
}

static int make(struct arguments *arguments, struct trace *trace)
{
	struct diff *diff = diff_create(&arguments->lockstep.diff);
	struct bundle bundle = {.arguments = arguments, .trace = trace};
	struct explanation explanation;
	struct finding finding;
	int found = isolated_run(diff, trace, &finding), status = CLI_OK;

	diff_destroy(diff);
	if (found < 0)
		return cli_error(CLI_INTERNAL, "%s: %s", arguments->input, strerror(-found));
	if (found && !arguments->as_it_is)
		status = shorten(arguments, trace);
	if (status == CLI_OK && found) {
		if (explain(trace, &arguments->lockstep.diff, &explanation))
			return cli_error(CLI_INTERNAL, "%s: cannot be explained", arguments->input);
		bundle.explanation = &explanation;
		bundle.finding = &explanation.finding;
	}
	if (status == CLI_OK)
		status = write_all(&bundle);
	if (bundle.explanation)
		explain_release(&explanation);
	return status;
}

int cmd_repro(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_lockstep_argp},
						     {.argp = &cli_machine_argp},
						     {.argp = &cli_input_argp},
						     {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "FILE",
		.doc = "Put everything into a directory that somebody else needs to see what FILE "
		       "shows: the minimized trace in both forms, its story, the command, and a "
		       "stand-alone C program that does the same with real system calls. A trace "
		       "that shows nothing gets no story."};
	struct arguments arguments = {0};
	struct trace trace = {0};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	trace_init(&trace, &machine_presets[0].config);
	status = cli_load_trace(arguments.input, CLI_GUESS, &trace);
	if (arguments.machine.given)
		trace.config = arguments.machine.config;
	trace.nr_expects = 0;
	if (status == CLI_OK)
		status = make(&arguments, &trace);
	trace_release(&trace);
	return status;
}

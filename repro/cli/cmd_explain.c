/*
 * rmapfuzz explain FILE: what happened to the page that a finding is about, and when the backend's
 * idea of it stopped being true.
 */
#include <errno.h>
#include <string.h>

#include "explain.h"
#include "options.h"

struct arguments {
	struct cli_lockstep lockstep;
	struct cli_machine machine;
	const char *input, *output;
};

struct told {
	const struct explanation *explanation;
	const struct trace *trace;
};

static const struct argp_option options[] = {
	{"out", 'o', "FILE", 0, "write to FILE (default: standard output)", 0},
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
		arguments->output = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void print_told(FILE *out, const void *what)
{
	const struct told *told = what;

	explain_print(told->explanation, told->trace, out);
}

static int tell(const struct arguments *arguments, const struct trace *trace)
{
	struct explanation explanation;
	struct told told = {&explanation, trace};
	int err = explain(trace, &arguments->lockstep.diff, &explanation);
	int status;

	if (err == -ENOENT)
		return cli_error(CLI_USAGE, "%s: shows nothing that could be explained",
				 arguments->input);
	if (err)
		return cli_error(CLI_INTERNAL, "%s: %s", arguments->input, strerror(-err));
	status = cli_write_file(arguments->output, print_told, &told);
	explain_release(&explanation);
	return status;
}

int cmd_explain(int argc, char **argv)
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
		.doc = "Tell what happened to the page that FILE's finding is about, from its "
		       "first "
		       "entry on, how the backend in question knew it, and the first operation "
		       "after which that was no longer what the page tables say. Exit status: 0 "
		       "done, 2 FILE shows nothing or cannot be read, 125 a format version that "
		       "this build cannot read.",
	};
	struct arguments arguments = {.output = "-"};
	struct trace trace = {0};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	trace_init(&trace, &machine_presets[0].config);
	status = cli_load_trace(arguments.input, CLI_GUESS, &trace);
	if (arguments.machine.given)
		trace.config = arguments.machine.config;
	if (status == CLI_OK)
		status = tell(&arguments, &trace);
	trace_release(&trace);
	return status;
}

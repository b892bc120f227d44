/*
 * rmapfuzz show FILE: a trace of either form as text, or as the bytes that fuzzers work on.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "options.h"

struct arguments {
	const char *input, *output;
	enum cli_form from, to;
};

static const struct argp_option options[] = {
	{"to", 't', "FORM", 0, "text (the default) or bytes", 0},
	{"from", 'f', "FORM", 0,
	 "read FILE as text or as bytes (default: by its name, then by what is in it)", 0},
	{"output", 'o', "FILE", 0, "write to FILE (default: standard output)", 0},
	{0},
};

static enum cli_form parse_form(const char *name, struct argp_state *state)
{
	if (strcmp(name, "text") == 0)
		return CLI_TEXT;
	if (strcmp(name, "bytes") != 0)
		argp_error(state, "\"%s\" is not a form of traces: text or bytes", name);
	return CLI_BYTES;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->input;
		return 0;
	case 't':
		arguments->to = parse_form(arg, state);
		return 0;
	case 'f':
		arguments->from = parse_form(arg, state);
		return 0;
	case 'o':
		arguments->output = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_text(FILE *out, const void *what)
{
	trace_print(what, out);
}

static void print_bytes(FILE *out, const void *what)
{
	size_t size = trace_encode(what, NULL, 0);
	uint8_t *bytes = malloc(size);

	if (!bytes) {
		cli_error(CLI_INTERNAL, "out of memory");
		exit(CLI_INTERNAL); /* rather than an output that looks finished */
	}
	trace_encode(what, bytes, size);
	fwrite(bytes, 1, size, out);
	free(bytes);
}

int cmd_show(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_input_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "FILE",
		.doc = "Print a trace as text in canonical form, or turn it into bytes. FILE may "
		       "be in "
		       "either form; \"-\" is standard input. Expectations are lost in bytes.",
	};
	struct arguments arguments = {NULL, "-", CLI_GUESS, CLI_TEXT};
	struct trace trace = {0};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	trace_init(&trace, &machine_presets[0].config);
	status = cli_load_trace(arguments.input, arguments.from, &trace);
	if (status == CLI_OK)
		status = cli_write_file(arguments.output,
					arguments.to == CLI_BYTES ? print_bytes : print_text,
					&trace);
	trace_release(&trace);
	return status;
}

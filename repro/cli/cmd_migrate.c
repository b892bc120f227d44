/*
 * rmapfuzz migrate FILE...: bring traces of earlier format versions up to this build's, in place.
 *
 * Every version is a subset of the next: operations, words and settings are only ever added. So a
 * trace stays readable for ever as it is, and what there is to do is its first line. Comments,
 * order and layout stay. A file that cannot be read is left as it is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

struct arguments {
	bool check;
	struct cli_paths paths;
};

enum { KEY_CHECK = 256 };

static const struct argp_option options[] = {
	{"check", KEY_CHECK, NULL, 0, "change nothing; status 1 if something would be", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->paths;
		break;
	case KEY_CHECK:
		arguments->check = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

#define FIRST_WORDS "rmapfuzz trace "

/* A text in three parts: before the version's digits, these, and the rest. */
struct parts {
	const char *text;
	size_t digits, rest, size;
	uint32_t version;
};

/* Find the line that says which version it is; comments may come before it. */
static bool find_version(struct parts *parts)
{
	const char *line = parts->text, *end = parts->text + parts->size;

	while (line && line < end && strncmp(line, FIRST_WORDS, strlen(FIRST_WORDS)) != 0) {
		line = memchr(line, '\n', (size_t)(end - line));
		line = line ? line + 1 : NULL;
	}
	if (!line || line >= end)
		return false;
	parts->digits = (size_t)(line - parts->text) + strlen(FIRST_WORDS);
	parts->rest = parts->digits + strspn(parts->text + parts->digits, "0123456789");
	parts->version = (uint32_t)strtoul(parts->text + parts->digits, NULL, 10);
	return parts->rest > parts->digits;
}

static void print_migrated(FILE *out, const void *what)
{
	const struct parts *parts = what;

	fwrite(parts->text, 1, parts->digits, out);
	fprintf(out, "%d", TRACE_FORMAT_VERSION);
	fwrite(parts->text + parts->rest, 1, parts->size - parts->rest, out);
}

static int migrate_text(const struct arguments *arguments, const char *path, const char *text,
			size_t size)
{
	struct parts parts = {.text = text, .size = size};
	struct trace trace = {0};
	int status;

	trace_init(&trace, &machine_presets[0].config);
	status = cli_parse_trace(path, CLI_GUESS, text, size, &trace);
	trace_release(&trace);
	if (status != CLI_OK)
		return status;
	/* Bytes have no version: codes are only ever added. */
	if (!find_version(&parts) || parts.version == TRACE_FORMAT_VERSION) {
		printf("current   %s\n", path);
		return CLI_OK;
	}
	printf("%s  %s: version %" PRIu32 " -> %d\n", arguments->check ? "old     " : "migrated",
	       path, parts.version, TRACE_FORMAT_VERSION);
	return arguments->check ? CLI_FINDING : cli_write_file(path, print_migrated, &parts);
}

static int migrate_file(const char *path, void *arg)
{
	size_t size;
	char *text = cli_read_file(path, &size);
	int status;

	if (!text)
		return CLI_USAGE;
	status = migrate_text(arg, path, text, size);
	free(text);
	return status;
}

int cmd_migrate(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_paths_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "FILE|DIRECTORY...",
		.doc = "Bring traces of earlier format versions up to this build's, in place. They "
		       "are readable without it. Exit status: 0 done, 1 with --check if "
		       "something is old, 2 a file that cannot be read, 125 one of a later "
		       "version."};
	struct arguments arguments = {0};
	int status = CLI_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (int i = 0; i < arguments.paths.nr; i++)
		status = cli_graver(status, cli_each_trace(arguments.paths.paths[i], CLI_TRACES,
							   migrate_file, &arguments));
	return cli_finish(status);
}

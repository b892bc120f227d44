/*
 * rmapfuzz seeds TARGET -o DIR [PATH...]: what a fuzz target starts from, one file each, in the
 * form that it takes. The corpus is text, for people; engines want what their target reads.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

/* What targets read, and what of the corpus that is. */
static const struct target {
	const char *name, *suffix;
	bool bytes;      /* the byte form of a trace */
	bool has_choice; /* behind a byte that chooses the backend */
} targets[] = {
	{"fuzz_lockstep", ".trace", true, false}, {"fuzz_faults", ".trace", true, false},
	{"fuzz_single", ".trace", true, true},    {"fuzz_trace_text", ".trace", false, false},
	{"fuzz_import", ".strace", false, false},
};

/* fuzz_single's seeds are for this backend; which one does not matter, mutations change it. */
#define CHOICE 4

struct arguments {
	const struct target *target;
	char *directory;
	char **paths;
	uint32_t nr_paths, written;
};

static const struct argp_option options[] = {
	{"output", 'o', "DIR", 0, "write the seeds into DIR", 0},
	{0},
};

static const struct target *find_target(const char *name, struct argp_state *state)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		if (strcmp(targets[i].name, name) == 0)
			return &targets[i];
	}
	argp_error(state, "there is no target \"%s\" that has seeds", name);
	return NULL;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'o':
		arguments->directory = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->target)
			return ARGP_ERR_UNKNOWN;
		arguments->target = find_target(arg, state);
		return 0;
	case ARGP_KEY_ARGS:
		arguments->paths = state->argv + state->next;
		arguments->nr_paths = (uint32_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (!arguments->target || !arguments->directory)
			argp_error(state, "it wants a target, and a directory: -o DIR");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct seed {
	const struct target *target;
	const char *data;
	size_t size;
};

static void print_seed(FILE *out, const void *what)
{
	const struct seed *seed = what;

	if (seed->target->has_choice)
		fputc(CHOICE, out);
	fwrite(seed->data, 1, seed->size, out);
}

/* corpus/seed/anon.trace becomes DIRECTORY/corpus-seed-anon.trace. */
static int write_seed(const struct arguments *arguments, const char *path, const struct seed *seed)
{
	char to[PATH_MAX];
	int length = snprintf(to, sizeof(to), "%s/", arguments->directory);
	char *name = to + length;

	while (*path == '.' || *path == '/')
		path++;
	if ((size_t)length + strlen(path) >= sizeof(to))
		return cli_error(CLI_USAGE, "%s: the name is too long", path);
	strcpy(name, path);
	for (; *name; name++) {
		if (*name == '/')
			*name = '-';
	}
	return cli_write_file(to, print_seed, seed);
}

static int write_encoded(const struct arguments *arguments, const char *path, struct seed *seed)
{
	struct trace trace = {0};
	uint8_t *bytes = NULL;
	int status;

	trace_init(&trace, &machine_presets[0].config);
	status = cli_parse_trace(path, CLI_TEXT, seed->data, seed->size, &trace);
	if (status == CLI_OK) {
		seed->size = trace_encode(&trace, NULL, 0);
		bytes = malloc(seed->size);
		if (!bytes)
			status = cli_error(CLI_INTERNAL, "out of memory");
	}
	if (status == CLI_OK) {
		trace_encode(&trace, bytes, seed->size);
		seed->data = (char *)bytes;
		status = write_seed(arguments, path, seed);
	}
	free(bytes);
	trace_release(&trace);
	return status;
}

static int visit(const char *path, void *arg)
{
	struct arguments *arguments = arg;
	const char *dot = strrchr(path, '.');
	struct seed seed = {.target = arguments->target};
	char *data;
	int status;

	if (!dot || strcmp(dot, arguments->target->suffix) != 0)
		return CLI_OK;
	data = cli_read_file(path, &seed.size);
	if (!data)
		return CLI_USAGE;
	seed.data = data;
	status = arguments->target->bytes ? write_encoded(arguments, path, &seed)
					  : write_seed(arguments, path, &seed);
	free(data);
	arguments->written++;
	return status;
}

int cmd_seeds(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "TARGET [PATH...]",
		.doc = "Write what a fuzz target starts from: the traces (for fuzz_import, the "
		       "recordings) of PATH, corpus if there is none, in the form that TARGET "
		       "takes. What is below a directory called mutants is left out, since "
		       "fuzzers are not told what triggers one.",
	};
	char corpus[] = "corpus", *const by_default[] = {corpus};
	struct arguments arguments = {0};
	char *const *paths = by_default;
	uint32_t n = 1;
	int status = CLI_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (mkdir(arguments.directory, 0777) && errno != EEXIST)
		return cli_error(CLI_USAGE, "%s: %s", arguments.directory, strerror(errno));
	if (arguments.nr_paths) {
		paths = arguments.paths;
		n = arguments.nr_paths;
	}
	for (uint32_t i = 0; i < n; i++)
		status = cli_graver(status, cli_each_trace(paths[i], CLI_SEEDS, visit, &arguments));
	if (status == CLI_OK && !arguments.written)
		status = cli_error(CLI_USAGE, "there is nothing that %s takes",
				   arguments.target->name);
	return status;
}

/*
 * rmapfuzz conform LOG...: hold the machine against recordings of real kernels.
 */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "conform.h"

#define LOGS_MAX 16

struct arguments {
	const char *logs[LOGS_MAX];
	int nr_logs;
	const struct rmap_ops *backend; /* NULL: the recorded kernel's own */
	bool quiet;
};

/* A kernel's rules and its reverse map. */
static const struct kernel {
	const char *name;
	enum era era;
	const char *backend;
} kernels[] = {
	{"2.6.6", ERA_2_6_6, "pte_chain"},
	{"2.6.7", ERA_2_6_7, "anon_vma"},
};

static const struct argp_option options[] = {
	{"backend", 'b', "NAME", 0, "use this reverse map (default: the recorded kernel's own)", 0},
	{"quiet", 'q', NULL, 0, "print differences only", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'b':
		arguments->backend = rmap_find(arg);
		if (!arguments->backend)
			argp_error(state, "no backend is called '%s'", arg);
		return 0;
	case 'q':
		arguments->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->nr_logs == LOGS_MAX)
			argp_error(state, "more than %d recordings", LOGS_MAX);
		arguments->logs[arguments->nr_logs++] = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which recording?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The recorded kernel is named by the file: linux-2.6.6.log. */
static const struct kernel *kernel_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		if (strstr(slash ? slash : path, kernels[i].name))
			return &kernels[i];
	}
	return NULL;
}

static void print_report(const char *path, const char *backend, const struct conform_report *report)
{
	printf("%s: %s agrees on %" PRIu64
	       " operations in %u sequences, %u of them nonlinear: %" PRIu64
	       " page states, %" PRIu64 " evictions\n",
	       path, backend, report->ops, report->sequences, report->nonlinear, report->pages,
	       report->evictions);
	for (int i = 0; i < NR_CONFORM_EXCUSES; i++)
		printf("  excuse %s used %" PRIu64 " times: %s\n",
		       conform_excuse_name((enum conform_excuse)i), report->excuses[i],
		       conform_excuse_reason((enum conform_excuse)i));
}

static int conform_one(const char *path, const struct arguments *arguments)
{
	const struct kernel *kernel = kernel_of(path);
	const struct rmap_ops *backend = arguments->backend;
	struct conform_report report;
	size_t size;
	char *log;
	int err;

	if (!kernel) {
		fprintf(stderr, "rmapfuzz conform: %s: its name does not say 2.6.6 or 2.6.7\n",
			path);
		return CLI_USAGE;
	}
	log = cli_read_file(path, &size);
	if (!log)
		return CLI_USAGE;
	if (!backend)
		backend = rmap_find(kernel->backend);
	err = conform_replay(log, size, backend, kernel->era, &report);
	free(log);
	if (err) {
		fprintf(stderr, "%s:%u: %s\n", path, report.line, report.message);
		return err < 0 ? CLI_USAGE : CLI_FINDING;
	}
	if (!arguments->quiet)
		print_report(path, backend->name, &report);
	return CLI_OK;
}

int cmd_conform(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse_option,
		"LOG...",
		"Replay recordings of real kernels (corpus/real-2.6/) and compare results, "
		"contents, "
		"page states, sharing and map counts after every operation.",
		NULL,
		NULL,
		NULL};
	struct arguments arguments = {0};
	int status = CLI_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (int i = 0; i < arguments.nr_logs; i++) {
		int one = conform_one(arguments.logs[i], &arguments);

		if (one > status)
			status = one;
	}
	return status;
}

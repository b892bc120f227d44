/*
 * rmapfuzz triage DIR -o OUT: of all the inputs that engines have left, one minimized trace per
 * signature, with counts.
 *
 * Every input runs in a process of its own, so that one which crashes the machine is sorted like
 * the others. What an earlier triage has left in OUT is run first: a signature that no longer shows
 * is said to be gone.
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

#define SIGNATURES_MAX 4096u

struct arguments {
	struct cli_lockstep lockstep;
	char *out;
	uint32_t skip;
	bool as_json;
	struct cli_paths paths;
};

/* A signature, and the best input that shows it so far. */
struct bug {
	char signature[SIGNATURE_MAX];
	uint64_t count; /* inputs */
	struct trace trace;
	char *path;       /* of that input */
	bool known;       /* OUT had it before */
	uint32_t minimal; /* ops; 0: not minimized */
};

struct triage {
	const struct arguments *arguments;
	struct diff *diff;
	struct bug *bugs;
	uint32_t nr_bugs;
	uint64_t inputs, clean, unreadable, gone;
	json_t *json; /* of those that are gone */
};

/* ---- options ------------------------------------------------------------------------------ */

enum { KEY_SKIP = 256, KEY_JSON };

static const struct argp_option options[] = {
	{"out", 'o', "DIR", 0, "where minimized traces and their stories go (made if need be)", 0},
	{"skip", KEY_SKIP, "N", 0, "inputs begin with N bytes of something else (fuzz_single: 1)",
	 0},
	{"json", KEY_JSON, NULL, 0, "print the result as JSON", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		state->child_inputs[1] = &arguments->paths;
		break;
	case 'o':
		arguments->out = arg;
		break;
	case KEY_SKIP:
		arguments->skip = (uint32_t)cli_number(state, "--skip", arg, 4096);
		break;
	case KEY_JSON:
		arguments->as_json = true;
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

/* ---- names ---------------------------------------------------------------------------------- */

/* OUT/SIGNATURE.SUFFIX, with no colons in it; to be freed. */
static char *file_of(const struct triage *triage, const char *signature, const char *suffix)
{
	const char *out = triage->arguments->out;
	char *path;

	if (asprintf(&path, "%s/%s%s", out, signature, suffix) < 0)
		return NULL;
	for (char *c = path + strlen(out); *c; c++) {
		if (*c == ':')
			*c = '-';
	}
	return path;
}

static struct bug *bug_of(struct triage *triage, const char *signature)
{
	struct bug *bug;

	for (uint32_t i = 0; i < triage->nr_bugs; i++) {
		if (strcmp(triage->bugs[i].signature, signature) == 0)
			return &triage->bugs[i];
	}
	if (triage->nr_bugs == SIGNATURES_MAX)
		return NULL;
	bug = &triage->bugs[triage->nr_bugs++];
	snprintf(bug->signature, sizeof(bug->signature), "%s", signature);
	trace_init(&bug->trace, &machine_presets[0].config);
	return bug;
}

/* ---- sorting -------------------------------------------------------------------------------- */

static int load(const struct triage *triage, const char *path, uint32_t skip, struct trace *trace)
{
	size_t size;
	char *data = cli_read_file(path, &size);
	int status;

	if (!data)
		return CLI_USAGE;
	if (skip > size)
		skip = (uint32_t)size;
	status = cli_parse_trace(path, skip ? CLI_BYTES : CLI_GUESS, data + skip, size - skip,
				 trace);
	free(data);
	return status;
}

/* TRACE shows FINDING: count it, and keep the shortest of each kind. */
static int sort_in(struct triage *triage, const char *path, const struct trace *trace,
		   const struct finding *finding, bool known)
{
	struct bug *bug = bug_of(triage, finding->signature);

	if (!bug)
		return cli_error(CLI_INTERNAL, "more than %u signatures", SIGNATURES_MAX);
	bug->known |= known;
	bug->count += !known;
	if (bug->path && bug->trace.nr_ops <= trace->nr_ops)
		return CLI_OK;
	/* What an earlier triage has written is as short as it gets. */
	bug->minimal = known ? trace->nr_ops : 0;
	free(bug->path);
	bug->path = strdup(path);
	return !bug->path || trace_copy(&bug->trace, trace)
		       ? cli_error(CLI_INTERNAL, "out of memory")
		       : CLI_OK;
}

static int look_at(struct triage *triage, const char *path, uint32_t skip, bool known, bool *shows)
{
	struct trace trace = {0};
	struct finding finding;
	int status, found = 0;

	trace_init(&trace, &machine_presets[0].config);
	status = load(triage, path, skip, &trace);
	if (status == CLI_OK) {
		trace.nr_expects = 0;
		found = isolated_run(triage->diff, &trace, &finding);
		if (found < 0)
			status = cli_error(CLI_INTERNAL, "%s: %s", path, strerror(-found));
	}
	if (found > 0)
		status = sort_in(triage, path, &trace, &finding, known);
	*shows = found > 0;
	trace_release(&trace);
	return status;
}

/* An engine leaves other things, too; what cannot be read is counted and no reason to stop. */
static int sort_input(const char *path, void *arg)
{
	struct triage *triage = arg;
	bool shows;
	int status = look_at(triage, path, triage->arguments->skip, false, &shows);

	triage->inputs++;
	triage->unreadable += status == CLI_USAGE || status == CLI_VERSION;
	triage->clean += status == CLI_OK && !shows;
	return status == CLI_INTERNAL ? status : CLI_OK;
}

/* A trace of an earlier triage. */
static int sort_earlier(const char *path, void *arg)
{
	struct triage *triage = arg;
	bool shows;
	int status = look_at(triage, path, 0, true, &shows);

	if (status == CLI_OK && !shows) {
		triage->gone++;
		fprintf(stderr, "gone: %s shows nothing any more\n", path);
		if (triage->json)
			json_array_append_new(triage->json, json_string(path));
	}
	return status == CLI_INTERNAL ? status : CLI_OK;
}

/* ---- what is written ---------------------------------------------------------------------------
 */

struct written {
	const struct trace *trace;
	const struct minimize_report *report;
	const struct explanation *explanation;
	const struct bug *bug;
	const struct cli_lockstep *lockstep;
};

static void print_minimal(FILE *out, const void *what)
{
	const struct written *written = what;

	fprintf(out, "# triage: %" PRIu64 " inputs, the shortest %s\n", written->bug->count,
		written->bug->path);
	cli_lockstep_note(written->lockstep, out);
	minimize_print(written->trace, written->report, out);
}

static void print_story(FILE *out, const void *what)
{
	const struct written *written = what;

	explain_print(written->explanation, written->trace, out);
}

static int write_file(const struct triage *triage, const struct bug *bug, const char *suffix,
		      void (*print)(FILE *out, const void *what), const struct written *written)
{
	char *path = file_of(triage, bug->signature, suffix);
	int status = path ? cli_write_file(path, print, written)
			  : cli_error(CLI_INTERNAL, "out of memory");

	free(path);
	return status;
}

static int write_bug(const struct triage *triage, struct bug *bug)
{
	struct minimize_options how;
	struct minimize_report report;
	struct explanation explanation;
	struct written written = {&bug->trace, &report, &explanation, bug,
				  &triage->arguments->lockstep};
	int status;

	minimize_options_init(&how);
	how.diff = triage->arguments->lockstep.diff;
	how.isolate = true;
	how.signature = bug->signature;
	if (minimize(&bug->trace, &how, &report))
		return cli_error(CLI_INTERNAL, "%s: does not show %s a second time", bug->path,
				 bug->signature);
	bug->minimal = report.ops_after;
	status = write_file(triage, bug, ".trace", print_minimal, &written);
	if (explain(&bug->trace, &how.diff, &explanation))
		return status;
	status = cli_graver(status, write_file(triage, bug, ".txt", print_story, &written));
	explain_release(&explanation);
	return status;
}

/* ---- the result --------------------------------------------------------------------------------
 */

static int by_count(const void *a, const void *b)
{
	const struct bug *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->signature, y->signature);
}

static int print_json(const struct triage *triage)
{
	json_t *bugs = json_array();

	for (uint32_t i = 0; i < triage->nr_bugs; i++) {
		const struct bug *bug = &triage->bugs[i];

		json_array_append_new(bugs,
				      json_pack("{s:s,s:I,s:I,s:b,s:s}", "signature",
						bug->signature, "count", (json_int_t)bug->count,
						"ops", (json_int_t)bug->minimal, "known",
						bug->known, "input", bug->path));
	}
	return cli_print_json(
		json_pack("{s:I,s:I,s:I,s:o,s:O}", "inputs", (json_int_t)triage->inputs, "clean",
			  (json_int_t)triage->clean, "unreadable", (json_int_t)triage->unreadable,
			  "bugs", bugs, "gone", triage->json));
}

static int print_result(const struct triage *triage)
{
	if (triage->json)
		return print_json(triage);
	for (uint32_t i = 0; i < triage->nr_bugs; i++) {
		const struct bug *bug = &triage->bugs[i];

		printf("%8" PRIu64 "  %-48s %3" PRIu32 " ops%s\n", bug->count, bug->signature,
		       bug->minimal, bug->known ? "  (known)" : "");
	}
	printf("%" PRIu64 " inputs: %" PRIu32 " signatures, %" PRIu64 " clean, %" PRIu64
	       " unreadable; %" PRIu64 " earlier ones are gone\n",
	       triage->inputs, triage->nr_bugs, triage->clean, triage->unreadable, triage->gone);
	return cli_finish(CLI_OK);
}

static int run(struct triage *triage)
{
	const struct arguments *arguments = triage->arguments;
	int status;

	if (mkdir(arguments->out, 0777) && errno != EEXIST)
		return cli_error(CLI_INTERNAL, "%s: %s", arguments->out, strerror(errno));
	status = cli_each_trace(arguments->out, CLI_TRACES_IF_ANY, sort_earlier, triage);
	for (int i = 0; i < arguments->paths.nr; i++)
		status = cli_graver(status, cli_each_trace(arguments->paths.paths[i], CLI_ALL_FILES,
							   sort_input, triage));
	for (uint32_t i = 0; i < triage->nr_bugs && status == CLI_OK; i++) {
		if (!triage->bugs[i].minimal)
			status = write_bug(triage, &triage->bugs[i]);
	}
	qsort(triage->bugs, triage->nr_bugs, sizeof(*triage->bugs), by_count);
	status = cli_graver(status, print_result(triage));
	return cli_graver(status, triage->nr_bugs ? CLI_FINDING : CLI_OK);
}

int cmd_triage(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{.argp = &cli_lockstep_argp}, {.argp = &cli_paths_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "DIRECTORY|FILE...",
		.doc = "Run every input that engines have left, each in a process of its own, sort "
		       "them by what they show, and write one minimized trace and its story per "
		       "signature. Traces that an earlier triage left in the same place are run "
		       "first. Exit status: 0 nothing shows anything, 1 something does, 2 bad "
		       "usage."};
	struct arguments arguments = {0};
	struct triage triage = {.arguments = &arguments};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	/* What is the same bug should not depend on how far away the next recount was. */
	if (arguments.lockstep.diff.check_every == CLI_CHECK_EVERY)
		arguments.lockstep.diff.check_every = 1;
	triage.diff = diff_create(&arguments.lockstep.diff);
	triage.bugs = calloc(SIGNATURES_MAX, sizeof(*triage.bugs));
	if (!triage.bugs)
		return cli_error(CLI_INTERNAL, "out of memory");
	triage.json = arguments.as_json ? json_array() : NULL;
	status = run(&triage);
	for (uint32_t i = 0; i < triage.nr_bugs; i++) {
		trace_release(&triage.bugs[i].trace);
		free(triage.bugs[i].path);
	}
	free(triage.bugs);
	json_decref(triage.json);
	diff_destroy(triage.diff);
	return status;
}

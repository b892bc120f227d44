/*
 * rmapfuzz replay: run traces from files in lockstep and check what they expect.
 *
 * A directory stands for all traces below it, by name: *.trace, *.bin, and names without an
 * extension, as fuzzers give them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "failsweep.h"
#include "options.h"

#define PICTURE_PAGES 64

struct arguments {
	struct cli_lockstep lockstep;
	struct cli_machine machine;
	enum cli_form form;
	uint32_t stop_at;   /* ops */
	const char *expect; /* a signature that must appear */
	bool show, costs, hash, json, quiet, fail_sweep;
	struct cli_paths paths;
};

struct replay {
	const struct arguments *arguments;
	struct diff *diff;
	struct trace trace, failing;
	uint32_t passed, failed;
	json_t *json; /* array of results, or NULL */
	/* --trace: what was last shown of each process */
	char picture[PROC_MAX][PICTURE_PAGES + 1];
};

/* ---- options ------------------------------------------------------------------------------ */

enum { KEY_EXPECT = 256, KEY_TRACE, KEY_STOP, KEY_BYTES, KEY_HASH, KEY_JSON, KEY_SWEEP, KEY_COSTS };

static const struct argp_option options[] = {
	{"expect", KEY_EXPECT, "SIGNATURE", 0, "succeed if exactly this finding appears", 0},
	{"trace", KEY_TRACE, NULL, 0, "print each operation, its result and what changed", 0},
	{"costs", KEY_COSTS, NULL, 0, "print what each trace cost under each reverse map", 0},
	{"stop-at", KEY_STOP, "N", 0, "run the first N operations only, then let everybody exit",
	 0},
	{"fail-sweep", KEY_SWEEP, NULL, 0,
	 "then run each once more for every allocation in it, failing that one, and all later ones",
	 0},
	{"bytes", KEY_BYTES, NULL, 0, "files are in the byte form, whatever they look like", 0},
	{"hash", KEY_HASH, NULL, 0, "print a hash of what each trace did", 0},
	{"json", KEY_JSON, NULL, 0, "print results as JSON", 0},
	{"quiet", 'q', NULL, 0, "print failures only", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		state->child_inputs[1] = &arguments->machine;
		state->child_inputs[2] = &arguments->paths;
		break;
	case KEY_EXPECT:
		arguments->expect = arg;
		break;
	case KEY_TRACE:
		arguments->show = true;
		break;
	case KEY_COSTS:
		arguments->costs = true;
		break;
	case KEY_STOP:
		arguments->stop_at = (uint32_t)cli_number(state, "--stop-at", arg, TRACE_OPS_MAX);
		break;
	case KEY_SWEEP:
		arguments->fail_sweep = true;
		break;
	case KEY_BYTES:
		arguments->form = CLI_BYTES;
		break;
	case KEY_HASH:
		arguments->hash = true;
		break;
	case KEY_JSON:
		arguments->json = true;
		break;
	case 'q':
		arguments->quiet = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- --trace ----------------------------------------------------------------------------------
 */

/* The first pages of the window of PROC, without what is not mapped at the right. */
static void draw(struct machine *machine, uint32_t proc, char picture[PICTURE_PAGES + 1])
{
	size_t n = 0;

	for (uint32_t i = 0; i < PICTURE_PAGES; i++) {
		picture[i] = machine_page_char(machine, proc, WINDOW_BASE / PAGE_SIZE + i);
		if (picture[i] != '.')
			n = i + 1;
	}
	picture[n] = '\0';
}

static void show_changes(struct replay *replay)
{
	struct machine *machine = diff_machine(replay->diff, 0);

	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		char picture[PICTURE_PAGES + 1];

		draw(machine, proc, picture);
		if (strcmp(picture, replay->picture[proc]) == 0)
			continue;
		memcpy(replay->picture[proc], picture, sizeof(picture));
		if (machine_proc_alive(machine, proc))
			printf("         p%" PRIu32 " w0 |%s|\n", proc, picture);
		else
			printf("         p%" PRIu32 " is gone\n", proc);
	}
}

/* Op AT of the trace, number K of its group. */
static void show_op(struct replay *replay, uint32_t at, uint32_t k)
{
	const struct op *op = &replay->trace.ops[at];
	char text[256], result[64];

	op_print(op, text, sizeof(text));
	result_print((enum op_code)op->code, diff_group_result(replay->diff, k), result,
		     sizeof(result));
	printf("  %5" PRIu32 "  %s%s -> %s%s\n", at, k ? "  " : "", text, result,
	       k && !diff_group_inside(replay->diff, k) ? ", afterwards" : "");
}

static void show_trace(struct replay *replay)
{
	const struct trace *trace = &replay->trace;
	struct finding finding;

	memset(replay->picture, 0, sizeof(replay->picture));
	diff_begin(replay->diff, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		uint32_t n = op_group(&trace->ops[i], trace->nr_ops - i);
		int found = diff_step_group(replay->diff, &trace->ops[i], n, &finding);

		for (uint32_t k = 0; k < n; k++)
			show_op(replay, i + k, k);
		show_changes(replay);
		if (found)
			return;
		i += n - 1;
	}
}

/* ---- one trace --------------------------------------------------------------------------------
 */

/* --expect decides alone: forget what the trace says of the whole. */
static void drop_verdicts(struct trace *trace)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < trace->nr_expects; i++) {
		enum expect_kind kind = trace->expects[i].kind;

		if (kind != EXPECT_CLEAN && kind != EXPECT_FINDING)
			trace->expects[kept++] = trace->expects[i];
	}
	trace->nr_expects = kept;
}

static void print_result(struct replay *replay, const char *path, bool good,
			 const struct finding *finding)
{
	const struct arguments *arguments = replay->arguments;

	if (replay->json) {
		json_t *object = json_pack("{s:s,s:b,s:I}", "file", path, "passed", good, "ops",
					   (json_int_t)replay->trace.nr_ops);

		if (finding)
			json_object_set_new(object, "finding", cli_finding_json(finding));
		if (arguments->costs)
			json_object_set_new(object, "costs", cli_costs_json(replay->diff));
		json_array_append_new(replay->json, object);
	} else if (arguments->hash) {
		printf("%016" PRIx64 "  %s\n", diff_hash(replay->diff), path);
	} else if (!good) {
		printf("FAILED  %s: %s\n", path,
		       finding ? finding->signature : "the expected finding did not appear");
	} else if (!arguments->quiet) {
		printf("passed  %s (%" PRIu32 " ops)\n", path, replay->trace.nr_ops);
	}
	if (arguments->costs && !arguments->hash && !replay->json)
		cli_print_costs(replay->diff, stdout);
	if (finding && !good) {
		fflush(stdout); /* so that the report follows its line */
		finding_print(finding, &replay->trace, stderr);
	}
}

/* The trace with a failure in it that leads to *FINDING takes the place of the one that passed. */
static bool sweep(struct replay *replay, struct finding *finding, int *found)
{
	struct failsweep_stats stats = {0};
	char line[256];

	if (!failsweep(replay->diff, &replay->trace, &stats, &replay->failing, finding))
		return false;
	failsweep_line(&replay->trace, &replay->failing, line, sizeof(line));
	fprintf(stderr, "rmapfuzz: with an allocation failed%s\n", line);
	trace_copy(&replay->trace, &replay->failing);
	*found = 1;
	return true;
}

static bool run_trace(struct replay *replay, const char *path)
{
	const struct arguments *arguments = replay->arguments;
	struct finding finding;
	bool good;
	int found;

	if (arguments->expect)
		drop_verdicts(&replay->trace);
	found = diff_run_expect(replay->diff, &replay->trace, &finding);
	if (arguments->expect)
		good = found && strcmp(finding.signature, arguments->expect) == 0;
	else
		good = !found;
	if (good && arguments->fail_sweep)
		good = !sweep(replay, &finding, &found);
	print_result(replay, path, good, found ? &finding : NULL);
	return good;
}

/* Only the first N ops, and what is expected up to there. */
static void stop_at(struct trace *trace, uint32_t n)
{
	uint32_t kept = 0;

	if (n >= trace->nr_ops)
		return;
	trace->nr_ops = n;
	for (uint32_t i = 0; i < trace->nr_expects; i++) {
		enum expect_kind kind = trace->expects[i].kind;
		bool whole = kind == EXPECT_CLEAN || kind == EXPECT_FINDING;

		if (!whole && (trace->expects[i].at == UINT32_MAX || trace->expects[i].at < n))
			trace->expects[kept++] = trace->expects[i];
	}
	trace->nr_expects = kept;
}

static int replay_file(const char *path, void *arg)
{
	struct replay *replay = arg;
	const struct arguments *arguments = replay->arguments;
	int status;

	trace_clear(&replay->trace);
	status = cli_load_trace(path, arguments->form, &replay->trace);
	if (status) {
		replay->failed++;
		return status;
	}
	if (arguments->machine.given)
		replay->trace.config = arguments->machine.config;
	stop_at(&replay->trace, arguments->stop_at);
	if (arguments->show)
		show_trace(replay);
	if (!run_trace(replay, path)) {
		replay->failed++;
		return CLI_FINDING;
	}
	replay->passed++;
	return CLI_OK;
}

int cmd_replay(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_lockstep_argp},
						     {.argp = &cli_machine_argp},
						     {.argp = &cli_paths_argp},
						     {0}};
	static const struct argp argp = {.options = options,
					 .parser = parse_option,
					 .children = children,
					 .args_doc = "FILE|DIRECTORY|- ...",
					 .doc = "Run traces on all backends in lockstep and check "
						"what they expect. Exit status: "
						"0 all passed, 1 a finding, 2 bad input, 125 a "
						"format version that this build "
						"cannot read."};
	struct arguments arguments = {.form = CLI_GUESS, .stop_at = TRACE_OPS_MAX};
	struct replay replay = {.arguments = &arguments};
	int status = CLI_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	replay.diff = diff_create(&arguments.lockstep.diff);
	trace_init(&replay.trace, &machine_presets[0].config);
	trace_init(&replay.failing, &machine_presets[0].config);
	replay.json = arguments.json ? json_array() : NULL;
	for (int i = 0; i < arguments.paths.nr; i++)
		status = cli_graver(status, cli_each_trace(arguments.paths.paths[i], CLI_TRACES,
							   replay_file, &replay));
	if (replay.json)
		status = cli_graver(status, cli_print_json(replay.json));
	else
		fprintf(arguments.hash ? stderr : stdout,
			"%" PRIu32 " passed, %" PRIu32 " failed\n", replay.passed, replay.failed);
	trace_release(&replay.trace);
	trace_release(&replay.failing);
	diff_destroy(replay.diff);
	return status;
}

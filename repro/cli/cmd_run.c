/*
 * rmapfuzz run: generate traces and run them on all backends in lockstep.
 *
 * Trace i has a seed of its own, and trace 0's is --seed itself; so whatever trace finds something,
 * `run --seed ITS-SEED --traces 1` and the other options does it again.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failsweep.h"
#include "isolate.h"
#include "run.h"

/* An odd number with no pattern: the seeds of two runs do not meet. */
#define SEED_STEP       0x9e3779b97f4a7c15ull
#define METAMORPH_EVERY 16 /* ops */

/* ---- options ------------------------------------------------------------------------------ */

enum {
	KEY_MACHINE = 256,
	KEY_FAULTS,
	KEY_ACTORS,
	KEY_SWEEP,
	KEY_METAMORPHIC,
	KEY_COVERAGE,
	KEY_KEEP,
	KEY_EXPLAIN,
	KEY_JUNIT,
	KEY_SARIF,
	KEY_MARKDOWN,
	KEY_TIME,
	KEY_HASH,
	KEY_JSON
};

static const struct argp_option options[] = {
	{"ops", 'n', "N", 0, "operations per trace (default 64)", 0},
	{"traces", 't', "N", 0, "traces to run (default 10000)", 0},
	{"seed", 's', "SEED", 0, "a number, or a git commit's hash (default 1)", 0},
	{"machine", KEY_MACHINE, "MACHINE", 0,
	 "a preset, then key=value ...; \"all\" takes the presets in turn, \"random\" at random "
	 "(default: tiny)",
	 0},
	{"faults", KEY_FAULTS, NULL, 0, "allocation failures and reclaim inside operations, too",
	 0},
	{"actors", KEY_ACTORS, NULL, 0, "operations of others inside operations, too", 0},
	{"fail-sweep", KEY_SWEEP, NULL, 0,
	 "run each trace once more for every allocation in it, failing that one, and all later "
	 "ones of its operation",
	 0},
	{"metamorphic", KEY_METAMORPHIC, NULL, 0,
	 "then run each trace on each backend alone, and see whether what is done and undone "
	 "leaves every page mapped where it was",
	 0},
	{"coverage", KEY_COVERAGE, NULL, 0,
	 "print, on stdout, how often each kind of mapping was lost in each way", 0},
	{"corpus", 'c', "DIR|FILE", 0, "run these traces first", 0},
	{"out", 'o', "FILE|DIR", 0, "save the trace that found something here", 0},
	{"explain", KEY_EXPLAIN, NULL, 0,
	 "minimize what is found, and tell what happened to its page", 0},
	{"keep-going", KEY_KEEP, NULL, 0, "do not stop at a finding; count signatures", 0},
	{"time", KEY_TIME, "SECONDS", 0, "stop after so long", 0},
	{"hash", KEY_HASH, NULL, 0, "print a hash of what each trace did on stdout", 0},
	{"json", KEY_JSON, NULL, 0, "print the summary as JSON on stdout", 0},
	{"junit", KEY_JUNIT, "FILE", 0, "write a JUnit report: a test for each check", 0},
	{"sarif", KEY_SARIF, "FILE", 0, "write a SARIF report: a rule for each check", 0},
	{"markdown", KEY_MARKDOWN, "FILE", 0, "write a summary for a pull request", 0},
	{"quiet", 'q', NULL, 0, "print findings only", 0},
	{0},
};

static void parse_machine(struct argp_state *state, struct run_arguments *arguments,
			  const char *arg)
{
	char error[160];

	arguments->machine = arg;
	if (strcmp(arg, "all") == 0)
		arguments->choice = MACHINE_ALL;
	else if (strcmp(arg, "random") == 0)
		arguments->choice = MACHINE_RANDOM;
	else if (machine_config_parse(&arguments->config, arg, error, sizeof(error)))
		argp_error(state, "--machine: %s", error);
	else
		arguments->choice = MACHINE_ONE;
}

static double seconds(struct argp_state *state, const char *arg)
{
	char *end;
	double value = strtod(arg, &end);

	if (*end || end == arg || !(value > 0) || value > 1e9)
		argp_error(state, "--time wants seconds, not \"%s\"", arg);
	return value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct run_arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		break;
	case 'n':
		arguments->generate.nr_ops =
			(uint32_t)cli_number(state, "--ops", arg, TRACE_OPS_MAX);
		break;
	case 't':
		arguments->traces = cli_number(state, "--traces", arg, UINT64_MAX);
		break;
	case 's':
		if (cli_parse_seed(arg, &arguments->seed))
			argp_error(state, "--seed wants a number or a commit's hash, not \"%s\"",
				   arg);
		break;
	case KEY_MACHINE:
		parse_machine(state, arguments, arg);
		break;
	case KEY_FAULTS:
		arguments->generate.faults = true;
		break;
	case KEY_ACTORS:
		arguments->generate.actors = true;
		break;
	case KEY_SWEEP:
		arguments->fail_sweep = true;
		break;
	case 'c':
		arguments->corpus = arg;
		break;
	case KEY_COVERAGE:
		arguments->coverage = true;
		break;
	case KEY_METAMORPHIC:
		arguments->metamorphic = true;
		break;
	case 'o':
		arguments->out = arg;
		break;
	case KEY_KEEP:
		arguments->keep_going = true;
		break;
	case KEY_EXPLAIN:
		arguments->explain = true;
		break;
	case KEY_JUNIT:
		arguments->junit = arg;
		break;
	case KEY_SARIF:
		arguments->sarif = arg;
		break;
	case KEY_MARKDOWN:
		arguments->markdown = arg;
		break;
	case KEY_TIME:
		arguments->seconds = seconds(state, arg);
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
	case ARGP_KEY_ARG:
		argp_error(state, "what is \"%s\"?", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- running -----------------------------------------------------------------------------------
 */

static const struct machine_config *choose_machine(const struct run_arguments *arguments,
						   uint64_t i, uint64_t seed)
{
	uint64_t presets = 1; /* there is always a default */

	if (arguments->choice == MACHINE_ONE)
		return &arguments->config;
	while (machine_presets[presets].name)
		presets++;
	if (arguments->choice == MACHINE_RANDOM)
		i = seed * SEED_STEP >> 33;
	return &machine_presets[i % presets].config;
}

/* What was found with a failure is found with the trace that has it. */
static int run_sweep(struct run *run, struct finding *finding)
{
	struct failsweep_stats stats = {0};
	int found = failsweep(run->diff, &run->trace, &stats, &run->failing, finding);

	if (found)
		trace_copy(&run->trace, &run->failing);
	return found;
}

/* ---- crashes -----------------------------------------------------------------------------------
 */

/* What a signal handler can reach. */
static sigjmp_buf crash;
static volatile sig_atomic_t may_crash;

static void on_crash(int number)
{
	if (may_crash)
		siglongjmp(crash, number);
	signal(number, SIG_DFL);
	raise(number);
}

/* A failed assertion of a design is a finding like others. Under a sanitizer its own handlers stay.
 */
static void catch_crashes(void)
{
	static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_NODEFER}, old;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
	}
}

/* The machines are in no state to go on with, or to be taken apart: leave them, and make others. */
static void start_afresh(struct run *run)
{
	static struct diff **broken; /* kept to the end of the process: they cannot be destroyed */
	static uint32_t nr_broken;

	broken = realloc(broken, (nr_broken + 1) * sizeof(*broken));
	if (!broken)
		exit(cli_error(CLI_INTERNAL, "out of memory"));
	broken[nr_broken++] = run->diff;
	run->diff = diff_create(&run->arguments->lockstep.diff);
	diff_take_stats(run->diff, broken[nr_broken - 1]);
}

static int run_in_lockstep(struct run *run, struct finding *finding)
{
	int number = sigsetjmp(crash, 1), found;

	if (number) {
		may_crash = 0;
		crash_finding(&run->trace, diff_op_index(run->diff), number, finding);
		start_afresh(run);
		return 1;
	}
	may_crash = 1;
	found = diff_run(run->diff, &run->trace, finding);
	may_crash = 0;
	return found;
}

/* In lockstep, and then, if so wished, each backend against itself. */
static int run_trace(struct run *run, uint64_t seed, struct finding *finding)
{
	bool swept = run->arguments->fail_sweep;

	if (swept ? run_sweep(run, finding) : run_in_lockstep(run, finding))
		return 1;
	for (uint32_t i = 0; run->metamorphs[i]; i++) {
		if (metamorph_run(run->metamorphs[i], &run->trace, seed, METAMORPH_EVERY, finding))
			return 1;
	}
	return 0;
}

/* A trace of --corpus; what it expects is replay's business. */
static int run_file(const char *path, void *arg)
{
	struct run *run = arg;
	struct finding finding;
	int status;

	trace_clear(&run->trace);
	status = cli_load_trace(path, CLI_GUESS, &run->trace);
	if (status || !run_trace(run, run->arguments->seed, &finding))
		return status;
	status = run_found(run, &finding, path, 0);
	return status ? status : CLI_FINDING;
}

static int run_traces(struct run *run)
{
	const struct run_arguments *arguments = run->arguments;
	struct finding finding;

	for (uint64_t i = 0; i < arguments->traces; i++) {
		uint64_t seed = arguments->seed + i * SEED_STEP;
		double at = run->terminal || arguments->seconds > 0 ? run_now() : 0;

		if (arguments->seconds > 0 && at - run->start >= arguments->seconds)
			break;
		generate_trace(&run->trace, choose_machine(arguments, i, seed), seed,
			       &arguments->generate);
		if (run_trace(run, seed, &finding)) {
			int status = run_found(run, &finding, NULL, seed);

			if (status || !arguments->keep_going)
				return status ? status : CLI_FINDING;
		}
		if (arguments->hash)
			printf("%016" PRIx64 "  0x%" PRIx64 "\n", diff_hash(run->diff), seed);
		run_show_progress(run, at);
	}
	return run->findings ? CLI_FINDING : CLI_OK;
}

static void print_first_line(const struct run_arguments *arguments)
{
	char names[CLI_NAMES_MAX];

	if (arguments->quiet)
		return;
	cli_backend_names(&arguments->lockstep.diff, ",", names, sizeof(names));
	fprintf(stderr,
		"rmapfuzz run seed=0x%" PRIx64 " ops=%" PRIu32 " traces=%" PRIu64
		" machine='%s' backends=%s%s version=%s\n",
		arguments->seed, arguments->generate.nr_ops, arguments->traces, arguments->machine,
		names, arguments->generate.faults ? " faults" : "", RMAPFUZZ_VERSION);
}

/* Everything that a run needs, for ARGUMENTS. */
static int prepare(struct run *run, struct run_arguments *arguments)
{
	struct diff_options *diff = &arguments->lockstep.diff;

	*run = (struct run){.arguments = arguments};
	run->kinds = calloc(SIGNATURES_MAX, sizeof(*run->kinds));
	if (!run->kinds)
		return cli_error(CLI_INTERNAL, "out of memory");
	if (arguments->coverage)
		diff->coverage = coverage_create(diff->backends, diff->nr_backends);
	run->diff = diff_create(diff);
	for (uint32_t i = 0; arguments->metamorphic && i < diff->nr_backends; i++)
		run->metamorphs[i] = metamorph_create(diff->backends[i]);
	trace_init(&run->trace, &arguments->config);
	trace_init(&run->failing, &arguments->config);
	run->terminal = !arguments->quiet && isatty(STDERR_FILENO);
	run->start = run_now();
	catch_crashes();
	return CLI_OK;
}

static void release(struct run *run)
{
	run_kinds_release(run);
	for (uint32_t i = 0; i < DIFF_SUBJECTS_MAX; i++)
		metamorph_destroy(run->metamorphs[i]);
	coverage_destroy(run->arguments->lockstep.diff.coverage);
	trace_release(&run->trace);
	trace_release(&run->failing);
	diff_destroy(run->diff);
}

static int run_and_report(struct run *run)
{
	const struct run_arguments *arguments = run->arguments;
	int status = CLI_OK, reported = CLI_OK;
	double spent;

	if (arguments->corpus)
		status = cli_each_trace(arguments->corpus, CLI_TRACES, run_file, run);
	if (status == CLI_OK || (status == CLI_FINDING && arguments->keep_going))
		status = run_traces(run);
	spent = run_now() - run->start;
	run_clear_progress(run);
	if (!arguments->quiet)
		run_print_summary(run, spent);
	if (arguments->json)
		reported = run_print_json(run, spent);
	if (arguments->coverage)
		run_print_coverage(run);
	return cli_graver(status, cli_graver(reported, run_write_reports(run, spent)));
}

int cmd_run(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_lockstep_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.doc = "Generate random traces and run each on all backends in lockstep, judging "
		       "after every operation. Stops at the first finding, with status 1."};
	struct run_arguments arguments = {.generate.nr_ops = 64,
					  .config = machine_presets[0].config,
					  .machine = machine_presets[0].name,
					  .seed = 1,
					  .traces = 10000};
	struct run run;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	print_first_line(&arguments);
	status = prepare(&run, &arguments);
	if (status == CLI_OK) {
		status = run_and_report(&run);
		release(&run);
	}
	return status;
}

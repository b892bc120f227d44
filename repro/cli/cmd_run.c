/*
 * rmapfuzz run: generate traces and run them on all backends in lockstep.
 *
 * Trace i has a seed of its own, and trace 0's is --seed itself; so whatever trace finds something,
 * `run --seed ITS-SEED --traces 1` and the other options does it again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "metamorph.h"
#include "options.h"

/* An odd number with no pattern: the seeds of two runs do not meet. */
#define SEED_STEP        0x9e3779b97f4a7c15ull
#define SIGNATURES_MAX   1000
#define PROGRESS_SECONDS 0.2
#define METAMORPH_EVERY  16 /* ops */

enum machine_choice { MACHINE_ONE, MACHINE_ALL, MACHINE_RANDOM };

struct arguments {
	struct cli_lockstep lockstep;
	struct generate_options generate;
	struct machine_config config;
	enum machine_choice choice;
	const char *machine; /* as given */
	uint64_t seed, traces;
	double seconds; /* 0: no limit */
	const char *out;
	char *corpus; /* traces to run first */
	bool keep_going, json, quiet, hash, metamorphic, coverage;
};

/* One kind of finding. */
struct kind {
	char signature[SIGNATURE_MAX];
	uint64_t count, seed; /* how often; of the first trace that showed it */
};

struct run {
	const struct arguments *arguments;
	struct diff *diff;
	struct metamorph *metamorphs[DIFF_SUBJECTS_MAX + 1]; /* --metamorphic: one per backend */
	struct trace trace;
	struct kind *kinds;
	uint32_t nr_kinds;
	uint64_t findings;
	json_t *json; /* array of findings, or NULL */
	double start, shown;
	bool terminal;
};

/* ---- options ------------------------------------------------------------------------------ */

enum {
	KEY_MACHINE = 256,
	KEY_FAULTS,
	KEY_METAMORPHIC,
	KEY_COVERAGE,
	KEY_KEEP,
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
	{"metamorphic", KEY_METAMORPHIC, NULL, 0,
	 "then run each trace on each backend alone, and see whether what is done and undone "
	 "leaves every page mapped where it was",
	 0},
	{"coverage", KEY_COVERAGE, NULL, 0,
	 "print, on stdout, how often each kind of mapping was lost in each way", 0},
	{"corpus", 'c', "DIR|FILE", 0, "run these traces first", 0},
	{"out", 'o', "FILE|DIR", 0, "save the trace that found something here", 0},
	{"keep-going", KEY_KEEP, NULL, 0, "do not stop at a finding; count signatures", 0},
	{"time", KEY_TIME, "SECONDS", 0, "stop after so long", 0},
	{"hash", KEY_HASH, NULL, 0, "print a hash of what each trace did on stdout", 0},
	{"json", KEY_JSON, NULL, 0, "print the summary as JSON on stdout", 0},
	{"quiet", 'q', NULL, 0, "print findings only", 0},
	{0},
};

static void parse_machine(struct argp_state *state, struct arguments *arguments, const char *arg)
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
	struct arguments *arguments = state->input;

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

/* ---- progress ------------------------------------------------------------------------------ */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static double rate(const struct run *run, double spent)
{
	return spent > 0 ? (double)diff_stats(run->diff)->ops / spent : 0;
}

static void show_progress(struct run *run, double at)
{
	if (!run->terminal || at - run->shown < PROGRESS_SECONDS)
		return;
	run->shown = at;
	fprintf(stderr, "\r%" PRIu64 " traces, %.0f ops/s, %" PRIu64 " findings ",
		diff_stats(run->diff)->traces, rate(run, at - run->start), run->findings);
}

static void clear_progress(const struct run *run)
{
	if (run->terminal)
		fputs("\r\033[K", stderr);
}

/* ---- findings ------------------------------------------------------------------------------- */

/* The command that makes and runs this trace again. */
static void print_command(const struct run *run, uint64_t seed, FILE *out)
{
	const struct arguments *arguments = run->arguments;
	char text[256];

	fprintf(out, "rmapfuzz run --seed 0x%" PRIx64 " --traces 1 --ops %" PRIu32, seed,
		arguments->generate.nr_ops);
	machine_config_print(&run->trace.config, text, sizeof(text));
	if (strcmp(text, machine_presets[0].name) != 0)
		fprintf(out, " --machine '%s'", text);
	if (arguments->generate.faults)
		fputs(" --faults", out);
	if (arguments->metamorphic)
		fputs(" --metamorphic", out);
	cli_lockstep_print(&arguments->lockstep, out);
}

/* What goes into the saved file. */
struct saved {
	const struct run *run;
	const struct finding *finding;
	uint64_t seed;
};

static void print_saved(FILE *out, const void *what)
{
	const struct saved *saved = what;

	fprintf(out, "# found: %s\n# by: ", saved->finding->signature);
	print_command(saved->run, saved->seed, out);
	fputc('\n', out);
	trace_print(&saved->run->trace, out);
}

/* The file to save to: PATH, or a name made of the signature if that is a directory. */
static char *out_path(const char *path, const struct saved *saved)
{
	struct stat st;
	char *name;
	size_t n = strlen(path);
	bool slash = n && path[n - 1] == '/';

	if (!slash && (stat(path, &st) || !S_ISDIR(st.st_mode)))
		return strdup(path);
	if (asprintf(&name, "%s%s%s-%016" PRIx64 ".trace", path, slash ? "" : "/",
		     saved->finding->signature, saved->seed) < 0)
		return NULL;
	for (char *c = name + n; *c; c++) {
		if (*c == ':')
			*c = '-';
	}
	return name;
}

static int save(const struct run *run, const struct saved *saved)
{
	char *path = out_path(run->arguments->out, saved);
	int status;

	if (!path)
		return cli_error(CLI_INTERNAL, "out of memory");
	status = cli_write_file(path, print_saved, saved);
	if (status == CLI_OK && strcmp(path, "-") != 0)
		fprintf(stderr, "  saved     %s\n", path);
	free(path);
	return status;
}

static struct kind *kind_of(struct run *run, const struct finding *finding, uint64_t seed)
{
	for (uint32_t i = 0; i < run->nr_kinds; i++) {
		if (strcmp(run->kinds[i].signature, finding->signature) == 0)
			return &run->kinds[i];
	}
	if (run->nr_kinds == SIGNATURES_MAX)
		return NULL;
	run->kinds[run->nr_kinds].seed = seed;
	memcpy(run->kinds[run->nr_kinds].signature, finding->signature, SIGNATURE_MAX);
	return &run->kinds[run->nr_kinds++];
}

static void add_json(struct run *run, const struct saved *saved)
{
	json_t *object = cli_finding_json(saved->finding);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		trace_print(&run->trace, out);
		fclose(out);
		json_object_set_new(object, "trace", json_string(text));
		free(text);
	}
	out = open_memstream(&text, &size);
	if (out) {
		print_command(run, saved->seed, out);
		fclose(out);
		json_object_set_new(object, "command", json_string(text));
		free(text);
	}
	json_array_append_new(run->json, object);
}

/* A trace found something. Only the first of each kind is reported. */
static int report(struct run *run, const struct finding *finding, uint64_t seed)
{
	const struct arguments *arguments = run->arguments;
	struct saved saved = {run, finding, seed};
	struct kind *kind = kind_of(run, finding, seed);
	int status = CLI_OK;

	run->findings++;
	if (!kind || kind->count++)
		return CLI_OK;
	clear_progress(run);
	finding_print(finding, &run->trace, stderr);
	if (arguments->out)
		status = save(run, &saved);
	else if (!arguments->json)
		print_saved(stdout, &saved);
	if (run->json)
		add_json(run, &saved);
	fputs("  again     ", stderr);
	print_command(run, seed, stderr);
	fputc('\n', stderr);
	return status;
}

/* ---- the summary ---------------------------------------------------------------------------- */

static void print_ops(const struct diff_stats *stats)
{
	fprintf(stderr, "  %-10s %12s %8s\n", "operation", "count", "success");
	for (int code = 0; code < NR_OPS; code++) {
		if (stats->op_count[code])
			fprintf(stderr, "  %-10s %12" PRIu64 " %7.1f%%\n",
				op_info((enum op_code)code)->name, stats->op_count[code],
				100.0 * (double)stats->op_ok[code] / (double)stats->op_count[code]);
	}
}

/* How often each relation was tried and held, over all backends. */
static void print_metamorphs(const struct run *run)
{
	for (int relation = 0; run->metamorphs[0] && relation < NR_METAMORPH; relation++) {
		uint64_t held = 0, skipped = 0;

		for (uint32_t i = 0; run->metamorphs[i]; i++) {
			const struct metamorph_stats *stats = metamorph_stats(run->metamorphs[i]);

			held += stats->held[relation];
			skipped += stats->skipped[relation];
		}
		fprintf(stderr, "there and back by %-9s %8" PRIu64 "  (%" PRIu64 " not judged)\n",
			metamorph_name((enum metamorph_relation)relation), held, skipped);
	}
}

static void print_summary(const struct run *run, double spent)
{
	const struct diff_stats *stats = diff_stats(run->diff);

	print_ops(stats);
	fprintf(stderr,
		"%" PRIu64 " walks judged, %" PRIu64 " unmaps compared, %" PRIu64 " recounts\n",
		stats->walks, stats->unmaps_compared, stats->recounts);
	for (int i = 0; i < NR_EXCUSES; i++)
		fprintf(stderr, "excuse %-17s %8" PRIu64 "  (%s)\n",
			diff_excuse_name((enum diff_excuse)i), stats->excuses[i],
			diff_excuse_reason((enum diff_excuse)i));
	print_metamorphs(run);
	for (uint32_t i = 0; run->arguments->keep_going && i < run->nr_kinds; i++)
		fprintf(stderr, "%8" PRIu64 "  %s (first: --seed 0x%" PRIx64 ")\n",
			run->kinds[i].count, run->kinds[i].signature, run->kinds[i].seed);
	fprintf(stderr, "%" PRIu64 " traces, %" PRIu64 " ops in %.1f s, %.0f ops per second: ",
		stats->traces, stats->ops, spent, rate(run, spent));
	if (run->findings)
		fprintf(stderr, "%" PRIu64 " findings of %" PRIu32 " kinds\n", run->findings,
			run->nr_kinds);
	else
		fputs("nothing found\n", stderr);
}

static void print_coverage(const struct run *run)
{
	const struct diff_options *diff = &run->arguments->lockstep.diff;
	const char *names[DIFF_SUBJECTS_MAX];

	for (uint32_t i = 0; i < diff->nr_backends; i++)
		names[i] = diff->backends[i]->name;
	if (diff->coverage)
		coverage_print(diff->coverage, names, stdout);
}

static json_t *ops_json(const struct diff_stats *stats)
{
	json_t *ops = json_object();

	for (int code = 0; code < NR_OPS; code++)
		json_object_set_new(ops, op_info((enum op_code)code)->name,
				    json_pack("{s:I,s:I}", "count",
					      (json_int_t)stats->op_count[code], "success",
					      (json_int_t)stats->op_ok[code]));
	return ops;
}

static int print_json(struct run *run, double spent)
{
	const struct diff_stats *stats = diff_stats(run->diff);
	json_t *excuses = json_object(), *checks = json_object(), *kinds = json_object();
	char seed[24];

	for (int i = 0; i < NR_EXCUSES; i++)
		json_object_set_new(excuses, diff_excuse_name((enum diff_excuse)i),
				    json_integer((json_int_t)stats->excuses[i]));
	for (int i = 0; i < NR_CHECKS; i++)
		json_object_set_new(checks, diff_check_name((enum diff_check)i),
				    json_integer((json_int_t)stats->check_count[i]));
	for (uint32_t i = 0; i < run->nr_kinds; i++)
		json_object_set_new(kinds, run->kinds[i].signature,
				    json_integer((json_int_t)run->kinds[i].count));
	/* Seeds have 64 bits, more than JSON readers keep. */
	snprintf(seed, sizeof(seed), "0x%" PRIx64, run->arguments->seed);
	return cli_print_json(json_pack(
		"{s:s,s:s,s:I,s:I,s:f,s:f,s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:O}", "version",
		RMAPFUZZ_VERSION, "seed", seed, "traces", (json_int_t)stats->traces, "ops",
		(json_int_t)stats->ops, "seconds", spent, "ops_per_second", rate(run, spent), "op",
		ops_json(stats), "walks", (json_int_t)stats->walks, "unmaps_compared",
		(json_int_t)stats->unmaps_compared, "recounts", (json_int_t)stats->recounts,
		"excuses", excuses, "checks", checks, "signatures", kinds, "findings", run->json));
}

/* ---- running -----------------------------------------------------------------------------------
 */

static const struct machine_config *choose_machine(const struct arguments *arguments, uint64_t i,
						   uint64_t seed)
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

/* In lockstep, and then, if so wished, each backend against itself. */
static int run_trace(struct run *run, uint64_t seed, struct finding *finding)
{
	if (diff_run(run->diff, &run->trace, finding))
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
	run->findings++;
	clear_progress(run);
	fprintf(stderr, "%s:\n", path);
	finding_print(&finding, &run->trace, stderr);
	return CLI_FINDING;
}

static int run_traces(struct run *run)
{
	const struct arguments *arguments = run->arguments;
	struct finding finding;

	for (uint64_t i = 0; i < arguments->traces; i++) {
		uint64_t seed = arguments->seed + i * SEED_STEP;
		double at = run->terminal || arguments->seconds > 0 ? now() : 0;

		if (arguments->seconds > 0 && at - run->start >= arguments->seconds)
			break;
		generate_trace(&run->trace, choose_machine(arguments, i, seed), seed,
			       &arguments->generate);
		if (run_trace(run, seed, &finding)) {
			int status = report(run, &finding, seed);

			if (status || !arguments->keep_going)
				return status ? status : CLI_FINDING;
		}
		if (arguments->hash)
			printf("%016" PRIx64 "  0x%" PRIx64 "\n", diff_hash(run->diff), seed);
		show_progress(run, at);
	}
	return run->findings ? CLI_FINDING : CLI_OK;
}

static void print_first_line(const struct arguments *arguments)
{
	char names[256];

	if (arguments->quiet)
		return;
	cli_backend_names(&arguments->lockstep.diff, ",", names, sizeof(names));
	fprintf(stderr,
		"rmapfuzz run seed=0x%" PRIx64 " ops=%" PRIu32 " traces=%" PRIu64
		" machine='%s' backends=%s%s version=%s\n",
		arguments->seed, arguments->generate.nr_ops, arguments->traces, arguments->machine,
		names, arguments->generate.faults ? " faults" : "", RMAPFUZZ_VERSION);
}

int cmd_run(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_lockstep_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.doc = "Generate random traces and run each on all backends in lockstep, judging "
		       "after "
		       "every operation. Stops at the first finding, with status 1."};
	struct arguments arguments = {.generate.nr_ops = 64,
				      .config = machine_presets[0].config,
				      .machine = machine_presets[0].name,
				      .seed = 1,
				      .traces = 10000};
	struct run run = {.arguments = &arguments};
	double spent;
	int status = CLI_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	print_first_line(&arguments);
	if (arguments.coverage)
		arguments.lockstep.diff.coverage =
			coverage_create(arguments.lockstep.diff.nr_backends);
	run.diff = diff_create(&arguments.lockstep.diff);
	run.kinds = calloc(SIGNATURES_MAX, sizeof(*run.kinds));
	if (!run.kinds)
		return cli_error(CLI_INTERNAL, "out of memory");
	trace_init(&run.trace, &arguments.config);
	for (uint32_t i = 0; arguments.metamorphic && i < arguments.lockstep.diff.nr_backends; i++)
		run.metamorphs[i] = metamorph_create(arguments.lockstep.diff.backends[i]);
	run.json = arguments.json ? json_array() : NULL;
	run.terminal = !arguments.quiet && isatty(STDERR_FILENO);
	run.start = now();

	if (arguments.corpus)
		status = cli_each_trace(arguments.corpus, run_file, &run);
	if (status == CLI_OK)
		status = run_traces(&run);
	spent = now() - run.start;
	clear_progress(&run);
	if (!arguments.quiet)
		print_summary(&run, spent);
	if (arguments.json && print_json(&run, spent))
		status = CLI_INTERNAL;
	print_coverage(&run);
	json_decref(run.json);
	trace_release(&run.trace);
	free(run.kinds);
	coverage_destroy(arguments.lockstep.diff.coverage);
	for (uint32_t i = 0; i < DIFF_SUBJECTS_MAX; i++)
		metamorph_destroy(run.metamorphs[i]);
	diff_destroy(run.diff);
	return status;
}

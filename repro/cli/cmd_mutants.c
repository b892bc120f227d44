/*
 * rmapfuzz mutants: the benchmark of real bugs (docs/mutants.md).
 *
 *   list             the table
 *   show ID          one row, and the trace that triggers it
 *   run ID TRACE...  run traces with it on: reached, triggered, found?
 *   verify [ID...]   every hand-written trace finds its mutant, and nothing without it
 *   score [ID...]    how soon engines find them: trials, tables, curves (mutants_score.c)
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mutant.h"
#include "mutants_score.h"
#include "options.h"

#define TRIGGERS "corpus/mutants"

enum {
	KEY_JSON = 256,
	KEY_DIRECTORY,
	KEY_ENGINES,
	KEY_CONFIGS,
	KEY_SEEDS,
	KEY_EXECUTIONS,
	KEY_LIBFUZZER,
	KEY_AFL,
	KEY_AFL_MUTATOR
};

struct arguments {
	struct cli_lockstep lockstep;
	const char *directory; /* of hand-written traces */
	bool json;
	char **words; /* what to do, and with what */
	int nr;
	struct score_arguments score;
};

static const struct argp_option options[] = {
	{"json", KEY_JSON, NULL, 0, "print results as JSON", 0},
	{"triggers", KEY_DIRECTORY, "DIR", 0,
	 "where the hand-written traces are (default " TRIGGERS ")", 0},
	{NULL, 0, NULL, 0, "score:", 1},
	{"out", 'o', "DIR", 0, "where results go, and are found again (default score)", 1},
	{"engines", KEY_ENGINES, "A,B,...", 0,
	 "of run, enumerate, libfuzzer, afl (default run,enumerate)", 1},
	{"configs", KEY_CONFIGS, "A,B,...", 0,
	 "of full, no-feedback, no-mutator, without-CHECK (default full)", 1},
	{"seeds", KEY_SEEDS, "N", 0, "trials of each mutant by each engine (default 3)", 1},
	{"executions", 'n', "N", 0, "a trial's bound (default 20000)", 1},
	{"jobs", 'j', "N", 0, "trials at a time (default 1)", 1},
	{"libfuzzer", KEY_LIBFUZZER, "FILE", 0, "fuzz_lockstep with libFuzzer and mutants", 1},
	{"afl", KEY_AFL, "FILE", 0, "fuzz_lockstep with AFL++ and mutants", 1},
	{"afl-mutator", KEY_AFL_MUTATOR, "FILE", 0, "librmapfuzz_afl.so", 1},
	{0},
};

/* ARG, which is cut up, at its commas. */
static uint32_t words_of(struct argp_state *state, char *arg, const char **words)
{
	uint32_t n = 0;
	char *save = NULL;

	for (char *word = strtok_r(arg, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (n == SCORE_WORDS_MAX || strlen(word) >= SCORE_NAME_MAX)
			argp_error(state, "\"%s\" is too much", word);
		words[n++] = word;
	}
	return n;
}

static void check_engines(struct argp_state *state, const struct score_arguments *score)
{
	static const char *const known[] = {"run", "enumerate", "libfuzzer", "afl"};

	for (uint32_t i = 0; i < score->nr_engines; i++) {
		size_t k = 0;

		while (k < 4 && strcmp(known[k], score->engines[i]) != 0)
			k++;
		if (k == 4)
			argp_error(state, "there is no engine \"%s\"", score->engines[i]);
		if ((k == 2 && !score->libfuzzer) || (k == 3 && !score->afl))
			argp_error(state, "which program is it? --%s FILE", known[k]);
	}
}

static void check_configs(struct argp_state *state, const struct score_arguments *score)
{
	for (uint32_t i = 0; i < score->nr_configs; i++) {
		const char *config = score->configs[i];
		uint32_t mask = 0;

		if (strcmp(config, "full") != 0 && strcmp(config, "no-feedback") != 0 &&
		    strcmp(config, "no-mutator") != 0 &&
		    (strncmp(config, "without-", 8) != 0 || !diff_check_mask(config + 8, &mask)))
			argp_error(state, "there is no configuration \"%s\"", config);
	}
}

static error_t parse_score(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct score_arguments *score = &arguments->score;

	switch (key) {
	case 'o':
		score->directory = arg;
		return 0;
	case KEY_ENGINES:
		score->nr_engines = words_of(state, arg, score->engines);
		return 0;
	case KEY_CONFIGS:
		score->nr_configs = words_of(state, arg, score->configs);
		return 0;
	case KEY_SEEDS:
		score->seeds = cli_number(state, "--seeds", arg, UINT32_MAX);
		return 0;
	case 'n':
		score->executions = cli_number(state, "--executions", arg, UINT32_MAX);
		return 0;
	case 'j':
		score->jobs = (uint32_t)cli_number(state, "--jobs", arg, 256);
		return 0;
	case KEY_LIBFUZZER:
		score->libfuzzer = arg;
		return 0;
	case KEY_AFL:
		score->afl = arg;
		return 0;
	case KEY_AFL_MUTATOR:
		score->afl_mutator = arg;
		return 0;
	case ARGP_KEY_SUCCESS:
		if (!score->jobs)
			score->jobs = 1;
		check_engines(state, score);
		check_configs(state, score);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->lockstep;
		return 0;
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_DIRECTORY:
		arguments->directory = arg;
		return 0;
	case ARGP_KEY_ARGS:
		arguments->words = state->argv + state->next;
		arguments->nr = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "list, show, run, verify or score?");
		return 0;
	default:
		return parse_score(key, arg, state);
	}
}

/* ---- the table ------------------------------------------------------------------------------ */

static json_t *row_json(const struct mutant_info *info)
{
	return json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:s#,s:s,s:s}", "name", info->name, "year",
			 (json_int_t)info->year, "source", info->source, "component",
			 info->component, "backends", info->backends, "mode",
			 mutant_mode_name(info->mode), "priority", &info->priority, 1, "checks",
			 info->checks, "summary", info->summary);
}

static int list_json(void)
{
	json_t *mutants = json_array(), *lacks = json_array();

	for (int i = MUTANT_NONE + 1; i < NR_MUTANTS; i++)
		json_array_append_new(mutants, row_json(&mutant_table[i]));
	for (const struct mutant_lack *lack = mutant_lacks; lack->name; lack++)
		json_array_append_new(
			lacks, json_pack("{s:s,s:s}", "name", lack->name, "lacks", lack->lacks));
	return cli_print_json(json_pack("{s:b,s:o,s:o}", "built", MUTANTS_BUILT, "mutants", mutants,
					"cannot", lacks));
}

static int list(struct arguments *arguments)
{
	if (arguments->nr)
		return cli_error(CLI_USAGE, "mutants list: what is \"%s\"?", arguments->words[0]);
	if (arguments->json)
		return list_json();
	for (int i = MUTANT_NONE + 1; i < NR_MUTANTS; i++) {
		const struct mutant_info *info = &mutant_table[i];

		printf("%-8s %-10s %c  %s\n", info->name, mutant_mode_name(info->mode),
		       info->priority, info->summary);
	}
	return CLI_OK;
}

static void print_year(const struct mutant_info *info)
{
	if (info->year)
		printf("source    %" PRIu32 ", %s\n", info->year, info->source);
	else
		printf("source    %s\n", info->source);
}

/* The path of the trace that triggers INFO, to be freed. */
static char *trigger_path(const struct arguments *arguments, const struct mutant_info *info)
{
	char *path;

	if (asprintf(&path, "%s/%s.trace", arguments->directory, info->name) < 0)
		abort();
	return path;
}

static int show_one(struct arguments *arguments, enum mutant mutant)
{
	const struct mutant_info *info = &mutant_table[mutant];
	char *path = trigger_path(arguments, info), *text = NULL;
	size_t size;

	printf("%s: %s\n", info->name, info->summary);
	print_year(info);
	printf("lives in  %s\nbreaks    %s\nmode      %s, priority %c\nseen by   %s\n",
	       info->component, info->backends, mutant_mode_name(info->mode), info->priority,
	       info->checks);
	if (access(path, R_OK) == 0)
		text = cli_read_file(path, &size);
	if (text)
		printf("trigger   %s\n\n%s", path, text);
	free(text);
	free(path);
	return CLI_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

struct session {
	struct arguments *arguments;
	enum mutant mutant;
	struct trace trace;
	json_t *results; /* NULL: text */
	uint32_t good, bad;
};

static const char *verdict(const struct mutant_run *run)
{
	if (run->found)
		return run->finding.signature;
	if (run->triggered)
		return "triggered, not found";
	return run->reached ? "reached, not triggered" : "not reached";
}

static json_t *run_json(const struct session *session, const char *path,
			const struct mutant_run *run)
{
	json_t *object =
		json_pack("{s:s,s:s,s:I,s:I,s:b}", "mutant", mutant_table[session->mutant].name,
			  "trace", path, "reached", (json_int_t)run->reached, "triggered",
			  (json_int_t)run->triggered, "found", run->found);

	if (run->found)
		json_object_set_new(object, "finding", cli_finding_json(&run->finding));
	return object;
}

/* Run the session's trace, or say what the host refused. */
static int run_loaded(struct session *session, enum mutant mutant, struct mutant_run *run)
{
	mutant_run(&session->trace, mutant, &session->arguments->lockstep.diff, run);
	if (run->found < 0)
		return cli_error(CLI_INTERNAL, "cannot run a trace: %s", strerror(-run->found));
	return CLI_OK;
}

static int run_file(const char *path, void *arg)
{
	struct session *session = arg;
	struct mutant_run run;
	int status;

	trace_clear(&session->trace);
	status = cli_load_trace(path, CLI_GUESS, &session->trace);
	if (!status)
		status = run_loaded(session, session->mutant, &run);
	if (status)
		return status;
	if (session->results)
		json_array_append_new(session->results, run_json(session, path, &run));
	else
		printf("%s  reached %" PRIu64 ", triggered %" PRIu64 ": %s  %s\n",
		       mutant_table[session->mutant].name, run.reached, run.triggered,
		       verdict(&run), path);
	return run.found ? CLI_FINDING : CLI_OK;
}

static int run_traces(struct session *session)
{
	struct arguments *arguments = session->arguments;
	char *path = trigger_path(arguments, &mutant_table[session->mutant]);
	int status = CLI_OK;

	if (!arguments->nr)
		status = run_file(path, session);
	for (int i = 0; i < arguments->nr; i++)
		status = cli_graver(
			status, cli_each_trace(arguments->words[i], CLI_TRACES, run_file, session));
	free(path);
	return status;
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* "# mutant: VMA-01 expects: model,content" at the beginning of a line of TEXT: the checks, which
 * are copied to BUF. False: there is no such line. */
static bool annotation(const char *text, const char *name, char *buf, size_t size)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\n# mutant: %s expects: ", name);
	at = strstr(text, line);
	if (!at)
		return false;
	at += strlen(line);
	snprintf(buf, size, "%.*s", (int)strcspn(at, " \n"), at);
	return true;
}

static bool subset_of_row(const char *checks, const char *row)
{
	for (int check = 0; check < NR_CHECKS; check++) {
		if (mutant_has_check(checks, (enum diff_check)check) &&
		    !mutant_has_check(row, (enum diff_check)check))
			return false;
	}
	return true;
}

/* NULL: as it should be; else what is not. BUF may hold the sentence. */
static const char *examine(struct session *session, const char *text, char *buf, size_t size)
{
	const struct mutant_info *info = &mutant_table[session->mutant];
	struct mutant_run off, on;
	char checks[64];

	if (!annotation(text, info->name, checks, sizeof(checks)))
		return "has no line \"# mutant: ID expects: CHECK\"";
	if (!subset_of_row(checks, info->checks))
		return "expects a check that its row does not name";
	if (run_loaded(session, MUTANT_NONE, &off) || run_loaded(session, session->mutant, &on))
		return "could not be run";
	if (off.found) {
		snprintf(buf, size, "shows %s with the mutant off", off.finding.signature);
		return buf;
	}
	if (!on.found || !on.reached || !on.triggered) {
		snprintf(buf, size, "is %s (reached %" PRIu64 ", triggered %" PRIu64 ")",
			 verdict(&on), on.reached, on.triggered);
		return buf;
	}
	if (mutant_has_check(checks, on.finding.check))
		return NULL;
	snprintf(buf, size, "is seen by %s, and not by %s", on.finding.signature, checks);
	return buf;
}

static int verify_one(struct session *session)
{
	const struct mutant_info *info = &mutant_table[session->mutant];
	char *path = trigger_path(session->arguments, info), *text, buf[192];
	int status = CLI_USAGE;
	const char *wrong;
	size_t size;

	text = cli_read_file(path, &size);
	trace_clear(&session->trace);
	if (text)
		status = cli_parse_trace(path, CLI_TEXT, text, size, &session->trace);
	if (!status) {
		wrong = examine(session, text, buf, sizeof(buf));
		if (wrong)
			status = cli_error(CLI_FINDING, "%s %s", path, wrong);
	}
	session->good += !status;
	session->bad += status != CLI_OK;
	free(text);
	free(path);
	return status;
}

/* Each row's, or those that are named. */
static int verify(struct session *session)
{
	const struct arguments *arguments = session->arguments;
	int status = CLI_OK;

	for (int i = MUTANT_NONE + 1; i < NR_MUTANTS && !arguments->nr; i++) {
		session->mutant = (enum mutant)i;
		status = cli_graver(status, verify_one(session));
	}
	for (int i = 0; i < arguments->nr; i++) {
		session->mutant = mutant_find(arguments->words[i]);
		if (!session->mutant)
			return cli_error(CLI_USAGE, "there is no mutant \"%s\"",
					 arguments->words[i]);
		status = cli_graver(status, verify_one(session));
	}
	printf("%" PRIu32 " mutants as they should be, %" PRIu32 " not\n", session->good,
	       session->bad);
	return status;
}

/* ---- commands ------------------------------------------------------------------------------- */

static int with_session(struct arguments *arguments, enum mutant mutant,
			int (*fn)(struct session *session))
{
	struct session session = {.arguments = arguments, .mutant = mutant};
	int status;

	if (!MUTANTS_BUILT)
		return cli_error(CLI_USAGE, MUTANTS_HOWTO);
	trace_init(&session.trace, &machine_presets[0].config);
	session.results = arguments->json ? json_array() : NULL;
	status = fn(&session);
	if (session.results)
		status = cli_graver(status, cli_print_json(session.results));
	trace_release(&session.trace);
	return status;
}

/* The mutant that the command's first word names, which is taken off. */
static enum mutant take_mutant(struct arguments *arguments)
{
	enum mutant mutant = MUTANT_NONE;

	if (arguments->nr)
		mutant = mutant_find(arguments->words[0]);
	if (mutant) {
		arguments->words++;
		arguments->nr--;
	} else {
		cli_error(CLI_USAGE, "there is no mutant \"%s\"; rmapfuzz mutants list has them",
			  arguments->nr ? arguments->words[0] : "");
	}
	return mutant;
}

static int show(struct arguments *arguments)
{
	enum mutant mutant = take_mutant(arguments);

	return mutant ? show_one(arguments, mutant) : CLI_USAGE;
}

static int run(struct arguments *arguments)
{
	enum mutant mutant = take_mutant(arguments);

	return mutant ? with_session(arguments, mutant, run_traces) : CLI_USAGE;
}

static int verify_all(struct arguments *arguments)
{
	return with_session(arguments, MUTANT_NONE, verify);
}

/* Of all, or of those that are named. */
static int score_them(struct arguments *arguments)
{
	struct score_arguments *score = &arguments->score;

	if (!MUTANTS_BUILT)
		return cli_error(CLI_USAGE, MUTANTS_HOWTO);
	for (int i = MUTANT_NONE + 1; i < NR_MUTANTS && !arguments->nr; i++)
		score->mutants[score->nr_mutants++] = (enum mutant)i;
	while (arguments->nr && score->nr_mutants < NR_MUTANTS) {
		enum mutant mutant = take_mutant(arguments);

		if (!mutant)
			return CLI_USAGE;
		score->mutants[score->nr_mutants++] = mutant;
	}
	score->options = arguments->lockstep.diff;
	return mutants_score(score);
}

static const struct {
	const char *name;
	int (*run)(struct arguments *arguments);
} commands[] = {{"list", list},
		{"show", show},
		{"run", run},
		{"verify", verify_all},
		{"score", score_them}};

int cmd_mutants(int argc, char **argv)
{
	static const struct argp_child children[] = {{.argp = &cli_lockstep_argp}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc =
			"list\nshow ID\nrun ID [FILE|DIRECTORY...]\nverify [ID...]\nscore [ID...]",
		.doc = "Bugs that real kernels had, switched on one at a time, and whether they "
		       "are "
		       "found. run takes the hand-written trace if none is named; status 1: "
		       "found. verify: every hand-written trace finds its mutant and nothing "
		       "else; status 1: not so. score: how soon engines find them."};
	struct arguments arguments = {.directory = TRIGGERS,
				      .score = {.directory = "score",
						.engines = {"run", "enumerate"},
						.nr_engines = 2,
						.configs = {"full"},
						.nr_configs = 1,
						.seeds = 3,
						.executions = 20000,
						.jobs = 1}};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, arguments.words[0]) == 0) {
			arguments.words++;
			arguments.nr--;
			return commands[i].run(&arguments);
		}
	}
	return cli_error(CLI_USAGE, "mutants: list, show, run, verify or score, not \"%s\"",
			 arguments.words[0]);
}

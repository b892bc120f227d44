/*
 * rmapfuzz mutants score: trials of mutants against engines.
 *
 *   DIR/trials.tsv    a line for each trial that is done; those are not done again
 *   DIR/score.md      tables          DIR/{triggered,detected}.{tsv,gnuplot,svg}   survival curves
 *   DIR/N.trial       what process N is at
 *
 * Each trial is a process, --jobs of them at a time. `run` and `enumerate` are looked for in that
 * process; libFuzzer and AFL++ are programs that it becomes. In either case the process may die of
 * what it finds, so it counts in a file that both share (trial.h), and this one writes the line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mutants_score.h"

#define INPUT_MAX "1024" /* bytes, as ./dev fuzz has it */

/* A trial under way. */
struct slot {
	pid_t pid; /* 0: free */
	struct score_key key;
	struct trial *trial;
	char *path, *work; /* of the trial, and a directory for an engine */
};

struct scoring {
	const struct score_arguments *arguments;
	struct score score;
	struct slot *slots;
	char *results;
	uint64_t done, skipped;
	int status;
};

/* A path below the directory, to be freed. */
static char *path_to(const struct score_arguments *arguments, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", arguments->directory, name) < 0)
		abort();
	return path;
}

/* ---- engines ----------------------------------------------------------------------------------
 */

/* Everything that an engine says goes to LOG. */
static void redirect(const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd < 0)
		_exit(CLI_INTERNAL);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static void set_configuration(const char *config)
{
	if (!strcmp(config, "no-feedback"))
		setenv("RMAP_FEEDBACK", "0", 1);
	if (!strcmp(config, "no-mutator"))
		setenv("RMAP_MUTATOR", "0", 1);
	if (!strncmp(config, "without-", 8))
		setenv("RMAP_WITHOUT", config + 8, 1);
}

static char *format(const char *with, const char *what)
{
	char *text;

	if (asprintf(&text, with, what) < 0)
		abort();
	return text;
}

static char *number(const char *with, uint64_t n)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, n);
	return format(with, digits);
}

static _Noreturn void become_libfuzzer(const struct score_arguments *arguments,
				       const struct slot *slot)
{
	char *argv[] = {(char *)arguments->libfuzzer,
			number("-seed=%s", slot->key.seed),
			number("-runs=%s", slot->key.bound),
			"-max_len=" INPUT_MAX,
			"-timeout=10",
			"-detect_leaks=0",
			format("-artifact_prefix=%s/", slot->work),
			format("%s/corpus", slot->work),
			NULL};

	mkdir(argv[7], 0777);
	execv(argv[0], argv);
	_exit(CLI_INTERNAL);
}

/* It wants one input to begin with: an empty trace. */
static _Noreturn void become_afl(const struct score_arguments *arguments, const struct slot *slot)
{
	char *seeds = format("%s/in", slot->work), *first = format("%s/in/empty", slot->work);
	char *argv[] = {"afl-fuzz",
			"-i",
			seeds,
			"-o",
			format("%s/out", slot->work),
			"-E",
			number("%s", slot->key.bound),
			"-s",
			number("%s", slot->key.seed),
			"-G",
			INPUT_MAX,
			"-t",
			"10000",
			"-m",
			"none",
			"--",
			(char *)arguments->afl,
			NULL};
	int fd;

	mkdir(seeds, 0777);
	fd = open(first, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd < 0 || write(fd, "", 1) != 1)
		_exit(CLI_INTERNAL);
	close(fd);
	if (arguments->afl_mutator && strcmp(slot->key.config, "no-mutator") != 0)
		setenv("AFL_CUSTOM_MUTATOR_LIBRARY", arguments->afl_mutator, 1);
	setenv("AFL_BENCH_UNTIL_CRASH", "1", 1);
	setenv("AFL_NO_UI", "1", 1);
	setenv("AFL_SKIP_CPUFREQ", "1", 1);
	setenv("AFL_NO_AFFINITY", "1", 1);
	setenv("AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES", "1", 1);
	execvp(argv[0], argv);
	_exit(CLI_INTERNAL);
}

static _Noreturn void become(const struct score_arguments *arguments, const struct slot *slot)
{
	struct diff_options options = arguments->options;
	const char *config = slot->key.config;
	char *log = format("%s/log", slot->work);

	redirect(log);
	setenv("RMAP_MUTANT", slot->key.mutant, 1);
	setenv("RMAP_TRIAL", slot->path, 1);
	set_configuration(config);
	if (!strcmp(slot->key.engine, "libfuzzer"))
		become_libfuzzer(arguments, slot);
	if (!strcmp(slot->key.engine, "afl"))
		become_afl(arguments, slot);
	if (!strncmp(config, "without-", 8))
		(void)diff_check_mask(config + 8, &options.without);
	if (!strcmp(slot->key.engine, "run"))
		trial_run_generated(slot->trial, &options, slot->key.seed);
	else
		trial_run_enumerated(slot->trial, &options);
	_exit(CLI_OK);
}

/* ---- trials -----------------------------------------------------------------------------------
 */

static void remove_tree(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
		_exit(CLI_INTERNAL);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void release_slot(struct slot *slot)
{
	trial_close(slot->trial);
	unlink(slot->path);
	remove_tree(slot->work);
	free(slot->path);
	free(slot->work);
	*slot = (struct slot){0};
}

/* AFL++ keeps crashes as files, and ends well. */
static bool afl_crashed(const struct slot *slot)
{
	char *command = format("ls %s/out/default/crashes/id* >/dev/null 2>&1", slot->work);
	bool crashed = system(command) == 0;

	free(command);
	return crashed;
}

/* The engine of a trial, or the process itself, has ended with STATUS. */
static int settle(struct scoring *scoring, struct slot *slot, int status)
{
	struct trial *trial = slot->trial;
	bool afl = !strcmp(slot->key.engine, "afl");

	if (WIFEXITED(status) && WEXITSTATUS(status) == CLI_INTERNAL)
		return cli_error(CLI_INTERNAL, "%s could not be started", slot->key.engine);
	if (!trial->detected.execution && (afl ? afl_crashed(slot) : status != 0))
		trial_crashed(trial);
	if (trial->detected.execution && !trial->reached.execution)
		return cli_error(CLI_INTERNAL, "%s is detected (%s) and was not reached",
				 slot->key.mutant, trial->signature);
	scoring->done++;
	fprintf(stderr, "%s %s %s %" PRIu64 ": %" PRIu64 " executions, %s %s\n", slot->key.mutant,
		slot->key.engine, slot->key.config, slot->key.seed, trial->executions,
		trial->detected.execution    ? "detected"
		: trial->triggered.execution ? "triggered"
		: trial->reached.execution   ? "reached"
					     : "not reached",
		trial->signature);
	if (score_append(scoring->results, &slot->key, trial))
		return cli_error(CLI_INTERNAL, "%s: %s", scoring->results, strerror(errno));
	return CLI_OK;
}

/* Wait for one trial. */
static void reap(struct scoring *scoring)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (uint32_t i = 0; pid > 0 && i < scoring->arguments->jobs; i++) {
		struct slot *slot = &scoring->slots[i];

		if (slot->pid != pid)
			continue;
		scoring->status = cli_graver(scoring->status, settle(scoring, slot, status));
		release_slot(slot);
	}
}

static struct slot *free_slot(struct scoring *scoring)
{
	for (;;) {
		for (uint32_t i = 0; i < scoring->arguments->jobs; i++) {
			if (!scoring->slots[i].pid)
				return &scoring->slots[i];
		}
		reap(scoring);
	}
}

static void start(struct scoring *scoring, const struct score_key *key)
{
	struct slot *slot = free_slot(scoring);
	char name[32];

	if (scoring->status)
		return;
	snprintf(name, sizeof(name), "%d.trial", (int)(slot - scoring->slots));
	slot->key = *key;
	slot->path = path_to(scoring->arguments, name);
	snprintf(name, sizeof(name), "%d.work", (int)(slot - scoring->slots));
	slot->work = path_to(scoring->arguments, name);
	remove_tree(slot->work);
	unlink(slot->path);
	slot->trial = trial_open(slot->path);
	if (!slot->trial || mkdir(slot->work, 0777)) {
		scoring->status = cli_error(CLI_INTERNAL, "%s: %s", slot->work, strerror(errno));
		return;
	}
	slot->trial->mutant.active = mutant_find(key->mutant);
	slot->trial->bound = strcmp(key->engine, "run") && strcmp(key->engine, "enumerate")
				     ? UINT64_MAX
				     : key->bound;
	fflush(NULL);
	slot->pid = fork();
	if (slot->pid == 0)
		become(scoring->arguments, slot);
	if (slot->pid < 0)
		scoring->status = cli_error(CLI_INTERNAL, "fork: %s", strerror(errno));
}

/* State feedback and mutator belong to fuzzers. */
static bool makes_sense(const char *engine, const char *config)
{
	bool fuzzer = !strcmp(engine, "libfuzzer") || !strcmp(engine, "afl");

	return fuzzer || !strncmp(config, "without-", 8) || !strcmp(config, "full");
}

static void consider(struct scoring *scoring, enum mutant mutant, const char *engine,
		     const char *config, uint64_t seed)
{
	struct score_key key = {.seed = seed, .bound = scoring->arguments->executions};

	snprintf(key.mutant, sizeof(key.mutant), "%s", mutant_table[mutant].name);
	snprintf(key.engine, sizeof(key.engine), "%s", engine);
	snprintf(key.config, sizeof(key.config), "%s", config);
	if (score_has(&scoring->score, &key))
		scoring->skipped++;
	else if (!scoring->status)
		start(scoring, &key);
}

/* Seeds are outermost: whoever stops early has something of everything. */
static void run_trials(struct scoring *scoring)
{
	const struct score_arguments *arguments = scoring->arguments;

	for (uint64_t seed = 1; seed <= arguments->seeds; seed++) {
		for (uint32_t e = 0; e < arguments->nr_engines; e++) {
			for (uint32_t c = 0; c < arguments->nr_configs; c++) {
				const char *engine = arguments->engines[e];
				const char *config = arguments->configs[c];

				if (!makes_sense(engine, config) ||
				    (seed > 1 && !strcmp(engine, "enumerate")))
					continue;
				for (uint32_t m = 0; m < arguments->nr_mutants; m++)
					consider(scoring, arguments->mutants[m], engine, config,
						 seed);
			}
		}
	}
	for (uint32_t i = 0; i < arguments->jobs; i++) {
		while (scoring->slots[i].pid)
			reap(scoring);
	}
}

/* ---- the report -------------------------------------------------------------------------------
 */

static void print_score(FILE *out, const void *what)
{
	score_print(what, out);
}

static void draw(const struct score_arguments *arguments, const char *script)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(arguments->directory) == 0)
			execlp("gnuplot", "gnuplot", script, (char *)NULL);
		_exit(CLI_INTERNAL);
	}
	if (pid > 0 && (waitpid(pid, &(int){0}, 0) != pid))
		cli_error(CLI_INTERNAL, "gnuplot: %s", strerror(errno));
}

static int report(struct scoring *scoring)
{
	const struct score_arguments *arguments = scoring->arguments;
	char *tables = path_to(arguments, "score.md");
	int status = cli_write_file(tables, print_score, &scoring->score);

	if (status == CLI_OK && score_plot(&scoring->score, arguments->directory))
		status = cli_error(CLI_INTERNAL, "%s: %s", arguments->directory, strerror(errno));
	if (status == CLI_OK) {
		draw(arguments, "triggered.gnuplot");
		draw(arguments, "detected.gnuplot");
		score_print(&scoring->score, stdout);
	}
	free(tables);
	return status;
}

int mutants_score(const struct score_arguments *arguments)
{
	struct scoring scoring = {.arguments = arguments};
	int err;

	if (mkdir(arguments->directory, 0777) && errno != EEXIST)
		return cli_error(CLI_INTERNAL, "%s: %s", arguments->directory, strerror(errno));
	scoring.results = path_to(arguments, "trials.tsv");
	scoring.slots = calloc(arguments->jobs, sizeof(*scoring.slots));
	err = score_read(&scoring.score, scoring.results);
	if (err || !scoring.slots)
		return cli_error(CLI_INTERNAL, "%s: %s", scoring.results, strerror(-err));
	run_trials(&scoring);
	fprintf(stderr, "%" PRIu64 " trials done, %" PRIu64 " were there\n", scoring.done,
		scoring.skipped);
	score_release(&scoring.score);
	err = score_read(&scoring.score, scoring.results);
	if (err)
		scoring.status = cli_error(CLI_INTERNAL, "%s: %s", scoring.results, strerror(-err));
	if (!scoring.status)
		scoring.status = report(&scoring);
	score_release(&scoring.score);
	free(scoring.slots);
	free(scoring.results);
	return scoring.status;
}

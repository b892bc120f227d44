/*
 * rmapfuzz run: what was found. The first finding of each signature is kept with its trace, the
 * command that shows it again and, if so wished, a minimized trace and its story, for the reports.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explain.h"
#include "minimize.h"
#include "run.h"

/* A finding and where it came from. */
struct origin {
	const struct run *run;
	const struct finding *finding;
	const char *path; /* NULL: generated from */
	uint64_t seed;
};

/* What PRINT prints, to be freed, or NULL. */
static char *text_of(void (*print)(FILE *out, const void *what), const void *what)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print(out, what);
	return fclose(out) ? NULL : text;
}

/* ---- how to see it again ------------------------------------------------------------------ */

/* The command that makes and runs this trace again. */
static void print_command(FILE *out, const void *what)
{
	const struct origin *origin = what;
	const struct run *run = origin->run;
	const struct run_arguments *arguments = run->arguments;
	char text[MACHINE_CONFIG_TEXT_MAX];

	if (origin->path) {
		fprintf(out, "rmapfuzz replay %s", origin->path);
		cli_lockstep_print(&arguments->lockstep, out);
		return;
	}
	fprintf(out, "rmapfuzz run --seed 0x%" PRIx64 " --traces 1 --ops %" PRIu32, origin->seed,
		arguments->generate.nr_ops);
	machine_config_print(&run->trace.config, text, sizeof(text));
	if (strcmp(text, machine_presets[0].name) != 0)
		fprintf(out, " --machine '%s'", text);
	if (arguments->generate.faults)
		fputs(" --faults", out);
	if (arguments->generate.actors)
		fputs(" --actors", out);
	if (arguments->fail_sweep)
		fputs(" --fail-sweep", out);
	if (arguments->metamorphic)
		fputs(" --metamorphic", out);
	cli_lockstep_print(&arguments->lockstep, out);
}

static void print_saved(FILE *out, const void *what)
{
	const struct origin *origin = what;

	fprintf(out, "# found: %s\n# by: ", origin->finding->signature);
	print_command(out, origin);
	fputc('\n', out);
	trace_print(&origin->run->trace, out);
}

/* The file to save to: PATH, or a name made of the signature if that is a directory. */
static char *out_path(const char *path, const struct origin *origin)
{
	struct stat st;
	char *name;
	size_t n = strlen(path);
	bool slash = n && path[n - 1] == '/';

	if (!slash && (stat(path, &st) || !S_ISDIR(st.st_mode)))
		return strdup(path);
	if (asprintf(&name, "%s%s%s-%016" PRIx64 ".trace", path, slash ? "" : "/",
		     origin->finding->signature, origin->seed) < 0)
		return NULL;
	for (char *c = name + n; *c; c++) {
		if (*c == ':')
			*c = '-';
	}
	return name;
}

static int save(const struct origin *origin, struct kind *kind)
{
	int status;

	kind->path = out_path(origin->run->arguments->out, origin);
	if (!kind->path)
		return cli_error(CLI_INTERNAL, "out of memory");
	status = cli_write_file(kind->path, print_saved, origin);
	if (status == CLI_OK && strcmp(kind->path, "-") != 0)
		fprintf(stderr, "  saved     %s\n", kind->path);
	return status;
}

/* ---- minimized, and told ------------------------------------------------------------------- */

struct minimal {
	const struct trace *trace;
	const struct minimize_report *report;
	struct cli_lockstep lockstep;
};

static void print_minimal(FILE *out, const void *what)
{
	const struct minimal *minimal = what;

	cli_lockstep_note(&minimal->lockstep, out);
	minimize_print(minimal->trace, minimal->report, out);
}

static _Noreturn void tell(const struct trace *trace, const struct diff_options *options, FILE *out)
{
	struct explanation explanation;

	if (explain(trace, options, &explanation))
		_exit(1);
	explain_print(&explanation, trace, out);
	_exit(fflush(out) ? 1 : 0);
}

/* All of OUT as text, to be freed, or NULL. */
static char *text_in(FILE *out)
{
	long size = fseek(out, 0, SEEK_END) ? -1 : ftell(out);
	char *text = size > 0 ? calloc(1, (size_t)size + 1) : NULL;

	rewind(out);
	if (text && fread(text, 1, (size_t)size, out) != (size_t)size) {
		free(text);
		return NULL;
	}
	return text;
}

/* The story of what TRACE shows, to be freed, or NULL. A broken design that is asked about every
 * page may do anything, so it is asked in a process of its own. */
static char *story_of(const struct trace *trace, const struct diff_options *options)
{
	FILE *out = tmpfile();
	char *text = NULL;
	int status = 1;
	pid_t pid;

	if (!out)
		return NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		tell(trace, options, out);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && !status)
		text = text_in(out);
	fclose(out);
	return text;
}

/* What metamorphic checks find, lockstep does not: then there is nothing to minimize. */
static void explain_kind(const struct run *run, struct kind *kind)
{
	struct minimize_options options;
	struct minimize_report report;
	struct trace trace = {0};
	struct minimal minimal = {&trace, &report, run->arguments->lockstep};

	minimize_options_init(&options);
	options.diff = run->arguments->lockstep.diff;
	options.diff.coverage = NULL;
	options.isolate = true;
	trace_init(&trace, &run->trace.config);
	if (!trace_copy(&trace, &run->trace) && !minimize(&trace, &options, &report)) {
		options.diff.check_every = report.check_every;
		minimal.lockstep.diff.check_every = report.check_every;
		kind->minimal = text_of(print_minimal, &minimal);
		kind->story = story_of(&trace, &options.diff);
	}
	trace_release(&trace);
	if (!kind->minimal)
		return;
	fprintf(stderr, "\nminimized to %" PRIu32 " of %" PRIu32 " ops:\n\n%s", report.ops_after,
		report.ops_before, kind->story ? kind->story : kind->minimal);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static struct kind *kind_of(struct run *run, const struct finding *finding)
{
	for (uint32_t i = 0; i < run->nr_kinds; i++) {
		if (strcmp(run->kinds[i].finding.signature, finding->signature) == 0)
			return &run->kinds[i];
	}
	if (run->nr_kinds == SIGNATURES_MAX)
		return NULL;
	run->kinds[run->nr_kinds].finding = *finding;
	return &run->kinds[run->nr_kinds++];
}

int run_found(struct run *run, const struct finding *finding, const char *path, uint64_t seed)
{
	const struct run_arguments *arguments = run->arguments;
	struct origin origin = {run, finding, path, seed};
	struct kind *kind = kind_of(run, finding);
	int status = CLI_OK;

	run->findings++;
	if (!kind || kind->count++)
		return CLI_OK;
	run_clear_progress(run);
	kind->trace = text_of(print_saved, &origin);
	kind->command = text_of(print_command, &origin);
	if (!kind->trace || !kind->command)
		return cli_error(CLI_INTERNAL, "out of memory");
	if (path)
		fprintf(stderr, "%s:\n", path);
	finding_print(finding, &run->trace, stderr);
	if (arguments->out)
		status = save(&origin, kind);
	else if (!arguments->json && !path)
		fputs(kind->trace, stdout);
	fprintf(stderr, "  again     %s\n", kind->command);
	if (arguments->explain)
		explain_kind(run, kind);
	return status;
}

void run_kinds_release(struct run *run)
{
	for (uint32_t i = 0; i < run->nr_kinds; i++) {
		free(run->kinds[i].trace);
		free(run->kinds[i].command);
		free(run->kinds[i].path);
		free(run->kinds[i].story);
		free(run->kinds[i].minimal);
	}
	free(run->kinds);
}

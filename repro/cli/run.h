/*
 * What the files of `rmapfuzz run` share.
 *
 *   cmd_run.c        options, and the loop over traces
 *   run_findings.c   what was found: kinds, saved traces, minimized ones, stories
 *   run_summary.c    progress and summary, as text and as JSON
 *   run_reports.c    the same for machines and pull requests: JUnit, SARIF, Markdown
 */
#ifndef RMAPFUZZ_CLI_RUN_H
#define RMAPFUZZ_CLI_RUN_H

#include "metamorph.h"
#include "options.h"

enum machine_choice { MACHINE_ONE, MACHINE_ALL, MACHINE_RANDOM };

struct run_arguments {
	struct cli_lockstep lockstep;
	struct generate_options generate;
	struct machine_config config;
	enum machine_choice choice;
	const char *machine; /* as given */
	uint64_t seed, traces;
	double seconds; /* 0: no limit */
	const char *out;
	char *corpus;                         /* traces to run first */
	const char *junit, *sarif, *markdown; /* files to write reports to, or NULL */
	bool keep_going, json, quiet, hash, metamorphic, coverage, explain;
	bool fail_sweep;
};

/* The findings of one signature, by the first of them. */
struct kind {
	struct finding finding;
	uint64_t count;
	char *trace;   /* as text, with a header that says how it came about */
	char *command; /* that makes and runs it again */
	char *path;    /* where it was saved, or NULL */
	char *story;   /* with --explain: of the minimized trace; NULL */
	char *minimal; /* with --explain: that trace as text; NULL */
};

struct run {
	const struct run_arguments *arguments;
	struct diff *diff;
	struct metamorph *metamorphs[DIFF_SUBJECTS_MAX + 1]; /* --metamorphic: one per backend */
	struct trace trace;
	struct trace failing; /* --fail-sweep: the trace with a failure in it */
	struct kind *kinds;   /* SIGNATURES_MAX of them */
	uint32_t nr_kinds;
	uint64_t findings;
	double start, shown; /* seconds */
	bool terminal;
};

#define SIGNATURES_MAX 1000u

/* ---- run_findings.c ---------------------------------------------------------------------- */

/*
 * run->trace shows FINDING. PATH: the file it was read from; NULL: it was generated from SEED. Only
 * the first of each kind is printed, saved and explained. CLI_OK or CLI_INTERNAL, after a message.
 */
int run_found(struct run *run, const struct finding *finding, const char *path, uint64_t seed);
void run_kinds_release(struct run *run);

/* ---- run_summary.c ----------------------------------------------------------------------- */

double run_now(void);
void run_show_progress(struct run *run, double at);
void run_clear_progress(const struct run *run);
/* After a run of SPENT seconds. */
void run_print_summary(const struct run *run, double spent);
void run_print_coverage(const struct run *run);
/* CLI_OK or CLI_INTERNAL, after a message. */
int run_print_json(const struct run *run, double spent);

/* ---- run_reports.c ----------------------------------------------------------------------- */

/* All that were asked for. CLI_OK or CLI_INTERNAL, after a message. */
int run_write_reports(const struct run *run, double spent);

#endif

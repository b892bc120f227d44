/*
 * Options that several commands share. A command lists the argp as a child and points
 * state->child_inputs[i] at the struct, in ARGP_KEY_INIT.
 */
#ifndef RMAPFUZZ_CLI_OPTIONS_H
#define RMAPFUZZ_CLI_OPTIONS_H

#include <argp.h>

#include "cli.h"

#define CLI_PLUGINS_MAX 8
#define CLI_CHECK_EVERY 16 /* what diff_options_init sets */

/* Who runs in lockstep, and how often everything is recomputed. */
struct cli_lockstep {
	struct diff_options diff; /* both argps begin with diff_options_init */
	bool some_backends;       /* named, not the default set */
	const char *plugins[CLI_PLUGINS_MAX];
	uint32_t nr_plugins; /* their backends are the last of diff.backends */
	struct mutant_state mutant;
};
extern const struct argp cli_backends_argp; /* who alone */
extern const struct argp cli_lockstep_argp; /* both */

/* " --backends a,b --check-every 4": what differs from the defaults, as options. */
void cli_lockstep_print(const struct cli_lockstep *lockstep, FILE *out);
/* The same as a comment above a trace, "# with: ..."; nothing if replay needs to be told nothing.
 */
void cli_lockstep_note(const struct cli_lockstep *lockstep, FILE *out);

/* On what machine, if not a trace's own. */
struct cli_machine {
	struct machine_config config;
	bool given;
};
extern const struct argp cli_machine_argp;

/* The one trace that a command is about: input is a const char *. */
extern const struct argp cli_input_argp;

/* All that a command is about: at least one file or directory. */
struct cli_paths {
	char **paths;
	int nr;
};
extern const struct argp cli_paths_argp;

/* ARG as a number up to MAX; otherwise the command ends with a message about WHAT. */
uint64_t cli_number(struct argp_state *state, const char *what, const char *arg, uint64_t max);

#endif

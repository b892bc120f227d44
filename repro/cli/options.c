/*
 * The options that several commands share, as argp children: each command names in
 * ARGP_KEY_INIT where their answers go.
 *
 *   backends  --backends A,B  --backend A|./mine.so  --mutant ID
 *   lockstep  the same, --check-every K  --canary N
 *   machine   --machine MACHINE
 *   input     one FILE
 *   paths     FILE|DIRECTORY...
 */
#include "options.h"

#include <inttypes.h>
#include <string.h>

#include "mutant.h"
#include "plugin.h"

enum { KEY_BACKEND = 1024, KEY_MUTANT, KEY_WITHOUT, KEY_EVERY, KEY_CANARY, KEY_MACHINE };

uint64_t cli_number(struct argp_state *state, const char *what, const char *arg, uint64_t max)
{
	uint64_t n = 0;

	if (cli_parse_number(arg, max, &n))
		argp_error(state, "%s wants a number up to %" PRIu64 ", not \"%s\"", what, max,
			   arg);
	return n;
}

/* ---- lockstep --------------------------------------------------------------------------------
 */

static const struct argp_option backend_options[] = {
	{"backends", 'b', "A,B,...", 0,
	 "only these reverse maps (default: each design once; all: with each file side)", 0},
	{"backend", KEY_BACKEND, "A|FILE.so", 0,
	 "only this reverse map and others so named; a shared object (a name with a \"/\" in it) "
	 "joins those that are chosen, or all",
	 0},
	{"without", KEY_WITHOUT, "A,B,...", 0, "without these checks (docs/oracle.md)", 0},
	{"mutant", KEY_MUTANT, "ID", 0, "with this bug in all machines (rmapfuzz mutants list)", 0},
	{0},
};

static void add_backend(struct argp_state *state, struct cli_lockstep *lockstep,
			const struct rmap_ops *rmap)
{
	struct diff_options *diff = &lockstep->diff;

	for (uint32_t i = 0; i < diff->nr_backends; i++) {
		if (strcmp(diff->backends[i]->name, rmap->name) == 0)
			argp_error(state, "backend \"%s\" is named twice", rmap->name);
	}
	if (diff->nr_backends == DIFF_SUBJECTS_MAX)
		argp_error(state, "more than %d backends", DIFF_SUBJECTS_MAX);
	else
		diff->backends[diff->nr_backends++] = rmap;
}

/* One name; the first one replaces the default set. */
static void name_backend(struct argp_state *state, struct cli_lockstep *lockstep, const char *name)
{
	const struct rmap_ops *rmap = rmap_find(name);

	if (!rmap)
		argp_error(state, "there is no backend \"%s\"; rmapfuzz backends lists them", name);
	if (!lockstep->some_backends)
		lockstep->diff.nr_backends = 0;
	lockstep->some_backends = true;
	add_backend(state, lockstep, rmap);
}

/* Shared objects wait until all names are known, because they join them. */
static void name_plugin(struct argp_state *state, struct cli_lockstep *lockstep, const char *path)
{
	if (lockstep->nr_plugins == CLI_PLUGINS_MAX)
		argp_error(state, "more than %d shared objects", CLI_PLUGINS_MAX);
	else
		lockstep->plugins[lockstep->nr_plugins++] = path;
}

static void load_plugins(struct argp_state *state, struct cli_lockstep *lockstep)
{
	char error[256];

	for (uint32_t i = 0; i < lockstep->nr_plugins; i++) {
		const struct rmap_ops *rmap =
			plugin_load(lockstep->plugins[i], error, sizeof(error));

		if (!rmap)
			argp_error(state, "%s", error);
		add_backend(state, lockstep, rmap);
	}
}

static void name_mutant(struct argp_state *state, struct cli_lockstep *lockstep, const char *name)
{
	lockstep->mutant.active = mutant_find(name);
	if (!MUTANTS_BUILT)
		argp_error(state, MUTANTS_HOWTO);
	if (!lockstep->mutant.active)
		argp_error(state, "there is no mutant \"%s\"; rmapfuzz mutants list has them",
			   name);
}

static error_t parse_backends(int key, char *arg, struct argp_state *state)
{
	struct cli_lockstep *lockstep = state->input;
	char error[160];

	switch (key) {
	case 'b':
		if (cli_parse_backends(arg, &lockstep->diff, error, sizeof(error)))
			argp_error(state, "%s", error);
		lockstep->some_backends = true;
		return 0;
	case KEY_BACKEND:
		if (strchr(arg, '/'))
			name_plugin(state, lockstep, arg);
		else
			name_backend(state, lockstep, arg);
		return 0;
	case KEY_WITHOUT:
		if (!diff_check_mask(arg, &lockstep->diff.without))
			argp_error(state, "there is no check \"%s\"", arg);
		return 0;
	case KEY_MUTANT:
		name_mutant(state, lockstep, arg);
		return 0;
	case ARGP_KEY_INIT:
		diff_options_init(&lockstep->diff);
		mutant_options(&lockstep->diff, &lockstep->mutant);
		return 0;
	case ARGP_KEY_SUCCESS:
		load_plugins(state, lockstep);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_backends_argp = {.options = backend_options, .parser = parse_backends};

static const struct argp_option check_options[] = {
	{"check-every", KEY_EVERY, "K", 0,
	 "recompute everything every K operations, and at the end (default 16; 0: only at the end)",
	 0},
	{"canary", KEY_CANARY, "N", 0, "pretend a disagreement at operation N (from 1)", 0},
	{0},
};

static error_t parse_check(int key, char *arg, struct argp_state *state)
{
	struct cli_lockstep *lockstep = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = lockstep;
		return 0;
	case KEY_EVERY:
		lockstep->diff.check_every =
			(uint32_t)cli_number(state, "--check-every", arg, UINT32_MAX);
		return 0;
	case KEY_CANARY:
		lockstep->diff.canary = (uint32_t)cli_number(state, "--canary", arg, TRACE_OPS_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child check_children[] = {{.argp = &cli_backends_argp}, {0}};
const struct argp cli_lockstep_argp = {
	.options = check_options, .parser = parse_check, .children = check_children};

void cli_lockstep_print(const struct cli_lockstep *lockstep, FILE *out)
{
	const struct diff_options *diff = &lockstep->diff;
	uint32_t named = diff->nr_backends - lockstep->nr_plugins;

	for (uint32_t i = 0; lockstep->some_backends && i < named; i++)
		fprintf(out, "%s%s", i ? "," : " --backends ", diff->backends[i]->name);
	for (uint32_t i = 0; i < lockstep->nr_plugins; i++)
		fprintf(out, " --backend %s", lockstep->plugins[i]);
	for (int i = 0, n = 0; i < NR_CHECKS; i++) {
		if (diff->without >> i & 1)
			fprintf(out, "%s%s", n++ ? "," : " --without ",
				diff_check_name((enum diff_check)i));
	}
	if (lockstep->mutant.active)
		fprintf(out, " --mutant %s", mutant_table[lockstep->mutant.active].name);
	if (diff->check_every != CLI_CHECK_EVERY)
		fprintf(out, " --check-every %" PRIu32, diff->check_every);
	if (diff->canary)
		fprintf(out, " --canary %" PRIu32, diff->canary);
}

static bool is_default(const struct cli_lockstep *lockstep)
{
	return !lockstep->some_backends && !lockstep->nr_plugins && !lockstep->mutant.active &&
	       !lockstep->diff.without && !lockstep->diff.canary &&
	       lockstep->diff.check_every == CLI_CHECK_EVERY;
}

void cli_lockstep_note(const struct cli_lockstep *lockstep, FILE *out)
{
	if (is_default(lockstep))
		return;
	fputs("# with:", out);
	cli_lockstep_print(lockstep, out);
	fputc('\n', out);
}

/* ---- machine ----------------------------------------------------------------------------------
 */

static const struct argp_option machine_options[] = {
	{"machine", KEY_MACHINE, "MACHINE", 0,
	 "a preset and what differs from it, instead of the traces' own", 0},
	{0},
};

static error_t parse_machine(int key, char *arg, struct argp_state *state)
{
	struct cli_machine *machine = state->input;
	char error[160];

	if (key != KEY_MACHINE)
		return ARGP_ERR_UNKNOWN;
	if (machine_config_parse(&machine->config, arg, error, sizeof(error)))
		argp_error(state, "--machine: %s", error);
	machine->given = true;
	return 0;
}

const struct argp cli_machine_argp = {.options = machine_options, .parser = parse_machine};

/* ---- what a command is about --------------------------------------------------------------------
 */

static error_t parse_input(int key, char *arg, struct argp_state *state)
{
	const char **input = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (*input)
			argp_error(state, "one trace at a time, please");
		*input = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which trace?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_input_argp = {.parser = parse_input};

static error_t parse_paths(int key, char *arg, struct argp_state *state)
{
	struct cli_paths *paths = state->input;

	switch (key) {
	case ARGP_KEY_ARGS:
		paths->paths = state->argv + state->next;
		paths->nr = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which trace?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_paths_argp = {.parser = parse_paths};

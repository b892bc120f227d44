/*
 * rmapfuzz: the tool. The commands are rows of commands.def, each a function in cmd_NAME.c; this
 * finds the one that is asked for.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct command {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND(name, help) {#name, help, cmd_##name},
#include "commands.def"
#undef COMMAND
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Options before the command are ours; from the command on, everything is the command's. */
static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	int *first = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		*first = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_state_help(state, stderr, ARGP_HELP_STD_USAGE);
		exit(CLI_USAGE);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *list_commands(int key, const char *text, void *input)
{
	char *help = NULL;
	size_t size;
	FILE *out;

	if (key != ARGP_KEY_HELP_EXTRA)
		return (char *)text;
	out = open_memstream(&help, &size);
	if (!out)
		return NULL;
	fputs("Commands:\n", out);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n`rmapfuzz COMMAND --help` tells more.\n"
	      "Exit status: 0 nothing found, 1 a finding, 2 bad usage or input,\n"
	      "3 an internal error.",
	      out);
	fclose(out);
	return help;
}

static void print_version(FILE *out, struct argp_state *state)
{
	fprintf(out, "rmapfuzz %s (trace format %d)\n", RMAPFUZZ_VERSION, TRACE_FORMAT_VERSION);
}

int main(int argc, char **argv)
{
	const struct argp argp = {
		.parser = parse_option,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Fuzzing and differential testing of reverse mapping.",
		.help_filter = list_commands,
	};
	const struct command *command;
	char name[64];
	int first = 0;

	argp_err_exit_status = CLI_USAGE;
	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &first);
	command = command_find(argv[first]);
	if (!command)
		return cli_error(CLI_USAGE,
				 "there is no command \"%s\"; rmapfuzz --help lists them",
				 argv[first]);
	/* So that the command's own messages begin with both words. */
	snprintf(name, sizeof(name), "rmapfuzz %s", command->name);
	argv[first] = name;
	return cli_finish(command->run(argc - first, argv + first));
}

/*
 * rmapfuzz backends: the reverse maps, in the order of backends.def, and the file sides that those
 * which find file pages by areas can be combined with.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct argp_option options[] = {
	{"json", 'j', NULL, 0, "as JSON, with the sizes that each design gives its structures", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	if (key == ARGP_KEY_ARG)
		argp_error(state, "what is \"%s\"?", arg);
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*json = true;
	return 0;
}

static const char *side_name(const struct rmap_ops *rmap)
{
	return rmap->file ? rmap->file->name : "";
}

static void append_json(json_t *array, const struct rmap_ops *rmap)
{
	json_array_append_new(array,
			      json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "name", rmap->name, "summary",
					rmap->summary, "file_side", side_name(rmap), "page_bytes",
					(json_int_t)rmap->page_bytes, "vma_bytes",
					(json_int_t)rmap_vma_bytes(rmap), "mm_bytes",
					(json_int_t)rmap->mm_bytes));
}

/* The default set first, then what else can be combined. */
static int print_json(void)
{
	json_t *array = json_array();

	for (uint32_t i = 0; rmap_backends[i]; i++)
		append_json(array, rmap_backends[i]);
	for (uint32_t i = 0; rmap_combinations[i]; i++) {
		if (strchr(rmap_combinations[i]->name, '+'))
			append_json(array, rmap_combinations[i]);
	}
	return cli_print_json(array);
}

static void print_text(void)
{
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		const struct rmap_ops *rmap = rmap_backends[i];

		printf("%-16s %-14s %s\n", rmap->name, side_name(rmap), rmap->summary);
	}
	puts("\nFile sides, for designs that have one here: DESIGN+SIDE, and --backends all for "
	     "every "
	     "combination");
	for (uint32_t i = 0; rmap_file_sides[i]; i++)
		printf("  %-14s %s\n", rmap_file_sides[i]->name, rmap_file_sides[i]->summary);
}

int cmd_backends(int argc, char **argv)
{
	static const struct argp argp = {.options = options,
					 .parser = parse_option,
					 .doc = "List the reverse maps that this build has."};
	bool json = false;

	argp_parse(&argp, argc, argv, 0, NULL, &json);
	if (json)
		return print_json();
	print_text();
	return CLI_OK;
}

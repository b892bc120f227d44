/*
 * rmapfuzz backends: the reverse maps, in the order of backends.def.
 */
#include <argp.h>
#include <stdlib.h>

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

static int print_json(void)
{
	json_t *array = json_array();

	for (uint32_t i = 0; rmap_backends[i]; i++) {
		const struct rmap_ops *rmap = rmap_backends[i];

		json_array_append_new(array, json_pack("{s:s,s:s,s:I,s:I,s:I}", "name", rmap->name,
						       "summary", rmap->summary, "page_bytes",
						       (json_int_t)rmap->page_bytes, "vma_bytes",
						       (json_int_t)rmap->vma_bytes, "mm_bytes",
						       (json_int_t)rmap->mm_bytes));
	}
	return cli_print_json(array);
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
	for (uint32_t i = 0; rmap_backends[i]; i++)
		printf("%-16s %s\n", rmap_backends[i]->name, rmap_backends[i]->summary);
	return CLI_OK;
}

/*
 * rmapfuzz ops: the operations of the trace language, for people, documents, programs and fuzzers.
 */
#include <argp.h>
#include <stdlib.h>

#include "cli.h"

static const struct argp_option options[] = {
	{"json", 'j', NULL, 0, "as JSON: operands with their kinds and words", 0},
	{"markdown", 'm', NULL, 0, "the tables of docs/trace-format.md", 0},
	{"dict", 'd', NULL, 0, "a dictionary of the text form for libFuzzer and AFL++", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	int *form = state->input;

	if (key == ARGP_KEY_ARG)
		argp_error(state, "what is \"%s\"?", arg);
	if (key != 'j' && key != 'm' && key != 'd')
		return ARGP_ERR_UNKNOWN;
	if (*form && *form != key)
		argp_error(state, "one of --json, --markdown and --dict");
	*form = key;
	return 0;
}

static int print_plain(void)
{
	char synopsis[128];

	for (int code = 0; code < NR_OPS; code++) {
		op_synopsis((enum op_code)code, synopsis, sizeof(synopsis));
		printf("%s\n        %s\n", synopsis, op_info((enum op_code)code)->help);
	}
	return CLI_OK;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *operand_json(const struct op_operand *operand)
{
	json_t *object =
		json_pack("{s:s,s:s}", "name", operand->name, "kind", op_kind_name(operand->kind));
	const struct op_word *word = op_words(operand->kind);
	json_t *words = json_object();

	for (; word->name; word++)
		json_object_set_new(words, word->name, json_integer(word->value));
	if (json_object_size(words))
		json_object_set_new(object, "words", words);
	else
		json_decref(words);
	return object;
}

static int print_json(void)
{
	json_t *array = json_array();

	for (int code = 0; code < NR_OPS; code++) {
		const struct op_info *info = op_info((enum op_code)code);
		json_t *operands = json_array();
		char synopsis[128];

		for (int i = 0; i < info->nargs; i++)
			json_array_append_new(operands, operand_json(&info->operand[i]));
		op_synopsis((enum op_code)code, synopsis, sizeof(synopsis));
		json_array_append_new(array, json_pack("{s:s,s:i,s:s,s:s,s:o}", "name", info->name,
						       "code", code, "synopsis", synopsis, "help",
						       info->help, "operands", operands));
	}
	return cli_print_json(array);
}

/* ---- dictionary ------------------------------------------------------------------------------ */

/* Words that no table has: the first lines, names, results, properties. */
static const char *const more_words[] = {
	"rmapfuzz trace 1\\x0a",
	"machine ",
	"# expect: ",
	"clean",
	"mappers ",
	"p0 ",
	"p1 ",
	"p2 ",
	"w0 ",
	"w3 ",
	"r0",
	"r0+1 ",
	"f0 ",
	"f1 ",
	"0x08100000 ",
	"0x60003000 ",
	" = ok",
	" = EINVAL",
	" = ENOMEM",
	" = SEGV",
	" = BUS",
	" = zero",
	" = write 0",
	" = file f0 0",
	" = success",
	" (fail_nth: 1)",
	" (reclaim_nth: 1)",
	" (fail_meta: 1)",
	" (fail_from: 1)",
	" (fail_meta_from: 1)",
};

static int print_dictionary(void)
{
	printf("# Words of the text form of traces. Made by `rmapfuzz ops --dict`.\n");
	for (int code = 0; code < NR_OPS; code++)
		printf("\"\\x0a%s \"\n", op_info((enum op_code)code)->name);
	for (int kind = OPERAND_NONE; kind < NR_OPERAND_KINDS; kind++) {
		for (const struct op_word *word = op_words((enum operand_kind)kind); word->name;
		     word++)
			printf("\"%s\"\n", word->name);
	}
	for (size_t i = 0; i < sizeof(more_words) / sizeof(more_words[0]); i++)
		printf("\"%s\"\n", more_words[i]);
	for (size_t i = 0; machine_presets[i].name; i++)
		printf("\"machine %s\"\n", machine_presets[i].name);
	return CLI_OK;
}

int cmd_ops(int argc, char **argv)
{
	static const struct argp argp = {.options = options,
					 .parser = parse_option,
					 .doc = "List the operations of the trace language."};
	int form = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &form);
	switch (form) {
	case 'j':
		return print_json();
	case 'd':
		return print_dictionary();
	case 'm':
		op_table_markdown(stdout);
		printf("\n");
		point_table_markdown(stdout);
		return CLI_OK;
	default:
		return print_plain();
	}
}

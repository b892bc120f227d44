/*
 * Any bytes as the text form of a trace. If they parse: printing and parsing again changes nothing,
 * and the byte form keeps machine and ops. If they do not: the message is one line that begins with
 * the number of a line.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "trace.h"

#define ERROR_SIZE 512

static void require(bool cond, const char *what)
{
	if (cond)
		return;
	fprintf(stderr, "fuzz_trace_text: %s\n", what);
	abort();
}

/* TRACE printed, to be freed. */
static char *print(const struct trace *trace, size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	require(out != NULL, "no memory to print into");
	trace_print(trace, out);
	require(fclose(out) == 0, "printing failed");
	return text;
}

static void check_error(const char *error)
{
	require(isdigit((unsigned char)error[0]) && strstr(error, ": "), "an error names no line");
	for (const char *c = error; *c; c++)
		require(*c >= ' ' && *c < 0x7f, "an error has unprintable characters");
}

static void check_text(const struct trace *trace)
{
	struct trace again = {0};
	char error[ERROR_SIZE] = "";
	size_t size, size_again;
	char *text = print(trace, &size), *text_again;

	if (trace_parse(&again, text, size, error, sizeof(error))) {
		fprintf(stderr, "%s%s\n", text, error);
		require(false, "what was printed does not parse");
	}
	text_again = print(&again, &size_again);
	require(size == size_again && memcmp(text, text_again, size) == 0,
		"printing is not stable");
	free(text);
	free(text_again);
	trace_release(&again);
}

static void check_bytes(const struct trace *trace)
{
	struct trace again = {0};
	size_t size = trace_encode(trace, NULL, 0);
	uint8_t *bytes = malloc(size);
	char a[MACHINE_CONFIG_TEXT_MAX], b[MACHINE_CONFIG_TEXT_MAX];

	require(bytes != NULL, "no memory to encode into");
	require(trace_encode(trace, bytes, size) == size, "encoding is not stable");
	trace_decode(&again, bytes, size, TRACE_OPS_MAX);
	require(again.nr_ops == trace->nr_ops, "the byte form loses ops");
	for (uint32_t i = 0; i < trace->nr_ops; i++)
		require(memcmp(&again.ops[i], &trace->ops[i], sizeof(struct op)) == 0,
			"the byte form changes an op");
	machine_config_print(&trace->config, a, sizeof(a));
	machine_config_print(&again.config, b, sizeof(b));
	require(strcmp(a, b) == 0, "the byte form changes the machine");
	free(bytes);
	trace_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace trace = {0};
	char error[ERROR_SIZE] = "";

	if (trace_parse(&trace, (const char *)data, size, error, sizeof(error)) == 0) {
		check_text(&trace);
		check_bytes(&trace);
	} else {
		check_error(error);
	}
	trace_release(&trace);
	return 0;
}

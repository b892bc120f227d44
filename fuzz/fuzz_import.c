/*
 * Any bytes are a recording: the importer takes it or says what is wrong, and never crashes. What
 * it makes is the same twice, fits the trace format (print, parse, print is the identity), and
 * a recording that is taken strictly is taken the same way leniently.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "import.h"

static int import(struct trace *trace, const uint8_t *data, size_t size, bool lenient)
{
	static struct import_report report;
	struct import_options options;
	char error[256] = "";
	int err;

	import_options_init(&options);
	options.lenient = lenient;
	err = import_strace(trace, (const char *)data, size, &options, &report, error,
			    sizeof(error));
	if (err && !strchr(error, ':'))
		abort(); /* an error has a line and a reason */
	return err;
}

static char *print(const struct trace *trace)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	trace_print(trace, out);
	if (fclose(out))
		abort();
	return text;
}

static void expect_same(const struct trace *a, const struct trace *b)
{
	char *text_a = print(a), *text_b = print(b);

	if (strcmp(text_a, text_b) != 0)
		abort();
	free(text_a);
	free(text_b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace lenient, other;
	char error[256], *text;

	if (import(&lenient, data, size, true))
		return 0;
	if (!import(&other, data, size, false))
		expect_same(&lenient, &other);
	text = print(&lenient);
	trace_clear(&other);
	if (trace_parse(&other, text, strlen(text), error, sizeof(error)))
		abort();
	free(text);
	expect_same(&lenient, &other);
	return 0;
}

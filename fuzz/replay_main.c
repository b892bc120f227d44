/*
 * main() for a fuzz target where no engine is at hand: run the target on each file named, on
 * every file below each directory named (in name order), or on standard input for "-".
 *
 * A finding aborts, as it does under an engine. Exit status 2: something could not be read.
 */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

struct input {
	uint8_t *data;
	size_t size, max;
};

/* Read all of IN, then run the target on an exact copy, so that a sanitizer sees its end. */
static int run_stream(struct input *input, FILE *in, const char *name)
{
	uint8_t *exact;
	size_t n;

	input->size = 0;
	do {
		if (input->size == input->max) {
			input->max = input->max ? 2 * input->max : 65536;
			input->data = realloc(input->data, input->max);
			if (!input->data)
				abort();
		}
		n = fread(input->data + input->size, 1, input->max - input->size, in);
		input->size += n;
	} while (n);
	if (ferror(in)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return 2;
	}

	exact = malloc(input->size ? input->size : 1);
	if (!exact)
		abort();
	memcpy(exact, input->data, input->size);
	LLVMFuzzerTestOneInput(exact, input->size);
	free(exact);
	return 0;
}

static int run_file(struct input *input, const char *path)
{
	FILE *in = fopen(path, "rb");
	int status;

	if (!in) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 2;
	}
	status = run_stream(input, in, path);
	fclose(in);
	return status;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* PATH itself, or every regular file below it. */
static int run_path(struct input *input, char *path, unsigned long *ran)
{
	char *const roots[] = {path, NULL};
	FTS *fts = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
	FTSENT *entry;
	int status = 0;

	if (!fts)
		abort();
	while ((entry = fts_read(fts))) {
		switch (entry->fts_info) {
		case FTS_F:
			status |= run_file(input, entry->fts_path);
			++*ran;
			break;
		case FTS_ERR:
		case FTS_NS:
		case FTS_DNR:
			fprintf(stderr, "%s: %s\n", entry->fts_path, strerror(entry->fts_errno));
			status = 2;
			break;
		default:
			break;
		}
	}
	fts_close(fts);
	return status;
}

int main(int argc, char **argv)
{
	struct input input = {0};
	unsigned long ran = 0;
	int status = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY|- ...\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-") == 0) {
			status |= run_stream(&input, stdin, "standard input");
			ran++;
		} else {
			status |= run_path(&input, argv[i], &ran);
		}
	}
	free(input.data);
	fprintf(stderr, "%lu inputs run\n", ran);
	return status;
}

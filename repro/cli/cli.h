/*
 * What the commands of rmapfuzz share: exit status, reading and writing files, the options that
 * several of them have, JSON.
 *
 * Results go to stdout, everything for people to stderr. A command that cannot go on has printed
 * one line that says why, with file and line number if there are any, and returns a status.
 */
#ifndef RMAPFUZZ_CLI_H
#define RMAPFUZZ_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "diff.h"

#define RMAPFUZZ_VERSION "0.1.0"

enum cli_status {
	CLI_OK = 0,        /* nothing found */
	CLI_FINDING = 1,   /* a disagreement, or a trace that did not do what it expects */
	CLI_USAGE = 2,     /* bad usage or bad input */
	CLI_INTERNAL = 3,  /* our own fault, or the host's (disk full) */
	CLI_VERSION = 125, /* a trace of a format version that this build cannot read */
};

/* The commands. argv[0] is "rmapfuzz NAME". Each returns an exit status. */
#define COMMAND(name, help) int cmd_##name(int argc, char **argv);
#include "commands.def"
#undef COMMAND

/* The graver of two statuses, in the order none, format version, finding, bad input, internal. */
int cli_graver(int a, int b);

/* Print "rmapfuzz: ..." and a newline on stderr. Returns STATUS, for `return cli_error(...)`. */
int cli_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- files ---------------------------------------------------------------------------- */

/* The whole of PATH ("-": standard input), to be freed, with a NUL behind it that *SIZE does not
 * count. NULL: the reason has been printed (missing, a directory, unreadable). */
char *cli_read_file(const char *path, size_t *size);

/*
 * Write a file by way of a temporary one beside it, so that nobody ever sees half of it: PRINT
 * fills it, "-" is standard output. Returns CLI_OK or CLI_INTERNAL, after a message.
 */
int cli_write_file(const char *path, void (*print)(FILE *out, const void *what), const void *what);

enum cli_form {
	CLI_GUESS, /* by name (.trace and .txt are text), then by content */
	CLI_TEXT,
	CLI_BYTES,
};

/* Read a trace in either form. CLI_OK, CLI_USAGE or CLI_VERSION, after a message. TRACE has been
 * through trace_init. */
int cli_load_trace(const char *path, enum cli_form form, struct trace *trace);
/* The same from SIZE bytes at DATA, which were read from PATH and have a NUL behind them. */
int cli_parse_trace(const char *path, enum cli_form form, const char *data, size_t size,
		    struct trace *trace);
/*
 * Call VISIT with the path of every trace that PATH stands for: itself, or, of a directory, the
 * traces below it by name: *.trace, *.bin, and names without an extension, as fuzzers give them.
 * Returns the gravest status; CLI_USAGE, after a message, for a directory without traces.
 */
enum cli_which {
	CLI_TRACES,
	CLI_TRACES_IF_ANY, /* a directory without them is fine */
	CLI_ALL_FILES,     /* whatever they are called */
	CLI_SEEDS,         /* the same, but nothing below a directory called mutants */
};
int cli_each_trace(char *path, enum cli_which which, int (*visit)(const char *path, void *arg),
		   void *arg);
/* True if SIZE bytes at DATA are printable text. */
bool cli_is_text(const char *data, size_t size);

/* ---- costs ------------------------------------------------------------------------------ */

/* A line for each machine of DIFF: what its design's walks and objects have cost since boot. */
void cli_print_costs(struct diff *diff, FILE *out);
/* The same as an object of objects, by design and by kind of cost. */
json_t *cli_costs_json(struct diff *diff);

/* ---- option values: 0, or -EINVAL ------------------------------------------------------- */

/* A number in decimal or 0x hexadecimal, at most MAX. */
int cli_parse_number(const char *text, uint64_t max, uint64_t *number);
/* A seed: a number, or the 40 hexadecimal digits of a git commit. */
int cli_parse_seed(const char *text, uint64_t *seed);
/* "a,b,c": the backends of OPTIONS; "all": every combination. The reason is in ERROR. */
int cli_parse_backends(const char *list, struct diff_options *options, char *error, size_t size);
/* "a, b, c": the names of the backends in OPTIONS, separated by SEPARATOR. */
#define CLI_NAMES_MAX 1024 /* room for all of them */
void cli_backend_names(const struct diff_options *options, const char *separator, char *buf,
		       size_t size);

/* ---- results ------------------------------------------------------------------------------ */

/* Print VALUE on stdout, one line, and drop it. Returns CLI_OK or CLI_INTERNAL. */
int cli_print_json(json_t *value);
json_t *cli_finding_json(const struct finding *finding);
/* Everything that was printed on stdout got there: STATUS, or CLI_INTERNAL after a message. */
int cli_finish(int status);

#endif

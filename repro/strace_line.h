/*
 * One line of what strace writes, taken apart: who, which call, which arguments, what came
 * back. Knows how strace punctuates, and nothing about what calls mean.
 *
 *    6979  mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3</lib/libc.so>, 0) = 0x7f60b5d31000
 *    pid   name args...                                                   result
 *
 * Spans point into the line; nothing is copied or allocated.
 */
#ifndef RMAPFUZZ_STRACE_LINE_H
#define RMAPFUZZ_STRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const char *text;
	size_t len;
};

bool span_is(struct span span, const char *text);
bool span_starts(struct span span, const char *prefix);
bool span_ends(struct span span, const char *suffix);
struct span span_trim(struct span span);
struct span span_skip(struct span span, size_t n);
/* Offset of TEXT in SPAN, or SPAN.len. */
size_t span_find(struct span span, const char *text);

enum strace_kind {
	STRACE_BLANK,
	STRACE_NOTE,       /* strace talking: "strace: Process 12 attached" */
	STRACE_CALL,       /* name(args) = result */
	STRACE_UNFINISHED, /* name(args <unfinished ...> */
	STRACE_RESUMED,    /* <... name resumed>rest: `args` is the rest, result included */
	STRACE_SIGNAL,     /* --- SIGCHLD {...} --- */
	STRACE_EXITED,     /* +++ exited with 0 +++, +++ killed by SIGSEGV +++ */
	STRACE_SUPERSEDED, /* +++ superseded by execve in pid 12 +++ */
};

struct strace_line {
	enum strace_kind kind;
	bool has_pid; /* false: the line has no prefix, one process was being traced */
	uint32_t pid;
	uint32_t other_pid; /* STRACE_SUPERSEDED: the thread that called execve */
	struct span name;
	struct span args;   /* what stands between the parentheses, as far as it was printed */
	struct span result; /* STRACE_CALL: what stands behind " = " */
};

/* Take TEXT (a line without its newline) apart. Returns NULL, or what is wrong with it. */
const char *strace_line_parse(struct span text, struct strace_line *line);

/* Split "name(args) = result". Returns NULL, or what is wrong with it. */
const char *strace_call_split(struct span text, struct span *name, struct span *args,
			      struct span *result);

/* Cut ARGS at its top-level commas into at most MAX spans; the last takes the rest. */
uint32_t strace_args(struct span args, struct span *out, uint32_t max);

/* A number as strace prints it: 12, -1, 0x1000, 0644, NULL. False: it is something else. */
bool strace_number(struct span text, uint64_t *value);

/*
 * A file descriptor: 3, -1, 3</path>, 3</path>(deleted), AT_FDCWD</path>. PATH is empty if none
 * is printed (no -y); a "deleted" mark is not part of it. False: not a descriptor.
 */
bool strace_fd(struct span text, int32_t *fd, struct span *path);

/* The inside of a "quoted string", escapes left as they are. False: not one. */
bool strace_string(struct span text, struct span *inside);

struct strace_result {
	enum { STRACE_OK, STRACE_FAILED, STRACE_UNKNOWN } status; /* unknown: " = ?" */
	uint64_t value;
	struct span path; /* of a returned descriptor, if printed */
};

/* Returns NULL, or what is wrong with it. */
const char *strace_result_parse(struct span text, struct strace_result *result);

/* Names of bits: {"MAP_SHARED", its value in Linux}. The last has no name. */
struct strace_flag {
	const char *name;
	uint32_t value;
};

/* "A|B|0x10" as bits; names that FLAGS does not have are skipped, and the first of them goes to
 * UNKNOWN (length 0: none). */
uint64_t strace_flags(struct span text, const struct strace_flag *flags, struct span *unknown);

#endif

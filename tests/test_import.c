/*
 * The importer: strace's punctuation line by line, calls as ops, what is counted, what is refused;
 * and the recordings of real programs in corpus/strace, each with its golden counts, imported twice
 * and replayed on every backend.
 *
 * Small recordings are imported with the policy off, so that only their own calls are seen.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "import.h"
#include "strace_line.h"

static void assert_span(struct span span, const char *text)
{
	if (span_is(span, text))
		return;
	print_error("\"%.*s\" is not \"%s\"\n", (int)span.len, span.text, text);
	fail();
}

/* ---- lines --------------------------------------------------------------------------------- */

#define ARGS_MAX 8

static const struct {
	const char *text;
	enum strace_kind kind;
	long pid; /* -1: none */
	const char *name, *result;
	const char *args[ARGS_MAX];
} lines[] = {
	{"brk(NULL)                         = 0x3e356000",
	 STRACE_CALL,
	 -1,
	 "brk",
	 "0x3e356000",
	 {"NULL"}},
	{"5951  close(3</etc/ld.so.cache>)        = 0",
	 STRACE_CALL,
	 5951,
	 "close",
	 "0",
	 {"3</etc/ld.so.cache>"}},
	{"[pid  6969] exit_group(3)               = ?",
	 STRACE_CALL,
	 6969,
	 "exit_group",
	 "?",
	 {"3"}},
	{"[pid 12<sh>] getpid() = 12<sh>", STRACE_CALL, 12, "getpid", "12<sh>", {NULL}},
	{"12<my prog> getpid() = 12", STRACE_CALL, 12, "getpid", "12", {NULL}},
	{"7 12:34:56.789012 [00007f0c9a3db000] [   9] mmap(NULL, 1, 2, 3, -1, 0) = 0x1000",
	 STRACE_CALL,
	 7,
	 "mmap",
	 "0x1000",
	 {"NULL", "1", "2", "3", "-1", "0"}},
	{"1700000000.123456 fork() = 8", STRACE_CALL, -1, "fork", "8", {NULL}},
	{"     0.000123 (+     0.000010) fork() = 8 <0.000052>",
	 STRACE_CALL,
	 -1,
	 "fork",
	 "8 <0.000052>",
	 {NULL}},
	{"1 execve(\"/usr/bin/gcc\", [\"gcc\", \"-c\", \"a, b)\"], 0x7ffd /* 41 vars, (so) */) = 0",
	 STRACE_CALL,
	 1,
	 "execve",
	 "0",
	 {"\"/usr/bin/gcc\"", "[\"gcc\", \"-c\", \"a, b)\"]", "0x7ffd /* 41 vars, (so) */"}},
	{"1 write(1<pipe:[77]>, \"q\\\" = 1, (\"..., 9) = 9",
	 STRACE_CALL,
	 1,
	 "write",
	 "9",
	 {"1<pipe:[77]>", "\"q\\\" = 1, (\"...", "9"}},
	{"1 mmap(NULL, 8, PROT_NONE, MAP_PRIVATE|21<<MAP_HUGE_SHIFT, 3</tmp/a, b (c)>, 0) = 0x2000",
	 STRACE_CALL,
	 1,
	 "mmap",
	 "0x2000",
	 {"NULL", "8", "PROT_NONE", "MAP_PRIVATE|21<<MAP_HUGE_SHIFT", "3</tmp/a, b (c)>", "0"}},
	{"1 read(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\", 1) = 0",
	 STRACE_CALL,
	 1,
	 "read",
	 "0",
	 {"5<TCP:[127.0.0.1:1->127.0.0.1:2]>", "\"\"", "1"}},
	{"1 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f} => {parent_tid=[8]}, 88) = 8",
	 STRACE_CALL,
	 1,
	 "clone3",
	 "8",
	 {"{flags=CLONE_VM|CLONE_THREAD, stack=0x7f} => {parent_tid=[8]}", "88"}},
	{"1 exit_group(0 <unfinished ...>) = ?",
	 STRACE_CALL,
	 1,
	 "exit_group",
	 "?",
	 {"0 <unfinished ...>"}},
	{"12  munmap(0x7fb96ca25000, 36864 <unfinished ...>",
	 STRACE_UNFINISHED,
	 12,
	 "munmap",
	 "",
	 {"0x7fb96ca25000", "36864"}},
	{"vfork( <unfinished ...>", STRACE_UNFINISHED, -1, "vfork", "", {NULL}},
	{"[pid 2] execve(\"/bin/true\", [...], 0x7f /* 1 var */ <pid changed to 1 ...>",
	 STRACE_UNFINISHED,
	 2,
	 "execve",
	 "",
	 {"\"/bin/true\"", "[...]", "0x7f /* 1 var */"}},
	{"12  <... munmap resumed>)             = 0",
	 STRACE_RESUMED,
	 12,
	 "munmap",
	 "",
	 {")             = 0"}},
	{"<... wait4 resumed>NULL, 0, NULL)       = 6969",
	 STRACE_RESUMED,
	 -1,
	 "wait4",
	 "",
	 {"NULL", "0", "NULL)       = 6969"}},
	{"3 --- SIGCHLD {si_signo=SIGCHLD, si_pid=6979} ---", STRACE_SIGNAL, 3, "", "", {NULL}},
	{"3 +++ exited with 0 +++", STRACE_EXITED, 3, "", "", {NULL}},
	{"+++ killed by SIGSEGV (core dumped) +++", STRACE_EXITED, -1, "", "", {NULL}},
	{"strace: Process 6969 attached", STRACE_NOTE, -1, "", "", {NULL}},
	{"[ Process PID=5 runs in 32 bit mode. ]", STRACE_NOTE, -1, "", "", {NULL}},
	{"Process 6969 detached\r", STRACE_NOTE, -1, "", "", {NULL}},
	{"  \t", STRACE_BLANK, -1, "", "", {NULL}},
};

static void lines_are_taken_apart(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct span text = {lines[i].text, strlen(lines[i].text)}, args[ARGS_MAX];
		struct strace_line line;
		const char *wrong = strace_line_parse(text, &line);
		uint32_t n;

		if (wrong)
			print_error("%s: %s\n", lines[i].text, wrong);
		assert_null(wrong);
		assert_int_equal(line.kind, lines[i].kind);
		assert_int_equal(line.has_pid ? (long)line.pid : -1, lines[i].pid);
		assert_span(line.name, lines[i].name);
		assert_span(line.result, lines[i].result);
		n = strace_args(line.args, args, ARGS_MAX);
		for (uint32_t k = 0; k < n; k++) {
			assert_non_null(lines[i].args[k]);
			assert_span(args[k], lines[i].args[k]);
		}
		assert_true(n == ARGS_MAX || !lines[i].args[n]);
	}
}

static void superseded_names_the_thread(void **state)
{
	const char *text = "+++ superseded by execve in pid 6972 +++";
	struct strace_line line;

	assert_null(strace_line_parse((struct span){text, strlen(text)}, &line));
	assert_int_equal(line.kind, STRACE_SUPERSEDED);
	assert_int_equal(line.other_pid, 6972);
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const bad[] = {
		"hello",
		"hello world",
		"mmap(NULL, 8192",
		"mmap(NULL, \"8192) = 0",
		"mmap(NULL, 8192)",
		"mmap(NULL, 8192) = ",
		"mmap(NULL, 8192} = 0",
		"(1) = 0",
		"99999999999 brk(0) = 0",
		"[pid x] brk(0) = 0",
		"[pid 3 brk(0) = 0",
		"<... resumed>) = 0",
		"<... brk resumes>) = 0",
		"--- SIGCHLD {",
		"+++ exited with 0",
		"+++ vanished +++",
		"+++ superseded by execve in pid x +++",
		"brk(0\001) = 0",
		"<pid changed to 1 ...>",
		"<unfinished ...>",
		"12",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct strace_line line;

		if (!strace_line_parse((struct span){bad[i], strlen(bad[i])}, &line))
			print_error("accepted: %s\n", bad[i]);
		assert_non_null(strace_line_parse((struct span){bad[i], strlen(bad[i])}, &line));
	}
}

static bool number(const char *text, uint64_t *value)
{
	return strace_number((struct span){text, strlen(text)}, value);
}

static void values_are_read(void **state)
{
	static const struct strace_flag flags[] = {{"A", 1}, {"B", 2}, {NULL, 0}};
	struct span path, unknown;
	struct strace_result result;
	uint64_t value;
	int32_t fd;

#define TEXT(literal) ((struct span){literal, sizeof(literal) - 1})
	assert_true(number("NULL", &value) && value == 0);
	assert_true(number("0x7f60b5d31000", &value) && value == 0x7f60b5d31000);
	assert_true(number("0644", &value) && value == 0644);
	assert_true(number("-1", &value) && value == UINT64_MAX);
	assert_true(number("18446744073709551615", &value) && value == UINT64_MAX);
	assert_false(number("18446744073709551616", &value));
	assert_false(number("0x10000000000000000", &value));
	assert_false(number("", &value) || number("0x", &value) || number("-", &value));
	assert_false(number("12a", &value) || number("8*1024", &value));

	assert_true(strace_fd(TEXT("3</memfd:x>(deleted)"), &fd, &path) && fd == 3);
	assert_span(path, "/memfd:x");
	assert_true(strace_fd(TEXT("4</tmp/y (deleted)>"), &fd, &path) && fd == 4);
	assert_span(path, "/tmp/y");
	assert_true(strace_fd(TEXT("-1"), &fd, &path) && fd == -1 && !path.len);
	assert_true(strace_fd(TEXT("AT_FDCWD</tmp>"), &fd, &path));
	assert_span(path, "/tmp");
	assert_false(strace_fd(TEXT("4</tmp"), &fd, &path));
	assert_false(strace_fd(TEXT("<x>"), &fd, &path));
	assert_false(strace_fd(TEXT("99999999999"), &fd, &path));

	assert_true(strace_string(TEXT("\"a\\\"b\"..."), &path));
	assert_span(path, "a\\\"b");
	assert_false(strace_string(TEXT("\"a"), &path) || strace_string(TEXT("\""), &path));

	assert_int_equal(strace_flags(TEXT("A|0x10|C|B"), flags, &unknown), 0x13);
	assert_span(unknown, "C");

	assert_null(strace_result_parse(TEXT("-1 ENOENT (No such file)"), &result));
	assert_int_equal(result.status, STRACE_FAILED);
	assert_null(strace_result_parse(TEXT("? ERESTARTSYS (To be restarted)"), &result));
	assert_int_equal(result.status, STRACE_UNKNOWN);
	assert_null(strace_result_parse(TEXT("3</etc/x> (injected)"), &result));
	assert_int_equal(result.status, STRACE_OK);
	assert_int_equal(result.value, 3);
	assert_span(result.path, "/etc/x");
	assert_non_null(strace_result_parse(TEXT("yes"), &result));
#undef TEXT
}

/* ---- calls --------------------------------------------------------------------------------- */

static struct import_report report;

static char *print(const struct trace *trace)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	trace_print(trace, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Import TEXT with the policy off. Returns what import_strace does. */
static int import_plain(struct trace *trace, const char *text, bool lenient, char *error,
			size_t error_size)
{
	struct import_options options;

	import_options_init(&options);
	options.touch = options.swap = 0;
	options.lenient = lenient;
	return import_strace(trace, text, strlen(text), &options, &report, error, error_size);
}

/* Every call is an op, is followed, or is in a row of the report. */
static void assert_all_counted(void)
{
	uint64_t sum = report.expressed + report.followed;

	for (uint32_t i = 0; i < report.nr_rows; i++) {
		if (report.rows[i].class == IMPORT_DROPPED ||
		    report.rows[i].class == IMPORT_FAILED ||
		    report.rows[i].class == IMPORT_UNRELATED)
			sum += report.rows[i].count;
	}
	assert_int_equal(sum, report.calls);
}

/* The ops that TEXT becomes, line by line after the header, are OPS. */
static void expect_ops(const char *text, const char *ops)
{
	struct trace trace = {0};
	char error[128], *printed, *body;
	int err = import_plain(&trace, text, false, error, sizeof(error));

	if (err)
		print_error("%s\n", error);
	assert_int_equal(err, 0);
	printed = print(&trace);
	body = strchr(strchr(printed, '\n') + 1, '\n') + 1; /* after the version and the machine */
	if (strcmp(body, ops) != 0)
		print_error("got\n%swanted\n%s", body, ops);
	assert_string_equal(body, ops);
	free(printed);
	trace_release(&trace);
	assert_all_counted();
}

/* What a process of unknown past is given. */
#define FURNISHED(p)                                                                               \
	"mmap " p " 0x08048000 16 rx anon|fixed\n"                                                 \
	"mmap " p " 0x08058000 4 rw anon|fixed\n"                                                  \
	"mmap " p " 0xbffde000 34 rw anon|fixed|growsdown\n"
/* What exec of a program in slot F is given. */
#define PROGRAM(p, f)                                                                              \
	"mmap " p " 0x08048000 16 rx fixed " f " 0\n"                                              \
	"mmap " p " 0x08058000 4 rw fixed " f " 16\n"                                              \
	"mmap " p " 0xbffde000 34 rw anon|fixed|growsdown\n"

static void neighbours_stay_neighbours(void **state)
{
	expect_ops(
		"5  mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
		"0x7f60b5d31000\n"
		"5  mmap(0x7f60b5d33000, 4096, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, "
		"0) = 0x7f60b5d33000\n"
		"5  mmap(NULL, 4096, PROT_READ, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = 0x7f60b0000000\n"
		"5  mprotect(0x7f60b5d31000, 4096, PROT_READ) = 0\n"
		"5  munmap(0x7f60b5d32000, 8192) = 0\n"
		"5  +++ exited with 0 +++\n",
		"p1 = fork p0\n" FURNISHED("p1") "mmap p1 0x40011000 2 rw anon|fixed\n"
						 "mmap p1 0x40013000 1 none anon|fixed\n"
						 "mmap p1 0x40000000 1 r shared|anon|fixed\n"
						 "mprotect p1 0x40011000 1 r\n"
						 "munmap p1 0x40012000 2\n"
						 "exit p1\n");
	assert_int_equal(report.expressed, 5);
}

static void exec_maps_a_program_and_brk_stays_brk(void **state)
{
	expect_ops("5  execve(\"/bin/x\", [\"x\"], 0x7ffd063ec3f0 /* 41 vars */) = 0\n"
		   "5  brk(NULL) = 0x3e356000\n"
		   "5  mmap(NULL, 41667, PROT_READ, MAP_PRIVATE, 3</lib/a.so>, 0x2000) = "
		   "0x7f60b5d26000\n"
		   "5  mprotect(0x539000, 12288, PROT_READ) = 0\n"
		   "5  brk(0x3e377000) = 0x3e377000\n"
		   "5  brk(0x3e35e000) = 0x3e35e000\n"
		   "5  brk(0x40000000) = 0x3e35e000\n"
		   "5  exit_group(0) = ?\n"
		   "5  +++ exited with 0 +++\n",
		   "truncate f0 23\n"
		   "truncate f2 13\n"
		   "p1 = fork p0\n"
		   "exec p1\n" PROGRAM("p1", "f0") "mmap p1 0x0805d000 3 rw fixed f0 20\n"
						   "mmap p1 0x40010000 11 r fixed f2 2\n"
						   "mprotect p1 0x0805d000 3 r\n"
						   "brk p1 0x08121000\n"
						   "brk p1 0x08108000\n"
						   "exit p1\n");
	assert_int_equal(import_report_count(&report, IMPORT_FAILED, "brk"), 1);
	assert_int_equal(import_report_count(&report, IMPORT_ASSUMED,
					     "range used but never mapped, taken as the program's "
					     "data"),
			 1);
}

/* fork before its result is printed, vfork until exec, a thread, and who frees what when. */
static void processes_are_born_and_die(void **state)
{
	expect_ops("[pid 5] mmap(NULL, 4096, PROT_READ, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = "
		   "0x7f0000000000\n"
		   "[pid 5] clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD <unfinished "
		   "...>\n"
		   "[pid 6] munmap(0x7f0000000000, 4096) = 0\n"
		   "[pid 5] <... clone resumed>, child_tidptr=0x7f00) = 6\n"
		   "[pid 6] +++ killed by SIGSEGV (core dumped) +++\n"
		   "[pid 5] vfork( <unfinished ...>\n"
		   "[pid 7] execve(\"/bin/true\", [\"true\"], 0x7ffd /* 1 var */ <unfinished ...>\n"
		   "[pid 5] <... vfork resumed>) = 7\n"
		   "[pid 7] <... execve resumed>) = 0\n"
		   "[pid 5] clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0} => "
		   "{parent_tid=[8]}, 88) = 8\n"
		   "[pid 8] munmap(0x7f0000000000, 4096 <unfinished ...>\n"
		   "[pid 5] mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
		   "0x7f0000000000\n"
		   "[pid 8] <... munmap resumed>) = 0\n"
		   "[pid 8] +++ exited with 0 +++\n"
		   "[pid 5] +++ exited with 0 +++\n",
		   "truncate f0 20\n"
		   "p1 = fork p0\n" FURNISHED("p1") "mmap p1 0x40000000 1 r shared|anon|fixed\n"
						    "p2 = fork p1\n"
						    "munmap p2 0x40000000 1\n"
						    "exit p2\n"
						    "p2 = fork p1\n"
						    "exec p2\n" PROGRAM(
							    "p2", "f0") "munmap p1 0x40000000 1\n"
									"mmap p1 0x40000000 1 r "
									"anon|fixed\n"
									"exit p1\n");
	assert_int_equal(report.processes, 3);
	assert_int_equal(report.processes_peak, 2);
	assert_int_equal(report.threads, 1);
}

/* On a terminal: no prefix while there is one process, and notes in the middle of lines. */
static void terminal_output_is_understood(void **state)
{
	expect_ops(
		"mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n"
		"clone(child_stack=NULL, flags=SIGCHLDstrace: Process 6 attached\n"
		", child_tidptr=0x7f00) = 6\n"
		"[pid 5] wait4(-1,  <unfinished ...>\n"
		"[pid 6] munmap(0x7f0000000000, 4096) = 0\n"
		"[pid 6] +++ exited with 0 +++\n"
		"<... wait4 resumed>NULL, 0, NULL) = 6\n"
		"--- SIGCHLD {si_signo=SIGCHLD} ---\n"
		"vfork(strace: Process 7 attached\n"
		" <unfinished ...>\n"
		"[pid 7] +++ exited with 1 +++\n"
		"<... vfork resumed>) = 7\n"
		"munmap(0x7f0000000000, 4096) = 0\n"
		"+++ exited with 0 +++\n",
		"p1 = fork p0\n" FURNISHED("p1") "mmap p1 0x40000000 1 r anon|fixed\n"
						 "p2 = fork p1\n"
						 "munmap p2 0x40000000 1\n"
						 "exit p2\n"
						 "munmap p1 0x40000000 1\n"
						 "exit p1\n");
	assert_int_equal(report.processes, 3);
}

/* A thread that execs goes on as its leader; all other threads are gone. */
static void exec_by_a_thread(void **state)
{
	expect_ops("1 clone(child_stack=0x1, flags=CLONE_VM|CLONE_THREAD) = 2\n"
		   "1 clone(child_stack=0x1, flags=CLONE_VM|CLONE_THREAD) = 3\n"
		   "2 execve(\"/x\", [], 0x1 <unfinished ...>\n"
		   "3 +++ exited with 0 +++\n"
		   "1 +++ superseded by execve in pid 2 +++\n"
		   "1 <... execve resumed>) = 0\n"
		   "1 +++ exited with 0 +++\n",
		   "truncate f0 20\n"
		   "p1 = fork p0\n" FURNISHED("p1") "exec p1\n" PROGRAM("p1", "f0") "exit p1\n");
	assert_int_equal(report.threads, 2);
}

static void i386_calls(void **state)
{
	expect_ops("5 [ Process PID=5 runs in 32 bit mode. ]\n"
		   "5 mmap2(NULL, 8192, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_DENYWRITE, "
		   "3</lib/ld-2.3.so>, 0x1000) = 0xf7fc1000\n"
		   "5 mremap(0xf7fc1000, 8192, 16384, MREMAP_MAYMOVE) = 0xf7f00000\n"
		   "5 mremap(0xf7f00000, 16384, 4096, MREMAP_MAYMOVE) = 0xf7f00000\n"
		   "5 old_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
		   "0x40000000\n"
		   "5 madvise(0xf7f00000, 4096, MADV_DONTNEED) = 0\n",
		   "truncate f0 3\n"
		   "p1 = fork p0\n" FURNISHED("p1") "mmap p1 0x40025000 2 rx fixed f0 1\n"
						    "mremap p1 0x40025000 2 4 maymove|fixed "
						    "0x40011000\n"
						    "mremap p1 0x40011000 4 1 -\n"
						    "mmap p1 0x40000000 1 r anon|fixed\n"
						    "madvise p1 0x40011000 1 dontneed\n");
}

static void files_are_read_written_and_cut(void **state)
{
	expect_ops("1 openat(AT_FDCWD</x>, \"db\", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3</x/db>\n"
		   "1 ftruncate(3</x/db>, 20480) = 0\n"
		   "1 mmap(NULL, 20480, PROT_READ, MAP_SHARED, 3</x/db>, 0) = 0x7f0000000000\n"
		   "1 write(3</x/db>, \"x\"..., 5000) = 5000\n"
		   "1 dup(3</x/db>) = 9</x/db>\n"
		   "1 read(9</x/db>, \"x\"..., 4096) = 4096\n"
		   "1 lseek(3</x/db>, 0, SEEK_SET) = 0\n"
		   "1 read(3</x/db>, \"x\"..., 1) = 1\n"
		   "1 pwrite64(3</x/db>, \"x\"..., 409600, 4096) = 409600\n"
		   "1 ftruncate(3</x/db>, 4096) = 0\n"
		   "1 memfd_create(\"m\", MFD_CLOEXEC) = 4</memfd:m>(deleted)\n"
		   "1 ftruncate(4</memfd:m>(deleted), 8192) = 0\n"
		   "1 mmap(NULL, 8192, PROT_READ, MAP_SHARED, 4</memfd:m>(deleted), 0) = "
		   "0x7f0000100000\n"
		   "1 open(\"/dev/zero\", O_RDWR) = 5\n"
		   "1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 5, 0) = 0x7f0000200000\n"
		   "1 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 6</dev/dri/card0>, 0) = "
		   "0x7f0000300000\n"
		   "1 close(3</x/db>) = 0\n",
		   "truncate f0 0\n"
		   "truncate f1 0\n"
		   "p1 = fork p0\n"
		   "truncate f0 0\n"
		   "truncate f0 5\n" FURNISHED("p1") "mmap p1 0x40000000 5 r shared|fixed f0 0\n"
						     "fwrite f0 0\n"
						     "fwrite f0 1\n"
						     "fread f0 1\n"
						     "fread f0 2\n"
						     "fread f0 0\n"
						     "fwrite f0 1\n"
						     "fwrite f0 2\n"
						     "fwrite f0 3\n"
						     "fwrite f0 4\n"
						     "fwrite f0 5\n"
						     "fwrite f0 6\n"
						     "fwrite f0 7\n"
						     "fwrite f0 100\n"
						     "truncate f0 1\n"
						     "truncate f1 2\n"
						     "mmap p1 0x40015000 2 r shared|fixed f1 0\n"
						     "mmap p1 0x40027000 1 r anon|fixed\n"
						     "mmap p1 0x40038000 1 r shared|anon|fixed\n");
	assert_int_equal(import_report_count(&report, IMPORT_ASSUMED,
					     "mapping of a device, taken as anonymous memory"),
			 1);
}

/* More files than slots: each keeps pages of its own. */
static void many_files_share_slots(void **state)
{
	char text[4096] = "", want[2048];
	size_t used = 0, wanted = 0;

	for (int i = 0; i < 6; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"1 mmap(NULL, %d, PROT_READ, MAP_PRIVATE, 3</lib/%d>, 0x1000) = "
			"0x7f000000%d000\n",
			4096 * (i + 1), i, i);
	wanted = (size_t)snprintf(want, sizeof(want),
				  "truncate f0 8\ntruncate f2 10\ntruncate f4 4\n"
				  "truncate f6 5\np1 = fork p0\n%s",
				  FURNISHED("p1"));
	snprintf(want + wanted, sizeof(want) - wanted,
		 "mmap p1 0x40000000 1 r fixed f0 1\n"
		 "mmap p1 0x40001000 2 r fixed f2 1\n"
		 "mmap p1 0x40002000 3 r fixed f4 1\n"
		 "mmap p1 0x40003000 4 r fixed f6 1\n"
		 "mmap p1 0x40004000 5 r fixed f0 3\n"
		 "mmap p1 0x40005000 6 r fixed f2 4\n");
	expect_ops(text, want);
	assert_int_equal(report.files, 6);
	assert_int_equal(
		import_report_count(&report, IMPORT_ASSUMED,
				    "file that shares one of f0..f7, at page offsets of its own"),
		4);
}

static void what_cannot_be_expressed_is_counted(void **state)
{
	expect_ops(
		"mmap(NULL, 137438953472, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, "
		"0) = 0x7f0000000000\n"
		"mprotect(0x7f0040000000, 8192, PROT_READ|PROT_WRITE) = 0\n"
		"shmat(5, NULL, 0) = 0x7f3000000000\n"
		"shmat(6, NULL, 0) = 0x7f3000001000\n"
		"mlock(0x7f0040000000, 4096) = 0\n"
		"madvise(0x7f0040000000, 4096, MADV_DONTFORK) = 0\n"
		"mprotect(0x7f0040000000, 0, PROT_READ) = 0\n"
		"access(\"/x\", R_OK) = -1 ENOENT (No such file or directory)\n"
		"getpid() = 1\n"
		"mremap(0x7f0040000000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_DONTUNMAP) = "
		"0x7f4000000000\n",
		"p1 = fork p0\n" FURNISHED(
			"p1") "mmap p1 0x40000000 131074 none anon|fixed|noreserve\n"
			      "mprotect p1 0x50000000 2 rw\n"
			      "mremap p1 0x50000000 1 1 maymove|fixed w18\n"
			      "mmap p1 0x50000000 1 rw anon|fixed\n");
	assert_int_equal(import_report_count(&report, IMPORT_DROPPED, "shmat"), 2);
	assert_int_equal(import_report_count(&report, IMPORT_DROPPED, "mlock"), 1);
	assert_int_equal(import_report_count(&report, IMPORT_DROPPED, "madvise MADV_DONTFORK"), 1);
	assert_int_equal(import_report_count(&report, IMPORT_CLIPPED,
					     "mapping longer than there is room for"),
			 1);
	assert_int_equal(import_report_count(&report, IMPORT_FAILED, "access"), 1);
	assert_int_equal(import_report_count(&report, IMPORT_UNRELATED, "getpid"), 1);
	assert_int_equal(import_report_count(&report, IMPORT_UNRELATED, "mprotect"), 1);
}

/* p0 is not used: 31 processes at once, and those beyond are listed by pid. */
static void more_processes_than_slots(void **state)
{
	struct trace trace = {0};
	char text[4096] = "", error[128];
	size_t used = 0;

	for (int i = 2; i <= 34; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "1 fork() = %d\n", i);
	snprintf(text + used, sizeof(text) - used,
		 "34 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
		 "0x7f0000000000\n"
		 "2 +++ exited with 0 +++\n"
		 "1 fork() = 35\n");
	assert_int_equal(import_plain(&trace, text, false, error, sizeof(error)), 0);
	assert_int_equal(report.processes, 35);
	assert_int_equal(report.processes_peak, 31);
	assert_int_equal(
		import_report_count(&report, IMPORT_DROPPED, "process 31, for want of a slot"), 0);
	assert_int_equal(
		import_report_count(&report, IMPORT_DROPPED, "process 32, for want of a slot"), 1);
	assert_int_equal(
		import_report_count(&report, IMPORT_DROPPED, "process 34, for want of a slot"), 1);
	assert_int_equal(
		import_report_count(&report, IMPORT_DROPPED, "process 35, for want of a slot"), 0);
	assert_int_equal(
		import_report_count(&report, IMPORT_DROPPED, "call of a process without a slot"),
		1);
	trace_release(&trace);
}

/* The report has room for so many kinds; what comes after is counted together. */
static void too_many_kinds_end_up_in_other(void **state)
{
	struct trace trace = {0};
	char text[8192] = "", error[128];
	size_t used = 0;
	uint64_t sum = 0;

	for (int i = 0; i < 300; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "1 x%d() = 0\n", i);
	assert_int_equal(import_plain(&trace, text, false, error, sizeof(error)), 0);
	assert_true(report.nr_rows <= IMPORT_ROWS_MAX);
	assert_true(import_report_count(&report, IMPORT_UNRELATED, "other") > 100);
	for (uint32_t i = 0; i < report.nr_rows; i++)
		sum += report.rows[i].count;
	assert_int_equal(sum, 300);
	trace_release(&trace);
}

static void errors_name_line_and_reason(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"", "1: no system call in the whole recording"},
		{"+++ exited with 0 +++\n", "1: no system call in the whole recording"},
		{"brk(NULL) = 0x1000\nhello\n", "2: not a system call"},
		{"brk(NULL) = 0x1000\n\n= what\n", "3: neither a call"},
		{"brk(NULL) = 0x1000\nhello(\n", "2: the argument list does not end"},
		{"brk(NULL) = yes\n", "1: the result is not a number"},
		{"brk(x) = 0x1000\n", "1: an argument is not a number"},
		{"mmap(NULL, 1) = 0x1000\n", "1: too few arguments"},
		{"munmap(0x1001, 4096) = 0\n", "1: an address range that cannot be"},
		{"munmap(0xfffffffffffff000, 0xffffffffffffffff) = 0\n",
		 "1: an address range that cannot be"},
		{"mmap(NULL, 4096, 0, MAP_PRIVATE, x, 0) = 0x1000\n",
		 "1: an argument is not a file descriptor"},
		{"fork() = 0\n", "1: the result is not a pid"},
		{"clone(1) = 5\n", "1: clone without flags"},
		{"1 fork( <unfinished ...>\n2 brk(NULL) = 0x1000\n1 <... fork resumed>\n",
		 "1: the argument list does not end"},
	};
	struct trace trace = {0};
	char error[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(import_plain(&trace, bad[i].text, false, error, sizeof(error)),
				 -EINVAL);
		if (strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
			print_error("%s: %s\n", bad[i].text, error);
		assert_memory_equal(error, bad[i].error, strlen(bad[i].error));
	}
	assert_int_equal(import_plain(&trace, "hello\nbrk(NULL) = 0x1000\nbrk(x) = 0x1000\n", true,
				      error, sizeof(error)),
			 0);
	assert_int_equal(import_report_count(&report, IMPORT_DROPPED,
					     "neither a call, a signal nor an exit"),
			 0); /* "hello" starts like a call */
	assert_int_equal(import_report_count(&report, IMPORT_DROPPED, "not a system call"), 1);
	assert_int_equal(
		import_report_count(&report, IMPORT_DROPPED, "an argument is not a number"), 1);
	trace_release(&trace);
}

/* ---- recordings of real programs ----------------------------------------------------------- */

/* Golden counts, the policy's ops aside: they do not depend on the seed. */
static const struct recording {
	const char *name;
	uint32_t lines, calls, expressed, followed;
	uint32_t processes, peak, threads, execs, files, call_ops;
	uint32_t dropped, clipped;
} recordings[] = {
	{"compile", 411, 400, 156, 129, 3, 2, 0, 3, 14, 181, 0, 0},
	{"heap", 114, 102, 83, 14, 2, 2, 3, 1, 3, 94, 1, 1},
	{"pipeline", 498, 351, 186, 110, 8, 4, 0, 8, 9, 239, 0, 0},
	{"shm_workers", 138, 96, 78, 11, 7, 5, 0, 1, 4, 95, 0, 0},
	{"spawn", 142, 122, 86, 27, 4, 2, 1, 5, 4, 122, 0, 0},
	{"sqlite", 584, 583, 145, 31, 1, 1, 0, 1, 10, 156, 0, 0},
};
#define NR_RECORDINGS (sizeof(recordings) / sizeof(recordings[0]))

static char *read_recording(const char *name, size_t *size)
{
	char path[512], *text = malloc(1 << 20);
	FILE *in;

	snprintf(path, sizeof(path), "%s/corpus/strace/%s.strace", SOURCE_DIR, name);
	in = fopen(path, "rb");
	assert_non_null(in);
	assert_non_null(text);
	*size = fread(text, 1, 1 << 20, in);
	assert_true(feof(in));
	fclose(in);
	return text;
}

static void import_recording(struct trace *trace, const char *name,
			     const struct import_options *options)
{
	char error[128], *text;
	size_t size;
	int err;

	text = read_recording(name, &size);
	err = import_strace(trace, text, size, options, &report, error, sizeof(error));
	if (err)
		print_error("%s:%s\n", name, error);
	assert_int_equal(err, 0);
	free(text);
}

static uint64_t class_count(enum import_class class)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < report.nr_rows; i++)
		sum += report.rows[i].class == class ? report.rows[i].count : 0;
	return sum;
}

static void recordings_have_their_counts(void **state)
{
	for (size_t i = 0; i < NR_RECORDINGS; i++) {
		const struct recording *want = &recordings[i];
		struct import_options options;
		struct trace trace = {0};

		import_options_init(&options);
		import_recording(&trace, want->name, &options);
		print_message("%s: %u ops\n", want->name, trace.nr_ops);
		assert_int_equal(report.lines, want->lines);
		assert_int_equal(report.calls, want->calls);
		assert_int_equal(report.expressed, want->expressed);
		assert_int_equal(report.followed, want->followed);
		assert_int_equal(report.processes, want->processes);
		assert_int_equal(report.processes_peak, want->peak);
		assert_int_equal(report.threads, want->threads);
		assert_int_equal(report.execs, want->execs);
		assert_int_equal(report.files, want->files);
		assert_int_equal(report.call_ops, want->call_ops);
		assert_int_equal(class_count(IMPORT_DROPPED), want->dropped);
		assert_int_equal(class_count(IMPORT_CLIPPED), want->clipped);
		assert_int_equal(trace.nr_ops,
				 report.call_ops + report.touch_ops + report.reclaim_ops);
		assert_true(report.touch_ops && report.reclaim_ops);
		assert_all_counted();
		trace_release(&trace);
	}
}

static void same_seed_same_trace(void **state)
{
	for (size_t i = 0; i < NR_RECORDINGS; i++) {
		struct import_options options;
		struct trace a = {0}, b = {0};
		char *text_a, *text_b;

		import_options_init(&options);
		options.seed = 77;
		import_recording(&a, recordings[i].name, &options);
		text_a = print(&a);
		import_recording(&b, recordings[i].name, &options);
		text_b = print(&b);
		assert_string_equal(text_a, text_b);
		free(text_b);

		options.seed = 78;
		import_recording(&b, recordings[i].name, &options);
		text_b = print(&b);
		assert_string_not_equal(text_a, text_b);
		free(text_a);
		free(text_b);
		trace_release(&a);
		trace_release(&b);
	}
}

/* On every backend, on machines with room and without, and nothing that a call asks for fails. */
static void recordings_replay_clean(void **state)
{
	static const char *const machines[] = {"1g", "tiny", "64g-2:2", "32g-4:4"};
	struct diff_options diff_options;
	const struct diff_stats *stats;
	struct trace trace = {0};
	struct finding finding;
	struct diff *diff;

	diff_options_init(&diff_options);
	diff = diff_create(&diff_options);
	for (size_t i = 0; i < NR_RECORDINGS; i++) {
		for (uint32_t j = 0; j < sizeof(machines) / sizeof(machines[0]); j++) {
			struct import_options options;

			import_options_init(&options);
			options.seed = j + 1;
			options.swap = j % 2 ? 60 : 20;
			options.config = machine_preset_find(machines[j])->config;
			import_recording(&trace, recordings[i].name, &options);
			if (!diff_run(diff, &trace, &finding))
				continue;
			finding_print(&finding, &trace, stderr);
			fail_msg("%s on %s", recordings[i].name, machines[j]);
		}
	}
	stats = diff_stats(diff);
	for (enum op_code code = 0; code < NR_OPS; code++) {
		bool by_policy = code == OP_read || code == OP_write || code == OP_evict ||
				 code == OP_swapout || code == OP_age || code == OP_reclaim;

		if (!by_policy)
			assert_int_equal(stats->op_ok[code], stats->op_count[code]);
	}
	assert_true(stats->unmaps_compared > 100);
	diff_destroy(diff);
	trace_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_taken_apart),
		cmocka_unit_test(superseded_names_the_thread),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(neighbours_stay_neighbours),
		cmocka_unit_test(exec_maps_a_program_and_brk_stays_brk),
		cmocka_unit_test(processes_are_born_and_die),
		cmocka_unit_test(terminal_output_is_understood),
		cmocka_unit_test(exec_by_a_thread),
		cmocka_unit_test(i386_calls),
		cmocka_unit_test(files_are_read_written_and_cut),
		cmocka_unit_test(many_files_share_slots),
		cmocka_unit_test(what_cannot_be_expressed_is_counted),
		cmocka_unit_test(more_processes_than_slots),
		cmocka_unit_test(too_many_kinds_end_up_in_other),
		cmocka_unit_test(errors_name_line_and_reason),
		cmocka_unit_test(recordings_have_their_counts),
		cmocka_unit_test(same_seed_same_trace),
		cmocka_unit_test(recordings_replay_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

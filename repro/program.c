/*
 * From a trace to a C program: runtime.c, and one row with one function per operation.
 *
 * How an operation is written in C is a row of the table below: a function that prints the call.
 * What has none is not done.
 */
#include "program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* program/runtime.c, as text. */
extern const char program_runtime[];
__asm__(".section .rodata\n"
	".global program_runtime\n"
	"program_runtime:\n"
	".incbin \"" PROGRAM_RUNTIME "\"\n"
	".byte 0\n"
	".previous\n");

#define HEAP_BASE 0x08100000u
#define HEAP_END  0x0c100000u

/* ---- operands ------------------------------------------------------------------------------ */

/* "at(0x60003000)" or "region(2, 5)". */
static const char *addr(const struct op *op, int i, char buf[64])
{
	if (op->refs >> i & 1)
		snprintf(buf, 64, "region(%" PRIu32 ", %" PRIu32 ")",
			 (op->args[i] >> 24) % REGION_MAX, op->args[i] & 0xffffffu);
	else
		snprintf(buf, 64, "at(0x%08" PRIx32 ")", op->args[i]);
	return buf;
}

struct bit {
	uint32_t bit;
	const char *name;
};

/* "A | B", or NONE. */
static const char *bits(uint32_t value, const struct bit *names, const char *none, char *buf,
			size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (; names->name; names++) {
		if ((value & names->bit) && n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? " | " : "",
					      names->name);
	}
	if (!n)
		snprintf(buf, size, "%s", none);
	return buf;
}

static const char *prot(uint32_t value, char buf[64])
{
	static const struct bit names[] = {{OP_PROT_READ, "PROT_READ"},
					   {OP_PROT_WRITE, "PROT_WRITE"},
					   {OP_PROT_EXEC, "PROT_EXEC"},
					   {0, NULL}};

	return bits(value, names, "PROT_NONE", buf, 64);
}

static const char *mflags(uint32_t value, char buf[160])
{
	static const struct bit names[] = {{OP_MAP_ANON, "MAP_ANONYMOUS"},
					   {OP_MAP_FIXED, "MAP_FIXED"},
					   {OP_MAP_POPULATE, "MAP_POPULATE"},
					   {OP_MAP_LOCKED, "MAP_LOCKED"},
					   {OP_MAP_GROWSDOWN, "MAP_GROWSDOWN"},
					   {OP_MAP_NORESERVE, "MAP_NORESERVE"},
					   {0, NULL}};
	size_t n = (size_t)snprintf(buf, 160, "%s",
				    value & OP_MAP_SHARED ? "MAP_SHARED" : "MAP_PRIVATE");

	if (value & ~(uint32_t)OP_MAP_SHARED) {
		memcpy(buf + n, " | ", 4);
		bits(value, names, "0", buf + n + 3, 160 - n - 3);
	}
	return buf;
}

/* The name that the result is bound to, or -1. */
static int name_of(const struct op *op, int i)
{
	return op->args[i] < REGION_MAX ? (int)op->args[i] : -1;
}

/* ---- operations ---------------------------------------------------------------------------- */

/* Print an expression of type struct outcome for OP. */
typedef void print_fn(const struct op *op, FILE *out);

static void print_fork(const struct op *op, FILE *out)
{
	fprintf(out, "fork_process(%" PRIu32 ")", op->args[1]);
}

static void print_exit(const struct op *op, FILE *out)
{
	fputs("exit_process()", out);
}

static void print_exec(const struct op *op, FILE *out)
{
	fputs("exec_process()", out);
}

static void print_mmap(const struct op *op, FILE *out)
{
	char a[64], p[64], f[160], fd[24] = "-1";

	if (!(op->args[5] & OP_MAP_ANON))
		snprintf(fd, sizeof(fd), "file[%" PRIu32 "]", op->args[6] % FILE_MAX);
	fprintf(out,
		"address(mmap((void *)%s, %" PRIu32 " * PAGE, %s, %s, %s, %" PRIu32 " * PAGE), %d)",
		addr(op, 2, a), op->args[3], prot(op->args[4], p), mflags(op->args[5], f), fd,
		op->args[5] & OP_MAP_ANON ? 0 : op->args[7], name_of(op, 1));
}

static void print_munmap(const struct op *op, FILE *out)
{
	char a[64];

	fprintf(out, "done(munmap((void *)%s, %" PRIu32 " * PAGE))", addr(op, 1, a), op->args[2]);
}

static void print_mremap(const struct op *op, FILE *out)
{
	static const struct bit names[] = {{OP_MREMAP_MAYMOVE, "MREMAP_MAYMOVE"},
					   {OP_MREMAP_FIXED, "MREMAP_FIXED"},
					   {0, NULL}};
	char a[64], b[64], f[64];

	fprintf(out,
		"address(mremap((void *)%s, %" PRIu32 " * PAGE, %" PRIu32
		" * PAGE, %s, (void *)%s), %d)",
		addr(op, 2, a), op->args[3], op->args[4],
		bits(op->args[5], names, "0", f, sizeof(f)), addr(op, 6, b), name_of(op, 1));
}

static void print_mprotect(const struct op *op, FILE *out)
{
	char a[64], p[64];

	fprintf(out, "done(mprotect((void *)%s, %" PRIu32 " * PAGE, %s))", addr(op, 1, a),
		op->args[2], prot(op->args[3], p));
}

static void print_madvise(const struct op *op, FILE *out)
{
	static const char *const names[NR_ADVICE] = {
		[ADVICE_NORMAL] = "MADV_NORMAL",         [ADVICE_RANDOM] = "MADV_RANDOM",
		[ADVICE_SEQUENTIAL] = "MADV_SEQUENTIAL", [ADVICE_WILLNEED] = "MADV_WILLNEED",
		[ADVICE_DONTNEED] = "MADV_DONTNEED",     [ADVICE_FREE] = "MADV_FREE",
	};
	const char *name = op->args[3] < NR_ADVICE ? names[op->args[3]] : NULL;
	char a[64];

	fprintf(out, "done(madvise((void *)%s, %" PRIu32 " * PAGE, %s))", addr(op, 1, a),
		op->args[2], name ? name : "MADV_NORMAL");
}

static void print_brk(const struct op *op, FILE *out)
{
	char a[64];

	fprintf(out, "set_brk(%s)", addr(op, 1, a));
}

static void print_read(const struct op *op, FILE *out)
{
	char a[64];

	fprintf(out, "read_page(%s)", addr(op, 1, a));
}

static void print_write(const struct op *op, FILE *out)
{
	char a[64];

	fprintf(out, "write_page(%s, 0x%" PRIx64 ")", addr(op, 1, a), token_write(op->serial));
}

static void print_truncate(const struct op *op, FILE *out)
{
	fprintf(out, "done(ftruncate(file[%" PRIu32 "], %" PRIu32 " * PAGE))",
		op->args[0] % FILE_MAX, op->args[1]);
}

static void print_fread(const struct op *op, FILE *out)
{
	fprintf(out, "read_file(file[%" PRIu32 "], %" PRIu32 ")", op->args[0] % FILE_MAX,
		op->args[1]);
}

static void print_fwrite(const struct op *op, FILE *out)
{
	fprintf(out, "write_file(file[%" PRIu32 "], %" PRIu32 ", 0x%" PRIx64 ")",
		op->args[0] % FILE_MAX, op->args[1], token_write(op->serial));
}

static void print_pageout(const struct op *op, FILE *out)
{
	char a[64];

	fprintf(out, "page_out(%s)", addr(op, 1, a));
}

static print_fn *const print_call[NR_OPS] = {
	[OP_fork] = print_fork,         [OP_exit] = print_exit,
	[OP_exec] = print_exec,         [OP_mmap] = print_mmap,
	[OP_munmap] = print_munmap,     [OP_mremap] = print_mremap,
	[OP_mprotect] = print_mprotect, [OP_madvise] = print_madvise,
	[OP_brk] = print_brk,           [OP_read] = print_read,
	[OP_write] = print_write,       [OP_truncate] = print_truncate,
	[OP_fread] = print_fread,       [OP_fwrite] = print_fwrite,
	[OP_evict] = print_pageout,     [OP_swapout] = print_pageout,
};

/* ---- rows ------------------------------------------------------------------------------------ */

/* What one op should return; `any` where nothing is known or nothing can be compared. */
struct expected {
	bool any, has_token;
	int32_t err;
	uint64_t token;
};

/* Frames, slots and simulated failures are not of a real kernel's making. */
static bool is_comparable(const struct op *op)
{
	return print_call[op->code] && op->code != OP_evict && op->code != OP_swapout &&
	       !op_fails(op) && !op->reclaim_nth;
}

static struct expected expected_of(const struct op *op, const struct result *result)
{
	struct expected expected = {.any = !is_comparable(op), .err = result->err};

	if (op->code == OP_read || op->code == OP_fread) {
		expected.has_token = !result->err;
		expected.token = result->token;
	}
	/* A simulated machine has less memory than yours. */
	expected.any |= result->err == -ENOMEM;
	return expected;
}

static void print_function(const struct op *op, uint32_t i, FILE *out)
{
	char text[256];

	op_print(op, text, sizeof(text));
	fprintf(out, "\n/* %s */\nstatic struct outcome row_%" PRIu32 "(void)\n{\n\treturn ", text,
		i);
	if (print_call[op->code])
		print_call[op->code](op, out);
	else
		fputs("nothing() /* no system call does this */", out);
	fputs(";\n}\n", out);
}

static void print_row(const struct op *op, uint32_t i, const struct expected *expected, FILE *out)
{
	bool of_process = op_info((enum op_code)op->code)->operand[0].kind == OPERAND_PROC;
	int32_t err = expected->err < 0 ? -expected->err : expected->err;
	char text[256], who[16] = "NOBODY";

	op_print(op, text, sizeof(text));
	if (of_process)
		snprintf(who, sizeof(who), "%" PRIu32, op->args[0]);
	fprintf(out, "\t{%s, \"%s\", %" PRId32 ", %d, 0x%" PRIx64 ", row_%" PRIu32 "},\n", who,
		text, expected->any ? -1 : err, expected->has_token && !expected->any,
		expected->token, i);
}

/* No system call that this makes does what OP did to what others read. */
static bool changes_contents(const struct op *op)
{
	return op->code == OP_pinwrite || op->code == OP_poke || op->code == OP_pin;
}

static bool op_makes_process(const struct op *op)
{
	const struct op_info *info = op_info((enum op_code)op->code);

	for (int i = 0; i < info->nargs; i++) {
		if (info->operand[i].kind == OPERAND_NEWPROC)
			return true;
	}
	return false;
}

/* An op of a process that is not alive is nobody's: it cannot be done, and its turn would not end.
 */
static bool is_alive(struct diff *diff, const struct op *op)
{
	return op_info((enum op_code)op->code)->operand[0].kind != OPERAND_PROC ||
	       machine_proc_alive(diff_machine(diff, 0), op->args[0]);
}

struct program {
	struct diff *diff;
	uint32_t n;  /* rows so far */
	bool failed; /* something failed here that succeeds there, or was done that cannot be:
			nothing is the same */
};

/*
 * Rows for an op and those that run inside it, which a program cannot order: there they run behind
 * it, and what they see is not compared. Nor is it if SHOWS: that one shows the finding.
 */
static void put_group(struct program *program, const struct op *ops, uint32_t n, bool shows,
		      FILE *out, FILE *table)
{
	struct diff *diff = program->diff;
	struct finding ignored;
	bool alive[GROUP_MAX];

	for (uint32_t k = 0; k < n; k++)
		alive[k] = is_alive(diff, &ops[k]);
	diff_step_group(diff, ops, n, &ignored);
	for (uint32_t k = 0; k < n; k++) {
		const struct result *result = diff_group_result(diff, k);
		struct expected expected = {.any = true};

		if (!shows && !program->failed && n == 1)
			expected = expected_of(&ops[k], result);
		program->failed |= op_fails(&ops[k]) && result->err;
		program->failed |= changes_contents(&ops[k]) && !result->err;
		/* There is no way to fork a process that exists. */
		if (!alive[k] || (op_makes_process(&ops[k]) && result->err))
			continue;
		print_function(&ops[k], program->n, out);
		print_row(&ops[k], program->n, &expected, table);
		program->n++;
	}
}

static struct diff *scan_alone(void)
{
	struct diff_options options;

	diff_options_init(&options);
	options.backends[0] = rmap_find("scan");
	options.nr_backends = 1;
	return diff_create(&options);
}

void program_print(const struct trace *trace, const struct finding *finding, const char *header,
		   FILE *out)
{
	const struct machine_config *config = &trace->config;
	uint32_t last = finding ? finding->op_index : trace->nr_ops;
	struct diff *diff = scan_alone();
	char *rows = NULL;
	size_t size;
	FILE *table = open_memstream(&rows, &size);
	struct program program = {.diff = diff};

	if (*header)
		fprintf(out, "/*\n%s */\n", header);
	fputs(program_runtime, out);
	fputs("/* ---- the operations "
	      "-------------------------------------------------------------------- */\n",
	      out);
	diff_begin(diff, config);
	/* What comes after a finding has no part in it. */
	for (uint32_t i = 0, n; i < trace->nr_ops && i <= last && table; i += n) {
		n = op_group(&trace->ops[i], trace->nr_ops - i);
		put_group(&program, &trace->ops[i], n, last < i + n, out, table);
	}
	if (table)
		fclose(table);
	fprintf(out, "\nconst struct row rows[] = {\n%s};\n", program.n ? rows : "\t{0}\n");
	fprintf(out,
		"const unsigned int nr_rows = %" PRIu32 ";\n"
		"const uint64_t heap_base = 0x%x, heap_end = 0x%x;\n"
		"const unsigned int files = %" PRIu32 ", file_pages = %" PRIu32 ";\n",
		program.n, HEAP_BASE, HEAP_END, config->files, config->file_pages);
	free(rows);
	diff_destroy(diff);
}

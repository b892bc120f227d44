/*
 * The trace language as text: every op and value there and back, forms that mean the same,
 * expectations, nested ops, and the table in the documentation.
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

#include "trace_play.h"

static void test_table(void **state)
{
	for (int code = 0; code < NR_OPS; code++) {
		const struct op_info *info = op_info(code);

		assert_int_equal(op_code_of(info->name), code);
		assert_in_range(info->nargs, 1, OP_ARGS_MAX);
		assert_true(strlen(info->help) > 0);
		for (int i = 0; i < info->nargs; i++)
			assert_int_equal(op_operand_index(code, info->operand[i].name), i);
	}
	assert_int_equal(op_code_of("mmapp"), -1);
	assert_int_equal(op_code_of(""), -1);
	assert_int_equal(op_operand_index(OP_mmap, "pgoff"), 7);
	assert_int_equal(op_operand_index(OP_mmap, "parent"), -1);
	assert_int_equal(op_info(OP_mmap)->operand[6].kind, OPERAND_FILE);
}

static void test_regions(void **state)
{
	uint32_t regions[REGION_MAX] = {[3] = 0x40000000, [31] = 0xfffff000};
	struct op op = {.code = OP_mremap,
			.refs = 1u << 2 | 1u << 6,
			.args = {0, REGION_NONE, 3u << 24 | 2, 1, 1, 3, 7u << 24 | 5}};
	struct result result = {.err = 0, .value = 0x12345000};
	struct op resolved = op_resolve(&op, regions);

	assert_int_equal(resolved.refs, 0);
	assert_int_equal(resolved.args[2], 0x40002000);
	assert_int_equal(resolved.args[6], 0); /* unbound */
	op.args[2] = 31u << 24 | 2;
	assert_int_equal(op_resolve(&op, regions).args[2], 0x1000); /* wraps around */

	op_bind(&op, &result, regions);
	assert_int_equal(regions[3], 0x40000000);
	op.args[1] = 3;
	op_bind(&op, &result, regions);
	assert_int_equal(regions[3], 0x12345000);
	result = (struct result){.err = -EINVAL, .value = 1};
	op_bind(&op, &result, regions);
	assert_int_equal(regions[3], 0x12345000);
	op = (struct op){.code = OP_read};
	result.err = 0;
	op_bind(&op, &result, regions);
	assert_int_equal(regions[0], 0);
}

static void test_container(void **state)
{
	struct trace a = new_trace(), b = {0};
	struct op op = {.code = OP_read, .serial = 77};
	struct expect late = {.kind = EXPECT_PAGES, .at = 1},
		      result = {.kind = EXPECT_RESULT, .at = 1};
	struct expect first = {.kind = EXPECT_CLEAN, .at = UINT32_MAX};

	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(trace_add(&a, &op), 0);
	assert_int_equal(a.ops[0].serial, 0);
	assert_int_equal(a.ops[999].serial, 999);
	trace_add_expect(&a, &late);
	trace_add_expect(&a, &result);
	trace_add_expect(&a, &first);
	assert_int_equal(a.expects[0].kind, EXPECT_CLEAN);
	assert_int_equal(a.expects[1].kind, EXPECT_RESULT);
	assert_int_equal(a.expects[2].kind, EXPECT_PAGES);

	assert_int_equal(trace_copy(&b, &a), 0);
	assert_same_ops(&a, &b);
	assert_same_expects(&a, &b);
	trace_clear(&a);
	assert_int_equal(a.nr_ops, 0);
	assert_int_equal(a.nr_expects, 0);
	assert_non_null(a.ops);
	assert_int_equal(trace_copy(&b, &a), 0);
	assert_int_equal(b.nr_ops, 0);
	trace_release(&a);
	trace_release(&b);
	assert_null(a.ops);
}

/* Every op in canonical form: what is read here is printed again, letter by letter. */
static const char *const canonical[] = {
	"p1 = fork p0",
	"p7 = clone_vm p0",
	"p31 = fork p31 (fail_nth: 2) (reclaim_nth: 1) (fail_meta: 65535) = ENOMEM",
	"p31 = fork p31 (fail_nth: 2) (fail_from: 4) (fail_meta_from: 65535)",
	"exit p1",
	"exec p0 = ok",
	"r0 = mmap p0 - 8 rw anon",
	"r31 = mmap p0 r0+16777215 0 none anon|fixed = 0x60003000",
	"mmap p0 w0 24 rw anon|fixed",
	"mmap p0 w4 2 r shared f1 3",
	"mmap p0 w4 2 rx private f0 0",
	"mmap p0 0x00001000 1 x fixed f7 1048575",
	"mmap p0 w255 1048575 rwx shared|anon|fixed|populate|locked|growsdown|noreserve",
	"mmap p0 - 1 wx anon f2 9", /* for nothing, but that is what it says */
	"munmap p0 w3 2",
	"munmap p0 r3 2 = EINVAL",
	"mremap p0 w3 1 1 maymove|fixed w9",
	"r2 = mremap p0 r2+1 8 16 maymove",
	"mremap p0 w3 1 1 -",
	"mremap p0 w3 1 1 fixed -",
	"mremap p0 w3 1 1 - r0",
	"mremap p0 w3 1 1 maymove 0x70000000 = EFAULT",
	"mprotect p0 w0 4 r",
	"mprotect p0 w0 4 none = -99",
	"madvise p0 r0+2 1 dontneed",
	"madvise p0 r0+2 1 normal",
	"madvise p0 r0+2 1 random",
	"madvise p0 r0+2 1 sequential",
	"madvise p0 r0+2 1 willneed = EAGAIN",
	"brk p0 0x08200000 = 0x08200000",
	"brk p0 -",
	"read p0 w3",
	"read p0 w3 = zero",
	"read p0 w3 = write 7",
	"read p0 w3 = file f2 3",
	"read p0 w3 = token 0x8",
	"read p0 0x60003001 = SEGV",
	"read p0 0x60100000 = BUS",
	"read p0 w3 = ok",
	"write p1 w3",
	"write p1 w3 (fail_nth: 3)",
	"truncate f2 4",
	"fread f0 3 = file f0 3",
	"fread f0 3 = ENODATA",
	"fwrite f7 1048575",
	"evict p0 w3 = success",
	"evict p0 w3 = again",
	"evict p0 w3 = 7",
	"swapout p0 w3 = fail",
	"swapout p0 w3 = ENOENT",
	"age p0 w3 = 2",
	"reclaim 32",
	"reclaim 32 = 0",
	"swapon s0",
	"swapon s31 = ENOENT",
	"swapoff s1 (fail_nth: 1) = ENOMEM",
	"mlock p0 w3 1 = EAGAIN",
	"munlock p0 w3 1",
	"mlockall p0",
	"munlockall p0 = ok",
	"mlockall_future p0",
	"msync p0 w3 2 async|invalidate",
	"msync p0 w3 2 sync = EBUSY",
	"msync p0 w3 2 -",
	"writeback f0 = 3",
	"mkclean f0 = 0",
	"fdrop f0 = 1",
	"fpunch f1 3 2 = EFBIG",
	"migrate p0 w3 = success",
	"migrate p0 w3 = ENOMEM",
	"madvise p0 r0+2 1 pageout = EINVAL",
	"r1 = mremap p0 w3 2 2 maymove|dontunmap",
	"remap_file_pages p0 w3 2 7 -",
	"remap_file_pages p31 r1+2 1 1048575 nonblock",
	"remap_file_pages p0 w0 1 9 - (fail_nth: 2) = ENOMEM",
	"d0 = pin p0 w3 2 write = 2",
	"d15 = pin p31 r1+2 64 write|force = EFAULT",
	"d3 = pin p0 0x60000123 1 -",
	"unpin d15",
	"pinread d0 63 = write 7",
	"pinwrite d1 0 = EACCES",
	"poke p0 w3 = EFAULT",
};

static void test_canonical(void **state)
{
	struct trace trace = {0};
	char text[256], op[256];
	uint64_t seen = 0;

	for (uint32_t i = 0; i < N(canonical); i++) {
		char *printed;
		const char *line;
		int printed_len;

		snprintf(text, sizeof(text), HEAD "%s\n", canonical[i]);
		parse_trace(&trace, text);
		printed = print_trace(&trace);
		line = strchr(strchr(printed, '\n') + 1, '\n') + 1;
		snprintf(text, sizeof(text), "%s\n", canonical[i]);
		assert_string_equal(line, text);
		free(printed);

		check_text(&trace);
		check_bytes(&trace);
		printed_len = op_print(&trace.ops[0], op, sizeof(op));
		assert_int_equal(printed_len, strlen(op));
		assert_memory_equal(op, canonical[i], strlen(op));
		seen |= 1ull << trace.ops[0].code;
	}
	assert_true(seen == (1ull << NR_OPS) - 1);
	trace_release(&trace);
}

/* Text that people write, and what becomes of it. */
static void test_forms(void **state)
{
	static const struct {
		const char *given, *canonical;
	} forms[] = {
		{"r0=mmap p0 0x60000000 0x10 wr anon", "r0 = mmap p0 w0 16 rw anon"},
		{"\tmunmap  p0\tr0+0 2   # a comment", "munmap p0 r0 2"},
		{"read p0 w3 (fail_meta:1)(fail_nth: 0x2)=EINVAL",
		 "read p0 w3 (fail_nth: 2) (fail_meta: 1) = EINVAL"},
		{"mmap p0 w0 1 r private|anon|populate", "mmap p0 w0 1 r anon|populate"},
		{"mmap p0 w0 1 r - f0 0", "mmap p0 w0 1 r private f0 0"},
		{"mmap p0 w0 1 r anon f0 0", "mmap p0 w0 1 r anon"},
		{"mmap p0 w0 1 r anon = w3", "mmap p0 w0 1 r anon = 0x60003000"},
		{"munmap p00 w003 2\r", "munmap p0 w3 2"},
		{"brk p0 0x0", "brk p0 -"},
		{"brk p0 0x0 = 4096", "brk p0 - = 0x00001000"},
		{"read p0 w0 = token 0", "read p0 w0 = zero"},
		{"read p0 w0 = -22", "read p0 w0 = EINVAL"},
		{"age p0 w0 = 0x10", "age p0 w0 = 16"},
		{"evict p0 w0 = 0", "evict p0 w0 = success"},
	};
	struct trace a = {0}, b = {0};
	char text[256];

	for (uint32_t i = 0; i < N(forms); i++) {
		char *printed;

		snprintf(text, sizeof(text), "# hello\n\n  " HEAD " # \xc3\xa9\n%s",
			 forms[i].given);
		parse_trace(&a, text);
		assert_int_equal(a.nr_ops, 1);
		snprintf(text, sizeof(text), HEAD "%s\n", forms[i].canonical);
		parse_trace(&b, text);
		assert_same_ops(&a, &b);
		assert_same_expects(&a, &b);
		printed = print_trace(&a);
		assert_non_null(strstr(printed, forms[i].canonical));
		free(printed);
	}
	trace_release(&a);
	trace_release(&b);
}

static void test_expectations(void **state)
{
	static const char text[] = HEAD "machine tiny swap=64 # small\n"
					"# expect: p0 w0 ..\n"
					"# expect this is a comment\n"
					"mmap p0 w0 2 rw anon|fixed = ok\n"
					"#expect: p0 w0 --\n"
					"write p0 w0   # expect: p0 w0 w-\n"
					"# expect: mappers p0 w0 1 # one\n"
					"# expect: unmapped:swapout:anon_vma:missed\n"
					"# expect: p0 0x60100000 .\n"
					"swapout p0 w0 = success\n"
					"# expect: clean";
	struct trace trace = {0};
	char *printed;

	parse_trace(&trace, text);
	assert_int_equal(trace.nr_ops, 3);
	assert_int_equal(trace.nr_expects, 9);
	assert_int_equal(trace.expects[0].kind, EXPECT_PAGES);
	assert_int_equal(trace.expects[0].at, UINT32_MAX);
	assert_int_equal(trace.expects[0].line, 3);
	assert_int_equal(trace.expects[1].kind, EXPECT_FINDING);
	assert_string_equal(trace.expects[1].text, "unmapped:swapout:anon_vma:missed");
	assert_int_equal(trace.expects[2].kind, EXPECT_CLEAN);
	assert_int_equal(trace.expects[2].at, UINT32_MAX);
	assert_int_equal(trace.expects[2].line, 12);
	assert_int_equal(trace.expects[3].kind, EXPECT_RESULT);
	assert_int_equal(trace.expects[3].at, 0);
	assert_false(trace.expects[3].has_value);
	assert_int_equal(trace.expects[4].vpn, 0x60000);
	assert_string_equal(trace.expects[4].text, "--");
	assert_int_equal(trace.expects[5].at, 1);
	assert_string_equal(trace.expects[5].text, "w-");
	assert_int_equal(trace.expects[6].kind, EXPECT_MAPPERS);
	assert_int_equal(trace.expects[6].count, 1);
	assert_int_equal(trace.expects[7].vpn, 0x60100);
	assert_true(trace.expects[8].has_value);
	assert_int_equal(trace.expects[8].value, UNMAP_SUCCESS);
	check_text(&trace);

	printed = print_trace(&trace);
	assert_non_null(strstr(printed,
			       "\nmachine tiny swap=64\n# expect: p0 w0 ..\n"
			       "# expect: unmapped:swapout:anon_vma:missed\n# expect: clean\n"
			       "mmap p0 w0 2 rw anon|fixed = ok\n# expect: p0 w0 --\n"
			       "write p0 w0\n# expect: p0 w0 w-\n# expect: mappers p0 w0 1\n"
			       "# expect: p0 0x60100000 .\nswapout p0 w0 = success\n"));
	free(printed);
	trace_release(&trace);
}

static void test_result_print(void **state)
{
	static const struct {
		enum op_code code;
		struct result result;
		const char *text;
	} results[] = {
		{OP_mmap, {0, 0x60003000, 0}, "0x60003000"},
		{OP_mmap, {-EINVAL, 0, 0}, "EINVAL"},
		{OP_brk, {0, 0x08200000, 0}, "0x08200000"},
		{OP_munmap, {0, 0, 0}, "ok"},
		{OP_read, {0, 0, 0}, "zero"},
		{OP_read, {0, 0, TOKEN_WRITE | 7}, "write 7"},
		{OP_fread, {0, 0, TOKEN_FILE | 3ull << 32 | 9}, "file f3 9"},
		{OP_read, {RES_SEGV, 0, 0}, "SEGV"},
		{OP_write, {RES_BUS, 0, 0}, "BUS"},
		{OP_evict, {0, UNMAP_AGAIN, 0}, "again"},
		{OP_age, {0, 3, 0}, "3"},
		{OP_write, {0, 0, 0}, "ok"},
		{OP_exec, {-1234, 0, 0}, "-1234"},
	};
	char buf[64];

	for (uint32_t i = 0; i < N(results); i++) {
		assert_int_equal(
			result_print(results[i].code, &results[i].result, buf, sizeof(buf)),
			strlen(results[i].text));
		assert_string_equal(buf, results[i].text);
	}
	/* As snprintf: cut short, ended, and the whole length returned. */
	assert_int_equal(result_print(OP_mmap, &results[0].result, buf, 5), 10);
	assert_string_equal(buf, "0x60");
	assert_int_equal(result_print(OP_mmap, &results[0].result, NULL, 0), 10);
}

/* ---- documentation
 * --------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text;
	size_t n;

	if (!in)
		fail_msg("cannot open %s", path);
	text = malloc(1 << 20);
	assert_non_null(text);
	n = fread(text, 1, (1 << 20) - 1, in);
	text[n] = '\0';
	fclose(in);
	return text;
}

static void expect_documented(void (*make)(FILE *out))
{
	char *doc = read_file(SOURCE_DIR "/docs/trace-format.md"), *table = NULL;
	size_t size;
	FILE *out = open_memstream(&table, &size);

	make(out);
	fclose(out);
	if (!strstr(doc, table))
		fail_msg("docs/trace-format.md does not have what `rmapfuzz ops --markdown` "
			 "prints:\n%s",
			 table);
	free(doc);
	free(table);
}

static void test_documentation(void **state)
{
	expect_documented(op_table_markdown);
	expect_documented(point_table_markdown);
}

/* A nested op has a line of its own, and bytes; the first op of a trace is never one. */
static void test_nested(void **state)
{
	static const char text[] = "p1 = fork p0\n"
				   "  @fork.per_pte write p0 w1\n"
				   "  @alloc:300 swapout p0 w0 (fail_nth: 2)\n"
				   "read p0 w0\n";
	static const uint8_t bytes[] = {0, 0, 0, 0xe8, 2, 10, 0, 1};
	static const uint8_t first[] = {0, 0xe8, 2, 10, 0, 1};
	char whole[256], error[128], *printed;
	struct trace trace = {0};

	snprintf(whole, sizeof(whole), "%s%s", HEAD, text);
	assert_int_equal(trace_parse(&trace, whole, strlen(whole), error, sizeof(error)), 0);
	assert_int_equal(trace.ops[1].point, POINT_FORK_PER_PTE);
	assert_int_equal(trace.ops[2].point_nth, 300);
	assert_int_equal(op_group(trace.ops, trace.nr_ops), 3);
	printed = print_trace(&trace);
	assert_non_null(strstr(printed, text));
	free(printed);
	check_bytes(&trace);

	trace_decode(&trace, bytes, sizeof(bytes), 64);
	assert_int_equal(trace.nr_ops, 2);
	assert_int_equal(trace.ops[1].point, POINT_FORK_PER_PTE);
	assert_int_equal(trace.ops[1].point_nth, 1);
	trace_decode(&trace, first, sizeof(first), 64);
	assert_int_equal(trace.nr_ops, 1);
	assert_int_equal(trace.ops[0].point, POINT_NONE);

	snprintf(whole, sizeof(whole), "%s@fork.per_pte read p0 w0\n", HEAD);
	assert_int_equal(trace_parse(&trace, whole, strlen(whole), error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "no op that it could run in"));
	snprintf(whole, sizeof(whole), "%sread p0 w0\n@nowhere read p0 w0\n", HEAD);
	assert_int_equal(trace_parse(&trace, whole, strlen(whole), error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "is not a point"));
	snprintf(whole, sizeof(whole), "%sread p0 w0\n@alloc:0 read p0 w0\n", HEAD);
	assert_int_equal(trace_parse(&trace, whole, strlen(whole), error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "1 to 65535"));
	trace_release(&trace);
}

/* The example in the documentation is a trace, in canonical form. */
static void test_documented_example(void **state)
{
	char *doc = read_file(SOURCE_DIR "/docs/trace-format.md"), *printed;
	char *begin = strstr(doc, "```text\n" HEAD), *end;
	struct trace trace = {0};

	assert_non_null(begin);
	begin += strlen("```text\n");
	end = strstr(begin, "```");
	assert_non_null(end);
	*end = '\0';
	parse_trace(&trace, begin);
	check_text(&trace);
	check_bytes(&trace);
	printed = print_trace(&trace);
	assert_string_equal(printed, begin);
	free(printed);
	free(doc);
	trace_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),        cmocka_unit_test(test_regions),
		cmocka_unit_test(test_container),    cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_forms),        cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_result_print), cmocka_unit_test(test_documentation),
		cmocka_unit_test(test_nested),       cmocka_unit_test(test_documented_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The trace language: text <-> struct <-> bytes, each way and around, errors with their lines, and
 * the table in the documentation.
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

#include "machine.h"
#include "trace.h"
#include "trace_private.h"

#define HEAD "rmapfuzz trace 1\n"

/* ---- tools -------------------------------------------------------------------------------------
 */

struct random {
	uint64_t state;
};

static uint32_t next(struct random *random)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return (uint32_t)(random->state >> 16);
}

static uint32_t below(struct random *random, uint32_t n)
{
	return next(random) % n;
}

/* Not inlined: gcc 12 takes what open_memstream() stores in `text` for a pointer to `text`. */
static __attribute__((noinline)) char *print(const struct trace *trace)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	trace_print(trace, out);
	fclose(out);
	return text;
}

static void parse(struct trace *trace, const char *text)
{
	char error[512] = "";

	if (trace_parse(trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s\nin\n%s", error, text);
}

static void assert_same_ops(const struct trace *a, const struct trace *b)
{
	char x[MACHINE_CONFIG_TEXT_MAX], y[MACHINE_CONFIG_TEXT_MAX];

	assert_int_equal(a->nr_ops, b->nr_ops);
	for (uint32_t i = 0; i < a->nr_ops; i++) {
		if (memcmp(&a->ops[i], &b->ops[i], sizeof(struct op)) == 0)
			continue;
		op_print(&a->ops[i], x, sizeof(x));
		op_print(&b->ops[i], y, sizeof(y));
		fail_msg("op %u: \"%s\" is not \"%s\"", i, x, y);
	}
	machine_config_print(&a->config, x, sizeof(x));
	machine_config_print(&b->config, y, sizeof(y));
	assert_string_equal(x, y);
}

static void assert_same_expects(const struct trace *a, const struct trace *b)
{
	assert_int_equal(a->nr_expects, b->nr_expects);
	for (uint32_t i = 0; i < a->nr_expects; i++) {
		const struct expect *x = &a->expects[i], *y = &b->expects[i];

		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->at, y->at);
		assert_int_equal(x->proc, y->proc);
		assert_int_equal(x->vpn, y->vpn);
		assert_int_equal(x->count, y->count);
		assert_int_equal(x->err, y->err);
		assert_int_equal(x->has_value, y->has_value);
		assert_int_equal(x->has_token, y->has_token);
		assert_int_equal(x->value, y->value);
		assert_true(x->token == y->token);
		assert_string_equal(x->text, y->text);
	}
}

/* Through text and back. */
static void check_text(const struct trace *trace)
{
	struct trace again = {0};
	char *text = print(trace), *text_again;

	parse(&again, text);
	assert_same_ops(trace, &again);
	assert_same_expects(trace, &again);
	text_again = print(&again);
	assert_string_equal(text, text_again);
	free(text);
	free(text_again);
	trace_release(&again);
}

/* Through bytes and back. Returns how many there were. */
static size_t check_bytes(const struct trace *trace)
{
	struct trace again = {0};
	size_t size = trace_encode(trace, NULL, 0);
	uint8_t *bytes = malloc(size + 1);

	assert_non_null(bytes);
	bytes[size] = 0xa5;
	assert_int_equal(trace_encode(trace, bytes, size), size);
	assert_int_equal(bytes[size], 0xa5);
	trace_decode(&again, bytes, size, TRACE_OPS_MAX);
	assert_same_ops(trace, &again);
	assert_int_equal(again.nr_expects, 0);
	free(bytes);
	trace_release(&again);
	return size;
}

static struct trace new_trace(void)
{
	struct trace trace = {0};

	trace_init(&trace, &machine_presets[0].config);
	return trace;
}

/* ---- values of every kind ----------------------------------------------------------------------
 */

static const uint32_t addresses[] = {
	0,          1,          0x1000,     0x5ffff000, 0x60000000, 0x60001000, 0x6001f000,
	0x60020000, 0x600ff000, 0x60100000, 0x60003001, 0x08100000, 0x0811f000, 0x08120000,
	0x081fa000, 0x081fb000, 0x40000000, 0xbffff000, 0xfffff000, 0xffffffff,
};
static const uint32_t references[] = {
	0, 1, 7, 8, 0xffffff, 5u << 24, 30u << 24 | 3, 31u << 24, 31u << 24 | 0xffffff,
};
static const uint32_t lengths[] = {0,     1,     2,     31,          32,     33,  34,
				   63,    255,   256,   257,         511,    512, 4096,
				   65535, 65536, 99999, LEN_MAX - 1, LEN_MAX};
#define N(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

/* How many values of KIND are tried, and the I-th of them. */
static uint32_t nr_values(enum operand_kind kind)
{
	switch (kind) {
	case OPERAND_PROC:
	case OPERAND_NEWPROC:
		return PROC_MAX;
	case OPERAND_REGION:
		return REGION_MAX + 1;
	case OPERAND_ADDR:
		return N(addresses) + N(references);
	case OPERAND_LEN:
	case OPERAND_PGOFF:
	case OPERAND_COUNT:
		return N(lengths);
	case OPERAND_PROT:
		return OP_PROT_MASK + 1;
	case OPERAND_MFLAGS:
		return OP_MAP_MASK + 1;
	case OPERAND_RFLAGS:
		return OP_MREMAP_MASK + 1;
	case OPERAND_SFLAGS:
		return OP_MS_MASK + 1;
	case OPERAND_NFLAGS:
		return OP_REMAP_MASK + 1;
	case OPERAND_ADVICE:
		return NR_ADVICE;
	case OPERAND_FILE:
		return FILE_MAX;
	case OPERAND_PIN:
	case OPERAND_NEWPIN:
		return PIN_MAX;
	case OPERAND_PFLAGS:
		return OP_PIN_MASK + 1;
	case OPERAND_SWAP:
		return SWAP_AREAS_MAX;
	case OPERAND_NONE:
		break;
	}
	return 1;
}

static void set_value(struct op *op, uint32_t i, uint32_t k)
{
	enum operand_kind kind = op_info(op->code)->operand[i].kind;

	op->args[i] = k;
	op->refs &= (uint8_t) ~(1u << i);
	if (kind == OPERAND_REGION && k == REGION_MAX)
		op->args[i] = REGION_NONE;
	if (kind == OPERAND_LEN || kind == OPERAND_PGOFF || kind == OPERAND_COUNT)
		op->args[i] = lengths[k % N(lengths)];
	if (kind == OPERAND_ADDR && k < N(addresses))
		op->args[i] = addresses[k];
	if (kind == OPERAND_ADDR && k >= N(addresses)) {
		op->args[i] = references[(k - N(addresses)) % N(references)];
		op->refs |= (uint8_t)(1u << i);
	}
}

static struct op random_op(struct random *random)
{
	struct op op = {.code = (uint8_t)below(random, NR_OPS)};
	const struct op_info *info = op_info(op.code);

	for (uint32_t i = 0; i < info->nargs; i++)
		set_value(&op, i, below(random, nr_values(info->operand[i].kind)));
	for (uint32_t i = 0; i < NR_PROPERTIES; i++) {
		if (below(random, 8) == 0)
			op_set_property(&op, i, (uint16_t)(next(random) >> below(random, 16)));
	}
	return op;
}

static void random_expect(struct random *random, struct trace *trace)
{
	struct expect expect = {
		.kind = below(random, EXPECT_CLEAN),
		.at = trace->nr_ops - 1,
	};

	if (expect.kind != EXPECT_RESULT) {
		expect.proc = below(random, PROC_MAX);
		expect.vpn = next(random) & 0xfffff;
		if (expect.kind == EXPECT_MAPPERS)
			expect.count = below(random, 9);
		else
			snprintf(expect.text, sizeof(expect.text), "rw.-snzo");
	} else {
		/* One result per op, and none before the first. */
		if (trace->nr_ops == 0 ||
		    (trace->nr_expects && trace->expects[trace->nr_expects - 1].at == expect.at))
			return;
		expect.err = below(random, 2) ? 0 : -(int32_t)below(random, 150);
		expect.has_token = expect.err == 0 && below(random, 2);
		expect.has_value = expect.err == 0 && !expect.has_token && below(random, 2);
		if (expect.has_value)
			expect.value = next(random) >> below(random, 32);
		if (expect.has_token)
			expect.token =
				(uint64_t)next(random) << 32 | next(random) >> below(random, 32);
	}
	assert_int_equal(trace_add_expect(trace, &expect), 0);
}

/* ---- tests
 * ---------------------------------------------------------------------------------------- */

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
		parse(&trace, text);
		printed = print(&trace);
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
		parse(&a, text);
		assert_int_equal(a.nr_ops, 1);
		snprintf(text, sizeof(text), HEAD "%s\n", forms[i].canonical);
		parse(&b, text);
		assert_same_ops(&a, &b);
		assert_same_expects(&a, &b);
		printed = print(&a);
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

	parse(&trace, text);
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

	printed = print(&trace);
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

/* ---- errors
 * --------------------------------------------------------------------------------------- */

static const struct {
	const char *text, *error;
} errors[] = {
	{"", "1: there is no \"rmapfuzz trace 1\" in it"},
	{"\n# only\n", "2: there is no \"rmapfuzz trace 1\" in it"},
	{"mmap p0\n", "1: \"mmap p0\" is not \"rmapfuzz trace 1\", which a trace begins with"},
	{"rmapfuzz trace\n",
	 "1: \"rmapfuzz trace\" is not \"rmapfuzz trace 1\", which a trace begins with"},
	{"rmapfuzz trace one",
	 "1: \"rmapfuzz trace one\" is not \"rmapfuzz trace 1\", which a trace begins with"},
	{"rmapfuzz trace 1 2",
	 "1: \"rmapfuzz trace 1 2\" is not \"rmapfuzz trace 1\", which a trace begins with"},
	{"\x7f"
	 "ELF\x02\x01\"\\",
	 "1: \"\\x7fELF\\x02\\x01\\\"\\\\\" is not \"rmapfuzz trace 1\", which a trace "
	 "begins with"},
	{HEAD "machine nosuch\n", NULL},
	{HEAD "machine tiny\nmachine tiny\n", "3: \"machine\": there is a machine already"},
	{HEAD "exit p0\nmachine tiny\n", "3: \"machine\": the machine comes before the first op"},
	{HEAD "machine t\x01ny\n", "2: machine \"t\\x01ny\" has characters that are not text"},
	{HEAD "\n# x\nmmapp p0 w0\n", "4: \"mmapp\" is not an op"},
	{HEAD "r0 = \n", "2: \"r0\" = what? An op is missing"},
	{HEAD "= munmap\n", "2: \"=\" is not an op"},
	{HEAD "\xff\xfe\n", "2: \"\\xff\\xfe\" is not an op"},
	{HEAD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	 "2: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is not an op"},
	{HEAD "r0 = munmap p0 w0 1\n", "2: \"r0\": munmap returns nothing that could be named"},
	{HEAD "fork p0\n", "2: fork needs a name for its child, as in \"p1 = fork p0\""},
	{HEAD "r1 = fork p0\n", "2: child: \"r1\" is not a process (p0 to p31)"},
	{HEAD "p1 = mmap p0 w0 1 r anon\n", "2: region: \"p1\" is not a region (r0 to r31)"},
	{HEAD "r32 = mmap p0 w0 1 r anon\n", "2: region: \"r32\" is not a region (r0 to r31)"},
	{HEAD "munmap p32 w0 1\n", "2: proc: \"p32\" is not a process (p0 to p31)"},
	{HEAD "munmap p w0 1\n", "2: proc: \"p\" is not a process (p0 to p31)"},
	{HEAD "munmap w0 p0 1\n", "2: proc: \"w0\" is not a process (p0 to p31)"},
	{HEAD "munmap p0 q9 1\n",
	 "2: addr: \"q9\" is not an address (w0 to w255, r0 to r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 w256 1\n",
	 "2: addr: \"w256\" is not an address (w0 to w255, r0 to r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 4096 1\n",
	 "2: addr: \"4096\" is not an address (w0 to w255, r0 to r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 0x100000000 1\n",
	 "2: addr: \"0x100000000\" is not an address (w0 to w255, r0 to "
	 "r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 r0+ 1\n",
	 "2: addr: \"r0+\" is not an address (w0 to w255, r0 to r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 r0+16777216 1\n",
	 "2: addr: \"r0+16777216\" is not an address (w0 to w255, r0 to "
	 "r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 r32 1\n",
	 "2: addr: \"r32\" is not an address (w0 to w255, r0 to r31, r0+PAGES, 0x... or -)"},
	{HEAD "munmap p0 w0 1048576\n", "2: len: \"1048576\" is not a number from 0 to 1048575"},
	{HEAD "munmap p0 w0 99999999999999999999999\n",
	 "2: len: \"99999999999999999999999\" is not a number from 0 to 1048575"},
	{HEAD "munmap p0 w0 -1\n", "2: len: \"-1\" is not a number from 0 to 1048575"},
	{HEAD "munmap p0 w0 0x\n", "2: len: \"0x\" is not a number from 0 to 1048575"},
	{HEAD "munmap p0 w0 1f\n", "2: len: \"1f\" is not a number from 0 to 1048575"},
	{HEAD "munmap p0 w0\n", "2: munmap: operand \"len\" is missing"},
	{HEAD "munmap p0 = ok\n", "2: munmap: operand \"addr\" is missing"},
	{HEAD "munmap\n", "2: munmap: operand \"proc\" is missing"},
	{HEAD "munmap p0 w0 1 2\n", "2: \"2\" is too much behind munmap"},
	{HEAD "munmap p0 w0 1 = ok ok\n", "2: \"ok\" is too much behind munmap"},
	{HEAD "munmap p0 w0 1 = ok (fail_nth: 1)\n", "2: \"(\" is too much behind munmap"},
	{HEAD "mmap p0 w0 1 q anon\n",
	 "2: prot: \"q\" is not a protection (none, or letters of rwx)"},
	{HEAD "mmap p0 w0 1 rr anon\n",
	 "2: prot: \"rr\" is not a protection (none, or letters of rwx)"},
	{HEAD "mmap p0 w0 1 r anom\n",
	 "2: flags: \"anom\" is not private, shared, anon, fixed, populate, "
	 "locked, growsdown or noreserve"},
	{HEAD "mmap p0 w0 1 r anon|\n",
	 "2: flags: \"anon|\" is not private, shared, anon, fixed, populate, "
	 "locked, growsdown or noreserve"},
	{HEAD "mmap p0 w0 1 r anon|anon\n",
	 "2: flags: \"anon|anon\" is not a set of flags: one comes twice"},
	{HEAD "mmap p0 w0 1 r private|private f0 0\n",
	 "2: flags: \"private|private\" is not a set of flags: one comes twice"},
	{HEAD "mmap p0 w0 1 r private|anon|shared\n",
	 "2: flags: \"private|anon|shared\" is not both private and shared"},
	{HEAD "mmap p0 w0 1 r shared\n", "2: mmap: operand \"file\" is missing"},
	{HEAD "mmap p0 w0 1 r shared f0\n", "2: mmap: operand \"pgoff\" is missing"},
	{HEAD "mmap p0 w0 1 r anon f0\n", "2: mmap: operand \"pgoff\" is missing"},
	{HEAD "mmap p0 w0 1 r shared f8 0\n", "2: file: \"f8\" is not a file (f0 to f7)"},
	{HEAD "mremap p0 w0 1 1 fixed\n", "2: mremap: operand \"new_addr\" is missing"},
	{HEAD "mremap p0 w0 1 1 anon\n",
	 "2: flags: \"anon\" is not maymove, fixed, dontunmap or -"},
	{HEAD "madvise p0 w0 1 remove\n",
	 "2: advice: \"remove\" is not normal, random, sequential, willneed, dontneed, pageout or "
	 "free"},
	{HEAD "read p0 w0 (fail_nth: 1) (fail_nth: 2)\n",
	 "2: \"fail_nth\": this property comes twice"},
	{HEAD "read p0 w0 (fail_mth: 1)\n", "2: \"fail_mth\": a property is fail_nth, reclaim_nth, "
					    "fail_meta, fail_from or fail_meta_from"},
	{HEAD "read p0 w0 (\n",
	 "2: \"(\": a property is fail_nth, reclaim_nth, fail_meta, fail_from or fail_meta_from"},
	{HEAD "read p0 w0 (fail_nth 1)\n", "2: \"fail_nth\": write a property as (fail_nth: 1)"},
	{HEAD "read p0 w0 (fail_nth: 1\n", "2: \"fail_nth\": write a property as (fail_nth: 1)"},
	{HEAD "read p0 w0 (fail_nth: 0)\n",
	 "2: \"0\" in fail_nth: a number from 1 to 65535 is wanted"},
	{HEAD "read p0 w0 (fail_nth: 65536)\n",
	 "2: \"65536\" in fail_nth: a number from 1 to 65535 is wanted"},
	{HEAD "read p0 w0 (fail_nth:\n", "2: fail_nth: a number from 1 to 65535 is wanted"},
	{HEAD "read p0 w0 =\n", "2: a result is missing behind \"=\""},
	{HEAD "read p0 w0 = EWHAT\n",
	 "2: \"EWHAT\" is not a result (ok, an error such as EINVAL, SEGV, BUS, an "
	 "address, a number, success, again, fail, or a token)"},
	{HEAD "read p0 w0 = write\n",
	 "2: \"write\": a token is zero, write OP, file fN PAGE or token NUMBER"},
	{HEAD "read p0 w0 = file 2 3\n",
	 "2: \"file\": a token is zero, write OP, file fN PAGE or token NUMBER"},
	{HEAD "read p0 w0 = token x\n",
	 "2: \"token\": a token is zero, write OP, file fN PAGE or token NUMBER"},
	{HEAD "# expect: dirty\n", "2: expect: \"dirty\": clean, a signature, mappers pN PAGE "
				   "COUNT or pN PAGE STATES is wanted"},
	{HEAD "# expect:\n",
	 "2: expect: clean, a signature, mappers pN PAGE COUNT or pN PAGE STATES is wanted"},
	{HEAD "# expect: p0 w0 rwq\n", "2: expect: \"rwq\": a page state is one of .-zrwnso"},
	{HEAD "# expect: p0 w0\n", "2: expect: 1 to 95 page states are wanted"},
	{HEAD "# expect: p0 r0 rw\n",
	 "2: expect: \"r0\": a page is wanted (w0 to w255, or 0x...000)"},
	{HEAD "# expect: p0 0x60000001 rw\n",
	 "2: expect: \"0x60000001\": a page is wanted (w0 to w255, or 0x...000)"},
	{HEAD "# expect: p0\n", "2: expect: a page is wanted (w0 to w255, or 0x...000)"},
	{HEAD "# expect: p77 w0 rw\n", "2: expect: \"p77\" is not a process (p0 to p31)"},
	{HEAD "# expect: mappers\n", "2: expect: a process (p0 to p31) is missing"},
	{HEAD "# expect: mappers p0 w0\n", "2: expect: the number of mappers is wanted"},
	{HEAD "# expect: mappers p0 w0 many\n",
	 "2: expect: \"many\": the number of mappers is wanted"},
	{HEAD "# expect: mappers p0 w0 1 2\n", "2: \"2\" is too much behind this expectation"},
	{HEAD "# expect: p0 w0 rw rw\n", "2: \"rw\" is too much behind this expectation"},
};

static void test_errors(void **state)
{
	struct trace trace = {0};
	char error[512];

	for (uint32_t i = 0; i < N(errors); i++) {
		int err = trace_parse(&trace, errors[i].text, strlen(errors[i].text), error,
				      sizeof(error));

		if (err != -EINVAL)
			fail_msg("%d for %s", err, errors[i].text);
		if (errors[i].error)
			assert_string_equal(error, errors[i].error);
		else
			assert_memory_equal(error, "2: ", 3); /* the machine's own words */
		assert_int_equal(trace.nr_ops, 0);
	}
	/* A short buffer gets the beginning. */
	assert_int_equal(trace_parse(&trace, HEAD "x", strlen(HEAD "x"), error, 8), -EINVAL);
	assert_string_equal(error, "2: \"x\" ");
	trace_release(&trace);
}

static void test_versions(void **state)
{
	static const char *const texts[] = {"rmapfuzz trace 2", "rmapfuzz trace 0\nwhatever\n",
					    "rmapfuzz trace 99999999999999999999999"};
	struct trace trace = {0};
	char error[256];

	for (uint32_t i = 0; i < N(texts); i++)
		assert_int_equal(
			trace_parse(&trace, texts[i], strlen(texts[i]), error, sizeof(error)),
			-EPROTONOSUPPORT);
	trace_parse(&trace, texts[0], strlen(texts[0]), error, sizeof(error));
	assert_string_equal(error,
			    "1: trace format version \"2\" is not supported; this build reads 1");
	trace_release(&trace);
}

static void assert_parse_error(const char *text, size_t size, const char *expected)
{
	struct trace trace = {0};
	char error[256];

	assert_int_equal(trace_parse(&trace, text, size, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
	trace_release(&trace);
}

static void test_limits(void **state)
{
	size_t size = TRACE_TEXT_MAX + 1;
	char *text = malloc(size), *at;

	assert_non_null(text);
	memset(text, '\n', size);
	assert_parse_error(text, size, "1: the text is longer than 16777216 bytes");

	assert_parse_error(HEAD "re\0d", strlen(HEAD) + 4, "2: a NUL byte: this is not text");
	assert_parse_error(HEAD "# \0", strlen(HEAD) + 3, "2: a NUL byte: this is not text");

	snprintf(text, size, HEAD "#");
	memset(text + strlen(HEAD "#"), 'x', TRACE_LINE_MAX);
	assert_parse_error(text, strlen(HEAD) + TRACE_LINE_MAX + 1,
			   "2: the line is longer than 4096 bytes");

	at = text + strlen(HEAD);
	for (uint32_t i = 0; i <= TRACE_OPS_MAX; i++)
		at += sprintf(at, "exit p0\n");
	assert_parse_error(text, (size_t)(at - text), "1000002: more than 1000000 ops");

	at = text + strlen(HEAD);
	for (uint32_t i = 0; i < 17; i++)
		at += sprintf(at, "# expect: clean\n");
	assert_parse_error(text, (size_t)(at - text),
			   "18: more than 16 expectations of the whole trace");
	free(text);
}

/* No prefix and no one-byte change of a good text crashes, and no error is without a line. */
static void test_damage(void **state)
{
	static const char text[] =
		HEAD "machine tiny swap=64\n# expect: clean\n"
		     "r0 = mmap p0 - 8 rw anon|fixed (fail_nth: 1) = 0x60000000\n"
		     "p1 = fork p0\n# expect: mappers p0 w9 2\nread p0 r0+1 = write 7\n";
	struct trace trace = {0};
	struct random random = {1};
	char copy[sizeof(text)], error[256];

	for (uint32_t i = 0; i < 20000; i++) {
		size_t size = i < sizeof(text) ? i : sizeof(text) - 1;

		memcpy(copy, text, sizeof(text));
		if (i >= sizeof(text))
			copy[below(&random, (uint32_t)size)] = (char)next(&random);
		if (trace_parse(&trace, copy, size, error, sizeof(error)) == 0) {
			check_text(&trace);
			check_bytes(&trace);
		} else {
			assert_true(error[0] >= '1' && error[0] <= '9' && strstr(error, ": "));
		}
	}
	trace_release(&trace);
}

/* ---- bytes
 * ------------------------------------------------------------------------------------------ */

/* Each operand of each op takes each of its values, with the others at 0 and at their last. */
static void test_exhaustive(void **state)
{
	struct trace trace = new_trace();

	for (int code = 0; code < NR_OPS; code++) {
		const struct op_info *info = op_info(code);

		for (uint32_t i = 0; i < info->nargs; i++) {
			for (uint32_t k = 0; k < 2 * nr_values(info->operand[i].kind); k++) {
				struct op op = {.code = (uint8_t)code};

				for (uint32_t j = 0; j < info->nargs; j++) {
					uint32_t last = nr_values(info->operand[j].kind) - 1;

					set_value(&op, j, k % 2 ? last : 0);
				}
				set_value(&op, i, k / 2);
				trace_clear(&trace);
				trace_add(&trace, &op);
				trace_add(&trace, &op); /* the second in the state the first left */
				check_text(&trace);
				check_bytes(&trace);
			}
		}
	}
	trace_release(&trace);
}

/* Every short trace over a few ops and processes, so that every state of births and deaths occurs.
 */
static void test_lives(void **state)
{
	static const struct op ops[] = {
		{.code = OP_fork, .args = {0, 1}},
		{.code = OP_fork, .args = {0, 2}},
		{.code = OP_fork, .args = {1, 0}},
		{.code = OP_fork, .fail_nth = 1, .args = {0, 1}},
		{.code = OP_exit, .args = {0}},
		{.code = OP_exit, .args = {1}},
		{.code = OP_mmap, .args = {1, 31, 0, 1, 3, OP_MAP_ANON}},
		{.code = OP_mmap, .args = {0, 0, 0, 1, 3, OP_MAP_ANON}},
		{.code = OP_read, .refs = 2, .args = {0, 31u << 24 | 1}},
	};
	uint32_t total = N(ops) * N(ops) * N(ops) * N(ops) * N(ops);
	struct trace trace = new_trace();

	for (uint32_t i = 0; i < total; i++) {
		trace_clear(&trace);
		for (uint32_t k = i, n = 0; n < 5; n++, k /= N(ops))
			trace_add(&trace, &ops[k % N(ops)]);
		check_bytes(&trace);
	}
	trace_release(&trace);
}

static void test_random_traces(void **state)
{
	struct random random = {20040319};
	struct trace trace = new_trace();

	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t n = below(&random, 40);

		trace_clear(&trace);
		random_expect(&random, &trace);
		for (uint32_t i = 0; i < n; i++) {
			struct op op = random_op(&random);

			trace_add(&trace, &op);
			while (below(&random, 3) == 0)
				random_expect(&random, &trace);
		}
		check_text(&trace);
		check_bytes(&trace);
	}
	trace_release(&trace);
}

static void test_random_bytes(void **state)
{
	struct random random = {7};
	struct trace trace = {0}, prefix = {0};
	uint8_t bytes[300];

	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t n = below(&random, sizeof(bytes));

		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)next(&random);
		trace_decode(&trace, bytes, n, TRACE_OPS_MAX);
		check_text(&trace);
		check_bytes(&trace);
		/* Missing bytes read as zeros, and ops are decoded in order. */
		trace_decode(&prefix, bytes, n, 3);
		assert_int_equal(prefix.nr_ops, trace.nr_ops < 3 ? trace.nr_ops : 3);
		for (uint32_t i = 0; i < prefix.nr_ops; i++)
			assert_memory_equal(&prefix.ops[i], &trace.ops[i], sizeof(struct op));
	}
	trace_release(&trace);
	trace_release(&prefix);
}

static void test_machines(void **state)
{
	struct random random = {3};
	struct trace trace = new_trace(), again = {0};
	uint8_t bytes[32];
	uint32_t nr_presets = 0;

	for (; machine_presets[nr_presets].name; nr_presets++) {
		trace_init(&trace, &machine_presets[nr_presets].config);
		check_text(&trace);
		assert_int_equal(trace_encode(&trace, bytes, sizeof(bytes)), 1);
		assert_int_equal(bytes[0], nr_presets);
	}
	/* Any first byte is a machine; with 255 every field is free. */
	for (uint32_t round = 0; round < 5000; round++) {
		for (uint32_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(next(&random) >> below(&random, 8));
		bytes[0] = (uint8_t)(round < 256 ? round : 255);
		trace_decode(&again, bytes, sizeof(bytes), 0);
		assert_in_range(again.config.ram_mb, 16, 65536);
		check_text(&again);
		check_bytes(&again);
	}
	trace_release(&trace);
	trace_release(&again);
}

/* Byte strings whose meaning must not change: corpora are made of them. */
static void test_golden_bytes(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t size;
		const char *text;
	} golden[] = {
		{{0}, 0, ""},
		{{0}, 1, ""},
		{{0, 0}, 2, "p1 = fork p0\n"},
		{{0, 3, 0, 128, 7, 3 | 2 << 4, 1 | 3 << 3}, 7, "r0 = mmap p0 - 8 rw anon\n"},
		{{0, 3, 0, 128, 7, 3 | 2 << 4, 1 | 31 << 3, 9},
		 8,
		 "r0 = mmap p0 - 8 rw anon f1 9\n"},
		{{0, 3, 0xc0, 4, 1, 1 | 1 << 4, 1 | 3 << 3}, 7, "mmap p0 w4 2 r shared f1 3\n"},
		{{0, 4, 0, 3, 1, 9, 0, 3}, 8, "munmap p0 w3 2\nread p0 w3\n"},
		{{0, 4, 0, 252, 252, 200, 60}, 7, "munmap p0 w200 60\n"},
		{{0, 9, 15, 253, 5, 31, 1, 2, 0}, 9, "read p5 r31+513\n"},
		{{0, 9, 0, 254, 0, 0, 4, 9, 0, 255, 1, 0, 0, 0x60},
		 14,
		 "read p0 0x40000000\nread p0 0x60000001\n"},
		{{0, 0xf4, 0xf9, 0xff, 9, 1, 10, 0, 0},
		 9,
		 "write p0 w0 (fail_nth: 1) (reclaim_nth: 2) (fail_meta: 265)\n"},
		{{0, 0xf2, 0xef, 1, 1, 10, 0, 0},
		 8,
		 "write p0 w0 (fail_from: 3) (fail_meta_from: 257)\n"},
		{{0, 1, 0, 1, 15, 0}, 6, "exit p1\nexit p0\n"},
		{{0, 17, 31}, 3, "reclaim 32\n"},
		{{0, 11, 2, 4}, 4, "truncate f2 4\n"},
		{{0, 8, 0, 16}, 4, "brk p0 0x08110000\n"},
		{{0, 5, 0, 3, 0, 0, 3, 9}, 8, "r0 = mremap p0 w3 1 1 maymove|fixed w9\n"},
		{{0, 5, 0xc0, 3, 0, 0, 1, 9}, 8, "mremap p0 w3 1 1 maymove\n"},
		{{0, 5, 0xc0, 3, 0, 0, 1, 252, 9}, 9, "mremap p0 w3 1 1 maymove w9\n"},
	};
	struct trace trace = {0};

	for (uint32_t i = 0; i < N(golden); i++) {
		char *text;

		trace_decode(&trace, golden[i].bytes, golden[i].size, 100);
		text = print(&trace);
		assert_string_equal(strchr(strchr(text, '\n') + 1, '\n') + 1, golden[i].text);
		free(text);
	}
	trace_release(&trace);
}

/* What an encoder wrote before there were several swap areas stays what it was. */
static void test_machine_bytes(void **state)
{
	static const struct {
		uint8_t bytes[32];
		uint32_t size;
		const char *machine;
	} golden[] = {
		{{0}, 1, "tiny"},
		{{255, 16, 0, 0, 0, 1, 1, 0, 64, 0, 0, 4, 16, 0, 0, 0, 0}, 17, "tiny swap=64"},
		{{255, 16, 0, 0, 0, 1, 1, 0, 0, 0, 0, 4, 16, 0, 0, 0, 0}, 17, "tiny swap=0"},
		{{254, 16, 0, 0, 0, 1,  1, 0, 0, 0, 0, 4, 16, 0,
		  0,   0,  0, 2, 0, 64, 0, 0, 0, 0, 9, 1, 0,  5},
		 28,
		 "tiny swap=64+265:5"},
		{{254, 16, 0, 0, 0, 1, 1, 0, 0, 0, 0, 4, 16, 0, 0, 0, 0, 1, 0, 7, 0, 0, 3},
		 23,
		 "tiny swap=7:3"},
		{{254, 16, 0, 0, 0, 1, 1, 0, 7, 0, 0, 4, 16, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0},
		 23,
		 "tiny-counters swap=7"},
	};
	struct trace trace = {0};

	for (uint32_t i = 0; i < N(golden); i++) {
		char text[MACHINE_CONFIG_TEXT_MAX];
		uint8_t bytes[32];

		trace_decode(&trace, golden[i].bytes, golden[i].size, 100);
		assert_int_equal(trace.nr_ops, 0);
		machine_config_print(&trace.config, text, sizeof(text));
		assert_string_equal(text, golden[i].machine);
		assert_int_equal(trace_encode(&trace, bytes, sizeof(bytes)), golden[i].size);
		assert_memory_equal(bytes, golden[i].bytes, golden[i].size);
	}
	trace_release(&trace);
}

/* Ordinary ops are short, and most of what random bytes say is about something that is alive. */
static void test_density(void **state)
{
	static const char text[] =
		HEAD "r0 = mmap p0 - 8 rw anon\nmmap p0 w0 24 rw anon|fixed\n"
		     "p1 = fork p0\nwrite p1 w3\nread p0 r0+3\nswapout p0 w3\n"
		     "r1 = mremap p1 r0 4 9 maymove\nmprotect p0 w0 4 r\nexit p1\n";
	struct random random = {11};
	struct trace trace = {0};
	uint8_t bytes[600];
	uint32_t ops = 0, alive = 0;

	parse(&trace, text);
	assert_int_equal(check_bytes(&trace), 1 + 6 + 6 + 2 + 3 + 3 + 3 + 7 + 5 + 2);

	for (uint32_t round = 0; round < 300; round++) {
		uint32_t born = 1;

		for (uint32_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)next(&random);
		trace_decode(&trace, bytes, sizeof(bytes), 64);
		assert_int_equal(trace.nr_ops, 64);
		for (uint32_t i = 0; i < trace.nr_ops; i++) {
			const struct op *op = &trace.ops[i];
			enum operand_kind kind = op_info(op->code)->operand[0].kind;

			ops += kind == OPERAND_PROC;
			alive += kind == OPERAND_PROC && (born >> op->args[0] & 1);
			if (op->code == OP_fork && (born >> op->args[0] & 1) && !op_fails(op))
				born |= 1u << op->args[1];
			if (op->code == OP_exit)
				born &= ~(1u << op->args[0]);
		}
	}
	assert_true(alive * 100 > ops * 80);
	trace_release(&trace);
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
	printed = print(&trace);
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
	parse(&trace, begin);
	check_text(&trace);
	check_bytes(&trace);
	printed = print(&trace);
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
		cmocka_unit_test(test_result_print), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_versions),     cmocka_unit_test(test_limits),
		cmocka_unit_test(test_damage),       cmocka_unit_test(test_exhaustive),
		cmocka_unit_test(test_lives),        cmocka_unit_test(test_random_traces),
		cmocka_unit_test(test_random_bytes), cmocka_unit_test(test_machines),
		cmocka_unit_test(test_golden_bytes), cmocka_unit_test(test_machine_bytes),
		cmocka_unit_test(test_density),      cmocka_unit_test(test_documentation),
		cmocka_unit_test(test_nested),       cmocka_unit_test(test_documented_example),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}

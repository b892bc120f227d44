/*
 * Text that is no trace: one line that says what is wrong, and on which line; nothing is damaged.
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
			copy[random_below(&random, (uint32_t)size)] = (char)random_next(&random);
		if (trace_parse(&trace, copy, size, error, sizeof(error)) == 0) {
			check_text(&trace);
			check_bytes(&trace);
		} else {
			assert_true(error[0] >= '1' && error[0] <= '9' && strstr(error, ": "));
		}
	}
	trace_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * State feedback: the same trace lights the same counters; what is new about a trace lights others:
 * more sharers, a longer search, an op on an entry that another has written, an excuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"
#include "feedback.h"

struct lit {
	uint8_t counters[FEEDBACK_SIZE];
};

/* What TEXT lights when BACKEND (NULL: each design once) runs it. */
static void light(struct lit *lit, const char *backend, const char *text)
{
	struct diff_options options;
	struct feedback *feedback;
	struct finding finding;
	struct trace trace = {0};
	char error[256];
	struct diff *diff;

	memset(lit, 0, sizeof(*lit));
	diff_options_init(&options);
	if (backend) {
		options.backends[0] = rmap_find(backend);
		options.nr_backends = 1;
	}
	options.feedback = feedback = feedback_create(lit->counters);
	diff = diff_create(&options);
	trace_init(&trace, &machine_presets[0].config);
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	assert_false(diff_run(diff, &trace, &finding));
	trace_release(&trace);
	diff_destroy(diff);
	feedback_destroy(feedback);
}

/* How many counters B lights that A does not. */
static uint32_t news(const struct lit *a, const struct lit *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FEEDBACK_SIZE; i++)
		n += !a->counters[i] && b->counters[i];
	return n;
}

#define BEGIN                                                                                      \
	"rmapfuzz trace 1\nmachine tiny\nmmap p0 w0 4 rw anon|fixed\nwrite p0 w0\nwrite p0 w1\n"

static void the_trace_decides(void **state)
{
	static const char text[] = BEGIN "p1 = fork p0\nevict p0 w0\nread p1 w0\nexit p1\n";
	struct lit a, b;

	light(&a, NULL, text);
	light(&b, NULL, text);
	assert_memory_equal(&a, &b, sizeof(a));
	/* Seen is seen: twice is not news. */
	light(&b, NULL, BEGIN "p1 = fork p0\nevict p0 w0\nread p1 w0\nread p1 w0\nexit p1\n");
	assert_int_equal(news(&a, &b), 0);
}

static void what_is_new_lights_up(void **state)
{
	static const struct {
		const char *what, *backend, *before, *after;
	} cases[] = {
		{"a second sharer", NULL, BEGIN "evict p0 w0\n",
		 BEGIN "p1 = fork p0\nevict p0 w0\n"},
		{"a longer chain", "pte_chain", BEGIN "p1 = fork p0\nevict p0 w0\n",
		 BEGIN "p1 = fork p0\np2 = fork p0\np3 = fork p0\np4 = fork p0\nevict p0 w0\n"},
		{"a search in vain", "anon_vma", BEGIN "p1 = fork p0\nevict p0 w0\n",
		 BEGIN "p1 = fork p0\nmadvise p1 w0 1 dontneed\nevict p0 w0\n"},
		{"op after op", NULL, BEGIN "mremap p0 w1 1 1 maymove|fixed w9\n",
		 BEGIN "mprotect p0 w1 1 r\nmremap p0 w1 1 1 maymove|fixed w9\n"},
		{"an excuse", NULL, BEGIN "p1 = fork p0\n",
		 BEGIN "p1 = fork p0\nmremap p0 w1 1 1 maymove|fixed w9\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lit a, b;

		light(&a, cases[i].backend, cases[i].before);
		light(&b, cases[i].backend, cases[i].after);
		if (!news(&a, &b))
			fail_msg("%s lights nothing", cases[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_trace_decides),
		cmocka_unit_test(what_is_new_lights_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

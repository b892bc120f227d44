/*
 * The excuse early-copy: when a subject is apart, what is no longer compared of it, and that all
 * the rest still is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../core/internal.h"
#include "../diff/internal.h"
#include "saboteur.h"

#define W0     (WINDOW_BASE / PAGE_SIZE)
#define HEADER "rmapfuzz trace 1\nmachine tiny\n"

/* Two pages of p0 and p1, of which p1 has moved the first: a copy for anonmm, and for nobody else.
 */
#define SHARED                                                                                     \
	"mmap p0 w0 4 rw anon|fixed\n"                                                             \
	"write p0 w0\n"                                                                            \
	"write p0 w1\n"                                                                            \
	"p1 = fork p0\n"
#define MOVED HEADER SHARED "mremap p1 w0 1 1 maymove|fixed w10\n"

struct fixture {
	struct diff_options options;
	struct diff *diff;
	struct trace trace;
	struct finding finding;
};

static void set_up(struct fixture *f, const char *const names[])
{
	memset(f, 0, sizeof(*f));
	diff_options_init(&f->options);
	f->options.check_every = 1;
	trace_init(&f->trace, &machine_presets[0].config);
	for (f->options.nr_backends = 0; *names; names++)
		f->options.backends[f->options.nr_backends++] = rmap_find(*names);
	f->diff = diff_create(&f->options);
}

static void tear_down(struct fixture *f)
{
	diff_destroy(f->diff);
	trace_release(&f->trace);
}

static void parse(struct fixture *f, const char *text)
{
	char error[160] = "";

	trace_parse(&f->trace, text, strlen(text), error, sizeof(error));
	assert_string_equal(error, "");
}

static void expect_clean(struct fixture *f, const char *text)
{
	parse(f, text);
	if (!diff_run_expect(f->diff, &f->trace, &f->finding))
		return;
	finding_print(&f->finding, &f->trace, stderr);
	fail();
}

/* Run the first ops of TEXT, all but the last N. */
static void run_but(struct fixture *f, const char *text, uint32_t n)
{
	parse(f, text);
	diff_begin(f->diff, &f->trace.config);
	for (uint32_t i = 0; i + n < f->trace.nr_ops; i++)
		assert_int_equal(diff_step(f->diff, &f->trace.ops[i], &f->finding), 0);
}

static int run_op(struct fixture *f, uint32_t i)
{
	return diff_step(f->diff, &f->trace.ops[f->trace.nr_ops - i], &f->finding);
}

static struct subject *subject(struct fixture *f, uint32_t i)
{
	return &f->diff->subjects[i];
}

static uint64_t fired(const struct fixture *f)
{
	return diff_stats(f->diff)->excuses[EXCUSE_EARLY_COPY];
}

static struct page *page_at(struct fixture *f, uint32_t i, uint32_t proc, uint32_t page)
{
	struct page_view view;

	assert_true(machine_view_page(diff_machine(f->diff, i), proc, W0 + page, &view));
	assert_true(pte_present(view.pte));
	return pfn_to_page(diff_machine(f->diff, i), view.pfn);
}

static const char *const both[] = {"scan", "anonmm", NULL};

/* ---- who is apart ------------------------------------------------------------------------------
 */

static void who_copies_is_apart(void **state)
{
	struct fixture f;

	set_up(&f, both);
	run_but(&f, MOVED, 1);
	assert_false(subject(&f, 1)->apart);
	assert_int_equal(run_op(&f, 1), 0);
	assert_false(subject(&f, 0)->apart);
	assert_true(subject(&f, 1)->apart);
	assert_false(subject(&f, 1)->alone);
	assert_int_equal(fired(&f), 1);
	assert_int_equal(diff_end(f.diff, &f.finding), 0);

	/* The next trace begins in lockstep, and a page that moves unshared leaves it there. */
	run_but(&f,
		HEADER "mmap p0 w0 4 rw anon|fixed\n"
		       "write p0 w0\n"
		       "mremap p0 w0 1 1 maymove|fixed w10\n"
		       "swapout p0 w10\n",
		0);
	assert_false(subject(&f, 1)->apart);
	assert_int_equal(fired(&f), 1);
	tear_down(&f);
}

/* Whatever the order of subjects, the one that does not copy is the measure. */
static void the_reference_does_not_copy(void **state)
{
	static const char *const names[] = {"anonmm", "scan", "anon_vma", NULL};
	struct fixture f;

	set_up(&f, names);
	run_but(&f, MOVED, 0);
	assert_true(subject(&f, 0)->apart);
	assert_ptr_equal(f.diff->reference, subject(&f, 1));
	assert_false(subject(&f, 2)->apart);
	assert_int_equal(fired(&f), 1);
	assert_int_equal(diff_end(f.diff, &f.finding), 0);
	tear_down(&f);
}

/* Alone, or among its like, it has nobody to differ from. */
static void alike_they_stay_together(void **state)
{
	static const char *const names[] = {"anonmm", "anonmm", NULL};
	struct fixture f;

	set_up(&f, names);
	expect_clean(&f, MOVED "swapout p0 w0\nreclaim 4\nread p1 w10\n");
	assert_false(subject(&f, 0)->apart);
	assert_false(subject(&f, 1)->apart);
	assert_int_equal(fired(&f), 2); /* they have copied, and traces may expect other pages */
	tear_down(&f);
}

/* A copy that cannot be had is a failure that the others do not know: it leaves. */
static void out_of_memory_it_leaves(void **state)
{
	struct fixture f;

	set_up(&f, both);
	/* The destination has its table, and grows an area: only the copy allocates. */
	run_but(&f,
		HEADER SHARED "mmap p1 w16 1 rw anon|fixed\n"
			      "write p1 w16\n"
			      "mremap p1 w0 1 1 maymove|fixed w20 (fail_nth: 2)\n"
			      "read p1 w0\n",
		2);
	assert_int_equal(run_op(&f, 2), 0);
	assert_true(subject(&f, 1)->alone);
	assert_true(fired(&f) >= 1);
	assert_int_equal(subject(&f, 0)->result.err, 0);
	assert_int_equal(subject(&f, 1)->result.err, -ENOMEM);
	assert_int_equal(run_op(&f, 1), 0);
	assert_int_equal(diff_end(f.diff, &f.finding), 0);

	/* So is any failure later. */
	run_but(&f, MOVED "write p0 w3 (fail_nth: 1)\n", 0);
	assert_true(subject(&f, 1)->alone);
	assert_int_equal(diff_end(f.diff, &f.finding), 0);
	tear_down(&f);
}

/* ---- what is not compared ------------------------------------------------------------------- */

static void where_pages_are_is_not_compared(void **state)
{
	static const char *const names[] = {"scan", "pte_chain", "anonmm", NULL};
	struct fixture f;

	set_up(&f, names);
	expect_clean(&f, MOVED "write p0 w3\n" /* another frame */
			       "swapout p0 w0 = success\n"
			       "read p1 w10\n"
			       "read p0 w0\n"
			       "age p0 w0\n"
			       "# expect: mappers p0 w0 2\n" /* of those that did not copy */
			       "write p1 w10\n"
			       "reclaim 8\n"
			       "reclaim 8\n"
			       "read p0 w0 = write 1\n"
			       "read p1 w10 = write 10\n");
	assert_true(subject(&f, 2)->apart);

	/* Presence shows in one result, where reading is not asked for and not forbidden. */
	expect_clean(&f, HEADER "mmap p0 w0 1 rw anon|fixed\n"
				"write p0 w0\n"
				"p1 = fork p0\n"
				"mprotect p1 w0 1 w\n"
				"mremap p1 w0 1 1 maymove|fixed w10\n"
				"swapout p0 w0\n"
				"read p1 w10\n");
	assert_true(subject(&f, 2)->apart);
	assert_int_not_equal(subject(&f, 2)->result.err, subject(&f, 0)->result.err);
	tear_down(&f);
}

/* What may be lost goes at other times: the copy is no page that was given up. */
static void what_may_be_lost_is_one_of_two(void **state)
{
	const char *lost = HEADER "mmap p0 w0 1 rw anon|fixed\n"
				  "write p0 w0\n"
				  "madvise p0 w0 1 free\n"
				  "p1 = fork p0\n"
				  "mremap p1 w0 1 1 maymove|fixed w10\n"
				  "swapout p0 w0\n"
				  "read p1 w10\n"
				  "read p1 w10\n"
				  "read p0 w0 = 0\n";
	struct fixture f;

	set_up(&f, both);
	expect_clean(&f, lost);
	run_but(&f, lost, 2);
	assert_int_equal(subject(&f, 0)->result.token, 0);
	assert_int_equal(subject(&f, 1)->result.token, token_write(1));
	page_at(&f, 1, 1, 10)->token[0] ^= 1;
	assert_int_equal(run_op(&f, 2), 1);
	assert_string_equal(f.finding.signature, "result:read:anonmm:token");
	tear_down(&f);
}

/* ---- what still is --------------------------------------------------------------------------- */

static void contents_are_compared(void **state)
{
	struct fixture f;

	/* in what is read ... */
	set_up(&f, both);
	f.diff->options.check_every = 0;
	run_but(&f, MOVED "read p1 w10\n", 1);
	page_at(&f, 1, 1, 10)->token[0] ^= 1;
	assert_int_equal(run_op(&f, 1), 1);
	assert_string_equal(f.finding.signature, "result:read:anonmm:token");

	/* ... and in what is not */
	f.diff->options.check_every = 1;
	run_but(&f, MOVED "read p0 w1\n", 1);
	page_at(&f, 1, 1, 10)->token[0] ^= 1;
	assert_int_equal(run_op(&f, 1), 1);
	assert_string_equal(f.finding.signature, "content:read:anonmm:page");
	tear_down(&f);
}

static void results_are_compared(void **state)
{
	struct vma *vma;
	struct fixture f;

	set_up(&f, both);
	f.diff->options.check_every = 0;
	run_but(&f, MOVED "read p1 w11\n", 1);
	vma = vma_at(diff_machine(f.diff, 1), diff_machine(f.diff, 1)->tasks[1]->mm, W0 + 10);
	vma->end++;
	assert_int_equal(run_op(&f, 1), 1);
	assert_string_equal(f.finding.signature, "result:read:anonmm:error");
	tear_down(&f);
}

static void counts_are_compared(void **state)
{
	struct fixture f;

	set_up(&f, both);
	run_but(&f, MOVED "read p0 w0\n", 1);
	diff_machine(f.diff, 1)->tasks[1]->mm->rss++;
	assert_int_equal(run_op(&f, 1), 1);
	assert_string_equal(f.finding.subject, "anonmm");
	assert_int_equal(f.finding.check, CHECK_COUNTS);
	tear_down(&f);
}

/* A design that forgets, under the trace MOVED: its walks are held against its page tables. */
static void walks_are_compared(void **state)
{
	struct saboteur saboteur;
	struct fixture f;
	uint32_t found = 0;

	set_up(&f, both);
	saboteur_init(&saboteur, rmap_find("anonmm"), SABOTAGE_FORGET);
	diff_destroy(f.diff);
	f.options.backends[1] = &saboteur.ops;
	f.diff = diff_create(&f.options);
	/* adds: p0 w0, w1, p1 w0, w1 (forgotten), the copy */
	run_but(&f, MOVED "age p0 w0\nage p0 w1\n", 2);
	assert_true(subject(&f, 1)->apart);
	assert_int_equal(run_op(&f, 2), 0);
	found = (uint32_t)run_op(&f, 1);
	assert_int_equal(found, 1);
	assert_string_equal(f.finding.signature, "unmapped:age:forget-anonmm:missed");
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_copies_is_apart),
		cmocka_unit_test(the_reference_does_not_copy),
		cmocka_unit_test(alike_they_stay_together),
		cmocka_unit_test(out_of_memory_it_leaves),
		cmocka_unit_test(where_pages_are_is_not_compared),
		cmocka_unit_test(what_may_be_lost_is_one_of_two),
		cmocka_unit_test(contents_are_compared),
		cmocka_unit_test(results_are_compared),
		cmocka_unit_test(counts_are_compared),
		cmocka_unit_test(walks_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

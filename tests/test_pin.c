/*
 * Pins and the debugger's write: what a device holds stays what it is, on every backend; what the
 * model lets pass, and what it does not; the excuse for designs that copy a page early.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../diff/internal.h"
#include "internal.h"
#include "picture.h"

static const struct page *held(struct scene *s, uint32_t pin, uint32_t i)
{
	return s->machine->pins[pin].page[i];
}

/* A reference for each page, and none for the zero page. */
static void counts(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "read p0 w1");
	assert_int_equal(run(s, "d0 = pin p0 w0 3 -"), 0);
	assert_int_equal(s->last.value, 3);
	pages(s, 0, "wzz-");
	assert_int_equal(held(s, 0, 0)->count, 2);
	assert_ptr_equal(held(s, 0, 1), s->machine->zero_page);
	run(s, "d1 = pin p0 w0 4 write");
	pages(s, 0, "wwww");
	assert_int_equal(held(s, 1, 0)->pins, 2);
	assert_ptr_not_equal(held(s, 1, 1), held(s, 0, 1));
	run(s, "exit p0");
	assert_int_equal(held(s, 1, 3)->count, 1);
	run(s, "unpin d0");
	assert_int_equal(held(s, 1, 0)->pins, 1);
	/* The rest is let go when the machine is. */
}

/* Up to the first page that cannot be had; nothing at all is an error. */
static void stops_short(struct scene *s)
{
	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "mmap p0 w2 1 r anon|fixed");
	run(s, "mmap p0 w8 4 rw shared|fixed f0 14");
	assert_int_equal(run(s, "d0 = pin p0 w0 4 write"), 0);
	assert_int_equal(s->last.value, 2);
	assert_int_equal(run(s, "d1 = pin p0 w0 4 write|force"), 0);
	assert_int_equal(s->last.value, 3);
	assert_int_equal(run(s, "d2 = pin p0 w8 4 -"), 0);
	assert_int_equal(s->last.value, 2);
	assert_int_equal(run(s, "d3 = pin p0 w10 1 -"), -EFAULT);
	assert_int_equal(run(s, "d3 = pin p0 w20 1 -"), -EFAULT);
	assert_int_equal(run(s, "d3 = pin p0 w0 0 -"), -EINVAL);
	assert_int_equal(run(s, "d3 = pin p0 w0 65 -"), -EINVAL);
	assert_int_equal(run(s, "d0 = pin p0 w0 1 -"), -EBUSY);
	assert_int_equal(run(s, "unpin d3"), -EBADF);
	/* Memory that runs out on the way leaves what there is. */
	run(s, "mmap p0 w16 4 rw anon|fixed");
	assert_int_equal(run(s, "d4 = pin p0 w16 4 write (fail_nth: 3)"), 0);
	assert_int_equal(s->last.value, 2);
	run(s, "mmap p0 w24 4 rw anon|fixed");
	assert_int_equal(run(s, "d5 = pin p0 w24 4 write (fail_from: 1)"), -ENOMEM);
	assert_int_equal(s->machine->pins[5].n, 0);
}

/* Reclaim leaves an anonymous page alone, in either era; a file's page keeps its place. */
static void stays(struct scene *s)
{
	const struct page *page;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "d0 = pin p0 w0 1 write");
	page = held(s, 0, 0);
	run(s, "swapout p0 w0");
	assert_int_equal(s->last.value, UNMAP_FAIL);
	run(s, "migrate p0 w0");
	assert_int_equal(s->last.value, UNMAP_FAIL);
	run(s, "reclaim 1000");
	pages(s, 0, "w");
	run(s, "unpin d0");
	evicted(s, "swapout p0 w0");

	run(s, "mmap p0 w4 1 rw shared|fixed f1 3");
	run(s, "d0 = pin p0 w4 1 write");
	page = held(s, 0, 0);
	evicted(s, "swapout p0 w4");
	run(s, "writeback f1");
	run(s, "fdrop f1");
	run(s, "reclaim 1000");
	assert_ptr_equal(page->mapping, s->machine->files[1]);
	run(s, "read p0 w4");
	assert_ptr_equal(
		page_mapped_at(s->machine, s->machine->tasks[0]->mm, WINDOW_BASE / PAGE_SIZE + 4),
		page);
}

/* What the device wrote is written back, though no entry is dirty. */
static void dirties(struct scene *s)
{
	run(s, "mmap p0 w0 1 rw shared|fixed f0 0");
	run(s, "d0 = pin p0 w0 1 write");
	run(s, "mkclean f0");
	run(s, "pinwrite d0 0");
	run(s, "munmap p0 w0 1");
	run(s, "unpin d0");
	run(s, "writeback f0");
	assert_int_equal(s->last.value, 1);
	run(s, "fdrop f0");
	run(s, "fread f0 0");
	assert_int_equal(s->last.token, token_write(3));
}

/* A forced write leaves a copy that is dirty and read-only, and the file's page as it was. */
static void forces(struct scene *s)
{
	run(s, "mmap p0 w0 2 r private|fixed f0 0");
	run(s, "read p0 w0");
	assert_int_equal(mappers(s, 0, 0), 1);
	assert_int_equal(run(s, "poke p0 w0"), 0);
	pages(s, 0, "r-");
	assert_int_equal(run(s, "write p0 w0"), RES_SEGV);
	run(s, "mmap p0 w4 1 none anon|fixed");
	assert_int_equal(run(s, "poke p0 w4"), 0);
	pages(s, 0, "r-..n");
	run(s, "p1 = fork p0");
	assert_int_equal(mappers(s, 0, 4), 2);
	assert_int_equal(run(s, "poke p1 w4"), 0);
	assert_int_equal(mappers(s, 0, 4), 1);
	run(s, "mmap p0 w6 1 r shared|fixed f0 0");
	assert_int_equal(run(s, "poke p0 w6"), -EFAULT);
}

/* Pages of several frames: the debugger's write is the same there, and there are no pins. */
static void clustered(struct scene *s)
{
	run(s, "mmap p0 w0 8 r private|fixed f0 0");
	run(s, "read p0 w1");
	assert_int_equal(run(s, "poke p0 w1"), 0);
	assert_int_equal(run(s, "poke p0 w2"), 0);
	assert_int_equal(run(s, "read p0 w1"), 0);
	assert_int_equal(s->last.token, token_write(2));
	run(s, "mmap p0 w8 8 r anon|fixed");
	assert_int_equal(run(s, "poke p0 w9"), 0);
	assert_int_equal(run(s, "p1 = fork p0"), 0);
	assert_int_equal(run(s, "poke p1 w9"), 0);
	assert_int_equal(run(s, "write p1 w9"), RES_SEGV);
	assert_int_equal(run(s, "d0 = pin p0 w0 1 -"), -EOPNOTSUPP);
}

static void scenes(void **state)
{
	on_every_backend("tiny", counts);
	on_every_backend("tiny", stops_short);
	on_every_backend("tiny era=2.6.6", stays);
	on_every_backend("tiny era=2.6.7", stays);
	on_every_backend("tiny", dirties);
	on_every_backend("tiny", forces);
	on_every_backend("tiny cluster=2", clustered);
}

/* ---- the model ------------------------------------------------------------------------------ */

#define HEADER "rmapfuzz trace 1\nmachine tiny\n"
#define CHILD_PINS                                                                                 \
	HEADER "mmap p0 w0 1 rw anon|fixed\n"                                                      \
	       "write p0 w0\n"                                                                     \
	       "p1 = fork p0\n"                                                                    \
	       "d0 = pin p1 w0 1 -\n"                                                              \
	       "munmap p1 w0 1\n"                                                                  \
	       "write p0 w0\n"                                                                     \
	       "pinread d0 0\n"
#define OWN_PIN                                                                                    \
	HEADER "mmap p0 w0 1 rw anon|fixed\n"                                                      \
	       "write p0 w0\n"                                                                     \
	       "d0 = pin p0 w0 1 -\n"                                                              \
	       "write p0 w0\n"                                                                     \
	       "pinread d0 0\n"
#define FORKED                                                                                     \
	HEADER "mmap p0 w0 1 rw anon|fixed\n"                                                      \
	       "write p0 w0\n"                                                                     \
	       "d0 = pin p0 w0 1 write\n"                                                          \
	       "p1 = fork p0\n"                                                                    \
	       "write p0 w0\n"                                                                     \
	       "pinread d0 0\n"

/* What does the model say if the last op of TEXT, a pinread, sees what op SERIAL wrote? */
static enum model_verdict sees(const char *text, uint32_t serial)
{
	struct model *model = model_create(&machine_presets[0].config);
	struct result result = {0};
	struct trace trace = {0};
	enum model_verdict verdict = MODEL_AGREES;
	char error[128] = "", why[160];

	trace_parse(&trace, text, strlen(text), error, sizeof(error));
	assert_string_equal(error, "");
	for (uint32_t i = 0; i < trace.nr_ops; i++) {
		const struct op *op = &trace.ops[i];

		assert_int_equal(verdict, MODEL_AGREES);
		result = (struct result){0};
		if (op->code == OP_mmap)
			result.value = op->args[2];
		if (op->code == OP_pin)
			result.value = op->args[3];
		if (op->code == OP_pinread)
			result.token = token_write(serial);
		verdict = model_step(model, op, &result, false, why, sizeof(why));
	}
	trace_release(&trace);
	model_destroy(model);
	return verdict;
}

/* Whose writes a device may see: its own process's, in place or copied, and nobody else's. */
static void doubts(void **state)
{
	assert_int_equal(sees(OWN_PIN, 1), MODEL_AGREES);
	assert_int_equal(sees(OWN_PIN, 3), MODEL_AGREES);
	assert_int_equal(sees(OWN_PIN, 0), MODEL_DISAGREES);
	assert_int_equal(sees(CHILD_PINS, 1), MODEL_AGREES);
	assert_int_equal(sees(CHILD_PINS, 5), MODEL_DISAGREES); /* the parent's later secret */
	assert_int_equal(sees(FORKED, 1), MODEL_AGREES);
	assert_int_equal(sees(FORKED, 4), MODEL_DISAGREES);
	/* What was seen once settles it. */
	assert_int_equal(sees(OWN_PIN "pinread d0 0\n", 3), MODEL_AGREES);
	assert_int_equal(sees(OWN_PIN "write p0 w0\npinread d0 0\n", 3), MODEL_AGREES);
}

/* ---- copied early --------------------------------------------------------------------------- */

static uint64_t early_copies(const char *text)
{
	struct diff_options options;
	struct finding finding;
	struct trace trace = {0};
	struct diff *diff;
	char error[128] = "";
	uint64_t n;

	diff_options_init(&options);
	options.check_every = 1;
	diff = diff_create(&options);
	trace_parse(&trace, text, strlen(text), error, sizeof(error));
	assert_string_equal(error, "");
	if (diff_run(diff, &trace, &finding)) {
		finding_print(&finding, &trace, stderr);
		fail();
	}
	n = diff_stats(diff)->excuses[EXCUSE_EARLY_COPY];
	trace_release(&trace);
	diff_destroy(diff);
	return n;
}

/* A device writes to a page that one side has had copied: it is apart, then alone. */
static void leaves(void **state)
{
	static const char text[] = HEADER "mmap p0 w0 1 rw anon|fixed\n"
					  "write p0 w0\n"
					  "d0 = pin p0 w0 1 write\n"
					  "p1 = fork p0\n"
					  "mremap p0 w0 1 1 maymove|fixed w8\n"
					  "pinwrite d0 0\n"
					  "read p0 w8 = write 5\n"
					  "read p1 w0 = write 5\n";
	static const char reading[] = HEADER "mmap p0 w0 1 rw anon|fixed\n"
					     "write p0 w0\n"
					     "d0 = pin p0 w0 1 -\n"
					     "p1 = fork p0\n"
					     "mremap p0 w0 1 1 maymove|fixed w8\n"
					     "write p0 w8\n"
					     "pinread d0 0\n";

	assert_int_equal(early_copies(text), 2);
	assert_int_equal(early_copies(reading), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scenes),
		cmocka_unit_test(doubts),
		cmocka_unit_test(leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

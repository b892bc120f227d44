/*
 * State coverage: hand-made traces fill the cells that they must, on every backend alike, and no
 * others; what is declared unreachable stays empty.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diff.h"

static struct coverage *run(const char *text, uint32_t *backends)
{
	struct diff_options options;
	struct trace trace = {0};
	struct finding finding;
	struct diff *diff;
	char error[160];

	diff_options_init(&options);
	options.coverage = coverage_create(options.backends, options.nr_backends);
	*backends = options.nr_backends;
	diff = diff_create(&options);
	trace_init(&trace, &machine_presets[0].config);
	if (trace_parse(&trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s", error);
	if (diff_run(diff, &trace, &finding))
		fail_msg("%s", finding.signature);
	trace_release(&trace);
	diff_destroy(diff);
	return options.coverage;
}

static uint64_t total(const struct coverage *coverage, uint32_t subject)
{
	struct coverage_cell cell;
	uint64_t sum = 0;

	for (int k = 0; k < NR_COVERAGE_KINDS; k++)
		for (int s = 0; s < NR_COVERAGE_SHARINGS; s++)
			for (int a = 0; a < NR_COVERAGE_AROSE; a++)
				for (int r = 0; r < NR_COVERAGE_REMOVED; r++) {
					cell = (struct coverage_cell){
						(enum coverage_kind)k, (enum coverage_sharing)s,
						(enum coverage_arose)a, (enum coverage_removed)r};
					sum += coverage_count(coverage, subject, &cell);
				}
	return sum;
}

#define CELL(kind, sharing, arose, removed)                                                        \
	(&(struct coverage_cell){COVERAGE_KIND_##kind, COVERAGE_SHARING_##sharing,                 \
				 COVERAGE_AROSE_##arose, COVERAGE_REMOVED_##removed})

static void expect_cells(const char *text, const struct coverage_cell *const *cells, size_t n)
{
	uint32_t backends;
	struct coverage *coverage = run(text, &backends);

	for (uint32_t i = 0; i < backends; i++) {
		for (size_t c = 0; c < n; c++) {
			if (coverage_count(coverage, i, cells[c]) != 1)
				fail_msg("backend %u, cell %zu of: %s", i, c, text);
		}
		if (total(coverage, i) != n)
			fail_msg("backend %u saw %ju cells instead of %zu of: %s", i,
				 (uintmax_t)total(coverage, i), n, text);
	}
	coverage_destroy(coverage);
}

#define EXPECT(text, ...)                                                                          \
	expect_cells("rmapfuzz trace 1\nmachine tiny\n" text,                                      \
		     (const struct coverage_cell *const[]){__VA_ARGS__},                           \
		     sizeof((const struct coverage_cell *const[]){__VA_ARGS__}) / sizeof(void *))

static void a_page_that_is_unmapped(void **state)
{
	EXPECT("mmap p0 w0 2 rw anon|fixed\nwrite p0 w0\nread p0 w1\nmunmap p0 w0 2\n",
	       CELL(ANON, ONE, FIRST, MUNMAP)); /* the zero page is nobody's */
	EXPECT("mmap p0 w0 1 rw anon|fixed|populate\nmadvise p0 w0 1 dontneed\n",
	       CELL(ANON, ONE, POPULATE, DONTNEED));
}

static void sharers_of_a_page(void **state)
{
	EXPECT("mmap p0 w0 1 rw anon|fixed\nwrite p0 w0\np1 = fork p0\nwrite p1 w0\nexit p1\n"
	       "exit p0\n",
	       CELL(ANON, TWO, FORKED, COW), CELL(ANON, ONE, COPIED, EXIT),
	       CELL(ANON, ONE, FIRST, EXIT));
	EXPECT("mmap p0 w0 1 rw anon|fixed\nwrite p0 w0\np1 = fork p0\np2 = fork p0\n"
	       "munmap p0 w0 1\nmunmap p2 w0 1\nmunmap p1 w0 1\n",
	       CELL(ANON, MANY, FIRST, MUNMAP), CELL(ANON, TWO, FORKED, MUNMAP),
	       CELL(ANON, ONE, FORKED, MUNMAP));
}

/* All entries that one walk removes were shared alike, whatever the order. */
static void a_walk(void **state)
{
	EXPECT("mmap p0 w0 1 rw anon|fixed\nwrite p0 w0\np1 = fork p0\nage p0 w0\nswapout p0 "
	       "w0\nread p1 w0\n"
	       "munmap p1 w0 1\n",
	       CELL(ANON, TWO, FIRST, SWAPOUT), CELL(ANON, TWO, FORKED, SWAPOUT),
	       CELL(ANON, ONE, SWAPIN, MUNMAP));
}

static void files(void **state)
{
	EXPECT("mmap p0 w0 1 rw private|fixed f0 0\nread p0 w0\nwrite p0 w0\ntruncate f0 0\n",
	       CELL(PRIVATE, ONE, FIRST, COW), CELL(COPY, ONE, COPIED, TRUNCATE));
	EXPECT("mmap p0 w0 1 rw shared|fixed f1 0\nwrite p0 w0\n"
	       "mremap p0 w0 1 1 maymove|fixed w9\nevict p0 w9\n",
	       CELL(SHMEM, ONE, FIRST, MOVE), CELL(SHMEM, ONE, MOVED, EVICT));
	EXPECT("mmap p0 w0 1 rw shared|fixed f0 0\nwrite p0 w0\nevict p0 w0\nread p0 w0\n"
	       "exec p0\n",
	       CELL(SHARED, ONE, FIRST, EVICT), CELL(SHARED, ONE, FOUND, EXIT));
}

static void ways_of_their_own(void **state)
{
	EXPECT("mmap p0 w0 1 rw anon|fixed\nwrite p0 w0\nswapout p0 w0\nswapoff s0\nswapon s0\n"
	       "mremap p0 w0 1 1 maymove|fixed|dontunmap w3\nage p0 w3\n"
	       "madvise p0 w3 1 pageout\n",
	       CELL(ANON, ONE, FIRST, SWAPOUT), CELL(ANON, ONE, SWAPOFF, LEAVE),
	       CELL(ANON, ONE, MOVED, PAGEOUT));
	EXPECT("mmap p0 w0 2 rw shared|fixed f1 0\nwrite p0 w0\nremap_file_pages p0 w1 1 0 -\n"
	       "remap_file_pages p0 w0 1 1 -\nfpunch f1 0 1\nmigrate p0 w0\n",
	       CELL(SHMEM, TWO, FIRST, REMAP), CELL(SHMEM, ONE, REMAP, PUNCH),
	       CELL(SHMEM, ONE, REMAP, MIGRATE));
}

/* What runs inside another op is told apart from it. */
static void inside_another(void **state)
{
	EXPECT("mmap p0 w0 2 rw anon|fixed\nwrite p0 w0\np1 = fork p0\nwrite p0 w0\n"
	       "@cow.after_copy munmap p1 w0 1\nexit p0\n",
	       CELL(ANON, TWO, FORKED, MUNMAP), CELL(ANON, ONE, FIRST, COW),
	       CELL(ANON, ONE, COPIED, EXIT));
}

/* Who must have a shared page copied before it moves sees a copy go its way, others the page. */
static void early_copies(void **state)
{
	const char *text = "rmapfuzz trace 1\nmachine tiny\nmmap p0 w0 1 rw anon|fixed\n"
			   "write p0 w0\np1 = fork p0\nmremap p1 w0 1 1 maymove|fixed w3\n";
	uint32_t backends;
	struct coverage *coverage = run(text, &backends);

	for (uint32_t i = 0; i < backends; i++) {
		bool copies = rmap_backends[i]->may_unshare;

		assert_int_equal(coverage_count(coverage, i, CELL(ANON, TWO, FORKED, MOVE)),
				 !copies);
		assert_int_equal(coverage_count(coverage, i, CELL(ANON, TWO, FORKED, COW)), copies);
		assert_int_equal(
			!coverage_unreachable(CELL(ANON, TWO, FORKED, MOVE), rmap_backends[i]),
			!copies);
	}
	coverage_destroy(coverage);
}

/* Threads have one mapping between them, and it keeps its history when its mm is renamed. */
static void threads(void **state)
{
	EXPECT("mmap p0 w0 2 rw anon|fixed\nwrite p0 w0\np1 = clone_vm p0\nwrite p1 w1\n"
	       "exit p0\nswapout p1 w0\np0 = clone_vm p1\nexec p1\nmunmap p0 w0 2\n",
	       CELL(ANON, ONE, FIRST, SWAPOUT), CELL(ANON, ONE, FIRST, MUNMAP));
}

/* Any of the generator's traces: what is declared unreachable is not reached. */
static void the_unreachable_stays_empty(void **state)
{
	struct coverage_summary summary;
	struct diff_options options;
	struct trace trace = {0};
	struct finding finding;
	struct diff *diff;

	diff_options_init(&options);
	options.coverage = coverage_create(options.backends, options.nr_backends);
	diff = diff_create(&options);
	trace_init(&trace, &machine_presets[0].config);
	for (uint64_t seed = 1; seed <= 300; seed++) {
		generate_trace(&trace, &trace.config, seed,
			       &(struct generate_options){.nr_ops = 64});
		assert_int_equal(diff_run(diff, &trace, &finding), 0);
	}
	coverage_summarize(options.coverage, &summary);
	assert_int_equal(summary.impossible, 0);
	assert_int_equal(summary.cells, summary.filled + summary.empty + summary.unreachable);
	assert_true(summary.filled > 100);
	trace_release(&trace);
	diff_destroy(diff);
	coverage_destroy(options.coverage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_that_is_unmapped),
		cmocka_unit_test(sharers_of_a_page),
		cmocka_unit_test(a_walk),
		cmocka_unit_test(files),
		cmocka_unit_test(ways_of_their_own),
		cmocka_unit_test(inside_another),
		cmocka_unit_test(early_copies),
		cmocka_unit_test(threads),
		cmocka_unit_test(the_unreachable_stays_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

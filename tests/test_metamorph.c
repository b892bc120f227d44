/*
 * Metamorphic checks: they hold on every backend after anything that the generator makes, each is
 * really tried, and a reverse map that forgets a page on the way is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "metamorph.h"

static void check_traces(const struct rmap_ops *rmap, const struct machine_config *config,
			 uint32_t nr_traces)
{
	struct metamorph *metamorph = metamorph_create(rmap);
	const struct metamorph_stats *stats = metamorph_stats(metamorph);
	struct trace trace = {0};
	struct finding finding;

	trace_init(&trace, config);
	for (uint64_t seed = 1; seed <= nr_traces; seed++) {
		generate_trace(&trace, config, seed, &(struct generate_options){.nr_ops = 48});
		if (metamorph_run(metamorph, &trace, seed, 6, &finding)) {
			finding_print(&finding, &trace, stderr);
			fail_msg("%s", finding.signature);
		}
	}
	for (int i = 0; i < NR_METAMORPH; i++) {
		if (stats->held[i] < nr_traces)
			fail_msg("%s: %s held only %ju times", rmap->name,
				 metamorph_name((enum metamorph_relation)i),
				 (uintmax_t)stats->held[i]);
	}
	trace_release(&trace);
	metamorph_destroy(metamorph);
}

static void every_backend_holds(void **state)
{
	for (uint32_t i = 0; rmap_backends[i]; i++)
		check_traces(rmap_backends[i], &machine_presets[0].config, 120);
}

static void every_machine_holds(void **state)
{
	for (uint32_t i = 0; machine_presets[i].name; i++)
		check_traces(rmap_find("anon_vma"), &machine_presets[i].config, 20);
}

/* A design that forgets a page's mapping when mremap moves it. */
static int forgetful_move(struct machine *machine, struct page *page, struct vma *old,
			  uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
			  struct ptep to)
{
	rmap_find("pte_chain")->remove(machine, page, old, old_vpn, from);
	return 0;
}

/* A design that, once something has moved, says of every mapping that it is a page further on: as
 * many as there are, in other places. */
static bool has_moved;

static int confused_move(struct machine *machine, struct page *page, struct vma *old,
			 uint32_t old_vpn, struct ptep from, struct vma *new, uint32_t new_vpn,
			 struct ptep to)
{
	has_moved = true;
	return rmap_find("pte_chain")->move(machine, page, old, old_vpn, from, new, new_vpn, to);
}

struct confused {
	rmap_visit_fn *visit;
	void *arg;
};

static enum rmap_answer one_further(struct machine *machine, struct page *page, struct vma *vma,
				    uint32_t vpn, struct ptep pte, void *arg)
{
	const struct confused *confused = arg;

	return confused->visit(machine, page, vma, vpn + has_moved, pte, confused->arg);
}

static void confused_walk(struct machine *machine, struct page *page, rmap_visit_fn *visit,
			  void *arg)
{
	struct confused confused = {visit, arg};

	rmap_find("pte_chain")->walk(machine, page, one_further, &confused);
}

static void expect_told(const struct rmap_ops *ops, const char *signature)
{
	const char *text = "rmapfuzz trace 1\nmachine tiny\n"
			   "mmap p0 w0 4 rw anon|fixed|populate\nwrite p0 w0\nwrite p0 w1\n";
	struct metamorph *metamorph = metamorph_create(ops);
	struct trace trace = {0};
	struct finding finding = {0};
	char error[160];

	trace_init(&trace, &machine_presets[0].config);
	assert_int_equal(trace_parse(&trace, text, strlen(text), error, sizeof(error)), 0);
	assert_int_equal(metamorph_run(metamorph, &trace, 1, 3, &finding), 1);
	assert_string_equal(finding.signature, signature);
	assert_int_equal(finding.op_index, 2);
	trace_release(&trace);
	metamorph_destroy(metamorph);
}

static void what_is_forgotten_is_told(void **state)
{
	struct rmap_ops forgetful = *rmap_find("pte_chain");

	forgetful.name = "forgetful";
	forgetful.move = forgetful_move;
	expect_told(&forgetful, "metamorph:mremap:forgetful:rmap");
}

static void what_is_elsewhere_is_told(void **state)
{
	struct rmap_ops confused = *rmap_find("pte_chain");

	has_moved = false;
	confused.name = "confused";
	confused.move = confused_move;
	confused.walk = confused_walk;
	expect_told(&confused, "metamorph:mremap:confused:rmap");
}

/* The same tries are made again. */
static void the_seed_decides(void **state)
{
	struct metamorph *a = metamorph_create(rmap_find("scan"));
	struct metamorph *b = metamorph_create(rmap_find("scan"));
	struct trace trace = {0};
	struct finding finding;

	trace_init(&trace, &machine_presets[0].config);
	generate_trace(&trace, &trace.config, 7, &(struct generate_options){.nr_ops = 64});
	assert_int_equal(metamorph_run(a, &trace, 3, 1, &finding), 0);
	assert_int_equal(metamorph_run(b, &trace, 3, 1, &finding), 0);
	assert_memory_equal(metamorph_stats(a), metamorph_stats(b), sizeof(struct metamorph_stats));
	trace_release(&trace);
	metamorph_destroy(a);
	metamorph_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_backend_holds),
		cmocka_unit_test(every_machine_holds),
		cmocka_unit_test(what_is_forgotten_is_told),
		cmocka_unit_test(what_is_elsewhere_is_told),
		cmocka_unit_test(the_seed_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The article's story: 32 GB under load run out of lowmem with pte_chain, and not with anon_vma
 * (bench/lowmem_32g.trace). Machines alone, without checks: it takes memory and seconds enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "internal.h"

static void read_trace(struct trace *trace)
{
	static char text[8192];
	char error[128];
	FILE *in = fopen(SOURCE_DIR "/bench/lowmem_32g.trace", "r");
	size_t n;

	assert_non_null(in);
	n = fread(text, 1, sizeof(text), in);
	fclose(in);
	trace_init(trace, &machine_presets[0].config);
	if (trace_parse(trace, text, n, error, sizeof(error)))
		fail_msg("%s", error);
}

/* Returns the result of the last op; all before it succeed. */
static int last_of(struct machine *machine, const struct trace *trace)
{
	struct result result = {0};

	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		assert_int_equal(result.err, 0);
		machine_apply(machine, &trace->ops[i], &result);
	}
	return result.err;
}

static uint64_t free_mb(const struct machine *machine, enum zone_id id)
{
	uint32_t npages = machine->zones[id].nr_free - machine->zones[id].nr_slab;

	return (uint64_t)npages * PAGE_SIZE >> 20;
}

static void chains_fill_lowmem(void **state)
{
	static const struct {
		const char *backend;
		int err;
	} designs[] = {{"pte_chain", -ENOMEM}, {"anon_vma", 0}};
	struct trace trace = {0};

	read_trace(&trace);
	for (size_t i = 0; i < 2; i++) {
		struct machine *machine =
			machine_create(&trace.config, rmap_find(designs[i].backend));

		assert_int_equal(last_of(machine, &trace), designs[i].err);
		/* Memory there is, in the wrong place. */
		assert_true(free_mb(machine, ZONE_HIGHMEM) > 10000);
		if (!designs[i].err)
			assert_true(free_mb(machine, ZONE_NORMAL) > 500);
		machine_destroy(machine);
	}
	trace_release(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_fill_lowmem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Any bytes are a trace; run it on every backend in lockstep, with every oracle.
 *
 * A finding is printed and turned into abort() here, at the edge, in a function of its own per
 * kind of check, so that engines which tell crashes apart by stack keep the kinds apart. The
 * DEDUP_TOKEN line carries the full signature.
 *
 * RMAP_BACKENDS="scan anon_vma" in the environment selects backends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"
#include "fuzz.h"

#define FUZZ_OPS_MAX       64
#define FUZZ_BRINGS_IN_MAX 128u /* pages */

#define CHECK(id, name, help)                                                                      \
	static _Noreturn __attribute__((noinline)) void found_##id(void)                           \
	{                                                                                          \
		abort();                                                                           \
	}
#include "checks.def"
#undef CHECK

#define CHECK(id, name, help) found_##id,
static void (*const found[NR_CHECKS])(void) = {
#include "checks.def"
};
#undef CHECK

/* Narrow OPTIONS to the backends that LIST names; an unknown name is bad usage. */
static void select_backends(struct diff_options *options, const char *list)
{
	char copy[256];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	options->nr_backends = 0;
	for (char *name = strtok_r(copy, " ,", &save); name; name = strtok_r(NULL, " ,", &save)) {
		const struct rmap_ops *rmap = rmap_find(name);

		if (!rmap || options->nr_backends == DIFF_SUBJECTS_MAX) {
			fprintf(stderr, "RMAP_BACKENDS: no backend \"%s\"\n", name);
			exit(2);
		}
		options->backends[options->nr_backends++] = rmap;
	}
}

static struct diff *make_diff(void)
{
	const char *list = getenv("RMAP_BACKENDS");
	struct diff_options options;

	diff_options_init(&options);
	options.check_every = 32; /* half way and at the end */
	if (list)
		select_backends(&options, list);
	return diff_create(&options);
}

/* Pages that OP brings in at once; *LOCKED: areas may be locked, so that growth does it as well. */
static uint32_t brings_in(const struct op *op, bool *locked)
{
	if (op->code == OP_mmap && (op->args[5] & (OP_MAP_POPULATE | OP_MAP_LOCKED))) {
		*locked |= op->args[5] & OP_MAP_LOCKED;
		return op->args[3];
	}
	return op->code == OP_mremap && *locked ? op->args[4] : 0;
}

/* Cut TRACE before it fills the memory of a small machine by single ops: with every allocation
 * under reclaim, and a design among them that searches all page tables, that takes minutes. */
static void cut_short(struct trace *trace)
{
	bool locked = false;
	uint32_t pages = 0;

	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		pages += brings_in(&trace->ops[i], &locked);
		if (pages > FUZZ_BRINGS_IN_MAX) {
			trace->nr_ops = i;
			return;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct diff *diff; /* machines are reset, not rebuilt, between inputs */
	static struct trace trace;
	struct finding finding;

	if (!diff) {
		diff = make_diff();
		trace_init(&trace, &machine_presets[0].config);
	}
	trace_decode(&trace, data, size, FUZZ_OPS_MAX);
	cut_short(&trace);
	if (diff_run(diff, &trace, &finding)) {
		finding_print(&finding, &trace, stderr);
		fprintf(stderr, "DEDUP_TOKEN: %s\n", finding.signature);
		found[finding.check]();
	}
	return 0;
}

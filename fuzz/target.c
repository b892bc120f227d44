/*
 * From bytes to abort(), for the targets that run traces.
 *
 * Engines tell crashes apart by their stacks, so each check has a function that aborts; the
 * DEDUP_TOKEN line carries the full signature.
 */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "mutant.h"
#include "plugin.h"
#include "trial.h"

#define FUZZ_OPS_MAX       64
#define FUZZ_BRINGS_IN_MAX 1024u /* pages */

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

/* ---- options ----------------------------------------------------------------------------------
 */

static const struct rmap_ops *find_backend(const char *name)
{
	char error[256];
	const struct rmap_ops *rmap;

	if (!strchr(name, '/')) {
		rmap = rmap_find(name);
		snprintf(error, sizeof(error), "no backend \"%s\"", name);
	} else {
		rmap = plugin_load(name, error, sizeof(error));
	}
	if (!rmap) {
		fprintf(stderr, "RMAP_BACKENDS: %s\n", error);
		exit(2);
	}
	return rmap;
}

/* Narrow OPTIONS to the backends that LIST names. */
static void select_backends(struct diff_options *options, const char *list)
{
	char *copy = strdup(list), *save = NULL;

	if (!copy)
		abort();
	if (!strcmp(list, "all")) {
		free(copy);
		diff_options_combine(options);
		return;
	}
	options->nr_backends = 0;
	for (char *name = strtok_r(copy, " ,", &save); name; name = strtok_r(NULL, " ,", &save)) {
		if (options->nr_backends == DIFF_SUBJECTS_MAX) {
			fprintf(stderr, "RMAP_BACKENDS: more than %d\n", DIFF_SUBJECTS_MAX);
			exit(2);
		}
		options->backends[options->nr_backends++] = find_backend(name);
	}
	free(copy);
	if (!options->nr_backends) {
		fputs("RMAP_BACKENDS: names none\n", stderr);
		exit(2);
	}
}

/* The trial under way, if there is one; in any case it has the mutant. */
static struct trial *trial;

static _Noreturn void bad_setting(const char *name, const char *value)
{
	fprintf(stderr, "%s: what is \"%s\"?\n", name, value);
	exit(2);
}

/* RMAP_MUTANT=VMA-01: that bug. RMAP_TRIAL=FILE: count what becomes of it there. */
static void select_mutant(struct diff_options *options)
{
	static struct trial nobodys;
	const char *name = getenv("RMAP_MUTANT"), *path = getenv("RMAP_TRIAL");

	if (!name)
		return;
	if (!MUTANTS_BUILT) {
		fputs("RMAP_MUTANT: " MUTANTS_HOWTO "\n", stderr);
		exit(2);
	}
	if (path)
		trial = trial_open(path);
	if (path && !trial)
		bad_setting("RMAP_TRIAL", path);
	if (!trial)
		trial = &nobodys;
	trial->mutant.active = mutant_find(name);
	if (!trial->mutant.active)
		bad_setting("RMAP_MUTANT", name);
	mutant_options(options, &trial->mutant);
}

/* RMAP_WITHOUT=CHECK: that check is not done. */
static void leave_out(struct diff_options *options)
{
	const char *name = getenv("RMAP_WITHOUT");

	if (name && !diff_check_mask(name, &options->without))
		bad_setting("RMAP_WITHOUT", name);
}

void target_options_init(struct diff_options *options)
{
	const char *list = getenv("RMAP_BACKENDS");
	uint8_t *counters = engine_counters();

	diff_options_init(options);
	options->check_every = FUZZ_OPS_MAX / 2;
	if (list)
		select_backends(options, list);
	select_mutant(options);
	leave_out(options);
	if (counters)
		options->feedback = feedback_create(counters);
}

/* ---- inputs -----------------------------------------------------------------------------------
 */

/* What a trace may have mapped and locked so far. */
struct footprint {
	bool locked;     /* areas may be locked, so that growth brings pages in */
	bool future;     /* so may those that are mapped from here on */
	uint32_t mapped; /* pages, counting nothing as unmapped */
};

/* Pages that OP brings in at once. */
static uint32_t brings_in(const struct op *op, struct footprint *footprint)
{
	switch (op->code) {
	case OP_mmap:
		footprint->mapped += op->args[3];
		if (!(op->args[5] & (OP_MAP_POPULATE | OP_MAP_LOCKED)) && !footprint->future)
			return 0;
		footprint->locked |= op->args[5] & OP_MAP_LOCKED;
		return op->args[3];
	case OP_mremap:
		footprint->mapped += op->args[4];
		return footprint->locked ? op->args[4] : 0;
	case OP_brk:
		footprint->mapped += op->args[1] / PAGE_SIZE;
		return footprint->locked ? op->args[1] / PAGE_SIZE : 0;
	case OP_pin:
		return op->args[3] <= PIN_PAGES ? op->args[3] : 0;
	case OP_mlock:
		footprint->locked = true;
		return op->args[2];
	case OP_remap_file_pages:
		return op->args[4] & OP_REMAP_NONBLOCK ? 0 : op->args[2];
	case OP_mlockall_future:
		footprint->locked = footprint->future = true;
		return 0;
	case OP_mlockall:
		footprint->locked = true;
		return footprint->mapped;
	default:
		return 0;
	}
}

/* Cut TRACE before it fills the memory of a small machine by single ops: with every allocation
 * under reclaim, and a design among them that searches all page tables, that takes long. */
static void cut_short(struct trace *trace)
{
	struct footprint footprint = {false, false, 0};
	uint64_t pages = 0;

	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		pages += brings_in(&trace->ops[i], &footprint);
		if (pages > FUZZ_BRINGS_IN_MAX) {
			trace->nr_ops = i;
			return;
		}
	}
}

void target_decode(struct trace *trace, const uint8_t *data, size_t size)
{
	trace_decode(trace, data, size, FUZZ_OPS_MAX);
	cut_short(trace);
}

void target_run(struct diff *diff, const struct trace *trace)
{
	struct finding finding;
	int shown;

	engine_begin();
	if (trial)
		(void)trial_before(trial); /* the engine has a bound of its own */
	shown = diff_run(diff, trace, &finding);
	if (trial)
		trial_after(trial, shown ? &finding : NULL);
	if (shown) {
		finding_print(&finding, trace, stderr);
		fprintf(stderr, "DEDUP_TOKEN: %s\n", finding.signature);
		found[finding.check]();
	}
	engine_end();
}

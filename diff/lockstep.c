/*
 * Lockstep: every subject does the op, then the checks look, in the order of checks.def.
 *
 * Machines are made once and wiped between traces; nothing here asks the host for memory once
 * buffers have grown. What the checks see of an op are results and events, so judging costs what
 * the op did. In the common case all events are equal byte for byte and no check looks further.
 */
#include "internal.h"

void *diff_grow(void *array, size_t *max, size_t need, size_t size)
{
	size_t grown = *max ? *max * 2 : 64;

	if (need <= *max)
		return array;
	if (grown < need)
		grown = need;
	array = realloc(array, grown * size);
	if (!array) {
		fputs("rmapfuzz: the host is out of memory\n", stderr);
		abort();
	}
	*max = grown;
	return array;
}

/* ---- life -------------------------------------------------------------------------------- */

static void choose_backends(struct diff_options *options, const struct rmap_ops *const *table)
{
	for (options->nr_backends = 0; *table; table++) {
		DIFF_ASSERT(options->nr_backends < DIFF_SUBJECTS_MAX);
		options->backends[options->nr_backends++] = *table;
	}
}

void diff_options_init(struct diff_options *options)
{
	*options = (struct diff_options){.model = true, .check_every = 16};
	choose_backends(options, rmap_backends);
}

void diff_options_combine(struct diff_options *options)
{
	choose_backends(options, rmap_combinations);
}

struct diff *diff_create(const struct diff_options *options)
{
	struct diff *diff = calloc(1, sizeof(*diff));

	DIFF_ASSERT(diff);
	DIFF_ASSERT(options->nr_backends > 0);
	DIFF_ASSERT(options->nr_backends <= DIFF_SUBJECTS_MAX);
	diff->options = *options;
	diff->config = machine_presets[0].config;
	diff->nr = options->nr_backends;
	for (uint32_t i = 0; i < diff->nr; i++) {
		diff->subjects[i].machine = machine_create(&diff->config, options->backends[i]);
		diff->subjects[i].name = options->backends[i]->name;
		MUTANT_SET(diff->subjects[i].machine, options);
	}
	if (options->model)
		diff->model = model_create(&diff->config);
	diff_begin(diff, &diff->config);
	diff->stats = (struct diff_stats){0};
	return diff;
}

void diff_destroy(struct diff *diff)
{
	if (!diff)
		return;
	FOR_EACH_SUBJECT (diff, s)
		machine_destroy(s->machine);
	model_destroy(diff->model);
	free(diff->census.key);
	free(diff->visits.key);
	free(diff->drops.key);
	free(diff->other_drops.key);
	free(diff->set.event);
	free(diff->other_set.event);
	free(diff->areas);
	free(diff);
}

void diff_begin(struct diff *diff, const struct machine_config *config)
{
	diff->config = *config;
	/* Who is asked before the first refusal, whether nonlinear mappings are searched for, and
	 * how much memory is left, is the design's choice: side by side, ask all, search, and let
	 * all have the same. */
	if (diff->nr > 1) {
		diff->config.stop_on_refusal = false;
		diff->config.nonlinear = NONLINEAR_EXACT;
		diff->config.accounting = ACCOUNTING_APART;
	}
	if (diff->model)
		model_reset(diff->model, config);
	FOR_EACH_SUBJECT (diff, s) {
		machine_reconfigure(s->machine, &diff->config);
		s->alone = s->copied = false;
		s->apart = machine_config(s->machine)->cluster != diff->config.cluster;
		if (!s->apart)
			continue;
		excuse_count(diff, EXCUSE_SINGLE_FRAMES);
		if (diff->model)
			model_parted(diff->model);
	}
	memset(diff->regions, 0, sizeof(diff->regions));
	if (diff->options.coverage)
		coverage_begin(diff->options.coverage);
	if (diff->options.feedback)
		feedback_begin(diff->options.feedback);
	diff->reference = diff->subjects;
	while (diff->reference->apart && diff->reference + 1 < diff->subjects + diff->nr)
		diff->reference++;
	diff->op_index = 0;
	diff->recounted = UINT32_MAX;
	diff->at_end = false;
	diff->end_hash = 0;
	diff->stats.traces++;
}

/* ---- one op --------------------------------------------------------------------------------- */

static bool has_walk(const struct subject *s)
{
	for (size_t i = 0; i < s->nr_events; i++) {
		if (s->events[i].kind == EVENT_WALK)
			return true;
	}
	return false;
}

static bool same_events(const struct subject *a, const struct subject *b)
{
	if (a->nr_events != b->nr_events)
		return false;
	return !a->nr_events || /* then there may be no array to look at */
	       memcmp(a->events, b->events, a->nr_events * sizeof(*a->events)) == 0;
}

/* For those who want to know what the op did, not whether it was right. */
static void inform(struct diff *diff)
{
	const struct subject *reference = diff->reference;

	for (uint32_t i = 0; diff->options.coverage && i < diff->nr; i++) {
		const struct subject *s = &diff->subjects[i];

		coverage_follow(diff->options.coverage, i, s->machine, &diff->group[diff->from],
				s->events, s->nr_events);
	}
	if (!diff->options.feedback)
		return;
	feedback_follow(diff->options.feedback, reference->machine, &diff->group[diff->from],
			reference->events, reference->nr_events);
	for (uint32_t i = 0; i < diff->nr; i++)
		feedback_worked(diff->options.feedback, i, diff->subjects[i].machine,
				diff->subjects[i].walked);
}

static void compare_events(struct diff *diff)
{
	struct subject *reference = diff->reference;

	reference->walked = has_walk(reference);
	FOR_EACH_SUBJECT (diff, s) {
		s->same = s == reference || same_events(s, reference);
		s->walked = s->same ? reference->walked : has_walk(s);
	}
}

typedef bool check_fn(struct diff *diff);

/* After every op. What is not here is done at recounts and at the end. */
static check_fn *const op_checks[NR_CHECKS] = {
	[CHECK_RESULT] = check_results,    [CHECK_MODEL] = check_model,
	[CHECK_UNMAPPED] = check_unmapped, [CHECK_SETS] = check_sets,
	[CHECK_CONTENT] = check_content,   [CHECK_PTES] = check_ptes,
	[CHECK_TLB] = check_tlb,           [CHECK_KMAP] = check_kmap,
};

bool diff_wants(const struct diff *diff, enum diff_check check)
{
	return !(diff->options.without >> check & 1);
}

static bool check_finds(struct diff *diff, enum diff_check check)
{
	return op_checks[check] && diff_wants(diff, check) && op_checks[check](diff);
}

/* Everything is recomputed when op number K * check_every is behind us. */
static bool recount(struct diff *diff, uint32_t first, uint32_t n)
{
	uint32_t every = diff->options.check_every;

	if (!every || (first + n) / every == first / every)
		return false;
	diff->recounted = first + n;
	return check_state(diff) || check_all_content(diff);
}

static bool judge(struct diff *diff)
{
	for (int i = 0; i < NR_CHECKS; i++) {
		if (check_finds(diff, (enum diff_check)i))
			return true;
	}
	return recount(diff, diff->op_index, 1) || check_canary(diff);
}

/* Who left the lockstep, and what the others wrote: before anything is judged. */
static void look(struct diff *diff)
{
	bool failures = group_fails(diff);

	excuse_early_copies(diff);
	if (failures)
		excuse_reference(diff);
	compare_events(diff);
	inform(diff);
	if (failures)
		excuse_failures(diff);
	excuse_apart(diff);
}

/* The op under judgement counts, and the model goes along. */
static void follow(struct diff *diff)
{
	struct diff_stats *stats = &diff->stats;

	stats->ops++;
	stats->op_count[diff->op.code]++;
	stats->op_ok[diff->op.code] += !diff->reference->result.err;
	for (uint32_t n = diff->reference->last->trylocks; n; n--)
		excuse_count(diff, EXCUSE_TRYLOCK);
	if (diff->model)
		model_follow(diff);
}

/* An op of its own: those behind it in diff->group did not run inside it, or there are none. */
static bool step_alone(struct diff *diff, uint32_t k)
{
	bool found;

	follow(diff);
	found = judge(diff);
	diff->results[k] = diff->reference->result;
	op_bind(&diff->op, &diff->reference->result, diff->regions);
	return found;
}

/* Ops that ran inside each other: results one by one, then what they did as a whole. */
static bool step_inside(struct diff *diff, uint32_t first)
{
	uint32_t order[GROUP_MAX], n = group_order(diff, order);

	for (uint32_t i = 0; i < n; i++) {
		group_focus(diff, first, order[i]);
		follow(diff);
		diff->results[order[i]] = diff->reference->result;
		op_bind(&diff->op, &diff->reference->result, diff->regions);
		if (check_finds(diff, CHECK_RESULT) || check_finds(diff, CHECK_MODEL) ||
		    check_finds(diff, CHECK_CONTENT))
			return true;
	}
	group_focus(diff, first, 0);
	return check_finds(diff, CHECK_UNMAPPED) || check_finds(diff, CHECK_SETS) ||
	       check_finds(diff, CHECK_PTES) || check_finds(diff, CHECK_TLB) ||
	       check_finds(diff, CHECK_KMAP) || recount(diff, first, n) || check_canary(diff);
}

static bool any_inside(const struct diff *diff)
{
	for (uint32_t k = 1; k < diff->nr_group; k++) {
		if (diff->reference->outcomes[k].order)
			return true;
	}
	return false;
}

/* Op K of the group has not run inside the first: it is done now. */
static bool step_left(struct diff *diff, uint32_t first, uint32_t k, const struct op *op)
{
	if (diff->reference->outcomes[k].order)
		return false;
	diff->op_index = first + k;
	diff->op = op_resolve(op, diff->regions);
	if (diff->op.code == OP_mremap)
		narrow_mremap(diff);
	diff->group[k] = diff->op;
	group_apply_left(diff, &diff->op, k);
	look(diff);
	return step_alone(diff, k);
}

int diff_step(struct diff *diff, const struct op *op, struct finding *finding)
{
	return diff_step_group(diff, op, 1, finding);
}

int diff_step_group(struct diff *diff, const struct op *ops, uint32_t n, struct finding *finding)
{
	uint32_t first = diff->op_index;
	bool found;

	diff->finding = finding;
	group_prepare(diff, ops, n);
	group_apply(diff);
	group_focus(diff, first, 0);
	look(diff);
	found = any_inside(diff) ? step_inside(diff, first) : step_alone(diff, 0);
	for (uint32_t k = 1; k < n && !found; k++)
		found = step_left(diff, first, k, &ops[k]);
	diff->op_index = first + n;
	return found;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25ull;
	return hash ^ hash >> 29;
}

/* What is left of a run besides results and events: memory and costs. */
static uint64_t hash_state(const struct diff *diff)
{
	uint64_t hash = diff->nr;

	for (uint32_t i = 0; i < diff->nr; i++) {
		struct machine_stats stats;

		machine_stats(diff->subjects[i].machine, &stats);
		hash = mix(hash, stats.lowmem_used);
		hash = mix(hash, stats.highmem_used);
		hash = mix(hash, stats.meta_bytes);
		hash = mix(hash, stats.frames_used);
		hash = mix(hash, stats.committed_as);
		hash = mix(hash, stats.swapouts);
		hash = mix(hash, stats.swapins);
		hash = mix(hash, stats.reclaimed);
		hash = mix(hash, stats.unmaps);
		hash = mix(hash, stats.rmap.pte_probes);
		hash = mix(hash, stats.rmap.vmas_visited);
		hash = mix(hash, stats.rmap.links);
	}
	return hash;
}

int diff_end(struct diff *diff, struct finding *finding)
{
	diff->finding = finding;
	diff->at_end = true;
	diff->end_hash = hash_state(diff);
	if (check_state(diff))
		return 1;
	/* What was looked at after the last op is as it was. */
	if (diff->recounted != diff->op_index && check_all_content(diff))
		return 1;
	return check_empty(diff);
}

uint64_t diff_hash(const struct diff *diff)
{
	uint64_t hash = diff->end_hash;

	for (uint32_t i = 0; i < diff->nr; i++)
		hash = mix(hash, machine_hash(diff->subjects[i].machine));
	return hash;
}

int diff_run(struct diff *diff, const struct trace *trace, struct finding *finding)
{
	diff_begin(diff, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		uint32_t n = op_group(&trace->ops[i], trace->nr_ops - i);

		if (diff_step_group(diff, &trace->ops[i], n, finding))
			return 1;
		i += n - 1;
	}
	return diff_end(diff, finding);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

const struct diff_stats *diff_stats(const struct diff *diff)
{
	return &diff->stats;
}

uint32_t diff_op_index(const struct diff *diff)
{
	return diff->op_index;
}

void diff_take_stats(struct diff *diff, const struct diff *from)
{
	diff->stats = from->stats;
}

struct machine *diff_machine(struct diff *diff, uint32_t i)
{
	return i < diff->nr ? diff->subjects[i].machine : NULL;
}

const struct result *diff_last_result(const struct diff *diff)
{
	return &diff->reference->result;
}

const struct op *diff_group_op(const struct diff *diff, uint32_t k)
{
	return &diff->group[k];
}

const struct result *diff_group_result(const struct diff *diff, uint32_t k)
{
	return &diff->results[k];
}

const struct op_trace *diff_group_trace(const struct diff *diff, uint32_t i, uint32_t k)
{
	return &diff->subjects[i].outcomes[k].trace;
}

bool diff_group_inside(const struct diff *diff, uint32_t k)
{
	return k < diff->nr_group && diff->reference->outcomes[k].order != 0;
}

struct op diff_resolve(const struct diff *diff, const struct op *op)
{
	return op_resolve(op, diff->regions);
}

const struct op *diff_last_op(const struct diff *diff)
{
	return &diff->op;
}

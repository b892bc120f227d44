/*
 * The machine as a whole: boot, reset, dispatch of ops, events and hash, shutdown.
 */
#include "internal.h"

#include <stdio.h>

void mm_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "rmapfuzz: %s:%d: assertion failed: %s\n", file, line, what);
	abort();
}

/* ---- life -------------------------------------------------------------------------------- */

static void boot(struct machine *machine)
{
	TAILQ_INIT(&machine->mms);
	TAILQ_INIT(&machine->file_list);
	memset(machine->tasks, 0, sizeof(machine->tasks));
	machine->next_file_id = FILE_MAX;
	machine->committed_as = 0;
	machine->in_reclaim = false;
	machine->lru_scan_seed = 0;
	machine->op = NULL;
	machine->waiting = 0;
	machine->last_op = (struct op_trace){0};
	machine->nr_events = 0;
	machine->hash = 0x9e3779b97f4a7c15ull;
	machine->counters = (struct rmap_counters){0};
	machine->swapouts = machine->swapins = machine->reclaimed = machine->unmaps = 0;
	machine->early_copies = 0;
	pins_reset(machine);
	frame_init(machine);
	swap_boot(machine);
	file_boot(machine);
	MM_ASSERT(task_boot(machine, 0) == 0);
	machine->last_op = (struct op_trace){0};
	machine->nr_events = 0;
}

/* A page of several frames, mapped more than once by one address space, could never be moved by a
 * design that has shared pages copied first: such a machine has pages of one frame. */
static void take_config(struct machine *machine, const struct machine_config *config)
{
	machine->config = *config;
	machine->clustered = config->cluster != 0;
	if (machine->rmap->may_unshare)
		machine->config.cluster = 0;
}

struct machine *machine_create(const struct machine_config *config, const struct rmap_ops *rmap)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		abort();
	machine->rmap = rmap;
	take_config(machine, config);
	kmem_init(machine);
	if (rmap->create)
		rmap->create(machine);
	boot(machine);
	return machine;
}

void machine_reconfigure(struct machine *machine, const struct machine_config *config)
{
	tlb_reset(machine);
	machine->kmaps = (struct kmaps){0};
	pkmap_reset(machine);
	pagetable_reset(machine);
	file_reset(machine);
	frame_reset(machine);
	kmem_reset(machine);
	take_config(machine, config);
	boot(machine);
}

void machine_reset(struct machine *machine)
{
	struct machine_config config = machine->config;

	machine_reconfigure(machine, &config);
}

void machine_destroy(struct machine *machine)
{
	if (!machine)
		return;
	pagetable_destroy(machine);
	swap_destroy(machine);
	frame_destroy(machine);
	kmem_destroy(machine);
	free(machine->rmap_private);
	pkmap_destroy(machine);
	free(machine->truncated[0].area);
	free(machine->truncated[1].area);
	free(machine->events);
	free(machine);
}

const struct machine_config *machine_config(const struct machine *machine)
{
	return &machine->config;
}

const struct rmap_ops *machine_rmap(const struct machine *machine)
{
	return machine->rmap;
}

/* ---- events and hash ----------------------------------------------------------------------- */

void events_grow(struct machine *machine)
{
	machine->max_events = machine->max_events ? machine->max_events * 2 : 256;
	machine->events = host_realloc(machine, machine->events,
				       machine->max_events * sizeof(*machine->events));
}

const struct event *machine_events(const struct machine *machine, size_t *n)
{
	*n = machine->nr_events;
	return machine->events;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdull;
	return hash ^ hash >> 32;
}

static void hash_result(struct machine *machine, const struct result *result)
{
	uint64_t hash = machine->hash;

	hash = mix(hash, (uint64_t)(uint32_t)result->err << 32 | result->value);
	machine->hash = mix(hash, result->token);
}

/* What a backend answers inside a walk counts as a set: designs visit in their own order. */
static void hash_op(struct machine *machine, const struct result *result)
{
	uint64_t hash, set = 0;
	bool in_walk = false;

	hash_result(machine, result);
	hash = machine->hash;
	for (size_t i = 0; i < machine->nr_events; i++) {
		const struct event *event = &machine->events[i];
		uint64_t word = (uint64_t)event->kind << 56 | (uint64_t)event->aux << 48 |
				(uint64_t)event->mm << 32 | event->vpn;

		if (event->kind == EVENT_WALK)
			in_walk = true;
		if (in_walk)
			set += mix(word, event->value);
		else
			hash = mix(mix(hash, word), event->value);
		if (event->kind == EVENT_WALK_END) {
			hash = mix(hash, set);
			in_walk = false;
			set = 0;
		}
	}
	machine->hash = hash;
}

uint64_t machine_hash(const struct machine *machine)
{
	return machine->hash;
}

/* ---- operations ------------------------------------------------------------------------------ */

typedef int op_fn(struct machine *machine, struct mm *mm, const struct op *op,
		  struct result *result);

static op_fn *const op_table[NR_OPS] = {
#define OP(name, operands, help) [OP_##name] = op_##name,
#include "op.def"
#undef OP
};

/* Accesses enter the kernel only if they fault, and kernel threads are there already. */
static bool is_system_call(enum op_code code)
{
	const uint64_t others = 1ull << OP_read | 1ull << OP_write | 1ull << OP_evict |
				1ull << OP_swapout | 1ull << OP_age | 1ull << OP_reclaim;

	return !(others >> code & 1);
}

int op_dispatch(struct machine *machine, const struct op *op, struct result *result)
{
	struct mm *mm = NULL;

	machine->cpus.current = 0;
	if (op_info((enum op_code)op->code)->operand[0].kind == OPERAND_PROC) {
		if (!machine_proc_alive(machine, op->args[0]))
			return -ESRCH;
		mm = machine->tasks[op->args[0]]->mm;
		machine->cpus.current = cpu_of_proc(machine, op->args[0]);
		switch_mm(machine, machine->cpus.current, mm);
	}
	machine->cpus.current_mm = mm;
	if (is_system_call((enum op_code)op->code))
		kernel_entry(machine);
	return op_table[op->code](machine, mm, op, result);
}

void machine_apply(struct machine *machine, const struct op *op, struct result *result)
{
	struct op_outcome outcome;

	machine_apply_group(machine, op, 1, &outcome);
	*result = outcome.result;
}

void machine_apply_group(struct machine *machine, const struct op *ops, uint32_t n,
			 struct op_outcome *outcomes)
{
	MM_ASSERT(n > 0 && n <= GROUP_MAX);
	for (uint32_t i = 0; i < n; i++) {
		MM_ASSERT(ops[i].code < NR_OPS);
		MM_ASSERT(ops[i].refs == 0);
		outcomes[i] = (struct op_outcome){0};
	}
	machine->nr_events = 0;
	machine->last_op = (struct op_trace){0};
	machine->op = ops;
	if (n > 1)
		group_begin(machine, ops, n, outcomes);
	outcomes->result.err = op_dispatch(machine, ops, &outcomes->result);
	outcomes->trace = machine->last_op;
	if (machine->cpus.suspects)
		tlb_judge(machine);
	kmap_judge(machine);
	machine->op = NULL;
	machine->waiting = 0;
	hash_op(machine, &outcomes->result);
	for (uint32_t i = 1; i < n; i++) {
		if (outcomes[i].order)
			hash_result(machine, &outcomes[i].result);
	}
}

const struct op_trace *machine_last_op(const struct machine *machine)
{
	return &machine->last_op;
}

int op_read(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t pfn;
	int err = user_access(machine, mm, op->args[1] / PAGE_SIZE, false, &pfn);

	if (!err)
		result->token = *pfn_token(machine, pfn);
	return err;
}

int op_write(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t pfn;
	int err = user_access(machine, mm, op->args[1] / PAGE_SIZE, true, &pfn);

	if (!err)
		*pfn_token(machine, pfn) = token_write(op->serial);
	return err;
}

/* ---- shutdown ----------------------------------------------------------------------------------
 */

void machine_shutdown(struct machine *machine)
{
	machine->nr_events = 0;
	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		if (machine->tasks[proc])
			task_exit(machine, proc);
	}
	pins_release(machine);
	swap_drop_cache(machine);
	for (uint32_t i = 0; i < FILE_MAX; i++) {
		struct address_space *file = machine->files[i];

		do_truncate(machine, file, 0);
		machine->files[i] = NULL;
		file_put(machine, file);
	}
	/* Saturated slots have no users now, and nobody else to say so. */
	for (uint32_t type = 0; type < machine->config.nr_swap; type++)
		swap_desaturate(machine, type);
}

const char *machine_leaks(struct machine *machine, char *buf, size_t size)
{
	const uint32_t boot_frames = 2; /* the zero page and the kernel's PMD */
	uint32_t frames = 0;

	for (uint32_t i = 0; i < machine->nr_caches; i++) {
		const struct kmem_cache *cache = &machine->caches[i];

		if (!cache->used)
			continue;
		snprintf(buf, size, "%s%u %s not freed", cache->meta ? "rmap: " : "", cache->used,
			 cache->name);
		return buf;
	}
	for (uint32_t i = 0; i < NR_ZONES; i++)
		frames += zone_used(&machine->zones[i]);
	if (frames != boot_frames)
		snprintf(buf, size, "%d pages not freed", (int)(frames - boot_frames));
	else if (machine->swap_used)
		snprintf(buf, size, "%u swap slots not freed", machine->swap_used);
	else if (machine->committed_as)
		snprintf(buf, size, "Committed_AS is %u pages", machine->committed_as);
	else
		return NULL;
	return buf;
}

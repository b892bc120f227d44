/*
 * Tasks, processes and the machine's process slots.
 *
 *   task (pid) --> process --> space --> slot p1..p31
 *
 * Threads are tasks of one process; the child of a vfork is a process of its own in its parent's
 * space until it execs or exits. p0 is never used: it stays as it is at boot, an empty process
 * from which those are forked whose parent the recording does not know, first of all its root.
 */
#include <stdlib.h>
#include <string.h>

#include "import_private.h"

/* ---- slots and spaces ---------------------------------------------------------------------- */

struct layout *space_layout(struct importer *imp, const struct space *space)
{
	return &imp->layouts[space->lineage];
}

/* Begin a lineage: the same number in both passes. */
static void new_lineage(struct importer *imp, struct space *space, uint32_t program)
{
	space->lineage = imp->nr_lineages++;
	if (space->lineage == imp->nr_layouts) {
		GROW(imp->layouts, imp->nr_layouts, imp->max_layouts);
		imp->layouts[imp->nr_layouts++] = (struct layout){.program = program};
	}
	space->nr_areas = 0;
	space->nr_touched = 0;
	space->brk = 0;
}

/* A slot for the copy of FROM (NO_SLOT if FROM has none, or if all are taken); forks it. */
static uint32_t slot_fork(struct importer *imp, uint32_t from, struct space *space)
{
	uint32_t slot = 1, living = 0;

	while (slot < PROC_MAX && imp->slots[slot])
		slot++;
	space->slot = slot < PROC_MAX && from != NO_SLOT ? slot : NO_SLOT;
	if (space->slot == NO_SLOT)
		return NO_SLOT;
	imp->slots[slot] = space;
	EMIT(imp, call_ops, OP_fork, from, slot);
	for (slot = 1; slot < PROC_MAX; slot++)
		living += imp->slots[slot] != NULL;
	if (living > imp->report->processes_peak)
		imp->report->processes_peak = living;
	return space->slot;
}

static void space_put(struct importer *imp, struct space *space)
{
	if (--space->users)
		return;
	if (space->slot != NO_SLOT) {
		EMIT(imp, call_ops, OP_exit, space->slot);
		imp->slots[space->slot] = NULL;
	}
	free(space->areas);
	free(space);
}

/* Map PAGES of the program's file (or anonymous memory, if it is not known) from page PGOFF on. */
static void map_image(struct importer *imp, struct space *space, struct placed at, uint64_t pgoff,
		      uint32_t prot)
{
	uint32_t program = space_layout(imp, space)->program;
	uint32_t flags = OP_MAP_FIXED | OP_MAP_ANON, slot = 0, page = 0;

	if (program != NO_FILE && imp->emitting) {
		flags = OP_MAP_FIXED;
		slot = imp->files[program].slot;
		page = file_pgoff(imp, program, pgoff);
	}
	EMIT(imp, call_ops, OP_mmap, space->slot, REGION_NONE, at.vpn << SOURCE_PAGE_SHIFT, at.len,
	     prot, flags, slot, page);
	touch_mapping(imp, space, at, prot);
}

/* Ranges that are used later and that no call maps: they must have been there from the start. */
static void map_orphans(struct importer *imp, struct space *space)
{
	const struct layout *layout = space_layout(imp, space);
	uint64_t pgoff = IMAGE_PAGES;

	for (uint32_t i = 0; imp->emitting && i < layout->nr_orphans; i++) {
		const struct layout_use *use = &layout->orphans[i];
		struct area area = {.start = use->start,
				    .end = use->end,
				    .prot = OP_PROT_READ | OP_PROT_WRITE,
				    .kind = AREA_ANON};
		struct placed at;

		import_space_map(space, &area);
		if (!layout_range(layout, use->start, use->end, &at))
			continue;
		map_image(imp, space, at, pgoff, area.prot);
		pgoff += at.len;
		tally(imp, IMPORT_ASSUMED, at.len,
		      "range used but never mapped, taken as the program's data");
	}
}

/* What the kernel maps at exec without a call: docs/import.md states the rule. */
static void map_program(struct importer *imp, struct space *space)
{
	const struct placed text = {IMAGE_VPN, IMAGE_TEXT_PAGES};
	const struct placed data = {IMAGE_VPN + IMAGE_TEXT_PAGES, IMAGE_DATA_PAGES};

	if (space->slot == NO_SLOT)
		return;
	map_image(imp, space, text, 0, OP_PROT_READ | OP_PROT_EXEC);
	map_image(imp, space, data, IMAGE_TEXT_PAGES, OP_PROT_READ | OP_PROT_WRITE);
	EMIT(imp, call_ops, OP_mmap, space->slot, REGION_NONE,
	     (imp->task_pages - STACK_PAGES) << SOURCE_PAGE_SHIFT, STACK_PAGES,
	     OP_PROT_READ | OP_PROT_WRITE, OP_MAP_ANON | OP_MAP_FIXED | OP_MAP_GROWSDOWN);
	touch_stack(imp, space);
	map_orphans(imp, space);
}

/* A space of its own for a process whose past is unknown. */
static struct space *new_space(struct importer *imp)
{
	struct space *space = import_alloc(sizeof(*space));

	space->users = 1;
	space->bare = true;
	slot_fork(imp, 0, space);
	new_lineage(imp, space, NO_FILE);
	return space;
}

void space_furnish(struct importer *imp, struct space *space)
{
	if (!space->bare)
		return;
	space->bare = false;
	map_program(imp, space);
}

/* ---- tasks --------------------------------------------------------------------------------- */

static uint32_t *task_bucket(struct importer *imp, uint32_t pid)
{
	return &imp->task_hash[pid % HASH_SIZE];
}

struct task *task_find(struct importer *imp, uint32_t pid)
{
	for (uint32_t i = *task_bucket(imp, pid); i; i = imp->tasks[i - 1].next_hash) {
		if (imp->tasks[i - 1].pid == pid)
			return &imp->tasks[i - 1];
	}
	return NULL;
}

/* The entry for PID, which is not alive; its process is still to be set. */
static struct task *task_create(struct importer *imp, uint32_t pid)
{
	struct task *task = task_find(imp, pid);

	if (!task) {
		uint32_t *bucket = task_bucket(imp, pid);

		GROW(imp->tasks, imp->nr_tasks, imp->max_tasks);
		task = &imp->tasks[imp->nr_tasks++];
		*task = (struct task){.pid = pid, .next_hash = *bucket};
		*bucket = imp->nr_tasks;
	}
	task->alive = true;
	imp->nr_alive++;
	return task;
}

static void task_start(struct importer *imp, uint32_t pid, struct process *process)
{
	task_create(imp, pid)->process = process;
	process->nr_threads++;
}

static struct process *process_create(struct importer *imp, uint32_t pid, struct space *space)
{
	struct process *process = import_alloc(sizeof(*process));

	process->leader = pid;
	process->space = space;
	if (imp->emitting) {
		imp->report->processes++;
		if (space->slot == NO_SLOT)
			tally(imp, IMPORT_DROPPED, 0, "process %u, for want of a slot", pid);
	}
	return process;
}

/* End all tasks of PROCESS but KEEP. */
static void end_threads(struct importer *imp, struct process *process, const struct task *keep)
{
	for (uint32_t i = 0; i < imp->nr_tasks; i++) {
		struct task *task = &imp->tasks[i];

		if (task == keep || !task->alive || task->process != process)
			continue;
		task->alive = false;
		imp->nr_alive--;
	}
	process->nr_threads = keep ? 1 : 0;
}

void task_end(struct importer *imp, struct task *task)
{
	struct process *process = task->process;

	task->alive = false;
	imp->nr_alive--;
	process->nr_threads--;
	if (process->nr_threads && process->leader == task->pid)
		end_threads(imp, process, NULL);
	if (process->nr_threads)
		return;
	space_put(imp, process->space);
	free(process->fds.entries);
	free(process);
}

void task_superseded(struct importer *imp, const struct strace_line *line)
{
	struct task *other = task_find(imp, line->other_pid), *leader;

	if (!other || !other->alive)
		return;
	leader = task_find(imp, line->has_pid ? line->pid : other->process->leader);
	if (leader && leader->alive && leader != other && leader->process == other->process) {
		other->alive = false;
		imp->nr_alive--;
		leader->process->nr_threads--;
	}
}

static struct task *only_task(struct importer *imp)
{
	struct task *last = NULL;

	for (uint32_t i = 0; i < imp->nr_tasks; i++) {
		if (imp->tasks[i].alive)
			last = &imp->tasks[i];
	}
	return last;
}

/* The first process got its pid printed only now: rename it. */
static struct task *adopt_pid(struct importer *imp, uint32_t pid)
{
	struct task *task = task_find(imp, NO_PID);
	uint32_t *bucket = task_bucket(imp, NO_PID), index;

	if (!task || !task->alive)
		return NULL;
	index = (uint32_t)(task - imp->tasks) + 1;
	while (*bucket != index)
		bucket = &imp->tasks[*bucket - 1].next_hash;
	*bucket = task->next_hash;
	if (task->process->leader == NO_PID)
		task->process->leader = pid;
	task->pid = pid;
	bucket = task_bucket(imp, pid);
	task->next_hash = *bucket;
	*bucket = index;
	return task;
}

struct task *task_of_line(struct importer *imp, const struct strace_line *line)
{
	uint32_t pid = line->has_pid ? line->pid : NO_PID;
	struct task *task = task_find(imp, pid);

	if (task && task->alive)
		return task;
	if (!line->has_pid && imp->nr_alive) {
		if (imp->nr_alive > 1)
			tally(imp, IMPORT_ASSUMED, 0,
			      "line without a pid while several tasks lived, taken as the "
			      "newest's");
		return only_task(imp);
	}
	if (line->has_pid && !task) {
		task = adopt_pid(imp, pid);
		if (task)
			return task;
	}
	if (imp->nr_processes++)
		tally(imp, IMPORT_ASSUMED, 0, "process whose birth is not recorded, taken as new");
	task_start(imp, pid, process_create(imp, pid, new_space(imp)));
	return task_find(imp, pid);
}

void processes_reset(struct importer *imp)
{
	for (uint32_t i = 0; i < imp->nr_tasks; i++) {
		struct task *task = &imp->tasks[i];
		struct process *process = task->process;

		if (!task->alive)
			continue;
		end_threads(imp, process, NULL);
		if (!--process->space->users) {
			free(process->space->areas);
			free(process->space);
		}
		free(process->fds.entries);
		free(process);
	}
	imp->nr_tasks = imp->nr_alive = imp->nr_processes = imp->nr_lineages = 0;
	memset(imp->task_hash, 0, sizeof(imp->task_hash));
	memset(imp->slots, 0, sizeof(imp->slots));
}

/* ---- fork and exec ------------------------------------------------------------------------- */

void process_fork(struct importer *imp, struct task *parent, uint32_t pid, enum fork_kind kind)
{
	struct process *from = parent->process, *to;
	struct task *old = task_find(imp, pid);
	struct space *space = from->space;

	if (old && old->alive) {
		if (old->process == from) {
			tally(imp, IMPORT_DROPPED, 0, "fork that returns a living pid");
			return;
		}
		tally(imp, IMPORT_ASSUMED, 0, "process whose pid came back, taken as ended");
		task_end(imp, old);
	}
	imp->nr_processes++;
	if (kind == FORK_THREAD) {
		imp->report->threads += imp->emitting;
		task_start(imp, pid, from);
		return;
	}
	if (kind == FORK_COPY) {
		space = import_alloc(sizeof(*space));
		import_space_copy(space, from->space);
		space->users = 0;
		slot_fork(imp, from->space->slot, space);
		if (space->slot != NO_SLOT)
			touch_fork(imp, from->space, space);
	}
	space->users++;
	to = process_create(imp, pid, space);
	fds_copy(&to->fds, &from->fds);
	task_start(imp, pid, to);
}

void process_exec(struct importer *imp, struct task *task, struct span path)
{
	struct process *process = task->process;
	uint32_t program = NO_FILE;
	struct space *space;

	imp->report->execs += imp->emitting;
	if (process->nr_threads > 1)
		end_threads(imp, process, task);
	if (process->space->users > 1) {
		space = import_alloc(sizeof(*space));
		space->users = 1;
		slot_fork(imp, process->space->slot, space);
		process->space->users--;
		process->space = space;
		if (space->slot == NO_SLOT)
			tally(imp, IMPORT_DROPPED, 0, "process %u, for want of a slot", task->pid);
	}
	space = process->space;
	if (path.len) {
		program = file_intern(imp, path);
		file_map(imp, program, 0, IMAGE_PAGES);
	}
	new_lineage(imp, space, program);
	space->bare = false;
	if (space->slot != NO_SLOT)
		EMIT(imp, call_ops, OP_exec, space->slot);
	map_program(imp, space);
}

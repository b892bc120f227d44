/*
 * System calls by name: those that make and replace processes, those that cannot be expressed, and
 * the one place where every call of a recording passes and is counted. A recording tells what
 * happened, so calls are carried out with the results that they returned.
 */
#include <string.h>

#include "import_private.h"

#define CALL_NAME_MAX 48u

const char import_bad_number[] = "an argument is not a number";
const char import_bad_fd[] = "an argument is not a file descriptor";

struct space *call_space(const struct call *call)
{
	return call->task->process->space;
}

/* ---- processes ----------------------------------------------------------------------------- */

#define LINUX_CLONE_VM     0x100u
#define LINUX_CLONE_THREAD 0x10000u

static const struct strace_flag clone_flags[] = {
	{"CLONE_VM", LINUX_CLONE_VM},
	{"CLONE_THREAD", LINUX_CLONE_THREAD},
	{NULL, 0},
};

static const char *fork_as(struct importer *imp, struct call *call, enum fork_kind kind)
{
	if (call->result.value == 0 || call->result.value > INT32_MAX)
		return "the result is not a pid";
	call->outcome = CALL_FOLLOWED;
	process_fork(imp, call->task, (uint32_t)call->result.value, kind);
	return NULL;
}

static const char *run_fork(struct importer *imp, struct call *call)
{
	return fork_as(imp, call, FORK_COPY);
}

static const char *run_vfork(struct importer *imp, struct call *call)
{
	return fork_as(imp, call, FORK_SHARE);
}

/* clone(child_stack=..., flags=A|B, ...) and clone3({flags=A|B, ...}, size). */
static const char *run_clone(struct importer *imp, struct call *call)
{
	struct span unknown, flags = {"", 0};
	uint64_t bits;

	for (uint32_t i = 0; i < call->nr_args && !flags.len; i++) {
		struct span arg = call->args[i];

		flags = span_skip(arg, span_find(arg, "flags="));
	}
	if (!flags.len)
		return "clone without flags";
	flags = span_skip(flags, strlen("flags="));
	flags.len = span_find(flags, ",");
	flags.len = span_find(flags, "}");
	bits = strace_flags(flags, clone_flags, &unknown);
	if (bits & LINUX_CLONE_THREAD)
		return fork_as(imp, call, FORK_THREAD);
	return fork_as(imp, call, bits & LINUX_CLONE_VM ? FORK_SHARE : FORK_COPY);
}

static const char *run_execve(struct importer *imp, struct call *call)
{
	struct span path;

	if (!strace_string(call->args[0], &path))
		return "the path is not a string";
	process_exec(imp, call->task, path);
	return NULL;
}

static const char *run_execveat(struct importer *imp, struct call *call)
{
	struct span path = {"", 0}, directory;
	int32_t fd;

	if (!strace_string(call->args[1], &path))
		return "the path is not a string";
	if (!path.len && strace_fd(call->args[0], &fd, &directory))
		path = directory;
	process_exec(imp, call->task, path);
	return NULL;
}

/* The process ends at its "+++ exited" line; this is only the announcement. */
static const char *run_exit(struct importer *imp, struct call *call)
{
	imp->report->followed += imp->emitting;
	return NULL;
}

static const char *run_dropped(struct importer *imp, struct call *call)
{
	tally(imp, IMPORT_DROPPED, 0, "%.*s", (int)call->name.len, call->name.text);
	call->outcome = CALL_COUNTED;
	return NULL;
}

static const struct call_info process_calls[] = {
	{"fork", 0, CALL_MEMORY | CALL_EARLY, run_fork},
	{"vfork", 0, CALL_MEMORY | CALL_EARLY, run_vfork},
	{"clone", 1, CALL_MEMORY | CALL_EARLY, run_clone},
	{"clone2", 1, CALL_MEMORY | CALL_EARLY, run_clone},
	{"clone3", 1, CALL_MEMORY | CALL_EARLY, run_clone},
	{"execve", 1, 0, run_execve},
	{"execveat", 2, 0, run_execveat},
	{"exit", 0, 0, run_exit},
	{"exit_group", 0, 0, run_exit},
	{"shmat", 0, 0, run_dropped},
	{"shmdt", 0, 0, run_dropped},
	{"remap_file_pages", 0, 0, run_dropped},
	{"mlock", 0, 0, run_dropped},
	{"mlock2", 0, 0, run_dropped},
	{"munlock", 0, 0, run_dropped},
	{"mlockall", 0, 0, run_dropped},
	{"munlockall", 0, 0, run_dropped},
	{"msync", 0, 0, run_dropped},
	{"fallocate", 0, 0, run_dropped},
	{"sendfile", 0, 0, run_dropped},
	{"sendfile64", 0, 0, run_dropped},
	{"splice", 0, 0, run_dropped},
	{"copy_file_range", 0, 0, run_dropped},
	{"process_madvise", 0, 0, run_dropped},
	{"process_vm_writev", 0, 0, run_dropped},
	{"userfaultfd", 0, 0, run_dropped},
	{"memfd_secret", 0, 0, run_dropped},
	{"map_shadow_stack", 0, 0, run_dropped},
	{"io_uring_setup", 0, 0, run_dropped},
	{"unshare", 0, 0, run_dropped},
	{NULL, 0, 0, NULL},
};

/* ---- all calls ---------------------------------------------------------------------- */

static const struct call_info *find_call(struct span name)
{
	static const struct call_info *const tables[] = {import_memory_calls, process_calls,
							 import_file_calls};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct call_info *info = tables[i]; info->name; info++) {
			if (span_is(name, info->name))
				return info;
		}
	}
	return NULL;
}

bool call_is_early(struct span name)
{
	const struct call_info *info = find_call(name);

	return info && (info->flags & CALL_EARLY);
}

/* Every call ends up in exactly one of: ops, followed, a row of the report. */
static void count_outcome(struct importer *imp, const struct call *call, bool emitted)
{
	if (emitted)
		imp->report->expressed++;
	else if (call->outcome == CALL_FOLLOWED)
		imp->report->followed++;
	else if (call->outcome == CALL_UNRELATED)
		tally(imp, IMPORT_UNRELATED, 0, "%.*s", (int)call->name.len, call->name.text);
}

const char *call_run(struct importer *imp, struct call *call)
{
	const struct call_info *info = find_call(call->name);
	struct space *space = call_space(call);
	const char *error;
	uint32_t before;

	if (call->name.len > CALL_NAME_MAX)
		call->name.len = CALL_NAME_MAX;
	imp->report->calls += imp->emitting;
	if (info && info->run == run_exit)
		return run_exit(imp, call);
	if (call->result.status != STRACE_OK) {
		tally(imp, IMPORT_FAILED, 0, "%.*s%s", (int)call->name.len, call->name.text,
		      call->result.status == STRACE_UNKNOWN ? " (no result)" : "");
		return NULL;
	}
	if (!info) {
		count_outcome(imp, call, false);
		return NULL;
	}
	if (call->nr_args < info->min_args)
		return "too few arguments";
	if (info->flags & CALL_MEMORY)
		space_furnish(imp, space);
	before = imp->report->call_ops;
	error = info->run(imp, call);
	if (error || !imp->emitting)
		return error;
	count_outcome(imp, call, imp->report->call_ops > before);
	if (info->flags & CALL_MEMORY)
		touch_tick(imp, space);
	return NULL;
}

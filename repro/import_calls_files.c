/*
 * Calls on files and descriptors. They matter for what is mapped: which file a descriptor means
 * (recordings without -y), what reads and writes see of pages that are mapped, and sizes.
 */
#include <string.h>

#include "import_private.h"

enum path_kind path_kind(const char *path)
{
	if (!strcmp(path, "/dev/zero"))
		return PATH_ZERO;
	if (path[0] != '/' ||
	    (strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0))
		return PATH_DEVICE;
	return PATH_FILE;
}

const char *fd_file(struct importer *imp, const struct call *call, struct span text, int32_t *fd,
		    uint32_t *file)
{
	struct descriptor *entry;
	struct span path;
	char name[64];

	if (!strace_fd(text, fd, &path))
		return import_bad_fd;
	entry = fd_find(&call->task->process->fds, *fd);
	if (path.len && !span_starts(path, "/memfd:"))
		*file = file_intern(imp, path);
	else if (entry)
		*file = entry->file;
	else if (path.len)
		*file = file_intern(imp, path);
	else {
		snprintf(name, sizeof(name), "/descriptor %d of process %u", *fd,
			 call->task->process->leader);
		*file = file_intern(imp, (struct span){name, strlen(name)});
	}
	return NULL;
}

static const char *open_path(struct importer *imp, struct call *call, struct span path,
			     bool truncates)
{
	struct descriptors *fds = &call->task->process->fds;
	uint32_t file;

	if (call->result.path.len)
		path = call->result.path;
	else if (!strace_string(path, &path))
		return "the path is not a string";
	if (call->result.value > INT32_MAX)
		return import_bad_fd;
	file = file_intern(imp, path);
	fd_set_file(fds, (int32_t)call->result.value, file, 0);
	if (truncates)
		file_resize(imp, file, 0);
	call->outcome = CALL_FOLLOWED;
	return NULL;
}

static bool says_trunc(struct span flags)
{
	return span_find(flags, "O_TRUNC") < flags.len;
}

static const char *run_open(struct importer *imp, struct call *call)
{
	return open_path(imp, call, call->args[0], says_trunc(call->args[1]));
}

static const char *run_openat(struct importer *imp, struct call *call)
{
	return open_path(imp, call, call->args[1], says_trunc(call->args[2]));
}

static const char *run_creat(struct importer *imp, struct call *call)
{
	return open_path(imp, call, call->args[0], true);
}

static const char *run_memfd(struct importer *imp, struct call *call)
{
	struct span name;

	if (!strace_string(call->args[0], &name))
		return "the name is not a string";
	if (call->result.value > INT32_MAX)
		return import_bad_fd;
	fd_set_file(&call->task->process->fds, (int32_t)call->result.value, file_memfd(imp, name),
		    0);
	call->outcome = CALL_FOLLOWED;
	return NULL;
}

static const char *run_close(struct importer *imp, struct call *call)
{
	struct span path;
	int32_t fd;

	if (!strace_fd(call->args[0], &fd, &path))
		return import_bad_fd;
	fd_close(&call->task->process->fds, fd);
	call->outcome = CALL_FOLLOWED;
	return NULL;
}

/* dup, dup2, dup3 and F_DUPFD: the result is a second name for the first argument. */
static const char *run_dup(struct importer *imp, struct call *call)
{
	struct descriptors *fds = &call->task->process->fds;
	struct descriptor *entry;
	struct span path;
	int32_t fd;

	if (!strace_fd(call->args[0], &fd, &path) || call->result.value > INT32_MAX)
		return import_bad_fd;
	entry = fd_find(fds, fd);
	if (entry)
		fd_set_file(fds, (int32_t)call->result.value, entry->file, entry->position);
	call->outcome = CALL_FOLLOWED;
	return NULL;
}

static const char *run_fcntl(struct importer *imp, struct call *call)
{
	return span_starts(call->args[1], "F_DUPFD") ? run_dup(imp, call) : NULL;
}

/* The descriptor's entry, made up if the recording did not show how it was opened. */
static const char *fd_entry(struct importer *imp, const struct call *call,
			    struct descriptor **entry)
{
	struct descriptors *fds = &call->task->process->fds;
	const char *error;
	uint32_t file;
	int32_t fd;

	error = fd_file(imp, call, call->args[0], &fd, &file);
	if (error)
		return error;
	*entry = fd_find(fds, fd);
	if (!*entry || (*entry)->file != file) {
		fd_set_file(fds, fd, file, 0);
		*entry = fd_find(fds, fd);
	}
	return NULL;
}

static const char *transfer(struct importer *imp, struct call *call, bool write, int offset_arg)
{
	struct descriptor *entry;
	uint64_t from;
	const char *error = fd_entry(imp, call, &entry);

	if (error)
		return error;
	from = entry->position;
	if (offset_arg >= 0 && !strace_number(call->args[offset_arg], &from))
		return import_bad_number;
	if (path_kind(imp->files[entry->file].path) != PATH_FILE)
		return NULL;
	if (file_transfer(imp, entry->file, from, call->result.value, write))
		call->outcome = CALL_FOLLOWED;
	if (offset_arg < 0)
		entry->position += call->result.value;
	return NULL;
}

static const char *run_read(struct importer *imp, struct call *call)
{
	return transfer(imp, call, false, -1);
}

static const char *run_write(struct importer *imp, struct call *call)
{
	return transfer(imp, call, true, -1);
}

static const char *run_pread(struct importer *imp, struct call *call)
{
	return transfer(imp, call, false, 3);
}

static const char *run_pwrite(struct importer *imp, struct call *call)
{
	return transfer(imp, call, true, 3);
}

static const char *run_lseek(struct importer *imp, struct call *call)
{
	struct descriptor *entry;
	const char *error = fd_entry(imp, call, &entry);

	if (error)
		return error;
	entry->position = call->result.value;
	call->outcome = CALL_FOLLOWED;
	return NULL;
}

static const char *resize(struct importer *imp, struct call *call, uint32_t file)
{
	uint64_t len;

	if (!strace_number(call->args[1], &len))
		return import_bad_number;
	len = (len >> SOURCE_PAGE_SHIFT) + (len % 4096 != 0);
	if (file_resize(imp, file, len))
		call->outcome = CALL_FOLLOWED;
	return NULL;
}

static const char *run_ftruncate(struct importer *imp, struct call *call)
{
	uint32_t file;
	int32_t fd;
	const char *error = fd_file(imp, call, call->args[0], &fd, &file);

	return error ? error : resize(imp, call, file);
}

static const char *run_truncate(struct importer *imp, struct call *call)
{
	struct span path;

	if (!strace_string(call->args[0], &path))
		return "the path is not a string";
	return resize(imp, call, file_intern(imp, path));
}

const struct call_info import_file_calls[] = {
	{"open", 2, 0, run_open},
	{"openat", 3, 0, run_openat},
	{"openat2", 3, 0, run_openat},
	{"creat", 1, 0, run_creat},
	{"memfd_create", 1, 0, run_memfd},
	{"close", 1, 0, run_close},
	{"dup", 1, 0, run_dup},
	{"dup2", 2, 0, run_dup},
	{"dup3", 2, 0, run_dup},
	{"fcntl", 2, 0, run_fcntl},
	{"fcntl64", 2, 0, run_fcntl},
	{"read", 3, 0, run_read},
	{"readv", 3, 0, run_read},
	{"write", 3, 0, run_write},
	{"writev", 3, 0, run_write},
	{"pread64", 4, 0, run_pread},
	{"pwrite64", 4, 0, run_pwrite},
	{"preadv", 4, 0, run_pread},
	{"pwritev", 4, 0, run_pwrite},
	{"lseek", 3, 0, run_lseek},
	{"ftruncate", 2, 0, run_ftruncate},
	{"ftruncate64", 2, 0, run_ftruncate},
	{"truncate", 2, 0, run_truncate},
	{"truncate64", 2, 0, run_truncate},
	{NULL, 0, 0, NULL},
};

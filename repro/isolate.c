/*
 * A trace in a process of its own.
 *
 * The child writes where it is and what it found into memory that both share. Names in a finding
 * are pointers to constants, and those are at the same place in the child, which is a copy.
 */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	uint32_t op_index; /* under way; nr_ops: the end */
	int found;
	struct finding finding;
};

static _Noreturn void child(struct diff *diff, const struct trace *trace, struct shared *shared)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* A sanitizer's report of each of a thousand candidates helps nobody. */
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	diff_begin(diff, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops && !shared->found; i++) {
		shared->op_index = i;
		shared->found = diff_step(diff, &trace->ops[i], &shared->finding);
	}
	if (!shared->found) {
		shared->op_index = trace->nr_ops;
		shared->found = diff_end(diff, &shared->finding);
	}
	_exit(0);
}

/* "SIGABRT"; the number of one that has no name. */
static void signal_name(int status, char *buf, size_t size)
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

	if (name)
		snprintf(buf, size, "SIG%s", name);
	else
		snprintf(buf, size, "status-%d", WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

static void crashed(const struct trace *trace, const struct shared *shared, int status,
		    struct finding *finding)
{
	bool end = shared->op_index >= trace->nr_ops;
	enum op_code op = end ? NR_OPS : (enum op_code)trace->ops[shared->op_index].code;
	const char *name = end ? "end" : op_info(op)->name;

	*finding = (struct finding){.check = CHECK_CRASH,
				    .op_index = shared->op_index,
				    .op = op,
				    .subject = "machine",
				    .against = "itself",
				    .page.proc = UINT32_MAX};
	signal_name(status, finding->detail, sizeof(finding->detail));
	snprintf(finding->signature, sizeof(finding->signature), "%s:%s:%s",
		 diff_check_name(CHECK_CRASH), name, finding->detail);
	snprintf(finding->message, sizeof(finding->message), "the process died in %s: %s", name,
		 finding->detail);
}

int isolated_run(struct diff *diff, const struct trace *trace, struct finding *finding)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, found;
	pid_t pid;

	if (shared == MAP_FAILED)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(diff, trace, shared);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0) {
		found = -errno;
	} else if (status) {
		crashed(trace, shared, status, finding);
		found = 1;
	} else {
		found = shared->found;
		if (found)
			*finding = shared->finding;
	}
	munmap(shared, sizeof(*shared));
	return found;
}

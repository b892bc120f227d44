/*
 * A trace in a process of its own.
 *
 * The child writes where it is and what it found into memory that both share. Names in a finding
 * are pointers to constants, and those are at the same place in the child, which is a copy.
 */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	uint32_t op_index; /* under way; nr_ops: the end */
	int found;
	struct finding finding;
};

static _Noreturn void child(struct diff *diff, const struct trace *trace, uint32_t seconds,
			    struct shared *shared)
{
	const struct itimerval limit = {.it_value.tv_sec = seconds};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* A sanitizer's report of each of a thousand candidates helps nobody. */
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	setitimer(ITIMER_PROF, &limit, NULL);
	diff_begin(diff, &trace->config);
	for (uint32_t i = 0, n; i < trace->nr_ops && !shared->found; i += n) {
		n = op_group(&trace->ops[i], trace->nr_ops - i);
		shared->op_index = i;
		shared->found = diff_step_group(diff, &trace->ops[i], n, &shared->finding);
	}
	if (!shared->found) {
		shared->op_index = trace->nr_ops;
		shared->found = diff_end(diff, &shared->finding);
	}
	_exit(0);
}

void crash_finding(const struct trace *trace, uint32_t op_index, int number,
		   struct finding *finding)
{
	enum op_code op =
		op_index < trace->nr_ops ? (enum op_code)trace->ops[op_index].code : NR_OPS;
	const char *name = op < NR_OPS ? op_info(op)->name : "end";
	const char *abbreviation = number ? sigabbrev_np(number) : NULL;

	*finding = (struct finding){.check = CHECK_CRASH,
				    .op_index = op_index,
				    .op = op,
				    .subject = "machine",
				    .against = "itself",
				    .page.proc = UINT32_MAX};
	/* A sanitizer may end the process by itself. */
	if (number == SIGPROF)
		snprintf(finding->detail, sizeof(finding->detail), "hang");
	else
		snprintf(finding->detail, sizeof(finding->detail), "%s%s",
			 abbreviation ? "SIG" : "exit", abbreviation ? abbreviation : "");
	snprintf(finding->signature, sizeof(finding->signature), "%s:%s:%s",
		 diff_check_name(CHECK_CRASH), name, finding->detail);
	snprintf(finding->message, sizeof(finding->message), "the process died in %s: %s", name,
		 finding->detail);
}

int isolated_run(struct diff *diff, const struct trace *trace, struct finding *finding)
{
	return isolated_run_within(diff, trace, 0, finding);
}

int isolated_run_within(struct diff *diff, const struct trace *trace, uint32_t seconds,
			struct finding *finding)
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
		child(diff, trace, seconds, shared);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0) {
		found = -errno;
	} else if (status) {
		crash_finding(trace, shared->op_index, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
			      finding);
		found = 1;
	} else {
		found = shared->found;
		if (found)
			*finding = shared->finding;
	}
	munmap(shared, sizeof(*shared));
	return found;
}

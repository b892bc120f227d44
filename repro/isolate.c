/*
 * Traces in processes of their own.
 *
 * The child writes where it is and what it found into memory that both share. Names in a finding
 * are pointers to constants, and those are at the same place in the child, which is a copy.
 *
 *      parent                     worker
 *        |---- fork -------------->|
 *        | ops, settings --> [shared memory]
 *        |---- "go" -------------->| runs the trace
 *        |<--- "done", or its end -|
 */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	uint32_t op_index; /* under way; nr_ops: the end */
	int found;
	struct finding finding;
	uint32_t seconds; /* of processor time that it may take; 0: any */
	struct machine_config config;
	uint32_t nr_ops;
	struct op ops[];
};

struct worker {
	struct diff *diff;
	uint32_t max_ops;
	struct shared *shared;
	pid_t pid; /* 0: there is no process */
	int wire;  /* to it */
};

static size_t shared_bytes(uint32_t max_ops)
{
	return sizeof(struct shared) + max_ops * sizeof(struct op);
}

struct worker *worker_create(struct diff *diff, uint32_t max_ops)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	worker->diff = diff;
	worker->max_ops = max_ops;
	worker->shared = mmap(NULL, shared_bytes(max_ops), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (worker->shared == MAP_FAILED) {
		free(worker);
		return NULL;
	}
	return worker;
}

/* ---- the child's side ----------------------------------------------------------------------- */

static void run(struct diff *diff, struct shared *shared)
{
	struct itimerval limit = {.it_value.tv_sec = shared->seconds};

	setitimer(ITIMER_PROF, &limit, NULL);
	shared->found = 0;
	diff_begin(diff, &shared->config);
	for (uint32_t i = 0, n; i < shared->nr_ops && !shared->found; i += n) {
		n = op_group(&shared->ops[i], shared->nr_ops - i);
		shared->op_index = i;
		shared->found = diff_step_group(diff, &shared->ops[i], n, &shared->finding);
	}
	if (!shared->found) {
		shared->op_index = shared->nr_ops;
		shared->found = diff_end(diff, &shared->finding);
	}
	limit.it_value.tv_sec = 0;
	setitimer(ITIMER_PROF, &limit, NULL);
}

/* A sanitizer's report of each of a thousand candidates helps nobody. */
static void be_quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
}

static _Noreturn void work(struct worker *worker, int wire)
{
	char byte;

	be_quiet();
	while (recv(wire, &byte, 1, 0) == 1) {
		run(worker->diff, worker->shared);
		if (send(wire, &byte, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

/* ---- the parent's side ---------------------------------------------------------------------- */

static int start(struct worker *worker)
{
	int wires[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wires))
		return -errno;
	fflush(NULL);
	worker->pid = fork();
	if (worker->pid == 0) {
		close(wires[0]);
		work(worker, wires[1]);
	}
	close(wires[1]);
	worker->wire = wires[0];
	if (worker->pid < 0) {
		int err = -errno;

		close(wires[0]);
		worker->pid = 0;
		return err;
	}
	return 0;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* The process ends, if it has not yet. Returns its status. */
static int stop(struct worker *worker)
{
	int status;

	if (!worker->pid)
		return 0;
	close(worker->wire);
	status = wait_for(worker->pid);
	worker->pid = 0;
	return status;
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	stop(worker);
	munmap(worker->shared, shared_bytes(worker->max_ops));
	free(worker);
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

/* True: the process answers. */
static bool answers(struct worker *worker)
{
	char byte = 0;
	ssize_t n;

	if (send(worker->wire, &byte, 1, MSG_NOSIGNAL) != 1)
		return false;
	do
		n = recv(worker->wire, &byte, 1, 0);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

int worker_run(struct worker *worker, const struct trace *trace, uint32_t seconds,
	       struct finding *finding)
{
	struct shared *shared = worker->shared;
	int err, status;

	if (trace->nr_ops > worker->max_ops)
		return -EINVAL;
	shared->seconds = seconds;
	shared->config = trace->config;
	shared->nr_ops = trace->nr_ops;
	shared->op_index = 0;
	if (trace->nr_ops)
		memcpy(shared->ops, trace->ops, trace->nr_ops * sizeof(*trace->ops));
	err = worker->pid ? 0 : start(worker);
	if (err)
		return err;
	if (!answers(worker)) {
		status = stop(worker);
		crash_finding(trace, shared->op_index, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
			      finding);
		return 1;
	}
	if (shared->found)
		*finding = shared->finding;
	return shared->found;
}

int isolated_run_within(struct diff *diff, const struct trace *trace, uint32_t seconds,
			struct finding *finding)
{
	struct worker *worker = worker_create(diff, trace->nr_ops);
	int found = worker ? worker_run(worker, trace, seconds, finding) : -ENOMEM;

	worker_destroy(worker);
	return found;
}

int isolated_run(struct diff *diff, const struct trace *trace, struct finding *finding)
{
	return isolated_run_within(diff, trace, 0, finding);
}

int isolated_call(void (*call)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		be_quiet();
		call(arg);
		_exit(0);
	}
	return pid < 0 ? -errno : wait_for(pid) != 0;
}

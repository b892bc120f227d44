/*
 * One trial: who looks counts executions, and looks at the canaries after each.
 */
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "enumerate.h"
#include "mutant.h"

#define TRACE_OPS 64
/* An odd number with no pattern, as in `run`: the seeds of two trials do not meet. */
#define SEED_STEP 0x9e3779b97f4a7c15ull

struct trial *trial_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	struct trial *trial = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*trial)) == 0)
		trial = mmap(NULL, sizeof(*trial), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return trial == MAP_FAILED ? NULL : trial;
}

void trial_close(struct trial *trial)
{
	munmap(trial, sizeof(*trial));
}

/* ---- around an execution -------------------------------------------------------------------- */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void note(const struct trial *trial, struct trial_moment *moment)
{
	if (!moment->execution)
		*moment = (struct trial_moment){trial->executions, trial->seconds};
}

/* The canaries, after an execution. */
static void look(struct trial *trial)
{
	if (trial->mutant.reached)
		note(trial, &trial->reached);
	if (trial->mutant.triggered)
		note(trial, &trial->triggered);
}

bool trial_before(struct trial *trial)
{
	if (trial->executions == trial->bound)
		return false;
	trial->executions++;
	trial->since = now();
	return true;
}

void trial_after(struct trial *trial, const struct finding *finding)
{
	trial->seconds += now() - trial->since;
	look(trial);
	if (!finding || trial->detected.execution)
		return;
	note(trial, &trial->detected);
	snprintf(trial->signature, sizeof(trial->signature), "%s", finding->signature);
}

void trial_crashed(struct trial *trial)
{
	look(trial);
	note(trial, &trial->detected);
}

/* ---- who looks --------------------------------------------------------------------------------
 */

/* The time of an execution is limited by a signal that nobody handles. */
static void limit(void)
{
	const struct itimerval seconds = {.it_value.tv_sec = TRIAL_SECONDS};

	setitimer(ITIMER_PROF, &seconds, NULL);
}

/*
 * What is mixed is the same for every mutant: every second trace has failing allocations, every
 * fourth pair has second actors, every fourth trace is for another machine than the default.
 */
static const struct machine_config *mix(uint64_t i, struct generate_options *how)
{
	uint64_t presets = 0;

	while (machine_presets[presets].name)
		presets++;
	how->nr_ops = TRACE_OPS;
	how->faults = i & 1;
	how->actors = i & 2;
	return &machine_presets[i % 4 == 3 ? i / 4 % presets : 0].config;
}

void trial_run_generated(struct trial *trial, const struct diff_options *options, uint64_t seed)
{
	struct diff_options mutated = *options;
	struct trace trace = {0};
	struct diff *diff;

	mutant_options(&mutated, &trial->mutant);
	diff = diff_create(&mutated);
	trace_init(&trace, &machine_presets[0].config);
	for (uint64_t i = 0; !trial->detected.execution && trial_before(trial); i++) {
		struct generate_options how = {0};
		const struct machine_config *config = mix(i, &how);
		struct finding finding;
		int found;

		limit();
		generate_trace(&trace, config, seed + i * SEED_STEP, &how);
		found = diff_run(diff, &trace, &finding);
		trial_after(trial, found ? &finding : NULL);
	}
	trace_release(&trace);
	diff_destroy(diff);
}

static bool next_trace(void *arg)
{
	struct trial *trial = arg;

	if (trial->executions)
		trial_after(trial, NULL);
	limit();
	return !trial_before(trial);
}

void trial_run_enumerated(struct trial *trial, const struct diff_options *options)
{
	struct enumerate_options search;
	struct finding finding;
	struct trace trace = {0};

	enumerate_options_init(&search);
	search.diff = *options;
	search.depth = ENUMERATE_DEPTH_MAX;
	search.trace_begins = next_trace;
	search.arg = trial;
	mutant_options(&search.diff, &trial->mutant);
	trace_init(&trace, &search.config);
	if (enumerate(&search, &trace, &finding))
		trial_after(trial, &finding);
	trace_release(&trace);
}

/*
 * The part of a stand-alone reproducer that is the same for all: processes that take turns, results
 * that are compared. What follows it is one row per operation.
 *
 * Every process goes through the whole list and does the rows that are its own, when it is their
 * turn. A forked child starts with the row after its fork. Turn, addresses and results are in
 * memory that all share; it is a file without a name, so that a process that calls execve finds it
 * again.
 *
 *   cc -o reproduce reproduce.c && ./reproduce        0: as expected, 1: not, 2: it cannot run here
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define PAGE 4096ul
#define NOBODY                                                                                     \
	0xffu /* rows of no process in particular are done by the first, which does no other */
#define SHARED_FD 200
#define FILES     8
#define REGIONS   32
#define SEGV      1000 /* errors that are signals */
#define BUS       1001

/* What an operation returned: 0, an errno or a signal, and an address or a token. */
struct outcome {
	int error;
	uint64_t value;
};

struct row {
	unsigned int who;
	const char *text;
	int expected; /* -1: whatever */
	int has_token;
	uint64_t token;
	struct outcome (*run)(void);
};

static struct shared {
	volatile unsigned int turn;
	volatile unsigned int differences;
	uintptr_t region[REGIONS];
	uintptr_t heap; /* where this machine's heap begins */
} * shared;

static unsigned int me = NOBODY, row; /* which process this is, and where in the list */
static int file[FILES];
static sigjmp_buf trap;
static volatile sig_atomic_t in_access;

/* Behind this part. */
extern const struct row rows[];
extern const unsigned int nr_rows;
extern const uint64_t heap_base, heap_end;   /* of the simulated machine */
extern const unsigned int files, file_pages; /* so many have content at first */

static void die(const char *what)
{
	fprintf(stderr, "reproduce: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- addresses ---------------------------------------------------------------------------- */

/* A heap begins where the kernel put it. */
static inline uintptr_t at(uint64_t addr)
{
	if (addr >= heap_base && addr < heap_end)
		return shared->heap + (addr - heap_base);
	return (uintptr_t)addr;
}

static inline uintptr_t region(unsigned int name, uint64_t pages)
{
	return shared->region[name] ? shared->region[name] + pages * PAGE : 0;
}

/* ---- operations --------------------------------------------------------------------------- */

/* Inline, because a program that does without some of them shall compile without a warning. */

static inline struct outcome done(long result)
{
	return (struct outcome){result == -1 ? errno : 0, 0};
}

static inline struct outcome address(void *result, int name)
{
	if (result == MAP_FAILED)
		return (struct outcome){errno, 0};
	if (name >= 0)
		shared->region[name] = (uintptr_t)result;
	return (struct outcome){0, (uintptr_t)result};
}

static void on_signal(int number)
{
	if (!in_access)
		_exit(128 + number);
	siglongjmp(trap, number);
}

static inline struct outcome access_page(uintptr_t addr, int write, uint64_t token)
{
	struct outcome outcome = {0, 0};
	int number = sigsetjmp(trap, 1);

	in_access = 1;
	if (number)
		outcome.error = number == SIGBUS ? BUS : SEGV;
	else if (write)
		*(volatile uint64_t *)(addr & ~(PAGE - 1)) = token;
	else
		outcome.value = *(volatile uint64_t *)(addr & ~(PAGE - 1));
	in_access = 0;
	return outcome;
}

static inline struct outcome read_page(uintptr_t addr)
{
	return access_page(addr, 0, 0);
}

static inline struct outcome write_page(uintptr_t addr, uint64_t token)
{
	return access_page(addr, 1, token);
}

static inline struct outcome fork_process(unsigned int child)
{
	pid_t pid = fork();

	if (pid == 0)
		me = child;
	return done(pid);
}

static void pass_turn(void)
{
	__atomic_fetch_add(&shared->turn, 1, __ATOMIC_SEQ_CST);
}

static inline struct outcome exit_process(void)
{
	pass_turn();
	_exit(0);
}

static inline struct outcome exec_process(void)
{
	char who[16], next[16];

	snprintf(who, sizeof(who), "%u", me);
	snprintf(next, sizeof(next), "%u", row);
	execl("/proc/self/exe", "reproduce", who, next, (char *)NULL);
	return done(-1);
}

static inline struct outcome set_brk(uintptr_t end)
{
	uintptr_t result = (uintptr_t)syscall(SYS_brk, end);

	return (struct outcome){result == end || !end ? 0 : ENOMEM, result};
}

static inline struct outcome read_file(int fd, uint64_t page)
{
	struct outcome outcome = {0, 0};
	ssize_t n = pread(fd, &outcome.value, sizeof(outcome.value), (off_t)(page * PAGE));

	if (n < 0)
		outcome.error = errno;
	else if (n == 0)
		outcome.error = ENODATA;
	return outcome;
}

static inline struct outcome write_file(int fd, uint64_t page, uint64_t token)
{
	unsigned char content[PAGE] = {0};

	memcpy(content, &token, sizeof(token));
	return done(pwrite(fd, content, sizeof(content), (off_t)(page * PAGE)));
}

/* What the kernel decides for itself, asked for as well as a program can. */
static inline struct outcome page_out(uintptr_t addr)
{
	if (madvise((void *)(addr & ~(PAGE - 1)), PAGE, MADV_PAGEOUT) && errno == EINVAL)
		fprintf(stderr, "reproduce: this kernel has no MADV_PAGEOUT\n");
	return (struct outcome){0, 0};
}

static inline struct outcome nothing(void)
{
	return (struct outcome){0, 0};
}

/* ---- taking turns -------------------------------------------------------------------------- */

static const char *error_text(int error)
{
	return error == SEGV ? "SEGV" : error == BUS ? "BUS" : error ? strerror(error) : "ok";
}

static void compare(const struct row *r, const struct outcome *outcome)
{
	int same = r->expected < 0 || outcome->error == r->expected;

	if (same && r->has_token && !outcome->error)
		same = outcome->value == r->token;
	printf("%s %5u  %s -> %s", same ? "  " : "!=", (unsigned int)(r - rows), r->text,
	       error_text(outcome->error));
	if (!outcome->error && outcome->value)
		printf(" %#llx", (unsigned long long)outcome->value);
	if (!same && r->has_token)
		printf(" (expected %s %#llx)", error_text(r->expected),
		       (unsigned long long)r->token);
	else if (!same)
		printf(" (expected %s)", error_text(r->expected));
	putchar('\n');
	fflush(stdout);
	if (!same)
		__atomic_fetch_add(&shared->differences, 1, __ATOMIC_SEQ_CST);
}

static void take_turns(void)
{
	for (; row < nr_rows; row++) {
		const struct row *r = &rows[row];
		unsigned int was = me;
		struct outcome outcome;

		while (__atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST) < row)
			sched_yield();
		if (r->who != me)
			continue;
		outcome = r->run();
		if (me != was)
			continue; /* a child begins behind its fork */
		compare(r, &outcome);
		pass_turn();
	}
}

static void prepare_files(void)
{
	for (unsigned int i = 0; i < FILES; i++) {
		char name[] = "/tmp/reproduce-XXXXXX";

		file[i] = i % 2 ? memfd_create("reproduce", 0) : mkstemp(name);
		if (file[i] < 0)
			die("a file");
		if (i % 2 == 0)
			unlink(name);
		for (unsigned int page = 0; i < files && page < file_pages; page++)
			write_file(file[i], page, (uint64_t)2 << 62 | (uint64_t)i << 32 | page);
	}
}

static void share_memory(int create)
{
	if (create) {
		int fd = memfd_create("reproduce", 0);

		if (fd < 0 || dup2(fd, SHARED_FD) < 0 || ftruncate(SHARED_FD, sizeof(*shared)))
			die("shared memory");
		close(fd);
	}
	/* Far from where the operations are at work. */
	shared = mmap((void *)0x7e0000000000ul, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      SHARED_FD, 0);
	if (shared == MAP_FAILED)
		die("shared memory");
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	alarm(60); /* a row whose process is gone would be waited for */
	share_memory(argc < 3);
	shared->heap = ((uintptr_t)sbrk(0) + PAGE - 1) & ~(PAGE - 1);
	if (argc >= 3) { /* come back from execve, which kept the files */
		me = (unsigned int)atoi(argv[1]);
		row = (unsigned int)atoi(argv[2]);
		for (int i = 0; i < FILES; i++)
			file[i] = SHARED_FD + 1 + i;
		compare(&rows[row++], &(struct outcome){0, 0});
		pass_turn();
	} else {
		prepare_files();
		/* Who outlives his parent is waited for, too. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		for (int i = 0; i < FILES; i++) {
			dup2(file[i], SHARED_FD + 1 + i);
			file[i] = SHARED_FD + 1 + i;
		}
		if (fork() == 0)
			me = 0;
	}
	take_turns();
	if (me != NOBODY)
		_exit(0);
	while (wait(NULL) > 0)
		;
	if (shared->turn < nr_rows) {
		printf("!= it stopped after row %u\n", shared->turn);
		return 1;
	}
	printf("%u operations, %u differences\n", nr_rows, shared->differences);
	return shared->differences != 0;
}

/*
 * What the importer's own files share.
 *
 *   import_strace.c   lines, unfinished calls and their ends, the two passes
 *   import_process.c  tasks, processes, slots: fork, exec, exit
 *   import_calls.c    calls by name; _memory.c and _files.c: one function per call that matters
 *   import_space.c    what a process has mapped, at recorded addresses
 *   import_layout.c   recorded addresses -> addresses of the machine
 *   import_files.c    paths -> f0..f7, descriptors
 *   import_touch.c    the accesses and the reclaim that are added
 *   import_report.c   counting
 *   strace_line.c     strace's punctuation
 *
 * The whole recording is gone through twice. The first pass collects, the second emits: only
 * when all addresses and all files are known can they be placed so that neighbours stay
 * neighbours. Both passes run the same code; emit() and tally() do nothing in the first.
 */
#ifndef RMAPFUZZ_IMPORT_PRIVATE_H
#define RMAPFUZZ_IMPORT_PRIVATE_H

#include "import.h"
#include "strace_line.h"

#define SOURCE_PAGE_SHIFT 12
#define SOURCE_PAGES_MAX  (1ull << 52) /* page numbers of a 64-bit address space */

/* Grow ARRAY to hold one more element. Host memory exhaustion aborts. */
#define GROW(array, nr, max) ((array) = import_grow((array), (nr), &(max), sizeof(*(array))))
void *import_grow(void *old, uint32_t nr, uint32_t *max, size_t element);
_Noreturn void import_no_memory(void);
/* Zeroed memory. */
void *import_alloc(size_t size);

/* ---- layout -------------------------------------------------------------------------------- */

/*
 * Where things go in the machine's address space, like a 2.6 process:
 *
 *   08048        08100            40000                             task_pages
 *   | image | .. | heap -> ..     | everything else, in order .. | .. <- stack |
 *
 * HEAP_VPN is where the machine's break starts, so that brk stays brk.
 */
#define IMAGE_VPN        0x08048u
#define IMAGE_TEXT_PAGES 16u
#define IMAGE_DATA_PAGES 4u
#define IMAGE_PAGES      (IMAGE_TEXT_PAGES + IMAGE_DATA_PAGES)
#define HEAP_VPN         0x08100u
#define MMAP_VPN         0x40000u
#define STACK_PAGES      34u   /* what exec leaves: 128 KB and the arguments */
#define STACK_ROOM       2048u /* kept free below for it to grow */

struct layout_use {
	uint64_t start, end; /* recorded pages */
	bool mapped;
};

/* Recorded pages [start, start + src) are vpns [dst, dst + len), len <= src. */
struct layout_segment {
	uint64_t start, src;
	uint32_t dst, len;
	bool mapped;
};

/* The address space of one program and of its forks: from one exec to the next. */
struct layout {
	struct layout_use *uses;
	uint32_t nr_uses, max_uses;
	struct layout_use *orphans; /* in use although the recording never mapped them */
	uint32_t nr_orphans, max_orphans;
	uint64_t heap, heap_end; /* the break's range, 0: no brk seen */
	uint32_t program;        /* its file, or NO_FILE */
	struct layout_segment *segments;
	uint32_t nr_segments;
};

struct placed {
	uint32_t vpn, len;
};

void layout_use(struct layout *layout, uint64_t start, uint64_t end, bool mapped);
void layout_orphan(struct layout *layout, uint64_t start, uint64_t end);
/* All uses are known: decide. */
void layout_fix(struct layout *layout, uint32_t task_pages);
/* Where recorded pages [start, end) are. False: there was no room for any of them. */
bool layout_range(const struct layout *layout, uint64_t start, uint64_t end, struct placed *placed);
void layout_release(struct layout *layout);

/* ---- address spaces ------------------------------------------------------------------------ */

#define NO_SLOT UINT32_MAX
#define NO_FILE UINT32_MAX

enum area_kind { AREA_ANON, AREA_SHARED_ANON, AREA_FILE_PRIVATE, AREA_FILE_SHARED };

struct area {
	uint64_t start, end; /* recorded pages */
	uint32_t prot;       /* OP_PROT_* */
	enum area_kind kind;
	uint32_t file;
	uint64_t pgoff;
};

/* A page that was touched and may be touched again. */
struct touched {
	uint32_t vpn;
	bool writable;
};
#define TOUCHED_MAX 64

struct space {
	uint32_t slot;      /* the machine's process, or NO_SLOT */
	uint32_t users;     /* processes that run in it: more than one after vfork */
	uint32_t lineage;   /* which layout */
	bool bare;          /* nothing is known of it yet: see space_furnish */
	uint64_t brk;       /* recorded page where the heap ends, 0: not known yet */
	struct area *areas; /* by address */
	uint32_t nr_areas, max_areas;
	struct touched touched[TOUCHED_MAX];
	uint32_t nr_touched;
};

void import_space_map(struct space *space, const struct area *area);
void import_space_unmap(struct space *space, uint64_t start, uint64_t end);
void import_space_protect(struct space *space, uint64_t start, uint64_t end, uint32_t prot);
void import_space_move(struct space *space, uint64_t from, uint64_t old_end, uint64_t to,
		       uint64_t to_end);
/* The area at or after PAGE, or NULL. */
const struct area *import_space_find(const struct space *space, uint64_t page);
/* The first part of [*start, end) that is not mapped, or false. */
bool space_hole(const struct space *space, uint64_t *start, uint64_t end, uint64_t *hole_end);
void import_space_copy(struct space *to, const struct space *from);

/* ---- files --------------------------------------------------------------------------------- */

struct source_file {
	char *path;
	uint32_t next_hash;
	bool tmpfs;
	bool mapped, resized, starts_empty, seen;
	uint64_t end;  /* pages, the furthest that was mapped, read or written */
	uint32_t rank; /* in order of first mapping */
	/* second pass */
	uint32_t slot, base; /* pages [base, base + extent) of this slot */
	uint32_t extent;
	bool alone;    /* in its slot, so that it can be truncated */
	bool sized;    /* the recording itself has set its size */
	uint32_t size; /* now, if alone */
};

struct descriptor {
	int32_t fd;
	uint32_t file;
	uint64_t position;
};

struct descriptors {
	struct descriptor *entries;
	uint32_t nr, max;
};

/* ---- processes ----------------------------------------------------------------------------- */

struct process {
	uint32_t leader; /* pid */
	uint32_t nr_threads;
	struct space *space;
	struct descriptors fds;
};

struct task {
	uint32_t pid; /* NO_PID: the first process, as long as lines have no prefix */
	bool alive;
	struct process *process;
	uint32_t next_hash;
};
#define NO_PID UINT32_MAX

/* ---- the importer -------------------------------------------------------------------------- */

#define HASH_SIZE 1024u

struct importer {
	const struct import_options *options;
	struct import_report *report;
	struct trace *trace;
	bool emitting; /* the second pass */
	uint32_t line; /* being worked on */
	uint64_t random;
	uint32_t task_pages;

	struct task *tasks;
	uint32_t nr_tasks, max_tasks, nr_alive;
	uint32_t task_hash[HASH_SIZE]; /* index + 1 */
	uint32_t nr_processes;
	struct space *slots[PROC_MAX];

	struct layout *layouts;
	uint32_t nr_layouts, max_layouts, nr_lineages;

	struct source_file *files;
	uint32_t nr_files, max_files, nr_mapped, nr_memfds;
	uint32_t file_hash[HASH_SIZE]; /* index + 1 */
};

struct call {
	struct task *task;
	struct span name;
	struct span args[8];
	uint32_t nr_args;
	struct strace_result result;
	/* Set by the call's function, for when no op came of it. */
	enum { CALL_UNRELATED, CALL_FOLLOWED, CALL_COUNTED } outcome;
};

/* Append an op; COUNTER is the report's for its origin. args beyond those given are 0. */
void emit(struct importer *imp, uint32_t *counter, enum op_code code,
	  const uint32_t args[OP_ARGS_MAX]);
#define EMIT(imp, counter, code, ...)                                                              \
	emit((imp), &(imp)->report->counter, (code), (const uint32_t[OP_ARGS_MAX]){__VA_ARGS__})

void tally(struct importer *imp, enum import_class class, uint64_t pages, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void report_add(struct import_report *report, enum import_class class, uint64_t pages,
		uint32_t line, const char *what);

/* ---- import_process.c */

/* The task that a line belongs to; made up if it was never seen to be born. */
struct task *task_of_line(struct importer *imp, const struct strace_line *line);
struct task *task_find(struct importer *imp, uint32_t pid);
void task_end(struct importer *imp, struct task *task);
/* A thread execs: its own pid is gone, it goes on under its leader's. */
void task_superseded(struct importer *imp, const struct strace_line *line);
void processes_reset(struct importer *imp);

enum fork_kind { FORK_COPY, FORK_SHARE, FORK_THREAD };
void process_fork(struct importer *imp, struct task *parent, uint32_t pid, enum fork_kind kind);
void process_exec(struct importer *imp, struct task *task, struct span path);
/* Before the first memory call of a process whose exec was not recorded. */
void space_furnish(struct importer *imp, struct space *space);
struct layout *space_layout(struct importer *imp, const struct space *space);

/* ---- import_calls.c, import_calls_memory.c, import_calls_files.c */

#define CALL_EARLY  1u /* takes effect when it starts: see import_strace.c */
#define CALL_MEMORY 2u /* needs to know what the process has mapped */

struct call_info {
	const char *name;
	uint32_t min_args;
	uint32_t flags; /* CALL_* */
	/* Returns NULL, or what is wrong with the line. */
	const char *(*run)(struct importer *imp, struct call *call);
};
/* By subject; each ends with a NULL name. */
extern const struct call_info import_memory_calls[], import_file_calls[];

extern const char import_bad_number[], import_bad_fd[]; /* what is wrong with a line */

/* True for calls whose effect comes when they start, not when they return. */
bool call_is_early(struct span name);
/* Returns NULL, or what is wrong with the line. */
const char *call_run(struct importer *imp, struct call *call);
struct space *call_space(const struct call *call);

enum path_kind { PATH_FILE, PATH_ZERO, PATH_DEVICE };
enum path_kind path_kind(const char *path);
/* The file behind a descriptor: by the path that -y prints, else by what was opened as it. */
const char *fd_file(struct importer *imp, const struct call *call, struct span text, int32_t *fd,
		    uint32_t *file);

/* ---- import_files.c */

uint32_t file_intern(struct importer *imp, struct span path);
/* The next memfd called NAME: every one is a file of its own. */
uint32_t file_memfd(struct importer *imp, struct span name);
void file_used(struct importer *imp, uint32_t file, uint64_t end_page);
/* All files are known: choose slots. */
void files_place(struct importer *imp);
/* Before the second pass: sizes as at the start, and the ops that make them so. */
void files_begin(struct importer *imp);
void files_release(struct importer *imp);
/* The page of the slot where PAGE of FILE is. */
uint32_t file_pgoff(struct importer *imp, uint32_t file, uint64_t page);
void file_map(struct importer *imp, uint32_t file, uint64_t first, uint64_t npages);
/* False: the file is never mapped. */
bool file_resize(struct importer *imp, uint32_t file, uint64_t npages);
/* read(2) or write(2) of bytes [from, from + count). False: the file is never mapped. */
bool file_transfer(struct importer *imp, uint32_t file, uint64_t from, uint64_t count, bool write);

struct descriptor *fd_find(struct descriptors *fds, int32_t fd);
void fd_set_file(struct descriptors *fds, int32_t fd, uint32_t file, uint64_t position);
void fd_close(struct descriptors *fds, int32_t fd);
void fds_copy(struct descriptors *to, const struct descriptors *from);

/* ---- import_touch.c */

void touch_mapping(struct importer *imp, struct space *space, struct placed at, uint32_t prot);
void touch_fork(struct importer *imp, struct space *parent, struct space *child);
void touch_stack(struct importer *imp, struct space *space);
/* After each call of SPACE that became an op: go on using memory, now and then reclaim. */
void touch_tick(struct importer *imp, struct space *space);
void touched_forget(struct space *space, struct placed at);

#endif

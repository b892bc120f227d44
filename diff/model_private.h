/*
 * What the model's own files share.
 *
 *   model.c        life, dispatch, fork/exit/exec, read and write, peeking
 *   model_map.c    mmap, munmap, mprotect, madvise, brk
 *   model_mremap.c mremap, which needs a page of its own
 *   model_sync.c   msync, writeback, mkclean, fdrop
 *   model_mlock.c  mlock, munlock, mlockall and its kin; what must not be evicted
 *   model_pin.c    what devices hold, and the debugger's write
 *   model_remap.c  remap_file_pages, and which page of its object a page shows
 *   model_file.c   objects (files, shared anonymous memory); truncate, fpunch, fread, fwrite
 *   model_lost.c   after a half-done call: learn the layout from the subject
 *   model_space.c  an address space: a sorted array of areas
 *   model_tokens.c a sparse map from page number to content token
 *   model_judge.c  verdicts and the sentences that explain them
 *
 * A page's content is found in at most two looks: a private page that was written has a token in
 * its space; every other page shows its object's page (or zero, for anonymous memory).
 */
#ifndef RMAPFUZZ_MODEL_PRIVATE_H
#define RMAPFUZZ_MODEL_PRIVATE_H

#include <errno.h>

#include "model.h"

#define PAGE_SHIFT_BITS   12u
#define PAGE_OFFSET_MASK  0xfffu
#define VPN_END           0x100000u /* pages in 32 bits of address */
#define BRK_START         (0x08100000u >> PAGE_SHIFT_BITS)
#define FILE_PAGES_LIMIT  262144u /* EFBIG from here on */
#define STACK_PAGES_LIMIT 2048u   /* RLIMIT_STACK at boot: 8 MB */

/* ---- model_tokens.c: page number -> token ------------------------------------------ */

/*
 * Marks for contents that the model does not know for certain, in bits that tokens leave free.
 * MAYBE: this token, or whatever lies beneath (the page may or may not be private yet). UNKNOWN:
 * anything; the next read says what. LAZY: MADV_FREE has been said of it, so that it is this token
 * until it is zero; a read that sees zero says that it is gone, one that sees the token says
 * nothing. LAZY comes with MAYBE.
 */
#define TOKEN_LAZY    (1ull << 60)
#define TOKEN_MAYBE   (1ull << 61)
#define TOKEN_UNKNOWN (3ull << 62 | TOKEN_MAYBE)
#define TOKEN_MARKS   (TOKEN_MAYBE | TOKEN_LAZY)
_Static_assert(!((TOKEN_WRITE | UINT32_MAX) & TOKEN_MARKS), "a write token leaves these bits free");
_Static_assert(!((TOKEN_FILE | (uint64_t)FILE_MAX << 32) & TOKEN_MARKS), "a file token too");

/* 64 neighbouring pages; bit i of `used`: page i has a token. */
struct token_chunk {
	uint64_t used;
	uint64_t token[64];
};

/* All chunks of a model. Free ones are linked through `used` as index + 1. */
struct token_pool {
	struct token_chunk *chunk;
	uint32_t n, max;
	uint32_t free;
};

/* One sparse map: its chunks, by page number. */
struct tokens {
	struct token_ref {
		uint32_t base; /* page number / 64 */
		uint32_t chunk;
	} * ref;
	uint32_t n, max;
};

bool tokens_get(const struct token_pool *pool, const struct tokens *tokens, uint32_t page,
		uint64_t *token);
void tokens_set(struct token_pool *pool, struct tokens *tokens, uint32_t page, uint64_t token);
/* Forget pages [first, last). */
void tokens_clear(struct token_pool *pool, struct tokens *tokens, uint32_t first, uint32_t last);
/* The first page >= *PAGE and < LAST with a token; false: none. */
bool tokens_next(const struct token_pool *pool, const struct tokens *tokens, uint32_t *page,
		 uint32_t last);
/* COPY, which is empty, becomes equal to TOKENS. */
void tokens_copy(struct token_pool *pool, struct tokens *copy, const struct tokens *tokens);
/* Pages [from, from + n) become pages [to, to + n); the ranges do not overlap. */
void tokens_move(struct token_pool *pool, struct tokens *tokens, uint32_t from, uint32_t to,
		 uint32_t n);

/* ARRAY with room for NEED elements of SIZE; what is new is zero. Host exhaustion aborts. */
void *model_grow(void *array, uint32_t *max, uint32_t need, size_t size);

/* ---- model_file.c: objects --------------------------------------------------------- */

#define OBJECT_NONE UINT32_MAX /* private anonymous memory has no object */

/*
 * Something that several mappings can show: files f0..f7 (numbers 0..7), then shared anonymous
 * memory. Pages without a token hold token_file() below `boot`, else zero.
 */
struct object {
	uint32_t size;      /* pages */
	uint32_t boot;      /* pages that were there at boot and always since */
	uint32_t users;     /* areas that show it */
	uint32_t next_free; /* number + 1 */
	bool opaque;        /* learnt from a subject: pages without a token are unknown */
	struct tokens tokens;
};

/* ---- model_space.c: areas ---------------------------------------------------------- */

/* OP_PROT_READ, WRITE and EXEC are the low three bits. */
#define AREA_PROT      OP_PROT_MASK
#define AREA_SHARED    8u
#define AREA_GROWSDOWN 16u
#define AREA_LOCKED    32u
/* Somewhere inside, the kernel may have a boundary between two equal areas: equal neighbours
 * become one here, but whether they do in a kernel is its own affair. */
#define AREA_SEAM      64u
#define AREA_NORESERVE 128u /* is not to be charged, whatever becomes of it */

struct area {
	uint32_t start, end; /* pages [start, end) */
	uint32_t object;     /* number, or OBJECT_NONE */
	uint32_t pgoff;      /* of start, in the object; 0 if there is none */
	uint32_t attr;       /* AREA_* */
};

struct space {
	uint32_t users; /* processes: fork(2) gives a child a space of its own, CLONE_VM this one */
	uint32_t brk;   /* vpn */
	bool future;    /* MCL_FUTURE: what is mapped is locked */
	struct area *area; /* by address; neighbours that are equal are joined */
	uint32_t n, max;
	struct tokens tokens; /* private pages that differ from what lies beneath */
	struct tokens shown;  /* pages that remap_file_pages touched: the object page they show */
};

/* Ranges of a process whose layout a half-done call left open. */
struct lost {
	uint32_t proc; /* PROC_MAX: nothing is lost */
	uint32_t n;
	struct {
		uint32_t first, last;
	} range[2];
	bool moving;     /* mremap: range[0] was on its way to range[1], or ... */
	bool anywhere;   /* ... to free pages that the kernel chose */
	uint32_t object; /* what may show up there without a name, or OBJECT_NONE */
};

/* A frame of private memory that pins hold: model_pin.c. */
#define CELL_MAYBE_MAX 12u
enum cell_kind {
	CELL_WRITE, /* the pages that name it show it */
	CELL_READ,  /* the page that names it may show it, or a copy */
	CELL_WILD,  /* nothing is known */
};
struct cell {
	enum cell_kind kind;
	uint32_t refs;  /* pages of pins; 0: free */
	uint64_t token; /* what the pages that name it hold */
	uint32_t under; /* the earlier cell that may be the same frame */
	uint32_t n;     /* CELL_READ: what the frame may hold; 0: anything */
	uint64_t maybe[CELL_MAYBE_MAX];
	const struct space *owner; /* CELL_READ: whose page */
};

/* One of d0..d15; n == 0: not in use. */
struct model_pin {
	uint32_t n;
	bool write;
	struct pinned {
		uint32_t object; /* or OBJECT_NONE: a cell */
		uint32_t number; /* page of the object, or the cell's */
	} page[PIN_PAGES];
};

struct model {
	struct machine_config config;
	uint32_t task_pages; /* user addresses are pages [0, task_pages) */
	uint32_t swap_on;    /* swap areas in use, a bit each */
	bool parted;         /* see model_parted() */
	uint32_t mmap_base;  /* where the kernel's own choice of addresses begins */
	struct token_pool pool;
	struct space space[PROC_MAX];
	struct space *of[PROC_MAX]; /* a process's space; NULL: it is not alive */
	struct object *object;
	uint32_t nr_objects, max_objects;
	uint32_t free_object; /* number + 1 */
	struct cell *cell;
	uint32_t nr_cells, max_cells;
	struct model_pin pin[PIN_MAX];
	struct lost lost;
	struct area *scratch;
	uint32_t max_scratch;
};

/* Index of the first area that ends above VPN; space->n: none. */
uint32_t space_find(const struct space *space, uint32_t vpn);
/* The area that holds VPN, or NULL. */
struct area *space_area(const struct space *space, uint32_t vpn);
/* Nothing is mapped in [first, last). */
bool space_is_free(const struct space *space, uint32_t first, uint32_t last);
/* The end of the mapped pages that begin at FIRST without a gap, at most LAST. */
uint32_t space_mapped_to(const struct space *space, uint32_t first, uint32_t last);
/* There are NPAGES free pages in a row in [first, last). */
bool space_has_gap(const struct space *space, uint32_t first, uint32_t last, uint32_t npages);
/* Map AREA, whose range is free. */
void space_map(struct model *model, struct space *space, const struct area *area);
/* Unmap [first, last) and forget its private contents. */
void space_unmap(struct model *model, struct space *space, uint32_t first, uint32_t last);
/* The same, but contents stay where they are. */
void space_remove(struct model *model, struct space *space, uint32_t first, uint32_t last);
/* The attributes in MASK become those in ATTR for all that is mapped in [first, last). */
void space_change(struct model *model, struct space *space, uint32_t first, uint32_t last,
		  uint32_t mask, uint32_t attr);
/* Area I begins (or ends) further out: START <= start, END >= end. The room is free. */
void space_extend(struct model *model, struct space *space, uint32_t i, uint32_t start,
		  uint32_t end);
/* A failed call may have cut areas in [first, last] in two without a visible change. */
void space_mark_seams(struct space *space, uint32_t first, uint32_t last);
/* CHILD, which is empty, becomes a copy as fork(2) makes it. */
void space_copy(struct model *model, struct space *child, const struct space *parent);
void space_clear(struct model *model, struct space *space);
/* A and B, neighbours, could be one area. */
bool area_joins(const struct area *a, const struct area *b);
/* AREA cut down to [first, last), which lies inside. */
struct area area_slice(const struct area *area, uint32_t first, uint32_t last);

/* ---- objects and contents ---------------------------------------------------------- */

uint32_t object_new(struct model *model, uint32_t npages);
void object_get(struct model *model, uint32_t number);
void object_put(struct model *model, uint32_t number);
uint64_t object_read(const struct model *model, uint32_t number, uint32_t pgoff);
void object_write(struct model *model, uint32_t number, uint32_t pgoff, uint64_t token);
void objects_reset(struct model *model);

/* Which page of its object page VPN of AREA shows. */
uint32_t area_pgoff(const struct model *model, const struct space *space, const struct area *area,
		    uint32_t vpn);
/* Page VPN of AREA lies beyond the end of its object: an access raises SIGBUS. */
bool area_beyond_end(const struct model *model, const struct space *space, const struct area *area,
		     uint32_t vpn);
/* What page VPN shows if it has no private content. */
uint64_t area_beneath(const struct model *model, const struct space *space, const struct area *area,
		      uint32_t vpn);
/* Pages [first, last) show page PGOFF of their object, and the next ones. */
void space_show(struct model *model, struct space *space, uint32_t first, uint32_t last,
		uint32_t pgoff);
/* What page VPN holds; may carry TOKEN_MAYBE. */
uint64_t area_content(const struct model *model, const struct space *space, const struct area *area,
		      uint32_t vpn);
/* Private pages in [first, last) of AREA may by now be copies of what they show: see TOKEN_MAYBE.
 */
void area_maybe_copied(struct model *model, struct space *space, const struct area *area,
		       uint32_t first, uint32_t last);

/* ---- model_pin.c ------------------------------------------------------------------- */

/* TOKEN, of a private page, names a cell. */
bool token_is_cell(uint64_t token);
/* What it stands for: itself, or what the cell holds. */
uint64_t token_seen(const struct model *model, uint64_t token);
/* A program stores TOKEN in private page VPN. */
void page_write(struct model *model, struct space *space, uint32_t vpn, uint64_t token);
/* What a page that has CONTENT, which is LAZY, has after SEEN was seen in it. False: it cannot be.
 */
bool lazy_settle(const struct model *model, uint64_t content, uint64_t seen, uint64_t *after);
/* MADV_FREE has been said of private page VPN. A page that a device holds is left alone, since that
 * may write to it at any time. False: it names no cell, so that the caller has to mark it. */
bool page_becomes_lazy(struct model *model, struct space *space, uint32_t vpn);
/* OP reads a page of a pin, which may have been lost before it was pinned: may it see TOKEN? */
bool pinned_may_be_lost(const struct model *model, const struct op *op, uint64_t token);
/* Page VPN was found to hold TOKEN, and so is the cell it names. False: it names none. */
bool page_settle(struct model *model, struct space *space, uint32_t vpn, uint64_t token);
/* Pages [FIRST, LAST) have become write-protected; not CERTAIN: perhaps. */
void cells_protect(struct model *model, struct space *space, uint32_t first, uint32_t last,
		   bool certain);
/* CHILD has become a copy of PARENT. */
void cells_fork(struct model *model, struct space *parent, struct space *child);
/* Pages [FIRST, LAST) were written, if they could be, without a change; not CERTAIN: perhaps. */
void cells_populated(struct model *model, struct space *space, uint32_t first, uint32_t last,
		     bool certain);
/* Who holds pages [FIRST, LAST), and whether they still show that, nobody knows. */
void cells_doubt(struct model *model, struct space *space, uint32_t first, uint32_t last);
/* Pages [FIRST, LAST) of OBJECT are about to be cut off: pins keep what they have. */
void cells_orphan(struct model *model, uint32_t object, uint32_t first, uint32_t last);
/* SPACE is about to be nobody's. */
void cells_forget_space(struct model *model, const struct space *space);
void cells_reset(struct model *model);

/* ---- model_judge.c ----------------------------------------------------------------- */

/* One op under judgement. */
struct judge {
	struct model *model;
	struct space *space; /* of the op's process, alive; NULL for ops on files */
	const struct op *op;
	const struct result *actual;
	bool alloc_failed;
	char *why;
	size_t why_size;
};

/* The op ran out of memory and was allowed to. */
static inline bool out_of_memory(const struct judge *judge)
{
	return judge->alloc_failed && judge->actual->err == -ENOMEM;
}

enum model_verdict disagree(const struct judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
enum model_verdict abstain(const struct judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The op must fail with error A (or B, unless 0): positive errno, or RES_SEGV, RES_BUS. */
enum model_verdict must_fail(const struct judge *judge, int a, int b);
enum model_verdict must_succeed(const struct judge *judge);
/* The same, and the resulting address must be that of VPN. */
enum model_verdict must_return(const struct judge *judge, uint32_t vpn);
/* The op saw TOKEN: is it EXPECTED (without marks of doubt)? */
enum model_verdict must_see(const struct judge *judge, uint64_t expected);
/* The kernel chose where NPAGES pages go: in user space, at a whole page, in free pages. */
enum model_verdict must_choose(const struct judge *judge, uint32_t npages);
/* Layout in [first, last) of the op's process is open; more ranges with lose_also. */
enum model_verdict lose(const struct judge *judge, uint32_t first, uint32_t last);
void lose_also(const struct judge *judge, uint32_t first, uint32_t last);

/* ---- one function per op, called through the table in model.c ---------------------- */

typedef enum model_verdict step_fn(const struct judge *judge);
step_fn step_mmap, step_munmap, step_mremap, step_mprotect, step_madvise, step_brk;
step_fn step_truncate, step_fread, step_fwrite, step_remap_file_pages;
step_fn step_fpunch, step_msync, step_file;
step_fn step_pin, step_unpin, step_pinread, step_pinwrite, step_poke;
step_fn step_mlock, step_munlock, step_mlockall, step_mlockall_future, step_munlockall, step_evict;

static inline bool is_unaligned(uint32_t addr)
{
	return addr & PAGE_OFFSET_MASK;
}

#endif

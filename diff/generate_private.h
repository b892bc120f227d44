/*
 * What the generator's files share.
 *
 *   random.c             numbers from a seed
 *   generate.c           swarm: which ops, how often; the loop; failures and nested ops
 *   generate_operand.c   operands, by kind
 *   generate_mend.c      sense, by op: what is aimed at what, put right afterwards
 *   generate_guess.c     what each process ought to have in the window
 *   generate_scene.c     several ops that set up something: areas next to each other, a family ...
 *   generate_limit.c     the same where something ends: page tables, address spaces, stacks ...
 *   generate_walk.c      several ops about one page of it
 *   generate_script.c    both, said in advance and done one by one
 *   generate_meet.c      ops that others do while one is under way
 */
#ifndef RMAPFUZZ_GENERATE_PRIVATE_H
#define RMAPFUZZ_GENERATE_PRIVATE_H

#include "internal.h"

/* Where brk starts. */
#define HEAP_BASE 0x08100000u

struct random {
	uint64_t s[4];
};
void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);

#define CARD_BITS 10
#define CARDS     (1u << CARD_BITS)

#define WINDOW_MAX 32u /* pages: a bit each */
#define PROCS_MAX  8u
#define SCENES_MAX 16u
#define PINS_MAX   4u

/* What a process has in the window, as far as one can know without running the trace. */
struct guess {
	uint32_t mapped, present, usable; /* usable: may be read and written */
	uint32_t shared;                  /* of mapped, what is shared */
};

/* How things stand, as far as one can know. */
struct belief {
	uint32_t live; /* processes that should be alive, a bit each */
	struct guess guess[PROCS_MAX];
	uint8_t space[PROCS_MAX]; /* a process's guess: threads share one */
	uint32_t swap_off;        /* areas that should be off, a bit each */
	uint32_t pins;            /* those in use, a bit each */
	bool locked;              /* there have been locked mappings */
	bool future;              /* mlockall_future was said: what is mapped comes in */
	bool vast; /* there may be a mapping that had better not be brought in whole */
};

/* Ops said in advance. */
#define SCRIPT_MAX 128u
struct script {
	struct op op[SCRIPT_MAX];
	uint32_t nr, at; /* said; done of these */
};

/* What a trace being made is like. Rates are out of 256. */
struct generator {
	struct random random;
	const struct machine_config *config;
	uint32_t base, window; /* byte address of the window; its pages */
	uint32_t max_procs;
	uint32_t nr_regions; /* r0..: bound by now */
	struct belief now;
	uint32_t wild, file, shared, fixed, heap, region;
	uint32_t failing;    /* ops told to fail or to reclaim */
	uint32_t nesting;    /* ops with others inside */
	uint8_t pick[CARDS]; /* op codes, as often as their weight says */
	struct script script;
	uint32_t scripted;                /* ops that begin a scene */
	uint32_t interrupted;             /* ops of a script that something else comes before */
	uint8_t scene_weight[SCENES_MAX]; /* 0: not in this trace */
};

/* One of 0..N-1. */
static inline uint32_t below(struct generator *g, uint32_t n)
{
	return (uint32_t)((random_next(&g->random) >> 32) * n >> 32);
}

/* True RATE times out of 256. */
static inline bool chance(struct generator *g, uint32_t rate)
{
	return random_next(&g->random) >> 56 < rate;
}

/* A random one of the bits in SET, which is not empty. */
static inline uint32_t one_of(struct generator *g, uint32_t set)
{
	uint32_t skip = below(g, (uint32_t)__builtin_popcount(set));

	while (skip--)
		set &= set - 1;
	return (uint32_t)__builtin_ctz(set);
}

/* ---- generate.c ---------------------------------------------------------------------------- */

/* An op by the dice. */
void throw_op(struct generator *g, struct op *op);

/* ---- generate_meet.c ----------------------------------------------------------------------- */

/* An op for somebody else to do while HOST is under way. False: HOST passes no point. */
bool make_nested(struct generator *g, const struct op *host, struct op *op);
/* All that has been said from op FROM on is done at POINT of the one before; what is too much for
 * that, after it. */
void all_at(struct generator *g, uint32_t from, enum point point);
/* Those who have the page, and some more, do things to it at once. */
struct focus;
void meeting(struct generator *g, struct focus *focus);

/* ---- generate_operand.c ------------------------------------------------------------------- */

/* The address of some page of the window. */
uint32_t window_addr(struct generator *g);
/* A slot for a child, free as a rule. */
uint32_t make_newproc(struct generator *g);
/* Operand I of OP, of KIND. */
uint32_t make_operand(struct generator *g, struct op *op, int i, enum operand_kind kind);

/* ---- generate_guess.c --------------------------------------------------------------------- */

/* What is believed of PROC; of one that cannot be alive, nothing. */
struct guess *guess_of(struct generator *g, uint32_t proc);
/* The window's pages among the LEN at operand ADDR of OP. */
uint32_t pages_at(const struct generator *g, const struct op *op, int addr, uint32_t len);
/* The window's pages that the process of OP has mapped. */
uint32_t mapped(struct generator *g, const struct op *op);
/* The window's pages that PROC has present, and others, too. */
uint32_t present_elsewhere(struct generator *g, uint32_t proc);
/* Note what OP does. */
void note(struct generator *g, const struct op *op);

/* ---- generate_mend.c ---------------------------------------------------------------------- */

/* Make sense of OP, whose operands were made one by one; it may become another op. */
typedef void mend_fn(struct generator *g, struct op *op);
/* By op; NULL: there is nothing to put right. */
extern mend_fn *const mend[NR_OPS];
/* What an op brings in at once, operand LEN pages, had better be little: memory that is full of
 * pages which cannot go makes everything slow, and finds nothing. */
void bring_in_little(struct op *op, int len);

/* ---- generate_script.c -------------------------------------------------------------------- */

#define PROC_NONE UINT32_MAX

/* Say what comes next: CODE and its operands, uint32_t each, as in op.def. Without room, nothing.
 */
void say(struct generator *g, enum op_code code, ...);
/* The next op of the script. False: there is none. */
bool script_next(struct generator *g, struct op *op);
/* A new scene, and a walk about a page of it. */
void script_begin(struct generator *g);
/* Which scenes this trace has. */
void script_deal(struct generator *g);
/* A slot for a child: a free one, or one of a process not in KEEP, which is said to exit.
 * PROC_NONE: neither. */
uint32_t say_slot(struct generator *g, uint32_t keep);

/* ---- generate_scene.c, generate_limit.c, generate_walk.c ---------------------------------- */

#define SHARERS_MAX 8u

/* Who has the page in question, and where. */
struct sharer {
	uint32_t proc, at;
};

/* A page that a script is about. */
struct focus {
	struct sharer sharer[SHARERS_MAX];
	uint32_t nr;
	uint32_t flags; /* OP_MAP_ANON and OP_MAP_SHARED */
	uint32_t file, pgoff,
		size; /* page PGOFF of an object of SIZE pages, which is FILE or not */
};

/* PROC has it at AT, too. */
void focus_add(struct focus *focus, uint32_t proc, uint32_t at);
/* The processes of FOCUS, a bit each. */
uint32_t focus_procs(const struct focus *focus);
/* Swap gets short, if one of the areas is small: it alone is left, and more than half full. PROC's
 * is what is in it. */
void fill_swap(struct generator *g, uint32_t proc);
/* Something is done to the page, some times. */
void walk(struct generator *g, struct focus *focus);

/* What a step or a meeting needs of the page. */
enum need {
	ANYTHING,
	A_FILE,       /* that has a name: mapped by number */
	SHARED_MAP,   /* a shared mapping */
	SHARED_FILE,  /* a shared mapping of a file that has a name */
	PRIVATE_ANON, /* private anonymous memory */
};
bool focus_suits(const struct focus *focus, enum need need);

#define TABLE 0x200000u /* what a page table maps, in bytes */

/* Memory that areas are laid out of: of what kind, whose, and where its page 0 is. */
struct ground {
	uint32_t proc, at, flags, file, pgoff;
};

/* Memory of some kind from AT on, of which PAGES pages will be used. */
struct ground choose_ground(struct generator *g, struct focus *focus, uint32_t at, uint32_t pages);
/* Pages [FIRST, FIRST + N) of GROUND become an area, or several. */
void lay(struct generator *g, const struct ground *ground, uint32_t first, uint32_t n,
	 uint32_t prot, uint32_t more);
/* Some of pages [FIRST, FIRST + N) are touched. */
void touch(struct generator *g, const struct ground *ground, uint32_t first, uint32_t n);
/* Page I of GROUND is what the walk is about. */
void focus_on(struct focus *focus, const struct ground *ground, uint32_t i);
/* Sometimes somebody shares all that is there. */
void may_fork(struct generator *g, struct focus *focus, struct ground *ground, uint32_t rate,
	      uint32_t page);
/* Where N pages of the window begin. */
uint32_t place(struct generator *g, uint32_t n);
/* Some pages: LEAST to MOST of them, and no more than the window has. */
uint32_t small(struct generator *g, uint32_t least, uint32_t most);

typedef void scene_fn(struct generator *g, struct focus *focus);
scene_fn edge, sparse, stack, heap, beyond_4g;
/* Ends with NULL. */
extern scene_fn *const scenes[];

static inline void set_arg(struct op *op, int i, uint32_t value)
{
	op->args[i] = value;
	op->refs &= (uint8_t) ~(1u << i);
}

#endif

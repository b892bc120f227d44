/*
 * Operations and traces: what a machine is asked to do, as structs, as text for people
 * and as bytes for fuzzers. docs/trace-format.md has the grammar.
 *
 *   text  --trace_parse-->  struct trace  --trace_encode-->  bytes
 *   text  <--trace_print--  struct trace  <--trace_decode--  bytes (any bytes)
 *
 * print and parse are inverses on traces; encode then decode gives the same ops; every
 * byte string decodes. Comments and expectations live in the text form only.
 */
#ifndef RMAPFUZZ_TRACE_H
#define RMAPFUZZ_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "machine_config.h"

#define TRACE_FORMAT_VERSION 1

#define PROC_MAX    32  /* process slots p0..p31; p0 exists at boot */
#define REGION_MAX  32  /* names r0..r31 for addresses that ops return */
#define PIN_MAX     16  /* a device's holds on pages: d0..d15 */
#define PIN_PAGES   64u /* frames that one of them may hold */
#define OP_ARGS_MAX 8

/* Page w0 of the window that text traces name pages in: w3 is 0x60003000. */
#define WINDOW_BASE  0x60000000u
#define WINDOW_PAGES 256u

/* Generate operand lists A1..A8 as (KIND, name) pairs. */
enum operand_kind {
	OPERAND_NONE,
	OPERAND_PROC,    /* 0..PROC_MAX-1; a dead one makes the op fail with ESRCH */
	OPERAND_NEWPROC, /* the slot a fork fills; one in use makes it fail with EAGAIN */
	OPERAND_REGION,  /* 0..REGION_MAX-1: the name that the result address is bound to;
			    REGION_NONE: not bound */
	OPERAND_ADDR,    /* byte address, or region + pages (see struct op.refs) */
	OPERAND_LEN,     /* pages, 0..LEN_MAX */
	OPERAND_PROT,    /* PROT_* bits below */
	OPERAND_MFLAGS,  /* MAP_* bits below */
	OPERAND_RFLAGS,  /* MREMAP_* bits below */
	OPERAND_ADVICE,  /* enum op_advice */
	OPERAND_FILE,    /* 0..FILE_MAX-1 */
	OPERAND_PGOFF,   /* pages into a file or a pin, 0..LEN_MAX */
	OPERAND_COUNT,   /* 0..LEN_MAX */
	OPERAND_SWAP,    /* 0..SWAP_AREAS_MAX-1 */
	OPERAND_SFLAGS,  /* MS_* bits below */
	OPERAND_NFLAGS,  /* REMAP_* bits below */
	OPERAND_PIN,     /* 0..PIN_MAX-1; one not in use makes the op fail with EBADF */
	OPERAND_NEWPIN,  /* what a pin fills; one in use makes it fail with EBUSY */
	OPERAND_PFLAGS,  /* PIN_* bits below */
};
#define NR_OPERAND_KINDS (OPERAND_PFLAGS + 1)

#define REGION_NONE 0xffu
#define LEN_MAX     0xfffffu /* the most pages an i386 address space has, less one */

/* Our own values: names and bits are stable parts of the trace format. */
#define OP_PROT_NONE  0u
#define OP_PROT_READ  1u
#define OP_PROT_WRITE 2u
#define OP_PROT_EXEC  4u
#define OP_PROT_MASK  7u

#define OP_MAP_SHARED    1u /* else private */
#define OP_MAP_ANON      2u /* else operand `file` */
#define OP_MAP_FIXED     4u
#define OP_MAP_POPULATE  8u
#define OP_MAP_LOCKED    16u
#define OP_MAP_GROWSDOWN 32u
#define OP_MAP_NORESERVE 64u
#define OP_MAP_MASK      127u

#define OP_MREMAP_MAYMOVE   1u
#define OP_MREMAP_FIXED     2u
#define OP_MREMAP_DONTUNMAP 4u
#define OP_MREMAP_MASK      7u

#define OP_MS_ASYNC      1u
#define OP_MS_INVALIDATE 2u
#define OP_MS_SYNC       4u
#define OP_MS_MASK       7u

#define OP_REMAP_NONBLOCK 1u /* remap_file_pages: bring nothing in */
#define OP_REMAP_MASK     1u

#define OP_PIN_WRITE 1u /* the device will write */
#define OP_PIN_FORCE 2u /* what the area could allow counts, not what it does */
#define OP_PIN_MASK  3u

enum op_advice {
	ADVICE_NORMAL,
	ADVICE_RANDOM,
	ADVICE_SEQUENTIAL,
	ADVICE_WILLNEED,
	ADVICE_DONTNEED,
	ADVICE_PAGEOUT,
	ADVICE_FREE,
	NR_ADVICE
};

#define OP(name, operands, help) OP_##name,
enum op_code {
#include "op.def"
	NR_OPS
};
#undef OP

/* Where in an op another one can run: point.def. */
#define POINT(id, name, passed, hosts, help) POINT_##id,
enum point {
	POINT_NONE, /* an op of its own */
#include "point.def"
	NR_POINTS
};
#undef POINT

/*
 * One operation. args[i] has the kind op_info(code)->operand[i].kind. An ADDR operand is
 * a byte address, or, if bit i of refs is set, region << 24 | page offset (0..0xffffff).
 *
 * An op with a point is nested: somebody else does it while its host, the last op before it without
 * a point, passes that point for the point_nth time.
 */
struct op {
	uint8_t code;            /* enum op_code */
	uint8_t refs;            /* bit per operand: a region reference */
	uint16_t fail_nth;       /* fail the n-th engine allocation of this op; 0: none */
	uint16_t fail_meta;      /* fail the n-th allocation of the backend in this op; 0: none */
	uint16_t reclaim_nth;    /* run reclaim at the n-th engine allocation; 0: never */
	uint16_t fail_from;      /* fail the n-th engine allocation of this op and all later ones */
	uint16_t fail_meta_from; /* the same for allocations of the backend */
	uint16_t point;          /* enum point */
	uint16_t point_nth;      /* 1..; 0 for an op of its own */
	uint32_t serial; /* position in the trace; a write stores token TOKEN_WRITE | serial */
	uint32_t args[OP_ARGS_MAX];
};

/* The trace makes an allocation of OP fail. */
static inline bool op_fails(const struct op *op)
{
	return op->fail_nth || op->fail_from || op->fail_meta || op->fail_meta_from;
}

/* A host and its nested ops, at most; further ones are hosts themselves. */
#define GROUP_MAX 9
/* How many of the N ops at OPS, N > 0, are the first one and those nested in it. */
static inline uint32_t op_group(const struct op *ops, uint32_t n)
{
	uint32_t i = 1;

	while (i < n && i < GROUP_MAX && ops[i].point)
		i++;
	return i;
}

/* "fork.per_pte", and what has been done there and what has not. */
const char *point_name(enum point point);
const char *point_help(enum point point);
/* The point of NAME, or POINT_NONE. */
enum point point_of_name(const char *name);
/* How often an op passes it depends on how a design merges areas. */
bool point_is_area(enum point point);
/* May an op of kind CODE pass it? (A hint: what an op does depends on what it meets.) */
bool point_suits(enum point point, enum op_code code);
/* The table in docs/trace-format.md. */
void point_table_markdown(FILE *out);

struct op_operand {
	uint8_t kind; /* enum operand_kind */
	const char *name;
};

struct op_info {
	const char *name;
	const char *help;
	uint8_t nargs;
	struct op_operand operand[OP_ARGS_MAX];
};

/* The table's row for CODE (0..NR_OPS-1). */
const struct op_info *op_info(enum op_code code);
/* The code of NAME, or -1. */
int op_code_of(const char *name);
/* Index of the operand called NAME in CODE, or -1. */
int op_operand_index(enum op_code code, const char *name);

/* A word of the text form and what it stands for. */
struct op_word {
	const char *name;
	uint32_t value;
};
/* The words operands of KIND are written with, ending with name NULL; none: an empty list. */
const struct op_word *op_words(enum operand_kind kind);
/* What KIND is called ("process"), and how such an operand is written, in a few words of markdown.
 */
const char *op_kind_name(enum operand_kind kind);
const char *op_kind_help(enum operand_kind kind);
/* "[region =] mmap proc addr len prot flags [file pgoff]". Returns what snprintf would. */
int op_synopsis(enum op_code code, char *buf, size_t size);
/* The tables of ops and of operand kinds in docs/trace-format.md. */
void op_table_markdown(FILE *out);

/*
 * The outcome of an op. err: 0, a negative errno, or RES_SEGV / RES_BUS for an access
 * that raises a signal. value: the address for mmap, mremap and brk (bytes), the count for
 * age, reclaim, writeback, mkclean, fdrop and pin, the UNMAP_* result for evict, swapout and
 * migrate. token: what a read saw.
 */
struct result {
	int32_t err;
	uint32_t value;
	uint64_t token;
};
#define RES_SEGV           1000
#define RES_BUS            1001
#define RES_IS_SIGNAL(err) ((err) >= RES_SEGV)

/* The outcome of an op of kind CODE as the text form writes an expected one: "ok", "EINVAL",
 * "SEGV", "0x60003000", "write 7". Returns what snprintf would. */
int result_print(enum op_code code, const struct result *result, char *buf, size_t size);

/* result.value of evict, swapout and migrate: the kernel's SWAP_* answers. */
enum { UNMAP_SUCCESS, UNMAP_AGAIN, UNMAP_FAIL };

/* Tokens: who wrote a page's content. 0 is the zero page's. */
#define TOKEN_WRITE (1ull << 62) /* | op serial */
#define TOKEN_FILE  (2ull << 62) /* | file id << 32 | page offset: never written since boot */
static inline uint64_t token_write(uint32_t serial)
{
	return TOKEN_WRITE | serial;
}
static inline uint64_t token_file(uint32_t file, uint32_t pgoff)
{
	return TOKEN_FILE | (uint64_t)file << 32 | pgoff;
}

/* Resolve region references against addresses regions[0..REGION_MAX-1] (bytes; 0: unbound,
 * which resolves to address 0). Returns an op with refs == 0. */
struct op op_resolve(const struct op *op, const uint32_t regions[REGION_MAX]);
/* After OP returned RESULT: bind its REGION operand, if it has one and succeeded. */
void op_bind(const struct op *op, const struct result *result, uint32_t regions[REGION_MAX]);

/* ---- expectations: text lines that make a trace a test -------------------------- */

enum expect_kind {
	EXPECT_RESULT, /* after op `at`: its result is ERR (and VALUE / TOKEN if has_value /
			  has_token) */
	EXPECT_PAGES,  /* after op `at`: page states of PROC from VPN on are TEXT (see machine.h) */
	EXPECT_MAPPERS, /* after op `at`: the frame at PROC, VPN is mapped by COUNT entries */
	EXPECT_CLEAN,   /* the whole trace: nothing is found */
	EXPECT_FINDING, /* the whole trace: the finding's signature is TEXT */
};

#define EXPECT_TEXT_MAX 96

struct expect {
	enum expect_kind kind;
	uint32_t at;   /* index of the op it follows; UINT32_MAX: before the first */
	uint32_t line; /* where it stood in the text, for messages */
	uint32_t proc, vpn, count;
	int32_t err;
	bool has_value, has_token; /* not both */
	uint32_t value;
	uint64_t token;
	char text[EXPECT_TEXT_MAX];
};

/* Limits of the text form. */
#define TRACE_OPS_MAX  1000000u
#define TRACE_TEXT_MAX (16u << 20)
#define TRACE_LINE_MAX 4096u

/* ---- traces ----------------------------------------------------------------- */

/* A sequence of ops for one kind of machine. Zero-initialise, then trace_init. */
struct trace {
	struct machine_config config;
	struct op *ops;
	uint32_t nr_ops, max_ops;
	struct expect *expects; /* ordered by `at` */
	uint32_t nr_expects, max_expects;
};

void trace_init(struct trace *trace, const struct machine_config *config);
/* Forget ops and expectations, keep the memory. */
void trace_clear(struct trace *trace);
void trace_release(struct trace *trace);
/* Append a copy of OP (its serial becomes its position). Returns 0 or -ENOMEM. */
int trace_add(struct trace *trace, const struct op *op);
/* Insert a copy of EXPECT in order: by `at`, an op's result first. Returns 0 or -ENOMEM. */
int trace_add_expect(struct trace *trace, const struct expect *expect);
int trace_copy(struct trace *to, const struct trace *from);

/*
 * Parse text. Returns 0, or -EINVAL with *ERROR "LINE: what is wrong" (no newline), or
 * -EPROTONOSUPPORT for a version this build cannot read. TEXT need not end in NUL.
 */
int trace_parse(struct trace *trace, const char *text, size_t size, char *error, size_t error_size);

/* Print in canonical form. print(parse(print(t))) == print(t). */
void trace_print(const struct trace *trace, FILE *out);
/* One op, without newline, as trace_print would. Returns what snprintf would. */
int op_print(const struct op *op, char *buf, size_t size);

/*
 * Bytes <-> trace. decode never fails on any bytes; it stops after MAX_OPS ops. The machine's
 * configuration is in the bytes too (one preset byte). Operands resolve against what the
 * decoder expects to be alive, so most ops do something. encode returns the length needed;
 * at most SIZE bytes are written.
 */
void trace_decode(struct trace *trace, const uint8_t *data, size_t size, uint32_t max_ops);
size_t trace_encode(const struct trace *trace, uint8_t *data, size_t size);

#endif

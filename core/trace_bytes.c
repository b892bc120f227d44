/*
 * Traces as bytes, for fuzzers: any bytes are a trace, and any trace has bytes.
 *
 *   trace   = machine op*
 *   machine = preset number (mod how many there are), or 255 and a configuration field by field,
 *             or 254, the same fields, and a list of what these cannot say
 *   op      = (property | point)* code head escape*
 *
 * A code below CODE_COMMON is an op, modulo how many there are; the next are ops again, the common
 * ones more often; those from PREFIX_FIRST on are properties of the op that follows. The head has
 * a field of some bits per operand, in the order of the op table: 4 bits name a process, 8 an
 * address, and so on (struct field). Fields fill bytes from the lowest bit up; one that does not
 * fit into what is left of a byte starts the next. So an op's head has the same few bytes whatever
 * is in it, and a flipped bit changes one operand.
 *
 *   mmap      code | proc:4 region:4 | addr | len | prot:4 flags:4 | file:3 pgoff:5 |
 *   munmap    code | proc:4 -        | addr | len |
 *   truncate  code | file:3 -        | len  |
 *
 * A field holds a short form: process number k of those alive, page w3, "the next region". The
 * highest values of most fields are escapes, which say that the operand follows behind the head in
 * full. Short forms count on what should be alive (struct state), kept by decoder and encoder
 * alike; should an op fail unexpectedly, a short form names something dead, and that is a trace
 * too.
 *
 * Bytes missing at the end read as 0.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"
#include "trace_private.h"

/* ---- what the decoder expects to be alive ------------------------------------------------- */

struct state {
	uint32_t alive; /* bit per process */
	uint32_t nr_alive;
	uint32_t nr_regions;  /* named so far, at most REGION_MAX */
	uint32_t last_region; /* the newest name */
	uint32_t nr_swap;     /* swap areas of the machine */
	uint32_t pins;        /* bit per pin */
};

static void state_init(struct state *state, const struct machine_config *config)
{
	*state = (struct state){.alive = 1,
				.nr_alive = 1,
				.last_region = REGION_MAX - 1,
				.nr_swap = config->nr_swap};
}

static uint32_t next_region(const struct state *state)
{
	return (state->last_region + 1) % REGION_MAX;
}

static bool is_alive(const struct state *state, uint32_t proc)
{
	return proc < PROC_MAX && (state->alive >> proc & 1);
}

/* The lowest dead process; 0 if all are alive. */
static uint32_t lowest_dead(const struct state *state)
{
	return state->alive == UINT32_MAX ? 0 : (uint32_t)__builtin_ctz(~state->alive);
}

/* The K-th live process, modulo how many there are; p0 if there is none. */
static uint32_t live_proc(const struct state *state, uint32_t k)
{
	uint32_t alive = state->alive;

	if (!state->nr_alive)
		return 0;
	for (k %= state->nr_alive; k; k--)
		alive &= alive - 1;
	return (uint32_t)__builtin_ctz(alive);
}

static void state_fork(struct state *state, const struct op *op)
{
	/* One that is to run out of memory is not counted on. */
	if (op_fails(op) || !is_alive(state, op->args[0]) || op->args[1] >= PROC_MAX ||
	    is_alive(state, op->args[1]))
		return;
	state->alive |= 1u << op->args[1];
	state->nr_alive++;
}

static void state_exit(struct state *state, const struct op *op)
{
	if (!is_alive(state, op->args[0]))
		return;
	state->alive &= ~(1u << op->args[0]);
	state->nr_alive--;
}

static void state_pin(struct state *state, const struct op *op)
{
	if (!op_fails(op) && is_alive(state, op->args[0]))
		state->pins |= 1u << op->args[1] % PIN_MAX;
}

static void state_step(struct state *state, const struct op *op)
{
	const struct op_info *info = op_info(op->code);
	int region = op_destination(info);

	if (op->code == OP_pin || op->code == OP_unpin) {
		if (op->code == OP_pin)
			state_pin(state, op);
		else
			state->pins &= ~(1u << op->args[0] % PIN_MAX);
		return;
	}

	if (region >= 0 && info->operand[region].kind == OPERAND_NEWPROC)
		state_fork(state, op);
	else if (op->code == OP_exit)
		state_exit(state, op);
	else if (region >= 0 && op->args[region] < REGION_MAX && is_alive(state, op->args[0])) {
		state->last_region = op->args[region];
		state->nr_regions += state->nr_regions < REGION_MAX;
	}
}

/* ---- bytes -------------------------------------------------------------------------------- */

struct reader {
	const uint8_t *data;
	size_t size, at;
};

static uint32_t get(struct reader *in, uint32_t bytes)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < bytes; i++, in->at++) {
		if (in->at < in->size)
			value |= (uint32_t)in->data[in->at] << 8 * i;
	}
	return value;
}

/* SIZE bytes at DATA take what fits; len counts all. */
struct writer {
	uint8_t *data;
	size_t size, len;
};

static void put(struct writer *out, uint32_t bytes, uint32_t value)
{
	for (uint32_t i = 0; i < bytes; i++, value >>= 8) {
		if (out->len < out->size)
			out->data[out->len] = (uint8_t)value;
		out->len++;
	}
}

/* ---- fields ------------------------------------------------------------------------------- */

/* One operand on its way: its value, as struct op has it. */
struct operand {
	uint32_t value;
	bool ref;
};

/*
 * How a kind of operand is encoded. Values below `escape` are short forms; the others are followed
 * by the operand in full. read_short and read_full turn either into an operand. `guess` proposes
 * the short form for an operand, or says escape; what it proposes is only used if read_short
 * agrees, so it need not be exact. write_full writes the operand in full and returns the escape to
 * use.
 */
struct field {
	uint8_t bits;
	uint8_t escape;
	struct operand (*read_short)(const struct state *, enum op_code, uint32_t field);
	uint32_t (*guess)(const struct state *, enum op_code, struct operand);
	struct operand (*read_full)(struct reader *, const struct state *, uint32_t field);
	uint32_t (*write_full)(struct writer *, struct operand);
};

static struct operand plain(uint32_t value)
{
	return (struct operand){value, false};
}

/* A process: 0..6 the one with this number among those alive, modulo how many there are; 7..14 one
 * of the oldest, for what all do to one address space gets in each other's way; 15: its slot in a
 * byte. */
#define PROC_PLAIN  7
#define PROC_ESCAPE 15
static const uint8_t old_procs[PROC_ESCAPE - PROC_PLAIN] = {0, 0, 0, 0, 0, 1, 1, 2};

/* Ops that end an address space count from the youngest: an old one took many ops to build. */
static bool ends_space(enum op_code code)
{
	return code == OP_exit || code == OP_exec;
}

static struct operand read_proc(const struct state *state, enum op_code code, uint32_t field)
{
	uint32_t k = field < PROC_PLAIN ? field : old_procs[field - PROC_PLAIN];

	/* The last address space ends only if that is spelled out. */
	if (ends_space(code) && state->nr_alive == 1)
		return plain(lowest_dead(state));
	if (ends_space(code) && state->nr_alive)
		k = state->nr_alive - 1 - k % state->nr_alive;
	return plain(live_proc(state, k));
}

static uint32_t guess_proc(const struct state *state, enum op_code code, struct operand operand)
{
	uint32_t older = state->alive & ((1u << operand.value % PROC_MAX) - 1);
	uint32_t k = (uint32_t)__builtin_popcount(older);

	if (ends_space(code))
		k = state->nr_alive - 1 - k;
	return k < PROC_PLAIN ? k : PROC_ESCAPE;
}

static struct operand read_slot(struct reader *in, const struct state *state, uint32_t field)
{
	uint32_t slot = get(in, 1);

	/* What the encoder does not write is better spent on the living. */
	return plain(slot < PROC_MAX ? slot : live_proc(state, slot));
}

static uint32_t write_slot(struct writer *out, struct operand operand)
{
	put(out, 1, operand.value % PROC_MAX);
	return PROC_ESCAPE;
}

/* The child of fork or clone_vm: 0..14 the lowest free slot; 15: a byte. */
static struct operand read_newproc(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(lowest_dead(state));
}

static struct operand read_newproc_full(struct reader *in, const struct state *state,
					uint32_t field)
{
	uint32_t slot = get(in, 1);

	return plain(slot < PROC_MAX ? slot : lowest_dead(state));
}

static uint32_t guess_zero(const struct state *state, enum op_code code, struct operand operand)
{
	return 0;
}

/* A region: 0..11 the next one, 12..14 none; 15: a byte. */
#define REGION_UNNAMED 12
#define REGION_ESCAPE  15

static struct operand read_region(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(field < REGION_UNNAMED ? next_region(state) : REGION_NONE);
}

static uint32_t guess_region(const struct state *state, enum op_code code, struct operand operand)
{
	return operand.value == REGION_NONE ? REGION_UNNAMED : 0;
}

static struct operand read_region_full(struct reader *in, const struct state *state, uint32_t field)
{
	uint32_t region = get(in, 1);

	return plain(region < REGION_MAX ? region : next_region(state));
}

static uint32_t write_region_full(struct writer *out, struct operand operand)
{
	put(out, 1, operand.value % REGION_MAX);
	return REGION_ESCAPE;
}

/*
 * An address, 8 bits:
 *     0..95    window page w0..w15, six times over
 *    96..127   w16..w31, twice over
 *   128..207   one of the 10 newest regions, + 0..7 pages; a window page while there is none;
 *              for mmap 128..175 are address 0, so that the kernel chooses
 *   208..223   the heap's first 16 pages
 *   224..251   landmarks: borders of tables and of the address space, odd addresses
 *   252        a window page, 1 byte
 *   253        a region, 1 byte, + pages, 3 bytes
 *   254        a page, 3 bytes
 *   255        any address, 4 bytes
 * For brk 0..250 are pages of the heap and 251 is address 0.
 */
enum {
	ADDR_REGIONS = 128,
	ADDR_HEAP = 208,
	ADDR_LANDMARKS = 224,
	ADDR_WINDOW_FULL = 252,
	ADDR_REF_FULL = 253,
	ADDR_PAGE_FULL = 254,
	ADDR_FULL = 255,
	ADDR_BRK_ZERO = 251,
};
#define SHORT_WINDOW  16u
#define FAR_WINDOW    96u /* from here on, the next SHORT_WINDOW pages */
#define SHORT_OFFSETS 8u
#define MMAP_ANYWHERE 48u /* of the values for regions, how many are address 0 for mmap */
#define HEAP_BASE     0x08100000u
_Static_assert(HEAP_BASE == BRK_BASE << PAGE_SHIFT, "short addresses of brk are in the heap");

static const uint32_t landmarks[ADDR_WINDOW_FULL - ADDR_LANDMARKS] = {
	0x00000000, 0x001ff000,
	0x00200000, 0x2aaab000, /* the first tables; mmap's start under 2:2 */
	0x3ffff000, 0x40000000,
	0x40001000, 0x40200000, /* 1 GB, where it starts under 3:1 */
	0x55000000, 0x5fffe000,
	0x5ffff000, 0x600ff000, /* under 4:4; below the window, and its end */
	0x60100000, 0x601fe000,
	0x601ff000, 0x60200000, /* the end of its table */
	0x7fffe000, 0x7ffff000,
	0x80000000, 0xbffff000, /* 2 GB: the end under 2:2 */
	0xc0000000, 0xfefff000,
	0xff000000, 0xfffff000, /* the ends under 3:1 and 4:4, of everything */
	0x60000001, 0x60003800,
	0x60004fff, 0xffffffff, /* inside pages */
};

static struct operand window_page(uint32_t page)
{
	return plain(WINDOW_BASE + page * PAGE_SIZE);
}

static struct operand recent_region(const struct state *state, uint32_t field)
{
	uint32_t age = field / SHORT_OFFSETS % state->nr_regions;
	uint32_t region = (state->last_region - age) % REGION_MAX;

	return (struct operand){region << 24 | field % SHORT_OFFSETS, true};
}

static struct operand read_addr(const struct state *state, enum op_code code, uint32_t field)
{
	if (code == OP_brk)
		return plain(field == ADDR_BRK_ZERO ? 0 : HEAP_BASE + field * PAGE_SIZE);
	if (field >= ADDR_LANDMARKS)
		return plain(landmarks[field - ADDR_LANDMARKS]);
	if (field >= ADDR_HEAP)
		return plain(HEAP_BASE + (field - ADDR_HEAP) * PAGE_SIZE);
	if (field < ADDR_REGIONS)
		return window_page(field % SHORT_WINDOW + (field < FAR_WINDOW ? 0 : SHORT_WINDOW));
	if (code == OP_mmap && field < ADDR_REGIONS + MMAP_ANYWHERE)
		return plain(0);
	if (code == OP_mmap || state->nr_regions == 0)
		return window_page(field % SHORT_WINDOW);
	return recent_region(state, field - ADDR_REGIONS);
}

static uint32_t guess_addr(const struct state *state, enum op_code code, struct operand operand)
{
	uint32_t page = (operand.value - WINDOW_BASE) / PAGE_SIZE;
	uint32_t heap = (operand.value - HEAP_BASE) / PAGE_SIZE;

	if (operand.ref) {
		uint32_t age = (state->last_region - (operand.value >> 24)) % REGION_MAX;
		uint32_t field = ADDR_REGIONS + age * SHORT_OFFSETS + (operand.value & 0xffffffu);

		return field < ADDR_HEAP && (operand.value & 0xffffffu) < SHORT_OFFSETS ? field
											: ADDR_FULL;
	}
	if (code == OP_brk)
		return operand.value == 0 ? ADDR_BRK_ZERO : heap < ADDR_BRK_ZERO ? heap : ADDR_FULL;
	if (operand.value == 0 && code == OP_mmap)
		return ADDR_REGIONS;
	if (page < 2 * SHORT_WINDOW)
		return page < SHORT_WINDOW ? page : FAR_WINDOW + page % SHORT_WINDOW;
	if (heap < ADDR_LANDMARKS - ADDR_HEAP)
		return ADDR_HEAP + heap;
	for (uint32_t i = 0; i < ADDR_WINDOW_FULL - ADDR_LANDMARKS; i++) {
		if (landmarks[i] == operand.value)
			return ADDR_LANDMARKS + i;
	}
	return ADDR_FULL;
}

static struct operand read_addr_full(struct reader *in, const struct state *state, uint32_t field)
{
	uint32_t region;

	switch (field) {
	case ADDR_WINDOW_FULL:
		return window_page(get(in, 1));
	case ADDR_REF_FULL:
		region = get(in, 1) % REGION_MAX;
		return (struct operand){region << 24 | get(in, 3), true};
	case ADDR_PAGE_FULL:
		return plain(get(in, 3) << PAGE_SHIFT);
	default:
		return plain(get(in, 4));
	}
}

static uint32_t write_addr_full(struct writer *out, struct operand operand)
{
	uint32_t page = (operand.value - WINDOW_BASE) / PAGE_SIZE;

	if (operand.ref) {
		put(out, 1, operand.value >> 24);
		put(out, 3, operand.value);
		return ADDR_REF_FULL;
	}
	if (operand.value % PAGE_SIZE) {
		put(out, 4, operand.value);
		return ADDR_FULL;
	}
	if (page < WINDOW_PAGES) {
		put(out, 1, page);
		return ADDR_WINDOW_FULL;
	}
	put(out, 3, operand.value >> PAGE_SHIFT);
	return ADDR_PAGE_FULL;
}

/*
 * A length or count, 8 bits:
 *     0..31    1 to 32; for truncate 0 to 31
 *    32..223   the same six times over; 9 to 40 for mmap, 1 to 8 for ops that cut
 *   224..251   lengths at which something changes; for mmap and mremap, which may make that many
 *              pages present, 1 to 32 in place of those from LEN_HUGE on
 *   252        1 byte;  253: 2 bytes;  254, 255: 3 bytes
 */
enum { LEN_SPECIAL = 224, LEN_BYTE = 252, LEN_WORD = 253, LEN_FULL = 254 };
#define SHORT_LENS 32u
#define PART_LENS  8u
#define LEN_HUGE   4096u

static const uint32_t special_lens[LEN_BYTE - LEN_SPECIAL] = {
	0,    0,        33,    48,    63,     64,     65,     100,     127,  128,
	255,  256,      257,   300,   511,    512,    513,    767,     1024, 1025,
	2048, LEN_HUGE, 32768, 65536, 131072, 262144, 786432, LEN_MAX,
};

static uint32_t shortest_len(enum op_code code)
{
	return code == OP_truncate ? 0 : 1;
}

/* May an op of this kind turn its length into as many pages? */
static bool may_populate(enum op_code code)
{
	return code == OP_mmap || code == OP_mremap || code == OP_mlock ||
	       code == OP_remap_file_pages || code == OP_pin;
}

/* Is it the more interesting the less of an area it covers? */
static bool wants_part(enum op_code code)
{
	return code == OP_munmap || code == OP_mprotect || code == OP_madvise || code == OP_mlock ||
	       code == OP_munlock || code == OP_msync || code == OP_remap_file_pages ||
	       code == OP_pin;
}

static struct operand read_len(const struct state *state, enum op_code code, uint32_t field)
{
	if (field >= LEN_SPECIAL) {
		uint32_t len = special_lens[field - LEN_SPECIAL];

		if (len < LEN_HUGE || !may_populate(code))
			return plain(len);
	}
	if (field < SHORT_LENS)
		return plain(field + shortest_len(code));
	if (wants_part(code))
		return plain(field % PART_LENS + 1);
	return plain(field % SHORT_LENS + (code == OP_mmap ? PART_LENS + 1 : shortest_len(code)));
}

static uint32_t guess_len(const struct state *state, enum op_code code, struct operand operand)
{
	if (operand.value - shortest_len(code) < SHORT_LENS)
		return operand.value - shortest_len(code);
	for (uint32_t i = 0; i < LEN_BYTE - LEN_SPECIAL; i++) {
		if (special_lens[i] == operand.value)
			return LEN_SPECIAL + i;
	}
	return LEN_FULL;
}

static struct operand read_len_full(struct reader *in, const struct state *state, uint32_t field)
{
	if (field == LEN_BYTE)
		return plain(get(in, 1));
	return plain(field == LEN_WORD ? get(in, 2) : get(in, 3) & LEN_MAX);
}

static uint32_t write_len_full(struct writer *out, struct operand operand)
{
	uint32_t bytes = operand.value < 0x100 ? 1 : operand.value < 0x10000 ? 2 : 3;

	put(out, bytes, operand.value);
	return LEN_BYTE + bytes - 1;
}

/* mremap's, msync's and remap_file_pages' flags are their bits, a file is its number. */
static struct operand read_plain(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(field);
}

static uint32_t guess_plain(const struct state *state, enum op_code code, struct operand operand)
{
	return operand.value;
}

/* A protection, 4 bits: 0..7 its bits; 8..15 readable and writable, which most memory is. */
static struct operand read_prot(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(field <= OP_PROT_MASK ? field : OP_PROT_READ | OP_PROT_WRITE);
}

/* Flags of mmap, 4 bits: 0..7 the three frequent ones in any combination; 8..14 combinations with
 * one of the others; 15: all of them in a byte. */
#define MFLAGS_PLAIN  8
#define MFLAGS_ESCAPE 15
_Static_assert((OP_MAP_SHARED | OP_MAP_ANON | OP_MAP_FIXED) == MFLAGS_PLAIN - 1,
	       "the frequent flags are the low bits");

static const uint8_t common_mflags[MFLAGS_ESCAPE - MFLAGS_PLAIN] = {
	OP_MAP_LOCKED | OP_MAP_ANON,
	OP_MAP_LOCKED | OP_MAP_SHARED,
	OP_MAP_GROWSDOWN | OP_MAP_ANON,
	OP_MAP_NORESERVE | OP_MAP_ANON,
	OP_MAP_POPULATE | OP_MAP_ANON,
	OP_MAP_POPULATE | OP_MAP_SHARED,
	OP_MAP_POPULATE | OP_MAP_ANON | OP_MAP_FIXED,
};

static struct operand read_mflags(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(field < MFLAGS_PLAIN ? field : common_mflags[field - MFLAGS_PLAIN]);
}

static uint32_t guess_mflags(const struct state *state, enum op_code code, struct operand operand)
{
	if (operand.value < MFLAGS_PLAIN)
		return operand.value;
	for (uint32_t i = 0; i < MFLAGS_ESCAPE - MFLAGS_PLAIN; i++) {
		if (common_mflags[i] == operand.value)
			return MFLAGS_PLAIN + i;
	}
	return MFLAGS_ESCAPE;
}

static struct operand read_mflags_full(struct reader *in, const struct state *state, uint32_t field)
{
	return plain(get(in, 1) & OP_MAP_MASK);
}

static uint32_t write_mflags_full(struct writer *out, struct operand operand)
{
	put(out, 1, operand.value);
	return MFLAGS_ESCAPE;
}

/* Advice, 3 bits. */
static struct operand read_advice(const struct state *state, enum op_code code, uint32_t field)
{
	/* The one that does something more often than the others. */
	return plain(field < NR_ADVICE ? field : ADVICE_DONTNEED);
}

/* A file offset, 5 bits: 0..15; 16..30: 0 to 7, twice over; 31: 3 bytes. */
#define PGOFF_PLAIN  16
#define PGOFF_ESCAPE 31

static struct operand read_pgoff(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(field < PGOFF_PLAIN ? field : field % 8);
}

static uint32_t guess_pgoff(const struct state *state, enum op_code code, struct operand operand)
{
	return operand.value < PGOFF_PLAIN ? operand.value : PGOFF_ESCAPE;
}

static struct operand read_pgoff_full(struct reader *in, const struct state *state, uint32_t field)
{
	return plain(get(in, 3) & LEN_MAX);
}

static uint32_t write_pgoff_full(struct writer *out, struct operand operand)
{
	put(out, 3, operand.value);
	return PGOFF_ESCAPE;
}

/* A swap area, 4 bits: 0..14 modulo how many there are; 15: a byte. */
#define AREA_ESCAPE 15

static struct operand read_area(const struct state *state, enum op_code code, uint32_t field)
{
	return plain(state->nr_swap ? field % state->nr_swap : field);
}

static uint32_t guess_area(const struct state *state, enum op_code code, struct operand operand)
{
	return operand.value < AREA_ESCAPE ? operand.value : AREA_ESCAPE;
}

static struct operand read_area_full(struct reader *in, const struct state *state, uint32_t field)
{
	return plain(get(in, 1) % SWAP_AREAS_MAX);
}

static uint32_t write_area_full(struct writer *out, struct operand operand)
{
	put(out, 1, operand.value);
	return AREA_ESCAPE;
}

/* A pin, 4 bits: 0..14 the one with this number among those that are made, modulo how many there
 * are; one to be made is the lowest free; 15: a byte. */
#define PIN_ESCAPE 15

static struct operand read_pin(const struct state *state, enum op_code code, uint32_t field)
{
	uint32_t pins = state->pins;

	if (!pins)
		return plain(0);
	for (field %= (uint32_t)__builtin_popcount(pins); field; field--)
		pins &= pins - 1;
	return plain((uint32_t)__builtin_ctz(pins));
}

static uint32_t guess_pin(const struct state *state, enum op_code code, struct operand operand)
{
	uint32_t below = state->pins & ((1u << operand.value % PIN_MAX) - 1);

	return (uint32_t)__builtin_popcount(below);
}

static struct operand read_newpin(const struct state *state, enum op_code code, uint32_t field)
{
	return plain((uint32_t)__builtin_ctz(~state->pins) % PIN_MAX);
}

static struct operand read_pin_full(struct reader *in, const struct state *state, uint32_t field)
{
	return plain(get(in, 1) % PIN_MAX);
}

static uint32_t write_pin_full(struct writer *out, struct operand operand)
{
	put(out, 1, operand.value % PIN_MAX);
	return PIN_ESCAPE;
}

static const struct field fields[] = {
	[OPERAND_PROC] = {4, PROC_ESCAPE, read_proc, guess_proc, read_slot, write_slot},
	[OPERAND_NEWPROC] = {4, PROC_ESCAPE, read_newproc, guess_zero, read_newproc_full,
			     write_slot},
	[OPERAND_REGION] = {4, REGION_ESCAPE, read_region, guess_region, read_region_full,
			    write_region_full},
	[OPERAND_ADDR] = {8, ADDR_WINDOW_FULL, read_addr, guess_addr, read_addr_full,
			  write_addr_full},
	[OPERAND_LEN] = {8, LEN_BYTE, read_len, guess_len, read_len_full, write_len_full},
	[OPERAND_COUNT] = {8, LEN_BYTE, read_len, guess_len, read_len_full, write_len_full},
	[OPERAND_PROT] = {4, 16, read_prot, guess_plain, NULL, NULL},
	[OPERAND_RFLAGS] = {3, 8, read_plain, guess_plain, NULL, NULL},
	[OPERAND_SFLAGS] = {3, 8, read_plain, guess_plain, NULL, NULL},
	[OPERAND_NFLAGS] = {1, 2, read_plain, guess_plain, NULL, NULL},
	[OPERAND_FILE] = {3, 8, read_plain, guess_plain, NULL, NULL},
	[OPERAND_ADVICE] = {3, 8, read_advice, guess_plain, NULL, NULL},
	[OPERAND_MFLAGS] = {4, MFLAGS_ESCAPE, read_mflags, guess_mflags, read_mflags_full,
			    write_mflags_full},
	[OPERAND_PGOFF] = {5, PGOFF_ESCAPE, read_pgoff, guess_pgoff, read_pgoff_full,
			   write_pgoff_full},
	[OPERAND_SWAP] = {4, AREA_ESCAPE, read_area, guess_area, read_area_full, write_area_full},
	[OPERAND_PIN] = {4, PIN_ESCAPE, read_pin, guess_pin, read_pin_full, write_pin_full},
	[OPERAND_NEWPIN] = {4, PIN_ESCAPE, read_newpin, guess_zero, read_pin_full, write_pin_full},
	[OPERAND_PFLAGS] = {2, 4, read_plain, guess_plain, NULL, NULL},
};
_Static_assert(OP_PROT_MASK == 7 && OP_MREMAP_MASK == 7 && OP_MS_MASK == 7 && OP_REMAP_MASK == 1 &&
		       OP_PIN_MASK == 3 && FILE_MAX == 8 && NR_ADVICE <= 8,
	       "fields without an escape hold every value");

/* ---- ops ---------------------------------------------------------------------------------- */

/*
 * Codes from here on are properties, four for each: n = 1, 2, 3 and n in two bytes behind it. Each
 * property of op_properties keeps its codes for ever, so later ones come from below.
 *
 * Those at POINT_CODE make the op that follows a nested one, the same way with n for how often the
 * point is passed, and then a byte for the point: its number, or from POINT_ANY on one of those
 * that the host may pass (which only fuzzers write).
 */
#define POINT_CODE 232
#define POINT_ANY  128u
_Static_assert(NR_POINTS <= POINT_ANY, "every point has a number of its own");
#define PREFIX_FIRST 232
static const uint8_t property_codes[NR_PROPERTIES] = {244, 248, 252, 240, 236};

static uint32_t property_of(uint32_t code)
{
	uint32_t i = 0;

	while (property_codes[i] != code / 4 * 4)
		i++;
	return i;
}

/*
 * Codes from here on name the ops that make a trace eventful. The encoder never writes them, so
 * that the list may change without harm to what has been kept.
 */
#define CODE_COMMON 64
_Static_assert(NR_OPS <= CODE_COMMON, "every op has a code of its own");

static const uint8_t common_ops[] = {
	OP_mmap,  OP_write,   OP_read,   OP_fork,   OP_mmap,    OP_write,    OP_swapout,
	OP_mmap,  OP_munmap,  OP_write,  OP_mremap, OP_mmap,    OP_read,     OP_evict,
	OP_write, OP_reclaim, OP_mremap, OP_read,   OP_swapout, OP_mprotect, OP_remap_file_pages,
};

static uint32_t code_of(uint32_t byte)
{
	if (byte < CODE_COMMON)
		return byte % NR_OPS;
	return common_ops[(byte - CODE_COMMON) % sizeof(common_ops)];
}

/* The bit at which a field of BITS starts, if fields up to bit AT are taken. */
static uint32_t place_field(uint32_t at, uint32_t bits)
{
	return at % 8 + bits > 8 ? (at + 7) / 8 * 8 : at;
}

static void decode_operand(struct reader *in, const struct state *state, struct op *op, uint32_t i,
			   uint32_t value)
{
	const struct field *field = &fields[op_info(op->code)->operand[i].kind];
	struct operand operand;

	if (value < field->escape)
		operand = field->read_short(state, op->code, value);
	else
		operand = field->read_full(in, state, value);
	op->args[i] = operand.value;
	if (operand.ref)
		op->refs |= (uint8_t)(1u << i);
}

/*
 * Operands that the flags do not ask for are in the head all the same, so that its length does not
 * hang on a flag. They count only if one of them is written in full, which is how the encoder tells
 * that they are not 0.
 */
static void drop_idle(struct op *op, const uint32_t values[OP_ARGS_MAX])
{
	const struct op_info *info = op_info(op->code);
	uint32_t optional = op_optional(info);

	if (optional == info->nargs || op_wants_optional(op))
		return;
	for (uint32_t i = optional; i < info->nargs; i++) {
		if (values[i] >= fields[info->operand[i].kind].escape)
			return;
	}
	for (uint32_t i = optional; i < info->nargs; i++) {
		op->args[i] = 0;
		op->refs &= (uint8_t) ~(1u << i);
	}
}

static void decode_operands(struct reader *in, const struct state *state, struct op *op)
{
	const struct op_info *info = op_info(op->code);
	uint32_t values[OP_ARGS_MAX];
	uint32_t at = 0, byte = 0;

	for (uint32_t i = 0; i < info->nargs; i++) {
		uint32_t bits = fields[info->operand[i].kind].bits;

		at = place_field(at, bits);
		if (at % 8 == 0)
			byte = get(in, 1);
		values[i] = byte >> at % 8 & ((1u << bits) - 1);
		at += bits;
	}
	for (uint32_t i = 0; i < info->nargs; i++)
		decode_operand(in, state, op, i, values[i]);
	drop_idle(op, values);
}

/* The K-th of the points that CODE may pass, modulo how many there are. */
static enum point suitable_point(enum op_code code, uint32_t k)
{
	enum point suitable[NR_POINTS];
	uint32_t n = 0;

	for (int point = POINT_NONE + 1; point < NR_POINTS; point++) {
		if (point_suits((enum point)point, code))
			suitable[n++] = (enum point)point;
	}
	return n ? suitable[k % n] : POINT_ALLOC;
}

/* HOST: the op before, or NULL; then there is nothing to run in. */
static void decode_point(struct reader *in, const struct op *host, struct op *op, uint32_t n)
{
	uint32_t byte = get(in, 1);

	if (!host)
		return;
	op->point_nth = n ? (uint16_t)n : 1;
	if (byte >= POINT_ANY)
		op->point = (uint16_t)suitable_point((enum op_code)host->code, byte - POINT_ANY);
	else
		op->point = (uint16_t)(byte % (NR_POINTS - 1) + 1);
}

/* False: no op is left. HOST: the last one that is not nested, or NULL. */
static bool decode_op(struct reader *in, const struct state *state, const struct op *host,
		      struct op *op)
{
	memset(op, 0, sizeof(*op));
	while (in->at < in->size) {
		uint32_t code = get(in, 1), n;

		if (code < PREFIX_FIRST) {
			op->code = (uint8_t)code_of(code);
			decode_operands(in, state, op);
			return true;
		}
		n = code % 4 + 1;
		if (n == 4)
			n = get(in, 2);
		if (code / 4 * 4 == POINT_CODE)
			decode_point(in, host, op, n);
		else
			op_set_property(op, property_of(code), (uint16_t)n);
	}
	return false;
}

static uint32_t encode_operand(struct writer *full, const struct state *state, const struct op *op,
			       uint32_t i, bool idle)
{
	const struct field *field = &fields[op_info(op->code)->operand[i].kind];
	struct operand operand = {op->args[i], op->refs >> i & 1};
	uint32_t value = field->guess(state, op->code, operand);

	if (value < field->escape && !(idle && field->write_full)) {
		struct operand read = field->read_short(state, op->code, value);

		if (read.value == operand.value && read.ref == operand.ref)
			return value;
	}
	MM_ASSERT(field->write_full);
	return field->write_full(full, operand);
}

/* N > 0 */
static void encode_prefix(struct writer *out, uint32_t code, uint32_t n)
{
	put(out, 1, code + (n < 4 ? n - 1 : 3));
	if (n >= 4)
		put(out, 2, n);
}

#define FULL_MAX (4 * OP_ARGS_MAX)

static void encode_op(struct writer *out, const struct state *state, const struct op *op)
{
	const struct op_info *info = op_info(op->code);
	uint8_t head[OP_ARGS_MAX] = {0}, full_data[FULL_MAX];
	struct writer full = {full_data, sizeof(full_data), 0};
	/* Operands from `idle` on are not asked for; if `end` is behind them, they are not 0. */
	uint32_t end = op_nr_operands(op);
	uint32_t idle = op_wants_optional(op) ? info->nargs : op_optional(info);
	uint32_t at = 0;

	if (op->point) {
		encode_prefix(out, POINT_CODE, op->point_nth);
		put(out, 1, op->point - 1u);
	}
	for (uint32_t i = 0; i < NR_PROPERTIES; i++) {
		if (op_property(op, i))
			encode_prefix(out, property_codes[i], op_property(op, i));
	}
	put(out, 1, op->code);
	for (uint32_t i = 0; i < info->nargs; i++) {
		uint32_t bits = fields[info->operand[i].kind].bits;

		at = place_field(at, bits);
		if (i < end)
			head[at / 8] |=
				(uint8_t)(encode_operand(&full, state, op, i, i >= idle) << at % 8);
		at += bits;
	}
	for (uint32_t i = 0; i < (at + 7) / 8; i++)
		put(out, 1, head[i]);
	for (size_t i = 0; i < full.len; i++)
		put(out, 1, full_data[i]);
}

/* ---- the machine -------------------------------------------------------------------------- */

#define MACHINE_FULL          255u
#define MACHINE_MORE          254u
#define MORE_MAX              64u    /* less than so many values: random bytes leave some for ops */
#define CONFIG_FILE_PAGES_MAX 65536u /* what config.c accepts */
#define CPUS_OF_FIELDS        2u     /* without an extension that says otherwise */

static uint32_t nr_presets(void)
{
	uint32_t n = 0;

	while (machine_presets[n].name)
		n++;
	return n < MACHINE_MORE ? n : MACHINE_MORE;
}

/* VALUE if it lies in [LOW, HIGH], else something that does. */
static uint32_t into_range(uint32_t value, uint32_t low, uint32_t high)
{
	return value >= low && value <= high ? value : low + value % (high - low + 1);
}

static void add_area(struct machine_config *config, uint32_t pages, uint32_t priority)
{
	if (pages && config->nr_swap < SWAP_AREAS_MAX)
		config->swap[config->nr_swap++] = (struct swap_config){
			pages, (uint8_t)into_range(priority, 0, SWAP_PRIORITY_MAX)};
}

/*
 * What came later than the fields of MACHINE_FULL: a count (modulo MORE_MAX), and so many times the
 * number of a row (modulo how many there are) and a value of 4 bytes. Rows are only ever appended.
 * encode says what the N-th value of a row is; false: there are no more.
 */
struct extension {
	void (*decode)(struct machine_config *config, uint32_t value);
	bool (*encode)(const struct machine_config *config, uint32_t n, uint32_t *value);
};

/* An area more: pages, and the priority in the highest byte. */
static void decode_area(struct machine_config *config, uint32_t value)
{
	add_area(config, value & SWAP_PAGES_MAX, value >> 24);
}

/* One area without a priority is among the fields. */
static bool plain_swap(const struct machine_config *config)
{
	return config->nr_swap == 0 || (config->nr_swap == 1 && !config->swap[0].priority);
}

static bool encode_area(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	if (plain_swap(config) || n >= config->nr_swap)
		return false;
	*value = config->swap[n].pages | (uint32_t)config->swap[n].priority << 24;
	return true;
}

static void decode_counters(struct machine_config *config, uint32_t value)
{
	config->counters = value & 1 ? COUNTERS_TINY : COUNTERS_FULL;
}

static bool encode_counters(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = COUNTERS_TINY;
	return n == 0 && config->counters == COUNTERS_TINY;
}

/* Page clustering. */
static void decode_cluster(struct machine_config *config, uint32_t value)
{
	config->cluster = into_range(value, 0, CLUSTER_MAX);
}

static bool encode_cluster(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->cluster;
	return n == 0 && config->cluster;
}

static void decode_nonlinear(struct machine_config *config, uint32_t value)
{
	config->nonlinear = into_range(value, NONLINEAR_EXACT, NONLINEAR_CLUSTER);
}

static bool encode_nonlinear(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->nonlinear;
	return n == 0 && config->nonlinear != NONLINEAR_EXACT;
}

static void decode_cpus(struct machine_config *config, uint32_t value)
{
	config->cpus = into_range(value, 1, CPUS_MAX);
}

static bool encode_cpus(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->cpus;
	return n == 0 && config->cpus != CPUS_OF_FIELDS;
}

static void decode_accounting(struct machine_config *config, uint32_t value)
{
	config->accounting = into_range(value, ACCOUNTING_APART, ACCOUNTING_COMPETING);
}

static bool encode_accounting(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->accounting;
	return n == 0 && config->accounting != ACCOUNTING_APART;
}

static const struct extension extensions[] = {
	{decode_area, encode_area},       {decode_counters, encode_counters},
	{decode_cluster, encode_cluster}, {decode_nonlinear, encode_nonlinear},
	{decode_cpus, encode_cpus},       {decode_accounting, encode_accounting},
};
#define NR_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

static void decode_fields(struct reader *in, struct machine_config *config)
{
	/* In statements: the order in which initializers are evaluated is nobody's promise. */
	*config = (struct machine_config){.cpus = CPUS_OF_FIELDS};
	config->ram_mb = into_range(get(in, 3), 16, 65536);
	config->split = into_range(get(in, 1), SPLIT_3_1, SPLIT_4_4);
	config->era = into_range(get(in, 1), ERA_2_6_6, ERA_2_6_7);
	config->highpte = get(in, 1) & 1;
	config->cacheline = 32u << get(in, 1) % 3;
	add_area(config, get(in, 3), 0);
	config->files = into_range(get(in, 1), 0, FILE_MAX);
	config->file_pages = into_range(get(in, 3), 0, CONFIG_FILE_PAGES_MAX);
	config->pool = into_range(get(in, 1), POOL_POISON, POOL_RECYCLE);
	config->stop_on_refusal = get(in, 1) & 1;
}

static void decode_machine(struct reader *in, struct machine_config *config)
{
	uint32_t preset = get(in, 1);

	if (preset < MACHINE_MORE) {
		*config = machine_presets[preset % nr_presets()].config;
		return;
	}
	decode_fields(in, config);
	if (preset != MACHINE_MORE)
		return;
	for (uint32_t n = get(in, 1) % MORE_MAX; n; n--) {
		const struct extension *extension = &extensions[get(in, 1) % NR_EXTENSIONS];

		extension->decode(config, get(in, 4));
	}
}

static void encode_fields(struct writer *out, const struct machine_config *config)
{
	put(out, 3, config->ram_mb);
	put(out, 1, config->split);
	put(out, 1, config->era);
	put(out, 1, config->highpte);
	put(out, 1, config->cacheline == 128 ? 2 : config->cacheline == 64);
	put(out, 3, plain_swap(config) && config->nr_swap ? config->swap[0].pages : 0);
	put(out, 1, config->files);
	put(out, 3, config->file_pages);
	put(out, 1, config->pool);
	put(out, 1, config->stop_on_refusal);
}

static uint32_t nr_extended(const struct machine_config *config)
{
	uint32_t total = 0, value;

	for (size_t i = 0; i < NR_EXTENSIONS; i++) {
		for (uint32_t n = 0; extensions[i].encode(config, n, &value); n++)
			total++;
	}
	return total;
}

static void encode_machine(struct writer *out, const struct machine_config *config)
{
	uint32_t total = nr_extended(config), value;

	for (uint32_t i = 0; i < nr_presets(); i++) {
		if (machine_config_equal(config, &machine_presets[i].config)) {
			put(out, 1, i);
			return;
		}
	}
	MM_ASSERT(total < MORE_MAX);
	put(out, 1, total ? MACHINE_MORE : MACHINE_FULL);
	encode_fields(out, config);
	if (!total)
		return;
	put(out, 1, total);
	for (uint32_t i = 0; i < NR_EXTENSIONS; i++) {
		for (uint32_t n = 0; extensions[i].encode(config, n, &value); n++) {
			put(out, 1, i);
			put(out, 4, value);
		}
	}
}

/* ---- traces ------------------------------------------------------------------------------- */

void trace_decode(struct trace *trace, const uint8_t *data, size_t size, uint32_t max_ops)
{
	struct reader in = {data, size, 0};
	uint32_t host = 0;
	struct state state;
	struct op op;

	trace_clear(trace);
	decode_machine(&in, &trace->config);
	state_init(&state, &trace->config);
	while (trace->nr_ops < max_ops &&
	       decode_op(&in, &state, trace->nr_ops ? &trace->ops[host] : NULL, &op)) {
		int err = trace_add(trace, &op);

		MM_ASSERT(!err);
		if (!op.point)
			host = trace->nr_ops - 1;
		state_step(&state, &op);
	}
}

size_t trace_encode(const struct trace *trace, uint8_t *data, size_t size)
{
	struct writer out = {.size = size};
	struct state state;

	out.data = data;
	encode_machine(&out, &trace->config);
	state_init(&state, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		struct op op = trace->ops[i];

		if (i == 0)
			op.point = POINT_NONE; /* there is nothing that it could run in */
		encode_op(&out, &state, &op);
		state_step(&state, &op);
	}
	return out.len;
}

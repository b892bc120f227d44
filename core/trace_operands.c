/*
 * How each kind of operand is encoded: in a few bits of an op's head where it is what most traces
 * want, in full behind the head where it is not.
 */
#include "trace_bytes.h"

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

static struct operand read_proc(const struct trace_state *state, enum op_code code, uint32_t field)
{
	uint32_t k = field < PROC_PLAIN ? field : old_procs[field - PROC_PLAIN];

	/* The last address space ends only if that is spelled out. */
	if (ends_space(code) && state->nr_alive == 1)
		return plain(lowest_dead(state));
	if (ends_space(code) && state->nr_alive)
		k = state->nr_alive - 1 - k % state->nr_alive;
	return plain(live_proc(state, k));
}

static uint32_t guess_proc(const struct trace_state *state, enum op_code code,
			   struct operand operand)
{
	uint32_t older = state->alive & ((1u << operand.value % PROC_MAX) - 1);
	uint32_t k = (uint32_t)__builtin_popcount(older);

	if (ends_space(code))
		k = state->nr_alive - 1 - k;
	return k < PROC_PLAIN ? k : PROC_ESCAPE;
}

static struct operand read_slot(struct reader *in, const struct trace_state *state, uint32_t field)
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
static struct operand read_newproc(const struct trace_state *state, enum op_code code,
				   uint32_t field)
{
	return plain(lowest_dead(state));
}

static struct operand read_newproc_full(struct reader *in, const struct trace_state *state,
					uint32_t field)
{
	uint32_t slot = get(in, 1);

	return plain(slot < PROC_MAX ? slot : lowest_dead(state));
}

static uint32_t guess_zero(const struct trace_state *state, enum op_code code,
			   struct operand operand)
{
	return 0;
}

/* A region: 0..11 the next one, 12..14 none; 15: a byte. */
#define REGION_UNNAMED 12
#define REGION_ESCAPE  15

static struct operand read_region(const struct trace_state *state, enum op_code code,
				  uint32_t field)
{
	return plain(field < REGION_UNNAMED ? next_region(state) : REGION_NONE);
}

static uint32_t guess_region(const struct trace_state *state, enum op_code code,
			     struct operand operand)
{
	return operand.value == REGION_NONE ? REGION_UNNAMED : 0;
}

static struct operand read_region_full(struct reader *in, const struct trace_state *state,
				       uint32_t field)
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

static struct operand recent_region(const struct trace_state *state, uint32_t field)
{
	uint32_t age = field / SHORT_OFFSETS % state->nr_regions;
	uint32_t region = (state->last_region - age) % REGION_MAX;

	return (struct operand){region << 24 | field % SHORT_OFFSETS, true};
}

static struct operand read_addr(const struct trace_state *state, enum op_code code, uint32_t field)
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

static uint32_t guess_addr(const struct trace_state *state, enum op_code code,
			   struct operand operand)
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

static struct operand read_addr_full(struct reader *in, const struct trace_state *state,
				     uint32_t field)
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

static struct operand read_len(const struct trace_state *state, enum op_code code, uint32_t field)
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

static uint32_t guess_len(const struct trace_state *state, enum op_code code,
			  struct operand operand)
{
	if (operand.value - shortest_len(code) < SHORT_LENS)
		return operand.value - shortest_len(code);
	for (uint32_t i = 0; i < LEN_BYTE - LEN_SPECIAL; i++) {
		if (special_lens[i] == operand.value)
			return LEN_SPECIAL + i;
	}
	return LEN_FULL;
}

static struct operand read_len_full(struct reader *in, const struct trace_state *state,
				    uint32_t field)
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
static struct operand read_plain(const struct trace_state *state, enum op_code code, uint32_t field)
{
	return plain(field);
}

static uint32_t guess_plain(const struct trace_state *state, enum op_code code,
			    struct operand operand)
{
	return operand.value;
}

/* A protection, 4 bits: 0..7 its bits; 8..15 readable and writable, which most memory is. */
static struct operand read_prot(const struct trace_state *state, enum op_code code, uint32_t field)
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

static struct operand read_mflags(const struct trace_state *state, enum op_code code,
				  uint32_t field)
{
	return plain(field < MFLAGS_PLAIN ? field : common_mflags[field - MFLAGS_PLAIN]);
}

static uint32_t guess_mflags(const struct trace_state *state, enum op_code code,
			     struct operand operand)
{
	if (operand.value < MFLAGS_PLAIN)
		return operand.value;
	for (uint32_t i = 0; i < MFLAGS_ESCAPE - MFLAGS_PLAIN; i++) {
		if (common_mflags[i] == operand.value)
			return MFLAGS_PLAIN + i;
	}
	return MFLAGS_ESCAPE;
}

static struct operand read_mflags_full(struct reader *in, const struct trace_state *state,
				       uint32_t field)
{
	return plain(get(in, 1) & OP_MAP_MASK);
}

static uint32_t write_mflags_full(struct writer *out, struct operand operand)
{
	put(out, 1, operand.value);
	return MFLAGS_ESCAPE;
}

/* Advice, 3 bits. */
static struct operand read_advice(const struct trace_state *state, enum op_code code,
				  uint32_t field)
{
	/* The one that does something more often than the others. */
	return plain(field < NR_ADVICE ? field : ADVICE_DONTNEED);
}

/* A file offset, 5 bits: 0..15; 16..30: 0 to 7, twice over; 31: 3 bytes. */
#define PGOFF_PLAIN  16
#define PGOFF_ESCAPE 31

static struct operand read_pgoff(const struct trace_state *state, enum op_code code, uint32_t field)
{
	return plain(field < PGOFF_PLAIN ? field : field % 8);
}

static uint32_t guess_pgoff(const struct trace_state *state, enum op_code code,
			    struct operand operand)
{
	return operand.value < PGOFF_PLAIN ? operand.value : PGOFF_ESCAPE;
}

static struct operand read_pgoff_full(struct reader *in, const struct trace_state *state,
				      uint32_t field)
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

static struct operand read_area(const struct trace_state *state, enum op_code code, uint32_t field)
{
	return plain(state->nr_swap ? field % state->nr_swap : field);
}

static uint32_t guess_area(const struct trace_state *state, enum op_code code,
			   struct operand operand)
{
	return operand.value < AREA_ESCAPE ? operand.value : AREA_ESCAPE;
}

static struct operand read_area_full(struct reader *in, const struct trace_state *state,
				     uint32_t field)
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

static struct operand read_pin(const struct trace_state *state, enum op_code code, uint32_t field)
{
	uint32_t pins = state->pins;

	if (!pins)
		return plain(0);
	for (field %= (uint32_t)__builtin_popcount(pins); field; field--)
		pins &= pins - 1;
	return plain((uint32_t)__builtin_ctz(pins));
}

static uint32_t guess_pin(const struct trace_state *state, enum op_code code,
			  struct operand operand)
{
	uint32_t below = state->pins & ((1u << operand.value % PIN_MAX) - 1);

	return (uint32_t)__builtin_popcount(below);
}

static struct operand read_newpin(const struct trace_state *state, enum op_code code,
				  uint32_t field)
{
	return plain((uint32_t)__builtin_ctz(~state->pins) % PIN_MAX);
}

static struct operand read_pin_full(struct reader *in, const struct trace_state *state,
				    uint32_t field)
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

const struct field *trace_field(enum operand_kind kind)
{
	return &fields[kind];
}

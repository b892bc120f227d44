/*
 * The table of operations in memory, and what depends on no form of a trace: names, words and
 * region references. The rows are op.def's; A1..A8 make initialisers of its operand lists.
 */
#include <string.h>

#include "machine.h"
#include "trace_private.h"

#define A1(kind, name)                                                                             \
	{                                                                                          \
		OPERAND_##kind, #name                                                              \
	}
#define A2(kind, name, ...) A1(kind, name), A1(__VA_ARGS__)
#define A3(kind, name, ...) A1(kind, name), A2(__VA_ARGS__)
#define A4(kind, name, ...) A1(kind, name), A3(__VA_ARGS__)
#define A5(kind, name, ...) A1(kind, name), A4(__VA_ARGS__)
#define A6(kind, name, ...) A1(kind, name), A5(__VA_ARGS__)
#define A7(kind, name, ...) A1(kind, name), A6(__VA_ARGS__)
#define A8(kind, name, ...) A1(kind, name), A7(__VA_ARGS__)

#define OP(name, operands, help)                                                                   \
	[OP_##name] = {#name,                                                                      \
		       help,                                                                       \
		       sizeof((struct op_operand[]){operands}) / sizeof(struct op_operand),        \
		       {operands}},
static const struct op_info infos[NR_OPS] = {
#include "op.def"
};
#undef OP

const struct op_info *op_info(enum op_code code)
{
	return &infos[code];
}

int op_code_of(const char *name)
{
	for (int code = 0; code < NR_OPS; code++) {
		if (strcmp(infos[code].name, name) == 0)
			return code;
	}
	return -1;
}

int op_operand_index(enum op_code code, const char *name)
{
	for (int i = 0; i < infos[code].nargs; i++) {
		if (strcmp(infos[code].operand[i].name, name) == 0)
			return i;
	}
	return -1;
}

static int operand_of_kind(const struct op_info *info, enum operand_kind kind)
{
	for (int i = 0; i < info->nargs; i++) {
		if (info->operand[i].kind == kind)
			return i;
	}
	return -1;
}

/* ---- region references ----------------------------------------------------------------- */

static uint32_t resolve(uint32_t ref, const uint32_t regions[REGION_MAX])
{
	uint32_t base = regions[(ref >> 24) % REGION_MAX];

	/* Offsets from an address that nobody has are not worth telling apart. */
	return base ? base + (ref & 0xffffffu) * PAGE_SIZE : 0;
}

struct op op_resolve(const struct op *op, const uint32_t regions[REGION_MAX])
{
	struct op resolved = *op;

	for (uint32_t refs = op->refs; refs; refs &= refs - 1) {
		int i = __builtin_ctz(refs);

		resolved.args[i] = resolve(op->args[i], regions);
	}
	resolved.refs = 0;
	return resolved;
}

void op_bind(const struct op *op, const struct result *result, uint32_t regions[REGION_MAX])
{
	int i = operand_of_kind(&infos[op->code], OPERAND_REGION);

	if (i >= 0 && op->args[i] < REGION_MAX && result->err == 0)
		regions[op->args[i]] = result->value;
}

/* ---- how operands are written ------------------------------------------------------------- */

static const struct op_word no_words[] = {{NULL, 0}};
static const struct op_word prot_words[] = {
	{"none", OP_PROT_NONE}, {"r", OP_PROT_READ}, {"w", OP_PROT_WRITE},
	{"x", OP_PROT_EXEC},    {NULL, 0},
};
static const struct op_word mflag_words[] = {
	{"private", 0},
	{"shared", OP_MAP_SHARED},
	{"anon", OP_MAP_ANON},
	{"fixed", OP_MAP_FIXED},
	{"populate", OP_MAP_POPULATE},
	{"locked", OP_MAP_LOCKED},
	{"growsdown", OP_MAP_GROWSDOWN},
	{"noreserve", OP_MAP_NORESERVE},
	{NULL, 0},
};
static const struct op_word rflag_words[] = {
	{"-", 0},
	{"maymove", OP_MREMAP_MAYMOVE},
	{"fixed", OP_MREMAP_FIXED},
	{"dontunmap", OP_MREMAP_DONTUNMAP},
	{NULL, 0},
};
static const struct op_word sflag_words[] = {
	{"-", 0},  {"async", OP_MS_ASYNC}, {"invalidate", OP_MS_INVALIDATE}, {"sync", OP_MS_SYNC},
	{NULL, 0},
};
static const struct op_word nflag_words[] = {
	{"-", 0},
	{"nonblock", OP_REMAP_NONBLOCK},
	{NULL, 0},
};
static const struct op_word pflag_words[] = {
	{"-", 0},
	{"write", OP_PIN_WRITE},
	{"force", OP_PIN_FORCE},
	{NULL, 0},
};
static const struct op_word advice_words[] = {
	{"normal", ADVICE_NORMAL},
	{"random", ADVICE_RANDOM},
	{"sequential", ADVICE_SEQUENTIAL},
	{"willneed", ADVICE_WILLNEED},
	{"dontneed", ADVICE_DONTNEED},
	{"pageout", ADVICE_PAGEOUT},
	{"free", ADVICE_FREE},
	{NULL, 0},
};

static const struct {
	const char *name, *help;
	const struct op_word *words;
} kinds[] = {
	[OPERAND_NONE] = {"none", "", no_words},
	[OPERAND_PROC] = {"process",
			  "`p0` to `p31`; one that is not alive makes the op fail with `ESRCH`",
			  no_words},
	[OPERAND_NEWPROC] =
		{"new process",
		 "`p0` to `p31`, before the `=`; one in use makes the op fail with `EAGAIN`",
		 no_words},
	[OPERAND_REGION] =
		{"region",
		 "`r0` to `r31`, before an `=`: the name for the address that the op returns",
		 no_words},
	[OPERAND_ADDR] =
		{"address",
		 "`w0` to `w255`: page of the window at 0x60000000; `r2` or `r2+5`: 5 pages "
		 "behind region r2; `0x08100000`: any address; `-`: address 0",
		 no_words},
	[OPERAND_LEN] = {"length", "pages, 0 to 1048575", no_words},
	[OPERAND_PROT] = {"protection", "`none`, or letters of `rwx`", prot_words},
	[OPERAND_MFLAGS] = {"mmap flags", "words joined by a bar; `private` if there is none",
			    mflag_words},
	[OPERAND_RFLAGS] = {"mremap flags", "words joined by a bar; `-` if there is none",
			    rflag_words},
	[OPERAND_ADVICE] = {"advice", "one word", advice_words},
	[OPERAND_FILE] = {"file", "`f0` to `f7`: even ones are on disk, odd ones in tmpfs",
			  no_words},
	[OPERAND_PGOFF] = {"offset", "pages into a file or a pin, 0 to 1048575", no_words},
	[OPERAND_COUNT] = {"count", "0 to 1048575", no_words},
	[OPERAND_SWAP] = {"swap area", "`s0` to `s31`, in the order of the machine's `swap`",
			  no_words},
	[OPERAND_SFLAGS] = {"msync flags", "words joined by a bar; `-` if there is none",
			    sflag_words},
	[OPERAND_NFLAGS] = {"remap_file_pages flags", "one word", nflag_words},
	[OPERAND_PIN] = {"pin",
			 "`d0` to `d15`; one that holds nothing makes the op fail with `EBADF`",
			 no_words},
	[OPERAND_NEWPIN] = {"new pin",
			    "`d0` to `d15`, before the `=`; one in use makes the op fail with "
			    "`EBUSY`",
			    no_words},
	[OPERAND_PFLAGS] = {"pin flags", "words joined by a bar; `-` if there is none",
			    pflag_words},
};

const struct op_word *op_words(enum operand_kind kind)
{
	return kinds[kind].words;
}
const char *op_kind_name(enum operand_kind kind)
{
	return kinds[kind].name;
}

const char *op_kind_help(enum operand_kind kind)
{
	return kinds[kind].help;
}

const struct op_property op_properties[NR_PROPERTIES] = {
	{"fail_nth", offsetof(struct op, fail_nth)},
	{"reclaim_nth", offsetof(struct op, reclaim_nth)},
	{"fail_meta", offsetof(struct op, fail_meta)},
	{"fail_from", offsetof(struct op, fail_from)},
	{"fail_meta_from", offsetof(struct op, fail_meta_from)},
};

uint32_t op_optional(const struct op_info *info)
{
	int flags = operand_of_kind(info, OPERAND_MFLAGS);

	if (flags < 0)
		flags = operand_of_kind(info, OPERAND_RFLAGS);
	return flags < 0 ? info->nargs : (uint32_t)flags + 1;
}

bool op_wants_optional(const struct op *op)
{
	const struct op_info *info = &infos[op->code];
	int mflags = operand_of_kind(info, OPERAND_MFLAGS);
	int rflags = operand_of_kind(info, OPERAND_RFLAGS);

	return (mflags >= 0 && !(op->args[mflags] & OP_MAP_ANON)) ||
	       (rflags >= 0 && (op->args[rflags] & OP_MREMAP_FIXED));
}

uint32_t op_nr_operands(const struct op *op)
{
	const struct op_info *info = &infos[op->code];
	uint32_t optional = op_optional(info);

	if (op_wants_optional(op))
		return info->nargs;
	for (uint32_t i = optional; i < info->nargs; i++) {
		if (op->args[i] || (op->refs >> i & 1))
			return info->nargs;
	}
	return optional;
}

int op_destination(const struct op_info *info)
{
	static const enum operand_kind kinds_made[] = {OPERAND_REGION, OPERAND_NEWPROC,
						       OPERAND_NEWPIN};
	int i = -1;

	for (int k = 0; k < 3 && i < 0; k++)
		i = operand_of_kind(info, kinds_made[k]);
	return i;
}

bool op_gives_address(enum op_code code)
{
	return code == OP_brk || operand_of_kind(&infos[code], OPERAND_REGION) >= 0;
}

bool op_gives_unmap(enum op_code code)
{
	return code == OP_evict || code == OP_swapout || code == OP_migrate;
}

/* ---- tables for people --------------------------------------------------------------------- */

int op_synopsis(enum op_code code, char *buf, size_t size)
{
	const struct op_info *info = &infos[code];
	int destination = op_destination(info);
	uint32_t optional = op_optional(info);
	struct text text;

	text_init(&text, buf, size);
	if (destination >= 0) {
		bool must = info->operand[destination].kind != OPERAND_REGION;

		text_put(&text, must ? "%s = " : "[%s =] ", info->operand[destination].name);
	}
	text_put(&text, "%s", info->name);
	for (uint32_t i = 0; i < info->nargs; i++) {
		if ((int)i != destination)
			text_put(&text, i == optional ? " [%s" : " %s", info->operand[i].name);
	}
	if (optional < info->nargs)
		text_put(&text, "]");
	return (int)text.len;
}

/* The names that ops give to operands of KIND: "addr, new_addr". */
static void print_operand_names(FILE *out, enum operand_kind kind)
{
	const char *seen[OP_ARGS_MAX * NR_OPS];
	uint32_t nr_seen = 0;

	for (int code = 0; code < NR_OPS; code++) {
		for (uint32_t i = 0; i < infos[code].nargs; i++) {
			const struct op_operand *operand = &infos[code].operand[i];
			uint32_t j = 0;

			if (operand->kind != kind)
				continue;
			while (j < nr_seen && strcmp(seen[j], operand->name) != 0)
				j++;
			if (j < nr_seen)
				continue;
			fprintf(out, "%s`%s`", nr_seen ? ", " : "", operand->name);
			seen[nr_seen++] = operand->name;
		}
	}
}

void op_table_markdown(FILE *out)
{
	char synopsis[128];

	fprintf(out, "| op | what it does |\n|---|---|\n");
	for (int code = 0; code < NR_OPS; code++) {
		op_synopsis(code, synopsis, sizeof(synopsis));
		fprintf(out, "| `%s` | %s |\n", synopsis, infos[code].help);
	}

	fprintf(out, "\n| operand | is a | written as |\n|---|---|---|\n");
	for (int kind = OPERAND_NONE + 1; kind < (int)(sizeof(kinds) / sizeof(kinds[0])); kind++) {
		fprintf(out, "| ");
		print_operand_names(out, kind);
		fprintf(out, " | %s | %s", kinds[kind].name, kinds[kind].help);
		for (const struct op_word *word = kinds[kind].words; word->name; word++)
			fprintf(out, "%s`%s`", word == kinds[kind].words ? ": " : ", ", word->name);
		fprintf(out, " |\n");
	}
}

/*
 * A trace as text, in canonical form: whatever is printed here, trace_text.c reads back as the same
 * trace.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "machine.h"
#include "trace_private.h"

void text_put(struct text *text, const char *format, ...)
{
	bool room = text->len < text->size;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? text->buf + text->len : NULL, room ? text->size - text->len : 0,
		      format, args);
	va_end(args);
	if (n > 0)
		text->len += (size_t)n;
}

#define QUOTED_MAX 40

void text_put_quoted(struct text *text, const char *s, size_t n)
{
	text_put(text, "\"");
	for (size_t i = 0; i < n && i < QUOTED_MAX; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			text_put(text, "\\%c", c);
		else if (c >= ' ' && c < 0x7f)
			text_put(text, "%c", c);
		else
			text_put(text, "\\x%02x", c);
	}
	text_put(text, n > QUOTED_MAX ? "...\"" : "\"");
}

/* ---- operands ------------------------------------------------------------------------------ */

static void put_addr(struct text *text, uint32_t addr)
{
	uint32_t page = (addr - WINDOW_BASE) / PAGE_SIZE;

	if (addr == 0)
		text_put(text, "-");
	else if (addr % PAGE_SIZE == 0 && page < WINDOW_PAGES)
		text_put(text, "w%" PRIu32, page);
	else
		text_put(text, "0x%08" PRIx32, addr);
}

static void put_ref(struct text *text, uint32_t ref)
{
	text_put(text, "r%" PRIu32, (ref >> 24) % REGION_MAX);
	if (ref & 0xffffffu)
		text_put(text, "+%" PRIu32, ref & 0xffffffu);
}

/* Words for the bits of FLAGS, or the word for none. */
static void put_flags(struct text *text, enum operand_kind kind, uint32_t flags,
		      const char *separator)
{
	const char *before = "";

	for (const struct op_word *word = op_words(kind); word->name; word++) {
		if (flags ? !(word->value & flags) : word->value != 0)
			continue;
		text_put(text, "%s%s", before, word->name);
		before = separator;
	}
}

static void put_word(struct text *text, enum operand_kind kind, uint32_t value)
{
	for (const struct op_word *word = op_words(kind); word->name; word++) {
		if (word->value == value)
			text_put(text, "%s", word->name);
	}
}

static void put_operand(struct text *text, const struct op *op, uint32_t i)
{
	enum operand_kind kind = op_info(op->code)->operand[i].kind;
	uint32_t value = op->args[i];

	switch (kind) {
	case OPERAND_PROC:
	case OPERAND_NEWPROC:
		text_put(text, "p%" PRIu32, value);
		break;
	case OPERAND_REGION:
		text_put(text, "r%" PRIu32, value);
		break;
	case OPERAND_FILE:
		text_put(text, "f%" PRIu32, value);
		break;
	case OPERAND_SWAP:
		text_put(text, "s%" PRIu32, value);
		break;
	case OPERAND_PIN:
	case OPERAND_NEWPIN:
		text_put(text, "d%" PRIu32, value);
		break;
	case OPERAND_ADDR:
		if (op->refs & 1u << i)
			put_ref(text, value);
		else
			put_addr(text, value);
		break;
	case OPERAND_PROT:
		put_flags(text, kind, value, "");
		break;
	case OPERAND_MFLAGS:
	case OPERAND_RFLAGS:
	case OPERAND_SFLAGS:
	case OPERAND_NFLAGS:
	case OPERAND_PFLAGS:
		put_flags(text, kind, value, "|");
		break;
	case OPERAND_ADVICE:
		put_word(text, kind, value);
		break;
	case OPERAND_LEN:
	case OPERAND_PGOFF:
	case OPERAND_COUNT:
	case OPERAND_NONE:
		text_put(text, "%" PRIu32, value);
		break;
	}
}

/* ---- ops ---------------------------------------------------------------------------------------
 */

static void put_op(struct text *text, const struct op *op)
{
	const struct op_info *info = op_info(op->code);
	int destination = op_destination(info);
	uint32_t nr = op_nr_operands(op);

	if (op->point)
		text_put(text, "@%s", point_name((enum point)op->point));
	if (op->point && op->point_nth != 1)
		text_put(text, ":%u", op->point_nth);
	if (op->point)
		text_put(text, " ");
	if (destination >= 0 && (info->operand[destination].kind != OPERAND_REGION ||
				 op->args[destination] != REGION_NONE)) {
		put_operand(text, op, (uint32_t)destination);
		text_put(text, " = ");
	}
	text_put(text, "%s", info->name);
	for (uint32_t i = 0; i < nr; i++) {
		if ((int)i == destination)
			continue;
		text_put(text, " ");
		put_operand(text, op, i);
	}
	for (uint32_t i = 0; i < NR_PROPERTIES; i++) {
		if (op_property(op, i))
			text_put(text, " (%s: %u)", op_properties[i].name, op_property(op, i));
	}
}

int op_print(const struct op *op, char *buf, size_t size)
{
	struct text text;

	text_init(&text, buf, size);
	put_op(&text, op);
	return (int)text.len;
}

/* ---- expectations ---------------------------------------------------------------------------- */

/* The line for an expectation that is not an op's result. */
static void put_expect(struct text *text, const struct expect *expect)
{
	text_put(text, "# expect: ");
	switch (expect->kind) {
	case EXPECT_CLEAN:
		text_put(text, "clean\n");
		break;
	case EXPECT_FINDING:
		text_put(text, "%s\n", expect->text);
		break;
	case EXPECT_PAGES:
		text_put(text, "p%" PRIu32 " ", expect->proc);
		put_addr(text, expect->vpn << PAGE_SHIFT);
		text_put(text, " %s\n", expect->text);
		break;
	case EXPECT_MAPPERS:
		text_put(text, "mappers p%" PRIu32 " ", expect->proc);
		put_addr(text, expect->vpn << PAGE_SHIFT);
		text_put(text, " %" PRIu32 "\n", expect->count);
		break;
	case EXPECT_RESULT:
		break;
	}
}

/* A line never needs more: eight operands of at most 50 characters, a point, five properties, a
 * result. */
#define LINE_SIZE 768

/* The expectation at E, if it is about op AT. */
static const struct expect *expect_of(const struct trace *trace, uint32_t e, uint32_t at)
{
	if (e < trace->nr_expects && trace->expects[e].at == at)
		return &trace->expects[e];
	return NULL;
}

/* The op's line, with the result it is to have, if that is the first expectation from *E on. */
static void print_op_line(const struct trace *trace, uint32_t i, uint32_t *e, FILE *out)
{
	char line[LINE_SIZE];
	struct text text = {line, sizeof(line), 0};
	const struct expect *expect = expect_of(trace, *e, i);
	struct op op = trace->ops[i];

	if (i == 0)
		op.point = POINT_NONE; /* there is nothing that it could run in */
	put_op(&text, &op);
	if (expect && expect->kind == EXPECT_RESULT) {
		text_put(&text, " = ");
		expect_put(&text, trace->ops[i].code, expect);
		++*e;
	}
	fprintf(out, "%s%s\n", op.point ? "  " : "", line);
}

/* The other expectations from *E on that follow op AT. A second result of one op has no line. */
static void print_expects(const struct trace *trace, uint32_t at, uint32_t *e, FILE *out)
{
	const struct expect *expect;

	while ((expect = expect_of(trace, *e, at)) != NULL) {
		char line[LINE_SIZE];
		struct text text = {line, sizeof(line), 0};

		++*e;
		if (expect->kind == EXPECT_RESULT)
			continue;
		put_expect(&text, expect);
		fputs(line, out);
	}
}

void trace_print(const struct trace *trace, FILE *out)
{
	char machine[MACHINE_CONFIG_TEXT_MAX];
	uint32_t e = 0;

	machine_config_print(&trace->config, machine, sizeof(machine));
	fprintf(out, "rmapfuzz trace %d\nmachine %s\n", TRACE_FORMAT_VERSION, machine);
	print_expects(trace, UINT32_MAX, &e, out);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		print_op_line(trace, i, &e, out);
		print_expects(trace, i, &e, out);
	}
}

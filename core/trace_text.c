/*
 * Text to trace. One pass, a line at a time: a line is cut into words, and the op table says what
 * each word must be. The first thing that is wrong ends it, with a sentence that names the line
 * and the word. The grammar is in docs/trace-format.md.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "machine.h"
#include "trace_private.h"

/* More than one or two expectations of a whole trace is a mistake. */
#define WHOLE_EXPECTS_MAX 16

struct parser {
	struct trace *trace;
	char *error;
	size_t error_size;
	uint32_t line;
	uint32_t nr_whole;    /* expectations of the whole trace so far */
	bool header, machine; /* had that line */
	const char *at, *end; /* what is left of the line */
};

/* A piece of the line; n == 0: there was nothing left. */
struct word {
	const char *s;
	size_t n;
};

/* ---- errors -------------------------------------------------------------------------------- */

/* Say what is wrong with this line: BEFORE, then WORD in quotes unless it is empty, then FORMAT. */
__attribute__((format(printf, 4, 5))) static int fail(struct parser *parser, struct word word,
						      const char *before, const char *format, ...)
{
	struct text text = {parser->error, parser->error_size, 0};
	char rest[256];
	va_list args;

	va_start(args, format);
	vsnprintf(rest, sizeof(rest), format, args);
	va_end(args);
	text_put(&text, "%" PRIu32 ": %s", parser->line, before);
	if (word.n)
		text_put_quoted(&text, word.s, word.n);
	text_put(&text, "%s", rest);
	return -EINVAL;
}

#define NO_WORD ((struct word){NULL, 0})

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}
static bool is_punctuation(char c)
{
	return c == '=' || c == '(' || c == ')' || c == ':';
}

/* A comment ends the words of a line: it is left for parse_comment(). */
static struct word next_word(struct parser *parser)
{
	struct word word;

	while (parser->at < parser->end && is_blank(*parser->at))
		parser->at++;
	word = (struct word){parser->at, 0};
	if (parser->at == parser->end || *parser->at == '#')
		return word;
	if (is_punctuation(*parser->at)) {
		parser->at++;
		word.n = 1;
		return word;
	}
	while (parser->at < parser->end && !is_blank(*parser->at) && !is_punctuation(*parser->at) &&
	       *parser->at != '#')
		parser->at++;
	word.n = (size_t)(parser->at - word.s);
	return word;
}

static struct word peek_word(struct parser *parser)
{
	const char *at = parser->at;
	struct word word = next_word(parser);

	parser->at = at;
	return word;
}

/* The rest of the line up to a comment, without blanks around it. */
static struct word rest_of_line(struct parser *parser)
{
	struct word word;

	while (parser->at < parser->end && is_blank(*parser->at))
		parser->at++;
	word = (struct word){parser->at, 0};
	for (; parser->at < parser->end && *parser->at != '#'; parser->at++) {
		if (!is_blank(*parser->at))
			word.n = (size_t)(parser->at - word.s) + 1;
	}
	return word;
}

static bool word_is(struct word word, const char *s)
{
	return word.n == strlen(s) && memcmp(word.s, s, word.n) == 0;
}

static bool word_starts(struct word word, const char *s)
{
	return word.n >= strlen(s) && memcmp(word.s, s, strlen(s)) == 0;
}

/* WORD as a string in BUF, cut short if need be: for look-ups in tables of short names. */
static const char *word_string(struct word word, char *buf, size_t size)
{
	size_t n = word.n < size - 1 ? word.n : size - 1;

	memcpy(buf, word.s, n);
	buf[n] = '\0';
	return buf;
}

static struct word skip(struct word word, size_t n)
{
	return (struct word){word.s + n, word.n - n};
}

/* The part of WORD before the first C; *REST is what follows it, and has s == NULL if there is no
 * C. */
static struct word split(struct word word, char c, struct word *rest)
{
	const char *p = word.n ? memchr(word.s, c, word.n) : NULL;

	if (!p) {
		*rest = NO_WORD;
		return word;
	}
	*rest = skip(word, (size_t)(p - word.s) + 1);
	return (struct word){word.s, (size_t)(p - word.s)};
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static bool digits(struct word word, uint32_t base, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (word.n == 0)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		uint32_t digit = (uint32_t)digit_value(word.s[i]);

		if (digit >= base || v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	*value = v;
	return v <= max;
}

/* Decimal, or hexadecimal after 0x. */
static bool number(struct word word, uint64_t max, uint64_t *value)
{
	if (word_starts(word, "0x"))
		return digits(skip(word, 2), 16, max, value);
	return digits(word, 10, max, value);
}

static bool number32(struct word word, uint32_t max, uint32_t *value)
{
	uint64_t wide = 0;
	bool good = number(word, max, &wide);

	*value = (uint32_t)wide;
	return good;
}

/* A letter and a decimal number, such as p3. */
static bool numbered(struct word word, char letter, uint32_t max, uint32_t *value)
{
	uint64_t wide = 0;
	bool good = word.n > 1 && word.s[0] == letter && digits(skip(word, 1), 10, max, &wide);

	*value = (uint32_t)wide;
	return good;
}

/* ---- operands ---------------------------------------------------------------------------------
 */

/* What an operand must look like. NAME is for messages. */
struct operand {
	const char *name;
	enum operand_kind kind;
	uint32_t value;
	bool ref;
};

static int bad_operand(struct parser *parser, const struct operand *operand, struct word word,
		       const char *what)
{
	char before[64];

	snprintf(before, sizeof(before), "%s: ", operand->name);
	if (word.n == 0)
		return fail(parser, word, before, "%s is missing", what);
	return fail(parser, word, before, " is not %s", what);
}

static int parse_slot(struct parser *parser, struct word word, struct operand *operand)
{
	static const struct {
		char letter;
		uint32_t max;
		const char *what;
	} slots[] = {
		[OPERAND_PROC] = {'p', PROC_MAX - 1, "a process (p0 to p31)"},
		[OPERAND_NEWPROC] = {'p', PROC_MAX - 1, "a process (p0 to p31)"},
		[OPERAND_REGION] = {'r', REGION_MAX - 1, "a region (r0 to r31)"},
		[OPERAND_FILE] = {'f', FILE_MAX - 1, "a file (f0 to f7)"},
		[OPERAND_SWAP] = {'s', SWAP_AREAS_MAX - 1, "a swap area (s0 to s31)"},
		[OPERAND_PIN] = {'d', PIN_MAX - 1, "a pin (d0 to d15)"},
		[OPERAND_NEWPIN] = {'d', PIN_MAX - 1, "a pin (d0 to d15)"},
	};

	if (!numbered(word, slots[operand->kind].letter, slots[operand->kind].max, &operand->value))
		return bad_operand(parser, operand, word, slots[operand->kind].what);
	return 0;
}

static int parse_number(struct parser *parser, struct word word, struct operand *operand)
{
	if (!number32(word, LEN_MAX, &operand->value))
		return bad_operand(parser, operand, word, "a number from 0 to 1048575");
	return 0;
}

/* rN or rN+PAGES */
static bool region_ref(struct word word, uint32_t *value)
{
	struct word offset, region = split(word, '+', &offset);
	uint32_t number, pages = 0;

	if (!numbered(region, 'r', REGION_MAX - 1, &number) ||
	    (offset.s && !number32(offset, 0xffffffu, &pages)))
		return false;
	*value = number << 24 | pages;
	return true;
}

static bool plain_address(struct word word, uint32_t *value)
{
	uint32_t page;

	if (word_is(word, "-")) {
		*value = 0;
		return true;
	}
	if (numbered(word, 'w', WINDOW_PAGES - 1, &page)) {
		*value = WINDOW_BASE + page * PAGE_SIZE;
		return true;
	}
	return word_starts(word, "0x") && number32(word, UINT32_MAX, value);
}

static int parse_addr(struct parser *parser, struct word word, struct operand *operand)
{
	operand->ref = word.s[0] == 'r';
	if (operand->ref ? region_ref(word, &operand->value) : plain_address(word, &operand->value))
		return 0;
	return bad_operand(parser, operand, word,
			   "an address (w0 to w255, r0 to r31, r0+PAGES, 0x... or -)");
}

/* The bits that WORD stands for. */
static bool find_word(enum operand_kind kind, struct word word, uint32_t *value)
{
	for (const struct op_word *known = op_words(kind); known->name; known++) {
		if (word_is(word, known->name)) {
			*value = known->value;
			return true;
		}
	}
	return false;
}

static int parse_prot(struct parser *parser, struct word word, struct operand *operand)
{
	uint32_t bit;

	if (find_word(operand->kind, word, &operand->value))
		return 0;
	for (size_t i = 0; i < word.n; i++) {
		if (!find_word(operand->kind, (struct word){word.s + i, 1}, &bit) ||
		    (operand->value & bit))
			return bad_operand(parser, operand, word,
					   "a protection (none, or letters of rwx)");
		operand->value |= bit;
	}
	return 0;
}

/* What may stand in place of flags of KIND that are none. */
static const char *flag_names(enum operand_kind kind)
{
	switch (kind) {
	case OPERAND_MFLAGS:
		return "private, shared, anon, fixed, populate, locked, growsdown or noreserve";
	case OPERAND_SFLAGS:
		return "sync, async, invalidate or -";
	case OPERAND_NFLAGS:
		return "nonblock or -";
	case OPERAND_PFLAGS:
		return "write, force or -";
	default:
		return "maymove, fixed, dontunmap or -";
	}
}

static int parse_flags(struct parser *parser, struct word word, struct operand *operand)
{
	bool private = false;
	struct word rest = word;

	if (word_is(word, "-"))
		return 0;
	while (rest.s) {
		struct word flag = split(rest, '|', &rest);
		uint32_t bit;

		if (!find_word(operand->kind, flag, &bit))
			return bad_operand(parser, operand, flag.n ? flag : word,
					   flag_names(operand->kind));
		if (bit ? operand->value & bit : private)
			return bad_operand(parser, operand, word,
					   "a set of flags: one comes twice");
		private |= bit == 0;
		operand->value |= bit;
	}
	if (private && operand->kind == OPERAND_MFLAGS && (operand->value & OP_MAP_SHARED))
		return bad_operand(parser, operand, word, "both private and shared");
	return 0;
}

static int parse_advice(struct parser *parser, struct word word, struct operand *operand)
{
	if (!find_word(operand->kind, word, &operand->value))
		return bad_operand(parser, operand, word,
				   "normal, random, sequential, willneed, dontneed, pageout or "
				   "free");
	return 0;
}

typedef int parse_operand_fn(struct parser *parser, struct word word, struct operand *operand);
static parse_operand_fn *const parse_operand[] = {
	[OPERAND_NONE] = parse_number,  [OPERAND_PROC] = parse_slot,
	[OPERAND_NEWPROC] = parse_slot, [OPERAND_REGION] = parse_slot,
	[OPERAND_ADDR] = parse_addr,    [OPERAND_LEN] = parse_number,
	[OPERAND_PROT] = parse_prot,    [OPERAND_MFLAGS] = parse_flags,
	[OPERAND_RFLAGS] = parse_flags, [OPERAND_ADVICE] = parse_advice,
	[OPERAND_FILE] = parse_slot,    [OPERAND_PGOFF] = parse_number,
	[OPERAND_COUNT] = parse_number, [OPERAND_SWAP] = parse_slot,
	[OPERAND_SFLAGS] = parse_flags, [OPERAND_NFLAGS] = parse_flags,
	[OPERAND_PIN] = parse_slot,     [OPERAND_NEWPIN] = parse_slot,
	[OPERAND_PFLAGS] = parse_flags,
};

/* Operand I of OP from WORD. */
static int set_operand(struct parser *parser, struct op *op, uint32_t i, struct word word)
{
	const struct op_operand *row = &op_info(op->code)->operand[i];
	struct operand operand = {row->name, row->kind, 0, false};

	if (parse_operand[row->kind](parser, word, &operand))
		return -EINVAL;
	op->args[i] = operand.value;
	if (operand.ref)
		op->refs |= (uint8_t)(1u << i);
	return 0;
}

/* ---- ops
 * ------------------------------------------------------------------------------------------ */

static bool is_operand_word(struct word word)
{
	return word.n && !is_punctuation(word.s[0]);
}

/* What stands before "=". */
static int parse_destination(struct parser *parser, struct op *op, struct word word)
{
	const struct op_info *info = op_info(op->code);
	int i = op_destination(info);

	if (i < 0 && word.n)
		return fail(parser, word, "", ": %s returns nothing that could be named",
			    info->name);
	if (i < 0)
		return 0;
	if (word.n)
		return set_operand(parser, op, (uint32_t)i, word);
	if (info->operand[i].kind != OPERAND_REGION)
		return fail(parser, NO_WORD, "", "%s needs a name for its %s, as in \"%s = %s p0\"",
			    info->name, info->operand[i].name,
			    info->operand[i].kind == OPERAND_NEWPROC ? "p1" : "d0", info->name);
	op->args[i] = REGION_NONE;
	return 0;
}

static int parse_operands(struct parser *parser, struct op *op)
{
	const struct op_info *info = op_info(op->code);
	int destination = op_destination(info);
	uint32_t optional = op_optional(info);

	for (uint32_t i = 0; i < info->nargs; i++) {
		if ((int)i == destination)
			continue;
		if (!is_operand_word(peek_word(parser))) {
			/* All of the optional ones or none. */
			if (i == optional && !op_wants_optional(op))
				return 0;
			return fail(parser, NO_WORD, "", "%s: operand \"%s\" is missing",
				    info->name, info->operand[i].name);
		}
		if (set_operand(parser, op, i, next_word(parser)))
			return -EINVAL;
	}
	return 0;
}

/* ( NAME : NUMBER ), the parenthesis being next. */
static int parse_property(struct parser *parser, struct op *op)
{
	struct word name, value;
	char known[32];
	uint32_t i = 0, n;

	next_word(parser);
	name = next_word(parser);
	while (i < NR_PROPERTIES && !word_is(name, op_properties[i].name))
		i++;
	if (i == NR_PROPERTIES)
		return fail(parser, name.n ? name : (struct word){"(", 1}, "",
			    ": a property is fail_nth, reclaim_nth, fail_meta, fail_from or "
			    "fail_meta_from");
	word_string(name, known, sizeof(known));
	if (op_property(op, i))
		return fail(parser, name, "", ": this property comes twice");
	if (!word_is(next_word(parser), ":"))
		return fail(parser, name, "", ": write a property as (%s: 1)", known);
	value = next_word(parser);
	if (!number32(value, UINT16_MAX, &n) || n == 0)
		return fail(parser, value, "", "%s%s: a number from 1 to 65535 is wanted",
			    value.n ? " in " : "", known);
	if (!word_is(next_word(parser), ")"))
		return fail(parser, name, "", ": write a property as (%s: 1)", known);
	op_set_property(op, i, (uint16_t)n);
	return 0;
}

/* ---- expected results
 * ------------------------------------------------------------------------------- */

/* write SERIAL, file fN PAGE, token NUMBER: WORD has been read. */
static int parse_token(struct parser *parser, struct word word, struct expect *expect)
{
	struct word value = next_word(parser);
	uint32_t file = 0, n = 0;
	bool good;

	if (word_is(word, "write")) {
		good = number32(value, UINT32_MAX, &n);
		expect->token = token_write(n);
	} else if (word_is(word, "file")) {
		good = numbered(value, 'f', 0x3fffffffu, &file) &&
		       number32(next_word(parser), UINT32_MAX, &n);
		expect->token = token_file(file, n);
	} else {
		good = number(value, UINT64_MAX, &expect->token);
	}
	expect->has_token = true;
	if (!good)
		return fail(parser, word, "",
			    ": a token is zero, write OP, file fN PAGE or token NUMBER");
	return 0;
}

/* A word that says everything: an error or a success. false: it is none. */
static bool result_word(struct word word, struct expect *expect)
{
	char name[16];
	uint32_t n;

	word_string(word, name, sizeof(name));
	for (uint32_t i = 0; i < NR_UNMAP; i++) {
		if (strcmp(name, unmap_names[i]) == 0) {
			expect->has_value = true;
			expect->value = i;
			return true;
		}
	}
	if (word_is(word, "zero")) {
		expect->has_token = true;
		return true;
	}
	if (word_is(word, "SEGV") || word_is(word, "BUS")) {
		expect->err = word_is(word, "BUS") ? RES_BUS : RES_SEGV;
		return true;
	}
	if (word.n > 1 && word.s[0] == '-' && number32(skip(word, 1), 4095, &n) && n > 0) {
		expect->err = -(int32_t)n;
		return true;
	}
	expect->err = errno_of_name(name);
	return expect->err != 0 || word_is(word, "ok");
}

/* The result an op is to have, "=" having been read. */
static int parse_result(struct parser *parser, struct expect *expect)
{
	struct word word = next_word(parser);

	if (word.n == 0)
		return fail(parser, NO_WORD, "", "a result is missing behind \"=\"");
	if (word_is(word, "write") || word_is(word, "file") || word_is(word, "token"))
		return parse_token(parser, word, expect);
	if (result_word(word, expect))
		return 0;
	expect->has_value = true;
	if (number32(word, UINT32_MAX, &expect->value) || plain_address(word, &expect->value))
		return 0;
	return fail(
		parser, word, "",
		" is not a result (ok, an error such as EINVAL, SEGV, BUS, an address, a number, "
		"success, again, fail, or a token)");
}

/* @POINT or @POINT:N, in front of an op that runs inside the one before. */
static int parse_point(struct parser *parser, struct op *op)
{
	struct word word = next_word(parser);
	char known[48];
	uint32_t nth = 1;

	op->point = (uint16_t)point_of_name(word_string(skip(word, 1), known, sizeof(known)));
	if (op->point == POINT_NONE || word.n > sizeof(known))
		return fail(parser, word, "", " is not a point");
	if (word_is(peek_word(parser), ":")) {
		struct word number;

		next_word(parser);
		number = next_word(parser);
		if (!number32(number, UINT16_MAX, &nth) || nth == 0)
			return fail(parser, number, "", "%sa number from 1 to 65535 is wanted",
				    number.n ? ": " : "behind the point ");
	}
	op->point_nth = (uint16_t)nth;
	if (parser->trace->nr_ops == 0)
		return fail(parser, word, "", ": there is no op that it could run in");
	return 0;
}

static int add_expect(struct parser *parser, const struct expect *expect)
{
	if (trace_add_expect(parser->trace, expect))
		return fail(parser, NO_WORD, "", "out of memory");
	return 0;
}

static int parse_op(struct parser *parser)
{
	struct word destination = NO_WORD, name, left;
	struct op op = {0};
	struct expect expect = {
		.kind = EXPECT_RESULT, .at = parser->trace->nr_ops, .line = parser->line};
	char known[32];
	bool has_result = false;
	int code;

	if (word_starts(peek_word(parser), "@") && parse_point(parser, &op))
		return -EINVAL;
	name = next_word(parser);
	if (word_is(peek_word(parser), "=")) {
		destination = name;
		next_word(parser);
		name = next_word(parser);
	}
	code = op_code_of(word_string(name, known, sizeof(known)));
	if (code < 0)
		return name.n          ? fail(parser, name, "", " is not an op")
		       : destination.n ? fail(parser, destination, "", " = what? An op is missing")
				       : fail(parser, NO_WORD, "", "an op is missing");
	op.code = (uint8_t)code;
	if (parse_destination(parser, &op, destination) || parse_operands(parser, &op))
		return -EINVAL;
	while (word_is(peek_word(parser), "(")) {
		if (parse_property(parser, &op))
			return -EINVAL;
	}
	if (word_is(peek_word(parser), "=")) {
		next_word(parser);
		if (parse_result(parser, &expect))
			return -EINVAL;
		has_result = true;
	}
	left = next_word(parser);
	if (left.n)
		return fail(parser, left, "", " is too much behind %s", known);
	if (parser->trace->nr_ops == TRACE_OPS_MAX)
		return fail(parser, NO_WORD, "", "more than %u ops", TRACE_OPS_MAX);
	if (trace_add(parser->trace, &op))
		return fail(parser, NO_WORD, "", "out of memory");
	return has_result ? add_expect(parser, &expect) : 0;
}

/* ---- expectations on lines of their own -------------------------------------------------------
 */

/* pN ADDRESS, of a whole page. */
static int parse_place(struct parser *parser, struct expect *expect)
{
	struct operand proc = {"expect", OPERAND_PROC, 0, false};
	struct word word = next_word(parser), place;
	uint32_t addr = 0;

	if (parse_slot(parser, word, &proc))
		return -EINVAL;
	place = next_word(parser);
	if (!plain_address(place, &addr) || addr % PAGE_SIZE)
		return fail(parser, place,
			    "expect: ", "%sa page is wanted (w0 to w255, or 0x...000)",
			    place.n ? ": " : "");
	expect->proc = proc.value;
	expect->vpn = addr >> PAGE_SHIFT;
	return 0;
}

static int parse_pages(struct parser *parser, struct expect *expect)
{
	struct word states;

	expect->kind = EXPECT_PAGES;
	if (parse_place(parser, expect))
		return -EINVAL;
	states = next_word(parser);
	if (states.n == 0 || states.n >= EXPECT_TEXT_MAX)
		return fail(parser, states, "expect: ", "%s1 to %d page states are wanted",
			    states.n ? ": " : "", EXPECT_TEXT_MAX - 1);
	for (size_t i = 0; i < states.n; i++) {
		if (!strchr(PAGE_CHARS, states.s[i]))
			return fail(parser, states, "expect: ", ": a page state is one of %s",
				    PAGE_CHARS);
	}
	word_string(states, expect->text, sizeof(expect->text));
	return 0;
}

static int parse_mappers(struct parser *parser, struct expect *expect)
{
	struct word count;

	next_word(parser);
	expect->kind = EXPECT_MAPPERS;
	if (parse_place(parser, expect))
		return -EINVAL;
	count = next_word(parser);
	if (!number32(count, UINT32_MAX, &expect->count))
		return fail(parser, count, "expect: ", "%sthe number of mappers is wanted",
			    count.n ? ": " : "");
	return 0;
}

/* An expectation of the whole trace: "clean", or a signature, which is all that is left. */
static int parse_whole(struct parser *parser, struct expect *expect)
{
	struct word what = rest_of_line(parser);

	expect->at = UINT32_MAX;
	expect->kind = word_is(what, "clean") ? EXPECT_CLEAN : EXPECT_FINDING;
	if (expect->kind == EXPECT_FINDING) {
		bool good = what.n < EXPECT_TEXT_MAX && what.n && memchr(what.s, ':', what.n);

		for (size_t i = 0; good && i < what.n; i++)
			good = what.s[i] > ' ' && what.s[i] < 0x7f;
		if (!good)
			return fail(
				parser, what, what.n ? "expect: " : "expect",
				": clean, a signature, mappers pN PAGE COUNT or pN PAGE STATES is "
				"wanted");
		word_string(what, expect->text, sizeof(expect->text));
	}
	if (parser->nr_whole++ == WHOLE_EXPECTS_MAX)
		return fail(parser, NO_WORD, "", "more than %d expectations of the whole trace",
			    WHOLE_EXPECTS_MAX);
	return 0;
}

/* A comment, if one is left on the line. */
static int parse_comment(struct parser *parser)
{
	struct expect expect = {.at = parser->trace->nr_ops - 1, .line = parser->line};
	struct word word, left;
	int err;

	if (parser->at == parser->end)
		return 0;
	parser->at++; /* the # */
	if (!word_is(next_word(parser), "expect") || !word_is(next_word(parser), ":"))
		return 0;

	word = peek_word(parser);
	if (word_is(word, "mappers"))
		err = parse_mappers(parser, &expect);
	else if (word.n > 1 && word.s[0] == 'p' && word.s[1] >= '0' && word.s[1] <= '9')
		err = parse_pages(parser, &expect);
	else
		err = parse_whole(parser, &expect);
	if (err)
		return err;
	left = next_word(parser);
	if (left.n)
		return fail(parser, left, "", " is too much behind this expectation");
	return add_expect(parser, &expect);
}

/* ---- the first lines ----------------------------------------------------------------------------
 */

static int parse_header(struct parser *parser)
{
	struct parser words = *parser;
	struct word line = rest_of_line(parser), version;
	uint64_t n = 0;
	bool good = word_is(next_word(&words), "rmapfuzz") && word_is(next_word(&words), "trace");

	version = next_word(&words);
	for (size_t i = 0; i < version.n; i++)
		good = good && version.s[i] >= '0' && version.s[i] <= '9';
	if (!good || version.n == 0 || next_word(&words).n)
		return fail(parser, line, "",
			    " is not \"rmapfuzz trace %d\", which a trace begins with",
			    TRACE_FORMAT_VERSION);
	/* Versions only ever add, so earlier ones are read like this one. */
	if (!digits(version, 10, UINT32_MAX, &n) || n == 0 || n > TRACE_FORMAT_VERSION) {
		fail(parser, version, "trace format version ",
		     " is not supported; this build reads %d", TRACE_FORMAT_VERSION);
		return -EPROTONOSUPPORT;
	}
	parser->header = true;
	return 0;
}

/* "machine" has been read. */
static int parse_machine(struct parser *parser, struct word word)
{
	struct word text = rest_of_line(parser);
	char copy[1024], why[256];

	if (parser->machine)
		return fail(parser, word, "", ": there is a machine already");
	if (parser->trace->nr_ops)
		return fail(parser, word, "", ": the machine comes before the first op");
	for (size_t i = 0; i < text.n; i++) {
		if ((text.s[i] < ' ' && text.s[i] != '\t') || text.s[i] >= 0x7f)
			return fail(parser, text, "machine ", " has characters that are not text");
	}
	if (text.n >= sizeof(copy))
		return fail(parser, text, "machine ", " is too long");
	word_string(text, copy, sizeof(copy));
	if (machine_config_parse(&parser->trace->config, copy, why, sizeof(why)))
		return fail(parser, NO_WORD, "", "%s", why);
	parser->machine = true;
	return 0;
}

static int parse_line(struct parser *parser)
{
	struct word word = peek_word(parser);
	int err = 0;

	if (word.n && !parser->header) {
		err = parse_header(parser);
	} else if (word_is(word, "machine")) {
		next_word(parser);
		err = parse_machine(parser, word);
	} else if (word.n) {
		err = parse_op(parser);
	}
	if (err)
		return err;
	next_word(parser); /* to the comment, if there is one */
	return parse_comment(parser);
}

/* ---- lines
 * ----------------------------------------------------------------------------------------- */

static int parse_text(struct parser *parser, const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);
		int err;

		parser->line++;
		parser->at = text;
		parser->end = text + n;
		if (memchr(text, '\0', n < TRACE_LINE_MAX ? n : TRACE_LINE_MAX))
			return fail(parser, NO_WORD, "", "a NUL byte: this is not text");
		if (n > TRACE_LINE_MAX)
			return fail(parser, NO_WORD, "", "the line is longer than %u bytes",
				    TRACE_LINE_MAX);
		err = parse_line(parser);
		if (err)
			return err;
		text += n + (newline ? 1 : 0);
	}
	if (!parser->header) {
		parser->line += parser->line == 0;
		return fail(parser, NO_WORD, "", "there is no \"rmapfuzz trace %d\" in it",
			    TRACE_FORMAT_VERSION);
	}
	return 0;
}

int trace_parse(struct trace *trace, const char *text, size_t size, char *error, size_t error_size)
{
	struct parser parser = {.trace = trace, .error_size = error_size};
	int err;

	parser.error = error;
	trace_init(trace, &machine_presets[0].config);
	if (size > TRACE_TEXT_MAX) {
		parser.line = 1;
		return fail(&parser, NO_WORD, "", "the text is longer than %u bytes",
			    TRACE_TEXT_MAX);
	}
	err = parse_text(&parser, text, size);
	if (err)
		trace_clear(trace); /* half a trace is nobody's */
	return err;
}

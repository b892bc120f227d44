/*
 * Lexing strace's output. Its punctuation is regular enough for a scanner with one rule per kind
 * of bracket; the difficulty is in telling what is inside quotes, comments and <paths>:
 *
 *    "a \"quoted, string)"...   ends at the first quote that is not escaped
 *    3</tmp/a, b (c)>           a path starts at a '<' glued to a word, and may nest
 *    21<<MAP_HUGE_SHIFT         is no path
 *    TCP:[1.1.1.1:1->2.2.2.2:2] and this '>' does not end one
 *    0x7ffd063ec3f0 [slash]* 41 vars *[slash]
 */
#include <string.h>

#include "strace_line.h"

#define UNFINISHED "<unfinished ...>"
#define CHANGED    "<pid changed to " /* 12 ...>: an execve by a thread, which is going on as 12 */
#define RESUMED    " resumed>"

/* ---- spans --------------------------------------------------------------------------------- */

bool span_is(struct span span, const char *text)
{
	size_t len = strlen(text);

	return span.len == len && !memcmp(span.text, text, len);
}

bool span_starts(struct span span, const char *prefix)
{
	size_t len = strlen(prefix);

	return span.len >= len && !memcmp(span.text, prefix, len);
}

bool span_ends(struct span span, const char *suffix)
{
	size_t len = strlen(suffix);

	return span.len >= len && !memcmp(span.text + span.len - len, suffix, len);
}

struct span span_skip(struct span span, size_t n)
{
	if (n > span.len)
		n = span.len;
	return (struct span){span.text + n, span.len - n};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}
static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

struct span span_trim(struct span span)
{
	while (span.len && is_blank(span.text[0]))
		span = span_skip(span, 1);
	while (span.len && is_blank(span.text[span.len - 1]))
		span.len--;
	return span;
}

size_t span_find(struct span span, const char *text)
{
	const char *at = span.len ? memmem(span.text, span.len, text, strlen(text)) : NULL;

	return at ? (size_t)(at - span.text) : span.len;
}

/* ---- scanning past one thing --------------------------------------------------------------- */

/* The offset behind the string that starts at I, or LEN if it does not end. */
static size_t skip_string(struct span text, size_t i)
{
	for (i++; i < text.len; i++) {
		if (text.text[i] == '\\')
			i++;
		else if (text.text[i] == '"')
			return i + 1;
	}
	return text.len;
}

static size_t skip_comment(struct span text, size_t i)
{
	size_t end = i + 2 + span_find(span_skip(text, i + 2), "*/");

	return end == text.len ? end : end + 2;
}

static bool starts_path(struct span text, size_t i)
{
	if (!i || (!is_word(text.text[i - 1]) && text.text[i - 1] != ')'))
		return false;
	return i + 1 < text.len && text.text[i + 1] != '<';
}

/* The offset behind the <path> that starts at I; I + 1 if it does not end. */
static size_t skip_path(struct span text, size_t i)
{
	uint32_t depth = 0;

	for (size_t at = i; at < text.len; at++) {
		if (text.text[at] == '<')
			depth++;
		else if (text.text[at] == '>' && text.text[at - 1] != '-' && !--depth)
			return at + 1;
	}
	return i + 1;
}

/* The offset behind the character, string, comment or path at I. */
static size_t skip_item(struct span text, size_t i)
{
	char c = text.text[i];

	if (c == '"')
		return skip_string(text, i);
	if (c == '/' && i + 1 < text.len && text.text[i + 1] == '*')
		return skip_comment(text, i);
	if (c == '<' && i + 1 < text.len && text.text[i + 1] == '<')
		return i + 2;
	if (c == '<' && starts_path(text, i))
		return skip_path(text, i);
	return i + 1;
}

static int depth_of(char c)
{
	if (c == '(' || c == '[' || c == '{')
		return 1;
	return c == ')' || c == ']' || c == '}' ? -1 : 0;
}

/* The offset of the bracket that closes the one before TEXT, or TEXT.len. */
static size_t find_close(struct span text)
{
	int depth = 1;
	size_t i = 0;

	while (i < text.len) {
		depth += depth_of(text.text[i]);
		if (!depth)
			return i;
		i = skip_item(text, i);
	}
	return text.len;
}

/* ---- the parts of a call ------------------------------------------------------------------- */

static struct span call_name(struct span text)
{
	size_t n = 0;

	while (n < text.len && (is_word(text.text[n]) || text.text[n] == '?'))
		n++;
	return (struct span){text.text, n};
}

const char *strace_call_split(struct span text, struct span *name, struct span *args,
			      struct span *result)
{
	struct span rest;
	size_t close;

	*name = call_name(text);
	rest = span_skip(text, name->len);
	if (!name->len || !span_starts(rest, "("))
		return "not a system call";
	rest = span_skip(rest, 1);
	close = find_close(rest);
	if (close == rest.len || rest.text[close] != ')')
		return "the argument list does not end";
	*args = (struct span){rest.text, close};
	rest = span_trim(span_skip(rest, close + 1));
	if (!span_starts(rest, "="))
		return "the call has no result";
	*result = span_trim(span_skip(rest, 1));
	return result->len ? NULL : "the call has no result";
}

uint32_t strace_args(struct span args, struct span *out, uint32_t max)
{
	size_t start = 0, i = 0;
	uint32_t n = 0;
	int depth = 0;

	if (!span_trim(args).len)
		return 0;
	while (i < args.len && n + 1 < max) {
		char c = args.text[i];

		if (c == ',' && !depth) {
			out[n++] = span_trim((struct span){args.text + start, i - start});
			start = i + 1;
		}
		depth += depth_of(c);
		i = skip_item(args, i);
	}
	out[n++] = span_trim(span_skip(args, start));
	return n;
}

/* ---- values -------------------------------------------------------------------------------- */

static int digit_value(char c)
{
	if (is_digit(c))
		return c - '0';
	return is_hex(c) ? c - 'a' + 10 : 16;
}

bool strace_number(struct span text, uint64_t *value)
{
	bool negative = span_starts(text, "-");
	uint64_t sum = 0;
	unsigned base = 10;

	if (span_is(text, "NULL")) {
		*value = 0;
		return true;
	}
	if (negative)
		text = span_skip(text, 1);
	if (span_starts(text, "0x")) {
		base = 16;
		text = span_skip(text, 2);
	} else if (text.len > 1 && text.text[0] == '0') {
		base = 8;
	}
	if (!text.len)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)digit_value(text.text[i]);

		if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			return false;
	}
	*value = negative ? -sum : sum;
	return true;
}

bool strace_fd(struct span text, int32_t *fd, struct span *path)
{
	size_t n = 0, end;
	uint64_t value;

	*path = (struct span){"", 0};
	while (n < text.len && text.text[n] != '<')
		n++;
	if (span_is((struct span){text.text, n}, "AT_FDCWD"))
		*fd = -100;
	else if (strace_number(span_trim((struct span){text.text, n}), &value) &&
		 (value + 1 <= INT32_MAX))
		*fd = (int32_t)value;
	else
		return false;
	if (n == text.len)
		return true;
	end = n ? skip_path(text, n) : n + 1;
	if (end == n + 1)
		return false;
	*path = (struct span){text.text + n + 1, end - n - 2};
	if (span_ends(*path, " (deleted)"))
		path->len -= strlen(" (deleted)");
	return true;
}

bool strace_string(struct span text, struct span *inside)
{
	size_t end;

	if (!span_starts(text, "\""))
		return false;
	end = skip_string(text, 0);
	if (end < 2 || text.text[end - 1] != '"')
		return false;
	*inside = (struct span){text.text + 1, end - 2};
	return true;
}

const char *strace_result_parse(struct span text, struct strace_result *result)
{
	size_t n = 0;
	int32_t fd;

	*result = (struct strace_result){.status = STRACE_UNKNOWN, .path = {"", 0}};
	if (span_starts(text, "?"))
		return NULL;
	while (n < text.len && !is_blank(text.text[n]) && text.text[n] != '<')
		n++;
	if (!strace_number((struct span){text.text, n}, &result->value))
		return "the result is not a number";
	result->status = STRACE_OK;
	if (text.text[0] == '-')
		result->status = STRACE_FAILED;
	else if (n < text.len && text.text[n] == '<')
		strace_fd((struct span){text.text, skip_path(text, n)}, &fd, &result->path);
	return NULL;
}

uint64_t strace_flags(struct span text, const struct strace_flag *flags, struct span *unknown)
{
	uint64_t bits = 0, value;

	*unknown = (struct span){"", 0};
	while (text.len) {
		size_t n = span_find(text, "|");
		struct span word = span_trim((struct span){text.text, n});
		const struct strace_flag *flag = flags;

		while (flag->name && !span_is(word, flag->name))
			flag++;
		if (flag->name)
			bits |= flag->value;
		else if (strace_number(word, &value))
			bits |= value;
		else if (!unknown->len)
			*unknown = word;
		text = span_skip(text, n + 1);
	}
	return bits;
}

/* ---- the line ------------------------------------------------------------------------------ */

/* Digits at the start of TEXT as a pid, and the text behind; length 0: none. */
static size_t pid_digits(struct span text, uint32_t *pid)
{
	uint64_t value;
	size_t n = 0;

	while (n < text.len && is_digit(text.text[n]))
		n++;
	if (!n || n > 10)
		return 0;
	value = 0;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (uint64_t)(text.text[i] - '0');
	if (value > INT32_MAX)
		return 0;
	*pid = (uint32_t)value;
	if (n < text.len && text.text[n] == '<') /* the command's name, with -Y */
		n = skip_path(text, n);
	return n;
}

/* "[pid 12] " or "12 ". */
static struct span skip_pid(struct span text, struct strace_line *line)
{
	struct span rest;
	size_t n;

	if (span_starts(text, "[pid ")) {
		rest = span_trim(span_skip(text, 5));
		n = pid_digits(rest, &line->pid);
		line->has_pid = n && n < rest.len && rest.text[n] == ']';
		return line->has_pid ? span_trim(span_skip(rest, n + 1)) : text;
	}
	n = pid_digits(text, &line->pid);
	line->has_pid = n && n < text.len && is_blank(text.text[n]);
	return line->has_pid ? span_trim(span_skip(text, n)) : text;
}

/* A time of day, seconds with a fraction, or what -r prints. */
static struct span skip_time(struct span text)
{
	bool mark = false;
	size_t n = 0;

	while (n < text.len &&
	       (is_digit(text.text[n]) || text.text[n] == ':' || text.text[n] == '.')) {
		mark |= !is_digit(text.text[n]);
		n++;
	}
	if (mark && n < text.len && is_blank(text.text[n]))
		text = span_trim(span_skip(text, n));
	if (span_starts(text, "(+ ")) {
		n = span_find(text, ")");
		if (n < text.len)
			text = span_trim(span_skip(text, n + 1));
	}
	return text;
}

/* "[00007f0c9a3db000] " of -i, "[   9] " of -n. */
static struct span skip_numbers(struct span text)
{
	while (span_starts(text, "[")) {
		size_t n = 1;

		while (n < text.len &&
		       (is_hex(text.text[n]) || text.text[n] == '?' || is_blank(text.text[n])))
			n++;
		if (n == text.len || text.text[n] != ']')
			break;
		text = span_trim(span_skip(text, n + 1));
	}
	return text;
}

static const char *parse_plus(struct span text, struct strace_line *line)
{
	static const char superseded[] = "+++ superseded by execve in pid ";

	if (!span_ends(text, " +++"))
		return "a \"+++\" line that does not end";
	line->kind = STRACE_EXITED;
	if (span_starts(text, "+++ exited ") || span_starts(text, "+++ killed by "))
		return NULL;
	line->kind = STRACE_SUPERSEDED;
	if (span_starts(text, superseded) &&
	    pid_digits(span_skip(text, strlen(superseded)), &line->other_pid))
		return NULL;
	return "a \"+++\" line of an unknown kind";
}

static const char *parse_resumed(struct span text, struct strace_line *line)
{
	size_t n;

	line->kind = STRACE_RESUMED;
	text = span_skip(text, strlen("<... "));
	line->name = call_name(text);
	text = span_skip(text, line->name.len);
	if (!line->name.len || !span_starts(text, RESUMED))
		return "a \"<...\" line without \"resumed\"";
	n = strlen(RESUMED);
	line->args = span_skip(text, n);
	return NULL;
}

/* Where the mark is that says that the call goes on elsewhere; TEXT.len: there is none. */
static size_t unfinished_at(struct span text)
{
	size_t at;

	if (span_ends(text, UNFINISHED))
		return text.len - strlen(UNFINISHED);
	if (!span_ends(text, " ...>"))
		return text.len;
	at = text.len;
	while (at && text.text[at - 1] != '<')
		at--;
	return at && span_starts(span_skip(text, at - 1), CHANGED) ? at - 1 : text.len;
}

static const char *parse_call(struct span text, struct strace_line *line)
{
	size_t mark = unfinished_at(text);

	if (mark == text.len) {
		line->kind = STRACE_CALL;
		return strace_call_split(text, &line->name, &line->args, &line->result);
	}
	line->kind = STRACE_UNFINISHED;
	line->name = call_name(text);
	text = span_skip(text, line->name.len);
	if (!line->name.len || !span_starts(text, "("))
		return "not a system call";
	if (line->name.len + 1 > mark)
		return "not a system call";
	line->args = (struct span){text.text + 1, mark - line->name.len - 1};
	return NULL;
}

static bool is_note(struct span text)
{
	return span_starts(text, "strace: ") || span_starts(text, "[ Process ") ||
	       (span_starts(text, "Process ") && !span_starts(text, "Process (") &&
		(span_ends(text, " attached") || span_ends(text, " detached")));
}

/* strace escapes what does not print, so such a byte means that this is something else. */
static bool has_control(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.text[i];

		if ((c < ' ' && c != '\t') || c == 127)
			return true;
	}
	return false;
}

const char *strace_line_parse(struct span text, struct strace_line *line)
{
	*line = (struct strace_line){
		.kind = STRACE_BLANK, .name = {"", 0}, .args = {"", 0}, .result = {"", 0}};
	if (text.len && text.text[text.len - 1] == '\r')
		text.len--;
	if (has_control(text))
		return "a control character; not strace output";
	text = span_trim(text);
	if (!text.len)
		return NULL;
	text = skip_numbers(skip_time(skip_pid(text, line)));
	if (is_note(text)) {
		line->kind = STRACE_NOTE;
		return NULL;
	}
	if (span_starts(text, "+++ "))
		return parse_plus(text, line);
	if (span_starts(text, "--- ")) {
		line->kind = STRACE_SIGNAL;
		return span_ends(text, " ---") ? NULL : "a \"---\" line that does not end";
	}
	if (span_starts(text, "<... "))
		return parse_resumed(text, line);
	if (call_name(text).len)
		return parse_call(text, line);
	return "neither a call, a signal nor an exit";
}

/*
 * What the commands share: messages, files in and out, option values, JSON.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No trace or recording is larger. */
#define FILE_SIZE_MAX (1u << 30)

int cli_error(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("rmapfuzz: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return status;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* All of FD, growing; NULL with errno. */
static char *read_all(int fd, size_t *size)
{
	size_t max = 1u << 16, n = 0;
	char *data = malloc(max);

	while (data) {
		ssize_t got = read(fd, data + n, max - n - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		n += (size_t)got;
		if (!got) {
			data[n] = '\0';
			*size = n;
			return data;
		}
		if (max - n == 1) {
			char *grown = max < FILE_SIZE_MAX ? realloc(data, max *= 2) : NULL;

			errno = EFBIG;
			if (!grown)
				break;
			data = grown;
		}
	}
	free(data);
	return NULL;
}

/* How PATH is called in messages. */
static const char *path_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

char *cli_read_file(const char *path, size_t *size)
{
	bool standard_input = strcmp(path, "-") == 0;
	int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	char *data = NULL;

	if (fd >= 0)
		data = read_all(fd, size); /* a directory fails here, with EISDIR */
	if (!data)
		cli_error(CLI_USAGE, "%s: %s", path_name(path), strerror(errno));
	if (fd >= 0 && !standard_input)
		close(fd);
	return data;
}

/* The length of the UTF-8 sequence at S, of at most N bytes; 0: it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	size_t length = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;

	if (*s < 0xc2 || *s > 0xf4 || length > n)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

bool cli_is_text(const char *data, size_t size)
{
	const unsigned char *s = (const unsigned char *)data;

	for (size_t i = 0; i < size;) {
		size_t length = s[i] < 0x80 ? 1 : utf8_length(s + i, size - i);

		if (!length || (length == 1 && !isprint(s[i]) && !isspace(s[i])))
			return false;
		i += length;
	}
	return true;
}

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n >= m && strcmp(path + n - m, end) == 0;
}

static enum cli_form guess_form(const char *path, const char *data, size_t size)
{
	if (ends_with(path, ".trace") || ends_with(path, ".txt") || cli_is_text(data, size))
		return CLI_TEXT;
	return CLI_BYTES;
}

int cli_parse_trace(const char *path, enum cli_form form, const char *data, size_t size,
		    struct trace *trace)
{
	char error[256];
	int err;

	if (form == CLI_GUESS)
		form = guess_form(path, data, size);
	if (!size)
		return cli_error(CLI_USAGE, "%s: is empty", path_name(path));
	if (form == CLI_BYTES) {
		trace_decode(trace, (const uint8_t *)data, size, TRACE_OPS_MAX);
		return CLI_OK;
	}
	err = trace_parse(trace, data, size, error, sizeof(error));
	if (!err)
		return CLI_OK;
	return cli_error(err == -EPROTONOSUPPORT ? CLI_VERSION : CLI_USAGE, "%s:%s",
			 path_name(path), error);
}

int cli_load_trace(const char *path, enum cli_form form, struct trace *trace)
{
	size_t size;
	char *data = cli_read_file(path, &size);
	int status;

	if (!data)
		return CLI_USAGE;
	status = cli_parse_trace(path, form, data, size, trace);
	free(data);
	return status;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Flush, and tell whether everything arrived. */
static bool file_done(FILE *out)
{
	return fflush(out) == 0 && !ferror(out);
}

/* Move the finished temporary file to PATH, or remove it. */
static int commit(FILE *out, bool good, const char *temporary, const char *path)
{
	int reason = good ? 0 : errno;

	if (fclose(out) && !reason)
		reason = errno;
	if (!reason && rename(temporary, path))
		reason = errno;
	if (!reason)
		return CLI_OK;
	unlink(temporary);
	return cli_error(CLI_INTERNAL, "%s: %s", path, strerror(reason));
}

int cli_write_file(const char *path, void (*print)(FILE *out, const void *what), const void *what)
{
	char *temporary;
	mode_t mask = umask(0);
	FILE *out;
	int fd;

	umask(mask);
	if (strcmp(path, "-") == 0) {
		print(stdout, what);
		return cli_finish(CLI_OK);
	}
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return cli_error(CLI_INTERNAL, "out of memory");
	fd = mkstemp(temporary);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		int status = cli_error(CLI_INTERNAL, "%s: %s", path, strerror(errno));

		if (fd >= 0)
			close(fd);
		free(temporary);
		return status;
	}
	fchmod(fd, 0666 & ~mask);
	print(out, what);
	fd = commit(out, file_done(out), temporary, path);
	free(temporary);
	return fd;
}

int cli_finish(int status)
{
	if (file_done(stdout))
		return status;
	return cli_error(CLI_INTERNAL, "standard output: %s", strerror(errno));
}

/* ---- option values -------------------------------------------------------------------------- */

int cli_parse_number(const char *text, uint64_t max, uint64_t *number)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &end, hex ? 16 : 10);
	return errno || *end || end == text || *number > max ? -EINVAL : 0;
}

int cli_parse_seed(const char *text, uint64_t *seed)
{
	uint64_t hash = 0;

	if (strlen(text) != 40 || text[strspn(text, "0123456789abcdefABCDEF")])
		return cli_parse_number(text, UINT64_MAX, seed);
	/* A commit: all of its digits count. */
	for (const char *s = text; *s; s++)
		hash = (hash ^ (uint64_t)tolower((unsigned char)*s)) * 0x100000001b3ull;
	*seed = hash;
	return 0;
}

static bool is_listed(const struct diff_options *options, const struct rmap_ops *rmap)
{
	for (uint32_t i = 0; i < options->nr_backends; i++) {
		if (options->backends[i] == rmap)
			return true;
	}
	return false;
}

int cli_parse_backends(const char *list, struct diff_options *options, char *error, size_t size)
{
	char name[64];

	if (!strcmp(list, "all")) {
		diff_options_combine(options);
		return 0;
	}
	options->nr_backends = 0;
	while (*list) {
		size_t n = strcspn(list, ",");
		const struct rmap_ops *rmap;

		snprintf(name, sizeof(name), "%.*s", (int)n, list);
		list += n + (list[n] == ',');
		rmap = rmap_find(name);
		if (!rmap) {
			snprintf(error, size,
				 "there is no backend \"%s\"; rmapfuzz backends lists them", name);
			return -EINVAL;
		}
		if (is_listed(options, rmap)) {
			snprintf(error, size, "backend \"%s\" is named twice", name);
			return -EINVAL;
		}
		if (options->nr_backends == DIFF_SUBJECTS_MAX) {
			snprintf(error, size, "more than %d backends", DIFF_SUBJECTS_MAX);
			return -EINVAL;
		}
		options->backends[options->nr_backends++] = rmap;
	}
	if (options->nr_backends)
		return 0;
	snprintf(error, size, "no backends are named");
	return -EINVAL;
}

void cli_backend_names(const struct diff_options *options, const char *separator, char *buf,
		       size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < options->nr_backends && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? separator : "",
				      options->backends[i]->name);
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

int cli_print_json(json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

	json_decref(value);
	if (!text)
		return cli_error(CLI_INTERNAL, "cannot make JSON");
	puts(text);
	free(text);
	return cli_finish(CLI_OK);
}

static json_t *set_json(const struct mapping *set, uint32_t n)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < n && i < FINDING_SET_MAX; i++)
		json_array_append_new(array, json_pack("{s:I,s:I}", "proc", (json_int_t)set[i].proc,
						       "vpn", (json_int_t)set[i].vpn));
	return array;
}

json_t *cli_finding_json(const struct finding *finding)
{
	json_t *object =
		json_pack("{s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s}", "signature", finding->signature,
			  "check", diff_check_name(finding->check), "op",
			  finding->op < NR_OPS ? op_info(finding->op)->name : "end", "op_index",
			  (json_int_t)finding->op_index, "subject", finding->subject, "against",
			  finding->against, "detail", finding->detail, "message", finding->message);

	if (object && finding->page.proc != UINT32_MAX)
		json_object_set_new(object, "page",
				    json_pack("{s:I,s:I}", "proc", (json_int_t)finding->page.proc,
					      "vpn", (json_int_t)finding->page.vpn));
	if (object && (finding->nr_found || finding->nr_expected)) {
		json_object_set_new(object, "found", set_json(finding->found, finding->nr_found));
		json_object_set_new(object, "expected",
				    set_json(finding->expected, finding->nr_expected));
	}
	return object;
}

/*
 * Outcomes in words: the names of errors, signals and unmap answers, and the spelling that the
 * text form of a trace gives to an expected result.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trace_private.h"

#define NAME(err)                                                                                  \
	{                                                                                          \
		err, #err                                                                          \
	}
static const struct {
	int err;
	const char *name;
} errnos[] = {
	NAME(EPERM),   NAME(ENOENT),    NAME(ESRCH),      NAME(EINTR),  NAME(EIO),     NAME(ENXIO),
	NAME(E2BIG),   NAME(EBADF),     NAME(ECHILD),     NAME(EAGAIN), NAME(ENOMEM),  NAME(EACCES),
	NAME(EFAULT),  NAME(EBUSY),     NAME(EEXIST),     NAME(ENODEV), NAME(EINVAL),  NAME(ENFILE),
	NAME(EMFILE),  NAME(EFBIG),     NAME(ENOSPC),     NAME(ERANGE), NAME(EDEADLK), NAME(ENOSYS),
	NAME(ENODATA), NAME(EOVERFLOW), NAME(EOPNOTSUPP),
};
#undef NAME
#define NR_ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

const char *errno_name(int err)
{
	for (size_t i = 0; i < NR_ERRNOS; i++) {
		if (errnos[i].err == -err)
			return errnos[i].name;
	}
	return NULL;
}

int errno_of_name(const char *name)
{
	for (size_t i = 0; i < NR_ERRNOS; i++) {
		if (strcmp(errnos[i].name, name) == 0)
			return -errnos[i].err;
	}
	return 0;
}

const char *const unmap_names[NR_UNMAP] = {
	[UNMAP_SUCCESS] = "success", [UNMAP_AGAIN] = "again", [UNMAP_FAIL] = "fail"};

static void put_error(struct text *text, int32_t err)
{
	const char *name = err == RES_SEGV ? "SEGV" : err == RES_BUS ? "BUS" : errno_name(err);

	if (name)
		text_put(text, "%s", name);
	else
		text_put(text, "%" PRId32, err);
}

static void put_token(struct text *text, uint64_t token)
{
	if (token == 0)
		text_put(text, "zero");
	else if (token >> 32 == TOKEN_WRITE >> 32)
		text_put(text, "write %" PRIu32, (uint32_t)token);
	else if (token >> 62 == TOKEN_FILE >> 62)
		text_put(text, "file f%" PRIu32 " %" PRIu32, (uint32_t)(token >> 32) & 0x3fffffffu,
			 (uint32_t)token);
	else
		text_put(text, "token 0x%" PRIx64, token);
}

static void put_value(struct text *text, enum op_code code, uint32_t value)
{
	if (op_gives_address(code))
		text_put(text, "0x%08" PRIx32, value);
	else if (op_gives_unmap(code) && value < NR_UNMAP)
		text_put(text, "%s", unmap_names[value]);
	else
		text_put(text, "%" PRIu32, value);
}

/* What a result of CODE says beyond success. */
static bool gives_token(enum op_code code)
{
	return code == OP_read || code == OP_fread || code == OP_pinread;
}
static bool gives_value(enum op_code code)
{
	return op_gives_address(code) || op_gives_unmap(code) || code == OP_age ||
	       code == OP_reclaim || code == OP_writeback || code == OP_mkclean ||
	       code == OP_fdrop || code == OP_pin;
}

void expect_put(struct text *text, enum op_code code, const struct expect *expect)
{
	if (expect->err)
		put_error(text, expect->err);
	else if (expect->has_token)
		put_token(text, expect->token);
	else if (expect->has_value)
		put_value(text, code, expect->value);
	else
		text_put(text, "ok");
}

int result_print(enum op_code code, const struct result *result, char *buf, size_t size)
{
	struct text text;
	struct expect expect = {
		.kind = EXPECT_RESULT,
		.err = result->err,
		.has_value = gives_value(code),
		.value = result->value,
		.has_token = gives_token(code),
		.token = result->token,
	};

	text_init(&text, buf, size);
	expect_put(&text, code, &expect);
	return (int)text.len;
}

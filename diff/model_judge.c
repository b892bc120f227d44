/*
 * Verdicts: compare what happened with what must happen, and say it in one sentence.
 *
 * A call that breaks several rules may report any of them; the manual pages give no order. Where
 * two errors are in order, must_fail() takes both.
 */
#include <stdarg.h>
#include <stdio.h>

#include "model_private.h"

#define TEXT_MAX 48

static const char *outcome_name(int32_t err, char *buf, size_t size)
{
	static const struct {
		int32_t err;
		const char *name;
	} names[] = {
		{0, "success"},      {-EINVAL, "EINVAL"},         {-ENOMEM, "ENOMEM"},
		{-EFAULT, "EFAULT"}, {-ESRCH, "ESRCH"},           {-EAGAIN, "EAGAIN"},
		{-EBADF, "EBADF"},   {-EFBIG, "EFBIG"},           {-EOVERFLOW, "EOVERFLOW"},
		{-EACCES, "EACCES"}, {-ENODATA, "ENODATA"},       {-ENOSPC, "ENOSPC"},
		{-EPERM, "EPERM"},   {-EOPNOTSUPP, "EOPNOTSUPP"}, {-EIO, "EIO"},
		{-EBUSY, "EBUSY"},   {RES_SEGV, "SIGSEGV"},       {RES_BUS, "SIGBUS"},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].err == err)
			return names[i].name;
	snprintf(buf, size, "result %d", err);
	return buf;
}

static const char *token_name(uint64_t token, char *buf, size_t size)
{
	switch (token & ~TOKEN_MARKS) {
	case 0:
		return "zero";
	case TOKEN_UNKNOWN & ~TOKEN_MAYBE:
		return "an unknown token";
	}
	if (token & TOKEN_WRITE)
		snprintf(buf, size, "%sthe write of op %u", token & TOKEN_LAZY ? "zero or " : "",
			 (uint32_t)token);
	else if (token >> 62 == TOKEN_FILE >> 62)
		snprintf(buf, size, "page %u of f%u as at boot", (uint32_t)token,
			 (uint32_t)(token >> 32 & 0xff));
	else
		snprintf(buf, size, "0x%016llx", (unsigned long long)token);
	return buf;
}

static void say(const struct judge *judge, const char *format, va_list args)
{
	if (judge->why_size)
		vsnprintf(judge->why, judge->why_size, format, args);
}

enum model_verdict disagree(const struct judge *judge, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(judge, format, args);
	va_end(args);
	return MODEL_DISAGREES;
}

enum model_verdict abstain(const struct judge *judge, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(judge, format, args);
	va_end(args);
	return MODEL_ABSTAINS;
}

static int32_t as_result(int error)
{
	return RES_IS_SIGNAL(error) ? error : -error;
}

enum model_verdict must_fail(const struct judge *judge, int a, int b)
{
	int32_t err = judge->actual->err;
	char wanted[TEXT_MAX], other[TEXT_MAX], got[TEXT_MAX];

	if (err == as_result(a) || (b && err == as_result(b)) || out_of_memory(judge))
		return MODEL_AGREES;
	return disagree(judge, "expected %s%s%s, got %s",
			outcome_name(as_result(a), wanted, TEXT_MAX), b ? " or " : "",
			b ? outcome_name(as_result(b), other, TEXT_MAX) : "",
			outcome_name(err, got, TEXT_MAX));
}

enum model_verdict must_succeed(const struct judge *judge)
{
	char got[TEXT_MAX];

	if (!judge->actual->err)
		return MODEL_AGREES;
	return disagree(judge, "expected success, got %s",
			outcome_name(judge->actual->err, got, TEXT_MAX));
}

enum model_verdict must_return(const struct judge *judge, uint32_t vpn)
{
	uint32_t addr = vpn << PAGE_SHIFT_BITS;

	if (judge->actual->err)
		return must_succeed(judge);
	if (judge->actual->value == addr)
		return MODEL_AGREES;
	return disagree(judge, "expected address 0x%08x, got 0x%08x", addr, judge->actual->value);
}

enum model_verdict must_see(const struct judge *judge, uint64_t expected)
{
	char wanted[TEXT_MAX], got[TEXT_MAX];

	if (judge->actual->token == expected)
		return MODEL_AGREES;
	return disagree(judge, "expected to read %s, got %s",
			token_name(expected, wanted, TEXT_MAX),
			token_name(judge->actual->token, got, TEXT_MAX));
}

enum model_verdict must_choose(const struct judge *judge, uint32_t npages)
{
	const struct model *model = judge->model;
	uint32_t value = judge->actual->value, vpn = value >> PAGE_SHIFT_BITS;
	char got[TEXT_MAX];

	if (judge->actual->err) {
		if (judge->actual->err == -ENOMEM &&
		    !space_has_gap(judge->space, model->mmap_base, model->task_pages, npages))
			return MODEL_AGREES;
		return disagree(judge, "expected success (there is room for %u pages), got %s",
				npages, outcome_name(judge->actual->err, got, TEXT_MAX));
	}
	if (is_unaligned(value) || !vpn)
		return disagree(judge, "the address chosen, 0x%08x, is not a page's", value);
	if (vpn > model->task_pages || npages > model->task_pages - vpn)
		return disagree(judge,
				"the address chosen, 0x%08x + %u pages, is not in user space",
				value, npages);
	if (!space_is_free(judge->space, vpn, vpn + npages))
		return disagree(judge, "the address chosen, 0x%08x + %u pages, is not free", value,
				npages);
	return MODEL_AGREES;
}

enum model_verdict lose(const struct judge *judge, uint32_t first, uint32_t last)
{
	judge->model->lost = (struct lost){.proc = judge->op->args[0], .object = OBJECT_NONE};
	lose_also(judge, first, last);
	if (!judge->model->lost.n)
		return MODEL_AGREES;
	if (judge->why_size)
		snprintf(judge->why, judge->why_size,
			 "partial-failure: what is mapped around 0x%08x is not specified",
			 first << PAGE_SHIFT_BITS);
	return MODEL_LOST;
}

void lose_also(const struct judge *judge, uint32_t first, uint32_t last)
{
	struct lost *lost = &judge->model->lost;

	if (last > judge->model->task_pages)
		last = judge->model->task_pages;
	if (first >= last)
		return;
	lost->range[lost->n].first = first;
	lost->range[lost->n].last = last;
	lost->n++;
}

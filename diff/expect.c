/*
 * EXPECT: traces as tests. Run a trace in lockstep, and after each op compare what the trace says
 * about it: its result, the states of some pages, how many entries map a frame. What is said of
 * the whole trace: that nothing is found, or which finding is.
 *
 *     write p0 w0 = ok
 *     # expect: p0 w0 w-.        every subject still in lockstep shows this, unless it has copied
 *                                early (early_copy.c) and so has other pages by right
 */
#include <inttypes.h>

#include "internal.h"

#define TEXT_MAX 64

static const char *result_text(enum op_code code, const struct result *result, char *buf)
{
	result_print(code, result, buf, TEXT_MAX);
	return buf;
}

static bool expect_result(struct diff *diff, const struct expect *expect)
{
	const struct subject *reference = diff->reference;
	const struct result *got = &diff->results[expect->at - diff->op_index + diff->nr_group];
	struct result wanted = {expect->err, expect->value, expect->token};
	enum op_code code = (enum op_code)diff->op.code;
	char a[TEXT_MAX], b[TEXT_MAX];

	if (reference->copied && tells_residence(code))
		return false;
	if (got->err == expect->err && (!expect->has_value || got->value == expect->value) &&
	    (!expect->has_token || got->token == expect->token))
		return false;
	return find(diff, CHECK_EXPECT, reference->name, "trace", "result",
		    "line %" PRIu32 ": expected %s, got %s", expect->line,
		    !expect->err && !expect->has_value && !expect->has_token
			    ? "ok"
			    : result_text(code, &wanted, a),
		    result_text(code, got, b));
}

static bool expect_pages(struct diff *diff, const struct expect *expect)
{
	size_t n = strlen(expect->text);
	char got[EXPECT_TEXT_MAX] = "";

	FOR_EACH_SUBJECT (diff, s) {
		for (size_t i = 0; i < n; i++)
			got[i] = machine_page_char(s->machine, expect->proc,
						   expect->vpn + (uint32_t)i);
		if (s->alone || s->copied || s->apart || memcmp(got, expect->text, n) == 0)
			continue;
		find(diff, CHECK_EXPECT, s->name, "trace", "pages",
		     "line %" PRIu32 ": expected pages %s, got %s", expect->line, expect->text,
		     got);
		find_page(diff->finding, expect->proc, expect->vpn);
		return true;
	}
	return false;
}

static bool expect_mappers(struct diff *diff, const struct expect *expect)
{
	FOR_EACH_SUBJECT (diff, s) {
		struct page_view view;

		machine_view_page(s->machine, expect->proc, expect->vpn, &view);
		if (s->alone || s->copied || s->apart || view.mapcount == expect->count)
			continue;
		find(diff, CHECK_EXPECT, s->name, "trace", "mappers",
		     "line %" PRIu32 ": expected %" PRIu32
		     " entries that map the page, got %" PRIu32,
		     expect->line, expect->count, view.mapcount);
		find_page(diff->finding, expect->proc, expect->vpn);
		return true;
	}
	return false;
}

typedef bool expect_fn(struct diff *diff, const struct expect *expect);

static expect_fn *const expect_after_op[] = {
	[EXPECT_RESULT] = expect_result,   [EXPECT_PAGES] = expect_pages,
	[EXPECT_MAPPERS] = expect_mappers, [EXPECT_CLEAN] = NULL,
	[EXPECT_FINDING] = NULL,
};

/* What TRACE expects after op AT (UINT32_MAX: before the first): entries from *NEXT on. */
static bool expect_at(struct diff *diff, const struct trace *trace, uint32_t at, uint32_t *next)
{
	for (; *next < trace->nr_expects && trace->expects[*next].at == at; ++*next) {
		const struct expect *expect = &trace->expects[*next];
		expect_fn *fn = expect_after_op[expect->kind];

		if (!fn)
			continue;
		diff->stats.check_count[CHECK_EXPECT]++;
		if (fn(diff, expect)) {
			diff->finding->op_index = at == UINT32_MAX ? 0 : at;
			return true;
		}
	}
	return false;
}

/* What is expected of the ops of a group, when all have run. */
static bool expect_group(struct diff *diff, const struct trace *trace, uint32_t first, uint32_t n,
			 uint32_t *next)
{
	for (uint32_t k = 0; k < n; k++) {
		diff->op = diff->group[k];
		if (expect_at(diff, trace, first + k, next))
			return true;
	}
	return false;
}

static int run(struct diff *diff, const struct trace *trace, struct finding *finding)
{
	uint32_t next = 0;

	diff_begin(diff, &trace->config);
	diff->finding = finding;
	diff->op = trace->nr_ops ? trace->ops[0] : (struct op){0};
	if (expect_at(diff, trace, UINT32_MAX, &next))
		return 1;
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		uint32_t n = op_group(&trace->ops[i], trace->nr_ops - i);

		if (diff_step_group(diff, &trace->ops[i], n, finding) ||
		    expect_group(diff, trace, i, n, &next))
			return 1;
		i += n - 1;
	}
	return diff_end(diff, finding);
}

static const struct expect *expected_finding(const struct trace *trace)
{
	for (uint32_t i = 0; i < trace->nr_expects; i++) {
		if (trace->expects[i].kind == EXPECT_FINDING)
			return &trace->expects[i];
	}
	return NULL;
}

int diff_run_expect(struct diff *diff, const struct trace *trace, struct finding *finding)
{
	const struct expect *expect = expected_finding(trace);
	int found = run(diff, trace, finding);

	if (!expect)
		return found;
	diff->stats.check_count[CHECK_EXPECT]++;
	if (found)
		return strcmp(finding->signature, expect->text) != 0;
	diff->at_end = true;
	find(diff, CHECK_EXPECT, diff->reference->name, "trace", "nothing-found",
	     "line %" PRIu32 ": expected %s, nothing was found", expect->line, expect->text);
	return 1;
}

/*
 * Findings: filling one in, its signature, and the report that people read.
 *
 * A signature names what is wrong and nothing that differs between two inputs with the same bug:
 * check, op, subject, kind of difference. No addresses, no indices, no counts.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

#define CHECK(id, name, help) name,
static const char *const check_names[NR_CHECKS] = {
#include "checks.def"
};
#undef CHECK

const char *diff_check_name(enum diff_check check)
{
	return check_names[check];
}

/* The check whose name is the first N bytes of NAME, or NR_CHECKS. */
static uint32_t check_called(const char *name, size_t n)
{
	uint32_t check = 0;

	while (check < NR_CHECKS &&
	       (strncmp(check_names[check], name, n) != 0 || check_names[check][n]))
		check++;
	return check;
}

bool diff_check_mask(const char *list, uint32_t *mask)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		uint32_t check = check_called(list, n);

		if (check == NR_CHECKS)
			return false;
		*mask |= 1u << check;
		list += n + (list[n] == ',');
	}
	return true;
}

static const char *op_name_of(const struct finding *finding)
{
	return finding->op < NR_OPS ? op_info(finding->op)->name : "end";
}

/* ---- names ------------------------------------------------------------------------------ */

const char *page_name(uint32_t vpn, char *buf, size_t size)
{
	uint32_t page = vpn - WINDOW_BASE / PAGE_SIZE;

	if (page < WINDOW_PAGES)
		snprintf(buf, size, "w%" PRIu32, page);
	else
		snprintf(buf, size, "0x%08" PRIx32, vpn * PAGE_SIZE);
	return buf;
}

const char *err_name(int32_t err, char *buf, size_t size)
{
	const char *name = err < 0 ? strerrorname_np(-err) : NULL;

	if (err == RES_SEGV || err == RES_BUS)
		return err == RES_SEGV ? "SEGV" : "BUS";
	if (!err || name)
		return err ? name : "success";
	snprintf(buf, size, "%" PRId32, err);
	return buf;
}

void slug(const char *sentence, char *buf, size_t size)
{
	size_t n = 0;

	while (*sentence) {
		size_t length = strcspn(sentence, " ,:;()\"'");
		bool word = length && (isalpha((unsigned char)*sentence) || *sentence == '_');

		for (size_t i = 0; word && i < length; i++)
			word = !isdigit((unsigned char)sentence[i]);
		if (word) {
			if (n + (n > 0) + length >= size)
				break;
			if (n)
				buf[n++] = '-';
			memcpy(buf + n, sentence, length);
			n += length;
		}
		sentence += length + (sentence[length] != '\0');
	}
	buf[n] = '\0';
}

/* ---- filling in ------------------------------------------------------------------------- */

bool find(struct diff *diff, enum diff_check check, const char *subject, const char *against,
	  const char *detail, const char *format, ...)
{
	struct finding *finding = diff->finding;
	va_list args;

	*finding = (struct finding){
		.check = check,
		.op_index = diff->op_index,
		.op = diff->at_end ? NR_OPS : (enum op_code)diff->op.code,
		.subject = subject,
		.against = against,
		.page.proc = UINT32_MAX,
	};
	snprintf(finding->detail, sizeof(finding->detail), "%s", detail);
	snprintf(finding->signature, sizeof(finding->signature), "%s:%s:%s:%s", check_names[check],
		 op_name_of(finding), subject, finding->detail);
	va_start(args, format);
	vsnprintf(finding->message, sizeof(finding->message), format, args);
	va_end(args);
	return true;
}

void find_page(struct finding *finding, uint32_t proc, uint32_t vpn)
{
	finding->page = (struct mapping){proc, vpn};
}

static void set_add(struct mapping *set, uint32_t *n, uint32_t proc, uint32_t vpn)
{
	if (*n < FINDING_SET_MAX)
		set[*n] = (struct mapping){proc, vpn};
	++*n;
}

void find_found(struct finding *finding, uint32_t proc, uint32_t vpn)
{
	set_add(finding->found, &finding->nr_found, proc, vpn);
}

void find_expected(struct finding *finding, uint32_t proc, uint32_t vpn)
{
	set_add(finding->expected, &finding->nr_expected, proc, vpn);
}

/* ---- the report --------------------------------------------------------------------------- */

/* Ops shown before the guilty one. */
#define REPORT_OPS 200u

static void print_mapping(const struct mapping *mapping, FILE *out)
{
	char name[16];

	fprintf(out, "p%" PRIu32 " %s", mapping->proc, page_name(mapping->vpn, name, sizeof(name)));
}

static void print_set(const char *label, const struct mapping *set, uint32_t n, FILE *out)
{
	uint32_t shown = n < FINDING_SET_MAX ? n : FINDING_SET_MAX;

	fprintf(out, "  %-9s {", label);
	for (uint32_t i = 0; i < shown; i++) {
		fputs(i ? ", " : "", out);
		print_mapping(&set[i], out);
	}
	if (shown < n)
		fprintf(out, ", and %" PRIu32 " more", n - shown);
	fputs("}\n", out);
}

/* The trace with the guilty op marked. What comes after it had no part in it. */
static void print_trace(const struct finding *finding, const struct trace *trace, FILE *out)
{
	uint32_t last = finding->op_index < trace->nr_ops ? finding->op_index + 1 : trace->nr_ops;
	uint32_t first = last > REPORT_OPS ? last - REPORT_OPS : 0;
	char text[MACHINE_CONFIG_TEXT_MAX];

	/* Those that ran inside it had. */
	while (last < trace->nr_ops && trace->ops[last].point)
		last++;

	machine_config_print(&trace->config, text, sizeof(text));
	fprintf(out, "  machine   %s\n", text);
	if (first)
		fprintf(out, "     ... %" PRIu32 " ops before\n", first);
	for (uint32_t i = first; i < last; i++) {
		op_print(&trace->ops[i], text, sizeof(text));
		fprintf(out, "  %s%5" PRIu32 "  %s%s\n", i == finding->op_index ? "=>" : "  ", i,
			trace->ops[i].point ? "  " : "", text);
	}
	if (finding->op_index >= trace->nr_ops)
		fputs("  =>       (the end)\n", out);
	else if (last < trace->nr_ops)
		fprintf(out, "     ... %" PRIu32 " ops after\n", trace->nr_ops - last);
}

void finding_print(const struct finding *finding, const struct trace *trace, FILE *out)
{
	fprintf(out, "finding: %s\n", finding->signature);
	fprintf(out, "  %s\n", finding->message);
	if (finding->page.proc != UINT32_MAX) {
		fputs("  page      ", out);
		print_mapping(&finding->page, out);
		fputc('\n', out);
	}
	if (finding->nr_found || finding->nr_expected) {
		print_set("found", finding->found, finding->nr_found, out);
		print_set("expected", finding->expected, finding->nr_expected, out);
	}
	print_trace(finding, trace, out);
}

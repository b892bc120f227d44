/* Counting what an import could not, or only partly, take over; and printing it. */
#include <stdarg.h>
#include <string.h>

#include "import_private.h"

/* Where a row of CLASS called WHAT is, or would have to be. */
static uint32_t row_index(const struct import_report *report, enum import_class class,
			  const char *what, bool *found)
{
	uint32_t i = 0;

	*found = false;
	while (i < report->nr_rows && report->rows[i].class < class)
		i++;
	for (; i < report->nr_rows && report->rows[i].class == class; i++) {
		if (!strcmp(report->rows[i].what, what)) {
			*found = true;
			break;
		}
	}
	return i;
}

void report_add(struct import_report *report, enum import_class class, uint64_t pages,
		uint32_t line, const char *what)
{
	char name[sizeof(report->rows[0].what)];
	bool found;
	uint32_t i;

	/* The last row is kept for everything that finds no row of its own. */
	snprintf(name, sizeof(name), "%s", what);
	i = row_index(report, class, name, &found);
	if (!found && report->nr_rows >= IMPORT_ROWS_MAX - NR_IMPORT_CLASSES) {
		snprintf(name, sizeof(name), "other");
		i = row_index(report, class, name, &found);
	}
	if (!found) {
		memmove(&report->rows[i + 1], &report->rows[i],
			(report->nr_rows - i) * sizeof(report->rows[0]));
		report->nr_rows++;
		report->rows[i] = (struct import_row){.class = class, .line = line};
		memcpy(report->rows[i].what, name, sizeof(name));
	}
	report->rows[i].count++;
	report->rows[i].pages += pages;
}

void tally(struct importer *imp, enum import_class class, uint64_t pages, const char *format, ...)
{
	char what[128];
	va_list args;

	if (!imp->emitting)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	report_add(imp->report, class, pages, imp->line, what);
}

uint64_t import_report_count(const struct import_report *report, enum import_class class,
			     const char *what)
{
	bool found;
	uint32_t i = row_index(report, class, what, &found);

	return found ? report->rows[i].count : 0;
}

static void print_pages(uint64_t pages, FILE *out)
{
	static const char *const units[] = {"KB", "MB", "GB", "TB", "PB"};
	double size = 4.0 * (double)pages;
	uint32_t unit = 0;

	while (size >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		size /= 1024;
		unit++;
	}
	fprintf(out, ", %llu pages (%.4g %s)", (unsigned long long)pages, size, units[unit]);
}

static void print_row(const struct import_row *row, FILE *out, const char *prefix)
{
	static const char *const classes[NR_IMPORT_CLASSES] = {
		[IMPORT_DROPPED] = "dropped",     [IMPORT_CLIPPED] = "clipped",
		[IMPORT_ASSUMED] = "assumed",     [IMPORT_FAILED] = "failed when recorded",
		[IMPORT_UNRELATED] = "unrelated",
	};

	fprintf(out, "%s%s: %llu x %s", prefix, classes[row->class], (unsigned long long)row->count,
		row->what);
	if (row->pages)
		print_pages(row->pages, out);
	if (row->line)
		fprintf(out, " (first at line %u)", row->line);
	fputc('\n', out);
}

void import_report_print(const struct import_report *report, FILE *out, const char *prefix)
{
	fprintf(out, "%s%u lines, %u calls: %u became ops, %u were followed\n", prefix,
		report->lines, report->calls, report->expressed, report->followed);
	fprintf(out, "%s%u processes (%u at once), %u threads, %u execs, %u files mapped\n", prefix,
		report->processes, report->processes_peak, report->threads, report->execs,
		report->files);
	fprintf(out, "%s%u ops from calls, %u accesses and %u reclaim ops added by policy\n",
		prefix, report->call_ops, report->touch_ops, report->reclaim_ops);
	for (uint32_t i = 0; i < report->nr_rows; i++)
		print_row(&report->rows[i], out, prefix);
}

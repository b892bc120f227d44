/*
 * The story as text.
 */
#include <inttypes.h>
#include <string.h>

#include "explain_private.h"

static void print_page(const struct mapping *page, FILE *out)
{
	uint32_t window = page->vpn - WINDOW_BASE / PAGE_SIZE;

	if (page->proc == UINT32_MAX)
		fputs("no table in use", out);
	else if (window < WINDOW_PAGES)
		fprintf(out, "p%" PRIu32 " w%" PRIu32, page->proc, window);
	else
		fprintf(out, "p%" PRIu32 " 0x%08" PRIx32, page->proc, page->vpn * PAGE_SIZE);
}

static void print_pages(const struct mapping *pages, uint32_t n, FILE *out)
{
	for (uint32_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", out);
		print_page(&pages[i], out);
	}
}

static void print_op(const struct trace *trace, uint32_t op, uint32_t guilty, FILE *out)
{
	char text[256];

	op_print(&trace->ops[op], text, sizeof(text));
	fprintf(out, "  %s%5" PRIu32 "  %s\n", op == guilty ? "=>" : "  ", op, text);
}

static void print_step(const struct explanation *explanation, const struct explain_step *step,
		       const struct trace *trace, FILE *out)
{
	print_op(trace, step->op, explanation->finding.op_index, out);
	if (step->added) {
		fputs("             mapped by ", out);
		print_pages(step->mappings, step->added, out);
		fputs("\n", out);
	}
	if (step->removed) {
		fputs("             no longer by ", out);
		print_pages(&step->mappings[step->added], step->removed, out);
		fputs("\n", out);
	}
	if (step->swapped)
		fprintf(out, "             in swap for %" PRIu32 " entr%s\n", step->swapped,
			step->swapped == 1 ? "y" : "ies");
	if (!step->swapped && !step->now)
		fputs("             nobody maps it\n", out);
	if (step->describe[0])
		fprintf(out, "             %s: %s\n", explanation->subject, step->describe);
}

static void print_story(const struct explanation *explanation, const struct trace *trace, FILE *out)
{
	if (!explanation->has_page) {
		fputs("\nThe finding is about no page in particular.\n", out);
		return;
	}
	fputs("\nThe page at ", out);
	print_page(&explanation->page, out);
	if (!explanation->nr_steps) {
		fputs(" was never in memory.\n", out);
		return;
	}
	fputs(", from its first entry on:\n", out);
	for (uint32_t i = 0; i < explanation->nr_steps; i++)
		print_step(explanation, &explanation->steps[i], trace, out);
}

static void print_departure(const struct explanation *explanation, const struct trace *trace,
			    FILE *out)
{
	const struct explain_departure *departure = &explanation->departure;

	if (!departure->found) {
		fputs("\nAfter every operation each backend knew exactly what the page tables "
		      "say.\n",
		      out);
		return;
	}
	fprintf(out, "\n%s went wrong at operation %" PRIu32, departure->backend, departure->op);
	if (departure->op < explanation->finding.op_index)
		fprintf(out, ", %" PRIu32 " before it showed",
			explanation->finding.op_index - departure->op);
	fputs(":\n", out);
	print_op(trace, departure->op, explanation->finding.op_index, out);
	if (departure->died) {
		fputs("  asked for its pages, the process dies\n", out);
		return;
	}
	fputs("  asked for the page at ", out);
	print_page(&departure->page, out);
	if (departure->nr_missed) {
		fputs(", it no longer shows ", out);
		print_pages(departure->missed, departure->nr_missed, out);
	}
	if (departure->nr_extra) {
		fputs(departure->nr_missed ? ", and shows too much: " : ", it shows too much: ",
		      out);
		print_pages(departure->extra, departure->nr_extra, out);
	}
	fputs("\n", out);
}

/* Checks that look only now and then would have said so earlier. */
static void print_first(const struct explanation *explanation, const struct trace *trace, FILE *out)
{
	const struct explain_blame *blame = &explanation->blame;

	if (!blame->has_first || blame->first.op_index >= explanation->finding.op_index)
		return;
	fprintf(out,
		"\nWith every check after every operation, it shows at operation %" PRIu32 ":\n",
		blame->first.op_index);
	print_op(trace, blame->first.op_index, UINT32_MAX, out);
	fprintf(out, "  %s\n", blame->first.message);
}

static void print_alone(const struct explain_blame *blame, FILE *out)
{
	if (blame->nr_designs < 2)
		return;
	if (blame->nr_alone == blame->nr_designs) {
		fprintf(out,
			"\nEach of the %" PRIu32
			" designs shows something when it runs alone: what "
			"they share is wrong.\n",
			blame->nr_designs);
		return;
	}
	if (!blame->nr_alone) {
		fprintf(out,
			"\nNone of the %" PRIu32 " designs shows anything when it runs alone: they "
			"differ from each other.\n",
			blame->nr_designs);
		return;
	}
	fprintf(out,
		"\nOf the %" PRIu32 " designs, run alone, %s show%s something:", blame->nr_designs,
		blame->nr_alone == 1 ? "one" : "these", blame->nr_alone == 1 ? "s" : "");
	for (uint32_t i = 0; i < blame->nr_alone; i++)
		fprintf(out, "%s %s", i ? "," : "", blame->alone[i]);
	fputs(".\n", out);
}

void explain_print(const struct explanation *explanation, const struct trace *trace, FILE *out)
{
	finding_print(&explanation->finding, trace, out);
	print_story(explanation, trace, out);
	print_departure(explanation, trace, out);
	print_first(explanation, trace, out);
	print_alone(&explanation->blame, out);
}

/*
 * MODEL: the result is what the manual pages allow. The model follows the reference, so that one
 * model serves all: who differs from the reference has been found by RESULT.
 *
 * What a call that ran out of memory half-way had already done is not specified. The model then
 * says which range it has lost, and learns from the reference what is mapped there now.
 */
#include <inttypes.h>

#include "internal.h"

static void add_area(struct diff *diff, size_t n, const struct model_area *area)
{
	size_t max = diff->max_areas;

	diff->areas = diff_grow(diff->areas, &max, n + 1, sizeof(*diff->areas));
	diff->max_areas = (uint32_t)max;
	diff->areas[n] = *area;
}

/* The end of the pages from AREA's start on that show their object's pages in a row; sets its
 * pgoff. */
static uint32_t run_of_pages(struct machine *machine, uint32_t proc, struct model_area *area)
{
	uint32_t vpn = area->start, shown;

	area->pgoff = machine_view_pgoff(machine, proc, vpn);
	for (vpn++; vpn < area->end; vpn++) {
		shown = machine_view_pgoff(machine, proc, vpn);
		if (shown - area->pgoff != vpn - area->start)
			break;
	}
	return vpn;
}

/* Add VIEW, a nonlinear area as several. Returns how many there are now. */
static size_t add_areas(struct diff *diff, size_t n, uint32_t proc, const struct area_view *view)
{
	struct model_area area = {
		.start = view->start,
		.end = view->end,
		.vm_flags = view->flags,
		.file = view->file >= FILE_MAX ? -2 : view->file, /* -2: shared anonymous memory */
		.pgoff = view->pgoff,
		.linear = view->pgoff};

	while (area.start < view->end) {
		area.end = view->end;
		if (view->flags & VM_NONLINEAR)
			area.end = run_of_pages(diff->reference->machine, proc, &area);
		add_area(diff, n++, &area);
		area.linear += area.end - area.start;
		area.start = area.end;
	}
	return n;
}

static void adopt(struct diff *diff)
{
	struct machine *machine = diff->reference->machine;
	struct area_view area;
	uint32_t proc, vpn, last;
	size_t n = 0;

	model_lost_range(diff->model, &proc, &vpn, &last);
	for (; vpn < last && machine_view_area(machine, proc, vpn, &area); vpn = area.end) {
		if (area.start >= last)
			break;
		n = add_areas(diff, n, proc, &area);
	}
	model_adopt(diff->model, diff->areas, n);
}

/* What is written hides what was copied before it, so that is looked at by itself. */
static void look_beneath(struct diff *diff)
{
	const struct op *op = &diff->op;

	diff->knows_beneath =
		(op->code == OP_write || op->code == OP_poke) && group_keeps_content(diff) &&
		!model_peek(diff->model, op->args[0], op->args[1] / PAGE_SIZE, &diff->beneath);
}

void model_follow(struct diff *diff)
{
	const struct subject *reference = diff->reference;
	bool failed = reference->last->alloc_failed || reference->last->meta_failed;
	int excuse = EXCUSE_PARTIAL_FAILURE;

	diff->why[0] = '\0';
	diff->verdict = MODEL_AGREES;
	look_beneath(diff);
	if (group_hides_locks(diff))
		return;
	diff->verdict = model_step(diff->model, &diff->op, &reference->result, failed, diff->why,
				   sizeof(diff->why));
	if (reference->last->held_copies)
		model_forget_pins(diff->model);
	if (diff->verdict == MODEL_LOST)
		adopt(diff);
	else if (diff->verdict == MODEL_ABSTAINS)
		excuse = excuse_named(diff->why);
	else
		return;
	DIFF_ASSERT(excuse >= 0);
	excuse_count(diff, (enum diff_excuse)excuse);
}

/* A read that should have succeeded, and did, but saw the wrong thing, is CONTENT's. */
static bool is_about_content(const struct diff *diff)
{
	const struct op *op = &diff->op;
	uint64_t token;

	if (diff->reference->result.err)
		return false;
	if (op->code == OP_read)
		return model_peek(diff->model, op->args[0], op->args[1] / PAGE_SIZE, &token) <= 0;
	return op->code == OP_fread;
}

static bool report(struct diff *diff, enum diff_check check)
{
	char detail[sizeof(diff->finding->detail)];

	slug(diff->why, detail, sizeof(detail));
	if (check == CHECK_CONTENT)
		snprintf(detail, sizeof(detail), "token");
	return find(diff, check, diff->reference->name, "model", detail, "%s", diff->why);
}

bool check_model(struct diff *diff)
{
	if (!diff->model)
		return false;
	diff->stats.check_count[CHECK_MODEL]++;
	if (diff->verdict != MODEL_DISAGREES || is_about_content(diff))
		return false;
	return report(diff, CHECK_MODEL);
}

/* A write has copied its page first: the copy held what the page had held. The others have filled
 * their pages alike, or PTES finds it. */
static bool check_copies(struct diff *diff)
{
	const struct subject *s = diff->reference;
	const struct op *op = &diff->op;
	uint32_t vpn = op->args[1] / PAGE_SIZE;
	char name[16];

	if (!diff->knows_beneath || !machine_proc_alive(s->machine, op->args[0]))
		return false;
	diff->stats.check_count[CHECK_CONTENT]++;
	for (size_t i = 0; i < s->nr_events; i++) {
		const struct event *event = &s->events[i];

		if (event->kind != EVENT_FILL || event->aux != FILL_COPY || event->vpn != vpn ||
		    event->mm != machine_mm_of(s->machine, op->args[0]) ||
		    event->value == diff->beneath)
			continue;
		find(diff, CHECK_CONTENT, s->name, "model", "copy",
		     "the copy that is made at p%" PRIu32 " %s holds 0x%" PRIx64
		     ", and its page should hold 0x%" PRIx64,
		     op->args[0], page_name(vpn, name, sizeof(name)), event->value, diff->beneath);
		find_page(diff->finding, op->args[0], vpn);
		return true;
	}
	return false;
}

bool check_content(struct diff *diff)
{
	if (!diff->model)
		return false;
	if (diff->op.code == OP_write || diff->op.code == OP_poke)
		return check_copies(diff);
	if (diff->op.code != OP_read && diff->op.code != OP_fread)
		return false;
	diff->stats.check_count[CHECK_CONTENT]++;
	return diff->verdict == MODEL_DISAGREES && report(diff, CHECK_CONTENT);
}

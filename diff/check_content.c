/*
 * CONTENT of everything that is in memory: every page that the reference has present shows what
 * the model says a read of it would return, and no page is present where a read would fail. Done at
 * recounts, since it looks at all that exists; other subjects wrote the same entries and returned
 * the same results, but for those that have copied early: they are looked at, too.
 */
#include <inttypes.h>

#include "internal.h"

static bool report(struct diff *diff, const struct subject *s, uint32_t proc, uint32_t vpn,
		   uint64_t got, uint64_t wanted)
{
	char name[16];

	find(diff, CHECK_CONTENT, s->name, "model", "page",
	     "the page at p%" PRIu32 " %s holds 0x%" PRIx64 ", it should hold 0x%" PRIx64, proc,
	     page_name(vpn, name, sizeof(name)), got, wanted);
	find_page(diff->finding, proc, vpn);
	return true;
}

/* A page is present where the model says that a read fails with ERR. */
static bool report_stray(struct diff *diff, const struct subject *s, uint32_t proc, uint32_t vpn,
			 int err)
{
	char name[16];

	find(diff, CHECK_CONTENT, s->name, "model", "stray",
	     "a page is present at p%" PRIu32 " %s, where a read should fail with %s", proc,
	     page_name(vpn, name, sizeof(name)),
	     err == RES_BUS    ? "BUS"
	     : err == RES_SEGV ? "SEGV"
			       : "ESRCH");
	find_page(diff->finding, proc, vpn);
	return true;
}

/* Memory that was mapped with MAP_NORESERVE is charged. */
static bool report_charge(struct diff *diff, const struct subject *s, uint32_t proc, uint32_t vpn)
{
	char name[16];

	find(diff, CHECK_COUNTS, s->name, "model", "charge",
	     "the page at p%" PRIu32 " %s was mapped with MAP_NORESERVE, and is charged", proc,
	     page_name(vpn, name, sizeof(name)));
	find_page(diff->finding, proc, vpn);
	return true;
}

/* Must a page that is seen like this not exist, if a read of it fails with ERR? An area that may
 * not be read keeps its pages; content that the model cannot know is no error. */
static bool is_stray(const struct page_view *view, int err)
{
	if (err == RES_SEGV)
		return view->vm_flags & (VM_READ | VM_EXEC);
	return err == RES_BUS || err == -ESRCH;
}

static bool check_memory(struct diff *diff, const struct subject *s)
{
	struct page_view view;
	uint64_t token;

	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		/* What threads share is looked at once. */
		if (machine_proc_alive(s->machine, proc) && machine_mm_of(s->machine, proc) != proc)
			continue;
		for (uint32_t vpn = 0; machine_next_present(s->machine, proc, &vpn, &view); vpn++) {
			int err = model_peek(diff->model, proc, vpn, &token);

			if (view.vm_flags & VM_ACCOUNT && model_noreserve(diff->model, proc, vpn))
				return report_charge(diff, s, proc, vpn);

			if (err && is_stray(&view, err))
				return report_stray(diff, s, proc, vpn, err);
			if (!err && token != view.token)
				return report(diff, s, proc, vpn, view.token, token);
		}
	}
	return false;
}

bool check_all_content(struct diff *diff)
{
	if (!diff->model || !diff_wants(diff, CHECK_CONTENT))
		return false;
	diff->stats.check_count[CHECK_CONTENT]++;
	FOR_EACH_SUBJECT (diff, s) {
		if ((s == diff->reference || (s->apart && !s->alone)) && check_memory(diff, s))
			return true;
	}
	return false;
}

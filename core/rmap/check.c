/*
 * Going over every mapping of a machine, for the designs' check().
 */
#include "backend.h"

struct check {
	check_entry_fn *entry;
	struct vma *vma;
	const char *broken;
};

static bool check_one(struct machine *machine, struct page *page, uint32_t vpn, struct ptep pte,
		      void *arg)
{
	struct check *check = arg;

	check->broken = check->entry(machine, page, check->vma, vpn, pte);
	return !check->broken;
}

const char *check_every_entry(struct machine *machine, check_entry_fn *entry)
{
	struct rmap_counters saved = *machine_counters(machine);
	struct check check = {.entry = entry};
	struct mm *mm;

	TAILQ_FOREACH (mm, machine_mms(machine), link) {
		for (struct vma *vma = mm->first; vma && !check.broken; vma = vma->next) {
			check.vma = vma;
			rmap_each_mapped(machine, vma, vma->start, vma->end, NULL, check_one,
					 &check);
		}
	}
	*machine_counters(machine) = saved;
	return check.broken;
}

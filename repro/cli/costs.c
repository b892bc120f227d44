/*
 * What a trace cost under each design: the counters of its machine, as a table or as JSON. Costs
 * are measured and never judged.
 */
#include <inttypes.h>

#include "cli.h"

static const struct {
	const char *name;
	size_t offset; /* of a uint64_t in struct machine_stats */
} costs[] = {
	{"probes", offsetof(struct machine_stats, rmap.pte_probes)},
	{"misses", offsetof(struct machine_stats, rmap.pte_misses)},
	{"areas", offsetof(struct machine_stats, rmap.vmas_visited)},
	{"links", offsetof(struct machine_stats, rmap.links)},
	{"kmaps", offsetof(struct machine_stats, rmap.kmap_atomic)},
	{"copies", offsetof(struct machine_stats, early_copies)},
	{"walks", offsetof(struct machine_stats, tlb.misses)},
	{"flushes", offsetof(struct machine_stats, tlb.flushes)},
	{"entries", offsetof(struct machine_stats, tlb.kernel_entries)},
	{"cr3", offsetof(struct machine_stats, tlb.cr3_loads)},
	{"peak", offsetof(struct machine_stats, meta_peak)},
};

#define NR_COSTS (sizeof(costs) / sizeof(*costs))

static uint64_t cost(const struct machine_stats *stats, size_t i)
{
	return *(const uint64_t *)((const char *)stats + costs[i].offset);
}

void cli_print_costs(struct diff *diff, FILE *out)
{
	struct machine *machine;

	fprintf(out, "         %-16s", "");
	for (size_t i = 0; i < NR_COSTS; i++)
		fprintf(out, " %8s", costs[i].name);
	fputc('\n', out);
	for (uint32_t n = 0; (machine = diff_machine(diff, n)); n++) {
		struct machine_stats stats;

		machine_stats(machine, &stats);
		fprintf(out, "         %-16s", machine_rmap(machine)->name);
		for (size_t i = 0; i < NR_COSTS; i++)
			fprintf(out, " %8" PRIu64, cost(&stats, i));
		fputc('\n', out);
	}
}

json_t *cli_costs_json(struct diff *diff)
{
	json_t *all = json_object();
	struct machine *machine;

	for (uint32_t n = 0; (machine = diff_machine(diff, n)); n++) {
		json_t *object = json_object();
		struct machine_stats stats;

		machine_stats(machine, &stats);
		for (size_t i = 0; i < NR_COSTS; i++)
			json_object_set_new(object, costs[i].name,
					    json_integer((json_int_t)cost(&stats, i)));
		json_object_set_new(all, machine_rmap(machine)->name, object);
	}
	return all;
}

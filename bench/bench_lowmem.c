/*
 * What page clustering is for: lowmem that is free at boot, simulated beside what was measured in
 * 2003. Not a speed, but a number that a reader wants to see with his own eyes.
 *
 * struct page had 44 bytes in the kernels measured (2.5 on i386 PAE), and
 * zones are laid out for that under every design. tests/test_cluster.c holds each within 10 %.
 */
#include "bench.h"

#include <stdio.h>

static const struct {
	const char *what, *machine;
	uint32_t measured_kb;
	const char *source;
} rows[] = {
	{"64 GB, 4 KB pages", "64g", 176076, "NUMA-Q, 2.5.65-mm2"},
	{"64 GB, 32 KB pages", "64g-pgcl3", 751872, "the same with page clustering, 2.5.68"},
	{"64 GB, 4 KB pages, 4:4 split", "64g-4:4", 3137464, "I. Molnar, 4G/4G patch, July 2003"},
};

void bench_lowmem(void)
{
	bench_title("lowmem: LowTotal at boot, in kB");
	printf("  %-30s %10s %10s %7s  %s\n", "machine", "simulated", "measured", "ratio",
	       "source");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct machine_config *config = &machine_preset_find(rows[i].machine)->config;
		struct machine *machine = machine_create(config, rmap_find("pte_chain"));
		struct machine_stats stats;
		double kb;

		machine_stats(machine, &stats);
		kb = (double)stats.lowmem_boot_free / 1024;
		printf("  %-30s %10.0f %10u %6.2fx  %s\n", rows[i].what, kb, rows[i].measured_kb,
		       kb / rows[i].measured_kb, rows[i].source);
		machine_destroy(machine);
	}
}

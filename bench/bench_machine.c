/*
 * One machine: what it costs to start and to wipe one, by size; what a fault costs, by how much
 * is mapped already; and what the host is asked for once everything has grown.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void apply(struct machine *machine, struct op op)
{
	struct result result;

	machine_apply(machine, &op, &result);
	if (result.err) {
		char text[160];

		op_print(&op, text, sizeof(text));
		fprintf(stderr, "bench: \"%s\" returned %d\n", text, (int)result.err);
		exit(1);
	}
}

static void map_at(struct machine *machine, uint32_t proc, uint32_t addr, uint32_t npages)
{
	apply(machine,
	      (struct op){.code = OP_mmap,
			  .args = {proc, REGION_NONE, addr, npages, OP_PROT_READ | OP_PROT_WRITE,
				   OP_MAP_ANON | OP_MAP_FIXED | OP_MAP_NORESERVE}});
}

static void write_page(struct machine *machine, uint32_t proc, uint32_t addr)
{
	apply(machine, (struct op){.code = OP_write, .args = {proc, addr}});
}

/* ---- start ------------------------------------------------------------------------------ */

struct start {
	struct machine_config config;
	struct machine *machine;
};

static double create_and_destroy(void *arg)
{
	struct start *start = arg;

	machine_destroy(machine_create(&start->config, rmap_find("anon_vma")));
	return 1;
}

/* The same little work in each, so that there is something to wipe. */
static double work_and_reset(void *arg)
{
	struct start *start = arg;

	map_at(start->machine, 0, WINDOW_BASE, 16);
	for (uint32_t i = 0; i < 16; i++)
		write_page(start->machine, 0, WINDOW_BASE + i * PAGE_SIZE);
	machine_reset(start->machine);
	return 1;
}

static void start_one(const char *preset, double *create, double *reset)
{
	struct start start = {.config = machine_preset_find(preset)->config};

	*create = 1e6 / bench_rate(create_and_destroy, &start);
	start.machine = machine_create(&start.config, rmap_find("anon_vma"));
	*reset = 1e6 / bench_rate(work_and_reset, &start);
	machine_destroy(start.machine);
}

void bench_start(void)
{
	double tiny_create, tiny_reset, create, reset;

	bench_title("start: one machine");
	start_one("tiny", &tiny_create, &tiny_reset);
	start_one("64g", &create, &reset);
	bench_row_max("create and destroy, 16 MB", tiny_create, "us", 0);
	bench_row_max("create and destroy, 64 GB", create, "us", 0);
	bench_row_max("  ratio", create / tiny_create, "x", 1);
	bench_row_max("map 16 pages, write them, wipe, 16 MB", tiny_reset, "us", 0);
	bench_row_max("map 16 pages, write them, wipe, 64 GB", reset, "us", 0);
	bench_row_max("  ratio", reset / tiny_reset, "x", 1);
}

/* ---- growth ------------------------------------------------------------------------------ */

#define GROUND           0x10000000u /* where the pages that are merely there begin */
#define GROUND_PAGES_MAX 524288u     /* of one process: 2 GB */
#define FAULT_BASE       0xa0000000u
#define FAULT_PAGES      512u

/* Write FAULT_PAGES fresh pages, then drop them again. */
static double fault_and_drop(void *arg)
{
	struct machine *machine = arg;

	for (uint32_t i = 0; i < FAULT_PAGES; i++)
		write_page(machine, 0, FAULT_BASE + i * PAGE_SIZE);
	apply(machine, (struct op){.code = OP_madvise,
				   .args = {0, FAULT_BASE, FAULT_PAGES, ADVICE_DONTNEED}});
	return FAULT_PAGES;
}

/* NPAGES pages that stay mapped, in as many processes as it takes. */
static void map_ground(struct machine *machine, uint32_t npages)
{
	/* Fork first, so that there is nothing yet to copy. */
	for (uint32_t proc = 1; proc * GROUND_PAGES_MAX < npages; proc++)
		apply(machine, (struct op){.code = OP_fork, .args = {0, proc}});
	for (uint32_t proc = 0; proc * GROUND_PAGES_MAX < npages; proc++) {
		uint32_t left = npages - proc * GROUND_PAGES_MAX;
		uint32_t n = left < GROUND_PAGES_MAX ? left : GROUND_PAGES_MAX;

		map_at(machine, proc, GROUND, n);
		for (uint32_t i = 0; i < n; i++)
			write_page(machine, proc, GROUND + i * PAGE_SIZE);
	}
}

/* Microseconds per fault with NPAGES pages mapped beside. */
static double fault_time(const struct rmap_ops *rmap, uint32_t npages)
{
	struct machine *machine = machine_create(&machine_preset_find("64g")->config, rmap);
	double us;

	map_ground(machine, npages);
	map_at(machine, 0, FAULT_BASE, FAULT_PAGES);
	us = 1e6 / bench_rate(fault_and_drop, machine);
	machine_destroy(machine);
	return us;
}

void bench_growth(void)
{
	bench_title("growth: time per write fault, by the number of pages already mapped");
	for (uint32_t i = 0; rmap_backends[i]; i++) {
		double few = fault_time(rmap_backends[i], 1000);
		double many = fault_time(rmap_backends[i], 1000000);
		char label[80];

		snprintf(label, sizeof(label), "%s, 1,000 pages", rmap_backends[i]->name);
		bench_row_max(label, few, "us", 0);
		snprintf(label, sizeof(label), "%s, 1,000,000 pages", rmap_backends[i]->name);
		bench_row_max(label, many, "us", 0);
		bench_row_max("  ratio", many / few, "x", 2);
	}
}

/* ---- steady state -------------------------------------------------------------------------- */

static uint64_t host_allocs(struct diff *diff, uint32_t machines)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < machines; i++) {
		struct machine_stats stats;

		machine_stats(diff_machine(diff, i), &stats);
		sum += stats.host_allocs;
	}
	return sum;
}

void bench_steady(void)
{
	enum { NR = 1000 };
	struct trace *traces = bench_traces(NR, 64);
	struct diff_options options;
	struct finding finding;
	struct diff *diff;
	uint64_t before = 0;

	diff_options_init(&options);
	diff = diff_create(&options);
	for (int round = 0; round < 2; round++) {
		before = host_allocs(diff, options.nr_backends);
		for (uint32_t i = 0; i < NR; i++)
			if (diff_run(diff, &traces[i], &finding))
				exit(1);
	}
	bench_title("steady state: a thousand traces of 64 ops, run a second time");
	bench_row_max("host allocations by all machines",
		      (double)(host_allocs(diff, options.nr_backends) - before), "calls", 0);
	diff_destroy(diff);
	bench_free_traces(traces, NR);
}

/*
 * accounting=competing: what a reverse map takes of lowmem is missing there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "diff.h"
#include "internal.h"
#include "picture.h"

static uint32_t free_pages(const struct machine *machine, enum zone_id id)
{
	return machine->zones[id].nr_free - machine->zones[id].nr_slab;
}

static uint32_t free_lowmem(const struct machine *machine)
{
	return free_pages(machine, ZONE_DMA) + free_pages(machine, ZONE_NORMAL);
}

/* Slabs of a design come out of the zones, and go back. */
static void slabs_take_pages(struct scene *s)
{
	uint32_t slabs = slab_pages(s->machine), before = free_lowmem(s->machine);
	uint64_t bytes = s->machine->slab_bytes;

	run(s, "mmap p0 w0 200 rw anon|fixed|populate");
	for (int i = 0; i < 12; i++)
		run(s, "p1 = fork p0"), run(s, "exit p1");
	run(s, "p1 = fork p0");
	assert_int_equal((slab_pages(s->machine) - slabs) * PAGE_SIZE,
			 s->machine->slab_bytes - bytes);
	assert_true(slab_pages(s->machine) > slabs);
	assert_true(before - free_lowmem(s->machine) >= slab_pages(s->machine) - slabs);
	run(s, "exit p1");
	run(s, "munmap p0 w0 200");
}

static void nothing_is_taken_apart(struct scene *s)
{
	run(s, "mmap p0 w0 200 rw anon|fixed|populate");
	run(s, "p1 = fork p0");
	assert_int_equal(slab_pages(s->machine), 0);
}

static void lowmem_is_shared(void **state)
{
	on_every_backend("1g accounting=competing", slabs_take_pages);
	on_every_backend("1g-pgcl1", nothing_is_taken_apart);
	on_every_backend("1g", nothing_is_taken_apart);
}

/* mem_map has the size that the design gives it: 36 bytes a page, or 32. */
static void mem_map_is_the_designs(void **state)
{
	static const struct {
		const char *config;
		uint32_t difference; /* of free lowmem at boot, in pages */
	} cases[] = {
		{"32g accounting=competing", 8192}, /* 8,388,608 pages, 4 bytes each */
		{"32g", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct machine_config config;
		struct machine *chain, *object;
		char error[128];

		assert_int_equal(
			machine_config_parse(&config, cases[i].config, error, sizeof(error)), 0);
		chain = machine_create(&config, rmap_find("pte_chain"));
		object = machine_create(&config, rmap_find("anon_vma"));
		assert_int_equal(free_lowmem(object) - free_lowmem(chain), cases[i].difference);
		machine_destroy(chain);
		machine_destroy(object);
	}
}

/* Side by side all have the same memory, whatever the trace asks for. */
static void not_in_lockstep(void **state)
{
	struct diff_options options;
	struct machine_config config;
	struct diff *diff;
	char error[128];

	assert_int_equal(
		machine_config_parse(&config, "tiny accounting=competing", error, sizeof(error)),
		0);
	diff_options_init(&options);
	diff = diff_create(&options);
	diff_begin(diff, &config);
	assert_int_equal(machine_config(diff_machine(diff, 0))->accounting, ACCOUNTING_APART);
	diff_destroy(diff);
	options.nr_backends = 1;
	diff = diff_create(&options);
	diff_begin(diff, &config);
	assert_int_equal(machine_config(diff_machine(diff, 0))->accounting, ACCOUNTING_COMPETING);
	diff_destroy(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lowmem_is_shared),
		cmocka_unit_test(mem_map_is_the_designs),
		cmocka_unit_test(not_in_lockstep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

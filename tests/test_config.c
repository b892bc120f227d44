/*
 * Machine presets and their text form: what is accepted, what is refused and how, and that what
 * is printed is read back as the same machine.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "machine_config.h"

static struct machine_config parse(const char *text)
{
	struct machine_config config;
	char error[256] = "";

	if (machine_config_parse(&config, text, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
	return config;
}

static void refuses(const char *text, const char *why)
{
	const struct machine_config before = machine_presets[1].config;
	struct machine_config config = before;
	char error[256] = "";

	assert_int_equal(machine_config_parse(&config, text, error, sizeof(error)), -EINVAL);
	if (!strstr(error, why))
		fail_msg("%s: expected \"%s\" in \"%s\"", text, why, error);
	assert_true(machine_config_equal(&config, &before)); /* nothing half-parsed */
	for (const char *c = error; *c; c++)
		assert_true(*c >= ' ' && *c < 0x7f);
}

static void prints(const char *text, const char *expected)
{
	struct machine_config config = parse(text);
	char buf[256];

	machine_config_print(&config, buf, sizeof(buf));
	assert_string_equal(buf, expected);
}

/* The order is part of the byte form of traces. */
static void presets_are_in_order(void **state)
{
	static const char *const names[] = {
		"tiny",     "1g",       "32g",       "64g",        "32g-2:2",       "64g-2:2",
		"32g-4:4",  "64g-4:4",  "1g-lowpte", "tiny-swaps", "tiny-counters", "tiny-pgcl2",
		"1g-pgcl1", "1g-pgcl4", "64g-pgcl3", "tiny-2.6.6", "tiny-swap4",    "4g"};
	size_t n = 0;

	for (; machine_presets[n].name; n++) {
		assert_in_range(n, 0, sizeof(names) / sizeof(names[0]) - 1);
		assert_string_equal(machine_presets[n].name, names[n]);
		assert_ptr_equal(machine_preset_find(names[n]), &machine_presets[n]);
		assert_non_null(machine_presets[n].summary);
	}
	assert_int_equal(n, sizeof(names) / sizeof(names[0]));
	assert_null(machine_preset_find("128g"));
	assert_null(machine_preset_find(""));
}

static void presets_are_what_they_say(void **state)
{
	const struct machine_config *tiny = &machine_preset_find("tiny")->config;

	assert_int_equal(tiny->ram_mb, 16);
	assert_int_equal(tiny->era, ERA_2_6_7);
	assert_true(tiny->highpte);
	assert_int_equal(tiny->nr_swap, 1);
	assert_int_equal(tiny->swap[0].pages, 256);
	assert_int_equal(tiny->cacheline, 32);
	assert_int_equal(tiny->files, 4);
	assert_int_equal(tiny->file_pages, 16);
	assert_int_equal(machine_preset_find("64g-4:4")->config.ram_mb, 65536);
	assert_int_equal(machine_preset_find("64g-4:4")->config.split, SPLIT_4_4);
	assert_int_equal(machine_preset_find("32g-2:2")->config.split, SPLIT_2_2);
	assert_false(machine_preset_find("1g-lowpte")->config.highpte);
	assert_int_equal(machine_preset_find("tiny-2.6.6")->config.era, ERA_2_6_6);
	assert_int_equal(machine_preset_find("tiny-swap4")->config.swap[0].pages, 4);
	assert_ptr_equal(machine_preset_find("32g-3:1"), machine_preset_find("32g"));
	assert_ptr_equal(machine_preset_find("64g-3:1"), machine_preset_find("64g"));
}

static void every_setting_is_read(void **state)
{
	struct machine_config config =
		parse("32g-3:1 swap=64 highpte=0 cacheline=32 era=2.6.6 split=2:2 ram=2048 "
		      "files=5 file_pages=17 pool=recycle stop_on_refusal=1 "
		      "counters=tiny cluster=3 nonlinear=cluster cpus=5 accounting=competing");
	const struct machine_config expected = {
		.ram_mb = 2048,
		.cpus = 5,
		.split = SPLIT_2_2,
		.era = ERA_2_6_6,
		.cluster = 3,
		.highpte = false,
		.cacheline = 32,
		.nr_swap = 1,
		.swap = {{.pages = 64}},
		.files = 5,
		.file_pages = 17,
		.pool = POOL_RECYCLE,
		.stop_on_refusal = true,
		.counters = COUNTERS_TINY,
		.nonlinear = NONLINEAR_CLUSTER,
		.accounting = ACCOUNTING_COMPETING,
	};

	assert_true(machine_config_equal(&config, &expected));
}

static void separators_are_blanks_and_commas(void **state)
{
	struct machine_config a = parse("1g swap=3 files=0"), b = parse(" 1g,swap=3,\tfiles=0, ");

	assert_true(machine_config_equal(&a, &b));
}

static void limits_are_inclusive(void **state)
{
	assert_int_equal(parse("tiny ram=16").ram_mb, 16);
	assert_int_equal(parse("tiny ram=65536").ram_mb, 65536);
	assert_int_equal(parse("tiny swap=0").nr_swap, 0);
	assert_int_equal(parse("tiny swap=16777215").swap[0].pages, 0xffffff);
	assert_int_equal(parse("tiny files=8 file_pages=65536").file_pages, 65536);
	assert_int_equal(parse("tiny cacheline=128").cacheline, 128);
	refuses("tiny ram=15", "ram=15 is not a number from 16 to 65536");
	refuses("tiny ram=65537", "from 16 to 65536");
	refuses("tiny swap=16777216", "from 0 to 16777215");
	refuses("tiny files=9", "from 0 to 8");
	refuses("tiny file_pages=65537", "from 0 to 65536");
	refuses("tiny highpte=2", "from 0 to 1");
}

static void nonsense_is_refused(void **state)
{
	char text[640];

	refuses("", "no machine preset is named");
	refuses(" , ", "no machine preset is named");
	refuses("huge", "no machine preset \"huge\"; there are tiny, 1g");
	refuses("ram=64", "no machine preset \"ram=64\"");
	refuses("tiny tiny", "expected key=value");
	refuses("tiny colour=red", "no machine setting \"colour\"; there are ram, split");
	refuses("tiny =1", "no machine setting \"\"");
	refuses("tiny ram", "expected key=value");
	refuses("tiny ram=", "ram= is not a number");
	refuses("tiny ram=+64", "is not a number");
	refuses("tiny ram=-64", "is not a number");
	refuses("tiny ram=0x40", "is not a number");
	refuses("tiny ram=64M", "is not a number");
	refuses("tiny ram=99999999999999999999", "is not a number");
	refuses("tiny ram=64 ram=64", "ram is given twice");
	refuses("tiny cacheline=33", "cacheline=33 is not one of 32, 64, 128");
	refuses("tiny cacheline=064", "is not one of");
	refuses("tiny era=2.6.8", "is not one of 2.6.6, 2.6.7");
	refuses("tiny split=3:2", "is not one of 3:1, 2:2, 4:4");
	refuses("tiny pool=", "is not one of poison, recycle");
	refuses("tiny\nram=64", "no machine preset \"tiny?ram=64\"");
	refuses("\x7f"
		"ELF\x02\x01",
		"no machine preset \"?ELF??\"");
	refuses("tinytinytinytinytinytinytinytinytiny", "no machine preset");
	snprintf(text, sizeof(text), "tiny ram=%0600d", 64);
	refuses(text, "is too long");
}

static void a_short_buffer_is_enough(void **state)
{
	struct machine_config config = parse("tiny");
	char buf[4];

	assert_int_equal(machine_config_parse(&config, "nope", buf, sizeof(buf)), -EINVAL);
	assert_string_equal(buf, "no ");
	machine_config_print(&config, buf, sizeof(buf));
	assert_string_equal(buf, "tin");
}

static void print_is_the_shortest(void **state)
{
	prints("tiny", "tiny");
	prints("64g-3:1", "64g");
	prints("tiny swap=256", "tiny");
	prints("64g split=4:4", "64g-4:4");
	prints("32g ram=65536 split=2:2", "64g-2:2");
	prints("1g highpte=0 swap=9", "1g-lowpte swap=9");
	prints("tiny pool=recycle era=2.6.6", "tiny-2.6.6 pool=recycle");
	prints("tiny swap=4 cpus=1", "tiny-swap4 cpus=1");
	prints("tiny ram=1024 swap=4096 cacheline=64", "1g");
}

static void random_swap(struct machine_config *config, uint64_t seed)
{
	config->nr_swap = (uint32_t)(seed >> 59);
	for (uint32_t i = 0; i < config->nr_swap; i++) {
		config->swap[i].pages = 1 + ((uint32_t)(seed >> 33) * (i + 1) & 0x7fffff);
		config->swap[i].priority = (uint8_t)((seed >> i & 1) * (1 + (seed >> 52) % 100));
	}
}

static void swap_areas(void **state)
{
	struct machine_config config = parse("tiny swap=64+32:5+1:100");

	assert_int_equal(config.nr_swap, 3);
	assert_int_equal(config.swap[0].pages, 64);
	assert_int_equal(config.swap[0].priority, 0);
	assert_int_equal(config.swap[1].pages, 32);
	assert_int_equal(config.swap[1].priority, 5);
	assert_int_equal(config.swap[2].priority, 100);
	prints("tiny swap=64+32:5+1:100", "tiny swap=64+32:5+1:100");
	prints("tiny swap=256:0001", "tiny swap=256:1");
	refuses("tiny swap=", "is not PAGES or PAGES:PRIORITY");
	refuses("tiny swap=64+", "is not PAGES");
	refuses("tiny swap=+64", "is not PAGES");
	refuses("tiny swap=64+0", "is not PAGES");
	refuses("tiny swap=64:", "is not PAGES");
	refuses("tiny swap=64:0", "is not PAGES");
	refuses("tiny swap=64:101", "is not PAGES");
	refuses("tiny swap=64:1:1", "is not PAGES");
	refuses("tiny swap=:1", "is not PAGES");
	refuses("tiny swap=000000000000000000064", "is not PAGES");
	assert_int_equal(parse("tiny swap=1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1"
			       "+1+1+1+1+1")
				 .nr_swap,
			 32);
	refuses("tiny swap=1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1",
		"is not PAGES");
}

/* Any machine survives being printed and read. */
static void print_and_parse_are_inverse(void **state)
{
	uint64_t seed = 1;

	for (uint32_t i = 0; i < 20000; i++) {
		struct machine_config config, again;
		char buf[MACHINE_CONFIG_TEXT_MAX];

		config = machine_presets[i % 11].config;
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		if (seed >> 40 & 1)
			config.ram_mb = 16 + (uint32_t)(seed >> 50);
		if (seed >> 41 & 1)
			config.split = (enum split)(seed >> 33 & 1);
		if (seed >> 42 & 1)
			config.era = ERA_2_6_6;
		if (seed >> 43 & 1)
			config.highpte = !config.highpte;
		if (seed >> 44 & 1)
			config.cacheline = 32u << (seed >> 34 & 1);
		if (seed >> 45 & 1)
			random_swap(&config, seed);
		if (seed >> 46 & 1)
			config.files = (uint32_t)(seed >> 50) % 9;
		if (seed >> 47 & 1)
			config.file_pages = (uint32_t)(seed >> 48);
		if (seed >> 48 & 1)
			config.pool = POOL_RECYCLE;
		if (seed >> 49 & 1)
			config.stop_on_refusal = true;
		if (seed >> 51 & 1)
			config.nonlinear = NONLINEAR_CLUSTER;
		machine_config_print(&config, buf, sizeof(buf));
		again = parse(buf);
		assert_true(machine_config_equal(&config, &again));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_are_in_order),
		cmocka_unit_test(presets_are_what_they_say),
		cmocka_unit_test(every_setting_is_read),
		cmocka_unit_test(separators_are_blanks_and_commas),
		cmocka_unit_test(limits_are_inclusive),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_short_buffer_is_enough),
		cmocka_unit_test(print_is_the_shortest),
		cmocka_unit_test(swap_areas),
		cmocka_unit_test(print_and_parse_are_inverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

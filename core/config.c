/*
 * Machine presets, and the text form of a configuration: "PRESET key=value ...".
 *
 * One table of settings serves the parser and the printer, so that the two cannot disagree. The
 * text comes from trace headers and command lines: whatever is wrong with it is told in one
 * printable sentence.
 */
#include "machine_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- presets ------------------------------------------------------------------------- */

#define ONE_AREA(n) .nr_swap = 1, .swap = {{.pages = (n)}}
#define FOUR_AREAS  .nr_swap = 4, .swap = {{6, 0}, {12, 5}, {12, 5}, {64, 0}}

#define PRESET_OF(ERA, NAME, SUMMARY, MB, SPLIT, HIGHPTE, CACHELINE, ...)                          \
	{                                                                                          \
		.name = NAME, .summary = SUMMARY,                                                  \
		.config = {                                                                        \
			.ram_mb = MB,                                                              \
			.cpus = 2,                                                                 \
			.split = SPLIT,                                                            \
			.era = ERA,                                                                \
			.highpte = HIGHPTE,                                                        \
			.cacheline = CACHELINE,                                                    \
			__VA_ARGS__,                                                               \
			.files = 4,                                                                \
			.file_pages = 16,                                                          \
			.pool = POOL_POISON,                                                       \
		},                                                                                 \
	}
#define PRESET(...) PRESET_OF(ERA_2_6_7, __VA_ARGS__)

/* clang-format off */
const struct machine_preset machine_presets[] = {
	PRESET("tiny", "16 MB and little swap: memory gets short soon",
	       16, SPLIT_3_1, true, 32, ONE_AREA(256)),
	PRESET("1g", "1 GB: lowmem and some highmem",
	       1024, SPLIT_3_1, true, 64, ONE_AREA(4096)),
	PRESET("32g", "32 GB: mem_map takes a third of lowmem",
	       32768, SPLIT_3_1, true, 128, ONE_AREA(4096)),
	PRESET("64g", "64 GB: hardly any lowmem is left",
	       65536, SPLIT_3_1, true, 128, ONE_AREA(4096)),
	PRESET("32g-2:2", "32 GB, user space of 2 GB, twice the lowmem",
	       32768, SPLIT_2_2, true, 128, ONE_AREA(4096)),
	PRESET("64g-2:2", "64 GB, user space of 2 GB, twice the lowmem",
	       65536, SPLIT_2_2, true, 128, ONE_AREA(4096)),
	PRESET("32g-4:4", "32 GB, separate kernel and user space of nearly 4 GB each",
	       32768, SPLIT_4_4, true, 128, ONE_AREA(4096)),
	PRESET("64g-4:4", "64 GB, separate kernel and user space of nearly 4 GB each",
	       65536, SPLIT_4_4, true, 128, ONE_AREA(4096)),
	PRESET("1g-lowpte", "1 GB with page tables in lowmem: addresses of entries are 4 bytes",
	       1024, SPLIT_3_1, false, 64, ONE_AREA(4096)),
	PRESET("tiny-swaps", "16 MB and four small swap areas, two of them of equal priority",
	       16, SPLIT_3_1, true, 32, FOUR_AREAS),
	PRESET("tiny-counters", "16 MB; counts of swap entries and of mappings overflow soon",
	       16, SPLIT_3_1, true, 32, ONE_AREA(64), .counters = COUNTERS_TINY),
	PRESET("tiny-pgcl2", "tiny with page clustering: pages of 16 KB",
	       16, SPLIT_3_1, true, 32, ONE_AREA(256), .cluster = 2),
	PRESET("1g-pgcl1", "1 GB with page clustering: pages of 8 KB",
	       1024, SPLIT_3_1, true, 64, ONE_AREA(4096), .cluster = 1),
	PRESET("1g-pgcl4", "1 GB with page clustering: pages of 64 KB",
	       1024, SPLIT_3_1, true, 64, ONE_AREA(4096), .cluster = 4),
	PRESET("64g-pgcl3", "64 GB with page clustering: pages of 32 KB, an eighth of mem_map",
	       65536, SPLIT_3_1, true, 128, ONE_AREA(4096), .cluster = 3),
	PRESET_OF(ERA_2_6_6, "tiny-2.6.6", "16 MB, and reclaim by the rules of 2.6.6",
		  16, SPLIT_3_1, true, 32, ONE_AREA(256)),
	PRESET("tiny-swap4", "16 MB and four pages of swap, so that a slot is soon used again",
	       16, SPLIT_3_1, true, 32, ONE_AREA(4)),
	PRESET("4g", "1 MB more than 4 GB: some frames have more than 32 bits of address, most do not",
	       4097, SPLIT_3_1, true, 128, ONE_AREA(4096)),
	{.name = NULL},
};

static const struct {
	const char *alias, *name;
} aliases[] = {
	{"32g-3:1", "32g"},
	{"64g-3:1", "64g"},
};
/* clang-format on */

const struct machine_preset *machine_preset_find(const char *name)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (!strcmp(aliases[i].alias, name))
			name = aliases[i].name;
	}
	for (const struct machine_preset *preset = machine_presets; preset->name; preset++) {
		if (!strcmp(preset->name, name))
			return preset;
	}
	return NULL;
}

/* ---- settings -------------------------------------------------------------------------- */

/*
 * A setting is a number in [min, max], or one of CHOICES, a NULL-terminated list, or has a FORM of
 * its own. get and set hide what C type the field has; a choice is its position, or the number that
 * it spells.
 */
struct form {
	bool (*parse)(struct machine_config *config, const char *text);
	void (*print)(const struct machine_config *config, char *buf, size_t size); /* appends */
	bool (*equal)(const struct machine_config *a, const struct machine_config *b);
	const char *what; /* a good value is */
};

struct setting {
	const char *key;
	uint32_t min, max;
	const char *const *choices;
	bool numeric; /* the choices are numbers, and stand for themselves */
	uint32_t (*get)(const struct machine_config *config);
	void (*set)(struct machine_config *config, uint32_t value);
	const struct form *form;
};

#define FIELD(field, type)                                                                         \
	static uint32_t get_##field(const struct machine_config *config)                           \
	{                                                                                          \
		return (uint32_t)config->field;                                                    \
	}                                                                                          \
	static void set_##field(struct machine_config *config, uint32_t value)                     \
	{                                                                                          \
		config->field = (type)value;                                                       \
	}

FIELD(ram_mb, uint32_t)
FIELD(cpus, uint32_t)
FIELD(split, enum split)
FIELD(era, enum era)
FIELD(cluster, uint32_t)
FIELD(highpte, bool)
FIELD(cacheline, uint32_t)
FIELD(files, uint32_t)
FIELD(file_pages, uint32_t)
FIELD(pool, enum pool_mode)
FIELD(stop_on_refusal, bool)
FIELD(counters, enum counters)
FIELD(nonlinear, enum nonlinear)
FIELD(accounting, enum accounting)

static const char *const splits[] = {"3:1", "2:2", "4:4", NULL};
static const char *const eras[] = {"2.6.6", "2.6.7", NULL};
static const char *const lines[] = {"32", "64", "128", NULL};
static const char *const widths[] = {"full", "tiny", NULL};
static const char *const pools[] = {"poison", "recycle", NULL};
static const char *const nonlinears[] = {"exact", "cluster", NULL};
static const char *const accountings[] = {"apart", "competing", NULL};

/* Decimal digits and nothing else, at most MAX. */
static bool parse_number(const char *text, uint32_t max, uint32_t *value)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (uint32_t)(*text - '0');
		if (n > max)
			return false;
	}
	*value = (uint32_t)n;
	return true;
}

/* ---- swap areas: PAGES[:PRIORITY] joined by "+", or 0 ------------------------------------ */

#define NUMBER_MAX 15u /* characters */

/* The number before the first C of *TEXT or its end; *TEXT moves behind it. */
static bool number_before(const char **text, char c, uint32_t max, uint32_t *value)
{
	char digits[NUMBER_MAX + 1];
	const char *end = strchr(*text, c);
	size_t n = end ? (size_t)(end - *text) : strlen(*text);

	if (n > NUMBER_MAX)
		return false;
	memcpy(digits, *text, n);
	digits[n] = '\0';
	*text += end ? n + 1 : n;
	return parse_number(digits, max, value);
}

static bool parse_area(const char *text, struct swap_config *area)
{
	bool has_priority = strchr(text, ':');
	uint32_t pages, priority = 0;

	if (!number_before(&text, ':', SWAP_PAGES_MAX, &pages) || !pages)
		return false;
	if (has_priority && (!parse_number(text, SWAP_PRIORITY_MAX, &priority) || !priority))
		return false;
	*area = (struct swap_config){pages, (uint8_t)priority};
	return true;
}

static bool parse_swap(struct machine_config *config, const char *text)
{
	config->nr_swap = 0;
	if (!strcmp(text, "0"))
		return true;
	for (const char *end; text; text = end ? end + 1 : NULL) {
		char area[2 * NUMBER_MAX];
		size_t n;

		end = strchr(text, '+');
		n = end ? (size_t)(end - text) : strlen(text);
		if (n >= sizeof(area) || config->nr_swap == SWAP_AREAS_MAX)
			return false;
		memcpy(area, text, n);
		area[n] = '\0';
		if (!parse_area(area, &config->swap[config->nr_swap++]))
			return false;
	}
	return true;
}

static void print_swap(const struct machine_config *config, char *buf, size_t size)
{
	for (uint32_t i = 0; i < config->nr_swap; i++) {
		const struct swap_config *area = &config->swap[i];
		size_t used = strlen(buf);

		snprintf(buf + used, size - used, "%s%u", i ? "+" : "", (unsigned int)area->pages);
		used = strlen(buf);
		if (area->priority)
			snprintf(buf + used, size - used, ":%u", (unsigned int)area->priority);
	}
	if (!config->nr_swap)
		snprintf(buf + strlen(buf), size - strlen(buf), "0");
}

static bool swap_equal(const struct machine_config *a, const struct machine_config *b)
{
	bool equal = a->nr_swap == b->nr_swap;

	for (uint32_t i = 0; equal && i < a->nr_swap; i++)
		equal = a->swap[i].pages == b->swap[i].pages &&
			a->swap[i].priority == b->swap[i].priority;
	return equal;
}

static const struct form swap_form = {
	parse_swap, print_swap, swap_equal,
	"PAGES or PAGES:PRIORITY, up to 32 joined by +, or 0; pages are a number from 0 to "
	"16777215, a priority from 1 to 100"};

#define NUMBER(key, min, max, field)                                                               \
	{                                                                                          \
		key, min, max, NULL, false, get_##field, set_##field, NULL                         \
	}
#define CHOICE(key, names, field)                                                                  \
	{                                                                                          \
		key, 0, 0, names, false, get_##field, set_##field, NULL                            \
	}
#define FORM(key, form)                                                                            \
	{                                                                                          \
		key, 0, 0, NULL, false, NULL, NULL, form                                           \
	}

static const struct setting settings[] = {
	NUMBER("ram", 16, 65536, ram_mb),
	CHOICE("split", splits, split),
	CHOICE("era", eras, era),
	NUMBER("cluster", 0, CLUSTER_MAX, cluster),
	NUMBER("highpte", 0, 1, highpte),
	{"cacheline", 0, 0, lines, true, get_cacheline, set_cacheline, NULL},
	FORM("swap", &swap_form),
	NUMBER("files", 0, FILE_MAX, files),
	NUMBER("file_pages", 0, 65536, file_pages),
	CHOICE("pool", pools, pool),
	NUMBER("stop_on_refusal", 0, 1, stop_on_refusal),
	CHOICE("counters", widths, counters),
	CHOICE("nonlinear", nonlinears, nonlinear),
	NUMBER("cpus", 1, CPUS_MAX, cpus),
	CHOICE("accounting", accountings, accounting),
};
#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* ---- parsing ----------------------------------------------------------------------------- */

#define WORD_MAX 511u

/* A word of the text, fit to be printed. */
struct word {
	char text[WORD_MAX + 1];
	bool too_long;
};

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* Take the next word off *TEXT; false: there is none. */
static bool next_word(const char **text, struct word *word)
{
	size_t n = 0, len = 0;
	const char *p = *text;

	while (is_separator(*p))
		p++;
	if (!*p)
		return false;
	for (; *p && !is_separator(*p); p++, len++) {
		if (n < WORD_MAX)
			word->text[n++] = *p > ' ' && *p < 0x7f ? *p : '?';
	}
	word->text[n] = '\0';
	word->too_long = len > WORD_MAX;
	*text = p;
	return true;
}

static bool parse_choice(const struct setting *setting, const char *text, uint32_t *value)
{
	for (uint32_t i = 0; setting->choices[i]; i++) {
		if (strcmp(setting->choices[i], text))
			continue;
		*value = i;
		return !setting->numeric || parse_number(text, UINT32_MAX, value);
	}
	return false;
}

static bool parse_value(const struct setting *setting, const char *text, uint32_t *value)
{
	if (setting->choices)
		return parse_choice(setting, text, value);
	return parse_number(text, setting->max, value) && *value >= setting->min;
}

/* Append "a, b, c" to BUF. */
static void append_names(char *buf, size_t size, const char *name, bool first)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, "%s%s", first ? "" : ", ", name);
}

static int unknown_preset(const char *name, char *error, size_t size)
{
	snprintf(error, size, "no machine preset \"%s\"; there are ", name);
	for (size_t i = 0; machine_presets[i].name; i++)
		append_names(error, size, machine_presets[i].name, i == 0);
	return -EINVAL;
}

static int unknown_key(const char *key, char *error, size_t size)
{
	snprintf(error, size, "no machine setting \"%s\"; there are ", key);
	for (size_t i = 0; i < NR_SETTINGS; i++)
		append_names(error, size, settings[i].key, i == 0);
	return -EINVAL;
}

static int bad_value(const struct setting *setting, const char *value, char *error, size_t size)
{
	if (setting->form) {
		snprintf(error, size, "machine setting %s=%s is not %s", setting->key, value,
			 setting->form->what);
		return -EINVAL;
	}
	if (!setting->choices) {
		snprintf(error, size, "machine setting %s=%s is not a number from %u to %u",
			 setting->key, value, (unsigned int)setting->min,
			 (unsigned int)setting->max);
		return -EINVAL;
	}
	snprintf(error, size, "machine setting %s=%s is not one of ", setting->key, value);
	for (size_t i = 0; setting->choices[i]; i++)
		append_names(error, size, setting->choices[i], i == 0);
	return -EINVAL;
}

/* One "key=value". SEEN: a bit per setting that was given before. */
static int parse_setting(struct machine_config *config, char *text, uint32_t *seen, char *error,
			 size_t size)
{
	char *equals = strchr(text, '=');
	uint32_t value;
	size_t i;

	if (!equals) {
		snprintf(error, size, "expected key=value in the machine settings, got \"%s\"",
			 text);
		return -EINVAL;
	}
	*equals = '\0';
	for (i = 0; i < NR_SETTINGS && strcmp(settings[i].key, text); i++)
		;
	if (i == NR_SETTINGS)
		return unknown_key(text, error, size);
	if (*seen & 1u << i) {
		snprintf(error, size, "machine setting %s is given twice", text);
		return -EINVAL;
	}
	*seen |= 1u << i;
	if (settings[i].form && settings[i].form->parse(config, equals + 1))
		return 0;
	if (settings[i].form || !parse_value(&settings[i], equals + 1, &value))
		return bad_value(&settings[i], equals + 1, error, size);
	settings[i].set(config, value);
	return 0;
}

int machine_config_parse(struct machine_config *config, const char *text, char *error,
			 size_t error_size)
{
	const struct machine_preset *preset;
	struct machine_config parsed;
	uint32_t seen = 0;
	struct word word;

	if (!next_word(&text, &word)) {
		snprintf(error, error_size, "no machine preset is named");
		return -EINVAL;
	}
	preset = word.too_long ? NULL : machine_preset_find(word.text);
	if (!preset)
		return unknown_preset(word.text, error, error_size);
	parsed = preset->config;
	while (next_word(&text, &word)) {
		int err;

		if (word.too_long) {
			snprintf(error, error_size, "machine setting \"%.31s...\" is too long",
				 word.text);
			return -EINVAL;
		}
		err = parse_setting(&parsed, word.text, &seen, error, error_size);
		if (err)
			return err;
	}
	*config = parsed;
	return 0;
}

/* ---- printing ------------------------------------------------------------------------------ */

static void print_setting(const struct setting *setting, const struct machine_config *config,
			  char *buf, size_t size)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, " %s=", setting->key);
	used = strlen(buf);
	if (setting->form)
		setting->form->print(config, buf, size);
	else if (setting->choices && !setting->numeric)
		snprintf(buf + used, size - used, "%s", setting->choices[setting->get(config)]);
	else
		snprintf(buf + used, size - used, "%u", (unsigned int)setting->get(config));
}

static bool setting_equal(const struct setting *setting, const struct machine_config *a,
			  const struct machine_config *b)
{
	if (setting->form)
		return setting->form->equal(a, b);
	return setting->get(a) == setting->get(b);
}

bool machine_config_equal(const struct machine_config *a, const struct machine_config *b)
{
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		if (!setting_equal(&settings[i], a, b))
			return false;
	}
	return true;
}

/* CONFIG as what differs from PRESET. */
static void print_from(const struct machine_preset *preset, const struct machine_config *config,
		       char *buf, size_t size)
{
	snprintf(buf, size, "%s", preset->name);
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		if (!setting_equal(&settings[i], config, &preset->config))
			print_setting(&settings[i], config, buf, size);
	}
}

void machine_config_print(const struct machine_config *config, char *buf, size_t size)
{
	char best[MACHINE_CONFIG_TEXT_MAX] = "", text[MACHINE_CONFIG_TEXT_MAX];

	for (const struct machine_preset *preset = machine_presets; preset->name; preset++) {
		print_from(preset, config, text, sizeof(text));
		if (!*best || strlen(text) < strlen(best))
			memcpy(best, text, sizeof(best));
	}
	snprintf(buf, size, "%s", best);
}

/*
 * The machine of a trace in bytes: a preset, or field by field, with a list of extensions for what
 * came later.
 */
#include "trace_bytes.h"

#define MACHINE_FULL          255u
#define MACHINE_MORE          254u
#define MORE_MAX              64u    /* less than so many values: random bytes leave some for ops */
#define CONFIG_FILE_PAGES_MAX 65536u /* what config.c accepts */
#define CPUS_OF_FIELDS        2u     /* without an extension that says otherwise */

static uint32_t nr_presets(void)
{
	uint32_t n = 0;

	while (machine_presets[n].name)
		n++;
	return n < MACHINE_MORE ? n : MACHINE_MORE;
}

/* VALUE if it lies in [LOW, HIGH], else something that does. */
static uint32_t into_range(uint32_t value, uint32_t low, uint32_t high)
{
	return value >= low && value <= high ? value : low + value % (high - low + 1);
}

static void add_area(struct machine_config *config, uint32_t pages, uint32_t priority)
{
	if (pages && config->nr_swap < SWAP_AREAS_MAX)
		config->swap[config->nr_swap++] = (struct swap_config){
			pages, (uint8_t)into_range(priority, 0, SWAP_PRIORITY_MAX)};
}

/*
 * What came later than the fields of MACHINE_FULL: a count (modulo MORE_MAX), and so many times the
 * number of a row (modulo how many there are) and a value of 4 bytes. Rows are only ever appended.
 * encode says what the N-th value of a row is; false: there are no more.
 */
struct extension {
	void (*decode)(struct machine_config *config, uint32_t value);
	bool (*encode)(const struct machine_config *config, uint32_t n, uint32_t *value);
};

/* An area more: pages, and the priority in the highest byte. */
static void decode_area(struct machine_config *config, uint32_t value)
{
	add_area(config, value & SWAP_PAGES_MAX, value >> 24);
}

/* One area without a priority is among the fields. */
static bool plain_swap(const struct machine_config *config)
{
	return config->nr_swap == 0 || (config->nr_swap == 1 && !config->swap[0].priority);
}

static bool encode_area(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	if (plain_swap(config) || n >= config->nr_swap)
		return false;
	*value = config->swap[n].pages | (uint32_t)config->swap[n].priority << 24;
	return true;
}

static void decode_counters(struct machine_config *config, uint32_t value)
{
	config->counters = value & 1 ? COUNTERS_TINY : COUNTERS_FULL;
}

static bool encode_counters(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = COUNTERS_TINY;
	return n == 0 && config->counters == COUNTERS_TINY;
}

/* Page clustering. */
static void decode_cluster(struct machine_config *config, uint32_t value)
{
	config->cluster = into_range(value, 0, CLUSTER_MAX);
}

static bool encode_cluster(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->cluster;
	return n == 0 && config->cluster;
}

static void decode_nonlinear(struct machine_config *config, uint32_t value)
{
	config->nonlinear = into_range(value, NONLINEAR_EXACT, NONLINEAR_CLUSTER);
}

static bool encode_nonlinear(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->nonlinear;
	return n == 0 && config->nonlinear != NONLINEAR_EXACT;
}

static void decode_cpus(struct machine_config *config, uint32_t value)
{
	config->cpus = into_range(value, 1, CPUS_MAX);
}

static bool encode_cpus(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->cpus;
	return n == 0 && config->cpus != CPUS_OF_FIELDS;
}

static void decode_accounting(struct machine_config *config, uint32_t value)
{
	config->accounting = into_range(value, ACCOUNTING_APART, ACCOUNTING_COMPETING);
}

static bool encode_accounting(const struct machine_config *config, uint32_t n, uint32_t *value)
{
	*value = config->accounting;
	return n == 0 && config->accounting != ACCOUNTING_APART;
}

static const struct extension extensions[] = {
	{decode_area, encode_area},       {decode_counters, encode_counters},
	{decode_cluster, encode_cluster}, {decode_nonlinear, encode_nonlinear},
	{decode_cpus, encode_cpus},       {decode_accounting, encode_accounting},
};
#define NR_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

static void decode_fields(struct reader *in, struct machine_config *config)
{
	/* In statements: the order in which initializers are evaluated is nobody's promise. */
	*config = (struct machine_config){.cpus = CPUS_OF_FIELDS};
	config->ram_mb = into_range(get(in, 3), 16, 65536);
	config->split = into_range(get(in, 1), SPLIT_3_1, SPLIT_4_4);
	config->era = into_range(get(in, 1), ERA_2_6_6, ERA_2_6_7);
	config->highpte = get(in, 1) & 1;
	config->cacheline = 32u << get(in, 1) % 3;
	add_area(config, get(in, 3), 0);
	config->files = into_range(get(in, 1), 0, FILE_MAX);
	config->file_pages = into_range(get(in, 3), 0, CONFIG_FILE_PAGES_MAX);
	config->pool = into_range(get(in, 1), POOL_POISON, POOL_RECYCLE);
	config->stop_on_refusal = get(in, 1) & 1;
}

void trace_decode_machine(struct reader *in, struct machine_config *config)
{
	uint32_t preset = get(in, 1);

	if (preset < MACHINE_MORE) {
		*config = machine_presets[preset % nr_presets()].config;
		return;
	}
	decode_fields(in, config);
	if (preset != MACHINE_MORE)
		return;
	for (uint32_t n = get(in, 1) % MORE_MAX; n; n--) {
		const struct extension *extension = &extensions[get(in, 1) % NR_EXTENSIONS];

		extension->decode(config, get(in, 4));
	}
}

static void encode_fields(struct writer *out, const struct machine_config *config)
{
	put(out, 3, config->ram_mb);
	put(out, 1, config->split);
	put(out, 1, config->era);
	put(out, 1, config->highpte);
	put(out, 1, config->cacheline == 128 ? 2 : config->cacheline == 64);
	put(out, 3, plain_swap(config) && config->nr_swap ? config->swap[0].pages : 0);
	put(out, 1, config->files);
	put(out, 3, config->file_pages);
	put(out, 1, config->pool);
	put(out, 1, config->stop_on_refusal);
}

static uint32_t nr_extended(const struct machine_config *config)
{
	uint32_t total = 0, value;

	for (size_t i = 0; i < NR_EXTENSIONS; i++) {
		for (uint32_t n = 0; extensions[i].encode(config, n, &value); n++)
			total++;
	}
	return total;
}

void trace_encode_machine(struct writer *out, const struct machine_config *config)
{
	uint32_t total = nr_extended(config), value;

	for (uint32_t i = 0; i < nr_presets(); i++) {
		if (machine_config_equal(config, &machine_presets[i].config)) {
			put(out, 1, i);
			return;
		}
	}
	MM_ASSERT(total < MORE_MAX);
	put(out, 1, total ? MACHINE_MORE : MACHINE_FULL);
	encode_fields(out, config);
	if (!total)
		return;
	put(out, 1, total);
	for (uint32_t i = 0; i < NR_EXTENSIONS; i++) {
		for (uint32_t n = 0; extensions[i].encode(config, n, &value); n++) {
			put(out, 1, i);
			put(out, 4, value);
		}
	}
}

/*
 * State feedback for two engines that take it in different ways.
 *
 *   libFuzzer  reads and clears the counters in the section __libfuzzer_extra_counters itself
 *   AFL++      has one map; our counters ask for places in it as edges of code do, with guards, and
 * are added there after each input
 *
 * Neither is named at build time: whose symbols are there is looked up. Under another engine, or
 * none, there is no feedback, and nothing else changes.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 32 /* AFL++ tells more apart only from 128 on */

#define COUNTERS __attribute__((section("__libfuzzer_extra_counters"), used))

static uint8_t COUNTERS counters[FEEDBACK_SIZE];

/* AFL++'s run time. Its map itself has a name that its compiler claims for itself. */
int __afl_persistent_loop(unsigned int n) __attribute__((weak));
void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop) __attribute__((weak));
void __sanitizer_cov_trace_pc_guard(uint32_t *guard) __attribute__((weak));
/* libFuzzer's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak));

static uint32_t guards[FEEDBACK_SIZE];

static int is_afl(void)
{
	return __afl_persistent_loop && __sanitizer_cov_trace_pc_guard &&
	       __sanitizer_cov_trace_pc_guard_init;
}

static int is_off(void)
{
	const char *setting = getenv("RMAP_FEEDBACK");

	return setting && strcmp(setting, "0") == 0;
}

/* Before AFL++ tells its parent how large the map is. */
__attribute__((constructor)) static void ask_for_places(void)
{
	if (is_afl() && !is_off())
		__sanitizer_cov_trace_pc_guard_init(guards, guards + FEEDBACK_SIZE);
}

uint8_t *engine_counters(void)
{
	if (is_off() || (!is_afl() && !LLVMFuzzerMutate))
		return NULL;
	return counters;
}

void engine_begin(void)
{
	if (is_afl())
		memset(counters, 0, sizeof(counters));
}

void engine_end(void)
{
	if (!is_afl() || !guards[0])
		return;
	for (uint32_t i = 0; i < FEEDBACK_SIZE; i++) {
		for (uint32_t n = counters[i] < SEEN_MAX ? counters[i] : SEEN_MAX; n; n--)
			__sanitizer_cov_trace_pc_guard(&guards[i]);
	}
}

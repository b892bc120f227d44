/*
 * Any bytes are a trace; run it on every backend in lockstep, with every oracle.
 */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct diff *diff; /* machines are reset, not rebuilt, between inputs */
	static struct trace trace;

	if (!diff) {
		struct diff_options options;

		target_options_init(&options);
		diff = diff_create(&options);
		trace_init(&trace, &machine_presets[0].config);
	}
	target_decode(&trace, data, size);
	target_run(diff, &trace);
	return 0;
}

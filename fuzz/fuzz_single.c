/*
 * One backend, against the model, the page tables and its own invariants: what goes wrong here does
 * so without company. It is also several times as fast as lockstep, and the only target that lets a
 * walk stop at the first refusal, as the kernels do. The first byte chooses the backend, the rest
 * is a trace.
 */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct diff *diffs[DIFF_SUBJECTS_MAX];
	static struct diff_options all;
	static struct trace trace;
	uint32_t chosen;

	if (!size)
		return 0;
	if (!all.nr_backends) {
		target_options_init(&all);
		trace_init(&trace, &machine_presets[0].config);
	}
	chosen = data[0] % all.nr_backends;
	if (!diffs[chosen]) {
		struct diff_options one = all;

		one.backends[0] = all.backends[chosen];
		one.nr_backends = 1;
		diffs[chosen] = diff_create(&one);
	}
	target_decode(&trace, data + 1, size - 1);
	trace.config.stop_on_refusal = data[0] >> 7;
	target_run(diffs[chosen], &trace);
	return 0;
}

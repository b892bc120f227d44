/*
 * Between a target and whatever engine it is linked with.
 */
#ifndef RMAPFUZZ_FUZZ_ENGINE_H
#define RMAPFUZZ_FUZZ_ENGINE_H

#include "feedback.h"

/*
 * Counters for state feedback, FEEDBACK_SIZE of them, that the engine takes as coverage; NULL if
 * there is no engine, or with RMAP_FEEDBACK=0 in the environment (an ablation).
 */
uint8_t *engine_counters(void);
/* Before and after each input. */
void engine_begin(void);
void engine_end(void);

#endif

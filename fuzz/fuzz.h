/* The one function that every fuzz target defines and every engine calls. Returns 0. */
#ifndef RMAPFUZZ_FUZZ_H
#define RMAPFUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

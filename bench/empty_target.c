/* A fuzz target that does nothing: the ceiling that an engine sets for any target. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return 0;
}

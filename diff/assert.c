/*
 * The end of the road for our own bugs.
 */
#include <stdio.h>

#include "internal.h"

void diff_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "rmapfuzz: %s:%d: assertion failed: %s\n", file, line, what);
	abort();
}

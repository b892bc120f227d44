/*
 * A trace as a stand-alone C program that does the same with real system calls.
 */
#ifndef RMAPFUZZ_PROGRAM_H
#define RMAPFUZZ_PROGRAM_H

#include <stdio.h>

#include "diff.h"

/*
 * Print the program for TRACE, up to the op at which FINDING shows (NULL: all of it). What each
 * operation should return is taken from a run on `scan`, which keeps nothing that could be wrong.
 * Operations that no system call does (aging, a failing allocation) become rows that do nothing,
 * and say so. HEADER: lines for the comment at its top, each beginning with " * ", or "".
 */
void program_print(const struct trace *trace, const struct finding *finding, const char *header,
		   FILE *out);

#endif

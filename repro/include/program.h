/*
 * A trace as a stand-alone C program that does the same with real system calls.
 */
#ifndef RMAPFUZZ_PROGRAM_H
#define RMAPFUZZ_PROGRAM_H

#include <stdio.h>

#include "diff.h"

/*
 * Print the program for TRACE. What each operation should return is taken from a run on the first
 * of OPTIONS's backends, up to where that finds something. Operations that no system call does
 * (aging, a failing allocation) become rows that do nothing, and say so. HEADER: lines for the
 * comment at its top, each beginning with " * ", or "".
 */
void program_print(const struct trace *trace, const struct diff_options *options,
		   const char *header, FILE *out);

#endif

/*
 * The table of preemption points in memory. What happens at them is in actors.c.
 */
#include <inttypes.h>
#include <string.h>

#include "trace.h"

enum passed { SAME, AREA };

#define BIT(op)                              (1ull << OP_##op)
#define POINT(id, name, passed, hosts, help) [POINT_##id] = {name, help, passed, hosts},
static const struct {
	const char *name, *help;
	enum passed passed;
	uint64_t hosts; /* a bit per op code */
} points[NR_POINTS] = {
#include "point.def"
};
#undef POINT
_Static_assert(NR_OPS <= 64, "a bit for each op");

const char *point_name(enum point point)
{
	return points[point].name;
}

const char *point_help(enum point point)
{
	return points[point].help;
}

enum point point_of_name(const char *name)
{
	for (int point = POINT_NONE + 1; point < NR_POINTS; point++) {
		if (strcmp(points[point].name, name) == 0)
			return (enum point)point;
	}
	return POINT_NONE;
}

bool point_is_area(enum point point)
{
	return points[point].passed == AREA;
}

bool point_suits(enum point point, enum op_code code)
{
	return points[point].hosts >> code & 1;
}

void point_table_markdown(FILE *out)
{
	fprintf(out, "| point | hosts | there |\n|---|---|---|\n");
	for (int point = POINT_NONE + 1; point < NR_POINTS; point++) {
		const char *before = "";

		fprintf(out, "| `%s` | ", points[point].name);
		for (int code = 0; code < NR_OPS; code++) {
			if (!point_suits((enum point)point, (enum op_code)code))
				continue;
			fprintf(out, "%s%s", before, op_info((enum op_code)code)->name);
			before = ", ";
		}
		fprintf(out, " | %s |\n", points[point].help);
	}
}

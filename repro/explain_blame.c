/*
 * Who is to blame: the trace is run by each design alone, and once more with every check after
 * every op, which may see what is wrong long before the checks of an ordinary run do.
 */
#include <errno.h>

#include "explain_private.h"
#include "isolate.h"

/* 1: it shows something, 0: it does not, or -errno. */
static int shows_with(const struct diff_options *options, const struct trace *trace,
		      struct finding *finding)
{
	struct diff *diff = diff_create(options);
	int found = diff ? isolated_run(diff, trace, finding) : -ENOMEM;

	diff_destroy(diff);
	return found;
}

int blame(struct explain_blame *blame, const struct trace *trace,
	  const struct diff_options *options)
{
	struct diff_options some = *options;
	struct finding ignored;
	int found;

	some.check_every = 1;
	found = shows_with(&some, trace, &blame->first);
	if (found < 0)
		return found;
	blame->has_first = found;
	some.nr_backends = 1;
	for (uint32_t i = 0; i < options->nr_backends; i++) {
		some.backends[0] = options->backends[i];
		found = shows_with(&some, trace, &ignored);
		if (found < 0)
			return found;
		if (found)
			blame->alone[blame->nr_alone++] = options->backends[i]->name;
	}
	blame->nr_designs = options->nr_backends;
	return 0;
}

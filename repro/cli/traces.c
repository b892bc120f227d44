/*
 * From a path to the traces that it stands for.
 */
#include <errno.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

typedef int visit_fn(const char *path, void *arg);

int cli_graver(int a, int b)
{
	static const int order[] = {CLI_INTERNAL, CLI_USAGE, CLI_FINDING, CLI_VERSION};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (a == order[i] || b == order[i])
			return order[i];
	}
	return CLI_OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_trace_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return !dot || strcmp(dot, ".trace") == 0 || strcmp(dot, ".bin") == 0;
}

static bool is_left_out(const char *directory, enum cli_which which)
{
	return directory[0] == '.' || (which == CLI_SEEDS && strcmp(directory, "mutants") == 0);
}

/* One thing in the directory. Sets *SEEN if it was a trace. */
static int visit_entry(FTS *fts, FTSENT *entry, enum cli_which which, visit_fn *visit, void *arg,
		       bool *seen)
{
	switch (entry->fts_info) {
	case FTS_D:
		if (entry->fts_level > 0 && is_left_out(entry->fts_name, which))
			fts_set(fts, entry, FTS_SKIP);
		return CLI_OK;
	case FTS_F:
		if (which < CLI_ALL_FILES && !is_trace_name(entry->fts_name))
			return CLI_OK;
		*seen = true;
		return visit(entry->fts_path, arg);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		return cli_error(CLI_USAGE, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
	default:
		return CLI_OK;
	}
}

static int each_in_directory(char *path, enum cli_which which, visit_fn *visit, void *arg)
{
	char *const roots[] = {path, NULL};
	FTS *fts = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
	int status = CLI_OK;
	bool seen = false;
	FTSENT *entry;

	if (!fts)
		return cli_error(CLI_INTERNAL, "%s: %s", path, strerror(errno));
	while ((entry = fts_read(fts)))
		status = cli_graver(status, visit_entry(fts, entry, which, visit, arg, &seen));
	fts_close(fts);
	if (!seen && status == CLI_OK && which != CLI_TRACES_IF_ANY)
		status = cli_error(CLI_USAGE, "%s: there are no traces in it", path);
	return status;
}

int cli_each_trace(char *path, enum cli_which which, visit_fn *visit, void *arg)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return each_in_directory(path, which, visit, arg);
	return visit(path, arg);
}

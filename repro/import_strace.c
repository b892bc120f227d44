/*
 * Importing a recording: lines into calls, calls in two passes.
 *
 * strace cuts a call in two when another task gets a line in between:
 *
 *    12  munmap(0x7fb96ca25000, 36864 <unfinished ...>
 *    13  brk(NULL) = 0x562dd5d9a000
 *    12  <... munmap resumed>)             = 0
 *
 * The halves are joined first, over the whole recording. A call that gives something up or makes
 * a process (munmap, fork, clone) is then carried out where it starts, because others may use
 * what it frees, and its child may run, before it returns; every other call where it ends,
 * because nobody can use what it makes any earlier.
 *
 * On a terminal strace leaves the prefix out while it follows one process only, and puts its own
 * "strace: Process 13 attached" in the middle of a line; both are undone here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "import_private.h"

#define NO_PAIR UINT32_MAX

struct record {
	struct strace_line line;
	uint32_t number; /* of the line in the text */
	uint32_t pair;   /* the other half's record */
};

/* A call that has started and not returned. */
struct pending {
	uint32_t record;
	uint32_t pid; /* NO_PID: from a line without prefix */
};

struct recording {
	char *text; /* a copy with strace's interjections taken out */
	struct record *records;
	uint32_t nr_records, max_records;
	struct pending *pending;
	uint32_t nr_pending, max_pending;
	char *joined; /* both halves of a call */
	size_t joined_size;
};

void import_options_init(struct import_options *options)
{
	*options = (struct import_options){
		.seed = 1, .touch = 25, .swap = 20, .config = machine_preset_find("1g")->config};
}

void emit(struct importer *imp, uint32_t *counter, enum op_code code,
	  const uint32_t args[OP_ARGS_MAX])
{
	struct op op = {.code = (uint8_t)code};

	if (!imp->emitting)
		return;
	memcpy(op.args, args, sizeof(op.args));
	if (trace_add(imp->trace, &op))
		import_no_memory();
	++*counter;
}

/* ---- lines --------------------------------------------------------------------------------- */

/* The length of LINE without a "strace: Process N attached" in its midst; then the next line goes
 * on where this one was interrupted. */
static size_t interrupted_at(struct span line)
{
	size_t at = span_find(line, "strace: Process ");

	return at && at < line.len && span_ends(line, " attached") && line.text[at - 1] != ' ' &&
			       line.text[at - 1] != ']'
		       ? at
		       : line.len;
}

static bool span_same(struct span a, struct span b)
{
	return a.len == b.len && !memcmp(a.text, b.text, a.len);
}

/* Match halves. A half without prefix goes with any of the same name: only one is open then. */
static uint32_t take_pending(struct recording *rec, const struct strace_line *line)
{
	uint32_t pid = line->has_pid ? line->pid : NO_PID, found = NO_PAIR, record;

	for (uint32_t i = rec->nr_pending; i-- > 0;) {
		const struct pending *pending = &rec->pending[i];

		if (!span_same(rec->records[pending->record].line.name, line->name))
			continue;
		if (pending->pid == pid) {
			found = i;
			break;
		}
		if (found == NO_PAIR && (pid == NO_PID || pending->pid == NO_PID))
			found = i;
	}
	if (found == NO_PAIR)
		return NO_PAIR;
	record = rec->pending[found].record;
	rec->pending[found] = rec->pending[--rec->nr_pending];
	return record;
}

/* A thread that execs takes its leader's pid, and its unfinished execve along. */
static void pending_superseded(struct recording *rec, const struct strace_line *line)
{
	for (uint32_t i = 0; i < rec->nr_pending; i++) {
		if (rec->pending[i].pid == line->other_pid)
			rec->pending[i].pid = line->has_pid ? line->pid : NO_PID;
	}
}

/* What PID had begun will not end any more; its number may come back. */
static void pending_forget(struct recording *rec, const struct strace_line *line)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < rec->nr_pending; i++) {
		if (!line->has_pid || rec->pending[i].pid != line->pid)
			rec->pending[kept++] = rec->pending[i];
	}
	rec->nr_pending = kept;
}

static void pair_up(struct recording *rec)
{
	uint32_t index = rec->nr_records - 1;
	struct record *record = &rec->records[index];
	const struct strace_line *line = &record->line;

	if (line->kind == STRACE_UNFINISHED) {
		GROW(rec->pending, rec->nr_pending, rec->max_pending);
		rec->pending[rec->nr_pending++] =
			(struct pending){index, line->has_pid ? line->pid : NO_PID};
	} else if (line->kind == STRACE_RESUMED) {
		record->pair = take_pending(rec, line);
		if (record->pair != NO_PAIR)
			rec->records[record->pair].pair = index;
	} else if (line->kind == STRACE_SUPERSEDED) {
		pending_superseded(rec, line);
	} else if (line->kind == STRACE_EXITED) {
		pending_forget(rec, line);
	}
}

/* What is wrong in line IMP->line: an error, or, if that is asked for, only counted. */
static int complain(struct importer *imp, const char *what, char *error, size_t error_size)
{
	if (imp->options->lenient) {
		report_add(imp->report, IMPORT_DROPPED, 0, imp->line, what);
		return 0;
	}
	snprintf(error, error_size, "%" PRIu32 ": %s", imp->line, what);
	return -EINVAL;
}

static int read_lines(struct importer *imp, struct recording *rec, struct span text, char *error,
		      size_t error_size)
{
	char *out = rec->text = import_alloc(text.len + 1);
	uint32_t started = 0;
	char *start = out;

	for (imp->line = 1; text.len; imp->line++) {
		size_t len = span_find(text, "\n"), kept;
		struct record record = {.pair = NO_PAIR};
		const char *wrong;

		kept = interrupted_at((struct span){text.text, len});
		memcpy(out, text.text, kept);
		out += kept;
		if (!started)
			started = imp->line;
		text = span_skip(text, len + 1);
		if (kept < len && text.len)
			continue; /* the next line belongs to this one */

		record.number = started;
		wrong = strace_line_parse((struct span){start, (size_t)(out - start)},
					  &record.line);
		start = out;
		started = 0;
		if (wrong) {
			if (complain(imp, wrong, error, error_size))
				return -EINVAL;
			continue;
		}
		if (record.line.kind == STRACE_BLANK || record.line.kind == STRACE_NOTE)
			continue;
		GROW(rec->records, rec->nr_records, rec->max_records);
		rec->records[rec->nr_records++] = record;
		pair_up(rec);
	}
	imp->report->lines = imp->line - 1;
	return 0;
}

/* ---- calls --------------------------------------------------------------------------------- */

/* Put the halves together in rec->joined. */
static struct span join(struct recording *rec, const struct record *first,
			const struct record *second)
{
	size_t size = first->line.name.len + 1 + first->line.args.len + second->line.args.len;
	char *at;

	if (size > rec->joined_size) {
		free(rec->joined);
		rec->joined = import_alloc(size);
		rec->joined_size = size;
	}
	at = rec->joined;
	at = mempcpy(at, first->line.name.text, first->line.name.len);
	*at++ = '(';
	at = mempcpy(at, first->line.args.text, first->line.args.len);
	mempcpy(at, second->line.args.text, second->line.args.len);
	return (struct span){rec->joined, size};
}

static const char *run_parts(struct importer *imp, const struct strace_line *who, struct span name,
			     struct span args, struct span result)
{
	struct call call = {.name = name};
	const char *wrong = strace_result_parse(result, &call.result);

	if (wrong)
		return wrong;
	call.nr_args = strace_args(args, call.args, sizeof(call.args) / sizeof(call.args[0]));
	call.task = task_of_line(imp, who);
	return call_run(imp, &call);
}

/* One half of a call: run all of it here if this is the half at which it takes effect. */
static const char *run_half(struct importer *imp, struct recording *rec,
			    const struct record *record)
{
	const struct record *other = record->pair == NO_PAIR ? NULL : &rec->records[record->pair];
	bool starts = record->line.kind == STRACE_UNFINISHED;
	struct span name, args, result;
	const char *wrong;

	if (!other) {
		task_of_line(imp, &record->line);
		tally(imp, starts ? IMPORT_FAILED : IMPORT_DROPPED, 0, "%.*s (%s)",
		      record->line.name.len < 48 ? (int)record->line.name.len : 48,
		      record->line.name.text,
		      starts ? "never returned" : "its beginning is not recorded");
		return NULL;
	}
	if (call_is_early(record->line.name) != starts)
		return NULL;
	wrong = strace_call_split(join(rec, starts ? record : other, starts ? other : record),
				  &name, &args, &result);
	return wrong ? wrong : run_parts(imp, &record->line, name, args, result);
}

static const char *run_record(struct importer *imp, struct recording *rec,
			      const struct record *record)
{
	const struct strace_line *line = &record->line;

	switch (line->kind) {
	case STRACE_CALL:
		return run_parts(imp, line, line->name, line->args, line->result);
	case STRACE_UNFINISHED:
	case STRACE_RESUMED:
		return run_half(imp, rec, record);
	case STRACE_EXITED:
		task_end(imp, task_of_line(imp, line));
		return NULL;
	case STRACE_SUPERSEDED:
		task_superseded(imp, line);
		return NULL;
	case STRACE_SIGNAL:
	case STRACE_BLANK:
	case STRACE_NOTE:
		break;
	}
	return NULL;
}

/* ---- passes -------------------------------------------------------------------------------- */

static int run_pass(struct importer *imp, struct recording *rec, bool emitting, char *error,
		    size_t error_size)
{
	imp->emitting = emitting;
	imp->line = 0;
	imp->nr_memfds = 0;
	imp->random = imp->options->seed;
	if (emitting)
		files_begin(imp);
	for (uint32_t i = 0; i < rec->nr_records; i++) {
		const char *wrong;

		imp->line = rec->records[i].number;
		wrong = run_record(imp, rec, &rec->records[i]);
		/* The second pass sees the same mistakes again; once is enough. */
		if (wrong && !emitting && complain(imp, wrong, error, error_size))
			return -EINVAL;
	}
	processes_reset(imp);
	return 0;
}

/* All addresses and files are known: decide where they go. */
static void place_everything(struct importer *imp)
{
	for (uint32_t i = 0; i < imp->nr_layouts; i++) {
		struct layout *layout = &imp->layouts[i];
		uint64_t pages = IMAGE_PAGES;

		layout_fix(layout, imp->task_pages);
		for (uint32_t j = 0; j < layout->nr_orphans; j++)
			pages += layout->orphans[j].end - layout->orphans[j].start;
		if (layout->program != NO_FILE)
			file_used(imp, layout->program, pages);
	}
	files_place(imp);
}

static uint32_t user_pages(enum split split)
{
	static const uint32_t pages[] = {
		[SPLIT_3_1] = 0xc0000,
		[SPLIT_2_2] = 0x80000,
		[SPLIT_4_4] = 0xff000,
	};

	return pages[split];
}

int import_strace(struct trace *trace, const char *text, size_t size,
		  const struct import_options *options, struct import_report *report, char *error,
		  size_t error_size)
{
	struct importer *imp = import_alloc(sizeof(*imp));
	struct recording rec = {0};
	int err;

	memset(report, 0, sizeof(*report));
	trace_clear(trace);
	trace->config = options->config;
	imp->options = options;
	imp->report = report;
	imp->trace = trace;
	imp->task_pages = user_pages(options->config.split);

	err = read_lines(imp, &rec, (struct span){text, size}, error, error_size);
	if (!err)
		err = run_pass(imp, &rec, false, error, error_size);
	if (!err) {
		place_everything(imp);
		err = run_pass(imp, &rec, true, error, error_size);
	}
	if (!err && !report->calls) {
		snprintf(error, error_size, "1: no system call in the whole recording");
		err = -EINVAL;
	}
	if (err)
		processes_reset(imp);

	for (uint32_t i = 0; i < imp->nr_layouts; i++)
		layout_release(&imp->layouts[i]);
	free(imp->layouts);
	free(imp->tasks);
	files_release(imp);
	free(imp);
	free(rec.text);
	free(rec.records);
	free(rec.pending);
	free(rec.joined);
	return err;
}

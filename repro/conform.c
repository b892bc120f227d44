/*
 * Conformance replay: one recorded line at a time becomes an op, is applied, and the machine's
 * picture is held against the recorded one.
 *
 * The recording names frames and swap slots by numbers of its own. Only equality counts: two
 * pages share a frame there exactly if they share one here. So each comparison builds the
 * correspondence anew from all pages of all processes, and it must be one to one.
 */
#include "conform.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm_types.h"

#define SLOTS          8u
#define PAGES          32u /* the window of 24 pages and the room behind it */
#define BASE_VPN       (WINDOW_BASE / PAGE_SIZE)
#define REC_FILE       1u /* f1: tmpfs, as in the recording */
#define REC_FILE_PAGES 40u
#define FIELDS_MAX     320
#define PAGEVEC        16u /* pages that the per-CPU LRU batch holds at most */

static const struct {
	const char *name, *reason;
} excuse_table[NR_CONFORM_EXCUSES] = {
#define CONFORM_EXCUSE(id, excuse_name, why) {excuse_name, why},
#include "conform_excuses.def"
#undef CONFORM_EXCUSE
};

const char *conform_excuse_name(enum conform_excuse excuse)
{
	return excuse_table[excuse].name;
}
const char *conform_excuse_reason(enum conform_excuse excuse)
{
	return excuse_table[excuse].reason;
}

/* ---- recorded state ------------------------------------------------------------------------ */

enum rec_kind { REC_EMPTY, REC_READONLY, REC_WRITABLE, REC_SWAP, REC_FILE_PTE, REC_PROT_NONE };

struct rec_page {
	enum rec_kind kind;
	uint32_t id;       /* frame, slot or offset */
	uint32_t mapcount; /* of a frame that is present */
};

struct rec_line {
	uint32_t index, proc, page, n, arg;
	uint32_t ret;
	int err;
	const char *op;
};

struct replay {
	struct machine *machine;
	struct conform_report *report;
	struct rec_page rec[SLOTS][PAGES];
	uint8_t *bytes; /* of the write with serial i */
	uint32_t serial, max_serial;
	uint32_t fresh[PAGEVEC]; /* the frames that were filled last, a ring */
	uint32_t nr_fresh;
};

__attribute__((format(printf, 2, 3))) static int difference(struct replay *replay,
							    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(replay->report->message, sizeof(replay->report->message), format, args);
	va_end(args);
	return 1;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static bool number(const char *text, int base, uint32_t *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, base);
	*value = (uint32_t)n;
	return *text && *end == '\0' && !errno && n <= UINT32_MAX;
}

/* "SLOT:PAGE=STATE" updates the recorded picture. */
static bool parse_change(struct replay *replay, char *text)
{
	char *colon = strchr(text, ':'), *equal = strchr(text, '=');
	uint32_t slot, page;
	struct rec_page rec = {REC_EMPTY, 0, 0};
	char *state, *mode;

	if (!colon || !equal || colon > equal)
		return false;
	*colon = *equal = '\0';
	state = equal + 1;
	if (!number(text, 10, &slot) || !number(colon + 1, 10, &page) || slot >= SLOTS ||
	    page >= PAGES)
		return false;
	if (!strncmp(state, "none", 4)) {
		rec.kind = REC_PROT_NONE;
		if (!number(state + 4, 10, &rec.id))
			return false;
	} else if (*state == 's' || *state == 'o') {
		rec.kind = *state == 's' ? REC_SWAP : REC_FILE_PTE;
		if (!number(state + 1, 10, &rec.id))
			return false;
	} else if (*state == 'f') {
		mode = state + strcspn(state, "wr");
		if (!*mode)
			return false;
		rec.kind = *mode == 'w' ? REC_WRITABLE : REC_READONLY;
		*mode = '\0';
		if (!number(state + 1, 10, &rec.id) || !number(mode + 1, 10, &rec.mapcount))
			return false;
	} else if (strcmp(state, "-")) {
		return false;
	}
	replay->rec[slot][page] = rec;
	return true;
}

static bool parse_line(struct replay *replay, char **fields, uint32_t n, struct rec_line *line)
{
	uint32_t err;

	if (n < 9 || fields[1][0] != 'p' || strcmp(fields[6], "="))
		return false;
	line->op = fields[2];
	if (!number(fields[0], 10, &line->index) || !number(fields[1] + 1, 10, &line->proc) ||
	    !number(fields[3], 10, &line->page) || !number(fields[4], 10, &line->n) ||
	    !number(fields[5], 10, &line->arg) || !number(fields[7], 16, &line->ret) ||
	    !number(fields[8], 10, &err) || line->proc >= SLOTS)
		return false;
	line->err = (int)err;
	for (uint32_t i = 9; i < n; i++) {
		if (!parse_change(replay, fields[i]))
			return false;
	}
	return true;
}

/* ---- from a line to an op ----------------------------------------------------------------------
 */

static uint32_t address(uint32_t page)
{
	return WINDOW_BASE + page * PAGE_SIZE;
}

/* How each recorded call is spelled as an op: operands after the process. */
enum shape {
	SHAPE_MMAP,
	SHAPE_MMAP_FILE,
	SHAPE_RANGE,
	SHAPE_MPROTECT,
	SHAPE_MREMAP,
	SHAPE_RESIZE,
	SHAPE_DONTNEED,
	SHAPE_ACCESS,
	SHAPE_REMAP,
	SHAPE_FORK,
	SHAPE_EXIT,
};

static const struct call {
	const char *name;
	enum op_code code;
	enum shape shape;
	uint32_t flags;
} calls[] = {
	{"mmap", OP_mmap, SHAPE_MMAP, OP_MAP_ANON | OP_MAP_FIXED},
	{"mmap-shared-file", OP_mmap, SHAPE_MMAP_FILE, OP_MAP_SHARED | OP_MAP_FIXED},
	{"mmap-priv-file", OP_mmap, SHAPE_MMAP_FILE, OP_MAP_FIXED},
	{"munmap", OP_munmap, SHAPE_RANGE, 0},
	{"mprotect", OP_mprotect, SHAPE_MPROTECT, 0},
	{"mremap", OP_mremap, SHAPE_MREMAP, OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED},
	{"resize", OP_mremap, SHAPE_RESIZE, 0},
	{"dontneed", OP_madvise, SHAPE_DONTNEED, 0},
	{"read", OP_read, SHAPE_ACCESS, 0},
	{"write", OP_write, SHAPE_ACCESS, 0},
	{"evict", OP_evict, SHAPE_ACCESS, 0},
	{"remap_file_pages", OP_remap_file_pages, SHAPE_REMAP, 0},
	{"fork", OP_fork, SHAPE_FORK, 0},
	{"exit", OP_exit, SHAPE_EXIT, 0},
};

static const struct call *find_call(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	}
	return NULL;
}

static void build_op(const struct call *call, const struct rec_line *line, struct op *op)
{
	uint32_t *a = op->args;

	op->code = (uint8_t)call->code;
	a[0] = line->proc;
	a[1] = address(line->page); /* unless the shape says otherwise */
	a[2] = line->n;
	switch (call->shape) {
	case SHAPE_MMAP:
	case SHAPE_MMAP_FILE:
		a[1] = REGION_NONE;
		a[2] = address(line->page);
		a[3] = line->n;
		a[4] = OP_PROT_READ | OP_PROT_WRITE;
		a[5] = call->flags;
		a[6] = call->shape == SHAPE_MMAP_FILE ? REC_FILE : 0;
		a[7] = call->shape == SHAPE_MMAP_FILE ? line->arg : 0;
		break;
	case SHAPE_MREMAP:
	case SHAPE_RESIZE:
		a[1] = REGION_NONE;
		a[2] = address(line->page);
		a[3] = line->n;
		a[4] = call->shape == SHAPE_RESIZE ? line->arg : line->n;
		a[5] = call->flags;
		a[6] = call->shape == SHAPE_MREMAP ? address(line->arg) : 0;
		break;
	case SHAPE_MPROTECT:
		a[3] = line->arg % 2 ? OP_PROT_READ : OP_PROT_READ | OP_PROT_WRITE;
		break;
	case SHAPE_DONTNEED:
		a[3] = ADVICE_DONTNEED;
		break;
	case SHAPE_REMAP:
		a[3] = line->arg;
		break;
	case SHAPE_FORK:
		a[1] = line->arg;
		break;
	case SHAPE_RANGE:
	case SHAPE_ACCESS:
	case SHAPE_EXIT:
		break;
	}
}

/* ---- comparing results
 * ---------------------------------------------------------------------------- */

/* The byte that the recording's read would return for TOKEN. */
static uint32_t token_byte(const struct replay *replay, uint64_t token)
{
	if ((token & TOKEN_FILE) == TOKEN_FILE)
		return 100 + (uint32_t)token;
	if (token & TOKEN_WRITE)
		return replay->bytes[(uint32_t)token];
	return 0;
}

/* RESULT as the recording writes it. */
static void recorded_form(const struct replay *replay, const struct op *op,
			  const struct result *result, uint32_t *ret, int *err)
{
	static const struct {
		int32_t err;
		uint32_t ret;
	} signals[] = {{RES_SEGV, (uint32_t)-11}, {RES_BUS, (uint32_t)-7}};

	*err = 0;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (result->err == signals[i].err) {
			*ret = signals[i].ret;
			return;
		}
	}
	if (result->err) {
		*ret = UINT32_MAX;
		*err = -result->err;
		return;
	}
	*ret = op->code == OP_read ? token_byte(replay, result->token) : result->value;
}

static int compare_result(struct replay *replay, const struct op *op, const struct rec_line *line,
			  const struct result *result)
{
	uint32_t ret;
	int err;

	recorded_form(replay, op, result, &ret, &err);
	if (ret == line->ret && err == line->err)
		return 0;
	return difference(replay,
			  "p%u %s: the kernel returned %x errno %d, the machine %x errno %d",
			  line->proc, line->op, line->ret, line->err, ret, err);
}

/* ---- comparing pictures
 * ----------------------------------------------------------------------------- */

/* The machine's page in the recording's terms; id is our own frame or slot number. */
static struct rec_page machine_page(struct replay *replay, uint32_t slot, uint32_t page)
{
	struct page_view view;
	struct rec_page rec = {REC_EMPTY, 0, 0};

	if (!machine_view_page(replay->machine, slot, BASE_VPN + page, &view) || pte_none(view.pte))
		return rec;
	if (pte_swap(view.pte)) {
		rec.kind = REC_SWAP;
		rec.id = pte_to_swp(view.pte);
	} else if (pte_file(view.pte)) {
		rec.kind = REC_FILE_PTE;
		rec.id = pte_to_pgoff(view.pte);
	} else {
		rec.kind = !(view.pte & PTE_P)   ? REC_PROT_NONE
			   : pte_write(view.pte) ? REC_WRITABLE
						 : REC_READONLY;
		rec.id = view.pfn;
		rec.mapcount = view.mapcount;
	}
	return rec;
}

static const char *describe(const struct rec_page *rec, char buf[32])
{
	static const char *const format[] = {
		"empty",   "read-only, mapped by %u",  "writable, mapped by %u",
		"swapped", "a file entry for page %u", "PROT_NONE"};

	snprintf(buf, 32, format[rec->kind], rec->kind == REC_FILE_PTE ? rec->id : rec->mapcount);
	return buf;
}

static bool is_present(enum rec_kind kind)
{
	return kind == REC_READONLY || kind == REC_WRITABLE || kind == REC_PROT_NONE;
}

/* One pair of names that must correspond one to one. */
struct pairing {
	uint32_t ours[SLOTS * PAGES], theirs[SLOTS * PAGES];
	uint32_t n;
};

static bool pair(struct pairing *pairing, uint32_t ours, uint32_t theirs)
{
	for (uint32_t i = 0; i < pairing->n; i++) {
		if (pairing->ours[i] == ours || pairing->theirs[i] == theirs)
			return pairing->ours[i] == ours && pairing->theirs[i] == theirs;
	}
	pairing->ours[pairing->n] = ours;
	pairing->theirs[pairing->n++] = theirs;
	return true;
}

static bool same_state(const struct rec_page *ours, const struct rec_page *theirs)
{
	if (ours->kind != theirs->kind || ours->mapcount != theirs->mapcount)
		return false;
	return ours->kind != REC_FILE_PTE || ours->id == theirs->id;
}

/*
 * The recorder compared entries without their kind where there is no frame, so it saw no change
 * between an empty entry (number 0) and a file entry for page 0. Learn it from the machine.
 */
static bool unseen_change(struct replay *replay, const struct rec_page *ours,
			  struct rec_page *theirs)
{
	enum rec_kind a = ours->kind, b = theirs->kind;

	if (ours->id || theirs->id)
		return false;
	if (!(a == REC_EMPTY && b == REC_FILE_PTE) && !(a == REC_FILE_PTE && b == REC_EMPTY))
		return false;
	*theirs = *ours;
	replay->report->excuses[CONFORM_EXCUSE_FILE_ENTRY_0]++;
	return true;
}

static int compare_picture(struct replay *replay, const struct rec_line *line)
{
	struct pairing frames = {.n = 0}, slots = {.n = 0};
	char a[32], b[32];

	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		for (uint32_t page = 0; page < PAGES; page++) {
			struct rec_page *theirs = &replay->rec[slot][page];
			struct rec_page ours = machine_page(replay, slot, page);

			if (theirs->kind == REC_PROT_NONE)
				ours.mapcount = theirs->mapcount; /* the recording leaves it out */
			if (!same_state(&ours, theirs) && !unseen_change(replay, &ours, theirs))
				return difference(replay,
						  "p%u %s: p%u w%u is %s in the kernel, %s here",
						  line->proc, line->op, slot, page,
						  describe(theirs, a), describe(&ours, b));
			if (is_present(ours.kind) && !pair(&frames, ours.id, theirs->id))
				return difference(replay,
						  "p%u %s: p%u w%u shares its frame with others "
						  "than in the kernel",
						  line->proc, line->op, slot, page);
			if (ours.kind == REC_SWAP && !pair(&slots, ours.id, theirs->id))
				return difference(
					replay,
					"p%u %s: p%u w%u shares its swap slot with others "
					"than in the kernel",
					line->proc, line->op, slot, page);
			replay->report->pages++;
		}
	}
	replay->report->excuses[CONFORM_EXCUSE_FRAME_NUMBER] += frames.n;
	replay->report->excuses[CONFORM_EXCUSE_SWAP_SLOT] += slots.n;
	return 0;
}

/* ---- replay
 * ----------------------------------------------------------------------------------------- */

static void remember_write(struct replay *replay, uint32_t serial, uint32_t value)
{
	if (serial >= replay->max_serial) {
		replay->max_serial = replay->max_serial ? replay->max_serial * 2 : 4096;
		replay->bytes = realloc(replay->bytes, replay->max_serial);
		if (!replay->bytes)
			abort();
	}
	replay->bytes[serial] = (uint8_t)value;
}

/* Note the anonymous frames that the last op filled: they wait in the LRU batch. */
static void note_fresh(struct replay *replay)
{
	size_t n;
	const struct event *events = machine_events(replay->machine, &n);
	struct page_view view;

	for (size_t i = 0; i < n; i++) {
		if (events[i].kind != EVENT_FILL)
			continue;
		if (machine_view_page(replay->machine, events[i].mm, events[i].vpn, &view) &&
		    view.anon)
			replay->fresh[replay->nr_fresh++ % PAGEVEC] = view.pfn;
	}
}

static bool is_fresh(const struct replay *replay, uint32_t pfn)
{
	uint32_t n = replay->nr_fresh < PAGEVEC ? replay->nr_fresh : PAGEVEC;

	for (uint32_t i = 0; i < n; i++) {
		if (replay->fresh[i] == pfn)
			return true;
	}
	return false;
}

/*
 * 2.6.7 refuses an anonymous page that somebody else holds. The only other holder here is the
 * batch of new pages on their way to the LRU, which empties when full, by everything that the
 * kernel does, seen and unseen. So where the recording says FAIL, an extra reference stands for
 * it; but only for a page that is among the last that fit into the batch.
 */
static bool held_by_pagevec(struct replay *replay, const struct op *op, const struct rec_line *line)
{
	struct page_view view;

	return op->code == OP_evict && line->ret == UNMAP_FAIL && !line->err &&
	       machine_view_page(replay->machine, op->args[0], op->args[1] / PAGE_SIZE, &view) &&
	       view.anon && is_fresh(replay, view.pfn);
}

static int replay_line(struct replay *replay, const struct rec_line *line)
{
	const struct call *call = find_call(line->op);
	struct op op = {.serial = replay->serial++};
	struct result result;
	char buf[256];
	bool held;
	int err;

	if (!call)
		return -EINVAL;
	build_op(call, line, &op);
	remember_write(replay, op.serial, line->arg);
	held = held_by_pagevec(replay, &op, line);
	if (held) {
		machine_pin(replay->machine, op.args[0], op.args[1] / PAGE_SIZE);
		replay->report->excuses[CONFORM_EXCUSE_LRU_PAGEVEC]++;
	}
	machine_apply(replay->machine, &op, &result);
	if (held)
		machine_unpin(replay->machine, op.args[0], op.args[1] / PAGE_SIZE);
	note_fresh(replay);
	replay->report->ops++;
	if (op.code == OP_evict && !result.err && result.value == UNMAP_SUCCESS)
		replay->report->evictions++;
	err = compare_result(replay, &op, line, &result);
	if (!err)
		err = compare_picture(replay, line);
	if (!err && machine_recount(replay->machine, buf, sizeof(buf)))
		err = difference(replay, "p%u %s: recount: %s", line->proc, line->op, buf);
	return err;
}

static uint32_t split_fields(char *line, char **fields)
{
	uint32_t n = 0;
	char *save;

	for (char *field = strtok_r(line, " ", &save); field && n < FIELDS_MAX;
	     field = strtok_r(NULL, " ", &save))
		fields[n++] = field;
	return n;
}

static void begin_sequence(struct replay *replay)
{
	machine_reset(replay->machine);
	memset(replay->rec, 0, sizeof(replay->rec));
	replay->serial = 0;
	replay->nr_fresh = 0;
}

/* One line of the log. */
static int feed(struct replay *replay, char *text)
{
	struct conform_report *report = replay->report;
	char *fields[FIELDS_MAX];
	uint32_t n = split_fields(text, fields);
	struct rec_line line;
	int err;

	if (!n)
		return 0;
	if (!strcmp(fields[0], "RECORD")) {
		if (n != 7 || strcmp(fields[5], "nonlinear"))
			goto bad;
		report->sequences++;
		report->nonlinear += !strcmp(fields[6], "1");
		begin_sequence(replay);
		return 0;
	}
	if (!strcmp(fields[0], "END"))
		return 0;
	if (!report->sequences)
		goto bad;
	if (!parse_line(replay, fields, n, &line))
		goto bad;
	err = replay_line(replay, &line);
	if (err >= 0)
		return err;
bad:
	difference(replay, "not a line of a recording");
	return -EINVAL;
}

static const struct machine_config *recorded_machine(enum era era, struct machine_config *config)
{
	*config = machine_preset_find("1g")->config;
	config->ram_mb = 2048;
	config->split = SPLIT_3_1;
	config->highpte = true;
	config->era = era;
	config->files = FILE_MAX;
	config->file_pages = REC_FILE_PAGES;
	config->stop_on_refusal = true;
	config->nonlinear = era == ERA_2_6_7 ? NONLINEAR_CLUSTER : NONLINEAR_EXACT;
	return config;
}

int conform_replay(const char *log, size_t size, const struct rmap_ops *rmap, enum era era,
		   struct conform_report *report)
{
	struct machine_config config;
	struct replay replay = {.report = report};
	char *copy = malloc(size + 1);
	int err = 0;

	if (!copy)
		abort();
	memcpy(copy, log, size);
	copy[size] = '\0';
	*report = (struct conform_report){0};
	replay.machine = machine_create(recorded_machine(era, &config), rmap);
	for (char *line = copy, *end; line && !err; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		report->line++;
		err = feed(&replay, line);
	}
	if (!err && !report->sequences) {
		difference(&replay, "no recording in it");
		err = -EINVAL;
	}
	machine_destroy(replay.machine);
	free(replay.bytes);
	free(copy);
	return err;
}

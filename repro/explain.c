/*
 * Explaining a finding: the trace is run again, and after every op all page tables are looked at.
 *
 *   run 1   which op, which page, which backend?
 *   run 2   a picture of every entry after every op; and each backend is asked about each page
 *   run 3   how the backend in question describes the page after each change
 *
 * Runs 2 and 3 are tried in a process of their own first: a design that has lost its way may take
 * the process with it when it is asked.
 *
 * A page is followed backwards from the guilty op. While it is in memory it is a frame, and while
 * it is out it is a swap slot; both stand in the entries themselves:
 *
 *   op       3        4        5        6
 *   entry    frame 7  frame 7  slot 2   frame 9      is one page, which was born at op 3
 *
 * Asking after every op finds the moment at which a design went wrong, which may be long before
 * that can be seen from outside.
 */
#include "explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "explain_private.h"
#include "isolate.h"

/* ---- pictures ------------------------------------------------------------------------------ */

static int add_entry(struct picture *picture, const struct entry *entry)
{
	if (picture->n == picture->max) {
		size_t max = picture->max ? picture->max * 2 : 32;
		struct entry *grown = realloc(picture->entries, max * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		picture->entries = grown;
		picture->max = max;
	}
	picture->entries[picture->n++] = *entry;
	return 0;
}

/* What an entry says of where the page is: frame or slot; 0: neither. */
static uint64_t where(const struct page_view *view)
{
	if (pte_swap(view->pte))
		return WHERE_SWAP | view->pte;
	return pte_present(view->pte) && !view->zero ? WHERE_FRAME | view->pfn : 0;
}

int picture_take(struct picture *picture, struct machine *machine)
{
	picture->n = 0;
	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		struct page_view view;

		/* What threads share belongs to the one that events name. */
		if (machine_proc_alive(machine, proc) && machine_mm_of(machine, proc) != proc)
			continue;
		for (uint32_t vpn = 0; machine_next_entry(machine, proc, &vpn, &view); vpn++) {
			struct entry entry = {{proc, vpn}, where(&view)};

			if (entry.where && add_entry(picture, &entry))
				return -ENOMEM;
		}
	}
	return 0;
}

static const struct entry *find_entry(const struct picture *picture, const struct mapping *page)
{
	for (size_t i = 0; i < picture->n; i++) {
		const struct mapping *at = &picture->entries[i].at;

		if (at->proc == page->proc && at->vpn == page->vpn)
			return &picture->entries[i];
	}
	return NULL;
}

/* ---- the page in question -------------------------------------------------------------------- */

/* The page that FINDING names, or one of its sets does, or its op, before which DIFF stands. */
static bool page_of(const struct finding *finding, const struct trace *trace, struct diff *diff,
		    struct mapping *page)
{
	struct op resolved;
	int proc, addr;

	if (finding->page.proc != UINT32_MAX) {
		*page = finding->page;
		return true;
	}
	if (finding->nr_expected || finding->nr_found) {
		*page = finding->nr_expected ? finding->expected[0] : finding->found[0];
		return true;
	}
	if (finding->op_index >= trace->nr_ops)
		return false;
	resolved = diff_resolve(diff, &trace->ops[finding->op_index]);
	proc = op_operand_index((enum op_code)resolved.code, "proc");
	addr = op_operand_index((enum op_code)resolved.code, "addr");
	if (proc < 0 || addr < 0)
		return false;
	*page = (struct mapping){resolved.args[proc], resolved.args[addr] / PAGE_SIZE};
	return true;
}

static uint32_t subject_of(const struct diff_options *options, const char *name)
{
	for (uint32_t i = 0; i < options->nr_backends; i++) {
		if (strcmp(options->backends[i]->name, name) == 0)
			return i;
	}
	return 0; /* "model" and the like: all backends are alike */
}

/* ---- following it ------------------------------------------------------------------------------
 */

/* Where the page is after one op: 0 stands for nowhere. Some may have it back while to others it is
 * still out. */
struct place {
	uint64_t frame, slot;
};

static bool holds(const struct entry *entry, const struct place *place)
{
	return entry->where == place->frame || entry->where == place->slot;
}

static void note_place(struct place *place, uint64_t where)
{
	if (where & WHERE_SWAP)
		place->slot = where;
	else
		place->frame = where;
}

/*
 * Where the page that is at NOW was one op earlier. An entry that had its frame or slot had the
 * page; one that went from slot to frame, or from frame to slot, kept it; one that went from frame
 * to frame did not: that is a copy.
 */
static struct place place_before(const struct picture *now, const struct place *place,
				 const struct picture *before)
{
	struct place was = {0, 0};

	for (size_t i = 0; i < before->n; i++) {
		if (holds(&before->entries[i], place))
			note_place(&was, before->entries[i].where);
	}
	for (size_t i = 0; i < now->n; i++) {
		const struct entry *entry = &now->entries[i], *old;

		if (!holds(entry, place))
			continue;
		old = find_entry(before, &entry->at);
		if (old && (old->where & WHERE_SWAP) != (entry->where & WHERE_SWAP))
			note_place(&was, old->where);
	}
	return was;
}

/* PLACES[i]: where the page was after op i, back from AT. Returns the op of its birth. */
static uint32_t follow_back(const struct film *film, const struct mapping *page, uint32_t at,
			    struct place *places)
{
	note_place(&places[at], find_entry(&film->pictures[at], page)->where);
	for (; at > 0; at--) {
		struct place was =
			place_before(&film->pictures[at], &places[at], &film->pictures[at - 1]);

		if (!was.frame && !was.slot)
			break;
		places[at - 1] = was;
	}
	return at;
}

static bool is_in(const struct picture *picture, const struct mapping *at, uint64_t frame)
{
	const struct entry *entry = frame ? find_entry(picture, at) : NULL;

	return entry && entry->where == frame;
}

/* Append to STEP the entries of PICTURE that map FRAME and, in OTHER, not OTHER_FRAME. */
static int add_changes(struct explain_step *step, const struct picture *picture, uint64_t frame,
		       const struct picture *other, uint64_t other_frame, uint32_t *count)
{
	for (size_t i = 0; frame && i < picture->n; i++) {
		const struct entry *entry = &picture->entries[i];
		uint32_t n = step->added + step->removed;
		struct mapping *grown;

		if (entry->where != frame || is_in(other, &entry->at, other_frame))
			continue;
		grown = realloc(step->mappings, (n + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		step->mappings = grown;
		grown[n] = entry->at;
		++*count;
	}
	return 0;
}

/* How many entries of PICTURE are at WHERE, and *FIRST: the first of them. */
static uint32_t count_at(const struct picture *picture, uint64_t where, struct mapping *first)
{
	uint32_t n = 0;

	for (size_t i = 0; where && i < picture->n; i++) {
		if (picture->entries[i].where == where && !n++)
			*first = picture->entries[i].at;
	}
	return n;
}

static int make_step(struct explanation *explanation, const struct film *film, uint32_t op,
		     const struct place *places, bool first)
{
	static const struct picture nothing;
	const struct picture *now = &film->pictures[op];
	const struct picture *before = first ? &nothing : &film->pictures[op - 1];
	uint64_t frame = places[op].frame, was = first ? 0 : places[op - 1].frame;
	struct explain_step *step = &explanation->steps[explanation->nr_steps];
	struct mapping ignored;
	uint32_t swapped = first ? 0 : count_at(before, places[op - 1].slot, &ignored);

	*step = (struct explain_step){.op = op};
	if (add_changes(step, now, frame, before, was, &step->added) ||
	    add_changes(step, before, was, now, frame, &step->removed))
		return -ENOMEM;
	step->now = count_at(now, frame, &step->holder);
	step->swapped = count_at(now, places[op].slot, &ignored);
	if (step->added || step->removed || step->swapped != swapped || op == film->last)
		explanation->nr_steps++;
	return 0;
}

static int tell(struct explanation *explanation, const struct film *film)
{
	struct place *places = calloc(film->last + 1, sizeof(*places));
	uint32_t at = film->last, birth;
	int err = 0;

	explanation->steps = calloc(film->last + 1, sizeof(*explanation->steps));
	if (!places || !explanation->steps) {
		free(places);
		return -ENOMEM;
	}
	/* The guilty op may have taken it away; a page that no entry ever held has no story. */
	while (at > 0 && !find_entry(&film->pictures[at], &explanation->page))
		at--;
	if (find_entry(&film->pictures[at], &explanation->page)) {
		birth = follow_back(film, &explanation->page, at, places);
		for (uint32_t op = birth; op <= film->last && !err; op++)
			err = make_step(explanation, film, op, places, op == birth);
	}
	free(places);
	return err;
}

/* ---- the second run
 * ------------------------------------------------------------------------------
 */

/* After op OP: take a picture, and see whether every backend still knows what the tables say. */
static int look(struct explanation *explanation, const struct diff_options *options,
		struct diff *diff, struct film *film, uint32_t op, uint32_t subject)
{
	int err = picture_take(&film->pictures[op], diff_machine(diff, subject));

	film->progress->op = op;
	for (uint32_t i = 0; !err && i < options->nr_backends && !explanation->departure.found;
	     i++) {
		film->progress->backend = i;
		err = departure_look(&explanation->departure, options->backends[i]->name,
				     diff_machine(diff, i), op);
	}
	return err;
}

static int run_again(struct explanation *explanation, const struct trace *trace,
		     const struct diff_options *options, struct diff *diff, struct film *film)
{
	uint32_t subject = subject_of(options, explanation->subject);
	struct finding ignored;
	uint32_t next = 0;
	int err = 0;

	diff_begin(diff, &trace->config);
	for (uint32_t i = 0; i <= film->last && !err; i++) {
		/* What happens inside an op is seen when that is over. */
		if (i == next) {
			uint32_t n = op_group(&trace->ops[i], trace->nr_ops - i);

			diff_step_group(diff, &trace->ops[i], n, &ignored);
			next += n;
		}
		err = look(explanation, options, diff, film, i, subject);
	}
	return err;
}

/* Once more, for what the design says of the page after each step. */
static void describe_steps(struct explanation *explanation, const struct trace *trace,
			   const struct diff_options *options, struct diff *diff, struct film *film)
{
	uint32_t subject = subject_of(options, explanation->subject), op = 0;
	struct finding ignored;

	film->progress->backend = subject;
	diff_begin(diff, &trace->config);
	for (uint32_t i = 0; i < explanation->nr_steps; i++) {
		struct explain_step *step = &explanation->steps[i];

		while (op <= step->op) {
			uint32_t n = op_group(&trace->ops[op], trace->nr_ops - op);

			film->progress->op = op;
			diff_step_group(diff, &trace->ops[op], n, &ignored);
			op += n;
		}
		if (step->now)
			machine_describe(diff_machine(diff, subject), step->holder.proc,
					 step->holder.vpn, step->describe, sizeof(step->describe));
	}
}

/* What making a film takes, for a process that only tries. */
struct take {
	struct explanation *explanation;
	const struct trace *trace;
	const struct diff_options *options;
	struct diff *diff;
	struct film *film;
	int err;
};

static void shoot(void *arg)
{
	struct take *take = arg;
	struct explanation *explanation = take->explanation;
	struct film *film = take->film;

	take->err = run_again(explanation, take->trace, take->options, take->diff, film);
	/* A leak, say, names no page, but somebody may have lost sight of one. */
	if (!explanation->has_page && explanation->departure.found) {
		explanation->page = explanation->departure.page;
		explanation->has_page = true;
	}
	if (!take->err && explanation->has_page)
		take->err = tell(explanation, film);
	if (!take->err)
		describe_steps(explanation, take->trace, take->options, take->diff, film);
}

/* As far as the film can be made: where the process dies it ends, and who was asked then is where
 * it went wrong. */
static int shoot_what_survives(struct take *take)
{
	struct explain_departure *departure = &take->explanation->departure, died = {0};
	struct film *film = take->film;
	int err;

	while ((err = isolated_call(shoot, take)) > 0) {
		uint32_t op = film->progress->op;

		died = (struct explain_departure){
			.found = true,
			.died = true,
			.op = op,
			.backend = take->options->backends[film->progress->backend]->name};
		if (op == 0)
			break;
		film->last = op - 1;
	}
	if (err == 0)
		shoot(take);
	if (died.found && !departure->found)
		*departure = died;
	return err < 0 ? err : take->err;
}

static struct progress *progress_create(void)
{
	void *shared = mmap(NULL, sizeof(struct progress), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

static int make_film(struct explanation *explanation, const struct trace *trace,
		     const struct diff_options *options, struct diff *diff)
{
	struct film film = {.last = explanation->finding.op_index};
	struct take take = {explanation, trace, options, diff, &film, 0};
	uint32_t n;
	int err = -ENOMEM;

	if (!trace->nr_ops)
		return 0;
	if (film.last >= trace->nr_ops)
		film.last = trace->nr_ops - 1;
	if (explanation->finding.check == CHECK_CRASH && film.last-- == 0)
		return 0; /* what it died in cannot be filmed */
	n = film.last + 1;
	film.progress = progress_create();
	film.pictures = calloc(n, sizeof(*film.pictures));
	if (film.pictures && film.progress)
		err = shoot_what_survives(&take);
	for (uint32_t i = 0; film.pictures && i < n; i++)
		free(film.pictures[i].entries);
	free(film.pictures);
	if (film.progress)
		munmap(film.progress, sizeof(*film.progress));
	return err;
}

/* ---- both ---------------------------------------------------------------------------------------
 */

static bool is_backend(const struct diff_options *options, const char *name)
{
	for (uint32_t i = 0; i < options->nr_backends; i++) {
		if (strcmp(options->backends[i]->name, name) == 0)
			return true;
	}
	return false;
}

/* The state before op LAST. */
static void run_up_to(struct diff *diff, const struct trace *trace, uint32_t last)
{
	struct finding ignored;

	diff_begin(diff, &trace->config);
	for (uint32_t i = 0, n; i < last && i < trace->nr_ops; i += n) {
		n = op_group(&trace->ops[i], last - i);
		diff_step_group(diff, &trace->ops[i], n, &ignored);
	}
}

int explain(const struct trace *trace, const struct diff_options *options,
	    struct explanation *explanation)
{
	struct diff *diff = diff_create(options);
	int err = -ENOENT;

	*explanation = (struct explanation){0};
	/* In another process first, for a crash has a story as well. */
	if (isolated_run(diff, trace, &explanation->finding) > 0) {
		const struct finding *finding = &explanation->finding;

		explanation->subject = is_backend(options, finding->subject)
					       ? finding->subject
					       : options->backends[0]->name;
		run_up_to(diff, trace, finding->op_index);
		explanation->has_page = page_of(finding, trace, diff, &explanation->page);
		err = make_film(explanation, trace, options, diff);
		if (!err)
			err = blame(&explanation->blame, trace, options);
	}
	diff_destroy(diff);
	if (err)
		explain_release(explanation);
	return err;
}

void explain_release(struct explanation *explanation)
{
	for (uint32_t i = 0; i < explanation->nr_steps; i++)
		free(explanation->steps[i].mappings);
	free(explanation->steps);
	explanation->steps = NULL;
	explanation->nr_steps = 0;
}

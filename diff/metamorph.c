/*
 * Metamorphic checks: do, undo, compare pictures.
 *
 * A picture is every present page of every process: who maps which frame, with which content, and
 * where the reverse map says that frame is mapped. Protections are not in it, because fork takes
 * write permission away and a later fault gives it back. Where memory runs short on the way,
 * reclaim may unmap pages by right, and a design may have a shared page copied that mremap moves;
 * such a try is counted and not judged.
 */
#include "metamorph.h"

#include <inttypes.h>
#include <stdlib.h>

#include "internal.h"

/* One present page of one process. */
struct seen {
	uint32_t proc, vpn, pfn, mapcount;
	uint64_t token;
	size_t nr_shown; /* by the reverse map */
	uint64_t shown;  /* a hash of these that does not depend on their order */
};

struct picture {
	struct seen *seen;
	size_t n, max;
};

struct metamorph {
	struct machine *machine;
	const struct rmap_ops *rmap;
	struct picture before, after;
	struct mapper *mappers;
	size_t max_mappers;
	uint64_t random;
	struct metamorph_stats stats;
};

/* A part of one area: [vpn, vpn + npages) of PROC. */
struct part {
	uint32_t proc, vpn, npages;
	uint32_t vm_flags;
};

/* What became of a try. */
enum outcome { HELD, SKIPPED, BROKEN };

/* ---- pictures ------------------------------------------------------------------------------ */

static void ask_rmap(struct metamorph *m, struct seen *seen)
{
	size_t n = machine_mappers(m->machine, seen->proc, seen->vpn, m->mappers, m->max_mappers);

	seen->nr_shown = n;
	if (n > m->max_mappers) {
		m->mappers = diff_grow(m->mappers, &m->max_mappers, n, sizeof(*m->mappers));
		machine_mappers(m->machine, seen->proc, seen->vpn, m->mappers, m->max_mappers);
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t key = (uint64_t)m->mappers[i].mm << 32 | m->mappers[i].vpn;

		seen->shown += (key ^ key >> 29) * 0xbf58476d1ce4e5b9ull;
	}
}

static void take_picture(struct metamorph *m, struct picture *picture)
{
	struct machine *machine = m->machine;

	picture->n = 0;
	for (uint32_t proc = 0; proc < PROC_MAX; proc++) {
		struct page_view view;

		for (uint32_t vpn = 0; machine_next_present(machine, proc, &vpn, &view); vpn++) {
			picture->seen = diff_grow(picture->seen, &picture->max, picture->n + 1,
						  sizeof(*picture->seen));
			picture->seen[picture->n] = (struct seen){.proc = proc,
								  .vpn = vpn,
								  .pfn = view.pfn,
								  .mapcount = view.mapcount,
								  .token = view.token};
			ask_rmap(m, &picture->seen[picture->n++]);
		}
	}
}

static bool same_page(const struct seen *a, const struct seen *b)
{
	return a->proc == b->proc && a->vpn == b->vpn && a->pfn == b->pfn &&
	       a->mapcount == b->mapcount && a->token == b->token && a->nr_shown == b->nr_shown &&
	       a->shown == b->shown;
}

/* The first index at which the pictures differ, or SIZE_MAX. */
static size_t first_difference(const struct picture *a, const struct picture *b)
{
	size_t n = a->n < b->n ? a->n : b->n;

	for (size_t i = 0; i < n; i++) {
		if (!same_page(&a->seen[i], &b->seen[i]))
			return i;
	}
	return a->n == b->n ? SIZE_MAX : n;
}

/* ---- choices --------------------------------------------------------------------------------- */

/* A number below N (splitmix64). */
static uint32_t below(struct metamorph *m, uint32_t n)
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

static bool choose_process(struct metamorph *m, uint32_t *proc)
{
	uint32_t alive[PROC_MAX], n = 0;

	for (uint32_t p = 0; p < PROC_MAX; p++) {
		if (machine_proc_alive(m->machine, p))
			alive[n++] = p;
	}
	if (n)
		*proc = alive[below(m, n)];
	return n;
}

/* Part of one of PROC's areas, the first, the last or any pages of it. Stacks are left alone: how
 * far they grow depends on what is below them. */
static bool choose_part(struct metamorph *m, struct part *part)
{
	uint32_t n = 0, offset, length;
	struct area_view area, chosen = {0};

	if (!choose_process(m, &part->proc))
		return false;
	for (uint32_t vpn = 0; machine_view_area(m->machine, part->proc, vpn, &area);
	     vpn = area.end) {
		if (!(area.flags & VM_GROWSDOWN) && !below(m, ++n))
			chosen = area;
	}
	if (!n)
		return false;
	length = chosen.end - chosen.start;
	offset = below(m, 2) ? below(m, length) : 0;
	part->vpn = chosen.start + offset;
	part->npages = below(m, 2) ? 1 + below(m, length - offset) : length - offset;
	part->vm_flags = chosen.flags;
	return true;
}

/* ---- doing things ------------------------------------------------------------------------------
 */

struct way {
	bool excused; /* reclaim was at work, or pages were copied for the design's sake */
	bool failed;  /* an op of it did */
};

static void apply(struct metamorph *m, const struct op *op, struct way *way)
{
	const struct event *events;
	struct result result;
	size_t n;

	machine_apply(m->machine, op, &result);
	way->failed |= result.err != 0;
	way->excused |= machine_last_op(m->machine)->early_copies > 0;
	events = machine_events(m->machine, &n);
	for (size_t i = 0; i < n; i++)
		way->excused |= events[i].kind == EVENT_WALK && events[i].aux == WALK_UNMAP;
}

static bool try_fork(struct metamorph *m, enum op_code *code, struct way *way)
{
	uint32_t parent, child = PROC_MAX;

	*code = OP_fork;
	while (child-- && machine_proc_alive(m->machine, child))
		;
	if (child >= PROC_MAX || !choose_process(m, &parent))
		return false;
	apply(m, &(struct op){.code = OP_fork, .args = {parent, child}}, way);
	if (!way->failed)
		apply(m, &(struct op){.code = OP_exit, .args = {child}}, way);
	way->failed = false; /* a fork that fails leaves nothing behind, either */
	return true;
}

static struct op mprotect_op(const struct part *part, uint32_t prot)
{
	return (struct op){.code = OP_mprotect,
			   .args = {part->proc, part->vpn * PAGE_SIZE, part->npages, prot}};
}

static bool try_mprotect(struct metamorph *m, enum op_code *code, struct way *way)
{
	struct op there, back;
	struct part part;

	*code = OP_mprotect;
	if (!choose_part(m, &part))
		return false;
	/* VM_READ, VM_WRITE and VM_EXEC are numbered as the trace's bits are. */
	back = mprotect_op(&part, part.vm_flags & OP_PROT_MASK);
	there = mprotect_op(&part, below(m, 2) ? OP_PROT_NONE : OP_PROT_READ);
	apply(m, &there, way);
	apply(m, &back, way);
	way->failed = false; /* no page moves, whether or not areas could be split */
	return true;
}

static bool try_split(struct metamorph *m, enum op_code *code, struct way *way)
{
	struct op op = {.code = OP_madvise};
	struct part part;

	*code = OP_madvise;
	if (!choose_part(m, &part))
		return false;
	op.args[0] = part.proc;
	op.args[1] = part.vpn * PAGE_SIZE;
	op.args[2] = part.npages;
	op.args[3] = part.vm_flags & VM_RAND_READ ? ADVICE_SEQUENTIAL : ADVICE_RANDOM;
	apply(m, &op, way);
	op.args[3] = part.vm_flags & VM_RAND_READ  ? ADVICE_RANDOM
		     : part.vm_flags & VM_SEQ_READ ? ADVICE_SEQUENTIAL
						   : ADVICE_NORMAL;
	apply(m, &op, way);
	way->failed = false;
	return true;
}

/* Pages below the end of user space in every split. */
#define HOLE_FIRST 0x70000u
#define HOLE_LAST  0x7f000u

static bool find_hole(struct metamorph *m, const struct part *part, uint32_t *vpn)
{
	struct area_view area;

	if (part->npages >= HOLE_LAST - HOLE_FIRST)
		return false;
	*vpn = HOLE_FIRST + below(m, HOLE_LAST - HOLE_FIRST - part->npages);
	return !machine_view_area(m->machine, part->proc, *vpn, &area) ||
	       area.start >= *vpn + part->npages;
}

static struct op mremap_op(const struct part *part, uint32_t from, uint32_t to)
{
	return (struct op){.code = OP_mremap,
			   .args = {part->proc, REGION_NONE, from * PAGE_SIZE, part->npages,
				    part->npages, OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED,
				    to * PAGE_SIZE}};
}

static bool try_mremap(struct metamorph *m, enum op_code *code, struct way *way)
{
	struct op there, back;
	struct part part;
	uint32_t hole;

	*code = OP_mremap;
	if (!choose_part(m, &part) || !find_hole(m, &part, &hole))
		return false;
	there = mremap_op(&part, part.vpn, hole);
	back = mremap_op(&part, hole, part.vpn);
	apply(m, &there, way);
	if (!way->failed)
		apply(m, &back, way);
	return true;
}

/* ---- relations ---------------------------------------------------------------------------------
 */

/*
 * Goes there and back, and says what it did as an op that names it in signatures. False: there
 * was nothing to do it with. WAY says what happened on it; `failed` only if that leaves things
 * elsewhere.
 */
typedef bool relation_fn(struct metamorph *m, enum op_code *code, struct way *way);

static const struct {
	const char *name;
	relation_fn *attempt;
} relations[NR_METAMORPH] = {
	[METAMORPH_FORK] = {"fork", try_fork},
	[METAMORPH_MPROTECT] = {"mprotect", try_mprotect},
	[METAMORPH_SPLIT] = {"split", try_split},
	[METAMORPH_MREMAP] = {"mremap", try_mremap},
};

const char *metamorph_name(enum metamorph_relation relation)
{
	return relations[relation].name;
}

/* The page of PICTURE at I, or NULL behind its end. */
static const struct seen *seen_at(const struct picture *picture, size_t i)
{
	return i < picture->n ? &picture->seen[i] : NULL;
}

static bool comes_first(const struct seen *a, const struct seen *b)
{
	return a && (!b || a->proc < b->proc || (a->proc == b->proc && a->vpn < b->vpn));
}

static void report(const struct metamorph *m, size_t at, enum op_code code, uint32_t op_index,
		   enum metamorph_relation relation, struct finding *finding)
{
	const struct seen *was = seen_at(&m->before, at), *is = seen_at(&m->after, at);
	const char *what = comes_first(was, is)            ? "lost"
			   : comes_first(is, was)          ? "extra"
			   : was->pfn != is->pfn           ? "frame"
			   : was->token != is->token       ? "content"
			   : was->mapcount != is->mapcount ? "mapcount"
							   : "rmap";
	const struct seen *page = comes_first(is, was) ? is : was;
	char name[16];

	*finding = (struct finding){.check = CHECK_METAMORPH,
				    .op_index = op_index,
				    .op = code,
				    .subject = m->rmap->name,
				    .against = "itself",
				    .page = {page->proc, page->vpn}};
	snprintf(finding->detail, sizeof(finding->detail), "%s", what);
	snprintf(finding->signature, sizeof(finding->signature), "%s:%s:%s:%s",
		 diff_check_name(CHECK_METAMORPH), relations[relation].name, m->rmap->name, what);
	snprintf(finding->message, sizeof(finding->message),
		 "after %s and back, p%" PRIu32 " %s is not as it was: %s",
		 relations[relation].name, page->proc, page_name(page->vpn, name, sizeof(name)),
		 what);
}

static enum outcome try_relation(struct metamorph *m, enum metamorph_relation relation,
				 uint32_t op_index, struct finding *finding)
{
	struct way way = {0};
	enum op_code code;
	size_t at;

	take_picture(m, &m->before);
	if (!relations[relation].attempt(m, &code, &way) || way.failed || way.excused)
		return SKIPPED;
	take_picture(m, &m->after);
	at = first_difference(&m->before, &m->after);
	if (at == SIZE_MAX)
		return HELD;
	report(m, at, code, op_index, relation, finding);
	return BROKEN;
}

static bool try_relations(struct metamorph *m, uint32_t op_index, struct finding *finding)
{
	for (int i = 0; i < NR_METAMORPH; i++) {
		switch (try_relation(m, (enum metamorph_relation)i, op_index, finding)) {
		case HELD:
			m->stats.held[i]++;
			break;
		case SKIPPED:
			m->stats.skipped[i]++;
			break;
		case BROKEN:
			return true;
		}
	}
	return false;
}

/* ---- traces
 * --------------------------------------------------------------------------------------
 */

struct metamorph *metamorph_create(const struct rmap_ops *rmap)
{
	struct metamorph *m = calloc(1, sizeof(*m));

	DIFF_ASSERT(m);
	m->rmap = rmap;
	m->machine = machine_create(&machine_presets[0].config, rmap);
	return m;
}

void metamorph_destroy(struct metamorph *m)
{
	if (!m)
		return;
	machine_destroy(m->machine);
	free(m->before.seen);
	free(m->after.seen);
	free(m->mappers);
	free(m);
}

int metamorph_run(struct metamorph *m, const struct trace *trace, uint64_t seed, uint32_t every,
		  struct finding *finding)
{
	uint32_t regions[REGION_MAX] = {0};

	m->random = seed;
	machine_reconfigure(m->machine, &trace->config);
	for (uint32_t i = 0; i < trace->nr_ops; i++) {
		struct op op = op_resolve(&trace->ops[i], regions);
		struct result result;

		machine_apply(m->machine, &op, &result);
		op_bind(&op, &result, regions);
		if ((i + 1) % every == 0 && try_relations(m, i, finding))
			return 1;
	}
	return 0;
}

const struct metamorph_stats *metamorph_stats(const struct metamorph *m)
{
	return &m->stats;
}

/*
 * State coverage: follow every mapping from the entry's first write to its last.
 *
 * Only events are looked at, and for a page that appears, its area and flags once the op is over.
 * So each subject keeps two tables: mappings, by process and address (frame, kind, origin), and
 * frames (how many mappings).
 */
#include "coverage_private.h"
#include "internal.h"

/* ---- a table from a key to a word -------------------------------------------------------------
 */

#define SLOTS_MIN 256u

static uint32_t home(const struct table *table, uint64_t key)
{
	return (uint32_t)((key ^ key >> 31) * 0x9e3779b97f4a7c15ull >> 33) & (table->slots - 1);
}

static struct slot *probe(const struct table *table, uint64_t key)
{
	uint32_t i = home(table, key);

	while (table->slot[i].used && table->slot[i].key != key)
		i = (i + 1) & (table->slots - 1);
	return &table->slot[i];
}

static struct slot *table_find(const struct table *table, uint64_t key)
{
	struct slot *slot = table->slots ? probe(table, key) : NULL;

	return slot && slot->used ? slot : NULL;
}

static void table_grow(struct table *table)
{
	struct table old = *table;

	table->slots = old.slots ? old.slots * 2 : SLOTS_MIN;
	table->slot = calloc(table->slots, sizeof(*table->slot));
	DIFF_ASSERT(table->slot);
	for (uint32_t i = 0; i < old.slots; i++) {
		if (old.slot[i].used)
			*probe(table, old.slot[i].key) = old.slot[i];
	}
	free(old.slot);
}

/* The slot of KEY, a zeroed one if it had none. */
static struct slot *table_get(struct table *table, uint64_t key)
{
	struct slot *slot;

	if (2 * (table->used + 1) > table->slots)
		table_grow(table);
	slot = probe(table, key);
	if (!slot->used) {
		*slot = (struct slot){.key = key, .used = true};
		table->used++;
	}
	return slot;
}

/* Linear probing knows no tombstones: whoever was displaced moves up. */
static void table_remove(struct table *table, struct slot *slot)
{
	uint32_t hole = (uint32_t)(slot - table->slot), i = hole, mask = table->slots - 1;

	for (;;) {
		uint32_t wants;

		i = (i + 1) & mask;
		if (!table->slot[i].used)
			break;
		wants = home(table, table->slot[i].key);
		if (((i - wants) & mask) < ((i - hole) & mask))
			continue;
		table->slot[hole] = table->slot[i];
		hole = i;
	}
	table->slot[hole].used = false;
	table->used--;
}

static void table_clear(struct table *table)
{
	if (table->used)
		memset(table->slot, 0, table->slots * sizeof(*table->slot));
	table->used = 0;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

struct coverage *coverage_create(const struct rmap_ops *const *backends, uint32_t subjects)
{
	struct coverage *coverage = calloc(1, sizeof(*coverage));

	DIFF_ASSERT(coverage);
	DIFF_ASSERT(subjects <= DIFF_SUBJECTS_MAX);
	coverage->nr = subjects;
	for (uint32_t i = 0; backends && i < subjects; i++)
		coverage->rmap[i] = backends[i];
	coverage->subject = calloc(subjects, sizeof(*coverage->subject));
	DIFF_ASSERT(coverage->subject);
	return coverage;
}

void coverage_destroy(struct coverage *coverage)
{
	if (!coverage)
		return;
	for (uint32_t i = 0; i < coverage->nr; i++) {
		free(coverage->subject[i].mappings.slot);
		free(coverage->subject[i].frames.slot);
		free(coverage->subject[i].fresh);
	}
	free(coverage->subject);
	free(coverage);
}

void coverage_begin(struct coverage *coverage)
{
	for (uint32_t i = 0; i < coverage->nr; i++) {
		table_clear(&coverage->subject[i].mappings);
		table_clear(&coverage->subject[i].frames);
	}
}

/* ---- what an op means for mappings that come and go -------------------------------------------
 */

static enum coverage_arose arose_by_fault(const struct event *fill)
{
	if (!fill)
		return COVERAGE_AROSE_FOUND;
	switch (fill->aux) {
	case FILL_COPY:
		return COVERAGE_AROSE_COPIED;
	case FILL_SWAP:
		return COVERAGE_AROSE_SWAPIN;
	default:
		return COVERAGE_AROSE_FIRST;
	}
}

static enum coverage_removed removed_by_walk(const struct op *op)
{
	switch (op->code) {
	case OP_evict:
		return COVERAGE_REMOVED_EVICT;
	case OP_swapout:
		return COVERAGE_REMOVED_SWAPOUT;
	case OP_migrate:
		return COVERAGE_REMOVED_MIGRATE;
	case OP_madvise:
		return COVERAGE_REMOVED_PAGEOUT;
	default:
		return COVERAGE_REMOVED_RECLAIM;
	}
}

static enum coverage_removed removed_by(const struct op *op)
{
	switch (op->code) {
	case OP_read:
	case OP_write:
		return COVERAGE_REMOVED_COW;
	case OP_madvise:
		return op->args[3] == ADVICE_PAGEOUT ? COVERAGE_REMOVED_PAGEOUT
						     : COVERAGE_REMOVED_DONTNEED;
	case OP_truncate:
		return COVERAGE_REMOVED_TRUNCATE;
	case OP_fpunch:
		return COVERAGE_REMOVED_PUNCH;
	case OP_remap_file_pages:
		return COVERAGE_REMOVED_REMAP;
	case OP_exit:
	case OP_exec:
		return COVERAGE_REMOVED_EXIT;
	case OP_evict:
	case OP_swapout:
	case OP_reclaim:
	case OP_migrate:
		return removed_by_walk(op); /* a cluster scan after it */
	default:
		return COVERAGE_REMOVED_MUNMAP;
	}
}

/* ---- following
 * ------------------------------------------------------------------------------------
 */

/* What one op's events are being read for. */
struct reading {
	struct coverage_subject *subject;
	const struct op *op; /* of those that run inside each other, the one that is under way */
	bool walking, host_walking;
	uint32_t walked;          /* how many entries mapped the page when the walk began */
	const struct event *fill; /* a page came in and is not mapped yet */
	uint32_t moved_pfn;       /* mremap took it from somewhere; 0: nothing is on its way */
	bool copied;              /* mremap puts a copy in a page's place, before it moves */
};

static enum coverage_sharing sharing_of(uint32_t mapcount)
{
	static const uint32_t most[] = {
#define KIND(id, name, help)
#define SHARING(id, name, most) most,
#define AROSE(id, name, help)
#define REMOVED(id, name, help)
#include "coverage.def"
#undef KIND
#undef SHARING
#undef AROSE
#undef REMOVED
	};
	uint32_t i = 0;

	while (mapcount > most[i])
		i++;
	return (enum coverage_sharing)i;
}

static void saw(struct coverage_subject *subject, const struct coverage_cell *cell)
{
	subject->count[cell->kind][cell->sharing][cell->arose][cell->removed]++;
	if (subject->nr_seen < COVERAGE_SEEN_MAX)
		subject->seen[subject->nr_seen++] =
			((cell->kind * NR_COVERAGE_SHARINGS + cell->sharing) * NR_COVERAGE_AROSE +
			 cell->arose) *
				NR_COVERAGE_REMOVED +
			cell->removed;
}

void coverage_drain(struct coverage *coverage, uint32_t subject,
		    void (*seen)(uint32_t cell, void *arg), void *arg)
{
	struct coverage_subject *s = &coverage->subject[subject];

	for (uint32_t i = 0; i < s->nr_seen; i++)
		seen(s->seen[i], arg);
	s->nr_seen = 0;
}

/* The mapping at SLOT goes. One without a kind is of the zero page, or has come and gone at once.
 */
static void unmapped(struct reading *reading, struct slot *slot, enum coverage_removed removed)
{
	struct coverage_subject *subject = reading->subject;
	struct slot *frame = table_find(&subject->frames, slot->pfn);

	uint32_t shared;

	/* In which order a walk removes is the design's choice, so all its removals count alike. */
	shared = reading->walking ? reading->walked : frame ? frame->mapcount : 0;
	if (frame && slot->known)
		saw(subject,
		    &(struct coverage_cell){(enum coverage_kind)slot->kind, sharing_of(shared),
					    (enum coverage_arose)slot->arose, removed});
	if (frame && !--frame->mapcount)
		table_remove(&subject->frames, frame);
	table_remove(&subject->mappings, slot);
}

static enum coverage_arose arose_by(const struct reading *reading, uint32_t pfn)
{
	if (reading->moved_pfn && reading->moved_pfn == pfn)
		return COVERAGE_AROSE_MOVED;
	if (reading->copied)
		return COVERAGE_AROSE_COPIED;
	switch (reading->op->code) {
	case OP_read:
	case OP_write:
		return arose_by_fault(reading->fill);
	case OP_fork:
		return COVERAGE_AROSE_FORKED;
	case OP_swapoff:
		return COVERAGE_AROSE_SWAPOFF;
	case OP_remap_file_pages:
		return COVERAGE_AROSE_REMAP;
	default:
		return COVERAGE_AROSE_POPULATE;
	}
}

static void mapped(struct reading *reading, const struct event *event, uint32_t pfn)
{
	struct coverage_subject *subject = reading->subject;
	struct slot *slot = table_get(&subject->mappings, key_of(event));

	slot->pfn = pfn;
	slot->known = false;
	slot->arose = (uint8_t)arose_by(reading, pfn);
	reading->moved_pfn = 0;
	reading->fill = NULL;

	table_get(&subject->frames, pfn)->mapcount++;
	subject->fresh = diff_grow(subject->fresh, &subject->max_fresh, subject->nr_fresh + 1,
				   sizeof(*subject->fresh));
	subject->fresh[subject->nr_fresh++] = key_of(event);
}

/* mremap clears an entry and writes the same one elsewhere, next. */
static bool moves_on(const struct event *event, const struct event *end, uint32_t pfn)
{
	for (event++; event < end && event->kind != EVENT_PTE;)
		event++;
	return event < end && pte_present(event->value) && pte_pfn(event->value) == pfn;
}

static void entry_written(struct reading *reading, const struct event *event,
			  const struct event *end)
{
	struct slot *slot = table_find(&reading->subject->mappings, key_of(event));
	bool present = pte_present(event->value);
	uint32_t pfn = present ? pte_pfn(event->value) : 0;
	bool moves = reading->op->code == OP_mremap && !reading->walking;
	enum coverage_removed removed =
		reading->walking ? removed_by_walk(reading->op) : removed_by(reading->op);

	if (slot && present && slot->pfn == pfn)
		return; /* bits only */
	reading->copied = moves && slot && present;
	if (slot) {
		if (moves && !present && moves_on(event, end, slot->pfn)) {
			removed = reading->op->args[5] & OP_MREMAP_DONTUNMAP
					  ? COVERAGE_REMOVED_LEAVE
					  : COVERAGE_REMOVED_MOVE;
			reading->moved_pfn = slot->pfn;
		} else if (reading->copied) {
			removed = COVERAGE_REMOVED_COW;
		}
		unmapped(reading, slot, removed);
	}
	if (present)
		mapped(reading, event, pfn);
}

/* Of what kind is the page that is mapped at KEY? False: it cannot be told. */
static bool kind_of(struct machine *machine, uint64_t key, uint8_t *kind)
{
	uint32_t proc = (uint32_t)(key >> 32), vpn = (uint32_t)key;
	struct page_view page;
	struct area_view area;

	if (!machine_view_page(machine, proc, vpn, &page) || !page.mapped || page.zero ||
	    !machine_view_area(machine, proc, vpn, &area))
		return false;
	if (page.anon)
		*kind = area.file < 0 ? COVERAGE_KIND_ANON : COVERAGE_KIND_COPY;
	else if (area.file >= FILE_MAX || area.file % 2)
		*kind = COVERAGE_KIND_SHMEM;
	else
		*kind = area.flags & VM_SHARED ? COVERAGE_KIND_SHARED : COVERAGE_KIND_PRIVATE;
	return true;
}

/* Mappings that appeared are asked for their kind when the op is over. */
static void look_at_fresh(struct coverage_subject *subject, struct machine *machine)
{
	for (size_t i = 0; i < subject->nr_fresh; i++) {
		struct slot *slot = table_find(&subject->mappings, subject->fresh[i]);

		if (slot && !slot->known)
			slot->known = kind_of(machine, subject->fresh[i], &slot->kind);
	}
	subject->nr_fresh = 0;
}

/* The mappings of mm FROM are mm TO's from now on, which had none. */
static void renamed(struct coverage_subject *subject, uint32_t from, uint32_t to)
{
	struct table *table = &subject->mappings;

	for (uint32_t i = 0; i < table->slots;) {
		struct slot slot = table->slot[i], *fresh;

		if (!slot.used || slot.key >> 32 != from) {
			i++;
			continue;
		}
		/* Another one may move up into this slot: look at it again. */
		table_remove(table, &table->slot[i]);
		slot.key = (uint64_t)to << 32 | (uint32_t)slot.key;
		fresh = table_get(table, slot.key);
		*fresh = slot;
	}
	for (size_t i = 0; i < subject->nr_fresh; i++) {
		if (subject->fresh[i] >> 32 == from)
			subject->fresh[i] = (uint64_t)to << 32 | (uint32_t)subject->fresh[i];
	}
}

/* Inside an op that is itself inside, no other runs. */
static void nested(struct reading *reading, const struct op *ops, const struct event *event)
{
	if (event->aux == NESTED_BEGIN) {
		reading->host_walking = reading->walking;
		reading->walking = false;
		reading->op = &ops[event->vpn];
	} else if (event->aux == NESTED_END) {
		reading->walking = reading->host_walking;
		reading->op = ops;
	}
}

void coverage_follow(struct coverage *coverage, uint32_t subject, struct machine *machine,
		     const struct op *ops, const struct event *events, size_t n)
{
	struct reading reading = {.subject = &coverage->subject[subject], .op = ops};

	for (size_t i = 0; i < n; i++) {
		const struct event *event = &events[i];

		switch (event->kind) {
		case EVENT_WALK:
			reading.walking = true;
			reading.walked = (uint32_t)event->value;
			break;
		case EVENT_WALK_END:
			reading.walking = false;
			break;
		case EVENT_FILL:
			reading.fill = event;
			break;
		case EVENT_PTE:
			entry_written(&reading, event, events + n);
			break;
		case EVENT_NESTED:
			nested(&reading, ops, event);
			break;
		case EVENT_RENAME:
			renamed(reading.subject, event->mm, (uint32_t)event->value);
			break;
		}
	}
	look_at_fresh(reading.subject, machine);
}

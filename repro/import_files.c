/*
 * Paths of the recording in the machine's eight files, and descriptors.
 *
 * f0 f2 f4 f6 are on disk, f1 f3 f5 f7 tmpfs; /dev/shm, memfds and System V segments go to the
 * latter. Files get slots in the order in which they are first mapped. Where there are more
 * files than slots, several share one, each with a range of its pages to itself:
 *
 *     f2  | libc.so.6 (482 pages) | ld.so.cache (11) | locale-archive (747) | ...
 *
 * A file whose size the recording changes needs a slot alone, because truncate cuts a whole slot.
 * Up to three files of each kind get that (four, if there are no others).
 */
#include <stdlib.h>
#include <string.h>

#include "import_private.h"

#define SLOT_PAGES_MAX 262144u /* the engine's largest file */
#define KIND_SLOTS     4u      /* slots of each kind */
#define TRANSFER_MAX   8u      /* pages of one read or write that become ops */

/* ---- names --------------------------------------------------------------------------------- */

static uint32_t path_hash(struct span path)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < path.len; i++)
		hash = (hash ^ (unsigned char)path.text[i]) * 16777619u;
	return hash % HASH_SIZE;
}

static bool is_tmpfs(struct span path)
{
	return span_starts(path, "/dev/shm/") || span_starts(path, "/memfd:") ||
	       span_starts(path, "/SYSV");
}

uint32_t file_intern(struct importer *imp, struct span path)
{
	uint32_t *bucket = &imp->file_hash[path_hash(path)];
	struct source_file *file;

	for (uint32_t i = *bucket; i; i = imp->files[i - 1].next_hash) {
		if (span_is(path, imp->files[i - 1].path))
			return i - 1;
	}
	GROW(imp->files, imp->nr_files, imp->max_files);
	file = &imp->files[imp->nr_files++];
	*file = (struct source_file){.path = import_alloc(path.len + 1), .tmpfs = is_tmpfs(path)};
	memcpy(file->path, path.text, path.len);
	file->next_hash = *bucket;
	*bucket = imp->nr_files;
	return imp->nr_files - 1;
}

uint32_t file_memfd(struct importer *imp, struct span name)
{
	char path[128];
	int n = snprintf(path, sizeof(path), "/memfd:%u:%.*s", ++imp->nr_memfds,
			 name.len < 64 ? (int)name.len : 64, name.text);

	return file_intern(imp, (struct span){path, (size_t)n});
}

void file_used(struct importer *imp, uint32_t file, uint64_t end_page)
{
	struct source_file *f = &imp->files[file];

	f->seen = true;
	if (end_page > f->end)
		f->end = end_page;
}

void files_release(struct importer *imp)
{
	for (uint32_t i = 0; i < imp->nr_files; i++)
		free(imp->files[i].path);
	free(imp->files);
}

/* ---- slots --------------------------------------------------------------------------------- */

/* The slots of one kind, while files are being placed. */
struct slots {
	uint32_t first;            /* 0 disk, 1 tmpfs; the others are first + 2, + 4, + 6 */
	uint32_t fill[KIND_SLOTS]; /* pages given out */
	uint32_t users[KIND_SLOTS];
	uint32_t shared_from; /* slots before this one have a file alone */
};

static void put(struct importer *imp, struct slots *slots, struct source_file *file, uint32_t i)
{
	uint32_t room = SLOT_PAGES_MAX - slots->fill[i];

	file->slot = slots->first + 2 * i;
	file->base = slots->fill[i];
	file->extent = file->end < room ? (uint32_t)file->end : room;
	if (!file->extent) {
		file->base = 0;
		file->extent = file->end ? SLOT_PAGES_MAX : 1;
	} else {
		slots->fill[i] += file->extent;
	}
	file->alone = i < slots->shared_from;
	slots->users[i]++;
}

static uint32_t emptiest(const struct slots *slots)
{
	uint32_t best = slots->shared_from;

	for (uint32_t i = best + 1; i < KIND_SLOTS; i++) {
		if (slots->fill[i] < slots->fill[best])
			best = i;
	}
	return best;
}

static int by_rank(const void *a, const void *b)
{
	const struct source_file *x = *(struct source_file *const *)a;
	const struct source_file *y = *(struct source_file *const *)b;

	return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Place the files of one kind, MAPPED[0..nr) in order of first mapping. */
static void place_kind(struct importer *imp, struct source_file **mapped, uint32_t nr, bool tmpfs)
{
	struct slots slots = {.first = tmpfs};
	uint32_t resized = 0, total = 0, used = 0;

	for (uint32_t i = 0; i < nr; i++) {
		total += mapped[i]->tmpfs == tmpfs;
		resized += mapped[i]->tmpfs == tmpfs && mapped[i]->resized;
	}
	slots.shared_from = resized < total ? KIND_SLOTS - 1 : KIND_SLOTS;
	if (resized < slots.shared_from)
		slots.shared_from = resized;
	for (uint32_t i = 0; i < nr && used < slots.shared_from; i++) {
		if (mapped[i]->tmpfs == tmpfs && mapped[i]->resized)
			put(imp, &slots, mapped[i], used++);
	}
	if (slots.shared_from ==
	    KIND_SLOTS) /* more than four, all resized: the rest share the last */
		slots.shared_from--;
	for (uint32_t i = 0; i < nr; i++) {
		if (mapped[i]->tmpfs == tmpfs && !mapped[i]->extent)
			put(imp, &slots, mapped[i], emptiest(&slots));
	}
	for (uint32_t i = 0; i < nr; i++) {
		if (mapped[i]->tmpfs == tmpfs && slots.users[(mapped[i]->slot - tmpfs) / 2] == 1)
			mapped[i]->alone = true;
	}
}

void files_place(struct importer *imp)
{
	struct source_file **mapped = import_alloc(imp->nr_files * sizeof(struct source_file *));
	uint32_t nr = 0;

	for (uint32_t i = 0; i < imp->nr_files; i++) {
		if (imp->files[i].mapped)
			mapped[nr++] = &imp->files[i];
	}
	qsort(mapped, nr, sizeof(struct source_file *), by_rank);
	place_kind(imp, mapped, nr, false);
	place_kind(imp, mapped, nr, true);
	free(mapped);
}

void files_begin(struct importer *imp)
{
	uint32_t size[FILE_MAX] = {0};
	bool used[FILE_MAX] = {false};

	for (uint32_t i = 0; i < imp->nr_files; i++) {
		struct source_file *file = &imp->files[i];

		if (!file->mapped)
			continue;
		imp->report->files++;
		used[file->slot] = true;
		file->size = file->alone && file->starts_empty ? 0 : file->extent;
		if (size[file->slot] < file->base + file->size)
			size[file->slot] = file->base + file->size;
		if (!file->alone)
			tally(imp, IMPORT_ASSUMED, file->extent,
			      "file that shares one of f0..f7, at page offsets of its own");
		if (file->end > file->extent)
			tally(imp, IMPORT_CLIPPED, file->end - file->extent,
			      "file longer than the machine's largest");
	}
	for (uint32_t slot = 0; slot < FILE_MAX; slot++) {
		if (used[slot])
			EMIT(imp, call_ops, OP_truncate, slot, size[slot]);
	}
}

/* ---- use ----------------------------------------------------------------------------------- */

uint32_t file_pgoff(struct importer *imp, uint32_t file, uint64_t page)
{
	const struct source_file *f = &imp->files[file];

	return f->base + (uint32_t)(page % f->extent);
}

/* The file has at least NPAGES pages, as the recording shows by using them. */
static void grow_to(struct importer *imp, struct source_file *file, uint64_t npages)
{
	if (npages > file->extent)
		npages = file->extent;
	if (!file->alone || file->sized || npages <= file->size)
		return;
	file->size = (uint32_t)npages;
	EMIT(imp, call_ops, OP_truncate, file->slot, file->size);
	tally(imp, IMPORT_ASSUMED, npages, "file that had grown when it was mapped or read");
}

void file_map(struct importer *imp, uint32_t file, uint64_t first, uint64_t npages)
{
	struct source_file *f = &imp->files[file];

	if (!imp->emitting) {
		if (!f->mapped)
			f->rank = imp->nr_mapped++;
		f->mapped = true;
		file_used(imp, file, first + npages);
		return;
	}
	grow_to(imp, f, first + npages);
}

bool file_resize(struct importer *imp, uint32_t file, uint64_t npages)
{
	struct source_file *f = &imp->files[file];

	if (!imp->emitting) {
		if (!f->seen)
			f->starts_empty = true;
		f->resized = true;
		file_used(imp, file, npages);
		return true;
	}
	if (!f->mapped)
		return false;
	if (!f->alone) {
		tally(imp, IMPORT_DROPPED, npages, "new size of a file that shares its slot");
		return true;
	}
	f->sized = true;
	f->size = npages < f->extent ? (uint32_t)npages : f->extent;
	EMIT(imp, call_ops, OP_truncate, f->slot, f->size);
	return true;
}

bool file_transfer(struct importer *imp, uint32_t file, uint64_t from, uint64_t count, bool write)
{
	struct source_file *f = &imp->files[file];
	uint64_t first = from >> SOURCE_PAGE_SHIFT;
	uint64_t end = (from + count + 4095) >> SOURCE_PAGE_SHIFT;

	if (!count || from + count < from || end >= SOURCE_PAGES_MAX)
		return false;
	if (!imp->emitting) {
		file_used(imp, file, end);
		return true;
	}
	if (!f->mapped)
		return false;
	if (!write)
		grow_to(imp, f, end);
	for (uint64_t page = first; page < end; page++) {
		/* Of a long transfer its first pages and its last one, which fixes the size. */
		if (page - first >= TRANSFER_MAX - 1 && page + 1 < end) {
			tally(imp, IMPORT_CLIPPED, end - 1 - page,
			      "read or write of more pages than are taken over");
			page = end - 1;
		}
		EMIT(imp, call_ops, write ? OP_fwrite : OP_fread, f->slot,
		     file_pgoff(imp, file, page));
	}
	if (write && f->size < end)
		f->size = end < f->extent ? (uint32_t)end : f->extent;
	return true;
}

/* ---- descriptors --------------------------------------------------------------------------- */

struct descriptor *fd_find(struct descriptors *fds, int32_t fd)
{
	for (uint32_t i = 0; i < fds->nr; i++) {
		if (fds->entries[i].fd == fd)
			return &fds->entries[i];
	}
	return NULL;
}

void fd_set_file(struct descriptors *fds, int32_t fd, uint32_t file, uint64_t position)
{
	struct descriptor *entry = fd_find(fds, fd);

	if (!entry) {
		GROW(fds->entries, fds->nr, fds->max);
		entry = &fds->entries[fds->nr++];
	}
	*entry = (struct descriptor){fd, file, position};
}

void fd_close(struct descriptors *fds, int32_t fd)
{
	struct descriptor *entry = fd_find(fds, fd);

	if (entry)
		*entry = fds->entries[--fds->nr];
}

void fds_copy(struct descriptors *to, const struct descriptors *from)
{
	*to = (struct descriptors){.nr = from->nr, .max = from->nr};
	if (from->nr) {
		to->entries = import_alloc(from->nr * sizeof(*to->entries));
		memcpy(to->entries, from->entries, from->nr * sizeof(*to->entries));
	}
}

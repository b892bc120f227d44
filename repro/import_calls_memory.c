/*
 * Calls that map, unmap, move and protect memory. Each brings the picture of the process up to
 * date in both passes, notes its range in the first, and emits its op in the second.
 */
#include <string.h>

#include "import_private.h"

#define POPULATE_MAX 1024u /* pages that one op may fault in at once */

static const struct strace_flag prot_flags[] = {
	{"PROT_NONE", 0}, {"PROT_READ", 1},      {"PROT_WRITE", 2},   {"PROT_EXEC", 4},
	{"PROT_SEM", 0},  {"PROT_GROWSDOWN", 0}, {"PROT_GROWSUP", 0}, {NULL, 0},
};

#define LINUX_MAP_SHARED    0x01u
#define LINUX_MAP_ANONYMOUS 0x20u
#define LINUX_MAP_GROWSDOWN 0x100u
#define LINUX_MAP_LOCKED    0x2000u
#define LINUX_MAP_NORESERVE 0x4000u
#define LINUX_MAP_POPULATE  0x8000u
#define LINUX_MAP_HUGETLB   0x40000u

static const struct strace_flag map_flags[] = {
	{"MAP_SHARED", LINUX_MAP_SHARED},
	{"MAP_PRIVATE", 2},
	{"MAP_SHARED_VALIDATE", LINUX_MAP_SHARED},
	{"MAP_FIXED", 0x10},
	{"MAP_FILE", 0},
	{"MAP_FIXED_NOREPLACE", 0},
	{"MAP_ANONYMOUS", LINUX_MAP_ANONYMOUS},
	{"MAP_ANON", LINUX_MAP_ANONYMOUS},
	{"MAP_GROWSDOWN", LINUX_MAP_GROWSDOWN},
	{"MAP_LOCKED", LINUX_MAP_LOCKED},
	{"MAP_NORESERVE", LINUX_MAP_NORESERVE},
	{"MAP_POPULATE", LINUX_MAP_POPULATE},
	{"MAP_HUGETLB", LINUX_MAP_HUGETLB},
	{"MAP_DENYWRITE", 0},
	{"MAP_EXECUTABLE", 0},
	{"MAP_STACK", 0},
	{"MAP_NONBLOCK", 0},
	{"MAP_32BIT", 0},
	{"MAP_SYNC", 0},
	{NULL, 0},
};

#define LINUX_MREMAP_DONTUNMAP 4u

static const struct strace_flag remap_flags[] = {
	{"MREMAP_MAYMOVE", 1},
	{"MREMAP_FIXED", 2},
	{"MREMAP_DONTUNMAP", LINUX_MREMAP_DONTUNMAP},
	{NULL, 0},
};

static const struct strace_flag advices[] = {
	{"MADV_NORMAL", ADVICE_NORMAL},         {"MADV_RANDOM", ADVICE_RANDOM},
	{"MADV_SEQUENTIAL", ADVICE_SEQUENTIAL}, {"MADV_WILLNEED", ADVICE_WILLNEED},
	{"MADV_DONTNEED", ADVICE_DONTNEED},     {NULL, 0},
};

/* ---- arguments ----------------------------------------------------------------------------- */

static const char bad_range[] = "an address range that cannot be";
static const char slotless[] = "call of a process without a slot";

/* Bytes [addr, addr + len) as pages [*start, *end). */
static const char *pages_of(uint64_t addr, uint64_t len, uint64_t *start, uint64_t *end)
{
	uint64_t npages = (len >> SOURCE_PAGE_SHIFT) + (len % 4096 != 0);

	*start = addr >> SOURCE_PAGE_SHIFT;
	*end = *start + npages;
	return addr % 4096 || *end > SOURCE_PAGES_MAX ? bad_range : NULL;
}

/* The range that the first two arguments give. */
static const char *range_args(const struct call *call, uint64_t *start, uint64_t *end)
{
	uint64_t addr, len;

	if (!strace_number(call->args[0], &addr) || !strace_number(call->args[1], &len))
		return import_bad_number;
	return pages_of(addr, len, start, end);
}

/*
 * Where [start, end) of SPACE is. False if there is nothing to emit: in the first pass, which
 * notes the use, or because the process or the range has no place.
 */
static bool locate(struct importer *imp, struct call *call, uint64_t start, uint64_t end,
		   bool mapped, struct placed *at)
{
	struct space *space = call_space(call);
	struct layout *layout = space_layout(imp, space);

	call->outcome = CALL_COUNTED;
	if (!imp->emitting) {
		layout_use(layout, start, end, mapped);
		return false;
	}
	if (space->slot == NO_SLOT) {
		tally(imp, IMPORT_DROPPED, 0, "%s", slotless);
		return false;
	}
	if (layout_range(layout, start, end, at))
		return true;
	tally(imp, IMPORT_DROPPED, end - start, "range without room in the address space");
	return false;
}

/* What the program uses although the recording never mapped it was there before. */
static void note_orphans(struct importer *imp, struct space *space, uint64_t start, uint64_t end)
{
	struct layout *layout = space_layout(imp, space);
	uint64_t hole_end;

	while (space_hole(space, &start, end, &hole_end)) {
		struct area area = {
			.start = start, .end = hole_end, .prot = OP_PROT_READ | OP_PROT_WRITE};

		if (!imp->emitting)
			layout_orphan(layout, start, hole_end);
		else
			tally(imp, IMPORT_ASSUMED, hole_end - start,
			      "range used after it was unmapped");
		import_space_map(space, &area);
		start = hole_end;
	}
}

/* ---- mappings ------------------------------------------------------------------------------ */

/* Which kind of memory, from the flags and the descriptor. */
static const char *area_backing(struct importer *imp, const struct call *call, uint64_t flags,
				struct area *area)
{
	bool shared = flags & LINUX_MAP_SHARED;
	uint64_t offset;
	const char *error;
	int32_t fd;

	area->kind = shared ? AREA_SHARED_ANON : AREA_ANON;
	if (flags & LINUX_MAP_ANONYMOUS)
		return NULL;
	error = fd_file(imp, call, call->args[4], &fd, &area->file);
	if (error)
		return error;
	switch (path_kind(imp->files[area->file].path)) {
	case PATH_ZERO:
		return NULL;
	case PATH_DEVICE:
		tally(imp, IMPORT_ASSUMED, area->end - area->start,
		      "mapping of a device, taken as anonymous memory");
		return NULL;
	case PATH_FILE:
		break;
	}
	if (!strace_number(call->args[5], &offset))
		return import_bad_number;
	area->pgoff = offset >> SOURCE_PAGE_SHIFT;
	if (area->pgoff + (area->end - area->start) > SOURCE_PAGES_MAX)
		return bad_range;
	area->kind = shared ? AREA_FILE_SHARED : AREA_FILE_PRIVATE;
	file_map(imp, area->file, area->pgoff, area->end - area->start);
	return NULL;
}

static uint32_t op_map_flags(struct importer *imp, const struct area *area, uint64_t flags,
			     uint32_t len)
{
	uint32_t out = OP_MAP_FIXED;

	if (area->kind == AREA_SHARED_ANON || area->kind == AREA_FILE_SHARED)
		out |= OP_MAP_SHARED;
	if (area->kind == AREA_ANON || area->kind == AREA_SHARED_ANON)
		out |= OP_MAP_ANON;
	if ((flags & LINUX_MAP_GROWSDOWN) && area->kind == AREA_ANON)
		out |= OP_MAP_GROWSDOWN;
	if (flags & LINUX_MAP_NORESERVE)
		out |= OP_MAP_NORESERVE;
	if (flags & LINUX_MAP_HUGETLB)
		tally(imp, IMPORT_ASSUMED, len, "mapping of huge pages, taken as small ones");
	if (flags & (LINUX_MAP_LOCKED | LINUX_MAP_POPULATE)) {
		if (len > POPULATE_MAX)
			tally(imp, IMPORT_CLIPPED, len, "mapping too long to be populated");
		else if (flags & LINUX_MAP_LOCKED)
			out |= OP_MAP_LOCKED;
		else
			out |= OP_MAP_POPULATE;
	}
	return out;
}

static void note_clipped(struct importer *imp, uint64_t pages, struct placed at)
{
	if (at.len < pages)
		tally(imp, IMPORT_CLIPPED, pages - at.len, "mapping longer than there is room for");
}

static const char *run_mmap(struct importer *imp, struct call *call)
{
	struct space *space = call_space(call);
	struct area area = {0};
	struct placed at;
	struct span unknown;
	uint64_t flags, len;
	const char *error;

	if (!strace_number(call->args[1], &len))
		return import_bad_number;
	error = pages_of(call->result.value, len, &area.start, &area.end);
	if (error || area.start == area.end)
		return bad_range;
	area.prot = (uint32_t)strace_flags(call->args[2], prot_flags, &unknown) & OP_PROT_MASK;
	flags = strace_flags(call->args[3], map_flags, &unknown);
	if (unknown.len)
		tally(imp, IMPORT_ASSUMED, 0, "mmap flag without effect: %.*s",
		      unknown.len < 32 ? (int)unknown.len : 32, unknown.text);
	error = area_backing(imp, call, flags, &area);
	if (error)
		return error;

	import_space_map(space, &area);
	if (!locate(imp, call, area.start, area.end, true, &at))
		return NULL;
	note_clipped(imp, area.end - area.start, at);
	touched_forget(space, at);
	EMIT(imp, call_ops, OP_mmap, space->slot, REGION_NONE, at.vpn << SOURCE_PAGE_SHIFT, at.len,
	     area.prot, op_map_flags(imp, &area, flags, at.len),
	     area.kind >= AREA_FILE_PRIVATE ? imp->files[area.file].slot : 0,
	     area.kind >= AREA_FILE_PRIVATE ? file_pgoff(imp, area.file, area.pgoff) : 0);
	touch_mapping(imp, space, at, area.prot);
	return NULL;
}

static const char *run_munmap(struct importer *imp, struct call *call)
{
	struct space *space = call_space(call);
	uint64_t start, end, at_page, hole_end, holes = 0;
	const char *error = range_args(call, &start, &end);
	struct placed at;

	if (error || start == end)
		return bad_range;
	for (at_page = start; space_hole(space, &at_page, end, &hole_end); at_page = hole_end)
		holes += hole_end - at_page;
	if (holes)
		tally(imp, IMPORT_ASSUMED, holes, "munmap of pages that no call had mapped");
	import_space_unmap(space, start, end);
	if (!locate(imp, call, start, end, false, &at))
		return NULL;
	touched_forget(space, at);
	EMIT(imp, call_ops, OP_munmap, space->slot, at.vpn << SOURCE_PAGE_SHIFT, at.len);
	return NULL;
}

static const char *run_mprotect(struct importer *imp, struct call *call)
{
	struct space *space = call_space(call);
	struct placed at;
	struct span unknown;
	uint64_t start, end;
	uint32_t prot = (uint32_t)strace_flags(call->args[2], prot_flags, &unknown) & OP_PROT_MASK;
	const char *error = range_args(call, &start, &end);

	if (error)
		return error;
	if (start == end)
		return NULL; /* has no effect */
	note_orphans(imp, space, start, end);
	import_space_protect(space, start, end, prot);
	if (!locate(imp, call, start, end, true, &at))
		return NULL;
	if (!(prot & OP_PROT_WRITE))
		touched_forget(space, at);
	EMIT(imp, call_ops, OP_mprotect, space->slot, at.vpn << SOURCE_PAGE_SHIFT, at.len, prot);
	touch_mapping(imp, space, at, prot);
	return NULL;
}

static const char *run_madvise(struct importer *imp, struct call *call)
{
	struct space *space = call_space(call);
	struct placed at;
	struct span unknown;
	uint64_t start, end, advice = strace_flags(call->args[2], advices, &unknown);
	const char *error = range_args(call, &start, &end);

	if (error)
		return error;
	if (start == end)
		return NULL; /* has no effect */
	note_orphans(imp, space, start, end);
	if (unknown.len || advice >= NR_ADVICE) {
		tally(imp, IMPORT_DROPPED, end - start, "madvise %.*s",
		      call->args[2].len < 32 ? (int)call->args[2].len : 32, call->args[2].text);
		call->outcome = CALL_COUNTED;
		return NULL;
	}
	if (!locate(imp, call, start, end, true, &at))
		return NULL;
	EMIT(imp, call_ops, OP_madvise, space->slot, at.vpn << SOURCE_PAGE_SHIFT, at.len,
	     (uint32_t)advice);
	return NULL;
}

/* The old range of a moved mapping stays, empty. */
static void keep_old_range(struct importer *imp, struct space *space, struct placed old,
			   const struct area *area)
{
	tally(imp, IMPORT_ASSUMED, old.len, "MREMAP_DONTUNMAP, taken as a move and a new mapping");
	EMIT(imp, call_ops, OP_mmap, space->slot, REGION_NONE, old.vpn << SOURCE_PAGE_SHIFT,
	     old.len, area ? area->prot : OP_PROT_READ | OP_PROT_WRITE, OP_MAP_FIXED | OP_MAP_ANON);
}

static const char *run_mremap(struct importer *imp, struct call *call)
{
	struct space *space = call_space(call);
	struct placed old = {0, 0}, new;
	struct span unknown;
	uint64_t start, end, to, to_end, new_len, flags;
	const struct area *area;
	const char *error = range_args(call, &start, &end);
	bool keep, located;

	if (error)
		return error;
	if (!strace_number(call->args[2], &new_len))
		return import_bad_number;
	error = pages_of(call->result.value, new_len, &to, &to_end);
	if (error || to == to_end)
		return bad_range;
	flags = strace_flags(call->args[3], remap_flags, &unknown);
	keep = flags & LINUX_MREMAP_DONTUNMAP || start == end;
	note_orphans(imp, space, start, start == end ? start + 1 : end);
	area = import_space_find(space, start);

	/* An old length of 0 asks for a second mapping of the pages from there on. */
	located = locate(imp, call, start, start == end ? start + 1 : end, true, &old);
	if (located || !imp->emitting)
		located &= locate(imp, call, to, to_end, true, &new);
	if (located) {
		note_clipped(imp, to_end - to, new);
		touched_forget(space, old);
		touched_forget(space, new);
		EMIT(imp, call_ops, OP_mremap, space->slot, REGION_NONE,
		     old.vpn << SOURCE_PAGE_SHIFT, start == end ? 0 : old.len, new.len,
		     to == start ? 0 : OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED,
		     to == start ? 0 : new.vpn << SOURCE_PAGE_SHIFT);
		if (flags & LINUX_MREMAP_DONTUNMAP)
			keep_old_range(imp, space, old, area);
		touch_mapping(imp, space, new, area ? area->prot : 0);
	}
	import_space_move(space, start, keep ? start : end, to, to_end);
	return NULL;
}

/* ---- the heap ------------------------------------------------------------------------------ */

/* The break moves to PAGE: the picture, and in the first pass the layout. */
static void move_break(struct importer *imp, struct space *space, uint64_t page)
{
	struct layout *layout = space_layout(imp, space);
	struct area area = {.start = space->brk, .end = page, .prot = OP_PROT_READ | OP_PROT_WRITE};

	if (page > space->brk)
		import_space_map(space, &area);
	else if (page < space->brk)
		import_space_unmap(space, page, space->brk);
	space->brk = page;
	if (!imp->emitting && page > layout->heap) {
		layout_use(layout, layout->heap, page, true);
		if (page > layout->heap_end)
			layout->heap_end = page;
	}
}

static const char *run_brk(struct importer *imp, struct call *call)
{
	struct space *space = call_space(call);
	struct layout *layout = space_layout(imp, space);
	uint64_t wanted, page, before;
	struct placed heap, grown;

	if (!strace_number(call->args[0], &wanted))
		return import_bad_number;
	page = (call->result.value >> SOURCE_PAGE_SHIFT) + (call->result.value % 4096 != 0);
	if (!page)
		return bad_range;
	if (!layout->heap)
		layout->heap = page;
	if (!space->brk)
		space->brk = layout->heap;
	if (wanted != call->result.value) {
		tally(imp, wanted ? IMPORT_FAILED : IMPORT_UNRELATED, 0,
		      wanted ? "brk" : "brk that only asks");
		call->outcome = CALL_COUNTED;
		return NULL;
	}
	if (page < layout->heap) {
		tally(imp, IMPORT_DROPPED, 0, "brk below the start of the heap");
		call->outcome = CALL_COUNTED;
		return NULL;
	}
	before = space->brk;
	move_break(imp, space, page);
	if (!imp->emitting)
		return NULL;
	if (space->slot == NO_SLOT) {
		tally(imp, IMPORT_DROPPED, 0, "%s", slotless);
		call->outcome = CALL_COUNTED;
		return NULL;
	}
	heap = (struct placed){HEAP_VPN, 0};
	if (page > layout->heap && layout_range(layout, layout->heap, page, &heap))
		note_clipped(imp, page - layout->heap, heap);
	EMIT(imp, call_ops, OP_brk, space->slot, (HEAP_VPN + heap.len) << SOURCE_PAGE_SHIFT);
	if (page > before && layout_range(layout, before, page, &grown))
		touch_mapping(imp, space, grown, OP_PROT_READ | OP_PROT_WRITE);
	return NULL;
}

const struct call_info import_memory_calls[] = {
	{"mmap", 6, CALL_MEMORY, run_mmap},
	{"mmap2", 6, CALL_MEMORY, run_mmap},
	{"old_mmap", 6, CALL_MEMORY, run_mmap},
	{"munmap", 2, CALL_MEMORY | CALL_EARLY, run_munmap},
	{"mprotect", 3, CALL_MEMORY, run_mprotect},
	{"pkey_mprotect", 3, CALL_MEMORY, run_mprotect},
	{"mremap", 4, CALL_MEMORY, run_mremap},
	{"madvise", 3, CALL_MEMORY, run_madvise},
	{"brk", 1, CALL_MEMORY, run_brk},
	{NULL, 0, 0, NULL},
};

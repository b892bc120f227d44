/*
 * The ops of a small world: what an exhaustive search puts at each place of a trace.
 *
 * Those that matter to a reverse map: they make, share, move, cut, protect and end mappings, fill
 * pages, and take them away. Ranges are single pages, and the whole window where areas begin (mmap)
 * so that all ways to cut an area follow.
 *
 * The wide set has what came later, too; it is half as large again, so it is for a depth less.
 */
#include "internal.h"

#include "enumerate.h"

struct builder {
	const struct enumerate_options *options;
	struct trace *ops;
};

static uint32_t page_addr(uint32_t page)
{
	return WINDOW_BASE + page * PAGE_SIZE;
}

static void add(const struct builder *builder, enum op_code code, const uint32_t *args, size_t n)
{
	struct op op = {.code = (uint8_t)code};

	memcpy(op.args, args, n * sizeof(*args));
	DIFF_ASSERT(trace_add(builder->ops, &op) == 0);
}
#define ADD(builder, code, ...)                                                                    \
	add(builder, code, (const uint32_t[]){__VA_ARGS__},                                        \
	    sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void add_process_ops(const struct builder *builder, uint32_t proc)
{
	for (uint32_t child = 0; child < builder->options->procs; child++) {
		if (child == proc)
			continue;
		ADD(builder, OP_fork, proc, child);
		if (builder->options->wide)
			ADD(builder, OP_clone_vm, proc, child);
	}
	ADD(builder, OP_exit, proc);
}

/* A single page of a file is always its first one, so that a file page can be in several places. */
static void add_mmap(const struct builder *builder, uint32_t proc, uint32_t page, uint32_t npages)
{
	static const struct {
		uint32_t flags, file;
	} kinds[] = {
		{OP_MAP_ANON, 0},
		{OP_MAP_ANON | OP_MAP_SHARED, 0},
		{OP_MAP_SHARED, 0},
		{0, 0},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		ADD(builder, OP_mmap, proc, REGION_NONE, page_addr(page), npages,
		    OP_PROT_READ | OP_PROT_WRITE, kinds[i].flags | OP_MAP_FIXED, kinds[i].file, 0);
}

static void add_mremaps(const struct builder *builder, uint32_t proc, uint32_t from)
{
	for (uint32_t to = 0; to < builder->options->pages; to++) {
		if (to != from)
			ADD(builder, OP_mremap, proc, REGION_NONE, page_addr(from), 1, 1,
			    OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED, page_addr(to));
	}
}

/* The page is moved and its place stays; it shows the first or the second page of its file. */
static void add_wide_page_ops(const struct builder *builder, uint32_t proc, uint32_t page)
{
	uint32_t addr = page_addr(page);

	ADD(builder, OP_migrate, proc, addr);
	ADD(builder, OP_madvise, proc, addr, 1, ADVICE_DONTNEED);
	ADD(builder, OP_mlock, proc, addr, 1);
	ADD(builder, OP_munlock, proc, addr, 1);
	for (uint32_t pgoff = 0; pgoff < 2; pgoff++)
		ADD(builder, OP_remap_file_pages, proc, addr, 1, pgoff, 0);
	for (uint32_t to = 0; to < builder->options->pages; to++) {
		if (to != page)
			ADD(builder, OP_mremap, proc, REGION_NONE, addr, 1, 1,
			    OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED | OP_MREMAP_DONTUNMAP,
			    page_addr(to));
	}
}

static void add_page_ops(const struct builder *builder, uint32_t proc, uint32_t page)
{
	uint32_t addr = page_addr(page);

	ADD(builder, OP_munmap, proc, addr, 1);
	ADD(builder, OP_mprotect, proc, addr, 1, OP_PROT_READ);
	ADD(builder, OP_mprotect, proc, addr, 1, OP_PROT_READ | OP_PROT_WRITE);
	ADD(builder, OP_read, proc, addr);
	ADD(builder, OP_write, proc, addr);
	ADD(builder, OP_evict, proc, addr);
	ADD(builder, OP_swapout, proc, addr);
	add_mremaps(builder, proc, page);
	if (builder->options->pages > 1)
		add_mmap(builder, proc, page, 1);
	if (builder->options->wide)
		add_wide_page_ops(builder, proc, page);
}

uint32_t enumerate_ops(const struct enumerate_options *options, struct trace *ops)
{
	const struct builder builder = {options, ops};

	trace_clear(ops);
	ops->config = options->config;
	for (uint32_t proc = 0; proc < options->procs; proc++) {
		add_process_ops(&builder, proc);
		add_mmap(&builder, proc, 0, options->pages);
		for (uint32_t page = 0; page < options->pages; page++)
			add_page_ops(&builder, proc, page);
	}
	if (options->wide) {
		ADD(&builder, OP_mkclean, 0);
		ADD(&builder, OP_fpunch, 0, 0, 1);
	}
	return ops->nr_ops;
}

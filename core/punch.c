/*
 * Holes: fallocate(FALLOC_FL_PUNCH_HOLE), or madvise(MADV_REMOVE).
 *
 *     file       |0|1|2|3|4|5|      fpunch f0 2 2      |0|1| | |4|5|      size is kept
 *     shared     |0|1|2|3|4|5|                 ->      |0|1| | |4|5|      faults find zeroes
 *     private    |0|1|c|3|4|5|                 ->      |0|1|c| |4|5|      copies survive
 *
 * A truncation takes private copies along (unmap_mapping_range with even_cows), a hole leaves them
 * and what became of them in swap: only entries of the file's own pages go.
 *
 * What was in the file at boot is stored nowhere, so its holes must be: file->holes has a word for
 * each HOLE_BITS pages, a bit per hole, and bit 63 set in every word that there is. Words are made
 * before anything is done, and mean nothing by themselves.
 */
#include "internal.h"

#define HOLE_BITS  63u
#define HOLE_THERE (1ull << HOLE_BITS)

bool file_is_hole(const struct address_space *file, uint32_t index)
{
	return radix_get(file->holes, index / HOLE_BITS) >> index % HOLE_BITS & 1;
}

static int holes_reserve(struct machine *machine, struct address_space *file, uint32_t first,
			 uint32_t last)
{
	for (uint32_t word = first / HOLE_BITS; word * HOLE_BITS < last; word++) {
		uint64_t bits = radix_get(file->holes, word) | HOLE_THERE;

		if (radix_set(machine, &file->holes, word, bits))
			return -ENOMEM;
	}
	return 0;
}

static void holes_mark(struct machine *machine, struct address_space *file, uint32_t first,
		       uint32_t last)
{
	for (uint32_t index = first; index < last; index++) {
		uint32_t word = index / HOLE_BITS;
		uint64_t bits = radix_get(file->holes, word) | 1ull << index % HOLE_BITS;
		int err = radix_set(machine, &file->holes, word, bits);

		MM_ASSERT(!err); /* it was there */
	}
}

/* The size stays, so the range may reach beyond it, and only what lies before changes. */
static int punch_hole(struct machine *machine, struct address_space *file, uint32_t first,
		      uint32_t last)
{
	uint32_t boot_last;

	if (last > file->npages)
		last = file->npages;
	if (first >= last)
		return 0;
	boot_last = last < file->boot_pages ? last : file->boot_pages;
	if (first < boot_last) {
		int err = holes_reserve(machine, file, first, boot_last);

		if (err)
			return err;
		holes_mark(machine, file, first, boot_last);
	}
	file_unmap_range(machine, file, first, last, false);
	file_drop_range(machine, file, first, last);
	return 0;
}

int op_fpunch(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	uint32_t first = op->args[1], npages = op->args[2];

	if (!npages)
		return -EINVAL;
	if (first > FILE_PAGES_MAX || npages > FILE_PAGES_MAX - first)
		return -EFBIG;
	return punch_hole(machine, file_by_number(machine, op->args[0]), first, first + npages);
}

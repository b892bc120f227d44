/*
 * Recount, the files: who maps them, caches and stores.
 */
#include "recount_private.h"

static bool bad_file(struct recount *r, const struct address_space *file, const char *what,
		     uint32_t index)
{
	return recount_wrong(r, "file %u: %s at %u", file->id, what, index);
}

static bool check_i_mmap_list(struct recount *r, const struct address_space *file,
			      const struct vma_list *list, uint32_t nonlinear, uint32_t *users)
{
	struct vma *vma;

	TAILQ_FOREACH (vma, list, shared) {
		if (vma->file != file)
			return bad_file(r, file, "i_mmap has another file's area", vma->start);
		if (RB_FIND(vma_tree, &vma->mm->vmas, vma) != vma)
			return bad_file(r, file, "i_mmap has a dead area", vma->start);
		if ((vma->flags & VM_NONLINEAR) != nonlinear)
			return bad_file(r, file, "an area is on the wrong one of two lists",
					vma->start);
		++*users;
	}
	return true;
}

static bool check_i_mmap(struct recount *r, const struct address_space *file)
{
	uint32_t users = 0;

	if (!check_i_mmap_list(r, file, &file->i_mmap, 0, &users) ||
	    !check_i_mmap_list(r, file, &file->i_mmap_nonlinear, VM_NONLINEAR, &users))
		return false;
	r->file_areas -= users;
	if (file->id < FILE_MAX && r->machine->files[file->id] == file)
		users++;
	return file->users == users ||
	       recount_wrong(r, "file %u: users is %u, counted %u", file->id, file->users, users);
}

static bool check_cache(struct recount *r, const struct address_space *file)
{
	uint32_t cached = 0, index = 0;
	uint64_t word;

	for (; radix_next(file->pages, &index, &word); index++) {
		const struct page *page = (const struct page *)(uintptr_t)word;

		if (page->mapping != file || page->index != index * sub_pages(r->machine))
			return bad_file(r, file, "a page of something else is cached", index);
		if (page->index >= file->npages)
			return bad_file(r, file, "a page beyond the end is cached", index);
		cached++;
	}
	r->cached_pages += cached;
	return file->nrcached == cached || recount_wrong(r, "file %u: nrcached is %u, counted %u",
							 file->id, file->nrcached, cached);
}

static bool check_store(struct recount *r, const struct address_space *file)
{
	uint32_t index = 0;
	uint64_t word;

	for (; radix_next(file->store, &index, &word); index++) {
		uint32_t first = file->kind == FILE_SHMEM ? index * sub_pages(r->machine) : index;

		if (first >= file->npages)
			return bad_file(r, file, "content is stored beyond the end", index);
		if (file->kind != FILE_SHMEM)
			continue;
		if (file_find_page(r->machine, file, first))
			return bad_file(r, file, "a page is both cached and in swap", index);
		if (!count_slot(r, (swp_entry_t)word))
			return bad_file(r, file, "a swap slot that does not exist is named", index);
	}
	return true;
}

bool check_files(struct recount *r)
{
	const struct address_space *file;

	TAILQ_FOREACH (file, &r->machine->file_list, link) {
		if (file->boot_pages > file->npages)
			return bad_file(r, file, "boot content lies beyond the end",
					file->boot_pages);
		if (!check_i_mmap(r, file) || !check_cache(r, file) || !check_store(r, file))
			return false;
		r->files++;
	}
	return r->file_areas == 0 ||
	       recount_wrong(r, "%d areas of files are not on their i_mmap", (int)r->file_areas);
}

/*
 * Files: the page cache, shared memory, truncation, read(2) and write(2).
 *
 * A file is its address_space. `pages` holds the cached page of an offset; `store` holds
 * what there is behind the cache:
 *
 *              FILE_DISK                    FILE_SHMEM
 *   cached     page, dirty or clean         page; there is no store entry
 *   stored     token of the last writeback  swap entry: the file owns one count of the slot
 *   neither    boot content or zeros        boot content or zeros
 *
 * Boot content is not stored anywhere: below boot_pages an offset without an entry reads as
 * token_file(), unless it is a hole (punch.c), and truncation lowers boot_pages for ever. A token
 * that is stored is never 0 below boot_pages, so that an absent word in the store is not ambiguous.
 *
 * With page clustering a page holds several offsets: the cache, and the store of shared memory, are
 * keyed by page, the store of a disk file by offset. Where the file ends inside a page, the rest
 * of it is zero, in the cache as in swap.
 *
 * References: the cache has one on each of its pages, each mapping has one.
 */
#include "internal.h"

static struct address_space *file_create(struct machine *machine, uint32_t id, enum file_kind kind)
{
	struct address_space *file = kobj_alloc(machine, INODE);

	if (!file)
		return NULL;
	file->id = id;
	file->kind = kind;
	file->users = 1; /* its name, or who is about to map it */
	TAILQ_INIT(&file->i_mmap);
	TAILQ_INIT(&file->i_mmap_nonlinear);
	TAILQ_INSERT_TAIL(&machine->file_list, file, link);
	MUTANT_INHERIT(file, machine);
	return file;
}

/* f0..f7; the first config.files of them have content. */
void file_boot(struct machine *machine)
{
	uint32_t i;

	TAILQ_INIT(&machine->file_list);
	machine->next_file_id = FILE_MAX;
	for (i = 0; i < FILE_MAX; i++) {
		struct address_space *file =
			file_create(machine, i, i % 2 ? FILE_SHMEM : FILE_DISK);

		MM_ASSERT(file);
		if (i < machine->config.files)
			file->npages = file->boot_pages = machine->config.file_pages;
		machine->files[i] = file;
	}
}

/* The objects themselves go with their pools. */
void file_reset(struct machine *machine)
{
	TAILQ_INIT(&machine->file_list);
	memset(machine->files, 0, sizeof(machine->files));
	machine->next_file_id = 0;
}

struct address_space *file_by_number(struct machine *machine, uint32_t file)
{
	MM_ASSERT(file < FILE_MAX);
	return machine->files[file];
}

struct address_space *shmem_create(struct machine *machine, uint32_t npages)
{
	struct address_space *file = file_create(machine, machine->next_file_id++, FILE_SHMEM);

	if (!file)
		return NULL;
	file->unlinked = true;
	file->npages = npages;
	return file;
}

void file_get(struct address_space *file)
{
	file->users++;
}

bool file_is_mapped(const struct address_space *file)
{
	return !TAILQ_EMPTY(&file->i_mmap) || !TAILQ_EMPTY(&file->i_mmap_nonlinear);
}

/* ---- the cache ------------------------------------------------------------------ */

/* The key of the page that offset INDEX is in. */
static uint32_t page_number(const struct machine *machine, uint32_t index)
{
	return index >> machine->config.cluster;
}

struct page *file_find_page(const struct machine *machine, const struct address_space *file,
			    uint32_t index)
{
	return (struct page *)(uintptr_t)radix_get(file->pages, page_number(machine, index));
}

/* PAGE, which nobody else knows, joins the cache for the offsets around INDEX. */
static int cache_page(struct machine *machine, struct address_space *file, uint32_t index,
		      struct page *page)
{
	int err = radix_set(machine, &file->pages, page_number(machine, index), (uintptr_t)page);

	if (err)
		return err;
	page_get(page);
	page->mapping = file;
	page->index = index - sub_of(machine, index);
	file->nrcached++;
	lru_add(machine, page, false);
	return 0;
}

void file_remove_page(struct machine *machine, struct page *page)
{
	struct address_space *file = page->mapping;

	MM_ASSERT(file && file_find_page(machine, file, page->index) == page);
	MM_ASSERT(page->mapcount == 0);
	(void)radix_set(machine, &file->pages, page_number(machine, page->index), 0);
	file->nrcached--;
	page->mapping = NULL;
	page->index = 0;
	page_put(machine, page);
}

void file_replace_page(struct machine *machine, struct page *old, struct page *new)
{
	struct address_space *file = old->mapping;
	int err =
		radix_set(machine, &file->pages, page_number(machine, old->index), (uintptr_t) new);

	MM_ASSERT(!err); /* the place is there */
	page_get(new);
	new->mapping = file;
	new->index = old->index;
	old->mapping = NULL;
	old->index = 0;
	page_put(machine, old);
}

/* A page of shared memory comes back from swap, and gives the slot back. */
static void read_swap(struct machine *machine, struct page *page, swp_entry_t entry)
{
	struct address_space *file = page->mapping;
	const struct swap_slot *slot = swap_slot(machine, entry);

	MM_ASSERT(slot->written);
	bounce_read(machine, page, slot->token);
	page->flags |= PG_DIRTY;
	(void)radix_set(machine, &file->store, page_number(machine, page->index), 0);
	free_swap_and_cache(machine, entry);
	machine->swapins++;
}

/* What there is at offset INDEX of a file that is not in swap. */
static enum fill_kind read_offset(const struct address_space *file, uint32_t index, uint64_t *token)
{
	*token = file->kind == FILE_DISK ? radix_get(file->store, index) : 0;
	if (*token)
		return FILL_FILE;
	if (index >= file->boot_pages || file_is_hole(file, index))
		return FILL_ZERO;
	*token = token_file(file->id, index);
	return FILL_FILE;
}

/*
 * Where page number N of shared memory is, if it is in swap, a vector says whose pages lie in
 * highmem. Its first part is in the inode: there 2.6 maps the zero page, so that whoever unmaps
 * need not ask what there was. (Vectors cost radix nodes here, and no pages; the zero page stands
 * for all.)
 */
#define SHMEM_NR_DIRECT 16u

static uint64_t shmem_swp_map(struct machine *machine, const struct address_space *file, uint32_t n)
{
	uint64_t word = radix_get(file->store, n);

	if (!MUTANT_IF(machine, HIM_07, !word && n >= SHMEM_NR_DIRECT))
		kmap_atomic(machine, machine->zero_page, KM_USER1);
	return word;
}

static void shmem_swp_unmap(struct machine *machine)
{
	kunmap_atomic(machine, machine->zero_page, KM_USER1);
}

/* What PAGE holds after it was read in: fills tokens and flags, says from where the one for
 * INDEX is. */
static enum fill_kind read_store(struct machine *machine, struct page *page, uint32_t index)
{
	struct address_space *file = page->mapping;
	enum fill_kind from = FILL_ZERO;
	uint64_t token[SUB_PAGES_MAX];

	if (file->kind == FILE_SHMEM) {
		uint64_t word = shmem_swp_map(machine, file, page_number(machine, index));

		shmem_swp_unmap(machine);
		if (word) {
			read_swap(machine, page, (swp_entry_t)word);
			return FILL_SWAP;
		}
		/* It has no other copy of its boot content. */
		if (page->index < file->boot_pages)
			page->flags |= PG_DIRTY;
	}
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++) {
		enum fill_kind kind = read_offset(file, page->index + sub, &token[sub]);

		if (page->index + sub == index)
			from = kind;
	}
	bounce_read(machine, page, token);
	return from;
}

int file_grab_page(struct machine *machine, struct address_space *file, uint32_t index,
		   struct page **result)
{
	struct page *page = file_find_page(machine, file, index);
	enum fill_kind from;
	int err;

	if (page) {
		page_get(page);
		*result = page;
		return 0;
	}
	page = page_alloc(machine, GFP_HIGHUSER);
	if (!page)
		return -ENOMEM;
	if (file_find_page(machine, file, index)) { /* somebody else was quicker */
		page_put(machine, page);
		return file_grab_page(machine, file, index, result);
	}
	err = cache_page(machine, file, index, page);
	if (err) {
		page_put(machine, page);
		return err;
	}
	from = read_store(machine, page, index);
	event_log(machine, EVENT_FILL, (uint8_t)from, 0, index,
		  page->token[sub_of(machine, index)]);
	*result = page;
	return 0;
}

/* PAGE was read in for INDEX; ERR if the file was cut off before it meanwhile. Then the page is let
 * go, and leaves the cache if all of it is beyond the end. */
static int still_inside(struct machine *machine, struct page *page, uint32_t index, int err)
{
	uint32_t npages = page->mapping->npages;

	if (index < npages)
		return 0;
	if (page->index >= npages) {
		page->flags &= ~PG_DIRTY;
		file_remove_page(machine, page);
	}
	page_put(machine, page);
	return err;
}

int file_getpage(struct machine *machine, struct address_space *file, uint32_t index,
		 struct page **page)
{
	int err;

	if (index >= file->npages) {
		if (MUTANT_IF(machine, ACC_07, file_find_page(machine, file, index)))
			page_get(file_find_page(machine, file, index));
		return RES_BUS;
	}
	err = file_grab_page(machine, file, index, page);
	return err ? err : still_inside(machine, *page, index, RES_BUS);
}

/* tmpfs is not read ahead. Pages that cannot be had are no error. */
void file_readahead(struct machine *machine, struct address_space *file, uint32_t first,
		    uint32_t last, uint32_t *budget)
{
	if (file->kind == FILE_SHMEM)
		return;
	for (; first < last && first < file->npages && *budget; first++) {
		struct page *page;

		--*budget;
		if (file_grab_page(machine, file, first, &page) ||
		    still_inside(machine, page, first, RES_BUS))
			return;
		page_put(machine, page);
	}
}

/* ---- writing back --------------------------------------------------------------- */

/* The content moves to a swap slot, and the page leaves the cache. */
static int shmem_writepage(struct machine *machine, struct page *page)
{
	struct address_space *file = page->mapping;
	swp_entry_t entry = swap_get_slot(machine);
	struct swap_slot *slot;
	int err;

	if (!entry)
		return -ENOSPC;
	err = radix_set(machine, &file->store, page_number(machine, page->index), entry);
	if (err) {
		swap_free(machine, entry);
		return err;
	}
	slot = swap_slot(machine, entry);
	bounce_write(machine, page, slot->token);
	slot->written = true;
	page->flags &= ~PG_DIRTY;
	machine->swapouts++;
	file_remove_page(machine, page);
	return 0;
}

int file_store_page(struct machine *machine, struct page *page)
{
	struct address_space *file = page->mapping;
	uint64_t token[SUB_PAGES_MAX];

	bounce_write(machine, page, token);
	/* If memory runs out on the way, the page stays dirty as a whole. */
	for (uint32_t sub = 0; sub < sub_pages(machine); sub++) {
		int err = radix_set(machine, &file->store, page->index + sub, token[sub]);

		if (err)
			return err;
	}
	page->flags &= ~PG_DIRTY;
	return 0;
}

int file_writepage(struct machine *machine, struct page *page)
{
	MM_ASSERT(page->mapcount == 0);
	if (page->mapping->kind == FILE_SHMEM)
		return shmem_writepage(machine, page);
	return file_store_page(machine, page);
}

/* ---- size ----------------------------------------------------------------------- */

/* By process, then address: an order in which designs that merge differently agree. */
static bool area_before(const struct vma *a, const struct vma *b)
{
	return a->mm->id != b->mm->id ? a->mm->id < b->mm->id : a->start < b->start;
}

/* Shell sort: in place, and quick on the nearly sorted lists that i_mmap gives. */
static void sort_areas(struct vma **areas, uint32_t n)
{
	for (uint32_t gap = n / 2; gap; gap /= 2) {
		for (uint32_t i = gap; i < n; i++) {
			struct vma *area = areas[i];
			uint32_t at = i;

			for (; at >= gap && area_before(area, areas[at - gap]); at -= gap)
				areas[at] = areas[at - gap];
			areas[at] = area;
		}
	}
}

static void collect_areas(struct machine *machine, const struct vma_list *list,
			  struct area_array *areas)
{
	struct vma *vma;

	TAILQ_FOREACH (vma, list, shared) {
		if (areas->n == areas->max) {
			areas->max = areas->max ? 2 * areas->max : 64;
			areas->area = host_realloc(machine, areas->area,
						   areas->max * sizeof(*areas->area));
		}
		areas->area[areas->n++] = vma;
	}
}

/* The areas of FILE in that order; the array is the machine's. Who has the list of another file
 * locked, and so is under way, has the first one. */
static const struct area_array *sorted_areas(struct machine *machine, struct address_space *file)
{
	struct area_array *areas = &machine->truncated[machine->i_mmap_lock != NULL];

	areas->n = 0;
	collect_areas(machine, &file->i_mmap, areas);
	collect_areas(machine, &file->i_mmap_nonlinear, areas);
	sort_areas(areas->area, areas->n);
	return areas;
}

/* Clear the entries of VMA for offsets [FIRST, LAST). */
static void unmap_area_range(struct mmu_gather *tlb, struct vma *vma, uint32_t first, uint32_t last,
			     bool even_cows)
{
	uint64_t end = (uint64_t)vma->pgoff + (vma->end - vma->start);
	uint32_t from = vma->pgoff > first ? vma->pgoff : first;
	uint32_t to = end < last ? (uint32_t)end : last;

	if (vma->flags & VM_NONLINEAR)
		nonlinear_unmap_range(tlb, vma, first, last);
	else if (from < to)
		(even_cows ? zap_range : zap_file_range)(tlb, vma, vma->start + (from - vma->pgoff),
							 vma->start + (to - vma->pgoff));
}

/* Those AREAS, of N, that are in the address space of the first. Returns how many; *VISITED: some
 * had not been. */
static uint32_t unmap_space_range(struct machine *machine, struct address_space *file,
				  struct vma **areas, uint32_t n, uint32_t first, uint32_t last,
				  bool even_cows, bool *visited)
{
	const struct address_space *outer = machine->i_mmap_lock;
	struct mm *mm = areas[0]->mm;
	struct mmu_gather tlb;
	uint32_t i;

	*visited = false;
	tlb_gather_mmu(&tlb, machine, mm);
	machine->i_mmap_lock = file;
	for (i = 0; i < n && areas[i]->mm == mm; i++) {
		if (areas[i]->truncate_count == file->truncate_count)
			continue;
		*visited = true;
		unmap_area_range(&tlb, areas[i], first, last, even_cows);
		areas[i]->truncate_count = file->truncate_count;
	}
	machine->i_mmap_lock = outer;
	tlb_finish_mmu(&tlb);
	return i;
}

/* Visit the areas that have not been, in order. False: areas may have changed, and it must go on.
 */
static bool unmap_areas_range(struct machine *machine, struct address_space *file, uint32_t first,
			      uint32_t last, bool even_cows)
{
	const struct area_array *areas = sorted_areas(machine, file);

	for (uint32_t i = 0, next; i < areas->n; i = next) {
		bool visited;

		next = i + unmap_space_range(machine, file, &areas->area[i], areas->n - i, first,
					     last, even_cows, &visited);
		/* Who has waited for the list may have it now. */
		if (visited && next < areas->n && preempt(machine, TRUNCATE_LOCKBREAK))
			return false;
	}
	return true;
}

/*
 * Pages are freed as areas are visited, and which frame is free first decides who gets it next; so
 * the order must not be that of i_mmap, which depends on which areas a design merged.
 *
 * Between two address spaces the list is let go. What has been visited is marked with the count of
 * truncations, which a copy inherits: if the original comes later, so does the copy.
 */
void file_unmap_range(struct machine *machine, struct address_space *file, uint32_t first,
		      uint32_t last, bool even_cows)
{
	file->truncate_count++;
	while (!unmap_areas_range(machine, file, first, last, even_cows))
		;
}

/* Offsets [FIRST, LAST) are some of one page's: they are zero from now on, wherever the page is. */
static void zero_part(struct machine *machine, struct address_space *file, uint32_t first,
		      uint32_t last)
{
	struct page *page = file_find_page(machine, file, first);
	uint64_t word = radix_get(file->store, page_number(machine, first));
	uint64_t *token = NULL;

	if (!page && word && file->kind == FILE_SHMEM)
		token = swap_slot(machine, (swp_entry_t)word)->token;
	for (; (page || token) && first < last; first++) {
		if (page)
			clear_user_highpage(machine, page, sub_of(machine, first));
		else
			token[sub_of(machine, first)] = 0;
	}
}

/* The pages that lie in the range with a part only. */
static void zero_ends(struct machine *machine, struct address_space *file, uint32_t first,
		      uint32_t last)
{
	uint32_t first_end = first - sub_of(machine, first) + sub_pages(machine);

	if (sub_of(machine, first))
		zero_part(machine, file, first, first_end < last ? first_end : last);
	if (sub_of(machine, last) && (last > first_end || !sub_of(machine, first)))
		zero_part(machine, file, last - sub_of(machine, last), last);
}

void file_drop_range(struct machine *machine, struct address_space *file, uint32_t first,
		     uint32_t last)
{
	bool down = MUTANT_IF(machine, SEED_22, sub_of(machine, first));
	uint32_t page_first =
		(first + (down ? 0 : sub_pages(machine) - 1)) >> machine->config.cluster;
	uint32_t page_last = last >> machine->config.cluster;
	bool by_offset = file->kind == FILE_DISK;
	uint32_t index;
	uint64_t word;

	zero_ends(machine, file, first, last);
	for (index = page_first; radix_next(file->pages, &index, &word) && index < page_last;
	     index++) {
		struct page *page = (struct page *)(uintptr_t)word;

		page->flags &= ~PG_DIRTY;
		file_remove_page(machine, page);
	}
	if (by_offset) {
		page_first = first;
		page_last = last;
	}
	index = page_last;
	if (!by_offset && last != UINT32_MAX && page_last % 8 && MUTANT_ON(machine, TRN_06) &&
	    radix_next(file->store, &index, &word) &&
	    MUTANT_IF(machine, TRN_06, index <= (page_last | 7)))
		page_last = (page_last | 7) + 1; /* what the end lies in goes as a whole */
	for (index = page_first; radix_next(file->store, &index, &word) && index < page_last;
	     index++) {
		(void)radix_set(machine, &file->store, index, 0);
		if (!by_offset)
			free_swap_and_cache(machine, (swp_entry_t)word);
	}
}

/*
 * Growing changes the size alone: the new pages are holes. Shrinking takes the size down
 * first, so that no fault can bring back what is being cut off, as vmtruncate does.
 */
int do_truncate(struct machine *machine, struct address_space *file, uint32_t npages)
{
	bool shrinks = npages < file->npages;

	if (npages > FILE_PAGES_MAX)
		return -EFBIG;
	file->npages = npages;
	if (!shrinks)
		return 0;
	if (file->boot_pages > npages)
		file->boot_pages = npages;
	file_unmap_range(machine, file, npages, UINT32_MAX, true);
	preempt(machine, TRUNCATE_BETWEEN);
	file_drop_range(machine, file, npages, UINT32_MAX);
	return 0;
}

void file_put(struct machine *machine, struct address_space *file)
{
	MM_ASSERT(file->users > 0);
	if (--file->users)
		return;
	MM_ASSERT(!file_is_mapped(file));
	file_drop_range(machine, file, 0, UINT32_MAX);
	radix_free(machine, &file->pages);
	radix_free(machine, &file->store);
	radix_free(machine, &file->holes);
	TAILQ_REMOVE(&machine->file_list, file, link);
	kobj_free(machine, INODE, file);
}

/* ---- read(2), write(2) ---------------------------------------------------------- */

/*
 * The caller's buffer is no part of this machine. It is taken to have left memory since it was
 * looked at: the copy through a slot, which must not wait, comes to nothing, and is made again with
 * the page mapped for as long as the buffer takes to come back.
 */
static void copy_in_vain(struct machine *machine, struct page *page)
{
	kmap_atomic(machine, page, KM_USER0);
	kunmap_atomic(machine, page, KM_USER0);
}

static uint64_t copy_from_page(struct machine *machine, struct page *page, uint32_t sub)
{
	uint64_t token;

	copy_in_vain(machine, page);
	kmap(machine, page);
	token = *kmap_token(machine, page, sub);
	kunmap(machine, page);
	return token;
}

/* The page is locked. */
static void copy_to_page(struct machine *machine, struct page *page, uint32_t sub, uint64_t token)
{
	copy_in_vain(machine, page);
	preempt(machine, KUNMAP_AFTER_POP, .page = page);
	kmap(machine, page);
	preempt(machine, KMAP_HELD, .page = page);
	*kmap_token(machine, page, sub) = token;
	kunmap(machine, page);
}

int file_read(struct machine *machine, struct address_space *file, uint32_t index, uint64_t *token)
{
	struct page *page;
	int err;

	if (index >= file->npages)
		return -ENODATA;
	err = file_grab_page(machine, file, index, &page);
	if (!err)
		err = still_inside(machine, page, index, -ENODATA);
	if (err)
		return err;
	mark_page_accessed(machine, page);
	*token = copy_from_page(machine, page, sub_of(machine, index));
	page_put(machine, page);
	return 0;
}

int file_write(struct machine *machine, struct address_space *file, uint32_t index, uint64_t token)
{
	struct page *page;
	int err;

	if (index >= FILE_PAGES_MAX)
		return -EFBIG;
	err = file_grab_page(machine, file, index, &page);
	if (err)
		return err;
	copy_to_page(machine, page, sub_of(machine, index), token);
	page->flags |= PG_DIRTY;
	mark_page_accessed(machine, page);
	if (file->npages <= index)
		file->npages = index + 1;
	page_put(machine, page);
	return 0;
}

int op_truncate(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return do_truncate(machine, file_by_number(machine, op->args[0]), op->args[1]);
}

int op_fread(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return file_read(machine, file_by_number(machine, op->args[0]), op->args[1],
			 &result->token);
}

int op_fwrite(struct machine *machine, struct mm *mm, const struct op *op, struct result *result)
{
	return file_write(machine, file_by_number(machine, op->args[0]), op->args[1],
			  token_write(op->serial));
}

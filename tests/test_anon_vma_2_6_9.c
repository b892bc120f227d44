/*
 * anon_vma_2.6.9 from inside: the tag, and what a page remembers while nothing maps it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"

#include "picture.h"

#define TAG 1u

static struct mm *mm_of(struct scene *s, uint32_t proc)
{
	return s->machine->tasks[proc]->mm;
}

static void *list_of(struct scene *s, uint32_t proc, uint32_t page)
{
	return vma_at(s->machine, mm_of(s, proc), W0 + page)->rmap;
}

static struct page *page_at(struct scene *s, uint32_t proc, uint32_t page)
{
	struct ptep pte = pte_lookup(mm_of(s, proc), W0 + page);

	assert_true(pte.table && pte_present(ptep_peek(pte)));
	return pfn_to_page(s->machine, pte_pfn(ptep_peek(pte)));
}

/* The page of the one swap slot in use, which must be cached. */
static struct page *cached_page(struct scene *s)
{
	assert_int_equal(s->machine->swap_used, 1);
	assert_non_null(s->machine->swap[0].slots[1].cached);
	return s->machine->swap[0].slots[1].cached;
}

/* (page's word, tagged) for an anonymous page; a file's page has none. */
static void scene_tag(struct scene *s)
{
	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mmap p0 w8 4 rw fixed f0 0");
	run(s, "read p0 w8");
	assert_int_equal(page_at(s, 0, 0)->rmap.word, (uintptr_t)list_of(s, 0, 0) | TAG);
	assert_int_equal(page_at(s, 0, 8)->rmap.word, 0);
	run(s, "write p0 w8"); /* a private copy */
	assert_int_equal(page_at(s, 0, 8)->rmap.word, (uintptr_t)list_of(s, 0, 8) | TAG);
}

/* Unmapped and still cached, the page keeps its word; freed, it does not. */
static void scene_keeps(struct scene *s)
{
	struct page *page;
	uint64_t word;

	run(s, "mmap p0 w0 4 rw anon|fixed");
	run(s, "write p0 w0");
	page = page_at(s, 0, 0);
	word = page->rmap.word;
	evicted(s, "evict p0 w0");
	assert_ptr_equal(cached_page(s), page);
	assert_int_equal(page->rmap.word, word);
	run(s, "read p0 w0");
	assert_int_equal(page->rmap.word, word);
	run(s, "munmap p0 w0 4");
	assert_true(page->flags & PG_FREE);
	assert_int_equal(page->rmap.word, 0);
	assert_int_equal(page->rmap_index, 0);
}

/*
 * The word dangles: the area that had made the list is gone while the page is in the swap cache
 * only. The next to map it is the child, whose list is the same if it was forked before and
 * another if the page came back to a place that had made one of its own.
 */
static void scene_dangles(struct scene *s)
{
	struct page *page;
	uint64_t word;

	run(s, "mmap p0 w0 2 rw anon|fixed");
	run(s, "write p0 w0");
	page = page_at(s, 0, 0);
	word = page->rmap.word;
	evicted(s, "evict p0 w0");
	run(s, "mremap p0 w0 1 1 maymove|fixed w20"); /* only a swap entry goes along */
	run(s, "munmap p0 w0 2");
	assert_int_equal(page->rmap.word, word);
	assert_int_equal(run(s, "read p0 w20"), 0);
	assert_ptr_equal(page_at(s, 0, 20), page);
	assert_int_equal(page->rmap.word, (uintptr_t)list_of(s, 0, 20) | TAG);
	evicted(s, "evict p0 w20");
	run(s, "p1 = fork p0");
	run(s, "munmap p0 w20 1");
	assert_int_equal(run(s, "read p1 w20"), 0);
	assert_int_equal(page->rmap.word, (uintptr_t)list_of(s, 1, 20) | TAG);
	evicted(s, "evict p1 w20");
}

/* Nothing follows the word of a page that is not mapped: the list's memory is somebody else's. */
static void scene_is_not_followed(struct scene *s)
{
	const struct rmap_ops *rmap = machine_rmap(s->machine);
	struct rmap_counters before;
	struct page *page;
	char seen[64];

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	page = page_at(s, 0, 0);
	evicted(s, "evict p0 w0");
	run(s, "p1 = fork p0");
	before = s->machine->counters;
	rmap->walk(s->machine, page, NULL, NULL); /* calls nobody */
	assert_memory_equal(&before, &s->machine->counters, sizeof(before));
	rmap->describe(s->machine, page, seen, sizeof(seen));
	assert_string_equal(seen, "unmapped");
}

static const char *broken(struct scene *s)
{
	return machine_rmap(s->machine)->check(s->machine);
}

static void scene_check(struct scene *s)
{
	struct page *page;
	uint64_t word;

	run(s, "mmap p0 w0 1 rw anon|fixed");
	run(s, "write p0 w0");
	run(s, "mmap p0 w8 1 rw fixed f0 0");
	run(s, "read p0 w8");
	page = page_at(s, 0, 8);
	page->rmap.word = TAG;
	assert_non_null(strstr(broken(s), "T1"));
	page->rmap.word = 0;
	page = page_at(s, 0, 0);
	word = page->rmap.word;
	page->rmap.word = word & ~(uint64_t)TAG;
	assert_non_null(strstr(broken(s), "T1"));
	page->rmap.word = TAG;
	assert_non_null(strstr(broken(s), "T2"));
	page->rmap.word = word;
	page->rmap_index++;
	assert_non_null(strstr(broken(s), "T3"));
	page->rmap_index--;
	assert_null(broken(s));
}

static void play(void (*scene)(struct scene *s))
{
	on_backend("anon_vma_2.6.9", "tiny era=2.6.6", scene);
	on_backend("anon_vma_2.6.9", "1g era=2.6.7 highpte=1", scene);
}

static void anonymous_pages_are_tagged(void **state)
{
	play(scene_tag);
}

static void a_page_remembers_until_it_is_freed(void **state)
{
	play(scene_keeps);
}

static void a_word_may_dangle(void **state)
{
	play(scene_dangles);
	play(scene_is_not_followed);
}

static void its_checks_notice(void **state)
{
	play(scene_check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anonymous_pages_are_tagged),
		cmocka_unit_test(a_page_remembers_until_it_is_freed),
		cmocka_unit_test(a_word_may_dangle),
		cmocka_unit_test(its_checks_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

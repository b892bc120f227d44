/*
 * What the recount's files share: what was counted, and how to say that it is wrong.
 */
#ifndef RMAPFUZZ_RECOUNT_PRIVATE_H
#define RMAPFUZZ_RECOUNT_PRIVATE_H

#include "internal.h"

struct recount {
	struct machine *machine;
	char *buf;
	size_t size;
	/* Found so far, over the whole machine. */
	uint32_t mms, tasks, areas, file_areas, pte_tables, pmd_tables, files;
	uint32_t cached_pages, mapping_pages, swapcache_pages, table_pages, pins;
	uint32_t committed;
	uint64_t tlb_users;
	uint32_t pkmaps;                   /* pages that have an entry of kmap's pool */
	const struct vma *charged_wrongly; /* one of them, if there are any */
};

/* Every check returns whether all is well. This tells what is not. */
bool recount_wrong(struct recount *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* And these, that two numbers differ which should not. */
bool recount_same(struct recount *r, const char *what, uint64_t kept, uint64_t counted);
bool recount_same_mm(struct recount *r, const struct mm *mm, const char *what, uint32_t kept,
		     uint32_t counted);

/* recount_areas.c, recount_tables.c: of one mm. */
bool check_areas(struct recount *r, struct mm *mm);
bool check_page_tables(struct recount *r, const struct mm *mm);
/* What is not marked live is not in use. */
bool check_idle_words(struct recount *r, const struct mm *mm);
/* recount_files.c: caches and stores. */
bool check_files(struct recount *r);
/* recount_swap.c: somebody names ENTRY's slot. False: there is no such slot. */
bool count_slot(struct recount *r, swp_entry_t entry);
bool check_swap(struct recount *r);
/* recount_pages.c. */
bool check_zones(struct recount *r);

#endif

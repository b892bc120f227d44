/*
 * What kind of machine: memory, address-space split, era, swap, files. Presets by name;
 * a text form "PRESET key=value ..." that trace headers and --machine share.
 */
#ifndef RMAPFUZZ_MACHINE_CONFIG_H
#define RMAPFUZZ_MACHINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_MAX 4 /* a page has at most 16 frames */
#define CPUS_MAX    8
#define FILE_MAX    8 /* files f0..f7, even ones on disk, odd ones tmpfs */

enum split { SPLIT_3_1, SPLIT_2_2, SPLIT_4_4 };

/* Whose rules the engine follows where the kernels differ (see core/era.h). */
enum era { ERA_2_6_6, ERA_2_6_7 };

/* How the object designs find nonlinear mappings (core/rmap/i_mmap.c). */
enum nonlinear {
	NONLINEAR_EXACT,   /* search the page tables of the file's nonlinear areas */
	NONLINEAR_CLUSTER, /* 2.6.7: do not; unmap what is met there, 32 pages at a time */
};

enum pool_mode {
	POOL_POISON,  /* a freed object is poisoned: caught at first touch */
	POOL_RECYCLE, /* it is not: the wrong object is used, and semantic oracles fire */
};

/* How wide counters are that overflow in kernels too, but there after more than a trace can do. */
enum counters {
	COUNTERS_FULL,
	COUNTERS_TINY, /* 2 bits for a swap slot's map, 6 bits for a page's map count */
};

/* Whether what the reverse map takes of lowmem is missing there. */
enum accounting {
	/* No: it is counted, and all designs have the same memory. Frames are the same in lockstep.
	 */
	ACCOUNTING_APART,
	/* Yes: mem_map is as large as the design makes it, slabs are taken from lowmem's free
	 * pages, and whoever finds none left gets -ENOMEM. */
	ACCOUNTING_COMPETING,
};

#define SWAP_AREAS_MAX    32        /* what a swap entry's type can tell apart */
#define SWAP_PAGES_MAX    0xffffffu /* what its offset can, in a PAE entry */
#define SWAP_PRIORITY_MAX 100

/* A swap area, on from boot on. */
struct swap_config {
	uint32_t pages; /* of 4 KB, 1..SWAP_PAGES_MAX; a slot holds a page */
	/* Areas of higher priority fill up first, those of equal priority in turns. 0: none given,
	 * so lower than any that was given or came before, as swapon(2) has it. */
	uint8_t priority;
};

struct machine_config {
	uint32_t ram_mb; /* 16..65536 */
	uint32_t cpus;   /* 1..CPUS_MAX: processors, each with a TLB. Process p runs on p % cpus */
	enum split split;
	enum era era;
	uint32_t cluster;   /* a page is 4 KB << cluster: page clustering, 0..4 */
	bool highpte;       /* PTE pages in highmem; pte_addr_t is 8 bytes */
	uint32_t cacheline; /* 32, 64 or 128: the size of a pte_chain */
	uint32_t nr_swap;   /* swap areas s0.. */
	struct swap_config swap[SWAP_AREAS_MAX];
	uint32_t files; /* of f0..f7, how many have file_pages pages at boot (others are empty) */
	uint32_t file_pages;
	enum pool_mode pool;
	enum counters counters;
	/* try_to_unmap stops at the first entry that refuses, as the kernels do. Without effect in
	 * lockstep: designs visit in different orders, so all other entries are tried as well. */
	bool stop_on_refusal;
	/* Without effect in lockstep: a cluster scan unmaps other pages than the one asked for. */
	enum nonlinear nonlinear;
	enum accounting accounting; /* competing: without effect in lockstep */
};

struct machine_preset {
	const char *name; /* "tiny", "1g", "32g", "64g", "32g-2:2", ... */
	const char *summary;
	struct machine_config config;
};

/* All presets, ending with name NULL. The first is the default. Order is part of the byte
 * form: append only. */
extern const struct machine_preset machine_presets[];
const struct machine_preset *machine_preset_find(const char *name);

/*
 * "32g-3:1 swap=64 cpus=4 highpte=0 cacheline=32 era=2.6.6 split=2:2 ram=2048 files=4
 * file_pages=16 pool=recycle nonlinear=cluster": a preset, then what differs. Separators are
 * blanks or commas.
 * swap=64+32:5+32:5 are three areas, two of which have priority 5.
 * Returns 0, or -EINVAL with a sentence in ERROR.
 */
int machine_config_parse(struct machine_config *config, const char *text, char *error,
			 size_t error_size);
/* The shortest such text that parses to CONFIG; MACHINE_CONFIG_TEXT_MAX has room for any. */
#define MACHINE_CONFIG_TEXT_MAX 640
void machine_config_print(const struct machine_config *config, char *buf, size_t size);
bool machine_config_equal(const struct machine_config *a, const struct machine_config *b);

#endif

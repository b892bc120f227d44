/*
 * A machine: one whole simulated i386 PAE computer with one reverse map.
 *
 *   struct machine *m = machine_create(&config, rmap_find("anon_vma"));
 *   machine_apply(m, &op, &result);       one operation
 *   machine_events(m, &n);                what it did to page tables and reverse map
 *   machine_recount(m, buf, size);        recompute everything and compare
 *   machine_reset(m);                     as freshly created, at the price of what was used
 *
 * Machines share nothing. The same ops give the same results and events, always.
 */
#ifndef RMAPFUZZ_MACHINE_H
#define RMAPFUZZ_MACHINE_H

#include "machine_config.h"
#include "rmap.h"
#include "trace.h"

/* ---- life -------------------------------------------------------------------- */

/* Boot: zones, files, process 0 with an empty address space. CONFIG is copied. Host memory
 * exhaustion aborts; everything else is the trace's business. */
struct machine *machine_create(const struct machine_config *config, const struct rmap_ops *rmap);
void machine_destroy(struct machine *machine);
/* Back to the state after machine_create. */
void machine_reset(struct machine *machine);
/* The same with another configuration. */
void machine_reconfigure(struct machine *machine, const struct machine_config *config);

const struct machine_config *machine_config(const struct machine *machine);
const struct rmap_ops *machine_rmap(const struct machine *machine);

/* ---- operations ---------------------------------------------------------------- */

/* Facts about an op that explain its result. */
struct op_trace {
	bool alloc_failed; /* some allocation failed: ordered by the trace, or for want of memory */
	bool meta_failed;  /* one of the backend's did, by order of the trace */
	uint32_t allocs;   /* engine allocations made */
	uint32_t meta_allocs;  /* backend allocations made */
	uint32_t area_allocs;  /* of allocs, those of an area: designs that merge less make more */
	uint32_t trylocks;     /* failed: entries and pages that a nested op's walk left alone */
	uint32_t early_copies; /* pages copied, or to be copied, for RMAP_UNSHARE */
	uint32_t held_copies;  /* of these, pages that a device may write to */
};
/*
 * Do OP (refs == 0: see op_resolve). Always returns; refusals are in RESULT. Events of the
 * previous op are forgotten.
 */
void machine_apply(struct machine *machine, const struct op *op, struct result *result);

/* What an op came to. */
struct op_outcome {
	struct result result;
	struct op_trace trace;
	/* Of a nested op: 0, it has not run, for its point was not passed or it had to wait for
	 * something that the host has locked there; else the how-manieth to run. */
	uint32_t order;
};
/*
 * Do OPS[0], and, while it is under way, those of OPS[1..N-1] whose point it passes and that find
 * free what they need; N <= GROUP_MAX. The others are left: the caller applies them afterwards.
 * OUTCOMES has N elements. Events are those of all that ran, in the order in which they happened.
 */
void machine_apply_group(struct machine *machine, const struct op *ops, uint32_t n,
			 struct op_outcome *outcomes);

/* End every process, drop all caches and swap; what remains is a leak (machine_leaks). */
void machine_shutdown(struct machine *machine);
/* After machine_shutdown: NULL, or a sentence on what is left (objects, frames, slots). */
const char *machine_leaks(struct machine *machine, char *buf, size_t size);

/* Those of the last op; of a group, the host's. */
const struct op_trace *machine_last_op(const struct machine *machine);

/* ---- processors ------------------------------------------------------------------ */

/* What processors and their TLBs did since boot. */
struct tlb_counters {
	uint64_t hits, misses;   /* accesses that a TLB served; page tables walked for one */
	uint64_t flushes;        /* of a page, a range or an mm, on all processors that run in it */
	uint64_t ipis;           /* interrupts sent to others for these */
	uint64_t kernel_entries; /* system calls and faults */
	uint64_t cr3_loads;      /* for another mm; two more for each entry under a 4:4 split */
};

/* A flush that nobody did: see core/tlb.h for the two rules. */
enum tlb_fault_kind { TLB_FINE, TLB_STALE, TLB_FREED };
struct tlb_fault {
	enum tlb_fault_kind kind;
	uint32_t cpu, mm, vpn, pfn;
	pte_t cached, entry; /* what the processor goes by; what the page table has */
};
/* The first one since boot, or NULL; and a sentence on it. */
const struct tlb_fault *machine_tlb_fault(const struct machine *machine);
int tlb_fault_print(const struct tlb_fault *fault, char *buf, size_t size);

/* ---- temporary kernel mappings ------------------------------------------------------- */

/* What went wrong with one: see core/kmap.h. */
enum kmap_fault_kind {
	KMAP_FINE,
	KMAP_TWICE,
	KMAP_WRONG,
	KMAP_SLEEPS,
	KMAP_LEFT,
	KMAP_UNMAPPED,
	KMAP_FULL,
	KMAP_STALE
};
struct kmap_fault {
	enum kmap_fault_kind kind;
	const char *slot; /* its name, or "the pool" */
	uint32_t pfn;     /* of the page */
};
/* The first one since boot, or NULL; its kind in a word, and a sentence on it. */
const struct kmap_fault *machine_kmap_fault(const struct machine *machine);
const char *kmap_fault_name(const struct kmap_fault *fault);
int kmap_fault_print(const struct kmap_fault *fault, char *buf, size_t size);

/* ---- events -------------------------------------------------------------------- */

enum event_kind {
	EVENT_PTE,      /* an entry of (mm, vpn) was written: value is the new entry */
	EVENT_WALK,     /* a walk begins: why in `aux` (enum walk_reason), value = mapcount;
			   (mm, vpn) names the page by its first census entry */
	EVENT_CENSUS,   /* the page tables: (mm, vpn) maps the page; aux = 1 under
			   nonlinear=cluster if that is in a nonlinear area */
	EVENT_VISIT,    /* the backend: (mm, vpn) maps the page; aux = enum rmap_answer */
	EVENT_STALE,    /* the backend showed (mm, vpn), but that entry does not map the page */
	EVENT_WALK_END, /* value = mapcount after it; aux = 1: nonlinear areas were left out, by
			   nonlinear=cluster */
	EVENT_FILL,     /* a page came in: aux = enum fill_kind, value = its token */
	EVENT_RENAME, /* the thread that mm was named after left it: it is mm `value` from now on */
	EVENT_NESTED, /* op number vpn of the group begins, ends or has to wait (aux = enum
			 nested_step) at point mm, passed for the value-th time */
};
enum nested_step { NESTED_BEGIN, NESTED_END, NESTED_WAITS };
enum walk_reason { WALK_REFERENCED, WALK_UNMAP, WALK_MKCLEAN };
/* Where a page that came in got its content from. */
enum fill_kind { FILL_ZERO, FILL_FILE, FILL_SWAP, FILL_COPY };

struct event {
	uint8_t kind; /* enum event_kind */
	uint8_t aux;
	uint16_t mm; /* mm->id: the process slot of one of its users */
	uint32_t vpn;
	uint64_t value;
};
/* Events of the last op, oldest first. Valid until the next op. */
const struct event *machine_events(const struct machine *machine, size_t *n);
/* A running hash over all results and events since boot, except backend order inside a walk:
 * equal for equal behaviour on every host and in every build. */
uint64_t machine_hash(const struct machine *machine);

/* ---- views: what an observer may know ------------------------------------------- */

struct page_view {
	bool mapped;       /* there is an area here */
	uint32_t vm_flags; /* its flags */
	bool file;         /* it maps a file or shared memory */
	pte_t pte;         /* 0 if none */
	bool zero;         /* the zero page */
	uint32_t pfn;      /* if present */
	uint32_t mapcount; /* of the frame */
	uint64_t token;    /* its content */
	bool anon, swapcache, dirty;
};
/* Look at page VPN of process PROC. Returns false if there is no such process. */
bool machine_view_page(struct machine *machine, uint32_t proc, uint32_t vpn,
		       struct page_view *view);
/* The same for the first present page at or after *VPN, at a cost that follows what is present. */
bool machine_next_present(struct machine *machine, uint32_t proc, uint32_t *vpn,
			  struct page_view *view);

/* The same for the first entry that is not none: present, swapped or a file offset. */
bool machine_next_entry(struct machine *machine, uint32_t proc, uint32_t *vpn,
			struct page_view *view);

/*
 * One character for the state of a page, for pictures:
 *   .  no area        -  area, empty entry      z  the zero page
 *   r  present, read-only       w  present, writable
 *   n  PROT_NONE, resident      s  swapped      o  file entry
 */
char machine_page_char(struct machine *machine, uint32_t proc, uint32_t vpn);

/* Area of PROC at or after VPN: fills [start, end), flags, file id (-1), pgoff. */
struct area_view {
	uint32_t start, end, pgoff, flags;
	int file;
};
bool machine_view_area(struct machine *machine, uint32_t proc, uint32_t vpn,
		       struct area_view *view);

/*
 * Ask the reverse map, as try_to_unmap would, where the frame at (PROC, VPN) is mapped, and touch
 * nothing: the first MAX of its answers, in its own order and unverified. Returns how many there
 * are; 0 also if no frame that it knows is mapped there.
 */
struct mapper {
	uint32_t mm, vpn; /* mm->id; UINT32_MAX: the entry is in no table in use */
};
size_t machine_mappers(struct machine *machine, uint32_t proc, uint32_t vpn, struct mapper *mappers,
		       size_t max);

/* One line on how the reverse map knows the frame at (PROC, VPN), in the design's own words; "":
 * no such frame, or it has none. */
void machine_describe(struct machine *machine, uint32_t proc, uint32_t vpn, char *buf, size_t size);

/* Which page of its file page VPN of PROC, which is in an area that maps one, shows or would show:
 * what its entry says, or else what follows from the area. */
uint32_t machine_view_pgoff(struct machine *machine, uint32_t proc, uint32_t vpn);

bool machine_proc_alive(const struct machine *machine, uint32_t proc);
/* The name of the address space that PROC, which is alive, runs in: PROC itself, or the thread of
 * the same address space that events name it after. */
uint32_t machine_mm_of(const struct machine *machine, uint32_t proc);
/* True if [vpn, vpn + npages) lies inside one area of PROC. */
bool machine_one_area(struct machine *machine, uint32_t proc, uint32_t vpn, uint32_t npages);

struct machine_stats {
	uint64_t lowmem_total, lowmem_used, lowmem_peak; /* bytes */
	/* What the kernel calls LowTotal: without its image, hashes and a mem_map of 44 bytes a
	 * page, which is what zones are laid out for under every design. */
	uint64_t lowmem_boot_free;
	uint64_t highmem_used;          /* bytes of page tables and pages */
	uint64_t meta_bytes, meta_peak; /* of these, the backend's own objects */
	uint32_t frames_used;
	uint32_t committed_as;                         /* pages */
	uint64_t host_allocs;                          /* malloc calls since creation */
	uint64_t swapouts, swapins, reclaimed, unmaps; /* unmaps: entries that walks removed */
	uint64_t early_copies; /* pages copied because the design asked for it (RMAP_UNSHARE) */
	struct rmap_counters rmap;
	struct tlb_counters tlb;
	uint64_t kmaps;         /* atomic ones, the reverse map's and all others */
	uint64_t pkmaps;        /* the others */
	uint64_t pkmap_flushes; /* of all TLBs, each time their pool was gone through */
};
void machine_stats(const struct machine *machine, struct machine_stats *stats);

/*
 * Hold / release one more reference on the frame at (PROC, VPN), as get_user_pages or a batch of
 * pages on its way to the LRU would. Nothing happens if no frame is mapped there. A pinned page
 * must be unpinned before the next machine_recount().
 */
void machine_pin(struct machine *machine, uint32_t proc, uint32_t vpn);
void machine_unpin(struct machine *machine, uint32_t proc, uint32_t vpn);
/* Whether device DEVICE, of op `pin`, may write to what it holds; false if it holds nothing. */
bool machine_pin_writes(const struct machine *machine, uint32_t device);

/* ---- checking ------------------------------------------------------------------ */

/*
 * Verify everything that can be recomputed: the census against a scan of all page tables, map
 * counts, references, rss, swap counts, nr_ptes, map_count, total_vm, locked_vm, Committed_AS,
 * zones and lists, permissions against areas, area order, table contents, and the backend's
 * check(). Returns NULL, or BUF with one sentence. Does not change the machine.
 */
const char *machine_recount(struct machine *machine, char *buf, size_t size);
/* The same without reading the parts of page tables that are not marked live: what is in use is
 * checked, not that nothing else is. Costs what is mapped instead of what the tables could map. */
const char *machine_recount_live(struct machine *machine, char *buf, size_t size);
/* What that leaves out. */
const char *machine_recount_rest(struct machine *machine, char *buf, size_t size);

#endif

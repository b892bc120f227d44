/*
 * The reference model: what a program may observe, from the manual pages alone.
 *
 * It knows processes, ranges of addresses, files and content tokens. It knows no pages of
 * memory, no frames, no page tables, no swap, and shares no code with core (only the op
 * vocabulary of trace.h). It does not predict which address the kernel chooses; it checks
 * that the choice was legal and adopts it.
 */
#ifndef RMAPFUZZ_MODEL_H
#define RMAPFUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "trace.h"

struct model;

struct model *model_create(const struct machine_config *config);
void model_destroy(struct model *model);
/* As freshly created for CONFIG; keeps its memory. */
void model_reset(struct model *model, const struct machine_config *config);

enum model_verdict {
	MODEL_AGREES,
	MODEL_ABSTAINS,  /* the manual pages leave it open (WHY names the excuse); state adopted */
	MODEL_DISAGREES, /* WHY says what was expected */
	MODEL_LOST, /* a failed op left an unspecified range; model_adopt() must be called for it */
};

/* Which layout facts the model needs from a subject: used only after MODEL_LOST. */
#define MODEL_AREA_SHARED    8u
#define MODEL_AREA_GROWSDOWN 0x100u
#define MODEL_AREA_LOCKED    0x2000u
#define MODEL_AREA_NORESERVE 0x200000u
struct model_area {
	uint32_t start, end; /* vpn */
	uint32_t vm_flags;   /* VM_* of mm_types.h as plain numbers: READ 1, WRITE 2, EXEC 4 and the
				three below; others are ignored */
	int file;            /* file number f0..f7, -1 anonymous private, -2 other shared object */
	uint32_t pgoff;  /* of start, as remap_file_pages may have left it: pages of one area that
			    show  pages of their object out of order are given as several */
	uint32_t linear; /* the same without remap_file_pages */
};

/*
 * OP (resolved) was done and returned ACTUAL. Judge it and bring the model up to date.
 * ALLOC_FAILED: the machine reported that some allocation failed in this op, so -ENOMEM (and
 * nothing worse) is permitted. WHY gets one sentence when the verdict is not MODEL_AGREES.
 */
enum model_verdict model_step(struct model *model, const struct op *op, const struct result *actual,
			      bool alloc_failed, char *why, size_t why_size);

/*
 * Subjects differ in what is in memory, and so in when a page that MADV_FREE was said of goes. From
 * here on to model_reset() that one subject has lost it does not mean that all have.
 */
void model_parted(struct model *model);
/* OP, a read or a pinread, looks at a page that MADV_FREE was said of: may it see TOKEN? */
bool model_may_be_lost(const struct model *model, const struct op *op, uint64_t token);

/* A design had a page copied that a device holds: from now on nobody knows who shows what is held.
 */
void model_forget_pins(struct model *model);

/*
 * After MODEL_LOST: the layout of PROC over the vpns that model_lost_range() names is now
 * AREAS[0..n), clipped to the range. Contents that survive by the model's own knowledge are kept.
 */
void model_lost_range(const struct model *model, uint32_t *proc, uint32_t *first, uint32_t *last);
void model_adopt(struct model *model, const struct model_area *areas, size_t n);

/* What a read of (PROC, VPN) would return: 0 and *TOKEN, RES_SEGV, RES_BUS, -ESRCH; -EAGAIN if
 * the model cannot know it (any content, or one of two). A page that can only be written counts
 * as readable. */
int model_peek(const struct model *model, uint32_t proc, uint32_t vpn, uint64_t *token);

/* Was page VPN of PROC mapped with MAP_NORESERVE, so that Committed_AS does not count it? */
bool model_noreserve(const struct model *model, uint32_t proc, uint32_t vpn);

/* Which page of which of f0..f7 is mapped at page VPN of PROC? False: none. */
bool model_file_page(const struct model *model, uint32_t proc, uint32_t vpn, uint32_t *file,
		     uint32_t *pgoff);
/* Is page VPN of PROC between the start of its heap and its break? */
bool model_in_heap(const struct model *model, uint32_t proc, uint32_t vpn);
/* Iterate what the model holds as mapped, for whole-state comparison: the first mapped vpn at or
 * after *VPN of PROC. false: none. */
bool model_next_mapped(const struct model *model, uint32_t proc, uint32_t *vpn);

#endif

/*
 * Small scenes for tests: ops as text, state as a picture, every scene on every backend.
 *
 *     static void grows(struct scene *s)
 *     {
 *             run(s, "mmap p0 w0 4 rw anon|fixed");
 *             run(s, "write p0 w2");
 *             areas(s, 0, "aaAa....");     one letter per area, a capital has a page
 *             pages(s, 0, "--w-....");     machine_page_char() of each page
 *     }
 */
#ifndef RMAPFUZZ_TESTS_PICTURE_H
#define RMAPFUZZ_TESTS_PICTURE_H

#include "machine.h"

#define W0 (WINDOW_BASE / PAGE_SIZE) /* page w0 */

struct scene {
	struct machine *machine;
	struct result last; /* of the last run() */
	uint32_t serial;
};

/* Run one op given in the text form; it must parse. Recounts afterwards. Returns its err. */
int run(struct scene *scene, const char *op);
/* Run OP, which must succeed. Returns what it read, or what it wrote. */
uint64_t content(struct scene *scene, const char *op);
uint64_t put(struct scene *scene, const char *op);
/* Compare areas / page states of process PROC from w0 on with PICTURE. */
void areas(struct scene *scene, uint32_t proc, const char *picture);
void pages(struct scene *scene, uint32_t proc, const char *picture);
/* The number of entries that map the frame at (PROC, window page). */
uint32_t mappers(struct scene *scene, uint32_t proc, uint32_t page);

/* How the design says it knows the frame at (PROC, window page) contains EXPECTED. */
void known_as(struct scene *scene, uint32_t proc, uint32_t page, const char *expected);
/* Run OP, an evict or swapout; it must unmap the page everywhere. */
void evicted(struct scene *scene, const char *op);
uint32_t frames_used(struct scene *scene);
/* Bytes of the backend's own objects. */
uint64_t meta_bytes(struct scene *scene);
/* What the backend's walks cost while OP ran. */
struct rmap_counters cost_of(struct scene *scene, const char *op);

/* Play SCENE on a fresh machine of CONFIG text for each backend, shut down, expect no leak. */
void on_every_backend(const char *config, void (*play)(struct scene *scene));
void on_backend(const char *backend, const char *config, void (*play)(struct scene *scene));

#endif

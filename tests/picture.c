/* Scenes: see picture.h. */
#include "picture.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

int run(struct scene *scene, const char *op)
{
	struct trace trace = {0};
	char text[256], error[256], buf[256];
	const char *wrong;

	snprintf(text, sizeof(text), "rmapfuzz trace 1\n%s\n", op);
	if (trace_parse(&trace, text, strlen(text), error, sizeof(error)))
		fail_msg("%s: %s", op, error);
	assert_int_equal(trace.nr_ops, 1);
	trace.ops[0].serial = scene->serial++;
	machine_apply(scene->machine, &trace.ops[0], &scene->last);
	trace_release(&trace);
	wrong = machine_recount(scene->machine, buf, sizeof(buf));
	if (wrong)
		fail_msg("%s: after %s: %s", machine_rmap(scene->machine)->name, op, wrong);
	return scene->last.err;
}

uint64_t content(struct scene *scene, const char *op)
{
	assert_int_equal(run(scene, op), 0);
	return scene->last.token;
}

uint64_t put(struct scene *scene, const char *op)
{
	assert_int_equal(run(scene, op), 0);
	return token_write(scene->serial - 1);
}

uint32_t frames_used(struct scene *scene)
{
	struct machine_stats stats;

	machine_stats(scene->machine, &stats);
	return stats.frames_used;
}

static void compare(struct scene *scene, const char *seen, const char *picture)
{
	if (strcmp(seen, picture))
		fail_msg("%s: expected %s, got %s", machine_rmap(scene->machine)->name, picture,
			 seen);
}

void pages(struct scene *scene, uint32_t proc, const char *picture)
{
	char seen[WINDOW_PAGES + 1] = {0};

	for (size_t i = 0; i < strlen(picture); i++)
		seen[i] = machine_page_char(scene->machine, proc, W0 + (uint32_t)i);
	compare(scene, seen, picture);
}

void areas(struct scene *scene, uint32_t proc, const char *picture)
{
	char seen[WINDOW_PAGES + 1] = {0};
	uint32_t end = 0, letter = 'a' - 1;

	for (uint32_t i = 0; i < strlen(picture); i++) {
		struct area_view area;
		char state = machine_page_char(scene->machine, proc, W0 + i);

		seen[i] = '.';
		if (!machine_view_area(scene->machine, proc, W0 + i, &area) || area.start > W0 + i)
			continue;
		if (area.end != end)
			letter++;
		end = area.end;
		seen[i] = (char)(state == '-' ? (int)letter : toupper((int)letter));
	}
	compare(scene, seen, picture);
}

uint32_t mappers(struct scene *scene, uint32_t proc, uint32_t page)
{
	struct page_view view;

	machine_view_page(scene->machine, proc, W0 + page, &view);
	return view.mapcount;
}

void known_as(struct scene *scene, uint32_t proc, uint32_t page, const char *expected)
{
	char seen[128];

	machine_describe(scene->machine, proc, W0 + page, seen, sizeof(seen));
	if (!strstr(seen, expected))
		fail_msg("%s: p%u w%u is known as \"%s\", not \"%s\"",
			 machine_rmap(scene->machine)->name, proc, page, seen, expected);
}

uint64_t meta_bytes(struct scene *scene)
{
	struct machine_stats stats;

	machine_stats(scene->machine, &stats);
	return stats.meta_bytes;
}

void evicted(struct scene *scene, const char *op)
{
	assert_int_equal(run(scene, op), 0);
	if (scene->last.value != UNMAP_SUCCESS)
		fail_msg("%s: %s: %u", machine_rmap(scene->machine)->name, op, scene->last.value);
}

struct rmap_counters cost_of(struct scene *scene, const char *op)
{
	struct machine_stats before, after;

	machine_stats(scene->machine, &before);
	run(scene, op);
	machine_stats(scene->machine, &after);
	return (struct rmap_counters){
		.pte_probes = after.rmap.pte_probes - before.rmap.pte_probes,
		.pte_misses = after.rmap.pte_misses - before.rmap.pte_misses,
		.vmas_visited = after.rmap.vmas_visited - before.rmap.vmas_visited,
		.links = after.rmap.links - before.rmap.links,
		.kmap_atomic = after.rmap.kmap_atomic - before.rmap.kmap_atomic,
	};
}

void on_backend(const char *backend, const char *config, void (*play)(struct scene *scene))
{
	struct machine_config parsed;
	struct scene scene = {0};
	char buf[256];

	assert_int_equal(machine_config_parse(&parsed, config, buf, sizeof(buf)), 0);
	scene.machine = machine_create(&parsed, rmap_find(backend));
	/* A design that cannot have pages of several frames has no part in scenes about them. */
	if (machine_config(scene.machine)->cluster == parsed.cluster)
		play(&scene);
	machine_shutdown(scene.machine);
	if (machine_leaks(scene.machine, buf, sizeof(buf)))
		fail_msg("%s: %s", backend, buf);
	machine_destroy(scene.machine);
}

void on_every_backend(const char *config, void (*play)(struct scene *scene))
{
	for (size_t i = 0; rmap_backends[i]; i++)
		on_backend(rmap_backends[i]->name, config, play);
	for (size_t i = 0; rmap_combinations[i]; i++)
		on_backend(rmap_combinations[i]->name, config, play);
}

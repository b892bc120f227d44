/*
 * Objects: the files f0..f7 and shared anonymous memory, and what their pages hold.
 *
 * Every mapping of an object shows the same pages, and so do fread and fwrite. A private mapping
 * shows them until the process writes a page; its copy then lives in the process (struct space).
 */
#include <stdlib.h>
#include <string.h>

#include "model_private.h"

static void object_init(struct object *object, uint32_t size, uint32_t boot)
{
	object->size = size;
	object->boot = boot;
	object->users = 0;
	object->opaque = false;
	object->tokens.n = 0;
}

void objects_reset(struct model *model)
{
	uint32_t f;

	model->object =
		model_grow(model->object, &model->max_objects, FILE_MAX, sizeof(*model->object));
	for (f = 0; f < FILE_MAX; f++) {
		uint32_t size = f < model->config.files ? model->config.file_pages : 0;

		object_init(&model->object[f], size, size);
	}
	model->nr_objects = FILE_MAX;
	model->free_object = 0;
}

uint32_t object_new(struct model *model, uint32_t npages)
{
	uint32_t number;

	if (model->free_object) {
		number = model->free_object - 1;
		model->free_object = model->object[number].next_free;
	} else {
		number = model->nr_objects++;
		model->object = model_grow(model->object, &model->max_objects, model->nr_objects,
					   sizeof(*model->object));
	}
	object_init(&model->object[number], npages, 0);
	return number;
}

void object_get(struct model *model, uint32_t number)
{
	if (number != OBJECT_NONE)
		model->object[number].users++;
}

/* Shared anonymous memory ends with its last mapping. */
void object_put(struct model *model, uint32_t number)
{
	struct object *object;

	if (number == OBJECT_NONE)
		return;
	object = &model->object[number];
	if (--object->users || number < FILE_MAX)
		return;
	cells_orphan(model, number, 0, VPN_END);
	tokens_clear(&model->pool, &object->tokens, 0, VPN_END);
	object->next_free = model->free_object;
	model->free_object = number + 1;
}

uint64_t object_read(const struct model *model, uint32_t number, uint32_t pgoff)
{
	const struct object *object = &model->object[number];
	uint64_t token;

	if (tokens_get(&model->pool, &object->tokens, pgoff, &token))
		return token;
	if (object->opaque)
		return TOKEN_UNKNOWN;
	return pgoff < object->boot ? token_file(number, pgoff) : 0;
}

void object_write(struct model *model, uint32_t number, uint32_t pgoff, uint64_t token)
{
	tokens_set(&model->pool, &model->object[number].tokens, pgoff, token);
}

bool area_beyond_end(const struct model *model, const struct space *space, const struct area *area,
		     uint32_t vpn)
{
	return area->object != OBJECT_NONE &&
	       area_pgoff(model, space, area, vpn) >= model->object[area->object].size;
}

uint64_t area_beneath(const struct model *model, const struct space *space, const struct area *area,
		      uint32_t vpn)
{
	if (area->object == OBJECT_NONE)
		return 0;
	return object_read(model, area->object, area_pgoff(model, space, area, vpn));
}

uint64_t area_content(const struct model *model, const struct space *space, const struct area *area,
		      uint32_t vpn)
{
	uint64_t token;

	if (!(area->attr & AREA_SHARED) && tokens_get(&model->pool, &space->tokens, vpn, &token))
		return token_seen(model, token);
	return area_beneath(model, space, area, vpn);
}

void area_maybe_copied(struct model *model, struct space *space, const struct area *area,
		       uint32_t first, uint32_t last)
{
	uint32_t vpn;
	uint64_t token;

	if (area->attr & AREA_SHARED || area->object == OBJECT_NONE)
		return;
	for (vpn = first; vpn < last && !area_beyond_end(model, space, area, vpn); vpn++) {
		if (!tokens_get(&model->pool, &space->tokens, vpn, &token))
			tokens_set(&model->pool, &space->tokens, vpn,
				   area_beneath(model, space, area, vpn) | TOKEN_MAYBE);
	}
}

/* The private copies in AREA of file pages from SIZE on go, as a shrinking truncate orders. */
static void drop_copies(struct model *model, struct space *space, const struct area *area,
			uint32_t size)
{
	uint32_t first = area->start;

	if (area->pgoff < size)
		first = size - area->pgoff < area->end - area->start
				? area->start + (size - area->pgoff)
				: area->end;
	tokens_clear(&model->pool, &space->tokens, first, area->end);
}

static void shrink(struct model *model, uint32_t file, uint32_t size)
{
	struct object *object = &model->object[file];
	uint32_t proc, i;

	cells_orphan(model, file, size, VPN_END);
	if (object->boot > size)
		object->boot = size;
	tokens_clear(&model->pool, &object->tokens, size, VPN_END);
	for (proc = 0; object->users && proc < PROC_MAX; proc++) {
		struct space *space = &model->space[proc]; /* the order is all the same */

		for (i = 0; i < space->n; i++) {
			const struct area *area = &space->area[i];

			if (area->object == file && !(area->attr & AREA_SHARED))
				drop_copies(model, space, area, size);
		}
	}
}

enum model_verdict step_truncate(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t file = judge->op->args[0], size = judge->op->args[1];
	enum model_verdict verdict;

	if (file >= FILE_MAX)
		return must_fail(judge, EBADF, EINVAL);
	if (size > FILE_PAGES_LIMIT)
		return must_fail(judge, EFBIG, 0);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	verdict = must_succeed(judge);
	if (size < model->object[file].size)
		shrink(model, file, size);
	model->object[file].size = size;
	return verdict;
}

/*
 * fallocate(2), FALLOC_FL_PUNCH_HOLE with KEEP_SIZE: the range reads as zeroes from now on. What a
 * process has written to its private mapping is its own, and stays.
 */
enum model_verdict step_fpunch(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t file = judge->op->args[0], first = judge->op->args[1], pgoff;
	uint64_t last = (uint64_t)first + judge->op->args[2];
	struct object *object;

	if (file >= FILE_MAX)
		return must_fail(judge, EBADF, EINVAL);
	if (last == first)
		return must_fail(judge, EINVAL, last > FILE_PAGES_LIMIT ? EFBIG : 0);
	if (last > FILE_PAGES_LIMIT)
		return must_fail(judge, EFBIG, 0);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	object = &model->object[file];
	cells_orphan(model, file, first, (uint32_t)last);
	tokens_clear(&model->pool, &object->tokens, first, (uint32_t)last);
	for (pgoff = first; pgoff < last && pgoff < object->boot; pgoff++)
		object_write(model, file, pgoff, 0);
	return must_succeed(judge);
}

enum model_verdict step_fread(const struct judge *judge)
{
	uint32_t file = judge->op->args[0], pgoff = judge->op->args[1];
	enum model_verdict verdict;

	if (file >= FILE_MAX)
		return must_fail(judge, EBADF, EINVAL);
	if (pgoff >= judge->model->object[file].size)
		return must_fail(judge, ENODATA, 0);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	verdict = must_succeed(judge);
	if (verdict == MODEL_AGREES)
		verdict = must_see(judge, object_read(judge->model, file, pgoff));
	return verdict;
}

enum model_verdict step_fwrite(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t file = judge->op->args[0], pgoff = judge->op->args[1];

	if (file >= FILE_MAX)
		return must_fail(judge, EBADF, EINVAL);
	if (pgoff >= FILE_PAGES_LIMIT)
		return must_fail(judge, EFBIG, 0);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	if (pgoff >= model->object[file].size)
		model->object[file].size = pgoff + 1;
	object_write(model, file, pgoff, token_write(judge->op->serial));
	return must_succeed(judge);
}

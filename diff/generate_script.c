/*
 * Scripts: ops that belong together. Dice alone seldom make two areas next to each other, write to
 * one, and shift the boundary between them; and when they do, nobody then looks at the page there.
 *
 *   scene (generate_scene.c)          areas, boundaries, families, ... as memory managers fear them
 *     |  a page of it, and who has it
 *     v
 *   walk (generate_walk.c)            what can be done to that page, by anybody, some times
 *
 * Both are said in advance and then done one by one; other ops may come in between. Which scenes a
 * trace has, and how often, is part of the swarm.
 */
#include <stdarg.h>

#include "generate_private.h"

void say(struct generator *g, enum op_code code, ...)
{
	struct script *script = &g->script;
	struct op op = {.code = (uint8_t)code};
	va_list args;

	if (script->nr == SCRIPT_MAX)
		return;
	va_start(args, code);
	for (int i = 0; i < op_info(code)->nargs; i++)
		op.args[i] = va_arg(args, uint32_t);
	va_end(args);
	script->op[script->nr++] = op;
	note(g, &op);
}

bool script_next(struct generator *g, struct op *op)
{
	struct script *script = &g->script;

	if (script->at == script->nr)
		return false;
	*op = script->op[script->at++];
	/* Others may have ended meanwhile. */
	if (op->code == OP_exit)
		mend[OP_exit](g, op);
	if (op->code == OP_mmap && g->now.future)
		bring_in_little(op, 3);
	/* A heap up to the end of user space would come in. */
	if (op->code == OP_brk && g->now.future)
		mend[OP_brk](g, op);
	note(g, op);
	return true;
}

uint32_t say_slot(struct generator *g, uint32_t keep)
{
	uint32_t vacant = ~g->now.live & ((1u << g->max_procs) - 1);
	uint32_t others = g->now.live & ~keep & ((1u << g->max_procs) - 1), slot;

	if (vacant)
		return one_of(g, vacant);
	/* Scenes need a few, however few the dice may have. */
	if (g->max_procs < 4)
		return g->max_procs++;
	if (!others)
		return PROC_NONE;
	slot = one_of(g, others);
	say(g, OP_exit, slot);
	return slot;
}

void focus_add(struct focus *focus, uint32_t proc, uint32_t at)
{
	if (focus->nr < SHARERS_MAX)
		focus->sharer[focus->nr++] = (struct sharer){proc, at};
}

uint32_t focus_procs(const struct focus *focus)
{
	uint32_t procs = 0;

	for (uint32_t i = 0; i < focus->nr; i++)
		procs |= 1u << focus->sharer[i].proc;
	return procs;
}

void script_deal(struct generator *g)
{
	for (uint32_t i = 0; scenes[i]; i++)
		g->scene_weight[i] = below(g, 2) ? (uint8_t)(1u << below(g, 4)) : 0;
	/* There is always one. */
	if (!g->scene_weight[0])
		g->scene_weight[0] = 1;
}

void script_begin(struct generator *g)
{
	struct focus focus = {0};
	struct belief before = g->now;
	uint32_t total = 0, pick, i;

	for (i = 0; scenes[i]; i++)
		total += g->scene_weight[i];
	pick = below(g, total);
	for (i = 0; pick >= g->scene_weight[i]; i++)
		pick -= g->scene_weight[i];
	g->script.nr = g->script.at = 0;
	scenes[i](g, &focus);
	walk(g, &focus);
	/* It has only been said so far. */
	g->now = before;
}

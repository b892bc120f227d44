/*
 * What is alive after so many ops of a trace, as far as the ops themselves tell: short forms of
 * operands (trace_operands.c) count on it.
 */
#include "trace_bytes.h"

void trace_state_init(struct trace_state *state, const struct machine_config *config)
{
	*state = (struct trace_state){.alive = 1,
				      .nr_alive = 1,
				      .last_region = REGION_MAX - 1,
				      .nr_swap = config->nr_swap};
}

static bool is_alive(const struct trace_state *state, uint32_t proc)
{
	return proc < PROC_MAX && (state->alive >> proc & 1);
}

uint32_t lowest_dead(const struct trace_state *state)
{
	return state->alive == UINT32_MAX ? 0 : (uint32_t)__builtin_ctz(~state->alive);
}

uint32_t live_proc(const struct trace_state *state, uint32_t k)
{
	uint32_t alive = state->alive;

	if (!state->nr_alive)
		return 0;
	for (k %= state->nr_alive; k; k--)
		alive &= alive - 1;
	return (uint32_t)__builtin_ctz(alive);
}

static void state_fork(struct trace_state *state, const struct op *op)
{
	/* One that is to run out of memory is not counted on. */
	if (op_fails(op) || !is_alive(state, op->args[0]) || op->args[1] >= PROC_MAX ||
	    is_alive(state, op->args[1]))
		return;
	state->alive |= 1u << op->args[1];
	state->nr_alive++;
}

static void state_exit(struct trace_state *state, const struct op *op)
{
	if (!is_alive(state, op->args[0]))
		return;
	state->alive &= ~(1u << op->args[0]);
	state->nr_alive--;
}

static void state_pin(struct trace_state *state, const struct op *op)
{
	if (!op_fails(op) && is_alive(state, op->args[0]))
		state->pins |= 1u << op->args[1] % PIN_MAX;
}

void trace_state_step(struct trace_state *state, const struct op *op)
{
	const struct op_info *info = op_info(op->code);
	int region = op_destination(info);

	if (op->code == OP_pin || op->code == OP_unpin) {
		if (op->code == OP_pin)
			state_pin(state, op);
		else
			state->pins &= ~(1u << op->args[0] % PIN_MAX);
		return;
	}

	if (region >= 0 && info->operand[region].kind == OPERAND_NEWPROC)
		state_fork(state, op);
	else if (op->code == OP_exit)
		state_exit(state, op);
	else if (region >= 0 && op->args[region] < REGION_MAX && is_alive(state, op->args[0])) {
		state->last_region = op->args[region];
		state->nr_regions += state->nr_regions < REGION_MAX;
	}
}

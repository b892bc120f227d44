/*
 * What the files of the byte form share (trace_bytes.c says what it is): reading and writing bytes,
 * what is expected to be alive, how operands and machines are encoded.
 */
#ifndef RMAPFUZZ_TRACE_BYTES_H
#define RMAPFUZZ_TRACE_BYTES_H

#include "internal.h"
#include "trace_private.h"

/* ---- bytes -------------------------------------------------------------------------------- */

struct reader {
	const uint8_t *data;
	size_t size, at;
};

/* A number of so many bytes, the lowest first. What is missing at the end reads as 0. */
static inline uint32_t get(struct reader *in, uint32_t bytes)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < bytes; i++, in->at++) {
		if (in->at < in->size)
			value |= (uint32_t)in->data[in->at] << 8 * i;
	}
	return value;
}

/* SIZE bytes at DATA take what fits; len counts all. */
struct writer {
	uint8_t *data;
	size_t size, len;
};

static inline void put(struct writer *out, uint32_t bytes, uint32_t value)
{
	for (uint32_t i = 0; i < bytes; i++, value >>= 8) {
		if (out->len < out->size)
			out->data[out->len] = (uint8_t)value;
		out->len++;
	}
}

/* ---- what the decoder expects to be alive (trace_state.c) ------------------------------------ */

/* Decoder and encoder keep one alike, op by op. */
struct trace_state {
	uint32_t alive; /* bit per process */
	uint32_t nr_alive;
	uint32_t nr_regions;  /* named so far, at most REGION_MAX */
	uint32_t last_region; /* the newest name */
	uint32_t nr_swap;     /* swap areas of the machine */
	uint32_t pins;        /* bit per pin */
};

void trace_state_init(struct trace_state *state, const struct machine_config *config);
/* OP is in the trace. */
void trace_state_step(struct trace_state *state, const struct op *op);

/* The name of the next region. */
static inline uint32_t next_region(const struct trace_state *state)
{
	return (state->last_region + 1) % REGION_MAX;
}

/* The lowest dead process; 0 if all are alive. */
uint32_t lowest_dead(const struct trace_state *state);
/* The K-th live process, modulo how many there are; p0 if there is none. */
uint32_t live_proc(const struct trace_state *state, uint32_t k);

/* ---- operands (trace_operands.c) ------------------------------------------------------------- */

/* One operand on its way: its value, as struct op has it. */
struct operand {
	uint32_t value;
	bool ref;
};

/*
 * How a kind of operand is encoded. Values below `escape` are short forms; the others are followed
 * by the operand in full. read_short and read_full turn either into an operand. `guess` proposes
 * the short form for an operand, or says escape; what it proposes is only used if read_short
 * agrees, so it need not be exact. write_full writes the operand in full and returns the escape to
 * use.
 */
struct field {
	uint8_t bits;
	uint8_t escape;
	struct operand (*read_short)(const struct trace_state *, enum op_code, uint32_t field);
	uint32_t (*guess)(const struct trace_state *, enum op_code, struct operand);
	struct operand (*read_full)(struct reader *, const struct trace_state *, uint32_t field);
	uint32_t (*write_full)(struct writer *, struct operand);
};

/* The row of a kind of operand. */
const struct field *trace_field(enum operand_kind kind);

/* ---- machines (trace_machine.c) -------------------------------------------------------------- */

/* Any bytes are a machine that config.c accepts. */
void trace_decode_machine(struct reader *in, struct machine_config *config);
void trace_encode_machine(struct writer *out, const struct machine_config *config);

#endif

/*
 * What op.c, result.c and the parser and printer of traces share: how the text form writes
 * things. docs/trace-format.md is the grammar.
 */
#ifndef RMAPFUZZ_TRACE_PRIVATE_H
#define RMAPFUZZ_TRACE_PRIVATE_H

#include "trace.h"

/* Text that grows in a caller's buffer. len counts what did not fit, as snprintf does. */
struct text {
	char *buf;
	size_t size, len;
};
static inline void text_init(struct text *text, char *buf, size_t size)
{
	text->buf = buf;
	text->size = size;
	text->len = 0;
}
__attribute__((format(printf, 2, 3))) void text_put(struct text *text, const char *format, ...);
/* N bytes of S, in double quotes, unprintable ones escaped, long ones cut short. */
void text_put_quoted(struct text *text, const char *s, size_t n);

/*
 * Operands behind the flags of mmap and mremap need be there only if the flags ask for them. The
 * index of the first such operand of INFO, or nargs.
 */
uint32_t op_optional(const struct op_info *info);
/* Do the flags of OP ask for them? (A file, unless anon; a new address, if fixed.) */
bool op_wants_optional(const struct op *op);
/* How many operands OP has: without the optional ones if they are neither asked for nor hold
 * anything but 0. */
uint32_t op_nr_operands(const struct op *op);
/* The operand that stands before "=", or -1: a region, the child of fork, a new pin. */
int op_destination(const struct op_info *info);
/* Is the value of a result of CODE an address? One of UNMAP_*? */
bool op_gives_address(enum op_code code);
bool op_gives_unmap(enum op_code code);

/* "EINVAL" for -EINVAL, NULL for an error without a name here; and back: 0 if there is none. */
const char *errno_name(int err);
int errno_of_name(const char *name);
/* The words for UNMAP_*. */
#define NR_UNMAP 3
extern const char *const unmap_names[NR_UNMAP];

/* Put what EXPECT_RESULT of an op of kind CODE says. */
void expect_put(struct text *text, enum op_code code, const struct expect *expect);

/* What `# expect: p0 w0 ...` may say of a page: the characters of machine_page_char(). */
#define PAGE_CHARS ".-zrwnso"

/* Names of the properties of an op, in the order they are printed. Append only: the position is
 * known to the byte form. */
struct op_property {
	const char *name;
	size_t offset; /* of a uint16_t in struct op */
};
#define NR_PROPERTIES 5
extern const struct op_property op_properties[NR_PROPERTIES];

static inline uint16_t op_property(const struct op *op, uint32_t i)
{
	return *(const uint16_t *)((const char *)op + op_properties[i].offset);
}
static inline void op_set_property(struct op *op, uint32_t i, uint16_t value)
{
	*(uint16_t *)((char *)op + op_properties[i].offset) = value;
}

#endif

/*
 * The reference model by example, for tests of it: a play is one model from boot on. Helpers that
 * read like a program (map, write, read ...) do an op that must be found right; agrees(),
 * abstains() and disagrees() name the verdict. Each op has its own serial, so that a write's token
 * tells who wrote.
 */
#ifndef RMAPFUZZ_TESTS_MODEL_PLAY_H
#define RMAPFUZZ_TESTS_MODEL_PLAY_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "model_private.h"

/* Pages w0, w1 ... of the window that traces name pages in. */
#define W(n)    (WINDOW_BASE / 4096 + (n))
#define AT(vpn) ((vpn)*4096u)
#define NONE    OP_PROT_NONE
#define R       OP_PROT_READ
#define WO      OP_PROT_WRITE
#define RW      (OP_PROT_READ | OP_PROT_WRITE)
#define ANON    OP_MAP_ANON
#define SHARED  OP_MAP_SHARED
#define FIXED   OP_MAP_FIXED
#define PRIVATE 0u
#define MAYMOVE OP_MREMAP_MAYMOVE
#define MFIXED  (OP_MREMAP_MAYMOVE | OP_MREMAP_FIXED)

struct play {
	struct model *model;
	uint32_t serial;
	bool alloc_failed; /* say so of the next op */
	char why[160];
};

static const struct machine_config config = {.split = SPLIT_3_1, .files = 4, .file_pages = 8};

static inline int begin(void **state)
{
	static struct play play;

	memset(&play, 0, sizeof(play));
	play.model = model_create(&config);
	*state = &play;
	return 0;
}

static inline int end(void **state)
{
	model_destroy(((struct play *)*state)->model);
	return 0;
}

/* ---- ops and results --------------------------------------------------------------- */

#define OPERANDS(...) ((uint32_t[OP_ARGS_MAX]){__VA_ARGS__})

static inline struct op make(enum op_code code, const uint32_t *args)
{
	struct op op = {.code = (uint8_t)code};

	memcpy(op.args, args, sizeof(op.args));
	return op;
}

#define op(name, ...) make(OP_##name, OPERANDS(__VA_ARGS__))

static const struct result ok;

static inline struct result fails(int err)
{
	return (struct result){.err = RES_IS_SIGNAL(err) ? err : -err};
}

static inline struct result at(uint32_t vpn)
{
	return (struct result){.value = AT(vpn)};
}

static inline struct result saw(uint64_t token)
{
	return (struct result){.token = token};
}

static inline enum model_verdict step(struct play *play, struct op op, struct result result)
{
	bool alloc_failed = play->alloc_failed;

	op.serial = play->serial++;
	play->alloc_failed = false;
	play->why[0] = '\0';
	return model_step(play->model, &op, &result, alloc_failed, play->why, sizeof(play->why));
}

static inline void verdict_is(struct play *play, const struct op *op, enum model_verdict got,
			      enum model_verdict wanted, int line)
{
	if (got != wanted)
		fail_msg("line %d: %s: verdict %d, not %d: %s", line, op_info(op->code)->name, got,
			 wanted, play->why);
}

static inline void judge_as(struct play *play, enum model_verdict wanted, struct op op,
			    struct result result, int line)
{
	enum model_verdict got = step(play, op, result);

	verdict_is(play, &op, got, wanted, line);
	assert_true((got == MODEL_AGREES) == (play->why[0] == '\0'));
}

#define agrees(play, op, result)    judge_as(play, MODEL_AGREES, op, result, __LINE__)
#define disagrees(play, op, result) judge_as(play, MODEL_DISAGREES, op, result, __LINE__)
#define abstains(play, op, result)  judge_as(play, MODEL_ABSTAINS, op, result, __LINE__)
#define loses(play, op, result)     judge_as(play, MODEL_LOST, op, result, __LINE__)

/* ---- a program's words ------------------------------------------------------------- */

#define map_object(play, proc, vpn, len, prot, flags, file, pgoff)                                 \
	agrees(play,                                                                               \
	       op(mmap, proc, REGION_NONE, AT(vpn), len, prot, (flags) | FIXED, file, pgoff),      \
	       at(vpn))
#define map(play, proc, vpn, len, prot, flags)                                                     \
	map_object(play, proc, vpn, len, prot, (flags) | ANON, 0, 0)
#define unmap(play, proc, vpn, len)         agrees(play, op(munmap, proc, AT(vpn), len), ok)
#define protect(play, proc, vpn, len, prot) agrees(play, op(mprotect, proc, AT(vpn), len, prot), ok)
#define sees(play, proc, vpn, what)         agrees(play, op(read, proc, AT(vpn)), saw(what))
#define dies(play, proc, vpn, signal)       agrees(play, op(read, proc, AT(vpn)), fails(signal))
#define forks(play, parent, child)          agrees(play, op(fork, parent, child), ok)
#define mremap_op(proc, old, old_len, new_len, flags, new)                                         \
	op(mremap, proc, REGION_NONE, AT(old), old_len, new_len, flags, AT(new))

static inline uint64_t last_write(const struct play *play)
{
	return token_write(play->serial - 1);
}

static inline uint64_t write_page(struct play *play, uint32_t proc, uint32_t vpn, int line)
{
	judge_as(play, MODEL_AGREES, op(write, proc, AT(vpn)), ok, line);
	return last_write(play);
}

#define write(play, proc, vpn) write_page(play, proc, vpn, __LINE__)

static inline uint64_t file_write(struct play *play, uint32_t file, uint32_t pgoff)
{
	agrees(play, op(fwrite, file, pgoff), ok);
	return last_write(play);
}

/* One character per page from w0 on: '.' SIGSEGV, 'b' SIGBUS, '0' zero, 'f' as the file had it at
 * boot, 'w' written, '?' not known. */
static inline void looks(struct play *play, uint32_t proc, const char *picture, int line)
{
	char seen[64] = {0};

	for (uint32_t i = 0; i < strlen(picture); i++) {
		uint64_t token = 0;
		int err = model_peek(play->model, proc, W(i), &token);

		seen[i] = err == RES_SEGV    ? '.'
			  : err == RES_BUS   ? 'b'
			  : err == -EAGAIN   ? '?'
			  : err              ? '!'
			  : !token           ? '0'
			  : token >> 62 == 2 ? 'f'
					     : 'w';
	}
	if (strcmp(seen, picture))
		fail_msg("line %d: expected %s, got %s", line, picture, seen);
}

#define picture(play, proc, text) looks(play, proc, text, __LINE__)

#endif

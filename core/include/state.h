/*
 * The state of a machine in canonical form, as a hash: equal for machines that will behave equally,
 * whichever way they came there.
 *
 *   write p0 w0            token "write 3", frame 0xfff, slot 9    \
 *                                                                   >  one and the same state
 *   read p0 w1; write ...  token "write 5", frame 0xffe, slot 2    /
 *
 * What is named by numbers that mean nothing in themselves (frames, swap slots, contents that were
 * written, objects of designs) is renumbered in the order in which it is met. Included are areas,
 * entries, pages and their counts, caches, stores, swap, how many objects of each kind there are,
 * and of each page what its design has noted: words, describe() and the order of a walk. Left out
 * are the order of the LRU lists and of free lists, and every count of costs.
 *
 * Names are looked up one by one: this is for small worlds.
 */
#ifndef RMAPFUZZ_STATE_H
#define RMAPFUZZ_STATE_H

#include "machine.h"

/* Words of one kind share a numbering. The last may be used by the caller. */
enum state_kind { STATE_FRAME, STATE_SLOT, STATE_TOKEN, STATE_FILE, STATE_OBJECT };

struct state_name {
	uint64_t word;
	enum state_kind kind;
};

/* Zero-initialise. */
struct machine_state {
	uint64_t hash[2];
	struct state_name *names;
	uint32_t nr_names, max_names;
};

void machine_state_begin(struct machine_state *state);
/* A word that counts as it is. */
void machine_state_word(struct machine_state *state, uint64_t word);
/* A word that counts by its number among those of its KIND. True: it is new. */
bool machine_state_name(struct machine_state *state, enum state_kind kind, uint64_t word);
/* A page's content: tokens that an op wrote are names. */
void machine_state_token(struct machine_state *state, uint64_t token);
/*
 * Everything about MACHINE, with a numbering of its own. Walks are real, so a design may tidy up
 * on the way: the machine's next op should be a reset.
 */
void machine_state_add(struct machine_state *state, struct machine *machine);
void machine_state_release(struct machine_state *state);

#endif

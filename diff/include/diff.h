/*
 * Lockstep: run one trace on one machine per backend, judge after every op.
 *
 *            .--> machine(scan) --------.
 *   op ------+--> machine(pte_chain) ---+--> checks.def, in order --> first finding, or none
 *            +--> ...                   |
 *            '--> model ----------------'
 *
 * A disagreement is a value, struct finding, handed up to the edge. Permitted differences
 * have names (excuses.def) and are counted.
 */
#ifndef RMAPFUZZ_DIFF_H
#define RMAPFUZZ_DIFF_H

#include "coverage.h"
#include "feedback.h"
#include "machine.h"
#include "model.h"
#include "trace.h"

#define DIFF_SUBJECTS_MAX 32

/* checks.def: what is judged. The name is part of every signature. */
#define CHECK(id, name, help) CHECK_##id,
enum diff_check {
#include "checks.def"
	NR_CHECKS
};
#undef CHECK

/* excuses.def: what may differ, by name, with the reason. */
#define EXCUSE(id, name, reason) EXCUSE_##id,
enum diff_excuse {
#include "excuses.def"
	NR_EXCUSES
};
#undef EXCUSE

const char *diff_check_name(enum diff_check check);
/* Add the checks of "a,b,c" to MASK, a bit each. False: there is no such check. */
bool diff_check_mask(const char *list, uint32_t *mask);
const char *diff_excuse_name(enum diff_excuse excuse);
const char *diff_excuse_reason(enum diff_excuse excuse);

/* One entry of a set of mappings. */
struct mapping {
	uint32_t proc, vpn;
};

#define FINDING_SET_MAX 32
#define SIGNATURE_MAX   96

/*
 * A judged disagreement. The signature is stable: check, op, subject and what kind of
 * difference, no addresses ("unmapped:swapout:anon_vma:missed"). `sets` are the entries that
 * the subject found and those it should have found.
 */
struct finding {
	enum diff_check check;
	uint32_t op_index;   /* nr_ops: at the end of the trace */
	enum op_code op;     /* NR_OPS: at the end */
	const char *subject; /* backend name, or "model" */
	const char *against; /* backend name, "census", "model" or "recount" */
	char detail[32];     /* the signature's last part: "missed", "twice", "stale", ... */
	char signature[SIGNATURE_MAX];
	char message[256];   /* one sentence for people */
	struct mapping page; /* the page in question; proc UINT32_MAX: none */
	struct mapping found[FINDING_SET_MAX], expected[FINDING_SET_MAX];
	uint32_t nr_found, nr_expected; /* may exceed FINDING_SET_MAX: the rest is not shown */
};

struct diff_options {
	const struct rmap_ops *backends[DIFF_SUBJECTS_MAX];
	uint32_t nr_backends;
	bool model;           /* judge against the model too */
	uint32_t check_every; /* full recount every k ops, and at the end; 0: only at the end */
	uint32_t without;     /* a bit per check that is not done: what is it worth? */
	uint32_t canary;      /* n > 0: pretend a disagreement at op n - 1 (tests the way out) */
	struct coverage *coverage; /* coverage.h, for nr_backends subjects; NULL: not wanted */
	struct feedback *feedback; /* feedback.h; NULL: not wanted */
	MUTANT_STATE               /* NULL: none is active */
};
/* Every design once (rmap_backends), model, recount every 16 ops. */
void diff_options_init(struct diff_options *options);
/* Every design with every file side instead (rmap_combinations). */
void diff_options_combine(struct diff_options *options);

struct diff_stats {
	uint64_t traces, ops;
	uint64_t op_count[NR_OPS], op_ok[NR_OPS];
	uint64_t walks, unmaps_compared; /* walks judged; entries whose unmapping was compared */
	uint64_t recounts;
	uint64_t excuses[NR_EXCUSES];
	uint64_t check_count[NR_CHECKS]; /* how often each check judged something */
};

struct diff;
struct diff *diff_create(const struct diff_options *options);
void diff_destroy(struct diff *diff);

/* Run TRACE from boot to shutdown. Returns 0: clean; 1: *FINDING is filled. Stops at the first. */
int diff_run(struct diff *diff, const struct trace *trace, struct finding *finding);

/* The same in steps, for tools that look between ops: begin, then step for each op, then end. */
void diff_begin(struct diff *diff, const struct machine_config *config);
int diff_step(struct diff *diff, const struct op *op, struct finding *finding);
/*
 * OPS[0] and those of the others that run inside it, then the rest: op_group() says how many belong
 * together. Each is judged, those that ran inside in an order in which they could have run one
 * after the other.
 */
int diff_step_group(struct diff *diff, const struct op *ops, uint32_t n, struct finding *finding);
/* What op K of the last group was told, and returned to the first subject. */
const struct op *diff_group_op(const struct diff *diff, uint32_t k);
const struct result *diff_group_result(const struct diff *diff, uint32_t k);
/* Facts about op K of the last group on machine I. */
const struct op_trace *diff_group_trace(const struct diff *diff, uint32_t i, uint32_t k);
/* It ran inside its host. */
bool diff_group_inside(const struct diff *diff, uint32_t k);
int diff_end(struct diff *diff, struct finding *finding);

const struct diff_stats *diff_stats(const struct diff *diff);
/* The position of the op under way, or of the next; the number of ops at the end. */
uint32_t diff_op_index(const struct diff *diff);
/* Go on counting where FROM stands: for one that takes FROM's place. */
void diff_take_stats(struct diff *diff, const struct diff *from);
/* The i-th machine (0..nr_backends-1), to look at. */
struct machine *diff_machine(struct diff *diff, uint32_t i);
/* The last op's result as the first subject gave it, and the op with regions resolved. */
const struct result *diff_last_result(const struct diff *diff);
/* OP with regions resolved, as diff_step would do it now. */
struct op diff_resolve(const struct diff *diff, const struct op *op);
const struct op *diff_last_op(const struct diff *diff);
/* One hash over results, events and final state of all subjects of the last run. */
uint64_t diff_hash(const struct diff *diff);

/* Check a trace's expectations while running it (trace.h). Returns 0 clean, 1 *FINDING. */
int diff_run_expect(struct diff *diff, const struct trace *trace, struct finding *finding);

/* Print a finding as a short report: signature, sentence, sets, the trace with the op marked. */
void finding_print(const struct finding *finding, const struct trace *trace, FILE *out);

/*
 * The generator (diff/generate.c): a random trace of NR_OPS ops from SEED, with swarm weights:
 * each trace switches some ops off and weights the rest wildly. Same seed, same trace.
 */
struct generate_options {
	uint32_t nr_ops;
	bool faults; /* allocation failures and reclaim inside ops too */
	bool actors; /* ops inside ops too */
};
void generate_trace(struct trace *trace, const struct machine_config *config, uint64_t seed,
		    const struct generate_options *options);
/*
 * Into OUT, ops that could follow the first AT ops of TRACE, on its machine: aimed at what those
 * ought to have left, and without them. Same trace and seed, same ops.
 */
void generate_following(struct trace *out, const struct trace *trace, uint32_t at, uint64_t seed,
			const struct generate_options *options);

#endif

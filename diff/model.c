/*
 * The reference model: processes, and what they see when they look at memory.
 *
 * An independent witness, written from the manual pages: fork(2), clone(2), execve(2), _exit(2)
 * here, the calls on ranges in model_map.c, files in model_file.c. It knows areas, objects and
 * tokens, and nothing of frames, page tables, swap or reclaim: an op that only concerns those must
 * not change anything here, which is what makes the model worth asking.
 */
#include <stdlib.h>

#include "model_private.h"

/* ---- life -------------------------------------------------------------------------- */

struct model *model_create(const struct machine_config *config)
{
	uint32_t none = 0;
	struct model *model = model_grow(NULL, &none, 1, sizeof(*model));

	model_reset(model, config);
	return model;
}

void model_destroy(struct model *model)
{
	uint32_t i;

	if (!model)
		return;
	for (i = 0; i < PROC_MAX; i++) {
		free(model->space[i].area);
		free(model->space[i].tokens.ref);
		free(model->space[i].shown.ref);
	}
	for (i = 0; i < model->max_objects; i++)
		free(model->object[i].tokens.ref);
	free(model->object);
	free(model->pool.chunk);
	free(model->scratch);
	free(model->cell);
	free(model);
}

void model_reset(struct model *model, const struct machine_config *config)
{
	static const uint32_t task_size[] = {
		[SPLIT_3_1] = 0xc0000000u, [SPLIT_2_2] = 0x80000000u, [SPLIT_4_4] = 0xff000000u};
	uint32_t size = task_size[config->split], i;

	model->config = *config;
	model->task_pages = size >> PAGE_SHIFT_BITS;
	model->mmap_base = (size / 3 + PAGE_OFFSET_MASK) >> PAGE_SHIFT_BITS;
	model->swap_on = config->nr_swap ? UINT32_MAX >> (32 - config->nr_swap) : 0;
	model->parted = false;
	model->pool.n = 0;
	model->pool.free = 0;
	model->lost.proc = PROC_MAX;
	for (i = 0; i < PROC_MAX; i++) {
		struct space *space = &model->space[i];

		model->of[i] = i ? NULL : space;
		space->users = i == 0;
		space->brk = BRK_START;
		space->future = false;
		space->n = 0;
		space->tokens.n = 0;
		space->shown.n = 0;
	}
	objects_reset(model);
	cells_reset(model);
}

/* ---- processes --------------------------------------------------------------------- */

static bool is_alive(const struct model *model, uint32_t proc)
{
	return proc < PROC_MAX && model->of[proc];
}

/* A space that nobody uses: there are as many as processes, so one who needs another finds it. */
static struct space *space_unused(struct model *model)
{
	struct space *space = model->space;

	while (space->users)
		space++;
	return space;
}

static void enter(struct model *model, uint32_t proc, struct space *space)
{
	model->of[proc] = space;
	space->users++;
}

/* What a process leaves stays for the others that use it. */
static void leave(struct model *model, uint32_t proc)
{
	struct space *space = model->of[proc];

	model->of[proc] = NULL;
	if (--space->users == 0) {
		cells_forget_space(model, space);
		space_clear(model, space);
	}
}

static enum model_verdict step_fork(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t child = judge->op->args[1];
	enum model_verdict verdict;

	if (child >= PROC_MAX || is_alive(model, child))
		return must_fail(judge, EAGAIN, 0);
	if (out_of_memory(judge)) {
		cells_protect(model, judge->space, 0, VPN_END, false);
		return MODEL_AGREES;
	}
	verdict = must_succeed(judge);
	if (verdict == MODEL_AGREES) {
		enter(model, child, space_unused(model));
		space_copy(model, model->of[child], judge->space);
		cells_fork(model, judge->space, model->of[child]);
	}
	return verdict;
}

/* clone(2) with CLONE_VM: calling process and child run in the same memory space. */
static enum model_verdict step_clone_vm(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t child = judge->op->args[1];
	enum model_verdict verdict;

	if (child >= PROC_MAX || is_alive(model, child))
		return must_fail(judge, EAGAIN, 0);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	verdict = must_succeed(judge);
	if (verdict == MODEL_AGREES)
		enter(model, child, judge->space);
	return verdict;
}

static enum model_verdict step_exit(const struct judge *judge)
{
	leave(judge->model, judge->op->args[0]);
	return must_succeed(judge);
}

static enum model_verdict step_exec(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t proc = judge->op->args[0];

	if (out_of_memory(judge))
		return MODEL_AGREES;
	leave(model, proc);
	enter(model, proc, space_unused(model));
	return must_succeed(judge);
}

/* ---- access ------------------------------------------------------------------------ */

enum growth { NO_GROWTH, GROWS, MAY_GROW };

/*
 * Does a stack at area I grow down to VPN? Up to RLIMIT_STACK it does, as far as the next area
 * below. Beyond the limit it does not, but where several equal areas meet, the model cannot know
 * the size of the one that grows.
 */
static enum growth growth_of(const struct space *space, uint32_t i, uint32_t vpn)
{
	const struct area *area;

	if (i == space->n)
		return NO_GROWTH;
	area = &space->area[i];
	if (area->start <= vpn || !(area->attr & AREA_GROWSDOWN))
		return NO_GROWTH;
	if (area->end - vpn <= STACK_PAGES_LIMIT)
		return GROWS;
	return area->attr & AREA_SEAM ? MAY_GROW : NO_GROWTH;
}

/* The signal that an access to VPN of AREA raises; 0: none. */
static int signal_of(const struct model *model, const struct space *space, const struct area *area,
		     uint32_t vpn, bool write)
{
	uint32_t needed = write ? OP_PROT_WRITE : OP_PROT_READ | OP_PROT_EXEC;

	if (!area || !(area->attr & needed))
		return RES_SEGV;
	return area_beyond_end(model, space, area, vpn) ? RES_BUS : 0;
}

/* Make the stack grow if the access at VPN asks for it, and find the area there. */
static struct area *area_for_access(const struct judge *judge, uint32_t vpn)
{
	struct space *space = judge->space;
	uint32_t i = space_find(space, vpn);
	enum growth growth = growth_of(space, i, vpn);

	/* A success shows that it grew. A signal may mean that it did not; see access_refused(). */
	if (growth == GROWS || (growth == MAY_GROW && !judge->actual->err))
		space_extend(judge->model, space, i, vpn, space->area[i].end);
	return space_area(space, vpn);
}

/* The access must raise SIGNAL. */
static enum model_verdict access_refused(const struct judge *judge, uint32_t vpn, int signal)
{
	struct space *space = judge->space;
	uint32_t i = space_find(space, vpn);
	enum model_verdict verdict = must_fail(judge, signal, 0);

	if (verdict == MODEL_AGREES && growth_of(space, i, vpn) == MAY_GROW)
		return lose(judge, vpn, space->area[i].start);
	return verdict;
}

/* The access failed for want of memory: nothing was stored, but a stack may have grown and a
 * private page may have been copied. */
static enum model_verdict access_failed(const struct judge *judge, uint32_t vpn)
{
	struct space *space = judge->space;
	uint32_t i = space_find(space, vpn);

	if (growth_of(space, i, vpn) != NO_GROWTH)
		return lose(judge, vpn, space->area[i].start);
	if (judge->op->code == OP_write && i < space->n && space->area[i].start <= vpn)
		area_maybe_copied(judge->model, space, &space->area[i], vpn, vpn + 1);
	if (judge->op->code == OP_write)
		cells_populated(judge->model, space, vpn, vpn + 1, false);
	return MODEL_AGREES;
}

bool lazy_settle(const struct model *model, uint64_t content, uint64_t seen, uint64_t *after)
{
	if ((content & ~TOKEN_LAZY) == TOKEN_UNKNOWN && seen)
		content = seen | TOKEN_MARKS;
	*after = seen || model->parted ? content : 0;
	return !seen || seen == (content & ~TOKEN_MARKS);
}

static enum model_verdict settle_lazy(const struct judge *judge, uint32_t vpn, uint64_t content)
{
	uint64_t after;

	if (!lazy_settle(judge->model, content, judge->actual->token, &after))
		return must_see(judge, content);
	if (!page_settle(judge->model, judge->space, vpn, after))
		tokens_set(&judge->model->pool, &judge->space->tokens, vpn, after);
	return MODEL_AGREES;
}

/*
 * The read saw a token where the model had a doubt. It must be the MAYBE token or what lies
 * beneath; either way the doubt may be settled by it.
 */
static enum model_verdict settle(const struct judge *judge, const struct area *area, uint32_t vpn,
				 uint64_t content)
{
	struct model *model = judge->model;
	struct tokens *tokens = &judge->space->tokens;
	uint64_t seen = judge->actual->token,
		 beneath = area_beneath(model, judge->space, area, vpn);

	if (area->attr & AREA_SHARED) {
		object_write(model, area->object, area_pgoff(model, judge->space, area, vpn), seen);
	} else if (page_settle(model, judge->space, vpn, seen)) {
		return MODEL_AGREES;
	} else if (content == TOKEN_UNKNOWN) {
		/* The page of a file may still be the file's own. */
		tokens_set(&model->pool, tokens, vpn,
			   area->object == OBJECT_NONE ? seen : seen | TOKEN_MAYBE);
	} else if (seen == beneath && seen == (content & ~TOKEN_MAYBE)) {
		return MODEL_AGREES; /* either way: the doubt stays */
	} else if (seen == beneath) {
		tokens_clear(&model->pool, tokens, vpn, vpn + 1);
	} else {
		tokens_set(&model->pool, tokens, vpn, content & ~TOKEN_MAYBE);
		return must_see(judge, content & ~TOKEN_MAYBE);
	}
	return MODEL_AGREES;
}

static enum model_verdict see(const struct judge *judge, const struct area *area, uint32_t vpn)
{
	uint64_t content = area_content(judge->model, judge->space, area, vpn);

	if (content & TOKEN_LAZY)
		return settle_lazy(judge, vpn, content);
	if (content & TOKEN_MAYBE)
		return settle(judge, area, vpn, content);
	return must_see(judge, content);
}

/*
 * mmap(2): whether PROT_WRITE implies PROT_READ depends on the architecture; here it also depends
 * on whether the page happens to be present. If it can be read, it must read right.
 */
static enum model_verdict see_write_only(const struct judge *judge, const struct area *area,
					 uint32_t vpn)
{
	if (judge->actual->err || area_beyond_end(judge->model, judge->space, area, vpn)) {
		enum model_verdict verdict = must_fail(judge, RES_SEGV, 0);

		if (verdict == MODEL_AGREES)
			return abstain(judge,
				       "write-only: PROT_WRITE may or may not imply PROT_READ");
		return verdict;
	}
	return see(judge, area, vpn);
}

static enum model_verdict step_read(const struct judge *judge)
{
	uint32_t vpn = judge->op->args[1] >> PAGE_SHIFT_BITS;
	const struct area *area;
	enum model_verdict verdict;
	int signal;

	if (out_of_memory(judge))
		return access_failed(judge, vpn);
	area = area_for_access(judge, vpn);
	signal = signal_of(judge->model, judge->space, area, vpn, false);
	if (signal == RES_SEGV && area && area->attr & OP_PROT_WRITE)
		return see_write_only(judge, area, vpn);
	if (signal)
		return access_refused(judge, vpn, signal);
	verdict = must_succeed(judge);
	return verdict == MODEL_AGREES ? see(judge, area, vpn) : verdict;
}

static enum model_verdict step_write(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t vpn = judge->op->args[1] >> PAGE_SHIFT_BITS;
	uint64_t token = token_write(judge->op->serial);
	const struct area *area;
	int signal;

	if (out_of_memory(judge))
		return access_failed(judge, vpn);
	area = area_for_access(judge, vpn);
	signal = signal_of(model, judge->space, area, vpn, true);
	if (signal)
		return access_refused(judge, vpn, signal);
	if (area->attr & AREA_SHARED)
		object_write(model, area->object, area_pgoff(model, judge->space, area, vpn),
			     token);
	else
		page_write(model, judge->space, vpn, token);
	return must_succeed(judge);
}

/* ---- swap areas -------------------------------------------------------------------- */

/* swapon(2): ENOENT for what does not exist, EBUSY for an area in use. */
static enum model_verdict step_swapon(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t area = judge->op->args[0];

	if (area >= model->config.nr_swap)
		return must_fail(judge, ENOENT, 0);
	if (model->swap_on >> area & 1)
		return must_fail(judge, EBUSY, 0);
	model->swap_on |= 1u << area;
	return must_succeed(judge);
}

/* swapoff(2): EINVAL for an area that is not in use; ENOMEM leaves it in use. Either way nobody
 * sees anything: contents stay, and later reads say so. */
static enum model_verdict step_swapoff(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t area = judge->op->args[0];

	if (area >= model->config.nr_swap)
		return must_fail(judge, ENOENT, 0);
	if (!(model->swap_on >> area & 1))
		return must_fail(judge, EINVAL, 0);
	if (out_of_memory(judge))
		return MODEL_AGREES;
	model->swap_on &= ~(1u << area);
	return must_succeed(judge);
}

/* ---- dispatch ---------------------------------------------------------------------- */

/* Aging and reclaim are not a program's business: any result will do. */
static enum model_verdict step_unseen(const struct judge *judge)
{
	return MODEL_AGREES;
}

static step_fn *const steps[NR_OPS] = {
	[OP_fork] = step_fork,         [OP_exit] = step_exit,
	[OP_exec] = step_exec,         [OP_mmap] = step_mmap,
	[OP_munmap] = step_munmap,     [OP_mremap] = step_mremap,
	[OP_mprotect] = step_mprotect, [OP_madvise] = step_madvise,
	[OP_brk] = step_brk,           [OP_read] = step_read,
	[OP_write] = step_write,       [OP_truncate] = step_truncate,
	[OP_fread] = step_fread,       [OP_fwrite] = step_fwrite,
	[OP_evict] = step_evict,       [OP_swapout] = step_evict,
	[OP_age] = step_unseen,        [OP_reclaim] = step_unseen,
	[OP_mlock] = step_mlock,       [OP_munlock] = step_munlock,
	[OP_mlockall] = step_mlockall, [OP_munlockall] = step_munlockall,
	[OP_msync] = step_msync,       [OP_writeback] = step_file,
	[OP_mkclean] = step_file,      [OP_fdrop] = step_file,
	[OP_fpunch] = step_fpunch,     [OP_migrate] = step_evict,
	[OP_swapon] = step_swapon,     [OP_swapoff] = step_swapoff,
	[OP_clone_vm] = step_clone_vm, [OP_remap_file_pages] = step_remap_file_pages,
	[OP_pin] = step_pin,           [OP_unpin] = step_unpin,
	[OP_pinread] = step_pinread,   [OP_pinwrite] = step_pinwrite,
	[OP_poke] = step_poke,         [OP_mlockall_future] = step_mlockall_future,
};

/* fork and clone_vm may find their parent dead or their child's slot taken. */
static bool takes_slot(const struct op *op)
{
	return op_info(op->code)->operand[1].kind == OPERAND_NEWPROC;
}

enum model_verdict model_step(struct model *model, const struct op *op, const struct result *actual,
			      bool alloc_failed, char *why, size_t why_size)
{
	struct judge judge = {.model = model,
			      .op = op,
			      .actual = actual,
			      .alloc_failed = alloc_failed,
			      .why = why,
			      .why_size = why_size};

	model->lost.proc = PROC_MAX;
	if (op_info(op->code)->operand[0].kind == OPERAND_PROC) {
		if (!is_alive(model, op->args[0]))
			return must_fail(&judge, ESRCH, takes_slot(op) ? EAGAIN : 0);
		judge.space = model->of[op->args[0]];
	}
	return steps[op->code](&judge);
}

/* ---- looking ----------------------------------------------------------------------- */

int model_peek(const struct model *model, uint32_t proc, uint32_t vpn, uint64_t *token)
{
	const struct space *space;
	struct area stack;
	const struct area *area;
	int signal;
	uint32_t i;

	if (!is_alive(model, proc))
		return -ESRCH;
	space = model->of[proc];
	i = space_find(space, vpn);
	area = space_area(space, vpn);
	if (growth_of(space, i, vpn) == GROWS) {
		stack = space->area[i];
		stack.start = vpn;
		area = &stack;
	}
	signal = signal_of(model, space, area, vpn, false);
	if (signal == RES_SEGV && area && area->attr & OP_PROT_WRITE)
		signal = signal_of(model, space, area, vpn, true);
	if (signal)
		return signal;
	*token = area_content(model, space, area, vpn);
	return *token & TOKEN_MAYBE ? -EAGAIN : 0;
}

void model_parted(struct model *model)
{
	model->parted = true;
}

bool model_may_be_lost(const struct model *model, const struct op *op, uint64_t token)
{
	uint32_t proc = op->args[0], vpn = op->args[1] >> PAGE_SHIFT_BITS;
	const struct area *area;
	uint64_t content, after;

	if (op->code == OP_pinread)
		return pinned_may_be_lost(model, op, token);
	if (op->code != OP_read || !is_alive(model, proc))
		return false;
	area = space_area(model->of[proc], vpn);
	if (!area)
		return false;
	content = area_content(model, model->of[proc], area, vpn);
	return content & TOKEN_LAZY && lazy_settle(model, content, token, &after);
}

bool model_noreserve(const struct model *model, uint32_t proc, uint32_t vpn)
{
	const struct area *area = is_alive(model, proc) ? space_area(model->of[proc], vpn) : NULL;

	return area && area->attr & AREA_NORESERVE;
}

bool model_file_page(const struct model *model, uint32_t proc, uint32_t vpn, uint32_t *file,
		     uint32_t *pgoff)
{
	const struct space *space = is_alive(model, proc) ? model->of[proc] : NULL;
	const struct area *area = space ? space_area(space, vpn) : NULL;

	if (!area || area->object >= FILE_MAX)
		return false;
	*file = area->object;
	*pgoff = area_pgoff(model, space, area, vpn);
	return true;
}

bool model_in_heap(const struct model *model, uint32_t proc, uint32_t vpn)
{
	return is_alive(model, proc) && vpn >= BRK_START && vpn < model->of[proc]->brk;
}

bool model_next_mapped(const struct model *model, uint32_t proc, uint32_t *vpn)
{
	const struct space *space;
	uint32_t i;

	if (!is_alive(model, proc))
		return false;
	space = model->of[proc];
	i = space_find(space, *vpn);
	if (i == space->n)
		return false;
	if (*vpn < space->area[i].start)
		*vpn = space->area[i].start;
	return true;
}

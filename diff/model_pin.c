/*
 * Pins: get_user_pages, which no manual page describes; what it does to contents, open(2) under
 * O_DIRECT and madvise(2) under MADV_DONTFORK do: a device goes on using the page that was there,
 * and a write after fork(2) may take the process to another one.
 *
 * A page of an object is pinned as such: the device sees what everybody sees, until the object
 * loses the page. A private page that a device holds is a *cell*, and the token of whoever shows it
 * names the cell in place of a content:
 *
 *      pin p0 w0 write          p0 w0: cell 3, RW      cell 3: "write 7"     d0
 *      p1 = fork p0             p0 w0: cell 3, RO      p1 w0: cell 3, RO
 *      write p0 w0              p0 w0: "write 9"       the device has the old page, as has p1
 *
 * Pinned for writing, the page is the process's alone, and who shows it is certain: a write goes to
 * the cell (RW) until the page is protected, by fork or mprotect, and away from it afterwards (RO).
 * RX: a call that failed half-way may have protected it.
 *
 * Pinned for reading, the page may be one that a write is going to copy. The cell then lists what
 * the device may see: what was there, and what its own process has written since; what others write
 * is not for its eyes. A later pin for writing may be of the same page, or of a copy: `under` leads
 * from the later cell to the earlier one, which may see all that is written to it.
 *
 * A wild cell is one of which a failed call has left nothing certain.
 */
#include "model_private.h"

#define CELL_NONE UINT32_MAX

/* Tokens leave bit 61 free; with it set the two kind bits say "unknown". */
#define TOKEN_CELL (3ull << 62)
#define CELL_RW    (0ull << 32)
#define CELL_RO    (1ull << 32)
#define CELL_RX    (2ull << 32)
#define CELL_STATE (3ull << 32)

bool token_is_cell(uint64_t token)
{
	return (token & (TOKEN_CELL | TOKEN_MAYBE)) == TOKEN_CELL;
}

static struct cell *cell_of(struct model *model, uint64_t token)
{
	return &model->cell[(uint32_t)token];
}

uint64_t token_seen(const struct model *model, uint64_t token)
{
	return token_is_cell(token) ? model->cell[(uint32_t)token].token : token;
}

static bool get_cell(const struct model *model, const struct space *space, uint32_t vpn,
		     uint64_t *token)
{
	return model->nr_cells && tokens_get(&model->pool, &space->tokens, vpn, token) &&
	       token_is_cell(*token);
}

static void set_token(struct model *model, struct space *space, uint32_t vpn, uint64_t token)
{
	tokens_set(&model->pool, &space->tokens, vpn, token);
}

/* ---- cells --------------------------------------------------------------------------- */

static uint32_t cell_new(struct model *model, enum cell_kind kind, uint64_t token)
{
	uint32_t i = 0;

	while (i < model->nr_cells && model->cell[i].refs)
		i++;
	if (i == model->nr_cells)
		model->cell = model_grow(model->cell, &model->max_cells, ++model->nr_cells,
					 sizeof(*model->cell));
	model->cell[i] = (struct cell){.kind = kind,
				       .refs = 1,
				       .token = token,
				       .under = CELL_NONE,
				       .maybe = {token},
				       .n = 1};
	if (token & TOKEN_MAYBE)
		model->cell[i].n = 0;
	return i;
}

/* The frame of cell I, and those under it, may hold TOKEN. */
static void cell_may_hold(struct model *model, uint32_t i, uint64_t token)
{
	for (; i != CELL_NONE; i = model->cell[i].under) {
		struct cell *cell = &model->cell[i];
		uint32_t k = 0;

		while (k < cell->n && cell->maybe[k] != token)
			k++;
		if (!cell->n || k < cell->n)
			continue;
		if (cell->n == CELL_MAYBE_MAX)
			cell->n = 0; /* anything */
		else
			cell->maybe[cell->n++] = token;
	}
}

/* Call FN with every private page that names a cell. */
typedef void cell_page_fn(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
			  uint64_t arg);

static void each_in(struct model *model, struct space *space, uint32_t first, uint32_t last,
		    cell_page_fn *fn, uint64_t arg)
{
	uint64_t token;

	for (; model->nr_cells && tokens_next(&model->pool, &space->tokens, &first, last);
	     first++) {
		tokens_get(&model->pool, &space->tokens, first, &token);
		if (token_is_cell(token))
			fn(model, space, first, token, arg);
	}
}

static void each_anywhere(struct model *model, cell_page_fn *fn, uint64_t arg)
{
	for (uint32_t i = 0; i < PROC_MAX; i++)
		each_in(model, &model->space[i], 0, VPN_END, fn, arg);
}

/* Page VPN, which named a cell, names the next one under it that is held and its own, or none. */
static void let_go(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
		   uint64_t unused)
{
	const struct cell *cell = cell_of(model, token);
	uint64_t content = cell->token;
	uint32_t under = cell->under;

	if (cell->refs)
		return;
	while (under != CELL_NONE && !model->cell[under].refs)
		under = model->cell[under].under;
	if (under != CELL_NONE && model->cell[under].owner == space) {
		model->cell[under].token = content;
		content = TOKEN_CELL | under;
	}
	set_token(model, space, vpn, content);
}

/* Some cells are held no more. */
static void cells_let_go(struct model *model)
{
	each_anywhere(model, let_go, 0);
	for (uint32_t i = 0; i < model->nr_cells; i++) {
		struct cell *cell = &model->cell[i];

		while (cell->under != CELL_NONE && !model->cell[cell->under].refs)
			cell->under = model->cell[cell->under].under;
	}
	while (model->nr_cells && !model->cell[model->nr_cells - 1].refs)
		model->nr_cells--;
}

/* The page no longer names the cell ARG, or any that is under it. */
static void part(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
		 uint64_t arg)
{
	if ((uint32_t)token == (uint32_t)arg)
		set_token(model, space, vpn, cell_of(model, token)->token);
}

static void cell_part(struct model *model, uint32_t i)
{
	each_anywhere(model, part, i);
	model->cell[i].under = CELL_NONE;
}

static void cell_wild(struct model *model, uint32_t i)
{
	for (uint32_t under = i; under != CELL_NONE; under = model->cell[under].under)
		model->cell[under].n = 0;
	each_anywhere(model, part, i);
	model->cell[i].kind = CELL_WILD;
}

static void go_wild(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
		    uint64_t only_protected)
{
	const struct cell *cell = cell_of(model, token);

	if (only_protected && (cell->kind == CELL_READ || (token & CELL_STATE) == CELL_RW))
		return;
	cell_wild(model, (uint32_t)token);
}

void cells_doubt(struct model *model, struct space *space, uint32_t first, uint32_t last)
{
	each_in(model, space, first, last, go_wild, 0);
}

void model_forget_pins(struct model *model)
{
	for (uint32_t i = 0; i < PROC_MAX; i++)
		cells_doubt(model, &model->space[i], 0, VPN_END);
}

/* A wild frame is written: whoever might show it may hold anything. */
static void forget_private(struct model *model)
{
	for (uint32_t i = 0; i < PROC_MAX; i++) {
		struct space *space = &model->space[i];
		uint32_t vpn = 0;

		cells_doubt(model, space, 0, VPN_END);
		for (; tokens_next(&model->pool, &space->tokens, &vpn, VPN_END); vpn++)
			set_token(model, space, vpn, TOKEN_UNKNOWN);
	}
}

/* ---- what happens to pages that name cells ------------------------------------------- */

void page_write(struct model *model, struct space *space, uint32_t vpn, uint64_t token)
{
	uint64_t old;
	struct cell *cell;

	if (!get_cell(model, space, vpn, &old)) {
		set_token(model, space, vpn, token);
		return;
	}
	cell = cell_of(model, old);
	if (cell->kind == CELL_READ) {
		cell->token = token;
		cell_may_hold(model, (uint32_t)old, token);
		return;
	}
	switch (old & CELL_STATE) {
	case CELL_RW:
		cell->token = token;
		cell_may_hold(model, cell->under, token);
		return;
	case CELL_RX:
		cell_wild(model, (uint32_t)old);
		break;
	}
	set_token(model, space, vpn, token);
}

bool page_settle(struct model *model, struct space *space, uint32_t vpn, uint64_t token)
{
	uint64_t old;

	if (!get_cell(model, space, vpn, &old))
		return false;
	cell_of(model, old)->token = token;
	return true;
}

bool page_becomes_lazy(struct model *model, struct space *space, uint32_t vpn)
{
	struct cell *cell;
	uint64_t token;

	if (!get_cell(model, space, vpn, &token))
		return false;
	cell = cell_of(model, token);
	if (cell->kind == CELL_READ && cell->token)
		cell->token |= TOKEN_MARKS; /* if it is another page that the process has by now */
	if (cell->kind == CELL_READ || (token & CELL_STATE) != CELL_RX)
		return true;
	cell_wild(model, (uint32_t)token);
	return false;
}

static void change_state(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
			 uint64_t state)
{
	if (state != CELL_RX || (token & CELL_STATE) != CELL_RO)
		set_token(model, space, vpn, (token & ~CELL_STATE) | state);
}

void cells_protect(struct model *model, struct space *space, uint32_t first, uint32_t last,
		   bool certain)
{
	each_in(model, space, first, last, change_state, certain ? CELL_RO : CELL_RX);
}

/* What only the parent's device may see, the child does not write to. */
static void leave_readers(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
			  uint64_t unused)
{
	if (cell_of(model, token)->kind == CELL_READ)
		set_token(model, space, vpn, cell_of(model, token)->token);
}

void cells_fork(struct model *model, struct space *parent, struct space *child)
{
	each_in(model, child, 0, VPN_END, leave_readers, 0);
	cells_protect(model, child, 0, VPN_END, true);
	cells_protect(model, parent, 0, VPN_END, true);
}

static void copied(struct model *model, struct space *space, uint32_t vpn, uint64_t token,
		   uint64_t unused)
{
	if (cell_of(model, token)->kind == CELL_WRITE && (token & CELL_STATE) == CELL_RO)
		set_token(model, space, vpn, cell_of(model, token)->token);
	else if ((token & CELL_STATE) == CELL_RX)
		cell_wild(model, (uint32_t)token);
}

void cells_populated(struct model *model, struct space *space, uint32_t first, uint32_t last,
		     bool certain)
{
	if (certain)
		each_in(model, space, first, last, copied, 0);
	else
		each_in(model, space, first, last, go_wild, true);
}

/* All pins of page PGOFF of OBJECT hold cell I in its place. */
static void orphan_page(struct model *model, uint32_t object, uint32_t pgoff, uint32_t i)
{
	for (uint32_t p = 0; p < PIN_MAX; p++) {
		struct model_pin *pin = &model->pin[p];

		for (uint32_t k = 0; k < pin->n; k++) {
			struct pinned *page = &pin->page[k];

			if (page->object != object || page->number != pgoff)
				continue;
			*page = (struct pinned){OBJECT_NONE, i};
			model->cell[i].refs++;
		}
	}
	model->cell[i].refs--; /* cell_new() counted one */
}

void cells_orphan(struct model *model, uint32_t object, uint32_t first, uint32_t last)
{
	for (uint32_t p = 0; p < PIN_MAX; p++) {
		const struct model_pin *pin = &model->pin[p];

		for (uint32_t k = 0; k < pin->n; k++) {
			uint32_t pgoff = pin->page[k].number;

			if (pin->page[k].object != object || pgoff < first || pgoff >= last)
				continue;
			orphan_page(model, object, pgoff,
				    cell_new(model, CELL_WRITE, object_read(model, object, pgoff)));
		}
	}
}

void cells_forget_space(struct model *model, const struct space *space)
{
	for (uint32_t i = 0; i < model->nr_cells; i++) {
		if (model->cell[i].owner == space)
			model->cell[i].owner = NULL;
	}
}

void cells_reset(struct model *model)
{
	model->nr_cells = 0;
	for (uint32_t i = 0; i < PIN_MAX; i++)
		model->pin[i].n = 0;
}

/* ---- pin, unpin ------------------------------------------------------------------------ */

static bool may_pin(const struct area *area, uint32_t flags)
{
	if (flags & OP_PIN_WRITE)
		return area->attr & OP_PROT_WRITE ||
		       (flags & OP_PIN_FORCE && !(area->attr & AREA_SHARED));
	return flags & OP_PIN_FORCE || area->attr & OP_PROT_READ;
}

/* A private page that is the process's own from now on, and writable if its area is. */
static uint32_t pin_private_write(struct model *model, struct space *space, const struct area *area,
				  uint32_t vpn)
{
	uint64_t content = area_content(model, space, area, vpn), old = 0;
	bool named = get_cell(model, space, vpn, &old);
	uint32_t under = CELL_NONE, i;

	if (named && cell_of(model, old)->kind == CELL_READ) {
		under = (uint32_t)old;
	} else if (named && (old & CELL_STATE) == CELL_RW) {
		cell_of(model, old)->refs++;
		return (uint32_t)old;
	} else if (named && (old & CELL_STATE) == CELL_RX) {
		cell_wild(model, (uint32_t)old);
		i = cell_new(model, CELL_WRITE, content);
		cell_wild(model, i);
		return i;
	}
	i = cell_new(model, CELL_WRITE,
		     (content & TOKEN_MARKS) == TOKEN_MAYBE ? TOKEN_UNKNOWN : content);
	model->cell[i].under = under;
	set_token(model, space, vpn,
		  TOKEN_CELL | (area->attr & OP_PROT_WRITE ? CELL_RW : CELL_RO) | i);
	return i;
}

/* A private page that may, or may not, be one that a write is going to copy. */
static uint32_t pin_private_read(struct model *model, struct space *space, uint32_t vpn,
				 uint64_t content)
{
	uint64_t old;
	bool named = get_cell(model, space, vpn, &old);
	uint32_t i;

	if (named && cell_of(model, old)->kind == CELL_WRITE) {
		cell_of(model, old)->refs++;
		return (uint32_t)old;
	}
	i = cell_new(model, content & TOKEN_MAYBE ? CELL_WILD : CELL_READ, content);
	if (model->cell[i].kind == CELL_WILD)
		return i;
	model->cell[i].owner = space;
	if (named)
		model->cell[i].under = (uint32_t)old;
	set_token(model, space, vpn, TOKEN_CELL | i);
	return i;
}

static void pin_page(struct model *model, struct space *space, const struct area *area,
		     uint32_t vpn, struct model_pin *pin)
{
	struct pinned *page = &pin->page[pin->n++];
	uint64_t content = area_content(model, space, area, vpn), token;

	page->object = OBJECT_NONE;
	if (area->attr & AREA_SHARED || (!pin->write && area->object != OBJECT_NONE &&
					 !tokens_get(&model->pool, &space->tokens, vpn, &token))) {
		page->object = area->object;
		page->number = area_pgoff(model, space, area, vpn);
	} else if (pin->write) {
		page->number = pin_private_write(model, space, area, vpn);
	} else {
		page->number = pin_private_read(model, space, vpn, content);
	}
}

/* Pages of [FIRST, FIRST + LEN) that can be pinned, up to the first that cannot. */
static uint32_t pinnable(const struct judge *judge, uint32_t first, uint32_t len, uint32_t flags)
{
	uint32_t n = 0;

	for (; n < len; n++) {
		const struct area *area = space_area(judge->space, first + n);

		if (!area || !may_pin(area, flags) ||
		    area_beyond_end(judge->model, judge->space, area, first + n))
			break;
	}
	return n;
}

/* Memory ran out at page VPN, which may have been copied all the same. */
static void pin_failed(const struct judge *judge, uint32_t vpn)
{
	const struct area *area = space_area(judge->space, vpn);

	if (!area)
		return;
	area_maybe_copied(judge->model, judge->space, area, vpn, vpn + 1);
	cells_populated(judge->model, judge->space, vpn, vpn + 1, false);
}

enum model_verdict step_pin(const struct judge *judge)
{
	struct model *model = judge->model;
	const uint32_t *args = judge->op->args;
	uint32_t first = args[2] >> PAGE_SHIFT_BITS, flags = args[4], n;
	struct model_pin *pin = &model->pin[args[1] % PIN_MAX];
	enum model_verdict verdict;

	if (model->config.cluster)
		return must_fail(judge, EOPNOTSUPP, 0);
	if (pin->n)
		return must_fail(judge, EBUSY, 0);
	if (!args[3] || args[3] > PIN_PAGES)
		return must_fail(judge, EINVAL, 0);
	n = pinnable(judge, first, args[3], flags);
	if (out_of_memory(judge)) {
		if (flags & OP_PIN_WRITE)
			pin_failed(judge, first);
		return MODEL_AGREES;
	}
	if (!n)
		return must_fail(judge, EFAULT, 0);
	verdict = must_succeed(judge);
	if (verdict != MODEL_AGREES)
		return verdict;
	if (judge->actual->value != n &&
	    !(judge->alloc_failed && judge->actual->value && judge->actual->value < n))
		return disagree(judge, "expected %u pages to be pinned, got %u", n,
				judge->actual->value);
	pin->write = flags & OP_PIN_WRITE;
	for (uint32_t k = 0; k < judge->actual->value; k++)
		pin_page(model, judge->space, space_area(judge->space, first + k), first + k, pin);
	if (pin->n < n && pin->write)
		pin_failed(judge, first + pin->n);
	return MODEL_AGREES;
}

enum model_verdict step_unpin(const struct judge *judge)
{
	struct model *model = judge->model;
	struct model_pin *pin = &model->pin[judge->op->args[0] % PIN_MAX];

	if (!pin->n)
		return must_fail(judge, EBADF, 0);
	for (uint32_t k = 0; k < pin->n; k++) {
		if (pin->page[k].object == OBJECT_NONE)
			model->cell[pin->page[k].number].refs--;
	}
	pin->n = 0;
	cells_let_go(model);
	return must_succeed(judge);
}

/* ---- the device ------------------------------------------------------------------------ */

static enum model_verdict see_object(const struct judge *judge, const struct pinned *page)
{
	uint64_t token = object_read(judge->model, page->object, page->number);

	if (!(token & TOKEN_MAYBE))
		return must_see(judge, token);
	object_write(judge->model, page->object, page->number, judge->actual->token);
	return MODEL_AGREES;
}

/* It sees one of the things that it may see, and the same ever after if its page is not the
 * process's any more. */
static enum model_verdict see_cell(const struct judge *judge, uint32_t i)
{
	struct cell *cell = &judge->model->cell[i];
	uint64_t seen = judge->actual->token;
	uint32_t k = 0;

	if (cell->kind == CELL_WILD)
		return MODEL_AGREES;
	if (cell->kind == CELL_WRITE) {
		uint64_t after = seen;

		if (cell->token & TOKEN_LAZY ? !lazy_settle(judge->model, cell->token, seen, &after)
					     : !(cell->token & TOKEN_MAYBE))
			return must_see(judge, cell->token);
		cell->token = after;
		return MODEL_AGREES;
	}
	while (k < cell->n && cell->maybe[k] != seen)
		k++;
	if (cell->n && k == cell->n)
		return must_see(judge, cell->maybe[cell->n - 1]);
	cell->maybe[0] = seen;
	cell->n = 1;
	if (seen != cell->token)
		cell_part(judge->model, i);
	return MODEL_AGREES;
}

bool pinned_may_be_lost(const struct model *model, const struct op *op, uint64_t token)
{
	const struct model_pin *pin = &model->pin[op->args[0] % PIN_MAX];
	const struct pinned *page = &pin->page[op->args[1] % PIN_PAGES];
	uint64_t content, after;

	if (op->args[1] >= pin->n || page->object != OBJECT_NONE)
		return false;
	content = model->cell[page->number].token;
	return content & TOKEN_LAZY && lazy_settle(model, content, token, &after);
}

/* The errors of an access to a pin; 0: it must succeed. */
static int device_refused(const struct judge *judge, bool write)
{
	const struct model_pin *pin = &judge->model->pin[judge->op->args[0] % PIN_MAX];

	if (!pin->n)
		return EBADF;
	if (judge->op->args[1] >= pin->n)
		return EINVAL;
	return write && !pin->write ? EACCES : 0;
}

enum model_verdict step_pinread(const struct judge *judge)
{
	const struct model_pin *pin = &judge->model->pin[judge->op->args[0] % PIN_MAX];
	int error = device_refused(judge, false);
	const struct pinned *page;

	if (error)
		return must_fail(judge, error, 0);
	if (judge->actual->err)
		return must_succeed(judge);
	page = &pin->page[judge->op->args[1]];
	return page->object == OBJECT_NONE ? see_cell(judge, page->number)
					   : see_object(judge, page);
}

enum model_verdict step_pinwrite(const struct judge *judge)
{
	struct model *model = judge->model;
	const struct model_pin *pin = &model->pin[judge->op->args[0] % PIN_MAX];
	uint64_t token = token_write(judge->op->serial);
	int error = device_refused(judge, true);
	const struct pinned *page;

	if (error)
		return must_fail(judge, error, 0);
	page = &pin->page[judge->op->args[1]];
	if (page->object != OBJECT_NONE) {
		object_write(model, page->object, page->number, token);
	} else if (model->cell[page->number].kind == CELL_WILD) {
		forget_private(model);
	} else {
		model->cell[page->number].token = token;
		cell_may_hold(model, model->cell[page->number].under, token);
	}
	return must_succeed(judge);
}

/* ---- the debugger's write --------------------------------------------------------------- */

/* ptrace(2): EFAULT or EIO for what cannot be written. */
enum model_verdict step_poke(const struct judge *judge)
{
	struct model *model = judge->model;
	uint32_t vpn = judge->op->args[1] >> PAGE_SHIFT_BITS;
	uint64_t token = token_write(judge->op->serial);
	const struct area *area = space_area(judge->space, vpn);

	if (!pinnable(judge, vpn, 1, OP_PIN_WRITE | OP_PIN_FORCE))
		return must_fail(judge, EFAULT, EIO);
	if (out_of_memory(judge)) {
		pin_failed(judge, vpn);
		return MODEL_AGREES;
	}
	if (area->attr & AREA_SHARED)
		object_write(model, area->object, area_pgoff(model, judge->space, area, vpn),
			     token);
	else
		page_write(model, judge->space, vpn, token);
	return must_succeed(judge);
}

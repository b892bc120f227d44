/*
 * Ask a design about every page that is mapped, and compare with what the page tables say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain_private.h"

struct answers {
	struct mapper *mappers;
	size_t n, max;
};

/* All that the design says of the frame at PAGE. 0 or -ENOMEM. */
static int ask(struct answers *answers, struct machine *machine, const struct mapping *page)
{
	answers->n =
		machine_mappers(machine, page->proc, page->vpn, answers->mappers, answers->max);
	if (answers->n > answers->max) {
		struct mapper *grown =
			realloc(answers->mappers, answers->n * sizeof(*answers->mappers));

		if (!grown)
			return -ENOMEM;
		answers->mappers = grown;
		answers->max = answers->n;
		answers->n = machine_mappers(machine, page->proc, page->vpn, grown, answers->max);
	}
	return 0;
}

static void note(struct mapping *set, uint32_t *n, uint32_t proc, uint32_t vpn)
{
	if (*n < FINDING_SET_MAX)
		set[(*n)++] = (struct mapping){proc, vpn};
}

static bool is_entry(const struct picture *picture, uint64_t where, const struct mapper *mapper)
{
	for (size_t i = 0; i < picture->n; i++) {
		const struct entry *entry = &picture->entries[i];

		if (entry->where == where && entry->at.proc == mapper->mm &&
		    entry->at.vpn == mapper->vpn)
			return true;
	}
	return false;
}

static size_t times_shown(const struct answers *answers, const struct mapping *at)
{
	size_t times = 0;

	for (size_t i = 0; i < answers->n; i++)
		times += answers->mappers[i].mm == at->proc && answers->mappers[i].vpn == at->vpn;
	return times;
}

/* Fill in what is missing and what is too much. True: something is. */
static bool compare(struct explain_departure *departure, const struct picture *picture,
		    uint64_t where, const struct answers *answers)
{
	departure->nr_missed = departure->nr_extra = 0;
	for (size_t i = 0; i < picture->n; i++) {
		const struct mapping *at = &picture->entries[i].at;
		size_t times;

		if (picture->entries[i].where != where)
			continue;
		times = times_shown(answers, at);
		if (!times)
			note(departure->missed, &departure->nr_missed, at->proc, at->vpn);
		while (times-- > 1)
			note(departure->extra, &departure->nr_extra, at->proc, at->vpn);
	}
	for (size_t i = 0; i < answers->n; i++) {
		if (!is_entry(picture, where, &answers->mappers[i]))
			note(departure->extra, &departure->nr_extra, answers->mappers[i].mm,
			     answers->mappers[i].vpn);
	}
	return departure->nr_missed || departure->nr_extra;
}

static bool seen_before(const struct picture *picture, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (picture->entries[j].where == picture->entries[i].where)
			return true;
	}
	return false;
}

int departure_look(struct explain_departure *departure, const char *backend,
		   struct machine *machine, uint32_t op)
{
	struct picture picture = {0};
	struct answers answers = {0};
	int err = picture_take(&picture, machine);

	for (size_t i = 0; !err && !departure->found && i < picture.n; i++) {
		const struct entry *entry = &picture.entries[i];

		if (!(entry->where & WHERE_FRAME) || seen_before(&picture, i))
			continue;
		err = ask(&answers, machine, &entry->at);
		if (err || !compare(departure, &picture, entry->where, &answers))
			continue;
		departure->found = true;
		departure->op = op;
		departure->backend = backend;
		departure->page = entry->at;
	}
	free(picture.entries);
	free(answers.mappers);
	return err;
}

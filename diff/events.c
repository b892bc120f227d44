/*
 * A subject's events, cut into segments, and the sets that checks make of them.
 *
 * Order matters between walks and not inside: each design visits in its own order. Sets are
 * sorted arrays; they are small, so a simple sort does.
 */
#include "internal.h"

bool segment_next(const struct subject *subject, size_t *at, struct segment *segment)
{
	size_t first = *at, i = first;
	bool walk;

	if (first == subject->nr_events)
		return false;
	walk = subject->events[first].kind == EVENT_WALK;
	if (walk) {
		while (subject->events[i].kind != EVENT_WALK_END)
			i++;
		i++;
	} else {
		while (i < subject->nr_events && subject->events[i].kind != EVENT_WALK)
			i++;
	}
	*segment = (struct segment){&subject->events[first], i - first, walk};
	*at = i;
	return true;
}

void keys_add(struct keys *keys, uint64_t key)
{
	keys->key = diff_grow(keys->key, &keys->max, keys->n + 1, sizeof(*keys->key));
	keys->key[keys->n++] = key;
}

/* Shell sort with gaps of about 4/9: fine up to the few thousand mappings a page may have. */
void keys_sort(struct keys *keys)
{
	for (size_t gap = keys->n / 2; gap; gap = gap == 2 ? 1 : gap * 4 / 9) {
		for (size_t i = gap; i < keys->n; i++) {
			uint64_t key = keys->key[i];
			size_t j = i;

			for (; j >= gap && keys->key[j - gap] > key; j -= gap)
				keys->key[j] = keys->key[j - gap];
			keys->key[j] = key;
		}
	}
}

bool keys_equal(const struct keys *a, const struct keys *b)
{
	return a->n == b->n && (!a->n || memcmp(a->key, b->key, a->n * sizeof(*a->key)) == 0);
}

void keys_of(struct keys *keys, const struct segment *segment, enum event_kind kind, int aux)
{
	keys->n = 0;
	for (size_t i = 0; i < segment->n; i++) {
		const struct event *event = &segment->event[i];

		if (event->kind == kind && (aux < 0 || event->aux == aux))
			keys_add(keys, key_of(event));
	}
	keys_sort(keys);
}

static bool comes_after(const struct event *a, const struct event *b)
{
	if (key_of(a) != key_of(b))
		return key_of(a) > key_of(b);
	return a->value > b->value;
}

static void event_set_sort(struct event_set *set)
{
	for (size_t gap = set->n / 2; gap; gap = gap == 2 ? 1 : gap * 4 / 9) {
		for (size_t i = gap; i < set->n; i++) {
			struct event event = set->event[i];
			size_t j = i;

			for (; j >= gap && comes_after(&set->event[j - gap], &event); j -= gap)
				set->event[j] = set->event[j - gap];
			set->event[j] = event;
		}
	}
}

void event_set_of(struct event_set *set, const struct segment *segment, enum event_kind kind)
{
	set->n = 0;
	for (size_t i = 0; i < segment->n; i++) {
		if (segment->event[i].kind != kind)
			continue;
		set->event = diff_grow(set->event, &set->max, set->n + 1, sizeof(*set->event));
		set->event[set->n++] = segment->event[i];
	}
	event_set_sort(set);
}

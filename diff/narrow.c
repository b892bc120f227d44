/*
 * mremap is the one call whose outcome depends on where areas begin and end, and designs differ in
 * that by right: some refuse to merge two areas that others do.
 *
 *   - The old range must lie in one area, else EFAULT.
 *   - If it ends exactly where its area does, it may grow in place.
 *
 *      A:  |aaaaaaaaaaaa|        old range:   |......|
 *      B:  |aaaaaaa|aaaa|                ->   |...|        in one area, and at nobody's end
 *
 * Before an mremap, the subjects are asked. If either answer differs, the old range is cut down to
 * a part for which both agree. The cut call means the same to all, and to the model; it is counted.
 */
#include "internal.h"

/* How many pages from VPN on lie in the area there: the least and the most of all subjects. */
static bool room_in_area(struct diff *diff, uint32_t proc, uint32_t vpn, uint32_t *least,
			 uint32_t *most)
{
	*least = UINT32_MAX;
	*most = 0;
	FOR_EACH_SUBJECT (diff, s) {
		struct area_view area;

		if (s->alone)
			continue;
		/* Nothing there: EFAULT for everybody, or else a finding. */
		if (!machine_view_area(s->machine, proc, vpn, &area) || area.start > vpn)
			return false;
		if (area.end - vpn < *least)
			*least = area.end - vpn;
		if (area.end - vpn > *most)
			*most = area.end - vpn;
	}
	return true;
}

void narrow_mremap(struct diff *diff)
{
	uint32_t *old_len = &diff->op.args[3], *new_len = &diff->op.args[4];
	bool fixed = diff->op.args[5] & (OP_MREMAP_FIXED | OP_MREMAP_DONTUNMAP); /* it moves */
	uint32_t len = *old_len < *new_len ? *old_len : *new_len;
	uint32_t least, most, part;
	bool ends_matter = !fixed;

	/* Shrinking in place looks at no area; neither do calls that fail at once. */
	if (!len || (*new_len <= *old_len && !fixed))
		return;
	if (!room_in_area(diff, diff->op.args[0], diff->op.args[2] / PAGE_SIZE, &least, &most))
		return;
	if (least == most || len > most || len < least || (len == least && !ends_matter))
		return;
	part = ends_matter ? least - 1 : least;
	if (!part) {
		/* Even one page ends somebody's area: ask for nothing. */
		*old_len = *new_len = 1;
	} else {
		if (*new_len <= *old_len)
			*new_len = part;
		*old_len = part;
	}
	excuse_count(diff, EXCUSE_MREMAP_NARROWED);
}

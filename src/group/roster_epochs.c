/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster_priv.h"

#include <stdlib.h>

size_t
roster_epoch_count(const struct roster *roster)
{
	return roster->epoch_count;
}

const struct roster_epoch *
roster_epoch_at(const struct roster *roster, uint64_t number)
{
	return number >= 1 && number <= roster->epoch_count ? roster->epochs[number - 1] : NULL;
}

const struct roster_epoch *
roster_epoch(const struct roster *roster, const struct digest *id)
{
	return map_get(&roster->epoch_map, digest_bytes(id));
}

struct epoch_context
roster_epoch_context(const struct roster *roster, const struct roster_epoch *epoch)
{
	return (struct epoch_context){
	    .room_id = roster->s.room_id,
	    .number = epoch->number,
	    .after = epoch->after,
	    .actor = epoch->actor,
	};
}

/* How many epochs opened before place seq. */
static size_t
epochs_before(const struct roster *roster, uint64_t seq)
{
	size_t lo = 0, hi = roster->epoch_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (roster->epochs[mid]->seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct roster_epoch *
roster_epoch_of_seq(const struct roster *roster, uint64_t seq)
{
	size_t n = seq == UINT64_MAX ? roster->epoch_count : epochs_before(roster, seq + 1);

	return n > 0 ? roster->epochs[n - 1] : NULL;
}

bool
roster_entitled(
    const struct roster *roster, const struct roster_member *member, const struct roster_epoch *epoch)
{
	(void)roster; /* whose epoch and member they are */
	if (epoch == NULL || !member_is_reader(member))
		return false;
	if (epoch->history_all)
		return true;
	for (size_t i = 0; i < member->stay_count; i++)
		if (member->stays[i].from_seq <= epoch->seq && epoch->seq < member->stays[i].to_seq)
			return true;
	return false;
}

bool
roster_may_read_events(const struct roster *roster, const struct roster_member *member)
{
	(void)roster;
	return member_is_reader(member);
}

bool
roster_may_read_messages(
    const struct roster *roster, const struct roster_member *member, const struct roster_epoch *epoch)
{
	return member_is_joined(member) && roster_entitled(roster, member, epoch);
}

/*
 * --- ranges ---
 */

struct ranges {
	struct roster_range *list; /* owned */
	size_t count, cap;
};

/* Adds the messages of the epochs with indexes first <= i < end, which lie between their rekeys. */
static enum chat_err
add_epochs(const struct roster *roster, size_t first, size_t end, struct ranges *ranges)
{
	struct roster_range range;

	if (first >= end)
		return CHAT_OK;
	range.from_seq = roster->epochs[first]->seq;
	range.to_seq = end < roster->epoch_count ? roster->epochs[end]->seq : ROSTER_OPEN_END;
	if (ranges->count > 0 && ranges->list[ranges->count - 1].to_seq == range.from_seq) {
		ranges->list[ranges->count - 1].to_seq = range.to_seq;
		return CHAT_OK;
	}
	if (ranges->count == ranges->cap) {
		size_t cap = ranges->cap > 0 ? ranges->cap * 2 : 2;
		struct roster_range *grown = reallocarray(ranges->list, cap, sizeof(*grown));

		if (grown == NULL)
			return CHAT_ERR_NOMEM;
		ranges->list = grown;
		ranges->cap = cap;
	}
	ranges->list[ranges->count++] = range;
	return CHAT_OK;
}

enum chat_err
roster_read_ranges(const struct roster *roster, const struct roster_member *member,
    struct roster_range **ret_ranges, size_t *ret_count)
{
	struct ranges ranges = {0};
	enum chat_err err = CHAT_OK;

	if (!member_is_joined(member))
		goto out;
	if (roster->history_all_count > 0) {
		for (size_t i = 0; i < roster->epoch_count && err == CHAT_OK; i++)
			if (roster_entitled(roster, member, roster->epochs[i]))
				err = add_epochs(roster, i, i + 1, &ranges);
	} else { /* the usual room may have thousands of epochs, of which nothing needs to be looked at */
		for (size_t i = 0; i < member->stay_count && err == CHAT_OK; i++)
			err = add_epochs(roster, epochs_before(roster, member->stays[i].from_seq),
			    epochs_before(roster, member->stays[i].to_seq), &ranges);
	}
	if (err != CHAT_OK) {
		free(ranges.list);
		return err;
	}
out:
	*ret_ranges = ranges.list;
	*ret_count = ranges.count;
	return CHAT_OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "group/content.h"
#include "libchat/room.h"

/* ---- boxes ---- */

/* Opens the box of an epoch whose key is here; what *ret borrows lives in `plain`.  False: nothing of use in
 * it. */
static bool
open_box(struct room *room, const struct roster_epoch *epoch, struct bytes box, struct buf *plain,
    struct room_info *ret)
{
	const struct epoch_key *key = keys_get(room, epoch);
	struct epoch_context context;
	struct digest salt;
	struct info_key info_key;
	struct bytes encoded;
	enum chat_err err;

	if (key == NULL)
		return false;
	context = roster_epoch_context(room->roster, epoch);
	salt = epoch_salt(&context);
	info_key_derive(key, &salt, &info_key);
	err = info_box_open(&info_key, &room->id, epoch->number, box, plain, &encoded);
	info_key_fini(&info_key);
	if (err == CHAT_OK)
		err = room_info_decode(encoded, ret);
	if (err == CHAT_ERR_NOMEM)
		(void)session_check(room->s, err);
	if (err != CHAT_OK)
		return false;
	if (!room_name_valid(ret->name))
		ret->name = BYTES_EMPTY;
	return ret->name.len > 0 || ret->topic.len > 0;
}

/* True if it is another text than before. */
static bool
set_text(struct room *room, struct buf *buf, struct bytes text)
{
	if (bytes_equal(buf_bytes(buf), text))
		return false;
	buf_fini_secret(buf);
	(void)session_check(room->s, buf_append(buf, text.data, text.len));
	return true;
}

static void
take_info(struct room *room, const struct room_info *info, bool *ret_name, bool *ret_topic)
{
	*ret_name = info->name.len > 0 && set_text(room, &room->name, info->name) && room->info_known;
	*ret_topic = set_text(room, &room->topic, info->topic);
	room->info_known = true;
}

void
label_take_box(struct room *room, const struct roster_epoch *epoch, struct bytes info_box, bool *ret_name,
    bool *ret_topic)
{
	const struct key_slot *slot = keys_slot(room, epoch);
	struct buf plain = {0};
	struct room_info info;

	*ret_name = *ret_topic = false;
	if (slot == NULL || epoch->number <= room->info_epoch)
		return;
	/* A member may carry name and topic along, not change them. */
	if ((slot->by_moderator || !room->info_known) && open_box(room, epoch, info_box, &plain, &info)) {
		take_info(room, &info, ret_name, ret_topic);
		room->info_epoch = epoch->number;
	}
	buf_fini_secret(&plain);
}

bool
label_peek(struct room *room, const struct roster_epoch *epoch, struct bytes info_box)
{
	struct buf plain = {0};
	struct room_info info;
	bool final = false;

	if (open_box(room, epoch, info_box, &plain, &info) && info.name.len > 0)
		final = label_set(room, info.name);
	buf_fini_secret(&plain);
	return final;
}

/* ---- the one in force ---- */

struct find_box {
	struct room *room;
	const struct roster_epoch *epoch;
	bool took, name, topic;
};

static bool
take_stored_box(void *ctx, const struct stored_entry *entry)
{
	struct find_box *find = ctx;
	struct room_info info;
	struct buf plain = {0};
	struct event event;

	if (event_decode(entry->wire, &event) == CHAT_OK && event.type == EVENT_REKEY &&
	    open_box(find->room, find->epoch, event.rekey.info_box, &plain, &info)) {
		take_info(find->room, &info, &find->name, &find->topic);
		find->took = true;
	}
	buf_fini_secret(&plain);
	return false;
}

/* True: the search is over, or goes on when a key has come. */
static bool
try_epoch(struct room *room, const struct roster_epoch *epoch)
{
	struct chat_session *s = room->s;
	struct find_box find = {.room = room, .epoch = epoch};

	if (keys_get(room, epoch) == NULL) {
		room->info_loading = keys_are_pending(room, epoch);
		return room->info_loading;
	}
	if (!session_check(
		s, s->st->ops->each_entry(s->st, &room->id, epoch->seq, epoch->seq, take_stored_box, &find)))
		return true;
	return find.took;
}

/* Farther back is not looked for the name of a room. */
#define BOXES_LOOKED_AT 64

void
label_load(struct room *room)
{
	uint64_t last = roster_epoch_count(room->roster), n;
	const struct roster_member *self = room_self(room);
	bool done = false;

	room->info_loading = false;
	if (roster_state(room->roster)->kind == ROOM_DIRECT || self == NULL)
		return;
	if (room->info_epoch > 0 && last > room->info_epoch + BOXES_LOOKED_AT)
		return;
	/* The last that a moderator made counts; without one the first that can be opened. */
	for (n = last; !done && n > 0 && n > room->info_epoch && last - n < BOXES_LOOKED_AT; n--) {
		const struct roster_epoch *epoch = roster_epoch_at(room->roster, n);

		if (room->slots[n - 1].by_moderator && roster_entitled(room->roster, self, epoch))
			done = try_epoch(room, epoch);
	}
	for (n = 1; !done && !room->info_known && n <= last && n <= BOXES_LOOKED_AT; n++) {
		const struct roster_epoch *epoch = roster_epoch_at(room->roster, n);

		if (roster_entitled(room->roster, self, epoch))
			done = try_epoch(room, epoch);
	}
	if (!room->info_loading && room->info_known) {
		room->info_epoch = last;
		(void)label_update(room);
	}
}

/* ---- labels ---- */

static bool
label_is_taken(const struct room *room, const char *label)
{
	const struct room *other;

	TAILQ_FOREACH (other, &room->s->room_list, link)
		if (other != room && !other->gone && strcmp(other->label, label) == 0)
			return true;
	return false;
}

/* "ops" and "ops~2" are of "ops". */
static bool
label_is_of(const char *label, const char *base)
{
	size_t len = strlen(base);

	if (strncmp(label, base, len) != 0)
		return false;
	return label[len] == '\0' || (label[len] == '~' && strspn(label + len + 1, "0123456789") > 0 &&
					 label[len + 1 + strspn(label + len + 1, "0123456789")] == '\0');
}

#define SUFFIX_CHARS 8

bool
label_set(struct room *room, struct bytes name)
{
	char base[LABEL_CHARS - SUFFIX_CHARS], label[LABEL_CHARS];
	bool direct = roster_state(room->roster)->kind == ROOM_DIRECT;

	/* Only direct rooms have labels with @ in front. */
	snprintf(base, sizeof base, "%s%.*s", !direct && name.len > 0 && name.data[0] == '@' ? "_" : "",
	    (int)name.len, (const char *)name.data);
	while (!utf8_valid(BYTES_STR(base)))
		base[strlen(base) - 1] = '\0'; /* cut in the middle of a character */
	if (label_is_of(room->label, base) && !label_is_taken(room, room->label)) {
		room->label_is_final = true;
		return true;
	}
	snprintf(label, sizeof label, "%s", base);
	for (unsigned n = 2; label_is_taken(room, label); n++)
		snprintf(label, sizeof label, "%s~%u", base, n);
	strlcpy(room->label, label, sizeof room->label);
	room->label_is_final = true;
	room->dirty = true;
	return true;
}

bool
label_update(struct room *room)
{
	const struct roster_member *peer = roster_peer(room->roster, &room->s->identity.member_id);
	char name[ACCOUNT_MAX_BYTES + 2];

	if (peer != NULL) {
		snprintf(name, sizeof name, "@%s", peer->account.s);
		return label_set(room, BYTES_STR(name));
	}
	if (room->name.len > 0)
		return label_set(room, buf_bytes(&room->name));
	if (room->label[0] == '\0')
		snprintf(room->label, sizeof room->label, "room-%02x%02x%02x%02x", room->id.b[0],
		    room->id.b[1], room->id.b[2], room->id.b[3]);
	return room->label_is_final;
}

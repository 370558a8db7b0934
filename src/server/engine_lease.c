/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who rekeys: after a change of readers one connection is asked, alone, for a while. */

#include <assert.h>

#include "server/engine_impl.h"

void
room_end_lease(struct engine *engine, struct room *room)
{
	if (!room->leased)
		return;
	TAILQ_REMOVE(&engine->leased_rooms, room, lease_link);
	room->leased = false;
}

bool
session_is_joined(const struct room *room, const struct session *session)
{
	return member_is_joined(roster_member(room->roster, &session->account->member_id));
}

/* `prefer` if it follows the room and may, else the one that was asked the longest ago, or never. */
static struct subscriber *
choose_rekeyer(const struct engine *engine, const struct room *room, struct conn_ref prefer)
{
	struct session *session = engine_session(engine, prefer);
	struct subscriber *subscriber = session != NULL ? room_subscriber(room, session) : NULL;

	if (subscriber != NULL && session_is_joined(room, session))
		return subscriber;
	TAILQ_FOREACH (subscriber, &room->subscribers, room_link)
		if (session_is_joined(room, subscriber->session))
			return subscriber;
	return NULL;
}

void
room_lend_rekey(struct engine *engine, struct room *room, struct conn_ref prefer)
{
	Chat__V1__RekeyWanted push = CHAT__V1__REKEY_WANTED__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct subscriber *subscriber;

	if (room->leased || room->roster == NULL || !roster_needs_rekey(room->roster))
		return;
	subscriber = choose_rekeyer(engine, room, prefer);
	if (subscriber == NULL)
		return; /* the next member who comes is asked */
	room_asked(room, subscriber);
	room->leased = true;
	room->lease = subscriber->session->conn;
	room->lease_until_ms = engine->now.mono_ms + REKEY_LEASE_MS;
	TAILQ_INSERT_TAIL(&engine->leased_rooms, room, lease_link);
	push.room_id.data = room->id.b;
	push.room_id.len = DIGEST_BYTES;
	push.lease_ms = REKEY_LEASE_MS;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED;
	frame.rekey_wanted = &push;
	engine_out_frame(engine, subscriber->session->conn, &frame, 0);
}

void
leases_end_due(struct engine *engine)
{
	struct room *room;

	while ((room = TAILQ_FIRST(&engine->leased_rooms)) != NULL &&
	       room->lease_until_ms <= engine->now.mono_ms) {
		room_end_lease(engine, room);
		/* It had its time; somebody else next, or it again if it is alone. */
		room_lend_rekey(engine, room, (struct conn_ref){0});
	}
}

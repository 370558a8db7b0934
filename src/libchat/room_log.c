/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group/seal.h"
#include "libchat/room.h"

/* From so many unverified messages on a worker verifies them: below it the hand-over costs more than it
 * saves. */
#define VERIFY_APART_MIN 32
#define VERIFY_APART_MAX 512
/* A replay of so many entries is long enough to tell how far it is. */
#define PROGRESS_MIN 1000
/* So often in a row the subscription is begun anew because entries are missing. */
#define GAP_TRIES_MAX 3

/* ---- verifying apart ---- */

#define SIGNED_BYTES (MESSAGE_HEADER_BYTES + DIGEST_BYTES)

/* The signature of a message whose sender is known by now; false: it is verified when its turn comes. */
static bool
add_signature(const struct room *room, const struct in_entry *entry, struct work *work)
{
	const struct roster_member *sender;
	struct work_signature *sig = &work->verify.signatures[work->verify.count];
	uint8_t *what = work->verify.body + (size_t)work->verify.count * SIGNED_BYTES;
	struct message message;

	if (message_decode(BYTES(entry->wire, entry->len), &message) != CHAT_OK)
		return false;
	sender = roster_member(room->roster, &message.header.sender);
	if (sender == NULL)
		return false;
	memcpy(what, message.header_wire.data, MESSAGE_HEADER_BYTES);
	memcpy(what + MESSAGE_HEADER_BYTES, message.body_hash.b, DIGEST_BYTES);
	sig->domain = "message";
	sig->what = BYTES(what, SIGNED_BYTES);
	memcpy(sig->pk, sender->ed_pk, sizeof sig->pk);
	memcpy(sig->sig, message.sig.data, sizeof sig->sig);
	work->verify.count++;
	return true;
}

static void
tell_progress(struct room *room)
{
	struct chat_event *event;

	if (room->resumed_seq < room_head(room)->seq + PROGRESS_MIN)
		return;
	event = room_event(room, CHAT_EVENT_PROGRESS);
	if (event != NULL) {
		event_printf(event, "reading %s", room->label[0] != '\0' ? room->label : "a room");
		event->number = room_head(room)->seq;
		event->total = room->resumed_seq;
	}
	session_emit(room->s, event);
}

/* True if a work item has the next messages' signatures. */
static bool
verify_apart(struct room *room)
{
	struct work *work;
	struct in_entry *entry;

	if (room->in_count < VERIFY_APART_MIN || room->verify_work != 0)
		return false;
	work = session_new_work(room->s, WORK_VERIFY, room);
	if (work != NULL) {
		work->verify.body = reallocarray(NULL, VERIFY_APART_MAX, SIGNED_BYTES);
		work->verify.signatures = calloc(VERIFY_APART_MAX, sizeof *work->verify.signatures);
	}
	if (work == NULL || work->verify.body == NULL || work->verify.signatures == NULL) {
		work_free(work);
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return true;
	}
	STAILQ_FOREACH (entry, &room->in, link) {
		if (work->verify.count == VERIFY_APART_MAX)
			break;
		if (entry->kind == ENTRY_MESSAGE && entry->len > 0 && entry->sig == SIG_UNKNOWN &&
		    add_signature(room, entry, work)) {
			entry->sig = SIG_UNDER_WAY;
			entry->sig_index = work->verify.count - 1;
		}
	}
	if (work->verify.count == 0) {
		work_free(work);
		return false;
	}
	room->verify_work = work->id;
	session_add_work(room->s, work);
	tell_progress(room);
	return true;
}

void
room_verified(struct room *room, struct work *work)
{
	struct in_entry *entry;

	room_wake(room);
	if (work->id != room->verify_work) {
		join_verified(room, work);
		return;
	}
	room->verify_work = 0;
	STAILQ_FOREACH (entry, &room->in, link)
		if (entry->sig == SIG_UNDER_WAY)
			entry->sig = work->verify.signatures[entry->sig_index].good ? SIG_GOOD : SIG_BAD;
}

/* ---- what any entry brings ---- */

static void
stop_at(struct room *room, uint64_t seq, enum chat_err err, const char *why)
{
	char text[200];

	if (err == CHAT_ERR_NOMEM) {
		(void)session_check(room->s, err);
		return;
	}
	if (err == CHAT_ERR_UNSUPPORTED)
		snprintf(text, sizeof text, "Entry %" PRIu64 " needs a newer client than this one.", seq);
	else
		snprintf(text, sizeof text,
		    "Entry %" PRIu64 " breaks the rules of rooms (%s); the server should have refused it.",
		    seq, why);
	room_stop(room, true, err, text,
	    err == CHAT_ERR_UNSUPPORTED ? "install a newer version" : "tell the administrator of the server");
}

static void
remember_hash(struct room *room)
{
	const struct log_head *head = room_head(room);

	if (room->ring == NULL) {
		room->ring = calloc(ROOM_RING, sizeof *room->ring);
		if (room->ring == NULL) {
			(void)session_check(room->s, CHAT_ERR_NOMEM);
			return;
		}
		room->ring_from = head->seq;
	}
	room->ring[head->seq % ROOM_RING] = head->L;
	if (head->seq - room->ring_from >= ROOM_RING)
		room->ring_from = head->seq - ROOM_RING + 1;
}

/* What an author had seen is compared with what was seen here, as far back as hashes are kept. */
static void
compare_seen(struct room *room, const struct digest *author, uint64_t seq, uint64_t seen_seq,
    const struct digest *seen_hash)
{
	if (room->ring == NULL || seen_seq < room->ring_from || seen_seq >= seq ||
	    digest_equal(seen_hash, &room->ring[seen_seq % ROOM_RING]))
		return;
	session_warn(room->s, room, seq, "compare the log with them aloud: /audit",
	    "%s had another log of %s before its entry %" PRIu64 " than this client: they differ at %" PRIu64
	    " or before.",
	    room_name_of(room, author), room->label, seq, seen_seq);
}

static void
store_entry(struct room *room, const struct in_entry *entry, const struct digest *entry_hash, bool whole)
{
	struct chat_session *s = room->s;
	const struct stored_entry stored = {
	    .seq = entry->seq,
	    .server_time_ms = entry->server_time_ms,
	    .kind = entry->kind,
	    .wire = whole ? BYTES(entry->wire, entry->len) : BYTES_EMPTY,
	    .entry_hash = *entry_hash,
	};

	tx_begin(s);
	if (s->in_tx)
		(void)session_check(s, s->st->ops->put_entry(s->st, &room->id, &stored));
}

static struct show_item *
new_item(const struct room *room, const struct in_entry *entry, bool with_wire)
{
	struct show_item *item = show_item_new(
	    entry->seq, entry->server_time_ms, with_wire ? BYTES(entry->wire, entry->len) : BYTES_EMPTY);

	if (item == NULL)
		return NULL;
	item->hash = room_head(room)->L;
	/* By the server's clock: a room that was made on this connection is read from its first entry too. */
	if (entry->seq <= room->resumed_seq && !room->caught_up && entry->server_time_ms < room->s->hello_unix_ms)
		item->flags = CHAT_FLAG_REPLAY;
	return item;
}

/* ---- events ---- */

/* The own stay, where the event is about it. */
static void
note_own_stay(struct room *room, const struct roster_change *change)
{
	if (change->member == NULL || !room_is_self(room, &change->member->id))
		return;
	if (change->new_state == MEMBER_OUT && change->old_state != MEMBER_OUT) {
		/* Not where a replay goes through an earlier stay. */
		if (room->since_seq <= change->seq)
			room_leave(room, NULL);
	} else if (change->type == EVENT_JOIN && change->member->stay_count > 0)
		fetch_late(room, change->member->stays[change->member->stay_count - 1].from_seq, change->seq);
}

static void
note_epoch(struct room *room, const struct roster_change *change, uint64_t server_time_ms)
{
	struct key_slot *slot = keys_slot(room, change->epoch);

	if (slot == NULL)
		return;
	slot->by_moderator = change->actor->role >= ROLE_MODERATOR;
	room->epoch_time_ms = server_time_ms;
	room->rekey_tries = 0;
	room->closed_since_ms = 0;
	keys_epoch_opened(room, change->epoch);
}

static void
take_event(struct room *room, const struct in_entry *entry)
{
	struct roster_refusal refusal = {.why = "malformed"};
	struct roster_change change;
	struct show_item *item;
	const uint8_t *pk;
	struct event event;
	enum chat_err err;

	err = event_decode(BYTES(entry->wire, entry->len), &event);
	if (err == CHAT_OK && !digest_equal(&event.room_id, &room->id)) {
		refusal.why = "of another room";
		err = CHAT_ERR_MALFORMED;
	}
	if (err == CHAT_OK) {
		pk = roster_actor_key(room->roster, &event);
		err = roster_take_event(room->roster, &event, pk != NULL && event_signatures_good(&event, pk),
		    entry->server_time_ms, &change, &refusal);
	}
	if (err != CHAT_OK) {
		stop_at(room, entry->seq, err, refusal.why);
		return;
	}
	compare_seen(room, &event.actor, entry->seq, event.seen_seq, &event.seen_hash);
	store_entry(room, entry, &change.entry_hash, true);
	if (event.card_wire.len > 0)
		keys_note_card_of(room, entry->seq, &event);
	if (event.type == EVENT_REKEY)
		note_epoch(room, &change, entry->server_time_ms);
	item = new_item(room, entry, event.type == EVENT_REKEY);
	if (item == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	item->event = show_event_of(room, &event, entry->seq, entry->server_time_ms);
	if (item->event == NULL)
		(void)session_check(room->s, CHAT_ERR_NOMEM);
	item->epoch = change.epoch;
	show_add(room, item);
	if (event.type == EVENT_INVITE && room_is_self(room, &event.actor) &&
	    !(item->flags & CHAT_FLAG_REPLAY))
		rewrap_for_invitee(room, change.member);
	note_own_stay(room, &change);
}

/* ---- messages ---- */

static void
note_counter(struct room *room, const struct message_header *header)
{
	const struct stored_counter counter = {
	    .sender = header->sender, .device = header->device, .last = header->counter};

	(void)session_check(room->s, room->s->st->ops->put_counter(room->s->st, &room->id, &counter));
}

static void
tell_verdict(struct room *room, uint64_t seq, const struct digest *sender,
    const struct roster_message_verdict *verdict)
{
	if (verdict->gap > 0)
		session_warn(room->s, room, seq, NULL,
		    "%" PRIu64 " message(s) of %s are missing before entry %" PRIu64 " of %s.", verdict->gap,
		    room_name_of(room, sender), seq, room->label);
	if (verdict->err == CHAT_ERR_BAD_SIGNATURE)
		session_warn(room->s, room, seq, NULL,
		    "Entry %" PRIu64 " of %s claims to be of %s and is not signed by them; it is not shown.",
		    seq, room->label, room_name_of(room, sender));
	else if (verdict->err != CHAT_OK && verdict->err != CHAT_ERR_ALREADY)
		session_warn(room->s, room, seq, NULL,
		    "Entry %" PRIu64 " of %s is not valid (%s); it is not shown.", seq, room->label,
		    verdict->why);
}

static void
note_own_message(struct room *room, const struct message *message, const struct digest *entry_hash)
{
	struct chat_session *s = room->s;

	if (sender_saw(room, message, entry_hash) ||
	    memcmp(&message->header.device, &s->device, sizeof s->device) != 0)
		return;
	/* It carries this device's name, and was not sent from here: there is a copy of this storage, or it
	 * is one. */
	s->device_is_copy = true;
}

static void
take_message(struct room *room, const struct in_entry *entry)
{
	struct roster_message_verdict verdict;
	const struct roster_member *sender;
	struct digest entry_hash;
	struct show_item *item;
	struct message message;
	bool good, own;
	enum chat_err err;

	err = message_decode(BYTES(entry->wire, entry->len), &message);
	if (err != CHAT_OK) {
		stop_at(room, entry->seq, err, "malformed");
		return;
	}
	sender = roster_member(room->roster, &message.header.sender);
	good = entry->sig == SIG_GOOD;
	if (entry->sig == SIG_UNKNOWN)
		good = sender != NULL && message_signature_good(&message, sender->ed_pk);
	entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	err = roster_take_message(
	    room->roster, &message.header, &entry_hash, good, entry->server_time_ms, &verdict);
	if (err != CHAT_OK) {
		(void)session_check(room->s, err);
		return;
	}
	/* What is not valid is kept as a stub: it counts for the hashes, and is never shown. */
	store_entry(room, entry, &entry_hash, verdict.err == CHAT_OK);
	if (room->s->in_tx && (verdict.err == CHAT_OK || verdict.err == CHAT_ERR_BAD_SIGNATURE))
		note_counter(room, &message.header);
	tell_verdict(room, entry->seq, &message.header.sender, &verdict);
	if (verdict.err != CHAT_OK)
		return;
	compare_seen(
	    room, &message.header.sender, entry->seq, message.header.seen_seq, &message.header.seen_hash);
	own = room_is_self(room, &message.header.sender);
	if (own)
		note_own_message(room, &message, &entry_hash);
	else if (entry->seq > room->read_seq)
		room->unread_count++;
	item = new_item(room, entry, true);
	if (item == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	item->epoch = roster_epoch(room->roster, &message.header.epoch_id);
	item->sender = message.header.sender;
	item->own_device =
	    own && memcmp(&message.header.device, &room->s->device, sizeof room->s->device) == 0;
	show_add(room, item);
}

static void
take_stub(struct room *room, const struct in_entry *entry)
{
	struct show_item *item;

	roster_take_stub(room->roster, entry->server_time_ms, &entry->entry_hash);
	store_entry(room, entry, &entry->entry_hash, false);
	sender_saw_stub(room, &entry->entry_hash);
	/* Nothing to show, but what is shown goes past it. */
	item = new_item(room, entry, false);
	if (item == NULL)
		(void)session_check(room->s, CHAT_ERR_NOMEM);
	else
		show_add(room, item);
}

/* ---- in order ---- */

static void
check_resumed(struct room *room)
{
	const struct log_head *head = room_head(room);

	if (room->phase != ROOM_FOLLOWED || room->caught_up || head->seq < room->resumed_seq)
		return;
	if (head->seq == room->resumed_seq && !digest_equal(&head->L, &room->resumed_hash)) {
		room_stop(room, true, CHAT_ERR_HISTORY_CHANGED,
		    "The server's entries do not give the hash that it names for its log.",
		    "tell the administrator of the server");
		return;
	}
	room->caught_up = true;
}

/* What was sent is not what follows: the subscription is begun again, a few times without anything that follows. */
static void
mend_gap(struct room *room, uint64_t seq)
{
	char text[160];

	if (room->gap_tries++ < GAP_TRIES_MAX) {
		room_on_gap(room);
		return;
	}
	snprintf(text, sizeof text, "The server sent entry %" PRIu64 " where %" PRIu64 " was to come.", seq,
	    room_head(room)->seq + 1);
	session_warn(room->s, room, seq, "tell the administrator of the server", "%s", text);
	room_stop(room, false, CHAT_ERR_MALFORMED, text, "tell the administrator of the server");
}

static void
take_next(struct room *room)
{
	struct in_entry *entry = STAILQ_FIRST(&room->in);

	STAILQ_REMOVE_HEAD(&room->in, link);
	room->in_count--;
	room->s->queued_bytes -= sizeof *entry + entry->len;
	room->gap_tries = 0;
	if (entry->kind == ENTRY_EVENT)
		take_event(room, entry);
	else if (entry->len > 0)
		take_message(room, entry);
	else
		take_stub(room, entry);
	free(entry);
}

void
log_take(struct room *room)
{
	struct chat_session *s = room->s;
	uint64_t start_seq = room_head(room)->seq;
	struct in_entry *entry;

	check_resumed(room);
	while (!s->ended && room->phase == ROOM_FOLLOWED && (entry = STAILQ_FIRST(&room->in)) != NULL) {
		uint64_t next = room_head(room)->seq + 1;

		if (entry->seq > next) {
			mend_gap(room, entry->seq);
			break;
		}
		if (entry->seq == next && entry->kind == ENTRY_MESSAGE && entry->len > 0) {
			if (entry->sig == SIG_UNDER_WAY)
				break;
			if (entry->sig == SIG_UNKNOWN && verify_apart(room) && entry->sig == SIG_UNDER_WAY)
				break;
		}
		if (entry->seq < next) { /* came twice, around a Resume */
			STAILQ_REMOVE_HEAD(&room->in, link);
			room->in_count--;
			s->queued_bytes -= sizeof *entry + entry->len;
			free(entry);
			continue;
		}
		take_next(room);
		if (!s->ended)
			remember_hash(room);
		check_resumed(room);
	}
	if (room_head(room)->seq != start_seq && !s->ended)
		room_put(room);
	tx_commit(s);
}

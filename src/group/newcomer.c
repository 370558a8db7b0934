/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/newcomer.h"

static struct digest
event_entry_hash(const struct event *event)
{
	return log_entry_hash(ENTRY_EVENT, &event->event_hash, event->sig);
}

/* The events in order of their numbers, the create first, all of one room. */
static bool
events_in_order(const struct newcomer_event *events, size_t count)
{
	if (count == 0 || events[0].seq != 1 || events[0].event->type != EVENT_CREATE)
		return false;
	for (size_t i = 1; i < count; i++)
		if (events[i].seq <= events[i - 1].seq ||
		    !digest_equal(&events[i].event->room_id, &events[0].event->room_id))
			return false;
	return true;
}

/* Is the log up to head (its seq and E) what the inviter signed, says the preimage of that hash? */
static bool
preimage_agrees(
    struct bytes preimage, const struct log_head *head, const struct newcomer_event *last, struct digest L)
{
	struct log_preimage pre;
	struct digest hash;

	if (head->seq == 0)
		return preimage.len == 0 && digest_is_zero(&L);
	if (log_preimage_decode(preimage, &pre) != CHAT_OK)
		return false;
	hash = log_preimage_hash(&pre);
	if (!digest_equal(&hash, &L) || pre.seq != head->seq || !digest_equal(&pre.E, &head->E))
		return false;
	if (last->seq != head->seq)
		return true;
	hash = event_entry_hash(last->event);
	return digest_equal(&hash, &pre.entry_hash);
}

enum chat_err
newcomer_check(const struct newcomer_event *events, size_t event_count, struct bytes preimage,
    const struct newcomer_stub *stubs, size_t stub_count, struct log_head *ret_head)
{
	const struct newcomer_event *invitation;
	struct log_head head = {0};
	size_t next = 0; /* of the events */

	if (!events_in_order(events, event_count))
		return CHAT_ERR_BAD_PREFIX;
	invitation = &events[event_count - 1];
	head.seq = invitation->event->seen_seq;
	if (head.seq >= invitation->seq || stub_count != invitation->seq - head.seq)
		return CHAT_ERR_BAD_PREFIX;

	/* Up to what the inviter had seen: E from the events, L from the inviter's signature. */
	for (; events[next].seq <= head.seq; next++)
		head.E = log_chain_next(&head.E, &events[next].event->event_hash);
	head.L = invitation->event->seen_hash;
	if (!preimage_agrees(preimage, &head, &events[next > 0 ? next - 1 : 0], head.L))
		return CHAT_ERR_BAD_PREFIX;

	/* From there on the server's word, which the next seen_hash of any member will confirm or not. */
	for (size_t i = 0; i < stub_count; i++) {
		const struct event *event = NULL;

		if (stubs[i].seq != head.seq + 1)
			return CHAT_ERR_BAD_PREFIX;
		if (events[next].seq == stubs[i].seq) {
			struct digest hash = event_entry_hash(events[next].event);

			if (!digest_equal(&hash, &stubs[i].entry_hash))
				return CHAT_ERR_BAD_PREFIX;
			event = events[next++].event;
		}
		log_head_advance(&head, stubs[i].server_time_ms, &stubs[i].entry_hash,
		    event != NULL ? &event->event_hash : NULL);
	}
	*ret_head = head;
	return CHAT_OK;
}

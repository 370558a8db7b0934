/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster_priv.h"

#include <assert.h>
#include <stdlib.h>

/*
 * --- events ---
 */

enum chat_err
roster_post_event(struct roster *roster, const struct roster_post *post, struct roster_change *ret_change,
    struct roster_refusal *ret_refusal)
{
	const struct event *e = post->event;
	struct roster_refusal refusal;
	struct roster_change change;
	enum chat_err err;

	assert(!roster->headless);
	err = roster_judge(roster, post, roster->s.head.seq + 1, &refusal);
	if (err != CHAT_OK) {
		if (ret_refusal != NULL)
			*ret_refusal = refusal;
		return err;
	}
	err = roster_apply(roster, e, roster->s.head.seq + 1, &change);
	if (err != CHAT_OK)
		return err;
	change.entry_hash = log_entry_hash(ENTRY_EVENT, &e->event_hash, e->sig);
	log_head_advance(&roster->s.head, post->server_time_ms, &change.entry_hash, &e->event_hash);
	if (roster->batch && roster->batch_events++ == 0)
		roster->batch_actor = e->actor;
	if (ret_change != NULL)
		*ret_change = change;
	return CHAT_OK;
}

enum chat_err
roster_take_event(struct roster *roster, const struct event *event, bool signatures_good,
    uint64_t server_time_ms, struct roster_change *ret_change, struct roster_refusal *ret_refusal)
{
	const struct roster_post post = {
	    .event = event,
	    .signatures_good = signatures_good,
	    .server_time_ms = server_time_ms,
	};

	return roster_post_event(roster, &post, ret_change, ret_refusal);
}

enum chat_err
roster_load_event(struct roster *roster, uint64_t seq, const struct event *event, bool signatures_good,
    struct roster_refusal *ret_refusal)
{
	const struct roster_post post = {.event = event, .signatures_good = signatures_good};
	struct roster_refusal refusal;
	struct roster_change change;
	enum chat_err err;

	assert(!roster->batch);
	if (seq <= roster->s.head.seq) {
		refusal = (struct roster_refusal){.err = CHAT_ERR_MALFORMED, .why = "events out of order"};
		err = refusal.err;
	} else
		err = roster_judge(roster, &post, seq, &refusal);
	if (err != CHAT_OK) {
		if (ret_refusal != NULL)
			*ret_refusal = refusal;
		return err;
	}
	err = roster_apply(roster, event, seq, &change);
	if (err != CHAT_OK)
		return err;
	roster->s.head.seq = seq;
	roster->s.head.E = log_chain_next(&roster->s.head.E, &event->event_hash);
	roster->headless = true;
	return CHAT_OK;
}

enum chat_err
roster_set_head(struct roster *roster, const struct log_head *head)
{
	assert(!roster->batch);
	if (head->seq < roster->s.head.seq || !digest_equal(&head->E, &roster->s.head.E))
		return CHAT_ERR_CORRUPT;
	roster->s.head = *head;
	roster->headless = false;
	roster->blind_seq = head->seq;
	return CHAT_OK;
}

/*
 * --- counters ---
 */

struct counter *
roster_find_counter(const struct roster *roster, const struct digest *sender, const struct device_id *device)
{
	const struct counter_key key = {.sender = *sender, .device = *device};

	return map_get(&roster->counter_map, BYTES(&key, sizeof(key)));
}

struct counter *
roster_add_counter(struct roster *roster, const struct digest *sender, const struct device_id *device)
{
	struct counter *counter = calloc(1, sizeof(*counter));

	if (counter == NULL)
		return NULL;
	counter->key = (struct counter_key){.sender = *sender, .device = *device};
	counter->member = roster_find(roster, sender);
	if (map_put(&roster->counter_map, BYTES(&counter->key, sizeof(counter->key)), counter) != CHAT_OK) {
		free(counter);
		return NULL;
	}
	if (counter->member != NULL)
		counter->member->device_count++;
	return counter;
}

void
roster_drop_counter(struct roster *roster, struct counter *counter)
{
	if (counter->member != NULL)
		counter->member->device_count--;
	(void)map_remove(&roster->counter_map, BYTES(&counter->key, sizeof(counter->key)));
	free(counter);
}

uint64_t
roster_counter(const struct roster *roster, const struct digest *sender, const struct device_id *device)
{
	const struct counter *counter = roster_find_counter(roster, sender, device);

	return counter != NULL ? counter->last : 0;
}

bool
roster_next_counter(const struct roster *roster, size_t *iter, struct roster_counter *ret)
{
	/* map_next() takes a map that may be changed meanwhile; this one is not. */
	const struct counter *counter = map_next((struct map *)(uintptr_t)&roster->counter_map, iter);

	if (counter == NULL)
		return false;
	ret->sender = counter->key.sender;
	ret->device = counter->key.device;
	ret->last = counter->last;
	return true;
}

enum chat_err
roster_set_counter(
    struct roster *roster, const struct digest *sender, const struct device_id *device, uint64_t last)
{
	struct counter *counter = roster_find_counter(roster, sender, device);

	assert(!roster->batch && !roster->headless);
	if (counter == NULL)
		counter = roster_add_counter(roster, sender, device);
	if (counter == NULL)
		return CHAT_ERR_NOMEM;
	counter->last = last;
	counter->last_seq = roster->s.head.seq;
	return CHAT_OK;
}

void
roster_set_blind(struct roster *roster)
{
	assert(!roster->batch && !roster->headless);
	roster->blind_seq = roster->s.head.seq + 1; /* behind what roster_set_counter() takes for known */
}

/* The device's message is the entry at place seq: its counter is used. */
static enum chat_err
use_counter(struct roster *r, struct counter *counter, const struct message_header *header, uint64_t seq)
{
	if (undo_reserve(r) != CHAT_OK)
		return CHAT_ERR_NOMEM;
	if (counter == NULL) {
		counter = roster_add_counter(r, &header->sender, &header->device);
		if (counter == NULL)
			return CHAT_ERR_NOMEM;
		undo_note_counter_new(r, counter);
	} else
		undo_note_counter(r, counter);
	counter->last = header->counter;
	counter->last_seq = seq;
	return CHAT_OK;
}

/*
 * --- messages ---
 */

/* What makes a message invalid at place seq, but for counter and signature. */
static enum chat_err
judge_message(const struct roster *r, const struct counter *counter, const struct message_header *header,
    const struct digest *poster, uint64_t seq, const char **ret_why)
{
	const struct roster_member *sender;

	sender =
	    counter != NULL && counter->member != NULL ? counter->member : roster_find(r, &header->sender);
	if (!member_is_joined(sender)) {
		*ret_why = "not joined";
		return CHAT_ERR_NOT_ALLOWED;
	}
	if (poster != NULL && !digest_equal(poster, &header->sender)) {
		*ret_why = "another's message";
		return CHAT_ERR_NOT_ALLOWED;
	}
	if (!r->s.open || !digest_equal(&header->epoch_id, &r->s.epoch_id)) {
		*ret_why = r->s.open ? "another epoch" : "the room is not open";
		return CHAT_ERR_STALE;
	}
	if (header->seen_seq < r->s.epoch_seq || header->seen_seq >= seq) {
		*ret_why = "seen_seq is not between the rekey and it";
		return CHAT_ERR_BAD_SEEN;
	}
	*ret_why = "";
	return CHAT_OK;
}

enum chat_err
roster_post_message(struct roster *roster, const struct message_header *header, const struct digest *entry,
    const struct digest *poster, uint64_t server_time_ms, struct roster_refusal *ret_refusal)
{
	uint64_t seq = roster->s.head.seq + 1;
	struct counter *counter = roster_find_counter(roster, &header->sender, &header->device);
	uint64_t last = counter != NULL ? counter->last : 0;
	struct roster_refusal refusal = {.expected = last + 1, .why = ""};
	enum chat_err err;

	assert(!roster->headless);
	if (header->counter <= last)
		err = refuse(&refusal, CHAT_ERR_ALREADY, "the counter was used");
	else if (header->counter > last + 1)
		err = refuse(&refusal, CHAT_ERR_OUT_OF_ORDER, "a counter too high");
	else {
		err = judge_message(roster, counter, header, poster, seq, &refusal.why);
		refusal.err = err;
	}
	if (err != CHAT_OK) {
		if (ret_refusal != NULL)
			*ret_refusal = refusal;
		return err;
	}
	err = use_counter(roster, counter, header, seq);
	if (err == CHAT_OK)
		log_head_advance(&roster->s.head, server_time_ms, entry, NULL);
	return err;
}

enum chat_err
roster_take_message(struct roster *roster, const struct message_header *header, const struct digest *entry,
    bool signature_good, uint64_t server_time_ms, struct roster_message_verdict *ret_verdict)
{
	uint64_t seq = roster->s.head.seq + 1;
	struct counter *counter = roster_find_counter(roster, &header->sender, &header->device);
	uint64_t last = counter != NULL ? counter->last : 0;
	uint64_t last_seq = counter != NULL ? counter->last_seq : 0;
	struct roster_message_verdict verdict = {.why = ""};

	assert(!roster->headless);
	if (header->counter <= last) {
		verdict.err = CHAT_ERR_ALREADY;
		verdict.why = "a repeat";
	} else
		verdict.err = judge_message(roster, counter, header, NULL, seq, &verdict.why);
	if (verdict.err == CHAT_OK) {
		if (use_counter(roster, counter, header, seq) != CHAT_OK)
			return CHAT_ERR_NOMEM;
		if (last_seq >= roster->blind_seq)
			verdict.gap = header->counter - last - 1;
		if (!signature_good) {
			verdict.err = CHAT_ERR_BAD_SIGNATURE;
			verdict.why = "message";
		}
	}
	log_head_advance(&roster->s.head, server_time_ms, entry, NULL);
	*ret_verdict = verdict;
	return CHAT_OK;
}

void
roster_take_stub(struct roster *roster, uint64_t server_time_ms, const struct digest *entry_hash)
{
	assert(!roster->batch && !roster->headless);
	log_head_advance(&roster->s.head, server_time_ms, entry_hash, NULL);
	roster->blind_seq = roster->s.head.seq;
}

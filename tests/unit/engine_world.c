/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine_world.h"

#include <stdio.h>

#include "accounts/passwd_file.h"
#include "base/log.h"
#include "group/loghash.h"

void
world_start(struct world *w, uint64_t seed, const struct store_options *options)
{
	char error[STORE_ERROR_BYTES], path[512];

	/* A line that a test causes is no news. */
	log_set_level(LOG_ERROR);
	*w = (struct world){.seed = seed, .now = {.mono_ms = 1000, .unix_ms = UINT64_C(1800000000000)}};
	w->random = unit_random(&w->seed);
	w->dir = unit_temp_dir();
	w->config = (struct engine_config){
	    .loop_count = WORLD_LOOPS,
	    .slots_per_loop = WORLD_SLOTS,
	    .sessions_per_account = 16,
	    .rooms_per_account = 1000,
	    .room_readers_max = 2000,
	};
	snprintf(path, sizeof path, "%s/chat.db", w->dir);
	if (options != NULL)
		w->options = *options;
	assert_ok(store_open(path, &w->options, &w->store, error));
	assert_ok(engine_new(&w->config, w->store, &w->engine));
}

static void
world_stop(struct world *w)
{
	outcome_list_free(w->out);
	w->out = NULL;
	engine_free(w->engine);
	store_close(w->store);
}

void
world_restart(struct world *w)
{
	char error[STORE_ERROR_BYTES], path[512];

	world_stop(w);
	snprintf(path, sizeof path, "%s/chat.db", w->dir);
	assert_ok(store_open(path, &w->options, &w->store, error));
	assert_ok(engine_new(&w->config, w->store, &w->engine));
}

void
world_end(struct world *w)
{
	world_stop(w);
	free(w->dir);
}

void
person_make(struct world *w, struct person *p, const char *name)
{
	uint8_t rsa_n[RSA_BYTES], raw[8];
	struct identity_root root;
	struct account_name account;

	*p = (struct person){0};
	assert_ok(account_name_set(BYTES_STR(name), &account));
	identity_root_generate(&w->random, &root);
	identity_init(&root, store_realm(w->store), &account, &p->identity);
	w->random.fill(w->random.ctx, rsa_n, sizeof rsa_n);
	rsa_n[0] |= 0x80;
	rsa_n[RSA_BYTES - 1] |= 1;
	assert_ok(card_build(&p->identity, NULL, false, rsa_n, w->now.unix_ms, &p->card));
	assert_ok(card_decode_verify(buf_bytes(&p->card), &p->decoded));
	w->random.fill(w->random.ctx, p->device.b, sizeof p->device.b);
	w->random.fill(w->random.ctx, raw, sizeof raw);
	hex_encode(BYTES_ARRAY(raw), p->id);
}

void
person_next_card(struct world *w, struct person *p, bool retired)
{
	uint8_t rsa_n[RSA_BYTES];
	struct buf next = {0};

	w->random.fill(w->random.ctx, rsa_n, sizeof rsa_n);
	rsa_n[0] |= 0x80;
	rsa_n[RSA_BYTES - 1] |= 1;
	assert_ok(card_build(&p->identity, &p->decoded, retired, rsa_n, w->now.unix_ms, &next));
	buf_fini(&p->card);
	p->card = next;
	assert_ok(card_decode_verify(buf_bytes(&p->card), &p->decoded));
}

void
person_end(struct person *p)
{
	buf_fini(&p->card);
}

/* A hash of the right form; nobody types a password here. */
#define ANY_HASH                                                                                             \
	"$6$saltsaltsaltsalt$"                                                                               \
	"qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

void
world_accounts(struct world *w, const struct person *const *people, size_t count, const char *locked)
{
	struct command *cmd = command_new(CMD_ACCOUNTS, (struct conn_ref){0}, 0, 0);
	struct buf text = {0};
	struct passwd_why why;

	for (size_t i = 0; i < count; i++) {
		const char *name = people[i]->identity.account.s;

		assert_ok(buf_printf(&text, "%s:%s:%sid=%s\n", name, ANY_HASH,
		    locked != NULL && strcmp(locked, name) == 0 ? "locked," : "", people[i]->id));
	}
	why.text[0] = '\0';
	if (passwd_table_parse(buf_bytes(&text), "passwd", &cmd->accounts.table, &why) != CHAT_OK)
		fail_msg("%s", why.text);
	buf_fini(&text);
	world_turn(w, cmd);
}

struct conn_ref
world_conn(uint16_t loop, uint32_t slot)
{
	return (struct conn_ref){.loop = loop, .slot = slot, .generation = 1};
}

void
world_begin(struct world *w)
{
	outcome_list_free(w->out);
	w->out = NULL;
	w->now.mono_ms += 1;
	w->now.unix_ms += 1;
	engine_turn_begin(w->engine, w->now);
}

void
world_commit(struct world *w)
{
	w->out = engine_turn_commit(w->engine);
}

void
world_turn(struct world *w, struct command *cmd)
{
	world_begin(w);
	engine_apply(w->engine, cmd);
	world_commit(w);
}

/* Lays bytes into a command's body, one behind the other. */
static struct bytes
lay(struct command *cmd, size_t *at, struct bytes from)
{
	struct bytes to = BYTES(cmd->body + *at, from.len);

	assert_true(*at + from.len <= cmd->body_len);
	memcpy(cmd->body + *at, from.data, from.len);
	*at += from.len;
	return to;
}

struct command *
cmd_publish(struct world *w, struct conn_ref from, const struct person *p)
{
	uint8_t bag[64] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
	struct bytes name = account_bytes(&p->identity.account);
	struct command *cmd = command_new(
	    CMD_PUBLISH_IDENTITY, from, ++w->next_id, 2 * name.len + 64 + p->card.len + sizeof bag);
	size_t at = 0;

	cmd->publish_identity.account = lay(cmd, &at, name);
	cmd->publish_identity.account_id = lay(cmd, &at, BYTES_STR(p->id));
	cmd->publish_identity.card = lay(cmd, &at, buf_bytes(&p->card));
	cmd->publish_identity.bag = lay(cmd, &at, BYTES_ARRAY(bag));
	return cmd;
}

struct command *
cmd_card(struct world *w, struct conn_ref from, const struct person *p)
{
	struct command *cmd = command_new(CMD_PUBLISH_CARD, from, ++w->next_id, p->card.len);
	size_t at = 0;

	cmd->publish_card.card = lay(cmd, &at, buf_bytes(&p->card));
	return cmd;
}

struct command *
cmd_key(struct world *w, struct conn_ref from, const struct person *p)
{
	struct bytes name = account_bytes(&p->identity.account);
	struct command *cmd = command_new(CMD_KEY_PROVED, from, ++w->next_id, name.len + 64);
	size_t at = 0;

	cmd->key_proved.account = lay(cmd, &at, name);
	cmd->key_proved.account_id = lay(cmd, &at, BYTES_STR(p->id));
	cmd->key_proved.addr = lay(cmd, &at, BYTES_STR("127.0.0.1"));
	cmd->key_proved.member_id = p->identity.member_id;
	return cmd;
}

void
world_login(struct world *w, struct conn_ref conn, const struct person *p)
{
	world_turn(w, cmd_publish(w, conn, p));
	assert_answered(w, OUT_OK, conn);
	world_turn(w, cmd_key(w, conn, p));
	assert_answered(w, OUT_LOGIN_OK, conn);
}

void
copy_init(struct world *w, struct copy *c)
{
	*c = (struct copy){0};
	c->roster = roster_new(store_realm(w->store), true);
	assert_non_null(c->roster);
}

void
copy_fini(struct copy *c)
{
	roster_free(c->roster);
}

/* Fills in who, where and what was seen, signs, and moves the copy along. */
void
draft_event(struct world *w, struct draft *d, const struct person *actor, struct copy *c, struct event *event)
{
	const struct roster_state *state = roster_state(c->roster);
	struct roster_wraps wraps = {0};
	struct roster_refusal refusal = {0};
	struct event decoded;

	event->room_id = state->room_id;
	event->actor = actor->identity.member_id;
	if (state->created) {
		event->seen_seq = state->head.seq;
		event->seen_hash = state->head.L;
	}
	event->time_ms = w->now.unix_ms;
	assert_true(d->count < ARRAY_LEN(d->wires));
	assert_ok(event_build(event, &actor->identity.sign, &d->wires[d->count], NULL));
	assert_ok(event_decode(buf_bytes(&d->wires[d->count]), &decoded));
	if (event->type == EVENT_REKEY) {
		wraps.staged = true;
		wraps.count = d->staged->count;
	}
	if (roster_post_event(c->roster,
		&(const struct roster_post){
		    .event = &decoded,
		    .poster = &actor->identity.member_id,
		    .wraps = &wraps,
		    .server_time_ms = w->now.unix_ms + 1, /* the turn that it will be posted in */
		    .signatures_good = true,
		},
		NULL, &refusal) != CHAT_OK)
		fail_msg("the draft is refused: %s", refusal.why);
	c->room_id = roster_state(c->roster)->room_id;
	d->count++;
}

void
draft_create(struct world *w, struct draft *d, const struct person *actor, struct copy *c)
{
	struct event event = {.type = EVENT_CREATE};

	w->random.fill(w->random.ctx, event.create.nonce, sizeof event.create.nonce);
	event.create.history_policy = HISTORY_FROM_INVITATION;
	event.create.realm = *store_realm(w->store);
	event.card_wire = buf_bytes(&actor->card);
	draft_event(w, d, actor, c, &event);
}

void
draft_create_direct(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, const struct person *peer)
{
	struct event event = {.type = EVENT_CREATE};

	w->random.fill(w->random.ctx, event.create.nonce, sizeof event.create.nonce);
	event.create.kind = ROOM_DIRECT;
	event.create.realm = *store_realm(w->store);
	event.card_wire = buf_bytes(&actor->card);
	event.peer_card_wire = buf_bytes(&peer->card);
	draft_event(w, d, actor, c, &event);
}

void
draft_invite(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, const struct person *who)
{
	struct event event = {.type = EVENT_INVITE};

	event.after = *roster_next_after(c->roster, EVENT_INVITE, &who->identity.member_id);
	event.card_wire = buf_bytes(&who->card);
	draft_event(w, d, actor, c, &event);
}

void
draft_simple(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, enum event_type type)
{
	struct event event = {.type = type};

	event.after = *roster_next_after(c->roster, type, &actor->identity.member_id);
	draft_event(w, d, actor, c, &event);
}

void
draft_kick(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, const struct person *who)
{
	struct event event = {.type = EVENT_KICK};

	event.after = *roster_next_after(c->roster, EVENT_KICK, &who->identity.member_id);
	event.kick.target = who->identity.member_id;
	draft_event(w, d, actor, c, &event);
}

/* The wraps are random bytes: the server looks at their number, length and hash only. */
void
draft_rekey(struct world *w, struct draft *d, const struct person *actor, struct copy *c)
{
	uint8_t box[PADDING_UNIT_BYTES + AEAD_TAG_BYTES];
	struct event event = {.type = EVENT_REKEY};
	struct wrap_set *set = calloc(1, sizeof *set);
	struct wraps_hash wh;

	set->count = roster_reader_count(c->roster);
	set->wraps = calloc(set->count, WRAP_BYTES);
	w->random.fill(w->random.ctx, set->wraps, set->count * WRAP_BYTES);
	wraps_hash_init(&wh, set->count);
	for (uint32_t i = 0; i < set->count; i++) {
		struct digest h = hash_once(BYTES(set->wraps + (size_t)i * WRAP_BYTES, WRAP_BYTES));

		wraps_hash_add(&wh, &h);
	}
	set->wraps_hash = wraps_hash_end(&wh);
	assert_null(d->staged);
	d->staged = set;
	w->random.fill(w->random.ctx, box, sizeof box);
	event.after = *roster_next_after(c->roster, EVENT_REKEY, NULL);
	event.rekey.epoch = roster_state(c->roster)->epoch + 1;
	w->random.fill(w->random.ctx, event.rekey.commitment.b, DIGEST_BYTES);
	event.rekey.wraps_hash = set->wraps_hash;
	event.rekey.info_box = BYTES_ARRAY(box);
	draft_event(w, d, actor, c, &event);
}

struct command *
draft_command(struct world *w, struct draft *d, struct conn_ref from, const struct digest *room_id)
{
	size_t len = d->count * sizeof(struct command_event), at = len;
	struct command *cmd;

	for (size_t i = 0; i < d->count; i++)
		len += d->wires[i].len;
	cmd = command_new(CMD_POST_EVENTS, from, ++w->next_id, len);
	if (room_id != NULL)
		cmd->room_id = *room_id;
	cmd->events.events = (struct command_event *)(void *)cmd->body;
	cmd->events.count = (uint32_t)d->count;
	cmd->events.staged = d->staged;
	for (size_t i = 0; i < d->count; i++) {
		cmd->events.events[i].wire = lay(cmd, &at, buf_bytes(&d->wires[i]));
		cmd->events.events[i].signatures_good = !d->bad[i];
		buf_fini(&d->wires[i]);
	}
	*d = (struct draft){0};
	return cmd;
}

struct message_header
header_next(const struct world *w, const struct person *p, const struct copy *c)
{
	const struct roster_state *state = roster_state(c->roster);

	return (struct message_header){
	    .epoch_id = state->epoch_id,
	    .sender = p->identity.member_id,
	    .device = p->device,
	    .counter = roster_counter(c->roster, &p->identity.member_id, &p->device) + 1,
	    .seen_seq = state->head.seq,
	    .seen_hash = state->head.L,
	    .time_ms = w->now.unix_ms,
	};
}

struct command *
cmd_message_of(struct world *w, struct conn_ref from, const struct person *p, const struct digest *room_id,
    const struct message_header *header)
{
	struct epoch_key key = {{1}};
	struct message message;
	struct buf wire = {0};
	struct command *cmd;
	size_t at = 0;

	assert_ok(message_seal(&key, header, BYTES_STR("hello"), &p->identity.sign, &w->random, &wire));
	cmd = command_new(CMD_POST_MESSAGE, from, ++w->next_id, wire.len);
	cmd->room_id = *room_id;
	cmd->message.wire = lay(cmd, &at, buf_bytes(&wire));
	buf_fini(&wire);
	assert_ok(message_decode(cmd->message.wire, &message));
	cmd->message.entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	return cmd;
}

struct command *
cmd_message(struct world *w, struct conn_ref from, const struct person *p, struct copy *c)
{
	struct message_header header = header_next(w, p, c);
	struct command *cmd = cmd_message_of(w, from, p, &c->room_id, &header);
	struct roster_refusal refusal = {0};

	if (roster_post_message(c->roster, &header, &cmd->message.entry_hash, &p->identity.member_id,
		w->now.unix_ms + 1, &refusal) != CHAT_OK)
		fail_msg("the message is refused: %s", refusal.why);
	return cmd;
}

struct command *
cmd_resume(struct world *w, struct conn_ref from, const struct digest *room_id, uint64_t next_seq,
    const struct digest *hash)
{
	struct command *cmd = command_new(CMD_RESUME, from, ++w->next_id, 0);

	cmd->room_id = *room_id;
	cmd->resume.next_seq = next_seq;
	cmd->resume.hash = *hash;
	return cmd;
}

static bool
same_conn(struct conn_ref a, struct conn_ref b)
{
	return a.loop == b.loop && a.slot == b.slot && a.generation == b.generation;
}

const struct outcome *
find_out(const struct outcome *list, enum outcome_type type, struct conn_ref to)
{
	for (; list != NULL; list = list->next)
		if (list->type == type && same_conn(list->to, to))
			return list;
	return NULL;
}

void
world_assert_refused(
    struct world *w, struct conn_ref conn, enum chat_err expected, const char *file, int line)
{
	const struct outcome *out = find_out(w->out, OUT_ERROR, conn);

	if (out == NULL) {
		print_error("no error, but %s was expected\n", chat_err_name(expected));
		_fail(file, line);
		return;
	}
	unit_assert_err(out->error.err, expected, out->error.text, file, line);
}

const struct outcome *
world_assert_answered(
    struct world *w, enum outcome_type type, struct conn_ref conn, const char *file, int line)
{
	const struct outcome *out = find_out(w->out, type, conn), *error = find_out(w->out, OUT_ERROR, conn);

	if (out == NULL) {
		print_error("no such answer; the error is %s: %s\n",
		    error != NULL ? chat_err_name(error->error.err) : "none",
		    error != NULL ? error->error.text : "");
		_fail(file, line);
	}
	return out;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * For tests only: prints the secrets that a client keeps below its data directory, so that a test can look
 *for them where they must not be.  It opens the wraps with the identity's own keys, as a client does; the
 *program itself has no such option.
 *
 *	reveal_keys DATA_DIR/HOST:PORT/ACCOUNT
 *
 * prints lines of a name and hex: ed_seed, bag_key, rsa_key (PKCS#8 DER), and for each epoch whose key can be
 *had `epoch`; and, as something that everybody may know, `room_id` and `epoch_id`.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group/bag.h"
#include "group/epoch.h"
#include "group/roster.h"
#include "libchat/storage_sqlite.h"

#define RSA_KEYS_MAX 16

struct opener {
	struct storage *st;
	struct stored_identity stored;
	struct identity identity;
	struct rsa_key *rsa[RSA_KEYS_MAX];
	size_t rsa_count;
	struct roster *roster;
	const struct roster_epoch *epoch;
	unsigned opened;
};

static void
must(enum chat_err err, const char *what)
{
	if (err == CHAT_OK)
		return;
	fprintf(stderr, "reveal_keys: %s: %s\n", what, chat_err_name(err));
	exit(1);
}

static void
print_hex(const char *name, struct bytes b)
{
	printf("%s ", name);
	for (size_t i = 0; i < b.len; i++)
		printf("%02x", b.data[i]);
	printf("\n");
}

static void
open_bag(struct opener *o)
{
	struct buf blob = {0}, plain = {0};
	struct bytes der;
	struct bag bag;
	size_t at = 0;

	must(o->st->ops->get_bag(o->st, &blob), "the bag");
	must(bag_open(o->identity.bag_key, &o->identity.realm, &o->identity.account, 0, buf_bytes(&blob),
		 &plain, &bag),
	    "the bag's key");
	while (o->rsa_count < RSA_KEYS_MAX && bag_next_key(&bag, &at, &der)) {
		print_hex("rsa_key", der);
		must(rsa_key_from_pkcs8(der, &o->rsa[o->rsa_count++]), "an RSA key");
	}
	buf_fini_secret(&plain);
	buf_fini(&blob);
}

static bool
load_event(void *ctx, const struct stored_entry *entry)
{
	struct opener *o = ctx;
	struct event event;

	must(event_decode(entry->wire, &event), "an event");
	must(roster_load_event(o->roster, entry->seq, &event, true, NULL), "an event's place");
	return true;
}

static bool
try_wrap(void *ctx, const struct stored_wrap *stored)
{
	struct opener *o = ctx;
	struct epoch_context context = roster_epoch_context(o->roster, o->epoch);
	struct wrap_target target = {.member_id = o->identity.member_id};
	const struct roster_member *self = roster_member(o->roster, &o->identity.member_id);
	struct bytes wrap = stored->wire;
	struct rewrap rewrap;
	struct epoch_key key;

	if (self == NULL)
		return false;
	target.card_hash = self->card_hash;
	if (stored->source == WRAP_REWRAP) {
		if (rewrap_decode(stored->wire, &rewrap) != CHAT_OK)
			return true;
		wrap = rewrap.wrap;
		target.card_hash = rewrap.card_hash;
	}
	for (size_t i = 0; i < o->rsa_count; i++) {
		if (wrap_open(&context, &o->epoch->commitment, &target, o->rsa[i], wrap, &random_kernel,
			&key) != CHAT_OK)
			continue;
		print_hex("epoch_id", digest_bytes(&o->epoch->id));
		print_hex("epoch", BYTES_ARRAY(key.b));
		o->opened++;
		return false;
	}
	return true;
}

static bool
open_room(void *ctx, const struct stored_room *stored)
{
	struct opener *o = ctx;

	print_hex("room_id", digest_bytes(&stored->room_id));
	o->roster = roster_new(&o->identity.realm, true);
	if (o->roster == NULL)
		must(CHAT_ERR_NOMEM, "a roster");
	must(o->st->ops->each_event(o->st, &stored->room_id, load_event, o), "the events");
	for (uint64_t n = 1; n <= roster_epoch_count(o->roster); n++) {
		o->epoch = roster_epoch_at(o->roster, n);
		must(o->st->ops->each_wrap(o->st, &stored->room_id, &o->epoch->id, try_wrap, o), "the wraps");
	}
	roster_free(o->roster);
	return true;
}

int
main(int argc, char **argv)
{
	struct opener o = {.opened = 0};
	const char *name;
	char *text = NULL;

	if (argc != 2 || (name = strrchr(argv[1], '/')) == NULL) {
		fprintf(stderr, "usage: reveal_keys DATA_DIR/HOST:PORT/ACCOUNT\n");
		return 2;
	}
	must(storage_sqlite_open(argv[1], STORAGE_NO_SLOT, &o.st, &text), argv[1]);
	must(o.st->ops->get_identity(o.st, &o.stored), "the identity");
	struct account_name account;
	must(account_name_set(BYTES_STR(name + 1), &account), "the account's name");
	identity_init(&o.stored.root, &o.stored.realm, &account, &o.identity);
	print_hex("ed_seed", BYTES_ARRAY(o.stored.root.ed_seed));
	print_hex("bag_key", BYTES_ARRAY(o.stored.root.bag_key));
	open_bag(&o);
	must(o.st->ops->each_room(o.st, open_room, &o), "the rooms");
	for (size_t i = 0; i < o.rsa_count; i++)
		rsa_key_free(o.rsa[i]);
	identity_fini(&o.identity);
	identity_root_fini(&o.stored.root);
	storage_sqlite_close(o.st);
	free(text);
	return o.opened > 0 ? 0 : 1;
}

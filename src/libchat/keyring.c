/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/keyring.h"

#include <stdlib.h>

struct rsa_key_ref *
rsa_key_ref_new(struct rsa_key *key)
{
	struct rsa_key_ref *ref = calloc(1, sizeof *ref);

	if (ref == NULL) {
		rsa_key_free(key);
		return NULL;
	}
	ref->refs = 1;
	ref->key = key;
	rsa_key_modulus(key, ref->n);
	return ref;
}

struct rsa_key_ref *
rsa_key_ref_ref(struct rsa_key_ref *ref)
{
	atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed);
	return ref;
}

void
rsa_key_ref_unref(struct rsa_key_ref *ref)
{
	if (ref == NULL || atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) != 1)
		return;
	rsa_key_free(ref->key);
	free(ref);
}

void
keyring_fini(struct keyring *ring)
{
	for (uint32_t i = 0; i < ring->count; i++)
		rsa_key_ref_unref(ring->keys[i]);
	ring->count = 0;
}

enum chat_err
keyring_load(struct keyring *ring, const struct bag *bag)
{
	struct keyring fresh = {0};
	enum chat_err err = CHAT_OK;
	struct bytes der;
	size_t at = 0;

	while (err == CHAT_OK && bag_next_key(bag, &at, &der)) {
		struct rsa_key *key;

		if (fresh.count == KEYRING_MAX) {
			err = CHAT_ERR_MALFORMED;
			break;
		}
		err = rsa_key_from_pkcs8(der, &key);
		if (err != CHAT_OK)
			break;
		if (rsa_key_bytes(key) != RSA_BYTES) {
			rsa_key_free(key);
			err = CHAT_ERR_MALFORMED;
			break;
		}
		fresh.keys[fresh.count] = rsa_key_ref_new(key);
		if (fresh.keys[fresh.count] == NULL)
			err = CHAT_ERR_NOMEM;
		else
			fresh.count++;
	}
	if (err == CHAT_OK && fresh.count == 0)
		err = CHAT_ERR_MALFORMED;
	if (err != CHAT_OK) {
		keyring_fini(&fresh);
		return err;
	}
	keyring_fini(ring);
	*ring = fresh;
	return CHAT_OK;
}

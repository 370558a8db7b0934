/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_GROUP_VECTORS_H
#define TESTS_UNIT_GROUP_VECTORS_H

/*
 * What the tests of group share: the published cases of our own formats (protocol-v1.json), read into the
 * structs of group, and randomness that is given instead of drawn.
 *
 * Threads: one.
 */

#include "unit.h"
#include "vectors.h"

#include <chat/err.h>

#include "base/random.h"
#include "crypto/rsa_oaep.h"
#include "group/card.h"
#include "group/identity.h"

#define PROTOCOL_VECTORS "protocol-v1.json"

/* The result that a case asks for, by its stable name. */
enum chat_err gv_result(const json_t *test);
/* Fails, naming the case, unless got is want; counts it otherwise. */
void gv_assert_err(const json_t *test, enum chat_err got, enum chat_err want, struct vec_count *count);

struct realm gv_realm(struct vectors *v, const json_t *obj);
struct account_name gv_account(const json_t *obj);
struct account_name gv_account_of(const char *name);
/* The member `key`, exactly n bytes. */
void gv_copy(struct vectors *v, const json_t *obj, const char *key, void *ret, size_t n);

/* PKCS#8 DER of the file's rsa_keys[index], borrowed from v, and the private key, the caller's to free. */
struct bytes gv_pkcs8(struct vectors *v, size_t index);
struct rsa_key *gv_rsa_key(struct vectors *v, size_t index);

/* A person of one of the file's rooms: found by id, who holds the seed, and its card with this hash. */
const json_t *gv_person(const json_t *room, const struct digest *member_id); /* NULL if unknown */
void gv_person_identity(struct vectors *v, const json_t *person, struct identity *ret);
const json_t *gv_person_card(const json_t *person, const struct digest *card_hash); /* NULL if it has none */

/* Randomness that gives `from` in order, and fails the test when asked for more. */
struct given_random {
	struct bytes from;
	struct random_source source;
};
void given_random_init(struct given_random *given, struct bytes from);
/* Fails unless all was taken. */
void given_random_assert_empty(const struct given_random *given);

#endif

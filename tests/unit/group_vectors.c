/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group_vectors.h"

#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

static const enum chat_err all_errors[] = {
#define ERR_CONSTANT(constant, number, name, sentence) constant,
    CHAT_ERRORS(ERR_CONSTANT)
#undef ERR_CONSTANT
};

enum chat_err
gv_result(const json_t *test)
{
	const char *name = vec_str(test, "result");

	for (size_t i = 0; i < sizeof(all_errors) / sizeof(all_errors[0]); i++) {
		if (strcmp(chat_err_name(all_errors[i]), name) == 0)
			return all_errors[i];
	}
	fail_msg("no result is called %s", name);
	return CHAT_ERR_INTERNAL;
}

void
gv_assert_err(const json_t *test, enum chat_err got, enum chat_err want, struct vec_count *count)
{
	if (got != want)
		fail_msg("case \"%s\": %s instead of %s", vec_str(test, "comment"), chat_err_name(got),
		    chat_err_name(want));
	if (got == CHAT_OK)
		count->accepted++;
	else
		count->refused++;
}

void
gv_copy(struct vectors *v, const json_t *obj, const char *key, void *ret, size_t n)
{
	struct bytes b = vec_hex(v, obj, key);

	assert_int_equal(b.len, n);
	memcpy(ret, b.data, n);
}

struct realm
gv_realm(struct vectors *v, const json_t *obj)
{
	struct realm realm;

	gv_copy(v, obj, "realm", realm.b, sizeof(realm.b));
	return realm;
}

struct account_name
gv_account_of(const char *name)
{
	struct account_name account;

	assert_ok(account_name_set(BYTES_STR(name), &account));
	return account;
}

struct account_name
gv_account(const json_t *obj)
{
	return gv_account_of(vec_str(obj, "account"));
}

/* Where `mark` ends in `text`, or the test fails. */
static const char *
behind(const char *text, const char *mark)
{
	const char *at = strstr(text, mark);

	assert_non_null(at);
	return at + strlen(mark);
}

struct bytes
gv_pkcs8(struct vectors *v, size_t index)
{
	const json_t *key = json_array_get(vec_array(v->root, "rsa_keys"), index);
	const char *pem = vec_str(key, "pkcs8_pem");
	const char *start = behind(pem, "-----BEGIN PRIVATE KEY-----");
	const char *end = strstr(start, "-----END");
	struct base64_decode_ctx ctx;
	uint8_t der[4096];
	char hex[2 * sizeof(der) + 1];
	size_t der_len = sizeof(der);
	json_t *string;
	struct bytes ret;

	assert_non_null(end);
	assert_true((size_t)(end - start) <= BASE64_ENCODE_LENGTH(sizeof(der)));
	base64_decode_init(&ctx);
	assert_true(base64_decode_update(&ctx, &der_len, der, (size_t)(end - start), start));
	assert_true(base64_decode_final(&ctx));
	/* through hex, for then the bytes belong to v as all the others */
	hex_encode(BYTES(der, der_len), hex);
	string = json_string(hex);
	ret = vec_hex_value(v, string);
	json_decref(string);
	return ret;
}

struct rsa_key *
gv_rsa_key(struct vectors *v, size_t index)
{
	struct rsa_key *key = NULL;

	assert_ok(rsa_key_from_pkcs8(gv_pkcs8(v, index), &key));
	return key;
}

const json_t *
gv_person(const json_t *room, const struct digest *member_id)
{
	const char *name;
	json_t *person;

	json_object_foreach(vec_object(room, "people"), name, person)
	{
		struct digest id = vec_digest(person, "member_id");

		if (digest_equal(&id, member_id))
			return person;
	}
	return NULL;
}

void
gv_person_identity(struct vectors *v, const json_t *person, struct identity *ret)
{
	struct identity_root root;
	struct realm realm = gv_realm(v, v->root);
	struct account_name account = gv_account(person);

	gv_copy(v, person, "ed_seed", root.ed_seed, sizeof(root.ed_seed));
	gv_copy(v, person, "bag_key", root.bag_key, sizeof(root.bag_key));
	identity_init(&root, &realm, &account, ret);
}

const json_t *
gv_person_card(const json_t *person, const struct digest *card_hash)
{
	size_t i;
	json_t *card;

	json_array_foreach(vec_array(person, "cards"), i, card)
	{
		struct digest hash = vec_digest(card, "hash");

		if (digest_equal(&hash, card_hash))
			return card;
	}
	return NULL;
}

static void
given_fill(void *ctx, void *ret, size_t n)
{
	struct given_random *given = ctx;

	assert_true(n <= given->from.len);
	memcpy(ret, given->from.data, n);
	given->from.data += n;
	given->from.len -= n;
}

void
given_random_init(struct given_random *given, struct bytes from)
{
	*given = (struct given_random){.from = from, .source = {.fill = given_fill, .ctx = given}};
}

void
given_random_assert_empty(const struct given_random *given)
{
	assert_int_equal(given->from.len, 0);
}

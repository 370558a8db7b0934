/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "examples.h"

#include <stdio.h>

#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "group/bag.h"
#include "group/content.h"
#include "group/recovery.h"
#include "group_vectors.h"
#include "proto/frame.h"
#include "proto/wire.h"

static const struct realm realm = {
    {'s', 'e', 'c', 'u', 'r', 'e', '-', 'c', 'h', 'a', 't', ' ', 'd', 'e', 'm', 'o'}};

/* ---- values ---- */

json_t *
example_add(json_t *examples, const char *name)
{
	json_t *values = json_array();
	json_t *example = json_pack("{s:s, s:o}", "name", name, "values", values);

	assert_non_null(example);
	assert_int_equal(json_array_append_new(examples, example), 0);
	return values;
}

static void
put(json_t *values, const char *name, const char *kind, json_t *value)
{
	json_t *item = json_pack("{s:s, s:o}", "name", name, kind, value);

	assert_non_null(item);
	assert_int_equal(json_array_append_new(values, item), 0);
}

void
put_hex(json_t *values, const char *name, struct bytes b)
{
	char *hex = malloc(2 * b.len + 1);

	assert_non_null(hex);
	hex_encode(b, hex);
	put(values, name, "hex", json_string(hex));
	free(hex);
}

void
put_digest(json_t *values, const char *name, const struct digest *d)
{
	put_hex(values, name, digest_bytes(d));
}

void
put_u64(json_t *values, const char *name, uint64_t v)
{
	uint8_t b[8];

	be64_put(b, v);
	put_hex(values, name, BYTES_ARRAY(b));
}

void
put_text(json_t *values, const char *name, const char *text)
{
	put(values, name, "text", json_string(text));
}

void
put_number(json_t *values, const char *name, uint64_t v)
{
	put(values, name, "number", json_integer((json_int_t)v));
}

struct bytes
counting(uint8_t first, size_t n)
{
	static uint8_t all[256 + 64];

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	assert_true(first + n <= sizeof(all));
	return BYTES(all + first, n);
}

static void
put_domain(json_t *values, const char *name, const char *x)
{
	uint8_t domain[DOMAIN_MAX_BYTES];

	put_hex(values, name, BYTES(domain, domain_put(x, domain)));
}

/* ---- people ---- */

static void
person_make(struct example_person *person, const char *name, uint8_t first)
{
	struct account_name account;
	char path[512];
	size_t len;
	uint8_t *der;

	memset(person, 0, sizeof(*person));
	memcpy(person->root.ed_seed, counting(first, ED25519_SEED_BYTES).data, ED25519_SEED_BYTES);
	memcpy(person->root.bag_key, counting((uint8_t)(first + 0x20), BAG_KEY_BYTES).data, BAG_KEY_BYTES);
	assert_ok(account_name_set(BYTES_STR(name), &account));
	identity_init(&person->root, &realm, &account, &person->identity);

	snprintf(path, sizeof(path), "%s/tests/fixtures/rsa-%s.der", unit_srcdir(), name);
	der = unit_read_file(path, &len);
	assert_non_null(der);
	assert_ok(buf_append(&person->pkcs8, der, len));
	free(der);
	assert_ok(rsa_key_from_pkcs8(buf_bytes(&person->pkcs8), &person->rsa));
	rsa_key_modulus(person->rsa, person->rsa_n);

	assert_ok(
	    card_build(&person->identity, NULL, false, person->rsa_n, EXAMPLE_TIME_MS, &person->card_wire));
	assert_ok(card_decode_verify(buf_bytes(&person->card_wire), &person->card));
}

static void
person_end(struct example_person *person)
{
	buf_fini(&person->pkcs8);
	buf_fini(&person->card_wire);
	rsa_key_free(person->rsa);
}

static void
example_member_id(json_t *examples, const struct example_person *alice)
{
	json_t *values = example_add(examples, "member_id");
	const struct identity *identity = &alice->identity;
	uint8_t preimage[MEMBER_PREIMAGE_MAX];
	size_t len = member_id_preimage(&realm, &identity->account, identity->sign.pk, preimage);
	struct digest id = hash_once(BYTES(preimage, len));
	char digits[DIGITS_CHARS + 1], qr[MEMBER_QR_CHARS + 1];

	assert_true(digest_equal(&id, &identity->member_id));
	digest_digits(&id, digits);
	member_id_qr(&id, qr);
	put_hex(values, "realm", BYTES_ARRAY(realm.b));
	put_text(values, "account", identity->account.s);
	put_hex(values, "ed_seed", BYTES_ARRAY(alice->root.ed_seed));
	put_hex(values, "ed_pk", BYTES_ARRAY(identity->sign.pk));
	put_domain(values, "D(\"member\")", "member");
	put_hex(values, "preimage", BYTES(preimage, len));
	put_digest(values, "member_id", &id);
	put_text(values, "digits", digits);
	put_text(values, "QR code", qr);
}

static void
example_card(json_t *examples, const char *name, const struct example_person *person)
{
	json_t *values = example_add(examples, name);
	const struct card *card = &person->card;
	struct reader rd;

	rd_init(&rd, buf_bytes(&person->card_wire));
	put_hex(values, "version", rd_take(&rd, 1));
	put_hex(values, "suite", rd_take(&rd, 1));
	put_hex(values, "flags", rd_take(&rd, 1));
	put_hex(values, "realm", rd_take(&rd, REALM_BYTES));
	put_hex(values, "str8 account", rd_take(&rd, 1u + card->account.len));
	put_hex(values, "ed_pk", rd_take(&rd, ED25519_PK_BYTES));
	put_hex(values, "serial", rd_take(&rd, 4));
	put_hex(values, "prev_card", rd_take(&rd, DIGEST_BYTES));
	put_hex(values, "rsa_n", rd_take(&rd, RSA_BYTES));
	put_hex(values, "time_ms", rd_take(&rd, 8));
	put_hex(values, "sig", rd_take(&rd, ED25519_SIG_BYTES));
	assert_true(rd_done(&rd));
	put_hex(values, "card", buf_bytes(&person->card_wire));
	put_digest(values, "card_hash", &card->card_hash);
	put_digest(values, "member_id", &card->member_id);
}

static void
put_aad(json_t *values, const char *x, const struct identity *identity, struct bytes tail)
{
	uint8_t aad[256], domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, aad, sizeof(aad));
	wr_bytes(&wr, domain, domain_put(x, domain));
	wr_bytes(&wr, realm.b, REALM_BYTES);
	wr_str8(&wr, account_bytes(&identity->account));
	wr_bytes(&wr, tail.data, tail.len);
	assert_true(wr_done(&wr));
	put_hex(values, "aad", wr_bytes_written(&wr));
}

static void
example_bag(json_t *examples, const struct example_person *alice)
{
	json_t *values = example_add(examples, "bag");
	const struct identity *identity = &alice->identity;
	struct bytes keys[] = {buf_bytes(&alice->pkcs8)};
	uint8_t domain[DOMAIN_MAX_BYTES], key[AES256_KEY_BYTES], version[8], nonce[AEAD_NONCE_BYTES];
	struct buf blob = {0}, plain = {0};
	struct given_random given;
	struct reader rd;
	struct bag bag;

	given_random_init(&given, counting(0x80, AEAD_NONCE_BYTES));
	assert_ok(bag_seal(
	    identity->bag_key, &realm, &identity->account, 1, keys, ARRAY_LEN(keys), &given.source, &blob));
	given_random_assert_empty(&given);
	assert_ok(bag_open(identity->bag_key, &realm, &identity->account, 1, buf_bytes(&blob), &plain, &bag));
	hkdf_sha256(BYTES_ARRAY(identity->bag_key), BYTES_ARRAY(realm.b),
	    BYTES(domain, domain_put("bag", domain)), key, sizeof(key));

	rd_init(&rd, buf_bytes(&blob));
	put_hex(values, "bag_key", BYTES_ARRAY(identity->bag_key));
	put_hex(values, "k", BYTES_ARRAY(key));
	put_hex(values, "format", rd_take(&rd, 1));
	rd_copy(&rd, version, sizeof(version));
	put_hex(values, "version", BYTES_ARRAY(version));
	rd_copy(&rd, nonce, sizeof(nonce));
	put_hex(values, "nonce", BYTES_ARRAY(nonce));
	put_aad(values, "bag", identity, BYTES_ARRAY(version));
	put_hex(values, "rsa_key", keys[0]);
	put_hex(values, "Bag", bag.content);
	put_hex(values, "bag", buf_bytes(&blob));
	buf_fini(&blob);
	buf_fini_secret(&plain);
}

static void
example_recovery(json_t *examples, const struct example_person *alice)
{
	json_t *values = example_add(examples, "recovery");
	const struct identity *identity = &alice->identity;
	struct recovery_code code, typed;
	char text[RECOVERY_CODE_CHARS + 1];
	uint8_t key[RECOVERY_KEY_BYTES], blob[RECOVERY_BLOB_BYTES];
	struct identity_root root;
	struct given_random given;

	memcpy(code.b, counting(0x90, sizeof(code.b)).data, sizeof(code.b));
	recovery_code_format(&code, text);
	recovery_key(&code, &realm, &identity->account, key);
	given_random_init(&given, counting(0xb0, AEAD_NONCE_BYTES));
	recovery_seal(&code, identity, &given.source, blob);
	given_random_assert_empty(&given);
	assert_ok(recovery_code_parse(BYTES_STR(text), &typed));
	assert_ok(
	    recovery_open(&typed, &realm, &identity->account, identity->sign.pk, BYTES_ARRAY(blob), &root));
	assert_memory_equal(&root, &alice->root, sizeof(root));

	put_hex(values, "code", BYTES_ARRAY(code.b));
	put_text(values, "shown", text);
	put_hex(values, "rk", BYTES_ARRAY(key));
	put_hex(values, "nonce", BYTES(blob + 1, AEAD_NONCE_BYTES));
	put_aad(values, "recovery", identity, BYTES_ARRAY(identity->sign.pk));
	put_hex(values, "blob", BYTES_ARRAY(blob));
}

static void
example_login(json_t *examples, const struct example_person *alice)
{
	json_t *values = example_add(examples, "login");
	const struct identity *identity = &alice->identity;
	struct login login = {
	    .binding_type = LOGIN_BINDING_TLS_EXPORTER,
	    .realm = realm,
	    .account = identity->account,
	    .member_id = identity->member_id,
	};
	uint8_t bytes[LOGIN_SIGNED_MAX], sig[ED25519_SIG_BYTES];
	size_t len;

	memcpy(login.binding, counting(0xc0, LOGIN_BINDING_BYTES).data, LOGIN_BINDING_BYTES);
	len = login_signed(&login, bytes);
	login_sign(&identity->sign, &login, sig);
	assert_ok(login_verify(identity->sign.pk, &login, sig));
	put_hex(values, "binding", BYTES_ARRAY(login.binding));
	put_hex(values, "signed", BYTES(bytes, len));
	put_hex(values, "signature", BYTES_ARRAY(sig));
}

/* ---- frames ---- */

void
put_frame(json_t *examples, const char *name, struct buf *frame)
{
	json_t *values = example_add(examples, name);
	struct bytes all = buf_bytes(frame), body;
	size_t len;

	assert_ok(frame_split(all, FRAME_MAX_BEFORE_LOGIN, &body, &len));
	assert_int_equal(len, all.len);
	put_hex(values, "length", BYTES(all.data, FRAME_HEADER_BYTES));
	put_hex(values, "protobuf", body);
	buf_fini(frame);
}

static void
example_hello(json_t *examples)
{
	Chat__V1__Hello hello = CHAT__V1__HELLO__INIT;
	Chat__V1__ClientFrame request = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__HelloOk ok = CHAT__V1__HELLO_OK__INIT;
	Chat__V1__Limits limits = CHAT__V1__LIMITS__INIT;
	Chat__V1__ServerFrame answer = CHAT__V1__SERVER_FRAME__INIT;
	struct buf frame = {0};

	hello.version = PROTOCOL_VERSION;
	hello.software = wire_from_str("example 1");
	request.id = 1;
	request.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_HELLO;
	request.hello = &hello;
	assert_ok(frame_encode_client(&request, &frame));
	put_frame(examples, "hello", &frame);

	limits.text_bytes = MESSAGE_TEXT_MAX;
	limits.frame_bytes = FRAME_MAX_AFTER_LOGIN;
	limits.room_readers = ROOM_READERS_MAX;
	limits.rooms_per_account = ROOMS_PER_ACCOUNT;
	limits.requests_under_way = REQUESTS_UNDER_WAY;
	limits.idle_ms = IDLE_TIMEOUT_MS;
	ok.version = PROTOCOL_VERSION;
	ok.realm = wire_from_bytes(BYTES_ARRAY(realm.b));
	ok.software = wire_from_str("example-server 1");
	ok.unix_ms = EXAMPLE_TIME_MS;
	ok.limits = &limits;
	answer.id = 1;
	answer.body_case = CHAT__V1__SERVER_FRAME__BODY_HELLO_OK;
	answer.hello_ok = &ok;
	assert_ok(frame_encode_server(&answer, &frame));
	put_frame(examples, "hello_ok", &frame);
}

json_t *
examples_make(void)
{
	json_t *examples = json_array();
	struct example_person alice, bob;

	assert_non_null(examples);
	person_make(&alice, "alice", 0x00);
	person_make(&bob, "bob", 0x40);
	example_member_id(examples, &alice);
	example_card(examples, "card", &alice);
	example_card(examples, "card of bob", &bob);
	example_bag(examples, &alice);
	example_recovery(examples, &alice);
	example_login(examples, &alice);
	example_hello(examples);
	example_room(examples, &alice, &bob);
	person_end(&alice);
	person_end(&bob);
	return examples;
}

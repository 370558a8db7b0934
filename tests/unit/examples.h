/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_EXAMPLES_H
#define TESTS_UNIT_EXAMPLES_H

/*
 * The worked examples of chat-protocol(7), made by the functions that server and client call, from fixed
 * inputs: two people, their room of five entries, and some frames.  Whatever is made is also used: opened,
 * verified, judged by the roster.
 *
 *     examples.c        people: identity, card, bag, recovery, login; frames
 *     examples_room.c   the room: events, epoch, message, log
 *     examples_page.c   how they, and the tables, stand in the page
 *
 * An example is {"name", "values": [...]}, a value {"name", and one of "hex", "text", "number"}, in the order
 * of making.
 *
 * Threads: one.
 */

#include <jansson.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "crypto/rsa_oaep.h"
#include "group/card.h"
#include "group/identity.h"
#include "unit.h"

/* All of them, an array; json_decref() it. */
json_t *examples_make(void);

/*
 * The page with each block between `.\" BEGIN example NAME` or `.\" BEGIN table NAME` and `.\" END` written
 * anew; free() it.  Fails the test for a block of an unknown name, and for an example without a block.
 */
char *examples_into_page(const json_t *examples, const char *page);

/* ---- between the files ---- */

#define EXAMPLE_TIME_MS UINT64_C(1767225600000) /* 2026-01-01, 00:00 UTC */

/* n bytes that count up from `first`; borrowed, n at most 64 less than what is left to 256. */
struct bytes counting(uint8_t first, size_t n);

struct example_person {
	struct identity identity;
	struct identity_root root;
	struct buf pkcs8;
	struct rsa_key *rsa;
	uint8_t rsa_n[RSA_BYTES];
	struct buf card_wire;
	struct card card;
};

/* Adds an example and returns its values, borrowed. */
json_t *example_add(json_t *examples, const char *name);
void put_hex(json_t *values, const char *name, struct bytes b);
void put_digest(json_t *values, const char *name, const struct digest *d);
void put_u64(json_t *values, const char *name, uint64_t v); /* as its 8 bytes */
void put_text(json_t *values, const char *name, const char *text);
void put_number(json_t *values, const char *name, uint64_t v);

void example_room(json_t *examples, const struct example_person *alice, const struct example_person *bob);
/* The frame around an encoded message; frees it. */
void put_frame(json_t *examples, const char *name, struct buf *frame);

#endif

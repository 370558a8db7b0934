/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Every field of every request, missing and out of range: made from the same rows that the server judges by,
 * so that a new request is attacked as soon as it is in the table.  What the rows should be is
 * test_requests.c's; here it is shown that a server holds its peers to them, and what becomes of the
 * connection.
 */

#include "stage.h"

#include "proto/frame.h"
#include "proto/requests.h"
#include "proto/rules.h"
#include "proto/wire.h"

#define PIECES_MAX 64

/* The memory of one request being made. */
static void *pieces[PIECES_MAX];
static size_t piece_count;
static struct person mallory;
static unsigned cases;

static int
set_up(void **state)
{
	static const char *const accounts[] = {"mallory", NULL};

	(void)state;
	/* Some of the broken requests are honest ones to the rules, as a key login that proves nothing. */
	stage_up("loops = 2\nlogin_fail_delay = 100ms\nlogin_fail_delay_max = 100ms\n", accounts);
	crowd_join(host, &mallory, "mallory");
	return 0;
}

/* ---- requests that keep the rules ---- */

static void *
piece(size_t bytes)
{
	assert_true(piece_count < PIECES_MAX);
	pieces[piece_count] = calloc(1, bytes + 1);
	assert_non_null(pieces[piece_count]);
	return pieces[piece_count++];
}

static void
free_pieces(void)
{
	while (piece_count > 0)
		free(pieces[--piece_count]);
}

static void *
field_of(const struct field_rule *rule, ProtobufCMessage *message)
{
	return (char *)message + rule->offset;
}

static size_t *
count_of(const struct field_rule *rule, ProtobufCMessage *message)
{
	return (size_t *)(void *)((char *)message + rule->count_offset);
}

static void
set_bytes(const struct field_rule *rule, ProtobufCMessage *message, uint64_t len)
{
	ProtobufCBinaryData b = {.len = len, .data = piece(len)};

	memset(b.data, 'z', len);
	memcpy(field_of(rule, message), &b, sizeof(b));
}

static void
set_text(const struct field_rule *rule, ProtobufCMessage *message, const char *text)
{
	char *copy = piece(strlen(text));

	memcpy(copy, text, strlen(text));
	memcpy(field_of(rule, message), &copy, sizeof(copy));
}

static void
set_long_text(const struct field_rule *rule, ProtobufCMessage *message, size_t len)
{
	char *text = piece(len);

	memset(text, 'a', len);
	set_text(rule, message, text);
}

static void
set_number(const struct field_rule *rule, ProtobufCMessage *message, uint64_t value)
{
	uint32_t u32 = (uint32_t)value;
	int number = (int)value;

	if (rule->kind == RULE_U64)
		memcpy(field_of(rule, message), &value, sizeof(value));
	else if (rule->kind == RULE_U32)
		memcpy(field_of(rule, message), &u32, sizeof(u32));
	else
		memcpy(field_of(rule, message), &number, sizeof(number));
}

static void
set_bytes_list(const struct field_rule *rule, ProtobufCMessage *message, size_t count, uint64_t len)
{
	ProtobufCBinaryData *list = piece(count * sizeof(*list));

	for (size_t i = 0; i < count; i++) {
		list[i].len = len;
		list[i].data = i == 0 ? piece(len) : list[0].data;
	}
	memcpy(field_of(rule, message), &list, sizeof(list));
	*count_of(rule, message) = count;
}

static const ProtobufCMessageDescriptor *
descriptor_at(const ProtobufCMessageDescriptor *type, size_t offset)
{
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].offset == offset)
			return type->fields[i].descriptor;
	fail_msg("no such field");
	abort();
}

static ProtobufCMessage *make(const ProtobufCMessageDescriptor *type, const struct field_rule *rules);

static void
set_messages(const struct field_rule *rule, ProtobufCMessage *message, size_t count)
{
	const ProtobufCMessageDescriptor *type = descriptor_at(message->descriptor, rule->offset);
	ProtobufCMessage **list = piece(count * sizeof(*list));

	for (size_t i = 0; i < count; i++)
		list[i] = i == 0 ? make(type, rule->sub) : list[0];
	memcpy(field_of(rule, message), &list, sizeof(list));
	*count_of(rule, message) = count;
}

/* A message that keeps its rules. */
static ProtobufCMessage *
make(const ProtobufCMessageDescriptor *type, const struct field_rule *rules)
{
	ProtobufCMessage *message = piece(type->sizeof_message), *sub;

	protobuf_c_message_init(type, message);
	for (const struct field_rule *rule = rules; rule->kind != RULE_END; rule++) {
		switch (rule->kind) {
		case RULE_BYTES:
		case RULE_PASSWORD:
			set_bytes(rule, message, rule->min);
			break;
		case RULE_TEXT:
			set_long_text(rule, message, rule->min);
			break;
		case RULE_ACCOUNT:
			set_text(rule, message, "mallory");
			break;
		case RULE_U32:
		case RULE_U64:
		case RULE_ENUM:
			set_number(rule, message, rule->min);
			break;
		case RULE_BYTES_LIST:
			set_bytes_list(rule, message, rule->min_count, rule->min);
			break;
		case RULE_MESSAGE:
			sub = make(descriptor_at(type, rule->offset), rule->sub);
			memcpy(field_of(rule, message), &sub, sizeof(sub));
			break;
		case RULE_MESSAGE_LIST:
			set_messages(rule, message, rule->min_count);
			break;
		case RULE_WHOLE: /* the smallest values keep these too */
		case RULE_END:
			break;
		}
	}
	if (type == &chat__v1__hello__descriptor)
		((Chat__V1__Hello *)message)->version = PROTOCOL_VERSION;
	if (type == &chat__v1__key_login__descriptor)
		((Chat__V1__KeyLogin *)message)->binding_type = LOGIN_BINDING_TLS_EXPORTER;
	return message;
}

static ProtobufCMessage *
make_request(enum request_type type)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
	    &chat__v1__client_frame__descriptor, (unsigned)(REQUEST(HELLO) + (int)type));

	assert_non_null(field);
	assert_string_equal(field->name, request_table[type].name);
	return make(field->descriptor, request_table[type].rules);
}

/* ---- attacks ---- */

static void
open_for(struct peer *peer, enum request_type type)
{
	unsigned legal = request_table[type].phases;

	if ((legal & PHASE_READY) != 0) {
		peer_login(peer, host, &mallory);
		return;
	}
	peer_open(peer, host);
	if ((legal & PHASE_NEW) == 0)
		peer_hello(peer);
	if ((legal & (PHASE_NEW | PHASE_HELLO)) == 0)
		peer_password(peer, "mallory");
}

/* The request as it is now breaks a rule. */
static void
expect_broken(enum request_type type, const ProtobufCMessage *message)
{
	struct buf frame = {0};
	struct peer peer;
	size_t body_bytes;
	uint64_t id;

	cases++;
	open_for(&peer, type);
	id = peer_encode(&peer, REQUEST(HELLO) + (int)type, message, &frame);
	body_bytes = frame.len - FRAME_HEADER_BYTES;
	peer_send_bytes(&peer, buf_bytes(&frame));
	buf_fini(&frame);
	peer_expect_fault(
	    &peer, id, body_bytes > request_table[type].max_bytes ? CHAT_ERR_TOO_LONG : CHAT_ERR_MALFORMED);
	peer_close(&peer);
}

/* Where the messages with these rules are: the request itself, or one in its lists. */
struct place {
	enum request_type type;
	const struct field_rule *in; /* NULL: the request itself */
};

struct broken {
	ProtobufCMessage *request;
	ProtobufCMessage *message; /* whose field is to be broken; the request, or in it */
};

static struct broken
make_at(const struct place *place)
{
	struct broken broken = {.request = make_request(place->type)};
	ProtobufCMessage **list;

	broken.message = broken.request;
	if (place->in != NULL) {
		set_messages(place->in, broken.request, 1);
		memcpy(&list, field_of(place->in, broken.request), sizeof(list));
		broken.message = list[0];
	}
	return broken;
}

#define BREAK(place, change)                                                                                 \
	do {                                                                                                 \
		struct broken b = make_at(place);                                                            \
		ProtobufCMessage *m = b.message;                                                             \
		change;                                                                                      \
		expect_broken((place)->type, b.request);                                                     \
		free_pieces();                                                                               \
	} while (0)

static void
break_numbers(const struct place *place, const struct field_rule *rule)
{
	uint64_t most = rule->kind == RULE_U64 ? UINT64_MAX : UINT32_MAX;

	if (rule->min > 0)
		BREAK(place, set_number(rule, m, rule->min - 1));
	if (rule->max < most) {
		BREAK(place, set_number(rule, m, rule->max + 1));
		BREAK(place, set_number(rule, m, most));
	}
}

static void
break_bytes(const struct place *place, const struct field_rule *rule)
{
	if (rule->min > 0 && !rule->or_empty)
		BREAK(place, set_bytes(rule, m, 0));
	if (rule->min > 1)
		BREAK(place, set_bytes(rule, m, rule->min - 1));
	BREAK(place, set_bytes(rule, m, rule->max + 1));
}

static void
break_bytes_list(const struct place *place, const struct field_rule *rule)
{
	if (rule->min_count > 0)
		BREAK(place, set_bytes_list(rule, m, rule->min_count - 1, rule->min));
	BREAK(place, set_bytes_list(rule, m, rule->max_count + 1, rule->min));
	if (rule->min > 0)
		BREAK(place, set_bytes_list(rule, m, rule->min_count + 1, rule->min - 1));
	BREAK(place, set_bytes_list(rule, m, rule->min_count + 1, rule->max + 1));
}

static void
break_text(const struct place *place, const struct field_rule *rule)
{
	if (rule->min > 0)
		BREAK(place, set_text(rule, m, ""));
	BREAK(place, set_long_text(rule, m, rule->max + 1));
	BREAK(place, set_text(rule, m, "\xc3("));
}

static void
break_account(const struct place *place, const struct field_rule *rule)
{
	if (rule->min > 0)
		BREAK(place, set_text(rule, m, ""));
	BREAK(place, set_text(rule, m, "Mallory"));
	BREAK(place, set_text(rule, m, ".mallory"));
	BREAK(place, set_text(rule, m, "mal lory"));
	BREAK(place, set_text(rule, m, "mal:lory"));
	BREAK(place, set_long_text(rule, m, ACCOUNT_MAX_BYTES + 1));
}

static void
set_password_with_nul(const struct field_rule *rule, ProtobufCMessage *message)
{
	set_bytes(rule, message, 3);
	memcpy(((ProtobufCBinaryData *)field_of(rule, message))->data, "a\0b", 3);
}

static void break_rules(const struct place *place, const struct field_rule *rules);

static void
break_messages(const struct place *place, const struct field_rule *rule)
{
	struct place inside = {.type = place->type, .in = rule};

	assert_null(place->in); /* no lists in lists yet */
	if (rule->min_count > 0)
		BREAK(place, set_messages(rule, m, rule->min_count - 1));
	BREAK(place, set_messages(rule, m, rule->max_count + 1));
	break_rules(&inside, rule->sub);
}

static void
break_rules(const struct place *place, const struct field_rule *rules)
{
	for (const struct field_rule *rule = rules; rule->kind != RULE_END; rule++) {
		switch (rule->kind) {
		case RULE_BYTES:
			break_bytes(place, rule);
			break;
		case RULE_PASSWORD:
			break_bytes(place, rule);
			BREAK(place, set_password_with_nul(rule, m));
			break;
		case RULE_TEXT:
			break_text(place, rule);
			break;
		case RULE_ACCOUNT:
			break_account(place, rule);
			break;
		case RULE_U32:
		case RULE_U64:
		case RULE_ENUM:
			break_numbers(place, rule);
			break;
		case RULE_BYTES_LIST:
			break_bytes_list(place, rule);
			break;
		case RULE_MESSAGE_LIST:
			break_messages(place, rule);
			break;
		case RULE_MESSAGE: /* no request has one */
			fail_msg("teach this test to break a message in a message");
			break;
		case RULE_WHOLE: /* by hand, below */
		case RULE_END:
			break;
		}
	}
}

ATTACK(every_field)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		struct place place = {.type = (enum request_type)type};

		break_rules(&place, request_table[type].rules);
	}
	print_message("# %u requests with a broken field\n", cases);
	assert_true(cases > 100);
}

/* The requests that were broken there are right unbroken: whatever comes of them, the connection goes on. */
ATTACK(no_field)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		struct peer peer;

		open_for(&peer, (enum request_type)type);
		(void)peer_ask(&peer, REQUEST(HELLO) + type, make_request((enum request_type)type));
		peer_ping(&peer);
		peer_close(&peer);
		free_pieces();
	}
}

ATTACK(id_0)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		struct buf frame = {0};
		struct peer peer;

		open_for(&peer, (enum request_type)type);
		peer.last_id = UINT64_MAX;
		assert_int_equal(
		    peer_encode(&peer, REQUEST(HELLO) + type, make_request((enum request_type)type), &frame),
		    0);
		peer_send_bytes(&peer, buf_bytes(&frame));
		peer_expect_fault(&peer, 0, CHAT_ERR_MALFORMED);
		peer_close(&peer);
		buf_fini(&frame);
		free_pieces();
	}
}

ATTACK(fields_that_contradict_each_other)
{
	Chat__V1__StageWraps *stage;
	Chat__V1__OfferEntries *offer;
	Chat__V1__Entry *twice[2];

	stage = (Chat__V1__StageWraps *)make_request(REQUEST_STAGE_WRAPS);
	stage->first = 1;
	expect_broken(REQUEST_STAGE_WRAPS, &stage->base);
	stage->first = 0;
	stage->wraps.data = piece(2 * RSA_BYTES);
	stage->wraps.len = 2 * RSA_BYTES;
	expect_broken(REQUEST_STAGE_WRAPS, &stage->base);
	stage->count = 2;
	stage->wraps.len = 2 * RSA_BYTES - 1;
	expect_broken(REQUEST_STAGE_WRAPS, &stage->base);
	stage->wraps.len = RSA_BYTES;
	stage->first = UINT32_MAX;
	expect_broken(REQUEST_STAGE_WRAPS, &stage->base);
	free_pieces();

	offer = (Chat__V1__OfferEntries *)make_request(REQUEST_OFFER_ENTRIES);
	twice[0] = twice[1] = offer->entry[0];
	offer->entry = twice;
	offer->n_entry = 2;
	expect_broken(REQUEST_OFFER_ENTRIES, &offer->base);
	free_pieces();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_field),
	    cmocka_unit_test(no_field),
	    cmocka_unit_test(id_0),
	    cmocka_unit_test(fields_that_contradict_each_other),
	    cmocka_unit_test(nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}

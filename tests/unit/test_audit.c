/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operator's lines: each says what happened with its keys, and a flood of one kind is cut short. */
#include "unit.h"

#include <stdio.h>

#include "accounts/passwd_file.h"
#include "base/log.h"
#include "server/audit.h"
#include "tls/tls.h"

static char *dir;
static char path[512];
static const struct net_addr peer = {
    .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}, .port = 4711};
static const struct digest room = {{0xab, 0xcd, 0xef}};

static int
set_up(void **state)
{
	(void)state;
	dir = unit_temp_dir();
	snprintf(path, sizeof path, "%s/log", dir);
	assert_ok(log_open(path));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	assert_ok(log_open(NULL));
	free(dir);
	return 0;
}

/* The log's last line, without its time; static storage. */
static const char *
last_line(void)
{
	static char line[4096];
	size_t len;
	uint8_t *text = unit_read_file(path, &len);
	char *start;

	assert_non_null(text);
	assert_true(len > 0 && text[len - 1] == '\n');
	text[len - 1] = '\0';
	start = strrchr((char *)text, '\n');
	start = start == NULL ? (char *)text : start + 1;
	start = strchr(start, ' ') + 1;
	strlcpy(line, start, sizeof line);
	free(text);
	return line;
}

#define ALICE BYTES_STR("alice")
#define BOB   BYTES_STR("bob")

TEST(connections)
{
	const struct tls_info info = {.version = "TLS1.3", .cipher = "AES-128-GCM", .kx = "X25519"};

	audit_connected(&peer, &info);
	assert_string_equal(
	    last_line(), "info connected addr=192.0.2.7:4711 tls=TLS1.3 cipher=AES-128-GCM kx=X25519");
	audit_handshake_failed(&peer, "version", "too old");
	assert_string_equal(
	    last_line(), "warn handshake_failed addr=192.0.2.7:4711 reason=version text=\"too old\"");
	audit_disconnected(&peer, ALICE, "goodbye", 12);
	assert_string_equal(
	    last_line(), "info disconnected addr=192.0.2.7:4711 account=alice reason=goodbye seconds=12");
	audit_disconnected(&peer, BYTES_EMPTY, "cut", 0);
	assert_string_equal(last_line(), "info disconnected addr=192.0.2.7:4711 reason=cut seconds=0");
	audit_protocol_error(&peer, ALICE, "resume", CHAT_ERR_MALFORMED, "hash has to be 32 bytes");
	assert_string_equal(last_line(),
	    "warn protocol_error addr=192.0.2.7:4711 account=alice request=resume "
	    "error=malformed text=\"hash has to be 32 bytes\"");
	audit_protocol_error(&peer, BYTES_EMPTY, NULL, CHAT_ERR_TOO_LONG, NULL);
	assert_string_equal(last_line(), "warn protocol_error addr=192.0.2.7:4711 error=too_long");
	audit_limit(&peer, ALICE, "outbuf");
	assert_string_equal(last_line(), "warn limit_hit addr=192.0.2.7:4711 account=alice limit=outbuf");
	audit_limit(NULL, BYTES_EMPTY, "connections");
	assert_string_equal(last_line(), "warn limit_hit limit=connections");
}

TEST(logins)
{
	struct passwd_why why = {.err = CHAT_ERR_SYNTAX, .line = 3, .text = "passwd:3: no hash"};

	audit_login(&peer, ALICE, 2);
	assert_string_equal(last_line(), "info login addr=192.0.2.7:4711 account=alice sessions=2");
	audit_password_right(&peer, ALICE);
	assert_string_equal(last_line(), "info password_right addr=192.0.2.7:4711 account=alice");
	audit_login_refused(&peer, ALICE, "password", "wrong_password", 1000);
	assert_string_equal(last_line(), "warn login_refused addr=192.0.2.7:4711 account=alice by=password "
					 "reason=wrong_password delay_ms=1000");
	audit_password_changed(&peer, ALICE);
	assert_string_equal(last_line(), "info password_changed addr=192.0.2.7:4711 account=alice");
	audit_passwords_loaded(3);
	assert_string_equal(last_line(), "info passwords_loaded accounts=3");
	audit_passwords_bad(&why);
	assert_string_equal(last_line(), "error passwords_bad error=syntax text=\"passwd:3: no hash\"");
}

TEST(rooms)
{
	audit_room_created(&room, ALICE, false);
	assert_string_equal(last_line(), "info room_created room=abcdef0000000000 account=alice kind=group");
	audit_room_created(&room, ALICE, true);
	assert_string_equal(last_line(), "info room_created room=abcdef0000000000 account=alice kind=direct");
	audit_invited(&room, ALICE, BOB);
	assert_string_equal(last_line(), "info invited room=abcdef0000000000 by=alice account=bob");
	audit_stay(&room, "kick", ALICE, BOB);
	assert_string_equal(last_line(), "info stay room=abcdef0000000000 event=kick by=alice account=bob");
	audit_rekeyed(&room, ALICE, 4, 17);
	assert_string_equal(last_line(), "info rekeyed room=abcdef0000000000 by=alice epoch=4 readers=17");
	audit_room_over(&room);
	assert_string_equal(last_line(), "info room_over room=abcdef0000000000");
}

TEST(accounts_and_store)
{
	audit_card_published(ALICE, 2, false);
	assert_string_equal(last_line(), "info card_published account=alice serial=2");
	audit_card_published(ALICE, 3, true);
	assert_string_equal(last_line(), "info card_published account=alice serial=3 retired=yes");
	audit_account_retired(BOB);
	assert_string_equal(last_line(), "info account_retired account=bob");
	audit_sessions_ended(BOB, 2, "locked");
	assert_string_equal(last_line(), "info sessions_ended account=bob sessions=2 reason=locked");
	audit_commit_failed(CHAT_ERR_STORE_UNAVAILABLE, "disk full");
	assert_string_equal(last_line(), "error commit_failed error=store_unavailable text=\"disk full\"");
	audit_read_failed(CHAT_ERR_CORRUPT, "bad page");
	assert_string_equal(last_line(), "error read_failed error=corrupt text=\"bad page\"");
}

/* What a peer says cannot forge a line. */
TEST(names_are_escaped)
{
	audit_login_refused(&peer, BYTES_STR("x\nevil=1"), "key", "no_account", 1);
	assert_string_equal(last_line(),
	    "warn login_refused addr=192.0.2.7:4711 account=\"x\\nevil=1\" by=key "
	    "reason=no_account delay_ms=1");
}

/* A flood: some lines, and silence about the rest until there is room; others are not silenced by it. */
TEST(a_flood_is_cut_short)
{
	unsigned lines = 0;
	uint8_t *text;
	size_t len;

	for (unsigned i = 0; i < 10000; i++)
		audit_protocol_error(&peer, BYTES_EMPTY, NULL, CHAT_ERR_MALFORMED, NULL);
	text = unit_read_file(path, &len);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	free(text);
	assert_true(lines >= 10 && lines <= 200);
	audit_room_over(&room);
	assert_string_equal(last_line(), "info room_over room=abcdef0000000000");
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(connections),
	    TEST_CASE(logins),
	    TEST_CASE(rooms),
	    TEST_CASE(accounts_and_store),
	    TEST_CASE(names_are_escaped),
	    TEST_CASE(a_flood_is_cut_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

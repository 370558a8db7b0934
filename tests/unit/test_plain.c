/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_run.h"
#include "fake_chat.h"

static int
setup(void **state __attribute__((unused)))
{
	fake_reset();
	return 0;
}

static void
runs_with(const char *args, const char *input, int exit_code, const char *out, const char *last_words)
{
	struct client_run run = client_run(args, input);

	assert_string_equal(run.out, out);
	assert_string_equal(run.last_words, last_words);
	assert_int_equal(run.exit_code, exit_code);
	client_run_fini(&run);
}

#define runs(input, out) runs_with("", input, 0, "HH:MM -- logged in\n" out, "")
/* Something of it was refused. */
#define errs(input, out) runs_with("", input, 1, "HH:MM -- logged in\n" out, "")

static void
called(const char *expected)
{
	const char *calls = fake_calls();
	const char *start = strstr(calls, "start\n");

	/* Without beginning and end, which are always the same. */
	assert_non_null(start);
	assert_int_equal(strncmp(start + 6, expected, strlen(expected)), 0);
	assert_string_equal(start + 6 + strlen(expected), "free\n");
}

/* ---- what is said ---- */

TEST(nothing)
{
	runs("", "");
	called("");
}

TEST(a_text)
{
	fake_room("ops", CHAT_STAY_JOINED);
	runs("hello\n", "HH:MM [ops] <alice> hello\n");
	called("send ops hello\nread ops 1\n");
}

TEST(without_a_last_line_feed)
{
	fake_room("ops", CHAT_STAY_JOINED);
	runs("one\r\n\ntwo", "HH:MM [ops] <alice> one\nHH:MM [ops] <alice> two\n");
}

TEST(a_slash)
{
	fake_room("ops", CHAT_STAY_JOINED);
	runs("//help\n", "HH:MM [ops] <alice> /help\n");
}

TEST(a_conversation)
{
	runs("/create ops\n/invite bob carol\nhello\n/topic lunch\n/leave\n",
	    "HH:MM [ops] -- you created the room\n"
	    "HH:MM [ops] -- you invited bob\nHH:MM [ops] -- you invited carol\n"
	    "HH:MM [ops] <alice> hello\n"
	    "HH:MM [ops] -- you set the topic: lunch\n"
	    "HH:MM [ops] -- you left\nHH:MM -- you are in no room now\n");
	called("create ops\ninvite ops bob carol\nsend ops hello\nread ops 4\ntopic ops lunch\nleave ops\n");
}

static uint64_t held;
static unsigned sent;

/* The answer to /create comes only behind the second text, if that were not to wait for it. */
static void
slow_create(const char *call, uint64_t token)
{
	if (strncmp(call, "create", 6) == 0) {
		held = token;
		fake_event(.type = CHAT_EVENT_WARNING, .text = "slow");
		fake_answer("create ops", token);
		return;
	}
	fake_answer(call, token);
}

TEST(lines_wait_for_the_command_before_them)
{
	fake_room("dev", CHAT_STAY_JOINED);
	fake_on_request(slow_create);
	runs("one\n/create ops\ntwo\n", "HH:MM [dev] <alice> one\nHH:MM ! slow\n"
					"HH:MM [ops] -- you created the room\nHH:MM [ops] <alice> two\n");
	called("send dev one\nread dev 1\ncreate ops\nsend ops two\nread ops 3\n");
}

static void
answer_in_pairs(const char *call, uint64_t token)
{
	static char first[64];

	sent++;
	if (sent == 1) {
		snprintf(first, sizeof(first), "%s", call);
		held = token;
		return;
	}
	fake_answer(first, held);
	fake_answer(call, token);
}

TEST(texts_do_not_wait_for_each_other)
{
	sent = 0;
	fake_room("dev", CHAT_STAY_JOINED);
	fake_on_request(answer_in_pairs);
	runs("one\ntwo\n", "HH:MM [dev] <alice> one\nHH:MM [dev] <alice> two\n");
}

static void
refuse(const char *call __attribute__((unused)), uint64_t token)
{
	fake_event(.type = CHAT_EVENT_DONE, .token = token, .err = CHAT_ERR_NOT_ALLOWED, .text = "Not here.",
	    .mend = "ask an owner");
}

TEST(refused)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_request(refuse);
	errs("hello\n/topic x\n",
	    "HH:MM ! not sent: Not here.  -> ask an owner\nHH:MM [ops] (not sent) hello\n"
	    "HH:MM ! /topic: Not here.  -> ask an owner\n");
}

static void
start_full(void)
{
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	fake_event(.type = CHAT_EVENT_SYNCED);
	fake_fail(CHAT_ERR_LIMIT);
}

static void
keep(const char *call __attribute__((unused)), uint64_t token)
{
	fake_event(.type = CHAT_EVENT_DONE, .token = token, .err = CHAT_ERR_NO_IDENTITY,
	    .text = "bob: never logged in yet.");
}

TEST(an_invitation_for_later_is_no_failure)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_request(keep);
	runs("/invite bob\n", "HH:MM -- bob: never logged in yet.\n");
}

TEST(not_even_taken)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_start(start_full);
	errs("hello\n", "HH:MM ! not sent: too much is under way  -> wait a moment and type it again\n");
}

TEST(no_utf8)
{
	fake_room("ops", CHAT_STAY_JOINED);
	errs("a\xff\n",
	    "HH:MM ! that is not UTF-8, and was not sent  -> the terminal has to be set to UTF-8\n");
	called("");
}

TEST(too_long)
{
	char *in = malloc(CHAT_TEXT_MAX + 3);

	assert_non_null(in);
	memset(in, 'x', CHAT_TEXT_MAX + 1);
	strcpy(in + CHAT_TEXT_MAX + 1, "\n");
	fake_room("ops", CHAT_STAY_JOINED);
	errs(in, "HH:MM ! not sent: a text has at most 16384 bytes, this one 16385  -> say it in several\n");
	free(in);
}

TEST(far_too_long)
{
	size_t n = 70000;
	char *in = malloc(n + 8);

	assert_non_null(in);
	memset(in, 'x', n);
	strcpy(in + n, "\nback\n");
	fake_room("ops", CHAT_STAY_JOINED);
	errs(in, "HH:MM ! line 1 is longer than 65536 bytes and was dropped\nHH:MM [ops] <alice> back\n");
	free(in);
}

/* ---- rooms ---- */

TEST(no_room)
{
	errs("hello\n", "HH:MM ! you are in no room  -> join or create one: /create ROOM\n");
	called("");
}

TEST(several_rooms)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_room("opera", CHAT_STAY_JOINED);
	fake_room("dev", CHAT_STAY_JOINED);
	errs("hello\n/switch o\n/switch x\n/switch op\n/switch ops\nto ops\n/switch d\nto dev\n",
	    "HH:MM ! no room is chosen  -> go to one: /switch ROOM (/rooms lists them)\n"
	    "HH:MM ! \"o\" may be several rooms  -> type more of it: ops, opera\n"
	    "HH:MM ! no room \"x\"  -> your rooms: ops, opera, dev\n"
	    "HH:MM ! \"op\" may be several rooms  -> type more of it: ops, opera\n"
	    "HH:MM [ops] <alice> to ops\nHH:MM [dev] <alice> to dev\n");
}

/* The name of one that is the beginning of another's. */
TEST(namesakes)
{
	fake_room("ops~2", CHAT_STAY_JOINED);
	fake_room("ops", CHAT_STAY_JOINED);
	runs("/switch ops\none\n/switch ops~\ntwo\n", "HH:MM [ops] <alice> one\nHH:MM [ops~2] <alice> two\n");
}

TEST(the_room_of_the_command_line)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_room("dev", CHAT_STAY_JOINED);
	runs_with("--room dev", "hello\n", 0, "HH:MM -- logged in\nHH:MM [dev] <alice> hello\n", "");
	fake_reset();
	fake_room("ops", CHAT_STAY_JOINED);
	runs_with(
	    "--room dev", "", 1, "HH:MM -- logged in\nHH:MM ! no room \"dev\"  -> your rooms: ops\n", "");
}

TEST(invitations)
{
	fake_room("ops", CHAT_STAY_INVITED);
	fake_room("dev", CHAT_STAY_JOINED);
	runs("/accept\nhello\n", "HH:MM [ops] -- you joined\nHH:MM [ops] <alice> hello\n");
	called("accept ops\nsend ops hello\nread ops 2\n");
}

TEST(invitations_by_name)
{
	fake_room("ops", CHAT_STAY_INVITED);
	fake_room("sec", CHAT_STAY_INVITED);
	fake_room("dev", CHAT_STAY_JOINED);
	errs("/accept\n/accept dev\n/decline sec\n/accept ops\n",
	    "HH:MM ! name the room, there are several  -> ops, sec\n"
	    "HH:MM ! no invitation to \"dev\"  -> you are invited to: ops, sec\n"
	    "HH:MM [ops] -- you joined\n");
	called("decline sec\naccept ops\n");
}

TEST(no_invitations)
{
	errs("/accept\n/decline x\n", "HH:MM ! nobody has invited you\n"
				      "HH:MM ! no invitation to \"x\"  -> nobody has invited you\n");
}

TEST(lists)
{
	struct chat_room_info *room = fake_room("ops", CHAT_STAY_JOINED);

	room->member_count = 2;
	room->topic = "lu\x1bnch";
	room->unread_count = 3;
	room->head_seq = 17;
	room->epoch = 4;
	room = fake_room("sec", CHAT_STAY_INVITED);
	room->inviter = "bob";
	room = fake_room("carol", CHAT_STAY_JOINED);
	room->direct = true;
	fake_member("ops", "alice", CHAT_STAY_JOINED, 3);
	fake_member("ops", "bob", CHAT_STAY_JOINED, 2);
	fake_member("ops", "carol", CHAT_STAY_INVITED, 1);
	runs_with("--room ops", "/rooms\n/members\n/who\n/whoami\n/audit\n/topic\n/history 5\n", 0,
	    "HH:MM -- logged in\n"
	    "* ops             2 members, 3 unread, topic: lu^[nch\n"
	    "  sec             bob invited you: /accept sec or /decline sec\n"
	    "  carol           the two of you\n"
	    "  alice           owner, you\n"
	    "  bob             moderator\n"
	    "  carol           invited\n"
	    "  alice           since 2023-11-14 22:13, 2 sessions\n"
	    "  bob             since 2023-11-14 22:14\n"
	    "  account         alice\n"
	    "  digits          12345 00000 12345 00000 12345 00000 12345 00000\n"
	    "  server          localhost:8820\n"
	    "  fingerprint     not known yet\n"
	    "  connected       yes\n"
	    "  kept in         /tmp/alice\n"
	    "HH:MM -- the log up to entry 17, epoch 4:\n"
	    "      00000 00000 00000 00000 00000 00000 00000 00000\n"
	    "      Who reads out other digits for the same entry was shown another log than you.\n"
	    "HH:MM -- the topic: lu^[nch\n"
	    "HH:MM -- there are no older entries: older entries were removed\n",
	    "");
	called("who\nhistory ops 5\n");
}

/* What cannot be undone wants the whole name. */
TEST(whole_names)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_room("sec", CHAT_STAY_INVITED);
	fake_room("dev", CHAT_STAY_INVITED);
	errs("/leave o\n/decline s\n/decline sec\n/accept d\n/leave ops\n",
	    "HH:MM ! no room \"o\"  -> your rooms: ops\n"
	    "HH:MM ! no invitation to \"s\"  -> you are invited to: sec, dev\n"
	    "HH:MM [dev] -- you joined\n"
	    "HH:MM [ops] -- you left\n");
	called("decline sec\naccept dev\nleave ops\n");
}

/* ---- people ---- */

TEST(direct)
{
	fake_room("ops", CHAT_STAY_JOINED);
	runs("/msg bob hello bob\nback\n/msg bob\nthere\n",
	    "HH:MM [bob] <alice> hello bob\nHH:MM [ops] <alice> back\nHH:MM [bob] <alice> there\n");
	called("direct bob\nsend bob hello bob\nread bob 1\nsend ops back\nread ops 2\ndirect bob\nsend bob "
	       "there\nread bob 3\n");
}

/* The direct room is known already: nothing has to be asked, so it works without a connection. */
TEST(direct_at_once)
{
	fake_room("dm", CHAT_STAY_JOINED)->direct = true;
	fake_member("dm", "alice", CHAT_STAY_JOINED, 3);
	fake_member("dm", "bob", CHAT_STAY_JOINED, 3);
	runs("/msg bob hello\n", "HH:MM [dm] <alice> hello\n");
	called("send dm hello\nread dm 1\n");
}

/* We are in that room too, but what we tell ourselves is not for bob. */
TEST(direct_to_oneself)
{
	fake_room("dm", CHAT_STAY_JOINED)->direct = true;
	fake_member("dm", "alice", CHAT_STAY_JOINED, 3);
	fake_member("dm", "bob", CHAT_STAY_JOINED, 3);
	fake_on_request(refuse);
	errs("/msg alice a note\n", "HH:MM ! /msg: Not here.  -> ask an owner\n");
	called("direct alice\n");
}

TEST(names_are_checked)
{
	fake_room("ops", CHAT_STAY_JOINED);
	errs("/invite bob Carol\n/msg B x\n/create \xe2\x80\xae\n/history 0\n/history 1001\n/history "
	     "x\n/passwd\n",
	    "HH:MM ! nobody was invited: \"Carol\" is no account name  -> 1 to 64 of a-z 0-9 . _ - and the "
	    "first a letter or "
	    "a digit\n"
	    "HH:MM ! that is no account name  -> 1 to 64 of a-z 0-9 . _ - and the first a letter or a digit\n"
	    "HH:MM ! that cannot be the name of a room  -> 1 to 64 characters, no control characters\n"
	    "HH:MM ! that is no number of entries  -> a number from 1 to 1000\n"
	    "HH:MM ! that is no number of entries  -> a number from 1 to 1000\n"
	    "HH:MM ! that is no number of entries  -> a number from 1 to 1000\n"
	    "HH:MM ! /passwd asks for passwords  -> use a terminal, or --json and change_password\n");
	called("");
}

TEST(help)
{
	struct client_run run =
	    client_run("", "/help\n/help create\n/help /msg\n/help crate\n/help zzz\n/frob\n");

	assert_non_null(strstr(run.out, "  /create ROOM          make a room and go there\n"));
	assert_non_null(
	    strstr(run.out, "  /quit                 leave the program; you stay in your rooms\n"));
	assert_non_null(strstr(run.out, "HH:MM ! there is no /zzz  -> /help lists all\n"));
	assert_non_null(strstr(run.out, "HH:MM ! unknown command: /frob"));
	assert_int_equal(run.exit_code, 1);
	client_run_fini(&run);
}

TEST(quit)
{
	fake_room("ops", CHAT_STAY_JOINED);
	runs("one\n/quit\ntwo\n", "HH:MM [ops] <alice> one\n");
	called("send ops one\nread ops 1\n");
}

/* ---- the beginning and the end ---- */

static void
start_lost(void)
{
	fake_event(.type = CHAT_EVENT_CONNECTING, .text = "localhost 8820");
	fake_event(.type = CHAT_EVENT_DISCONNECTED, .err = CHAT_ERR_CONNECT,
	    .text = "Nobody listens at localhost 8820.", .mend = "Is it running?", .number = 1000);
}

static void
start_late(void)
{
	start_lost();
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	fake_event(.type = CHAT_EVENT_SYNCED);
}

TEST(cannot_connect)
{
	fake_on_start(start_lost);
	runs_with("", "hello\n", 3, "", "Nobody listens at localhost 8820.\nIs it running?");
}

TEST(waits_for_the_server)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_start(start_late);
	runs_with("--wait", "hello\n", 0,
	    "HH:MM -- no connection: Nobody listens at localhost 8820; trying again by itself\n"
	    "HH:MM -- the connection is back\nHH:MM [ops] <alice> hello\n",
	    "");
}

static void
start_changed(void)
{
	fake_event(.type = CHAT_EVENT_FAILED, .err = CHAT_ERR_PEER_CHANGED,
	    .text = "The key is another one: ab12.", .mend = "chat-client server forget localhost 8820");
	fake_close();
}

TEST(server_changed)
{
	fake_on_start(start_changed);
	runs_with("", "", 5, "",
	    "The key is another one: ab12.\nIf that was expected, type: chat-client server forget -u alice "
	    "localhost");
}

static void
start_another(void)
{
	fake_event(.type = CHAT_EVENT_FAILED, .err = CHAT_ERR_PEER_CHANGED,
	    .text = "It is another server: ab12.", .mend = "look at --fingerprint");
	fake_close();
}

/* Not the pin is out of date, so it is not to be forgotten. */
TEST(server_is_another_one)
{
	fake_on_start(start_another);
	runs_with("", "", 5, "", "It is another server: ab12.\nlook at --fingerprint");
}

static void
start_refused(void)
{
	fake_event(.type = CHAT_EVENT_FAILED, .err = CHAT_ERR_LOGIN_REFUSED);
	fake_close();
}

TEST(login_refused)
{
	fake_on_start(start_refused);
	runs_with("", "", 4, "", "The account or the password or the key is not right.");
}

static void
lose(const char *call __attribute__((unused)), uint64_t token)
{
	fake_event(.type = CHAT_EVENT_QUEUED, .token = token);
	fake_event(.type = CHAT_EVENT_FAILED, .err = CHAT_ERR_CLOSED, .text = "The connection was lost.");
	fake_event(.type = CHAT_EVENT_DONE, .token = token, .err = CHAT_ERR_CLOSED,
	    .text = "The connection was lost.");
	fake_close();
}

TEST(connection_lost)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_request(lose);
	runs_with("--no-reconnect", "hello\n", 6,
	    "HH:MM -- logged in\nHH:MM ! not sent: The connection was lost.\nHH:MM [ops] (not sent) hello\n",
	    "The connection was lost.");
}

static void
start_unknown(void)
{
	fake_event(.type = CHAT_EVENT_SERVER_UNKNOWN, .text = "abcd");
}

TEST(unknown_server_and_nobody_to_ask)
{
	fake_on_start(start_unknown);
	runs_with("", "", 3, "",
	    "localhost 8820 is a server never seen before.  The fingerprint of its key is abcd\n"
	    "If that is the right one, add --fingerprint and these digits, or --accept-new.");
	called("");
}

static void
start_password(void)
{
	fake_event(.type = CHAT_EVENT_PASSWORD_NEEDED);
}

TEST(password_and_nobody_to_ask)
{
	fake_on_start(start_password);
	runs_with("", "", 4, "",
	    "the server wants the password, and there is no terminal to ask on\n"
	    "Put it into a file that only you can read and add --password-file FILE.");
}

static char *
password_file(const char *content, mode_t mode)
{
	char *dir = unit_temp_dir(), *path;
	FILE *f;

	assert_true(asprintf(&path, "%s/pw", dir) > 0);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	free(dir);
	return path;
}

static void
with_password(const char *content, mode_t mode, int exit_code, const char *calls, const char *last_words)
{
	char *path = password_file(content, mode), *args;
	struct client_run run;

	assert_true(asprintf(&args, "--password-file %s", path) > 0);
	run = client_run(args, "");
	assert_int_equal(run.exit_code, exit_code);
	if (calls)
		called(calls);
	if (!strstr(run.last_words, last_words))
		fail_msg("\"%s\" does not say \"%s\"", run.last_words, last_words);
	client_run_fini(&run);
	free(args);
	free(path);
}

static void
start_password_right(void)
{
	fake_event(.type = CHAT_EVENT_PASSWORD_NEEDED);
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	fake_event(.type = CHAT_EVENT_SYNCED);
}

static void
start_password_wrong(void)
{
	fake_event(.type = CHAT_EVENT_PASSWORD_NEEDED);
	fake_event(.type = CHAT_EVENT_PASSWORD_NEEDED, .err = CHAT_ERR_LOGIN_REFUSED);
}

/* Given, and later wanted again because it was changed. */
static void
start_password_twice(void)
{
	start_password_right();
	fake_event(.type = CHAT_EVENT_PASSWORD_NEEDED, .err = CHAT_ERR_PASSWORD_REQUIRED);
}

TEST(password_files)
{
	fake_on_start(start_password_right);
	with_password("secret word\nmore\n", 0600, 0, "password secret word\n", "");
	with_password("secret", 0400, 0, NULL, "");
	fake_reset();
	fake_on_start(start_password_twice);
	with_password("x\n", 0600, 0, "password x\npassword x\n", "");
	fake_reset();
	fake_on_start(start_password_wrong);
	with_password("x\n", 0600, 4, "password x\n", "the server refuses alice with the password in /");
	fake_reset();
	with_password("x\n", 0640, 2, NULL, "(mode 0640); type: chmod 600 /");
	with_password("\n", 0600, 2, NULL, "its first line is empty");
	assert_string_equal(fake_calls(), "");
}

TEST(no_data_directory)
{
	fake_fail(CHAT_ERR_PERMISSION);
	runs_with("", "", 1, "", "the data directory is not as it should be");
}

static void
start_away(void)
{
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	fake_event(.type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob", .text = "are you there?",
	    .seq = 5, .flags = CHAT_FLAG_REPLAY);
	fake_event(.type = CHAT_EVENT_SYNCED);
	fake_event(.type = CHAT_EVENT_PROGRESS, .text = "only for a terminal", .number = 1, .total = 2);
}

TEST(what_happened_while_away)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_start(start_away);
	runs("yes\n", "--- while you were away ---\nHH:MM [ops] <bob> are you there?\n--- now ---\nHH:MM "
		      "[ops] <alice> yes\n");
	called("read ops 5\nsend ops yes\nread ops 1\n");
}

static void
start_with_much(void)
{
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	for (unsigned i = 1; i <= 1000; i++)
		fake_event(.type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob", .text = "x", .seq = i);
	fake_event(.type = CHAT_EVENT_SYNCED);
}

/* More than is taken in one turn. */
TEST(input_waits_until_all_is_caught_up_with)
{
	struct client_run run;

	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_start(start_with_much);
	run = client_run("", "hello\n");
	assert_int_equal(run.exit_code, 0);
	assert_non_null(strstr(fake_calls(), "\nread ops 1000\nsend ops hello\n"));
	client_run_fini(&run);
}

static void
rename_room(const char *call __attribute__((unused)), uint64_t token)
{
	fake_event(.type = CHAT_EVENT_NAME, .room = "ops", .label = "new", .actor = "bob", .text = "new");
	fake_event(.type = CHAT_EVENT_DONE, .token = token);
	fake_event(.type = CHAT_EVENT_KICKED, .room = "ops", .label = "new", .actor = "bob",
	    .target = "alice", .target_self = true);
	fake_event(.type = CHAT_EVENT_ROOM_GONE, .room = "ops", .label = "new");
	fake_on_request(NULL);
}

TEST(the_current_room_ends)
{
	fake_room("ops", CHAT_STAY_JOINED);
	fake_on_request(rename_room);
	errs("/name new\nhello\n",
	    "HH:MM [new] -- bob named the room new\nHH:MM [new] -- bob removed you\n"
	    "HH:MM -- you are in no room now\n"
	    "HH:MM ! no room is chosen  -> go to one: /switch ROOM (/rooms lists them)\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
	    T(nothing),
	    T(a_text),
	    T(without_a_last_line_feed),
	    T(a_slash),
	    T(a_conversation),
	    T(lines_wait_for_the_command_before_them),
	    T(texts_do_not_wait_for_each_other),
	    T(refused),
	    T(an_invitation_for_later_is_no_failure),
	    T(not_even_taken),
	    T(no_utf8),
	    T(too_long),
	    T(far_too_long),
	    T(no_room),
	    T(several_rooms),
	    T(namesakes),
	    T(the_room_of_the_command_line),
	    T(invitations),
	    T(invitations_by_name),
	    T(no_invitations),
	    T(whole_names),
	    T(lists),
	    T(direct),
	    T(direct_at_once),
	    T(direct_to_oneself),
	    T(names_are_checked),
	    T(help),
	    T(quit),
	    T(cannot_connect),
	    T(waits_for_the_server),
	    T(server_changed),
	    T(server_is_another_one),
	    T(login_refused),
	    T(connection_lost),
	    T(unknown_server_and_nobody_to_ask),
	    T(password_and_nobody_to_ask),
	    T(password_files),
	    T(no_data_directory),
	    T(what_happened_while_away),
	    T(input_waits_until_all_is_caught_up_with),
	    T(the_current_room_ends),
#undef T
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A bot that joins every room it is invited to and says again what others say there.
 *
 *     cc echo_bot.c $(pkg-config --cflags --libs libchat) -o echo_bot
 *     echo_bot ACCOUNT HOST PORT DATA_DIR FINGERPRINT < PASSWORD
 */

#include <stdio.h>
#include <string.h>

#include <chat/chat.h>

/* The configuration from the command line; the fingerprint is what chat-server prints when it starts. */
static enum chat_err
configure(char **argv, struct chat_config **ret)
{
	struct chat_config *config = NULL;
	enum chat_err err = chat_config_new(&config);

	if (!err)
		err = chat_config_set_account(config, argv[1]);
	if (!err)
		err = chat_config_set_server(config, argv[2], argv[3]);
	if (!err)
		err = chat_config_set_data_dir(config, argv[4]);
	if (!err)
		err = chat_config_set_fingerprint(config, argv[5]);
	*ret = config;
	return err;
}

static enum chat_err
give_password(struct chat_client *client, const struct chat_event *event)
{
	char password[512];

	if (chat_event_err(event) == CHAT_ERR_LOGIN_REFUSED || !fgets(password, sizeof(password), stdin))
		return CHAT_ERR_LOGIN_REFUSED; /* it was wrong: there is no other */
	return chat_give_password(client, password, strcspn(password, "\n"));
}

static enum chat_err
handle(struct chat_client *client, const struct chat_event *event)
{
	switch (chat_event_type(event)) {
	case CHAT_EVENT_PASSWORD_NEEDED: /* the first time only: then the bot has a key of its own */
		return give_password(client, event);
	case CHAT_EVENT_INVITED:
		if (!chat_event_target_self(event))
			return CHAT_OK;
		return chat_accept(client, chat_event_room(event), NULL);
	case CHAT_EVENT_MESSAGE: /* of others, also those said while the bot was away; each comes once */
		if (chat_event_self(event) || chat_event_flags(event) & CHAT_FLAG_HISTORY)
			return CHAT_OK;
		return chat_send(client, chat_event_room(event), chat_event_text(event),
		    chat_event_text_len(event), NULL);
	default: /* there may be types that this program does not know */
		return CHAT_OK;
	}
}

int
main(int argc, char **argv)
{
	struct chat_config *config = NULL;
	struct chat_client *client = NULL;
	struct chat_event *event = NULL;
	char *text = NULL;
	enum chat_err err;

	if (argc != 6) {
		fprintf(stderr, "usage: %s ACCOUNT HOST PORT DATA_DIR FINGERPRINT\n", argv[0]);
		return 2;
	}
	err = configure(argv, &config);
	if (!err)
		err = chat_client_new(config, &client, &text);
	if (!err)
		err = chat_client_start(client);
	while (!err && !(err = chat_next_event(client, -1, &event))) {
		printf("%s %s\n", chat_event_type_name(event), chat_event_text(event));
		fflush(stdout);
		err = handle(client, event);
		chat_event_free(event);
	}
	fprintf(stderr, "%s: %s\n", argv[0], text ? text : chat_strerror(err));
	chat_client_free(client);
	chat_config_free(config);
	return 1;
}

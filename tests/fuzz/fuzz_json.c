/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands of chat-client --json, on a libchat of the tests' own.  The input is a line. */

#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "client/json.h"
#include "client/options.h"
#include "fake_chat.h"

/* What comes of it says how it ended, or how to know its end; and never more than one request. */
static void
run(struct app *app, const json_t *command)
{
	struct json_result result;
	struct text why = {0};

	json_command(app, command, &result, &why);
	assert(!why.failed);
	assert(result.err == CHAT_OK || result.token == 0);
	assert(result.err == CHAT_OK || !result.fields);
	assert(result.err != CHAT_OK || (result.cmd && why.buf.len == 0));
	assert(!result.quit || strcmp(result.cmd, "quit") == 0);
	json_result_fini(&result);
	text_fini(&why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chat_config *config;
	struct chat_event *event;
	struct app app = {0};
	json_error_t error;
	json_t *command;
	char *text;

	command = json_loadb((const char *)data, size, JSON_FLAGS, &error);
	if (command && json_is_object(command)) {
		fake_reset();
		fake_room("ops", CHAT_STAY_JOINED);
		assert(chat_config_new(&config) == CHAT_OK);
		assert(chat_client_new(config, &app.client, &text) == CHAT_OK);
		chat_config_free(config);
		run(&app, command);
		while (chat_next_event(app.client, 0, &event) == CHAT_OK) {
			json_t *json = json_event(event);

			assert(json);
			json_decref(json);
			chat_event_free(event);
		}
		chat_client_free(app.client);
		fake_reset();
	}
	json_decref(command);
	return 0;
}

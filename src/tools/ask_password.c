/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/ask_password.h"

#include <errno.h>
#include <readpassphrase.h>
#include <string.h>
#include <unistd.h>

void
password_wipe(struct password *password)
{
	explicit_bzero(password, sizeof(*password));
}

struct bytes
password_bytes(const struct password *password)
{
	return BYTES(password->text, password->len);
}

bool
password_equal(const struct password *a, const struct password *b)
{
	return bytes_equal(password_bytes(a), password_bytes(b));
}

enum chat_err
password_ask(const char *prompt, struct password *ret_password)
{
	struct password password = {0};

	/* It puts the terminal back as it was also when a signal ends or stops the program. */
	if (readpassphrase(prompt, password.text, sizeof(password.text), RPP_ECHO_OFF | RPP_REQUIRE_TTY) ==
	    NULL)
		return errno == ENOTTY ? CHAT_ERR_NOT_FOUND : CHAT_ERR_IO;
	password.len = strlen(password.text);
	*ret_password = password;
	password_wipe(&password);
	return CHAT_OK;
}

enum chat_err
password_read_stdin(struct password *ret_password)
{
	enum chat_err err = CHAT_OK;
	struct password password = {0};

	/* Byte by byte and not through stdio: no copy of it stays in a buffer, and what follows is left to
	 * others. */
	for (;;) {
		char c;
		ssize_t n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = CHAT_ERR_IO;
			goto out;
		}
		if (n == 0 && password.len == 0) {
			err = CHAT_ERR_NOT_FOUND;
			goto out;
		}
		if (n == 0 || c == '\n')
			break;
		if (password.len == sizeof(password.text)) {
			err = CHAT_ERR_TOO_LONG;
			goto out;
		}
		password.text[password.len++] = c;
	}
	*ret_password = password;
out:
	password_wipe(&password);
	return err;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The password file: the input is its text. */

#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "accounts/passwd_file.h"
#include "base/utf8.h"

/* The line that says why goes to terminals and logs, whatever is in the file. */
static void
assert_printable(struct bytes text)
{
	uint32_t c = 0;

	while (text.len > 0) {
		size_t n = utf8_decode(text, &c);

		assert(n > 0 && !utf8_is_control(c));
		text = BYTES(text.data + n, text.len - n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passwd_table *table = NULL;
	struct passwd_why why = {CHAT_OK, 0, ""};

	if (passwd_table_parse(BYTES(data, size), "passwd", &table, &why) != CHAT_OK) {
		assert(!table && why.err != CHAT_OK && why.text[0]);
		assert_printable(BYTES_STR(why.text));
		return 0;
	}
	for (size_t i = 0; i < passwd_table_count(table); i++) {
		const struct passwd_entry *entry = passwd_table_at(table, i);

		assert(account_name_valid(BYTES_STR(entry->name)));
		assert(passwd_table_find(table, BYTES_STR(entry->name)) == entry);
		assert(passwd_entry_same_account(entry, entry));
		assert(!strpbrk(entry->hash, ":\n"));
		assert(entry->id[0] == '\0' || strlen(entry->id) == PASSWD_ID_CHARS);
	}
	passwd_table_unref(table);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The configuration file: the input is its text. */

#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "server/options.h"

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
	struct options options, again;
	struct options_lines lines;
	struct passwd_why why = {CHAT_OK, 0, ""};

	if (options_init(&options) != CHAT_OK)
		return 0;
	if (options_parse(&options, BYTES(data, size), "FILE", &lines, &why) != CHAT_OK) {
		assert(why.err != CHAT_OK && strncmp(why.text, "FILE:", 5) == 0);
		assert_printable(BYTES_STR(why.text));
		options_fini(&options);
		return 0;
	}
	if (options_init(&again) == CHAT_OK) {
		for (size_t i = 0; i < option_row_count; i++)
			assert(option_copy(&again, &option_rows[i], &options) == CHAT_OK &&
			       option_equal(&option_rows[i], &again, &options));
		options_fini(&again);
	}
	options_fini(&options);
	return 0;
}

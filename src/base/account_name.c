/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/account_name.h"

/* Not isalnum(3): the rule must not depend on the locale. */
static bool
letter_or_digit(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
account_name_valid(struct bytes name)
{
	if (name.len < 1 || name.len > ACCOUNT_NAME_MAX_BYTES || !letter_or_digit(name.data[0]))
		return false;
	for (size_t i = 1; i < name.len; i++) {
		uint8_t c = name.data[i];
		if (!letter_or_digit(c) && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_ACCOUNT_NAME_H
#define BASE_ACCOUNT_NAME_H

/*
 * The rule for names of accounts, in one place for cards, frames and the password file (chat-protocol(7),
 * Identity): 1 to 64 bytes of a-z 0-9 . _ -, the first a letter or a digit.
 *
 * Threads: any.
 */

#include <stdbool.h>

#include "base/bytes.h"

#define ACCOUNT_NAME_MAX_BYTES 64
#define ACCOUNT_NAME_RULE      "1 to 64 of a-z 0-9 . _ - and the first a letter or a digit" /* for messages */

bool account_name_valid(struct bytes name);

#endif

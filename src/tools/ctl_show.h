/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TOOLS_CTL_SHOW_H
#define TOOLS_CTL_SHOW_H

/*
 * What chatctl prints: answers of the server, arranged for people.  Keys that are not known here are printed
 * as they are, so an older chatctl shows what a newer server says.
 *
 * Threads: one; standard output.
 */

#include "base/bytes.h"

/* As it came. */
void ctl_show_text(struct bytes text);
/* key=value lines: a line for each, with a name for it and readable numbers. */
void ctl_show_status(struct bytes text);
/* Lines of `key=value key=value`: a table.  A line that begins with another key than the first one is printed
 * as it is. */
void ctl_show_table(struct bytes text);

#endif

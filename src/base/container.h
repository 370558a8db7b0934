/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_CONTAINER_H
#define BASE_CONTAINER_H

/* From a member that is embedded (a timer, a list entry, a message) back to the struct around it. */

#include <stddef.h>

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif

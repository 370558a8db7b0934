/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_CONN_REF_H
#define SERVER_CONN_REF_H

#include <stdint.h>

/* A connection's name across threads: never a file descriptor, never a pointer. */
struct conn_ref {
	uint32_t slot;
	uint32_t generation; /* of the slot; 0 is no connection */
	uint16_t loop;
};

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

/*
 * Two TLS peers in one thread, over two byte queues which do as they are told: block, take little, end.
 *
 *	struct wire to_server = {0}, to_client = {0};
 *	struct tls_conn *server = pair_server(&to_server, &to_client, NULL);
 *	struct tls_conn *client = pair_client(&to_client, &to_server, NULL);
 *	pair_handshake(server, client);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tls/tls.h"
#include "tls/tls_identity.h"

/* One direction. */
struct wire {
	struct buf bytes;
	bool blocked;    /* takes nothing more */
	bool ended;      /* end of file behind the bytes */
	int broken;      /* this errno is what a push gets; 0: none */
	size_t cap;      /* holds no more bytes than this; 0: any number */
	uint64_t *rough; /* a seed: now and then EAGAIN, and odd sizes; NULL: never */
	unsigned pulls;  /* calls that gave something or EAGAIN */
	unsigned pushes; /* calls that took something */
};

/* What a peer reads from and writes to. */
struct port {
	struct wire *in;
	struct wire *out;
};

struct tls_transport port_transport(struct port *port); /* borrowed */

/* An identity in a temporary directory, made on first use; borrowed, lives as long as the program. */
struct tls_identity *pair_identity(void);

/* port is the caller's memory, and outlives the connection. */
struct tls_conn *pair_server(struct port *port, struct tls_readahead *readahead);
struct tls_conn *pair_client(struct port *port, struct tls_readahead *readahead);

/* Both handshakes to their end, whatever the wires do; and the client trusts. */
void pair_handshake(struct tls_conn *server, struct tls_conn *client);

void wire_fini(struct wire *wire);

/* Asserts that all of it goes out, calling tls_flush() until it does. */
void write_all(struct tls_conn *conn, const void *from, size_t n);
/* Asserts that exactly this comes in. */
void read_exactly(struct tls_conn *conn, const void *expected, size_t n);

#endif

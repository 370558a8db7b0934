/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TLS_TLS_INTERNAL_H
#define TLS_TLS_INTERNAL_H

/* What the files of this folder share, and its tests.  Nobody else includes it: GnuTLS ends here. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "tls/tls.h"
#include "tls/tls_identity.h"

struct tls_identity {
	atomic_uint refs;
	gnutls_certificate_credentials_t credentials; /* immutable after load */
	struct digest fingerprint;
};

struct tls_conn {
	gnutls_session_t session;
	struct tls_identity *identity; /* a reference; NULL on a client */
	struct tls_transport transport;
	struct tls_readahead *readahead; /* borrowed; may be NULL */

	/* Input that was read ahead, while another connection has the buffer.  NULL if there is none. */
	uint8_t *stash; /* owned */
	uint32_t stash_start;
	uint32_t stash_end;

	uint32_t budget;           /* bytes that this call may still take from the transport */
	int io_errno;              /* why the transport failed, positive */
	const char *error_text;    /* static */
	enum tls_result end;       /* TLS_OK while reading can go on; final otherwise */
	enum tls_result write_end; /* TLS_OK while writing can go on, which the peer's goodbye does not end */
	enum tls_failure failure;
	uint16_t record_max; /* plaintext bytes in a record that the peer takes */
	uint8_t bytes_seen;  /* of the peer's first two */
	bool is_server;
	bool handshake_done;
	bool trusted;
	bool end_told;     /* the caller has been given end */
	bool unsent;       /* GnuTLS holds output that the transport did not take */
	bool bye_sent;     /* close_notify is on its way or gone: no more writing */
	bool drained;      /* the last pull was short: the next one would block */
	bool pull_blocked; /* in this call */
	bool push_blocked; /* in this call */
	bool moved;        /* in this call: the transport moved bytes */
	bool more;         /* this call ended because its budget did */
	bool pull_eof;
};

/* tls_transport.c: puts our pull and push under the session. */
void tls_transport_attach(struct tls_conn *conn);
/* Bytes read ahead and not yet given to GnuTLS. */
size_t tls_input_left(const struct tls_conn *conn);
/* Forgets them. */
void tls_input_drop(struct tls_conn *conn);
/* Begins a call into GnuTLS that may read. */
void tls_call_begin(struct tls_conn *conn);

/* tls_identity.c: SHA-256 of the SubjectPublicKeyInfo in a DER certificate. */
enum chat_err tls_cert_fingerprint(const gnutls_datum_t *der, struct digest *ret) MUST_USE;

/* tls_file.c */

/* Reads a whole file of at most max bytes into memory that the caller ends with tls_file_free().
 * CHAT_ERR_NOT_FOUND, CHAT_ERR_PERMISSION, CHAT_ERR_IO, CHAT_ERR_NOMEM, CHAT_ERR_RANGE (longer), with errno
 * set.  If ret_mode is not NULL it gets st_mode of the very file that was read. */
enum chat_err
tls_file_read(const char *path, size_t max, gnutls_datum_t *ret_data, unsigned *ret_mode) MUST_USE;
void tls_file_free(gnutls_datum_t *data); /* overwrites the memory first */
/* Writes path.XXXXXX with mode, synced; *ret_temp is its name, the caller's to free().  Errors as above. */
enum chat_err
tls_file_write_temp(const char *path, const void *from, size_t n, unsigned mode, char **ret_temp) MUST_USE;
/* Makes temp into path and syncs the folder; without replace CHAT_ERR_EXISTS if path exists.  temp is gone
 * either way. */
enum chat_err tls_file_commit(const char *temp, const char *path, bool replace) MUST_USE;
enum chat_err tls_file_err(int errno_value);

#endif

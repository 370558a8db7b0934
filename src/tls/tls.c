/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The TLS connection over GnuTLS.  The facts about GnuTLS that this relies on stand where they are used; they
 * were read in and tried with 3.7.9. */

#include "tls/tls_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * AES-128-GCM costs a quarter of ChaCha20 where the processor has AES (0.2 against 0.8 us a record), and the
 * server's order decides.  secp256r1 and the RSA and Ed25519 signatures are there for clients and
 * certificates of others.
 */
#define PRIORITY                                                                                             \
	"NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"                               \
	":+GROUP-X25519:+GROUP-SECP256R1"                                                                    \
	":+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-EDDSA-ED25519:+SIGN-ECDSA-SECP384R1-SHA384"                     \
	":+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512"                     \
	":+CTYPE-SRV-X509:+CTYPE-CLI-X509:%SERVER_PRECEDENCE"

#define RECORD_MAX_BYTES 16384

/* Calls that come back without having moved a byte or been told to wait; it should not happen. */
#define IDLE_ROUNDS 8

/* One for the process, made on first use and never freed: GnuTLS keeps pointers to them in every session. */
static struct {
	pthread_once_t once;
	gnutls_priority_t priority;
	gnutls_certificate_credentials_t no_certificate; /* a client's */
} common = {.once = PTHREAD_ONCE_INIT};

static void
common_init(void)
{
	if (gnutls_priority_init(&common.priority, PRIORITY, NULL) < 0)
		common.priority = NULL;
	if (gnutls_certificate_allocate_credentials(&common.no_certificate) < 0)
		common.no_certificate = NULL;
}

#define EXT_SUPPORTED_VERSIONS 43
#define VERSION_TLS13          0x0304

static int
ext_look(void *ctx, unsigned id, const unsigned char *data, unsigned size)
{
	bool *has_tls13 = ctx;

	/* A list of 16-bit versions behind its length in a byte. */
	for (unsigned i = 1; id == EXT_SUPPORTED_VERSIONS && i + 1 < size; i += 2) {
		if ((data[i] << 8 | data[i + 1]) == VERSION_TLS13)
			*has_tls13 = true;
	}
	return 0;
}

/* GnuTLS would find that a TLS 1.2 client has no cipher suite of ours.  RFC 8446, 4.2.1 wants the alert
 * protocol_version, and the log wants the cause. */
static int
hello_hook(
    gnutls_session_t session, unsigned type, unsigned when, unsigned incoming, const gnutls_datum_t *msg)
{
	bool has_tls13 = false;

	(void)session;
	(void)type;
	(void)when;
	if (!incoming ||
	    gnutls_ext_raw_parse(&has_tls13, ext_look, msg, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO) < 0)
		return 0; /* malformed: GnuTLS will say how */
	return has_tls13 ? 0 : GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
}

static enum chat_err
conn_new(struct tls_identity *identity, const struct tls_transport *transport,
    struct tls_readahead *readahead, struct tls_conn **ret_conn)
{
	bool is_server = identity != NULL;
	unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS;
	struct tls_conn *conn;

	pthread_once(&common.once, common_init);
	if (!common.priority || !common.no_certificate)
		return CHAT_ERR_NOMEM;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return CHAT_ERR_NOMEM;
	/* GNUTLS_KEY_SHARE_TOP: one key share, X25519, instead of one for each kind of group. */
	if (gnutls_init(&conn->session,
		flags | (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP)) < 0) {
		free(conn);
		return CHAT_ERR_NOMEM;
	}
	conn->transport = *transport;
	conn->readahead = readahead;
	conn->is_server = is_server;
	conn->trusted = is_server;
	conn->error_text = "no error";
	if (is_server)
		conn->identity = tls_identity_ref(identity);
	if (gnutls_priority_set(conn->session, common.priority) < 0 ||
	    gnutls_credentials_set(conn->session, GNUTLS_CRD_CERTIFICATE,
		is_server ? identity->credentials : common.no_certificate) < 0) {
		tls_conn_free(conn);
		return CHAT_ERR_NOMEM;
	}
	if (is_server)
		gnutls_handshake_set_hook_function(
		    conn->session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE, hello_hook);
	/* Of a handshake message; a hello of ours has 200 bytes, a certificate 500. */
	gnutls_handshake_set_max_packet_length(conn->session, RECORD_MAX_BYTES);
	tls_transport_attach(conn);
	*ret_conn = conn;
	return CHAT_OK;
}

enum chat_err
tls_server_new(struct tls_identity *identity, const struct tls_transport *transport,
    struct tls_readahead *readahead, struct tls_conn **ret_conn)
{
	assert(identity);
	return conn_new(identity, transport, readahead, ret_conn);
}

enum chat_err
tls_client_new(
    const struct tls_transport *transport, struct tls_readahead *readahead, struct tls_conn **ret_conn)
{
	return conn_new(NULL, transport, readahead, ret_conn);
}

void
tls_conn_free(struct tls_conn *conn)
{
	if (!conn)
		return;
	tls_input_drop(conn);
	gnutls_deinit(conn->session);
	tls_identity_unref(conn->identity);
	free(conn);
}

static bool
is_cut(int errno_value)
{
	return errno_value == ECONNRESET || errno_value == EPIPE || errno_value == ENOTCONN ||
	       errno_value == ETIMEDOUT || errno_value == ECONNABORTED;
}

/* Sets the end of the connection and what is said about it.  The first one counts. */
static void
end_set(struct tls_conn *conn, enum tls_failure failure, const char *text)
{
	if (conn->end != TLS_OK)
		return;
	conn->failure = failure;
	conn->error_text = text ? text : "unknown error";
	conn->end = failure == TLS_FAILURE_GOODBYE || failure == TLS_FAILURE_CUT ? TLS_CLOSED : TLS_FAILED;
	if (failure != TLS_FAILURE_GOODBYE && conn->write_end == TLS_OK)
		conn->write_end = conn->end;
}

/* A fatal error of GnuTLS, and the alert for it where the peer can make use of one. */
static void
end_set_gnutls(struct tls_conn *conn, ssize_t err)
{
	int code = (int)err;
	gnutls_alert_description_t alert;

	if (conn->end != TLS_OK)
		return;
	if (conn->failure == TLS_FAILURE_NOT_TLS) {
		end_set(conn, TLS_FAILURE_NOT_TLS, conn->error_text);
	} else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		alert = gnutls_alert_get(conn->session);
		end_set(conn, alert == GNUTLS_A_PROTOCOL_VERSION ? TLS_FAILURE_VERSION : TLS_FAILURE_ALERT,
		    gnutls_alert_get_name(alert));
	} else if (conn->io_errno != 0 && is_cut(conn->io_errno)) {
		end_set(conn, TLS_FAILURE_CUT, strerrordesc_np(conn->io_errno));
	} else if (conn->io_errno != 0) {
		end_set(conn, TLS_FAILURE_IO, strerrordesc_np(conn->io_errno));
	} else if (conn->pull_eof || code == GNUTLS_E_PREMATURE_TERMINATION) {
		end_set(conn, TLS_FAILURE_CUT, "end of file without a goodbye");
	} else if (code == GNUTLS_E_MEMORY_ERROR) {
		end_set(conn, TLS_FAILURE_NOMEM, "out of memory");
	} else {
		end_set(conn,
		    code == GNUTLS_E_UNSUPPORTED_VERSION_PACKET ? TLS_FAILURE_VERSION : TLS_FAILURE_PROTOCOL,
		    gnutls_strerror(code));
		(void)gnutls_alert_send_appropriate(conn->session, code);
	}
}

static enum tls_result
end_tell(struct tls_conn *conn)
{
	conn->end_told = true;
	return conn->end;
}

/*
 * What a negative answer of GnuTLS means.  TLS_OK: call again.  GNUTLS_E_AGAIN does not always mean that the
 * transport would block: after a handshake message between application data (a key update) it comes with
 * input still in the read-ahead buffer, of which epoll knows nothing.
 */
static enum tls_result
judge(struct tls_conn *conn, ssize_t err, unsigned *idle_rounds)
{
	if (gnutls_error_is_fatal((int)err)) {
		end_set_gnutls(conn, err);
		return conn->end;
	}
	if (conn->push_blocked)
		return TLS_WANT_WRITE;
	if (conn->pull_blocked)
		return TLS_WANT_READ;
	if (!conn->moved && ++*idle_rounds > IDLE_ROUNDS) {
		end_set(conn, TLS_FAILURE_PROTOCOL, "no progress");
		return conn->end;
	}
	return TLS_OK;
}

static void
round_begin(struct tls_conn *conn)
{
	conn->pull_blocked = conn->push_blocked = conn->moved = false;
	conn->io_errno = 0;
}

/* The peer may have asked for smaller records than 16 KiB (RFC 8449; GnuTLS ignores less than 512).  We must
 * know: after GNUTLS_E_AGAIN GnuTLS does not say how much of the data went into the record.
 * gnutls_record_get_max_size() is about receiving; to split a range is the one way to ask about sending. */
static uint16_t
record_max(gnutls_session_t session)
{
	gnutls_range_st whole = {.low = RECORD_MAX_BYTES, .high = RECORD_MAX_BYTES};
	gnutls_range_st first, rest;

	if (gnutls_range_split(session, &whole, &first, &rest) < 0 || first.high == 0)
		return 512;
	return (uint16_t)first.high;
}

enum tls_result
tls_handshake(struct tls_conn *conn)
{
	unsigned idle_rounds = 0;
	enum tls_result result;
	int err;

	if (conn->end != TLS_OK)
		return end_tell(conn);
	if (conn->handshake_done)
		return TLS_OK;
	tls_call_begin(conn);
	for (;;) {
		round_begin(conn);
		err = gnutls_handshake(conn->session);
		if (err >= 0)
			break;
		result = judge(conn, err, &idle_rounds);
		if (result == TLS_CLOSED || result == TLS_FAILED)
			return end_tell(conn);
		if (result != TLS_OK)
			return result;
	}
	conn->record_max = record_max(conn->session);
	conn->handshake_done = true;
	return TLS_OK;
}

bool
tls_handshake_done(const struct tls_conn *conn)
{
	return conn->handshake_done;
}

/* One record's worth at most.  TLS_OK: *ret_len > 0. */
static enum tls_result
read_some(struct tls_conn *conn, void *ret, size_t cap, size_t *ret_len)
{
	unsigned idle_rounds = 0;
	enum tls_result result;
	ssize_t got;

	for (;;) {
		round_begin(conn);
		got = gnutls_record_recv(conn->session, ret, cap);
		if (got > 0) {
			*ret_len = (size_t)got;
			return TLS_OK;
		}
		if (got == 0) { /* an empty record is GNUTLS_E_AGAIN */
			end_set(conn, TLS_FAILURE_GOODBYE, "the peer said goodbye");
			return conn->end;
		}
		result = judge(conn, got, &idle_rounds);
		if (result != TLS_OK)
			return result;
	}
}

enum tls_result
tls_read(struct tls_conn *conn, void *ret, size_t cap, size_t *ret_len)
{
	enum tls_result result = TLS_OK;
	size_t len = 0, got = 0;

	assert(conn->handshake_done && conn->trusted);
	assert(cap > 0);
	if (conn->end != TLS_OK)
		return end_tell(conn);
	tls_call_begin(conn);
	while (len < cap && result == TLS_OK) {
		result = read_some(conn, (uint8_t *)ret + len, cap - len, &got);
		if (result == TLS_OK)
			len += got;
	}
	if (len > 0) {
		*ret_len = len;
		return TLS_OK; /* an end, if there is one, comes with the next call */
	}
	return conn->end != TLS_OK ? end_tell(conn) : result;
}

bool
tls_pending(const struct tls_conn *conn)
{
	if (conn->end != TLS_OK)
		return !conn->end_told;
	return conn->more || tls_input_left(conn) > 0 ||
	       (conn->handshake_done && gnutls_record_check_pending(conn->session) > 0);
}

/*
 * A fatal error of a write.  If it was the transport's, reading goes on to its own end: what the peer said
 * before it went (why it ends the connection, say) may still be there.
 */
static enum tls_result
write_failed(struct tls_conn *conn, int err)
{
	conn->unsent = false;
	if (conn->io_errno != 0) {
		bool cut = is_cut(conn->io_errno);

		conn->write_end = cut ? TLS_CLOSED : TLS_FAILED;
		if (conn->end == TLS_OK) {
			conn->failure = cut ? TLS_FAILURE_CUT : TLS_FAILURE_IO;
			conn->error_text = strerrordesc_np(conn->io_errno);
		}
	} else {
		conn->write_end = TLS_FAILED;
		end_set_gnutls(conn, err);
	}
	return conn->write_end;
}

bool
tls_has_unsent(const struct tls_conn *conn)
{
	return conn->unsent;
}

enum tls_result
tls_flush(struct tls_conn *conn)
{
	if (conn->write_end != TLS_OK)
		return conn->write_end;
	while (conn->unsent) {
		ssize_t sent;

		round_begin(conn);
		sent = gnutls_record_send(conn->session, NULL, 0);
		/*
		 * Invalid request: there was nothing left to send.  It is the answer when the peer asked for
		 * a key update while a record was unsent: GnuTLS then sends both, and is left with no data of
		 * ours.
		 */
		if (sent >= 0 || sent == GNUTLS_E_INVALID_REQUEST)
			conn->unsent = false;
		else if (gnutls_error_is_fatal((int)sent))
			return write_failed(conn, (int)sent);
		else if (conn->push_blocked)
			return TLS_WANT_WRITE;
		else if (!conn->moved)
			return write_failed(conn, GNUTLS_E_INTERNAL_ERROR);
	}
	return TLS_OK;
}

enum tls_result
tls_write(struct tls_conn *conn, const void *from, size_t len, size_t *ret_accepted)
{
	size_t accepted = 0, n;
	enum tls_result result;
	ssize_t sent;

	assert(conn->handshake_done && conn->trusted);
	assert(!conn->bye_sent);
	for (;;) {
		result = tls_flush(conn);
		if (result == TLS_WANT_WRITE && accepted == len)
			break; /* nothing more to offer: tls_has_unsent() says the rest */
		if (result == TLS_WANT_WRITE) {
			*ret_accepted = accepted;
			return TLS_WANT_WRITE;
		}
		if (result != TLS_OK)
			return result;
		if (accepted == len)
			break;
		n = len - accepted < conn->record_max ? len - accepted : conn->record_max;
		round_begin(conn);
		sent = gnutls_record_send(conn->session, (const uint8_t *)from + accepted, n);
		if (sent >= 0) {
			accepted += (size_t)sent;
		} else if (gnutls_error_is_fatal((int)sent)) {
			return write_failed(conn, (int)sent);
		} else {
			/* Encrypted and kept (or copied, during a key update); GnuTLS wants (NULL, 0) from
			 * now on. */
			conn->unsent = true;
			accepted += n;
		}
	}
	*ret_accepted = accepted;
	return TLS_OK;
}

enum tls_result
tls_bye(struct tls_conn *conn)
{
	enum tls_result result;
	int err;

	if (!conn->handshake_done)
		return conn->end != TLS_OK ? end_tell(conn) : TLS_OK;
	result = tls_flush(conn);
	if (result != TLS_OK || conn->bye_sent)
		return result;
	/* gnutls_bye() is not asked twice: it would send the alert again after GNUTLS_E_AGAIN.  The alert is
	 * then in GnuTLS's buffer, and flushed like any record. */
	round_begin(conn);
	err = gnutls_bye(conn->session, GNUTLS_SHUT_WR);
	if (err < 0 && gnutls_error_is_fatal(err))
		return write_failed(conn, err);
	conn->bye_sent = true;
	conn->unsent = err < 0;
	return err < 0 ? TLS_WANT_WRITE : TLS_OK;
}

enum chat_err
tls_export_binding(struct tls_conn *conn, uint8_t ret[static 32])
{
	gnutls_datum_t binding = {.data = NULL, .size = 0};
	enum chat_err err = CHAT_ERR_TLS;

	if (!conn->handshake_done)
		return CHAT_ERR_TLS;
	if (gnutls_session_channel_binding(conn->session, GNUTLS_CB_TLS_EXPORTER, &binding) >= 0 &&
	    binding.size == 32) {
		memcpy(ret, binding.data, 32);
		err = CHAT_OK;
	}
	gnutls_free(binding.data);
	return err;
}

enum chat_err
tls_peer_fingerprint(const struct tls_conn *conn, struct digest *ret)
{
	const gnutls_datum_t *peers;
	unsigned count = 0;

	if (!conn->handshake_done || conn->is_server)
		return CHAT_ERR_TLS;
	peers = gnutls_certificate_get_peers(conn->session, &count);
	if (!peers || count == 0)
		return CHAT_ERR_TLS;
	return tls_cert_fingerprint(&peers[0], ret);
}

void
tls_trust_peer(struct tls_conn *conn)
{
	assert(conn->handshake_done);
	conn->trusted = true;
}

static const char *
name_or_dash(const char *name)
{
	return name ? name : "-";
}

struct tls_info
tls_describe(const struct tls_conn *conn)
{
	gnutls_session_t session = conn->session;

	if (!conn->handshake_done)
		return (struct tls_info){.version = "-", .cipher = "-", .kx = "-"};
	return (struct tls_info){
	    .version = name_or_dash(gnutls_protocol_get_name(gnutls_protocol_get_version(session))),
	    .cipher = name_or_dash(gnutls_cipher_get_name(gnutls_cipher_get(session))),
	    .kx = name_or_dash(gnutls_group_get_name(gnutls_group_get(session))),
	};
}

enum tls_failure
tls_failure(const struct tls_conn *conn)
{
	return conn->failure;
}

const char *
tls_failure_name(enum tls_failure failure)
{
	switch (failure) {
	case TLS_FAILURE_NONE:
		return "none";
	case TLS_FAILURE_GOODBYE:
		return "goodbye";
	case TLS_FAILURE_CUT:
		return "cut";
	case TLS_FAILURE_NOT_TLS:
		return "not_tls";
	case TLS_FAILURE_VERSION:
		return "version";
	case TLS_FAILURE_ALERT:
		return "alert";
	case TLS_FAILURE_PROTOCOL:
		return "protocol";
	case TLS_FAILURE_IO:
		return "io";
	case TLS_FAILURE_NOMEM:
		return "nomem";
	}
	return "unknown";
}

const char *
tls_error_text(const struct tls_conn *conn)
{
	return conn->error_text;
}

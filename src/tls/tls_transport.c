/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How bytes get under GnuTLS: sockets, the shared read-ahead buffer, and the look at a peer's first two
 * bytes.
 *
 * GnuTLS asks for the five bytes of a record's header, then for the record: two system calls a record, if
 * asked directly.  With read-ahead one recv() fetches all that is there (2.5 against 3.1 us a message,
 * measured), and after a short one the next is not tried, for it would only say EAGAIN.
 */

#include "tls/tls_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What one call may take from the transport, so that a peer who sends empty records at full speed cannot keep
 * a thread in a single call. */
#define CALL_BUDGET_BYTES (256 * 1024)

#define CONTENT_ALERT     21
#define CONTENT_HANDSHAKE 22
#define MAJOR_VERSION     3

static int
fd_of(void *ctx)
{
	return (int)(intptr_t)ctx;
}

static ssize_t
fd_pull(void *ctx, void *ret, size_t n)
{
	ssize_t got;

	do
		got = recv(fd_of(ctx), ret, n, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t
fd_push(void *ctx, const void *from, size_t n)
{
	ssize_t sent;

	do
		sent = send(fd_of(ctx), from, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* A handshake's flight is several records: one packet instead of five. */
static ssize_t
fd_push_vec(void *ctx, const giovec_t *iov, int count)
{
	/* sendmsg() does not write to the array; its type only says so for recvmsg()'s sake. */
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
	ssize_t sent;

	do
		sent = sendmsg(fd_of(ctx), &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

struct tls_transport
tls_transport_fd(int fd)
{
	return (struct tls_transport){.pull = fd_pull, .push = fd_push, .ctx = (void *)(intptr_t)fd};
}

size_t
tls_input_left(const struct tls_conn *conn)
{
	const struct tls_readahead *ahead = conn->readahead;
	size_t left = conn->stash_end - conn->stash_start;

	if (ahead && ahead->holder == conn)
		left += ahead->end - ahead->start;
	return left;
}

static void
stash_drop(struct tls_conn *conn)
{
	free(conn->stash);
	conn->stash = NULL;
	conn->stash_start = conn->stash_end = 0;
}

void
tls_input_drop(struct tls_conn *conn)
{
	struct tls_readahead *ahead = conn->readahead;

	stash_drop(conn);
	if (ahead && ahead->holder == conn) {
		ahead->holder = NULL;
		ahead->start = ahead->end = 0;
	}
}

void
tls_call_begin(struct tls_conn *conn)
{
	conn->budget = CALL_BUDGET_BYTES;
	conn->drained = false;
	conn->more = false;
}

/* Makes the buffer conn's and empty.  What its holder left in it goes to the holder's own heap; a holder
 * without memory for that has lost input, so it fails. */
static void
readahead_claim(struct tls_readahead *ahead, struct tls_conn *conn)
{
	struct tls_conn *holder = ahead->holder;
	size_t left = ahead->end - ahead->start;

	if (holder && holder != conn && left > 0) {
		assert(!holder->stash); /* it reads the buffer only when its stash is empty */
		holder->stash = malloc(left);
		if (holder->stash) {
			memcpy(holder->stash, ahead->data + ahead->start, left);
			holder->stash_end = (uint32_t)left;
		} else if (holder->end == TLS_OK) {
			holder->end = holder->write_end = TLS_FAILED;
			holder->failure = TLS_FAILURE_NOMEM;
			holder->error_text = "out of memory";
		}
	} else {
		assert(left == 0);
	}
	ahead->holder = conn;
	ahead->start = ahead->end = 0;
}

/* From the transport: the bytes it gave, 0 at its end, or -errno. */
static ssize_t
transport_pull(struct tls_conn *conn, void *ret, size_t n)
{
	ssize_t got;

	if (conn->drained)
		return -EAGAIN;
	if (conn->budget == 0) {
		conn->more = true;
		return -EAGAIN;
	}
	if (n > conn->budget)
		n = conn->budget;
	got = conn->transport.pull(conn->transport.ctx, ret, n);
	if (got > 0) {
		conn->budget -= (uint32_t)got;
		conn->drained = (size_t)got < n;
	}
	return got;
}

static ssize_t
input_pull(struct tls_conn *conn, void *ret, size_t n)
{
	struct tls_readahead *ahead = conn->readahead;
	ssize_t got;
	size_t left;

	if (conn->stash) {
		left = conn->stash_end - conn->stash_start;
		n = n < left ? n : left;
		memcpy(ret, conn->stash + conn->stash_start, n);
		conn->stash_start += (uint32_t)n;
		if (n == left)
			stash_drop(conn);
		return (ssize_t)n;
	}
	if (!ahead)
		return transport_pull(conn, ret, n);
	if (ahead->holder != conn || ahead->start == ahead->end) {
		readahead_claim(ahead, conn);
		got = transport_pull(conn, ahead->data, ahead->cap);
		if (got <= 0)
			return got;
		ahead->end = (size_t)got;
	}
	left = ahead->end - ahead->start;
	n = n < left ? n : left;
	memcpy(ret, ahead->data + ahead->start, n);
	ahead->start += n;
	return (ssize_t)n;
}

/* A peer that does not speak TLS is told apart here, for GnuTLS has a dozen errors for it. */
static bool
looks_like_tls(struct tls_conn *conn, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && conn->bytes_seen < 2; i++, conn->bytes_seen++) {
		if (conn->bytes_seen == 0 && p[i] != CONTENT_HANDSHAKE &&
		    !(p[i] == CONTENT_ALERT && !conn->is_server))
			return false;
		if (conn->bytes_seen == 1 && p[i] != MAJOR_VERSION)
			return false;
	}
	return true;
}

static ssize_t
pull_cb(gnutls_transport_ptr_t ptr, void *ret, size_t n)
{
	struct tls_conn *conn = ptr;
	ssize_t got = input_pull(conn, ret, n);

	if (got < 0) {
		if (got == -EAGAIN || got == -EINTR) {
			conn->pull_blocked = true;
			gnutls_transport_set_errno(conn->session, EAGAIN);
			return -1;
		}
		conn->io_errno = (int)-got;
		gnutls_transport_set_errno(conn->session, conn->io_errno);
		return -1;
	}
	if (got == 0) {
		conn->pull_eof = true;
		return 0;
	}
	conn->moved = true;
	if (conn->bytes_seen < 2 && !looks_like_tls(conn, ret, (size_t)got)) {
		conn->failure = TLS_FAILURE_NOT_TLS;
		conn->error_text = "the first bytes are not TLS";
		gnutls_transport_set_errno(conn->session, EPROTO);
		return -1;
	}
	return got;
}

static ssize_t
push_any(struct tls_conn *conn, const giovec_t *iov, int count)
{
	ssize_t total = 0;

	if (conn->transport.push == fd_push)
		return count == 1 ? fd_push(conn->transport.ctx, iov->iov_base, iov->iov_len)
				  : fd_push_vec(conn->transport.ctx, iov, count);
	for (int i = 0; i < count; i++) {
		ssize_t sent = conn->transport.push(conn->transport.ctx, iov[i].iov_base, iov[i].iov_len);

		if (sent < 0)
			return total > 0 ? total : sent;
		total += sent;
		if ((size_t)sent < iov[i].iov_len)
			break;
	}
	return total;
}

static ssize_t
push_cb(gnutls_transport_ptr_t ptr, const giovec_t *iov, int count)
{
	struct tls_conn *conn = ptr;
	ssize_t sent = push_any(conn, iov, count);

	if (sent >= 0) {
		conn->moved = true;
		return sent;
	}
	if (sent == -EAGAIN || sent == -EINTR) {
		conn->push_blocked = true;
		gnutls_transport_set_errno(conn->session, EAGAIN);
		return -1;
	}
	conn->io_errno = (int)-sent;
	gnutls_transport_set_errno(conn->session, conn->io_errno);
	return -1;
}

/* GnuTLS's own would poll our pointer as if it were a descriptor.  We set no timeouts, so it is not called.
 */
static int
pull_timeout_cb(gnutls_transport_ptr_t ptr, unsigned ms)
{
	(void)ptr;
	(void)ms;
	return 1;
}

void
tls_transport_attach(struct tls_conn *conn)
{
	gnutls_transport_set_ptr(conn->session, conn);
	gnutls_transport_set_pull_function(conn->session, pull_cb);
	gnutls_transport_set_vec_push_function(conn->session, push_cb);
	gnutls_transport_set_pull_timeout_function(conn->session, pull_timeout_cb);
}

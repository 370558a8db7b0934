/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_HOST_H
#define HOSTILE_HOST_H

/*
 * A real chat-server for hostile peers: the program that was built, in a process of its own, with a state
 * directory that goes away, on a port that it chose.  Its log is collected by a thread, so that the server
 * never waits for us.
 *
 * All waiting has an end: what does not come within host_patience_ms() fails the test.
 *
 * Threads: the test's own; the one that reads the log is private.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "group/identity.h"

struct host;

/*
 * Starts it, and returns when it listens.  conf: lines of chat-server.conf(5), or NULL.  accounts: names,
 * NULL at the end; each has the password of host_password(), hashed cheaply.
 */
struct host *host_start(const char *conf, const char *const *accounts);
/* SIGTERM; it must end with 0, and must not have logged a password or what was said. */
void host_stop(struct host *host);

/* One that somebody else runs on this port of 127.0.0.1, to be connected to only; and its end. */
struct host *host_at(uint16_t port);
void host_forget(struct host *host);

uint16_t host_port(const struct host *host);
const struct realm *host_realm(const struct host *host);
void host_set_realm(struct host *host, const struct realm *realm);
pid_t host_pid(const struct host *host);
const char *host_state_dir(const struct host *host);

/* The password of the account of that name; static storage, until the next call. */
const char *host_password(const char *account);
/* Replaces a password file: the lines of `accounts`, and of `locked`, which may be NULL. */
void host_write_passwords_to(const char *path, const char *const *accounts, const char *const *locked);
void host_write_passwords(struct host *host, const char *const *accounts, const char *const *locked);

/* How many lines of the log hold all these texts; NULL at the end. */
size_t host_log_count(struct host *host, ...) __attribute__((sentinel));
/* Waits until there are at least n of them. */
void host_log_wait(struct host *host, size_t n, ...) __attribute__((sentinel));
/* The n-th, from 1 on, which must be there; free() it. */
char *host_log_line(struct host *host, size_t n, ...) __attribute__((sentinel));
/* The end of it to stderr, for a test that fails. */
void host_log_show(struct host *host);
/* The number behind KEY= in a line. */
uint64_t host_log_number(const char *line, const char *key);

/* Memory that the process has now, and whether that means something (not under a sanitizer). */
size_t host_rss_bytes(const struct host *host);
bool host_is_sanitized(void);

/* What the control socket's `status` says of KEY. */
uint64_t host_status(const struct host *host, const char *key);

unsigned host_patience_ms(void);
uint64_t host_now_ms(void); /* monotonic */

#endif

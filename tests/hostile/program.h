/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_PROGRAM_H
#define HOSTILE_PROGRAM_H

/*
 * A real chat-client, in a process of its own with a data directory that goes away: what it is typed, and all
 * that it prints, to either output.
 *
 * Threads: the test's own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program;

/*
 * chat-client --plain as `user`, with the password of host_password(), on 127.0.0.1; data_dir NULL: a fresh
 * one, else one that an earlier program had.  args: more options, NULL at the end, or NULL.
 */
struct program *program_start(uint16_t port, const char *user, const char *data_dir, const char *const *args);
const char *program_data_dir(const struct program *program); /* for the next one */

void program_type(struct program *program, const char *line);
/* As host_log_wait() and host_log_count(), of what it printed. */
void program_wait(struct program *program, size_t n, ...) __attribute__((sentinel));
size_t program_count(struct program *program, ...) __attribute__((sentinel));
/* Anywhere in what it printed. */
bool program_said(struct program *program, const char *text);

/* Waits until it ends by itself; the exit status, -1 for a signal. */
int program_wait_end(struct program *program);
/* /quit, which has to end it with this status; then frees it.  And: frees one that has ended. */
void program_quit(struct program *program, int expected);
void program_free(struct program *program);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_ENGINE_PAIR_PRIV_H
#define TESTS_UNIT_ENGINE_PAIR_PRIV_H

/* Between the files of the pair: engine_pair.c is the server, pair_steps.c what happens when, pair_peer.c the
 * clients. */

#include "engine_pair.h"

struct pair_mail {
	STAILQ_ENTRY(pair_mail) link;
	struct command *cmd;
};

struct pair_read {
	STAILQ_ENTRY(pair_read) link;
	struct read_request *request;
};

/* ---- engine_pair.c ---- */

struct pair_account *pair_account_of(struct pair *pair, struct bytes name);
void pair_mail(struct pair *pair, struct command *cmd);
/* One frame of what has come, if it is whole. */
bool pair_take_request(struct pair *pair, struct pair_conn *conn);
void pair_run_read(struct pair *pair);
void pair_take_turn(struct pair *pair, size_t count);
void pair_conn_close(struct pair *pair, struct pair_conn *conn);
/* Subscriptions that fell behind are read, if there is room again. */
void pair_conn_drained(struct pair *pair, struct pair_conn *conn);

/* ---- pair_peer.c ---- */

/* Takes events and work from the session. */
void peer_take_events(struct peer *peer);
/* After any call of the session's: the above, and the end of the connection if it wants that. */
void peer_after_call(struct peer *peer);
void peer_run_work(struct peer *peer);
void peer_drop_works(struct peer *peer);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_SCHEDULE_H
#define TESTS_UNIT_SCHEDULE_H

/*
 * The engine, delivery and the readers' side of the store under random schedules.  People talk, invite, join,
 * leave, kick and re-wrap in a few rooms, several commands to a turn, some of them refused; commits fail, the
 * engine starts anew, accounts are deleted and come back; between the engine and each connection are what the
 * server has: mail that waits, queues that fill, reads that come late, connections that end and resume.
 *
 *   schedule_clients.c   the server's side of the connections, and what clients check
 *   schedule_posts.c     what people do, what is to come of it, and what came of it
 *   test_engine_schedule.c
 *
 * The model is a plain list for each room: what was acknowledged, in order.
 */

#include "engine_world.h"

#include "server/delivery.h"
#include "server/view.h"

#define PEOPLE       4
#define ROOMS        3
#define CONNS        8 /* two for each of the people */
#define QUEUE_MARK   6
#define SEQ_MAX      2000
#define EXPECTED_MAX 64

struct model_entry {
	struct digest L;
	struct buf wire;
	uint64_t server_time_ms;
	bool message;
	uint8_t joined;   /* bit by person: joined when it was said */
	uint8_t entitled; /* bit by person: reader when its epoch opened */
};

struct model_room {
	struct copy copy;
	bool made;
	uint64_t head; /* with what was posted in this turn */
	struct model_entry entries[SEQ_MAX];
	uint8_t epoch_readers;
	/* before this turn */
	uint64_t stored_head;
	uint8_t stored_epoch_readers;
};

struct model_sub {
	bool on, ended, resuming;
	uint64_t room_no, end_seq;
	struct delivery d;
	struct view *view;
	uint64_t next;         /* what the client wants next: survives the connection */
	uint64_t joined_since; /* 0: not joined now */
	bool reading;
	uint64_t read_from, read_to;
	uint32_t queued;
};

struct model_conn {
	struct conn_ref ref;
	bool open;
	struct model_sub subs[ROOMS];
};

/* What is to come of a request of this turn. */
struct expected {
	uint64_t request_id;
	enum chat_err err; /* CHAT_OK: it is answered by `type` */
	enum outcome_type type;
	bool answered;
	/* of what only looks: it sees what the turn has left */
	bool looks_only;
	size_t person;
	const struct model_room *room;
	struct model_sub *sub;  /* of a resume */
	struct digest epoch_id; /* of an ask */
	/* of what is posted */
	uint64_t last_seq;
	uint32_t count;
	struct digest L;
	bool has_current;
	struct digest current;
	uint64_t number;
};

struct schedule {
	struct world w;
	struct person people[PEOPLE];
	struct model_room rooms[ROOMS];
	struct model_conn conns[CONNS];
	struct outcome *mail[WORLD_LOOPS], **mail_last[WORLD_LOOPS];
	struct store_reader *reader;
	struct expected expected[EXPECTED_MAX];
	size_t expected_count;
	uint8_t rewrapped; /* bit by person: gets a re-wrap in this turn */
	struct {
		uint64_t received, whole, stubs, reads, kicks, refused, failed_turns, unknown, restarts,
		    retired, rewraps;
	} seen;
};

uint64_t below(struct schedule *s, uint64_t n);
size_t person_of(size_t conn);
const struct roster_member *member_of(const struct schedule *s, const struct model_room *room, size_t person);
/* By person. */
uint8_t
who(const struct schedule *s, const struct model_room *room, bool (*is)(const struct roster_member *));

/* ---- schedule_clients.c ---- */

void sub_off(struct model_sub *sub);
void maybe_read(struct schedule *s, struct model_sub *sub);
void step_read(struct schedule *s, size_t c, size_t r);
void step_mail(struct schedule *s, uint16_t loop);
/* Hands the turn's outcomes to the loops' mail. */
void send_mail(struct schedule *s);
void drop_mail(struct schedule *s);
/* What a client knows of its own stay, for what is owed to it. */
void note_joined(struct schedule *s);
struct model_conn *conn_of(struct schedule *s, struct conn_ref ref);
/* Until nothing is under way any more, and then everybody has everything. */
void settle(struct schedule *s);
void check_clients(struct schedule *s);

/* ---- schedule_posts.c ---- */

void random_post(struct schedule *s);
void random_resume(struct schedule *s);
void random_rewrap(struct schedule *s);
/* Compares the turn's answers with what was expected; a turn that failed leaves the rooms as they were. */
void check_answers(struct schedule *s, bool failed);
/* The stored log of each room is its list. */
void check_logs(struct schedule *s);
void room_clear(struct schedule *s, struct model_room *room);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_rooms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_read.h"

/* A power of two.  0.7 MiB, touched as it is used; two rooms of one place only cost lookups. */
#define TAILS 1024

enum chat_err
sq_rooms_init(struct sq_rooms *rooms, struct sq_conn *conn)
{
	rooms->conn = conn;
	rooms->tails = calloc(TAILS, sizeof(*rooms->tails));
	rooms->listed = calloc(TAILS, sizeof(*rooms->listed));
	rooms->listed_count = 0;
	rooms->last_entry_id = UINT64_MAX;
	if (rooms->tails && rooms->listed)
		return CHAT_OK;
	sq_rooms_fini(rooms);
	return CHAT_ERR_NOMEM;
}

void
sq_rooms_fini(struct sq_rooms *rooms)
{
	free(rooms->tails);
	free(rooms->listed);
	rooms->tails = NULL;
	rooms->listed = NULL;
}

void
sq_rooms_forget(struct sq_rooms *rooms)
{
	for (size_t i = 0; i < TAILS; i++) {
		/* Only where there is something: the rest stays untouched memory. */
		if (rooms->tails[i].room_no)
			rooms->tails[i].room_no = 0;
	}
	while (rooms->listed_count > 0)
		rooms->tails[rooms->listed[--rooms->listed_count]].listed = false;
	rooms->last_entry_id = UINT64_MAX;
}

static enum chat_err
write_head(struct sq_rooms *rooms, struct sq_tail *tail)
{
	sqlite3_stmt *st = rooms->conn->stmts[SQ_SET_HEAD];
	enum chat_err err;

	sq_bind_u64(st, 1, tail->room_no);
	sq_bind_u64(st, 2, tail->head.seq);
	sq_bind_u64(st, 3, tail->head_id);
	sq_bind_digest(st, 4, &tail->head.L);
	sq_bind_digest(st, 5, &tail->head.E);
	err = sq_run(rooms->conn, st);
	if (!err)
		tail->dirty = false;
	return err;
}

enum chat_err
sq_rooms_flush(struct sq_rooms *rooms)
{
	while (rooms->listed_count > 0) {
		struct sq_tail *tail = &rooms->tails[rooms->listed[rooms->listed_count - 1]];

		if (tail->dirty) {
			enum chat_err err = write_head(rooms, tail);

			if (err)
				return err;
		}
		tail->listed = false;
		rooms->listed_count--;
	}
	return CHAT_OK;
}

/* The only place where the room can be.  A room id is a hash already. */
static struct sq_tail *
place_of(struct sq_rooms *rooms, const struct digest *room_id)
{
	return &rooms->tails[be32_get(room_id->b) & (TAILS - 1)];
}

static enum chat_err
make_free(struct sq_rooms *rooms, struct sq_tail *tail)
{
	enum chat_err err = tail->room_no && tail->dirty ? write_head(rooms, tail) : CHAT_OK;

	if (!err)
		tail->room_no = 0;
	return err;
}

static void
fill(struct sq_tail *tail, const struct sq_room *room)
{
	tail->room_id = room->room_id;
	tail->room_no = room->room_no;
	tail->head = room->head;
	tail->head_id = room->head_id;
	tail->dirty = false;
	tail->loaded_seq = room->head.seq;
	tail->loaded_id = room->head_id;
}

enum chat_err
sq_rooms_find(struct sq_rooms *rooms, const struct digest *room_id, struct sq_tail **ret)
{
	struct sq_tail *tail = place_of(rooms, room_id);
	struct sq_room room;
	enum chat_err err;

	if (!tail->room_no || !digest_equal(&tail->room_id, room_id)) {
		err = sq_room_by_id(rooms->conn, room_id, &room);
		if (!err)
			err = make_free(rooms, tail);
		if (err)
			return err;
		fill(tail, &room);
	}
	*ret = tail;
	return CHAT_OK;
}

enum chat_err
sq_rooms_add(struct sq_rooms *rooms, const struct digest *room_id, struct sq_tail **ret)
{
	struct sq_tail *tail = place_of(rooms, room_id);
	sqlite3_stmt *st = rooms->conn->stmts[SQ_ADD_ROOM];
	struct sq_room room = {.room_id = *room_id, .whole_from = 1};
	enum chat_err err = make_free(rooms, tail);

	if (err)
		return err;
	sq_bind_digest(st, 1, room_id);
	err = sq_run(rooms->conn, st);
	if (err)
		return err;
	room.room_no = (uint64_t)sqlite3_last_insert_rowid(rooms->conn->db);
	if (room.room_no > ROOM_NO_MAX)
		return sq_corrupt(rooms->conn, "room number %" PRIu64 " is out of range", room.room_no);
	fill(tail, &room);
	*ret = tail;
	return CHAT_OK;
}

/* The head has completed its block: its row of `blocks`. */
static enum chat_err
write_block(struct sq_rooms *rooms, struct sq_tail *tail)
{
	sqlite3_stmt *st = rooms->conn->stmts[SQ_ADD_BLOCK];
	uint64_t first = tail->head.seq - BLOCK_ENTRIES + 1;
	uint8_t wire[8 * BLOCK_ENTRIES];

	if (tail->loaded_seq >= first) {
		/* The beginning of the block was there before: a walk of at most 63 rows, for 64 entries. */
		struct sq_room then = {
		    .room_no = tail->room_no, .head = {.seq = tail->loaded_seq}, .head_id = tail->loaded_id};
		struct sq_ids ids;
		enum chat_err err = sq_ids_at(rooms->conn, &then, first, &ids);

		if (err)
			return err;
		memcpy(tail->ids, ids.ids, sizeof(ids.ids[0]) * (tail->loaded_seq - first + 1));
	}
	for (size_t i = 0; i < BLOCK_ENTRIES; i++)
		be64_put(wire + 8 * i, tail->ids[i]);
	sq_bind_u64(st, 1, tail->room_no << BLOCK_NO_BITS | (first - 1) / BLOCK_ENTRIES);
	sq_bind_bytes(st, 2, BYTES_ARRAY(wire));
	return sq_run(rooms->conn, st);
}

static enum chat_err
next_entry_id(struct sq_rooms *rooms, uint64_t *ret)
{
	if (rooms->last_entry_id == UINT64_MAX) {
		sqlite3_stmt *st = rooms->conn->stmts[SQ_LAST_ENTRY_ID];
		bool row;
		enum chat_err err = sq_next(rooms->conn, st, &row);

		if (err)
			return err;
		rooms->last_entry_id = row ? sq_col_u64(st, 0) : 0;
		sq_done(st);
	}
	*ret = ++rooms->last_entry_id;
	return CHAT_OK;
}

static enum chat_err
add_event(struct sq_rooms *rooms, const struct sq_tail *tail, const struct store_new_entry *entry)
{
	sqlite3_stmt *st = rooms->conn->stmts[SQ_ADD_EVENT];
	enum chat_err err;

	sq_bind_u64(st, 1, tail->room_no);
	sq_bind_u64(st, 2, tail->head.seq);
	sq_bind_u64(st, 3, tail->head_id);
	sq_bind_digest(st, 4, &tail->head.E);
	err = sq_run(rooms->conn, st);
	if (err || !entry->rekey)
		return err;

	st = rooms->conn->stmts[SQ_ADD_EPOCH];
	sq_bind_digest(st, 1, &entry->event_hash);
	sq_bind_u64(st, 2, tail->room_no);
	sq_bind_u64(st, 3, tail->head.seq);
	return sq_run(rooms->conn, st);
}

enum chat_err
sq_rooms_append(struct sq_rooms *rooms, struct sq_tail *tail, struct store_new_entry *entry)
{
	sqlite3_stmt *st = rooms->conn->stmts[SQ_ADD_ENTRY];
	bool event = entry->kind == ENTRY_EVENT;
	uint64_t id, prev_id = tail->head_id;
	enum chat_err err = next_entry_id(rooms, &id);

	if (err)
		return err;
	log_head_advance(
	    &tail->head, entry->server_time_ms, &entry->entry_hash, event ? &entry->event_hash : NULL);
	entry->log_hash = tail->head.L;
	tail->head_id = id;
	tail->ids[(tail->head.seq - 1) % BLOCK_ENTRIES] = id;
	tail->dirty = true;
	if (!tail->listed) {
		tail->listed = true;
		rooms->listed[rooms->listed_count++] = (uint32_t)(tail - rooms->tails);
	}

	sq_bind_u64(st, 1, id);
	sq_bind_u64(st, 2, tail->room_no);
	sq_bind_u64(st, 3, tail->head.seq);
	sq_bind_u64(st, 4, prev_id);
	sq_bind_u64(st, 5, entry->server_time_ms);
	sq_bind_u64(st, 6, entry->kind);
	sq_bind_digest(st, 7, &entry->entry_hash);
	sq_bind_digest(st, 8, &tail->head.L);
	sq_bind_bytes(st, 9, entry->wire);
	err = sq_run(rooms->conn, st);
	if (!err && event)
		err = add_event(rooms, tail, entry);
	if (!err && tail->head.seq % BLOCK_ENTRIES == 0)
		err = write_block(rooms, tail);
	return err;
}

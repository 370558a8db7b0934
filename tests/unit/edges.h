/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef EDGES_H
#define EDGES_H

/*
 * The edges of fields of protobuf messages: a table says by name what each field may be, and every edge is
 * tried, one inside and one outside.  The fields are found by the names in chat.proto, and one that the table
 * forgets is found too, so a field added to chat.proto needs its row here before the tests pass.
 *
 * A path is "room_id", or "entry.wire" for a field of every message of a list or of the message there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

enum edge_kind {
	EDGE_LENGTH, /* of a bytes or string field, or of each in a list of such */
	EDGE_COUNT,  /* of a list's elements */
	EDGE_NUMBER, /* a number's or an enum's value */
	EDGE_ANY,    /* nothing is wrong here: any number, bool or count */
	EDGE_OTHER,  /* a test of its own looks at it */
};

struct edge {
	int type; /* which message: what edges_check() asks for */
	const char *path;
	enum edge_kind kind;
	uint64_t min, max; /* what is right, both included */
	bool or_empty;     /* length 0 is right too */
};

/* The caller's side: a fresh valid message of this type (lists longer than they have to be allowed to be:
 * EDGE_LIST), and the verdict on the frame that holds it. */
struct edge_subject {
	ProtobufCMessage *(*make)(int type);
	bool (*is_right)(int type);
};

/* Lists made by `make` have this many elements in memory, whatever their n_ says. */
#define EDGE_LIST 1001
/* Bytes and strings set by the edges are that long at most. */
#define EDGE_BYTES_MAX 800000

/* Tries all edges of `type`, and fails for a field that no row names. */
void edges_check(int type, const struct edge *edges, size_t count, const struct edge_subject *subject);

/* Sets one field.  Lengths: the bytes are 'x', for strings 'a'. */
void edge_set_length(ProtobufCMessage *message, const char *path, size_t len);
void edge_set_count(ProtobufCMessage *message, const char *path, size_t count);
void edge_set_number(ProtobufCMessage *message, const char *path, uint64_t value);
/* Borrows s until the message is made anew. */
void edge_set_string(ProtobufCMessage *message, const char *path, const char *s);

#endif

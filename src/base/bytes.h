/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

/*
 * Borrowed bytes, and a reader and a writer for the protocol's fixed layouts (big-endian integers, str8, str16).
 *
 * Neither allocates.  Reader and writer remember a failure: check once, at the end, with rd_done() or wr_done().
 * After a failure a read gives zeros and a write does nothing, so no step in between needs a check for memory
 * safety; check earlier where a value decides what to read next.
 *
 * Threads: any; a reader or writer belongs to one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Borrowed: the memory belongs to somebody else and must outlive the struct. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

#define BYTES(ptr, length)  ((struct bytes){.data = (const uint8_t *)(ptr), .len = (length)})
#define BYTES_ARRAY(arr)    BYTES((arr), sizeof(arr))
#define BYTES_STR(s)        BYTES((s), strlen(s))
#define BYTES_EMPTY         ((struct bytes){.data = NULL, .len = 0})

bool bytes_equal(struct bytes a, struct bytes b);

uint16_t be16_get(const uint8_t p[static 2]);
uint32_t be32_get(const uint8_t p[static 4]);
uint64_t be64_get(const uint8_t p[static 8]);
void be16_put(uint8_t p[static 2], uint16_t v);
void be32_put(uint8_t p[static 4], uint32_t v);
void be64_put(uint8_t p[static 8], uint64_t v);

struct reader {
	const uint8_t *pos;
	size_t left;
	bool failed;
};

void rd_init(struct reader *rd, struct bytes from);
uint8_t rd_u8(struct reader *rd);
uint16_t rd_u16(struct reader *rd);
uint32_t rd_u32(struct reader *rd);
uint64_t rd_u64(struct reader *rd);
/* Copies n bytes out; zeros after a failure. */
void rd_copy(struct reader *rd, void *ret, size_t n);
/* The next n bytes, borrowed from the reader's input; empty after a failure. */
struct bytes rd_take(struct reader *rd, size_t n);
struct bytes rd_str8(struct reader *rd);
struct bytes rd_str16(struct reader *rd);
/* All that is left, borrowed. */
struct bytes rd_rest(struct reader *rd);
/* True if nothing failed and nothing is left. */
bool rd_done(const struct reader *rd) MUST_USE;

struct writer {
	uint8_t *start;
	size_t len; /* written so far */
	size_t cap;
	bool failed;
};

/* Writes into the caller's memory, cap bytes. */
void wr_init(struct writer *wr, void *into, size_t cap);
void wr_u8(struct writer *wr, uint8_t v);
void wr_u16(struct writer *wr, uint16_t v);
void wr_u32(struct writer *wr, uint32_t v);
void wr_u64(struct writer *wr, uint64_t v);
void wr_bytes(struct writer *wr, const void *from, size_t n);
void wr_str8(struct writer *wr, struct bytes s);   /* fails above 255 bytes */
void wr_str16(struct writer *wr, struct bytes s);  /* fails above 65,535 bytes */
/* What was written, borrowed from the caller's memory.  Only after wr_done(). */
struct bytes wr_bytes_written(const struct writer *wr);
bool wr_done(const struct writer *wr) MUST_USE;    /* true if everything fitted */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/loghash.h"

#include <assert.h>

#include "crypto/hash.h"

struct digest
log_entry_hash(
    enum entry_kind kind, const struct digest *own_hash, const uint8_t sig[static ED25519_SIG_BYTES])
{
	struct hash hash;

	hash_init_domain(&hash, "entry");
	hash_u8(&hash, (uint8_t)kind);
	hash_digest(&hash, own_hash);
	hash_bytes(&hash, BYTES(sig, ED25519_SIG_BYTES));
	return hash_end(&hash);
}

bool
log_head_equal(const struct log_head *a, const struct log_head *b)
{
	return a->seq == b->seq && digest_equal(&a->L, &b->L) && digest_equal(&a->E, &b->E);
}

struct digest
log_chain_next(const struct digest *E, const struct digest *event_hash)
{
	struct hash hash;

	hash_init_domain(&hash, "chain");
	hash_digest(&hash, E);
	hash_digest(&hash, event_hash);
	return hash_end(&hash);
}

void
log_head_advance(struct log_head *head, uint64_t server_time_ms, const struct digest *entry,
    const struct digest *event_hash)
{
	struct log_preimage preimage = {
	    .prev_L = head->L,
	    .seq = head->seq + 1,
	    .server_time_ms = server_time_ms,
	    .entry_hash = *entry,
	    .E = event_hash == NULL ? head->E : log_chain_next(&head->E, event_hash),
	};

	*head = (struct log_head){
	    .seq = preimage.seq,
	    .L = log_preimage_hash(&preimage),
	    .E = preimage.E,
	};
}

void
log_preimage_encode(const struct log_preimage *preimage, uint8_t ret[static LOG_PREIMAGE_BYTES])
{
	struct writer wr;

	wr_init(&wr, ret, LOG_PREIMAGE_BYTES);
	wr_bytes(&wr, preimage->prev_L.b, DIGEST_BYTES);
	wr_u64(&wr, preimage->seq);
	wr_u64(&wr, preimage->server_time_ms);
	wr_bytes(&wr, preimage->entry_hash.b, DIGEST_BYTES);
	wr_bytes(&wr, preimage->E.b, DIGEST_BYTES);
	assert(wr_done(&wr) && wr.len == LOG_PREIMAGE_BYTES);
}

enum chat_err
log_preimage_decode(struct bytes wire, struct log_preimage *ret)
{
	struct log_preimage preimage;
	struct reader rd;

	rd_init(&rd, wire);
	rd_copy(&rd, preimage.prev_L.b, DIGEST_BYTES);
	preimage.seq = rd_u64(&rd);
	preimage.server_time_ms = rd_u64(&rd);
	rd_copy(&rd, preimage.entry_hash.b, DIGEST_BYTES);
	rd_copy(&rd, preimage.E.b, DIGEST_BYTES);
	if (!rd_done(&rd))
		return CHAT_ERR_MALFORMED;
	*ret = preimage;
	return CHAT_OK;
}

struct digest
log_preimage_hash(const struct log_preimage *preimage)
{
	uint8_t wire[LOG_PREIMAGE_BYTES];

	log_preimage_encode(preimage, wire);
	return hash_domain_once("log", BYTES_ARRAY(wire));
}

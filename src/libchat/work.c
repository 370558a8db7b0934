/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/work.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "libchat/keyring.h"

static void
run_wrap(struct work *work)
{
	struct wraps_hash wraps_hash;

	work->wrap.wraps = reallocarray(NULL, work->wrap.count, WRAP_BYTES);
	if (work->wrap.wraps == NULL) {
		work->err = CHAT_ERR_NOMEM;
		return;
	}
	wraps_hash_init(&wraps_hash, work->wrap.count);
	for (uint32_t i = 0; i < work->wrap.count; i++) {
		const struct work_wrap_target *target = &work->wrap.targets[i];
		uint8_t *wrap = work->wrap.wraps + (size_t)i * WRAP_BYTES;
		struct digest hash;

		work->err = wrap_seal(&work->wrap.context, &work->wrap.commitment, &target->target,
		    target->rsa_n, &work->wrap.key, &work->random, wrap);
		if (work->err != CHAT_OK)
			return;
		hash = hash_once(BYTES(wrap, WRAP_BYTES));
		wraps_hash_add(&wraps_hash, &hash);
	}
	work->wrap.wraps_hash = wraps_hash_end(&wraps_hash);
}

/* The newest key first: it is the usual one. */
static bool
open_candidate(struct work *work, const struct work_candidate *candidate)
{
	for (uint32_t i = work->unwrap.key_count; i-- > 0;)
		if (wrap_open(&work->unwrap.context, &work->unwrap.commitment, &candidate->target,
			work->unwrap.keys[i]->key, BYTES_ARRAY(candidate->wrap), &work->random,
			&work->unwrap.key) == CHAT_OK)
			return true;
	return false;
}

static void
run_unwrap(struct work *work)
{
	uint32_t i;

	for (i = 0; i < work->unwrap.count; i++)
		if (open_candidate(work, &work->unwrap.candidates[i]))
			break;
	work->unwrap.opened = i;
	if (i == work->unwrap.count)
		work->err = CHAT_ERR_CANNOT_OPEN;
}

void
work_run(struct work *work)
{
	work->err = CHAT_OK;
	switch (work->type) {
	case WORK_KEYGEN:
		work->err = rsa_key_generate(&work->random, &work->keygen.key);
		break;
	case WORK_WRAP:
		run_wrap(work);
		break;
	case WORK_UNWRAP:
		run_unwrap(work);
		break;
	case WORK_VERIFY:
		for (uint32_t i = 0; i < work->verify.count; i++) {
			struct work_signature *sig = &work->verify.signatures[i];

			sig->good = ed25519_verify(sig->pk, sig->domain, sig->what, sig->sig);
		}
		break;
	}
}

void
work_free(struct work *work)
{
	if (work == NULL)
		return;
	switch (work->type) {
	case WORK_KEYGEN:
		rsa_key_free(work->keygen.key);
		break;
	case WORK_WRAP:
		free(work->wrap.targets);
		free(work->wrap.wraps);
		break;
	case WORK_UNWRAP:
		for (uint32_t i = 0; i < work->unwrap.key_count; i++)
			rsa_key_ref_unref(work->unwrap.keys[i]);
		free(work->unwrap.keys);
		break;
	case WORK_VERIFY:
		free(work->verify.body);
		free(work->verify.signatures);
		break;
	}
	explicit_bzero(work, sizeof *work);
	free(work);
}

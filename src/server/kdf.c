/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/kdf.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "accounts/passwd_edit.h"
#include "crypto/hash.h"
#include "server/loop_mail.h"
#include "server/work_queue.h"

struct kdf {
	struct work_queue queue;
	char *passwd_path;            /* immutable after start */
	struct mailbox *const *loops; /* immutable after start */
	uint16_t loop_count;          /* immutable after start */
	unsigned hasher_count;        /* immutable after start */
	_Atomic uint64_t hashes;
	struct passwd_hasher *hashers[WORK_THREADS_MAX]; /* owner: the kdf thread of that index */
};

struct kdf_job *
kdf_job_new(struct conn_ref conn, uint64_t request_id, struct passwd_table *table,
    const struct account_name *account, struct bytes password, struct bytes new_password)
{
	struct kdf_job *job = calloc(1, sizeof *job);

	if (job == NULL)
		return NULL;
	assert(password.len >= 1 && password.len <= sizeof job->password);
	assert(new_password.len <= sizeof job->new_password);
	job->mail.tag = LOOP_MAIL_KDF;
	job->conn = conn;
	job->request_id = request_id;
	job->table = passwd_table_ref(table);
	job->account = *account;
	memcpy(job->password, password.data, password.len);
	job->password_len = (uint16_t)password.len;
	if (new_password.len > 0)
		memcpy(job->new_password, new_password.data, new_password.len);
	job->new_password_len = (uint16_t)new_password.len;
	return job;
}

void
kdf_job_free(struct kdf_job *job)
{
	if (job == NULL)
		return;
	passwd_table_unref(job->table);
	freezero(job, sizeof *job);
}

struct digest
kdf_proof_of(const struct passwd_entry *entry)
{
	return hash_once(BYTES_STR(entry->hash));
}

/* The file's other accounts, and this one's flags, stay as they are; so does the file if the old hash is not
 * there any more. */
static enum chat_err
change(struct kdf *kdf, struct passwd_hasher *hasher, const struct passwd_entry *entry, struct kdf_job *job)
{
	char hash[PASSWD_HASH_MAX_BYTES];
	struct passwd_edit *edit = NULL;
	enum chat_err err;

	err = passwd_hash(hasher, BYTES(job->new_password, job->new_password_len), hash);
	if (err != CHAT_OK)
		return err;
	err = passwd_edit_open(kdf->passwd_path, 0, &edit, &job->why);
	if (err == CHAT_OK)
		err = passwd_edit_set_hash(edit, entry->name, hash, entry->hash);
	if (err == CHAT_OK)
		err = passwd_edit_commit(edit, &job->why);
	if (err == CHAT_OK)
		job->proof = hash_once(BYTES_STR(hash));
	passwd_edit_free(edit);
	explicit_bzero(hash, sizeof hash);
	return err;
}

static void
give_back(struct kdf *kdf, struct kdf_job *job)
{
	explicit_bzero(job->password, sizeof job->password);
	explicit_bzero(job->new_password, sizeof job->new_password);
	assert(job->conn.loop < kdf->loop_count);
	if (!mailbox_post(kdf->loops[job->conn.loop], &job->mail))
		kdf_job_free(job);
}

static void
work(void *ctx, unsigned index, struct mail *mail)
{
	struct kdf_job *job = (struct kdf_job *)(void *)mail;
	struct kdf *kdf = ctx;
	struct passwd_hasher *hasher = kdf->hashers[index];
	const struct passwd_entry *entry = passwd_table_find(job->table, account_bytes(&job->account));
	uint64_t before = passwd_hasher_count(hasher);

	job->verdict = passwd_verify(hasher, entry, BYTES(job->password, job->password_len));
	if (job->verdict == PASSWD_RIGHT && job->new_password_len == 0)
		job->proof = kdf_proof_of(entry);
	else if (job->verdict == PASSWD_RIGHT)
		job->err = change(kdf, hasher, entry, job);
	atomic_fetch_add_explicit(&kdf->hashes, passwd_hasher_count(hasher) - before, memory_order_relaxed);
	give_back(kdf, job);
}

enum chat_err
kdf_start(const struct kdf_config *config, struct kdf **ret)
{
	struct kdf *kdf = calloc(1, sizeof *kdf);
	enum chat_err err = CHAT_ERR_NOMEM;

	if (kdf == NULL)
		return CHAT_ERR_NOMEM;
	work_queue_init(&kdf->queue, config->queue_max, work, kdf);
	kdf->loops = config->loops;
	kdf->loop_count = config->loop_count;
	kdf->passwd_path = strdup(config->passwd_path);
	if (kdf->passwd_path == NULL)
		goto out;
	for (; kdf->hasher_count < config->thread_count; kdf->hasher_count++) {
		err = passwd_hasher_new(&kdf->hashers[kdf->hasher_count]);
		if (err != CHAT_OK)
			goto out;
	}
	err = work_queue_start(&kdf->queue, config->thread_count, "kdf");
	if (err != CHAT_OK)
		goto out;
	*ret = kdf;
	kdf = NULL;
out:
	kdf_free(kdf);
	return err;
}

enum chat_err
kdf_put(struct kdf *kdf, struct kdf_job *job)
{
	return work_queue_put(&kdf->queue, &job->mail);
}

void
kdf_stop(struct kdf *kdf)
{
	struct mail *left = work_queue_stop(&kdf->queue, false);

	while (left != NULL) {
		struct kdf_job *job = (struct kdf_job *)(void *)left;

		left = left->next;
		job->verdict = PASSWD_FAILED;
		job->err = CHAT_ERR_SHUTDOWN;
		give_back(kdf, job);
	}
}

void
kdf_free(struct kdf *kdf)
{
	if (kdf == NULL)
		return;
	work_queue_fini(&kdf->queue);
	for (unsigned i = 0; i < kdf->hasher_count; i++)
		passwd_hasher_free(kdf->hashers[i]);
	free(kdf->passwd_path);
	free(kdf);
}

uint64_t
kdf_hash_count(const struct kdf *kdf)
{
	return atomic_load_explicit(&kdf->hashes, memory_order_relaxed);
}

size_t
kdf_waiting(struct kdf *kdf)
{
	return work_queue_count(&kdf->queue);
}

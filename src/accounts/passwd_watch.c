/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accounts/passwd_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "accounts/passwd_impl.h"
#include "accounts/passwd_why.h"
#include "base/clock.h"

/*
 * A file changed twice within one tick of the clock that stamps it can look the same after both.  So a file
 * that changed less than this before a look is read again at the next.  Local file systems tick in
 * milliseconds, some network ones in seconds.
 */
#define SETTLED_AFTER_MS 2000

/* What stat(2) says of one state of the file.  The change time is there for chmod, chown, and tools that set
 * mtime. */
struct stamp {
	int error; /* errno of stat(2), 0: the rest is valid */
	uint64_t device;
	uint64_t inode;
	int64_t size;
	struct timespec mtime;
	struct timespec ctime;
};

struct passwd_watch {
	char *path; /* immutable after init */
	pthread_mutex_t watch_mtx;
	/* lock: watch_mtx */
	struct passwd_table *table; /* in force; never NULL */
	struct stamp seen;          /* of the last look that read */
	bool settled;               /* while the stamp is `seen`, nothing needs to be read */
	bool complains;
	struct passwd_why complaint;
	uint64_t turn; /* grows with every change of the above; a look that overlapped one starts over */
};

static bool
time_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->error == b->error && a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       time_equal(a->mtime, b->mtime) && time_equal(a->ctime, b->ctime);
}

static struct stamp
stamp_take(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct stamp){.error = errno};
	return (struct stamp){.device = st.st_dev,
	    .inode = st.st_ino,
	    .size = st.st_size,
	    .mtime = st.st_mtim,
	    .ctime = st.st_ctim};
}

/* Whether a later change must show in the stamp; now is from before the stamp was taken. */
static bool
stamp_settled(const struct stamp *stamp, uint64_t now_unix_ms)
{
	if (stamp->error != 0)
		return true;
	int64_t changed = (int64_t)stamp->ctime.tv_sec * 1000 + stamp->ctime.tv_nsec / 1000000;
	int64_t age = (int64_t)now_unix_ms - changed;
	/* Far in the future: the clock was set back, and a change now would be stamped quite differently. */
	return age > SETTLED_AFTER_MS || age < -SETTLED_AFTER_MS;
}

enum chat_err
passwd_watch_new(const char *path, struct passwd_watch **ret_watch)
{
	struct passwd_why why;
	struct passwd_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return CHAT_ERR_NOMEM;
	if (pthread_mutex_init(&watch->watch_mtx, NULL) != 0) {
		free(watch);
		return CHAT_ERR_NOMEM;
	}
	watch->path = strdup(path);
	watch->seen.error = -1; /* no look yet: equals no stamp */
	if (watch->path == NULL || passwd_table_parse(BYTES_EMPTY, path, &watch->table, &why) != CHAT_OK) {
		passwd_watch_free(watch);
		return CHAT_ERR_NOMEM;
	}
	*ret_watch = watch;
	return CHAT_OK;
}

void
passwd_watch_free(struct passwd_watch *watch)
{
	if (watch == NULL)
		return;
	passwd_table_unref(watch->table);
	pthread_mutex_destroy(&watch->watch_mtx);
	free(watch->path);
	free(watch);
}

/* What one reading of the file gave. */
struct reading {
	struct stamp stamp; /* taken before reading, so that a change meanwhile shows at the next look */
	bool settled;
	enum chat_err err;
	struct passwd_table *table; /* owned, if err is CHAT_OK */
	struct passwd_why why;      /* else */
};

/* Takes what was read into account; what is no longer needed of it stays in reading->table for the caller to
 * unref. */
static enum passwd_look
accept_locked(struct passwd_watch *watch, struct reading *reading)
{
	bool other_state = !stamp_equal(&watch->seen, &reading->stamp);

	if (other_state)
		watch->turn++;
	watch->seen = reading->stamp;
	if (reading->err != CHAT_OK) {
		/* A file that is wrong stays so until it changes; a lack of memory or descriptors may pass.
		 */
		bool lasting = reading->err == CHAT_ERR_SYNTAX || reading->err == CHAT_ERR_PERMISSION ||
			       reading->err == CHAT_ERR_NOT_FOUND;
		bool said =
		    watch->complains && !other_state && strcmp(watch->complaint.text, reading->why.text) == 0;
		if (!said)
			watch->turn++;
		watch->settled = reading->settled && lasting;
		watch->complains = true;
		watch->complaint = reading->why;
		return said ? PASSWD_SAME : PASSWD_BAD;
	}
	watch->settled = reading->settled;
	if (passwd_table_serial(watch->table) > 0 && !watch->complains &&
	    passwd_table_equal(watch->table, reading->table))
		return PASSWD_SAME;
	watch->turn++;
	watch->complains = false;
	passwd_table_set_serial(reading->table, passwd_table_serial(watch->table) + 1);
	struct passwd_table *old = watch->table;
	watch->table = reading->table;
	reading->table = old;
	return PASSWD_NEW;
}

enum passwd_look
passwd_watch_check(struct passwd_watch *watch, struct passwd_table **ret_table, struct passwd_why *ret_why)
{
	for (;;) {
		uint64_t now = clock_unix_ms();
		pthread_mutex_lock(&watch->watch_mtx);
		uint64_t turn = watch->turn;
		pthread_mutex_unlock(&watch->watch_mtx);

		struct reading reading = {.stamp = stamp_take(watch->path)};
		reading.settled = stamp_settled(&reading.stamp, now);

		pthread_mutex_lock(&watch->watch_mtx);
		bool nothing_new = watch->settled && stamp_equal(&watch->seen, &reading.stamp);
		if (nothing_new)
			*ret_table = passwd_table_ref(watch->table);
		pthread_mutex_unlock(&watch->watch_mtx);
		if (nothing_new)
			return PASSWD_SAME;

		reading.err = passwd_table_load(watch->path, &reading.table, &reading.why);

		enum passwd_look look = PASSWD_SAME;
		pthread_mutex_lock(&watch->watch_mtx);
		bool overtaken = watch->turn != turn;
		if (!overtaken) {
			look = accept_locked(watch, &reading);
			*ret_table = passwd_table_ref(watch->table);
		}
		pthread_mutex_unlock(&watch->watch_mtx);
		passwd_table_unref(reading.table);
		if (overtaken)
			continue; /* another look ended after this one began, and may have seen something
				     newer */
		if (look == PASSWD_BAD)
			*ret_why = reading.why;
		return look;
	}
}

struct passwd_table *
passwd_watch_table(struct passwd_watch *watch)
{
	pthread_mutex_lock(&watch->watch_mtx);
	struct passwd_table *table = passwd_table_ref(watch->table);
	pthread_mutex_unlock(&watch->watch_mtx);
	return table;
}

bool
passwd_watch_complaint(struct passwd_watch *watch, struct passwd_why *ret_why)
{
	pthread_mutex_lock(&watch->watch_mtx);
	bool complains = watch->complains;
	if (complains)
		*ret_why = watch->complaint;
	pthread_mutex_unlock(&watch->watch_mtx);
	return complains;
}

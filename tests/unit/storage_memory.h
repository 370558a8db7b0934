/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_STORAGE_MEMORY_H
#define TESTS_UNIT_STORAGE_MEMORY_H

/*
 * A storage (libchat/storage.h) in memory, for tests that drive sessions step by step: it can be copied, as a
 * backup or a cloned disk is, and a transaction that was open when its session "crashed" is rolled back.
 */

#include <stdint.h>

#include "libchat/storage.h"

/* Device ids are made from `seed` and a counter. */
struct storage *storage_memory_new(uint64_t seed);
/* Everything that was committed, device id included. */
struct storage *storage_memory_copy(const struct storage *st);
/* A new one with the identity alone, as an import makes it: another machine. */
struct storage *storage_memory_import(struct storage *st, uint64_t seed);
void storage_memory_free(struct storage *st);

/* The process was killed: an open transaction never was. */
void storage_memory_crash(struct storage *st);
/* The n-th change from now on fails with CHAT_ERR_IO, and all behind it; 0: none. */
void storage_memory_fail_after(struct storage *st, unsigned n);

/* How many texts are in the outbox. */
size_t storage_memory_outbox_count(struct storage *st);
/* True if the bytes occur anywhere in what is stored. */
bool storage_memory_contains(const struct storage *st, struct bytes what);

#endif

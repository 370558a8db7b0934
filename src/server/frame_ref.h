/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_FRAME_REF_H
#define SERVER_FRAME_REF_H

/*
 * An encoded frame, length prefix included, that many connections send: made once, counted, never changed.
 *
 * Threads: any; the count is atomic.  Whoever holds a reference gives it back once.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct frame_ref {
	_Atomic uint32_t refs;
	uint32_t len;
	uint8_t data[];
};

/* One reference, len bytes uninitialised for the maker to fill.  NULL: out of memory. */
struct frame_ref *frame_ref_new(size_t len) MUST_USE;
struct frame_ref *frame_ref_ref(struct frame_ref *frame); /* returns frame */
void frame_ref_unref(struct frame_ref *frame);            /* NULL is allowed */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/frame_ref.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct frame_ref *
frame_ref_new(size_t len)
{
	struct frame_ref *frame;

	assert(len <= UINT32_MAX);
	frame = malloc(sizeof *frame + len);
	if (frame == NULL)
		return NULL;
	atomic_init(&frame->refs, 1);
	frame->len = (uint32_t)len;
	return frame;
}

struct frame_ref *
frame_ref_ref(struct frame_ref *frame)
{
	atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
	return frame;
}

void
frame_ref_unref(struct frame_ref *frame)
{
	if (frame == NULL)
		return;
	/* The last one to let go must see everything that the others did with the frame before they let go. */
	if (atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1)
		free(frame);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/outcome.h"

#include <stdlib.h>

struct outcome *
outcome_new(enum outcome_type type)
{
	struct outcome *outcome = calloc(1, sizeof *outcome);

	if (outcome != NULL)
		outcome->type = type;
	return outcome;
}

void
read_request_free(struct read_request *request)
{
	if (request == NULL)
		return;
	view_unref(request->view);
	free(request->epoch_ids);
	free(request);
}

static void
free_entries(struct entry_frames *frames, uint32_t count)
{
	for (uint32_t i = 0; frames != NULL && i < count; i++) {
		frame_ref_unref(frames[i].whole);
		frame_ref_unref(frames[i].stub);
		wrap_list_unref(frames[i].wraps);
	}
	free(frames);
}

void
outcome_free(struct outcome *outcome)
{
	if (outcome == NULL)
		return;
	switch (outcome->type) {
	case OUT_FRAME:
		frame_ref_unref(outcome->frame);
		break;
	case OUT_PASSWORD_OK:
		free((void *)(uintptr_t)outcome->password_ok.card.data);
		break;
	case OUT_LOGIN_OK:
		free((void *)(uintptr_t)outcome->login_ok.card.data);
		break;
	case OUT_SUBSCRIBED:
		view_unref(outcome->subscribed.view);
		break;
	case OUT_VIEW:
		view_unref(outcome->view.view);
		break;
	case OUT_READ:
		read_request_free(outcome->read);
		break;
	case OUT_ENTRIES:
		free_entries(outcome->entries.frames, outcome->entries.count);
		break;
	case OUT_STATUS:
		buf_fini(&outcome->status.text);
		break;
	case OUT_ERROR:
	case OUT_OK:
	case OUT_POSTED:
	case OUT_END:
	case OUT_CLOSE:
		break;
	}
	free(outcome);
}

void
outcome_list_free(struct outcome *list)
{
	while (list != NULL) {
		struct outcome *next = list->next;

		outcome_free(list);
		list = next;
	}
}

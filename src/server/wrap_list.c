/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/wrap_list.h"

#include <stdatomic.h>
#include <stdlib.h>

struct wrap_list *
wrap_list_new(uint32_t count)
{
	struct wrap_list *list = malloc(sizeof *list + count * sizeof list->items[0]);

	if (list == NULL)
		return NULL;
	atomic_init(&list->refs, 1);
	list->count = count;
	return list;
}

static int
compare_items(const void *a, const void *b)
{
	const struct wrap_list_item *x = a, *y = b;

	return digest_compare(&x->member_id, &y->member_id);
}

void
wrap_list_seal(struct wrap_list *list)
{
	qsort(list->items, list->count, sizeof list->items[0], compare_items);
}

struct wrap_list *
wrap_list_ref(struct wrap_list *list)
{
	atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
	return list;
}

void
wrap_list_unref(struct wrap_list *list)
{
	if (list == NULL)
		return;
	if (atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) == 1)
		free(list);
}

static int
compare_member(const void *key, const void *item)
{
	return digest_compare(key, &((const struct wrap_list_item *)item)->member_id);
}

const uint8_t *
wrap_list_find(const struct wrap_list *list, const struct digest *member_id)
{
	const struct wrap_list_item *item =
	    bsearch(member_id, list->items, list->count, sizeof list->items[0], compare_member);

	return item == NULL ? NULL : item->wrap;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/rules.h"

#include <string.h>

#include "base/account_name.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "proto/limits.h"
#include "proto/wire.h"

static bool
in_range(uint64_t value, const struct field_rule *rule)
{
	return value >= rule->min && value <= rule->max;
}

static bool
bytes_right(const ProtobufCBinaryData *b, const struct field_rule *rule)
{
	return in_range(b->len, rule) || (rule->or_empty && b->len == 0);
}

static bool
bytes_list_right(const ProtobufCBinaryData *list, size_t count, const struct field_rule *rule)
{
	if (count < rule->min_count || count > rule->max_count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!bytes_right(&list[i], rule))
			return false;
	}
	return true;
}

static const char *
message_list_fault(ProtobufCMessage *const *list, size_t count, const struct field_rule *rule)
{
	if (count < rule->min_count || count > rule->max_count)
		return rule->text;
	for (size_t i = 0; i < count; i++) {
		const char *fault = rules_check(rule->sub, list[i]);
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

/* The text of what is wrong with this one field, or NULL. */
static const char *
field_fault(const struct field_rule *rule, const ProtobufCMessage *message)
{
	const void *field = (const char *)message + rule->offset;
	const void *counted = (const char *)message + rule->count_offset;
	/* Pointers are copied out, for they are of one type each and C lets none be read as another. */
	ProtobufCMessage *sub, *const *subs;
	struct bytes text;
	int number;
	bool right = false;

	switch (rule->kind) {
	case RULE_BYTES:
		right = bytes_right(field, rule);
		break;
	case RULE_PASSWORD:
		text = wire_bytes(*(const ProtobufCBinaryData *)field);
		right = in_range(text.len, rule) && memchr(text.data, '\0', text.len) == NULL;
		break;
	case RULE_TEXT:
		text = wire_str(*(char *const *)field);
		right = in_range(text.len, rule) && utf8_valid(text);
		break;
	case RULE_ACCOUNT:
		text = wire_str(*(char *const *)field);
		right = account_name_valid(text) || (rule->min == 0 && text.len == 0);
		break;
	case RULE_U32:
		right = in_range(*(const uint32_t *)field, rule);
		break;
	case RULE_U64:
		right = in_range(*(const uint64_t *)field, rule);
		break;
	case RULE_ENUM:
		/* Each enum is an int of its own type; a negative value becomes large, and so is out of
		 * range. */
		memcpy(&number, field, sizeof(number));
		right = in_range((uint64_t)(int64_t)number, rule);
		break;
	case RULE_BYTES_LIST:
		right = bytes_list_right(
		    *(const ProtobufCBinaryData *const *)field, *(const size_t *)counted, rule);
		break;
	case RULE_MESSAGE:
		memcpy(&sub, field, sizeof(sub));
		return sub == NULL ? rule->text : rules_check(rule->sub, sub);
	case RULE_MESSAGE_LIST:
		memcpy(&subs, field, sizeof(subs));
		return message_list_fault(subs, *(const size_t *)counted, rule);
	case RULE_WHOLE:
		return rule->judge(message);
	case RULE_END:
		return NULL;
	}
	return right ? NULL : rule->text;
}

const char *
rules_check(const struct field_rule *rules, const ProtobufCMessage *message)
{
	for (const struct field_rule *rule = rules; rule->kind != RULE_END; rule++) {
		const char *fault = field_fault(rule, message);
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

size_t
rules_count_items(const struct field_rule *rules, const ProtobufCMessage *message)
{
	size_t items = 0;

	for (const struct field_rule *rule = rules; rule->kind != RULE_END; rule++) {
		if (rule->kind == RULE_BYTES_LIST || rule->kind == RULE_MESSAGE_LIST)
			items += *(const size_t *)(const void *)((const char *)message + rule->count_offset);
	}
	return items;
}

bool
entries_ascend(Chat__V1__Entry *const *entries, size_t count, bool dense)
{
	for (size_t i = 1; i < count; i++) {
		if (entries[i]->seq <= entries[i - 1]->seq)
			return false;
		if (dense && entries[i]->seq != entries[i - 1]->seq + 1)
			return false;
	}
	return true;
}

const struct field_rule epoch_wraps_rules[] = {
    FIELD_ID(Chat__V1__EpochWraps, epoch_id),
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__EpochWraps, wrap, RSA_BYTES, RSA_BYTES, "wrap has to be 384 bytes or empty"),
    FIELD_BYTES_LIST(Chat__V1__EpochWraps, rewrap, 0, REWRAPS_MAX, WIRE_REWRAP_BYTES, WIRE_REWRAP_BYTES,
	"rewrap has to be at most 64, each of 577 bytes"),
    RULES_END,
};

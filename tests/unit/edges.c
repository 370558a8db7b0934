/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "edges.h"

static uint8_t fill_bytes[EDGE_BYTES_MAX];
static char fill_string[EDGE_BYTES_MAX + 1];

/* Calls back for each message that has the last field of the path. */
static void
visit(ProtobufCMessage *message, const char *path,
    void (*set)(void *field, size_t *count, const ProtobufCFieldDescriptor *, uint64_t), uint64_t value)
{
	const char *dot = strchr(path, '.');
	char name[64];

	assert_true(strlen(path) < sizeof(name));
	memcpy(name, path, strlen(path) + 1);
	if (dot != NULL)
		name[dot - path] = '\0';
	const ProtobufCFieldDescriptor *field =
	    protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
	if (field == NULL)
		fail_msg("%s has no field %s", message->descriptor->name, name);
	char *base = (char *)message;
	void *place = base + field->offset;
	size_t *count = (void *)(base + field->quantifier_offset);
	if (dot == NULL) {
		set(place, field->label == PROTOBUF_C_LABEL_REPEATED ? count : NULL, field, value);
	} else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		ProtobufCMessage **list;

		memcpy(&list, place, sizeof(list));
		assert_true(*count > 0);
		visit(list[*count - 1], dot + 1, set, value);
	} else {
		ProtobufCMessage *sub;

		memcpy(&sub, place, sizeof(sub));
		assert_non_null(sub);
		visit(sub, dot + 1, set, value);
	}
}

static void
set_length(void *place, size_t *count, const ProtobufCFieldDescriptor *field, uint64_t len)
{
	assert_true(len <= EDGE_BYTES_MAX);
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		char *s = fill_string + EDGE_BYTES_MAX - len;

		memset(fill_string, 'a', EDGE_BYTES_MAX);
		assert_null(count);
		memcpy(place, &s, sizeof(s));
		return;
	}
	assert_int_equal(field->type, PROTOBUF_C_TYPE_BYTES);
	memset(fill_bytes, 'x', sizeof(fill_bytes));
	ProtobufCBinaryData *bytes = place;
	if (count != NULL) { /* the last of the list */
		assert_true(*count > 0);
		memcpy(&bytes, place, sizeof(bytes));
		bytes += *count - 1;
	}
	*bytes = (ProtobufCBinaryData){.len = len, .data = fill_bytes};
}

void
edge_set_length(ProtobufCMessage *message, const char *path, size_t len)
{
	visit(message, path, set_length, len);
}

static void
set_count(void *place, size_t *count, const ProtobufCFieldDescriptor *field, uint64_t value)
{
	(void)place;
	(void)field;
	assert_non_null(count);
	assert_true(value <= EDGE_LIST);
	*count = value;
}

void
edge_set_count(ProtobufCMessage *message, const char *path, size_t count)
{
	visit(message, path, set_count, count);
}

/* Whether a number of this type can have the value. */
static bool
number_fits(const ProtobufCFieldDescriptor *field, uint64_t value)
{
	if (field->type == PROTOBUF_C_TYPE_UINT64)
		return true;
	return value <= (field->type == PROTOBUF_C_TYPE_UINT32 ? UINT32_MAX : INT32_MAX);
}

static void
set_number(void *place, size_t *count, const ProtobufCFieldDescriptor *field, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	assert_null(count);
	assert_true(number_fits(field, value));
	if (field->type == PROTOBUF_C_TYPE_UINT64)
		memcpy(place, &value, sizeof(value));
	else
		memcpy(place, &narrow, sizeof(narrow)); /* uint32, or an enum of that size */
}

void
edge_set_number(ProtobufCMessage *message, const char *path, uint64_t value)
{
	visit(message, path, set_number, value);
}

static const char *string_to_set;

static void
set_string(void *place, size_t *count, const ProtobufCFieldDescriptor *field, uint64_t value)
{
	(void)value;
	assert_null(count);
	assert_int_equal(field->type, PROTOBUF_C_TYPE_STRING);
	memcpy(place, &string_to_set, sizeof(string_to_set));
}

void
edge_set_string(ProtobufCMessage *message, const char *path, const char *s)
{
	string_to_set = s;
	visit(message, path, set_string, 0);
}

static const ProtobufCFieldDescriptor *found_field;

static void
find_field(void *place, size_t *count, const ProtobufCFieldDescriptor *field, uint64_t value)
{
	(void)place;
	(void)count;
	(void)value;
	found_field = field;
}

static void
try_value(const struct edge *edge, uint64_t value, bool right, const struct edge_subject *subject)
{
	ProtobufCMessage *message = subject->make(edge->type);

	if (edge->kind == EDGE_LENGTH)
		edge_set_length(message, edge->path, value);
	else if (edge->kind == EDGE_COUNT)
		edge_set_count(message, edge->path, value);
	else
		edge_set_number(message, edge->path, value);
	if (subject->is_right(edge->type) != right)
		fail_msg("%s.%s of %llu is %s", message->descriptor->name, edge->path,
		    (unsigned long long)value, right ? "refused" : "let through");
}

static void
check_edge(const struct edge *edge, const struct edge_subject *subject)
{
	if (edge->kind == EDGE_ANY || edge->kind == EDGE_OTHER)
		return;
	visit(subject->make(edge->type), edge->path, find_field, 0);
	try_value(edge, edge->min, true, subject);
	try_value(edge, edge->max, true, subject);
	if (edge->min > 0)
		try_value(edge, edge->min - 1, edge->or_empty && edge->min == 1, subject);
	if (edge->kind == EDGE_NUMBER) {
		if (edge->max < UINT64_MAX && number_fits(found_field, edge->max + 1))
			try_value(edge, edge->max + 1, false, subject);
	} else {
		try_value(edge, edge->max + 1, false, subject);
	}
	if (edge->kind == EDGE_LENGTH && edge->min > 1)
		try_value(edge, 0, edge->or_empty, subject);
}

/* Every field, and those of the messages in it, has a row. */
static void
check_complete(const ProtobufCMessageDescriptor *message, const char *prefix, int type,
    const struct edge *edges, size_t count)
{
	for (unsigned f = 0; f < message->n_fields; f++) {
		const ProtobufCFieldDescriptor *field = &message->fields[f];
		bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
		bool inside = field->type == PROTOBUF_C_TYPE_MESSAGE;
		unsigned needed = (list ? 1U : 0U) + (inside ? 0U : 1U), named = 0;
		char path[128];

		assert_true(snprintf(path, sizeof(path), "%s%s", prefix, field->name) < (int)sizeof(path));
		for (size_t i = 0; i < count; i++) {
			if (edges[i].type == type && strcmp(edges[i].path, path) == 0)
				named++;
		}
		if (named != needed)
			fail_msg("%s of %s: %u rows where %u are needed", path, message->name, named, needed);
		if (inside) {
			assert_true(strlen(path) + 1 < sizeof(path));
			memcpy(path + strlen(path), ".", 2);
			check_complete(field->descriptor, path, type, edges, count);
		}
	}
}

void
edges_check(int type, const struct edge *edges, size_t count, const struct edge_subject *subject)
{
	ProtobufCMessage *message = subject->make(type);

	assert_true(subject->is_right(type));
	check_complete(message->descriptor, "", type, edges, count);
	for (size_t i = 0; i < count; i++) {
		if (edges[i].type == type)
			check_edge(&edges[i], subject);
	}
}

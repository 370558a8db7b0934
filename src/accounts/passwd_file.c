/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accounts/passwd_file.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "accounts/passwd_hash.h"
#include "accounts/passwd_impl.h"
#include "accounts/passwd_why.h"

struct passwd_table {
	_Atomic uint32_t refs;
	/* immutable once more than one thread can see it */
	uint64_t serial;
	char *text; /* owned: a copy of the file, cut into strings */
	size_t text_len;
	struct passwd_entry *entries; /* owned, in the file's order; they point into text */
	size_t count;
	const struct passwd_entry **by_name; /* owned, sorted; points into entries */
};

bool
passwd_entry_same_account(const struct passwd_entry *a, const struct passwd_entry *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->id, b->id) == 0;
}

static bool
id_valid(const char *id)
{
	return strlen(id) == PASSWD_ID_CHARS && strspn(id, "0123456789abcdef") == PASSWD_ID_CHARS;
}

/* flags is cut in place.  What is wrong goes to *ret_why without its place. */
static enum chat_err
parse_flags(char *flags, struct passwd_entry *entry, struct passwd_why *ret_why)
{
	if (flags[0] == '\0')
		return CHAT_OK; /* `name:hash:`, as other tools may write it */
	for (char *flag; (flag = strsep(&flags, ",")) != NULL;) {
		if (strcmp(flag, "locked") == 0) {
			if (entry->locked)
				return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
				    "the flag 'locked' is there twice; remove one");
			entry->locked = true;
		} else if (strncmp(flag, "id=", 3) == 0) {
			if (entry->id[0] != '\0')
				return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
				    "the flag 'id' is there twice; remove one");
			if (!id_valid(flag + 3))
				return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
				    "the id of '%s' is not %d digits of 0-9 a-f; put back what it was",
				    entry->name, PASSWD_ID_CHARS);
			entry->id = flag + 3;
		} else {
			return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
			    "'%.40s' is not a flag; there are 'locked' and 'id=...', with a comma between",
			    flag);
		}
	}
	return CHAT_OK;
}

/* line is NUL-terminated, without its newline, and is cut in place. */
static enum chat_err
parse_line(char *line, struct passwd_entry *ret_entry, struct passwd_why *ret_why)
{
	struct passwd_entry entry = {.id = ""};
	char *hash = strchr(line, ':');

	if (hash == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
		    "no ':' in the line; a line is name:hash[:flags], and a comment begins with '#'");
	*hash++ = '\0';
	if (!account_name_valid(BYTES_STR(line)))
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
		    "'%.80s' cannot be an account's name, which is " ACCOUNT_NAME_RULE
		    "; rename or remove it",
		    line);
	entry.name = line;
	char *flags = strchr(hash, ':');
	if (flags != NULL)
		*flags++ = '\0';
	entry.hash = hash;
	const char *fault = passwd_hash_field_fault(hash);
	if (fault != NULL)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
		    "the hash of '%s' %s; remove the line and add the account again with chat-passwd(1)",
		    entry.name, fault);
	if (flags != NULL && strchr(flags, ':') != NULL)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, NULL, 0,
		    "more than three fields for '%s'; a line is name:hash[:flags]", entry.name);
	if (flags != NULL) {
		enum chat_err err = parse_flags(flags, &entry, ret_why);
		if (err != CHAT_OK)
			return err;
	}
	*ret_entry = entry;
	return CHAT_OK;
}

static int
compare_by_name(const void *a, const void *b)
{
	const struct passwd_entry *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

/* Fills by_name.  Of two lines for one name the later one is at fault. */
static enum chat_err
build_index(struct passwd_table *table, const char *path, struct passwd_why *ret_why)
{
	const struct passwd_entry *worst = NULL, *first = NULL;

	table->by_name = calloc(table->count > 0 ? table->count : 1, sizeof(const struct passwd_entry *));
	if (table->by_name == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
	for (size_t i = 0; i < table->count; i++)
		table->by_name[i] = &table->entries[i];
	qsort(table->by_name, table->count, sizeof(const struct passwd_entry *), compare_by_name);
	for (size_t i = 1; i < table->count; i++) {
		const struct passwd_entry *a = table->by_name[i - 1], *b = table->by_name[i];
		if (strcmp(a->name, b->name) != 0)
			continue;
		if (a->line > b->line) {
			const struct passwd_entry *swap = a;
			a = b;
			b = swap;
		}
		if (worst == NULL || b->line < worst->line) {
			worst = b;
			first = a;
		}
	}
	if (worst != NULL)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, worst->line,
		    "'%s' is already in line %u; remove one of the two", worst->name, first->line);
	return CHAT_OK;
}

static enum chat_err
parse_lines(struct passwd_table *table, const char *path, struct passwd_why *ret_why)
{
	size_t room = 0;
	unsigned number = 0;
	struct passwd_why why = {.text = ""};

	for (char *line = table->text, *end = table->text + table->text_len; line < end;) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = newline != NULL ? (size_t)(newline - line) : (size_t)(end - line);
		char *next = line + len + (newline != NULL);

		number++;
		line[len] = '\0'; /* text has one byte more than text_len */
		if (strlen(line) != len)
			return passwd_why_set(
			    ret_why, CHAT_ERR_SYNTAX, path, number, "a NUL byte in the line; remove it");
		if (line[0] == '#' || line[strspn(line, " \t")] == '\0' || line[strspn(line, " \t")] == '#') {
			line = next;
			continue;
		}
		if (len > PASSWD_LINE_MAX_BYTES)
			return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, number,
			    "%zu bytes in the line, and %d are the most; shorten or remove it", len,
			    PASSWD_LINE_MAX_BYTES);
		if (line[len - 1] == '\r')
			return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, number,
			    "a carriage return at the end of the line; remove those with: sed -i 's/\\r$//'");
		if (table->count == room) {
			size_t more = room > 0 ? room * 2 : 16;
			void *grown = reallocarray(table->entries, more, sizeof(struct passwd_entry));
			if (grown == NULL)
				return passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
			table->entries = grown;
			room = more;
		}
		struct passwd_entry *entry = &table->entries[table->count];
		enum chat_err err = parse_line(line, entry, &why);
		if (err != CHAT_OK)
			return passwd_why_set(ret_why, err, path, number, "%s", why.text);
		entry->line = number;
		table->count++;
		line = next;
	}
	return build_index(table, path, ret_why);
}

enum chat_err
passwd_table_parse(
    struct bytes text, const char *path, struct passwd_table **ret_table, struct passwd_why *ret_why)
{
	enum chat_err err;
	struct passwd_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
	atomic_init(&table->refs, 1);
	if (text.len > PASSWD_FILE_MAX_BYTES) {
		err = passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, 0, "more than %d bytes in the file",
		    PASSWD_FILE_MAX_BYTES);
		goto out;
	}
	table->text = malloc(text.len + 1);
	if (table->text == NULL) {
		err = passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
		goto out;
	}
	if (text.len > 0)
		memcpy(table->text, text.data, text.len);
	table->text[text.len] = '\0';
	table->text_len = text.len;
	err = parse_lines(table, path, ret_why);
	if (err != CHAT_OK)
		goto out;
	*ret_table = table;
	table = NULL;
out:
	passwd_table_unref(table);
	return err;
}

struct passwd_table *
passwd_table_ref(struct passwd_table *table)
{
	atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
	return table;
}

void
passwd_table_unref(struct passwd_table *table)
{
	if (table == NULL)
		return;
	uint32_t before = atomic_fetch_sub_explicit(&table->refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before > 1)
		return;
	freezero(table->text, table->text_len);
	free(table->entries);
	free(table->by_name);
	free(table);
}

const struct passwd_entry *
passwd_table_find(const struct passwd_table *table, struct bytes name)
{
	char key[ACCOUNT_NAME_MAX_BYTES + 1];

	if (!account_name_valid(name))
		return NULL;
	memcpy(key, name.data, name.len);
	key[name.len] = '\0';
	const struct passwd_entry wanted = {.name = key}, *pointer = &wanted;
	const struct passwd_entry **found = bsearch(
	    &pointer, table->by_name, table->count, sizeof(const struct passwd_entry *), compare_by_name);
	return found != NULL ? *found : NULL;
}

size_t
passwd_table_count(const struct passwd_table *table)
{
	return table->count;
}

const struct passwd_entry *
passwd_table_at(const struct passwd_table *table, size_t i)
{
	assert(i < table->count);
	return &table->entries[i];
}

uint64_t
passwd_table_serial(const struct passwd_table *table)
{
	return table->serial;
}

void
passwd_table_set_serial(struct passwd_table *table, uint64_t serial)
{
	table->serial = serial;
}

bool
passwd_table_equal(const struct passwd_table *a, const struct passwd_table *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct passwd_entry *x = &a->entries[i], *y = &b->entries[i];
		if (!passwd_entry_same_account(x, y) || strcmp(x->hash, y->hash) != 0 ||
		    x->locked != y->locked)
			return false;
	}
	return true;
}

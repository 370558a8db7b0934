/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libchat/identity_file.h"

#define PASS BYTES_STR("correct horse")
#define COST 1 /* the cheapest: one hash for each byte that is flipped */

static struct identity_export
sample(bool has_pin)
{
	struct identity_export id;

	memset(&id, 0, sizeof(id));
	memset(id.realm.b, 1, sizeof(id.realm.b));
	memset(id.root.ed_seed, 2, sizeof(id.root.ed_seed));
	memset(id.root.bag_key, 3, sizeof(id.root.bag_key));
	id.bag_version = 0x0102030405060708;
	assert_ok(account_name_set(BYTES_STR("alice"), &id.account));
	assert_ok(server_name_set("chat.example", "8820", &id.server));
	id.has_pin = has_pin;
	if (has_pin)
		memset(id.pin.b, 4, sizeof(id.pin.b));
	return id;
}

static struct buf
sealed(const struct identity_export *id, unsigned cost)
{
	struct buf file = {0};
	uint64_t seed = 5;
	struct random_source random = unit_random(&seed);

	assert_ok(identity_file_seal(id, PASS, cost, &random, &file));
	return file;
}

TEST(there_and_back)
{
	for (int has_pin = 0; has_pin < 2; has_pin++) {
		struct identity_export id = sample(has_pin), back;
		struct buf file = sealed(&id, has_pin ? IDENTITY_FILE_COST : COST);

		assert_ok(identity_file_open(buf_bytes(&file), PASS, &back));
		assert_memory_equal(back.realm.b, id.realm.b, REALM_BYTES);
		assert_memory_equal(&back.root, &id.root, sizeof(id.root));
		assert_true(back.bag_version == id.bag_version);
		assert_true(account_equal(&back.account, &id.account));
		assert_true(server_name_equal(&back.server, &id.server));
		assert_int_equal(back.has_pin, has_pin);
		assert_memory_equal(back.pin.b, id.pin.b, DIGEST_BYTES);
		identity_export_fini(&back);
		buf_fini(&file);
	}
}

/* The bytes as identity_file.h lays them down: a file of today opens tomorrow. */
TEST(layout)
{
	struct identity_export id = sample(true);
	struct buf file = sealed(&id, COST);

	assert_int_equal(file.len, 30 + 16 + 32 + 32 + 8 + 1 + 5 + 1 + 12 + 2 + 1 + 32 + 16);
	assert_int_equal(file.data[0], 1);
	assert_int_equal(file.data[1], COST);
	buf_fini(&file);
}

TEST(secrets_are_not_in_clear)
{
	struct identity_export id = sample(true);
	struct buf file = sealed(&id, COST);

	assert_null(memmem(file.data, file.len, id.root.ed_seed, 8));
	assert_null(memmem(file.data, file.len, id.root.bag_key, 8));
	assert_null(memmem(file.data, file.len, "alice", 5));
	buf_fini(&file);
}

TEST(another_passphrase)
{
	struct identity_export id = sample(true), back;
	struct buf file = sealed(&id, COST);
	char longest[PASSPHRASE_MAX_BYTES + 1];

	assert_err(
	    identity_file_open(buf_bytes(&file), BYTES_STR("correct horsf"), &back), CHAT_ERR_CANNOT_OPEN);
	assert_err(
	    identity_file_open(buf_bytes(&file), BYTES_STR("correct hors"), &back), CHAT_ERR_CANNOT_OPEN);
	memset(longest, 'x', sizeof(longest));
	assert_err(identity_file_open(buf_bytes(&file), BYTES(longest, sizeof(longest) - 1), &back),
	    CHAT_ERR_CANNOT_OPEN);
	/* No passphrase can be these. */
	assert_err(identity_file_open(buf_bytes(&file), BYTES_ARRAY(longest), &back), CHAT_ERR_INVALID);
	assert_err(identity_file_open(buf_bytes(&file), BYTES_EMPTY, &back), CHAT_ERR_INVALID);
	assert_err(identity_file_open(buf_bytes(&file), BYTES("a\0b", 3), &back), CHAT_ERR_INVALID);
	buf_fini(&file);
}

TEST(every_byte_counts)
{
	struct identity_export id = sample(true), back;
	struct buf file = sealed(&id, COST);

	for (size_t i = 0; i < file.len; i++) {
		uint8_t flip = (uint8_t)(1u << (i % 8));

		if (i == 1)
			flip = 2; /* cost 3, not one of 64 MiB and more */
		file.data[i] ^= flip;
		assert_err(identity_file_open(buf_bytes(&file), PASS, &back),
		    i == 0 ? CHAT_ERR_NEWER : CHAT_ERR_CANNOT_OPEN);
		file.data[i] ^= flip;
	}
	file.data[1] = 0;
	assert_err(identity_file_open(buf_bytes(&file), PASS, &back), CHAT_ERR_CANNOT_OPEN);
	file.data[1] = IDENTITY_FILE_COST_MAX + 1;
	assert_err(identity_file_open(buf_bytes(&file), PASS, &back), CHAT_ERR_CANNOT_OPEN);
	file.data[1] = COST;
	assert_ok(identity_file_open(buf_bytes(&file), PASS, &back));
	buf_fini(&file);
}

TEST(truncated_or_longer)
{
	struct identity_export id = sample(true), back;
	struct buf file = sealed(&id, COST);

	for (size_t n = 0; n < file.len; n++) {
		uint8_t *exact = malloc(n + (n == 0));

		assert_non_null(exact);
		memcpy(exact, file.data, n);
		assert_err(identity_file_open(BYTES(exact, n), PASS, &back), CHAT_ERR_CANNOT_OPEN);
		free(exact);
	}
	assert_ok(buf_append(&file, "", 1));
	assert_err(identity_file_open(buf_bytes(&file), PASS, &back), CHAT_ERR_CANNOT_OPEN);
	buf_fini(&file);
}

TEST(files)
{
	struct identity_export id = sample(true);
	struct buf file = sealed(&id, COST), back = {0};
	char *dir = unit_temp_dir(), *path = NULL, *text = NULL, *missing = NULL;
	mode_t mask = umask(0);
	struct stat st;

	assert_true(asprintf(&path, "%s/alice.identity", dir) > 0);
	assert_err(identity_file_read(path, &back, &text), CHAT_ERR_NOT_FOUND);
	assert_non_null(strstr(text, path));
	assert_ok(identity_file_write(path, buf_bytes(&file), &text));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(identity_file_read(path, &back, &text));
	assert_bytes_equal(buf_bytes(&back), buf_bytes(&file));
	assert_err(identity_file_write(path, BYTES_STR("other"), &text), CHAT_ERR_EXISTS);
	assert_non_null(strstr(text, "already"));
	buf_clear(&back);
	assert_ok(identity_file_read(path, &back, &text));
	assert_bytes_equal(buf_bytes(&back), buf_bytes(&file));
	/* Nor through a link. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_err(identity_file_write(path, buf_bytes(&file), &text), CHAT_ERR_EXISTS);
	assert_true(asprintf(&missing, "%s/no/such", dir) > 0);
	assert_err(identity_file_write(missing, buf_bytes(&file), &text), CHAT_ERR_IO);
	assert_err(identity_file_read("/dev/zero", &back, &text), CHAT_ERR_CANNOT_OPEN);
	(void)umask(mask);
	free(text);
	free(path);
	free(missing);
	free(dir);
	buf_fini(&file);
	buf_fini(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(layout),
	    cmocka_unit_test(secrets_are_not_in_clear),
	    cmocka_unit_test(another_passphrase),
	    cmocka_unit_test(every_byte_counts),
	    cmocka_unit_test(truncated_or_longer),
	    cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

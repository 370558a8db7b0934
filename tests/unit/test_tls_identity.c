/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls.h"
#include "tls/tls_identity.h"
#include "tls/tls_internal.h"

#define NOW_MS (UINT64_C(1700000000) * 1000)

/* Paths in a fresh directory, freed by files_fini(). */
struct files {
	char *dir, *key, *cert;
};

static void
files_init(struct files *files)
{
	files->dir = unit_temp_dir();
	assert_true(asprintf(&files->key, "%s/key.pem", files->dir) > 0);
	assert_true(asprintf(&files->cert, "%s/cert.pem", files->dir) > 0);
}

static void
files_fini(struct files *files)
{
	free(files->dir);
	free(files->key);
	free(files->cert);
}

static void
put_file(const char *path, const void *from, size_t n, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(from, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
ensure(struct files *files, bool expected)
{
	char why[TLS_WHY_CHARS] = "";
	bool made = !expected;

	assert_err(tls_identity_ensure(files->key, files->cert, NOW_MS, why, &made), CHAT_OK);
	assert_int_equal(made, expected);
}

static struct digest
load_fingerprint(struct files *files)
{
	struct tls_identity *identity = NULL;
	char why[TLS_WHY_CHARS] = "";
	struct digest fingerprint;

	assert_ok(tls_identity_load(files->key, files->cert, why, &identity));
	fingerprint = *tls_identity_fingerprint(identity);
	tls_identity_unref(tls_identity_ref(identity));
	tls_identity_unref(identity);
	tls_identity_unref(NULL);
	return fingerprint;
}

/* Nothing is loaded; the sentence names the file, and what is wrong where it is a matter of contents. */
static void
refused(struct files *files, enum chat_err expected, const char *path, const char *says)
{
	struct tls_identity *identity = NULL;
	char why[TLS_WHY_CHARS] = "";

	assert_err(tls_identity_load(files->key, files->cert, why, &identity), expected);
	assert_null(identity);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, says));
}

TEST(made_once)
{
	struct digest first, second;
	struct files files;
	struct stat before, after;

	files_init(&files);
	ensure(&files, true);
	assert_int_equal(mode_of(files.key), 0600);
	assert_int_equal(mode_of(files.cert), 0644);
	first = load_fingerprint(&files);
	assert_int_equal(stat(files.cert, &before), 0);
	ensure(&files, false);
	assert_int_equal(stat(files.cert, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	second = load_fingerprint(&files);
	assert_true(digest_equal(&first, &second));
	/* No rests of writing. */
	assert_int_equal(unlink(files.key), 0);
	assert_int_equal(unlink(files.cert), 0);
	assert_int_equal(rmdir(files.dir), 0);
	files_fini(&files);
}

TEST(a_renewed_certificate_keeps_the_fingerprint)
{
	struct digest first, second;
	uint8_t *old, *new;
	size_t old_len = 0, new_len = 0;
	struct files files;

	files_init(&files);
	ensure(&files, true);
	first = load_fingerprint(&files);
	old = unit_read_file(files.cert, &old_len);
	assert_int_equal(unlink(files.cert), 0);
	ensure(&files, true);
	second = load_fingerprint(&files);
	new = unit_read_file(files.cert, &new_len);
	assert_true(digest_equal(&first, &second));
	assert_false(bytes_equal(BYTES(old, old_len), BYTES(new, new_len)));
	free(old);
	free(new);
	/* And another key has another. */
	assert_int_equal(unlink(files.cert), 0);
	assert_int_equal(unlink(files.key), 0);
	ensure(&files, true);
	second = load_fingerprint(&files);
	assert_false(digest_equal(&first, &second));
	files_fini(&files);
}

TEST(what_is_in_it)
{
	gnutls_datum_t pem = {.data = NULL, .size = 0};
	gnutls_x509_crt_t crt;
	unsigned bits = 0, critical = 0;
	struct files files;
	size_t len = 0;
	time_t span;

	files_init(&files);
	ensure(&files, true);
	pem.data = unit_read_file(files.cert, &len);
	pem.size = (unsigned)len;
	assert_true(gnutls_x509_crt_init(&crt) >= 0);
	assert_true(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) >= 0);
	assert_int_equal(gnutls_x509_crt_get_pk_algorithm(crt, &bits), GNUTLS_PK_ECDSA);
	assert_int_equal(bits, 256);
	assert_int_equal(gnutls_x509_crt_get_version(crt), 3);
	assert_int_equal(gnutls_x509_crt_get_ca_status(crt, &critical), 0);
	assert_true(gnutls_x509_crt_get_activation_time(crt) < (time_t)(NOW_MS / 1000));
	span = gnutls_x509_crt_get_expiration_time(crt) - (time_t)(NOW_MS / 1000);
	assert_int_equal(span / (365 * 24 * 60 * 60), 10);
	gnutls_x509_crt_deinit(crt);
	free(pem.data);
	files_fini(&files);
}

/* Made by another tool, an RSA and an Ed25519 key among them, with the fingerprint as that tool computes it.
 */
static const struct {
	const char *name, *key, *cert, *fingerprint;
} others[] = {
#include "tls_identities.inc"
};

TEST(identities_of_other_tools)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct files files;
		struct digest got;
		char hex[DIGEST_HEX_CHARS + 1];

		files_init(&files);
		put_file(files.key, others[i].key, strlen(others[i].key), 0640);
		put_file(files.cert, others[i].cert, strlen(others[i].cert), 0444);
		ensure(&files, false);
		got = load_fingerprint(&files);
		digest_hex(&got, hex);
		assert_string_equal(hex, others[i].fingerprint);
		files_fini(&files);
	}
}

TEST(refusals)
{
	const mode_t modes[] = {0644, 0604, 0620, 0666, 0601};
	struct files files, second;
	uint8_t *content;
	size_t len = 0;

	files_init(&files);
	files_init(&second);
	refused(&files, CHAT_ERR_NOT_FOUND, files.key, "No such file");
	ensure(&files, true);
	ensure(&second, true);

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(chmod(files.key, modes[i]), 0);
		refused(&files, CHAT_ERR_PERMISSION, files.key, "chmod 600");
	}
	assert_int_equal(chmod(files.key, 0600), 0);
	(void)load_fingerprint(&files);

	content = unit_read_file(second.cert, &len);
	put_file(files.cert, content, len, 0644);
	free(content);
	refused(&files, CHAT_ERR_INVALID, files.cert, "not of the key");

	put_file(files.cert, "-----BEGIN nonsense", 19, 0644);
	refused(&files, CHAT_ERR_SYNTAX, files.cert, "no certificate");
	put_file(files.cert, "", 0, 0644);
	refused(&files, CHAT_ERR_SYNTAX, files.cert, "no certificate");
	assert_int_equal(unlink(files.cert), 0);
	refused(&files, CHAT_ERR_NOT_FOUND, files.cert, "No such file");
	assert_int_equal(mkdir(files.cert, 0700), 0);
	refused(&files, CHAT_ERR_IO, files.cert, "directory");
	assert_int_equal(rmdir(files.cert), 0);

	put_file(files.key, "hello", 5, 0600);
	refused(&files, CHAT_ERR_SYNTAX, files.key, "no private key");
	files_fini(&files);
	files_fini(&second);
}

TEST(a_certificate_without_its_key)
{
	char why[TLS_WHY_CHARS] = "";
	struct files files;
	bool made = false;

	files_init(&files);
	ensure(&files, true);
	assert_int_equal(unlink(files.key), 0);
	assert_err(tls_identity_ensure(files.key, files.cert, NOW_MS, why, &made), CHAT_ERR_NOT_FOUND);
	assert_non_null(strstr(why, files.key));
	assert_int_not_equal(access(files.key, F_OK), 0); /* a new key would lock every client out */
	files_fini(&files);
}

TEST(a_folder_that_is_not_there)
{
	char why[TLS_WHY_CHARS] = "";
	struct files files;
	bool made = false;

	files_init(&files);
	assert_int_equal(rmdir(files.dir), 0);
	assert_err(tls_identity_ensure(files.key, files.cert, NOW_MS, why, &made), CHAT_ERR_NOT_FOUND);
	assert_non_null(strstr(why, files.key));
	assert_false(made);
	assert_int_equal(mkdir(files.dir, 0700), 0);
	files_fini(&files);
}

TEST(never_over_an_existing_file)
{
	char *temp = NULL;
	struct files files;
	uint8_t *content;
	size_t len = 0;

	files_init(&files);
	put_file(files.key, "old", 3, 0600);
	assert_ok(tls_file_write_temp(files.key, "new", 3, 0600, &temp));
	assert_err(tls_file_commit(temp, files.key, false), CHAT_ERR_EXISTS);
	assert_int_not_equal(access(temp, F_OK), 0);
	free(temp);
	content = unit_read_file(files.key, &len);
	assert_bytes_equal(BYTES(content, len), BYTES_STR("old"));
	free(content);
	assert_ok(tls_file_write_temp(files.key, "new", 3, 0640, &temp));
	assert_ok(tls_file_commit(temp, files.key, true));
	free(temp);
	content = unit_read_file(files.key, &len);
	assert_bytes_equal(BYTES(content, len), BYTES_STR("new"));
	assert_int_equal(mode_of(files.key), 0640);
	free(content);
	files_fini(&files);
}

TEST(fingerprints_as_people_type_them)
{
	static const char hex[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	const char *const good[] = {
	    hex,
	    "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
	    "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
	    "SHA256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	    " sha256:0011 2233 4455 6677 8899 aabb ccdd eeff-0011-2233-4455-6677-8899-aabb-ccdd-eeff\n",
	};
	const char *const bad[] = {
	    "",
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0",
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",
	    "SHA1:112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	    "sha256:",
	};
	struct digest expected, got;

	assert_true(hex_decode(hex, expected.b, sizeof(expected.b)));
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(tls_fingerprint_parse(good[i], &got));
		assert_true(digest_equal(&got, &expected));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(tls_fingerprint_parse(bad[i], &got));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(made_once),
	    cmocka_unit_test(a_renewed_certificate_keeps_the_fingerprint),
	    cmocka_unit_test(what_is_in_it),
	    cmocka_unit_test(identities_of_other_tools),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(a_certificate_without_its_key),
	    cmocka_unit_test(a_folder_that_is_not_there),
	    cmocka_unit_test(never_over_an_existing_file),
	    cmocka_unit_test(fingerprints_as_people_type_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>

#include "accounts/passwd_hash.h"

/* Every hash goes through here: what was computed is counted by the test itself. */
static unsigned computed;
static bool broken; /* as if its memory could not be had */
static char last_setting[CRYPT_OUTPUT_SIZE];

char *__real_crypt_rn(const char *phrase, const char *setting, void *data, int size);
char *__wrap_crypt_rn(const char *phrase, const char *setting, void *data, int size);
char *
__wrap_crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	(void)snprintf(last_setting, sizeof(last_setting), "%s", setting);
	if (broken) {
		errno = ENOMEM;
		return NULL;
	}
	char *out = __real_crypt_rn(phrase, setting, data, size);
	if (out != NULL)
		computed++;
	return out;
}

static struct passwd_hasher *
new_hasher(void)
{
	struct passwd_hasher *hasher = NULL;

	assert_ok(passwd_hasher_new(&hasher));
	assert_int_equal(passwd_hasher_count(hasher), 0);
	computed = 0;
	return hasher;
}

/* A verification, which computes exactly one hash. */
static void
check(struct passwd_hasher *hasher, const struct passwd_entry *entry, struct bytes password,
    enum passwd_verdict expected)
{
	unsigned before = computed;
	enum passwd_verdict got = passwd_verify(hasher, entry, password);

	if (got != expected)
		fail_msg("%s: %s, expected %s", entry != NULL ? entry->hash : "no account",
		    passwd_verdict_name(got), passwd_verdict_name(expected));
	assert_int_equal(computed - before, 1);
	assert_int_equal(passwd_hasher_count(hasher), computed);
}

TEST(make_and_verify)
{
	struct passwd_hasher *hasher = new_hasher();
	char hash[PASSWD_HASH_MAX_BYTES], again[PASSWD_HASH_MAX_BYTES];

	assert_ok(passwd_hash(hasher, BYTES_STR("correct horse"), hash));
	assert_int_equal(strncmp(hash, "$y$j9T$", 7), 0);
	assert_null(passwd_hash_field_fault(hash));
	assert_ok(passwd_hash(hasher, BYTES_STR("correct horse"), again));
	assert_string_not_equal(hash, again); /* its own salt */
	assert_int_equal(passwd_hasher_count(hasher), 2);

	const struct passwd_entry alice = {.name = "alice", .hash = hash, .id = ""};
	check(hasher, &alice, BYTES_STR("correct horse"), PASSWD_RIGHT);
	check(hasher, &alice, BYTES_STR("correct hors"), PASSWD_WRONG);
	check(hasher, &alice, BYTES_STR("correct horse "), PASSWD_WRONG);
	check(hasher, &alice, BYTES_EMPTY, PASSWD_WRONG);
	passwd_hasher_free(hasher);
	passwd_hasher_free(NULL);
}

/* One hash, whatever the reason; and for an unknown account one that costs what a new account's costs. */
TEST(one_hash_each)
{
	struct passwd_hasher *hasher = new_hasher();
	char hash[PASSWD_HASH_MAX_BYTES], longest[PASSWD_PASSWORD_MAX_BYTES + 2];

	memset(longest, 'x', sizeof(longest));
	assert_ok(passwd_hash(hasher, BYTES(longest, PASSWD_PASSWORD_MAX_BYTES), hash));
	const struct passwd_entry open = {.name = "a", .hash = hash, .id = ""};
	const struct passwd_entry locked = {.name = "a", .hash = hash, .id = "", .locked = true};

	check(hasher, &open, BYTES(longest, PASSWD_PASSWORD_MAX_BYTES), PASSWD_RIGHT);
	check(hasher, &open, BYTES(longest, PASSWD_PASSWORD_MAX_BYTES - 1), PASSWD_WRONG);
	check(hasher, &locked, BYTES(longest, PASSWD_PASSWORD_MAX_BYTES), PASSWD_LOCKED);
	check(hasher, &locked, BYTES_STR("wrong"), PASSWD_LOCKED);
	check(hasher, NULL, BYTES_STR("anything"), PASSWD_NO_ACCOUNT);
	assert_int_equal(strncmp(last_setting, hash, 7), 0); /* the scheme and the cost */
	check(hasher, NULL, BYTES_EMPTY, PASSWD_NO_ACCOUNT);

	/* Cut to the limit or at the NUL they would be right. */
	check(hasher, &open, BYTES(longest, PASSWD_PASSWORD_MAX_BYTES + 1), PASSWD_WRONG);
	check(hasher, NULL, BYTES(longest, PASSWD_PASSWORD_MAX_BYTES + 1), PASSWD_NO_ACCOUNT);
	assert_ok(passwd_hash(hasher, BYTES_STR("short"), hash));
	check(hasher, &open, BYTES("short\0er", 8), PASSWD_WRONG);
	check(hasher, &open, BYTES_STR("short"), PASSWD_RIGHT);

	/* A hash that looks whole, but that libcrypt refuses: another one is computed. */
	const struct passwd_entry odd = {.name = "a",
	    .hash = "$6$rounds=1$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
		    "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOf"
		    "aS35inz1",
	    .id = ""};
	check(hasher, &odd, BYTES_STR("Hello world!"), PASSWD_WRONG);
	assert_int_equal(strncmp(last_setting, "$y$j9T$", 7), 0);

	/* A setting without its hash is nobody's password, also not that of who finds what equals it. */
	const struct passwd_entry setting = {.name = "a", .hash = "$6$saltstring", .id = ""};
	check(hasher, &setting, BYTES_STR("Hello world!"), PASSWD_WRONG);
	passwd_hasher_free(hasher);
}

TEST(libcrypt_fails)
{
	struct passwd_hasher *hasher = new_hasher();
	char hash[PASSWD_HASH_MAX_BYTES] = "untouched";
	const struct passwd_entry alice = {.name = "alice", .hash = "IpfJRRlgBPGWs", .id = ""};

	broken = true;
	assert_err(passwd_hash(hasher, BYTES_STR("pw"), hash), CHAT_ERR_CRYPTO);
	assert_string_equal(hash, "untouched");
	assert_int_equal(passwd_verify(hasher, &alice, BYTES_STR("pw")), PASSWD_FAILED);
	assert_int_equal(passwd_verify(hasher, NULL, BYTES_STR("pw")), PASSWD_FAILED);
	assert_int_equal(passwd_hasher_count(hasher), 0);
	broken = false;
	check(hasher, &alice, BYTES_STR("pw"), PASSWD_RIGHT);
	passwd_hasher_free(hasher);
}

/* Published ones, and ones that other programs made. */
TEST(known_hashes)
{
	static const struct {
		const char *password, *hash;
	} known[] = {
	    /* SHA-crypt.txt, its test vectors */
	    {"Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
	    {"Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
			     "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35in"
			     "z1"},
	    {"the minimum number is still observed",
		"$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC"},
	    /* crypt_blowfish, wrapper.c */
	    {"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
	    {"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
	    /* libcrypt 4.4.33 */
	    {"pw", "$y$j9T$IdJ8r6SIaqOB6Nt63BEwl0$SUE4Yp1TjEmsvwfeOX/Ml8gYTb26SHyn3pzjHsGNEQ9"},
	    {"pw", "$1$Uec6l/S9$n1R45B4XvEGMRz1toEZm80"},
	    {"pw", "$3$$8cc19b6a8cfeac299c2871c86b38de28"},
	    {"pw", "IpfJRRlgBPGWs"},
	    {"pw", "_J9..v/ttEusW8VMjQqI"},
	};
	struct passwd_hasher *hasher = new_hasher();
	unsigned tried = 0;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct passwd_entry entry = {.name = "a", .hash = known[i].hash, .id = ""};

		if (crypt_checksalt(known[i].hash) == CRYPT_SALT_INVALID) {
			print_message("# this libcrypt does not know %.4s\n", known[i].hash);
			continue;
		}
		assert_null(passwd_hash_field_fault(known[i].hash));
		check(hasher, &entry, BYTES_STR(known[i].password), PASSWD_RIGHT);
		check(hasher, &entry, BYTES_STR("other"), PASSWD_WRONG);
		tried++;
	}
	print_message("# %u of %zu hashes\n", tried, ARRAY_LEN(known));
	assert_true(
	    tried >= 4); /* the SHA-crypt ones and yescrypt are in every libcrypt that we build with */
	passwd_hasher_free(hasher);
}

/* Every scheme that this libcrypt makes settings for. */
TEST(every_scheme)
{
	static const char *const prefixes[] = {"$y$", "$gy$", "$7$", "$2b$", "$2a$", "$2y$", "$6$", "$5$",
	    "$sha1", "$md5", "$1$", "$3$", "_", ""};
	struct passwd_hasher *hasher = new_hasher();
	static struct crypt_data data;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	unsigned tried = 0;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		const char *hash;

		if (crypt_gensalt_rn(prefixes[i], 0, NULL, 0, setting, (int)sizeof(setting)) == NULL)
			continue;
		hash = __real_crypt_rn("pass", setting, &data, (int)sizeof(data));
		assert_non_null(hash);
		const struct passwd_entry entry = {.name = "a", .hash = hash, .id = ""};
		if (passwd_hash_field_fault(hash) != NULL)
			fail_msg("%s %s", hash, passwd_hash_field_fault(hash));
		check(hasher, &entry, BYTES_STR("pass"), PASSWD_RIGHT);
		check(hasher, &entry, BYTES_STR("past"), PASSWD_WRONG);

		/* One character less is not a whole hash, and neither is the setting. */
		char cut[CRYPT_OUTPUT_SIZE];
		(void)snprintf(cut, sizeof(cut), "%.*s", (int)strlen(hash) - 1, hash);
		assert_non_null(passwd_hash_field_fault(cut));
		assert_non_null(passwd_hash_field_fault(setting));
		tried++;
	}
	print_message("# %u schemes\n", tried);
	assert_true(tried >= 3);
	passwd_hasher_free(hasher);
}

TEST(field_faults)
{
	static const struct {
		const char *field, *part;
	} cases[] = {
	    {"", "empty"},
	    {"!", "lock mark"},
	    {"*", "lock mark"},
	    {"!!", "lock mark"},
	    {"!$y$j9T$IdJ8r6SIaqOB6Nt63BEwl0$SUE4Yp1TjEmsvwfeOX/Ml8gYTb26SHyn3pzjHsGNEQ9", "lock mark"},
	    {"x", "no scheme"},
	    {"$9$salt$hash", "no scheme"},
	    {"{SSHA}abcdefgh", "no scheme"},
	    {"hunter2", "no scheme"}, /* a password in place of a hash */
	    {"garbage.garbage", "no scheme"},
	    {"abcdefghijkl\x01", "holds a character"},
	    {"abcdefghijkl\xc3\xa4", "holds a character"},
	    {"abcdefghijkl m", "holds a character"},
	    {"abcdefghijkl;", "holds a character"},
	    {"$y$", "cut short"},
	    {"$6$", "cut short"},
	    {"_J9..v/tt", "cut short"},
	};
	char longest[PASSWD_HASH_MAX_BYTES + 1];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *fault = passwd_hash_field_fault(cases[i].field);

		if (fault == NULL || strstr(fault, cases[i].part) == NULL)
			fail_msg("'%s' %s, expected: %s", cases[i].field, fault != NULL ? fault : "is good",
			    cases[i].part);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_non_null(strstr(passwd_hash_field_fault(longest), "too long"));
}

TEST(scheme_names)
{
	assert_string_equal(passwd_hash_scheme("$y$j9T$IdJ8r6SIaqOB6Nt63BEwl0$x"), "yescrypt");
	assert_string_equal(passwd_hash_scheme("$gy$j9T$IdJ8r6SIaqOB6Nt63BEwl0$x"), "gost-yescrypt");
	assert_string_equal(passwd_hash_scheme("$2b$05$"), "bcrypt");
	assert_string_equal(passwd_hash_scheme("$6$salt$x"), "sha512crypt");
	assert_string_equal(passwd_hash_scheme("_J9..v/ttEusW8VMjQqI"), "bsdicrypt");
	assert_string_equal(passwd_hash_scheme("IpfJRRlgBPGWs"), "descrypt");
	assert_string_equal(passwd_hash_scheme("$new$salt$x"), "other");
}

TEST(password_rule)
{
	char longest[PASSWD_PASSWORD_MAX_BYTES + 1];
	static const char *const invalid[] = {
	    "a\n", "\t", "\x1b[A", "\x7f", "\xff", "\xc3", "\xc0\x80", "\xc2\x85", "\xe2\x80\xae"};

	memset(longest, 'a', sizeof(longest));
	assert_ok(passwd_password_check(BYTES_STR("a")));
	assert_ok(passwd_password_check(BYTES_STR(" two  words ")));
	assert_ok(passwd_password_check(BYTES_STR("\xc3\xa4\xf0\x9f\x94\x91")));
	assert_ok(passwd_password_check(BYTES(longest, PASSWD_PASSWORD_MAX_BYTES)));
	assert_err(passwd_password_check(BYTES(longest, PASSWD_PASSWORD_MAX_BYTES + 1)), CHAT_ERR_TOO_LONG);
	assert_err(passwd_password_check(BYTES_EMPTY), CHAT_ERR_INVALID);
	assert_err(passwd_password_check(BYTES("a\0b", 3)), CHAT_ERR_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
		assert_err(passwd_password_check(BYTES_STR(invalid[i])), CHAT_ERR_INVALID);

	struct passwd_hasher *hasher = new_hasher();
	char hash[PASSWD_HASH_MAX_BYTES] = "untouched";
	assert_err(passwd_hash(hasher, BYTES_EMPTY, hash), CHAT_ERR_INVALID);
	assert_err(passwd_hash(hasher, BYTES(longest, sizeof(longest)), hash), CHAT_ERR_TOO_LONG);
	assert_string_equal(hash, "untouched");
	assert_int_equal(computed, 0);
	passwd_hasher_free(hasher);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(make_and_verify),
	    cmocka_unit_test(one_hash_each),
	    cmocka_unit_test(libcrypt_fails),
	    cmocka_unit_test(known_hashes),
	    cmocka_unit_test(every_scheme),
	    cmocka_unit_test(field_faults),
	    cmocka_unit_test(scheme_names),
	    cmocka_unit_test(password_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

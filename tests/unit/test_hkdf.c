/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/hkdf.h"

/* Fresh memory of exactly the length, so that a sanitizer sees a byte too many. */
static uint8_t *
derive(struct bytes ikm, struct bytes salt, struct bytes info, size_t len)
{
	uint8_t *okm = malloc(len);

	assert_non_null(okm);
	hkdf_sha256(ikm, salt, info, okm, len);
	return okm;
}

static void
check_case(struct vectors *v, const json_t *test)
{
	size_t size = vec_u64(test, "size");
	uint8_t *okm;

	okm = derive(vec_hex(v, test, "ikm"), vec_hex(v, test, "salt"), vec_hex(v, test, "info"), size);
	vec_assert_bytes(test, "okm", BYTES(okm, size), vec_hex(v, test, "okm"));
	free(okm);
}

TEST(rfc_5869)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open(&v, "hkdf_sha256.json");
	json_array_foreach(vec_array(v.root, "cases"), i, test)
	{
		check_case(&v, test);
		count.accepted++;
	}
	vec_close(&v);
	assert_int_equal(count.accepted, 3);
	vec_count_print("RFC 5869, A.1 to A.3", &count);
}

/* The invalid cases ask for more than HKDF can give: an assertion, for lengths are the caller's constants. */
static void
check_asserts(struct vectors *v, const json_t *test)
{
	struct bytes ikm = vec_hex(v, test, "ikm"), salt = vec_hex(v, test, "salt");
	struct bytes info = vec_hex(v, test, "info");
	size_t size = vec_u64(test, "size");
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		derive(ikm, salt, info, size);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

TEST(wycheproof)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *group, *test;
	size_t i, j;

	vec_open_published(&v, "hkdf_sha256_test.json");
	json_array_foreach(vec_array(v.root, "testGroups"), i, group)
	{
		json_array_foreach(vec_array(group, "tests"), j, test)
		{
			if (vec_is(test, "result", "valid")) {
				check_case(&v, test);
				count.accepted++;
			} else {
				check_asserts(&v, test);
				count.refused++;
			}
		}
	}
	assert_int_equal(count.accepted + count.refused, vec_u64(v.root, "numberOfTests"));
	vec_close(&v);
	vec_count_print("Wycheproof HKDF-SHA-256", &count);
}

TEST(empty_inputs_without_an_address)
{
	static const uint8_t zeros[32];
	uint8_t *a, *b;

	a = derive(BYTES_EMPTY, BYTES_EMPTY, BYTES_EMPTY, 64);
	b = derive(BYTES(zeros, 0), BYTES_ARRAY(zeros), BYTES(zeros, 0), 64);
	assert_memory_equal(a, b, 64);
	free(a);
	free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc_5869),
	    cmocka_unit_test(wycheproof),
	    cmocka_unit_test(empty_inputs_without_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>

#include "unit.h"

#include "proto/wire.h"

/* "BAD_SEEN" for "bad_seen". */
static void
upper_case(const char *name, char *ret, size_t cap)
{
	size_t i;

	assert_true(strlen(name) < cap);
	for (i = 0; name[i] != '\0'; i++)
		ret[i] = (char)toupper((unsigned char)name[i]);
	ret[i] = '\0';
}

TEST(every_refusal_is_in_both_lists_under_one_name)
{
	const ProtobufCEnumDescriptor *codes = &chat__v1__error_code__descriptor;
	unsigned refusals = 0;
	char name[64];

#define COMPARE(constant, number, stable_name, sentence)                                                     \
	if ((number) >= 100) {                                                                               \
		const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(codes, (number));     \
		assert_non_null(value);                                                                      \
		upper_case(stable_name, name, sizeof(name));                                                 \
		assert_string_equal(value->name, name);                                                      \
		assert_int_equal(error_to_wire(constant), number);                                           \
		assert_int_equal(error_from_wire((Chat__V1__ErrorCode)(number)), constant);                  \
		refusals++;                                                                                  \
	}
	CHAT_ERRORS(COMPARE)
	assert_int_equal(codes->n_values, refusals + 1); /* and ERROR_NONE */
}

TEST(a_local_cause_is_internal_on_the_wire)
{
#define LOCAL(constant, number, stable_name, sentence)                                                       \
	if ((number) > 0 && (number) < 100)                                                                  \
		assert_int_equal(error_to_wire(constant), CHAT__V1__ERROR_CODE__INTERNAL);
	CHAT_ERRORS(LOCAL)
	assert_int_equal(error_to_wire(CHAT_OK), CHAT__V1__ERROR_CODE__ERROR_NONE);
	assert_int_equal(error_to_wire((enum chat_err)9999), CHAT__V1__ERROR_CODE__INTERNAL);
}

TEST(a_code_of_a_later_version_needs_a_newer_program)
{
	assert_err(error_from_wire(CHAT__V1__ERROR_CODE__ERROR_NONE), CHAT_OK);
	assert_err(error_from_wire((Chat__V1__ErrorCode)126), CHAT_ERR_UNSUPPORTED);
	assert_err(error_from_wire((Chat__V1__ErrorCode)1), CHAT_ERR_UNSUPPORTED);
	assert_err(error_from_wire((Chat__V1__ErrorCode)-5), CHAT_ERR_UNSUPPORTED);
}

TEST(digests_and_bytes_pass_both_ways)
{
	struct digest d, back;

	for (size_t i = 0; i < DIGEST_BYTES; i++)
		d.b[i] = (uint8_t)i;
	ProtobufCBinaryData b = wire_from_digest(&d);
	assert_bytes_equal(wire_bytes(b), digest_bytes(&d));
	back = wire_digest(b);
	assert_true(digest_equal(&back, &d));
	memset(&back, 0, sizeof(back));
	assert_true(wire_digest_maybe(b, &back));
	assert_true(digest_equal(&back, &d));
	b.len = 31;
	back.b[0] = 77;
	assert_false(wire_digest_maybe(b, &back));
	assert_int_equal(back.b[0], 77);
	assert_bytes_equal(wire_str("abc"), BYTES("abc", 3));
	assert_bytes_equal(wire_str(wire_from_str("")), BYTES_EMPTY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_refusal_is_in_both_lists_under_one_name),
	    cmocka_unit_test(a_local_cause_is_internal_on_the_wire),
	    cmocka_unit_test(a_code_of_a_later_version_needs_a_newer_program),
	    cmocka_unit_test(digests_and_bytes_pass_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

# Unit tests of src/client: as in base.mk.  They link a libchat of their own (fake_chat.h).
check_LTLIBRARIES += tests/unit/libfakechat.la
tests_unit_libfakechat_la_SOURCES = tests/unit/fake_chat.c tests/unit/fake_chat.h
client_tests = \
	tests/unit/test_client_options \
	tests/unit/test_commands \
	tests/unit/test_filter \
	tests/unit/test_input \
	tests/unit/test_json \
	tests/unit/test_lines \
	tests/unit/test_plain
check_PROGRAMS += $(client_tests)
TESTS += $(client_tests)
client_ldadd = src/client/libclient.la tests/unit/libfakechat.la $(libs_base) $(libs_unit)
client_run = tests/unit/client_run.c tests/unit/client_run.h
tests_unit_test_client_options_LDADD = $(client_ldadd)
tests_unit_test_commands_LDADD = $(client_ldadd)
tests_unit_test_filter_LDADD = $(client_ldadd)
tests_unit_test_input_LDADD = $(client_ldadd)
tests_unit_test_json_SOURCES = tests/unit/test_json.c $(client_run)
tests_unit_test_json_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_json_LDADD = $(client_ldadd)
tests_unit_test_lines_LDADD = $(client_ldadd)
tests_unit_test_plain_SOURCES = tests/unit/test_plain.c $(client_run)
tests_unit_test_plain_LDADD = $(client_ldadd)

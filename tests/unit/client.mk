# Unit tests of src/client: as in base.mk.  They link a libchat of their own (fake_chat.h).
check_LTLIBRARIES += tests/unit/libfakechat.la
tests_unit_libfakechat_la_SOURCES = tests/unit/fake_chat.c tests/unit/fake_chat.h
client_tests = \
	tests/unit/test_filter
check_PROGRAMS += $(client_tests)
TESTS += $(client_tests)
client_ldadd = src/client/libclient.la tests/unit/libfakechat.la $(libs_base) $(libs_unit)
tests_unit_test_filter_LDADD = $(client_ldadd)

# A test of one file needs three lines; its source is found by its name (tests/unit/test_err.c).
base_tests = \
	tests/unit/test_account_name \
	tests/unit/test_arena \
	tests/unit/test_buf \
	tests/unit/test_bytes \
	tests/unit/test_digest \
	tests/unit/test_err \
	tests/unit/test_log \
	tests/unit/test_map \
	tests/unit/test_random \
	tests/unit/test_state_dir \
	tests/unit/test_utf8
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)
threads_tests += tests/unit/test_log
tests_unit_test_account_name_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_arena_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_arena_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_buf_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_buf_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_bytes_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_digest_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_err_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_log_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_map_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_map_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_random_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_random_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=getrandom
tests_unit_test_state_dir_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_utf8_LDADD = $(libs_base) $(libs_unit)

# A test of one file needs three lines; its source is found by its name (tests/unit/test_err.c).
base_tests = \
	tests/unit/test_account_name \
	tests/unit/test_err \
	tests/unit/test_state_dir
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)
tests_unit_test_err_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_account_name_LDADD = $(libs_base) $(libs_unit)
tests_unit_test_state_dir_LDADD = $(libs_base) $(libs_unit)

# Unit tests of src/accounts: as in base.mk.
accounts_tests = \
	tests/unit/test_passwd_edit \
	tests/unit/test_passwd_file \
	tests/unit/test_passwd_hash \
	tests/unit/test_passwd_watch
check_PROGRAMS += $(accounts_tests)
TESTS += $(accounts_tests)
threads_tests += tests/unit/test_passwd_watch
tests_unit_test_passwd_edit_LDADD = $(libs_accounts) $(libs_unit)
tests_unit_test_passwd_edit_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags) \
	-Wl,--wrap=flock -Wl,--wrap=fsync -Wl,--wrap=rename -Wl,--wrap=write
tests_unit_test_passwd_file_LDADD = $(libs_accounts) $(libs_unit)
tests_unit_test_passwd_file_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_passwd_hash_CFLAGS = $(AM_CFLAGS) $(LIBCRYPT_CFLAGS)
tests_unit_test_passwd_hash_LDADD = $(libs_accounts) $(libs_unit) $(LIBCRYPT_LIBS)
tests_unit_test_passwd_hash_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=crypt_rn
tests_unit_test_passwd_watch_LDADD = $(libs_accounts) $(libs_unit)
tests_unit_test_passwd_watch_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_unix_ms -Wl,--wrap=passwd_table_load

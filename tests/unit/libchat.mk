# Unit tests of src/libchat: as in base.mk.

# The client around the sans-I/O core.
libchat_client_tests = \
	tests/unit/test_backoff \
	tests/unit/test_connect \
	tests/unit/test_datadir \
	tests/unit/test_identity_file \
	tests/unit/test_storage_contract \
	tests/unit/test_storage_sqlite
check_PROGRAMS += $(libchat_client_tests)
TESTS += $(libchat_client_tests)
threads_tests += tests/unit/test_connect
tests_unit_test_backoff_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_connect_SOURCES = tests/unit/test_connect.c $(tls_pair)
tests_unit_test_connect_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_connect_LDADD = $(libs_libchat) $(libs_unit) $(GNUTLS_LIBS)
tests_unit_test_datadir_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_identity_file_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_storage_contract_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_storage_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_storage_sqlite_LDADD = $(libs_libchat) $(libs_unit) $(SQLITE_LIBS)

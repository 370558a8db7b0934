# Unit tests of src/store: as in base.mk.  contract, keys and walk are for any kind of store; the others for SQLite.
check_LTLIBRARIES += tests/unit/libstorekit.la
tests_unit_libstorekit_la_SOURCES = tests/unit/store_kit.c tests/unit/store_kit.h
tests_unit_libstorekit_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)

store_tests = \
	tests/unit/test_store_contract \
	tests/unit/test_store_faults \
	tests/unit/test_store_keys \
	tests/unit/test_store_sqlite \
	tests/unit/test_store_walk
check_PROGRAMS += $(store_tests)
TESTS += $(store_tests)
threads_tests += tests/unit/test_store_sqlite
store_ldadd = tests/unit/libstorekit.la $(libs_store) $(libs_unit)
tests_unit_test_store_contract_LDADD = $(store_ldadd)
tests_unit_test_store_faults_SOURCES = tests/unit/test_store_faults.c tests/unit/fault_vfs.c tests/unit/fault_vfs.h
tests_unit_test_store_faults_LDADD = $(store_ldadd) $(SQLITE_LIBS)
tests_unit_test_store_keys_LDADD = $(store_ldadd)
tests_unit_test_store_sqlite_LDADD = $(store_ldadd) $(SQLITE_LIBS)
tests_unit_test_store_walk_LDADD = $(store_ldadd)

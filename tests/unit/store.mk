# Unit tests of src/store: as in base.mk.  The contract is for any kind of store; the others for the one in SQLite.
check_LTLIBRARIES += tests/unit/libstorekit.la
tests_unit_libstorekit_la_SOURCES = tests/unit/store_kit.c tests/unit/store_kit.h
tests_unit_libstorekit_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)

store_tests = \
	tests/unit/test_store_contract
check_PROGRAMS += $(store_tests)
TESTS += $(store_tests)
store_ldadd = tests/unit/libstorekit.la $(libs_store) $(libs_unit)
tests_unit_test_store_contract_LDADD = $(store_ldadd)

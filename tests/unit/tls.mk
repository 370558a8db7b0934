# Unit tests of src/tls.
tls_tests = \
	tests/unit/test_tls \
	tests/unit/test_tls_identity \
	tests/unit/test_tls_pins
check_PROGRAMS += $(tls_tests)
TESTS += $(tls_tests)
tls_pair = tests/unit/tls_pair.c tests/unit/tls_pair.h
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c $(tls_pair)
tests_unit_test_tls_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_LDADD = $(libs_tls) $(libs_unit) $(GNUTLS_LIBS)
tests_unit_test_tls_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_tls_identity_SOURCES = tests/unit/test_tls_identity.c tests/unit/tls_identities.inc
tests_unit_test_tls_identity_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_identity_LDADD = $(libs_tls) $(libs_unit) $(GNUTLS_LIBS)
tests_unit_test_tls_pins_SOURCES = tests/unit/test_tls_pins.c $(tls_pair)
tests_unit_test_tls_pins_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_pins_LDADD = $(libs_tls) $(libs_unit) $(GNUTLS_LIBS)

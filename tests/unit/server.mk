# Unit tests of src/server: as in base.mk.
server_tests = \
	tests/unit/test_delivery
check_PROGRAMS += $(server_tests)
TESTS += $(server_tests)
tests_unit_test_delivery_LDADD = src/server/libserver.la $(libs_unit)

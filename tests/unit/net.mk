# Unit tests of src/net.
net_tests = \
	tests/unit/test_listener \
	tests/unit/test_loop \
	tests/unit/test_mailbox \
	tests/unit/test_wheel
check_PROGRAMS += $(net_tests)
TESTS += $(net_tests)
threads_tests += tests/unit/test_listener tests/unit/test_loop tests/unit/test_mailbox
tests_unit_test_listener_LDADD = $(libs_net) $(libs_unit)
tests_unit_test_loop_LDADD = $(libs_net) $(libs_unit)
tests_unit_test_mailbox_LDADD = $(libs_net) $(libs_unit)
tests_unit_test_wheel_LDADD = $(libs_net) $(libs_unit)

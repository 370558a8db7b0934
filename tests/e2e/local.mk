# End-to-end tests, Python 3 and its standard library only: TESTS += tests/e2e/x.py, EXTRA_DIST += the same.
e2e_tests = \
	tests/e2e/test_examples.py \
	tests/e2e/test_libchat.py \
	tests/e2e/test_passwd.py
server_e2e_tests = \
	tests/e2e/test_chat.py \
	tests/e2e/test_client_plain.py \
	tests/e2e/test_client_terminal.py \
	tests/e2e/test_demo.py \
	tests/e2e/test_secrecy.py \
	tests/e2e/test_chatctl.py \
	tests/e2e/test_server_check.py \
	tests/e2e/test_server_reload.py \
	tests/e2e/test_server_start.py \
	tests/e2e/test_wire.py
TESTS += $(e2e_tests) $(server_e2e_tests)
threads_tests += $(server_e2e_tests)
EXTRA_DIST += $(e2e_tests) $(server_e2e_tests) tests/e2e/harness.py tests/e2e/demo.py tests/e2e/libchat.py tests/e2e/terminal.py \
	tests/fixtures/tls-cert.pem tests/fixtures/tls-key.pem

# Shows the secrets of a client's data directory to test_secrecy.py.
check_PROGRAMS += tests/e2e/reveal_keys
tests_e2e_reveal_keys_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_e2e_reveal_keys_LDADD = $(libs_libchat)
$(tests_e2e_reveal_keys_OBJECTS): | $(BUILT_SOURCES)
tests/e2e/test_secrecy.log: tests/e2e/reveal_keys$(EXEEXT)

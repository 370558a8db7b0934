# Unit tests of src/libchat: as in base.mk.

# The sans-I/O core against the real engine and store, step by step in one process.
check_LTLIBRARIES += tests/unit/libenginepair.la
tests_unit_libenginepair_la_SOURCES = tests/unit/engine_pair.c tests/unit/engine_pair.h \
	tests/unit/engine_pair_priv.h tests/unit/pair_peer.c tests/unit/pair_steps.c tests/unit/storage_memory.c tests/unit/storage_memory.h
tests_unit_libenginepair_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
libs_pair = tests/unit/libenginepair.la src/libchat/libchat-core.la tests/unit/libengineworld.la $(libs_server) \
	$(libs_unit)
EXTRA_DIST += tests/fixtures/rsa-carol.der tests/fixtures/rsa-dave.der

session_tests = \
	tests/unit/test_op \
	tests/unit/test_rekey \
	tests/unit/test_keys \
	tests/unit/test_sender \
	tests/unit/test_room \
	tests/unit/test_session \
	tests/unit/test_session_schedule \
	tests/unit/test_session_steps
check_PROGRAMS += $(session_tests)
TESTS += $(session_tests)
tests_unit_test_sender_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_sender_LDADD = $(libs_pair)
tests_unit_test_keys_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_keys_LDADD = $(libs_pair)
tests_unit_test_rekey_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_rekey_LDADD = $(libs_pair)
tests_unit_test_op_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_op_LDADD = $(libs_pair)
tests_unit_test_room_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_room_LDADD = $(libs_pair)
tests_unit_test_session_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_session_LDADD = $(libs_pair)
tests_unit_test_session_schedule_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_session_schedule_LDADD = $(libs_pair)
tests_unit_test_session_steps_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_session_steps_LDADD = $(libs_pair)

# The client around the sans-I/O core.
libchat_client_tests = \
	tests/unit/test_backoff \
	tests/unit/test_client \
	tests/unit/test_connect \
	tests/unit/test_datadir \
	tests/unit/test_identity_file \
	tests/unit/test_storage_contract \
	tests/unit/test_storage_sqlite
check_PROGRAMS += $(libchat_client_tests)
TESTS += $(libchat_client_tests)
threads_tests += tests/unit/test_client tests/unit/test_connect
tests_unit_test_backoff_LDADD = $(libs_libchat) $(libs_unit)
# fake_session.c comes before the real one in the archives.
tests_unit_test_client_SOURCES = tests/unit/test_client.c tests/unit/fake_session.c tests/unit/fake_session.h $(tls_pair)
tests_unit_test_client_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_client_LDADD = $(libs_libchat) $(libs_unit) $(SQLITE_LIBS)
tests_unit_test_connect_SOURCES = tests/unit/test_connect.c $(tls_pair)
tests_unit_test_connect_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_connect_LDADD = $(libs_libchat) $(libs_unit) $(GNUTLS_LIBS)
tests_unit_test_datadir_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_identity_file_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_storage_contract_SOURCES = tests/unit/test_storage_contract.c tests/unit/storage_memory.c \
	tests/unit/storage_memory.h
tests_unit_test_storage_contract_LDADD = $(libs_libchat) $(libs_unit)
tests_unit_test_storage_sqlite_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_storage_sqlite_LDADD = $(libs_libchat) $(libs_unit) $(SQLITE_LIBS)

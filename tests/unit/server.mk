# Unit tests of src/server: as in base.mk.
check_LTLIBRARIES += tests/unit/libengineworld.la
tests_unit_libengineworld_la_SOURCES = tests/unit/engine_world.c tests/unit/engine_world.h \
	tests/unit/engine_people.c tests/unit/engine_people.h

server_tests = \
	tests/unit/test_delivery \
	tests/unit/test_engine \
	tests/unit/test_engine_accounts \
	tests/unit/test_engine_faults \
	tests/unit/test_engine_lives \
	tests/unit/test_engine_nomem \
	tests/unit/test_engine_posts \
	tests/unit/test_engine_rewraps \
	tests/unit/test_engine_retention \
	tests/unit/test_engine_schedule
check_PROGRAMS += $(server_tests)
TESTS += $(server_tests)
tests_unit_test_delivery_LDADD = src/server/libserver.la $(libs_unit)
libs_engine = tests/unit/libengineworld.la $(libs_server) $(libs_unit)
tests_unit_test_engine_LDADD = $(libs_engine)
tests_unit_test_engine_accounts_LDADD = $(libs_engine)
tests_unit_test_engine_faults_SOURCES = tests/unit/test_engine_faults.c tests/unit/fault_vfs.c tests/unit/fault_vfs.h
tests_unit_test_engine_faults_LDADD = $(libs_engine) $(SQLITE_LIBS)
tests_unit_test_engine_lives_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(NETTLE_CFLAGS)
tests_unit_test_engine_lives_LDADD = tests/unit/libgroupvectors.la tests/unit/libvectors.la $(libs_engine) $(SQLITE_LIBS)
tests_unit_test_engine_nomem_LDADD = $(libs_engine)
tests_unit_test_engine_nomem_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_engine_posts_LDADD = $(libs_engine)
tests_unit_test_engine_rewraps_LDADD = $(libs_engine)
tests_unit_test_engine_retention_SOURCES = tests/unit/test_engine_retention.c tests/unit/fault_vfs.c tests/unit/fault_vfs.h
tests_unit_test_engine_retention_LDADD = $(libs_engine) $(SQLITE_LIBS)
tests_unit_test_engine_schedule_SOURCES = tests/unit/test_engine_schedule.c tests/unit/schedule.h \
	tests/unit/schedule_clients.c tests/unit/schedule_posts.c tests/unit/fault_vfs.c tests/unit/fault_vfs.h
tests_unit_test_engine_schedule_LDADD = $(libs_engine) $(SQLITE_LIBS)

# From the socket to the engine: a whole server in the test's process.
check_LTLIBRARIES += tests/unit/libserverrig.la
tests_unit_libserverrig_la_SOURCES = tests/unit/rig_peer.c tests/unit/server_rig.c tests/unit/server_rig.h \
	tests/unit/loop_rig.c tests/unit/loop_rig.h
libs_rig = tests/unit/libserverrig.la tests/unit/libengineworld.la $(libs_server) $(libs_unit)

server_io_tests = \
	tests/unit/test_audit \
	tests/unit/test_conn \
	tests/unit/test_conn_limits \
	tests/unit/test_conn_memory \
	tests/unit/test_engine_thread \
	tests/unit/test_kdf \
	tests/unit/test_login_delay \
	tests/unit/test_outq \
	tests/unit/test_read_run \
	tests/unit/test_server \
	tests/unit/test_server_delivery \
	tests/unit/test_session_login \
	tests/unit/test_session_rooms \
	tests/unit/test_staging \
	tests/unit/test_sub
check_PROGRAMS += $(server_io_tests)
TESTS += $(server_io_tests)
threads_tests += $(server_io_tests)
tests_unit_test_audit_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_conn_LDADD = $(libs_rig)
tests_unit_test_conn_limits_LDADD = $(libs_rig)
tests_unit_test_conn_memory_LDADD = $(libs_rig)
tests_unit_test_conn_memory_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_conn_limits_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_mono_ms -Wl,--wrap=clock_now
tests_unit_test_engine_thread_LDADD = tests/unit/libengineworld.la $(libs_server) $(libs_unit)
tests_unit_test_kdf_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_login_delay_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_outq_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_read_run_SOURCES = tests/unit/test_read_run.c tests/unit/read_room.c tests/unit/read_room.h
tests_unit_test_read_run_LDADD = tests/unit/libengineworld.la $(libs_server) $(libs_unit)
tests_unit_test_server_LDADD = $(libs_rig)
tests_unit_test_server_delivery_LDADD = $(libs_rig)
tests_unit_test_session_login_LDADD = $(libs_rig)
tests_unit_test_session_rooms_LDADD = $(libs_rig)
tests_unit_test_staging_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_sub_LDADD = $(libs_rig)

# Options and configuration.
config_tests = \
	tests/unit/test_config \
	tests/unit/test_options
check_PROGRAMS += $(config_tests)
TESTS += $(config_tests)
tests_unit_test_config_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_config_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_options_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_options_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)

# What chatctl shows and asks for.
control_tests = \
	tests/unit/test_control \
	tests/unit/test_engine_status \
	tests/unit/test_upkeep
check_PROGRAMS += $(control_tests)
TESTS += $(control_tests)
threads_tests += tests/unit/test_upkeep
tests_unit_test_control_LDADD = $(libs_server) $(libs_unit)
tests_unit_test_engine_status_LDADD = $(libs_engine)
tests_unit_test_upkeep_LDADD = $(libs_server) $(libs_unit)

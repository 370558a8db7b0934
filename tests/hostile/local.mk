# Peers that break the protocol on purpose, against the real programs.
if HAVE_CMOCKA
check_LTLIBRARIES += tests/hostile/libhostile.la
tests_hostile_libhostile_la_SOURCES = \
	tests/hostile/crowd.c tests/hostile/crowd.h \
	tests/hostile/host.c tests/hostile/host.h \
	tests/hostile/lines.c tests/hostile/lines.h \
	tests/hostile/peer.c tests/hostile/peer.h \
	tests/hostile/stage.c tests/hostile/stage.h
hostile_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(NETTLE_CFLAGS)
tests_hostile_libhostile_la_CPPFLAGS = $(hostile_cppflags)
tests_hostile_libhostile_la_LIBADD = $(LIBCRYPT_LIBS)
$(tests_hostile_libhostile_la_OBJECTS): | $(BUILT_SOURCES)

# The same from the other side: a server that lies, for the real client.
check_LTLIBRARIES += tests/hostile/libvillain.la
tests_hostile_libvillain_la_SOURCES = \
	tests/hostile/program.c tests/hostile/program.h \
	tests/hostile/villain.c tests/hostile/villain.h
tests_hostile_libvillain_la_CPPFLAGS = $(hostile_cppflags)
$(tests_hostile_libvillain_la_OBJECTS): | $(BUILT_SOURCES)
villain_ldflags = -Wl,--wrap=conn_send -Wl,--wrap=session_request

hostile_tests = \
	tests/hostile/hostile_decoy \
	tests/hostile/hostile_fields \
	tests/hostile/hostile_frames \
	tests/hostile/hostile_load \
	tests/hostile/hostile_logins \
	tests/hostile/hostile_rooms \
	tests/hostile/hostile_server \
	tests/hostile/hostile_time
check_PROGRAMS += $(hostile_tests)
TESTS += $(hostile_tests)
threads_tests += $(hostile_tests)
hostile_ldadd = tests/hostile/libhostile.la tests/unit/libroomkit.la src/tls/libtls.la $(libs_group) $(libs_unit)
villain_ldadd = tests/hostile/libvillain.la tests/hostile/libhostile.la tests/unit/libroomkit.la $(libs_server) \
	$(libs_unit)
tests_hostile_hostile_decoy_CPPFLAGS = $(hostile_cppflags) $(GNUTLS_CFLAGS)
tests_hostile_hostile_decoy_LDADD = $(villain_ldadd) $(GNUTLS_LIBS)
tests_hostile_hostile_decoy_LDFLAGS = $(AM_LDFLAGS) $(villain_ldflags)
$(tests_hostile_hostile_decoy_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_fields_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_fields_LDADD = $(hostile_ldadd)
$(tests_hostile_hostile_fields_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_frames_CPPFLAGS = $(hostile_cppflags) $(GNUTLS_CFLAGS)
tests_hostile_hostile_frames_LDADD = $(hostile_ldadd) $(GNUTLS_LIBS)
$(tests_hostile_hostile_frames_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_load_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_load_LDADD = $(hostile_ldadd)
$(tests_hostile_hostile_load_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_logins_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_logins_LDADD = $(hostile_ldadd)
$(tests_hostile_hostile_logins_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_rooms_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_rooms_LDADD = $(hostile_ldadd)
$(tests_hostile_hostile_rooms_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_server_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_server_LDADD = $(villain_ldadd)
tests_hostile_hostile_server_LDFLAGS = $(AM_LDFLAGS) $(villain_ldflags)
$(tests_hostile_hostile_server_OBJECTS): | $(BUILT_SOURCES)
tests_hostile_hostile_time_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_time_LDADD = $(hostile_ldadd)
$(tests_hostile_hostile_time_OBJECTS): | $(BUILT_SOURCES)
endif

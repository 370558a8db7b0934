# Peers that break the protocol on purpose, against the real programs.
if HAVE_CMOCKA
check_LTLIBRARIES += tests/hostile/libhostile.la
tests_hostile_libhostile_la_SOURCES = \
	tests/hostile/crowd.c tests/hostile/crowd.h \
	tests/hostile/host.c tests/hostile/host.h \
	tests/hostile/peer.c tests/hostile/peer.h \
	tests/hostile/stage.c tests/hostile/stage.h
hostile_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(NETTLE_CFLAGS)
tests_hostile_libhostile_la_CPPFLAGS = $(hostile_cppflags)
tests_hostile_libhostile_la_LIBADD = $(LIBCRYPT_LIBS)
$(tests_hostile_libhostile_la_OBJECTS): | $(BUILT_SOURCES)

hostile_tests = \
	tests/hostile/hostile_fields \
	tests/hostile/hostile_frames \
	tests/hostile/hostile_load \
	tests/hostile/hostile_logins \
	tests/hostile/hostile_rooms \
	tests/hostile/hostile_time
check_PROGRAMS += $(hostile_tests)
TESTS += $(hostile_tests)
threads_tests += $(hostile_tests)
hostile_ldadd = tests/hostile/libhostile.la tests/unit/libroomkit.la src/tls/libtls.la $(libs_group) $(libs_unit)
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
tests_hostile_hostile_time_CPPFLAGS = $(hostile_cppflags)
tests_hostile_hostile_time_LDADD = $(hostile_ldadd)
$(tests_hostile_hostile_time_OBJECTS): | $(BUILT_SOURCES)
endif

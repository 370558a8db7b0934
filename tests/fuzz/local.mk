# Fuzz targets: one line for the link, one in the list; see fuzz.h.

fuzz_programs += \
	tests/fuzz/fuzz_card \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_event \
	tests/fuzz/fuzz_filter \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_message \
	tests/fuzz/fuzz_passwd
tests_fuzz_fuzz_card_LDADD = $(libs_group) $(libs_fuzz)
tests_fuzz_fuzz_config_LDADD = $(libs_server) $(libs_fuzz)
tests_fuzz_fuzz_event_LDADD = $(libs_group) $(libs_fuzz)
tests_fuzz_fuzz_filter_LDADD = src/client/libclient.la $(libs_base) $(libs_fuzz)
tests_fuzz_fuzz_message_LDADD = $(libs_group) $(libs_fuzz)
tests_fuzz_fuzz_frame_LDADD = $(libs_proto) $(libs_fuzz)
tests_fuzz_fuzz_passwd_LDADD = $(libs_accounts) $(libs_fuzz)

# Needs a libchat of the unit tests.
if HAVE_CMOCKA
fuzz_programs += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) -I$(srcdir)/tests/unit
tests_fuzz_fuzz_json_LDADD = src/client/libclient.la tests/unit/libfakechat.la $(libs_base) $(libs_unit) $(libs_fuzz)
endif

if WITH_FUZZER
libs_fuzz = $(FUZZER_LDFLAGS)
EXTRA_PROGRAMS += $(fuzz_programs)
else
libs_fuzz = tests/fuzz/libfuzz.la
check_LTLIBRARIES += tests/fuzz/libfuzz.la
tests_fuzz_libfuzz_la_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz.h
check_PROGRAMS += $(fuzz_programs)
TESTS += $(fuzz_programs)
endif
EXTRA_DIST += tests/fuzz/fuzz.h \
	$(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/tests/fuzz/corpus/*/* $(srcdir)/tests/fuzz/crashes/*/*))

# Unit tests of src/group: as in base.mk.  They read published cases of our own formats (group_vectors.h).
check_LTLIBRARIES += tests/unit/libgroupvectors.la
tests_unit_libgroupvectors_la_SOURCES = tests/unit/group_vectors.c tests/unit/group_vectors.h
tests_unit_libgroupvectors_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_libgroupvectors_la_LIBADD = $(NETTLE_LIBS)

group_tests = \
	tests/unit/test_bag \
	tests/unit/test_card \
	tests/unit/test_content \
	tests/unit/test_epoch \
	tests/unit/test_identity \
	tests/unit/test_loghash \
	tests/unit/test_padding \
	tests/unit/test_recovery \
	tests/unit/test_seal
check_PROGRAMS += $(group_tests)
TESTS += $(group_tests)
group_ldadd = tests/unit/libgroupvectors.la tests/unit/libvectors.la $(libs_group) $(libs_unit)
tests_unit_test_bag_LDADD = $(group_ldadd)
tests_unit_test_bag_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_card_LDADD = $(group_ldadd)
tests_unit_test_card_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_content_LDADD = $(group_ldadd)
tests_unit_test_epoch_LDADD = $(group_ldadd)
tests_unit_test_epoch_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_identity_LDADD = $(group_ldadd)
tests_unit_test_loghash_LDADD = $(group_ldadd)
tests_unit_test_padding_LDADD = $(group_ldadd)
tests_unit_test_recovery_LDADD = $(group_ldadd)
tests_unit_test_seal_LDADD = $(group_ldadd)
tests_unit_test_seal_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)

# Events and the roster, with people and rooms for them (room_kit.h).
check_LTLIBRARIES += tests/unit/libroomkit.la
tests_unit_libroomkit_la_SOURCES = tests/unit/room_kit.c tests/unit/room_kit.h
tests_unit_libroomkit_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)

room_tests = \
	tests/unit/test_event \
	tests/unit/test_newcomer \
	tests/unit/test_roster_epochs \
	tests/unit/test_roster_judge \
	tests/unit/test_roster_lives \
	tests/unit/test_roster_log \
	tests/unit/test_roster_undo \
	tests/unit/test_roster_walk
check_PROGRAMS += $(room_tests)
TESTS += $(room_tests)
room_ldadd = tests/unit/libroomkit.la tests/unit/libvectors.la $(libs_group) $(libs_unit)
tests_unit_test_event_LDADD = $(room_ldadd)
tests_unit_test_newcomer_LDADD = $(room_ldadd)
tests_unit_test_roster_epochs_LDADD = $(room_ldadd)
tests_unit_test_roster_judge_LDADD = $(room_ldadd)
tests_unit_test_roster_lives_LDADD = $(room_ldadd)
tests_unit_test_roster_log_LDADD = $(room_ldadd)
tests_unit_test_roster_log_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_roster_undo_LDADD = $(room_ldadd)
tests_unit_test_roster_undo_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_roster_walk_LDADD = $(room_ldadd)

# chat-protocol(7) and its worked examples.
check_PROGRAMS += tests/unit/test_examples
TESTS += tests/unit/test_examples
tests_unit_test_examples_SOURCES = tests/unit/test_examples.c tests/unit/examples.c tests/unit/examples.h \
	tests/unit/examples_page.c tests/unit/examples_room.c tests/unit/limits_table.c tests/unit/limits_table.h
tests_unit_test_examples_LDADD = tests/unit/libgroupvectors.la tests/unit/libvectors.la $(libs_group) $(libs_unit)
EXTRA_DIST += tests/fixtures/rsa-alice.der tests/fixtures/rsa-bob.der tests/vectors/examples.json

update-examples: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) tests/unit/test_examples
	tests/unit/test_examples --update

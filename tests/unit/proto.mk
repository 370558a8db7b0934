# Unit tests of src/proto: as in base.mk.
proto_tests = \
	tests/unit/test_answers \
	tests/unit/test_frame \
	tests/unit/test_requests \
	tests/unit/test_wire
check_PROGRAMS += $(proto_tests)
TESTS += $(proto_tests)
# What the tests of both tables share.
tests_unit_test_answers_SOURCES = tests/unit/test_answers.c tests/unit/edges.c tests/unit/edges.h
tests_unit_test_answers_LDADD = $(libs_proto) $(libs_unit)
tests_unit_test_frame_LDADD = $(libs_proto) $(libs_unit)
tests_unit_test_frame_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_requests_SOURCES = tests/unit/test_requests.c tests/unit/edges.c tests/unit/edges.h
tests_unit_test_requests_LDADD = $(libs_proto) $(libs_unit)
tests_unit_test_wire_LDADD = $(libs_proto) $(libs_unit)

# The test drivers and what all tests share.  One list, TESTS: programs, Python (.py) and shell (.sh), all TAP.

TEST_EXTENSIONS = .py .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
PY_LOG_DRIVER = $(TAP_DRIVER)
PY_LOG_COMPILER = $(PYTHON)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(SHELL)

# The place of the trees, and what the scripts need of this configuration.
AM_TESTS_ENVIRONMENT = \
	abs_top_srcdir='$(abs_top_srcdir)'; export abs_top_srcdir; \
	abs_top_builddir='$(abs_top_builddir)'; export abs_top_builddir; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE; \
	LC_ALL=C.UTF-8; export LC_ALL; \
	CHAT_SANITIZER='$(with_sanitizer)'; export CHAT_SANITIZER; \
	MANDOC='$(MANDOC)'; export MANDOC; \
	CHECK_CC='$(CC)'; export CHECK_CC; \
	CHECK_CPPFLAGS='$(header_cppflags) $(CPPFLAGS)'; export CHECK_CPPFLAGS; \
	UBSAN_OPTIONS="print_stacktrace=1:$$UBSAN_OPTIONS"; export UBSAN_OPTIONS;
header_cppflags = $(LIBBSD_CFLAGS) $(NETTLE_CFLAGS) $(GNUTLS_CFLAGS) $(PROTOBUF_C_CFLAGS) $(SQLITE_CFLAGS)

# Of the source, which is the same in a build with sanitizers.
tree_tests = tests/check-layers.sh tests/check-headers.sh tests/check-man.sh
if !WITH_SANITIZER
TESTS += $(tree_tests)
endif
EXTRA_DIST += $(tree_tests)
TESTS += tests/check-symbols.sh
EXTRA_DIST += tests/check-symbols.sh

if HAVE_CMOCKA
libs_unit = tests/unit/libunit.la $(libs_base) $(CMOCKA_LIBS)
check_LTLIBRARIES += tests/unit/libunit.la
tests_unit_libunit_la_SOURCES = tests/unit/failalloc.c tests/unit/failalloc.h tests/unit/unit.c tests/unit/unit.h
tests_unit_libunit_la_CPPFLAGS = $(AM_CPPFLAGS) -DUNIT_SRCDIR='"$(abs_top_srcdir)"'
# Put into the LDFLAGS of a test that makes allocations fail (tests/unit/failalloc.h).
failalloc_ldflags = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=reallocarray \
	-Wl,--wrap=strdup -Wl,--wrap=strndup

include tests/unit/base.mk
include tests/unit/crypto.mk
include tests/unit/proto.mk
include tests/unit/group.mk
include tests/unit/tls.mk
include tests/unit/net.mk
include tests/unit/accounts.mk
include tests/unit/store.mk
include tests/unit/server.mk
include tests/unit/libchat.mk
include tests/unit/client.mk
include tests/unit/tools.mk
endif

include tests/e2e/local.mk
include tests/hostile/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
include tests/examples/local.mk

# Parts of the check, and the same under other tools ----------------------------------------------------------------

.PHONY: check-headers check-layers check-man check-unit check-threads memcheck tsan-check bench fuzz coverage format

# $(call run_tests,LIST): builds what of LIST is a program, and runs LIST.
run_tests = $(MAKE) $(AM_MAKEFLAGS) $(sort $(BUILT_SOURCES) $(filter $(check_PROGRAMS),$(1))) && \
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(strip $(1))'
unit_tests = $(filter tests/unit/%,$(check_PROGRAMS))

check-layers check-headers check-man:
	+$(call run_tests,tests/$@.sh)

check-unit:
	+$(call run_tests,$(unit_tests))

# What has threads: for a build with the thread sanitizer.
check-threads: all
	+$(call run_tests,$(threads_tests))

# The unit tests under valgrind; the programs here may be libtool's wrapper scripts.
memcheck:
	@test -n '$(VALGRIND)' || { echo 'memcheck needs valgrind (Debian package: valgrind)' >&2; exit 2; }
	$(MAKE) $(AM_MAKEFLAGS) $(unit_tests)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(unit_tests)' \
		LOG_COMPILER='$(SHELL) $(top_builddir)/libtool --mode=execute $(VALGRIND)' \
		AM_LOG_FLAGS='-q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'

# A second build in this one, with the thread sanitizer.
tsan-check:
	$(MKDIR_P) tsan
	cd tsan && { test -f Makefile || $(abs_top_srcdir)/configure -q --enable-werror --with-sanitizer=thread \
		CC='$(CC)' CFLAGS='-g -O1'; }
	cd tsan && $(MAKE) $(AM_MAKEFLAGS) check-threads

bench: all
	$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)
	@for b in $(bench_programs); do echo "== $$b"; ./$$b || exit 1; done

# FUZZ_SECONDS for each target; needs CC=clang and --with-fuzzer.  New inputs stay in fuzz-corpus/ of the build tree.
FUZZ_SECONDS = 60
fuzz: $(BUILT_SOURCES)
if WITH_FUZZER
	$(MAKE) $(AM_MAKEFLAGS) $(fuzz_programs)
	@for f in $(fuzz_programs); do \
		n=$${f##*/fuzz_}; echo "== $$n"; mkdir -p fuzz-corpus/$$n; seeds=; \
		for d in corpus crashes; do \
			test -d $(srcdir)/tests/fuzz/$$d/$$n && seeds="$$seeds $(srcdir)/tests/fuzz/$$d/$$n"; \
		done; \
		./$$f -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=fuzz-corpus/$$n- fuzz-corpus/$$n $$seeds || exit 1; \
	done
else
	@echo "configure with --with-fuzzer CC=clang; here the targets only replay their corpus (make check)" >&2; exit 2
endif

# After `configure --enable-coverage': lines executed, per file.
coverage: check
	@test -n '$(COVERAGE_LDFLAGS)' || { echo 'configure with --enable-coverage' >&2; exit 2; }
	@for d in $(srcdir)/src/*/; do \
		l=$$(basename $$d); o=$$(find src/$$l -name '*.gcno' | tr '\n' ' '); test -n "$$o" || continue; \
		$(GCOV) -n -s $(srcdir) -r $$o; \
	done | $(AWK) -f $(srcdir)/tests/coverage.awk
EXTRA_DIST += tests/coverage.awk

format:
	@test -n '$(CLANG_FORMAT)' || { echo 'format needs clang-format' >&2; exit 2; }
	cd $(srcdir) && find src include tests -name '*.[ch]' -exec $(CLANG_FORMAT) -i {} +

clean-local:
	-rm -rf tsan fuzz-corpus
	-find . -name '*.gcda' -exec rm -f {} +

# Objects that include the generated header wait for it, also when only one target is asked for by name.
proto_users = $(src_proto_libproto_la_OBJECTS) $(src_group_libgroup_la_OBJECTS) $(src_store_libstore_la_OBJECTS) \
	$(src_server_libserver_la_OBJECTS) $(src_server_chat_server_OBJECTS) $(src_libchat_libchat_core_la_OBJECTS) \
	$(src_libchat_libchat_client_la_OBJECTS) \
	$(src_client_chat_client_OBJECTS) $(src_tools_chatctl_OBJECTS) \
	$(patsubst %$(EXEEXT),%.$(OBJEXT),$(check_PROGRAMS) $(bench_programs) $(fuzz_programs))
$(proto_users): | $(BUILT_SOURCES)

# The documents that come from the table of options.
TESTS += tests/check-options.sh
EXTRA_DIST += tests/check-options.sh
tests/check-options.log: src/server/options-doc
.PHONY: update-options check-options update-examples
update-options: src/server/options-doc
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' \
		$(SHELL) $(srcdir)/tests/check-options.sh --update
check-options: src/server/options-doc
	+$(call run_tests,tests/check-options.sh)

noinst_LTLIBRARIES += src/base/libbase.la
src_base_libbase_la_SOURCES = \
	include/chat/err.h \
	src/base/arena.c src/base/arena.h \
	src/base/account_name.c src/base/account_name.h \
	src/base/buf.c src/base/buf.h \
	src/base/bytes.c src/base/bytes.h \
	src/base/clock.c src/base/clock.h \
	src/base/compiler.h \
	src/base/container.h \
	src/base/digest.c src/base/digest.h \
	src/base/err.c \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/random.c src/base/random.h \
	src/base/state_dir.c src/base/state_dir.h \
	src/base/utf8.c src/base/utf8.h
src_base_libbase_la_LIBADD = $(LIBBSD_LIBS)

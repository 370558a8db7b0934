# The client library: src/libchat/libchat-core.la (for tests) and the installed src/libchat/libchat.la made of it.
#
# Everything is compiled with -fvisibility=hidden; public headers switch to default with `#pragma GCC visibility'.

# The sans-I/O core.
noinst_LTLIBRARIES += src/libchat/libchat-core.la
src_libchat_libchat_core_la_SOURCES = \
	src/libchat/event.c src/libchat/event.h \
	src/libchat/keyring.c src/libchat/keyring.h \
	src/libchat/session.h \
	src/libchat/storage.h \
	src/libchat/work.c src/libchat/work.h
src_libchat_libchat_core_la_LIBADD = $(LIBBSD_LIBS)

# lib_LTLIBRARIES += src/libchat/libchat.la
# src_libchat_libchat_la_SOURCES =
# src_libchat_libchat_la_LIBADD = $(libs_libchat)
# src_libchat_libchat_la_LDFLAGS = $(SHLIB_LDFLAGS) -version-info 0:0:0 -no-undefined \
#	-Wl,--version-script=$(srcdir)/src/libchat/libchat.map

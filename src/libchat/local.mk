# The client library: src/libchat/libchat-core.la (for tests) and the installed src/libchat/libchat.la made of it.
#
# Everything is compiled with -fvisibility=hidden; public headers switch to default with `#pragma GCC visibility'.

# The sans-I/O core.
noinst_LTLIBRARIES += src/libchat/libchat-core.la
src_libchat_libchat_core_la_SOURCES = \
	src/libchat/batch.c \
	src/libchat/call.c \
	src/libchat/event.c src/libchat/event.h \
	src/libchat/fetch.c \
	src/libchat/join.c \
	src/libchat/keyring.c src/libchat/keyring.h \
	src/libchat/keys.c \
	src/libchat/label.c \
	src/libchat/login.c \
	src/libchat/op.c src/libchat/op.h \
	src/libchat/op_account.c \
	src/libchat/op_create.c \
	src/libchat/op_invite.c \
	src/libchat/op_room.c \
	src/libchat/outbox.c src/libchat/outbox.h \
	src/libchat/rekey.c \
	src/libchat/rewrap.c \
	src/libchat/room.c src/libchat/room.h \
	src/libchat/room_log.c \
	src/libchat/sender.c \
	src/libchat/session.c src/libchat/session.h \
	src/libchat/session_impl.h \
	src/libchat/show.c \
	src/libchat/snapshot.c \
	src/libchat/storage.h \
	src/libchat/sync.c \
	src/libchat/work.c src/libchat/work.h
src_libchat_libchat_core_la_LIBADD = $(LIBBSD_LIBS)

# The client around it: files, sockets, threads.
noinst_LTLIBRARIES += src/libchat/libchat-client.la
src_libchat_libchat_client_la_SOURCES = \
	src/libchat/backoff.c src/libchat/backoff.h \
	src/libchat/chat_api.c include/chat/chat.h \
	src/libchat/chat_identity.c \
	src/libchat/client.c src/libchat/client.h \
	src/libchat/client_line.c \
	src/libchat/client_loop.c \
	src/libchat/config.c src/libchat/config.h \
	src/libchat/connect.c src/libchat/connect.h \
	src/libchat/datadir.c src/libchat/datadir.h \
	src/libchat/event_box.c src/libchat/event_box.h \
	src/libchat/identity_file.c src/libchat/identity_file.h \
	src/libchat/request.c src/libchat/request.h \
	src/libchat/resolve.c src/libchat/resolve.h \
	src/libchat/server_name.c src/libchat/server_name.h \
	src/libchat/storage_db.c src/libchat/storage_db.h \
	src/libchat/storage_ops.h \
	src/libchat/storage_schema.c src/libchat/storage_schema.h \
	src/libchat/storage_slot.c src/libchat/storage_slot.h \
	src/libchat/storage_sqlite.c src/libchat/storage_sqlite.h \
	src/libchat/storage_sqlite_outbox.c \
	src/libchat/storage_sqlite_room.c \
	src/libchat/text.c src/libchat/text.h \
	src/libchat/thread.c src/libchat/thread.h \
	src/libchat/view.c src/libchat/view.h \
	src/libchat/worker.c src/libchat/worker.h
src_libchat_libchat_client_la_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(LIBCRYPT_CFLAGS)
src_libchat_libchat_client_la_LIBADD = $(SQLITE_LIBS) $(LIBCRYPT_LIBS) $(LIBBSD_LIBS)

# What is installed: the two above and what they need, in one shared library.
lib_LTLIBRARIES += src/libchat/libchat.la
src_libchat_libchat_la_SOURCES =
src_libchat_libchat_la_LIBADD = $(libs_libchat)
src_libchat_libchat_la_LDFLAGS = $(SHLIB_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(srcdir)/src/libchat/libchat.map
src_libchat_libchat_la_DEPENDENCIES = $(libs_libchat) src/libchat/libchat.map
EXTRA_DIST += src/libchat/libchat.map
chatincludedir = $(includedir)/chat
chatinclude_HEADERS = include/chat/chat.h include/chat/err.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = src/libchat/libchat.pc

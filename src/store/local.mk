# Durable state: store.h, and behind it the store in SQLite.
noinst_LTLIBRARIES += src/store/libstore.la
src_store_libstore_la_SOURCES = \
	src/store/sqlite_accounts.c \
	src/store/sqlite_backup.c src/store/sqlite_backup.h \
	src/store/sqlite_check.c \
	src/store/sqlite_checkpoint.c src/store/sqlite_checkpoint.h \
	src/store/sqlite_conn.c src/store/sqlite_conn.h \
	src/store/sqlite_lookup.c src/store/sqlite_lookup.h \
	src/store/sqlite_open.c src/store/sqlite_open.h \
	src/store/sqlite_read.c src/store/sqlite_read.h \
	src/store/sqlite_rooms.c src/store/sqlite_rooms.h \
	src/store/sqlite_schema.c src/store/sqlite_schema.h \
	src/store/sqlite_sql.c src/store/sqlite_sql.h \
	src/store/sqlite_strip.c \
	src/store/sqlite_write.c src/store/sqlite_write.h \
	src/store/store.c src/store/store.h \
	src/store/store_batch.c \
	src/store/store_ops.h \
	src/store/store_sqlite.c src/store/store_sqlite.h
src_store_libstore_la_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(NETTLE_CFLAGS)
src_store_libstore_la_LIBADD = $(SQLITE_LIBS) $(LIBBSD_LIBS)

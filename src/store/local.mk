# Durable state: src/store/libstore.la, with $(SQLITE_CFLAGS) and $(SQLITE_LIBS).

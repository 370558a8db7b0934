# The password file: src/accounts/libaccounts.la, with $(LIBCRYPT_CFLAGS) and $(LIBCRYPT_LIBS).

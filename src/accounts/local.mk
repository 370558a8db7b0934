# The password file.
noinst_LTLIBRARIES += src/accounts/libaccounts.la
src_accounts_libaccounts_la_SOURCES = \
	src/accounts/passwd_edit.c src/accounts/passwd_edit.h \
	src/accounts/passwd_file.c src/accounts/passwd_file.h \
	src/accounts/passwd_hash.c src/accounts/passwd_hash.h \
	src/accounts/passwd_impl.h \
	src/accounts/passwd_read.c \
	src/accounts/passwd_watch.c \
	src/accounts/passwd_why.c src/accounts/passwd_why.h
src_accounts_libaccounts_la_CFLAGS = $(AM_CFLAGS) $(LIBCRYPT_CFLAGS)
src_accounts_libaccounts_la_LIBADD = $(LIBCRYPT_LIBS) $(LIBBSD_LIBS)

# Primitives of suite 1, over nettle and hogweed.
#
# noinst_LTLIBRARIES += src/crypto/libprimitives.la
# src_crypto_libprimitives_la_SOURCES = src/crypto/aead.c src/crypto/aead.h ...
# src_crypto_libprimitives_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
# src_crypto_libprimitives_la_LIBADD = $(NETTLE_LIBS) $(GMP_LIBS)

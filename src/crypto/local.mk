# Primitives of suite 1, over nettle and hogweed.
noinst_LTLIBRARIES += src/crypto/libprimitives.la
src_crypto_libprimitives_la_SOURCES = \
	src/crypto/aead.c src/crypto/aead.h \
	src/crypto/ed25519.c src/crypto/ed25519.h \
	src/crypto/eme_oaep.c src/crypto/eme_oaep.h \
	src/crypto/hash.c src/crypto/hash.h \
	src/crypto/hkdf.c src/crypto/hkdf.h \
	src/crypto/rsa_key.c src/crypto/rsa_key.h \
	src/crypto/rsa_oaep.c src/crypto/rsa_oaep.h
src_crypto_libprimitives_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
src_crypto_libprimitives_la_LIBADD = $(NETTLE_LIBS) $(GMP_LIBS) $(LIBBSD_LIBS)

# TLS over GnuTLS, and what a client knows of servers.
noinst_LTLIBRARIES += src/tls/libtls.la
src_tls_libtls_la_SOURCES = \
	src/tls/tls.c src/tls/tls.h \
	src/tls/tls_file.c \
	src/tls/tls_identity.c src/tls/tls_identity.h \
	src/tls/tls_internal.h \
	src/tls/tls_pins.c src/tls/tls_pins.h \
	src/tls/tls_transport.c
src_tls_libtls_la_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
src_tls_libtls_la_LIBADD = $(GNUTLS_LIBS)

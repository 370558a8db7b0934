# TLS over GnuTLS: src/tls/libtls.la, with $(GNUTLS_CFLAGS) and $(GNUTLS_LIBS).

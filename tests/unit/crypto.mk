# Unit tests of src/crypto: as in base.mk.  They read their cases from files, through libvectors (vectors.h), which
# other layers may use too: LDADD = tests/unit/libvectors.la $(libs_X) $(libs_unit).
check_LTLIBRARIES += tests/unit/libvectors.la
tests_unit_libvectors_la_SOURCES = tests/unit/vectors.c tests/unit/vectors.h
tests_unit_libvectors_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_libvectors_la_LIBADD = $(JANSSON_LIBS)

crypto_tests = \
	tests/unit/test_aead \
	tests/unit/test_ed25519 \
	tests/unit/test_hash \
	tests/unit/test_hkdf \
	tests/unit/test_rsa_key \
	tests/unit/test_rsa_oaep
check_PROGRAMS += $(crypto_tests)
TESTS += $(crypto_tests)
crypto_ldadd = tests/unit/libvectors.la $(libs_crypto) $(libs_unit)
tests_unit_test_aead_LDADD = $(crypto_ldadd)
tests_unit_test_ed25519_LDADD = $(crypto_ldadd)
tests_unit_test_hash_LDADD = $(crypto_ldadd)
tests_unit_test_hkdf_LDADD = $(crypto_ldadd)
tests_unit_test_rsa_key_LDADD = $(crypto_ldadd)
tests_unit_test_rsa_key_LDFLAGS = $(AM_LDFLAGS) $(failalloc_ldflags)
tests_unit_test_rsa_oaep_LDADD = $(crypto_ldadd)

EXTRA_DIST += \
	tests/vectors/README \
	tests/vectors/aes_gcm.json \
	tests/vectors/ed25519.json \
	tests/vectors/hkdf_sha256.json \
	tests/vectors/rsa_oaep.json \
	tests/vectors/rsa_pkcs8.json \
	tests/vectors/sha256.json

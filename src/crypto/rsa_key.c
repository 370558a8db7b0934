/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/rsa_key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/asn1.h>
#include <nettle/bignum.h>

/* DER tags (X.690, 8) */
#define TAG_INTEGER  0x02
#define TAG_OCTETS   0x04
#define TAG_SEQUENCE 0x30

/* INTEGER 0: the version of PKCS#8 and of RSAPrivateKey with two primes */
static const uint8_t version_0[] = {TAG_INTEGER, 1, 0};

/* AlgorithmIdentifier: SEQUENCE { OID 1.2.840.113549.1.1.1 (rsaEncryption), NULL } (RFC 8017, A.1) */
static const uint8_t rsa_encryption[] = {
    TAG_SEQUENCE, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

void
rsa_mpz_wipe(mpz_t x)
{
	/* The limbs above the number's size may hold an earlier value; only the struct tells how many there
	 * are. */
	size_t bytes = (size_t)x->_mp_alloc * sizeof(mp_limb_t);

	if (bytes > 0)
		explicit_bzero(x->_mp_d, bytes);
	mpz_clear(x);
}

void
rsa_random_fill(void *ctx, size_t len, uint8_t *ret)
{
	const struct random_source *random = ctx;

	random->fill(random->ctx, ret, len);
}

static enum chat_err
key_new(struct rsa_key **ret_key)
{
	struct rsa_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return CHAT_ERR_NOMEM;
	rsa_public_key_init(&key->pub);
	rsa_private_key_init(&key->priv);
	*ret_key = key;
	return CHAT_OK;
}

void
rsa_key_free(struct rsa_key *key)
{
	if (key == NULL)
		return;
	rsa_public_key_clear(&key->pub);
	rsa_mpz_wipe(key->priv.d);
	rsa_mpz_wipe(key->priv.p);
	rsa_mpz_wipe(key->priv.q);
	rsa_mpz_wipe(key->priv.a);
	rsa_mpz_wipe(key->priv.b);
	rsa_mpz_wipe(key->priv.c);
	freezero(key, sizeof(*key));
}

enum chat_err
rsa_key_generate(const struct random_source *random, struct rsa_key **ret_key)
{
	struct random_source source = *random;
	struct rsa_key *key = NULL;
	enum chat_err err;
	int made;

	err = key_new(&key);
	if (err != CHAT_OK)
		return err;
	mpz_set_ui(key->pub.e, RSA_E);
	/* Fails only for sizes that make no sense.  nettle sets the two top bits of both primes, so n is
	 * full. */
	made = rsa_generate_keypair(
	    &key->pub, &key->priv, &source, rsa_random_fill, NULL, NULL, RSA_KEY_BITS, 0);
	assert(made == 1);
	assert(mpz_sizeinbase(key->pub.n, 2) == RSA_KEY_BITS);
	*ret_key = key;
	return CHAT_OK;
}

/* x * y = 1 mod (m - less) */
static bool
is_inverse(const mpz_t x, const mpz_t y, const mpz_t m, unsigned long less)
{
	mpz_t product, modulus;
	bool is;

	mpz_init(product);
	mpz_init(modulus);
	mpz_mul(product, x, y);
	mpz_sub_ui(modulus, m, less);
	mpz_fdiv_r(product, product, modulus);
	is = mpz_cmp_ui(product, 1) == 0;
	rsa_mpz_wipe(product);
	rsa_mpz_wipe(modulus);
	return is;
}

/* part = d mod (prime - 1) */
static bool
is_crt_exponent(const mpz_t part, const mpz_t d, const mpz_t prime)
{
	mpz_t modulus;
	bool is;

	mpz_init(modulus);
	mpz_sub_ui(modulus, prime, 1);
	mpz_fdiv_r(modulus, d, modulus);
	is = mpz_cmp(part, modulus) == 0;
	rsa_mpz_wipe(modulus);
	return is;
}

/*
 * Whether the parts make one key.  All of them are positive already.  That p and q are prime is not tested:
 * it takes longer than all the rest, and a key where they are not opens nothing, for rsa_compute_root_tr()
 * checks its result. The time of this depends on the key; it runs once, when its owner loads it.
 */
static bool
parts_fit(const struct rsa_key *key)
{
	const struct rsa_public_key *pub = &key->pub;
	const struct rsa_private_key *priv = &key->priv;
	size_t bits = mpz_sizeinbase(pub->n, 2);
	mpz_t product;
	bool is_product;

	if (bits != RSA_KEY_BITS && bits != RSA_KEY_BITS_MIN)
		return false;
	if (mpz_cmp_ui(pub->e, RSA_E) != 0)
		return false;
	/* Two odd primes of half the size each: nettle's arithmetic is made for them. */
	if (mpz_sizeinbase(priv->p, 2) != bits / 2 || mpz_sizeinbase(priv->q, 2) != bits / 2)
		return false;
	if (mpz_even_p(priv->p) || mpz_even_p(priv->q))
		return false;

	mpz_init(product);
	mpz_mul(product, priv->p, priv->q);
	is_product = mpz_cmp(product, pub->n) == 0;
	rsa_mpz_wipe(product);

	return is_product && mpz_cmp(priv->d, pub->n) < 0 && mpz_cmp(priv->c, priv->p) < 0 &&
	       is_crt_exponent(priv->a, priv->d, priv->p) && is_crt_exponent(priv->b, priv->d, priv->q) &&
	       is_inverse(pub->e, priv->a, priv->p, 1) && is_inverse(pub->e, priv->b, priv->q, 1) &&
	       is_inverse(priv->c, priv->q, priv->p, 0);
}

/* The RSAPrivateKey inside PrivateKeyInfo (RFC 5208, 5), borrowed from der; false if that is not its outer
 * form. */
static bool
find_private_key(struct bytes der, struct bytes *ret_inner)
{
	struct asn1_der_iterator i;

	if (asn1_der_iterator_first(&i, der.len, der.data) != ASN1_ITERATOR_CONSTRUCTED ||
	    i.type != ASN1_SEQUENCE)
		return false;
	/* version; its value, like every length and the algorithm, is compared by rsa_key_from_pkcs8 */
	if (asn1_der_decode_constructed_last(&i) != ASN1_ITERATOR_PRIMITIVE || i.type != ASN1_INTEGER)
		return false;
	if (asn1_der_iterator_next(&i) != ASN1_ITERATOR_CONSTRUCTED || i.type != ASN1_SEQUENCE)
		return false;
	if (asn1_der_iterator_next(&i) != ASN1_ITERATOR_PRIMITIVE || i.type != ASN1_OCTETSTRING)
		return false;
	*ret_inner = BYTES(i.data, i.length);
	return true;
}

enum chat_err
rsa_key_from_pkcs8(struct bytes der, struct rsa_key **ret_key)
{
	struct rsa_key *key = NULL;
	struct buf again = {0};
	struct bytes inner;
	enum chat_err err;

	if (!find_private_key(der, &inner))
		return CHAT_ERR_MALFORMED;
	err = key_new(&key);
	if (err != CHAT_OK)
		return err;
	err = CHAT_ERR_MALFORMED;
	if (!rsa_keypair_from_der(&key->pub, &key->priv, RSA_KEY_BITS, inner.len, inner.data) ||
	    !parts_fit(key))
		goto out;

	/* DER has one form for one key, so the strictest parser is to write it again: this refuses other
	 * algorithms and versions, attributes, more primes, lengths that are not minimal, and anything behind
	 * the end. */
	err = rsa_key_to_pkcs8(key, &again);
	if (err != CHAT_OK)
		goto out;
	if (!bytes_equal(buf_bytes(&again), der)) {
		err = CHAT_ERR_MALFORMED;
		goto out;
	}
	*ret_key = key;
	key = NULL;
out:
	buf_fini_secret(&again);
	rsa_key_free(key);
	return err;
}

/* Bytes of tag and length in front of len bytes. */
static size_t
der_header_bytes(size_t len)
{
	return len < 0x80 ? 2 : len < 0x100 ? 3 : 4;
}

static uint8_t *
der_put_header(uint8_t *p, uint8_t tag, size_t len)
{
	assert(len <= UINT16_MAX);
	*p++ = tag;
	if (len >= 0x100) {
		*p++ = 0x82;
		*p++ = (uint8_t)(len >> 8);
	} else if (len >= 0x80) {
		*p++ = 0x81;
	}
	*p++ = (uint8_t)len;
	return p;
}

static uint8_t *
der_put(uint8_t *p, const void *from, size_t len)
{
	memcpy(p, from, len);
	return p + len;
}

enum chat_err
rsa_key_to_pkcs8(const struct rsa_key *key, struct buf *ret_der)
{
	/* RFC 8017, A.1.2 */
	const mpz_srcptr parts[] = {key->pub.n, key->pub.e, key->priv.d, key->priv.p, key->priv.q,
	    key->priv.a, key->priv.b, key->priv.c};
	size_t numbers, inner, outer, total, len;
	enum chat_err err;
	uint8_t *p;

	numbers = sizeof(version_0);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		len = nettle_mpz_sizeinbase_256_s(parts[i]);
		numbers += der_header_bytes(len) + len;
	}
	inner = der_header_bytes(numbers) + numbers;
	outer = sizeof(version_0) + sizeof(rsa_encryption) + der_header_bytes(inner) + inner;
	total = der_header_bytes(outer) + outer;

	/* At once, so that the buffer does not grow and leave copies of the secret behind. */
	err = buf_reserve(ret_der, total);
	if (err != CHAT_OK)
		return err;
	p = ret_der->data + ret_der->len;
	p = der_put_header(p, TAG_SEQUENCE, outer);
	p = der_put(p, version_0, sizeof(version_0));
	p = der_put(p, rsa_encryption, sizeof(rsa_encryption));
	p = der_put_header(p, TAG_OCTETS, inner);
	p = der_put_header(p, TAG_SEQUENCE, numbers);
	p = der_put(p, version_0, sizeof(version_0));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		len = nettle_mpz_sizeinbase_256_s(parts[i]);
		p = der_put_header(p, TAG_INTEGER, len);
		nettle_mpz_get_str_256(len, p, parts[i]);
		p += len;
	}
	assert(p == ret_der->data + ret_der->len + total);
	ret_der->len += total;
	return CHAT_OK;
}

size_t
rsa_key_bytes(const struct rsa_key *key)
{
	return key->pub.size;
}

void
rsa_key_modulus(const struct rsa_key *key, uint8_t *ret_n)
{
	nettle_mpz_get_str_256(key->pub.size, ret_n, key->pub.n);
}

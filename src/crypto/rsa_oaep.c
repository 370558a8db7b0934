/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/rsa_oaep.h"

#include <assert.h>
#include <string.h>

#include <nettle/bignum.h>

#include "crypto/eme_oaep.h"
#include "crypto/rsa_key.h"

_Static_assert(GMP_NAIL_BITS == 0, "limbs are whole words");

/*
 * nettle has RSA-OAEP of its own from 3.10 on.  Up to 4.0 it takes a padding for right whose bytes before the
 * 01 are anything but 01, where RFC 8017, 7.1.2, step 3g wants zeros.  Two members must not differ in whether
 * a wrap opens, so the padding is ours everywhere (eme_oaep.h), and nettle does the arithmetic.
 */

/* The two halves of RSAES-OAEP, on arguments that are checked already. */

static void
seal_raw(const struct rsa_public_key *pub, struct bytes label, struct bytes plain,
    const uint8_t seed[static OAEP_SEED_BYTES], uint8_t *ret_c)
{
	uint8_t em[RSA_BYTES];
	mpz_t m;

	eme_oaep_encode(label, plain, seed, em, pub->size);
	/*
	 * em begins with 00 and n with a set bit: m < n.  mpz_powm_sec() would cost five times as much (167
	 * against 35 us; a room has up to 2,000 readers) and hide nothing worth hiding: em is masked with a
	 * fresh seed.
	 */
	nettle_mpz_init_set_str_256_u(m, pub->size, em);
	mpz_powm(m, m, pub->e, pub->n);
	nettle_mpz_get_str_256(pub->size, ret_c, m);
	rsa_mpz_wipe(m);
	explicit_bzero(em, sizeof(em));
}

/*
 * Writes the number's len bytes, big-endian, without a step that depends on how many of them are zero.  The
 * number has memory for len bytes.  (That GMP has normalised its size already shows at most whether the top
 * limb is zero, with chance 2^-56 for a right padding and 2^-64 for any other: too rare to ask about, unlike
 * the first byte, RFC 8017, 7.1.2, note.)
 */
static void
put_fixed(const mpz_t x, uint8_t *ret, size_t len)
{
	const mp_limb_t *limbs = mpz_limbs_read(x);
	size_t size = mpz_size(x);

	for (size_t i = 0; i < len; i++) {
		size_t at = i / sizeof(mp_limb_t);
		/* size and at are far below half the range, so the top bit is the borrow: at < size */
		mp_limb_t have = (mp_limb_t)0 - (((mp_limb_t)at - (mp_limb_t)size) >> (GMP_LIMB_BITS - 1));

		ret[len - 1 - i] = (uint8_t)((limbs[at] & have) >> (8 * (i % sizeof(mp_limb_t))));
	}
}

static bool
open_raw(const struct rsa_key *key, struct bytes label, const uint8_t *c, struct random_source *random,
    uint8_t *ret_plain, size_t cap, size_t *ret_len)
{
	size_t limb_count = mpz_size(key->pub.n);
	uint8_t em[RSA_BYTES];
	bool rooted, decoded;
	mpz_t m, x;

	/* x starts as a zero with all its memory: what put_fixed needs, also where the root fails. */
	mpz_init2(x, limb_count * GMP_LIMB_BITS);
	memset(mpz_limbs_write(x, (mp_size_t)limb_count), 0, limb_count * sizeof(mp_limb_t));
	mpz_limbs_finish(x, (mp_size_t)limb_count);
	nettle_mpz_init_set_str_256_u(m, key->pub.size, c);

	/* False only after a fault of the machine, or for a key whose p or q is not prime. */
	rooted = rsa_compute_root_tr(&key->pub, &key->priv, random, rsa_random_fill, x, m) == 1;
	put_fixed(x, em, key->pub.size);
	decoded = eme_oaep_decode(label, em, key->pub.size, ret_plain, cap, ret_len);

	mpz_clear(m);
	rsa_mpz_wipe(x);
	explicit_bzero(em, sizeof(em));
	return rooted && decoded;
}

/* 2,048 or 3,072 bits, all of them used, and odd. */
static bool
modulus_valid(struct bytes n)
{
	return (n.len == RSA_BYTES || n.len == RSA_BYTES_2048) && (n.data[0] & 0x80) != 0 &&
	       (n.data[n.len - 1] & 1) != 0;
}

enum chat_err
rsa_oaep_seal(struct bytes n, struct bytes label, struct bytes plain,
    const uint8_t seed[static OAEP_SEED_BYTES], uint8_t *ret_c)
{
	struct rsa_public_key pub;

	if (!modulus_valid(n))
		return CHAT_ERR_MALFORMED;
	if (plain.len > n.len - EME_OVERHEAD)
		return CHAT_ERR_RANGE;
	rsa_public_key_init(&pub);
	nettle_mpz_set_str_256_u(pub.n, n.len, n.data);
	mpz_set_ui(pub.e, RSA_E);
	pub.size = n.len;
	seal_raw(&pub, label, plain, seed, ret_c);
	rsa_public_key_clear(&pub);
	return CHAT_OK;
}

/* 0 < c < n.  Both are public. */
static bool
ciphertext_in_range(const struct rsa_key *key, struct bytes c)
{
	bool in_range;
	mpz_t number;

	if (c.len != key->pub.size)
		return false;
	nettle_mpz_init_set_str_256_u(number, c.len, c.data);
	in_range = mpz_sgn(number) > 0 && mpz_cmp(number, key->pub.n) < 0;
	mpz_clear(number);
	return in_range;
}

enum chat_err
rsa_oaep_open(const struct rsa_key *key, struct bytes label, struct bytes c,
    const struct random_source *random, uint8_t *ret_plain, size_t cap, size_t *ret_len)
{
	/* Stands in for a ciphertext out of range, so that it costs what any other costs.  2 is in the range
	 * of any key. */
	uint8_t stand_in[RSA_BYTES] = {0};
	struct random_source source = *random;
	bool in_range = ciphertext_in_range(key, c);
	enum chat_err err = CHAT_ERR_CANNOT_OPEN;
	uint8_t plain[RSA_BYTES];
	size_t len = 0;
	bool opened;

	stand_in[key->pub.size - 1] = 2;
	opened = open_raw(key, label, in_range ? c.data : stand_in, &source, plain, cap, &len);
	if (cap > 0)
		memset(ret_plain, 0, cap);
	if (opened && in_range) {
		if (len > 0)
			memcpy(ret_plain, plain, len);
		*ret_len = len;
		err = CHAT_OK;
	}
	explicit_bzero(plain, sizeof(plain));
	return err;
}

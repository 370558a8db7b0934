/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_RSA_KEY_H
#define CRYPTO_RSA_KEY_H

/*
 * What an RSA key is made of: for rsa_key.c and rsa_oaep.c, nobody else includes it.
 *
 * Secrets in GMP numbers: rsa_mpz_wipe() overwrites what a number holds when it ends.  What GMP and nettle
 * free in between (scratch memory, and a number's old place when it grows) cannot be reached: that takes
 * mp_set_memory_functions(), which changes GMP for the whole program, GnuTLS included, and is not a library's
 * to call.
 *
 * Threads: any.
 */

#include <gmp.h>
#include <nettle/rsa.h>

#include "crypto/rsa_oaep.h"

#define RSA_E            65537
#define RSA_BYTES_2048   256
#define RSA_KEY_BITS     (8 * RSA_BYTES)
#define RSA_KEY_BITS_MIN (8 * RSA_BYTES_2048)

/* immutable after it is made */
struct rsa_key {
	struct rsa_public_key pub;
	struct rsa_private_key priv;
};

/* Overwrites the number's memory, then mpz_clear(). */
void rsa_mpz_wipe(mpz_t x);

/* A nettle_random_func; ctx is a struct random_source. */
void rsa_random_fill(void *ctx, size_t len, uint8_t *ret);

#endif

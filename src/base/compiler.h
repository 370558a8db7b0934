/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

/* What the compiler is asked beyond C17: attributes that turn mistakes into warnings. */

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NONNULL_RETURN    __attribute__((returns_nonnull))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif

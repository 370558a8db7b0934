/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_STAGE_H
#define HOSTILE_STAGE_H

/*
 * A stage for attacks: one server for a test program, the witness on it, and one attack after the other.
 *After each of them the witness has to be undisturbed; at the end nothing may be lost, the server has to end
 *in good order, and its log must hold no secret.
 *
 *	ATTACK(nonsense)
 *	{
 *		...
 *	}
 *	static int set_up(void **state) { return stage_up("loops = 2\n", (const char *const[]){"mallory",
 *NULL}); } int main(void)
 *	{
 *		const struct CMUnitTest tests[] = {cmocka_unit_test(nonsense),
 *cmocka_unit_test(nothing_was_lost)}; return cmocka_run_group_tests(tests, set_up, NULL);
 *	}
 */

#include "crowd.h"
#include "host.h"
#include "peer.h"
#include "unit/unit.h"

extern struct host *host;
extern struct witness witness;

/* accounts: besides the witness's; NULL at the end. */
int stage_up(const char *conf, const char *const *accounts);
/* The last test of every program. */
void nothing_was_lost(void **state);

#define ATTACK(name)                                                                                         \
	static void attack_##name(void);                                                                     \
	static void name(void **state __attribute__((unused)))                                               \
	{                                                                                                    \
		stage_begin();                                                                               \
		attack_##name();                                                                             \
		stage_end();                                                                                 \
	}                                                                                                    \
	static void attack_##name(void)
void stage_begin(void);
void stage_end(void);

#endif

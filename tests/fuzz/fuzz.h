/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUZZ_H
#define FUZZ_H

/*
 * A fuzz target is one file, fuzz_NAME.c, with this function.  Built with libFuzzer it is a fuzzer (`make
 * fuzz`); else driver.c makes it a test, which replays tests/fuzz/corpus/NAME, tests/fuzz/crashes/NAME
 * (inputs that once found a defect, for ever) and inputs changed at random from them, the same ones each
 * time.
 *
 * A target checks by assert() what has to hold for any input: that what decodes encodes to the same, and so
 * on. It keeps nothing from one call to the next.
 */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo of ./bootstrap demo: it plays, it can be played again, and its server ends when told."""

import os
import sys

import harness as h

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo.py")


def play(state, *args):
    return h.run([sys.executable, DEMO, "--build-dir", h.BUILD, "--state-dir", state, *args])[0]


def test_twice():
    """The second run finds the server of the first."""
    state = os.path.join(h.temp_dir(), "demo")
    try:
        first = play(state)
        h.match(r"== starting a server", first)
        h.match(r"'alice' is in [1-9]", first)
        h.match(r"'the plans are in the archive' is in 0 of", first)
        second = play(state)
        h.match(r"== the server of an earlier demo is running", second)
        h.equal(h.match(r"process (\d+)", second)[1], h.match(r"process (\d+)", first)[1])
    finally:
        play(state, "--stop")


if __name__ == "__main__":
    sys.exit(h.main())

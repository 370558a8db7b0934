# Peers that break the protocol on purpose: TESTS += tests/hostile/x.py, EXTRA_DIST += the same.

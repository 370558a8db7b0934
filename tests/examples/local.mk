# Examples, built by a test against the installed library: EXTRA_DIST += tests/examples/x.c.

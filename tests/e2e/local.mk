# End-to-end tests, Python 3 and its standard library only: TESTS += tests/e2e/x.py, EXTRA_DIST += the same.

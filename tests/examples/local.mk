# Examples, built by a test against the installed library (tests/e2e/test_libchat.py).
EXTRA_DIST += tests/examples/echo_bot.c

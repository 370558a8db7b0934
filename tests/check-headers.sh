#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Each header compiles alone (TAP, one test for each); those that are installed also as plain C17 and C99.

cd "${abs_top_srcdir:-.}" || exit 1
CC=${CHECK_CC:-cc}
build=${abs_top_builddir:-.}
n=0

try() { # NAME HEADER FLAGS...
	n=$((n + 1))
	name=$1 header=$2
	shift 2
	# shellcheck disable=SC2086
	if out=$(printf '#include %s\nextern int not_empty;\n' "$header" |
	    $CC "$@" -Wall -Wextra -Wundef -Werror -fsyntax-only -x c - 2>&1); then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "$out" | sed 's/^/# /'
	fi
}

for h in $(cd src && find . -name '*.h' | sed 's,^\./,,' | LC_ALL=C sort); do
	# shellcheck disable=SC2086
	try "$h" "\"$h\"" -std=gnu17 -D_GNU_SOURCE -include config.h -I"$build" -Iinclude -Isrc -I"$build/src" \
	    $CHECK_CPPFLAGS
done
for h in $(cd include && find chat -name '*.h' | LC_ALL=C sort); do
	try "<$h> as C17" "<$h>" -std=c17 -pedantic -Iinclude
	try "<$h> as C99" "<$h>" -std=c99 -pedantic -Iinclude
done
echo "1..$n"

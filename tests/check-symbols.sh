#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What libchat.so exports is what its headers declare and what libchat.map lists, under a version; libchat(3) describes it (TAP).

cd "${abs_top_srcdir:-.}" || exit 1
lib=${abs_top_builddir:-.}/src/libchat/.libs/libchat.so
CC=${CHECK_CC:-cc}
command -v nm >/dev/null || { echo '1..0 # SKIP no nm'; exit 0; }
echo 1..4

compare() { # NUMBER NAME LIST LIST
	if [ -n "$3" ] && [ "$3" = "$4" ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		printf '%s\n%s\n' "$3" "$4" | LC_ALL=C sort | uniq -u | sed 's/^/# only on one side: /'
	fi
}

# shellcheck disable=SC2086
declared=$(for h in include/chat/*.h; do $CC -E -P -Iinclude -x c "$h"; done |
	grep -o '\<chat_[a-z0-9_]* *(' | tr -d ' (' | LC_ALL=C sort -u)
listed=$(sed -n 's/^\t\(chat_[a-z0-9_]*\);$/\1/p' src/libchat/libchat.map)
exported=$(nm -D --defined-only "$lib" | awk '$2 == "T" { print $3 }' | LC_ALL=C sort)
compare 1 'libchat.map lists what the headers declare, in order' "$declared" "$listed"
compare 2 'libchat.so exports it under CHAT_0.1' "$(echo "$listed" | sed 's/$/@@CHAT_0.1/')" "$exported"
others=$(nm -D --defined-only "$lib" | awk '$2 != "T" && $2 != "A"')
if [ -z "$others" ]; then
	echo 'ok 3 - and nothing else'
else
	echo 'not ok 3 - and nothing else'
	echo "$others" | sed 's/^/# /'
fi
undescribed=$(for f in $declared; do grep -q "^\.\(It \)*Fn .*\<$f\>" man/libchat.3 || echo "$f"; done)
if [ -z "$undescribed" ]; then
	echo 'ok 4 - libchat(3) names every function'
else
	echo 'not ok 4 - libchat(3) names every function'
	echo "$undescribed" | sed 's/^/# /'
fi

#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mandoc -Tlint finds nothing in the manual pages (TAP, one test for each).

cd "${abs_top_srcdir:-.}" || exit 1
[ -n "$MANDOC" ] || { echo '1..0 # SKIP mandoc is not installed'; exit 0; }
pages=$(find man -name '*.[1-9]' | LC_ALL=C sort)
[ -n "$pages" ] || { echo '1..0 # SKIP no pages yet'; exit 0; }
n=0
for page in $pages; do
	n=$((n + 1))
	# A page refers to others of this project that are not installed yet; and an old index is the machine's.
	out=$("$MANDOC" -Tlint -Wstyle "$page" 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db')
	if [ -z "$out" ]; then
		echo "ok $n - $page"
	else
		echo "not ok $n - $page"
		echo "$out" | sed 's/^/# /'
	fi
done
echo "1..$n"

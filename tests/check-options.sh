#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The example file and the list of chat-server.conf(5) are what the table of options says (TAP).
# With --update: makes them so, in the source tree; called by `make update-options'.

src=${abs_top_srcdir:-.}
doc=${abs_top_builddir:-.}/src/server/options-doc
conf=$src/etc/chat-server.conf
page=$src/man/chat-server.conf.5

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

"$doc" conf >"$tmp/conf" || exit 1
"$doc" man >"$tmp/list" || exit 1
{
	sed '/^\.\\" options begin/q' "$page"
	cat "$tmp/list"
	sed -n '/^\.\\" options end/,$p' "$page"
} >"$tmp/page"

if [ "$1" = --update ]; then
	# Only what changed, so that nothing is built again without need.
	cmp -s "$tmp/conf" "$conf" || cp "$tmp/conf" "$conf" || exit 1
	cmp -s "$tmp/page" "$page" || cp "$tmp/page" "$page"
	exit
fi

# same N WHAT EXPECTED FILE
same() {
	if cmp -s "$3" "$4"; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2: run \`make update-options'"
		diff -u "$4" "$3" | sed 's/^/# /'
	fi
}

echo 1..2
same 1 etc/chat-server.conf "$tmp/conf" "$conf"
same 2 man/chat-server.conf.5 "$tmp/page" "$page"

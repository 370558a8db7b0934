#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Holds the #include lines of src/ to the layers, as TAP, one test for each layer: which other layers it may
# include, and which libraries are known there only (no GnuTLS type outside src/tls, and so on).

cd "${abs_top_srcdir:-.}" || exit 1

# layer: the layers it may include besides itself
rules='
base:
crypto: base
proto: base crypto
group: base crypto proto
tls: base
net: base
accounts: base
store: base crypto proto group
server: base crypto proto group tls net accounts store
libchat: base crypto proto group tls
client: base
tools: base accounts tls
'

# pattern of a system header: the only layers that may include it
only='
gnutls/: tls
nettle/: crypto
gmp.h: crypto
sqlite3.h: store libchat
crypt.h: accounts libchat
curses.h: client
ncurses: client
readline/: client
jansson.h: client
sys/socket.h: tls net server libchat client tools
sys/epoll.h: net server
'

echo "1..$(echo "$rules" | grep -c :)"
n=0
echo "$rules" | while IFS=: read -r layer may; do
	[ -n "$layer" ] || continue
	n=$((n + 1))
	files=$(find "src/$layer" -name '*.[ch]' 2>/dev/null)
	if [ -z "$files" ]; then
		echo "ok $n - $layer # SKIP no files yet"
		continue
	fi
	# shellcheck disable=SC2086
	bad=$(awk -v layer="$layer" -v may=" $may $layer " -v only="$only" '
		BEGIN {
			count = split(only, line, "\n")
			for (i = 1; i <= count; i++)
				if (split(line[i], part, ":") == 2)
					where[part[1]] = " " part[2] " "
		}
		/^[ \t]*#[ \t]*include[ \t]*"/ {
			split($0, q, "\"")
			dir = q[2]
			if (dir == "config.h")
				next
			if (!sub("/.*", "", dir))
				print FILENAME ":" FNR ": \"" q[2] "\": name the layer, as \"" layer "/" q[2] "\""
			else if (!index(may, " " dir " "))
				print FILENAME ":" FNR ": " layer " may not include " q[2]
		}
		/^[ \t]*#[ \t]*include[ \t]*</ {
			split($0, q, "[<>]")
			for (p in where)
				if (index(q[2], p) == 1 && !index(where[p], " " layer " "))
					print FILENAME ":" FNR ": <" q[2] "> belongs to:" where[p]
			if (q[2] ~ "^chat/" && q[2] != "chat/err.h" && layer != "libchat" && layer != "client")
				print FILENAME ":" FNR ": <" q[2] "> is of the client side"
		}' $files)
	if [ -z "$bad" ]; then
		echo "ok $n - $layer"
	else
		echo "not ok $n - $layer"
		echo "$bad" | sed 's/^/# /'
	fi
done

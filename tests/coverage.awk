# SPDX-License-Identifier: GPL-3.0-or-later
# Reads `gcov -n` and prints lines executed, per file and in all.
/^File / { file = $2; gsub("'", "", file); next }
/^Lines executed:/ && file ~ /^src\// && file !~ /pb-c/ {
	split($0, part, "[:% ]")
	covered = part[3] * $NF / 100
	if (!(file in lines) || covered > hit[file]) {
		lines[file] = $NF
		hit[file] = covered
	}
	file = ""
}
END {
	for (f in lines) {
		printf "%6.1f%% %6d  %s\n", 100 * hit[f] / lines[f], lines[f], f | "sort -k3"
		all += lines[f]
		all_hit += hit[f]
	}
	close("sort -k3")
	if (all)
		printf "%6.1f%% %6d  all\n", 100 * all_hit / all, all
}

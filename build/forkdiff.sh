#!/bin/sh
# Prints the whole difference to op-geth, and its size by package; with --size, only that.
. "$(dirname "$0")/lib.sh"

[ "${1:-}" = --size ] || tgit $TREE --no-pager diff --no-color $BASE
echo "lines added and removed in op-geth's packages:"
tgit $TREE diff --numstat $BASE | awk '
	{ dir = $3; sub("/[^/]*$", "", dir); add[dir] += $1; del[dir] += $2; a += $1; d += $2 }
	END {
		for (dir in add) printf "  %-16s +%d -%d\n", dir, add[dir], del[dir] | "sort"
		close("sort")
		printf "  %-16s +%d -%d\n", "total", a, d
	}'

#!/bin/sh
# Fails if a Go file of ours, or one that the patches add, is not formatted.
. "$(dirname "$0")/lib.sh"

files=$(git ls-files --cached --others --exclude-standard '*.go' | while read -r file; do
	if [ -f "$file" ]; then echo "$file"; fi
done)
added=$(tgit $TREE diff --name-only $BASE -- '*.go' | sed "s|^|$TREE/|")
unformatted=$(gofmt -s -l $files $added)
[ -z "$unformatted" ] || die "not formatted; run gofmt -s -w on
$unformatted"

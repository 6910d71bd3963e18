#!/bin/sh
# Shows that the release does not depend on where and when it is built: builds the commit in two
# directories of different names, each with a Go build cache of its own, and compares the
# bytes. Arguments are those of release.sh. Takes two cold builds for each architecture.
. "$(dirname "$0")/lib.sh"

here=$PWD
commit=$(git rev-parse HEAD)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
for name in first a/rather/different/second; do
	dir=$scratch/$name/checkout
	mkdir -p "$scratch/$name"
	git clone -q --no-checkout --no-hardlinks "$here" "$dir"
	git -C "$dir" -c advice.detachedHead=false checkout -q "$commit"
	(cd "$dir" && GOCACHE=$scratch/$name/cache build/release.sh "$@" >/dev/null)
	cp "$dir/build/release/SHA256SUMS" "$scratch/$(basename "$name").sums"
	rm -rf "$scratch/${name:?}/cache"
done
cat "$scratch/first.sums"
cmp "$scratch/first.sums" "$scratch/second.sums" || die "two builds of the same commit differ: the sums of the second are
$(cat "$scratch/second.sums")"
say "both builds are the same, byte for byte"

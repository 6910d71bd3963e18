#!/bin/sh
# Lays the pinned op-geth out in build/op-geth and applies the series, and writes the
# modfile that builds against it. Does nothing when all of that is up to date; never
# throws away work in the tree that is not exported.
. "$(dirname "$0")/lib.sh"

mkdir -p build
if command -v flock >/dev/null && [ "${TREE_LOCKED:-}" = "" ]; then
	TREE_LOCKED=1 exec flock build/.lock "$0" "$@"
fi

# The modfile: go.mod, but for where op-geth comes from. Written only when it differs, so
# that the go command's caches stay valid.
go mod edit -replace=$UPSTREAM=./$TREE -print go.mod >$MODFILE.new
cmp -s $MODFILE.new $MODFILE 2>/dev/null || cp $MODFILE.new $MODFILE
rm $MODFILE.new
cmp -s go.sum build/patched.sum 2>/dev/null || cp go.sum build/patched.sum

hash=$(series_hash)
if [ -f $STAMP ] && [ -d $TREE/.git ] && [ "$(cut -d' ' -f1 $STAMP)" = "$hash" ]; then
	exit 0
fi

rest=$(unexported)
[ -z "$rest" ] || die "patches/, go.mod or the scripts have changed, but $TREE holds work that is not exported:
$rest
Export it with 'make patches', or throw it away with 'make clean-tree'; then run this again."

version=$(pinned_version)
if [ "$(tgit $TREE log -1 --format=%s $BASE 2>/dev/null)" != "op-geth $version" ]; then
	say "laying out op-geth $version"
	rm -rf $TREE
	mkdir -p $TREE
	tgit $TREE init -q -b patched
	commit_release $TREE "$version"
	tgit $TREE tag $BASE
fi
tgit $TREE reset -q --hard $BASE
for patch in patches/*.patch; do
	say "$(basename "$patch")"
	tgit $TREE am -q --committer-date-is-author-date "$PWD/$patch" || {
		tgit $TREE am --abort
		die "$patch does not apply to op-geth $version. Was it edited by hand? Restore it, or correct it; 'make upgrade' moves the series to another release."
	}
done
write_stamp "$hash"

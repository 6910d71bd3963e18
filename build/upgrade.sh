#!/bin/sh
# Replays the series on another op-geth release, in a scratch repository, and exports it
# from there. Run it again after resolving a conflict: it goes on where it stopped.
. "$(dirname "$0")/lib.sh"

VERSION=${1:-}
case $VERSION in
v*) ;;
*) die "which release? make upgrade VERSION=v1.101702.3" ;;
esac
pinned=$(pinned_version)
work=build/upgrade-$VERSION
repo=$work/op-geth
state=$repo/.git/rebase-apply

if [ ! -f $work/.replaying ]; then
	say "laying out op-geth $pinned (for three-way merges) and $VERSION in $repo"
	rm -rf $work
	mkdir -p $repo
	tgit $repo init -q -b patched
	commit_release $repo "$pinned"
	if [ "$VERSION" != "$pinned" ]; then
		commit_release $repo "$VERSION"
	fi
	tgit $repo tag $BASE
	touch $work/.replaying
	set -- "$PWD"/patches/*.patch
	tgit $repo am -q -3 --committer-date-is-author-date "$@" >$work/am.log 2>&1 || true
fi

if [ -d $state ]; then
	cat $work/am.log >&2
	failed=$(basename "$(ls patches/*.patch | sed -n "$(cat $state/next)p")")
	say "patches/$failed does not apply to op-geth $VERSION."
	say "In $repo: resolve the files below, 'git add' them, 'git am --continue'; or 'git am --skip' if the"
	say "release makes the patch unnecessary (its message says what would). Then run 'make upgrade VERSION=$VERSION' again."
	say "To start over: rm -r $work"
	tgit $repo status --short >&2
	exit 1
fi

mkdir -p $work/patches
export_series $repo $BASE $work/patches
say "the series applies to op-geth $VERSION; it is in $work/patches. To move to that release:"
cat >&2 <<END
    go mod edit -replace=$UPSTREAM=$OPGETH@$VERSION && go mod tidy
    rm patches/*.patch && cp $work/patches/*.patch patches/
    make test
END

#!/bin/sh
# Replays the series on another op-geth release, in a scratch repository, and exports it
# from there, with a report of what had to change. Run it again after resolving a conflict:
# it goes on where it stopped. Resolutions are remembered in build/rr-cache, so that a
# later replay (of a changed series, or from a release candidate to the release) does not
# ask again. make upgrade-try builds and tests the result before the project moves.
. "$(dirname "$0")/lib.sh"

VERSION=${1:-}
case $VERSION in
v*) ;;
*) die "VERSION is '$VERSION', allowed is a release of op-geth: make upgrade VERSION=v1.101702.3" ;;
esac
pinned=$(pinned_version)
work=build/upgrade-$VERSION
repo=$work/op-geth
state=$repo/.git/rebase-apply

if [ -f $work/.replaying ] && [ "$(head -n1 $work/.replaying)" != "$(series_hash)" ]; then
	[ ! -d $state ] || die "the series or the pinned release has changed since $work was begun: start over with 'rm -r $work' (resolutions are kept)"
	rm -rf $work
fi
if [ ! -f $work/.replaying ]; then
	say "laying out op-geth $pinned (for three-way merges) and $VERSION in $repo"
	rm -rf $work
	mkdir -p $repo build/rr-cache
	tgit $repo init -q -b patched
	tgit $repo config rerere.enabled true
	tgit $repo config rerere.autoupdate true
	tgit $repo config merge.conflictStyle diff3
	ln -s "$PWD/build/rr-cache" $repo/.git/rr-cache
	commit_release $repo "$pinned"
	tgit $repo tag pinned
	# The series has one line of context, with which a hunk may find a wrong place in other
	# files. So it is replayed with more, from where it applies exactly.
	mkdir $work/series
	cp patches/*.patch $work/series
	set -- "$PWD/$work"/series/*.patch
	if tgit $repo am -q --committer-date-is-author-date "$@" >/dev/null 2>&1; then
		tgit $repo format-patch -q --zero-commit -N --no-signature --full-index -U12 --no-renames -o "$PWD/$work/series" pinned
		tgit $repo reset -q --hard pinned
	else
		tgit $repo am --abort
	fi
	if [ "$VERSION" != "$pinned" ]; then
		commit_release $repo "$VERSION"
	fi
	tgit $repo tag $BASE
	: >$work/conflicts
	{ series_hash; date +%s; } >$work/.replaying
	set -- "$PWD/$work"/series/*.patch
	tgit $repo am -q -3 --committer-date-is-author-date "$@" >$work/am.log 2>&1 || true
fi

# failed: the patch at which am has stopped.
failed() { basename "$(ls $work/series/*.patch | sed -n "$(cat $state/next)p")"; }

# note TEXT: one line for each patch that stopped, the last word on it wins.
note() {
	grep -v "^$(failed) " $work/conflicts >$work/conflicts.new || true
	echo "$(failed) $1" >>$work/conflicts.new
	mv $work/conflicts.new $work/conflicts
}

# Whatever stopped goes on by itself once nothing is left to resolve.
while [ -d $state ]; do
	unmerged=$(tgit $repo diff --name-only --diff-filter=U)
	marked=
	for file in $unmerged; do
		if grep -q '^<<<<<<< ' "$repo/$file"; then marked="$marked $file"; fi
	done
	if [ -z "$marked" ] && [ -n "$(tgit $repo diff --name-only $BASE)" ]; then
		tgit $repo add -A
		at=$(cat $state/next)
		files=$(tgit $repo diff --cached --name-only | tr '\n' ' ')
		# Into a file that git does not see: the patch is noted before am moves on.
		if [ -n "$files" ]; then note "resolved${files:+ ($(cat $work/marked 2>/dev/null || echo as before))}"; fi
		tgit $repo am --continue >$work/am.log 2>&1 || true
		rm -f $work/marked
		if [ ! -d $state ] || [ "$(cat $state/next)" != "$at" ]; then continue; fi
	fi
	cat $work/am.log >&2
	note "stopped"
	echo "by hand:${marked:- no file}" >$work/marked
	say "patches/$(failed) does not apply to op-geth $VERSION."
	say "In $repo: resolve the files below, and run 'make upgrade VERSION=$VERSION' again (or 'git add' them and"
	say "'git am --continue' there first). 'git am --skip' if the release makes the patch unnecessary: its message says what would."
	say "To start over: rm -r $work"
	tgit $repo status --short >&2
	exit 1
done

rm -rf $work/patches
mkdir -p $work/patches
export_series $repo $BASE $work/patches

# The report: what had to change in the series, and what upstream changed in the same files,
# which has to be read: a new check in its loop applies cleanly and still needs its twin here.
series_files=$(tgit $repo diff --name-only --diff-filter=M $BASE)
tgit $repo diff pinned $BASE -- $series_files >$work/upstream.diff
{
	echo "# op-geth $pinned to $VERSION"
	echo
	echo "| patch | result |"
	echo "|---|---|"
	for patch in $work/series/*.patch; do
		name=$(basename "$patch")
		subject=$(sed -n 's/^Subject: \[PATCH\] //p' "$patch")
		result="applies as it is"
		exported=$(grep -lxF "Subject: [PATCH] $subject" $work/patches/*.patch 2>/dev/null | head -n1 || true)
		stopped=$(sed -n "s/^$name //p" $work/conflicts)
		if [ -z "$exported" ]; then
			result="skipped"
		elif [ -n "$stopped" ]; then
			result="conflict, $stopped"
		elif ! cmp -s "patches/$name" "$exported"; then
			if [ "$(body "patches/$name")" != "$(body "$exported")" ]; then result="changed, by git's merge or by hand"; fi
		fi
		echo "| $name | $result |"
	done
	echo
	echo "Upstream changed these files of the series ($work/upstream.diff, to be read line by line):"
	echo
	tgit $repo diff --numstat pinned $BASE -- $series_files | sed 's/^\([0-9]*\)\t\([0-9]*\)\t\(.*\)/- \3: +\1 -\2/'
	echo
	echo "From the first replay to the last conflict resolved: $(($(date +%s) - $(sed -n 2p $work/.replaying))) s."
} >$work/report.md

say "the series applies to op-geth $VERSION; it is in $work/patches."
cat $work/report.md >&2
cat >&2 <<END

To build and test it, without moving the project:
    make upgrade-try VERSION=$VERSION
To move to that release:
    go mod edit -replace=$UPSTREAM=$OPGETH@$VERSION && go mod tidy
    rm patches/*.patch && cp $work/patches/*.patch patches/
    make test
END

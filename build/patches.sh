#!/bin/sh
# Exports the commits of build/op-geth as patches/. Run it after committing in the tree; it
# changes nothing when nothing has changed.
. "$(dirname "$0")/lib.sh"

[ -d $TREE/.git ] || die "there is no $TREE: run 'make tree' first"
[ ! -d $TREE/.git/rebase-apply ] || die "$TREE has an unfinished git am: finish it with 'git am --continue' or '--abort'"
dirty=$(tgit $TREE status --porcelain --untracked-files=all)
[ -z "$dirty" ] || die "$TREE has changes that are not committed; commit them there, as a new patch or as a fixup of an old one (git rebase -i --autosquash $BASE):
$dirty"

export_series $TREE $BASE patches
write_stamp "$(series_hash)"
git status --short patches

# Shared by the scripts of this folder, which the Makefile calls: where things are, and
# a git that no user setting can bend. Sourced, never run.
set -eu
cd "$(dirname "$0")/.."

UPSTREAM=github.com/ethereum/go-ethereum # the import path
OPGETH=github.com/ethereum-optimism/op-geth # the module that stands in for it
TREE=build/op-geth   # the patched tree: a scratch git repository
STAMP=build/op-geth.stamp # the pinned version, the series' hash and the head they gave
MODFILE=build/patched.mod # go.mod with the replace pointing at the tree
BASE=upstream        # the tag of op-geth's own commit in the tree

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE \
	GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE

say() { echo "$(basename "$0" .sh): $*" >&2; }
die() { say "$*"; exit 1; }

# tgit DIR ARGS: git in a scratch repository, with an identity and no surprises.
tgit() {
	_dir=$1; shift
	git -C "$_dir" -c user.name=op-geth-parallel -c user.email=maintainers@op-geth-parallel.invalid \
		-c core.autocrlf=false -c commit.gpgsign=false -c gc.auto=0 -c advice.detachedHead=false "$@"
}

# pinned_version prints the op-geth release that go.mod pins.
pinned_version() { go list -m -f '{{.Replace.Version}}' $UPSTREAM; }

# module_dir VERSION: downloads a release (verified by go.sum or the checksum database)
# and prints where it lies.
module_dir() {
	go mod download -json "$OPGETH@$1" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p'
}

# commit_release DIR VERSION: makes VERSION's files the whole content of the scratch
# repository DIR, and commits them with fixed dates, so that equal files give equal hashes.
commit_release() {
	_src=$(module_dir "$2")
	[ -d "$_src" ] || die "op-geth $2 could not be downloaded"
	find "$1" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
	cp -R "$_src/." "$1/"
	chmod -R u+w "$1"
	tgit "$1" add -A -f .
	GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z' \
		tgit "$1" commit -q --allow-empty -m "op-geth $2"
}

# export_series DIR BASE OUT: writes the commits after BASE as patches, in a form that
# depends on nothing but their content.
export_series() {
	rm -f "$3"/*.patch
	tgit "$1" format-patch -q --zero-commit -N --no-signature --no-stat --full-index -U1 \
		--no-renames -o "$(cd "$3" && pwd)" "$2"
}

# body PATCH: its changed lines, without where they are and which blobs they are of.
body() { sed '1,/^diff --git /d; /^index /d; s/^@@ .*/@@/' "$1"; }

# series_hash: what the tree is made of.
series_hash() {
	{ pinned_version; cat patches/*.patch build/lib.sh build/tree.sh; } | git hash-object --stdin
}

# write_stamp HASH: records that the tree's head is what the series gives.
write_stamp() { echo "$1 $(tgit $TREE rev-parse HEAD)" >$STAMP; }

# unexported says what in the tree is not in patches/: nothing, if it prints nothing.
unexported() {
	[ -d $TREE/.git ] || return 0
	if [ -d $TREE/.git/rebase-apply ]; then echo "an unfinished git am"; fi
	tgit $TREE status --porcelain --untracked-files=all
	if [ -f $STAMP ] && [ "$(cut -d' ' -f2 $STAMP)" != "$(tgit $TREE rev-parse HEAD)" ]; then
		echo "commits that are not exported"
	fi
}

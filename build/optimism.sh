#!/bin/sh
# Builds op-node and op-batcher, of the release that e2e/opstack/optimism/go.mod pins, as
# build/opstack/op-node and build/opstack/op-batcher. Does nothing when both are up to date.
#
# They come as a Go module, which lacks one file that op-node embeds: the zip of the
# superchain registry, which their own build fetches. op-geth's module has one. So the
# module is laid out in build/opstack/optimism, as op-geth is in build/op-geth, gets
# op-geth's zip and its checksum, and a modfile points there.
. "$(dirname "$0")/lib.sh"

PIN=e2e/opstack/optimism
OUT=build/opstack
OPTIMISM=github.com/ethereum-optimism/optimism

mkdir -p $OUT
if command -v flock >/dev/null && [ "${OPTIMISM_LOCKED:-}" = "" ]; then
	OPTIMISM_LOCKED=1 exec flock $OUT/.lock "$0" "$@"
fi

hash=$({ cat $PIN/go.mod $PIN/go.sum build/optimism.sh; go version; } | git hash-object --stdin)
if [ -x $OUT/op-node ] && [ -x $OUT/op-batcher ] && [ "$(cat $OUT/stamp 2>/dev/null)" = "$hash" ]; then
	exit 0
fi
rm -f $OUT/stamp

# pinned_dir MODULE prints where a module of the pinned set lies, downloaded and verified.
pinned_dir() { (cd $PIN && go mod download "$1" >&2 && go list -m -f '{{.Dir}}' "$1"); }

src=$(pinned_dir $OPTIMISM)
zip=$(pinned_dir $UPSTREAM)/superchain/superchain-configs.zip
[ -d "$src" ] || die "$OPTIMISM could not be downloaded"
[ -f "$zip" ] || die "this release of op-geth has no superchain/superchain-configs.zip any more"

say "laying out $(basename "$src")"
chmod -R u+w $OUT/optimism 2>/dev/null || true
rm -rf $OUT/optimism
mkdir $OUT/optimism
for entry in "$src"/*; do
	case ${entry##*/} in docs | rust) ;; *) cp -R "$entry" $OUT/optimism/ ;; esac
done
chmod -R u+w $OUT/optimism
cp "$zip" $OUT/optimism/op-core/superchain/superchain-configs.zip
(cd $OUT/optimism/op-core/superchain && chmod u+w superchain-configs.zip &&
	{ sha256sum superchain-configs.zip 2>/dev/null || shasum -a 256 superchain-configs.zip; } >superchain-configs.zip.sha256)

cp $PIN/go.sum $OUT/build.sum
(cd $PIN && go mod edit -replace=$OPTIMISM="$OLDPWD/$OUT/optimism" -print go.mod) >$OUT/build.mod
for program in op-node op-batcher; do
	say "building $program (the first time takes minutes)"
	(cd $PIN && go build -modfile="$OLDPWD/$OUT/build.mod" -o "$OLDPWD/$OUT/$program" $OPTIMISM/$program/cmd)
done
echo "$hash" >$OUT/stamp

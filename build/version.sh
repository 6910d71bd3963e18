#!/bin/sh
# Prints the linker flags that make the binary say both versions: op-geth's release, with
# ours in the place of its metadata, and the commit that it was built from.
. "$(dirname "$0")/lib.sh"

ours=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' params/version.go)
[ -n "$ours" ] || die "params/version.go holds no Version"

printf -- '-X %s/version.gitTag=%s-parallel.%s' $UPSTREAM "$(pinned_version)" "$ours"
# Where there is no history, as in a container's build context, COMMIT and DATE say it.
if commit=$(git rev-parse HEAD 2>/dev/null); then
	date=$(git log -1 --format=%cd --date=format:%Y%m%d)
else
	commit=${COMMIT:-} date=${DATE:-}
fi
if [ -n "$commit" ]; then
	printf -- ' -X %s/internal/version.gitCommit=%s -X %s/internal/version.gitDate=%s' $UPSTREAM "$commit" $UPSTREAM "$date"
fi
echo

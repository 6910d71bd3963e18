#!/bin/sh
# Prints op-geth's newest release, by the module proxy: no candidates, no test builds.
. "$(dirname "$0")/lib.sh"

newest=$(go list -m -versions $OPGETH | tr ' ' '\n' | grep -E '^v[0-9]+\.[0-9]+\.[0-9]+$' | tail -n 1)
[ -n "$newest" ] || die "the module proxy lists no release of $OPGETH"
echo "$newest"

#!/bin/sh
# Builds and tests what upgrade.sh has made, without moving the project: our packages and
# the patched op-geth of another release, from a modfile of their own. Goes through all
# steps, whatever fails, adds what came of them to the report, and fails if one did.
. "$(dirname "$0")/lib.sh"

VERSION=${1:-}
work=build/upgrade-$VERSION
[ -f $work/report.md ] || die "VERSION is '$VERSION', allowed is a release that 'make upgrade VERSION=…' has replayed the series on"

modfile=$work/go.mod
go mod edit -replace=$UPSTREAM=./$work/op-geth -print go.mod >$modfile
cp go.sum $work/go.sum
patched="-modfile=$modfile -tags patched"

sed -i '/^| step | /,$d' $work/report.md
printf '| step | result | seconds |\n|---|---|---|\n' >>$work/report.md
failed=0

# step NAME COMMAND…: runs it, with its output in a file of its own.
step() {
	name=$1; shift
	log=$work/$(echo "$name" | tr -c 'a-z0-9\n' '-').log
	began=$(date +%s)
	say "$name"
	if "$@" >"$log" 2>&1; then
		result=ok
	else
		result="failed, see $log"
		failed=1
		tail -n 20 "$log" >&2
	fi
	echo "| $name | $result | $(($(date +%s) - began)) |" >>$work/report.md
}

step "requirements of the release" go mod tidy -modfile=$modfile
step "our packages compile" go build -modfile=$modfile ./core/... ./miner/... ./params/... ./internal/...
step "geth" go build -modfile=$modfile -o $work/geth $UPSTREAM/cmd/geth
step "our unit tests" go test -modfile=$modfile ./core/... ./miner/... ./params/...
step "differential tests" go test $patched ./internal/buildtest
step "tests of op-geth's miner and engine api" go test -modfile=$modfile $UPSTREAM/miner $UPSTREAM/eth/catalyst
step "the same in parallel" go test -modfile=$modfile -tags parallel_default $UPSTREAM/miner $UPSTREAM/eth/catalyst
cat $work/report.md
exit $failed

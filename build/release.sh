#!/bin/sh
# Builds the release's binaries into build/release: one archive for each architecture (all
# of them, or those named) and SHA256SUMS. Flags, tags and dates are fixed, so that the same
# commit, Go and C compiler give the same bytes in any directory; release-check.sh tries it.
#
#   CGO=0          without C: no cross compiler needed, but signatures are recovered in Go
#   STATIC=0       linked with the machine's C library instead of on its own
#   COMMIT, DATE   what the binary says where there is no git history: hash, and YYYYMMDD
#   OUT            another directory than build/release
. "$(dirname "$0")/lib.sh"

: "${CGO:=1}" "${STATIC:=1}" "${OUT:=build/release}"
for name in CGO STATIC; do
	eval "value=\$$name"
	case $value in
	0 | 1) ;;
	*) die "$name is '$value', allowed are 0 and 1" ;;
	esac
done
case ${DATE:-} in
'' | [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) ;;
*) die "DATE is '$DATE', allowed is YYYYMMDD" ;;
esac
[ $# -gt 0 ] || set -- amd64 arm64

# compiler ARCH: the C compiler for it.
compiler() {
	if [ "$1" = "$(go env GOHOSTARCH)" ]; then
		echo "${CC:-gcc}"
		return
	fi
	case $1 in
	amd64) echo x86_64-linux-gnu-gcc ;;
	arm64) echo aarch64-linux-gnu-gcc ;;
	esac
}

for arch in "$@"; do
	case $arch in
	amd64 | arm64) ;;
	*) die "the architecture is '$arch', allowed are amd64 and arm64" ;;
	esac
	if [ $CGO = 1 ] && ! command -v "$(compiler "$arch")" >/dev/null; then
		die "there is no $(compiler "$arch") to build for $arch with: install it (Debian: gcc-$(compiler "$arch" | sed 's/-gcc$//; s/_/-/') and libc6-dev-$arch-cross), or set CGO=0"
	fi
done

build/tree.sh
mkdir -p "$OUT"
rm -rf "$OUT"/op-geth-* "$OUT/SHA256SUMS"

# As op-geth's own build (build/ci.go): no build ids, an 8 MB stack, no references to
# temporary files of the C compiler.
tags=urfave_cli_no_docs
ext=-Wl,-z,stack-size=0x800000,--build-id=none,--strip-all
if [ $CGO = 1 ]; then tags=$tags,ckzg; fi
if [ $STATIC = 1 ]; then
	tags=$tags,osusergo,netgo
	ext="$ext -static"
fi
ldflags="-buildid= $(build/version.sh)"
tool_ldflags="-buildid= -s -w"
if [ $CGO = 1 ]; then
	ldflags="$ldflags -extldflags '$ext'"
	tool_ldflags="$tool_ldflags -extldflags '$ext'"
fi

version=$(pinned_version)-parallel.$(sed -n 's/^const Version = "\(.*\)"$/\1/p' params/version.go)
for arch in "$@"; do
	name=op-geth-$version-linux-$arch
	mkdir -p "$OUT/$name"
	say "building $name"
	env -u GOEXPERIMENT GOFLAGS= GOOS=linux GOARCH="$arch" GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=$CGO CC="$(compiler "$arch")" \
		CGO_CFLAGS='-O2 -g' CGO_CXXFLAGS='-O2 -g' CGO_LDFLAGS='-O2 -g' \
		go build -modfile=$MODFILE -trimpath -buildvcs=false -tags "$tags" -ldflags "$ldflags" -o "$OUT/$name/geth" $UPSTREAM/cmd/geth
	# What docs/operations.md sends operators to, beside geth.
	for tool in explain replay; do
		env -u GOEXPERIMENT GOFLAGS= GOOS=linux GOARCH="$arch" GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=$CGO CC="$(compiler "$arch")" \
			CGO_CFLAGS='-O2 -g' CGO_CXXFLAGS='-O2 -g' CGO_LDFLAGS='-O2 -g' \
			go build -trimpath -buildvcs=false -tags "$tags" -ldflags "$tool_ldflags" -o "$OUT/$name/$tool" ./cmd/$tool
	done
	cp COPYING COPYING.LESSER README.md "$OUT/$name"
	tar -C "$OUT" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go=rX -cf - "$name" | gzip -9n >"$OUT/$name.tar.gz"
done
(cd "$OUT" && sha256sum -- *.tar.gz */geth */explain */replay) >"$OUT/SHA256SUMS"
cat "$OUT/SHA256SUMS"

# geth with parallel block building, in the image that op-geth's own Dockerfile makes: same
# binary path, entry point and ports, so that it takes its place without other changes.
#
#   docker build --build-arg COMMIT=$(git rev-parse HEAD) --build-arg DATE=$(git log -1 --format=%cd --date=format:%Y%m%d) -t op-geth-parallel .
#
# Both may be left out where the build context holds .git, as a plain clone does.
ARG COMMIT=""
ARG DATE=""
ARG VERSION=""
ARG BUILDNUM=""

FROM golang:1.26-alpine AS builder
ARG COMMIT
ARG DATE
ARG TARGETARCH
# The C compiler is for the signature and KZG libraries, git and make lay op-geth out and
# patch it, tar (GNU's) packs in a fixed order.
RUN apk add --no-cache gcc git linux-headers make musl-dev tar
WORKDIR /src
# Dependencies first: this layer stays as long as go.mod and go.sum do.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN COMMIT="$COMMIT" DATE="$DATE" OUT=/out build/release.sh "${TARGETARCH:-$(go env GOARCH)}" \
	&& mv /out/*/geth /out/*/explain /out/*/replay /usr/local/bin/ \
	&& geth version

FROM alpine:3.22
RUN apk add --no-cache ca-certificates wget
COPY --from=builder /usr/local/bin/geth /usr/local/bin/explain /usr/local/bin/replay /usr/local/bin/
COPY COPYING COPYING.LESSER /usr/share/licenses/op-geth-parallel/
EXPOSE 8545 8546 30303 30303/udp
ENTRYPOINT ["geth"]

ARG COMMIT
ARG VERSION
ARG BUILDNUM
LABEL commit="$COMMIT" version="$VERSION" buildnum="$BUILDNUM"

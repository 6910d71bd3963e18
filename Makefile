# One target a job; 'make help' lists them. The scripts in build/ do what needs more than a
# line, and everything they and the compiler make lies under build/ too, ignored by git.

.DELETE_ON_ERROR:
.DEFAULT_GOAL := geth
MAKEFLAGS += --no-print-directory

UPSTREAM := github.com/ethereum/go-ethereum
GO       := go
PATCHED  := -modfile=build/patched.mod

# The packages of op-geth that a patch touches, and those whose tests must stay green.
HOOKED          := $(addprefix $(UPSTREAM)/,miner eth eth/ethconfig internal/web3ext cmd/utils cmd/geth)
UPSTREAM_SUITES := $(addprefix $(UPSTREAM)/,miner eth eth/catalyst eth/ethconfig core core/state core/vm internal/ethapi cmd/geth)

# Those that build blocks: they run once more with parallel building as the default.
PARALLEL_SUITES := $(addprefix $(UPSTREAM)/,miner eth/catalyst)

# What our own packages run under the race detector.
RACED := ./core/... ./miner/... ./params/... ./internal/buildtest

# The linters, pinned. They come through the module proxy, like every dependency.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# How long 'make soak' goes on.
DURATION ?= 10m

# Version: op-geth's release, and ours as its metadata.
VERSION_FLAGS = $(shell build/version.sh)

.PHONY: help tree patches upgrade forkdiff geth geth-upstream devnet \
	test golangci conformance soak replay bench explain simulate unit race differential e2e test-upstream vet lint clean clean-tree
.PHONY: upgrade-try release release-check
.PHONY: optimism e2e-opnode

#? help: list the targets
help:
	@sed -n 's/^#? //p' Makefile

#? geth: build the patched op-geth as build/bin/geth (the default)
geth: tree
	$(GO) build $(PATCHED) -ldflags "$(VERSION_FLAGS)" -o build/bin/geth $(UPSTREAM)/cmd/geth
	@build/bin/geth version | sed -n 2p

#? geth-upstream: build op-geth as it is, build/upstream/geth, to compare with
geth-upstream:
	$(GO) build -o build/upstream/geth $(UPSTREAM)/cmd/geth

#? optimism: build op-node and op-batcher, of the release that e2e/opstack/optimism pins, in build/opstack
optimism:
	@build/optimism.sh

#? devnet: build geth and run a local chain on it; ARGS="…" are the flags of cmd/devnet; STACK=opnode: on the real OP Stack
devnet: geth $(if $(filter opnode,$(STACK)),geth-upstream optimism)
	$(GO) build -o build/bin/devnet ./cmd/devnet
	@exec build/bin/devnet -geth build/bin/geth $(if $(filter opnode,$(STACK)),-stack) $(ARGS)

#? tree: lay op-geth out in build/op-geth and apply the patches
tree:
	@build/tree.sh

#? patches: export the commits of build/op-geth as patches/
patches: tree
	@build/patches.sh

#? upgrade: replay the patches on another op-geth release: make upgrade VERSION=v1.101702.3
upgrade:
	@build/upgrade.sh $(VERSION)

#? forkdiff: the whole difference to op-geth, by intent, as a page: build/forkdiff.html
forkdiff: tree
	@build/forkdiff.sh --size
	@$(GO) run ./cmd/forkdiff $(ARGS)

#? upgrade-try: build and test what 'make upgrade' has made, without moving the project
upgrade-try:
	@build/upgrade-try.sh $(VERSION)

#? release: linux binaries with checksums in build/release; ARCH="amd64 arm64" chooses
release:
	@build/release.sh $(ARCH)

#? release-check: build the release twice, in different directories, and compare the bytes
release-check:
	@build/release-check.sh $(ARCH)

#? test: everything below, as CI runs it
test: vet lint unit race differential e2e test-upstream
	@build/step.sh "all tests passed"

#? vet: go vet, on our packages and on the patched ones of op-geth
vet: tree
	@build/step.sh vet
	$(GO) vet ./...
	$(GO) vet $(PATCHED) -tags patched ./... $(HOOKED)

#? lint: gofmt and staticcheck
lint: tree
	@build/step.sh lint
	@build/gofmt.sh
	GOBIN=$(CURDIR)/build/bin $(GO) install $(STATICCHECK)
	build/bin/staticcheck ./...

#? golangci: golangci-lint, on our packages; no part of 'make test', for it takes minutes to build
golangci:
	GOBIN=$(CURDIR)/build/bin $(GO) install $(GOLANGCI)
	build/bin/golangci-lint run ./...

#? unit: our tests, against op-geth as it is
unit:
	@build/step.sh "unit tests, unpatched op-geth"
	$(GO) test ./...

#? race: our engine and builder under the race detector
race:
	@build/step.sh "race detector"
	$(GO) test -race -short $(RACED)

#? differential: parallel against sequential building, on the patched tree
differential: tree
	@build/step.sh "differential tests, patched op-geth"
	$(GO) test $(PATCHED) -tags patched ./core/state ./miner/... ./internal/...

#? e2e: end-to-end tests of the built binary, compared with the unpatched one
e2e: geth geth-upstream
	@build/step.sh "end-to-end tests of the binary"
	$(GO) build -o build/bin/explain ./cmd/explain
	GETH=$(CURDIR)/build/bin/geth GETH_UPSTREAM=$(CURDIR)/build/upstream/geth EXPLAIN=$(CURDIR)/build/bin/explain \
		$(GO) test -count=1 -p 1 ./cmd/geth ./cmd/devnet ./internal/engineapi ./deploy ./e2e/opstack/stack

#? e2e-opnode: the real OP Stack on the built binary, with crashes, compared with a follower; 15 minutes; ARGS="…" are the flags of e2e/opstack
e2e-opnode: geth geth-upstream optimism
	$(GO) build -o build/bin/opstack ./e2e/opstack
	@exec build/bin/opstack $(ARGS)

#? test-upstream: op-geth's own tests of what the patches touch, sequential and parallel
test-upstream: tree
	@build/step.sh "upstream's tests, patched op-geth"
	$(GO) test $(PATCHED) $(UPSTREAM_SUITES)
	@build/step.sh "upstream's tests, with parallel building as the default"
	$(GO) test $(PATCHED) -tags parallel_default $(PARALLEL_SUITES)

#? conformance: other people's test data: make conformance TESTS=DIR BLOCKS=DIR (either may be left out)
conformance:
	$(GO) build -o build/bin/conformance ./cmd/conformance
	@exec build/bin/conformance $(if $(TESTS),-tests "$(TESTS)") $(if $(BLOCKS),-blocks "$(BLOCKS)") $(ARGS)

#? replay: a block that --miner.parallel-verify has written down, again: make replay DUMP=FILE
replay:
	$(GO) build -o build/bin/replay ./cmd/replay
	@exec build/bin/replay $(ARGS) "$(DUMP)"

#? soak: random input for long: make soak DURATION=1h; ARGS="…" are the flags of cmd/soak, RACE=1 has the race detector watch
soak: tree
	@mkdir -p build/soak/bin
	$(GO) test $(if $(RACE),-race) -c -fuzz=. -o build/soak/bin/blockstm.test ./core/blockstm
	$(GO) test $(if $(RACE),-race) -c -o build/soak/bin/state.test ./core/state
	$(GO) test $(if $(RACE),-race) -c -o build/soak/bin/trie.test ./core/trie
	$(GO) test $(if $(RACE),-race) -c -o build/soak/bin/miner.test ./miner
	$(GO) build $(PATCHED) -tags patched $(if $(RACE),-race) -o build/bin/soak ./cmd/soak
	@exec build/bin/soak -duration $(DURATION) $(ARGS)

#? bench: compare sequential with parallel building; ARGS="…" are the flags of cmd/blockbench
bench: tree
	$(GO) build $(PATCHED) -tags patched -o build/bin/blockbench ./cmd/blockbench
	@exec build/bin/blockbench $(ARGS)

#? explain: say what keeps a block from being filled faster; ARGS="…" are the flags of cmd/explain
explain:
	$(GO) build -o build/bin/explain ./cmd/explain
	@exec build/bin/explain $(ARGS)

#? simulate: the builder's scheduler with 1 to 64 workers in virtual time, checked against real runs
simulate:
	$(GO) build -o build/bin/explain ./cmd/explain
	@exec build/bin/explain -txs 5000 -workloads transfers,erc20,swaps-zipf,one-pool,storage,base -check 1,2 -rounds 11 -quiet 20s $(ARGS)

#? clean: remove what was built, but not unexported work in build/op-geth
clean:
	rm -rf build/bin build/upstream build/devnet build/opstack build/patched.mod build/patched.sum

#? clean-tree: remove build/op-geth, with any work in it that is not exported
clean-tree:
	rm -rf build/op-geth build/op-geth.stamp


// Package geth holds the end-to-end tests of the patched binary, build/bin/geth.
//
// op-geth's command is a main package, so what this project adds to it, a flag, a
// setting and an RPC method, is carried by patches/; the settings themselves are in
// package params. The tests here run the built binary as its users do, and beside it
// op-geth's own as the pinned release has it, which every difference is measured against.
// 'make e2e' builds both and says where they are in GETH and GETH_UPSTREAM; without these
// the tests skip.
package geth

// Package trie computes what the root of a Merkle Patricia trie becomes by a batch of
// changes.
//
// op-geth's trie is a tree of nodes in memory: a change resolves the nodes on its path,
// replaces them, and the root is hashed at the end. That serves whoever commits the trie.
// A block builder does not: it wants one hash, and throws the rest away. So here the
// batch of changes, sorted by key, goes down through the encoded nodes once. A node is
// read when the first of its changes arrives, its children are dealt with one after the
// other, and it is encoded and hashed again on the way up. Nothing of it stays in memory,
// and since what is below one child has nothing to do with what is below another, the
// children of the upper nodes are dealt with in parallel.
//
// The shape of a trie follows from its content alone, which is what makes the result the
// same as that of any other order of the same changes:
//
//  1. A branch has at least two children. One that is left with a single child gives way
//     to it, which gets longer by a nibble.
//  2. An extension leads to a branch, never to another extension or a leaf.
//  3. A node whose encoding is shorter than a hash stands in its parent itself.
//
// All keys are 32 bytes long, as they are in the account trie and the storage tries of
// Ethereum. Hence no key is a prefix of another one, and branches have no values. A
// stored node that says otherwise is an error, as is one that cannot be read: the caller
// has to fall back on something else.
//
// The format of the nodes is that of the Yellow Paper, appendix D.
package trie

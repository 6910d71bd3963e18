package trie

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/triedb/database"
)

// Walk reads the nodes on the way from a root to a key, for those who come after it to find
// them in the database's cache. It returns the reader's errors, and ErrMalformed.
func Walk(reader database.NodeReader, owner, root, key common.Hash) error {
	if root == (common.Hash{}) || root == types.EmptyRootHash {
		return nil
	}
	u := updater{reader: reader, owner: owner}
	at := hashRef(root)
	for depth := 0; ; {
		var it items
		if err := u.resolve(&it, &at, depth); err != nil {
			return err
		}
		if it.count == branchItems {
			n := nibble(&key, depth)
			if err := it.child(int(n), &at); err != nil || at.length == 0 {
				return err
			}
			u.descend(depth, n)
			depth++
			continue
		}
		end, along, child, err := it.along(&key, depth, &u.path)
		if err != nil || !along || end == keyNibbles {
			return err
		}
		for ; depth < end; depth++ {
			u.descend(depth, nibble(&key, depth))
		}
		at = child
	}
}

// along reads a node of two items that begins at a depth, under the given nibbles: where
// it ends, whether the key leads there, and for an extension what comes next.
func (it *items) along(key *common.Hash, depth int, path *common.Hash) (end int, along bool, child ref, err error) {
	to, end, _, child, err := it.short(depth, path)
	if err != nil {
		return 0, false, child, err
	}
	for d := depth; d < end; d++ {
		if nibble(&to, d) != nibble(key, d) {
			return end, false, child, nil
		}
	}
	return end, true, child, nil
}

package trie

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/triedb/database"
	"golang.org/x/sync/errgroup"
)

const (
	// forkMin is the number of changes below a branch from which it pays to deal with its
	// children in parallel.
	forkMin = 64

	// manyCPUs is the number of CPUs from which on the 16 children of the topmost branch
	// are too few to keep them busy.
	manyCPUs = 8
)

// Root returns the root of the trie of an owner (the hash of an account's address, zero
// for the account trie) after the changes to the trie that has the given root, zero or
// types.EmptyRootHash if that is empty. If a key
// changes twice the last change counts. The changes are brought into another order; their
// values are not modified.
//
// It returns the reader's errors, and ErrMalformed. The reader must be safe for
// concurrent use.
func Root(reader database.NodeReader, owner, root common.Hash, changes []Change) (common.Hash, error) {
	changes, err := sorted(changes)
	if err != nil {
		return common.Hash{}, err
	}
	if root == (common.Hash{}) {
		root = types.EmptyRootHash
	}
	if len(changes) == 0 {
		return root, nil
	}
	u := newUpdater(reader, owner)
	switch cpus := runtime.GOMAXPROCS(0); {
	case cpus >= manyCPUs:
		u.forks = 2
	case cpus > 1:
		u.forks = 1
	}
	var top ref
	if root != types.EmptyRootHash {
		top = hashRef(root)
	}
	n, err := u.update(&top, 0, changes)
	if err != nil {
		return common.Hash{}, err
	}
	if n.kind == none {
		return types.EmptyRootHash, nil
	}
	return u.root(&n), nil
}

// ErrPanic is returned (wrapped, with the stack) for a panic, which nobody expects.
var ErrPanic = errors.New("panic in hashing a trie")

// Guard calls f, and returns a panic as an error: in a goroutine of ours it would end the
// node.
func Guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, r, debug.Stack())
		}
	}()
	return f()
}

// sorted returns the changes by key, one each.
func sorted(changes []Change) ([]Change, error) {
	for i := range changes {
		changes[i].order = i
	}
	if len(changes) < forkMin {
		slices.SortFunc(changes, byKey)
	} else if err := sortInParallel(changes); err != nil {
		return nil, err
	}
	kept := changes[:0]
	for i := range changes {
		if i+1 == len(changes) || changes[i].Key != changes[i+1].Key {
			kept = append(kept, changes[i])
		}
	}
	return kept, nil
}

func byKey(a, b Change) int {
	if c := a.Key.Cmp(b.Key); c != 0 {
		return c
	}
	return cmp.Compare(a.order, b.order)
}

// sortInParallel sorts the changes: first by a key's first nibble, and then those that
// share it, side by side.
func sortInParallel(changes []Change) error {
	var starts [17]int
	for i := range changes {
		starts[nibble(&changes[i].Key, 0)+1]++
	}
	for n := 1; n < len(starts); n++ {
		starts[n] += starts[n-1]
	}
	unsorted := slices.Clone(changes)
	next := starts
	for i := range unsorted {
		n := nibble(&unsorted[i].Key, 0)
		changes[next[n]] = unsorted[i]
		next[n]++
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for n := range 16 {
		group.Go(func() error {
			slices.SortFunc(changes[starts[n]:starts[n+1]], byKey)
			return nil
		})
	}
	return group.Wait()
}

// updateInParallel brings the changes to the children of a branch at a depth.
func (u *updater) updateInParallel(children *family, depth int, changes []Change) error {
	type task struct {
		nibble  byte
		changes []Change
		at      ref
		kid     node
	}
	var tasks []task
	for len(changes) > 0 {
		n, count := group(changes, depth)
		tasks = append(tasks, task{nibble: n, changes: changes[:count], at: children.refs[n]})
		changes = changes[count:]
	}
	var group errgroup.Group
	for i := range tasks {
		t := &tasks[i]
		group.Go(func() error {
			return Guard(func() (err error) {
				v := newUpdater(u.reader, u.owner)
				v.path, v.loose, v.forks = u.path, u.loose, u.forks
				v.descend(depth, t.nibble)
				t.kid, err = v.update(&t.at, depth+1, t.changes)
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range tasks {
		u.adopt(children, tasks[i].nibble, &tasks[i].kid, depth)
	}
	return nil
}

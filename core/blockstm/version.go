package blockstm

import "fmt"

// TxIndex is a transaction's position in the stream. It is its place in the order, not
// in the block: dropped transactions have one too.
type TxIndex int32

// NoTx is the index of no transaction. As the writer of a value it stands for the
// committed state.
const NoTx TxIndex = -1

// Incarnation numbers the executions of one transaction, from 0.
type Incarnation uint32

// Version names one execution of one transaction.
type Version struct {
	Tx          TxIndex
	Incarnation Incarnation
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Tx, v.Incarnation) }

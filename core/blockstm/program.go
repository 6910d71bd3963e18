package blockstm

// Program is what the scheduler runs. The scheduler promises:
//
//   - Next is called by one goroutine at a time, with 0, 1, 2, ...
//   - between them, Execute, Validate and Abort of one transaction are never called at
//     the same time, and neither while it is committed;
//   - Commit is called by one goroutine at a time, in index order.
//
// Everything else may happen at the same time.
type Program interface {
	// Next draws the next transaction of the stream and tells which lower one it is
	// known to depend on (NoTx: none known); it is not started before that one was
	// executed. more is false at the stream's end.
	Next(tx TxIndex) (after TxIndex, more bool)

	// Execute runs an incarnation on a worker's own resources and publishes its writes
	// to the registers. settled promises that every lower transaction is committed and
	// that nothing commits before it returns.
	Execute(worker int, version Version, settled bool) Execution

	// Validate reports whether the last incarnation of tx captured only values that it
	// would see again. With everything below tx committed the answer is exact.
	Validate(tx TxIndex) bool

	// Abort marks what the last incarnation of tx wrote as estimates.
	Abort(tx TxIndex)

	// Commit decides about tx, whose last incarnation is valid, everything below being
	// committed, and applies it for good or withdraws what it wrote. It returns false to
	// end the run before tx.
	Commit(tx TxIndex) (more bool, err error)

	// Cancel makes running executions return soon, and later ones at once. It may be
	// called at any time, more than once.
	Cancel()
}

// Execution is how an incarnation ended.
type Execution struct {
	// Blocked is the lower transaction whose estimate was read: the incarnation means
	// nothing, and there is another after that transaction was executed. NoTx: none.
	Blocked TxIndex

	// Readers is the highest later transaction that may have read something that this
	// incarnation changed. NoTx: none.
	Readers TxIndex

	// Err is a failure of the machinery, not of the transaction. It ends the run.
	Err error
}

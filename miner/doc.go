// Package miner fills a block with transactions from the pool, in parallel. It takes the
// place of op-geth's commitTransactions and ends in the same block, bit for bit.
//
// A builder differs from a replayer in that it filters a priority list while it runs:
// which transactions are in the block is known only at the end. What keeps that from
// serialising everything:
//
//   - Candidates are drawn ahead as if each succeeded (Stream). op-geth's list answers
//     success with Shift and failure with Pop, and a Pop leaves the order of all other
//     accounts as it is: so a failure only removes later candidates of one sender, drawn
//     or not.
//   - Whether a transaction is admitted is decided at its ordered commit and nowhere else
//     (Admission). Gas left, DA bytes, blobs, block size are plain numbers there, not
//     registers that every transaction would depend on.
//   - What a commit leaves to do is small: a few numbers, log indexes, the writes
//     (Ledger). Receipts and blooms are made by the workers.
//
// # The checks, beside upstream's
//
// In the order of op-geth's commitTransactions, v1.101702.3, miner/worker.go. "ends" ends
// the run, "account" leaves out the candidate and the rest of its account, "one" only the
// candidate.
//
//	interrupt fired                                   ends      run.Commit
//	gas left < 21000                                  ends      admission.full
//	Jovian: DA footprint left < that of 100 bytes     ends      admission.full
//	blobs used up                                     blob list admission.fits
//	list is empty                                     ends      stream.next
//	gas left < transaction's limit                    account   admission.fits
//	Cancun: blobs left < transaction's                account   admission.fits
//	Jovian: DA footprint left < transaction's         account   admission.fits
//	DA bytes would exceed MaxDABlockSize              ends      admission.fits (1)
//	transaction evicted from the pool                 account   admission.fits
//	block size would exceed its bound                 ends      admission.fits
//	replay-protected before EIP-155                   account   admission.fits
//	interop transaction while in failsafe             account   admission.precheck, marked rejected
//	blob transaction: blobs over the maximum          account   admission.precheck
//	conditional fails on header or state              account   admission.precheck, marked rejected
//	nonce too low                                     one       admission.failed
//	any other error of the state transition           account   admission.failed
//
// (1) Upstream means to end only when less than 100 bytes are left, but computes what is
// left after the transaction that did not fit, which is always negative.
//
// # Safety boundary
//
// The block is changed by the ordered commit only, one transaction at a time and each
// completely. Whatever goes wrong elsewhere ends the run with a Fallback: the block then
// holds a correct prefix, and what is left of the lists is handed back.
package miner

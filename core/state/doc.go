// Package state runs the EVM on multi-version memory: it is the state.StateDB that a
// speculative transaction sees.
//
// The data flow of one block:
//
//	state.Reader (parent state)            state.StateDB (the block's), for what it holds
//	        |  read once, shared                 ^  applied in batches, in order
//	        v                                    |
//	      Base: Accounts and Slots <--commit-- Ledger     Tries: final values from the
//	        |   (blockstm registers)             ^           registers, and what the StateDB has
//	        v                                    |
//	      View (vm.StateDB, one per worker) -> Footprint (reads and writes of an incarnation)
//
// Registers are as fine as the fields that the EVM can tell apart: nonce, code (hash and
// bytes together), balance, each storage slot. Two things make ordinary transactions
// conflict-free that touch the same accounts:
//
//   - Balances are sums. A credit or a debit is an addition to it and reads nothing. Fee
//     recipients are no special case.
//   - A read is recorded as what was decided by it. "Is there enough?" is kept as a bound
//     on the balance, "does it exist?" as the answer, and only BALANCE as the amount.
//
// # Existence
//
// The rules of EIP-161 hold (Fill falls back for older ones), so an account exists, at
// the start of a transaction, if and only if it is not empty. The exception are accounts
// that the parent state holds although they are empty; such a lingering account exists
// until something touches it, and only for these is existence a register. Accounts with
// storage but neither code nor nonce count among them: emptied, they leave it behind.
//
// # Safety boundary
//
// A View never writes to anything shared: it only reads registers and the base. What an
// incarnation did becomes visible by Footprint.Publish, and final by Ledger.Commit, which
// the ordered commit calls. The block's StateDB is touched by the Ledger alone, and read,
// under a lock, for the accounts that it had already touched before the parallel part
// began (Base.Attach): those may differ from the parent state.
package state

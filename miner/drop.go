package miner

// DropReason is why a candidate was left out of a block.
type DropReason uint8

// The reasons, in the order in which they are checked.
const (
	DropAccount     DropReason = iota // an earlier transaction of its sender was left out
	DropBlobs                         // no blob space left
	DropGas                           // not enough gas left
	DropFootprint                     // not enough DA footprint left
	DropEvicted                       // gone from the pool
	DropUnprotected                   // replay-protected before EIP-155
	DropInterop                       // interop supervisor in failsafe
	DropConditional                   // its conditional failed
	DropNonce                         // nonce too low
	DropInvalid                       // any other error of the state transition
	dropReasons                       // how many there are
)

// String returns the reason's name, as metrics and RPC have it.
func (r DropReason) String() string {
	switch r {
	case DropAccount:
		return "account"
	case DropBlobs:
		return "blobs"
	case DropGas:
		return "gas"
	case DropFootprint:
		return "footprint"
	case DropEvicted:
		return "evicted"
	case DropUnprotected:
		return "unprotected"
	case DropInterop:
		return "interop"
	case DropConditional:
		return "conditional"
	case DropNonce:
		return "nonce"
	default:
		return "invalid"
	}
}

// Drops counts candidates left out, by reason.
type Drops [dropReasons]int

// ByReason returns the counts that are not zero, by the reasons' names.
func (d *Drops) ByReason() map[string]int {
	counts := make(map[string]int)
	for reason, n := range d {
		if n > 0 {
			counts[DropReason(reason).String()] = n
		}
	}
	return counts
}

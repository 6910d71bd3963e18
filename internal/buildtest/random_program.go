package buildtest

import (
	"fmt"
	"strings"
)

// program returns n statements, each of which leaves the stack as it was, so that any of
// them can be taken out.
func (r *planMaker) program(n int) []string {
	r.labels = 0
	var list []string
	for len(list) < n {
		if s := strings.TrimSpace(r.statement()); s != "" {
			list = append(list, s)
		}
	}
	return list
}

func (r *planMaker) label() int {
	r.labels++
	return r.labels
}

// slot returns one of the few slots that programs share.
func (r *planMaker) slot() int { return r.rng.Intn(6) }

// statement returns one statement, or nothing where the rules don't have it.
func (r *planMaker) statement() string {
	kinds := []func() string{r.move, r.look, r.call, r.make, r.fail, r.odds}
	return pick(r.rng, []func() string{kinds[0], kinds[0], kinds[1], kinds[2], kinds[2], kinds[3], kinds[4], kinds[5]})() + " "
}

// move changes storage by what is there.
func (r *planMaker) move() string {
	slot := r.slot
	switch r.rng.Intn(7) {
	case 0, 1:
		return fmt.Sprintf("%d sload %d add %d sstore", slot(), r.rng.Intn(3), slot())
	case 2:
		return "0 calldataload 7 and sload caller sstore"
	case 3: // only if storage says so
		l := r.label()
		return fmt.Sprintf("%d sload 1 and @skip%d jumpi %d sload 1 add %d sstore skip%d:", slot(), l, slot(), slot(), l)
	case 4:
		return "caller sload 1 add caller sstore"
	case 5: // clears a slot, for a refund, or sets it again
		return fmt.Sprintf("%d sload iszero %d sstore", slot(), slot())
	default: // the slot depends on another
		return fmt.Sprintf("%d sload 7 and dup1 sload 1 add swap1 sstore", slot())
	}
}

// look stores what can be seen of an account.
func (r *planMaker) look() string {
	who, slot := r.anyone(), r.slot()
	if r.one(4) { // one that is in storage: created by this program, perhaps
		return fmt.Sprintf("%d sload %s %d sstore", r.slot(), pick(r.rng, r.looks()), slot)
	}
	if r.one(6) {
		return fmt.Sprintf("32 0 64 $%s extcodecopy 64 mload 255 and %d sstore", who, slot)
	}
	return fmt.Sprintf("$%s %s %d sstore", who, pick(r.rng, r.looks()), slot)
}

func (r *planMaker) looks() []string {
	list := []string{"balance", "extcodesize", "balance address balance add", "balance coinbase balance add"}
	if r.world.after("Constantinople") {
		list = append(list, "extcodehash")
	}
	if r.world.after("Istanbul") {
		list = append(list, "balance selfbalance add")
	}
	return list
}

// call calls somebody, one way or another.
func (r *planMaker) call() string {
	who, slot := r.anyone(), r.slot()
	gas := 30_000 + r.rng.Intn(60_000)
	switch r.rng.Intn(10) {
	case 0, 1, 2:
		return fmt.Sprintf("$%s 0 mstore 0 0 64 0 %d $%s %d call %d sstore", r.anyone(), r.rng.Intn(3), who, gas, slot)
	case 3:
		return fmt.Sprintf("0 0 32 0 $%s 50000 delegatecall pop", who)
	case 4:
		return fmt.Sprintf("0 0 32 0 0 $%s 50000 callcode pop", who)
	case 5:
		return fmt.Sprintf("32 0 32 0 $%s 50000 staticcall 0 mload add %d sstore", who, slot)
	case 6: // whoever is in storage
		return fmt.Sprintf("0 0 64 0 %d %d sload 50000 call %d sstore", r.rng.Intn(2), r.slot(), slot)
	case 7: // runs out of gas below
		return fmt.Sprintf("0 0 64 0 0 $%s %d call %d sstore", who, r.rng.Intn(3000), slot)
	case 8: // all value, all gas
		return fmt.Sprintf("0 0 32 0 callvalue $%s gas call returndatasize add %d sstore", who, slot)
	default: // half of all it has
		return fmt.Sprintf("0 0 0 0 2 address balance div $%s %d call pop", who, gas)
	}
}

// make creates a contract.
func (r *planMaker) make() string {
	init := pick(r.rng, []string{
		"init()",
		"init(0 sload 1 add 0 sstore)",
		"init(0 0 revert)",
		"init(caller selfdestruct)",
		"init(7 0 sstore 0 0 0 0 0 caller 30000 call)",
		"init(invalid)",
		"deploy(0 sload 1 add 0 sstore)",
		"deploy(caller selfdestruct)",
		"deploy(0 sload 1 add dup1 0 sstore 3 and @k jumpi caller selfdestruct k:)",
		"deploy(callvalue 1 sstore 0 0 revert)",
		"deploy(0 0 0 0 callvalue caller gas call)",
	})
	value, slot := r.rng.Intn(2), r.slot()
	out := fmt.Sprintf("%s 0 mstore 32 0 %d create", init, value)
	if r.world.after("Constantinople") && r.one(2) {
		out = fmt.Sprintf("%s 0 mstore %d 32 0 %d create2", init, r.rng.Intn(3), value)
	}
	switch r.rng.Intn(3) {
	case 0: // called at once
		return fmt.Sprintf("%s %d sstore 0 0 0 0 0 %d sload 50000 call pop", out, slot, slot)
	default: // by others, perhaps
		return fmt.Sprintf("%s %d sstore", out, slot)
	}
}

// fail ends the call, or all the contract, if storage says so.
func (r *planMaker) fail() string {
	l := r.label()
	guard := func(what string, mask int) string {
		return fmt.Sprintf("%d sload %d and @go%d jumpi %s go%d:", r.slot(), mask, l, what, l)
	}
	mask := 7
	if !r.world.after("Cancun") { // where it is more than a transfer
		mask = 3
	}
	switch r.rng.Intn(8) {
	case 0, 1, 2:
		return guard("0 0 revert", 3)
	case 3:
		return guard("invalid", 7)
	case 4: // burns all the gas there is
		return guard(fmt.Sprintf("burn%d: @burn%d jump", l, l), 7)
	case 5:
		return guard(fmt.Sprintf("$%s selfdestruct", r.anyone()), mask)
	case 6:
		return guard("address selfdestruct", mask)
	default: // ends well
		return guard("0 0 return", 7)
	}
}

// odds are all the rest.
func (r *planMaker) odds() string {
	slot := r.slot()
	switch r.rng.Intn(8) {
	case 0:
		return fmt.Sprintf("%d sload 0 mstore 7 32 0 log1", slot)
	case 1:
		return fmt.Sprintf("gas 1000 swap1 div %d sstore", slot)
	case 2:
		if r.world.after("Cancun") {
			return fmt.Sprintf("%d tload 1 add dup1 %d tstore %d sstore", r.slot(), r.slot(), slot)
		}
		return fmt.Sprintf("1 number sub blockhash 255 and %d sstore", slot)
	case 3: // counts down by what storage says
		l := r.label()
		return fmt.Sprintf("%d sload 31 and 1 add loop%d: 1 swap1 sub dup1 @loop%d jumpi %d sstore", slot, l, l, r.slot())
	case 4: // the identity precompile
		return fmt.Sprintf("%d sload 0 mstore 32 32 32 0 4 5000 staticcall 32 mload add %d sstore", slot, r.slot())
	case 5:
		return fmt.Sprintf("%d sload 0 mstore 32 0 keccak256 15 and %d sstore", slot, r.slot())
	case 6:
		return fmt.Sprintf("coinbase balance address balance add %d sstore", slot)
	default:
		return "0 calldataload 0 mstore caller origin 32 0 log2"
	}
}

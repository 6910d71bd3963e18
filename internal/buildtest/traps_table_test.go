package buildtest

import (
	"strings"
	"testing"
)

// trapLine is a phrase of the design with the traps, or the tests of their own, that
// hold it.
type trapLine struct {
	phrase string
	traps  []string
	tests  []func(*testing.T)
}

// trapSection is one paragraph of the design's list of traps, word for word, and its
// phrases in order.
type trapSection struct {
	title, text string
	lines       []trapLine
}

func by(phrase string, traps ...string) trapLine { return trapLine{phrase: phrase, traps: traps} }

func (l trapLine) and(tests ...func(*testing.T)) trapLine {
	l.tests = append(l.tests, tests...)
	return l
}

// trapTable maps every line of the design's section on traps to what tests it.
func trapTable() []trapSection {
	return []trapSection{
		{"Fees", `recipient (coinbase, each vault) is sender, receiver, callee, delegated account; coinbase equals a vault;
BALANCE/SELFBALANCE/EXTCODEHASH of it mid-block; vault withdraw() between payers; SELFDESTRUCT to or of it; its writes
cancel the fee exactly; zero tip or zero L1 fee touching an empty or absent recipient (EIP-158); first fee creates it;
a reader while a payer re-executes, changes gas or is dropped; warm coinbase (EIP-3651).`, []trapLine{
			by("recipient (coinbase, each vault) is sender", "coinbase-is-sender", "vault-is-sender"),
			by("receiver", "fee-recipient-is-receiver"),
			by("callee", "fee-recipient-is-callee"),
			by("delegated account", "fee-recipient-is-delegated"),
			by("coinbase equals a vault", "coinbase-equals-vault"),
			by("BALANCE/SELFBALANCE/EXTCODEHASH of it mid-block", "fee-recipient-is-looked-at"),
			by("vault withdraw() between payers", "vault-withdraws-between-payers"),
			by("SELFDESTRUCT to or of it", "selfdestruct-to-fee-recipient", "selfdestruct-of-fee-recipient"),
			by("its writes cancel the fee exactly", "writes-cancel-the-fee"),
			by("zero tip or zero L1 fee touching an empty or absent recipient (EIP-158)",
				"zero-tip-to-an-absent-coinbase", "zero-tip-to-an-empty-coinbase", "zero-rollup-fees-to-absent-and-empty-vaults"),
			by("first fee creates it", "first-fee-creates-the-recipient"),
			by("a reader while a payer re-executes, changes gas or is dropped", "reader-of-fees-while-a-payer-changes"),
			by("warm coinbase (EIP-3651)", "warm-coinbase"),
		}},
		{"Senders", `same-sender chains; nonce gap, low, high, max; funded or drained by an earlier transaction of the block (value,
call, 7702); the funder is later dropped; short only after L1 or operator fee; a speculative failure that becomes valid and
the reverse; EIP-3607 with code set in the block; a dropped transaction leaves nothing behind.`, []trapLine{
			by("same-sender chains", "same-sender-chains"),
			by("nonce gap", "nonce-gap"),
			by("low", "nonce-low"),
			by("high, max", "nonce-high-and-max"),
			by("funded or drained by an earlier transaction of the block (value, call, 7702)",
				"funded-by-value", "funded-by-call", "funded-and-drained-by-delegation", "drained-by-value-and-by-call"),
			by("the funder is later dropped", "funder-is-dropped-later"),
			by("short only after L1 or operator fee", "short-after-the-rollup-fees", "attributes-with-other-fees"),
			by("a speculative failure that becomes valid and the reverse", "speculation-fails-and-then-holds", "speculation-holds-and-then-fails"),
			by("EIP-3607 with code set in the block", "sender-with-code", "sender-loses-its-code-in-the-block", "sender-gets-a-delegation-in-the-block"),
			by("a dropped transaction leaves nothing behind", "dropped-leaves-nothing-behind", "dropped-authorisations-leave-nothing-behind",
				"dropped-at-admission-leaves-nothing-behind", "left-over-of-the-first-list-leaves-nothing-behind",
				"dropped-account-stays-dropped"),
		}},
		{"Existence, code, creation", `absent/empty/balance-only/nonce-only for EXTCODEHASH, new-account gas, Exist/Empty;
CREATE and CREATE2 collisions from two transactions (nonce, code, storage: EIP-7610); deploy, then call / EXTCODECOPY /
DELEGATECALL in the next; failed deploy; same code at two addresses.`, []trapLine{
			by("absent/empty/balance-only/nonce-only for EXTCODEHASH, new-account gas, Exist/Empty", "kinds-of-emptiness", "touched-empty-accounts-go-and-others-stay"),
			by("CREATE and CREATE2 collisions from two transactions (nonce, code, storage: EIP-7610)",
				"create2-collides", "create-collides-with-nonce-code-and-storage", "create-collides-after-the-creator-came-back"),
			by("deploy, then call / EXTCODECOPY / DELEGATECALL in the next", "deployed-code-is-there-for-the-next"),
			by("failed deploy", "failed-deploys-leave-no-code", "deploy-fails-on-an-old-state-only"),
			by("same code at two addresses", "same-code-at-two-addresses"),
		}},
		{"Selfdestruct", `create+destroy in one transaction (6780), ether arriving after; beneficiary is itself; pre-Cancun
destroy → transfer → CREATE2; SSTORE → destroy → recreate → SLOAD; reverted destroy; visible within, gone after.`, []trapLine{
			by("create+destroy in one transaction (6780)", "create-and-destroy-in-one-transaction"),
			by("ether arriving after", "ether-after-the-end", "create-and-destroy-in-one-transaction"),
			by("beneficiary is itself", "beneficiary-is-itself"),
			by("pre-Cancun destroy → transfer → CREATE2", "destroyed-paid-and-created-again"),
			by("SSTORE → destroy → recreate → SLOAD", "destroyed-paid-and-created-again", "slots-of-the-parent-state-end-with-their-account", "destroyed-twice"),
			by("reverted destroy", "reverted-destroy", "reverted-creation-and-destroy", "creation-survives-its-reverted-end"),
			by("visible within, gone after", "visible-within-and-gone-after"),
		}},
		{"EIP-7702", `delegate, re-delegate, clear across transactions; two transactions sharing an authority; authority is the sender
(+2 nonce) or a later sender; invalid authorisation; existing-authority refund; delegated account doing CREATE; target
deployed in the block; chained delegation, delegation to a precompile.`, []trapLine{
			by("delegate, re-delegate, clear across transactions", "delegate-redelegate-and-clear"),
			by("two transactions sharing an authority", "two-transactions-share-an-authority"),
			by("authority is the sender (+2 nonce) or a later sender", "authority-is-the-sender", "authority-is-a-later-sender"),
			by("invalid authorisation", "invalid-authorisations"),
			by("existing-authority refund", "existing-authority-refund"),
			by("delegated account doing CREATE", "delegated-account-creates"),
			by("target deployed in the block", "delegation-to-what-is-deployed-in-the-block"),
			by("chained delegation, delegation to a precompile", "chained-delegation-and-precompiles"),
		}},
		{"OP", `L1Block read after the attributes deposit; GasPriceOracle reads; deposits with mint, failed deposits; operator fee
(Isthmus), DA footprint (Jovian); L2ToL1MessagePasser and the withdrawals root; EIP-4788/2935 writes seen by all workers.`, []trapLine{
			by("L1Block read after the attributes deposit", "l1block-is-read-after-the-attributes", "fees-are-those-of-the-first-transaction"),
			by("GasPriceOracle reads", "gas-price-oracle-is-read"),
			by("deposits with mint, failed deposits", "deposits-with-mint-and-failing-ones"),
			by("operator fee (Isthmus)", "operator-fee"),
			by("DA footprint (Jovian)", "da-footprint"),
			by("L2ToL1MessagePasser and the withdrawals root", "message-passer-and-withdrawals-root"),
			by("EIP-4788/2935 writes seen by all workers", "beacon-root-and-parent-hash").and(TestAWorkerThatComesLateSeesTheBlockAsTheFirstDid),
		}},
		{"Isolation", `transient storage, access list, refunds, logs reset per incarnation; an infinite loop, out-of-gas or panic on
inconsistent speculative state is contained and retried; BLOCKHASH from several workers; stateful precompiles.`, []trapLine{
			by("transient storage", "transient-storage"),
			by("access list", "access-list"),
			by("refunds", "refunds"),
			by("logs reset per incarnation", "logs"),
			by("an infinite loop, out-of-gas or panic on inconsistent speculative state is contained and retried",
				"endless-loop-on-an-old-state", "out-of-gas-on-an-old-state").and(TestAFaultOfTheDatabaseEndsInTheSequentialBlock),
			by("BLOCKHASH from several workers").and(TestBlockHashesAreTheSameFromEveryWorker),
			by("stateful precompiles", "precompiles-and-their-balances", "touch-of-ripemd-outlives-its-revert"),
		}},
		{"Engine", `the write set shrinks, grows, or is rewritten equal on re-execution; interrupt in every phase; 0 or 1
transaction; more workers than transactions; all conflict; a database read error mid-speculation; fallback mid-block.`, []trapLine{
			by("the write set shrinks, grows, or is rewritten equal on re-execution", "write-set-shrinks", "write-set-grows", "write-set-is-rewritten-equal"),
			by("interrupt in every phase").and(TestAnInterruptAtEveryDecisionPointLeavesAPrefix),
			by("0 or 1 transaction", "no-transaction", "one-transaction"),
			by("more workers than transactions", "more-workers-than-transactions"),
			by("all conflict", "all-conflict"),
			by("a database read error mid-speculation").and(TestAFaultOfTheDatabaseEndsInTheSequentialBlock),
			by("fallback mid-block").and(TestAFaultOfTheDatabaseEndsInTheSequentialBlock),
		}},
	}
}

// lessonTable maps bugs that other parallel executors shipped to what would have caught
// them here.
func lessonTable() []trapLine {
	return []trapLine{
		by("bor: code and code hash read apart", "code-and-its-hash-are-one", "deployed-code-is-there-for-the-next"),
		by("bor: two authorisations of one authority not ordered", "two-transactions-share-an-authority", "two-authorisations-in-one-transaction"),
		by("bor: a nonce computed beforehand, wrong for delegated senders that CREATE", "delegated-account-creates"),
		by("bor: balance deltas survive SELFDESTRUCT", "selfdestruct-of-fee-recipient", "ether-after-the-end", "beneficiary-is-itself"),
		by("bor: logs paired with the wrong transaction", "logs"),
		by("bor: leaked goroutines").and(TestEveryTrapIsSprungAndTheBlockIsTheSequentialOne, TestAnInterruptAtEveryDecisionPointLeavesAPrefix),
		by("grevm: re-delegation loses storage", "delegate-redelegate-and-clear"),
		by("grevm: self-sponsored authorisation moves the nonce by two", "authority-is-the-sender"),
		by("grevm: selfdestruct, CREATE2 and a delegation together", "delegation-to-what-is-destroyed-and-created-again"),
		by("grevm: empty against absent accounts", "kinds-of-emptiness", "touched-empty-accounts-go-and-others-stay"),
		by("grevm: state access of precompiles", "precompiles-and-their-balances"),
		by("pevm: dead-lock on bad nonces", "nonce-gap", "nonce-low", "nonce-high-and-max"),
		by("pevm: read again after selfdestruct", "slots-of-the-parent-state-end-with-their-account", "destroyed-twice"),
		by("Sei: a fee counted twice when the transaction nets to zero", "writes-cancel-the-fee"),
		by("Sei: the coinbase is the sender", "coinbase-is-sender"),
		by("Sei: nonce and fee of failed transactions", "failed-transactions-pay-and-count"),
		by("Erigon: pointers of pooled objects escape").and(TestABuildDoesNotChangeWhatAnEarlierOneReturned),
		by("Erigon: nonce after revival", "create-collides-after-the-creator-came-back"),
		by("Erigon: the coinbase is the burn address", "coinbase-equals-vault"),
		by("Nethermind: a removed write is missed", "write-set-shrinks"),
		by("Nethermind: a marker aliases a slot", "storage-keys-at-the-edges"),
		by("Nethermind: fee recipients serialise every block", "plain-payers-do-not-meet-in-the-fees"),
		by("bnb-chain: journal of zero-value changes", "zero-value-calls-and-reverts"),
		by("bnb-chain: EIP-6780 and reverts", "reverted-creation-and-destroy"),
		by("bnb-chain: transient storage", "transient-storage"),
		by("seed: lost writes", "all-conflict"),
		by("seed: code deployed in the block not visible", "deployed-code-is-there-for-the-next", "delegation-to-what-is-deployed-in-the-block"),
		by("seed: a balance read sees the last change only", "lost-in-a-row"),
		by("seed: the coinbase as sender has two values under one key", "coinbase-is-sender"),
		by("seed: admission by gas used", "admission-by-the-limit-accounting-by-use"),
	}
}

func TestNoTrapOfTheDesignIsMissing(t *testing.T) {
	sprung, used := make(map[string]bool), make(map[string]bool)
	for _, trap := range Traps() {
		if sprung[trap.Name] {
			t.Errorf("there are two traps %q", trap.Name)
		}
		sprung[trap.Name] = true
		for _, rules := range trap.Rules {
			s, err := trap.Spring(rules, caseSeed())
			if err != nil {
				t.Errorf("%s: %v", trap.Name, err)
			} else if len(s.checks) == 0 && !s.Orderly {
				t.Errorf("%s under %s states nothing that its block must show", trap.Name, rules)
			}
		}
	}
	held := func(l trapLine) {
		if len(l.traps)+len(l.tests) == 0 {
			t.Errorf("%q: nothing tests it", l.phrase)
		}
		for _, name := range l.traps {
			if !sprung[name] {
				t.Errorf("%q: there is no trap %q", l.phrase, name)
			}
			used[name] = true
		}
	}
	phrases := 0
	for _, section := range trapTable() {
		// What is left of the text when the phrases are taken out must be what joins them.
		rest := strings.Join(strings.Fields(section.text), " ")
		for _, l := range section.lines {
			held(l)
			phrases++
			rest = strings.TrimLeft(rest, ";,. ")
			after, ok := strings.CutPrefix(rest, l.phrase)
			if !ok || after == "" || !strings.ContainsRune(";,. ", rune(after[0])) {
				t.Fatalf("%s: the phrase %q does not come next in %q", section.title, l.phrase, rest)
			}
			rest = after
		}
		if rest != "." {
			t.Errorf("%s: no test for %q", section.title, rest)
		}
	}
	lessons := lessonTable()
	for _, l := range lessons {
		held(l)
	}
	for name := range sprung {
		if !used[name] {
			t.Errorf("trap %q is in no table", name)
		}
	}
	t.Logf("%d phrases of the design, %d bugs of others, %d traps", phrases, len(lessons), len(sprung))
}

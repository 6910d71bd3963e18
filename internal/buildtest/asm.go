package buildtest

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/core/vm"
)

// Asm assembles EVM code. Words are mnemonics, numbers (pushed in as few bytes as they
// need, at least one), "label:" (a jump destination) and "@label" (pushes where it is).
// An unknown word is an error that names it.
func Asm(src string) ([]byte, error) {
	var (
		code   []byte
		labels = make(map[string]int)
		fixups = make(map[int]string)
	)
	for _, word := range strings.Fields(src) {
		if name, ok := strings.CutSuffix(word, ":"); ok {
			labels[name] = len(code)
			code = append(code, byte(vm.JUMPDEST))
			continue
		}
		if name, ok := strings.CutPrefix(word, "@"); ok {
			fixups[len(code)+1] = name
			code = append(code, byte(vm.PUSH2), 0, 0)
			continue
		}
		if n, ok := new(big.Int).SetString(word, 0); ok {
			b := n.Bytes()
			if len(b) == 0 {
				b = []byte{0}
			}
			code = append(append(code, byte(vm.PUSH1)+byte(len(b)-1)), b...)
			continue
		}
		op := vm.StringToOp(strings.ToUpper(word))
		if op == vm.STOP && !strings.EqualFold(word, "stop") {
			return nil, fmt.Errorf("unknown word %q in assembly", word)
		}
		code = append(code, byte(op))
	}
	for at, name := range fixups {
		dest, ok := labels[name]
		if !ok {
			return nil, fmt.Errorf("unknown label %q in assembly", name)
		}
		code[at], code[at+1] = byte(dest>>8), byte(dest)
	}
	return code, nil
}

// Deploy returns init code that deploys the runtime code.
func Deploy(runtime []byte) []byte {
	n := len(runtime)
	head := []byte{
		byte(vm.PUSH2), byte(n >> 8), byte(n), byte(vm.DUP1),
		byte(vm.PUSH1), 12, byte(vm.PUSH1), 0, byte(vm.CODECOPY),
		byte(vm.PUSH1), 0, byte(vm.RETURN),
	}
	return append(head, runtime...)
}

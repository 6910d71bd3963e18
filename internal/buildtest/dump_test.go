package buildtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// sealedCase returns a node and the block that is built sequentially on it.
func sealedCase(t *testing.T) (*Node, *miner.Sealed) {
	t.Helper()
	s, err := Cases()[0].Scenario("Jovian", caseSeed())
	if err != nil {
		t.Fatal(err)
	}
	n := openNode(t, s, "")
	built := buildReference(t, n)
	return n, &miner.Sealed{Block: built.Block, Receipts: built.Receipts, Parent: built.State.Database()}
}

func TestVerifyConfirmsATrueBlockAndWritesNothing(t *testing.T) {
	n, sealed := sealedCase(t)
	dir := filepath.Join(t.TempDir(), "dumps")
	if err := miner.Verify(context.Background(), n.chain, sealed, dir); err != nil {
		t.Fatalf("%v\n%s", err, replay(t, n.Scenario.Seed))
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a directory of dumps (%v)\n%s", err, replay(t, n.Scenario.Seed))
	}
}

func TestVerifyRefutesEveryWrongFieldAndTheDumpHoldsTheBlock(t *testing.T) {
	n, sealed := sealedCase(t)
	truth := sealed.Block
	for name, spoil := range map[string]func(h *types.Header){
		"state root":    func(h *types.Header) { h.Root[3]++ },
		"receipts root": func(h *types.Header) { h.ReceiptHash[3]++ },
		"gas used":      func(h *types.Header) { h.GasUsed++ },
		"bloom":         func(h *types.Header) { h.Bloom[3]++ },
		"DA footprint":  func(h *types.Header) { *h.BlobGasUsed++ },
		"withdrawals":   func(h *types.Header) { h.WithdrawalsHash[3]++ },
		"parent":        func(h *types.Header) { h.ParentHash[3]++ },
	} {
		t.Run(name, func(t *testing.T) {
			header := truth.Header() // a copy
			spoil(header)
			wrong := *sealed
			wrong.Block = types.NewBlockWithHeader(header).WithBody(*truth.Body())
			dir := t.TempDir()
			err := miner.Verify(context.Background(), n.chain, &wrong, dir)
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			if !errors.Is(err, miner.ErrUnverified) || len(files) != 1 || !strings.Contains(err.Error(), files[0]) {
				t.Fatalf("error %v, want %v that names the dump; files %q\n%s", err, miner.ErrUnverified, files, replay(t, n.Scenario.Seed))
			}
			dump, err := miner.ReadDump(files[0])
			if err != nil {
				t.Fatalf("%v\n%s", err, replay(t, n.Scenario.Seed))
			}
			back, err := dump.Sealed()
			if err != nil || back.Block.Hash() != header.Hash() || back.Block.Size() != wrong.Block.Size() || len(back.Receipts) != len(sealed.Receipts) {
				t.Errorf("the dump does not give the block back (%v)\n%s", err, replay(t, n.Scenario.Seed))
			}
			if seq := dump.Sequential; seq != nil && (seq.StateRoot != truth.Root() || seq.ReceiptsRoot != truth.ReceiptHash() || uint64(seq.GasUsed) != truth.GasUsed()) {
				t.Errorf("the dump's sequential outcome is not that of the true block: %+v\n%s", seq, replay(t, n.Scenario.Seed))
			}
		})
	}
}

func TestADumpThatCannotBeWrittenIsNamedAndNothingIsWrittenAtTheEndOfANode(t *testing.T) {
	n, sealed := sealedCase(t)
	header := sealed.Block.Header()
	header.Root = common.Hash{1}
	sealed.Block = types.NewBlockWithHeader(header).WithBody(*sealed.Block.Body())

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := miner.Verify(context.Background(), n.chain, sealed, file)
	if !errors.Is(err, miner.ErrUnverified) || !strings.Contains(err.Error(), "writing it down failed") || !strings.Contains(err.Error(), file) {
		t.Errorf("with a file in the directory's place: %v\n%s", err, replay(t, n.Scenario.Seed))
	}

	ended, end := context.WithCancel(context.Background())
	end()
	dir := filepath.Join(t.TempDir(), "dumps")
	if err := miner.Verify(ended, n.chain, sealed, dir); !errors.Is(err, miner.ErrUnverified) {
		t.Errorf("at the end of the node: %v\n%s", err, replay(t, n.Scenario.Seed))
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a dump was written at the end of the node (%v)\n%s", err, replay(t, n.Scenario.Seed))
	}
}

func TestABrokenDumpIsAnError(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "cut off": `{"header": {`, "no header": `{"parallel": {}}`} {
		file := filepath.Join(t.TempDir(), "dump.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := miner.ReadDump(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
}

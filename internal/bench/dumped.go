package bench

import (
	"errors"
	"fmt"

	"github.com/op-geth-parallel/op-geth-parallel/miner"
)

// LoadFixture reads one fixture block.
func LoadFixture(path string) (*Fixture, error) {
	f, err := loadFixture(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !f.config.IsByzantium(f.data.Header.Number) {
		return nil, fmt.Errorf("%s: block %d is from before Byzantium and not built in parallel", path, f.data.Header.Number)
	}
	return f, nil
}

// LoadDump reads a block that --miner.parallel-verify has written down, as sealed.
func LoadDump(path string) (*Fixture, error) {
	dump, err := miner.ReadDump(path)
	if err != nil {
		return nil, err
	}
	if dump.Config == nil || dump.Pre == nil {
		return nil, fmt.Errorf("%s: %w", path, errors.New("the state of the parent is not in it"))
	}
	f := &Fixture{config: dump.Config, data: fixtureData{
		ChainID:      dump.Config.ChainID.Uint64(),
		Header:       dump.Header,
		Transactions: dump.Transactions,
		Pre:          dump.Pre,
		BlockHashes:  dump.BlockHashes,
	}}
	if err := f.decode(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

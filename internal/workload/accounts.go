package workload

import (
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// Account is a sender.
type Account struct {
	Key     *ecdsa.PrivateKey
	Address common.Address

	nonce   uint64 // of its next transaction
	waiting bool   // Gap: the transaction after nonce is out already
}

// derive returns the seed's i-th 32 bytes for a purpose.
func derive(seed uint64, purpose string, i int) []byte {
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], seed)
	binary.BigEndian.PutUint64(n[8:], uint64(i))
	return crypto.Keccak256([]byte("workload "+purpose), n[:])
}

// deriveAccounts returns n senders for a purpose.
func deriveAccounts(seed uint64, purpose string, n int) ([]*Account, error) {
	accounts := make([]*Account, n)
	for i := range accounts {
		key, err := crypto.ToECDSA(derive(seed, purpose, i))
		if err != nil {
			return nil, fmt.Errorf("seed %d gives no key for %s %d: %w", seed, purpose, i, err)
		}
		accounts[i] = &Account{Key: key, Address: crypto.PubkeyToAddress(key.PublicKey)}
	}
	return accounts, nil
}

// deriveAddress returns an address that nobody has the key of.
func deriveAddress(seed uint64, purpose string, i int) common.Address {
	return common.BytesToAddress(derive(seed, purpose, i))
}

// funded is what a sender owns in the genesis: a billion ether.
func funded() types.Account {
	return types.Account{Balance: new(big.Int).Mul(big.NewInt(1e9), big.NewInt(params.Ether))}
}

// poor is what a sender owns who cannot pay.
func poor() types.Account { return types.Account{Balance: big.NewInt(1000)} }

// dust makes a recipient exist.
func dust() types.Account { return types.Account{Balance: big.NewInt(1)} }

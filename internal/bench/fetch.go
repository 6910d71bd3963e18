package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"
)

// hashWindow is how many blocks back BLOCKHASH can ask.
const hashWindow = 256

// FetchFixture reads a block of a node, and what it touches of the state before it. The
// block is "latest", a number or a hash.
func FetchFixture(ctx context.Context, node, block string) (*Fixture, error) {
	client, err := rpc.DialContext(ctx, node)
	if err != nil {
		return nil, fmt.Errorf("-rpc is %q: %w", node, err)
	}
	defer client.Close()
	method, arg, err := blockArgument(block)
	if err != nil {
		return nil, err
	}
	var head *struct {
		Hash common.Hash `json:"hash"`
	}
	if err := client.CallContext(ctx, &head, method, arg, false); err != nil {
		return nil, fmt.Errorf("-rpc is %q, allowed is a node that answers %s: %w", node, method, err)
	}
	if head == nil {
		return nil, fmt.Errorf("-block is %q: the node at %s does not have it", block, node)
	}
	var raw hexutil.Bytes
	if err := client.CallContext(ctx, &raw, "debug_getRawBlock", rpc.BlockNumberOrHashWithHash(head.Hash, false)); err != nil {
		return nil, fmt.Errorf("debug_getRawBlock of %s: %w (the node needs the debug namespace, as in --http.api eth,debug)", node, err)
	}
	found := new(types.Block)
	if err := rlp.DecodeBytes(raw, found); err != nil {
		return nil, fmt.Errorf("block %s: %w", head.Hash, err)
	}
	f := &Fixture{data: fixtureData{Header: found.Header(), BlockHashes: make(map[uint64]common.Hash)}}
	if f.config, err = fetchConfig(ctx, client); err != nil {
		return nil, err
	}
	f.data.ChainID = f.config.ChainID.Uint64()
	f.data.Expected.GasUsed, f.data.Expected.ReceiptsRoot = hexutil.Uint64(found.GasUsed()), found.ReceiptHash()
	for _, tx := range found.Transactions() {
		raw, err := tx.MarshalBinary()
		if err != nil {
			return nil, err
		}
		f.data.Transactions = append(f.data.Transactions, raw)
	}
	if f.data.Pre, err = fetchPre(ctx, client, head.Hash); err != nil {
		return nil, fmt.Errorf("state before block %s of %s: %w", head.Hash, node, err)
	}
	if err := f.fetchHashes(ctx, client); err != nil {
		return nil, err
	}
	return f, f.decode()
}

// CheckNode checks what FetchFixture takes, without asking the node.
func CheckNode(node, block string) error {
	u, err := url.Parse(node)
	remote := err == nil && slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) && u.Host != ""
	if _, err := os.Stat(node); err != nil && !remote {
		return fmt.Errorf("-rpc is %q, allowed are URLs that begin with http://, https://, ws:// or wss://, and the path of a node's geth.ipc", node)
	}
	_, _, err = blockArgument(block)
	return err
}

// blockArgument returns the call that finds a block, and its argument.
func blockArgument(block string) (method, arg string, err error) {
	if block == "latest" {
		return "eth_getBlockByNumber", block, nil
	}
	if len(block) == 2+2*common.HashLength && strings.HasPrefix(block, "0x") {
		return "eth_getBlockByHash", block, nil
	}
	number, err := strconv.ParseUint(block, 0, 63)
	if err != nil {
		return "", "", fmt.Errorf("-block is %q, allowed are latest, a number and a hash of 32 bytes with 0x before it", block)
	}
	return "eth_getBlockByNumber", hexutil.EncodeUint64(number), nil
}

// fetchConfig returns the node's chain config. A node that keeps it to itself is taken for
// one of the main network or of an OP Stack chain with all forks active.
func fetchConfig(ctx context.Context, client *rpc.Client) (*params.ChainConfig, error) {
	var info struct {
		Protocols struct {
			Eth struct {
				Config *params.ChainConfig `json:"config"`
			} `json:"eth"`
		} `json:"protocols"`
	}
	if err := client.CallContext(ctx, &info, "admin_nodeInfo"); err == nil && info.Protocols.Eth.Config != nil {
		return info.Protocols.Eth.Config, nil
	}
	var id hexutil.Big
	if err := client.CallContext(ctx, &id, "eth_chainId"); err != nil {
		return nil, fmt.Errorf("eth_chainId: %w", err)
	}
	if id.ToInt().Cmp(params.MainnetChainConfig.ChainID) == 0 {
		return params.MainnetChainConfig, nil
	}
	config := *params.OptimismTestConfig
	config.ChainID = new(big.Int).Set(id.ToInt())
	return &config, nil
}

// tracedTx is what a transaction found in the state before it.
type tracedTx struct {
	Result map[common.Address]struct {
		Balance *hexutil.Big                `json:"balance"`
		Nonce   uint64                      `json:"nonce"`
		Code    hexutil.Bytes               `json:"code"`
		Storage map[common.Hash]common.Hash `json:"storage"`
	} `json:"result"`
	Error string `json:"error"`
}

// fetchPre returns what the block touches as it was before: of everything, what the first
// transaction that touched it has found.
func fetchPre(ctx context.Context, client *rpc.Client, hash common.Hash) (types.GenesisAlloc, error) {
	var traces []tracedTx
	if err := client.CallContext(ctx, &traces, "debug_traceBlockByHash", hash, json.RawMessage(`{"tracer":"prestateTracer","timeout":"120s"}`)); err != nil {
		return nil, fmt.Errorf("debug_traceBlockByHash: %w", err)
	}
	pre := make(types.GenesisAlloc)
	for i, trace := range traces {
		if trace.Error != "" {
			return nil, fmt.Errorf("transaction %d: %w", i, errors.New(trace.Error))
		}
		for addr, found := range trace.Result {
			account, known := pre[addr]
			if !known {
				account = types.Account{Nonce: found.Nonce, Code: found.Code, Balance: new(big.Int), Storage: make(map[common.Hash]common.Hash)}
				if found.Balance != nil {
					account.Balance = found.Balance.ToInt()
				}
			}
			for key, value := range found.Storage {
				if _, known := account.Storage[key]; !known {
					account.Storage[key] = value
				}
			}
			pre[addr] = account
		}
	}
	return pre, nil
}

// fetchHashes fetches the hashes that BLOCKHASH can ask for, if there is code to ask.
func (f *Fixture) fetchHashes(ctx context.Context, client *rpc.Client) error {
	number := f.data.Header.Number.Uint64()
	f.data.BlockHashes[number-1] = f.data.Header.ParentHash
	var batch []rpc.BatchElem
	var numbers []uint64
	for back := uint64(2); back <= min(hashWindow, number); back++ {
		numbers = append(numbers, number-back)
		batch = append(batch, rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexutil.EncodeUint64(number - back), false}, Result: new(struct{ Hash common.Hash })})
	}
	const atOnce = 100
	for first := 0; first < len(batch); first += atOnce {
		part := batch[first:min(first+atOnce, len(batch))]
		if err := client.BatchCallContext(ctx, part); err != nil {
			return fmt.Errorf("hashes of earlier blocks: %w", err)
		}
		for i, elem := range part {
			if found, ok := elem.Result.(*struct{ Hash common.Hash }); ok && elem.Error == nil {
				f.data.BlockHashes[numbers[first+i]] = found.Hash
			}
		}
	}
	return nil
}

package sender

import (
	"context"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/op-geth-parallel/op-geth-parallel/internal/workload"
)

// pool is the part of a node that takes transactions.
type pool struct {
	has    map[common.Hash]bool
	order  []common.Hash
	refuse error // what it answers to all; nil: it takes them
}

func newPool() *pool { return &pool{has: make(map[common.Hash]bool)} }

// SendRawTransaction implements eth_sendRawTransaction.
func (p *pool) SendRawTransaction(data hexutil.Bytes) (common.Hash, error) {
	var tx types.Transaction
	if err := tx.UnmarshalBinary(data); err != nil {
		return common.Hash{}, err
	}
	if p.refuse != nil {
		return common.Hash{}, p.refuse
	}
	if p.has[tx.Hash()] {
		return common.Hash{}, errors.New("already known")
	}
	p.has[tx.Hash()] = true
	p.order = append(p.order, tx.Hash())
	return tx.Hash(), nil
}

// serve returns a connection to a pool.
func serve(t *testing.T, p *pool) *rpc.Client {
	t.Helper()
	server := rpc.NewServer()
	if err := server.RegisterName("eth", p); err != nil {
		t.Fatal(err)
	}
	client := rpc.DialInProc(server)
	t.Cleanup(func() {
		client.Close()
		server.Stop()
	})
	return client
}

func newSender(t *testing.T, p *pool) *Sender {
	t.Helper()
	gen, err := workload.New(workload.Options{Seed: 1, ChainID: 1, Mix: workload.Only(workload.Transfer), Accounts: 10})
	if err != nil {
		t.Fatal(err)
	}
	return New(serve(t, p), gen)
}

func TestANodeThatLostItsPoolGetsWhatIsOpenAgainInOrder(t *testing.T) {
	first := newPool()
	s := newSender(t, first)
	if err := s.Send(context.Background(), 3*batch/2); err != nil {
		t.Fatal(err)
	}
	if fails, ours := s.Included(first.order[0]); fails || !ours {
		t.Fatalf("the first transaction fails: %v, is ours: %v", fails, ours)
	}
	second := newPool()
	second.has[first.order[1]] = true
	s.Use(serve(t, second))
	lost, err := s.Resend(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := first.order[2:]
	if lost != len(want) || len(second.order) != len(want) {
		t.Fatalf("%d were lost and %d sent again, want %d", lost, len(second.order), len(want))
	}
	for i := range want {
		if second.order[i] != want[i] {
			t.Fatalf("transaction %d that was sent again is %s, want %s", i, second.order[i], want[i])
		}
	}
	if open := s.Open(); open != len(want)+1 {
		t.Errorf("%d are open, want %d", open, len(want)+1)
	}
}

func TestATransactionThatThePoolRefusesAgainIsAnError(t *testing.T) {
	p := newPool()
	s := newSender(t, p)
	if err := s.Send(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	p.refuse = errors.New("nonce too low")
	if lost, err := s.Resend(context.Background()); lost != 0 || err != nil {
		t.Errorf("of one that is in the chain, %d were lost, error %v", lost, err)
	}
	p.refuse = errors.New("insufficient funds")
	if _, err := s.Resend(context.Background()); err == nil {
		t.Error("no error for one without funds")
	}
}

func TestATransactionIsTakenOffTheListOnce(t *testing.T) {
	p := newPool()
	s := newSender(t, p)
	if err := s.Send(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if _, ours := s.Included(p.order[0]); !ours {
		t.Error("it is not ours")
	}
	if _, ours := s.Included(p.order[0]); ours {
		t.Error("it is ours in a second block, too")
	}
}

func TestARefusalThatWasNotForeseenIsCounted(t *testing.T) {
	p := newPool()
	p.refuse = errors.New("txpool is full")
	s := newSender(t, p)
	if err := s.Send(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	sent, refused, strange, first := s.Counts()
	if sent != 2 || refused != 0 || strange != 2 || first == nil || s.Open() != 0 {
		t.Errorf("sent %d, refused %d, strange %d, the first %v, open %d", sent, refused, strange, first, s.Open())
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// errLost is returned (wrapped) where geth did not come back to the head that it had.
var errLost = errors.New("the head is lost")

// settleTime is how long geth has been up before it is stopped in good order. op-geth,
// patched or not, serves RPC for up to some seconds before it handles an interrupt; one that
// comes earlier ends it as a kill does.
const settleTime = 10 * time.Second

// killTxs is how many transactions the head has when geth is killed. op-geth does not wait
// for its database, whose log leaves the process in pieces of 32 KiB: an emptier block,
// patched or not, can be lost altogether, and op-node then builds another in its place.
const killTxs = 50

// downReport is what is known of one kill or restart.
type downReport struct {
	Killed   bool          // kill -9; otherwise stopped in good order
	Survived bool          // it came back where it was and built on
	Filling  bool          // a payload was started and had not been filled once
	Held     int           // the head of geth when it went down
	Head     int           // the head of op-node then: Held, or the block after, if geth had executed it but not been told yet that it is the head
	Hash     common.Hash   // of op-node's head
	BackAt   int           // the head that geth itself came back with
	Start    time.Duration // until geth answered again
	Recovery time.Duration // from then until it was at the head that it had had, or further
}

// crash kills and restarts geth, and checks each time that it comes back.
func (r *run) crash(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(r.settings.seed, 0x6b696c6c))
	kills, restarts := r.settings.kills, r.settings.restarts
	for round := 0; kills+restarts > 0; round++ {
		// Restarts are spread among the kills.
		kill := kills > 0 && (restarts == 0 || rng.IntN(kills+restarts) < kills)
		if kill {
			kills--
		} else {
			restarts--
		}
		// Every other one as the fill begins, the others at any time of the build.
		delay := time.Duration(rng.Int64N(int64(40 * time.Millisecond)))
		if round%2 == 1 {
			delay = time.Duration(rng.Int64N(int64(r.settings.blockTime * 9 / 10)))
		}
		d, err := r.down(ctx, kill, delay)
		r.report.Downs = append(r.report.Downs, d)
		if err != nil {
			return fmt.Errorf("time %d that geth goes down (killed: %v), -seed %d: %w", round+1, kill, r.settings.seed, err)
		}
		d.print(r.out)
		r.headed = false
	}
	return nil
}

// down takes geth down while it builds, starts it again, and waits until it is where it
// was, builds on that, and has blocks with transactions again.
func (r *run) down(ctx context.Context, kill bool, delay time.Duration) (downReport, error) {
	d := downReport{Killed: kill}
	node := r.stack.Sequencer()
	if !kill {
		up := time.Now()
		if err := r.until(ctx, "letting geth settle", func() bool { return time.Since(up) > settleTime }); err != nil {
			return d, err
		}
	}
	for waited := time.Now(); ; {
		select {
		case <-r.log.started:
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(stallTimeout):
			return d, fmt.Errorf("%w: no payload was started for %v", errStalled, stallTimeout)
		}
		if !kill || r.log.lastTxs() >= killTxs {
			break
		}
		if time.Since(waited) > stallTimeout {
			return d, fmt.Errorf("%w: no payload was started on a block with %d transactions for %v", errStalled, killTxs, stallTimeout)
		}
	}
	select {
	case <-ctx.Done():
		return d, ctx.Err()
	case <-time.After(delay):
	}
	d.Filling = r.log.filling()
	take := node.StopGeth
	if kill {
		take = node.KillGeth
	}
	if err := take(); err != nil {
		return d, err
	}
	d.Held = r.log.held()
	status, err := node.Status(ctx)
	if err != nil {
		return d, err
	}
	d.Head, d.Hash = int(status.Unsafe.Number), status.Unsafe.Hash
	start := time.Now()
	if err := node.StartGeth(ctx); err != nil {
		return d, err
	}
	d.Start = time.Since(start)
	client, err := node.RPC()
	if err != nil {
		return d, err
	}
	latest, err := blockByNumber(ctx, client, "latest")
	if err != nil {
		return d, err
	}
	d.BackAt = int(latest.Number)
	start = time.Now()
	err = r.until(ctx, "coming back", func() bool {
		head, _ := r.chain.head()
		if head >= d.Head && d.Recovery == 0 {
			d.Recovery = time.Since(start)
		}
		return head > d.Head+1 && r.chain.at(head).Txs > 0
	})
	if err != nil {
		return d, err
	}
	// The last that geth wrote before a kill may be in the buffer of its database's log
	// only: then it starts a block lower, and op-node moves it on.
	if d.BackAt < d.Held && !kill {
		return d, fmt.Errorf("%w: geth started with block %d, and had block %d", errLost, d.BackAt, d.Held)
	}
	if b := r.chain.at(d.Head); b.Hash != d.Hash {
		return d, fmt.Errorf("%w: block %d was %s and is %s", errLost, d.Head, d.Hash, b.Hash)
	}
	d.Survived = true
	return d, nil
}

package master

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// Limits of the rebalance.
const (
	DefaultMoves    = 8         // pieces moved at the same time
	DefaultMoveRate = 64 << 20  // bytes per second
	maxMoves        = 256       //
	moveBatch       = 48        // extents that one step moves
	moveBatchBytes  = 256 << 20 // of bodies that one step moves
	moveBatchRows   = 512 << 10 // bytes of rows that one step writes
	scanBatch       = 4096      // extents that one step looks at
	settlePoll      = 20 * time.Millisecond
	repeatPause     = 2 * time.Second // before a pass that follows one with failures
	idlePause       = time.Minute
	rateBurst       = 4 << 20 // bytes
)

// rebalancer brings every piece to where the topology places it: reads follow
// what is recorded, so nothing depends on when it does. It goes over all rows in
// passes, until one has found nothing left to do. For each extent whose pieces
// lie elsewhere it copies, verifies, records the new place and queues the old
// piece as garbage, in this order.
type rebalancer struct {
	e       *Engine
	woken   chan struct{}
	limiter *rate.Limiter

	step    sync.Mutex // held during a step
	cleaned bool       // what an earlier process has left was given up
}

func newRebalancer(e *Engine) *rebalancer {
	return &rebalancer{e: e, woken: make(chan struct{}, 1), limiter: rate.NewLimiter(DefaultMoveRate, rateBurst)}
}

// Name is the worker's name in the log.
func (r *rebalancer) Name() string { return "rebalance" }

// Woken signals that the topology or a limit was changed.
func (r *rebalancer) Woken() <-chan struct{} { return r.woken }

func (r *rebalancer) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// restart begins the passes anew, for a topology of a new epoch. What was counted
// goes on counting while the work was not done.
func (r *rebalancer) restart(tx metadb.Tx, epoch uint64, now time.Time) error {
	was, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
	if err != nil {
		return fmt.Errorf("rebalance state: %w", err)
	}
	next := metadb.Rebalance{
		Epoch: epoch, Active: true, Paused: was.Paused, Pass: 1, Started: now,
		Concurrency: was.Concurrency, Rate: was.Rate,
	}
	if was.Active {
		next.Started, next.Moved, next.MovedBytes, next.Failed = was.Started, was.Moved, was.MovedBytes, was.Failed
	}
	return setRebalance(tx, &next)
}

func setRebalance(tx metadb.Tx, st *metadb.Rebalance) error {
	row, err := metadb.MarshalRebalance(st)
	if err != nil {
		return err
	}
	return tx.Set(metadb.RebalanceKey(), row)
}

// Step advances the rebalance by one batch.
func (r *rebalancer) Step(ctx context.Context) (State, error) {
	r.step.Lock()
	defer r.step.Unlock()
	if !r.cleaned {
		if err := r.dropIntents(ctx); err != nil {
			return State{}, err
		}
		r.cleaned = true
	}
	st, err := r.e.RebalanceState(ctx)
	switch {
	case err != nil:
		return State{}, err
	case !st.Active || st.Paused:
		return State{Wait: idlePause}, nil
	case len(st.Cursor) == 0 && !r.e.layouts.settled():
		return State{Wait: settlePoll}, nil
	}
	r.limit(&st)
	found, err := r.scan(ctx, &st)
	if err != nil {
		return State{}, err
	}
	result := r.move(ctx, found.moves, movesAtOnce(&st))
	if err := ctx.Err(); err != nil {
		return State{}, err
	}
	if err := r.record(ctx, &st, found, result); err != nil {
		return State{}, err
	}
	if !found.end {
		return State{More: true}, nil
	}
	return r.endPass(ctx, st.Epoch)
}

// limit sets the pace of what is about to move.
func (r *rebalancer) limit(st *metadb.Rebalance) {
	limit := rate.Limit(st.Rate)
	if st.Rate == 0 {
		limit = DefaultMoveRate
	} else if st.Rate < 0 {
		limit = rate.Inf
	}
	if r.limiter.Limit() != limit {
		r.limiter.SetLimit(limit)
	}
}

func movesAtOnce(st *metadb.Rebalance) int {
	if st.Concurrency <= 0 {
		return DefaultMoves
	}
	return min(st.Concurrency, maxMoves)
}

// endPass ends the work where the pass has found nothing left, and otherwise
// begins another.
func (r *rebalancer) endPass(ctx context.Context, epoch uint64) (State, error) {
	var again, failed bool
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil || st.Epoch != epoch || !st.Active {
			again = st.Active
			return err
		}
		again, failed = st.Again, st.LastError != ""
		if again {
			st.Pass++
			st.Cursor, st.Again, st.Scanned, st.LastError = nil, false, 0, ""
			return setRebalance(tx, &st)
		}
		return nil
	})
	switch {
	case err != nil:
		return State{}, err
	case again && failed:
		return State{Wait: repeatPause}, nil
	case again:
		return State{More: true}, nil
	}
	return r.finish(ctx, epoch)
}

// finish takes drained volumes out of the cluster and ends the work.
func (r *rebalancer) finish(ctx context.Context, epoch uint64) (State, error) {
	var drained []meta.VolumeID
	t := r.e.layouts.now().topology
	for _, v := range t.Volumes {
		if v.State == metadb.VolumeDraining {
			drained = append(drained, v.Number)
		}
	}
	if t.Epoch != epoch {
		return State{More: true}, nil
	}
	if err := r.e.removeDrained(ctx, drained); errors.Is(err, errHeld) {
		return State{Wait: repeatPause}, nil
	} else if err != nil {
		return State{}, err
	}
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil || st.Epoch != epoch || !st.Active {
			return err
		}
		st.Active, st.Cursor, st.Finished = false, nil, r.e.now()
		return setRebalance(tx, &st)
	})
	return State{More: true}, err
}

// RebalanceState returns where the rebalance stands.
func (e *Engine) RebalanceState(ctx context.Context) (metadb.Rebalance, error) {
	var st metadb.Rebalance
	err := e.view(ctx, func(tx metadb.Tx) error {
		var err error
		st, err = record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		return err
	})
	return st, err
}

// RebalanceLimits are how hard the rebalance may work.
type RebalanceLimits struct {
	Paused      bool
	Concurrency int   // pieces moved at the same time; 0: the default
	Rate        int64 // bytes per second; 0: the default, below zero: no limit
}

// SetRebalanceLimits changes how the rebalance works, also while it does.
func (e *Engine) SetRebalanceLimits(ctx context.Context, l RebalanceLimits) error {
	if l.Concurrency < 0 || l.Concurrency > maxMoves {
		return refuseChange("%d moves at once: want 0 to %d", l.Concurrency, maxMoves)
	}
	_, err := e.update(ctx, func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil {
			return err
		}
		st.Paused, st.Concurrency, st.Rate = l.Paused, l.Concurrency, l.Rate
		return setRebalance(tx, &st)
	})
	e.rebalance.wake()
	return err
}

// Rebalance works until every piece is where the topology places it, or ctx
// ends.
func (e *Engine) Rebalance(ctx context.Context) error {
	for {
		state, err := e.rebalance.Step(ctx)
		if err != nil {
			return err
		}
		if state.More {
			continue
		}
		if st, err := e.RebalanceState(ctx); err != nil || !st.Active {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(state.Wait):
		}
	}
}

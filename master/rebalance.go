package master

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// Limits of the rebalance.
const (
	DefaultMoves    = 8         // pieces moved at the same time
	DefaultMoveRate = 64 << 20  // bytes per second
	MinMoveRate     = 256 << 10 // bytes per second: the largest part takes less time than intentDelay
	MaxMoves        = 256       // pieces moved at the same time
	moveBatch       = 48        // extents that one transaction moves
	moveBatchRows   = 512 << 10 // bytes of rows that it writes
	maxBatches      = 8         // of these in one step
	moveBatchBytes  = 256 << 20 // of bodies that one step moves
	scanBatch       = 4096      // extents that one step looks at
	settlePoll      = 20 * time.Millisecond
	repeatPause     = 2 * time.Second // before a pass that follows one with failures, and twice as long after the next
	maxRepeatPause  = time.Minute
	idlePause       = time.Minute
	stuckPause      = 10 * time.Minute // until a volume that could not be emptied is looked at again
	rateBurst       = 4 << 20          // bytes
)

// rebalancer brings every piece to where the topology places it: reads follow
// what is recorded, so nothing depends on when it does. It goes over all rows in
// passes, until one has found nothing left to do. For each extent whose pieces
// lie elsewhere it copies, verifies, records the new place and queues the old
// piece as garbage, in this order. Between the steps of a pass it makes what the
// repair queue asks for, in the same way.
type rebalancer struct {
	e        *Engine
	woken    chan struct{}
	limiter  *rate.Limiter
	pace     int64                     // bytes per second where none is set
	returned atomic.Bool               // a volume has, since the last step
	resume   atomic.Pointer[time.Time] // no step of a pass before, where it is set; owned by step, and read at any time

	step     sync.Mutex // held during a step; owns what follows
	cleaned  bool       // what was made and not recorded has been given up
	epoch    uint64     // of the topology that what follows is about
	down     map[meta.VolumeID]backoff
	batches  int  // that a step may have: one after something has failed, and twice as many as before while all goes well
	troubled bool // this pass: something failed, or was put off
	troubles int  // passes in a row like that

	queue  repairQueue
	damage damageCheck
}

func newRebalancer(e *Engine, pace int64) *rebalancer {
	if pace == 0 {
		pace = DefaultMoveRate
	}
	return &rebalancer{
		e: e, woken: make(chan struct{}, 1), pace: pace,
		limiter: rate.NewLimiter(limitOf(pace), rateBurst), down: make(map[meta.VolumeID]backoff), batches: 1,
	}
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

// volumeIsBack has no volume left alone any more, and no pause go on.
func (r *rebalancer) volumeIsBack() {
	r.returned.Store(true)
	r.wake()
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
		Concurrency: was.Concurrency, Rate: was.Rate, Repaired: was.Repaired,
	}
	if was.Active {
		next.Started, next.Moved, next.MovedBytes, next.Failed = was.Started, was.Moved, was.MovedBytes, was.Failed
	}
	if was.Epoch == epoch {
		next.Stuck = was.Stuck // until the next pass has ended
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
	if r.returned.Swap(false) {
		r.welcome()
	}
	if !r.cleaned {
		if err := r.dropIntents(ctx); err != nil {
			return State{}, err
		}
		r.cleaned = true
	}
	st, err := r.e.RebalanceState(ctx)
	if err != nil {
		return State{}, err
	}
	r.limit(&st)
	l := r.e.layouts.now()
	r.begin(st.Epoch)
	repaired, err := r.repairs(ctx, l, &st)
	if err != nil {
		return State{}, err
	}
	state, err := r.pass(ctx, l, &st)
	if err != nil {
		return State{}, err
	}
	state.More = state.More || repaired
	state.Wait = min(state.Wait, repairPoll)
	if !state.More {
		state.More, err = r.lookAtDamage(ctx, l)
	}
	return state, err
}

// pass advances the pass that is under way, if there is one.
func (r *rebalancer) pass(ctx context.Context, l *layout, st *metadb.Rebalance) (State, error) {
	unsettled := len(st.Cursor) == 0 && !r.e.layouts.settled()
	switch wait := r.pauseLeft(); {
	case !st.Active && r.shouldResume(l, st):
		return State{More: true}, r.again(ctx)
	case !st.Active || st.Paused:
		return State{Wait: idlePause}, nil
	case l.topology.Epoch != st.Epoch, unsettled && st.Pass > 1:
		// The change is recorded and not in force yet; or what an older layout has
		// placed may still come to be recorded behind a pass that could be the last.
		return State{Wait: settlePoll}, nil
	case wait > 0:
		return State{Wait: wait}, nil
	}
	return r.batch(ctx, l, st, unsettled)
}

// pauseLeft is how long no step of a pass is made; zero or less: it may be.
func (r *rebalancer) pauseLeft() time.Duration {
	if until := r.resume.Load(); until != nil {
		return until.Sub(r.e.now())
	}
	return 0
}

// shouldResume reports that it is time to see whether a volume that could not be
// emptied can be now: what had to stay on it may have been deleted.
func (r *rebalancer) shouldResume(l *layout, st *metadb.Rebalance) bool {
	return len(l.draining()) > 0 && r.e.now().Sub(st.Finished) >= stuckPause
}

// again begins a pass, or sees to it that another follows the one under way.
func (r *rebalancer) again(ctx context.Context) error {
	_, err := r.e.update(ctx, func(tx metadb.Tx) error { return r.anotherPass(tx) })
	return err
}

// lookAgain begins a pass where none is under way.
func (r *rebalancer) lookAgain(ctx context.Context) error {
	defer r.wake()
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
		if err != nil || st.Active {
			return err
		}
		return r.anotherPass(tx)
	})
	return err
}

func (r *rebalancer) anotherPass(tx metadb.Tx) error {
	st, err := record(tx, metadb.RebalanceKey(), metadb.UnmarshalRebalance)
	if err != nil {
		return err
	}
	if st.Active {
		st.Again = true
		return setRebalance(tx, &st)
	}
	t, err := record(tx, metadb.TopologyKey(), metadb.UnmarshalTopology)
	if err != nil {
		return err
	}
	return r.restart(tx, t.Epoch, r.e.now())
}

// begin forgets what was learnt under another topology.
func (r *rebalancer) begin(epoch uint64) {
	if r.epoch != epoch {
		r.epoch, r.troubled, r.troubles = epoch, false, 0
		r.resume.Store(nil)
		clear(r.down)
	}
}

// batch scans, moves and records. A pass that begins unsettled is not the last.
func (r *rebalancer) batch(ctx context.Context, l *layout, st *metadb.Rebalance, unsettled bool) (State, error) {
	found, err := r.scan(ctx, l, st)
	if err != nil {
		return State{}, err
	}
	found.again = found.again || unsettled
	r.troubled = r.troubled || found.avoided
	if err := r.carryOut(ctx, l, st, found); err != nil {
		r.cleaned = false // the new pieces are part of nothing
		return State{}, err
	}
	if !found.end {
		return State{More: true}, nil
	}
	return r.endPass(ctx, st.Epoch)
}

// limit sets the pace of what is about to move.
func (r *rebalancer) limit(st *metadb.Rebalance) {
	limit := limitOf(st.Rate)
	if st.Rate == 0 {
		limit = limitOf(r.pace)
	}
	if r.limiter.Limit() != limit {
		r.limiter.SetLimit(limit)
	}
}

func limitOf(bytesPerSecond int64) rate.Limit {
	if bytesPerSecond < 0 {
		return rate.Inf
	}
	return rate.Limit(bytesPerSecond)
}

func movesAtOnce(st *metadb.Rebalance) int {
	if st.Concurrency <= 0 {
		return DefaultMoves
	}
	return min(st.Concurrency, MaxMoves)
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
	Rate        int64 // bytes per second, MinMoveRate or more; 0: the default, below zero: no limit
}

// SetRebalanceLimits changes how the rebalance works, also while it does.
func (e *Engine) SetRebalanceLimits(ctx context.Context, l RebalanceLimits) error {
	return e.ChangeRebalance(ctx, RebalanceChange{Paused: &l.Paused, Concurrency: &l.Concurrency, Rate: &l.Rate})
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

package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

const (
	// aliveEvery is how often it is recorded that there are writes.
	aliveEvery = 10 * time.Minute
	// leftoverMargin is how far the clock of a volume may be off for what a crash has
	// left on it to be found. What is kept does not depend on it.
	leftoverMargin = 2 * time.Hour
	// leftoverAgain is when all is looked over once more: a volume may have had the
	// whole of a blob when its master was killed, and been slow to store it.
	leftoverAgain = 5 * time.Minute
	leftoverIdle  = time.Hour        // pause when there is nothing: a write or a volume wakes it
	leftoverRetry = 30 * time.Second // pause while the volumes that are left do not answer
	leftoverPoll  = 200 * time.Millisecond
	leftoverEnd   = 5 * time.Second // for the last commit of a process
)

// leftovers finds the blobs that nothing names and nothing will: those of the
// writes that were under way when an earlier process was killed. It looks over
// the volumes after a start that did not follow a clean stop, and gives what it
// finds to the garbage queue, which removes it much later. docs/architecture.md
// says why that can not be part of anything that was acknowledged.
type leftovers struct {
	e     *Engine
	grace time.Duration
	most  int    // candidates that are held at the same time
	limit uint64 // of what one look gives up
	woken chan struct{}

	step  sync.Mutex // held during a step; owns what follows
	begun bool       // it is recorded that a process may write
	said  time.Time  // when it was last recorded that there are writes
	look  *look      // nil: none is under way

	mu      sync.Mutex // guards what follows
	unsure  map[meta.Piece]bool
	since   time.Time              // of the first of these
	away    map[meta.VolumeID]bool // volumes that do not answer
	trouble string                 // why the look does not get on
	unasked bool                   // that volumes are to be looked over could not be recorded yet
}

func newLeftovers(e *Engine, grace time.Duration) *leftovers {
	return &leftovers{
		e: e, grace: grace, most: leftoverBlobs, limit: maxLeftovers, woken: make(chan struct{}, 1),
		away: make(map[meta.VolumeID]bool), unsure: make(map[meta.Piece]bool),
	}
}

// Name is the worker's name in the log.
func (w *leftovers) Name() string { return "leftovers" }

// Woken signals that writes have begun, or that a volume is back.
func (w *leftovers) Woken() <-chan struct{} { return w.woken }

func (w *leftovers) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// start is begin, for a store that has just been opened. One whose disk is full
// serves all the same, and the first step tries again.
func (w *leftovers) start(ctx context.Context) {
	w.step.Lock()
	defer w.step.Unlock()
	if err := w.begin(ctx); err != nil && ctx.Err() == nil {
		w.e.log.WarnContext(ctx, "that there may be writes could not be recorded for now: what a crash leaves may not be found", "error", err)
	}
}

// begin records that a process may write from now on, and, where the one before
// it has not ended cleanly, that its leftovers are to be looked for.
func (w *leftovers) begin(ctx context.Context) error {
	w.said = w.e.now()
	err := w.change(ctx, func(l *metadb.Leftovers, known bool) {
		if !known || !l.Clean || !l.Unsure.IsZero() {
			w.ask(l, known)
		}
		l.Alive, l.Clean, l.Unsure = w.said, false, time.Time{}
	})
	failpoint.At("leftovers/begun")
	w.begun = err == nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unasked = err != nil
	return err
}

// ask has all volumes looked over for what the process before has left. One that
// knew nothing of it may have left something at any time.
func (w *leftovers) ask(l *metadb.Leftovers, known bool) {
	from, until := l.Alive.Add(-leftoverMargin), l.Alive.Add(aliveEvery+leftoverMargin)
	if !l.Unsure.IsZero() {
		from = earliest(from, l.Unsure.Add(-leftoverMargin))
	}
	if len(l.Volumes) > 0 { // a look was under way
		from, until = earliest(from, l.From), latestOf(until, l.Until)
	}
	if !known {
		from, until = time.Time{}, w.said.Add(leftoverMargin)
	}
	l.From, l.Until, l.Again = from, until, time.Time{}
	l.Found, l.Bytes, l.Awaited, l.Excess = 0, 0, 0, 0
	w.askAll(l)
}

func (w *leftovers) askAll(l *metadb.Leftovers) {
	l.Volumes = nil
	for _, v := range w.e.layouts.now().topology.Volumes {
		if v.State.Member() {
			l.Volumes = append(l.Volumes, meta.Piece{Volume: v.Number})
		}
	}
}

// askAbout has a volume looked over that comes back with whatever it held, in the
// transaction that makes it a member. The look that is under way does not count.
func (w *leftovers) askAbout(tx metadb.Tx, number meta.VolumeID) error {
	return changeLeftovers(tx, func(l *metadb.Leftovers, _ bool) {
		if len(l.Volumes) == 0 {
			l.Found, l.Bytes, l.Awaited = 0, 0, 0
		}
		l.From, l.Until = time.Time{}, endOfTime()
		same := func(p meta.Piece) bool { return p.Volume == number }
		l.Volumes = append(slices.DeleteFunc(l.Volumes, same), meta.Piece{Volume: number})
		l.Returned = append(slices.DeleteFunc(l.Returned, same), meta.Piece{Volume: number})
		l.Asked++
	})
}

// endOfTime is behind whatever the clock of a volume says.
func endOfTime() time.Time { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }

// earliest returns the first of two times; the zero time is before all others.
func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// end records that the process ends with no write under way. It is the last that
// the engine's workers do.
func (w *leftovers) end(ctx context.Context) {
	w.step.Lock()
	defer w.step.Unlock()
	if w.e.layouts.writing() || w.e.sealed() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leftoverEnd)
	defer cancel()
	err := w.change(ctx, func(l *metadb.Leftovers, _ bool) {
		l.Alive, l.Clean = w.e.now(), true
		w.noteUnsure(l)
	})
	failpoint.At("leftovers/clean")
	w.begun = false // should it run again
	if err != nil {
		w.e.log.Warn("a clean stop could not be recorded: the next start looks for leftovers", "error", err)
	}
}

// keep never takes pieces for leftovers while the process runs, as a commit may
// have recorded them. The next start knows.
func (w *leftovers) keep(pieces []meta.Piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		w.since = w.e.now()
	}
	for _, p := range pieces {
		w.unsure[p] = true
	}
}

// lose notes that something was left that could not be queued.
func (w *leftovers) lose() { w.keep(nil) }

func (w *leftovers) noteUnsure(l *metadb.Leftovers) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.since.IsZero() && l.Unsure.IsZero() {
		l.Unsure = w.since
	}
}

func (w *leftovers) kept(p meta.Piece) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsure[p]
}

// change changes what is recorded; known: something was.
func (w *leftovers) change(ctx context.Context, fn func(l *metadb.Leftovers, known bool)) error {
	_, err := w.e.update(ctx, func(tx metadb.Tx) error { return changeLeftovers(tx, fn) })
	return err
}

func changeLeftovers(tx metadb.Tx, fn func(l *metadb.Leftovers, known bool)) error {
	var l metadb.Leftovers
	row, err := tx.Get(metadb.LeftoversKey())
	known := !errors.Is(err, metadb.ErrNotFound)
	if err == nil {
		l, err = metadb.UnmarshalLeftovers(row)
	}
	if known && err != nil {
		return fmt.Errorf("state of the look for leftovers: %w", err)
	}
	fn(&l, known)
	row, err = metadb.MarshalLeftovers(&l)
	if err != nil {
		return err
	}
	return tx.Set(metadb.LeftoversKey(), row)
}

// state reads what is recorded.
func (w *leftovers) state(ctx context.Context) (l metadb.Leftovers, err error) {
	err = w.e.view(ctx, func(tx metadb.Tx) error {
		l, err = record(tx, metadb.LeftoversKey(), metadb.UnmarshalLeftovers)
		return err
	})
	return l, err
}

// Step records that there are writes, and advances the look.
func (w *leftovers) Step(ctx context.Context) (State, error) {
	w.step.Lock()
	defer w.step.Unlock()
	if !w.begun {
		if err := w.begin(ctx); err != nil {
			return State{}, fmt.Errorf("record that there may be writes: %w", err)
		}
	}
	wait, err := w.alive(ctx)
	if err != nil {
		return State{}, err
	}
	state, err := w.advance(ctx)
	if err != nil {
		w.look = nil // it goes on where it was last recorded
		return State{}, err
	}
	state.Wait = min(state.Wait, wait)
	return state, nil
}

// alive records that there are writes, from time to time, and at once where there
// were none for a while: what a crash leaves is looked for around the last such
// time. It returns when to do it again.
func (w *leftovers) alive(ctx context.Context) (wait time.Duration, err error) {
	now := w.e.now()
	if wait := aliveEvery - now.Sub(w.said); wait > 0 && wait <= aliveEvery {
		return wait, nil
	}
	if !w.e.layouts.stirred() {
		return leftoverIdle, nil
	}
	err = w.change(ctx, func(l *metadb.Leftovers, _ bool) {
		l.Alive = now
		w.noteUnsure(l)
	})
	if err != nil {
		w.e.layouts.stir()
		return 0, fmt.Errorf("record that there are writes: %w", err)
	}
	w.said = now
	return aliveEvery, nil
}

// LeftoverStatus is where the look for what a crash has left stands.
type LeftoverStatus struct {
	From, Until time.Time // blobs created in that time are looked at; From zero: at any
	Left        int       // volumes that are yet to be looked over
	Looked      time.Time // when the last look ended; zero: none has
	Found       uint64    // blobs that nothing names, by the last look or so far
	Bytes       uint64    // of these
	Excess      uint64    // they are so many, or more, that they stay: a crash leaves fewer
	Trouble     string    // why it does not get on
}

// Leftovers returns where the look for what a crash has left stands.
func (e *Engine) Leftovers(ctx context.Context) (LeftoverStatus, error) {
	yet := e.leftovers.yetToAsk() // before the state is read, which may be recorded meanwhile
	l, err := e.leftovers.state(ctx)
	if err != nil {
		return LeftoverStatus{}, fmt.Errorf("state of the look for leftovers: %w", err)
	}
	left := len(l.Volumes)
	if yet {
		left = len(expected(e.layouts.now().topology))
	}
	return LeftoverStatus{
		From: l.From, Until: l.Until, Left: left, Looked: l.Looked, Found: l.Found, Bytes: l.Bytes, Excess: l.Excess,
		Trouble: e.leftovers.troubled(),
	}, nil
}

// yetToAsk reports that all volumes will be looked over, perhaps, once that can be
// recorded: the metadata takes no commits.
func (w *leftovers) yetToAsk() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unasked
}

package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// patience is how long a read waits for a copy, or a shard, while there are
// others.
type patience struct {
	// Another is opened too when one has not answered after hedgeFactor times what
	// its volume usually takes, within these bounds.
	hedgeMin time.Duration
	hedgeMax time.Duration
	// It is given up when no byte has come for that long.
	stall time.Duration
}

var defaultPatience = patience{hedgeMin: 20 * time.Millisecond, hedgeMax: 500 * time.Millisecond, stall: 3 * time.Second}

const (
	hedgeFactor    = 3
	unknownLatency = 30 * time.Millisecond // of a volume that was not read yet
)

// hedge is how long a volume may take to answer before another is asked too.
func (e *Engine) hedge(number meta.VolumeID) time.Duration {
	usual := e.latency(number)
	if usual == 0 {
		usual = unknownLatency
	}
	return min(max(hedgeFactor*usual, e.patience.hedgeMin), e.patience.hedgeMax)
}

// errSilence is within the error of a volume that was given up because nothing
// came from it.
var errSilence = errors.New("no byte came in time")

// watch gives up one attempt to read a copy: when it is no longer needed, or when
// its volume is silent for too long while something is expected of it. A nil watch
// watches nothing.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer // nil: for ever
}

func newWatch(ctx context.Context) *watch {
	w := &watch{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// within sets how long the volume may be silent.
func (w *watch) within(limit time.Duration) {
	w.limit = limit
	w.timer = time.AfterFunc(limit, func() { w.cancel(errSilence) })
	w.timer.Stop()
}

func (w *watch) arm() {
	if w != nil && w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

func (w *watch) disarm() {
	if w != nil && w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) stop() {
	if w != nil {
		w.disarm()
		w.cancel(nil)
	}
}

// explain returns what the error of an attempt means.
func (w *watch) explain(err error) error {
	if w != nil && errors.Is(context.Cause(w.ctx), errSilence) {
		return fmt.Errorf("%w: %w within %s", volume.ErrUnavailable, errSilence, w.limit)
	}
	return err
}

// answer is how an attempt to open a copy ended.
type answer struct {
	attempt int // its number
	blob    io.ReadCloser
	err     error
}

// race opens copies, by their places in the list: the first at once, and the next
// whenever one has failed or has not answered in its time. The first that opens is
// read. done is false where none does.
func (c *copies) race(order []int) (done bool, err error) {
	answers := make(chan answer)
	decided := make(chan struct{})
	watches := make([]*watch, 0, len(order))
	winner := -1
	defer func() {
		close(decided)
		for i, w := range watches {
			if i != winner {
				w.stop()
			}
		}
	}()
	hurry := time.NewTimer(time.Hour)
	defer hurry.Stop()
	begin := func() {
		if len(watches) < len(order) {
			s := &c.list[order[len(watches)]]
			s.awaited = s.silent
			w := newWatch(c.ctx)
			x := attempt{number: len(watches), piece: s.piece, offset: c.pos, length: c.end - c.pos}
			go x.run(w.ctx, c.engine, answers, decided)
			watches = append(watches, w)
			hurry.Reset(c.engine.hedge(x.piece.Volume))
		}
	}
	begin()
	for failed := 0; failed < len(order); {
		select {
		case <-c.ctx.Done():
			return false, c.ctx.Err()
		case <-hurry.C:
			begin()
		case a := <-answers:
			if a.err == nil {
				winner = a.attempt
				c.won(order, winner, opened{blob: a.blob, watch: watches[winner]})
				return true, nil
			}
			failed++
			c.miss(order[a.attempt], a.err)
			begin()
		}
	}
	return false, nil
}

// attempt is the opening of one copy in a race.
type attempt struct {
	number         int // in the order of the race
	piece          meta.Piece
	offset, length int64
}

// run opens the copy. Where another was faster, it is closed again.
func (x attempt) run(ctx context.Context, e *Engine, answers chan<- answer, decided <-chan struct{}) {
	a := answer{attempt: x.number}
	a.blob, a.err = e.openPiece(ctx, x.piece, x.offset, x.length)
	select {
	case answers <- a:
	case <-decided:
		if a.err == nil {
			_ = a.blob.Close() // nothing was read
		}
	}
}

// won begins to read a copy. Those that began before it and did not answer are the
// last to be tried from now on.
func (c *copies) won(order []int, winner int, r opened) {
	for _, i := range order[:winner] {
		c.list[i].trouble++
	}
	r.copy = order[winner]
	if !c.list[r.copy].awaited {
		r.watch.within(c.engine.patience.stall)
	}
	c.reading = r
}

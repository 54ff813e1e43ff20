package erasure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Open opens length bytes of a shard from offset. What it returns gives exactly
// these bytes or an error; it and opening it obey ctx. It is called by several
// goroutines at once, for different shards.
type Open func(ctx context.Context, shard int, offset, length int64) (io.ReadCloser, error)

// ErrTooFewShards is returned, wrapped, where fewer shards can be read than the
// code needs; it wraps what was wrong with those that can not.
var ErrTooFewShards = errors.New("too few shards can be read")

// Patience is how long a shard may take before another is asked in its place,
// where there is one. Zero is for ever.
type Patience struct {
	Begin time.Duration // until the first unit of a shard that was not read before
	Next  time.Duration // until any other
}

// gatherer brings together the units of one stripe after the other, read from all
// the shards at once that are needed. It is used by one goroutine.
type gatherer struct {
	ctx      context.Context
	stop     context.CancelFunc
	coder    *Coder
	open     Open
	patience Patience
	shards   []shard
	arriving chan delivery
	timer    *time.Timer
	failed   error // what was wrong with shards that failed, joined

	columns func(number int64) (lo, hi int64)         // that are read of each unit of a stripe
	until   func(shard int, number int64) (end int64) // which stripes a shard is worth opening for, from one on
}

// shard is what a gatherer knows of one shard.
type shard struct {
	banned   bool  // never to be asked
	trouble  int   // 0: none so far; 1: it was too slow once; 2: it failed once
	failedAt int64 // the stripe at which it failed last; -1: none
	lane     *lane // nil: none

	// Of the stripe at hand:
	unit  block     // nil: not there
	asked bool      // its lane is at it
	due   time.Time // when it will have taken too long; zero: never
	late  bool      // it has
}

// stripe is what is wanted of a stripe.
type stripe struct {
	number      int64
	first, last int // the data units that are wanted; none: first is greater
}

// wanted reports whether the stripe's unit of a shard is wanted.
func (s *stripe) wanted(shard int) bool { return shard >= s.first && shard <= s.last }

func (c *Coder) newGatherer(ctx context.Context, open Open, patience Patience) *gatherer {
	g := &gatherer{
		coder: c, open: open, patience: patience,
		shards: make([]shard, c.Shards()), arriving: make(chan delivery, c.Shards()),
	}
	g.ctx, g.stop = context.WithCancel(ctx)
	for i := range g.shards {
		g.shards[i].failedAt = -1
	}
	return g
}

// gather reads the units that are wanted of a stripe or, where one of them can
// not be had or is late, Data units of any shards.
func (g *gatherer) gather(s stripe) error {
	g.release()
	for i := range g.shards {
		if s.wanted(i) && g.shards[i].trouble == 0 && !g.shards[i].banned {
			g.ask(i, s.number)
		}
	}
	for !g.complete(s) {
		if err := g.substitute(s); err != nil {
			return err
		}
		if g.complete(s) {
			break
		}
		if err := g.wait(s); err != nil {
			return err
		}
	}
	g.dismiss()
	return nil
}

// release gives back the units of the stripe before.
func (g *gatherer) release() {
	for i := range g.shards {
		sh := &g.shards[i]
		g.coder.give(sh.unit)
		sh.unit, sh.asked, sh.due, sh.late = nil, false, time.Time{}, false
	}
}

// complete reports whether what is there gives what is wanted.
func (g *gatherer) complete(s stripe) bool {
	return g.all(s, func(sh *shard) bool { return sh.unit != nil }) ||
		g.count(func(sh *shard) bool { return sh.unit != nil }) >= g.coder.Data
}

// all reports whether all units that are wanted meet a condition; false where
// none is wanted.
func (g *gatherer) all(s stripe, ok func(*shard) bool) bool {
	for i := s.first; i <= s.last; i++ {
		if !ok(&g.shards[i]) {
			return false
		}
	}
	return s.first <= s.last
}

func (g *gatherer) count(ok func(*shard) bool) int {
	n := 0
	for i := range g.shards {
		if ok(&g.shards[i]) {
			n++
		}
	}
	return n
}

func (sh *shard) inTime() bool { return sh.unit != nil || sh.asked && !sh.late }

// substitute asks other shards for what can not be had, or not in time, of those
// that are wanted.
func (g *gatherer) substitute(s stripe) error {
	if err := g.ctx.Err(); err != nil {
		return err
	}
	if g.all(s, (*shard).inTime) {
		return nil
	}
	for have := g.count((*shard).inTime); have < g.coder.Data; have = g.count((*shard).inTime) {
		i := g.candidate(s.number)
		if i >= 0 {
			g.ask(i, s.number)
			continue
		}
		if hope := g.count(func(sh *shard) bool { return sh.unit != nil || sh.asked }); hope < g.coder.Data {
			return fmt.Errorf("%w: %d of %d, %s needs %d: %w",
				ErrTooFewShards, hope, len(g.shards), g.coder.Scheme, g.coder.Data, g.failed)
		}
		return nil // the slow ones are all there is
	}
	return nil
}

// candidate returns the shard that is best asked next: one that is being read
// already, else the one with the least trouble; -1 where there is none. One that
// failed may have the units behind the bad one.
func (g *gatherer) candidate(number int64) int {
	best, cost := -1, 0
	for i := range g.shards {
		sh := &g.shards[i]
		if sh.banned || sh.asked || sh.unit != nil || sh.failedAt == number {
			continue
		}
		c := 2 * sh.trouble
		if !sh.at(number) {
			c++
		}
		if best < 0 || c < cost {
			best, cost = i, c
		}
	}
	return best
}

// at reports whether a shard is being read at a stripe.
func (sh *shard) at(number int64) bool {
	return sh.lane != nil && sh.lane.next == number && number < sh.lane.until
}

// ask has a shard's unit of a stripe read.
func (g *gatherer) ask(i int, number int64) {
	sh := &g.shards[i]
	sh.asked = true
	if !sh.at(number) {
		sh.leave()
		sh.lane = g.start(i, number)
	}
	l := sh.lane
	if d := l.ahead; d != nil {
		l.ahead = nil
		g.accept(sh, *d, number)
		return
	}
	limit := g.patience.Next
	if !l.started {
		limit = g.patience.Begin
	}
	if limit > 0 {
		sh.due = time.Now().Add(limit)
	}
}

// leave gives up the lane of a shard.
func (sh *shard) leave() {
	if sh.lane != nil {
		sh.lane.cancel()
		sh.lane = nil
	}
}

// start opens a shard at a stripe.
func (g *gatherer) start(i int, number int64) *lane {
	l := &lane{
		shard: i, coder: g.coder, columns: g.columns, number: number, more: make(chan struct{}, 2), out: g.arriving,
		next: number, until: g.until(i, number),
	}
	l.more <- struct{}{}
	lo, _ := g.columns(number)
	_, hi := g.columns(l.until - 1)
	offset := number*Unit + lo
	length := (l.until-1)*Unit + hi - offset
	ctx, cancel := context.WithCancel(g.ctx)
	l.cancel = cancel
	go l.run(ctx, func() (io.ReadCloser, error) { return g.open(ctx, i, offset, length) })
	return l
}

// wait waits for a delivery, or for a shard to be late.
func (g *gatherer) wait(s stripe) error {
	var expired <-chan time.Time
	if due := g.nextDue(); !due.IsZero() {
		if g.timer == nil {
			g.timer = time.NewTimer(time.Until(due))
		} else {
			g.timer.Reset(time.Until(due))
		}
		defer g.timer.Stop()
		expired = g.timer.C
	}
	select {
	case <-g.ctx.Done():
		return g.ctx.Err()
	case d := <-g.arriving:
		g.sort(d, s.number)
	case now := <-expired:
		for i := range g.shards {
			sh := &g.shards[i]
			if !sh.due.IsZero() && !sh.due.After(now) {
				sh.late, sh.due = true, time.Time{}
			}
		}
	}
	return nil
}

func (g *gatherer) nextDue() time.Time {
	var next time.Time
	for i := range g.shards {
		if due := g.shards[i].due; !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return next
}

// sort puts a delivery where it belongs.
func (g *gatherer) sort(d delivery, number int64) {
	sh := &g.shards[d.from.shard]
	switch {
	case sh.lane != d.from:
		g.coder.give(d.unit) // it was given up meanwhile
	case sh.asked && sh.unit == nil && d.from.next == number:
		g.accept(sh, d, number)
	default:
		d.from.ahead = &d
	}
}

// accept takes a shard's unit of the stripe at hand, or its error.
func (g *gatherer) accept(sh *shard, d delivery, number int64) {
	l := d.from
	sh.due, sh.late, l.started = time.Time{}, false, true
	if d.err == nil {
		sh.unit = d.unit
		l.next++
		l.more <- struct{}{}
		return
	}
	g.coder.give(d.unit)
	if errors.Is(d.err, io.EOF) {
		d.err = io.ErrUnexpectedEOF
	}
	g.failed = errors.Join(g.failed, fmt.Errorf("shard %d: %w", l.shard, d.err))
	sh.asked, sh.trouble, sh.failedAt = false, 2, number
	sh.leave()
}

// dismiss gives up the lanes that had nothing to do with the stripe, or were not
// waited for.
func (g *gatherer) dismiss() {
	for i := range g.shards {
		sh := &g.shards[i]
		if sh.lane == nil || sh.unit != nil {
			continue
		}
		if sh.late {
			sh.trouble = max(sh.trouble, 1)
		}
		sh.leave()
	}
}

// close ends all lanes. Those that do not hear end by themselves.
func (g *gatherer) close() {
	g.release()
	g.stop()
}

// restore computes the units that are required and missing from those that are
// there, and returns the stripe's units: nil for those that are neither.
func (g *gatherer) restore(number int64, required []bool) ([][]byte, error) {
	lo, hi := g.columns(number)
	units := make([][]byte, len(g.shards))
	missing := false
	for i := range g.shards {
		sh := &g.shards[i]
		switch {
		case sh.unit != nil:
			units[i] = sh.unit[:hi-lo]
		case required[i]:
			missing = true
			sh.unit = g.coder.take()
			units[i] = sh.unit[: 0 : hi-lo] // its capacity is where the result goes
		}
	}
	if missing {
		if err := g.coder.code.ReconstructSome(units, required); err != nil {
			return nil, fmt.Errorf("erasure code %s: %w", g.coder.Scheme, err)
		}
	}
	return units, nil
}

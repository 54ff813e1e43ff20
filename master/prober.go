package master

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tdkvs/volume"
)

const (
	probeEvery   = time.Second            // from the beginning of one round to that of the next
	probeLimit   = time.Second            // for one volume to say how it is
	probeAgain   = 100 * time.Millisecond // not sooner, whatever goes wrong meanwhile
	downAfter    = 2                      // probes in a row that failed
	tripAfter    = 5                      // calls in a row that failed, although probes succeed
	maxTripPause = 30 * time.Second
)

// prober asks every volume how it is, once a second and earlier when calls to it
// fail. It alone says that a volume is down, or up again.
type prober struct {
	e     *Engine
	woken chan struct{}
	limit time.Duration
}

// probed is what the prober remembers of a volume.
type probed struct {
	sync.Mutex       // held during a probe; owns what follows
	misses     int   // probes in a row that failed
	failures   int32 // calls in a row that had failed when a probe last succeeded
	tripped    backoff
}

func newProber(e *Engine) *prober {
	return &prober{e: e, woken: make(chan struct{}, 1), limit: probeLimit}
}

// Name is the worker's name in the log.
func (p *prober) Name() string { return "health" }

// Woken signals that a call to a volume has failed.
func (p *prober) Woken() <-chan struct{} { return p.woken }

// Step asks every volume.
func (p *prober) Step(ctx context.Context) (State, error) {
	began := time.Now()
	p.round(ctx, true)
	return State{Wait: max(0, probeEvery-time.Since(began))}, nil
}

// round asks every volume, all at once, none waiting for another; those that are
// down only where that is said. unsure reports that one did not answer, and is not
// held to be down.
func (p *prober) round(ctx context.Context, down bool) (unsure bool) {
	var wg sync.WaitGroup
	var missed atomic.Bool
	for _, v := range p.e.layouts.now().volumes {
		if !down && v.condition.Load().down != nil {
			continue
		}
		wg.Go(func() {
			if p.probe(ctx, v) {
				missed.Store(true)
			}
		})
	}
	wg.Wait()
	return missed.Load()
}

// Probe asks every volume how it is, now: Health then says it. It takes two
// seconds, at most, for a volume that does not answer, and next to no time where
// all do.
func (e *Engine) Probe(ctx context.Context) {
	if e.prober.round(ctx, true) {
		e.prober.round(ctx, true)
	}
}

// ask has the volume probed soon.
func (v *boundVolume) ask() {
	if time.Since(time.Unix(0, v.probedAt.Load())) < probeAgain {
		return // the next round will find it
	}
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// probe asks a volume, and judges it. unsure reports that it did not answer and is
// not held to be down.
func (p *prober) probe(ctx context.Context, v *boundVolume) (unsure bool) {
	v.probed.Lock()
	defer v.probed.Unlock()
	v.probedAt.Store(time.Now().UnixNano())
	v.alive.Store(false)
	status, err := p.status(ctx, v)
	if ctx.Err() != nil {
		return true
	}
	if err == nil {
		err = v.check(status.Identity)
	}
	if err == nil {
		p.answered(v, status)
		return false
	}
	p.missed(v, err)
	return v.condition.Load().down == nil
}

var errSilent = errors.New("no answer in time")

// status asks a volume for its status, and gives up in time even where the call
// does not.
func (p *prober) status(ctx context.Context, v *boundVolume) (volume.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	select {
	case v.asking <- struct{}{}:
	case <-ctx.Done(): // the last question has not come back yet
		return volume.Status{}, errSilent
	}
	type answer struct {
		status volume.Status
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		status, err := v.blobs.Status(ctx)
		<-v.asking
		answers <- answer{status, err}
	}()
	select {
	case a := <-answers:
		if errors.Is(a.err, context.DeadlineExceeded) {
			a.err = errSilent
		}
		return a.status, a.err
	case <-ctx.Done():
		return volume.Status{}, errSilent
	}
}

// missed judges a volume that did not say how it is, or not what it should. One
// probe may be lost, unless calls fail as well; and where calls are answered, the
// volume is only busy.
func (p *prober) missed(v *boundVolume, why error) {
	at := v.condition.Load()
	if errors.Is(why, errSilent) && v.alive.Load() {
		return
	}
	v.probed.misses++
	final := errors.Is(why, volume.ErrWrongVolume) || errors.Is(why, volume.ErrDenied)
	switch {
	case at.down != nil:
		v.condition.Store(at.tookDown(at.since, v.downError(why)))
	case final, v.probed.misses >= downAfter, v.failures.Load() > 0:
		p.down(v, why)
	}
}

// answered judges a volume that has said how it is. That its calls fail all the
// same is believed when they still do after another probe.
func (p *prober) answered(v *boundVolume, status volume.Status) {
	at, failures := v.condition.Load(), v.failures.Load()
	before := v.probed.failures
	v.probed.misses, v.probed.failures = 0, failures
	now := p.e.now()
	switch {
	case at.down != nil && v.probed.tripped.until.After(now):
		v.condition.Store(at.saying(status))
	case at.down != nil:
		p.up(v, status)
	case failures >= tripAfter && before >= tripAfter && failures > before:
		v.probed.tripped = v.probed.tripped.failed(now, maxTripPause)
		p.down(v, fmt.Errorf("it answers, but %d calls in a row have failed, the last: %w", failures, unchained(*v.failure.Load())))
	default:
		if failures == 0 {
			v.probed.tripped = backoff{}
		}
		p.note(v, at, status)
	}
}

// unchained is an error as text: what it was made of must not be found in
// another's error.
func unchained(err error) error { return errors.New(err.Error()) }

// down opens the circuit of a volume: what is asked of it ends, and nothing more
// is asked but how it is.
func (p *prober) down(v *boundVolume, why error) {
	at := v.condition.Load()
	next := at.tookDown(p.e.now(), v.downError(why))
	v.condition.Store(next)
	at.ended(next.down)
	p.e.log.Warn("volume is down: nothing is asked of it until it is back", "volume", v.Number, "at", v.Name, "error", why)
}

// up closes the circuit of a volume. One that was opened by calls that failed is
// opened again by the next.
func (p *prober) up(v *boundVolume, status volume.Status) {
	was := v.condition.Load()
	now := p.e.now()
	v.latency.Store(0)
	v.failures.Store(0)
	v.probed.failures = 0
	if v.probed.tripped.failures > 0 {
		v.probed.failures = tripAfter
		v.failures.Store(tripAfter)
	}
	v.condition.Store(newCondition(now, status))
	p.e.log.Info("volume is back", "volume", v.Number, "at", v.Name, "after", now.Sub(was.since))
	p.e.volumeIsBack()
	p.e.journalReturned(v.Number)
}

// note keeps what a volume that stays up says.
func (p *prober) note(v *boundVolume, at *condition, status volume.Status) {
	next := at.saying(status)
	v.condition.Store(next)
	switch was, is := at.takesWrites(), next.takesWrites(); {
	case was && !is:
		p.e.log.Warn("volume takes no writes for now", "volume", v.Number, "at", v.Name, "full", status.Full, "read_only", status.ReadOnly)
	case is && !was:
		p.e.log.Info("volume takes writes again", "volume", v.Number, "at", v.Name)
		p.e.volumeIsBack()
	case !nearlyFull(at.status) && nearlyFull(status):
		p.e.log.Warn("volume is nearly full: it takes no writes when its reserve is reached", "volume", v.Number, "at", v.Name,
			"free", status.Free, "reserve", status.Reserve)
	case nearlyFull(at.status) && !nearlyFull(status) && is: // it may have refused what was too large for what was left
		p.e.volumeIsBack()
	}
}

// nearlyFull reports that a volume has little more than its reserve left.
func nearlyFull(s volume.Status) bool { return !s.Full && s.Free <= 2*s.Reserve }

// volumeIsBack has the work done that was waiting for a volume.
func (e *Engine) volumeIsBack() {
	e.rebalance.volumeIsBack()
	e.garbage.volumeIsBack()
	e.leftovers.volumeIsBack()
	e.journalChanged()
}

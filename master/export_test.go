package master

import (
	"context"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// RebalanceStep advances the rebalance by one step, for tests that stop it at
// any moment.
func (e *Engine) RebalanceStep(ctx context.Context) (State, error) { return e.rebalance.Step(ctx) }

// RebalanceWoken reports whether the rebalance was woken since it was asked the
// last time.
func (e *Engine) RebalanceWoken() bool {
	select {
	case <-e.rebalance.woken:
		return true
	default:
		return false
	}
}

// Usable reports whether new blobs go to a volume.
func (e *Engine) Usable(number meta.VolumeID) bool { return e.usable(number) }

// Readable reports whether a volume's blobs are asked for.
func (e *Engine) Readable(number meta.VolumeID) bool { return e.readable(number) }

// Latency is how long a volume takes to the first byte of a blob.
func (e *Engine) Latency(number meta.VolumeID) time.Duration { return e.latency(number) }

// ProbeLimit sets how long a volume may take to say how it is.
func (e *Engine) ProbeLimit(d time.Duration) { e.prober.limit = d }

// ProbeRound asks every volume once how it is.
func (e *Engine) ProbeRound(ctx context.Context) { e.prober.round(ctx, true) }

// Candidates returns where the n pieces of a key are to be written now.
func (e *Engine) Candidates(hash uint64, n int) (volumes []meta.VolumeID, home bool, err error) {
	return e.layouts.now().candidates(hash, n, e.usable)
}

// Place returns where the n pieces of a key belong.
func (e *Engine) Place(hash uint64, n int) ([]meta.VolumeID, error) {
	return e.layouts.now().place(hash, n)
}

// SetWriteLimits says how long a volume may hold up a write to several, and how
// long the last ones are waited for.
func (e *Engine) SetWriteLimits(stall, late time.Duration) {
	e.writes.stall, e.writes.late = stall, late
}

// Blobs returns the way to a volume, as the engine uses it.
func (e *Engine) Blobs(number meta.VolumeID) (Blobs, error) {
	return e.volume(context.Background(), number)
}

// SetReadPatience says how long an answer may take until another copy is asked,
// and how long a volume may be silent in the middle of a blob.
func (e *Engine) SetReadPatience(hedge, stall time.Duration) {
	e.patience = patience{hedgeMin: hedge, hedgeMax: hedge, stall: stall}
}

// QueueSuspects takes what readers have reported to the repair queue.
func (e *Engine) QueueSuspects(ctx context.Context) error {
	for {
		if state, err := e.suspects.Step(ctx); err != nil || !state.More {
			return err
		}
	}
}

// TakeFindings asks the volumes what they have found bad, and takes it to the repair
// queue. What has to be searched for is.
func (e *Engine) TakeFindings(ctx context.Context) error {
	e.Probe(ctx)
	for {
		if state, err := e.findings.Step(ctx); err != nil || !state.More && state.Wait == findingsPoll {
			return err
		}
	}
}

// FindingsStats counts what volumes have found bad.
func (e *Engine) FindingsStats() FindingsStats { return e.findings.snapshot() }

// FindingsStep does one step of what TakeFindings does to the end.
func (e *Engine) FindingsStep(ctx context.Context) error {
	_, err := e.findings.Step(ctx)
	return err
}

// LeftoversStep advances the look for leftovers by one step.
func (e *Engine) LeftoversStep(ctx context.Context) (State, error) { return e.leftovers.Step(ctx) }

// AskForLeftovers has all volumes looked over, whenever their blobs were created.
func (e *Engine) AskForLeftovers(ctx context.Context) error {
	e.leftovers.step.Lock()
	defer e.leftovers.step.Unlock()
	e.leftovers.look = nil
	return e.leftovers.change(ctx, func(l *metadb.Leftovers, _ bool) {
		e.leftovers.ask(l, false)
		l.Until = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)
	})
}

// LeftoversAtOnce sets how many candidates a look for leftovers holds.
func (e *Engine) LeftoversAtOnce(n int) { e.leftovers.most = n }

// LeftoversListed reports whether a look has listed what it will settle next.
func (e *Engine) LeftoversListed() bool {
	e.leftovers.step.Lock()
	defer e.leftovers.step.Unlock()
	return e.leftovers.look != nil && e.leftovers.look.listed
}

// LeftoversWoken signals that writes have begun.
func (e *Engine) LeftoversWoken() <-chan struct{} { return e.leftovers.Woken() }

// SetSharePatience says how long a request waits for its share of the memory.
func (e *Engine) SetSharePatience(d time.Duration) {
	e.writeShares.patience, e.readShares.patience = d, d
}

// LeftoversLimit sets how many blobs one look for leftovers gives up at most.
func (e *Engine) LeftoversLimit(n uint64) { e.leftovers.limit = n }

// JournalStep does the upkeep of the journal once.
func (e *Engine) JournalStep(ctx context.Context) (State, error) { return journalUpkeep{e}.Step(ctx) }

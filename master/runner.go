package master

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tdkvs/master/metadb"
)

// State is what a step of background work leaves behind.
type State struct {
	More bool          // there is more to do at once
	Wait time.Duration // otherwise, when to look again
}

// Stepper is background work that advances by bounded steps. A step that was cut
// off by the end of the process is repeated after the next start.
type Stepper interface {
	// Name is a word for the log.
	Name() string
	// Step does a bounded amount of work.
	Step(ctx context.Context) (State, error)
	// Woken signals that there may be work earlier than the last step said.
	Woken() <-chan struct{}
}

// retryStep is the pause after a step that failed.
const retryStep = 5 * time.Second

// Run does the engine's background work until ctx ends; it returns nil then. It
// records that the process has ended cleanly, so no write should follow.
func (e *Engine) Run(ctx context.Context) error {
	ctx = metadb.Upkeep(ctx) // a full disk is won back by it
	var wg sync.WaitGroup
	wg.Go(func() { e.checks.run(ctx) })
	for _, s := range []Stepper{e.prober, e.garbage, e.rebalance, e.suspects, e.findings, e.leftovers, journalUpkeep{e}, journalLate{e}} {
		wg.Go(func() { run(ctx, e.log, s) })
	}
	wg.Wait()
	e.leftovers.end(ctx)
	return nil
}

func run(ctx context.Context, log *slog.Logger, s Stepper) {
	for ctx.Err() == nil {
		state, err := s.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("background work failed and will be retried", "work", s.Name(), "error", err)
			state = State{Wait: retryStep}
		case state.More:
			continue
		}
		pause := time.NewTimer(state.Wait)
		select {
		case <-ctx.Done():
		case <-pause.C:
		case <-s.Woken():
		}
		pause.Stop()
	}
}

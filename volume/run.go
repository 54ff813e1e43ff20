package volume

import (
	"context"
	"errors"
	"sync"
	"time"

	"tdkvs/failpoint"
)

const (
	idleAfter       = time.Second      // how often an idle log is marked
	compactInterval = 10 * time.Second // how often segments are looked over
)

// Run does the background work of the store: compaction, scrubbing unless it is
// configured not to, and marking an idle log. It returns nil when ctx ends or the
// store is closed. Without Run the store is right, but its files only grow.
func (s *Store) Run(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	s.background.Add(1)
	s.leave()
	defer s.background.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { s.every(ctx, idleAfter, s.markIdle) })
	group.Go(func() { s.every(ctx, failpoint.Or(compactInterval, compactInterval/50), s.compactAll) })
	if s.scrubs() {
		s.loadScrub()
		defer s.leaveScrub()
		group.Go(func() { s.every(ctx, idleAfter, s.scrub) })
	}
	group.Wait()
	return nil
}

// every calls work until the store or ctx ends.
func (s *Store) every(ctx context.Context, interval time.Duration, work func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.closing:
			return
		case <-ticker.C:
			work(ctx)
		}
	}
}

func (s *Store) markIdle(context.Context) {
	if err := s.enter(); err != nil {
		return
	}
	defer s.leave()
	if err := s.journal.idle(); err != nil {
		s.log.Error("the log could not be marked", "error", err)
	}
}

func (s *Store) compactAll(ctx context.Context) {
	for {
		more, err := s.CompactNext(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errClosed) {
			s.log.Error("compaction stopped", "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

// pace spreads work over time.
type pace struct {
	rate int64 // bytes per second; not above 0: no bound
	debt int64 // bytes not yet waited for
}

// paceStep is the shortest wait.
const paceStep = 10 * time.Millisecond

// wait accounts for n bytes and sleeps when they are ahead of the rate.
func (p *pace) wait(ctx context.Context, closing <-chan struct{}, n int64) error {
	if err := ctx.Err(); err != nil || p.rate <= 0 {
		return err
	}
	p.debt += n
	sleep := time.Duration(float64(p.debt) / float64(p.rate) * float64(time.Second))
	if sleep < paceStep {
		return nil
	}
	p.debt = 0
	timer := time.NewTimer(sleep)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closing:
		return errClosed
	}
}

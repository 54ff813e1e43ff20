package compattests

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// act is a write of a crew on a disk that is recorded: what the key was to hold, and how many events the disk had seen
// when the request was about to be sent, and when its acknowledgement was there.
type act struct {
	key   string
	value value
	began int
	acked int // -1: never
}

// recall makes a writer's memory what it was when the disk had seen so many events: what was acknowledged until then,
// and what was under way.
func (w *writer) recall(cut int) {
	clear(w.known)
	clear(w.maybe)
	for _, a := range w.acts {
		switch {
		case a.acked >= 0 && a.acked <= cut:
			w.known[a.key] = a.value
			delete(w.maybe, a.key)
		case a.began <= cut:
			w.maybe[a.key] = append(w.maybe[a.key], a.value)
		}
	}
}

// wrong reads back what each writer knows, and returns what is not as it should be, at most a few of it.
func (c *crew) wrong(ctx context.Context) []error {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for _, w := range c.writers {
		wg.Go(func() {
			for key := range w.keys() {
				if err := w.verify(ctx, key); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return errs
}

// tryStart starts the store and waits until it serves; an error where it does not.
func (d *deployment) tryStart(t testing.TB) error {
	for _, p := range d.processes() {
		p.start(t)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, p := range d.processes() {
			if !p.alive() {
				log := p.logTail()
				return fmt.Errorf("%s ended instead of becoming ready: %s", p.name, log[max(0, len(log)-800):])
			}
		}
		if ready, _ := d.servesAll(t); ready {
			return nil
		}
	}
	return errors.New("not ready after half a minute")
}

package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"tdkvs/failpoint"
)

// component is something that runs until its context is done. Ending for that
// reason is no error.
type component func(ctx context.Context) error

// serve runs the front and the workers behind it until ctx is done or one of
// them fails. The front ends first, so that the last requests still find their
// workers.
func serve(ctx context.Context, front component, workers ...component) error {
	base, endWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer endWorkers()
	group, working := errgroup.WithContext(base)
	for _, worker := range workers {
		group.Go(func() error { return ended(worker(working)) })
	}
	serving, endFront := context.WithCancel(ctx)
	defer endFront()
	defer context.AfterFunc(working, endFront)() // a worker failed
	err := ended(front(serving))
	failpoint.At("stop/front")
	endWorkers()
	err = errors.Join(err, group.Wait())
	failpoint.At("stop/workers")
	return err
}

// ended leaves out the error that only says that a context is done.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// closers close what was opened, in reverse order.
type closers []closer

type closer struct {
	name  string
	close func() error
}

func (c *closers) add(name string, closeIt func() error) {
	*c = append(*c, closer{name, closeIt})
}

// close closes all, and returns what went wrong beside err.
func (c *closers) close(err error) error {
	errs := []error{err}
	for i := len(*c) - 1; i >= 0; i-- {
		if err := (*c)[i].close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", (*c)[i].name, err))
		}
		failpoint.At("stop/closed")
	}
	*c = nil
	return errors.Join(errs...)
}

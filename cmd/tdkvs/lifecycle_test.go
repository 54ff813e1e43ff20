package main

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestServeEndsFrontFirst(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var order []string
	front := func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		order = append(order, "front") // before the worker is told to end
		return ctx.Err()
	}
	worker := func(ctx context.Context) error {
		<-ctx.Done()
		order = append(order, "worker")
		return ctx.Err()
	}
	if err := serve(ctx, front, worker); err != nil {
		t.Error(err)
	}
	if !slices.Equal(order, []string{"front", "worker"}) {
		t.Errorf("ended in the order %v", order)
	}
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	wait := func(ctx context.Context) error { <-ctx.Done(); return nil }
	fail := func(context.Context) error { return broken }
	done := func(context.Context) error { return nil }
	tests := []struct {
		name    string
		front   component
		workers []component
	}{
		{"front", fail, []component{wait, wait}},
		{"worker", wait, []component{wait, fail, done}},
		{"no worker", fail, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := serve(t.Context(), tt.front, tt.workers...); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestClosers(t *testing.T) {
	t.Parallel()
	var c closers
	var order []string
	broken := errors.New("broken")
	for _, name := range []string{"metadata", "volume 1", "volume 2"} {
		c.add(name, func() error {
			order = append(order, name)
			if name == "volume 1" {
				return broken
			}
			return nil
		})
	}
	first := errors.New("first")
	err := c.close(first)
	if !errors.Is(err, first) || !errors.Is(err, broken) || err.Error() != "first\nclose volume 1: broken" {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(order, []string{"volume 2", "volume 1", "metadata"}) {
		t.Errorf("closed in the order %v", order)
	}
	if err := c.close(nil); err != nil || len(order) != 3 {
		t.Errorf("closed twice: %v, %v", order, err)
	}
}

package master_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// wantRefused wants a change of the topology to be refused, and nothing changed.
func (s *store) wantRefused(what string, change func(context.Context) error) {
	s.t.Helper()
	before := s.Topology().Version
	var ce *master.ChangeError
	if err := change(context.Background()); !errors.As(err, &ce) {
		s.t.Errorf("%s: %v", what, err)
	}
	if v := s.Topology().Version; v != before {
		s.t.Errorf("%s: the topology has changed", what)
	}
}

func TestSetReplicasRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, n := range []int{-1, 0, 4, 9} {
		s.wantRefused(fmt.Sprint(n), func(ctx context.Context) error { return s.SetReplicas(ctx, "", n) })
	}
	s.wantRefused("of a bucket", func(ctx context.Context) error { return s.SetReplicas(ctx, bucket, 4) })
	wantKind(t, s.SetReplicas(context.Background(), "nobody", 2), meta.KindNoSuchBucket)
	if err := s.SetReplicas(context.Background(), bucket, 0); err != nil {
		t.Errorf("what it is already: %v", err)
	}
	if st := s.rebalance(); st.Active {
		t.Errorf("a rebalance has begun: %+v", st)
	}
}

// TestConfiguredReplicas: the configuration counts when it changes, and what was
// set live until then.
func TestConfiguredReplicas(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	start := func(configured, want int) {
		t.Helper()
		cfg := s.config()
		cfg.Replicas = configured
		s.openWith(cfg)
		if got := s.Topology().Replicas; got != want {
			t.Errorf("configured %d: %d replicas, want %d", configured, got, want)
		}
	}
	start(2, 2)
	if st := s.rebalance(); !st.Active {
		t.Errorf("no rebalance has begun: %+v", st)
	}
	if err := s.SetReplicas(context.Background(), "", 3); err != nil {
		t.Fatal(err)
	}
	start(2, 3)
	start(0, 3)
	start(1, 1)
	cfg := s.config()
	cfg.Replicas = 4
	var ce *master.ChangeError
	if _, err := master.Open(context.Background(), cfg); !errors.As(err, &ce) {
		t.Errorf("more than there are volumes: %v", err)
	}
}

// TestSetWeight: only the keys of the slots that come or go move.
func TestSetWeight(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(200)
	for _, step := range []struct{ weight, slots int }{{3, 5}, {2, 5}, {3, 5}, {1, 5}} {
		before := s.places()
		if err := s.SetWeight(context.Background(), 2, step.weight); err != nil {
			t.Fatal(err)
		}
		s.rebalanced()
		moved := 0
		for k, at := range s.places() {
			if was := before[k]; at != was {
				moved++
				if at != 2 && was != 2 {
					t.Errorf("weight %d: %q has moved from %d to %d", step.weight, k, was, at)
				}
			}
		}
		if n := len(s.Topology().Slots); n != step.slots || moved == 0 {
			t.Errorf("weight %d: %d slots, %d objects moved", step.weight, n, moved)
		}
		s.wantAll(keys)
	}
	epoch := s.Topology().Epoch
	if err := s.SetWeight(context.Background(), 2, 1); err != nil || s.Topology().Epoch != epoch {
		t.Errorf("what it is already: %v", err)
	}
	for _, n := range []int{0, -1, master.MaxWeight + 1} {
		s.wantRefused(fmt.Sprint(n), func(ctx context.Context) error { return s.SetWeight(ctx, 2, n) })
	}
	s.wantRefused("unknown", func(ctx context.Context) error { return s.SetWeight(ctx, 9, 1) })
	if err := s.DrainVolume(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	s.wantRefused("draining", func(ctx context.Context) error { return s.SetWeight(ctx, 2, 2) })
}

func TestStartRebalance(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(20)
	if err := s.StartRebalance(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := s.rebalance(); !st.Active || st.Epoch != s.Topology().Epoch {
		t.Errorf("started: %+v", st)
	}
	s.rebalanced()
	if st := s.rebalance(); st.Moved != 0 || st.Scanned != 20 {
		t.Errorf("ended: %+v", st)
	}
	s.wantAll(keys)
}

func TestLoseVolumeRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.wantRefused("unknown", func(ctx context.Context) error { return s.LoseVolume(ctx, 9) })
	for _, n := range []meta.VolumeID{1, 2} {
		if err := s.LoseVolume(context.Background(), n); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.Topology().Volumes[1]; v.State != metadb.VolumeLost {
		t.Errorf("volume 2 is %v", v.State)
	}
	if err := s.LoseVolume(context.Background(), 2); err != nil {
		t.Errorf("lost already: %v", err)
	}
	s.wantRefused("the last", func(ctx context.Context) error { return s.LoseVolume(ctx, 3) })
	s.wantRefused("a drain of what is lost", func(ctx context.Context) error { return s.DrainVolume(ctx, 2) })
	s.wantRefused("a weight for what is lost", func(ctx context.Context) error { return s.SetWeight(ctx, 2, 2) })
}

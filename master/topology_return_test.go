package master_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// namedOn counts the pieces on a volume that rows name.
func (s *store) namedOn(number meta.VolumeID) int {
	s.t.Helper()
	n := 0
	for k, row := range s.rows() {
		var extents []meta.Extent
		switch k[0] {
		case 'o', 'v':
			o, err := metadb.UnmarshalObject(row)
			if err != nil {
				s.t.Fatal(err)
			}
			extents = o.Extents
		case 'p':
			p, err := metadb.UnmarshalPart(row)
			if err != nil {
				s.t.Fatal(err)
			}
			extents = p.Extents
		}
		for _, x := range extents {
			if holdsVolume(x.Pieces, number) {
				n++
			}
		}
	}
	return n
}

// TestTakenBackAtOnce: a volume is back at once, whatever the rebalance is at, and
// serves what only it has.
func TestTakenBackAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(60)
	s.lose(2)
	s.rebalanced()
	on := s.keyOn(3, "late")
	s.put(on, "body of "+on)
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	v := s.grow(3, "") // it gets more than the slot that is free
	v.mu.Lock()
	v.onPut = func() {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-leave
	}
	v.mu.Unlock()
	var step sync.WaitGroup
	step.Go(func() {
		for range 20 {
			_, _ = s.RebalanceStep(bg) // it is overtaken by another topology
		}
	})
	select {
	case <-entered:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing moves")
	}
	back := make(chan error, 1)
	go func() { back <- s.CancelDrain(bg, 2) }()
	select {
	case err := <-back:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for a step of the rebalance")
	}
	s.wantAll(keys)
	close(leave)
	step.Wait()
	s.rebalanced()
	s.wantDamaged()
	s.wantAll(keys)
	s.wantSettled(keys)
	s.lookOver()
}

// TestTakenBackDuringALook: the look that is under way when a volume comes back
// does not stand for the one that is asked for then, not even where it had passed
// that volume.
func TestTakenBackDuringALook(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.fillKeys(40)
	s.rebalanced()
	if err := s.AskForLeftovers(bg); err != nil {
		t.Fatal(err)
	}
	s.lose(2)
	for !s.LeftoversListed() { // it passes volume 2
		if _, err := s.LeftoversStep(bg); err != nil {
			t.Fatal(err)
		}
	}
	s.rebalanced()
	held := len(s.volumes[1].ids(t))
	s.LeftoversLimit(1) // of what a crash leaves: this is something else
	if err := s.CancelDrain(bg, 2); err != nil {
		t.Fatal(err)
	}
	named := s.namedOn(2)
	if st := s.lookOver(); st.Left != 0 || st.Found != uint64(held-named) || st.Found == 0 {
		t.Errorf("%d of %d blobs are named: %+v", named, held, st)
	}
}

// TestTakenBackIsNotYetInForce: a look that meets a volume that is recorded to be
// back, and not yet in force, waits for it.
func TestTakenBackIsNotYetInForce(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.fillKeys(40)
	s.rebalanced()
	s.lose(2)
	s.rebalanced()
	s.lookOver() // that of the first start
	var left int
	looked := false
	f := func() error {
		if !looked {
			looked = true
			for range 20 {
				_, _ = s.LeftoversStep(bg)
			}
			st, err := s.Leftovers(bg)
			left = st.Left
			return err
		}
		return nil
	}
	s.db.after.Store(&f)
	if err := s.CancelDrain(bg, 2); err != nil {
		t.Fatal(err)
	}
	s.db.heal()
	if left != 1 {
		t.Errorf("%d volumes are left to be looked over in the midst of it, want 1", left)
	}
	if st := s.lookOver(); st.Found == 0 {
		t.Errorf("%+v", st)
	}
}

// TestLostAndBackUnderLoad: a volume is given up and taken back, over and over,
// while clients write and delete, things move and are repaired, garbage is removed
// and leftovers are looked for. Nothing is lost, and nothing is left.
func TestLostAndBackUnderLoad(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 2} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			s := newCopiesStore(t, 4, replicas)
			var wg sync.WaitGroup
			var over atomic.Bool
			scribes := make([]*scribe, 3)
			for w := range scribes {
				c := &scribe{s: s, rng: rand.New(rand.NewPCG(uint64(w), 8)), name: fmt.Sprint("w", w), want: map[string]string{}}
				scribes[w] = c
				wg.Go(func() {
					for i := 0; !over.Load(); i++ {
						if err := c.write(i); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for _, work := range []func() error{
				func() error { _, err := s.RebalanceStep(bg); return err },
				func() error { return s.CollectGarbage(bg) },
				func() error { _, err := s.LeftoversStep(bg); return err },
			} {
				wg.Go(func() {
					for !over.Load() {
						if err := work(); err != nil {
							t.Error(err)
							return
						}
						time.Sleep(100 * time.Microsecond)
					}
				})
			}
			rng := rand.New(rand.NewPCG(3, 8))
			for i := range 20 {
				number := meta.VolumeID(1 + i%4)
				if err := s.LoseVolume(bg, number); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond)
				if err := s.CancelDrain(bg, number); err != nil {
					t.Error(err)
				}
				s.clock.advance(time.Duration(rng.IntN(20)) * time.Minute)
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
			}
			over.Store(true)
			wg.Wait()
			s.rebalanced()
			s.clock.advance(time.Hour)
			s.rebalanced()
			s.wantDamaged()
			for _, c := range scribes {
				for k, body := range c.want {
					s.wantBody(k, body)
				}
			}
			s.lookOver()
			s.collect()
		})
	}
}

// TestReturnRefusals: what does not answer, or is another volume, stays lost.
func TestReturnRefusals(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.lose(2)
	s.rebalanced()
	v := s.volumes[1]
	v.down.Store(true)
	s.wantRefused("of a volume that is down", func(ctx context.Context) error { return s.CancelDrain(ctx, 2) })
	v.down.Store(false)
	own := v.Blobs
	v.Blobs = newTestVolume("/other").Blobs
	s.wantRefused("of another volume", func(ctx context.Context) error { return s.CancelDrain(ctx, 2) })
	v.Blobs = own
	before := s.rows()
	s.db.fail(&s.db.before, 1, fmt.Errorf("disk on fire"))
	if err := s.CancelDrain(bg, 2); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a commit that failed: %v", err)
	}
	s.db.heal()
	if string(s.rows()[string(metadb.TopologyKey())]) != string(before[string(metadb.TopologyKey())]) {
		t.Error("the topology has changed all the same")
	}
	if err := s.CancelDrain(bg, 2); err != nil {
		t.Error(err)
	}
	s.wantRefused("of one that is back", func(ctx context.Context) error { return s.CancelDrain(ctx, 2) })
	s.rebalanced()
	s.lookOver()
}

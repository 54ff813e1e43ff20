package master_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// rebalanced runs the rebalance to its end.
func (s *store) rebalanced() {
	s.t.Helper()
	if err := s.Rebalance(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	if st := s.rebalance(); st.Active {
		s.t.Fatalf("the rebalance has not ended: %+v", st)
	}
}

func (s *store) rebalance() metadb.Rebalance {
	s.t.Helper()
	st, err := s.RebalanceState(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// grow adds a volume.
func (s *store) grow(weight int, zone string) *testVolume {
	s.t.Helper()
	v := newTestVolume(fmt.Sprintf("/disk%d", len(s.volumes)+1))
	s.volumes = append(s.volumes, v)
	added, err := s.AddVolume(context.Background(), master.NewVolume{
		Volume: master.Volume{Name: v.name, Blobs: v}, Weight: weight, Zone: zone,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if int(added.Number) != len(s.volumes) {
		s.t.Fatalf("volume %s has number %d", v.name, added.Number)
	}
	return v
}

// places returns the volume of every extent, by a name of it.
func (s *store) places() map[string]meta.VolumeID {
	s.t.Helper()
	at := map[string]meta.VolumeID{}
	for k, row := range s.rows() {
		switch k[0] {
		case 'o', 'v':
			o, err := metadb.UnmarshalObject(row)
			if err != nil {
				s.t.Fatal(err)
			}
			for i, x := range o.Extents {
				at[fmt.Sprintf("%s %d", k, i)] = x.Pieces[0].Volume
			}
		case 'p':
			p, err := metadb.UnmarshalPart(row)
			if err != nil {
				s.t.Fatal(err)
			}
			at[k] = p.Extents[0].Pieces[0].Volume
		}
	}
	return at
}

// wanted is where the topology places an object.
func (s *store) wanted(key string) meta.VolumeID {
	s.t.Helper()
	t := s.Topology()
	slots := make([]placement.Slot, len(t.Slots))
	for i, slot := range t.Slots {
		slots[i] = placement.Slot{Volume: uint32(slot.Volume), State: placement.State(slot.State)}
	}
	m, err := placement.New(slots)
	if err != nil {
		s.t.Fatal(err)
	}
	return meta.VolumeID(m.Slot(m.Choose(placement.KeyHash(bucket, key), 1, nil)[0]).Volume)
}

func (s *store) fillKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%04d", i)
		s.put(keys[i], "body of "+keys[i])
	}
	return keys
}

func (s *store) wantAll(keys []string) {
	s.t.Helper()
	for _, k := range keys {
		s.wantBody(k, "body of "+k)
	}
}

// TestAddVolume: just the keys that the new volume's slot takes move to it.
func TestAddVolume(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(400)
	before := s.places()
	v := s.grow(0, "")
	s.wantAll(keys) // reads follow what is recorded
	s.rebalanced()
	s.wantAll(keys)
	moved := 0
	for k, at := range s.places() {
		key := strings.TrimSuffix(k[len("o"+bucket)+1:], " 0")
		if at != s.wanted(key) {
			t.Errorf("%q is on volume %d, want %d", key, at, s.wanted(key))
		}
		if at != before[k] {
			moved++
			if at != 4 {
				t.Errorf("%q has moved from %d to %d", key, before[k], at)
			}
		}
	}
	if st := s.rebalance(); st.Moved != uint64(moved) || moved < 60 || moved > 140 || st.Failed != 0 {
		t.Errorf("%d objects are elsewhere, %+v", moved, st)
	}
	s.collect()
	if n := len(v.ids(t)); n != moved || s.blobs() != len(keys) {
		t.Errorf("%d blobs on the new volume, %d on all", n, s.blobs())
	}
	s.open() // the new volume is known
	s.wantAll(keys)
}

// TestAddVolumeByConfiguration: a new volume in the list joins at the start.
func TestAddVolumeByConfiguration(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(100)
	s.volumes = append(s.volumes, newTestVolume("/disk4"), newTestVolume("/disk5"))
	slices.Reverse(s.volumes)
	s.open()
	if n := len(s.Topology().Slots); n != 5 {
		t.Fatalf("%d slots", n)
	}
	s.rebalanced()
	s.wantAll(keys)
	if n := len(s.numbered(4).ids(t)) + len(s.numbered(5).ids(t)); n < 20 {
		t.Errorf("%d blobs on the new volumes", n)
	}
}

// numbered returns the volume of a number.
func (s *store) numbered(n int) *testVolume {
	s.t.Helper()
	return s.byUUID(s.Topology().Volumes[n-1].UUID)
}

// TestDrain: everything moves off a volume, of all kinds of rows, and it leaves.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.versioning(meta.VersioningEnabled)
	keys := s.fillKeys(60)
	for _, k := range keys[:30] {
		s.put(k, "body of "+k) // and the first has become noncurrent
	}
	up := s.createUpload("parts")
	for n := 1; n <= 8; n++ {
		s.putPart(up, n, strings.Repeat(fmt.Sprint(n), 100))
	}
	s.complete(up, 1, 2, 3, 4, 5, 6, 7, 8)
	open := s.createUpload("open")
	for n := 1; n <= 8; n++ {
		s.putPart(open, n, strings.Repeat(fmt.Sprint(n), 100))
	}
	s.collect() // the rows of the upload that is complete
	before := s.places()
	if err := s.DrainVolume(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	for k, at := range s.places() {
		if at == 2 || before[k] != 2 && at != before[k] {
			t.Errorf("%q was on %d and is on %d", k, before[k], at)
		}
	}
	if n := len(s.volumes[1].ids(t)); n != 0 {
		t.Errorf("%d blobs are left on the volume", n)
	}
	if v := s.Topology().Volumes[1]; v.State != metadb.VolumeRemoved {
		t.Errorf("volume 2 is %v", v.State)
	}
	s.wantAll(keys)
	var want strings.Builder
	for n := 1; n <= 8; n++ {
		want.WriteString(strings.Repeat(fmt.Sprint(n), 100))
	}
	s.wantBody("parts", want.String())
	s.complete(open, 1, 2, 3, 4, 5, 6, 7, 8)
	s.wantBody("open", want.String())

	// It is not wanted any more, and can not come back with what it is.
	gone := s.volumes[1]
	s.refused("deleted /disk2")
	s.volumes = slices.Delete(slices.Clone(s.volumes), 1, 2)
	s.open()
	s.wantAll(keys)
	var ce *master.ChangeError
	if _, err := s.AddVolume(context.Background(), master.NewVolume{Volume: master.Volume{Name: "/again", Blobs: gone}}); !errors.As(err, &ce) {
		t.Errorf("added again: %v", err)
	}
	// The next volume takes the dead slot: just those keys come back to it.
	slots := len(s.Topology().Slots)
	was := s.places()
	fresh := newTestVolume("/disk9")
	s.volumes = append(s.volumes, fresh)
	if _, err := s.AddVolume(context.Background(), master.NewVolume{Volume: master.Volume{Name: fresh.name, Blobs: fresh}}); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	for k, at := range s.places() {
		if wantMoved := before[k] == 2; wantMoved != (at == 4) && k[0] == 'o' && !strings.Contains(k, "open") {
			t.Errorf("%q was on %d, %d and is on %d", k, before[k], was[k], at)
		}
	}
	if len(s.Topology().Slots) != slots {
		t.Errorf("%d slots", len(s.Topology().Slots))
	}
}

// TestCancelDrain restores the placement exactly.
func TestCancelDrain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(300)
	before := s.places()
	if err := s.DrainVolume(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RebalanceStep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := s.rebalance(); st.Moved == 0 || !st.Active {
		t.Fatalf("nothing has moved yet: %+v", st)
	}
	if err := s.CancelDrain(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	after := s.places()
	for k, at := range before {
		if after[k] != at {
			t.Errorf("%q was on %d and is on %d", k, at, after[k])
		}
	}
	s.wantAll(keys)
	var ce *master.ChangeError
	if err := s.CancelDrain(context.Background(), 1); !errors.As(err, &ce) {
		t.Errorf("cancelled again: %v", err)
	}
}

// TestRebalanceSurvives: crashes of the process, failing volumes and failing
// commits at random moments, with writes and deletes in between.
func TestRebalanceSurvives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 4))
			s := newStore(t)
			want := map[string]string{}
			for i := range 150 {
				k := fmt.Sprintf("k%03d", i)
				want[k] = strings.Repeat(k, 1+rng.IntN(40))
				s.put(k, want[k])
			}
			s.grow(1+rng.IntN(2), "")
			if err := s.DrainVolume(context.Background(), meta.VolumeID(1+rng.IntN(3))); err != nil {
				t.Fatal(err)
			}
			for range 60 {
				s.disturb(rng, want)
				_, _ = s.RebalanceStep(context.Background()) // failures are meant
				s.clock.advance(time.Duration(rng.IntN(3000)) * time.Millisecond)
			}
			s.db.heal()
			for _, v := range s.volumes {
				v.down.Store(false)
				v.lost.Store(false)
			}
			s.reopen()
			s.rebalanced()
			// What was written beside a volume that failed is elsewhere.
			if err := s.StartRebalance(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.rebalanced()
			for k, body := range want {
				s.wantBody(k, body)
			}
			for k, at := range s.places() {
				key := strings.TrimSuffix(k[len("o"+bucket)+1:], " 0")
				if at != s.wanted(key) {
					t.Errorf("%q is on volume %d, want %d", key, at, s.wanted(key))
				}
			}
		})
	}
}

// reopen starts the engine again, with the volumes that have not left.
func (s *store) reopen() {
	s.t.Helper()
	for _, v := range s.Topology().Volumes {
		if gone := s.byUUID(v.UUID); v.State == metadb.VolumeRemoved && gone != nil {
			s.volumes = slices.DeleteFunc(slices.Clone(s.volumes), func(other *testVolume) bool { return other == gone })
		}
	}
	s.open()
}

// disturb does one thing that may happen during a rebalance.
func (s *store) disturb(rng *rand.Rand, want map[string]string) {
	k := fmt.Sprintf("k%03d", rng.IntN(150))
	switch rng.IntN(7) {
	case 0:
		s.reopen()
	case 1:
		s.volumes[rng.IntN(len(s.volumes))].down.Store(rng.IntN(2) == 0)
	case 2:
		s.volumes[rng.IntN(len(s.volumes))].lost.Store(rng.IntN(3) == 0)
	case 3, 4:
		body := fmt.Sprintf("new %d", rng.Uint64())
		if _, err := s.tryPut(k, body, meta.Precondition{}); err == nil {
			want[k] = body
		}
	case 5:
		if s.tryRemove(k)[0].Err == nil {
			delete(want, k)
		}
	default:
		s.clock.advance(1)
		_ = s.CollectGarbage(context.Background()) // volumes may be down
	}
}

// TestRebalanceUnderLoad: writers, readers and deleters see nothing of it.
func TestRebalanceUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := s.fillKeys(200)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 9))
			for ctx.Err() == nil {
				k := keys[rng.IntN(len(keys))]
				if rng.IntN(3) == 0 {
					s.put(k, "body of "+k)
				} else if got, err := s.tryRead(k); err != nil || got != "body of "+k {
					t.Errorf("read %q: %q, %v", k, got, err)
				}
			}
		})
	}
	s.grow(1, "")
	s.rebalanced()
	if err := s.DrainVolume(ctx, 1); err != nil {
		t.Error(err)
	}
	s.rebalanced()
	stop()
	wg.Wait()
	s.rebalanced()
	s.wantAll(keys)
	if n := len(s.volumes[0].ids(t)); n != 0 {
		t.Errorf("%d blobs are left on the drained volume", n)
	}
}

func TestRebalanceLimits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(100)
	if err := s.SetRebalanceLimits(context.Background(), master.RebalanceLimits{Paused: true, Concurrency: 3, Rate: -1}); err != nil {
		t.Fatal(err)
	}
	s.grow(1, "")
	for range 5 {
		if _, err := s.RebalanceStep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.rebalance(); st.Moved != 0 || !st.Active || !st.Paused || st.Concurrency != 3 || st.Rate != -1 {
		t.Errorf("paused: %+v", st)
	}
	if err := s.SetRebalanceLimits(context.Background(), master.RebalanceLimits{Rate: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	s.rebalanced()
	if st := s.rebalance(); st.Moved == 0 {
		t.Errorf("resumed: %+v", st)
	}
	var ce *master.ChangeError
	if err := s.SetRebalanceLimits(context.Background(), master.RebalanceLimits{Concurrency: -1}); !errors.As(err, &ce) {
		t.Errorf("a negative limit: %v", err)
	}
}

package master_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// TestLocate: before, during and after a rebalance, of objects and of parts.
func TestLocate(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(40)
	up := s.createUpload("parts")
	for n := 1; n <= 6; n++ {
		s.putPart(up, n, strings.Repeat("x", 100))
	}
	s.complete(up, 1, 2, 3, 4, 5, 6)
	locate := func(key string) master.Location {
		t.Helper()
		l, err := s.Locate(context.Background(), bucket, key, "")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	elsewhere := func() (n int) {
		for key := range s.rows() {
			name, ok := strings.CutPrefix(key, "o"+bucket+"\x00")
			if !ok {
				continue
			}
			l := locate(name)
			if want := s.wanted(name); len(l.Volumes) != 1 || l.Volumes[0] != want || len(l.Slots) != 1 {
				t.Errorf("%q: %+v, want volume %d", name, l.Placement, want)
			}
			for _, x := range l.Extents {
				if x.Settled() != x.InPlace(x.Pieces[0]) {
					t.Errorf("%q: %+v", name, x)
				}
				if !x.Settled() {
					n++
				}
			}
		}
		return n
	}
	if n := elsewhere(); n != 0 {
		t.Errorf("%d extents are out of place at the start", n)
	}
	s.grow(2, "")
	if n := elsewhere(); n == 0 {
		t.Error("a new volume wants nothing")
	}
	s.rebalanced()
	if n := elsewhere(); n != 0 {
		t.Errorf("%d extents are out of place at the end", n)
	}
	l := locate("parts")
	if len(l.Extents) != 6 || l.Object.Size != 600 {
		t.Fatalf("%+v", l)
	}
	for i, x := range l.Extents {
		if x.Part != i+1 || x.Offset != int64(100*i) || x.Size != 100 || x.Hash == l.Hash {
			t.Errorf("%+v", x)
		}
	}
	if _, err := s.Locate(context.Background(), bucket, "nobody", ""); meta.KindOf(err) != meta.KindNoSuchKey {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := s.Locate(context.Background(), "nobody", "k", ""); meta.KindOf(err) != meta.KindNoSuchBucket {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

func TestClusterStatus(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fillKeys(60)
	s.grow(3, "room")
	st := s.Cluster(context.Background())
	if !st.Ready || st.Metadata != "" || st.Cluster != s.Topology().Cluster || len(st.Volumes) != 4 {
		t.Fatalf("%+v", st)
	}
	if v := st.Volumes[3]; v.Number != 4 || v.Slots != 3 || v.Zone != "room" || v.State != metadb.VolumeActive || v.Name != "/disk4" {
		t.Errorf("%+v", v)
	}
	if st.Rebalance.Expected != 60 || !st.Rebalance.Active || st.Skew() < 1.5 {
		t.Errorf("%+v, skew %v", st.Rebalance, st.Skew())
	}
	s.rebalanced()
	s.clock.advance(master.DefaultGarbageGrace + 1)
	s.collect()
	if st = s.Cluster(context.Background()); st.Rebalance.Expected != 0 || st.Skew() < 1 || st.Skew() > 2 || st.Garbage.Blobs == 0 {
		t.Errorf("%+v, skew %v", st, st.Skew())
	}
	if err := s.DrainVolume(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if v := s.Cluster(context.Background()).Volumes[0]; v.State != metadb.VolumeDraining || v.Slots != 1 {
		t.Errorf("%+v", v)
	}
	for _, name := range []string{"1", "/disk1", s.Topology().Volumes[0].UUID} {
		if n, ok := s.FindVolume(name); !ok || n != 1 {
			t.Errorf("%s is volume %d", name, n)
		}
	}
	s.rebalanced()
	if st := s.Cluster(context.Background()); len(st.Volumes) != 3 || st.Volumes[0].Number != 2 {
		t.Errorf("%+v", st)
	}
	if _, ok := s.FindVolume("/disk1"); ok {
		t.Error("a volume that has left is found by its place")
	}
	if n, ok := s.FindVolume("1"); !ok || n != 1 {
		t.Error("a volume that has left is not known by its number")
	}
	s.volumes = s.volumes[1:]
	s.volumes[0].down.Store(true)
	defer s.volumes[0].down.Store(false)
	s.Probe(context.Background())
	if st := s.Cluster(context.Background()); !st.Ready || st.Volumes[0].Err == nil {
		t.Errorf("%+v", st)
	}
}

func TestSkewOfNothing(t *testing.T) {
	t.Parallel()
	if skew := (master.ClusterStatus{}).Skew(); skew != 0 {
		t.Errorf("%v", skew)
	}
}

// TestChangeRebalance: what is not given stays.
func TestChangeRebalance(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	yes, moves, rate := true, 5, int64(-1)
	for _, c := range []master.RebalanceChange{{Paused: &yes}, {Concurrency: &moves}, {Rate: &rate}} {
		if err := s.ChangeRebalance(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	st, err := s.RebalanceStatus(context.Background())
	if err != nil || !st.Paused || st.Concurrency != 5 || st.Rate != -1 {
		t.Errorf("%+v, %v", st, err)
	}
	if n, rate := st.Pace(); n != 5 || rate != -1 {
		t.Errorf("pace %d, %d", n, rate)
	}
	var ce *master.ChangeError
	for _, n := range []int{-1, master.MaxMoves + 1} {
		if err := s.ChangeRebalance(context.Background(), master.RebalanceChange{Concurrency: &n}); !errors.As(err, &ce) {
			t.Errorf("%d at once: %v", n, err)
		}
	}
}

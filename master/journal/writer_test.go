package journal

import (
	"slices"
	"testing"
	"time"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(10)
	s.steps() // the first snapshot
	s.write(30)
	c := s.recovered()
	if c.Snapshot.Seq != 11 || c.Last != 41 {
		t.Errorf("snapshot at %d, commits up to %d", c.Snapshot.Seq, c.Last)
	}
	for _, v := range s.volumes { // any one may be lost
		v.down.Store(true)
		s.recovered()
		v.down.Store(false)
	}
	if st := s.Status(); st.Seq != 41 || st.Entries != 30 || st.Lacking != 0 || st.Why != "" || st.Snapshot.Copies != 2 || st.Snapshot.Seq != 11 {
		t.Errorf("%+v", st)
	}
}

// TestAcknowledgedIsThere looks at the volumes right after each commit, without any
// upkeep: what was acknowledged can be recovered from any one of the two copies.
func TestAcknowledgedIsThere(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.steps()
	for range 20 {
		s.write(1)
		s.recoveredFromEach(1, 2)
	}
}

// TestSlowVolume shows that a commit is not acknowledged before it is durable, and that
// a volume that stands still holds it up for a moment only.
func TestSlowVolume(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(1)
	s.steps()
	frozen := make(chan struct{})
	s.volumes[0].freeze.Store(&frozen)
	s.volumes[1].freeze.Store(&frozen)
	began := time.Now()
	s.write(1) // the third takes it
	if took := time.Since(began); took < slowAfter || took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if c := s.recovered(); c.Last != 3 || slices.Contains(c.Holders(3), "volume 1") {
		t.Errorf("commit 3 is on %v", c.Holders(3))
	}
	began = time.Now()
	s.write(5)
	if took := time.Since(began); took > slowAfter {
		t.Errorf("those that stand still were waited for again: %v", took)
	}
	close(frozen)
	s.volumes[0].freeze.Store(nil)
	s.volumes[1].freeze.Store(nil)
	s.settled()
	s.steps()
	if st := s.Status(); st.Lacking != 0 {
		t.Errorf("%+v", st)
	}
	s.recovered()
}

// settled waits until no put is under way.
func (s *store) settled() {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.Writer.mu.Lock()
		n := 0
		for _, b := range s.busy {
			n += b
		}
		s.Writer.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("puts do not end")
		}
	}
}

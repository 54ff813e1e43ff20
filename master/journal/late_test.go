package journal

import (
	"errors"
	"testing"
	"time"

	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// TestNoVolume shows what becomes of commits while no volume takes them: the first
// fails with an unknown outcome, those after it are refused before anything is written,
// and all goes on by itself.
func TestNoVolume(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(3)
	s.steps()
	for _, v := range s.volumes {
		v.failing(volume.ErrNoSpace)
	}
	began := time.Now()
	if err := s.update(set("unsure", "1")); !errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took < giveUpAfter || took > giveUpAfter+3*time.Second {
		t.Errorf("gave up after %v", took)
	}
	if err := s.update(set("refused", "1")); !errors.Is(err, metadb.ErrNotFollowed) || errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	state := s.state()
	if state["unsure"] != "1" || state["refused"] != "" {
		t.Errorf("%v", state)
	}
	if st := s.Status(); !st.Behind || st.Why == "" {
		t.Errorf("%+v", st)
	}
	s.volumes[1].failing(nil)
	for s.Status().Behind {
		if _, _, err := s.Step(t.Context()); err != nil && !errors.Is(err, volume.ErrNoSpace) { // of a copy on the first volume
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	s.write(3)
	s.volumes[0].failing(nil)
	s.steps()
	s.recoveredFromEach(1, 2)
}

// TestHungPut has a volume that never answers a put, while the others take none for a while: the commit reaches one of
// those as soon as it can, and not when the first put is given up.
func TestHungPut(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	hung := make(chan struct{})
	defer close(hung)
	s.volumes[0].freeze.Store(&hung)
	s.volumes[1].failing(volume.ErrUnavailable)
	s.volumes[2].failing(volume.ErrUnavailable)
	time.AfterFunc(time.Second, func() { s.volumes[1].failing(nil) })
	began := time.Now()
	if err := s.update(set("late", "1")); err != nil { // while the commit is waited for
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took < time.Second || took > 2*time.Second {
		t.Errorf("written after %v", took)
	}
	s.volumes[1].failing(volume.ErrUnavailable)
	if err := s.update(set("unsure", "1")); !errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	s.volumes[2].failing(nil) // after it was given up
	s.catchUp(t, time.Second)
	s.volumes[0].freeze.Store(nil)
	s.volumes[1].failing(nil)
	s.write(3)
	s.steps()
	s.recovered()
}

// TestAllPutsHung has no volume answer a put, and forget it: they are asked again.
func TestAllPutsHung(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(3)
	s.steps()
	hung := make(chan struct{})
	defer close(hung)
	for _, v := range s.volumes {
		v.freeze.Store(&hung)
	}
	if err := s.update(set("unsure", "1")); !errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	for _, v := range s.volumes {
		v.freeze.Store(nil)
	}
	s.catchUp(t, giveUpAfter+time.Second)
	s.write(3)
	s.steps()
	s.recoveredFromEach(1, 2)
}

// catchUp wants the late commit to be written in time, by its worker alone.
func (s *store) catchUp(t *testing.T, limit time.Duration) {
	t.Helper()
	<-s.Late()
	for began := time.Now(); s.CatchUp() > 0; time.Sleep(time.Millisecond) {
		if took := time.Since(began); took > limit {
			t.Fatalf("still late after %v: %+v", took, s.Status())
		}
	}
}

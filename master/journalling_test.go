package master_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/journal"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// newJournalled returns a store whose metadata is journalled on two of its volumes.
func newJournalled(t *testing.T, volumes int) *store {
	t.Helper()
	s := newBareStore(t, volumes)
	s.copies = 2
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

// recoveredRows are the rows that the journal on the volumes gives.
type recoveredRows struct {
	rows map[string]string
	seq  uint64
}

func (r *recoveredRows) Row(key, value []byte) error {
	r.rows[string(key)] = string(value)
	return nil
}

func (r *recoveredRows) Entry(seq uint64, _ []byte, changes []metadb.Change) error {
	r.seq = seq
	for _, c := range changes {
		if delete(r.rows, string(c.Key)); !c.Deleted {
			r.rows[string(c.Key)] = string(c.Value)
		}
	}
	return nil
}

// wantJournal checks that the metadata can be rebuilt from the volumes, all of it and
// nothing else, if it is journalled.
func (s *store) wantJournal() {
	s.t.Helper()
	if s.copies == 0 {
		return
	}
	var sources []journal.Source
	for _, v := range s.volumes {
		if !v.down.Load() {
			sources = append(sources, journal.Source{Name: v.name, Blobs: v})
		}
	}
	got := &recoveredRows{rows: map[string]string{}}
	found, err := journal.Survey(context.Background(), sources)
	if err == nil {
		err = found.Replay(context.Background(), got)
	}
	if err != nil {
		s.t.Fatalf("journal: %v\n%s", err, s.log)
	}
	want := map[string]string{}
	err = s.db.View(context.Background(), func(tx metadb.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) (bool, error) {
			want[string(k)] = string(v)
			return true, nil
		})
	})
	if err != nil || !maps.Equal(got.rows, want) {
		s.t.Errorf("the journal gives %d rows, the metadata has %d, %v", len(got.rows), len(want), err)
	}
}

// keepJournal does the upkeep of the journal.
func (s *store) keepJournal() {
	s.t.Helper()
	for range 1000 {
		st, err := s.JournalStep(context.Background())
		if err != nil {
			s.t.Fatal(err)
		}
		if !st.More && st.Wait > time.Second {
			return
		}
		time.Sleep(min(st.Wait, time.Millisecond))
	}
	s.t.Fatal("the upkeep of the journal has no end")
}

func TestJournalledStore(t *testing.T) {
	t.Parallel()
	s := newJournalled(t, 3)
	for i := range 20 {
		s.put(fmt.Sprint("k", i%7), strings.Repeat("x", i*100))
		s.wantJournal()
	}
	s.versioning(meta.VersioningEnabled)
	s.put("k1", "new")
	s.open() // as after a crash
	s.put("k2", "newer")
	s.wantJournal()
	s.keepJournal()
	st, on := s.JournalStatus()
	if !on || st.Lacking != 0 || st.Snapshot.Copies != 2 || st.Why != "" {
		t.Errorf("%+v", st)
	}
}

// TestJournalOff starts without a journal and with it again: what was committed in
// between is in the next snapshot.
func TestJournalOff(t *testing.T) {
	t.Parallel()
	s := newJournalled(t, 2)
	s.put("a", "1")
	s.copies = 0
	s.open()
	if _, on := s.JournalStatus(); on {
		t.Error("it is journalled")
	}
	s.put("b", "2")
	s.copies = master.UsualCopies
	s.open()
	s.put("c", "3")
	s.keepJournal()
	s.wantJournal()
}

// TestJournalUpgrade starts with a journal for the first time: writes are taken at once,
// and the snapshot is made in the background where there is much already.
func TestJournalUpgrade(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 150 {
		s.put(fmt.Sprint(i), "x")
	}
	s.copies = 2
	s.open()
	if st, _ := s.JournalStatus(); !st.Snapshot.Taken.IsZero() {
		t.Errorf("%+v", st)
	}
	s.put("new", "1")
	s.keepJournal()
	s.put("newer", "1")
	s.wantJournal()
}

// TestJournalDrain empties a volume that the journal lies on: it leaves when the others
// have all of it, and holds nothing of it then.
func TestJournalDrain(t *testing.T) {
	t.Parallel()
	s := newJournalled(t, 3)
	for i := range 10 {
		s.put(fmt.Sprint(i), "x")
	}
	held := meta.VolumeID(0)
	for _, v := range s.Topology().Volumes {
		if st, err := s.volumeOf(v.Number).Status(context.Background()); err == nil && st.Metadata.Blobs > 0 {
			held = v.Number
		}
	}
	if err := s.DrainVolume(context.Background(), held); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if st, err := s.RebalanceStep(context.Background()); err != nil || st.Wait > 0 {
			break
		}
	}
	if s.Topology().Volumes[held-1].State != metadb.VolumeDraining {
		t.Error("it has left before its journal was copied")
	}
	s.wantJournal()
	s.keepJournal()
	s.clock.advance(time.Minute)
	s.rebalanced()
	if s.Topology().Volumes[held-1].State != metadb.VolumeRemoved {
		t.Error("it has not left")
	}
	if st, err := s.volumeOf(held).Status(context.Background()); err != nil || st.Metadata.Blobs != 0 {
		t.Errorf("it still holds %+v, %v", st.Metadata, err)
	}
	s.volumeOf(held).down.Store(true)
	s.wantJournal()
	s.volumeOf(held).down.Store(false)
}

// TestJournalRefused has no volume take the journal: the commit fails as unavailable,
// and so does the next, without a trace.
func TestJournalRefused(t *testing.T) {
	t.Parallel()
	s := newJournalled(t, 2)
	s.put("kept", "1")
	fault := putFault(func(v *testVolume, p put) error {
		if p.id.Metadata() {
			return fmt.Errorf("%s: %w", v.name, volume.ErrReadOnly)
		}
		return v.store(p)
	})
	for _, v := range s.volumes {
		v.fault.Store(&fault)
	}
	_, err := s.tryPut("unsure", "2", meta.Precondition{})
	wantKind(t, err, meta.KindUnavailable)
	_, err = s.tryPut("refused", "3", meta.Precondition{})
	wantKind(t, err, meta.KindUnavailable)
	if errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	if got, err := s.tryRead("kept"); got != "1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.tryRead("refused"); meta.KindOf(err) != meta.KindNoSuchKey {
		t.Errorf("%v", err)
	}
	for _, v := range s.volumes {
		v.fault.Store(nil)
	}
	s.ProbeRound(context.Background())
	s.keepJournal()
	s.put("after", "4")
	s.wantJournal()
}

// TestJournalDamage has a volume find a bad copy: it is made anew.
func TestJournalDamage(t *testing.T) {
	t.Parallel()
	s := newJournalled(t, 2)
	for i := range 5 {
		s.put(fmt.Sprint(i), "x")
	}
	id := volume.MetadataID(volume.MetadataEntry, 4, 0)
	v := s.volumes[0]
	if !v.mem.Corrupt(id, 30) || v.Verify(context.Background(), id) == nil {
		t.Fatal("it is not damaged")
	}
	s.takeFindings()
	s.keepJournal()
	if err := v.Verify(context.Background(), id); err != nil {
		t.Errorf("it was not made anew: %v", err)
	}
}

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/memdb"
	"tdkvs/volume"
)

// TestCrashBehind ends the process while the newest commit is on no volume: the next
// start writes it from what the metadata knows.
func TestCrashBehind(t *testing.T) {
	t.Parallel()
	for _, lastly := range [][]metadb.Change{{set("new", "1")}, {deleted("key 1"), deleted("key 2"), set("key 3", "x")}} {
		s := newStore(t, 2, 2)
		s.write(20)
		s.steps()
		s.write(3)
		for _, v := range s.volumes {
			v.failing(volume.ErrUnavailable)
		}
		if err := s.update(lastly...); !errors.Is(err, metadb.ErrUncertain) {
			t.Fatal(err)
		}
		s.settled()
		for _, v := range s.volumes {
			v.failing(nil)
		}
		before := s.db
		s.start()
		if s.db != before || s.Status().Behind {
			t.Error("the start has not written it")
		}
		s.recoveredFromEach(1, 2)
		s.write(3)
		s.recoveredFromEach(1, 2)
	}
}

// TestCrashAtFirst ends the process, or the power, while the first commits since there is
// a journal are on the volumes and not in the metadata yet.
func TestCrashAtFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.db = newMade(t)
	s.start()
	crashed := newMade(t)
	seq, mark := s.db.Position()
	if err := crashed.Apply(t.Context(), seq, mark, nil); err != nil {
		t.Fatal(err)
	}
	s.write(2)
	newest := s.state()
	s.db = crashed // without what was written since
	s.start()
	if !maps.Equal(s.state(), newest) {
		t.Error("not the newest state")
	}
	s.write(2)
	s.steps()
	s.recoveredFromEach(1, 2)
}

// newMade is the metadata of a store that was just made: its first commits were told to nobody.
func newMade(t *testing.T) *memdb.DB {
	t.Helper()
	db := memdb.New()
	for i := range uint64(2) {
		if err := db.Apply(t.Context(), i+1, nil, []metadb.Change{set("new", fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// olderCopy is a copy of the metadata as it was after a commit.
func (s *store) olderCopy(seq uint64) *memdb.DB {
	s.t.Helper()
	found, err := Survey(s.t.Context(), s.sources())
	if err != nil {
		s.t.Fatal(err)
	}
	copied := &copyTo{db: memdb.New(), t: s.t, until: seq}
	if err := found.Replay(s.t.Context(), copied); err != nil && !errors.Is(err, errEnough) {
		s.t.Fatal(err)
	}
	return copied.db
}

var errEnough = errors.New("enough")

// copyTo makes a metadata store of a replay. What the snapshot sees becomes one commit.
type copyTo struct {
	db    *memdb.DB
	t     *testing.T
	rows  []metadb.Change
	until uint64
	begun bool
}

func (c *copyTo) Row(key, value []byte) error {
	c.rows = append(c.rows, metadb.Change{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	return nil
}

func (c *copyTo) Entry(seq uint64, mark []byte, changes []metadb.Change) error {
	if !c.begun {
		c.begun = true
		for before := range seq - 2 {
			if err := c.db.Apply(c.t.Context(), before+1, nil, nil); err != nil {
				return err
			}
		}
		if err := c.db.Apply(c.t.Context(), seq-1, nil, c.rows); err != nil {
			return err
		}
	}
	if seq > c.until {
		return errEnough
	}
	for i := range changes {
		changes[i].Key, changes[i].Value = bytes.Clone(changes[i].Key), bytes.Clone(changes[i].Value)
	}
	return c.db.Apply(c.t.Context(), seq, mark, changes)
}

// TestRollForward starts with older copies of the metadata: they are brought up to date.
func TestRollForward(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(1)
	s.steps()
	s.write(30)
	newest := s.state()
	for _, seq := range []uint64{3, 17, 30} {
		s.db = s.olderCopy(seq)
		if maps.Equal(s.state(), newest) {
			t.Error("the copy is not older")
		}
		s.start()
		if !maps.Equal(s.state(), newest) {
			t.Errorf("from %d: not the newest state", seq)
		}
	}
	s.steps()
	s.write(5)
	s.recovered()
}

// TestStale starts with a copy of the metadata that can not be brought up to date.
func TestStale(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *store){
		"removed": func(s *store) {
			if err := s.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.steps()
			s.write(3)
		},
		"missing": func(s *store) {
			id := volume.MetadataID(volume.MetadataEntry, 20, 0)
			for _, v := range s.volumes {
				if err := v.Delete(t.Context(), []volume.BlobID{id}); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, 3, 2)
			s.write(1)
			s.steps()
			s.write(30)
			old := s.olderCopy(10)
			spoil(s)
			before := s.held(1)
			s.db = old
			if err, stale := s.tryStart(), (*StaleError)(nil); !errors.As(err, &stale) {
				t.Errorf("%v", err)
			}
			if after := s.held(1); !slices.EqualFunc(before, after, func(a, b volume.Info) bool { return a.ID == b.ID }) {
				t.Error("the refused start has changed the journal")
			}
		})
	}
}

// TestWithoutMark starts with metadata of before the journal: at its own number it goes
// on, and an older one is refused.
func TestWithoutMark(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(9)
	s.steps()
	s.write(9)
	plain := func(n int) *memdb.DB {
		db := memdb.New()
		for i := range n {
			if err := db.Apply(t.Context(), uint64(i+1), nil, []metadb.Change{set("own", fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
		return db
	}
	s.db = plain(10)
	if err, stale := s.tryStart(), (*StaleError)(nil); !errors.As(err, &stale) {
		t.Errorf("older: %v", err)
	}
	s.db = plain(25)
	s.start()
	s.write(3)
	s.steps()
	s.recovered()
}

// TestNewLine gives up what the volumes hold, as metadata restored from a backup does:
// the numbers of its commits are taken on the volumes.
func TestNewLine(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(9)
	s.steps()
	s.write(20)
	s.db = memdb.New()
	if err := s.db.Apply(t.Context(), 1, NewLine(), []metadb.Change{set("restored", "1")}); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.write(10)
	s.start() // before there is a snapshot
	s.write(10)
	s.steps()
	s.write(10)
	s.recoveredFromEach(1, 2)
	for _, info := range s.held(1) {
		if _, seq, _, _ := volume.ParseMetadataID(info.ID); seq < s.recovered().Snapshot.Seq {
			t.Errorf("%s was left behind", info.ID)
		}
	}
}

// TestFenced has two masters go on from the same metadata: one of them stops, and
// nothing that the other has acknowledged is lost.
func TestFenced(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(1)
	s.steps()
	s.write(10)
	other := newStore(t, 0, 2)
	other.volumes, other.now = s.volumes, s.clock()
	other.db = s.olderCopy(12)
	other.start()
	s.advance(10 * time.Second)
	s.write(5)
	err := other.update(set("other", "1"))
	fence := (*FenceError)(nil)
	if !errors.As(err, &fence) || fence.Seq != 13 {
		t.Fatalf("%v", err)
	}
	if err := other.update(set("other", "2")); !errors.As(err, &fence) || errors.Is(err, metadb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	if st := other.Status(); st.Why == "" {
		t.Errorf("%+v", st)
	}
	s.write(5)
	s.recoveredFromEach(1, 2)
}

// TestRemnant has a volume come back with a commit that the master before has written
// as it ended, and that was made otherwise since: it is removed, and written anew.
func TestRemnant(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(1)
	s.steps()
	s.write(10)
	old := s.olderCopy(12)
	s.volumes[1].failing(volume.ErrUnavailable)
	s.write(1) // 13 is on the first volume only, and the metadata is lost
	s.db = old
	s.volumes[0].down.Store(true)
	s.volumes[1].failing(nil)
	s.start()
	if err := s.update(set("instead", "1")); err != nil {
		t.Fatal(err)
	}
	s.volumes[0].down.Store(false)
	s.Returned(1)
	for range 2 {
		if err := s.update(set("and", "more")); err != nil {
			t.Fatal(err)
		}
	}
	s.steps()
	s.recovered()
	if err := s.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.steps()
	s.recoveredFromEach(1, 2)
}

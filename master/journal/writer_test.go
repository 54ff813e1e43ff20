package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/memdb"
	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

// testVolume is a volume that can be made to fail.
type testVolume struct {
	*volumetest.Mem
	number meta.VolumeID
	zone   string
	down   atomic.Bool
	fail   atomic.Pointer[error]         // of puts
	freeze atomic.Pointer[chan struct{}] // puts wait for it to be closed
	leaves atomic.Bool
	full   atomic.Bool
	away   atomic.Bool // it is no longer part of the store
	puts   atomic.Int64
	since  atomic.Pointer[time.Time]
	unsynced
}

func (v *testVolume) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	v.puts.Add(1)
	if f := v.freeze.Load(); f != nil {
		select {
		case <-*f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if v.down.Load() {
		return volume.ErrUnavailable
	}
	if err := v.fail.Load(); err != nil {
		return *err
	}
	err := v.Mem.Put(ctx, id, size, body, desc)
	if err == nil {
		v.synced()
	}
	return err
}

func (v *testVolume) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	if v.down.Load() {
		return nil, volume.ErrUnavailable
	}
	return v.Mem.List(ctx, after, limit)
}

func (v *testVolume) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	if v.down.Load() {
		return nil, volume.ErrUnavailable
	}
	return v.Mem.Get(ctx, id, offset, length)
}

func (v *testVolume) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	if v.down.Load() {
		return volume.Info{}, volume.ErrUnavailable
	}
	return v.Mem.Stat(ctx, id)
}

func (v *testVolume) failing(err error) {
	if err == nil {
		v.fail.Store(nil)
		return
	}
	v.fail.Store(&err)
}

// store is a metadata store with a journal on volumes.
type store struct {
	*Writer
	t       *testing.T
	db      *memdb.DB
	volumes []*testVolume
	copies  atomic.Int32
	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	logMu   sync.Mutex
	n       int // keys written
}

func (s *store) Write(b []byte) (int, error) { // the log
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.log.Write(b)
}

func newStore(t *testing.T, volumes, copies int) *store {
	t.Helper()
	s := &store{t: t, db: memdb.New(), now: time.Unix(1_700_000_000, 0)}
	s.copies.Store(int32(copies))
	for i := range volumes {
		s.volumes = append(s.volumes, &testVolume{Mem: volumetest.NewMem(), number: meta.VolumeID(i + 1)})
	}
	s.start()
	return s
}

func (s *store) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *store) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *store) places() []Place {
	var all []Place
	for _, v := range s.volumes {
		if v.away.Load() {
			continue
		}
		all = append(all, Place{
			PutUnsynced: v.putUnsynced(), Number: v.number, Name: fmt.Sprint("volume ", v.number), Zone: v.zone, Blobs: v, Leaves: v.leaves.Load(),
			Now: func() State {
				st := State{Up: !v.down.Load(), Takes: !v.down.Load() && !v.full.Load(), Full: v.full.Load() && !v.down.Load()}
				if at := v.since.Load(); at != nil {
					st.Since = *at
				}
				return st
			},
		})
	}
	return all
}

func (s *store) sources() []Source {
	var all []Source
	for _, v := range s.volumes {
		if !v.away.Load() {
			all = append(all, Source{Name: fmt.Sprint("volume ", v.number), Blobs: v, Number: v.number})
		}
	}
	return all
}

func (s *store) config() Config {
	return Config{
		DB: s.db, Copies: func() int { return int(s.copies.Load()) }, Places: s.places, Clock: s.clock,
		Log: slog.New(slog.NewTextHandler(s, nil)),
	}
}

// tryStart starts the journal again, as after a crash.
func (s *store) tryStart() error {
	s.advance(time.Second)
	found, err := Survey(s.t.Context(), s.sources())
	if err != nil && !errors.Is(err, ErrNoSnapshot) {
		return err
	}
	cfg := s.config()
	if _, err := RollForward(s.t.Context(), s.db, found, cfg.Log); err != nil {
		return err
	}
	cluster, _ := ParseCluster(testCluster)
	s.Writer, err = Start(s.t.Context(), cluster, found, cfg)
	return err
}

func (s *store) start() {
	s.t.Helper()
	if err := s.tryStart(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) update(changes ...metadb.Change) error {
	return s.db.Update(s.t.Context(), func(tx metadb.Tx) error {
		for _, c := range changes {
			err := tx.Delete(c.Key)
			if !c.Deleted {
				err = tx.Set(c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// write makes n commits.
func (s *store) write(n int) {
	s.t.Helper()
	for range n {
		s.n++
		err := s.update(set(fmt.Sprintf("key %d", s.n%50), fmt.Sprint(s.n)), deleted(fmt.Sprintf("key %d", s.n*7%50)))
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// steps does the upkeep until there is nothing more to do.
func (s *store) steps() {
	s.t.Helper()
	for range 1000 {
		more, wait, err := s.Step(s.t.Context())
		if err != nil {
			s.t.Fatalf("%v\n%s", err, &s.log)
		}
		if wait == retryPause {
			time.Sleep(time.Millisecond)
		} else if !more {
			return
		}
	}
	s.t.Fatal("the upkeep has no end")
}

// state is what the metadata holds.
func (s *store) state() map[string]string {
	return stateOf(s.t, s.db)
}

func stateOf(t *testing.T, db metadb.DB) map[string]string {
	t.Helper()
	state := map[string]string{}
	err := db.View(t.Context(), func(tx metadb.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) (bool, error) {
			state[string(k)] = string(v)
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// recovered checks that the volumes hold what the metadata does.
func (s *store) recovered(sources ...Source) *Contents {
	s.t.Helper()
	if sources == nil {
		sources = s.sources()
	}
	c, r, err := recoverFrom(s.t.Context(), sources)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, &s.log)
	}
	seq, mark := s.db.Position()
	got, err := ParseHeader(c.Mark())
	want, _ := ParseHeader(mark)
	if err != nil || !maps.Equal(r.state, s.state()) || got.Seq != seq || mark != nil && got.Sum != want.Sum {
		s.t.Errorf("recovered %d rows at %+v, %v; the metadata has %d at %d\n%s", len(r.state), got, err, len(s.state()), seq, &s.log)
	}
	return c
}

// each volume alone must be enough where it is said to hold a copy.
func (s *store) recoveredFromEach(numbers ...meta.VolumeID) {
	s.t.Helper()
	for _, n := range numbers {
		s.recovered(Source{Name: fmt.Sprint(n), Blobs: s.volumes[n-1]})
	}
}

func (s *store) held(number meta.VolumeID) []volume.Info {
	s.t.Helper()
	infos, err := ListMetadata(s.t.Context(), s.volumes[number-1].Mem)
	if err != nil {
		s.t.Fatal(err)
	}
	return infos
}

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

// TestSnapshotPrunes shows that a snapshot makes what came before it go away, on
// volumes that come back later, too.
func TestSnapshotPrunes(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	s.write(10)
	s.volumes[0].down.Store(true)
	s.PlacesChanged()
	s.write(10)
	if err := s.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.steps()
	s.write(2)
	s.recovered()
	if st := s.Status(); st.Entries != 2 || st.Snapshot.Seq != 24 {
		t.Errorf("%+v", st)
	}
	s.volumes[0].down.Store(false)
	s.Returned(1)
	s.steps()
	for _, v := range s.volumes {
		for _, info := range s.held(v.number) {
			kind, seq, _, _ := volume.ParseMetadataID(info.ID)
			if kind == volume.MetadataChunk && seq != 24 || kind == volume.MetadataEntry && seq <= 24 {
				t.Errorf("volume %d still holds %s", v.number, info.ID)
			}
		}
	}
	s.recovered()
}

// TestSnapshotFails spoils each put of a snapshot in turn, on both volumes: until it is
// whole, nothing of what was there before is given up.
func TestSnapshotFails(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 2)
	s.write(3)
	s.steps()
	for i := range 30 { // several chunks
		if err := s.update(set(fmt.Sprintf("big %d", i), strings.Repeat(fmt.Sprint(i), 30_000))); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(1); ; n++ {
		for _, v := range s.volumes {
			v.puts.Store(0)
			v.failing(nil)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // fails the n-th put, about
			for s.volumes[0].puts.Load() < n && ctx.Err() == nil {
				time.Sleep(20 * time.Microsecond)
			}
			if ctx.Err() == nil {
				for _, v := range s.volumes {
					v.failing(volume.ErrUnavailable)
				}
			}
		}()
		err := s.Snapshot(ctx)
		cancel()
		if err == nil {
			break
		}
		s.recoveredFromEach(1, 2)
		if st := s.Status(); st.Snapshot.Seq != 4 {
			t.Fatalf("%+v", st)
		}
		if n > 100 {
			t.Fatal(err)
		}
	}
	for _, v := range s.volumes {
		v.failing(nil)
	}
	s.steps()
	if c := s.recovered(); c.Snapshot.Chunks < 2 {
		t.Errorf("%d chunks", c.Snapshot.Chunks)
	}
	s.recoveredFromEach(1, 2)
}

// TestLeaves empties volumes one after the other: at no moment is the journal on fewer
// volumes than it should be, without those that leave.
func TestLeaves(t *testing.T) {
	t.Parallel()
	s := newStore(t, 4, 2)
	s.write(3)
	s.steps()
	s.write(20)
	for _, v := range s.volumes[:2] {
		v.leaves.Store(true)
		s.PlacesChanged()
		s.write(5)
		s.steps()
		s.write(5)
		if s.ReliesOn(v.number) {
			t.Errorf("volume %d is still needed: %+v", v.number, s.Status())
		}
		v.away.Store(true)
		s.PlacesChanged()
		s.recovered()
	}
	s.recoveredFromEach(3, 4)
}

// TestReliesOn shows that a volume with the only copies is needed.
func TestReliesOn(t *testing.T) {
	t.Parallel()
	s := newStore(t, 2, 1)
	s.write(3)
	if !s.ReliesOn(1) || !s.ReliesOn(2) {
		t.Error("before there is a snapshot")
	}
	s.steps()
	s.write(3)
	holder := meta.VolumeID(1)
	if len(s.held(1)) == 0 {
		holder = 2
	}
	if !s.ReliesOn(holder) || s.ReliesOn(3-holder) {
		t.Errorf("relies on 1: %v, on 2: %v; %d holds it", s.ReliesOn(1), s.ReliesOn(2), holder)
	}
}

// TestLost takes volumes away without notice: what they held is copied, and where
// nobody else holds it a new snapshot is made.
func TestLost(t *testing.T) {
	t.Parallel()
	for _, copies := range []int{1, 2} {
		s := newStore(t, 3, copies)
		s.write(3)
		s.steps()
		s.write(20)
		for i, v := range s.volumes[:2] {
			v.away.Store(true)
			s.PlacesChanged()
			s.write(1)
			s.steps()
			s.steps()
			s.recovered()
			if st := s.Status(); st.Snapshot.Copies != min(copies, 2-i) || st.Lacking != 0 {
				t.Errorf("%d copies, %d volumes lost: %+v", copies, i+1, st)
			}
		}
		s.recoveredFromEach(3)
	}
}

// TestDown counts a volume that is down as a holder for a while only.
func TestDown(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	s.write(20)
	gone := s.volumes[0]
	if len(s.held(1)) == 0 {
		gone = s.volumes[1]
	}
	at := s.clock()
	gone.since.Store(&at)
	gone.down.Store(true)
	s.steps()
	if n := s.Status().Snapshot.Copies; n != 2 {
		t.Errorf("%d copies, with one that is down for a moment", n)
	}
	before := len(s.held(1)) + len(s.held(2)) + len(s.held(3))
	s.advance(copyGrace + time.Second)
	s.steps()
	if st := s.Status(); st.Snapshot.Copies != 2 || st.Lacking != 0 || len(s.held(1))+len(s.held(2))+len(s.held(3)) == before {
		t.Errorf("%+v", st)
	}
	s.recovered()
}

// TestDamagedCopy mends what a volume can not read: from another, or by a snapshot.
func TestDamagedCopy(t *testing.T) {
	t.Parallel()
	for _, volumes := range []int{1, 2} {
		s := newStore(t, volumes, 2)
		s.write(3)
		s.steps()
		s.write(20)
		for _, kind := range []volume.MetadataKind{volume.MetadataEntry, volume.MetadataChunk} {
			id := volume.MetadataID(kind, 12, 0)
			if kind == volume.MetadataChunk {
				id = volume.MetadataID(kind, s.Status().Snapshot.Seq, 0)
			}
			if !s.volumes[0].Corrupt(id, 40) {
				t.Fatalf("%s is not there", id)
			}
			s.Damaged(1, id)
			s.steps()
			s.recoveredFromEach(1)
		}
		s.write(2)
		s.recoveredFromEach(1)
	}
}

// TestFull prefers volumes with room, and takes a full one before none.
func TestFull(t *testing.T) {
	t.Parallel()
	s := newStore(t, 3, 2)
	s.write(3)
	s.steps()
	s.volumes[0].full.Store(true)
	s.volumes[1].full.Store(true)
	puts := s.volumes[2].puts.Load()
	s.write(10)
	if n := s.volumes[2].puts.Load() - puts; n != 10 {
		t.Errorf("%d of 10 commits on the volume with room", n)
	}
	s.volumes[2].down.Store(true)
	s.write(10)
	s.recovered()
}

// TestZones puts the copies into zones of their own.
func TestZones(t *testing.T) {
	t.Parallel()
	s := newStore(t, 4, 2)
	for i, v := range s.volumes {
		v.zone = []string{"a", "a", "b", "b"}[i]
	}
	s.PlacesChanged()
	s.write(3)
	s.steps()
	s.write(20)
	for _, zone := range []string{"a", "b"} {
		var left []Source
		for i, v := range s.volumes {
			if v.zone != zone {
				left = append(left, s.sources()[i])
			}
		}
		s.recovered(left...)
	}
}

// TestSnapshotsWhenDue makes snapshots by itself as the journal grows.
func TestSnapshotsWhenDue(t *testing.T) {
	t.Parallel()
	s := newStore(t, 1, 1)
	s.write(1)
	s.steps()
	big := strings.Repeat("x", 60_000)
	for i := range 1200 { // 72 MB
		if err := s.update(set(fmt.Sprint("big ", i%20), big+fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.Woken():
	default:
		t.Error("the upkeep was not woken")
	}
	s.steps()
	if st := s.Status(); st.Entries != 0 || st.Snapshot.Seq != 1202 {
		t.Errorf("%+v", st)
	}
	s.recovered()
}

// TestHistory is a long random history of commits, starts, failures and upkeep: at the
// end of each chapter the volumes hold what the metadata does.
func TestHistory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			s := newStore(t, 4, 2)
			for range 60 {
				v := s.volumes[rng.IntN(4)]
				switch rng.IntN(7) {
				case 0:
					s.start()
				case 1:
					if err := s.Snapshot(t.Context()); err != nil {
						t.Fatal(err)
					}
				case 2:
					others := slices.ContainsFunc(s.volumes, func(o *testVolume) bool { return o.down.Load() })
					if !others { // with two copies one may be down
						v.down.Store(true)
						s.PlacesChanged()
					}
				case 3:
					for _, v := range s.volumes {
						if v.down.Swap(false) {
							s.Returned(v.number)
						}
					}
				case 4:
					s.steps()
				default:
					s.write(rng.IntN(20))
				}
				if s.Status().Snapshot.Taken.IsZero() {
					continue
				}
				s.recovered()
			}
			for _, v := range s.volumes {
				if v.down.Swap(false) {
					s.Returned(v.number)
				}
			}
			s.steps()
			s.recovered()
			if st := s.Status(); st.Lacking != 0 || st.Why != "" || st.Snapshot.Copies < 2 {
				t.Errorf("%+v\n%s", st, &s.log)
			}
		})
	}
}

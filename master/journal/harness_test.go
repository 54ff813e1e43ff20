package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
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

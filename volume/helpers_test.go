package volume_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"tdkvs/volume"
	"tdkvs/volume/vfs"
)

const dir = "/volume"

// small returns a configuration in which a blob above 4 KiB is large.
func small(fsys vfs.FS) volume.Config {
	return volume.Config{
		FS: fsys, Dir: dir, Logger: slog.New(slog.DiscardHandler), Reserve: -1,
		SmallLimit: 4096, SegmentSize: 300 << 10, PreallocateStep: 16 << 10, WriteOutStep: 64 << 10, CompactBytesPerSecond: -1,
	}
}

func open(t testing.TB, cfg volume.Config) *volume.Store {
	t.Helper()
	s, err := volume.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *volume.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// blob returns an id and a payload of n bytes that belong together.
func blob(number, n int) (volume.BlobID, []byte) {
	var id volume.BlobID
	rng := rand.NewChaCha8([32]byte{1: byte(number), 2: byte(number >> 8), 3: byte(number >> 16)})
	_, _ = rng.Read(id[:8]) // never fails
	binary.BigEndian.PutUint32(id[8:], uint32(number))
	id[15] = 1
	data := make([]byte, n)
	_, _ = rng.Read(data) // never fails
	return id, data
}

func descriptorOf(id volume.BlobID) []byte { return fmt.Appendf(nil, "descriptor of %s", id) }

func put(ctx context.Context, s *volume.Store, id volume.BlobID, data []byte) error {
	return s.Put(ctx, id, int64(len(data)), bytes.NewReader(data), func() ([]byte, error) { return descriptorOf(id), nil })
}

func mustPut(t testing.TB, s *volume.Store, id volume.BlobID, data []byte) {
	t.Helper()
	if err := put(t.Context(), s, id, data); err != nil {
		t.Fatal(err)
	}
}

func get(ctx context.Context, s *volume.Store, id volume.BlobID) ([]byte, error) {
	r, err := s.Get(ctx, id, 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func expect(t testing.TB, s *volume.Store, id volume.BlobID, data []byte) {
	t.Helper()
	got, err := get(t.Context(), s, id)
	if err != nil {
		t.Errorf("blob %s of %d bytes: %v", id, len(data), err)
	} else if !bytes.Equal(got, data) {
		t.Errorf("blob %s of %d bytes: wrong bytes, %d of them", id, len(data), len(got))
	}
}

func expectGone(t testing.TB, s *volume.Store, id volume.BlobID) {
	t.Helper()
	if got, err := get(t.Context(), s, id); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("blob %s: %d bytes, %v; want ErrNotFound", id, len(got), err)
	}
}

func status(t testing.TB, s *volume.Store) volume.Status {
	t.Helper()
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// state is what is known of a blob at one moment.
type state uint8

const (
	absent   state = iota // nothing was tried
	putting               // Put has not returned, or failed: any outcome
	present               // Put has returned nil
	deleting              // Delete has not returned, or failed: any outcome
	deleted               // Delete has returned nil
	refused               // Put has failed and left nothing
)

// ledger is what a workload was told, so that it can be checked after a crash.
type ledger struct {
	mu       sync.Mutex
	states   map[volume.BlobID]state
	data     map[volume.BlobID][]byte
	identity volume.Identity // as far as it was told
}

func newLedger() *ledger {
	return &ledger{states: map[volume.BlobID]state{}, data: map[volume.BlobID][]byte{}}
}

func (l *ledger) set(id volume.BlobID, st state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[id] = st
}

func (l *ledger) snapshot() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := newLedger()
	c.identity = l.identity
	for id, st := range l.states {
		c.states[id] = st
		c.data[id] = l.data[id]
	}
	return c
}

func (l *ledger) put(ctx context.Context, s *volume.Store, id volume.BlobID, data []byte) error {
	l.mu.Lock()
	l.states[id], l.data[id] = putting, data
	l.mu.Unlock()
	err := put(ctx, s, id, data)
	if err == nil {
		l.set(id, present)
	}
	return err
}

// putBatch puts blobs of these sizes under one sync, numbered from first.
func (l *ledger) putBatch(s *volume.Store, first int, sizes ...int) error {
	var ids []volume.BlobID
	var payloads [][]byte
	for i, size := range sizes {
		id, data := blob(first+i, size)
		l.mu.Lock()
		l.states[id], l.data[id] = putting, data
		l.mu.Unlock()
		ids, payloads = append(ids, id), append(payloads, data)
	}
	err := s.PutBatch(ids, payloads, descriptorOf)
	if err == nil {
		for _, id := range ids {
			l.set(id, present)
		}
	}
	return err
}

func (l *ledger) claim(ctx context.Context, s *volume.Store, cluster string) error {
	err := s.Claim(ctx, cluster)
	if err == nil {
		l.mu.Lock()
		l.identity = s.Identity()
		l.mu.Unlock()
	}
	return err
}

func (l *ledger) delete(ctx context.Context, s *volume.Store, ids ...volume.BlobID) error {
	for _, id := range ids {
		l.set(id, deleting)
	}
	err := s.Delete(ctx, ids)
	if err == nil {
		for _, id := range ids {
			l.set(id, deleted)
		}
	}
	return err
}

// check compares a store with what was promised.
func (l *ledger) check(t testing.TB, s *volume.Store) {
	t.Helper()
	l.checkBlobs(t, s)
	checkStore(t, s)
}

// checkBlobs is check for a store that has met damage, and counts it.
func (l *ledger) checkBlobs(t testing.TB, s *volume.Store) {
	t.Helper()
	if got := s.Identity(); l.identity.Volume != "" && got.Volume != l.identity.Volume ||
		l.identity.Cluster != "" && got.Cluster != l.identity.Cluster {
		t.Errorf("the volume is %v, was %v", got, l.identity)
	}
	for id, st := range l.states {
		got, err := get(t.Context(), s, id)
		gone := errors.Is(err, volume.ErrNotFound)
		whole := err == nil && bytes.Equal(got, l.data[id])
		ok := whole
		switch st {
		case absent, deleted, refused:
			ok = gone
		case putting, deleting:
			ok = gone || whole
		}
		if !ok {
			t.Errorf("blob %s, state %d: %d of %d bytes, %v", id, st, len(got), len(l.data[id]), err)
		}
		if whole {
			if info, err := s.Stat(t.Context(), id); err != nil || !bytes.Equal(info.Descriptor, descriptorOf(id)) {
				t.Errorf("stat %s: descriptor %q, %v", id, info.Descriptor, err)
			}
		}
	}
	infos, err := s.List(t.Context(), volume.BlobID{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if l.states[info.ID] == absent {
			t.Errorf("blob %s is listed and was never put", info.ID)
		}
	}
}

// checkStore is the invariant of every store that was not damaged on purpose.
func checkStore(t testing.TB, s *volume.Store) {
	t.Helper()
	infos, err := s.List(t.Context(), volume.BlobID{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, info := range infos {
		sum += info.Size
		if err := s.Verify(t.Context(), info.ID); err != nil {
			t.Error(err)
		}
	}
	st := status(t, s)
	if st.Blobs != int64(len(infos)) || st.Bytes != sum {
		t.Errorf("status counts %d blobs, %d bytes; the list has %d, %d", st.Blobs, st.Bytes, len(infos), sum)
	}
	if st.Quarantined != 0 || st.CorruptReads != 0 {
		t.Errorf("undamaged store says: %d quarantined, %d corrupt reads", st.Quarantined, st.CorruptReads)
	}
	if st.DeadBytes < 0 {
		t.Errorf("%d dead bytes", st.DeadBytes)
	}
}

// logs gathers log records.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// openWhole is get, with what the blob is.
func openWhole(ctx context.Context, s *volume.Store, id volume.BlobID) (volume.Info, []byte, error) {
	info, r, err := s.Open(ctx, id, 0, -1)
	if err != nil {
		return info, nil, err
	}
	data, err := io.ReadAll(r)
	return info, data, errors.Join(err, r.Close())
}

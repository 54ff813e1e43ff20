package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeStore is a store in memory: bodies by their handles.
type fakeStore struct {
	cluster string
	mu      sync.Mutex
	rows    []Row
	bodies  map[string][]byte
	asked   int // runs
	fail    func(Want) error
	held    error
}

func newFakeStore() *fakeStore { return &fakeStore{cluster: "c1", bodies: map[string][]byte{}} }

// add gives the store a row with bodies.
func (f *fakeStore) add(key string, bodies ...[]byte) {
	r := Row{Key: []byte(key), Value: []byte("value of " + key)}
	for i, b := range bodies {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%x", key, i, sha256.Sum256(b)))
		body := Body{Size: int64(len(b)), Handle: fmt.Appendf(nil, "%s/%d", key, i)}
		copy(body.ID[:], sum[:])
		f.bodies[string(body.Handle)] = b
		r.Bodies = append(r.Bodies, body)
	}
	f.rows = append(f.rows, r)
}

// random gives bytes that are the same each time.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b)
	return b
}

func (f *fakeStore) Cluster() string { return f.cluster }

func (f *fakeStore) Rows(_ context.Context, fn func(*Row) error) error {
	for i := range f.rows {
		if err := fn(&f.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeStore) Bodies(_ context.Context, wants []Want) ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var got [][]byte
	for _, w := range wants {
		if f.fail != nil {
			if err := f.fail(w); err != nil {
				return nil, err
			}
		}
		f.asked++
		got = append(got, f.bodies[string(w.Handle)][w.Offset:w.Offset+w.Length])
	}
	return got, nil
}

func (f *fakeStore) Held(context.Context) error { return f.held }

// fill gives the store rows of every shape.
func (f *fakeStore) fill() {
	f.add("no body")
	f.add("an empty body", nil)
	f.add("three", random(1, 10), random(2, 70_000), nil)
	f.add("large", random(3, runLen+17))
	for i := range 300 {
		f.add(fmt.Sprintf("small/%03d", i), random(uint64(100+i), 4096))
	}
}

// memory is a place in memory.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
	times map[string]time.Time
	now   time.Time
	puts  []string
	fail  func(op, name string) error
}

func newMemory() *memory {
	return &memory{files: map[string][]byte{}, times: map[string]time.Time{}, now: time.Unix(1e9, 0)}
}

func (m *memory) String() string { return "memory" }

func (m *memory) failing(op, name string) error {
	if m.fail != nil {
		return m.fail(op, name)
	}
	return nil
}

func (m *memory) Put(_ context.Context, name string, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("put", name); err != nil {
		return err
	}
	m.files[name], m.times[name] = bytes.Clone(content), m.now
	m.puts = append(m.puts, name)
	return nil
}

func (m *memory) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	m.mu.Lock()
	size := int64(len(m.files[name]))
	m.mu.Unlock()
	if size > limit {
		return nil, damaged("too long")
	}
	return m.GetRange(ctx, name, 0, size)
}

func (m *memory) GetRange(_ context.Context, name string, offset, length int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("get", name); err != nil {
		return nil, err
	}
	b, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if offset+length > int64(len(b)) {
		return nil, damaged("too short")
	}
	return bytes.Clone(b[offset : offset+length]), nil
}

func (m *memory) List(_ context.Context, prefix string, fn func(Entry) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		if err := m.failing("list", name); err != nil {
			return err
		}
		if strings.HasPrefix(name, prefix) {
			if err := fn(Entry{name, int64(len(m.files[name])), m.times[name]}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("delete", name); err != nil {
		return err
	}
	delete(m.files, name)
	return nil
}

// packs are the names of the packs in the place.
func (m *memory) packs() []string {
	var all []string
	for name := range m.files {
		if strings.HasPrefix(name, "packs/") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// clock gives each backup a second of its own.
type clock struct{ t time.Time }

func (c *clock) now() time.Time {
	c.t = c.t.Add(time.Second)
	return c.t
}

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func mustCreate(t *testing.T, p Place, f *fakeStore, opts Options) (Manifest, Progress) {
	t.Helper()
	m, progress, err := Create(t.Context(), p, f, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m, progress
}

// readBack reads a whole backup.
func readBack(ctx context.Context, p Place, bases []Place, id string) (map[string][]string, error) {
	r, err := Open(ctx, p, bases, id)
	if err != nil {
		return nil, err
	}
	got := map[string][]string{}
	for {
		row, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return nil, err
		}
		x := []string{string(row.Value)}
		for _, b := range row.Bodies {
			in := r.Body(ctx, b)
			content, err := io.ReadAll(in)
			if err := errors.Join(err, in.Close()); err != nil {
				return nil, err
			}
			if int64(len(content)) != b.Size {
				return nil, fmt.Errorf("%q: %d of %d bytes", row.Key, len(content), b.Size)
			}
			x = append(x, string(content))
		}
		got[string(row.Key)] = x
	}
}

// want is what readBack should give.
func (f *fakeStore) want() map[string][]string {
	all := map[string][]string{}
	for _, r := range f.rows {
		x := []string{string(r.Value)}
		for _, b := range r.Bodies {
			x = append(x, string(f.bodies[string(b.Handle)]))
		}
		all[string(r.Key)] = x
	}
	return all
}

func wantBackup(t *testing.T, p Place, bases []Place, id string, want map[string][]string) {
	t.Helper()
	got, err := readBack(t.Context(), p, bases, id)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Fatalf("%d rows came back that are not the %d that were backed up", len(got), len(want))
	}
}

func wantVerified(t *testing.T, p Place, bases []Place) Verified {
	t.Helper()
	v, err := Verify(t.Context(), p, bases, "", nil)
	if err != nil || len(v.Problems) > 0 {
		t.Fatalf("verify: %v, %q", err, v.Problems)
	}
	return v
}

package master_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/master/metadb/memdb"
	"tdkvs/volume"
	"tdkvs/volume/volumetest"
)

const bucket = "photos"

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// testVolume is a volume in memory that can be made to fail.
type testVolume struct {
	volume.Blobs
	mem     *volumetest.Mem // the same, unless the volume is on disk
	name    string
	down    atomic.Bool // every call fails with ErrUnavailable
	lost    atomic.Bool // calls that write take effect, and their answer is lost
	deletes atomic.Int64
	gets    atomic.Int64 // calls of Get and Open
	stats   atomic.Int64 // calls of Stat
	opens   atomic.Int64 // readers open
	puts    atomic.Int64 // under way
	free    atomic.Int64 // bytes free, as its status says; 0: plenty

	mu    sync.Mutex
	onPut func() // called when a put begins

	fault atomic.Pointer[putFault] // what puts do instead; nil: what they should
	reads atomic.Pointer[getFault] // the same of gets
}

// put is one call of Put.
type put struct {
	ctx  context.Context
	id   volume.BlobID
	size int64
	body io.Reader
	desc volume.Descriptor
}

// putFault serves a call of Put on a volume in its own way.
type putFault func(v *testVolume, p put) error

// store serves a call as it should be.
func (v *testVolume) store(p put) error {
	return v.Blobs.Put(p.ctx, p.id, p.size, p.body, p.desc)
}

func newTestVolume(name string) *testVolume {
	m := volumetest.NewMem()
	return &testVolume{Blobs: m, mem: m, name: name}
}

// alias is the same volume under another name.
func (v *testVolume) alias(name string) *testVolume {
	return &testVolume{Blobs: v.Blobs, mem: v.mem, name: name}
}

func (v *testVolume) err() error {
	if v.down.Load() {
		return fmt.Errorf("%s: connection refused: %w", v.name, volume.ErrUnavailable)
	}
	return nil
}

func (v *testVolume) answer(err error) error {
	if err == nil && v.lost.Load() {
		return fmt.Errorf("%s: connection reset: %w", v.name, volume.ErrUnavailable)
	}
	return err
}

func (v *testVolume) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	v.puts.Add(1)
	defer v.puts.Add(-1)
	v.mu.Lock()
	hook := v.onPut
	v.mu.Unlock()
	if hook != nil {
		hook()
	}
	if err := v.err(); err != nil {
		return err
	}
	p := put{ctx, id, size, body, desc}
	if f := v.fault.Load(); f != nil {
		return (*f)(v, p)
	}
	return v.answer(v.store(p))
}

func (v *testVolume) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	v.gets.Add(1)
	if err := v.err(); err != nil {
		return nil, err
	}
	g := get{ctx, id, offset, length}
	if f := v.reads.Load(); f != nil {
		return (*f)(v, g)
	}
	return v.read(g)
}

// Open is a Get, with what its faults are, and a Stat.
func (v *testVolume) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	r, err := v.Get(ctx, id, offset, length)
	if err != nil {
		return volume.Info{}, nil, err
	}
	info, err := v.Blobs.Stat(ctx, id)
	if err != nil {
		return volume.Info{}, nil, errors.Join(err, r.Close())
	}
	return info, r, nil
}

// testBlob counts the readers that were not closed. It keeps reading from the
// store, so that a blob deleted while it is open is noticed.
type testBlob struct {
	io.ReadCloser
	v    *testVolume
	once sync.Once
}

func (b *testBlob) Close() error {
	b.once.Do(func() { b.v.opens.Add(-1) })
	return b.ReadCloser.Close()
}

func (v *testVolume) Delete(ctx context.Context, ids []volume.BlobID) error {
	v.deletes.Add(1)
	if err := v.err(); err != nil {
		return err
	}
	return v.answer(v.Blobs.Delete(ctx, ids))
}

func (v *testVolume) Status(ctx context.Context) (volume.Status, error) {
	if err := v.err(); err != nil {
		return volume.Status{}, err
	}
	st, err := v.Blobs.Status(ctx)
	if st.Free = 1 << 40; v.free.Load() != 0 {
		st.Free = uint64(v.free.Load())
	}
	return st, err
}

func (v *testVolume) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	v.stats.Add(1)
	if err := v.err(); err != nil {
		return volume.Info{}, err
	}
	return v.Blobs.Stat(ctx, id)
}

func (v *testVolume) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	if err := v.err(); err != nil {
		return nil, err
	}
	return v.Blobs.List(ctx, after, limit)
}

func (v *testVolume) Verify(ctx context.Context, id volume.BlobID) error {
	if err := v.err(); err != nil {
		return err
	}
	return v.Blobs.Verify(ctx, id)
}

func (v *testVolume) Damaged(ctx context.Context, after uint64, limit int) ([]volume.Damage, error) {
	if err := v.err(); err != nil {
		return nil, err
	}
	return v.Blobs.Damaged(ctx, after, limit)
}

func (v *testVolume) Claim(ctx context.Context, cluster string) error {
	if err := v.err(); err != nil {
		return err
	}
	return v.answer(v.Blobs.Claim(ctx, cluster))
}

// fill puts a blob onto the volume that no store knows.
func (v *testVolume) fill(t testing.TB) {
	t.Helper()
	err := v.Blobs.Put(context.Background(), volume.BlobID{1}, 1, strings.NewReader("x"), func() ([]byte, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
}

// ids lists the blobs on the volume.
func (v *testVolume) ids(t testing.TB) []volume.BlobID {
	t.Helper()
	infos, err := v.Blobs.List(context.Background(), volume.BlobID{}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var ids []volume.BlobID
	for _, i := range infos {
		ids = append(ids, i.ID)
	}
	return ids
}

// testDB is a metadata store whose commits can be made to fail, before they take
// effect or after.
type testDB struct {
	metadb.DB
	metadb.Followed
	before, after atomic.Pointer[func() error]
	updates       atomic.Int64
	viewed        atomic.Pointer[func()] // called when a view has read, before it returns
}

// newTestDB wraps a store that can be followed.
func newTestDB(db interface {
	metadb.DB
	metadb.Followed
}) *testDB {
	return &testDB{DB: db, Followed: db}
}

func (db *testDB) View(ctx context.Context, fn func(metadb.Tx) error) error {
	err := db.DB.View(ctx, fn)
	if f := db.viewed.Load(); f != nil {
		(*f)()
	}
	return err
}

func (db *testDB) Update(ctx context.Context, fn func(metadb.Tx) error) error {
	db.updates.Add(1)
	if f := db.before.Load(); f != nil {
		if err := (*f)(); err != nil {
			return err
		}
	}
	if err := db.DB.Update(ctx, fn); err != nil {
		return err
	}
	if f := db.after.Load(); f != nil {
		return (*f)()
	}
	return nil
}

// fail makes the n-th commit from now on (1: the next) and all after it fail.
func (db *testDB) fail(at *atomic.Pointer[func() error], n int64, err error) {
	left := n
	var mu sync.Mutex
	f := func() error {
		mu.Lock()
		defer mu.Unlock()
		if left--; left <= 0 {
			return err
		}
		return nil
	}
	at.Store(&f)
}

func (db *testDB) heal() {
	db.before.Store(nil)
	db.after.Store(nil)
}

// store is an engine over volumes in memory, checked when the test ends.
type store struct {
	*master.Engine
	t       testing.TB
	db      *testDB
	volumes []*testVolume
	clock   *clock
	log     *lockedBuffer
	refusal *master.TopologyError // of the last start that was refused
	copies  int                   // of the metadata; 0: it is not journalled
}

// lockedBuffer collects the log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newStore returns a store with a bucket in it.
func newStore(t testing.TB) *store {
	t.Helper()
	s := newBareStore(t, 3)
	s.open()
	s.createBucket(bucket)
	t.Cleanup(s.check)
	return s
}

func newBareStore(t testing.TB, volumes int) *store {
	t.Helper()
	s := &store{t: t, db: newTestDB(memdb.New()), clock: newClock(), log: &lockedBuffer{}}
	for i := range volumes {
		s.volumes = append(s.volumes, newTestVolume(fmt.Sprintf("/disk%d", i+1)))
	}
	return s
}

func (s *store) config() master.Config {
	cfg := master.Config{DB: s.db, MetadataCopies: s.copies, Clock: s.clock.now, Logger: slog.New(slog.NewTextHandler(s.log, nil))}
	for _, v := range s.volumes {
		cfg.Volumes = append(cfg.Volumes, master.Volume{Name: v.name, Blobs: v})
	}
	return cfg
}

// byUUID returns a volume; nil where the store does not have it.
func (s *store) byUUID(uuid string) *testVolume {
	s.t.Helper()
	for _, v := range s.volumes {
		if st, err := v.Blobs.Status(context.Background()); err == nil && st.Volume == uuid {
			return v
		}
	}
	return nil
}

// open starts the engine, or starts it again.
func (s *store) open() {
	s.t.Helper()
	e, err := master.Open(context.Background(), s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	s.Engine = e
}

func (s *store) createBucket(name string) {
	s.t.Helper()
	if err := s.CreateBucket(context.Background(), meta.Bucket{Name: name, Owner: "me"}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) versioning(v meta.Versioning) {
	s.t.Helper()
	if err := s.SetBucketVersioning(context.Background(), bucket, v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) wantUsage(want meta.Usage) {
	s.t.Helper()
	if got, err := s.Usage(context.Background(), bucket); err != nil || got != want {
		s.t.Errorf("usage %+v, %v, want %+v", got, err, want)
	}
}

// payload is a body with its MD5, as a front end would make it.
type payload struct {
	r    io.Reader
	sum  hash.Hash
	fail error // returned in place of io.EOF
	done bool
}

func newPayload(body string) *payload { return &payload{r: strings.NewReader(body), sum: md5.New()} }

func (p *payload) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.sum.Write(b[:n])
	if errors.Is(err, io.EOF) {
		p.done = true
		if p.fail != nil {
			err = p.fail
		}
	}
	return n, err
}

func (p *payload) Digests() meta.Digests {
	if !p.done {
		panic("digests asked for before the end of the body")
	}
	return meta.Digests{ETag: hex.EncodeToString(p.sum.Sum(nil)), Checksum: meta.Checksum{Algorithm: "CRC32", Type: "FULL_OBJECT", Value: "AAAAAA=="}}
}

func etag(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func (s *store) tryPut(key, body string, p meta.Precondition) (meta.Object, error) {
	return s.PutObject(context.Background(), meta.PutRequest{
		Bucket: bucket, Key: key, Owner: "me", Size: int64(len(body)), Precondition: p,
	}, newPayload(body))
}

func (s *store) put(key, body string) meta.Object {
	s.t.Helper()
	o, err := s.tryPut(key, body, meta.Precondition{})
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *store) tryRead(key string) (string, error) {
	r, err := s.OpenObject(context.Background(), bucket, key, "")
	if err != nil {
		return "", err
	}
	body, err := readAll(r)
	return body, errors.Join(err, r.Close())
}

func readAll(r master.ObjectReader) (string, error) {
	rc, err := r.Range(context.Background(), 0, r.Object().Size)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(rc)
	return string(b), errors.Join(err, rc.Close())
}

func (s *store) wantBody(key, want string) {
	s.t.Helper()
	got, err := s.tryRead(key)
	if err != nil {
		s.t.Fatalf("read %q: %v", key, err)
	}
	if got != want {
		s.t.Fatalf("read %q: %s, want %s", key, brief(got), brief(want))
	}
}

func brief(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%d bytes %q...", len(s), s[:40])
	}
	return fmt.Sprintf("%q", s)
}

func (s *store) remove(keys ...string) {
	s.t.Helper()
	for i, r := range s.tryRemove(keys...) {
		if r.Err != nil {
			s.t.Fatalf("delete %q: %v", keys[i], r.Err)
		}
	}
}

func (s *store) tryRemove(keys ...string) []meta.DeleteResult {
	s.t.Helper()
	var items []meta.DeleteItem
	for _, k := range keys {
		items = append(items, meta.DeleteItem{Key: k})
	}
	results, err := s.DeleteObjects(context.Background(), bucket, items)
	if err != nil {
		s.t.Fatal(err)
	}
	return results
}

func (s *store) collect() {
	s.t.Helper()
	if err := s.CollectGarbage(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// blobs counts the blobs on all volumes.
func (s *store) blobs() int {
	s.t.Helper()
	n := 0
	for _, v := range s.volumes {
		n += len(v.ids(s.t))
	}
	return n
}

// quiet waits for calls to volumes that nobody waits for any more to end.
func (s *store) quiet() {
	for range 500 {
		if !slices.ContainsFunc(s.volumes, func(v *testVolume) bool { return v.puts.Load()+v.opens.Load() != 0 }) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func wantKind(t testing.TB, err error, want meta.Kind) {
	t.Helper()
	if err == nil || meta.KindOf(err) != want {
		t.Fatalf("error is %v of kind %q, want kind %q", err, meta.KindOf(err), want)
	}
}

// rows reads the whole metadata store.
func (s *store) rows() map[string][]byte {
	s.t.Helper()
	all := make(map[string][]byte)
	err := s.db.View(context.Background(), func(tx metadb.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) (bool, error) {
			all[string(k)] = bytes.Clone(v)
			return true, nil
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// count returns how many rows have this tag.
func (s *store) count(tag byte) int {
	s.t.Helper()
	n := 0
	for k := range s.rows() {
		if k[0] == tag {
			n++
		}
	}
	return n
}

func (s *store) openWith(cfg master.Config) {
	s.t.Helper()
	e, err := master.Open(context.Background(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Engine = e
}

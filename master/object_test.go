package master_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

var bg = context.Background()

func TestPutAndGet(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	attrs := meta.Attributes{
		Headers:  meta.Headers{ContentType: "text/plain", StorageClass: "STANDARD_IA"},
		UserMeta: map[string]string{"color": "red"}, Tags: map[string]string{"a": "b"},
	}
	for _, size := range []int{0, 1, 100, volume.BlockSize, volume.BlockSize + 1, 3 << 20} {
		for _, known := range []bool{true, false} {
			body := strings.Repeat("x", size)
			req := meta.PutRequest{Bucket: bucket, Key: "k", Owner: "me", Size: int64(size), Attributes: attrs}
			if !known {
				req.Size = -1
			}
			put, err := s.PutObject(bg, req, newPayload(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Object(bg, bucket, "k", "")
			if err != nil || !reflect.DeepEqual(got, put) {
				t.Fatalf("size %d: record is %+v, %v, want %+v", size, got, err, put)
			}
			if got.Size != int64(size) || got.ETag != etag(body) || got.Owner != "me" || !reflect.DeepEqual(got.Attributes, attrs) ||
				got.Bucket != bucket || got.Key != "k" || got.Checksum.Algorithm != "CRC32" {
				t.Fatalf("size %d: record is %+v", size, got)
			}
			s.wantBody("k", body)
		}
	}
}

// Keys are bytes: none of these is another's alias, and all list in byte order.
func TestAwkwardKeys(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	keys := []string{
		"\x00", "\x00\x00", "\x00\x01", "\x00\xff", " ", "+", ".", "..", "../x", "/", "//", "a", "a\x00", "a\x00b", "a/", "a//b", "a/b",
		"%61", "\xff", "\xff\xff", "😀", strings.Repeat("k", meta.MaxKeyLen),
	}
	for _, k := range keys {
		s.put(k, "body of "+k)
	}
	for _, k := range keys {
		s.wantBody(k, "body of "+k)
	}
	page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: 1000})
	if err != nil || len(page.Objects) != len(keys) {
		t.Fatalf("%d of %d keys listed, %v", len(page.Objects), len(keys), err)
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	body := randomBody(200_000)
	s.put("k", body)
	s.assemble("parts", splitBody(body, 70_000, 1, 0, 129_999), 1, 2, 3, 9)
	for _, key := range []string{"k", "parts"} {
		r, err := s.OpenObject(bg, bucket, key, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][2]int64{
			{0, 200_000}, {0, 0}, {200_000, 0}, {0, 1}, {199_999, 1}, {65_535, 2}, {65_536, 1}, {69_999, 3}, {70_000, 1}, {70_001, 1}, {50_000, 100_000}, {71_000, 129_000},
		} {
			wantRange(t, r, body, c[0], c[1])
		}
		for _, c := range [][2]int64{{-1, 1}, {0, -1}, {0, 200_001}, {200_001, 0}, {1, 1<<63 - 1}} {
			if rc, err := r.Range(bg, c[0], c[1]); err == nil {
				t.Errorf("range %v: no error", c)
				_ = rc.Close()
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wantRange reads a range in each of the ways that there are.
func wantRange(t *testing.T, r interface {
	Range(context.Context, int64, int64) (io.ReadCloser, error)
}, body string, offset, length int64,
) {
	t.Helper()
	want := body[offset : offset+length]
	for _, how := range []string{"Read", "WriteTo", "both"} {
		rc, err := r.Range(bg, offset, length)
		if err != nil {
			t.Fatalf("range %d+%d: %v", offset, length, err)
		}
		var got strings.Builder
		if how == "both" {
			if _, err := io.CopyN(&got, struct{ io.Reader }{rc}, length/2); err != nil {
				t.Fatal(err)
			}
		}
		if how == "Read" {
			_, err = io.Copy(&got, struct{ io.Reader }{rc})
		} else {
			_, err = rc.(io.WriterTo).WriteTo(&got)
		}
		if err != nil || got.String() != want {
			t.Fatalf("range %d+%d by %s: %s, %v", offset, length, how, brief(got.String()), err)
		}
		if n, err := rc.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("range %d+%d by %s: %d, %v at the end", offset, length, how, n, err)
		}
		if err := errors.Join(rc.Close(), rc.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := rc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("read after Close: %v", err)
		}
	}
}

func randomBody(n int) string {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func splitBody(body string, sizes ...int) []string {
	var parts []string
	for _, n := range sizes {
		n = min(n, len(body))
		parts = append(parts, body[:n])
		body = body[n:]
	}
	return parts
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, c := range []struct {
		bucket, key string
		want        meta.Kind
	}{
		{bucket, "", meta.KindInvalidKey},
		{bucket, strings.Repeat("k", meta.MaxKeyLen+1), meta.KindKeyTooLong},
		{"none", "k", meta.KindNoSuchBucket},
		{"", "k", meta.KindInvalidBucketName},
	} {
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: c.bucket, Key: c.key}, &payload{r: &untouched{t}})
		wantKind(t, err, c.want)
		_, err = s.Object(bg, c.bucket, c.key, "")
		wantKind(t, err, c.want)
		_, err = s.OpenObject(bg, c.bucket, c.key, "")
		wantKind(t, err, c.want)
		_, err = s.CreateUpload(bg, meta.Upload{Bucket: c.bucket, Key: c.key})
		wantKind(t, err, c.want)
	}
	_, err := s.Object(bg, bucket, "k", "")
	wantKind(t, err, meta.KindNoSuchKey)
	var e *meta.Error
	if !errors.As(err, &e) || e.Op == "" || e.Bucket != bucket || e.Key != "k" {
		t.Errorf("the error is %+v: it does not say what it is about", err)
	}
}

// untouched is a body that must not be read: the request fails before.
type untouched struct{ t *testing.T }

func (u *untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestVersionIDs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "1")
	for _, id := range []string{"", "null"} {
		if o, err := s.Object(bg, bucket, "k", id); err != nil || o.VersionID != "" {
			t.Errorf("version %q: %+v, %v", id, o, err)
		}
	}
	for _, key := range []string{"k", "none"} {
		_, err := s.Object(bg, bucket, key, "v1")
		wantKind(t, err, meta.KindNoSuchVersion)
		_, err = s.OpenObject(bg, bucket, key, "v1")
		wantKind(t, err, meta.KindNoSuchVersion)
	}
	_, err := s.Object(bg, bucket, "none", "")
	wantKind(t, err, meta.KindNoSuchKey)
}

// A delete marker is found and told apart, not listed, and counts as absent.
func TestDeleteMarker(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("b/1", "1")
	s.versioning(meta.VersioningEnabled)
	s.remove("a/1", "a/2", "b/0")
	marker := s.tryRemove("k")[0]
	if !marker.DeleteMarker || len(marker.VersionID) != 32 {
		t.Errorf("deleted: %+v", marker)
	}
	for _, id := range []string{"", marker.VersionID} {
		_, err := s.Object(bg, bucket, "k", id)
		wantMarker(t, err, "k", marker.VersionID, s.clock.now())
		_, err = s.OpenObject(bg, bucket, "k", id)
		wantMarker(t, err, "k", marker.VersionID, s.clock.now())
	}
	page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Delimiter: "/", Limit: 1})
	if err != nil || len(page.Objects) != 0 || !reflect.DeepEqual(page.Prefixes, []string{"b/"}) || page.Truncated {
		t.Errorf("listed %+v, %v: want b/ alone", page, err)
	}
	if _, err := s.tryPut("k", "x", meta.Precondition{IfNoneMatch: "*"}); err != nil {
		t.Errorf("If-None-Match against a delete marker: %v", err)
	}
	s.wantUsage(meta.Usage{Objects: 2, Bytes: 2, DeleteMarkers: 4})
}

// wantMarker wants the refusal of a delete marker, of a time where that is not
// zero.
func wantMarker(t testing.TB, err error, key, versionID string, modified time.Time) {
	t.Helper()
	wantKind(t, err, meta.KindDeleteMarker)
	var e *meta.Error
	if !errors.As(err, &e) || e.Marker == nil {
		t.Fatalf("%v carries no marker", err)
	}
	if m := e.Marker; !m.DeleteMarker || m.Bucket != bucket || m.Key != key || m.VersionID != versionID || (!modified.IsZero() && !m.Modified.Equal(modified)) {
		t.Errorf("the marker is %+v, want %q of %v", m, versionID, modified)
	}
}

func TestModifiedOrdersVersions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	last := s.put("k", "0").Modified
	if !last.Equal(s.clock.now()) || last.Location() != time.UTC {
		t.Errorf("modified %v, the clock says %v", last, s.clock.now())
	}
	for _, step := range []time.Duration{0, time.Microsecond, time.Hour, -2 * time.Hour, 0} {
		s.clock.advance(step)
		o := s.put("k", "1")
		if !o.Modified.After(last) || o.Modified.Nanosecond()%1e6 != 0 {
			t.Errorf("clock moved %v: modified %v is not after %v", step, o.Modified, last)
		}
		last = o.Modified
	}
	s.clock.advance(4 * time.Hour)
	given := time.Date(1999, 1, 1, 0, 0, 0, 123_456_789, time.UTC)
	o, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: 0, Modified: given}, newPayload(""))
	if err != nil || !o.Modified.Equal(given.Truncate(time.Millisecond)) {
		t.Errorf("modified %v, %v, want the time given", o.Modified, err)
	}
}

func TestPutConditions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	one, two := int64(1), int64(2)
	s.put("k", "x")
	at := s.clock.now().Truncate(time.Second)
	for i, c := range []struct {
		key  string
		p    meta.Precondition
		want meta.Kind // 0: success
	}{
		{"k", meta.Precondition{IfNoneMatch: "*"}, meta.KindPreconditionFailed},
		{"new", meta.Precondition{IfNoneMatch: "*"}, 0},
		{"k", meta.Precondition{IfNoneMatch: etag("x")}, meta.KindPreconditionFailed},
		{"k", meta.Precondition{IfNoneMatch: etag("y")}, 0},
		{"k", meta.Precondition{IfMatch: etag("x")}, 0},
		{"k", meta.Precondition{IfMatch: etag("y")}, meta.KindPreconditionFailed},
		{"k", meta.Precondition{IfMatch: "*"}, 0},
		{"none", meta.Precondition{IfMatch: etag("x")}, meta.KindNoSuchKey},
		{"k", meta.Precondition{IfSize: &one}, 0},
		{"k", meta.Precondition{IfSize: &two}, meta.KindPreconditionFailed},
		{"k", meta.Precondition{IfModTime: at}, 0},
		{"k", meta.Precondition{IfModTime: at.Add(time.Second)}, meta.KindPreconditionFailed},
	} {
		if c.want == 0 {
			if _, err := s.tryPut(c.key, "x", c.p); err != nil {
				t.Errorf("case %d: %v", i, err)
			}
			continue
		}
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: c.key, Size: 1, Precondition: c.p}, &payload{r: &untouched{t}})
		wantKind(t, err, c.want)
	}
}

// A condition that comes to fail while the body is read fails in the commit, and
// the body leaves nothing behind.
func TestConditionFailsInCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	inner := s.hookPut(func() { s.put("k", "other") })
	_, err := s.tryPut("k", "mine", meta.Precondition{IfNoneMatch: "*"})
	wantKind(t, err, meta.KindPreconditionFailed)
	if !*inner {
		t.Fatal("the other put did not take place")
	}
	s.wantBody("k", "other")
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs: the loser's was not removed at once", n)
	}
}

// hookPut runs f when the next blob is written, on whichever volume.
func (s *store) hookPut(f func()) *bool {
	ran := new(bool)
	for _, v := range s.volumes {
		v.mu.Lock()
		v.onPut = func() {
			for _, v := range s.volumes {
				v.mu.Lock()
				v.onPut = nil
				v.mu.Unlock()
			}
			f()
			*ran = true
		}
		v.mu.Unlock()
	}
	return ran
}

func TestBucketDeletedDuringPut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.hookPut(func() {
		if err := s.DeleteBucket(bg, bucket); err != nil {
			t.Error(err)
		}
	})
	_, err := s.tryPut("k", "x", meta.Precondition{})
	wantKind(t, err, meta.KindNoSuchBucket)
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	broken := errors.New("client went away")
	put := func(size int64, p *payload) error {
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Size: size}, p)
		return err
	}
	failing := newPayload("abc")
	failing.fail = broken
	if err := put(3, failing); !errors.Is(err, broken) || meta.KindOf(err) != meta.KindInternal {
		t.Errorf("a body that fails: %v", err)
	}
	typed := newPayload("abc")
	typed.fail = &meta.Error{Kind: meta.KindInvalidPart, Op: "check digest"}
	wantKind(t, put(-1, typed), meta.KindInvalidPart)
	if err := put(5, newPayload("abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short body: %v", err)
	}
	if err := put(2, newPayload("abc")); err == nil {
		t.Error("a long body: no error")
	}
	wantKind(t, put(meta.MaxPutSize+1, &payload{r: &untouched{t}}), meta.KindEntityTooLarge)
	canceled := newPayload("abc")
	canceled.fail = context.Canceled
	wantKind(t, put(3, canceled), meta.KindCanceled)
	s.wantBody("k", "old")
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs after bodies that failed, want 1", n)
	}
}

func TestMetadataTooLarge(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	attrs := meta.Attributes{UserMeta: map[string]string{"x": strings.Repeat("y", meta.MaxRecordPayload)}}
	_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: "k", Attributes: attrs}, &payload{r: &untouched{t}})
	wantKind(t, err, meta.KindMetadataTooLarge)
	_, err = s.CreateUpload(bg, meta.Upload{Bucket: bucket, Key: "k", Attributes: attrs})
	wantKind(t, err, meta.KindMetadataTooLarge)
}

func TestCanceledRequest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "x")
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := s.PutObject(ctx, meta.PutRequest{Bucket: bucket, Key: "k", Size: 1}, newPayload("y"))
	wantKind(t, err, meta.KindCanceled)
	_, err = s.Object(ctx, bucket, "k", "")
	wantKind(t, err, meta.KindCanceled)
	_, err = s.DeleteObjects(ctx, bucket, []meta.DeleteItem{{Key: "k"}})
	wantKind(t, err, meta.KindCanceled)
	s.wantBody("k", "x")
}

func TestVolumeErrors(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old")
	each := func(f func(*testVolume)) {
		for _, v := range s.volumes {
			f(v)
		}
	}
	each(func(v *testVolume) { v.mem.SetCapacity(3) })
	_, err := s.tryPut("k", strings.Repeat("x", 9), meta.Precondition{})
	wantKind(t, err, meta.KindNoSpace)
	each(func(v *testVolume) { v.mem.SetCapacity(1 << 40) })
	each(func(v *testVolume) { v.mem.SetReadOnly("a sync failed") })
	_, err = s.tryPut("k", "new", meta.Precondition{})
	wantKind(t, err, meta.KindReadOnly)
	each(func(v *testVolume) { v.mem.SetReadOnly("") })
	each(func(v *testVolume) { v.down.Store(true) })
	_, err = s.tryPut("k", "new", meta.Precondition{})
	wantKind(t, err, meta.KindUnavailable)
	_, err = s.tryRead("k")
	wantKind(t, err, meta.KindUnavailable)
	each(func(v *testVolume) { v.down.Store(false) })
	s.wantBody("k", "old")
	if g := s.count('g'); g != 0 {
		t.Errorf("%d garbage entries for puts that stored nothing", g)
	}
}

// A put whose answer is lost may have stored its blob: it must go, and where it
// can not go at once it must be queued.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, v := range s.volumes {
		v.lost.Store(true)
	}
	_, err := s.tryPut("k", "x", meta.Precondition{})
	wantKind(t, err, meta.KindUnavailable)
	if s.count('g') != 1 {
		t.Errorf("%d garbage entries, want the blob queued", s.count('g'))
	}
	_, err = s.Object(bg, bucket, "k", "")
	wantKind(t, err, meta.KindNoSuchKey)
}

func TestCorruptAndMissingBlobs(t *testing.T) {
	t.Parallel()
	s := newBareStore(t, 3) // not checked at the end: it is broken on purpose
	s.open()
	s.createBucket(bucket)
	o := s.put("k", strings.Repeat("x", 3*volume.BlockSize))
	piece := o.Extents[0].Pieces[0]
	v := s.volumes[piece.Volume-1]
	v.mem.Corrupt(volume.BlobID(piece.Blob), volume.BlockSize+5)
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, strings.Repeat("x", 3*volume.BlockSize), 0, volume.BlockSize)
	for _, writer := range []bool{false, true} {
		rc, err := r.Range(bg, 0, r.Object().Size)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if writer {
			n, err = rc.(io.WriterTo).WriteTo(io.Discard)
		} else {
			n, err = io.Copy(io.Discard, struct{ io.Reader }{rc})
		}
		wantKind(t, err, meta.KindCorrupt)
		if n != volume.BlockSize {
			t.Errorf("%d bytes before the bad block, want %d", n, volume.BlockSize)
		}
		_ = rc.Close()
	}
	if err := v.Delete(bg, []volume.BlobID{volume.BlobID(piece.Blob)}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Range(bg, 0, 1)
	wantKind(t, err, meta.KindCorrupt)
	_ = r.Close()
	// A record that names a volume that is not there.
	o.Extents[0].Pieces[0].Volume = 99
	row, err := metadb.MarshalObject(&metadb.ObjectRow{Object: o})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "k"), row) }); err != nil {
		t.Fatal(err)
	}
	_, err = s.tryRead("k")
	wantKind(t, err, meta.KindUnavailable)
	// A record longer than its blob.
	o = s.put("short", "abc")
	o.Size, o.Extents[0].Size = 4, 4
	if row, err = metadb.MarshalObject(&metadb.ObjectRow{Object: o}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "short"), row) }); err != nil {
		t.Fatal(err)
	}
	_, err = s.tryRead("short")
	wantKind(t, err, meta.KindCorrupt)
	// A record that can not be read.
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.ObjectKey(bucket, "bad"), []byte{1, 0xFF}) }); err != nil {
		t.Fatal(err)
	}
	_, err = s.Object(bg, bucket, "bad", "")
	wantKind(t, err, meta.KindCorrupt)
}

// An error of the reader's own side is given back as it is.
func TestWriteToFailingWriter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", strings.Repeat("x", 100_000))
	r, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	rc, err := r.Range(bg, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rc.(io.WriterTo).WriteTo(failingWriter{}); err != errWriter { //nolint:errorlint // not wrapped: that is the point
		t.Errorf("%v, want the writer's error", err)
	}
	_, _ = rc.Close(), r.Close()
}

var errWriter = errors.New("broken pipe")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errWriter }

// A commit that fails leaves nothing behind when it is known not to have taken
// place, and its blob when it is not known.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		kind  meta.Kind
		after bool // the commit did take place
		blobs int
	}{
		{metadb.ErrNoSpace, meta.KindNoSpace, false, 1},
		{metadb.ErrClosed, meta.KindUnavailable, false, 1},
		{metadb.ErrTooLarge, meta.KindInternal, false, 1},
		{metadb.ErrFailed, meta.KindReadOnly, false, 2},
		{metadb.ErrFailed, meta.KindReadOnly, true, 2},
		{errors.New("disk on fire"), meta.KindInternal, true, 2},
	} {
		t.Run(fmt.Sprintf("%v after=%v", c.err, c.after), func(t *testing.T) {
			t.Parallel()
			s := newBareStore(t, 3) // a blob may stay: not checked at the end
			s.open()
			s.createBucket(bucket)
			s.put("k", "old")
			if c.after {
				s.db.fail(&s.db.after, 1, c.err)
			} else {
				s.db.fail(&s.db.before, 1, c.err)
			}
			_, err := s.tryPut("k", "new", meta.Precondition{})
			wantKind(t, err, c.kind)
			s.db.heal()
			if n := s.blobs(); n != c.blobs {
				t.Errorf("%d blobs, want %d", n, c.blobs)
			}
			want := "old"
			if c.after {
				want = "new"
			}
			s.clock.advance(time.Hour)
			s.collect()
			s.wantBody("k", want)
		})
	}
}

// The placement of a body is that of its key, and what a reader follows is what
// was recorded.
func TestPlacement(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	used := map[meta.VolumeID]int{}
	for i := range 60 {
		key := fmt.Sprint(i)
		a, b := s.put(key, "1"), s.put(key, "2")
		if len(a.Extents) != 1 || len(a.Extents[0].Pieces) != 1 || a.Extents[0].Pieces[0].Volume != b.Extents[0].Pieces[0].Volume {
			t.Fatalf("%+v and %+v", a.Extents, b.Extents)
		}
		used[a.Extents[0].Pieces[0].Volume]++
	}
	if len(used) != 3 {
		t.Errorf("60 keys lie on volumes %v", used)
	}
}

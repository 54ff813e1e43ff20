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

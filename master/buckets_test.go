package master_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func TestCreateBucket(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), context.Background()
	wantKind(t, s.CreateBucket(ctx, meta.Bucket{Name: bucket}), meta.KindBucketExists)
	created := time.Date(2020, 2, 3, 4, 5, 6, 7_000_000, time.UTC)
	if err := s.CreateBucket(ctx, meta.Bucket{Name: "kv", Owner: "o", Region: "r", Created: created}); err != nil {
		t.Fatal(err)
	}
	b, err := s.Bucket(ctx, "kv")
	if want := (meta.Bucket{Name: "kv", Owner: "o", Region: "r", Created: created}); err != nil || b != want {
		t.Errorf("%+v, %v, want %+v", b, err, want)
	}
	if b, err := s.Bucket(ctx, bucket); err != nil || !b.Created.Equal(s.clock.now()) {
		t.Errorf("%+v, %v: want it created at %v", b, err, s.clock.now())
	}
	_, err = s.Bucket(ctx, "none")
	wantKind(t, err, meta.KindNoSuchBucket)
}

// A bucket name with a separator in it must not reach into another bucket.
func TestBucketNamesThatAreNoComponent(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), context.Background()
	s.put("b\x00c", "secret")
	for _, name := range []string{"", bucket + "\x00b", "a/b", "a b", "a\n", strings.Repeat("x", 256)} {
		calls := map[string]func() error{
			"create": func() error { return s.CreateBucket(ctx, meta.Bucket{Name: name}) },
			"get":    func() error { _, err := s.Bucket(ctx, name); return err },
			"delete": func() error { return s.DeleteBucket(ctx, name) },
			"usage":  func() error { _, err := s.Usage(ctx, name); return err },
			"list":   func() error { _, err := s.ListObjects(ctx, meta.ListRequest{Bucket: name, Limit: 1}); return err },
			"uploads": func() error {
				_, err := s.ListUploads(ctx, meta.UploadsRequest{Bucket: name, Limit: 1})
				return err
			},
			"object": func() error { _, err := s.Object(ctx, name, "c", ""); return err },
			"open":   func() error { _, err := s.OpenObject(ctx, name, "c", ""); return err },
			"put": func() error {
				_, err := s.PutObject(ctx, meta.PutRequest{Bucket: name, Key: "c"}, newPayload(""))
				return err
			},
			"delete objects": func() error { _, err := s.DeleteObjects(ctx, name, []meta.DeleteItem{{Key: "c"}}); return err },
			"create upload":  func() error { _, err := s.CreateUpload(ctx, meta.Upload{Bucket: name, Key: "c"}); return err },
			"upload":         func() error { _, err := s.Upload(ctx, name, "c", "u"); return err },
			"abort":          func() error { return s.AbortUpload(ctx, name, "c", "u") },
			"completed":      func() error { _, err := s.CompletedUpload(ctx, name, "c", "u"); return err },
		}
		for what, call := range calls {
			if err := call(); meta.KindOf(err) != meta.KindInvalidBucketName {
				t.Errorf("%s in bucket %q: %v, want an invalid bucket name", what, name, err)
			}
		}
	}
}

func TestListBuckets(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), context.Background()
	want := []string{bucket}
	for i := range 25 {
		name := fmt.Sprintf("b%02d", i)
		s.createBucket(name)
		want = append(want, name)
	}
	slices.Sort(want)
	list := func(req meta.BucketsRequest) []string {
		var names []string
		for {
			page, err := s.ListBuckets(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.Buckets {
				names = append(names, b.Name)
			}
			if req.Limit > 0 && len(page.Buckets) > req.Limit {
				t.Fatalf("%d buckets in a page of %d", len(page.Buckets), req.Limit)
			}
			if !page.Truncated {
				return names
			}
			req.After = names[len(names)-1]
		}
	}
	for _, limit := range []int{0, 1, 7, 25, 26, 27, 99999} {
		if got := list(meta.BucketsRequest{Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	if got := list(meta.BucketsRequest{Prefix: "b1", Limit: 3}); !slices.Equal(got, want[10:20]) {
		t.Errorf("prefix b1: %q", got)
	}
	if got := list(meta.BucketsRequest{After: "b23x"}); !slices.Equal(got, []string{"b24", bucket}) {
		t.Errorf("after b23x: %q", got)
	}
	if got := list(meta.BucketsRequest{Prefix: "b1", After: "zz"}); got != nil {
		t.Errorf("after the end of the prefix: %q", got)
	}
}

func TestDeleteBucket(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), context.Background()
	wantKind(t, s.DeleteBucket(ctx, "none"), meta.KindNoSuchBucket)
	s.put("a", "1")
	wantKind(t, s.DeleteBucket(ctx, bucket), meta.KindBucketNotEmpty)
	s.wantBody("a", "1")
	s.remove("a")
	// More uploads than one transaction ends, some with parts.
	for i := range 120 {
		up, err := s.CreateUpload(ctx, meta.Upload{Bucket: bucket, Key: fmt.Sprintf("k%03d", i)})
		if err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			s.putPart(up, 1, "part")
		}
	}
	// And configuration documents.
	err := s.db.Update(ctx, func(tx metadb.Tx) error {
		for i := range 60 {
			if err := tx.Set(metadb.ConfigKey(bucket, fmt.Sprint(i)), []byte("x")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.createBucket(bucket + "2") // whose rows lie right behind
	if err := s.DeleteBucket(ctx, bucket); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.DeleteBucket(ctx, bucket), meta.KindNoSuchBucket)
	if n := s.count('c') + s.count('u') + s.count('n'); n != 0 {
		t.Errorf("%d rows of the bucket are left", n)
	}
	if _, err := s.Bucket(ctx, bucket+"2"); err != nil {
		t.Error(err)
	}
	s.createBucket(bucket)
	if u, err := s.Usage(ctx, bucket); err != nil || u != (meta.Usage{}) {
		t.Errorf("a new bucket of the same name holds %+v, %v", u, err)
	}
}

// A noncurrent version keeps a bucket, too.
func TestDeleteBucketWithVersions(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), context.Background()
	key := metadb.VersionKey(bucket, "a", 1)
	set := func(f func(tx metadb.Tx) error) {
		if err := s.db.Update(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	set(func(tx metadb.Tx) error { return tx.Set(key, []byte{1}) })
	wantKind(t, s.DeleteBucket(ctx, bucket), meta.KindBucketNotEmpty)
	set(func(tx metadb.Tx) error { return tx.Delete(key) })
	if err := s.DeleteBucket(ctx, bucket); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), context.Background()
	want := func(objects, size int64) {
		t.Helper()
		if u, err := s.Usage(ctx, bucket); err != nil || u != (meta.Usage{Objects: objects, Bytes: size}) {
			t.Errorf("%+v, %v, want %d objects of %d bytes", u, err, objects, size)
		}
	}
	want(0, 0)
	s.put("a", "123")
	s.put("b", "")
	want(2, 3)
	s.put("a", "1234567")
	want(2, 7)
	s.remove("a", "none", "a")
	want(1, 0)
	_, err := s.Usage(ctx, "none")
	wantKind(t, err, meta.KindNoSuchBucket)
}

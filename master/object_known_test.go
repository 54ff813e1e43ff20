package master_test

import (
	"fmt"
	"io"
	"sync"
	"testing"

	"tdkvs/master/meta"
)

// TestRecordsInCommon reads a record until readers have it in common, over the real
// metadata store: it shows what holds at each moment, and nothing that one reader does
// with it is seen by another.
func TestRecordsInCommon(t *testing.T) {
	t.Parallel()
	s := &store{t: t, clock: newClock(), log: &lockedBuffer{}}
	closeAll := s.onDisk(t.TempDir())
	defer closeAll()
	s.createBucket(bucket)
	put := func(body string) {
		t.Helper()
		if _, err := s.PutObject(bg, meta.PutRequest{
			Bucket: bucket, Key: "k", Size: int64(len(body)), Attributes: meta.Attributes{UserMeta: map[string]string{"body": body}},
		}, newPayload(body)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(body, version string) {
		t.Helper()
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for range 3 {
					o, err := s.Object(bg, bucket, "k", "")
					if err != nil || o.Bucket != bucket || o.Key != "k" || o.UserMeta["body"] != body || o.VersionID != version {
						t.Errorf("read %+v, %v; want %q, version %q", o, err, body, version)
						return
					}
					o.VersionID, o.Key, o.UserMeta = "mine", "mine", nil
				}
			})
		}
		readers.Wait()
		s.wantBody("k", body)
	}
	put("first")
	want("first", "")
	put("second")
	want("second", "")
	for _, state := range []meta.Versioning{meta.VersioningEnabled, meta.VersioningSuspended} {
		s.versioning(state)
		want("second", meta.NullVersion)
	}
	put("third")
	want("third", meta.NullVersion)

	open, err := s.OpenObject(bg, bucket, "k", "")
	if err != nil {
		t.Fatal(err)
	}
	put("fourth")
	want("fourth", meta.NullVersion)
	r, err := open.Range(bg, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "third" || open.Object().UserMeta["body"] != "third" {
		t.Errorf("who had it open reads %q of %+v, %v", got, open.Object(), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := open.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{{Key: "k", VersionID: meta.NullVersion}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Object(bg, bucket, "k", ""); meta.KindOf(err) != meta.KindNoSuchKey {
		t.Errorf("a deleted object: %v", err)
	}
}

// TestLookupsBesideEachOther has each of several readers look for its own keys, there
// and missing, at the same time: none is given what another has found.
func TestLookupsBesideEachOther(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const readers, keys = 8, 20
	name := func(reader, i int) string { return fmt.Sprintf("%d/%d", reader, i) }
	for r := range readers {
		for i := 0; i < keys; i += 2 {
			s.put(name(r, i), name(r, i))
		}
	}
	var reading sync.WaitGroup
	for r := range readers {
		reading.Go(func() {
			for i := range 10 * keys {
				key, there := name(r, i%keys), i%2 == 0
				o, err := s.Object(bg, bucket, key, "")
				if there && (err != nil || o.Key != key || o.Size != int64(len(key))) || !there && meta.KindOf(err) != meta.KindNoSuchKey {
					t.Errorf("%s: %+v, %v", key, o, err)
				}
				if _, err := s.Object(bg, "no-such-bucket", key, ""); meta.KindOf(err) != meta.KindNoSuchBucket {
					t.Errorf("%s in no bucket: %v", key, err)
				}
			}
		})
	}
	reading.Wait()
}

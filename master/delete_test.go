package master_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

func TestDeleteMany(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var keys []string
	for i := range 250 {
		k := fmt.Sprintf("k%03d", i)
		if i%50 == 7 {
			s.assemble(k, []string{"a", "b"})
		} else {
			s.put(k, "xy")
		}
		keys = append(keys, k, "none"+k)
	}
	s.put("keep", "z")
	keys = append(keys, keys[:20]...) // twice in one request
	before := s.db.updates.Load()
	s.remove(keys...)
	if n := s.db.updates.Load() - before; n > 9 {
		t.Errorf("%d commits for %d items", n, len(keys))
	}
	if u, err := s.Usage(bg, bucket); err != nil || u != (meta.Usage{Objects: 1, Bytes: 1}) {
		t.Errorf("usage %+v, %v", u, err)
	}
	s.wantBody("keep", "z")
	s.clock.advance(time.Hour)
	s.collect()
	if n := s.blobs(); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

// The most that one transaction of a delete can have to write.
func TestDeleteManyAssembled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var keys []string
	for i := range 130 {
		keys = append(keys, fmt.Sprint(i))
		s.assemble(keys[i], []string{"a"})
	}
	s.put("plain", "x")
	s.remove(append([]string{"plain"}, keys...)...)
	if u, err := s.Usage(bg, bucket); err != nil || u != (meta.Usage{}) {
		t.Errorf("usage %+v, %v", u, err)
	}
}

func TestDeleteResults(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("a", "1")
	s.put("b", "1")
	s.put("c", "1")
	s.put("d", "1")
	results, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{
		{Key: "a", Precondition: meta.Precondition{IfMatch: etag("other")}},
		{Key: ""},
		{Key: strings.Repeat("k", 1025)},
		{Key: "b", Precondition: meta.Precondition{IfMatch: etag("1")}},
		{Key: "none", Precondition: meta.Precondition{IfMatch: "*"}},
		{Key: "none"},
		{Key: "c", VersionID: "v9"},
		{Key: "d", VersionID: "null"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []meta.Kind{
		meta.KindPreconditionFailed, meta.KindInvalidKey, meta.KindKeyTooLong, 0, meta.KindNoSuchKey, 0, 0, 0,
	} {
		if got := meta.KindOf(results[i].Err); got != want || (want == 0 && results[i].Err != nil) {
			t.Errorf("item %d: %v, want %v", i, results[i].Err, want)
		}
	}
	if results[7].VersionID != "null" || results[6].VersionID != "v9" || results[5].VersionID != "" {
		t.Errorf("version ids: %+v", results)
	}
	s.wantBody("a", "1")
	s.wantBody("c", "1")
	for _, gone := range []string{"b", "d"} {
		_, err := s.Object(bg, bucket, gone, "")
		wantKind(t, err, meta.KindNoSuchKey)
	}
	_, err = s.DeleteObjects(bg, "none", []meta.DeleteItem{{Key: "a"}})
	wantKind(t, err, meta.KindNoSuchBucket)
	if results, err := s.DeleteObjects(bg, bucket, nil); err != nil || len(results) != 0 {
		t.Errorf("nothing to delete: %v, %v", results, err)
	}
}

// A commit that fails in the middle is in the results of its items; what was
// committed before stands.
func TestDeleteFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var items []meta.DeleteItem
	for i := range 200 {
		k := fmt.Sprintf("%03d", i)
		s.put(k, "x")
		items = append(items, meta.DeleteItem{Key: k})
	}
	s.db.fail(&s.db.before, 2, metadb.ErrNoSpace)
	results, err := s.DeleteObjects(bg, bucket, items)
	if err != nil {
		t.Fatal(err)
	}
	s.db.heal()
	failed := 0
	for i, r := range results {
		_, err := s.Object(bg, bucket, items[i].Key, "")
		if (r.Err == nil) != (err != nil) {
			t.Fatalf("item %d: result %v, but the object: %v", i, r.Err, err)
		}
		if r.Err != nil {
			wantKind(t, r.Err, meta.KindNoSpace)
			failed++
		}
	}
	if failed == 0 || failed == len(items) {
		t.Errorf("%d of %d failed", failed, len(items))
	}
	s.db.fail(&s.db.before, 1, metadb.ErrNoSpace)
	_, err = s.DeleteObjects(bg, bucket, items)
	wantKind(t, err, meta.KindNoSpace)
}

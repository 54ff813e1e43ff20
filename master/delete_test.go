package master_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// Many versions of one key go in one request, in whatever order.
func TestDeleteManyVersions(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(ids []string){
		"newest first": slices.Reverse[[]string],
		"oldest first": func([]string) {},
		"in any order": func(ids []string) {
			r := rand.New(rand.NewPCG(1, 2))
			r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			s.put("k", "null")
			s.versioning(meta.VersioningEnabled)
			ids := []string{"null"}
			for i := range 300 {
				if i%40 == 13 {
					ids = append(ids, s.assemble("k", []string{"a", "b"}).VersionID)
				} else {
					ids = append(ids, s.put("k", "xy").VersionID)
				}
			}
			keep := ids[150]
			ids = slices.Delete(ids, 150, 151)
			order(ids)
			before := s.db.updates.Load()
			s.removeVersions("k", append(ids, ids[:10]...)...)
			if n := s.db.updates.Load() - before; n > 10 {
				t.Errorf("%d commits for %d versions", n, len(ids))
			}
			s.wantVersion("k", keep, "xy")
			s.wantBody("k", "xy")
			s.wantUsage(meta.Usage{Objects: 1, Bytes: 2})
		})
	}
}

// The longest records, and the most rows for each delete: a request is cut into
// transactions that hold them.
func TestDeleteVersionsThatFillTransactions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.versioning(meta.VersioningSuspended)
	const keys = 60
	long := map[string]string{"x": strings.Repeat("y", meta.MaxRecordPayload-1500)}
	put := func(key string) {
		t.Helper()
		_, err := s.PutObject(bg, meta.PutRequest{Bucket: bucket, Key: key, Size: 1, Attributes: meta.Attributes{UserMeta: long}}, newPayload("x"))
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for i := range keys {
		names = append(names, fmt.Sprint(strings.Repeat("\x00", 1000), i))
		s.assemble(names[i], []string{"null"})
	}
	s.versioning(meta.VersioningEnabled)
	for _, k := range names {
		put(k)
		put(k)
	}
	s.versioning(meta.VersioningSuspended)
	s.remove(names...) // moves a long record, removes an assembled null version, writes a marker
	s.wantUsage(meta.Usage{DeleteMarkers: keys, Noncurrent: 2 * keys, NoncurrentBytes: 2 * keys})
	s.versioning(meta.VersioningEnabled)
	s.remove(names...)
	var items []meta.DeleteItem
	for _, k := range names {
		items = append(items, meta.DeleteItem{Key: k, VersionID: "null"})
	}
	results, err := s.DeleteObjects(bg, bucket, items)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil || !r.DeleteMarker {
			t.Fatalf("item %d: %+v", i, r)
		}
	}
	for range 3 { // the markers, then each long version: another is promoted
		items = items[:0]
		for _, k := range names {
			_, err := s.Object(bg, bucket, k, "")
			var e *meta.Error
			switch {
			case err == nil:
				o, _ := s.Object(bg, bucket, k, "")
				items = append(items, meta.DeleteItem{Key: k, VersionID: o.VersionID})
			case errors.As(err, &e) && e.Marker != nil:
				items = append(items, meta.DeleteItem{Key: k, VersionID: e.Marker.VersionID})
			default:
				t.Fatal(err)
			}
		}
		if results, err = s.DeleteObjects(bg, bucket, items); err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Err != nil {
				t.Fatalf("item %d: %+v", i, r)
			}
		}
	}
	s.wantUsage(meta.Usage{})
}

// Conditions of a delete are those of the version it names, otherwise of the
// live current one.
func TestDeleteVersionConditions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.versioning(meta.VersioningEnabled)
	one := s.put("k", "one").VersionID
	s.put("k", "two")
	marker := s.tryRemove("marked")[0].VersionID
	match := func(body string) meta.Precondition { return meta.Precondition{IfMatch: etag(body)} }
	for i, c := range []struct {
		item meta.DeleteItem
		want meta.Kind
	}{
		{meta.DeleteItem{Key: "k", VersionID: one, Precondition: match("two")}, meta.KindPreconditionFailed},
		{meta.DeleteItem{Key: "k", Precondition: match("one")}, meta.KindPreconditionFailed},
		{meta.DeleteItem{Key: "marked", Precondition: match("x")}, meta.KindNoSuchKey},
		{meta.DeleteItem{Key: "marked", VersionID: marker, Precondition: meta.Precondition{IfMatch: "*"}}, meta.KindNoSuchKey},
		{meta.DeleteItem{Key: "k", VersionID: versionID(1), Precondition: match("x")}, 0},
		{meta.DeleteItem{Key: "k", VersionID: "null", Precondition: match("x")}, meta.KindNoSuchKey},
		{meta.DeleteItem{Key: "k", VersionID: one, Precondition: match("one")}, 0},
		{meta.DeleteItem{Key: "k", Precondition: match("two")}, 0},
	} {
		results, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{c.item})
		if err != nil {
			t.Fatal(err)
		}
		if got := results[0].Err; (got != nil) != (c.want != 0) || (got != nil && meta.KindOf(got) != c.want) {
			t.Errorf("case %d: %v, want %v", i, got, c.want)
		}
	}
	s.wantUsage(meta.Usage{Noncurrent: 1, NoncurrentBytes: 3, DeleteMarkers: 2})
}

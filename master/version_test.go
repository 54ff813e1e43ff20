package master_test

import (
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// wantVersion reads a version, and its bytes, by id.
func (s *store) wantVersion(key, versionID, body string) meta.Object {
	s.t.Helper()
	r, err := s.OpenObject(bg, bucket, key, versionID)
	if err != nil {
		s.t.Fatalf("%q version %q: %v", key, versionID, err)
	}
	defer r.Close() //nolint:errcheck // only releases
	if got, err := readAll(r); err != nil || got != body {
		s.t.Fatalf("%q version %q: %s, %v, want %s", key, versionID, brief(got), err, brief(body))
	}
	o, err := s.Object(bg, bucket, key, versionID)
	if err != nil || o.VersionID != r.Object().VersionID || (versionID != "" && o.VersionID != versionID) {
		s.t.Fatalf("%q version %q: %+v, %v", key, versionID, o, err)
	}
	return o
}

func (s *store) wantNoVersion(key, versionID string) {
	s.t.Helper()
	_, err := s.Object(bg, bucket, key, versionID)
	wantKind(s.t, err, meta.KindNoSuchVersion)
}

// removeVersions deletes versions of one key in one request.
func (s *store) removeVersions(key string, ids ...string) []meta.DeleteResult {
	s.t.Helper()
	var items []meta.DeleteItem
	for _, id := range ids {
		items = append(items, meta.DeleteItem{Key: key, VersionID: id})
	}
	results, err := s.DeleteObjects(bg, bucket, items)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil || r.VersionID != ids[i] {
			s.t.Fatalf("delete %q version %q: %+v", key, ids[i], r)
		}
	}
	return results
}

func TestEnabledKeepsVersions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "old") // before versioning: the null version
	s.versioning(meta.VersioningEnabled)
	s.wantVersion("k", "null", "old")
	one := s.put("k", "one")
	two := s.assemble("k", []string{"tw", "o"})
	if len(one.VersionID) != 32 || len(two.VersionID) != 32 || one.VersionID >= two.VersionID {
		t.Errorf("version ids %q and %q", one.VersionID, two.VersionID)
	}
	check := func() {
		t.Helper()
		s.wantVersion("k", "null", "old")
		s.wantVersion("k", one.VersionID, "one")
		s.wantVersion("k", two.VersionID, "two")
	}
	check()
	if o := s.wantVersion("k", "", "two"); o.VersionID != two.VersionID {
		t.Errorf("current is %+v", o)
	}
	s.wantUsage(meta.Usage{Objects: 1, Bytes: 3, Noncurrent: 2, NoncurrentBytes: 6})
	marker := s.tryRemove("k")[0]
	check()
	s.wantUsage(meta.Usage{Noncurrent: 3, NoncurrentBytes: 9, DeleteMarkers: 1})
	if _, err := s.tryRead("k"); meta.KindOf(err) != meta.KindDeleteMarker {
		t.Errorf("read behind a marker: %v", err)
	}
	if r := s.removeVersions("k", marker.VersionID); !r[0].DeleteMarker {
		t.Errorf("a marker removed: %+v", r)
	}
	check()
	s.wantBody("k", "two")
	s.removeVersions("k", two.VersionID)
	s.wantNoVersion("k", two.VersionID)
	s.wantBody("k", "one")
	s.removeVersions("k", one.VersionID, "null", "null")
	_, err := s.Object(bg, bucket, "k", "")
	wantKind(t, err, meta.KindNoSuchKey)
	s.wantUsage(meta.Usage{})
}

func TestSuspendedReplacesTheNullVersion(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.versioning(meta.VersioningEnabled)
	one := s.put("k", "one")
	s.versioning(meta.VersioningSuspended)
	if o := s.put("k", "null 1"); o.VersionID != meta.NullVersion {
		t.Errorf("a put while suspended gave %q", o.VersionID)
	}
	s.put("k", "null 2")
	s.wantUsage(meta.Usage{Objects: 1, Bytes: 6, Noncurrent: 1, NoncurrentBytes: 3})
	s.versioning(meta.VersioningEnabled)
	two := s.put("k", "two")
	s.wantVersion("k", "null", "null 2")
	s.versioning(meta.VersioningSuspended)
	s.put("k", "null 3")
	s.wantVersion("k", "null", "null 3")
	s.wantVersion("k", two.VersionID, "two")
	s.wantVersion("k", one.VersionID, "one")
	s.wantUsage(meta.Usage{Objects: 1, Bytes: 6, Noncurrent: 2, NoncurrentBytes: 6})
	s.clock.advance(time.Hour)
	// A delete replaces the null version by a null delete marker.
	r := s.tryRemove("k")[0]
	if r.VersionID != meta.NullVersion || !r.DeleteMarker {
		t.Errorf("delete while suspended: %+v", r)
	}
	_, err := s.Object(bg, bucket, "k", "null")
	wantMarker(t, err, "k", "null", s.clock.now())
	s.wantUsage(meta.Usage{Noncurrent: 2, NoncurrentBytes: 6, DeleteMarkers: 1})
	s.tryRemove("k", "k", "other")
	s.wantUsage(meta.Usage{Noncurrent: 2, NoncurrentBytes: 6, DeleteMarkers: 2})
	s.versioning(meta.VersioningEnabled)
	s.put("k", "three")
	if r := s.removeVersions("k", "null"); !r[0].DeleteMarker {
		t.Errorf("a noncurrent null marker removed: %+v", r)
	}
	s.wantNoVersion("k", "null")
	s.clock.advance(1 << 40)
	s.collect()
	if n := s.blobs(); n != 3 {
		t.Errorf("%d blobs for 3 versions", n)
	}
}

// Ids that lead nowhere: of another key, of no form of ours, of no version.
func TestVersionsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.versioning(meta.VersioningEnabled)
	one, other := s.put("k", "one"), s.put("other", "x")
	two := s.put("k", "two")
	forged := one.VersionID[:31] + "0" // the same seq
	if forged == one.VersionID {
		forged = one.VersionID[:31] + "1"
	}
	ids := []string{
		"null", other.VersionID, forged, strings.ToUpper(two.VersionID), strings.Repeat("v", 32), strings.Repeat("0", 32),
		strings.Repeat("\n", 32), two.VersionID + "\n", one.VersionID[:31], "x", "\x00",
	}
	for _, id := range ids {
		if id == strings.ToLower(id) || id != two.VersionID {
			s.wantNoVersion("k", id)
		}
		s.wantNoVersion("none", id)
		_, err := s.OpenObject(bg, bucket, "k", id)
		wantKind(t, err, meta.KindNoSuchVersion)
	}
	for _, r := range s.removeVersions("k", ids...) {
		if r.DeleteMarker {
			t.Errorf("%+v", r)
		}
	}
	s.wantVersion("k", one.VersionID, "one")
	s.wantVersion("k", two.VersionID, "two")
	s.wantUsage(meta.Usage{Objects: 2, Bytes: 4, Noncurrent: 1, NoncurrentBytes: 3})
}

package master_test

import (
	"fmt"
	"strings"
	"testing"

	"tdkvs/master/meta"
)

// showVersions returns a page as "key:id" of each entry, delete markers with a
// "-" before them, the current version with a "*" behind it, and prefixes last.
// Ids are given by the names that the test has for them.
func showVersions(p meta.VersionsPage, names map[string]string) string {
	var all []string
	for _, v := range p.Versions {
		line := v.Key + ":" + v.VersionID
		if name, ok := names[v.VersionID]; ok {
			line = v.Key + ":" + name
		}
		if v.DeleteMarker {
			line = "-" + line
		}
		if v.Latest {
			line += "*"
		}
		all = append(all, line)
	}
	return strings.Join(append(all, p.Prefixes...), " ")
}

func (s *store) listVersions(req meta.VersionsRequest) meta.VersionsPage {
	s.t.Helper()
	req.Bucket = bucket
	if req.Limit == 0 {
		req.Limit = 1000
	}
	page, err := s.ListVersions(bg, req)
	if err != nil {
		s.t.Fatal(err)
	}
	return page
}

// What a version shows is what its record says, and a bucket that never was
// versioned has no version ids.
func TestListVersionsShows(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := s.put("k", "abc")
	if got := showVersions(s.listVersions(meta.VersionsRequest{}), nil); got != "k:*" {
		t.Errorf("unversioned: %s", got)
	}
	s.versioning(meta.VersioningEnabled)
	second := s.put("k", "abcd")
	s.remove("k")
	page := s.listVersions(meta.VersionsRequest{})
	if got := showVersions(page, map[string]string{second.VersionID: "second", page.Versions[0].VersionID: "marker"}); got != "-k:marker* k:second k:null" {
		t.Fatal(got)
	}
	for i, want := range []meta.Object{second, first} {
		got := page.Versions[i+1]
		if got.Bucket != bucket || got.Size != want.Size || got.ETag != want.ETag || !got.Modified.Equal(want.Modified) || got.Owner != "me" ||
			got.Checksum.Algorithm != "CRC32" || got.Checksum.Type != "FULL_OBJECT" {
			t.Errorf("listed as %+v, is %+v", got, want)
		}
	}
	_, err := s.ListVersions(bg, meta.VersionsRequest{Bucket: "none", Limit: 0})
	wantKind(t, err, meta.KindNoSuchBucket)
}

// A marker keeps its place when its version is deleted, whatever becomes of the
// current one.
func TestListVersionsBehindDeleted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put("k", "null")
	s.versioning(meta.VersioningEnabled)
	names := map[string]string{}
	var ids []string
	for i := range 5 {
		o := s.put("k", fmt.Sprint(i))
		ids = append(ids, o.VersionID)
		names[o.VersionID] = fmt.Sprint(i)
	}
	s.put("z", "")
	behind := func(id string) string {
		t.Helper()
		page := s.listVersions(meta.VersionsRequest{Prefix: "k", KeyMarker: "k", VersionIDMarker: id})
		return showVersions(page, names)
	}
	drop := func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			if _, err := s.DeleteObjects(bg, bucket, []meta.DeleteItem{{Key: "k", VersionID: id}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		drop         []string
		marker, want string
	}{
		{nil, ids[3], "k:2 k:1 k:0 k:null"},
		{[]string{ids[3]}, ids[3], "k:2 k:1 k:0 k:null"},  // among the others
		{[]string{ids[4]}, ids[4], "k:2* k:1 k:0 k:null"}, // the current one: another takes its place
		{nil, ids[3], "k:2* k:1 k:0 k:null"},
		{nil, ids[2], "k:1 k:0 k:null"},
		{nil, meta.NullVersion, ""},
		{[]string{meta.NullVersion}, meta.NullVersion, "k:2* k:1 k:0"}, // no place without it
		{[]string{ids[2], ids[1], ids[0]}, ids[1], ""},
	} {
		drop(step.drop...)
		if got := behind(step.marker); got != step.want {
			t.Errorf("behind %s: got %s, want %s", names[step.marker], got, step.want)
		}
	}
	for _, id := range []string{"x", strings.Repeat("z", 32), strings.Repeat("A", 32)} {
		_, err := s.ListVersions(bg, meta.VersionsRequest{Bucket: bucket, KeyMarker: "z", VersionIDMarker: id, Limit: 1})
		wantKind(t, err, meta.KindNoSuchVersion)
	}
}

// A page costs its entries, however many versions there are: of a key, and
// beneath a common prefix. Listings of objects do not look at noncurrent ones.
func TestListingCostsItsEntries(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	counted := s.countWork()
	s.versioning(meta.VersioningEnabled)
	for range 300 {
		s.put("d/k", "")
		s.put("e", "")
	}
	s.put("f", "")
	cost := func(list func() int) int {
		t.Helper()
		counted.work = work{}
		if n := list(); n != 3 {
			t.Errorf("%d entries", n)
		}
		return counted.work.moves
	}
	if n := cost(func() int {
		page, err := s.ListObjects(bg, meta.ListRequest{Bucket: bucket, Limit: 3})
		if err != nil {
			t.Error(err)
		}
		return len(page.Objects)
	}); n > 3 {
		t.Errorf("three objects took %d moves", n)
	}
	versions := func(req meta.VersionsRequest) func() int {
		return func() int {
			page := s.listVersions(req)
			return len(page.Versions) + len(page.Prefixes)
		}
	}
	if n := cost(versions(meta.VersionsRequest{Limit: 3})); n > 3 {
		t.Errorf("three versions took %d moves", n)
	}
	if n := cost(versions(meta.VersionsRequest{Limit: 3, Delimiter: "/"})); n > 4 {
		t.Errorf("a common prefix and two versions took %d moves", n)
	}
}

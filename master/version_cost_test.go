package master_test

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// versionedKey is a key with many versions, the null version the oldest of them.
type versionedKey struct {
	name                    string
	current, middle, oldest string // version ids
	first                   uint64 // seq of the oldest; the others follow
}

// fillVersions makes a key with n noncurrent versions above the null version and
// a current one. The n are written as rows, without a body: to make a hundred
// thousand of them.
func (s *store) fillVersions(name string, n int) versionedKey {
	s.t.Helper()
	s.versioning(meta.VersioningSuspended)
	s.put(name, "")
	s.versioning(meta.VersioningEnabled)
	first := uint64(s.clock.now().UnixNano()) + 1<<20
	s.clock.advance(time.Hour)
	k := versionedKey{name: name, first: first, middle: versionID(first + uint64(n/2)), oldest: versionID(first), current: s.put(name, "").VersionID}
	for from := 0; from < n; from += 100 {
		err := s.db.Update(bg, func(tx metadb.Tx) error {
			for i := from; i < min(n, from+100); i++ {
				seq := first + uint64(i)
				o := metadb.ObjectRow{Seq: seq, Object: meta.Object{VersionID: versionID(seq), Modified: s.clock.now()}}
				row, err := metadb.MarshalObject(&o)
				if err != nil {
					return err
				}
				if err := tx.Set(metadb.VersionKey(bucket, name, seq), row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	u, err := s.Usage(bg, bucket)
	if err != nil {
		s.t.Fatal(err)
	}
	u.Noncurrent += int64(n)
	row, err := metadb.MarshalUsage(u)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.db.Update(bg, func(tx metadb.Tx) error { return tx.Set(metadb.UsageKey(bucket), row) }); err != nil {
		s.t.Fatal(err)
	}
	return k
}

// versionID is an id as the engine makes them.
func versionID(seq uint64) string {
	return strings.ToLower(base32.HexEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, seq), make([]byte, 12)...)))
}

// versionOperations are those whose cost must not grow with the number of
// versions. Each leaves the number as it was, or changes it by one.
func (s *store) versionOperations(k versionedKey) []struct {
	name string
	do   func() error
} {
	amend := func(id string) func() error {
		return func() error {
			_, err := s.SetObjectTags(bg, bucket, k.name, id, map[string]string{"a": "b"})
			return err
		}
	}
	get := func(id string) func() error {
		return func() error { _, err := s.Object(bg, bucket, k.name, id); return err }
	}
	remove := func(id string) func() error { return func() error { return s.tryRemoveVersion(k.name, id, false) } }
	return []struct {
		name string
		do   func() error
	}{
		{"get the current version", get("")},
		{"get the current version by id", get(k.current)},
		{"get a version by id", get(k.middle)},
		{"get the oldest version by id", get(k.oldest)},
		{"get the null version", get("null")},
		{"tag the current version", amend("")},
		{"tag a version", amend(k.middle)},
		{"put", func() error { _, err := s.tryPut(k.name, "x", meta.Precondition{}); return err }},
		{"delete", func() error { return s.tryRemove(k.name)[0].Err }},
		{"delete a version", remove(k.middle)},
		{"delete the null version", remove("null")},
		{"delete the current version", func() error { return remove(s.put(k.name, "y").VersionID)() }},
		{"suspend and put", func() error {
			s.versioning(meta.VersioningSuspended)
			_, err := s.tryPut(k.name, "x", meta.Precondition{})
			s.versioning(meta.VersioningEnabled)
			return err
		}},
	}
}

// No operation on a key with many versions touches more rows than on a key with
// a few.
func TestCostDoesNotGrowWithVersions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	counted := s.countWork()
	few, many := s.fillVersions("few", 4), s.fillVersions("many", 3000)
	fewer := s.versionOperations(few)
	for i, op := range s.versionOperations(many) {
		run := func(do func() error) work {
			counted.work = work{}
			if err := do(); err != nil {
				t.Fatalf("%s: %v", op.name, err)
			}
			return counted.work
		}
		base, got := run(fewer[i].do), run(op.do)
		if got != base {
			t.Errorf("%s: %+v with 3000 versions, %+v with 4", op.name, got, base)
		}
		t.Logf("%s: %+v", op.name, got)
	}
}

// A GET of the current version is one read where it has an id, and every other
// version costs one more.
func TestReadsOfALookup(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	counted := s.countWork()
	s.put("unversioned", "x")
	k := s.fillVersions("k", 3)
	for i, c := range []struct {
		key, id string
		gets    int
	}{
		{"k", "", 1}, {"k", k.current, 1}, {"k", k.oldest, 2},
		{"k", "null", 3}, {"unversioned", "", 2}, // and the bucket, which says what a null version is called
	} {
		counted.work = work{}
		if _, err := s.Object(bg, bucket, c.key, c.id); err != nil {
			t.Fatal(err)
		}
		if want := (work{gets: c.gets}); counted.work != want {
			t.Errorf("case %d: %+v, want %+v", i, counted.work, want)
		}
	}
}

// The search for the version that takes the place of a deleted one begins where
// that one stood: to delete a key's versions one by one, newest first, must not
// pass all the deleted ones again each time.
func TestPromotionBeginsBehindTheDeleted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	counted := s.countWork()
	k := s.fillVersions("k", 3)
	cur, err := metadb.UnmarshalObject(s.rows()[string(metadb.ObjectKey(bucket, "k"))])
	if err != nil {
		t.Fatal(err)
	}
	s.removeVersions("k", k.current)
	if want := metadb.VersionKey(bucket, "k", cur.Seq); !bytes.Equal(counted.scanned, want) {
		t.Errorf("the search began at %x, want %x", counted.scanned, want)
	}
}

// BenchmarkVersions compares operations on a key with 100,000 versions to the
// same on a key with one, in one store on disk.
func BenchmarkVersions(b *testing.B) {
	s := &store{t: b, clock: newClock(), log: &lockedBuffer{}}
	defer s.onDisk(b.TempDir())()
	s.createBucket(bucket)
	for _, n := range []int{100_000, 1} {
		k := s.fillVersions(fmt.Sprint("k", n), n)
		for name, do := range map[string]func() error{
			"get":       func() error { _, err := s.Object(bg, bucket, k.name, ""); return err },
			"get by id": func() error { _, err := s.Object(bg, bucket, k.name, k.oldest); return err },
			"tag": func() error {
				_, err := s.SetObjectTags(bg, bucket, k.name, k.oldest, map[string]string{"a": "b"})
				return err
			},
			"put and delete the version": func() error {
				return s.tryRemoveVersion(k.name, s.put(k.name, "x").VersionID, false)
			},
		} {
			b.Run(fmt.Sprintf("%s/versions=%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkDeleteVersions deletes the 50,000 versions of one key as clients do:
// newest first, 1,000 in a request.
func BenchmarkDeleteVersions(b *testing.B) {
	const n = 50_000
	s := &store{t: b, clock: newClock(), log: &lockedBuffer{}}
	defer s.onDisk(b.TempDir())()
	s.createBucket(bucket)
	for b.Loop() {
		b.StopTimer()
		k := s.fillVersions("k", n)
		b.StartTimer()
		s.removeVersions("k", k.current)
		for left := n; left > 0; left -= 1000 {
			var ids []string
			for i := range 1000 {
				ids = append(ids, versionID(k.first+uint64(left-1-i)))
			}
			s.removeVersions("k", ids...)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "versions/s")
}

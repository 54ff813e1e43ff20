package master_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tdkvs/master"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// newDamaged is a store with some of everything in it, to be damaged by a test: it
// is not checked at the end.
func newDamaged(t *testing.T) *store {
	t.Helper()
	s := newBareStore(t, 3)
	s.open()
	s.createBucket(bucket)
	for i := range 20 {
		s.put(fmt.Sprint("plain", i), strings.Repeat("x", i))
	}
	s.assemble("assembled", []string{"one", "two", "three"})
	s.putPart(s.createUpload("open"), 7, "seven")
	s.versioning(meta.VersioningEnabled)
	s.put("versions", "first")
	s.put("versions", "second")
	s.tryRemove("marked")
	s.remove("plain19")
	return s
}

// fsckStore runs the product's checker.
func (s *store) fsckStore(opts master.CheckOptions) master.CheckReport {
	s.t.Helper()
	opts.Rate = -1
	r, err := s.Check(context.Background(), opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// wantFindings compares the numbers of findings of each kind.
func wantFindings(t testing.TB, r master.CheckReport, want map[master.FindingKind]uint64) {
	t.Helper()
	got := make(map[master.FindingKind]uint64)
	for kind, n := range r.Findings {
		got[kind] = n.Count
	}
	if !maps.Equal(got, want) {
		t.Errorf("found %v, want %v:\n%+v", got, want, r.Examples)
	}
	if clean := len(want) == 0 && len(r.Unchecked) == 0 && r.Undecided == 0; r.Clean() != clean {
		t.Errorf("clean is %v: %+v", r.Clean(), r)
	}
}

// extent returns the only extent of an object's current version.
func (s *store) extent(key string) meta.Extent {
	s.t.Helper()
	o, err := s.Object(context.Background(), bucket, key, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return o.Extents[0]
}

func (s *store) volumeOf(number meta.VolumeID) *testVolume {
	s.t.Helper()
	for _, v := range s.Topology().Volumes {
		if v.Number == number {
			return s.byUUID(v.UUID)
		}
	}
	s.t.Fatalf("no volume %d", number)
	return nil
}

// plant puts a blob onto a volume behind the store's back.
func (s *store) plant(number meta.VolumeID, id meta.BlobID, body string) meta.Piece {
	s.t.Helper()
	err := s.volumeOf(number).Blobs.Put(context.Background(), volume.BlobID(id), int64(len(body)), strings.NewReader(body),
		func() ([]byte, error) { return nil, nil })
	if err != nil {
		s.t.Fatal(err)
	}
	return meta.Piece{Volume: number, Blob: id}
}

func (s *store) unplant(p meta.Piece) {
	s.t.Helper()
	if err := s.volumeOf(p.Volume).Blobs.Delete(context.Background(), []volume.BlobID{volume.BlobID(p.Blob)}); err != nil {
		s.t.Fatal(err)
	}
}

// write changes the metadata behind the store's back.
func (s *store) write(fn func(metadb.Tx) error) {
	s.t.Helper()
	if err := s.db.DB.Update(context.Background(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// setPieces changes where an object is recorded.
func (s *store) setPieces(key string, change func([]meta.Piece) []meta.Piece) {
	s.t.Helper()
	s.write(func(tx metadb.Tx) error {
		b, err := tx.Get(metadb.ObjectKey(bucket, key))
		if err != nil {
			return err
		}
		o, err := metadb.UnmarshalObject(b)
		if err != nil {
			return err
		}
		o.Extents[0].Pieces = change(o.Extents[0].Pieces)
		row, err := metadb.MarshalObject(&o)
		if err != nil {
			return err
		}
		return tx.Set(metadb.ObjectKey(bucket, key), row)
	})
}

// elsewhere returns a volume that holds no piece of an extent.
func elsewhere(x meta.Extent) meta.VolumeID {
	for n := meta.VolumeID(1); ; n++ {
		if !slices.ContainsFunc(x.Pieces, func(p meta.Piece) bool { return p.Volume == n }) {
			return n
		}
	}
}

func wantExample(t testing.TB, got, want master.Finding) {
	t.Helper()
	if want.Bucket != "" && got.Bucket != want.Bucket || want.Key != "" && got.Key != want.Key ||
		want.Part != 0 && got.Part != want.Part || want.Volume != 0 && got.Volume != want.Volume ||
		want.Blob != (meta.BlobID{}) && got.Blob != want.Blob || want.Bytes != 0 && got.Bytes != want.Bytes ||
		want.Detail != "" && got.Detail != want.Detail {
		t.Errorf("found %+v, want %+v", got, want)
	}
}

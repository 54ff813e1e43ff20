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
	"tdkvs/volume"
)

// fillCold stores objects as shards, in one piece and in parts, and returns their
// bodies.
func (s *store) fillCold(n int) map[string]string {
	s.t.Helper()
	bodies := map[string]string{}
	for i := range n {
		k := fmt.Sprintf("cold-%03d", i)
		bodies[k] = randomBody(1 + i*i*701)
		if _, err := s.putCold(bg, k, int64(len(bodies[k])), newPayload(bodies[k])); err != nil {
			s.t.Fatal(err)
		}
	}
	return bodies
}

// wantCold wants every object to be whole: all shards where they should be, each
// what it is to be.
func (s *store) wantCold(bodies map[string]string, code meta.Code) {
	s.t.Helper()
	for k, body := range bodies {
		s.wantBody(k, body)
		o, err := s.Object(bg, bucket, k, "")
		if err != nil {
			s.t.Fatal(err)
		}
		s.wantShards(o, code, body, 0)
		for i, p := range o.Extents[0].Pieces {
			info, err := s.volumeOf(p.Volume).Stat(bg, volume.BlobID(p.Blob))
			if err != nil {
				s.t.Fatal(err)
			}
			if d, err := metadb.UnmarshalDescriptor(info.Descriptor); err != nil || d.Shard != i || d.Code != code || d.Key != k || d.Object.Size != int64(len(body)) {
				s.t.Errorf("%q: shard %d says %+v, %v", k, i, d, err)
			}
		}
	}
	s.wantSettled(keysOf(bodies))
}

func keysOf(bodies map[string]string) []string {
	var keys []string
	for k := range bodies {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var fourPlusTwo = meta.Code{Data: 4, Parity: 2}

// TestShardsMove: volumes come and go, and shards with them.
func TestShardsMove(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	bodies := s.fillCold(25)
	s.grow(1, "")
	s.rebalanced()
	s.wantCold(bodies, fourPlusTwo)
	for _, id := range s.volumes[2].ids(t) {
		if id[0]%2 == 0 {
			s.volumes[2].mem.Corrupt(id, 0) // it leaves all the same
		}
	}
	s.drain(3)
	s.rebalanced()
	if n := len(s.volumes[2].ids(t)); n != 0 || s.Topology().Volumes[2].State != metadb.VolumeRemoved {
		t.Errorf("%d blobs are left on volume 3, %v", n, s.Topology().Volumes[2].State)
	}
	s.wantCold(bodies, fourPlusTwo)
}

// TestShardsLost: up to two lost volumes cost nothing; what a third takes is
// listed, and comes to no harm.
func TestShardsLost(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	bodies := s.fillCold(25)
	for _, n := range []meta.VolumeID{2, 5} {
		s.lose(n)
	}
	s.rebalanced()
	for k, body := range bodies {
		s.wantBody(k, body)
	}
	if st := s.rebalance(); st.Short != uint64(len(bodies)) || st.Active {
		t.Errorf("four volumes for six shards: %+v", st)
	}
	s.add(newTestVolume("/disk7"))
	s.add(newTestVolume("/disk8"))
	s.rebalanced()
	s.wantCold(bodies, fourPlusTwo)
	if st := s.rebalance(); st.Repaired != uint64(2*len(bodies)) || st.Short != 0 {
		t.Errorf("%+v", st)
	}
}

func TestThreeOfSixLost(t *testing.T) {
	t.Parallel()
	s := newShards(t, 6, fourPlusTwo)
	bodies := s.fillCold(10)
	s.put("warm", "a copy")
	before := map[string]meta.Extent{}
	for k := range bodies {
		before[k] = s.extent(k)
	}
	home := s.extent("warm").Pieces
	var lost []meta.VolumeID
	for n := meta.VolumeID(1); len(lost) < 3; n++ {
		if !holdsVolume(home, n) {
			lost = append(lost, n)
			s.lose(n)
		}
	}
	s.rebalanced()
	s.wantDamaged(keysOf(bodies)...)
	for k, x := range before {
		if got := s.extent(k); !slices.Equal(got.Pieces, x.Pieces) {
			t.Errorf("%q has changed: %v, was %v", k, got.Pieces, x.Pieces)
		}
	}
	for _, n := range lost {
		gone := s.volumeOf(n)
		s.volumes = slices.DeleteFunc(slices.Clone(s.volumes), func(v *testVolume) bool { return v == gone })
	}
}

func holdsVolume(pieces []meta.Piece, n meta.VolumeID) bool {
	return slices.ContainsFunc(pieces, func(p meta.Piece) bool { return p.Volume == n })
}

// TestShardsRepaired: bad and missing shards, of objects and of parts, are
// computed from the others.
func TestShardsRepaired(t *testing.T) {
	t.Parallel()
	s := newShards(t, 7, fourPlusTwo)
	bodies := s.fillCold(12)
	for i, k := range keysOf(bodies) {
		x := s.extent(k)
		bad := []meta.Piece{x.Pieces[i%6], x.Pieces[(i+3)%6]}
		s.volumeOf(bad[0].Volume).mem.Corrupt(volume.BlobID(bad[0].Blob), 0)
		if err := s.volumeOf(bad[1].Volume).Blobs.Delete(bg, []volume.BlobID{volume.BlobID(bad[1].Blob)}); err != nil {
			t.Fatal(err)
		}
		s.queueRepair(metadb.Repair{Bucket: bucket, Key: k, Suspects: bad[:1+i%2]})
	}
	s.rebalanced() // the second is found on the way where nobody told of it
	for i, k := range keysOf(bodies) {
		p := s.extent(k).Pieces[(i+3)%6]
		s.queueRepair(metadb.Repair{Bucket: bucket, Key: k, Suspects: []meta.Piece{p}})
	}
	s.rebalanced()
	s.wantCold(bodies, fourPlusTwo)
	s.wantDamaged()
}

// TestPartsRepaired: an entry leads to a part while its upload is open, once it is
// complete, and by the marker when it does not say of which version.
func TestPartsRepaired(t *testing.T) {
	t.Parallel()
	s := newCopiesStore(t, 3, 2)
	s.versioning(meta.VersioningEnabled)
	up := s.createUpload("parts")
	var want strings.Builder
	numbers := []int{1, 2, 3}
	for _, n := range numbers {
		s.putPart(up, n, strings.Repeat(fmt.Sprint(n), 100))
		want.WriteString(strings.Repeat(fmt.Sprint(n), 100))
	}
	s.rebalanced()
	spoil := func(row []byte) {
		t.Helper()
		part, err := metadb.UnmarshalPart(row)
		if err != nil {
			t.Fatal(err)
		}
		p := part.Extents[0].Pieces[0]
		s.volumeOf(p.Volume).mem.Corrupt(volume.BlobID(p.Blob), 0)
		s.queueRepair(metadb.Repair{Bucket: bucket, Key: "parts", UploadID: up.UploadID, Part: part.Number, Suspects: []meta.Piece{p}, Queued: s.clock.now()})
	}
	spoil(s.rows()[s.partRow(up, 2)])
	before := s.rebalance().Repaired
	s.rebalanced()
	row := s.rows()[s.partRow(up, 3)]
	s.complete(up, numbers...)
	s.put("parts", "a newer version")
	spoil(row)
	s.rebalanced()
	if got := s.rebalance().Repaired - before; got != 2 {
		t.Errorf("%d parts were repaired", got)
	}
	s.remove("parts")
	s.clock.advance(time.Hour)
	if n := s.count('q'); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	versions, err := s.ListVersions(context.Background(), meta.VersionsRequest{Bucket: bucket, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	oldest := versions.Versions[len(versions.Versions)-1]
	r, err := s.OpenObject(bg, bucket, "parts", oldest.VersionID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(r); err != nil || got != want.String() {
		t.Errorf("%s, %v", brief(got), err)
	}
	_ = r.Close()
}

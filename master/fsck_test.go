package master_test

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tdkvs/master"
	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// check is the invariant checker that ends every test: once all garbage is due
// and collected, the metadata names exactly the blobs that exist, the counters
// are those of the objects, and no row is left that nothing refers to.
func (s *store) check() {
	if s.t.Failed() {
		return
	}
	s.db.heal()
	s.quiet()
	for _, v := range s.volumes {
		v.down.Store(false)
		v.lost.Store(false)
		v.fault.Store(nil)
		v.reads.Store(nil)
		if n := v.stillOpen(); n != 0 {
			s.t.Errorf("%d readers of %s were not closed", n, v.name)
		}
	}
	if n := s.Stats().Readers; n != 0 {
		s.t.Errorf("%d objects are still open", n)
	}
	s.ProbeRound(context.Background())
	s.clock.advance(48 * time.Hour)
	s.rebalanced()
	s.collect()
	s.wantNoLeftovers()
	s.clock.advance(48 * time.Hour)
	s.collect()
	for _, problem := range s.fsck() {
		s.t.Error(problem)
	}
	s.wantJournal()
}

// wantNoLeftovers has the store look for blobs that nothing names, whenever they
// were created. There are none, whatever the test has done, and none of those that
// something names is taken for one.
func (s *store) wantNoLeftovers() {
	if err := s.AskForLeftovers(context.Background()); err != nil {
		s.t.Error(err)
	}
	if st := s.lookOver(); st.Found != 0 || st.Left != 0 && st.Trouble == "" {
		s.t.Errorf("leftovers are found: %+v\n%s", st, s.log)
	}
}

// lookOver lets the look for leftovers come to its end, or to where it has to wait
// for a volume.
func (s *store) lookOver() master.LeftoverStatus {
	for range 10_000 {
		state, err := s.LeftoversStep(context.Background())
		if err != nil {
			s.t.Error(err)
		}
		if !state.More && state.Wait >= time.Second {
			break
		}
		time.Sleep(min(state.Wait, time.Millisecond))
	}
	st, err := s.Leftovers(context.Background())
	if err != nil {
		s.t.Error(err)
	}
	return st
}

// damagedPlace is where an extent is that is on the list of what is damaged.
type damagedPlace struct {
	bucket, key string
	seq         uint64
	part        int
}

// fsckState is what one walk over the metadata finds.
type fsckState struct {
	problems  []string
	live      map[meta.Piece]string // pieces and the row that names them
	usage     map[string]meta.Usage
	counted   map[string]meta.Usage
	buckets   map[string]meta.Bucket
	uploads   map[string]bool
	manifests map[string]metadb.ObjectRow
	current   map[string]metadb.ObjectRow // by bucket and key
	nulls     map[string]bool             // keys with a null version among the noncurrent
	lastSeq   map[string]uint64           // of the version before, of the same key
	damaged   map[damagedPlace]bool
	places    map[damagedPlace][]meta.Extent
}

func (f *fsckState) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

func (f *fsckState) names(extents []meta.Extent, row string, size int64) {
	for _, x := range extents {
		size -= x.Size
		f.pieces(x, row)
		for _, p := range pieces(x) {
			if other, twice := f.live[p]; twice {
				f.problem("%q and %q name the same piece", other, row)
			}
			f.live[p] = row
		}
	}
	if size != 0 {
		f.problem("%q: its extents are %d bytes off", row, size)
	}
}

// pieces are those that an extent has.
func pieces(x meta.Extent) []meta.Piece {
	return slices.DeleteFunc(slices.Clone(x.Pieces), meta.Piece.Missing)
}

// blobSize is how long the blob of a descriptor is.
func blobSize(d metadb.Descriptor) int64 {
	if d.Code == (meta.Code{}) {
		return d.Object.Size
	}
	return erasure.Scheme{Data: d.Code.Data, Parity: d.Code.Parity}.ShardSize(d.Object.Size)
}

// pieces holds an extent to the form of its kind: copies or shards on volumes of
// their own, and a place for each shard.
func (f *fsckState) pieces(x meta.Extent, row string) {
	on := map[meta.VolumeID]bool{}
	for _, p := range x.Pieces {
		switch {
		case p.Missing() && x.Code == (meta.Code{}):
			f.problem("%q has a copy that is nowhere", row)
		case !p.Missing() && on[p.Volume]:
			f.problem("%q has two pieces on volume %d", row, p.Volume)
		}
		on[p.Volume] = true
	}
	if n := x.Code.Shards(); n > 0 && n != len(x.Pieces) || len(x.Pieces) == 0 {
		f.problem("%q has %d pieces of a code of %d", row, len(x.Pieces), n)
	}
}

func (s *store) fsck() []string {
	f := s.account("bnou", "v", "pmdgqx")
	for name, o := range f.manifests {
		s.fsckManifest(f, name, o)
	}
	s.fsckVolumes(f)
	return f.problems
}

// account walks over the rows of these tags, those of the first pass first.
func (s *store) account(passes ...string) *fsckState {
	f := &fsckState{
		live: map[meta.Piece]string{}, usage: map[string]meta.Usage{}, counted: map[string]meta.Usage{},
		buckets: map[string]meta.Bucket{}, uploads: map[string]bool{}, manifests: map[string]metadb.ObjectRow{},
		current: map[string]metadb.ObjectRow{}, nulls: map[string]bool{}, lastSeq: map[string]uint64{},
		damaged: map[damagedPlace]bool{}, places: map[damagedPlace][]meta.Extent{},
	}
	rows := s.rows()
	keys := slices.Sorted(maps.Keys(rows))
	for _, pass := range passes {
		for _, k := range keys {
			if strings.IndexByte(pass, k[0]) >= 0 {
				f.row([]byte(k), rows[k])
			}
		}
	}
	for b, u := range f.usage {
		if u != f.counted[b] {
			f.problem("counters of %s are %+v, it holds %+v", b, u, f.counted[b])
		}
		if _, ok := f.buckets[b]; !ok {
			f.problem("counters of %s are left", b)
		}
	}
	for b, u := range f.counted {
		if _, ok := f.usage[b]; !ok && u != (meta.Usage{}) {
			f.problem("%s holds %+v and has no counters", b, u)
		}
	}
	for name, o := range f.current {
		if o.HasNull != f.nulls[name] {
			f.problem("%q says of a noncurrent null version: %v", name, o.HasNull)
		}
	}
	return f
}

// row accounts for one row.
func (f *fsckState) row(k, v []byte) {
	var err error
	switch k[0] {
	case 'b':
		b, _ := metadb.ParseBucketKey(k)
		f.buckets[b], err = metadb.UnmarshalBucket(v)
	case 'n':
		b, _ := metadb.ParseUsageKey(k)
		f.usage[b], err = metadb.UnmarshalUsage(v)
	case 'o':
		err = f.object(k, v)
	case 'v':
		err = f.noncurrent(k, v)
	case 'u':
		b, _, id, _ := metadb.ParseUploadKey(k)
		f.uploads[id] = true
		if _, ok := f.buckets[b]; !ok {
			f.problem("upload %q is in no bucket", k)
		}
	case 'p':
		var p meta.Part
		p, err = metadb.UnmarshalPart(v)
		id, n, _ := metadb.ParsePartKey(k)
		if !f.uploads[id] || n != p.Number {
			f.problem("part row %q of number %d belongs to no upload", k, p.Number)
		}
		f.names(p.Extents, string(k), p.Size)
	case 'm':
		_, m, _, _ := metadb.ParseManifestKey(k)
		if _, ok := f.manifests[m]; !ok {
			f.problem("manifest row %q belongs to no object", k)
		}
	case 'x':
		b, key, seq, part, _ := metadb.ParseDamageKey(k)
		f.damaged[damagedPlace{b, key, seq, part}] = true
	default:
		f.problem("row %q is left", k)
	}
	if err != nil {
		f.problem("row %q: %v", k, err)
	}
}

// object accounts for a current version.
func (f *fsckState) object(k, v []byte) error {
	o, err := metadb.UnmarshalObject(v)
	if err != nil {
		return err
	}
	o.Bucket, o.Key, _ = metadb.ParseObjectKey(k)
	f.current[o.Bucket+"/"+o.Key] = o
	if o.HasNull && (o.VersionID == "" || o.NullSeq >= o.Seq) || !o.HasNull && o.NullSeq != 0 {
		f.problem("%q, of version %q and seq %d, points to a null version at %d: %v", k, o.VersionID, o.Seq, o.NullSeq, o.HasNull)
	}
	u := f.counted[o.Bucket]
	if o.DeleteMarker {
		u.DeleteMarkers++
	} else {
		u.Objects++
		u.Bytes += o.Size
	}
	f.counted[o.Bucket] = u
	f.version(k, o)
	return nil
}

// noncurrent accounts for a noncurrent version. The rows of a key come newest
// first, and after its current version.
func (f *fsckState) noncurrent(k, v []byte) error {
	o, err := metadb.UnmarshalObject(v)
	if err != nil {
		return err
	}
	var seq uint64
	o.Bucket, o.Key, seq, _ = metadb.ParseVersionKey(k)
	name := o.Bucket + "/" + o.Key
	cur, ok := f.current[name]
	last, follows := f.lastSeq[name]
	if !follows {
		last = cur.Seq
	}
	f.lastSeq[name] = o.Seq
	switch {
	case !ok:
		f.problem("%q has no current version", k)
	case seq != o.Seq || o.Seq >= last:
		f.problem("%q has seq %d in its key and %d in its record, behind %d", k, seq, o.Seq, last)
	case o.HasNull || o.NullSeq != 0:
		f.problem("%q is noncurrent and points to a null version", k)
	case o.VersionID == "" && (!cur.HasNull || cur.NullSeq != o.Seq):
		f.problem("%q is the null version, the current one points to %d: %v", k, cur.NullSeq, cur.HasNull)
	}
	if o.VersionID == "" {
		f.nulls[name] = true
	}
	u := f.counted[o.Bucket]
	if o.DeleteMarker {
		u.DeleteMarkers++
	} else {
		u.Noncurrent++
		u.NoncurrentBytes += o.Size
	}
	f.counted[o.Bucket] = u
	f.version(k, o)
	return nil
}

// version accounts for what a version of either sort holds.
func (f *fsckState) version(k []byte, o metadb.ObjectRow) {
	b, versioned := f.buckets[o.Bucket]
	if !versioned {
		f.problem("%q is in no bucket", k)
	}
	if (o.VersionID != "" || o.Seq != 0) && b.Versioning == meta.Unversioned {
		f.problem("%q has version %q and seq %d in a bucket that never was versioned", k, o.VersionID, o.Seq)
	}
	if rank, _ := base32.HexEncoding.DecodeString(strings.ToUpper(o.VersionID)); o.VersionID != "" &&
		(len(rank) != 20 || binary.BigEndian.Uint64(rank) != o.Seq) {
		f.problem("%q: version id %q does not lead to seq %d", k, o.VersionID, o.Seq)
	}
	if o.DeleteMarker && (o.Size != 0 || len(o.Extents) != 0 || o.Manifest != "" || o.Lock != (meta.Lock{})) {
		f.problem("%q is a delete marker and holds %+v", k, o)
	}
	if o.Lock != (meta.Lock{}) && !b.Lock.Enabled {
		f.problem("%q is locked in a bucket without object lock", k)
	}
	if o.Manifest != "" {
		f.manifests[o.Manifest] = o
		return
	}
	f.places[damagedPlace{o.Bucket, o.Key, o.Seq, 0}] = o.Extents
	f.names(o.Extents, string(k), o.Size)
}

func (s *store) fsckManifest(f *fsckState, name string, o metadb.ObjectRow) {
	parts, err := s.ObjectParts(context.Background(), o.Object, 0, 0)
	if err != nil {
		f.problem("manifest %s: %v", name, err)
		return
	}
	var size int64
	for _, p := range parts {
		if p.Offset != size {
			f.problem("manifest %s: part %d is at %d, want %d", name, p.Number, p.Offset, size)
		}
		f.places[damagedPlace{o.Bucket, o.Key, o.Seq, p.Number}] = p.Extents
		f.names(p.Extents, fmt.Sprintf("manifest %s part %d", name, p.Number), p.Size)
		size += p.Size
	}
	if size != o.Size || len(parts) != o.Parts {
		f.problem("manifest %s: %d parts of %d bytes, the object says %d of %d", name, len(parts), size, o.Parts, o.Size)
	}
}

// fsckVolumes compares what the metadata names with what the volumes hold, and
// what each blob says of itself.
func (s *store) fsckVolumes(f *fsckState) {
	there := map[meta.Piece]bool{}
	says := map[meta.Piece]metadb.Descriptor{}
	for _, bound := range s.Topology().Volumes {
		v := s.byUUID(bound.UUID)
		if v == nil || bound.State == metadb.VolumeLost {
			continue // removed, or nothing can be said of it
		}
		for _, id := range v.ids(s.t) {
			p := meta.Piece{Volume: bound.Number, Blob: meta.BlobID(id)}
			there[p] = true
			if _, ok := f.live[p]; !ok {
				if bound.State == metadb.VolumeLost {
					continue // nothing is collected there
				}
				f.problem("blob %s on %s is part of nothing", id, v.name)
			}
			info, err := v.Stat(context.Background(), id)
			if err != nil {
				f.problem("blob %s on %s: %v", id, v.name, err)
				continue
			}
			d, err := metadb.UnmarshalDescriptor(info.Descriptor)
			if _, ok := f.buckets[d.Bucket]; err != nil || !ok || d.Key == "" || blobSize(d) != info.Size {
				f.problem("blob %s on %s: its descriptor is %+v, %v", id, v.name, d, err)
			}
			says[p] = d
		}
	}
	spoilt, short := s.fsckDamage(f, there), s.rebalance().Short > 0
	f.wantEnough(there)
	f.wantOwn(says)
	for p, row := range f.live {
		if short && s.volumeState(p.Volume) == metadb.VolumeLost {
			continue // it stays on record while there are too few volumes to make it anew
		}
		if !there[p] && !spoilt[p] {
			f.problem("%q names blob %s on volume %d, which is not there", row, volume.BlobID(p.Blob), p.Volume)
		}
	}
}

// wantOwn wants every piece to say that it is what it is recorded as.
func (f *fsckState) wantOwn(says map[meta.Piece]metadb.Descriptor) {
	for at, extents := range f.places {
		for _, x := range extents {
			for i, p := range x.Pieces {
				d, ok := says[p]
				if x.Code == (meta.Code{}) {
					i = 0
				}
				if ok && (d.Bucket != at.bucket || d.Key != at.key || d.PartNumber != at.part || d.Code != x.Code || d.Shard != i || d.Object.Size != x.Size) {
					f.problem("%+v has a piece %d that says it is %+v", at, i, d)
				}
			}
		}
	}
}

// wantEnough wants enough pieces to be there of what is not on the list of what is
// damaged.
func (f *fsckState) wantEnough(there map[meta.Piece]bool) {
	for at, extents := range f.places {
		for _, x := range extents {
			left := 0
			for _, p := range x.Pieces {
				if there[p] {
					left++
				}
			}
			if left < max(1, x.Code.Data) && !f.damaged[at] {
				f.problem("%+v has %d pieces left, and is not on the list of what is damaged", at, left)
			}
		}
	}
}

// fsckDamage holds the list of what is damaged to what there is, and returns the
// pieces that need not be there.
func (s *store) fsckDamage(f *fsckState, there map[meta.Piece]bool) map[meta.Piece]bool {
	spoilt := map[meta.Piece]bool{}
	for at := range f.damaged {
		extents, ok := f.places[at]
		if !ok {
			f.problem("%+v is damaged and gone", at)
		}
		whole := ok
		for _, x := range extents {
			good := 0
			for _, p := range x.Pieces {
				v := s.topologyVolume(p.Volume)
				if there[p] && v.Verify(context.Background(), volume.BlobID(p.Blob)) == nil {
					good++
				}
				spoilt[p] = true
			}
			whole = whole && good >= max(1, x.Code.Data)
		}
		if whole {
			f.problem("%+v is on the list of what is damaged, and is whole", at)
		}
	}
	return spoilt
}

// volumeState is the state of a volume of the topology.
func (s *store) volumeState(number meta.VolumeID) metadb.VolumeState {
	for _, v := range s.Topology().Volumes {
		if v.Number == number {
			return v.State
		}
	}
	return metadb.VolumeRemoved
}

// topologyVolume returns the volume of a number of the topology; nil where it is
// not known.
func (s *store) topologyVolume(number meta.VolumeID) *testVolume {
	for _, v := range s.Topology().Volumes {
		if v.Number == number {
			return s.byUUID(v.UUID)
		}
	}
	return nil
}

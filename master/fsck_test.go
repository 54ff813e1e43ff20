package master_test

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	for _, v := range s.volumes {
		v.down.Store(false)
		v.lost.Store(false)
		if n := v.opens.Load(); n != 0 {
			s.t.Errorf("%d readers of %s were not closed", n, v.name)
		}
	}
	if n := s.Stats().Readers; n != 0 {
		s.t.Errorf("%d objects are still open", n)
	}
	s.clock.advance(48 * time.Hour)
	s.collect()
	s.clock.advance(48 * time.Hour)
	s.collect()
	for _, problem := range s.fsck() {
		s.t.Error(problem)
	}
}

// fsckState is what one walk over the metadata finds.
type fsckState struct {
	problems  []string
	live      map[meta.Piece]string // pieces and the row that names them
	usage     map[string]meta.Usage
	counted   map[string]meta.Usage
	buckets   map[string]bool
	uploads   map[string]bool
	manifests map[string]meta.Object
}

func (f *fsckState) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

func (f *fsckState) names(extents []meta.Extent, row string, size int64) {
	for _, x := range extents {
		size -= x.Size
		for _, p := range x.Pieces {
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

func (s *store) fsck() []string {
	f := &fsckState{
		live: map[meta.Piece]string{}, usage: map[string]meta.Usage{}, counted: map[string]meta.Usage{},
		buckets: map[string]bool{}, uploads: map[string]bool{}, manifests: map[string]meta.Object{},
	}
	rows := s.rows()
	var keys []string
	for k := range rows {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, pass := range []string{"bnou", "pmdgv"} {
		for _, k := range keys {
			for _, tag := range pass {
				if k[0] == byte(tag) {
					f.row([]byte(k), rows[k])
				}
			}
		}
	}
	for b, u := range f.usage {
		if u != f.counted[b] {
			f.problem("counters of %s are %+v, it holds %+v", b, u, f.counted[b])
		}
		if !f.buckets[b] {
			f.problem("counters of %s are left", b)
		}
	}
	for b, u := range f.counted {
		if _, ok := f.usage[b]; !ok {
			f.problem("%s holds %+v and has no counters", b, u)
		}
	}
	for name, o := range f.manifests {
		s.fsckManifest(f, name, o)
	}
	s.fsckVolumes(f)
	return f.problems
}

// row accounts for one row.
func (f *fsckState) row(k, v []byte) {
	var err error
	switch k[0] {
	case 'b':
		b, _ := metadb.ParseBucketKey(k)
		f.buckets[b] = true
	case 'n':
		b, _ := metadb.ParseUsageKey(k)
		f.usage[b], err = metadb.UnmarshalUsage(v)
	case 'o':
		err = f.object(k, v)
	case 'u':
		b, _, id, _ := metadb.ParseUploadKey(k)
		f.uploads[id] = true
		if !f.buckets[b] {
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
	default:
		f.problem("row %q is left", k)
	}
	if err != nil {
		f.problem("row %q: %v", k, err)
	}
}

func (f *fsckState) object(k, v []byte) error {
	o, err := metadb.UnmarshalObject(v)
	if err != nil {
		return err
	}
	b, key, _ := metadb.ParseObjectKey(k)
	o.Bucket, o.Key = b, key
	if !f.buckets[b] {
		f.problem("object %q is in no bucket", k)
	}
	u := f.counted[b]
	f.counted[b] = meta.Usage{Objects: u.Objects + 1, Bytes: u.Bytes + o.Size}
	if o.Manifest != "" {
		f.manifests[o.Manifest] = o
		return nil
	}
	f.names(o.Extents, string(k), o.Size)
	return nil
}

func (s *store) fsckManifest(f *fsckState, name string, o meta.Object) {
	parts, err := s.ObjectParts(context.Background(), o, 0, 0)
	if err != nil {
		f.problem("manifest %s: %v", name, err)
		return
	}
	var size int64
	for _, p := range parts {
		if p.Offset != size {
			f.problem("manifest %s: part %d is at %d, want %d", name, p.Number, p.Offset, size)
		}
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
	for i, v := range s.volumes {
		for _, id := range v.ids(s.t) {
			p := meta.Piece{Volume: meta.VolumeID(i + 1), Blob: meta.BlobID(id)}
			there[p] = true
			if _, ok := f.live[p]; !ok {
				f.problem("blob %s on %s is part of nothing", id, v.name)
			}
			info, err := v.Stat(context.Background(), id)
			if err != nil {
				f.problem("blob %s on %s: %v", id, v.name, err)
				continue
			}
			d, err := metadb.UnmarshalDescriptor(info.Descriptor)
			if err != nil || !f.buckets[d.Bucket] || d.Key == "" || d.Object.Size != info.Size {
				f.problem("blob %s on %s: its descriptor is %+v, %v", id, v.name, d, err)
			}
		}
	}
	for p, row := range f.live {
		if !there[p] {
			f.problem("%q names blob %s on volume %d, which is not there", row, volume.BlobID(p.Blob), p.Volume)
		}
	}
}

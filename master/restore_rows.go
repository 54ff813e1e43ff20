package master

import (
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/placement"
)

// restoringRow is a row of a backup on its way into the store.
type restoringRow struct {
	RestoreRow
	bodies  []*restoringBody
	version bool
	// encode is the value as the store has it, once the bodies have places; nil: as
	// it is.
	encode    func() ([]byte, error)
	repair    metadb.Repair     // what is queued where a body is not all that it should be
	completed *metadb.Completed // of a marker: its removal is queued with it
	assembled *metadb.ObjectRow // its manifest follows
}

// restoringBody is the body of one of its extents.
type restoringBody struct {
	RestoreBody
	extent    *meta.Extent // gets its pieces
	bucket    meta.Bucket
	class     string
	hash      uint64
	digests   meta.Digests
	describe  func(shape) ([]byte, error)
	unsettled bool
}

// prepare reads a row.
func (r *restorer) prepare(row RestoreRow) (*restoringRow, error) {
	if len(row.Key) == 0 {
		return nil, badBackup(row, "it has no key")
	}
	x := &restoringRow{RestoreRow: row}
	err := metadb.ErrBadRecord
	if bucket, ok := metadb.ParseBucketKey(row.Key); ok {
		err = r.bucket(x, bucket)
	} else if _, _, ok := metadb.ParseConfigKey(row.Key); ok {
		err = nil
	} else if _, ok := metadb.ParseUsageKey(row.Key); ok {
		_, err = metadb.UnmarshalUsage(row.Value)
	} else if _, _, nameErr := versionNames(row.Key); nameErr == nil {
		err = r.object(x)
	} else if _, _, _, ok := metadb.ParseUploadKey(row.Key); ok {
		err = r.uploadRow(x)
	} else if id, number, ok := metadb.ParsePartKey(row.Key); ok {
		err = r.part(x, id, number)
	} else if _, ok := metadb.ParseCompletedKey(row.Key); ok {
		var c metadb.Completed
		c, err = metadb.UnmarshalCompleted(row.Value)
		x.completed = &c
	}
	if err != nil {
		return nil, badBackup(row, "%v", err)
	}
	if len(x.bodies) != len(row.Bodies) {
		return nil, badBackup(row, "%d bodies, and %d extents", len(row.Bodies), len(x.bodies))
	}
	return x, nil
}

// bucket restores a bucket. More copies than there are volumes can not be had.
func (r *restorer) bucket(x *restoringRow, name string) error {
	b, err := metadb.UnmarshalBucket(x.Value)
	if err != nil {
		return err
	}
	b.Name = name
	if b.Replicas > len(r.e.layouts.now().volumes) {
		b.Replicas = 0
		r.progress.Reduced = append(r.progress.Reduced, name)
		if x.Value, err = metadb.MarshalBucket(b); err != nil {
			return err
		}
	}
	r.buckets[name] = b
	return nil
}

// inBucket returns the bucket of a row, which comes before it.
func (r *restorer) inBucket(name string) (meta.Bucket, error) {
	b, ok := r.buckets[name]
	if !ok {
		return b, refuse(meta.KindNoSuchBucket)
	}
	return b, nil
}

// object restores a version, current or not.
func (r *restorer) object(x *restoringRow) error {
	o, err := metadb.UnmarshalObject(x.Value)
	if err != nil {
		return err
	}
	if o.Bucket, o.Key, err = versionNames(x.Key); err != nil {
		return err
	}
	b, err := r.inBucket(o.Bucket)
	if err != nil {
		return err
	}
	x.version = true
	if o.Manifest != "" {
		x.assembled = &o
		return nil
	}
	describe := func(s shape) ([]byte, error) {
		d := metadb.Descriptor{Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID, Object: o.Object, Code: s.code, Shard: s.shard}
		d.Object.Extents, d.Object.Size = nil, s.size
		return metadb.MarshalDescriptor(&d)
	}
	for i := range o.Extents {
		err := x.body(&o.Extents[i], restoringBody{
			bucket: b, class: o.Headers.StorageClass, hash: placement.KeyHash(o.Bucket, o.Key), digests: o.Digests, describe: describe,
		})
		if err != nil {
			return err
		}
	}
	x.repair = metadb.Repair{Bucket: o.Bucket, Key: o.Key, Seq: o.Seq}
	x.encode = func() ([]byte, error) { return metadb.MarshalObject(&o) }
	return nil
}

// body adds the next body of a row.
func (x *restoringRow) body(extent *meta.Extent, b restoringBody) error {
	n := len(x.bodies)
	if n >= len(x.Bodies) || x.Bodies[n].Size != extent.Size {
		return refuse(meta.KindInvalidPart)
	}
	b.RestoreBody, b.extent = x.Bodies[n], extent
	x.bodies = append(x.bodies, &b)
	return nil
}

func (r *restorer) uploadRow(x *restoringRow) error {
	up, err := metadb.UnmarshalUpload(x.Value)
	if err != nil {
		return err
	}
	up.Bucket, up.Key, up.UploadID, _ = metadb.ParseUploadKey(x.Key)
	r.upload = up
	_, err = r.inBucket(up.Bucket)
	return err
}

// part restores a part of the upload before it.
func (r *restorer) part(x *restoringRow, uploadID string, number int) error {
	p, err := metadb.UnmarshalPart(x.Value)
	if err != nil {
		return err
	}
	if uploadID != r.upload.UploadID || number != p.Number {
		return refuse(meta.KindNoSuchUpload)
	}
	if err := r.partBodies(x, &p, partOf{
		bucket: r.upload.Bucket, key: r.upload.Key, upload: uploadID, attributes: r.upload.Attributes, owner: r.upload.Owner,
	}); err != nil {
		return err
	}
	x.repair = metadb.Repair{Bucket: r.upload.Bucket, Key: r.upload.Key, UploadID: uploadID, Part: number}
	x.encode = func() ([]byte, error) { return metadb.MarshalPart(&p) }
	return nil
}

// partOf is what a part is of.
type partOf struct {
	bucket, key, upload, owner string
	attributes                 meta.Attributes
}

// partBodies adds the bodies of a part.
func (r *restorer) partBodies(x *restoringRow, p *meta.Part, of partOf) error {
	b, err := r.inBucket(of.bucket)
	if err != nil {
		return err
	}
	number, modified, digests := p.Number, p.Modified, p.Digests
	describe := func(s shape) ([]byte, error) {
		return metadb.MarshalDescriptor(&metadb.Descriptor{
			Bucket: of.bucket, Key: of.key, UploadID: of.upload, PartNumber: number, Code: s.code, Shard: s.shard,
			Object: meta.Object{Size: s.size, Modified: modified, Digests: digests, Attributes: of.attributes, Owner: of.owner},
		})
	}
	for i := range p.Extents {
		err := x.body(&p.Extents[i], restoringBody{
			bucket: b, class: of.attributes.Headers.StorageClass, hash: placement.PartHash(of.bucket, of.key, number), digests: digests, describe: describe,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

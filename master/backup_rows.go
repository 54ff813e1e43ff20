package master

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// BackupRow is a row as a backup keeps it: its key and value in the encoding of
// the metadata, in which no extent has a place, and the bodies of the extents in
// the order in which the value has them.
type BackupRow struct {
	Key, Value []byte
	Bodies     []BackupBody
}

// BackupBody is the body of an extent.
type BackupBody struct {
	// ID is that of the bytes, wherever they lie: the body of the same version or
	// part has it in every backup of a cluster, and no other body does.
	ID     [16]byte
	Size   int64
	Handle []byte // leads BackupBody to the bytes, while the backup is under way
}

// BackupRows gives all that a store holds, as of one moment: buckets with their
// configuration and counters; versions, each assembled one followed by its
// manifest; uploads in progress, each followed by its parts; markers of uploads that
// were completed of late. What one store is made of and another is not stays out:
// topology, queues, places. fn may keep the row.
func (e *Engine) BackupRows(ctx context.Context, id string, fn func(BackupRow) error) error {
	done, err := e.backups.use(id, e.clock)
	if err != nil {
		return err
	}
	r := &rowBackup{ctx: ctx, cluster: e.layouts.now().topology.Cluster, give: fn}
	defer func() { done(r.rows, 0) }()
	if err := e.view(ctx, r.run); err != nil {
		return fault("back up rows", "", "", err)
	}
	return e.stillHeld(ctx, id)
}

// rowBackup is a walk over the rows, within one transaction.
type rowBackup struct {
	ctx     context.Context
	cluster string
	tx      metadb.Tx
	give    func(BackupRow) error
	rows    uint64
}

func (r *rowBackup) run(tx metadb.Tx) error {
	r.tx = tx
	for _, part := range []struct {
		rows metadb.Range
		fn   func(key, value []byte) error
	}{
		{metadb.BucketRange(""), r.plain},
		{metadb.AllConfigs(), r.plain},
		{metadb.AllUsage(), r.plain},
		{metadb.AllObjects(), r.version},
		{metadb.AllVersions(), r.version},
		{metadb.AllUploads(), r.upload},
		{metadb.AllCompleted(), r.plain},
	} {
		if err := r.scan(part.rows, part.fn); err != nil {
			return err
		}
	}
	return nil
}

func (r *rowBackup) scan(rows metadb.Range, fn func(key, value []byte) error) error {
	return r.tx.Scan(rows.Start, rows.End, func(k, v []byte) (bool, error) {
		if err := r.ctx.Err(); err != nil {
			return false, err
		}
		if err := fn(k, v); err != nil {
			return false, fmt.Errorf("row %q: %w", k, err)
		}
		return true, nil
	})
}

func (r *rowBackup) row(key, value []byte, bodies []BackupBody) error {
	r.rows++
	return r.give(BackupRow{Key: append([]byte(nil), key...), Value: append([]byte(nil), value...), Bodies: bodies})
}

// plain gives a row that names no body.
func (r *rowBackup) plain(key, value []byte) error { return r.row(key, value, nil) }

// version gives a version, current or not, and its manifest.
func (r *rowBackup) version(key, value []byte) error {
	o, err := metadb.UnmarshalObject(value)
	if err != nil {
		return err
	}
	if o.Bucket, o.Key, err = versionNames(key); err != nil {
		return err
	}
	if o.Manifest != "" {
		if err := r.row(key, value, nil); err != nil {
			return err
		}
		return r.manifest(o)
	}
	from := bodyHandle{bucket: o.Bucket, key: o.Key, row: readRow(o)}
	from.row.Extents = o.Extents
	id := bodyName{cluster: r.cluster, bucket: o.Bucket, key: o.Key, version: o.VersionID,
		modified: o.Modified.UnixMilli(), digests: o.Digests}
	bodies, stripped, err := from.bodies(o.Extents, id)
	if err != nil {
		return err
	}
	o.Extents = stripped
	if value, err = metadb.MarshalObject(&o); err != nil {
		return err
	}
	return r.row(key, value, bodies)
}

// versionNames reads the key of a version's row, current or not.
func versionNames(k []byte) (bucket, key string, err error) {
	bucket, key, ok := metadb.ParseObjectKey(k)
	if !ok {
		bucket, key, _, ok = metadb.ParseVersionKey(k)
	}
	if !ok {
		return "", "", fmt.Errorf("%w: no key of a version", metadb.ErrBadRecord)
	}
	return bucket, key, nil
}

// readRow is what a version's bytes are found by, but for its extents.
func readRow(o metadb.ObjectRow) metadb.ObjectRow {
	return metadb.ObjectRow{Seq: o.Seq, Object: meta.Object{
		Size: o.Size, Modified: o.Modified, Digests: meta.Digests{ETag: o.ETag},
		UploadID: o.UploadID, Manifest: o.Manifest,
		Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: o.Headers.StorageClass}},
	}}
}

// manifest gives the parts of an assembled version. The index stays out: it
// follows from them.
func (r *rowBackup) manifest(o metadb.ObjectRow) error {
	rows := metadb.ManifestRange(o.UploadID, o.Manifest)
	index := metadb.ManifestKey(o.UploadID, o.Manifest, 0)
	left := o.Size
	err := r.scan(metadb.Range{Start: metadb.After(index), End: rows.End}, func(key, value []byte) error {
		parts, err := metadb.UnmarshalManifestChunk(value)
		if err != nil {
			return err
		}
		var bodies []BackupBody
		for i := range parts {
			p := &parts[i]
			from := bodyHandle{bucket: o.Bucket, key: o.Key, offset: p.Offset, row: readRow(o)}
			of, stripped, err := from.bodies(p.Extents, partName(r.cluster, o.UploadID, p))
			if err != nil {
				return err
			}
			bodies, p.Extents = append(bodies, of...), stripped
			left -= p.Size
		}
		if value, err = metadb.MarshalManifestRow(parts); err != nil {
			return err
		}
		return r.row(key, value, bodies)
	})
	if err == nil && left != 0 {
		err = fmt.Errorf("%w: manifest %s of %s/%s is %d bytes off", metadb.ErrCorrupt, o.Manifest, o.Bucket, o.Key, left)
	}
	return err
}

// upload gives an upload in progress and its parts.
func (r *rowBackup) upload(key, value []byte) error {
	bucket, name, uploadID, ok := metadb.ParseUploadKey(key)
	if !ok {
		return fmt.Errorf("%w: no key of an upload", metadb.ErrBadRecord)
	}
	up, err := metadb.UnmarshalUpload(value)
	if err != nil {
		return err
	}
	if err := r.row(key, value, nil); err != nil {
		return err
	}
	return r.scan(metadb.PartRange(uploadID, -1), func(key, value []byte) error {
		p, err := metadb.UnmarshalPart(value)
		if err != nil {
			return err
		}
		from := bodyHandle{bucket: bucket, key: name, part: p.Number, row: metadb.ObjectRow{Object: meta.Object{
			Size: p.Size, Modified: p.Modified, Digests: meta.Digests{ETag: p.ETag}, UploadID: uploadID, Extents: p.Extents,
			Attributes: meta.Attributes{Headers: meta.Headers{StorageClass: up.Headers.StorageClass}},
		}}}
		bodies, stripped, err := from.bodies(p.Extents, partName(r.cluster, uploadID, &p))
		if err != nil {
			return err
		}
		p.Extents = stripped
		if value, err = metadb.MarshalPart(&p); err != nil {
			return err
		}
		return r.row(key, value, bodies)
	})
}

// bodyName is what makes the body of an extent the same in every backup: where
// its pieces lie, and under which ids, changes with every move. A part keeps its
// name when its upload is completed, and a version when it is not current any more.
type bodyName struct {
	cluster, bucket, key, version string
	upload                        string
	part                          int
	modified                      int64 // milliseconds
	digests                       meta.Digests
}

func partName(cluster, upload string, p *meta.Part) bodyName {
	return bodyName{cluster: cluster, upload: upload, part: p.Number, modified: p.Modified.UnixMilli(), digests: p.Digests}
}

// id names the n-th extent, of size bytes.
func (b bodyName) id(n int, size int64) (id [16]byte) {
	sum := sha256.New()
	var buf []byte
	for _, s := range []string{b.cluster, b.bucket, b.key, b.version, b.upload, b.digests.ETag,
		b.digests.Checksum.Algorithm, b.digests.Checksum.Type, b.digests.Checksum.Value} {
		buf = append(binary.AppendUvarint(buf, uint64(len(s))), s...)
	}
	for _, v := range []int64{int64(b.part), b.modified, int64(n), size} {
		buf = binary.AppendVarint(buf, v)
	}
	_, _ = sum.Write(buf) // never fails, by its contract
	copy(id[:], sum.Sum(nil))
	return id
}

package master

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// manifestRowsPerTx bounds the manifest rows that one transaction writes, at up
// to 60 KiB each.
const manifestRowsPerTx = 8

// CompleteUpload makes the chosen parts of an upload the current version of its
// key. First the manifest, the list of the parts with their places, is written
// under a fresh name, in bounded transactions; nothing refers to it yet. Then
// one transaction switches the object, ends the upload and leaves a marker. It
// fails with KindConflict when a part was stored since req.Upload was read, and
// with KindNoSuchUpload when the upload has ended; if it ended by a completion
// with the same ETag, that one's object is returned.
func (e *Engine) CompleteUpload(ctx context.Context, req meta.CompleteRequest) (meta.Object, error) {
	o, err := e.completeUpload(ctx, req)
	if err != nil {
		return meta.Object{}, fault("complete upload", req.Upload.Bucket, req.Upload.Key, err)
	}
	e.garbage.wake()
	return o, nil
}

func (e *Engine) completeUpload(ctx context.Context, req meta.CompleteRequest) (meta.Object, error) {
	up := req.Upload
	if err := checkName(up.Bucket, up.Key); err != nil {
		return meta.Object{}, err
	}
	defer e.completing.enter(up.UploadID)()
	size, err := checkParts(req.Parts)
	if err != nil {
		return meta.Object{}, err
	}
	if _, err := e.guard(ctx, up.Bucket, up.Key, req.Precondition, up.Lock); err != nil {
		return meta.Object{}, err
	}
	c := &completion{
		engine: e, req: req,
		object: meta.Object{
			Bucket: up.Bucket, Key: up.Key, Size: size, Digests: req.Digests,
			UploadID: up.UploadID, Manifest: newManifestName(), Parts: len(req.Parts),
		},
	}
	failpoint.At("complete/begun")
	o, unknown, err := c.run(ctx)
	failpoint.At("complete/committed")
	if err != nil && !unknown {
		c.discard(ctx)
	}
	return o, err
}

// checkParts refuses lists that can not be an object, and returns its size.
func checkParts(parts []meta.Part) (size int64, err error) {
	invalid := func(format string, args ...any) (int64, error) {
		return 0, &meta.Error{Kind: meta.KindInvalidPart, Message: fmt.Sprintf(format, args...)}
	}
	if len(parts) == 0 {
		return invalid("no parts")
	}
	last := 0
	for _, p := range parts {
		if p.Number <= last || p.Number > meta.MaxParts {
			return invalid("part %d follows part %d", p.Number, last)
		}
		var stored int64
		for _, x := range p.Extents {
			stored += x.Size
		}
		if stored != p.Size || p.Size < 0 {
			return invalid("part %d is of %d bytes, its extents of %d", p.Number, p.Size, stored)
		}
		last = p.Number
		size += p.Size
	}
	if size > meta.MaxObjectSize {
		return 0, &meta.Error{Kind: meta.KindEntityTooLarge, Message: fmt.Sprintf("the limit is %d bytes", int64(meta.MaxObjectSize))}
	}
	return size, nil
}

func newManifestName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return hex.EncodeToString(b[:])
}

// completion is one attempt to complete an upload.
type completion struct {
	engine *Engine
	req    meta.CompleteRequest
	object meta.Object

	index   metadb.ManifestIndex
	pending [][]byte // encoded chunks not yet written; the first is chunk next
	next    uint32
	wrote   bool // rows were committed before the switch
}

// run writes the manifest and switches the object. The last rows of the manifest
// go with the switch, so that most uploads need one transaction.
func (c *completion) run(ctx context.Context) (o meta.Object, unknown bool, err error) {
	c.next = 1
	var offset int64
	for parts := c.req.Parts; len(parts) > 0; {
		if len(c.pending) == failpoint.Or(manifestRowsPerTx, 1) {
			if err := c.flush(ctx); err != nil {
				return o, false, err
			}
		}
		placed := make([]meta.Part, min(len(parts), failpoint.Or(metadb.MaxChunkParts, 1)))
		copy(placed, parts)
		at := offset
		for i := range placed {
			placed[i].Offset = at
			at += placed[i].Size
		}
		row, n, err := metadb.MarshalManifestChunk(placed)
		if err != nil {
			return o, false, err
		}
		c.index.Chunks = append(c.index.Chunks, metadb.ChunkStart{Part: placed[0].Number, Offset: offset})
		c.pending = append(c.pending, row)
		for _, p := range placed[:n] {
			offset += p.Size
		}
		parts = parts[n:]
	}
	unknown, err = c.engine.edit(ctx, c.object.Bucket, func(x *edit) error {
		o, err = c.commit(x)
		return err
	})
	return o, unknown, err
}

// flush commits the pending rows of the manifest. The upload must still be what
// was read: once it has ended, no row may be added to what its end removes.
func (c *completion) flush(ctx context.Context) error {
	_, err := c.engine.update(ctx, func(tx metadb.Tx) error {
		if _, err := c.upload(tx); err != nil {
			return err
		}
		return c.setPending(tx)
	})
	if err != nil {
		return err
	}
	failpoint.At("complete/flushed")
	c.wrote = true
	c.next += uint32(len(c.pending))
	c.pending = nil
	return nil
}

func (c *completion) setPending(tx metadb.Tx) error {
	for i, row := range c.pending {
		if err := tx.Set(metadb.ManifestKey(c.object.UploadID, c.object.Manifest, c.next+uint32(i)), row); err != nil {
			return err
		}
	}
	return nil
}

// upload returns the upload's row, provided that no part was stored since the
// parts were read.
func (c *completion) upload(tx metadb.Tx) (meta.Upload, error) {
	up, err := getUpload(tx, c.object.Bucket, c.object.Key, c.object.UploadID)
	if err == nil && up.Revision != c.req.Upload.Revision {
		err = &meta.Error{Kind: meta.KindConflict, Message: "a part was stored while the upload was being completed"}
	}
	return up, err
}

// commit switches the object: the point at which the upload is complete.
func (c *completion) commit(x *edit) (meta.Object, error) {
	up, err := c.upload(x.tx)
	if err != nil {
		return c.orCompleted(x, err)
	}
	was, err := current(x.tx, c.object.Bucket, c.object.Key)
	if err != nil {
		return meta.Object{}, err
	}
	if err := c.req.Check(live(was)); err != nil {
		return meta.Object{}, err
	}
	o := c.object
	o.Modified, o.Attributes, o.Owner = stamp(was, x.now), up.Attributes, up.Owner
	if o.Lock, err = lockFor(x.bucket, up.Lock, o.Modified); err != nil {
		return o, err
	}
	if err := c.setPending(x.tx); err != nil {
		return o, err
	}
	index, err := metadb.MarshalManifestIndex(c.index)
	if err != nil {
		return o, err
	}
	if err := x.tx.Set(metadb.ManifestKey(o.UploadID, o.Manifest, 0), index); err != nil {
		return o, err
	}
	if _, err := x.put(was, &o); err != nil {
		return o, err
	}
	e := c.engine
	if err := e.endUpload(x.tx, metadb.UploadKey(o.Bucket, o.Key, o.UploadID), o.UploadID, o.Manifest, x.now); err != nil {
		return o, err
	}
	if err := e.mark(x.tx, o, x.now); err != nil {
		return o, err
	}
	o.VersionID = shownID(x.bucket, o.VersionID)
	return o, nil
}

// mark leaves the marker of a completed upload, and queues its removal.
func (e *Engine) mark(tx metadb.Tx, o meta.Object, now time.Time) error {
	o.Attributes = meta.Attributes{}
	row, err := metadb.MarshalCompleted(&metadb.Completed{Object: o, Completed: now})
	if err != nil {
		return err
	}
	if err := tx.Set(metadb.CompletedKey(o.UploadID), row); err != nil {
		return err
	}
	return queue(tx, now.Add(e.completedTTL), metadb.Garbage{Kind: metadb.GarbageCompleted, Queued: now, UploadID: o.UploadID})
}

// orCompleted turns KindNoSuchUpload into the answer of the completion that
// ended the upload, where that one asked for the same object.
func (c *completion) orCompleted(x *edit, err error) (meta.Object, error) {
	if meta.KindOf(err) != meta.KindNoSuchUpload {
		return meta.Object{}, err
	}
	o, cerr := completed(x.tx, x.bucket, c.object.Key, c.object.UploadID)
	if cerr != nil || o.ETag != c.object.ETag || o.Parts != c.object.Parts {
		return meta.Object{}, err
	}
	return o, nil
}

func completed(tx metadb.Tx, b meta.Bucket, key, uploadID string) (meta.Object, error) {
	if _, ok := parseID(uploadID); !ok {
		return meta.Object{}, refuse(meta.KindNoSuchUpload)
	}
	row, err := tx.Get(metadb.CompletedKey(uploadID))
	if errors.Is(err, metadb.ErrNotFound) {
		return meta.Object{}, refuse(meta.KindNoSuchUpload)
	}
	if err != nil {
		return meta.Object{}, err
	}
	c, err := metadb.UnmarshalCompleted(row)
	if err == nil && (c.Object.Bucket != b.Name || c.Object.Key != key) {
		err = refuse(meta.KindNoSuchUpload)
	}
	c.Object.VersionID = shownID(b, c.Object.VersionID)
	return c.Object, err
}

// CompletedUpload returns the object that a completed upload made, for a day
// after its completion; without its attributes. KindNoSuchUpload otherwise.
func (e *Engine) CompletedUpload(ctx context.Context, bucket, key, uploadID string) (meta.Object, error) {
	var o meta.Object
	err := checkName(bucket, key)
	if err == nil {
		err = e.view(ctx, func(tx metadb.Tx) error {
			b, err := getBucket(tx, bucket)
			if err != nil {
				return err
			}
			o, err = completed(tx, b, key, uploadID)
			return err
		})
	}
	if err != nil {
		return meta.Object{}, fault("get completed upload", bucket, key, err)
	}
	return o, nil
}

// discard removes the rows of a manifest that no object came to refer to. What
// it fails to remove goes when the upload ends.
func (c *completion) discard(ctx context.Context) {
	if !c.wrote {
		return
	}
	r := metadb.ManifestRange(c.object.UploadID, c.object.Manifest)
	failpoint.At("complete/discarding")
	_, err := c.engine.update(context.WithoutCancel(ctx), func(tx metadb.Tx) error {
		rows, err := firstKeys(tx, r, metadb.MaxTxOps)
		if err != nil {
			return err
		}
		for _, k := range rows {
			if err := tx.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.engine.log.WarnContext(ctx, "rows of an unused manifest are left until the upload ends", "upload", c.object.UploadID, "error", err)
	}
}

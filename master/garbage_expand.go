package master

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// batch is a bounded piece of an entry that stands for many rows: the blobs to
// delete first and the rows to delete after them. With no rows left the entry is
// done.
type batch struct {
	blobs []meta.Piece
	rows  [][]byte
}

// expand advances an entry for an upload or a manifest by one batch. The rows
// are the entry's cursor: what is still there is still to be done.
func (c *collector) expand(ctx context.Context, en entry, now time.Time) error {
	if c.e.pins.holds(&en.Garbage) {
		en.due = now.Add(pinnedDelay)
		return c.commit(ctx, []entry{en})
	}
	var b batch
	err := c.e.view(ctx, func(tx metadb.Tx) (err error) {
		if en.Kind == metadb.GarbageManifest {
			b, err = manifestBatch(tx, en.UploadID, en.Manifest)
		} else {
			b, err = uploadBatch(tx, en.UploadID, en.Manifest)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("expand garbage of upload %s: %w", en.UploadID, err)
	}
	if len(b.rows) == 0 {
		return c.commit(ctx, []entry{en})
	}
	en.due = c.heldUntil(b.blobs, now)
	if en.due.IsZero() {
		if en.due = latest(b.blobs, c.deleteBlobs(ctx, b.blobs, now)); !en.due.IsZero() {
			en.Attempts++
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !en.due.IsZero() {
		return c.commit(ctx, []entry{en})
	}
	failpoint.At("garbage/expanded")
	_, err = c.e.update(ctx, func(tx metadb.Tx) error {
		for _, k := range b.rows {
			if err := tx.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	failpoint.At("garbage/advanced")
	return err
}

// manifestBatch is the first chunk of a manifest that is left; the index goes
// last, after all chunks.
func manifestBatch(tx metadb.Tx, uploadID, manifest string) (batch, error) {
	var b batch
	index := metadb.ManifestKey(uploadID, manifest, 0)
	r := metadb.ManifestRange(uploadID, manifest)
	err := tx.Scan(metadb.After(index), r.End, func(k, row []byte) (bool, error) {
		parts, err := metadb.UnmarshalManifestChunk(row)
		for _, p := range parts {
			b.blobs = append(b.blobs, pieces(p.Extents)...)
		}
		b.rows = append(b.rows, bytes.Clone(k))
		return false, err
	})
	if err != nil || len(b.rows) > 0 {
		return b, err
	}
	b.rows, err = firstKeys(tx, r, 1)
	return b, err
}

// uploadBatch is the next part rows of an upload that has ended, with the blobs
// that the manifest keep does not name; after them the rows of its other
// manifests, whose blobs are those of the parts.
func uploadBatch(tx metadb.Tx, uploadID, keep string) (b batch, err error) {
	var parts []meta.Part
	r := metadb.PartRange(uploadID, -1)
	err = tx.Scan(r.Start, r.End, func(k, row []byte) (bool, error) {
		p, err := metadb.UnmarshalPart(row)
		parts = append(parts, p)
		b.rows = append(b.rows, bytes.Clone(k))
		return len(parts) < garbageRows, err
	})
	if err != nil {
		return b, err
	}
	if len(parts) > 0 {
		b.blobs, err = unkept(tx, uploadID, keep, parts)
		return b, err
	}
	r = metadb.ManifestsRange(uploadID)
	kept := metadb.ManifestRange(uploadID, keep)
	cur := tx.Seek(r.Start, r.End)
	defer closeCursor(cur, &err)
	for cur.Valid() && len(b.rows) < garbageRows {
		if keep != "" && bytes.Compare(cur.Key(), kept.Start) >= 0 && bytes.Compare(cur.Key(), kept.End) < 0 {
			cur.SeekTo(kept.End)
			continue
		}
		b.rows = append(b.rows, bytes.Clone(cur.Key()))
		cur.Next()
	}
	return b, err
}

// unkept returns the pieces of parts, which are in order of number, that a
// manifest does not name.
func unkept(tx metadb.Tx, uploadID, keep string, parts []meta.Part) ([]meta.Piece, error) {
	kept := make(map[meta.BlobID]bool)
	if keep != "" {
		first, last := parts[0].Number, parts[len(parts)-1].Number
		if err := manifestBlobs(tx, uploadID, keep, first, last, kept); err != nil {
			return nil, err
		}
	}
	var free []meta.Piece
	for _, p := range parts {
		for _, piece := range pieces(p.Extents) {
			if !kept[piece.Blob] {
				free = append(free, piece)
			}
		}
	}
	return free, nil
}

// manifestBlobs collects the blobs of the parts first to last of a manifest. A
// manifest that is gone, because its object was deleted and collected, has none.
func manifestBlobs(tx metadb.Tx, uploadID, manifest string, first, last int, blobs map[meta.BlobID]bool) error {
	r := metadb.ManifestRange(uploadID, manifest)
	start := metadb.After(metadb.ManifestKey(uploadID, manifest, 0))
	index, err := record(tx, metadb.ManifestKey(uploadID, manifest, 0), metadb.UnmarshalManifestIndex)
	if err != nil {
		return err
	}
	if chunk := index.ForPart(first); chunk > 0 {
		start = metadb.ManifestKey(uploadID, manifest, chunk)
	}
	return tx.Scan(start, r.End, func(_, row []byte) (bool, error) {
		parts, err := metadb.UnmarshalManifestChunk(row)
		for _, p := range parts {
			if p.Number > last {
				return false, err
			}
			for _, piece := range pieces(p.Extents) {
				blobs[piece.Blob] = true
			}
		}
		return true, err
	})
}

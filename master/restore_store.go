package master

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
)

// Bounds of a batch of rows, and of the bodies that are written at the same time.
const (
	restoreRows      = 50        // rows of a transaction, at two writes each
	restoreRowBytes  = 512 << 10 // of their values
	restoreBodyBytes = 64 << 20  // of their bodies
	restoreAtOnce    = 32 << 20  // bytes of bodies
	restoreLeast     = 256 << 10 // what a small body counts for: so many are 128
	restoreMost      = 8 << 20   // what a large one does
)

// restoreBatch is the rows that are restored together.
type restoreBatch struct {
	rows   []*restoringRow
	values int
	bodies int64
}

// size is what a row may come to take.
func (x *restoringRow) size() int { return len(x.Key) + len(x.Value) + 256*len(x.bodies) }

func (b *restoreBatch) room(x *restoringRow) bool {
	return len(b.rows) == 0 || len(b.rows) < restoreRows && b.values+x.size() <= restoreRowBytes && b.bodies <= restoreBodyBytes
}

func (b *restoreBatch) add(x *restoringRow) {
	b.rows = append(b.rows, x)
	b.values += x.size()
	for _, body := range x.bodies {
		b.bodies += body.Size
	}
}

// store writes the bodies of rows, and then the rows, in one transaction with what
// also writes.
func (r *restorer) store(ctx context.Context, rows []*restoringRow, also func(metadb.Tx) error, read uint64) error {
	l, done := r.e.layouts.write()
	defer done()
	if err := r.storeBodies(ctx, l, rows); err != nil {
		r.e.abandon(ctx, restoredPieces(rows), false)
		return err
	}
	unknown, err := r.e.update(ctx, func(tx metadb.Tx) error {
		for _, x := range rows {
			if err := r.set(tx, x); err != nil {
				return err
			}
		}
		return also(tx)
	})
	if err != nil {
		r.e.abandon(ctx, restoredPieces(rows), unknown)
		return err
	}
	r.count(rows, read)
	return nil
}

func restoredPieces(rows []*restoringRow) []meta.Piece {
	var all []meta.Piece
	for _, x := range rows {
		for _, b := range x.bodies {
			all = append(all, pieces([]meta.Extent{*b.extent})...)
		}
	}
	return all
}

// storeBodies writes the bodies of rows, many at the same time.
func (r *restorer) storeBodies(ctx context.Context, l *layout, rows []*restoringRow) error {
	group, ctx := errgroup.WithContext(ctx)
	room := semaphore.NewWeighted(restoreAtOnce)
	for _, x := range rows {
		for _, b := range x.bodies {
			weight := min(max(b.Size, restoreLeast), restoreMost)
			if err := room.Acquire(ctx, weight); err != nil {
				return cmp.Or(group.Wait(), err)
			}
			group.Go(func() error {
				defer room.Release(weight)
				if err := r.storeBody(ctx, l, b); err != nil {
					return fmt.Errorf("row %q: %w", x.Key, err)
				}
				return nil
			})
		}
	}
	return group.Wait()
}

// storeBody writes a body to where the store that there is now wants it.
func (r *restorer) storeBody(ctx context.Context, l *layout, b *restoringBody) error {
	reader, err := b.Open(ctx)
	if err != nil {
		return err
	}
	stored, err := r.e.store(ctx, storing{
		layout: l, hash: b.hash, size: b.Size, keep: r.e.redundancyFor(l, b.bucket, b.class, b.Size), describe: b.describe,
	}, restoredPayload{reader, b.digests})
	if closing := reader.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	*b.extent, b.unsettled = stored.extent, stored.unsettled
	return nil
}

// restoredPayload is a body whose digests are known.
type restoredPayload struct {
	io.Reader
	digests meta.Digests
}

func (p restoredPayload) Digests() meta.Digests { return p.digests }

// set writes a row whose bodies are stored, and what is queued with it.
func (r *restorer) set(tx metadb.Tx, x *restoringRow) error {
	value := x.Value
	if x.encode != nil {
		var err error
		if value, err = x.encode(); err != nil {
			return err
		}
	}
	if err := tx.Set(x.Key, value); err != nil {
		return err
	}
	now := r.e.now()
	if c := x.completed; c != nil {
		id, _ := metadb.ParseCompletedKey(x.Key)
		return queue(tx, c.Completed.Add(r.e.completedTTL), metadb.Garbage{Kind: metadb.GarbageCompleted, Queued: now, UploadID: id})
	}
	for _, b := range x.bodies {
		if b.unsettled {
			x.repair.Queued = now
			return queueRepair(tx, now, x.repair)
		}
	}
	return nil
}

// assemble restores an assembled version: the chunks of its manifest as they come,
// and then its row. How many parts are in a chunk depends on how many pieces an
// extent has here, so the index is made anew.
func (r *restorer) assemble(ctx context.Context, x *restoringRow) error {
	o := x.assembled
	skip := r.restored()
	if !skip {
		if err := r.flushBefore(ctx); err != nil {
			return err
		}
		if err := r.clearManifest(ctx, o); err != nil {
			return err
		}
	}
	m := &restoredManifest{r: r, of: o}
	for seen := 0; seen < o.Parts; {
		row, err := r.next(ctx)
		if err != nil {
			return fmt.Errorf("the parts of %s/%s: %w", o.Bucket, o.Key, wantMore(err))
		}
		n, err := m.chunk(ctx, row, skip)
		if err != nil {
			return err
		}
		seen += n
	}
	if skip {
		return nil
	}
	index, err := metadb.MarshalManifestIndex(m.index)
	if err != nil {
		return err
	}
	_, err = r.e.update(ctx, func(tx metadb.Tx) error {
		if err := tx.Set(metadb.ManifestKey(o.UploadID, o.Manifest, 0), index); err != nil {
			return err
		}
		if err := tx.Set(x.Key, x.Value); err != nil {
			return err
		}
		return r.save(tx, r.read)
	})
	if err == nil {
		r.count([]*restoringRow{x}, r.read)
	}
	return err
}

// wantMore is the error of a backup that ends too early.
func wantMore(err error) error {
	if err == io.EOF { //nolint:errorlint // as io.ReadFull does it
		return io.ErrUnexpectedEOF
	}
	return err
}

// clearManifest gives up what an earlier call has left of a manifest that it did
// not come to the end of.
func (r *restorer) clearManifest(ctx context.Context, o *metadb.ObjectRow) error {
	for more := r.progress.Resumed; more; {
		_, err := r.e.update(ctx, func(tx metadb.Tx) error {
			rows := metadb.ManifestRange(o.UploadID, o.Manifest)
			keys, err := firstKeys(tx, rows, 1)
			if more = len(keys) > 0; err != nil || !more {
				return err
			}
			parts, err := record(tx, keys[0], metadb.UnmarshalManifestChunk)
			if err != nil {
				return err
			}
			for i := range parts {
				if err := r.e.retireBlobs(tx, pieces(parts[i].Extents), r.e.now()); err != nil {
					return err
				}
			}
			return tx.Delete(keys[0])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// restoredManifest is a manifest that is being made.
type restoredManifest struct {
	r     *restorer
	of    *metadb.ObjectRow
	index metadb.ManifestIndex
}

// chunk restores a chunk of the manifest, and returns how many parts are in it.
func (m *restoredManifest) chunk(ctx context.Context, row RestoreRow, skip bool) (int, error) {
	o := m.of
	upload, manifest, _, ok := metadb.ParseManifestKey(row.Key)
	if !ok || upload != o.UploadID || manifest != o.Manifest {
		return 0, badBackup(row, "it should be of the manifest of %s/%s", o.Bucket, o.Key)
	}
	parts, err := metadb.UnmarshalManifestChunk(row.Value)
	if err != nil || len(parts) == 0 {
		return 0, badBackup(row, "%d parts, %v", len(parts), err)
	}
	if skip {
		return len(parts), nil
	}
	l, done := m.r.e.layouts.write()
	defer done()
	x := &restoringRow{RestoreRow: row}
	of := partOf{bucket: o.Bucket, key: o.Key, upload: o.UploadID, attributes: o.Attributes, owner: o.Owner}
	var numbers []int
	for i := range parts {
		if err := m.r.partBodies(x, &parts[i], of); err != nil {
			return 0, badBackup(row, "part %d: %v", parts[i].Number, err)
		}
		for range len(x.bodies) - len(numbers) {
			numbers = append(numbers, parts[i].Number)
		}
	}
	rows := []*restoringRow{x}
	if err := m.r.storeBodies(ctx, l, rows); err != nil {
		m.r.e.abandon(ctx, restoredPieces(rows), false)
		return 0, err
	}
	if err := m.set(ctx, parts); err != nil {
		return 0, err
	}
	m.r.count(rows, 0)
	return len(parts), m.queueRepairs(ctx, x, numbers)
}

// set writes parts as the next chunks, as many as it takes.
func (m *restoredManifest) set(ctx context.Context, parts []meta.Part) error {
	for len(parts) > 0 {
		value, n, err := metadb.MarshalManifestChunk(parts)
		if err != nil {
			return err
		}
		m.index.Chunks = append(m.index.Chunks, metadb.ChunkStart{Part: parts[0].Number, Offset: parts[0].Offset})
		key := metadb.ManifestKey(m.of.UploadID, m.of.Manifest, uint32(len(m.index.Chunks)))
		unknown, err := m.r.e.update(ctx, func(tx metadb.Tx) error { return tx.Set(key, value) })
		if err != nil {
			for _, p := range parts {
				m.r.e.abandon(ctx, pieces(p.Extents), unknown)
			}
			return err
		}
		parts = parts[n:]
	}
	return nil
}

// queueRepairs queues the parts that are not all that they should be.
func (m *restoredManifest) queueRepairs(ctx context.Context, x *restoringRow, numbers []int) error {
	for i, b := range x.bodies {
		if !b.unsettled {
			continue
		}
		now := m.r.e.now()
		_, err := m.r.e.update(ctx, func(tx metadb.Tx) error {
			return queueRepair(tx, now, metadb.Repair{
				Bucket: m.of.Bucket, Key: m.of.Key, Seq: m.of.Seq, UploadID: m.of.UploadID, Part: numbers[i], Queued: now,
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

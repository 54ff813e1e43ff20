package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

const (
	findingsPoll  = 5 * time.Second
	findingsBatch = 32 // findings taken of a volume in one step; extents that one transaction queues
)

// FindingsStats counts, since the start, what volumes have found bad as they read
// themselves.
type FindingsStats struct {
	Taken     uint64 // findings that were looked at
	Queued    uint64 // pieces of extents, of which the repair was queued
	Unnamed   uint64 // blobs that nothing names: garbage, or what a write had not recorded yet
	Searching bool   // all rows are being looked at, for pieces that do not say what they are part of
}

// findings takes what the volumes have found bad, mostly in blobs that nobody
// reads, to the repair queue. A volume numbers its findings from 1 with each of its
// starts, and forgets them with it; how far they were taken is held in memory: after
// a start of either all that the volume remembers is taken once more, which costs a
// look at each.
type findings struct {
	e      *Engine
	heard  map[meta.VolumeID]heard
	search search

	taken, queued, unnamed atomic.Uint64
	searching              atomic.Bool
}

// heard is how far the findings of a volume were taken.
type heard struct{ run, seq uint64 }

func newFindings(e *Engine) *findings {
	f := &findings{e: e, heard: make(map[meta.VolumeID]heard)}
	f.search.asked = newWanted()
	return f
}

// Name is the worker's name in the log.
func (f *findings) Name() string { return "findings of the volumes" }

// Woken never signals: volumes are asked from time to time.
func (f *findings) Woken() <-chan struct{} { return nil }

func (f *findings) snapshot() FindingsStats {
	return FindingsStats{
		Taken: f.taken.Load(), Queued: f.queued.Load(), Unnamed: f.unnamed.Load(), Searching: f.searching.Load(),
	}
}

// Step takes a batch of findings from each volume that has new ones, and goes on
// with the search.
func (f *findings) Step(ctx context.Context) (State, error) {
	more := false
	var errs []error
	for _, v := range f.e.layouts.now().volumes {
		again, err := f.listen(ctx, v)
		more = more || again
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || more {
		return State{More: more}, err
	}
	began := time.Now()
	more, err := f.searchOn(ctx)
	f.searching.Store(f.search.running)
	if err != nil {
		return State{}, fmt.Errorf("look for what is damaged: %w", err)
	}
	if more {
		return State{Wait: min(time.Since(began), searchRest)}, nil
	}
	return State{Wait: findingsPoll}, nil
}

// listen takes a batch of what a volume has found. What can not be taken now, as the
// volume does not answer, is taken later.
func (f *findings) listen(ctx context.Context, v *boundVolume) (more bool, err error) {
	c, at := v.condition.Load(), f.heard[v.Number]
	if at.run != c.status.Run {
		at = heard{run: c.status.Run}
	}
	if c.down != nil || c.status.Damaged <= at.seq {
		f.heard[v.Number] = at
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkListTimeout)
	defer cancel()
	blobs, err := f.e.volume(ctx, v.Number)
	if err != nil {
		return false, nil
	}
	found, err := blobs.Damaged(ctx, at.seq, findingsBatch)
	if err == nil {
		err = f.take(ctx, v.Number, found)
	}
	switch {
	case ofTheVolume(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("what volume %d has found bad: %w", v.Number, err)
	case len(found) == 0:
		at.seq = c.status.Damaged // the newest ones are deleted
	default:
		at.seq = found[len(found)-1].Seq
	}
	f.heard[v.Number] = at
	return len(found) > 0, nil
}

// described is a damaged piece that says what it is part of.
type described struct {
	piece      meta.Piece
	descriptor metadb.Descriptor
}

// take has what was found on a volume repaired or, where it does not say what it is
// part of, searched for.
func (f *findings) take(ctx context.Context, number meta.VolumeID, found []volume.Damage) error {
	var known []described
	unknown := newWanted()
	for _, d := range found {
		if d.Blob == (volume.BlobID{}) {
			f.e.log.WarnContext(ctx, "a volume has lost what it can not name: all that should be on it is looked for", "volume", number, "lost", d.Part)
			unknown.volumes[number] = true
			continue
		}
		if d.Blob.Metadata() {
			f.e.journalDamaged(number, d.Blob)
			continue
		}
		piece := meta.Piece{Volume: number, Blob: meta.BlobID(d.Blob)}
		switch x, err := f.e.descriptorOf(ctx, piece); {
		case err == nil:
			known = append(known, described{piece, x})
		case errors.Is(err, volume.ErrNotFound): // deleted since
		case errors.Is(err, volume.ErrCorrupt):
			unknown.pieces[piece] = true
		default:
			return err
		}
	}
	if err := f.locate(ctx, known); err != nil {
		return err
	}
	f.search.asked.add(unknown)
	f.taken.Add(uint64(len(found)))
	return nil
}

// locate has the extents that name the pieces repaired. A piece that nothing names is
// garbage, or of a write that was not recorded yet: the next round of the scrub finds
// that one again, if no reader does before.
func (f *findings) locate(ctx context.Context, known []described) error {
	var bad []badPiece
	var unnamed uint64
	completing := newWanted()
	err := f.e.view(ctx, func(tx metadb.Tx) error {
		bad, unnamed = nil, 0
		for _, x := range known {
			at, err := f.e.whereNamed(tx, x.descriptor, x.piece)
			switch {
			case unreadable(err): // others are not held up by a row like that
				f.e.log.ErrorContext(ctx, "what a damaged piece is part of can not be read", "bucket", x.descriptor.Bucket,
					"key", x.descriptor.Key, "piece", piecesText([]meta.Piece{x.piece})[0], "error", err)
			case err != nil:
				return err
			case at != nil:
				bad = append(bad, badPiece{at.location, x.piece})
			case x.descriptor.UploadID != "" && f.e.completing.has(x.descriptor.UploadID):
				completing.pieces[x.piece] = true
			default:
				unnamed++
			}
		}
		return nil
	})
	if err == nil {
		err = f.queueRepairs(ctx, bad)
	}
	if err != nil {
		return err
	}
	f.search.asked.add(completing)
	f.unnamed.Add(unnamed)
	return nil
}

// badPiece is a piece that is damaged or missing, and of what.
type badPiece struct {
	location
	piece meta.Piece
}

// queueRepairs has extents compared with what there should be, the pieces verified
// first.
func (f *findings) queueRepairs(ctx context.Context, bad []badPiece) error {
	for batch := range slices.Chunk(bad, findingsBatch) {
		if err := f.queueBatch(ctx, batch); err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		f.e.rebalance.wake()
	}
	return nil
}

func (f *findings) queueBatch(ctx context.Context, batch []badPiece) error {
	var queued []badPiece
	_, err := f.e.update(ctx, func(tx metadb.Tx) error {
		queued = nil
		now := f.e.now()
		for _, b := range batch {
			if listed, err := listedAsDamaged(tx, b.location); err != nil {
				return err
			} else if listed {
				continue // and looked at each hour
			}
			if err := queueRepair(tx, now, b.repair([]meta.Piece{b.piece}, now)); err != nil {
				return err
			}
			queued = append(queued, b)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("queue repairs: %w", err)
	}
	for _, b := range queued {
		f.e.log.WarnContext(ctx, "a volume has found a piece to be bad: it will be repaired", "bucket", b.bucket, "key", b.key, "part", b.part,
			"piece", piecesText([]meta.Piece{b.piece})[0])
	}
	f.queued.Add(uint64(len(queued)))
	return nil
}

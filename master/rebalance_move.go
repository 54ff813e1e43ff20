package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// move is the change of one extent's pieces.
type move struct {
	location
	extent meta.Extent  // as it was recorded when it was found
	next   []meta.Piece // its pieces afterwards
	add    []meta.Piece // those of them that are to be made
	drop   []meta.Piece // those that are given up
	err    error        // why they could not be made

	blamed []meta.VolumeID // volumes that have failed as such
}

// plan compares where an extent lies with where the layout wants it; nil where
// that is the same.
func (e *Engine) plan(l *layout, at location, x meta.Extent) (*move, error) {
	want, err := l.place(at.hash(), e.redundancyOf(l, at.holder, at.class, x).pieces())
	if err != nil {
		return nil, err
	}
	m := &move{location: at, extent: x}
	for _, number := range want {
		i := slices.IndexFunc(x.Pieces, func(p meta.Piece) bool { return p.Volume == number })
		if i >= 0 {
			m.next = append(m.next, x.Pieces[i])
			continue
		}
		p := meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}
		m.next, m.add = append(m.next, p), append(m.add, p)
	}
	for _, p := range x.Pieces {
		if !slices.Contains(m.next, p) {
			m.drop = append(m.drop, p)
		}
	}
	if len(m.add) == 0 && len(m.drop) == 0 {
		return nil, nil
	}
	return m, nil
}

// moved is what one step has made and not yet recorded.
type moved struct {
	moves  []*move
	intent []byte // the key of the garbage entry that names all new pieces
	done   func() // releases the new pieces
}

// intentDelay is how long a batch may take at most. What a crash has left is
// found at the next start, long before.
const intentDelay = 48 * time.Hour

// move makes the new pieces. They are in the garbage queue before the first byte
// is written, and pinned while this process is at it: a crash leaves nothing for
// ever.
func (r *rebalancer) move(ctx context.Context, moves []*move, atOnce int) (moved, error) {
	b := moved{moves: moves, done: func() {}}
	var added []meta.Piece
	for _, m := range moves {
		added = append(added, m.add...)
	}
	if len(added) == 0 {
		return b, nil
	}
	b.done = r.e.pins.hold(added)
	_, err := r.e.update(ctx, func(tx metadb.Tx) error {
		now := r.e.now()
		var err error
		b.intent, err = queueKey(tx, now.Add(intentDelay), metadb.Garbage{Kind: metadb.GarbageIntent, Queued: now, Pieces: added})
		return err
	})
	if err != nil {
		return b, fmt.Errorf("queue the new pieces: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, m := range moves {
		group.Go(func() error {
			m.err = r.makePieces(ctx, m)
			return nil // the others go on
		})
	}
	_ = group.Wait() // no error is returned above
	if ctx.Err() == nil {
		r.judge(moves)
	}
	return b, nil
}

// makePieces makes each new piece of a move from the first old one that can be
// read whole.
func (r *rebalancer) makePieces(ctx context.Context, m *move) error {
	for _, to := range m.add {
		var errs []error
		for _, from := range m.extent.Pieces {
			err := r.copyPiece(ctx, m, from, to)
			if err == nil {
				errs = nil
				break
			}
			errs = append(errs, err)
		}
		if len(errs) > 0 {
			return fmt.Errorf("%s/%s: %w", m.bucket, m.key, errors.Join(errs...))
		}
	}
	return nil
}

// copyPiece copies a blob to another volume under a fresh id, with its
// descriptor. What is read is verified block by block, and the new volume
// answers when it is durable.
func (r *rebalancer) copyPiece(ctx context.Context, m *move, from, to meta.Piece) error {
	if err := r.yield(ctx); err != nil {
		return err
	}
	dst, err := r.e.volume(ctx, to.Volume)
	if err != nil {
		return m.blame(to, err)
	}
	size := pieceSize(m.extent)
	body, desc, err := r.openPiece(ctx, from, size)
	if err != nil {
		return m.blame(from, err)
	}
	paced := &pacedReader{ctx: ctx, r: body, limiter: r.limiter}
	err = dst.Put(ctx, volume.BlobID(to.Blob), size, paced, func() ([]byte, error) { return desc, nil })
	closing := body.Close()
	switch {
	case paced.failed != nil:
		return m.blame(from, paced.failed)
	case err != nil:
		return m.blame(to, err)
	case closing != nil:
		return m.blame(from, closing)
	}
	return nil
}

// openPiece opens a piece that must be of a size.
func (r *rebalancer) openPiece(ctx context.Context, from meta.Piece, size int64) (io.ReadCloser, []byte, error) {
	src, err := r.e.volume(ctx, from.Volume)
	if err != nil {
		return nil, nil, err
	}
	id := volume.BlobID(from.Blob)
	info, err := src.Stat(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if info.Size != size {
		return nil, nil, fmt.Errorf("%w: %d bytes, %d recorded", volume.ErrCorrupt, info.Size, size)
	}
	body, err := src.Get(ctx, id, 0, size)
	return body, info.Descriptor, err
}

// yield lets requests of clients go first.
func (r *rebalancer) yield(ctx context.Context) error {
	for range 10 {
		if r.e.foreground.Load() <= yieldAbove {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return ctx.Err()
}

// yieldAbove is the number of requests under way above which a move waits, for a
// while.
const yieldAbove = 4

// pacedReader reads no faster than a limiter allows.
type pacedReader struct {
	ctx     context.Context
	r       io.Reader
	limiter interface {
		WaitN(ctx context.Context, n int) error
		Burst() int
	}
	failed error // of r
}

func (p *pacedReader) Read(b []byte) (int, error) {
	if most := p.limiter.Burst(); len(b) > most {
		b = b[:most]
	}
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.failed = err
	}
	if n > 0 {
		if waiting := p.limiter.WaitN(p.ctx, n); waiting != nil {
			return n, waiting
		}
	}
	return n, err
}

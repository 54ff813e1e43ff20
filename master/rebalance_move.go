package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
	"tdkvs/master/metadb"
	"tdkvs/volume"
)

// move is the change of one extent's pieces.
type move struct {
	location
	extent  meta.Extent  // as it was recorded when it was found
	next    []meta.Piece // its pieces afterwards
	add     []meta.Piece // those of them that are to be made
	drop    []meta.Piece // those that are given up
	confirm []meta.Piece // those that stay and must be seen to be readable before others are given up
	sources []meta.Piece // its pieces as they are, but for those that are not there

	damage string // why it can not be restored; nothing is changed then
	short  bool   // there are fewer volumes than it should have pieces
	waits  bool   // for a volume that is down
	stuck  bool   // a piece has to stay on a volume that is to leave
	queued bool   // an entry of the repair queue asks for it

	err     error           // why it could not be done
	bad     []meta.Piece    // found not to be there, or not to be readable
	blamed  []meta.VolumeID // volumes that have failed as such
	fine    []meta.VolumeID // volumes that have answered
	outcome outcome         // what became of it when it was recorded

	strange map[meta.Piece]metadb.Descriptor // pieces that say that they are part of something else
}

// moved is what one step has made and not yet recorded.
type moved struct {
	moves  []*move
	intent []byte // the key of the garbage entry that names all new pieces
	done   func() // releases the new pieces
}

// errNoSource ends the list of what was wrong with each of an extent's pieces.
var errNoSource = errors.New("no piece of it can be read")

// intentDelay is how long a batch may take at most. What a crash has left is
// found at the next start, long before.
const intentDelay = 48 * time.Hour

// turns bounds how many pieces are moved at the same time.
type turns chan struct{}

// move makes the new pieces, some at a time, and learns from how that went.
func (r *rebalancer) move(ctx context.Context, moves []*move, atOnce int) (moved, error) {
	b, err := r.prepare(ctx, moves, make(turns, atOnce))
	if err == nil && ctx.Err() == nil {
		r.judge(moves)
	}
	return b, err
}

// prepare makes the new pieces of a batch. They are in the garbage queue before the first byte
// is written, and pinned while this process is at it: a crash leaves nothing for
// ever.
func (r *rebalancer) prepare(ctx context.Context, moves []*move, t turns) (moved, error) {
	b := moved{moves: moves, done: func() {}}
	var added []meta.Piece
	for _, m := range moves {
		added = append(added, m.add...)
	}
	if len(added) > 0 {
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
		failpoint.At("rebalance/intended")
	}
	var group sync.WaitGroup
	for _, m := range moves {
		if m.damage != "" {
			continue
		}
		t <- struct{}{} // in order, so that a batch ends before the next
		group.Go(func() {
			m.err = r.makePieces(ctx, m)
			<-t
		})
	}
	group.Wait()
	return b, nil
}

// makePieces makes the new pieces of a move, and then sees to it that what is
// given up can be spared.
func (r *rebalancer) makePieces(ctx context.Context, m *move) error {
	err := r.yield(ctx)
	if err == nil {
		if m.extent.Code == (meta.Code{}) {
			err = r.makeCopies(ctx, m)
		} else {
			err = r.makeShards(ctx, m)
		}
	}
	for _, p := range m.confirm {
		if err == nil {
			err = r.confirm(ctx, m, p)
		}
	}
	if err == nil {
		return nil
	}
	m.findDamage()
	return fmt.Errorf("%s/%s: %w", m.bucket, m.key, err)
}

// findDamage finds that what is left of the extent, after what has turned out to
// be bad, is too little.
func (m *move) findDamage() {
	left := 0
	for _, p := range m.sources {
		if !p.Missing() && !slices.Contains(m.bad, p) {
			left++
		}
	}
	if left < needed(m.extent) {
		m.damage = fmt.Sprintf("%d of its %d pieces can be read, %d are needed", left, len(m.extent.Pieces), needed(m.extent))
	}
}

// makeCopies makes each new copy from the first old one that can be read whole.
func (r *rebalancer) makeCopies(ctx context.Context, m *move) error {
	for _, to := range m.add {
		var errs []error
		made := false
		for _, from := range m.sources {
			if from.Missing() || slices.Contains(m.bad, from) {
				continue
			}
			err := r.copyPiece(ctx, m, m.recorded(m.extent, from), to)
			if made = err == nil; made {
				break
			}
			errs = append(errs, err)
		}
		if !made {
			return errors.Join(append(errs, errNoSource)...)
		}
	}
	return nil
}

// copyPiece copies a blob to another volume under a fresh id, with its
// descriptor. What is read is verified block by block, and the new volume
// answers when it is durable.
func (r *rebalancer) copyPiece(ctx context.Context, m *move, from recordedPiece, to meta.Piece) error {
	dst, err := r.e.volume(ctx, to.Volume)
	if err != nil {
		return m.blame(to, err)
	}
	info, body, err := r.e.openRecorded(ctx, from, 0, from.size)
	if err != nil {
		return m.blameSource(from.Piece, err)
	}
	paced := &pacedReader{ctx: ctx, r: body, limiter: r.limiter}
	err = dst.Put(ctx, volume.BlobID(to.Blob), from.size, paced, func() ([]byte, error) { return info.Descriptor, nil })
	closing := body.Close()
	switch {
	case paced.failed != nil:
		return m.blameSource(from.Piece, paced.failed)
	case err != nil:
		return m.blame(to, err)
	case closing != nil:
		return m.blameSource(from.Piece, closing)
	}
	m.fine = append(m.fine, from.Volume, to.Volume)
	failpoint.At("rebalance/copied")
	return nil
}

// confirm reads a piece where it lies, whole, before others are given up for it.
func (r *rebalancer) confirm(ctx context.Context, m *move, p meta.Piece) error {
	w := m.recorded(m.extent, p)
	if err := r.pause(ctx, w.size); err != nil {
		return err
	}
	if err := r.e.verifyPiece(ctx, w); err != nil {
		return m.blameSource(p, err)
	}
	m.fine = append(m.fine, p.Volume)
	failpoint.At("rebalance/confirmed")
	return nil
}

// pause waits as long as n bytes may take.
func (r *rebalancer) pause(ctx context.Context, n int64) error {
	for n > 0 && r.limiter.Limit() != rate.Inf {
		some := min(n, rateBurst)
		if err := r.limiter.WaitN(ctx, int(some)); err != nil {
			return err
		}
		n -= some
	}
	return ctx.Err()
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

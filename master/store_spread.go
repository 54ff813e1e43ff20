package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tdkvs/failpoint"
	"tdkvs/master/meta"
)

// spread is the writing of the pieces of one extent to several volumes at once.
// The goroutine that stores the extent reads its body, feeds the writers and
// decides; it owns all fields. Each writer has a goroutine of its own, which may
// outlive the spread on a volume that does not answer, and holds no memory then.
type spread struct {
	e       *Engine
	targets *targets
	size    int64 // of each piece, bytes; -1: not known
	need    int   // how many pieces must be durable

	descriptors [][]byte          // by index of the piece; set before the feeds end
	writers     []*pieceWriter    // all
	live        []*pieceWriter    // those that have not ended and were not dropped
	ended       chan *pieceWriter // has room for all
	made        []meta.Piece      // durable, by index
	durable     int               // of made
	failures    []error           // of those that have ended otherwise

	free   chan *chunk // has room for all
	chunks int         // how many of the pool there are
}

// spread starts to write an extent, with a writer for each of its pieces that
// there is a volume for. keep lets them begin again within the first chunk.
func (e *Engine) spread(ctx context.Context, t *targets, size int64, need int, keep bool) *spread {
	volumes := t.first(need)
	s := &spread{
		e: e, targets: t, size: size, need: need,
		ended: make(chan *pieceWriter, len(volumes)), made: make([]meta.Piece, len(volumes)),
		free: make(chan *chunk, maxChunks),
	}
	for i, number := range volumes {
		if number == 0 {
			continue
		}
		w := &pieceWriter{of: s, index: i, feed: newFeed(keep), piece: meta.Piece{Volume: number, Blob: meta.BlobID(newBlobID())}}
		s.writers = append(s.writers, w)
		var writing context.Context
		writing, w.cancel = context.WithCancel(ctx)
		go w.run(writing)
	}
	s.live = slices.Clone(s.writers)
	return s
}

// push hands a chunk, or each writer his part of it, to those that are still at
// work. The caller's hold on the chunk ends.
func (s *spread) push(c *chunk, part func(index int) []byte) {
	for _, w := range s.live {
		w.feed.push(portion{data: part(w.index), of: c})
	}
	c.release()
}

// await returns a chunk that all writers are done with. One that is in the way of
// the others for too long is dropped, as long as they are enough.
func (s *spread) await(ctx context.Context) (*chunk, error) {
	stall := time.NewTimer(s.e.writes.stall)
	defer stall.Stop()
	for {
		if err := s.possible(); err != nil {
			return nil, err
		}
		select {
		case c := <-s.free:
			return c, nil
		case w := <-s.ended:
			s.note(w)
		case <-stall.C:
			s.dropBehind()
			stall.Reset(s.e.writes.stall)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// note counts a writer that has ended. One that was dropped no longer counts.
func (s *spread) note(w *pieceWriter) {
	i := slices.Index(s.live, w)
	if i < 0 {
		return
	}
	s.live = slices.Delete(s.live, i, i+1)
	if w.err != nil {
		s.failures = append(s.failures, w.err)
		return
	}
	s.made[w.index] = w.written()
	s.durable++
	failpoint.At("put/piece")
}

// possible returns why there can not be enough pieces any more.
func (s *spread) possible() error {
	for {
		select {
		case w := <-s.ended:
			s.note(w)
			continue
		default:
		}
		if s.durable+len(s.live) >= s.need {
			return nil
		}
		return tooFew(s.durable, s.need, s.failures)
	}
}

// dropBehind drops the writers that have something left to read, where the
// others are enough.
func (s *spread) dropBehind() {
	behind := slices.DeleteFunc(slices.Clone(s.live), func(w *pieceWriter) bool { return !w.feed.behind() })
	if s.durable+len(s.live)-len(behind) < s.need {
		return
	}
	for _, w := range behind {
		s.dropSuspect(w, "takes nothing more of the body")
	}
}

// drop goes on without a writer.
func (s *spread) drop(w *pieceWriter, why error) {
	w.drop()
	s.live = slices.DeleteFunc(s.live, func(other *pieceWriter) bool { return other == w })
	s.failures = append(s.failures, why)
}

// dropSuspect goes on without a writer whose volume is slow, and has it asked how
// it is.
func (s *spread) dropSuspect(w *pieceWriter, why string) {
	number := w.written().Volume
	s.drop(w, fmt.Errorf("volume %d: it %s", number, why))
	if v, ok := s.e.layouts.now().volumes[number]; ok {
		v.ask()
	}
}

// finish ends the feeds, and waits until enough pieces are durable and then a
// moment for the others. Those that are later still are dropped.
func (s *spread) finish(ctx context.Context, descriptors [][]byte) error {
	s.descriptors = descriptors
	for _, w := range s.live {
		w.feed.end()
	}
	for s.durable < s.need {
		if err := s.possible(); err != nil {
			return err
		}
		if s.durable >= s.need {
			break
		}
		select {
		case w := <-s.ended:
			s.note(w)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.wait(ctx, s.expected)
	for _, w := range slices.Clone(s.live) {
		s.dropSuspect(w, "has not answered in time")
	}
	return nil
}

// expected reports whether a writer is at work from which an answer can be
// expected soon.
func (s *spread) expected() bool {
	return slices.ContainsFunc(s.live, func(w *pieceWriter) bool { return s.e.usable(w.written().Volume) })
}

// wait waits for writers to end, for a moment and while there is a reason.
func (s *spread) wait(ctx context.Context, reason func() bool) {
	late := time.NewTimer(s.e.writes.late)
	defer late.Stop()
	for reason() {
		select {
		case w := <-s.ended:
			s.note(w)
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// pieces are those that are durable.
func (s *spread) pieces() []meta.Piece { return pieces([]meta.Extent{{Pieces: s.made}}) }

func (s *spread) dropAll() {
	for len(s.live) > 0 {
		s.drop(s.live[0], errDropped)
	}
}

// fail gives up the extent, because of err, and removes what was written of it.
// The volumes are told, and have a moment to come to an end with it.
func (s *spread) fail(ctx context.Context, err error) {
	for _, w := range s.live {
		w.feed.breakOff(err)
	}
	s.wait(ctx, func() bool { return len(s.live) > 0 })
	s.dropAll()
	s.e.abandon(ctx, s.pieces(), false)
	s.settle(ctx)
}

// settle queues what may have been written and is not part of the extent, and
// gives back the chunks. All writers have ended or were dropped.
func (s *spread) settle(ctx context.Context) {
	var lost []meta.Piece
	for _, w := range s.writers {
		lost = append(lost, w.givenUp()...)
	}
	if s.durable >= s.need && len(s.failures) > 0 {
		s.e.log.WarnContext(ctx, "an extent was written without some of its pieces", "durable", s.durable, "error", errors.Join(s.failures...))
	}
	s.e.queuePieces(ctx, lost)
	for s.chunks > 0 && len(s.free) > 0 { // a stripe of shards is none of the pool
		s.e.writes.give(<-s.free)
	}
	if beyond := s.chunks - minChunks; beyond > 0 {
		s.e.writes.budget.Give(int64(beyond) * chunkSize)
	}
}

package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"tdkvs/master/meta"
	"tdkvs/volume"
)

// copies reads a run of bytes from the copies of an extent: from the best as long
// as that can be read, and from the next from the byte on where it can not. A copy
// that failed at one byte may be good behind it, so it is tried again when all
// others have failed further on; at no byte is one tried twice, but for one that
// was only slow. It is used by one goroutine.
type copies struct {
	ctx    context.Context
	engine *Engine
	from   origin
	pos    int64 // of the next byte in the extent
	end    int64

	list    []copyState // best first
	room    [3]copyState
	reading opened // none: its blob is nil
	w       io.Writer
	failed  error // of w
}

// copyState is what is known of one copy.
type copyState struct {
	piece    meta.Piece
	trouble  int   // how often it failed, or was too slow
	failedAt int64 // the byte that it gave last no answer for; -1: none
	err      error // why
	silent   bool  // it did not fail: it took too long
	awaited  bool  // it is tried once more, and waited for
}

// opened is a copy that is being read.
type opened struct {
	copy  int
	blob  io.ReadCloser
	watch *watch
}

// openCopies opens length bytes of the extent that is read.
func (x *rangeReader) openCopies(length int64) (source, error) {
	c := &x.copies
	*c = copies{ctx: x.ctx, engine: x.engine, from: x.origin(), pos: x.offset, end: x.offset + length}
	c.list = c.room[:0]
	for _, piece := range x.extent.Pieces {
		c.list = append(c.list, copyState{piece: piece, failedAt: -1})
	}
	if len(c.list) == 0 {
		return nil, fmt.Errorf("%w: an extent without a piece", volume.ErrCorrupt)
	}
	if len(c.list) > 1 {
		c.arrange()
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	return c, nil
}

// arrange puts the copies in order: those of volumes that are up before others,
// then those of volumes that stay before those of volumes that are being emptied,
// then by how long volumes take of late. Among equals chance decides, which spreads
// the readers.
func (c *copies) arrange() {
	l := c.engine.layouts.now()
	cost := func(s *copyState) uint64 {
		n := uint64(bits.Len64(uint64(c.engine.latency(s.piece.Volume)/latencyClass))) << 32
		if l.leaving[s.piece.Volume] {
			n |= 1 << 40
		}
		if !c.engine.readable(s.piece.Volume) {
			n |= 1 << 41
		}
		return n | uint64(rand.Uint32())
	}
	var room [meta.MaxReplicas]uint64
	costs := room[:0]
	for i := range c.list {
		costs = append(costs, cost(&c.list[i]))
		for j := i; j > 0 && costs[j] < costs[j-1]; j-- {
			costs[j], costs[j-1] = costs[j-1], costs[j]
			c.list[j], c.list[j-1] = c.list[j-1], c.list[j]
		}
	}
}

// latencyClass is what two volumes may differ by and still count as equally fast;
// above it they do as long as one takes less than twice the other's time.
const latencyClass = time.Millisecond

// open opens a copy at the next byte.
func (c *copies) open() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if len(c.list) == 1 {
		return c.openOnly()
	}
	for {
		order := c.untried()
		if len(order) == 0 {
			return c.exhausted()
		}
		done, err := c.race(order)
		if done || err != nil {
			return err
		}
	}
}

// openOnly opens the only copy there is: nothing is gained by watching it.
func (c *copies) openOnly() error {
	s := &c.list[0]
	if s.failedAt == c.pos {
		return s.err
	}
	blob, err := c.engine.openPiece(c.ctx, s.piece, c.pos, c.end-c.pos)
	if err != nil {
		c.miss(0, err)
		return err
	}
	c.reading = opened{blob: blob}
	return nil
}

// untried returns the copies to be tried at the next byte, best first: those that
// did not fail at it, and then those that only took too long, for once more.
func (c *copies) untried() []int {
	order := make([]int, 0, len(c.list))
	for i := range c.list {
		s := &c.list[i]
		if s.failedAt != c.pos {
			s.silent, s.awaited = false, false
		}
		if s.failedAt != c.pos || s.silent && !s.awaited {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return c.list[a].rank() - c.list[b].rank() })
	return order
}

// rank orders the copies that are tried.
func (s *copyState) rank() int {
	if s.silent {
		return math.MaxInt32
	}
	return min(s.trouble, math.MaxInt32-1)
}

// miss notes that a copy does not give the next byte.
func (c *copies) miss(i int, err error) {
	s := &c.list[i]
	s.trouble++
	s.failedAt, s.err = c.pos, err
	s.silent = errors.Is(err, errSilence)
	if c.ctx.Err() == nil && errors.Is(err, volume.ErrCorrupt) {
		c.engine.suspects.report(c.from, s.piece)
	}
}

// exhausted is the error when no copy gives the next byte.
func (c *copies) exhausted() error {
	errs := make([]error, len(c.list))
	for i := range c.list {
		errs[i] = c.list[i].err
	}
	return errors.Join(errs...)
}

// ready makes sure that a copy is open.
func (c *copies) ready() error {
	if c.reading.blob != nil {
		return nil
	}
	return c.open()
}

// turn gives up the copy that is read for an error of it, or for its end before
// the end of the run.
func (c *copies) turn(err error) {
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: volume %d: blob %s is %d bytes short",
			volume.ErrCorrupt, c.piece().Volume, volume.BlobID(c.piece().Blob), c.end-c.pos)
	}
	i, watch := c.reading.copy, c.reading.watch
	_ = c.Close() // it has failed already
	c.miss(i, watch.explain(err))
}

// got counts bytes of the copy that is read. One that was waited for must not be
// silent again.
func (c *copies) got(n int) {
	c.pos += int64(n)
	if s := &c.list[c.reading.copy]; s.awaited && n > 0 {
		s.awaited = false
		c.reading.watch.within(c.engine.patience.stall)
	}
}

func (c *copies) piece() meta.Piece { return c.list[c.reading.copy].piece }

// Read implements io.Reader.
func (c *copies) Read(p []byte) (int, error) {
	for c.pos < c.end {
		if err := c.ready(); err != nil {
			return 0, err
		}
		c.reading.watch.arm()
		n, err := c.reading.blob.Read(p[:min(int64(len(p)), c.end-c.pos)])
		c.reading.watch.disarm()
		c.got(n)
		if err != nil && c.pos < c.end {
			c.turn(err)
		}
		if n > 0 || err == nil {
			return n, nil
		}
	}
	return 0, io.EOF
}

// WriteTo implements io.WriterTo. Each copy writes itself, as far as it goes.
func (c *copies) WriteTo(w io.Writer) (int64, error) {
	begin := c.pos
	c.w, c.failed = w, nil
	for c.pos < c.end {
		if err := c.ready(); err != nil {
			return c.pos - begin, err
		}
		c.reading.watch.arm()
		_, err := io.Copy((*copySink)(c), c.reading.blob)
		c.reading.watch.disarm()
		if c.failed != nil {
			return c.pos - begin, c.failed
		}
		if c.pos < c.end {
			c.turn(err)
		}
	}
	return c.pos - begin, nil
}

// copySink passes on what a copy writes. Its volume is not waited for while the
// writer is.
type copySink copies

func (s *copySink) Write(p []byte) (int, error) {
	if int64(len(p)) > s.end-s.pos {
		return 0, fmt.Errorf("%w: a blob gives more bytes than it was asked for", volume.ErrCorrupt)
	}
	s.reading.watch.disarm()
	n, err := s.w.Write(p)
	(*copies)(s).got(n)
	s.reading.watch.arm()
	if err != nil {
		s.failed = err
	}
	return n, err
}

// Close closes what is open.
func (c *copies) Close() error {
	r := c.reading
	c.reading = opened{}
	if r.blob == nil {
		return nil
	}
	err := r.blob.Close()
	r.watch.stop()
	return err
}

// openPiece opens a run of bytes of a piece.
func (e *Engine) openPiece(ctx context.Context, piece meta.Piece, offset, length int64) (io.ReadCloser, error) {
	id := volume.BlobID(piece.Blob)
	blobs, err := e.volume(ctx, piece.Volume)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	blob, err := blobs.Get(ctx, id, offset, length)
	if err != nil {
		return nil, fmt.Errorf("volume %d: blob %s: %w", piece.Volume, id, e.unopened(piece, began, err))
	}
	return blob, nil
}

package erasure

import (
	"errors"
	"fmt"
	"io"
)

// Open opens length bytes of a shard from offset. What it returns gives exactly
// these bytes or an error.
type Open func(shard int, offset, length int64) (io.ReadCloser, error)

// ErrTooFewShards is returned, wrapped, where fewer shards can be read than the
// code needs; it wraps what was wrong with those that can not.
var ErrTooFewShards = errors.New("too few shards can be read")

// Reader reads a range of a body. It reads data shards where it can, and only
// those that the range touches; from the first failure of one on it computes what
// that one held from k others. It is used by one goroutine.
type Reader struct {
	coder *Coder
	open  Open
	size  int64 // of the body
	next  int64 // first byte of the body not yet returned
	end   int64 // of the range

	shards []shard
	buf    []byte // the units of the stripe at hand
	ready  []byte // bytes of the body that are in buf and not yet returned
	failed error  // what was wrong with shards that failed, joined
}

// shard is where the reader is in one shard.
type shard struct {
	body   io.ReadCloser // nil: not open
	offset int64         // of body's next byte in the shard
	broken bool          // not to be tried again
}

// NewReader returns a reader of length bytes from offset of a body of size
// bytes; the range must lie within it. Shards are opened as they are needed.
func (c *Coder) NewReader(size, offset, length int64, open Open) *Reader {
	return &Reader{coder: c, open: open, size: size, next: offset, end: offset + length, shards: make([]shard, c.Shards())}
}

// Failures returns what was wrong with the shards that could not be read, by
// shard; the body can be right all the same.
func (r *Reader) Failures() []int {
	var broken []int
	for i := range r.shards {
		if r.shards[i].broken {
			broken = append(broken, i)
		}
	}
	return broken
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// WriteTo implements io.WriterTo, without a copy of its own.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
		n, err := w.Write(r.ready)
		total += int64(n)
		r.ready = r.ready[n:]
		if err != nil {
			return total, err
		}
	}
}

// Close closes the shards that are open.
func (r *Reader) Close() error {
	var errs []error
	for i := range r.shards {
		errs = append(errs, r.shards[i].close())
	}
	r.next, r.ready = r.end, nil
	return errors.Join(errs...)
}

func (s *shard) close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}

// fill makes sure that bytes are ready; io.EOF at the end of the range.
func (r *Reader) fill() error {
	for len(r.ready) == 0 {
		if r.next >= r.end {
			return io.EOF
		}
		if err := r.loadStripe(); err != nil {
			return err
		}
	}
	return nil
}

// loadStripe reads what the range needs of the stripe that holds r.next.
func (r *Reader) loadStripe() error {
	c := r.coder
	number := r.next / c.stripe()
	start := number * c.stripe() // of the stripe in the body
	held := min(c.stripe(), r.size-start)
	u := c.unit(held)
	from, to := r.next-start, min(held, r.end-start)
	if r.buf == nil {
		r.buf = make([]byte, c.Shards()*Unit)
	}
	units := make([][]byte, c.Shards())
	for i := range units {
		units[i] = r.buf[int64(i)*u : int64(i+1)*u : int64(i+1)*u]
	}
	got := make([]bool, c.Shards())
	whole := true
	for i := from / u; i < int64(c.Data) && i*u < to; i++ {
		got[i] = r.readUnit(int(i), number, units[i])
		whole = whole && got[i]
	}
	if !whole {
		if err := r.restore(number, units, got); err != nil {
			return err
		}
	}
	r.ready = r.buf[from:to]
	r.next = start + to
	return nil
}

// restore reads as many units more as the code needs and computes the missing
// data units.
func (r *Reader) restore(number int64, units [][]byte, got []bool) error {
	have := 0
	for _, ok := range got {
		if ok {
			have++
		}
	}
	for i := 0; i < len(units) && have < r.coder.Data; i++ {
		if !got[i] && r.readUnit(i, number, units[i]) {
			got[i] = true
			have++
		}
	}
	if have < r.coder.Data {
		return fmt.Errorf("%w: %d of %d, %s needs %d: %w", ErrTooFewShards, have, len(units), r.coder.Scheme, r.coder.Data, r.failed)
	}
	for i := range units {
		if !got[i] {
			units[i] = units[i][:0] // its capacity is where the result goes
		}
	}
	if err := r.coder.code.ReconstructData(units); err != nil {
		return fmt.Errorf("erasure code %s: %w", r.coder.Scheme, err)
	}
	return nil
}

// readUnit reads one unit of a shard and reports whether it could. A shard that
// fails is not tried again.
func (r *Reader) readUnit(i int, number int64, unit []byte) bool {
	s := &r.shards[i]
	if s.broken {
		return false
	}
	err := r.seek(s, i, number*Unit)
	if err == nil {
		_, err = io.ReadFull(s.body, unit)
	}
	if err == nil {
		s.offset += int64(len(unit))
		return true
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	s.broken = true
	r.failed = errors.Join(r.failed, fmt.Errorf("shard %d: %w", i, err))
	_ = s.close() // it has failed already
	return false
}

// seek opens a shard at offset, to the end of what the range can need of it,
// unless it is open there.
func (r *Reader) seek(s *shard, i int, offset int64) error {
	if s.body != nil && s.offset == offset {
		return nil
	}
	if err := s.close(); err != nil {
		return err
	}
	body, err := r.open(i, offset, r.shardEnd()-offset)
	if err != nil {
		return err
	}
	s.body, s.offset = body, offset
	return nil
}

// shardEnd is the offset in every shard behind which the range needs nothing.
func (r *Reader) shardEnd() int64 {
	stripes := (r.end + r.coder.stripe() - 1) / r.coder.stripe()
	return min(stripes*Unit, r.coder.ShardSize(r.size))
}

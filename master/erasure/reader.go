package erasure

import (
	"context"
	"errors"
	"io"
)

// Reader reads a range of a body. It reads the data shards that the range touches,
// all at once and a stripe ahead; where one of them fails, or takes longer than it
// should, it computes what that one holds from k others. A shard that failed is
// asked again, for what is behind the bad unit, only where no other is left. It is
// used by one goroutine.
type Reader struct {
	coder  *Coder
	shards *gatherer
	size   int64 // of the body
	begin  int64 // of the range
	next   int64 // first byte of the body that was not gathered yet
	end    int64 // of the range

	required []bool   // which shards restore computes
	ready    [][]byte // what was gathered and not yet returned
}

// NewReader returns a reader of length bytes from offset of a body of size
// bytes; the range must lie within it. Shards are opened as they are needed. The
// reader obeys ctx and must be closed.
func (c *Coder) NewReader(ctx context.Context, size, offset, length int64, open Open, patience Patience) *Reader {
	r := &Reader{coder: c, size: size, begin: offset, next: offset, end: offset + length, required: make([]bool, c.Shards())}
	r.shards = c.newGatherer(ctx, open, patience)
	r.shards.columns, r.shards.until = r.columns, r.until
	return r
}

// Prepare reads until the first bytes of the range are there, so that what can not
// be read at all is found before anything is done with it.
func (r *Reader) Prepare() error {
	if err := r.fill(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.ready[0])
	r.taken(n)
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
		n, err := w.Write(r.ready[0])
		total += int64(n)
		r.taken(n)
		if err != nil {
			return total, err
		}
	}
}

func (r *Reader) taken(n int) {
	if r.ready[0] = r.ready[0][n:]; len(r.ready[0]) == 0 {
		r.ready = r.ready[1:]
	}
}

// Close ends the reading of all shards. It does not wait for one that hangs, which
// is closed once it hears.
func (r *Reader) Close() error {
	r.next, r.ready = r.end, nil
	r.shards.close()
	return nil
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

// unit is the length of the units of a stripe.
func (r *Reader) unit(number int64) int64 {
	return r.coder.unit(min(r.coder.stripe(), r.size-number*r.coder.stripe()))
}

// span is what the range touches of a stripe, in bytes from the stripe's start.
func (r *Reader) span(number int64) (from, to int64) {
	start := number * r.coder.stripe()
	return max(r.begin-start, 0), min(r.end-start, r.coder.stripe())
}

// wanted returns the data units that the range touches of a stripe.
func (r *Reader) wanted(number int64) stripe {
	from, to := r.span(number)
	u := r.unit(number)
	return stripe{number: number, first: int(from / u), last: int((to - 1) / u)}
}

// columns returns what is read of each unit of a stripe: less than the whole
// where the range lies in one unit.
func (r *Reader) columns(number int64) (lo, hi int64) {
	u := r.unit(number)
	if r.end-r.begin <= u {
		if from, to := r.span(number); to == r.end-number*r.coder.stripe() && from/u == (to-1)/u && r.begin >= number*r.coder.stripe() {
			return from % u, (to-1)%u + 1
		}
	}
	return 0, u
}

// until is the stripe behind the last that a shard should be opened for from
// number on: it is wanted so far, or it is needed in place of another.
func (r *Reader) until(shard int, number int64) int64 {
	last := (r.end - 1) / r.coder.stripe()
	if s := r.wanted(number); last > number && s.wanted(shard) {
		if s = r.wanted(last); !s.wanted(shard) {
			return last
		}
	}
	return last + 1
}

// loadStripe gathers what the range wants of the stripe that holds r.next.
func (r *Reader) loadStripe() error {
	number := r.next / r.coder.stripe()
	s := r.wanted(number)
	if err := r.shards.gather(s); err != nil {
		return err
	}
	for i := range r.required {
		r.required[i] = s.wanted(i)
	}
	units, err := r.shards.restore(number, r.required)
	if err != nil {
		return err
	}
	from, to := r.span(number)
	u := r.unit(number)
	lo, _ := r.columns(number)
	for i := s.first; i <= s.last; i++ {
		start := int64(i)*u + lo // of what was read of the unit
		r.ready = append(r.ready, units[i][max(from-start, 0):min(to-start, int64(len(units[i])))])
	}
	r.next = number*r.coder.stripe() + to
	return nil
}

package erasure

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/reedsolomon"
)

// Unit is the length of a shard's share of a full stripe, in bytes.
const Unit = 64 << 10

// MaxShards bounds the shards of a scheme, data and parity together.
const MaxShards = 64

// Scheme is a code of Data+Parity shards, any Data of which give the body.
type Scheme struct {
	Data   int
	Parity int
}

// String writes the scheme as "4+2".
func (s Scheme) String() string { return fmt.Sprintf("%d+%d", s.Data, s.Parity) }

// Shards is the number of shards.
func (s Scheme) Shards() int { return s.Data + s.Parity }

// ErrScheme is returned, wrapped, for a scheme that is none.
var ErrScheme = errors.New("invalid erasure code")

// Validate refuses schemes without data or parity shards, or with too many.
func (s Scheme) Validate() error {
	if s.Data < 1 || s.Parity < 1 || s.Data > MaxShards || s.Parity > MaxShards || s.Shards() > MaxShards {
		return fmt.Errorf("%w %s: want at least one data and one parity shard, and at most %d in all", ErrScheme, s, MaxShards)
	}
	return nil
}

// stripe is the number of body bytes in a full stripe.
func (s Scheme) stripe() int64 { return int64(s.Data) * Unit }

// ShardSize returns the length of each shard of a body of size bytes.
func (s Scheme) ShardSize(size int64) int64 {
	full, rest := size/s.stripe(), size%s.stripe()
	return full*Unit + s.unit(rest)
}

// unit is the length of the units of a stripe that holds n bytes of the body.
func (s Scheme) unit(n int64) int64 { return (n + int64(s.Data) - 1) / int64(s.Data) }

// Coder encodes and decodes by one scheme. It is safe for concurrent use.
type Coder struct {
	Scheme
	code    reedsolomon.Encoder
	blocks  sync.Pool // of block
	stripes sync.Pool // of *[]byte, for a stripe and its parity
}

// NewCoder returns the coder of a valid scheme.
func NewCoder(s Scheme) (*Coder, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	code, err := reedsolomon.New(s.Data, s.Parity)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrScheme, s, err)
	}
	return &Coder{Scheme: s, code: code}, nil
}

// Encode reads body to io.EOF and hands on the units of each stripe in order,
// one for each shard, all of one length. They are valid until put returns, and
// for good where it returns an error. An error of body or of put ends it and is
// returned as it is. size is the length of what was read.
func (c *Coder) Encode(body io.Reader, put func(units [][]byte) error) (size int64, err error) {
	room, ok := c.stripes.Get().(*[]byte)
	if !ok {
		b := make([]byte, c.Shards()*Unit)
		room = &b
	}
	size, putting, err := c.encode(body, *room, put)
	if !putting { // else somebody may still look at it
		c.stripes.Put(room)
	}
	return size, err
}

// encode is Encode with the memory for a stripe. putting reports that the error
// is one of put.
func (c *Coder) encode(body io.Reader, buf []byte, put func(units [][]byte) error) (size int64, putting bool, err error) {
	units := make([][]byte, c.Shards())
	for {
		n, err := io.ReadFull(body, buf[:c.stripe()])
		size += int64(n)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return size, false, err
		}
		if n > 0 {
			u := int(c.unit(int64(n)))
			clear(buf[n : c.Data*u])
			for i := range units {
				units[i] = buf[i*u : (i+1)*u]
			}
			if err := c.code.Encode(units); err != nil {
				return size, false, fmt.Errorf("erasure code %s: %w", c.Scheme, err)
			}
			if err := put(units); err != nil {
				return size, true, err
			}
		}
		if last {
			return size, false, nil
		}
	}
}

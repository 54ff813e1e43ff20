package volume

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// requests keeps requests for one record; they are used and gone in a moment.
type requests struct{ pool sync.Pool }

func (p *requests) get() *request {
	if r, ok := p.pool.Get().(*request); ok {
		return r
	}
	return newRequest()
}

func (p *requests) put(r *request) {
	r.items, r.one[0], r.err = nil, item{}, nil
	p.pool.Put(r)
}

// Put implements Blobs.
func (s *Store) Put(ctx context.Context, id BlobID, size int64, r io.Reader, desc Descriptor) error {
	if err := s.put(ctx, id, size, r, desc); err != nil {
		return fmt.Errorf("put blob %s: %w", id, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, id BlobID, size int64, r io.Reader, desc Descriptor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if id == (BlobID{}) || size < -1 || size > maxLargePayload {
		return fmt.Errorf("%w: id zero or size %d", ErrInvalid, size)
	}
	if err := s.failure(); err != nil {
		return err
	}
	room, err := s.admit(id, max(size, 0))
	if err != nil {
		return err
	}
	b := &body{ctx: ctx, r: r, id: id, size: size, room: room}
	defer b.room.settle()
	if !s.index.reserve(id) {
		return ErrExists
	}
	if size > s.cfg.SmallLimit {
		err = s.putLarge(b, nil, 0, desc)
	} else {
		err = s.putSmall(b, desc)
	}
	if err != nil {
		s.index.release(id)
	}
	return err
}

// putSmall gathers a payload in memory, in the form that it has on disk, and
// appends it to the log. A payload of unknown size that turns out to be too
// long goes on as a large one; so does one that there is no memory for.
func (s *Store) putSmall(b *body, desc Descriptor) error {
	guess := b.size
	if guess < 0 {
		guess = min(BlockSize, s.cfg.SmallLimit)
	}
	const roomForDescriptor = 512 // most are shorter; else the buffer grows
	buf := s.bufs.offer(int(recordLen(guess, roomForDescriptor)), s.cfg.WriteBudget)
	if buf == nil {
		return s.putLarge(b, nil, 0, desc)
	}
	defer func() { s.bufs.put(buf) }()
	used := headerLen
	for !b.done {
		if room := used + int(s.nextBlock(b)); room > len(buf.b) {
			larger := s.bufs.offer(room, s.cfg.WriteBudget)
			if larger == nil {
				begun := buf
				buf = nil
				return s.putLarge(b, begun, used, desc)
			}
			s.bufs.move(larger, buf, used)
			buf = larger
		}
		n, err := b.next(buf.b[used:])
		if err != nil {
			return err
		}
		used += n
		if b.n > s.cfg.SmallLimit {
			begun := buf
			buf = nil
			return s.putLarge(b, begun, used, desc)
		}
	}
	d, err := b.describe(desc)
	if err != nil {
		return err
	}
	length := int(recordLen(b.n, int64(len(d))))
	buf = s.bufs.grow(buf, used, length)
	finishRecord(buf.b[:length], used, b.id, d)

	req := s.requests.get()
	defer s.requests.put(req)
	it := req.single()
	it.kind, it.id, it.payload, it.desc = kindBlob, b.id, uint64(b.n), uint32(len(d))
	it.created, it.buf = s.cfg.Clock().UnixNano(), buf.b[:length]
	return s.commit(req)
}

// nextBlock returns the room that the next block and its sum may need.
func (s *Store) nextBlock(b *body) int64 {
	if b.size >= 0 {
		return min(BlockSize, b.size-b.n) + sumLen
	}
	return BlockSize + sumLen
}

// finishRecord puts the descriptor, its sum and the padding behind the used
// bytes of a record.
func finishRecord(b []byte, used int, id BlobID, desc []byte) {
	end := used + copy(b[used:], desc)
	putSum(b, end, id, descriptorBlock, desc)
	clear(b[end+sumLen:])
}

// commit appends to the log, unless the store is closed.
func (s *Store) commit(r *request) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.journal.commit(r)
}

package volumetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tdkvs/volume"
)

// Mem is a volume.Blobs in memory, for tests of what lies above a store. It
// keeps the whole contract except durability. The zero value is not usable.
type Mem struct {
	mu       sync.Mutex // owns everything below
	identity volume.Identity
	blobs    map[volume.BlobID]*memBlob
	capacity int64
	readOnly string
	syncs    uint64
	writes   uint64
	badReads uint64
	run      uint64
	damaged  uint64 // number of the newest of found
	found    []volume.Damage
}

// memBlob is immutable but for Corrupt and CorruptDescriptor, which replace it.
type memBlob struct {
	info    volume.Info
	data    []byte
	crcs    []uint32
	badDesc bool
}

var _ volume.Blobs = (*Mem)(nil)

// NewMem returns an empty, unclaimed store with a volume id of its own.
func NewMem() *Mem {
	return &Mem{
		identity: volume.Identity{Volume: randomUUID()},
		blobs:    map[volume.BlobID]*memBlob{},
		capacity: math.MaxInt64,
		run:      rand.Uint64(),
	}
}

// SetCapacity bounds the payload bytes it holds; beyond, Put is ErrNoSpace.
func (m *Mem) SetCapacity(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}

// SetReadOnly makes all writes fail with ErrReadOnly, for the reason given.
func (m *Mem) SetReadOnly(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readOnly = reason
}

// Corrupt flips a bit of a stored payload byte. It reports whether there is one.
func (m *Mem) Corrupt(id volume.BlobID, offset int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blobs[id]
	if b == nil || offset < 0 || offset >= b.info.Size {
		return false
	}
	bad := &memBlob{info: b.info, data: bytes.Clone(b.data), crcs: b.crcs, badDesc: b.badDesc}
	bad.data[offset] ^= 1
	m.blobs[id] = bad
	return true
}

// Put implements volume.Blobs.
func (m *Mem) Put(ctx context.Context, id volume.BlobID, size int64, body io.Reader, desc volume.Descriptor) error {
	if err := m.writable(id); err != nil {
		return err
	}
	data, err := readBody(ctx, size, body)
	if err != nil {
		return fmt.Errorf("put %s: %w", id, err)
	}
	descriptor, err := desc()
	if err != nil {
		return fmt.Errorf("put %s: descriptor: %w", id, err)
	}
	if len(descriptor) > volume.MaxDescriptor {
		return fmt.Errorf("put %s: descriptor of %d bytes: %w", id, len(descriptor), volume.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.store(id, data, bytes.Clone(descriptor))
}

func (m *Mem) writable(id volume.BlobID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.blobs[id] != nil:
		return fmt.Errorf("put %s: %w", id, volume.ErrExists)
	case m.readOnly != "":
		return fmt.Errorf("put %s: %w: %s", id, volume.ErrReadOnly, m.readOnly)
	}
	return nil
}

func (m *Mem) store(id volume.BlobID, data, descriptor []byte) error {
	b := &memBlob{
		info: volume.Info{ID: id, Size: int64(len(data)), Created: time.Now().UTC(), Descriptor: descriptor},
		data: data,
	}
	for block := range slices.Chunk(data, volume.BlockSize) {
		b.crcs = append(b.crcs, volume.BlockCRC(id, uint32(len(b.crcs)), block))
	}
	if err := m.writable(id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs[id] != nil {
		return fmt.Errorf("put %s: %w", id, volume.ErrExists)
	}
	if b.info.Size > m.capacity-m.bytes() {
		return fmt.Errorf("put %s: %w", id, volume.ErrNoSpace)
	}
	m.blobs[id] = b
	m.syncs++
	m.writes++
	return nil
}

func readBody(ctx context.Context, size int64, body io.Reader) ([]byte, error) {
	var data bytes.Buffer
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := io.CopyN(&data, body, volume.BlockSize)
		if size >= 0 && int64(data.Len()) > size {
			return nil, fmt.Errorf("body longer than %d bytes: %w", size, volume.ErrInvalid)
		}
		if errors.Is(err, io.EOF) && n < volume.BlockSize {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if size >= 0 && int64(data.Len()) < size {
		return nil, fmt.Errorf("body of %d bytes, want %d: %w", data.Len(), size, io.ErrUnexpectedEOF)
	}
	return data.Bytes(), nil
}

func (m *Mem) find(ctx context.Context, id volume.BlobID) (*memBlob, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blobs[id]
	if b == nil {
		return nil, fmt.Errorf("blob %s: %w", id, volume.ErrNotFound)
	}
	return b, nil
}

// Get implements volume.Blobs.
func (m *Mem) Get(ctx context.Context, id volume.BlobID, offset, length int64) (io.ReadCloser, error) {
	b, err := m.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if length == -1 {
		length = b.info.Size - offset
	}
	if offset < 0 || length < 0 || offset > b.info.Size || length > b.info.Size-offset {
		return nil, fmt.Errorf("blob %s: range %d+%d of %d bytes: %w", id, offset, length, b.info.Size, volume.ErrInvalid)
	}
	return &memReader{mem: m, ctx: ctx, blob: b, pos: offset, end: offset + length}, nil
}

// Open implements volume.Blobs.
func (m *Mem) Open(ctx context.Context, id volume.BlobID, offset, length int64) (volume.Info, io.ReadCloser, error) {
	r, err := m.Get(ctx, id, offset, length)
	if err != nil {
		return volume.Info{}, nil, err
	}
	info := r.(*memReader).blob.info // the blob may be gone already
	info.Descriptor = bytes.Clone(info.Descriptor)
	return info, r, nil
}

// Stat implements volume.Blobs.
func (m *Mem) Stat(ctx context.Context, id volume.BlobID) (volume.Info, error) {
	b, err := m.find(ctx, id)
	if err != nil {
		return volume.Info{}, err
	}
	if b.badDesc {
		return volume.Info{}, m.corrupt(id, "descriptor")
	}
	info := b.info
	info.Descriptor = bytes.Clone(info.Descriptor)
	return info, nil
}

// Delete implements volume.Blobs.
func (m *Mem) Delete(ctx context.Context, ids []volume.BlobID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readOnly != "" {
		return fmt.Errorf("delete: %w: %s", volume.ErrReadOnly, m.readOnly)
	}
	for _, id := range ids {
		if m.blobs[id] != nil {
			delete(m.blobs, id)
			m.writes++
		}
	}
	m.syncs++
	return nil
}

// List implements volume.Blobs.
func (m *Mem) List(ctx context.Context, after volume.BlobID, limit int) ([]volume.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := slices.DeleteFunc(slices.Collect(maps.Keys(m.blobs)), func(id volume.BlobID) bool {
		return bytes.Compare(id[:], after[:]) <= 0 || id.Metadata() && !after.Metadata()
	})
	slices.SortFunc(ids, func(a, b volume.BlobID) int { return bytes.Compare(a[:], b[:]) })
	ids = ids[:min(len(ids), max(0, limit))]
	infos := make([]volume.Info, len(ids))
	for i, id := range ids {
		infos[i] = m.blobs[id].info
		infos[i].Descriptor = nil
	}
	return infos, nil
}

// Verify implements volume.Blobs.
func (m *Mem) Verify(ctx context.Context, id volume.BlobID) error {
	if _, err := m.Stat(ctx, id); err != nil {
		return err
	}
	r, err := m.Get(ctx, id, 0, -1)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return cmp.Or(err, r.Close())
}

// Status implements volume.Blobs.
func (m *Mem) Status(ctx context.Context) (volume.Status, error) {
	if err := ctx.Err(); err != nil {
		return volume.Status{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	used, metadata := m.bytes(), m.metadata()
	return volume.Status{
		Identity:     m.identity,
		Blobs:        int64(len(m.blobs)) - metadata.Blobs,
		Bytes:        used - metadata.Bytes,
		Metadata:     metadata,
		Capacity:     uint64(m.capacity),
		Free:         uint64(max(0, m.capacity-used)),
		Full:         used >= m.capacity,
		ReadOnly:     m.readOnly,
		Syncs:        m.syncs,
		Writes:       m.writes,
		CorruptReads: m.badReads,
		Run:          m.run,
		Damaged:      m.damaged,
	}, nil
}

func (m *Mem) bytes() int64 {
	var sum int64
	for _, b := range m.blobs {
		sum += b.info.Size
	}
	return sum
}

func (m *Mem) metadata() (h volume.Held) {
	for id, b := range m.blobs {
		if id.Metadata() {
			h.Blobs++
			h.Bytes += b.info.Size
		}
	}
	return h
}

// Claim implements volume.Blobs.
func (m *Mem) Claim(ctx context.Context, cluster string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case cluster == "":
		return fmt.Errorf("claim without a cluster: %w", volume.ErrInvalid)
	case m.identity.Cluster != "" && m.identity.Cluster != cluster:
		return fmt.Errorf("claimed by cluster %s: %w", m.identity.Cluster, volume.ErrWrongVolume)
	}
	m.identity.Cluster = cluster
	return nil
}

// memReader hands out verified blocks of a blob that it holds on to.
type memReader struct {
	mem      *Mem
	ctx      context.Context
	blob     *memBlob
	pos, end int64
	closed   bool
}

// next returns what is left of the block at pos.
func (r *memReader) next() ([]byte, error) {
	if r.closed {
		return nil, fmt.Errorf("read after Close: %w", volume.ErrInvalid)
	}
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	if r.pos >= r.end {
		return nil, io.EOF
	}
	index := r.pos / volume.BlockSize
	first := index * volume.BlockSize
	block := r.blob.data[first:min(first+volume.BlockSize, r.blob.info.Size)]
	if volume.BlockCRC(r.blob.info.ID, uint32(index), block) != r.blob.crcs[index] {
		return nil, r.mem.corrupt(r.blob.info.ID, fmt.Sprintf("block %d", index))
	}
	return block[r.pos-first : min(int64(len(block)), r.end-first)], nil
}

func (r *memReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	block, err := r.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, block)
	r.pos += int64(n)
	return n, nil
}

func (r *memReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		block, err := r.next()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(block)
		r.pos += int64(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

func (r *memReader) Close() error {
	r.closed = true
	return nil
}

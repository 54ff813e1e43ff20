package master

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/volume"
)

// DefaultMemory is what the bodies of all writes may take, and those of all reads,
// in bytes.
const DefaultMemory = 48 << 20

// shareWait is how long a request waits for its share of the memory.
const shareWait = 30 * time.Second

// shares are the memory for the bodies of requests of one kind, reads or writes.
// A request that moves a body takes a share before it touches it, as large as it
// may come to need, and waits where there is none: in the order of their coming,
// so that a large one is not passed by for ever.
//
// A read that feeds a write, as in a copy, holds a share of the one kind while it
// waits for one of the other. Whoever holds one for writing waits for no share at
// all, and a read takes one once, at its beginning: so no two ever wait for each
// other.
type shares struct {
	all      *semaphore.Weighted
	size     int64
	patience time.Duration

	used, waiting   atomic.Int64
	waits, refusals atomic.Uint64
}

// ShareStats is how the memory for the bodies of reads or writes is used.
type ShareStats struct {
	Size, Used int64  // bytes
	Waiting    int64  // requests that wait for a share now
	Waits      uint64 // requests that had to wait, since the start
	Refusals   uint64 // of these, requests that were told to come again
}

func (s *shares) stats() ShareStats {
	return ShareStats{Size: s.size, Used: s.used.Load(), Waiting: s.waiting.Load(), Waits: s.waits.Load(), Refusals: s.refusals.Load()}
}

// newShares returns the shares of size bytes; 0 is DefaultMemory.
func newShares(size int64) *shares {
	if size <= 0 {
		size = DefaultMemory
	}
	return &shares{all: semaphore.NewWeighted(size), size: size, patience: shareWait}
}

// take takes a share of n bytes, or all there is where that is less. What was
// taken goes to give.
func (s *shares) take(ctx context.Context, n int64) (int64, error) {
	n = min(n, s.size)
	if s.all.TryAcquire(n) {
		s.used.Add(n)
		return n, nil
	}
	s.waits.Add(1)
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	waiting, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	switch err := s.all.Acquire(waiting, n); {
	case err == nil:
		s.used.Add(n)
		return n, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	default:
		s.refusals.Add(1)
		return 0, &meta.Error{Kind: meta.KindBusy, Err: fmt.Errorf("no memory for %d bytes of a body within %s: %w", n, s.patience, errCrowd)}
	}
}

// errCrowd says that other requests have all the memory.
var errCrowd = errors.New("others have taken all of it")

// give gives a share back.
func (s *shares) give(n int64) {
	s.used.Add(-n)
	s.all.Release(n)
}

// What is needed on the way to or from one volume, in bytes, beside what budgets
// bound: a block, in a frame or on its way to a file, and the buffers of a connection.
const (
	pieceWriteMemory = 112 << 10
	pieceReadMemory  = 96 << 10
	bodyMemory       = 64 << 10 // where a body comes from: digests
	shortMemory      = 16 << 10 // for what is shorter than a block, beside its length
)

// writeMemory is the most that a body takes on its way to where it is kept.
func writeMemory(keep redundancy, size int64) int64 {
	if 0 <= size && size <= chunkSize {
		return chunkSize + int64(keep.pieces())*(size+shortMemory)
	}
	need := int64(bodyMemory) + int64(keep.pieces())*pieceWriteMemory
	switch {
	case keep.code != (meta.Code{}):
		need += int64(keep.code.Shards()) * erasure.Unit
	case keep.copies > 1:
		need += minChunks * chunkSize
	}
	return need
}

// readMemory is the most that a run of bytes of an extent takes on its way out.
func readMemory(code meta.Code, length int64) int64 {
	switch {
	case code != (meta.Code{}):
		return int64(code.Data) * (pieceReadMemory + readAheadUnits*erasure.Unit)
	case length <= volume.BlockSize/2:
		return 2*length + shortMemory
	}
	return pieceReadMemory
}

// readAheadUnits is how many units of a shard are in memory while it is read.
const readAheadUnits = 2

package master

import (
	"context"
	"errors"
	"sync"
	"time"

	"tdkvs/volume"
)

const (
	// chunkSize is the length of the runs in which a body goes to several volumes:
	// a block, which they verify and write at once.
	chunkSize = volume.BlockSize
	// A write to several volumes has two chunks in any case, and up to maxChunks
	// while there is memory: they even out how fast the volumes are.
	minChunks   = 2
	maxChunks   = 6
	chunkBudget = 16 << 20 // bytes, for those beyond minChunks of all writes together
)

// Defaults of writes.
const (
	// stallLimit is how long a volume may take for the next part of a body while
	// enough others wait for it.
	stallLimit = 2 * time.Second
	// lateGrace is how long the last copies are waited for once enough are durable.
	lateGrace = 250 * time.Millisecond
)

// writes is what all writes to several volumes share.
type writes struct {
	stall, late time.Duration // stallLimit and lateGrace, but for tests
	pool        sync.Pool     // of *chunk
	budget      *volume.Budget
}

func newWrites() *writes {
	return &writes{stall: stallLimit, late: lateGrace, budget: volume.NewBudget(chunkBudget)}
}

// chunk returns a chunk with unspecified contents.
func (w *writes) chunk() *chunk {
	if c, ok := w.pool.Get().(*chunk); ok {
		return c
	}
	return &chunk{data: make([]byte, chunkSize)}
}

// give gives back a chunk that nobody looks at any more.
func (w *writes) give(c *chunk) {
	c.free = nil
	w.pool.Put(c)
}

// worthAnother reports whether a write that has failed may succeed on another
// volume.
func worthAnother(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, volume.ErrInvalid)
}

package metadb

import (
	"context"
	"errors"
	"time"
)

// Limits every engine meets, so that any of them can stand behind the same
// master. Exceeding one is an error wrapping ErrTooLarge.
const (
	MaxValue   = 64 << 10 // bytes of one value
	MaxTxBytes = 1 << 20  // bytes of keys and values written by one transaction
	MaxTxOps   = 128      // writes of one transaction
)

// The errors of a DB, tested with errors.Is.
var (
	ErrNotFound = errors.New("metadb: no such key")
	ErrTooLarge = errors.New("metadb: transaction too large")
	ErrReadOnly = errors.New("metadb: write in a read-only transaction")
	ErrClosed   = errors.New("metadb: closed")
	ErrNoSpace  = errors.New("metadb: the disk reserve is reached")
	ErrFailed   = errors.New("metadb: an earlier write failed; the store is read-only until restart")
	ErrLocked   = errors.New("metadb: directory is in use by another process")
	ErrCorrupt  = errors.New("metadb: stored bytes are corrupt")
)

// DB is an ordered key-value store with serialisable transactions. All methods
// are safe for concurrent use.
type DB interface {
	// View runs fn over one consistent snapshot. Writes in it fail with
	// ErrReadOnly.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn and commits its writes atomically and durably: when
	// Update returns nil, they survive a power cut. When fn fails, none of its
	// writes is applied and its error is returned unchanged. fn may be run
	// more than once, so it must have no side effects and must set its results
	// anew each time.
	Update(ctx context.Context, fn func(Tx) error) error

	// Stats reports counters since start.
	Stats() Stats

	// Close ends the store after the transactions under way.
	Close() error
}

// Tx is one transaction. It is used by one goroutine and only within fn. Keys
// and values passed in may be reused by the caller after the call; slices
// handed out are valid until the transaction ends and must not be modified.
type Tx interface {
	Get(key []byte) ([]byte, error) // ErrNotFound
	Set(key, value []byte) error
	Delete(key []byte) error // a missing key is no error
	// Scan calls fn with each key in [start, end) in order, own writes of this
	// transaction included, until fn returns false or an error. A nil end
	// means the end of the key space. fn must not write.
	Scan(start, end []byte, fn func(key, value []byte) (bool, error)) error
	// Seek opens a cursor over [start, end), for listings that jump.
	Seek(start, end []byte) Cursor
}

// Cursor walks keys in order and can jump forward. Key and Value are valid
// until the next move.
type Cursor interface {
	Valid() bool
	Key() []byte
	Value() ([]byte, error)
	Next()
	// SeekTo moves forward to the first key at or above key.
	SeekTo(key []byte)
	Close() error
}

// Stats counts the work of a DB since it was opened.
type Stats struct {
	Commits uint64 // durable commits of the engine
	Updates uint64 // Update calls acknowledged; several share one commit
	// CommitLatency counts how long commits took, as latency.Histogram has it, and
	// CommitTime is their sum; nothing where the engine does not count.
	CommitLatency []uint64
	CommitTime    time.Duration
}

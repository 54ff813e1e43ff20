// Package txbudget counts what one transaction writes against the limits of
// package metadb, so that every engine draws the same line. It knows nothing of
// how a write is stored.
package txbudget

import (
	"fmt"

	"tdkvs/master/metadb"
)

// MaxKey is the longest key an engine takes, in bytes. A key beyond it is
// refused like a value beyond metadb.MaxValue.
const MaxKey = 16 << 10

// Budget is the running account of one transaction. The zero value is a fresh
// transaction. It is used by one goroutine.
type Budget struct {
	ops   int
	bytes int
	err   error
}

// Add accounts for one Set or Delete. Once a limit is passed the error sticks,
// so that a closure which overlooks it can not commit half of its writes.
func (b *Budget) Add(key, value []byte) error {
	if b.err != nil {
		return b.err
	}
	b.ops++
	b.bytes += len(key) + len(value)
	switch {
	case len(key) > MaxKey:
		b.err = fmt.Errorf("%w: key of %d bytes, limit %d", metadb.ErrTooLarge, len(key), MaxKey)
	case len(value) > metadb.MaxValue:
		b.err = fmt.Errorf("%w: value of %d bytes, limit %d", metadb.ErrTooLarge, len(value), metadb.MaxValue)
	case b.ops > metadb.MaxTxOps:
		b.err = fmt.Errorf("%w: more than %d writes", metadb.ErrTooLarge, metadb.MaxTxOps)
	case b.bytes > metadb.MaxTxBytes:
		b.err = fmt.Errorf("%w: more than %d bytes written", metadb.ErrTooLarge, metadb.MaxTxBytes)
	}
	return b.err
}

// Err returns the limit that was passed, nil while there is none.
func (b *Budget) Err() error { return b.err }

// Bytes returns the key and value bytes written so far.
func (b *Budget) Bytes() int { return b.bytes }

// Ops returns the number of writes so far.
func (b *Budget) Ops() int { return b.ops }

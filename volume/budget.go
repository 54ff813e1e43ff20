package volume

import "sync/atomic"

// DefaultBudget is the memory that payloads may be gathered in, in bytes.
const DefaultBudget = 48 << 20

// Budget bounds the memory that payloads are gathered in on their way, however
// many clients there are and however slow they are. Whoever finds it used up
// does not wait, which would let a few slow clients stop all others, but goes on
// block by block. One Budget may serve several stores. It is safe for concurrent
// use; a nil Budget refuses nothing.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of n bytes.
func NewBudget(n int64) *Budget {
	b := new(Budget)
	b.left.Store(n)
	return b
}

// Take takes n bytes, to be given back by Give, and reports whether there were
// as many.
func (b *Budget) Take(n int64) bool {
	if b == nil {
		return true
	}
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// Give gives back what Take took.
func (b *Budget) Give(n int64) {
	if b != nil {
		b.left.Add(n)
	}
}

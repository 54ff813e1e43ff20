package badgerdb

import (
	"context"
	"slices"

	"tdkvs/master/metadb"
	"tdkvs/master/metadb/internal/txbudget"
)

// snapshot reads the committed state at one moment. Slices that get returns
// hold for good.
type snapshot interface {
	get(key []byte) ([]byte, error) // metadb.ErrNotFound
	iterate(start, end []byte) iterator
	close()
}

// ctxCheckEvery is how many keys a scan goes over between looks at its context.
const ctxCheckEvery = 256

// tx is one transaction: a snapshot and, in an Update, the overlay of its batch.
// Keys of the overlay and of the snapshot are the caller's.
type tx struct {
	ctx    context.Context
	snap   snapshot
	tree   *overlay // nil in a View
	room   *txRoom  // nil in a View
	budget txbudget.Budget
	slab   slab
	open   []*cursor // to close those that the function left open
}

// txRoom is memory that the transactions of a combiner use one after the other.
type txRoom struct {
	bytes  slab    // for keys and values
	writes []write // to be handed out
	pivot  write   // see sought
	// done are the writes so far of the transaction at hand; cursors find their place
	// again when there are more.
	done []replaced
}

// replaced is what a write has taken the place of, in the overlay.
type replaced struct{ was, now *write } // was is nil: nothing was there

// begin makes room for another transaction. What the ones before have written stays.
func (m *txRoom) begin() *txRoom {
	clear(m.done)
	m.done = m.done[:0]
	return m
}

// write hands out a write.
func (m *txRoom) write() *write {
	const atOnce = 32
	if len(m.writes) == 0 {
		m.writes = make([]write, atOnce)
	}
	w := &m.writes[0]
	m.writes = m.writes[1:]
	return w
}

var _ metadb.Tx = (*tx)(nil)

func (t *tx) Get(key []byte) ([]byte, error) {
	if t.tree != nil && t.tree.Len() > 0 {
		if w, ok := t.tree.Get(t.sought(key)); ok {
			if w.deleted {
				return nil, metadb.ErrNotFound
			}
			return w.value, nil
		}
	}
	return t.snap.get(key)
}

// sought is what the overlay is asked for by a key, until it is asked for another.
func (t *tx) sought(key []byte) *write {
	p := &t.room.pivot
	p.stored = prefixed(p.stored[:0], key)
	return p
}

func (t *tx) Set(key, value []byte) error {
	return t.write(key, value, false)
}

func (t *tx) Delete(key []byte) error {
	return t.write(key, nil, true)
}

func (t *tx) write(key, value []byte, deleted bool) error {
	if t.tree == nil {
		return metadb.ErrReadOnly
	}
	if err := t.budget.Add(key, value); err != nil {
		return err
	}
	both := t.room.bytes.take(1 + len(key) + len(value))
	n := len(prefixed(both[:0], key))
	copy(both[n:], value)
	w := t.room.write()
	w.stored, w.value, w.deleted = both[:n:n], both[n:], deleted
	was, _ := t.tree.Set(w)
	t.room.done = append(t.room.done, replaced{was, w})
	return nil
}

// undo takes back all writes: the overlay is as it was.
func (t *tx) undo() {
	for _, w := range slices.Backward(t.room.done) {
		if w.was == nil {
			t.tree.Delete(w.now)
		} else {
			t.tree.Set(w.was)
		}
	}
}

func (t *tx) Scan(start, end []byte, fn func(key, value []byte) (bool, error)) error {
	c := t.seek(start, end)
	defer c.closeAndForget()
	for n := 1; c.Valid(); c.Next() {
		if n%ctxCheckEvery == 0 {
			if err := t.ctx.Err(); err != nil {
				return err
			}
		}
		n++
		v, err := c.Value()
		if err != nil {
			return err
		}
		k := c.Key()
		if !c.inOver { // the snapshot's own buffers are reused
			k, v = t.slab.keep(k), t.slab.keep(v)
		}
		if more, err := fn(k, v); err != nil || !more {
			return err
		}
	}
	return nil
}

func (t *tx) Seek(start, end []byte) metadb.Cursor { return t.seek(start, end) }

func (t *tx) seek(start, end []byte) *cursor {
	c := &cursor{tx: t}
	if end != nil {
		c.end = clone(end)
	}
	c.base = t.snap.iterate(start, c.end)
	t.open = append(t.open, c)
	c.seek(start)
	return c
}

// closeAndForget ends the newest cursor, as Scan does in order.
func (c *cursor) closeAndForget() {
	_ = c.Close() // never fails
	if n := len(c.tx.open); n > 0 && c.tx.open[n-1] == c {
		c.tx.open = c.tx.open[:n-1]
	}
}

// end closes the cursors that were left open.
func (t *tx) end() {
	for _, c := range t.open {
		_ = c.Close() // never fails
	}
	t.open = nil
}

// slab hands out copies that hold to the end of the transaction, many to one
// allocation.
type slab struct{ free []byte }

const slabSize = 8 << 10

func (s *slab) keep(b []byte) []byte {
	kept := s.take(len(b))
	copy(kept, b)
	return kept
}

// take returns n bytes with unspecified contents.
func (s *slab) take(n int) []byte {
	if n > slabSize/8 {
		return make([]byte, n)
	}
	if n > cap(s.free)-len(s.free) {
		s.free = make([]byte, 0, slabSize)
	}
	at := len(s.free)
	s.free = s.free[:at+n]
	return s.free[at : at+n : at+n]
}

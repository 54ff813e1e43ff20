package badgerdb

import (
	"hash/maphash"
	"sync"
)

// rowCache holds rows that Views have read of late, and keys that they have found
// to hold nothing: what most requests ask for is the same few rows. It is bounded
// in bytes.
//
// It never gives a snapshot anything but what Badger would:
//
//   - A row is held with the number of the commit that wrote it, and is given to
//     snapshots of that commit or a later one only. What is held has not been
//     written since: each commit takes the place of what it writes, after it is
//     durable and before any snapshot can see it.
//   - A View that began before a commit does not put back what that commit has
//     replaced: each part of the cache knows the newest commit that wrote a key of
//     its, and takes nothing from snapshots before it.
type rowCache struct {
	seed  maphash.Seed
	parts [cacheParts]cachePart
}

const (
	cacheParts = 32
	// cacheBytes bounds what all parts hold.
	cacheBytes = 8 << 20
	// cacheRow is the longest value that is held, in bytes.
	cacheRow = 4 << 10
	// cacheOverhead is what a row takes in memory beside key and value, about.
	cacheOverhead = 128
	// decodedOverhead is what is decoded takes beside the texts in it, about.
	decodedOverhead = 1 << 10
)

// cachePart holds rows in two generations: what is read moves to the young one, and
// when that has half of the room it takes the place of the old one, whose rows
// nobody has read since.
type cachePart struct {
	mu         sync.Mutex // guards the fields below
	young, old map[string]cachedRow
	size       int    // bytes that the young generation takes
	wrote      uint64 // the newest commit that has written a key of this part
}

// cachedRow is what a key holds.
type cachedRow struct {
	value   []byte // nil: nothing; not changed
	since   uint64 // the commit that wrote it, or one since that found nothing
	decoded any    // what was made of the value; nil: nothing yet; not changed
}

func newRowCache() *rowCache {
	c := &rowCache{seed: maphash.MakeSeed()}
	for i := range c.parts {
		c.parts[i].young = map[string]cachedRow{}
	}
	return c
}

func (c *rowCache) part(key []byte) *cachePart {
	return &c.parts[maphash.Bytes(c.seed, key)%cacheParts]
}

// get returns what a key holds in the snapshot of a commit, where that is known.
func (c *rowCache) get(key []byte, seq uint64) (row cachedRow, ok bool) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if row, ok = p.young[string(key)]; !ok {
		if row, ok = p.old[string(key)]; ok {
			delete(p.old, string(key))
			p.set(key, row)
		}
	}
	return row, ok && row.since <= seq
}

// put holds what a key was found to hold in the snapshot of a commit.
func (c *rowCache) put(key []byte, row cachedRow, seq uint64) {
	if len(row.value) > cacheRow {
		return
	}
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq >= p.wrote {
		p.set(key, row)
	}
}

// decoded holds what was made of a row that is held already, unless it was replaced.
func (c *rowCache) decoded(key []byte, since uint64, made any) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if row, ok := p.young[string(key)]; ok && row.since == since && row.decoded == nil {
		row.decoded = made
		p.set(key, row)
	}
}

// replace notes that a commit has written a key; a nil value is its deletion. It is
// called when the commit is durable, and before a snapshot of it can be taken.
func (c *rowCache) replace(key, value []byte, seq uint64) {
	p := c.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote = seq
	delete(p.old, string(key)) // it may be in both: two Views have put it, and the generations changed in between
	was, young := p.young[string(key)]
	if !young {
		return
	}
	if len(value) > cacheRow {
		delete(p.young, string(key))
		p.size -= rowSize(key, was)
		return
	}
	if value != nil {
		value = clone(value)
	}
	p.set(key, cachedRow{value: value, since: seq})
}

// set puts a row into the young generation.
func (p *cachePart) set(key []byte, row cachedRow) {
	if was, ok := p.young[string(key)]; ok {
		p.size -= rowSize(key, was)
	}
	p.young[string(key)] = row
	p.size += rowSize(key, row)
	if p.size > cacheBytes/cacheParts/2 {
		p.young, p.old, p.size = make(map[string]cachedRow, len(p.young)), p.young, 0
	}
}

func rowSize(key []byte, row cachedRow) int {
	size := len(key) + len(row.value) + cacheOverhead
	if row.decoded != nil {
		size += len(row.value) + decodedOverhead
	}
	return size
}

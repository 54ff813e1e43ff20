package volume

import (
	"encoding/binary"
	"math/bits"
)

// table is a hash table from ids to entries: open addressing with linear
// probing, deletion by shifting back, no pointers. It grows by a quarter at a
// time, so that it stays at least 64 % full: a blob costs 50 to 63 bytes, where
// Go's map, which doubles, takes up to 95. The zero id marks a free slot and
// can not be stored. The zero table is empty and ready.
type table struct {
	slots []slot
	used  int
}

type slot struct {
	id BlobID
	entry
}

// tableMin is the least number of slots of a table that is not empty.
const tableMin = 8

// home returns the slot where an id belongs, of n. Ids are mixed because they
// need not be random.
func home(id *BlobID, n int) int {
	const odd = 0x9E3779B97F4A7C15
	x := binary.LittleEndian.Uint64(id[:8])*odd ^ bits.RotateLeft64(binary.LittleEndian.Uint64(id[8:]), 32)
	x = (x ^ x>>32) * 0xD6E8FEB86659FD93
	x ^= x >> 32
	hi, _ := bits.Mul64(x*odd, uint64(n))
	return int(hi)
}

// find returns the slot of an id, or the free one where it would go.
func (t *table) find(id *BlobID) (at int, found bool) {
	for at = home(id, len(t.slots)); ; {
		s := &t.slots[at]
		if s.id == *id {
			return at, true
		}
		if s.id == (BlobID{}) {
			return at, false
		}
		if at++; at == len(t.slots) {
			at = 0
		}
	}
}

func (t *table) get(id BlobID) (entry, bool) {
	if t.used == 0 || id == (BlobID{}) {
		return entry{}, false
	}
	at, found := t.find(&id)
	return t.slots[at].entry, found
}

// put sets the entry of an id, which is not zero.
func (t *table) put(id BlobID, e entry) {
	if (t.used+1)*5 > len(t.slots)*4 {
		t.resize(max(tableMin, len(t.slots)+len(t.slots)/4))
	}
	at, found := t.find(&id)
	if !found {
		t.used++
	}
	t.slots[at] = slot{id, e}
}

func (t *table) remove(id BlobID) {
	if t.used == 0 || id == (BlobID{}) {
		return
	}
	at, found := t.find(&id)
	if !found {
		return
	}
	t.used--
	t.fillHole(at)
	if len(t.slots) > 4*tableMin && t.used*4 < len(t.slots) {
		t.resize(t.used + t.used/2)
	}
}

// fillHole moves those that were displaced past a slot back, so that no search
// ends before what it looks for.
func (t *table) fillHole(hole int) {
	n := len(t.slots)
	for at := hole; ; {
		if at++; at == n {
			at = 0
		}
		if t.slots[at].id == (BlobID{}) {
			t.slots[hole] = slot{}
			return
		}
		// It may move unless its home lies behind the hole, going round.
		fromHome := at - home(&t.slots[at].id, n)
		fromHole := at - hole
		if fromHome < 0 {
			fromHome += n
		}
		if fromHole < 0 {
			fromHole += n
		}
		if fromHome >= fromHole {
			t.slots[hole] = t.slots[at]
			hole = at
		}
	}
}

func (t *table) resize(n int) {
	old := t.slots
	t.slots = make([]slot, n)
	for i := range old {
		if old[i].id == (BlobID{}) {
			continue
		}
		at, _ := t.find(&old[i].id)
		t.slots[at] = old[i]
	}
}

package volume

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// entry says where a blob lies: 24 bytes without a pointer, so that a million
// of them cost little memory and nothing in garbage collection.
type entry struct {
	seg     uint32 // segment; largeSegment: a file of its own; pendingSegment: being written
	off     uint32 // of the record in the segment; of a large blob: high half of its size
	length  uint32 // payload bytes; of a large blob: low half of its size
	desc    uint32 // descriptor bytes; unused for a large blob
	created int64  // ns since 1970
}

const (
	largeSegment   = 0
	pendingSegment = math.MaxUint32
)

func largeEntry(size, created int64) entry {
	return entry{off: uint32(size >> 32), length: uint32(size), created: created}
}

func (e entry) large() bool { return e.seg == largeSegment }

// size returns the payload's bytes.
func (e entry) size() int64 {
	if e.large() {
		return int64(e.off)<<32 | int64(e.length)
	}
	return int64(e.length)
}

// recordLen returns the bytes that the blob takes in its segment.
func (e entry) recordLen() int64 { return recordLen(int64(e.length), int64(e.desc)) }

func (e entry) info(id BlobID) Info {
	return Info{ID: id, Size: e.size(), Created: time.Unix(0, e.created)}
}

// index maps ids to places. Blobs are spread over shards by the first byte of
// their id, so the shards are in id order, as List wants them.
type index struct {
	data     tally
	metadata tally // of blobs with ids of MetadataID
	shards   [256]shard
}

// tally counts blobs, without reservations.
type tally struct{ blobs, bytes atomic.Int64 }

func (t *tally) held() Held { return Held{Blobs: t.blobs.Load(), Bytes: t.bytes.Load()} }

// held counts all blobs.
func (x *index) held() Held {
	a, b := x.data.held(), x.metadata.held()
	return Held{Blobs: a.Blobs + b.Blobs, Bytes: a.Bytes + b.Bytes}
}

type shard struct {
	mu      sync.RWMutex
	entries table
}

func (x *index) shard(id BlobID) *shard { return &x.shards[id[0]] }

// reserve takes an id for a blob that is about to be written, and reports
// whether it was free.
func (x *index) reserve(id BlobID) bool {
	sh := x.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, taken := sh.entries.get(id); taken {
		return false
	}
	sh.entries.put(id, entry{seg: pendingSegment})
	return true
}

// release gives a reserved id up.
func (x *index) release(id BlobID) {
	sh := x.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e, ok := sh.entries.get(id); ok && e.seg == pendingSegment {
		sh.entries.remove(id)
	}
}

// get finds a blob that is wholly there.
func (x *index) get(id BlobID) (entry, bool) {
	sh := x.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e, ok := sh.entries.get(id)
	return e, ok && e.seg != pendingSegment
}

// set makes a blob visible. It returns what it replaced, if that was more than
// a reservation.
func (x *index) set(id BlobID, e entry) (old entry, replaced bool) {
	sh := x.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old, replaced = sh.entries.get(id)
	replaced = replaced && old.seg != pendingSegment
	sh.entries.put(id, e)
	if replaced {
		x.count(id, -1, -old.size())
	}
	x.count(id, 1, e.size())
	return old, replaced
}

// move switches a blob from one place to another, unless it has left the first.
func (x *index) move(id BlobID, from, to entry) bool {
	sh := x.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e, ok := sh.entries.get(id); !ok || e != from {
		return false
	}
	sh.entries.put(id, to)
	return true
}

// remove forgets a blob, unless it is elsewhere by now.
func (x *index) remove(id BlobID, e entry) bool {
	sh := x.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if old, ok := sh.entries.get(id); !ok || old != e {
		return false
	}
	sh.entries.remove(id)
	x.count(id, -1, -e.size())
	return true
}

func (x *index) count(id BlobID, blobs, bytes int64) {
	t := &x.data
	if id.Metadata() {
		t = &x.metadata
	}
	t.blobs.Add(blobs)
	t.bytes.Add(bytes)
}

// placed is where in its segment a blob lies.
type placed struct {
	id  BlobID
	off uint32
}

// inSegment returns the blobs of a segment in the order in which they lie.
func (x *index) inSegment(num uint32) []placed {
	var found []placed
	for i := range x.shards {
		found = x.shards[i].inSegment(num, found)
	}
	slices.SortFunc(found, func(a, b placed) int { return cmp.Compare(a.off, b.off) })
	return found
}

func (sh *shard) inSegment(num uint32, found []placed) []placed {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for i := range sh.entries.slots {
		if s := &sh.entries.slots[i]; s.seg == num && s.id != (BlobID{}) {
			found = append(found, placed{s.id, s.off})
		}
	}
	return found
}

// list returns up to limit blobs with ids above after, in id order, those of metadata
// where after is one of their ids.
func (x *index) list(after BlobID, limit int) []Info {
	below := MetadataStart()
	if after.Metadata() {
		return x.listWhere(after, limit, func(*slot) bool { return true })
	}
	return x.listWhere(after, limit, func(s *slot) bool { return s.id[0] != metadataByte || bytes.Compare(s.id[:], below[:]) < 0 })
}

// listWhere is list of those blobs of which keep approves.
func (x *index) listWhere(after BlobID, limit int, keep func(*slot) bool) []Info {
	var page []Info
	for first := int(after[0]); first < len(x.shards) && len(page) < limit; first++ {
		page = append(page, x.shards[first].list(after, limit-len(page), keep)...)
	}
	return page
}

func (sh *shard) list(after BlobID, limit int, wanted func(*slot) bool) []Info {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	keep := limit
	if keep < sh.entries.used { // room to gather in, so that sorting is rare
		keep = min(2*limit+64, sh.entries.used)
	}
	found := make([]Info, 0, min(keep, sh.entries.used))
	bound, bounded := BlobID{}, false
	for i := range sh.entries.slots {
		// Free slots have the zero id, which is above none.
		s := &sh.entries.slots[i]
		if bytes.Compare(s.id[:], after[:]) <= 0 || s.seg == pendingSegment || !wanted(s) ||
			bounded && bytes.Compare(s.id[:], bound[:]) > 0 {
			continue
		}
		if len(found) == keep && keep > limit {
			found = lowest(found, limit)
			bound, bounded = found[limit-1].ID, true
		}
		found = append(found, s.info(s.id))
	}
	return lowest(found, limit)
}

// lowest sorts by id and cuts off what is beyond limit.
func lowest(infos []Info, limit int) []Info {
	slices.SortFunc(infos, func(a, b Info) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return infos[:min(limit, len(infos))]
}
